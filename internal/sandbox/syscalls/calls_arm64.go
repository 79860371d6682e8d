//go:build linux

package syscalls

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0x40000000 // no such numbers here; whoever uses them is told apart all the same
)

// older calls are those that newer architectures do without.
var older []call
