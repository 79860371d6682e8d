//go:build linux

package syscalls

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 0x40000000
)

// older calls are those that newer architectures do without.
var older = []call{
	{name: "iopl", nr: unix.SYS_IOPL, do: reported, errno: unix.EPERM},
	{name: "ioperm", nr: unix.SYS_IOPERM, do: reported, errno: unix.EPERM},
	{name: "modify_ldt", nr: unix.SYS_MODIFY_LDT, do: refused, errno: unix.ENOSYS},
	{name: "uselib", nr: unix.SYS_USELIB, do: refused, errno: unix.ENOSYS},

	{name: "unlink", nr: unix.SYS_UNLINK, do: watched, decode: unlink},
	{name: "rmdir", nr: unix.SYS_RMDIR, do: watched, decode: unlink},
	{name: "rename", nr: unix.SYS_RENAME, do: watched, decode: rename},
	{name: "link", nr: unix.SYS_LINK, do: watched, decode: link},
	{name: "symlink", nr: unix.SYS_SYMLINK, do: watched, decode: symlink},
	{name: "chmod", nr: unix.SYS_CHMOD, do: watched, decode: chmod},

	{name: "open", nr: unix.SYS_OPEN, do: watchedOpens, decode: open},
	{name: "creat", nr: unix.SYS_CREAT, do: watchedOpens, decode: creat},
	{name: "mkdir", nr: unix.SYS_MKDIR, do: watchedOpens, decode: mkdir},
}
