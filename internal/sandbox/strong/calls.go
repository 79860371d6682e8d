//go:build linux && (amd64 || arm64)

package strong

import (
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// meaning says what a traced system call becomes. The sentry reports numbers and arguments of these calls, and no memory.
type meaning struct {
	name  string
	nr    uint64
	kind  sandbox.Kind // KindRefused, KindSignal or KindCall
	opens bool         // with Spec.Opens only
}

// traced are the calls of both architectures that are reported by number; older ones that only amd64 has are in calls_amd64.go. Those
// of KindRefused need rights that no process of a box has: gVisor lets them fail.
var traced = append([]meaning{
	{name: "mount", nr: unix.SYS_MOUNT, kind: sandbox.KindRefused},
	{name: "umount2", nr: unix.SYS_UMOUNT2, kind: sandbox.KindRefused},
	{name: "pivot_root", nr: unix.SYS_PIVOT_ROOT, kind: sandbox.KindRefused},
	{name: "chroot", nr: unix.SYS_CHROOT, kind: sandbox.KindRefused},
	{name: "setns", nr: unix.SYS_SETNS, kind: sandbox.KindRefused},
	{name: "unshare", nr: unix.SYS_UNSHARE, kind: sandbox.KindRefused},
	{name: "open_by_handle_at", nr: unix.SYS_OPEN_BY_HANDLE_AT, kind: sandbox.KindRefused},
	{name: "bpf", nr: unix.SYS_BPF, kind: sandbox.KindRefused},
	{name: "perf_event_open", nr: unix.SYS_PERF_EVENT_OPEN, kind: sandbox.KindRefused},
	{name: "userfaultfd", nr: unix.SYS_USERFAULTFD, kind: sandbox.KindRefused},
	{name: "kexec_load", nr: unix.SYS_KEXEC_LOAD, kind: sandbox.KindRefused},
	{name: "init_module", nr: unix.SYS_INIT_MODULE, kind: sandbox.KindRefused},
	{name: "finit_module", nr: unix.SYS_FINIT_MODULE, kind: sandbox.KindRefused},
	{name: "delete_module", nr: unix.SYS_DELETE_MODULE, kind: sandbox.KindRefused},
	{name: "swapon", nr: unix.SYS_SWAPON, kind: sandbox.KindRefused},
	{name: "reboot", nr: unix.SYS_REBOOT, kind: sandbox.KindRefused},
	{name: "syslog", nr: unix.SYS_SYSLOG, kind: sandbox.KindRefused},
	{name: "settimeofday", nr: unix.SYS_SETTIMEOFDAY, kind: sandbox.KindRefused},
	{name: "clock_settime", nr: unix.SYS_CLOCK_SETTIME, kind: sandbox.KindRefused},
	{name: "ptrace", nr: unix.SYS_PTRACE, kind: sandbox.KindRefused},
	{name: "process_vm_readv", nr: unix.SYS_PROCESS_VM_READV, kind: sandbox.KindRefused},
	{name: "process_vm_writev", nr: unix.SYS_PROCESS_VM_WRITEV, kind: sandbox.KindRefused},

	{name: "kill", nr: unix.SYS_KILL, kind: sandbox.KindSignal},
	{name: "tkill", nr: unix.SYS_TKILL, kind: sandbox.KindSignal},
	{name: "tgkill", nr: unix.SYS_TGKILL, kind: sandbox.KindSignal},
	{name: "rt_sigqueueinfo", nr: unix.SYS_RT_SIGQUEUEINFO, kind: sandbox.KindSignal},
	{name: "rt_tgsigqueueinfo", nr: unix.SYS_RT_TGSIGQUEUEINFO, kind: sandbox.KindSignal},

	{name: "unlinkat", nr: unix.SYS_UNLINKAT, kind: sandbox.KindCall},
	{name: "renameat", nr: unix.SYS_RENAMEAT, kind: sandbox.KindCall},
	{name: "renameat2", nr: unix.SYS_RENAMEAT2, kind: sandbox.KindCall},
	{name: "linkat", nr: unix.SYS_LINKAT, kind: sandbox.KindCall},
	{name: "symlinkat", nr: unix.SYS_SYMLINKAT, kind: sandbox.KindCall},
	{name: "fchmod", nr: unix.SYS_FCHMOD, kind: sandbox.KindCall},
	{name: "fchmodat", nr: unix.SYS_FCHMODAT, kind: sandbox.KindCall},
	{name: "memfd_create", nr: unix.SYS_MEMFD_CREATE, kind: sandbox.KindCall},

	{name: "mkdirat", nr: unix.SYS_MKDIRAT, kind: sandbox.KindCall, opens: true},
	{name: "openat2", nr: unix.SYS_OPENAT2, kind: sandbox.KindCall, opens: true},
	{name: "truncate", nr: unix.SYS_TRUNCATE, kind: sandbox.KindCall, opens: true},
	{name: "sendto", nr: unix.SYS_SENDTO, kind: sandbox.KindCall, opens: true},
	{name: "sendmsg", nr: unix.SYS_SENDMSG, kind: sandbox.KindCall, opens: true},
	{name: "sendmmsg", nr: unix.SYS_SENDMMSG, kind: sandbox.KindCall, opens: true},
}, older...)

// callOf returns what a number means.
func callOf(nr uint64) (meaning, bool) {
	for _, m := range traced {
		if m.nr == nr {
			return m, true
		}
	}
	return meaning{}, false
}
