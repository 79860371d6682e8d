//go:build linux && (amd64 || arm64)

// Package syscalls is what every tier of isolation that runs on this machine's own kernel puts around the processes of a box: a seccomp
// filter, Landlock, no privileges, and a supervisor that sees the calls which the filter hands to it.
//
// The filter knows three kinds of calls beside those that it lets pass. Refused ones fail with an error, silently where honest programs
// try them and carry on, as an event of sandbox.KindRefused where only an attempt to break out, to trace or to hide makes them. Watched
// ones wait until the supervisor has decoded their arguments and has said what becomes of them. Calls that this package does not know,
// because the kernel is newer, do not exist in the box.
//
// What the supervisor reads may be changed by another thread of the box before the kernel reads it again. So a watched call is a
// record, never a permission: what the box may do is decided by the filter, by Landlock and by namespaces. The supervisor fails closed:
// a call whose arguments it cannot read fails, and without a supervisor every watched call fails with ENOSYS.
//
// # Use
//
// In the process that becomes the box, on one locked thread, whose children inherit all of it:
//
//	runtime.LockOSThread()
//	DropPrivileges()
//	RestrictFiles(...)
//	listener, err := Install(...)
//
// and then the listener is handed to the parent, which calls Supervise. With Options.Opens the filter watches sendmsg too, which hands
// it over: a goroutine on another thread has to send it, while the locked one waits for the answer. The runtime starts threads from one
// that is not locked, so that thread has no filter. Such threads of the process that installs the filter keep what they had, so it must
// be out of reach of the box: in a namespace of processes as its first, or gone because the locked thread itself executes the box.
package syscalls

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Options say what the filter watches.
type Options struct {
	Opens bool // opened files, made folders and sent datagrams too
}

// Install puts the filter on the calling thread, and so on every process and thread that it starts and on what it executes, for good.
// It sets no_new_privs, without which the kernel refuses. The listener is for Supervise and is closed on exec; until somebody supervises
// it, watched calls of the thread wait.
func Install(o Options) (listener int, err error) {
	prog, err := program(o)
	if err != nil {
		return -1, err
	}
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return -1, fmt.Errorf("seccomp filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, fmt.Errorf("no_new_privs: %w", err)
	}
	f := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	// A call that the supervisor has received is then interrupted by deadly signals only, so that it is neither made nor seen twice.
	// Kernels before 5.19 do not know the flag.
	const killable = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	for _, flags := range []uintptr{killable, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER} {
		fd, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&f)))
		if e == 0 {
			runtime.KeepAlive(code)
			return int(fd), nil
		}
		err = e
		if e != unix.EINVAL {
			break
		}
	}
	runtime.KeepAlive(code)
	return -1, fmt.Errorf("seccomp filter: %w", err)
}
