//go:build linux

package strong

import "golang.org/x/sys/unix"

var older []meaning

// opening are the points of calls that open a file by name.
var opening = []string{"openat"}

const auditArch = unix.AUDIT_ARCH_AARCH64
