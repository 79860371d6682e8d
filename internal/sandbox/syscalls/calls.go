//go:build linux && (amd64 || arm64)

package syscalls

import (
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// disposition says what becomes of a call.
type disposition uint8

const (
	refused      disposition = iota // fails with errno, silently: honest programs try it and carry on without
	reported                        // fails with errno, and is an event
	watched                         // is decoded, and goes on
	watchedOpens                    // the same, with Options.Opens
)

// call is what the filter and the supervisor make of one system call.
type call struct {
	name  string
	nr    uint32
	do    disposition
	errno unix.Errno // of a refusal
	when  [][]test   // alternatives, of which each is a list of tests; nil means always
	// decode reads the arguments. It returns no event for calls that say nothing, and an error when it could not read them.
	decode func(process, args) ([]sandbox.Event, error)
}

type args [6]uint64

// lastCall is the number of the last call that this table was made with in sight.
const lastCall = unix.SYS_RSEQ_SLICE_YIELD

// Flags of clone and unshare that make namespaces. The bit of CLONE_NEWTIME is part of the signal for clone.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET

// calls of both architectures; older ones that only amd64 has are in calls_amd64.go. The names are checked by the compiler.
var calls = append([]call{
	// What every program can do without, and some try.
	{name: "clone3", nr: unix.SYS_CLONE3, do: refused, errno: unix.ENOSYS}, // its flags lie in memory; libraries fall back to clone
	{name: "io_uring_setup", nr: unix.SYS_IO_URING_SETUP, do: refused, errno: unix.ENOSYS},
	{name: "io_uring_enter", nr: unix.SYS_IO_URING_ENTER, do: refused, errno: unix.ENOSYS},
	{name: "io_uring_register", nr: unix.SYS_IO_URING_REGISTER, do: refused, errno: unix.ENOSYS},
	{name: "add_key", nr: unix.SYS_ADD_KEY, do: refused, errno: unix.ENOSYS},
	{name: "request_key", nr: unix.SYS_REQUEST_KEY, do: refused, errno: unix.ENOSYS},
	{name: "keyctl", nr: unix.SYS_KEYCTL, do: refused, errno: unix.ENOSYS},
	{name: "name_to_handle_at", nr: unix.SYS_NAME_TO_HANDLE_AT, do: refused, errno: unix.EOPNOTSUPP},
	{name: "kcmp", nr: unix.SYS_KCMP, do: refused, errno: unix.EPERM},
	{name: "vmsplice", nr: unix.SYS_VMSPLICE, do: refused, errno: unix.ENOSYS},
	{name: "fanotify_init", nr: unix.SYS_FANOTIFY_INIT, do: refused, errno: unix.EPERM},
	{name: "quotactl", nr: unix.SYS_QUOTACTL, do: refused, errno: unix.EPERM},
	{name: "quotactl_fd", nr: unix.SYS_QUOTACTL_FD, do: refused, errno: unix.EPERM},
	{name: "listns", nr: unix.SYS_LISTNS, do: refused, errno: unix.ENOSYS},
	// Memory that no limit of a process counts.
	{name: "shmget", nr: unix.SYS_SHMGET, do: refused, errno: unix.ENOSYS},
	{name: "msgget", nr: unix.SYS_MSGGET, do: refused, errno: unix.ENOSYS},

	// Ways out, and what they are made of.
	{name: "mount", nr: unix.SYS_MOUNT, do: reported, errno: unix.EPERM, decode: second},
	{name: "umount2", nr: unix.SYS_UMOUNT2, do: reported, errno: unix.EPERM, decode: first},
	{name: "pivot_root", nr: unix.SYS_PIVOT_ROOT, do: reported, errno: unix.EPERM, decode: first},
	{name: "chroot", nr: unix.SYS_CHROOT, do: reported, errno: unix.EPERM, decode: first},
	{name: "fsopen", nr: unix.SYS_FSOPEN, do: reported, errno: unix.EPERM},
	{name: "fsconfig", nr: unix.SYS_FSCONFIG, do: reported, errno: unix.EPERM},
	{name: "fsmount", nr: unix.SYS_FSMOUNT, do: reported, errno: unix.EPERM},
	{name: "fspick", nr: unix.SYS_FSPICK, do: reported, errno: unix.EPERM, decode: at},
	{name: "move_mount", nr: unix.SYS_MOVE_MOUNT, do: reported, errno: unix.EPERM, decode: at},
	{name: "open_tree", nr: unix.SYS_OPEN_TREE, do: reported, errno: unix.EPERM, decode: at},
	{name: "open_tree_attr", nr: unix.SYS_OPEN_TREE_ATTR, do: reported, errno: unix.EPERM, decode: at},
	{name: "mount_setattr", nr: unix.SYS_MOUNT_SETATTR, do: reported, errno: unix.EPERM, decode: at},
	{name: "setns", nr: unix.SYS_SETNS, do: reported, errno: unix.EPERM},
	{name: "unshare", nr: unix.SYS_UNSHARE, do: reported, errno: unix.EPERM, when: [][]test{{{arg: 0, op: anyBit, vals: []uint32{newNamespaces | unix.CLONE_NEWTIME}}}}},
	{name: "clone", nr: unix.SYS_CLONE, do: reported, errno: unix.EPERM, when: [][]test{{{arg: 0, op: anyBit, vals: []uint32{newNamespaces}}}}},
	{name: "open_by_handle_at", nr: unix.SYS_OPEN_BY_HANDLE_AT, do: reported, errno: unix.EPERM},
	{name: "bpf", nr: unix.SYS_BPF, do: reported, errno: unix.EPERM},
	{name: "perf_event_open", nr: unix.SYS_PERF_EVENT_OPEN, do: reported, errno: unix.EPERM},
	{name: "userfaultfd", nr: unix.SYS_USERFAULTFD, do: reported, errno: unix.EPERM},
	{name: "kexec_load", nr: unix.SYS_KEXEC_LOAD, do: reported, errno: unix.EPERM},
	{name: "kexec_file_load", nr: unix.SYS_KEXEC_FILE_LOAD, do: reported, errno: unix.EPERM},
	{name: "init_module", nr: unix.SYS_INIT_MODULE, do: reported, errno: unix.EPERM},
	{name: "finit_module", nr: unix.SYS_FINIT_MODULE, do: reported, errno: unix.EPERM},
	{name: "delete_module", nr: unix.SYS_DELETE_MODULE, do: reported, errno: unix.EPERM},
	{name: "swapon", nr: unix.SYS_SWAPON, do: reported, errno: unix.EPERM, decode: first},
	{name: "swapoff", nr: unix.SYS_SWAPOFF, do: reported, errno: unix.EPERM, decode: first},
	{name: "reboot", nr: unix.SYS_REBOOT, do: reported, errno: unix.EPERM},
	{name: "acct", nr: unix.SYS_ACCT, do: reported, errno: unix.EPERM, decode: first},
	{name: "syslog", nr: unix.SYS_SYSLOG, do: reported, errno: unix.EPERM},
	{name: "settimeofday", nr: unix.SYS_SETTIMEOFDAY, do: reported, errno: unix.EPERM},
	{name: "clock_settime", nr: unix.SYS_CLOCK_SETTIME, do: reported, errno: unix.EPERM},
	{name: "personality", nr: unix.SYS_PERSONALITY, do: reported, errno: unix.EPERM,
		// Asking, Linux, 32-bit Linux, and either calling itself version 2.6.
		when: [][]test{{{arg: 0, op: noneOf, vals: []uint32{0xffffffff, 0, 8, 0x20000, 0x20008}}}}},
	{name: "socket", nr: unix.SYS_SOCKET, do: reported, errno: unix.EAFNOSUPPORT, decode: family, when: [][]test{
		{{arg: 0, op: noneOf, vals: []uint32{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}}},
		{{arg: 0, op: oneOf, vals: []uint32{unix.AF_NETLINK}}, {arg: 2, op: noneOf, vals: []uint32{unix.NETLINK_ROUTE}}},
		{{arg: 0, op: oneOf, vals: []uint32{unix.AF_INET, unix.AF_INET6}}, {arg: 1, mask: 0xf, op: oneOf, vals: []uint32{unix.SOCK_RAW, unix.SOCK_PACKET}}},
	}},
	{name: "ioctl", nr: unix.SYS_IOCTL, do: reported, errno: unix.EPERM, when: [][]test{{{arg: 1, op: oneOf, vals: []uint32{unix.TIOCSTI, tiocLinux, unix.TIOCSETD}}}}},

	// Looking into other processes, and hiding from those who look.
	{name: "ptrace", nr: unix.SYS_PTRACE, do: reported, errno: unix.EPERM},
	{name: "process_vm_readv", nr: unix.SYS_PROCESS_VM_READV, do: reported, errno: unix.EPERM},
	{name: "process_vm_writev", nr: unix.SYS_PROCESS_VM_WRITEV, do: reported, errno: unix.EPERM},
	{name: "process_madvise", nr: unix.SYS_PROCESS_MADVISE, do: reported, errno: unix.EPERM},
	{name: "pidfd_getfd", nr: unix.SYS_PIDFD_GETFD, do: reported, errno: unix.EPERM},
	{name: "memfd_secret", nr: unix.SYS_MEMFD_SECRET, do: reported, errno: unix.ENOSYS},

	{name: "execve", nr: unix.SYS_EXECVE, do: watched, decode: execve},
	{name: "execveat", nr: unix.SYS_EXECVEAT, do: watched, decode: execveat},
	{name: "connect", nr: unix.SYS_CONNECT, do: watched, decode: connect},
	{name: "bind", nr: unix.SYS_BIND, do: watched, decode: bind},
	{name: "unlinkat", nr: unix.SYS_UNLINKAT, do: watched, decode: unlinkat},
	{name: "renameat", nr: unix.SYS_RENAMEAT, do: watched, decode: renameat},
	{name: "renameat2", nr: unix.SYS_RENAMEAT2, do: watched, decode: renameat},
	{name: "linkat", nr: unix.SYS_LINKAT, do: watched, decode: linkat},
	{name: "symlinkat", nr: unix.SYS_SYMLINKAT, do: watched, decode: symlinkat},
	{name: "fchmod", nr: unix.SYS_FCHMOD, do: watched, decode: fchmod},
	{name: "fchmodat", nr: unix.SYS_FCHMODAT, do: watched, decode: fchmodat},
	{name: "fchmodat2", nr: unix.SYS_FCHMODAT2, do: watched, decode: fchmodat},
	{name: "kill", nr: unix.SYS_KILL, do: watched, decode: kill},
	{name: "tkill", nr: unix.SYS_TKILL, do: watched, decode: tkill},
	{name: "tgkill", nr: unix.SYS_TGKILL, do: watched, decode: tgkill},
	{name: "rt_sigqueueinfo", nr: unix.SYS_RT_SIGQUEUEINFO, do: watched, decode: kill},
	{name: "rt_tgsigqueueinfo", nr: unix.SYS_RT_TGSIGQUEUEINFO, do: watched, decode: tgkill},
	{name: "pidfd_send_signal", nr: unix.SYS_PIDFD_SEND_SIGNAL, do: watched, decode: pidfdSignal},
	{name: "memfd_create", nr: unix.SYS_MEMFD_CREATE, do: watched, decode: memfd},

	{name: "openat", nr: unix.SYS_OPENAT, do: watchedOpens, decode: openat},
	{name: "openat2", nr: unix.SYS_OPENAT2, do: watchedOpens, decode: openat2},
	{name: "truncate", nr: unix.SYS_TRUNCATE, do: watchedOpens, decode: truncate},
	{name: "mkdirat", nr: unix.SYS_MKDIRAT, do: watchedOpens, decode: mkdirat},
	{name: "sendto", nr: unix.SYS_SENDTO, do: watchedOpens, decode: sendto, when: [][]test{{{arg: 4, op: nonZero}}}},
	{name: "sendmsg", nr: unix.SYS_SENDMSG, do: watchedOpens, decode: sendmsg},
	{name: "sendmmsg", nr: unix.SYS_SENDMMSG, do: watchedOpens, decode: sendmmsg},
}, older...)

// tiocLinux writes into and reads from the console (ioctl_console(2)).
const tiocLinux = 0x541c
