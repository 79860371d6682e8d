//go:build !unix

package service

import (
	"fmt"
	"os"
)

// lockFolder makes sure that one process uses the folder, as far as the system allows: an open file cannot be opened anew here.
func lockFolder(path string) (*os.File, error) {
	os.Remove(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: another donapi serve uses this folder: %w", path, err)
	}
	return f, nil
}
