//go:build !linux

package confine

import "syscall"

func limit(int64) {}

func attributes() *syscall.SysProcAttr { return nil }
