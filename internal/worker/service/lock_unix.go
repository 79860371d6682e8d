//go:build unix

package service

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFolder makes sure that one process uses the folder. The lock ends with the process, however that ends.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the folder of data: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: another donapi serve uses this folder", path), f.Close())
	}
	return f, nil
}
