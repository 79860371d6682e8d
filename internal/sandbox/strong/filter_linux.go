//go:build linux && (amd64 || arm64)

package strong

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refusals are calls that gVisor lets anybody make, and that no package needs: with them a box could tell gVisor from Linux by its log,
// or keep things where nobody looks. Calls that gVisor refuses itself are not here, because it reports only what its own filters let pass.
var refusals = []struct {
	nr    uint32
	errno unix.Errno
}{
	{unix.SYS_SYSLOG, unix.EPERM},
	{unix.SYS_KEYCTL, unix.ENOSYS},
	{unix.SYS_ADD_KEY, unix.ENOSYS},
	{unix.SYS_REQUEST_KEY, unix.ENOSYS},
	{unix.SYS_IO_URING_SETUP, unix.ENOSYS},
	{unix.SYS_SHMGET, unix.ENOSYS},
	{unix.SYS_MSGGET, unix.ENOSYS},
}

// filter puts a filter of gVisor's calls on the calling thread and all that it starts. no_new_privs has to be set.
func filter() error {
	const low = 16 + 2*8 // the third argument, in struct seccomp_data
	refuse := func(e unix.Errno) bpf.Instruction { return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)} }
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 4, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		refuse(unix.ENOSYS), // calls of another architecture
		bpf.LoadAbsolute{Off: 0, Size: 4},
	}
	for _, r := range refusals {
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r.nr, SkipFalse: 1}, refuse(r.errno))
	}
	p = append(p,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SETPRIORITY, SkipFalse: 3},
		bpf.LoadAbsolute{Off: low, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 1 << 31, SkipFalse: 1}, // gVisor lets anybody be nicer to himself
		refuse(unix.EACCES),
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	raw, err := bpf.Assemble(p)
	if err != nil {
		return fmt.Errorf("filter of calls: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	f := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&f)))
	runtime.KeepAlive(code)
	if e != 0 {
		return fmt.Errorf("filter of calls: %w", e)
	}
	return nil
}
