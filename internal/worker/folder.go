package worker

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Folder keeps blobs as files DIR/ab/cd/HEX, named by the sha512 of their bytes; keys are the same as integrities. A file is complete and durable when it has its name.
type Folder string

// Put keeps data.
func (f Folder) Put(_ context.Context, data []byte) (string, error) {
	key := digest(data)
	path, err := f.path(key)
	if err != nil {
		return "", err
	}
	if st, err := os.Stat(path); err == nil && st.Size() == int64(len(data)) {
		return key, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		return "", fmt.Errorf("keep a blob: %w", err)
	}
	return key, nil
}

// Get gives what Put was given, or an error when it is not what it was.
func (f Folder) Get(_ context.Context, key string) ([]byte, error) {
	path, err := f.path(key)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	if digest(data) != key {
		return nil, fmt.Errorf("blob %s is damaged", path)
	}
	return data, nil
}

func digest(data []byte) string {
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (f Folder) path(key string) (string, error) {
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "sha512-"))
	if err != nil || len(sum) != sha512.Size {
		return "", fmt.Errorf("%.100q is not the key of a blob", key)
	}
	name := hex.EncodeToString(sum)
	return filepath.Join(string(f), name[:2], name[2:4], name), nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
