//go:build linux && (amd64 || arm64)

package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// withoutKey in the environment makes the test binary take something away from itself and say what New says then.
const withoutKey = "DONAPI_TEST_WITHOUT"

// without is the life of such a process.
func without(what string) {
	kind, arg, _ := strings.Cut(what, ":")
	var err error
	switch kind {
	case "sysctl":
		name, value, _ := strings.Cut(arg, "=")
		err = os.WriteFile("/proc/sys/"+name, []byte(value), 0)
	case "call":
		err = forbid(arg)
	case "proc":
		// As in a container that masks parts of /proc: then no other may be mounted.
		err = unix.Mount("tmpfs", "/proc/sys", "tmpfs", 0, "")
	}
	if err != nil {
		fmt.Println("cannot take it away:", err)
		os.Exit(2)
	}
	_, err = New(context.Background())
	var u *sandbox.Unavailable
	if !errors.As(err, &u) {
		fmt.Printf("no word of what is missing: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("%v\n%s\n", u, u.Fix)
	os.Exit(0)
}

// forbid makes a system call fail with EPERM (or, with a number, that error), for all threads, as the filter of a container does.
func forbid(call string) error {
	name, errno, _ := strings.Cut(call, "=")
	calls := map[string]uint32{"clone": unix.SYS_CLONE, "landlock_create_ruleset": unix.SYS_LANDLOCK_CREATE_RULESET, "seccomp": unix.SYS_SECCOMP,
		"open_tree": unix.SYS_OPEN_TREE, "mount_setattr": unix.SYS_MOUNT_SETATTR, "pivot_root": unix.SYS_PIVOT_ROOT, "mount": unix.SYS_MOUNT}
	e := unix.EPERM
	if errno == "ENOSYS" {
		e = unix.ENOSYS
	}
	prog := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: calls[name], SkipFalse: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
	}
	if name == "clone" { // of namespaces only: threads are to be had
		prog = []bpf.Instruction{
			bpf.LoadAbsolute{Off: 0, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: calls[name], SkipFalse: 3},
			bpf.LoadAbsolute{Off: 16, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.CLONE_NEWUSER, SkipFalse: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(e)},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		}
	}
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return err
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	f := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errnum := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&f)))
	runtime.KeepAlive(code)
	if errnum != 0 {
		return errnum
	}
	return nil
}

// TestMissing takes what the tier needs away, one by one, and asks that New names it and does not offer the tier.
func TestMissing(t *testing.T) {
	requireTier(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ take, says, fix string }{
		{"sysctl:user/max_user_namespaces=0", "user namespaces", "user.max_user_namespaces"},
		{"call:clone", "user namespaces, which a container or a security module forbids", ""},
		{"call:landlock_create_ruleset=ENOSYS", "Landlock", "lsm=landlock"},
		{"call:seccomp", "seccomp", ""},
		{"call:open_tree=ENOSYS", "a kernel of 5.13 or later", ""},
		{"call:mount_setattr=ENOSYS", "mount_setattr", ""},
		{"call:pivot_root", "which a container or a security module takes away: build the box: pivot_root", ""},
		{"call:mount", "mounts", ""},
		{"proc:", "mount /proc", ""},
	} {
		t.Run(strings.ReplaceAll(c.take, "/", "."), func(t *testing.T) {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), withoutKey+"="+c.take)
			if cmd.Dir = filepath.Dir(self); !strings.HasPrefix(c.take, "call:") {
				// In a user namespace of its own, which it may spoil.
				cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
					UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
					GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
			}
			out, err := cmd.CombinedOutput()
			lines := strings.SplitN(string(out), "\n", 3)
			if err != nil || len(lines) < 3 || !strings.Contains(lines[0], c.says) || !strings.Contains(lines[1], c.fix) {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
