//go:build linux

package strong

import (
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// older are calls that newer architectures do without.
var older = []meaning{
	{name: "unlink", nr: unix.SYS_UNLINK, kind: sandbox.KindCall},
	{name: "rmdir", nr: unix.SYS_RMDIR, kind: sandbox.KindCall},
	{name: "rename", nr: unix.SYS_RENAME, kind: sandbox.KindCall},
	{name: "link", nr: unix.SYS_LINK, kind: sandbox.KindCall},
	{name: "symlink", nr: unix.SYS_SYMLINK, kind: sandbox.KindCall},
	{name: "chmod", nr: unix.SYS_CHMOD, kind: sandbox.KindCall},
	{name: "mkdir", nr: unix.SYS_MKDIR, kind: sandbox.KindCall, opens: true},
}

// opening are the points of calls that open a file by name.
var opening = []string{"open", "openat", "creat"}

const auditArch = unix.AUDIT_ARCH_X86_64
