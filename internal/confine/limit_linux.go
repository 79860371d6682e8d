package confine

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func limit(memory int64) {
	if memory > 0 {
		r := &unix.Rlimit{Cur: uint64(memory), Max: uint64(memory)}
		unix.Setrlimit(unix.RLIMIT_DATA, r) // RLIMIT_AS would count address space that Go only reserves
	}
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
}

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
