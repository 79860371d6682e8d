//go:build linux && (amd64 || arm64)

package namespaces

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox/syscalls"
)

// confine takes every right from the calling thread, for good, and returns the seccomp listener.
func (i *initProcess) confine() (listener int, err error) {
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, niceness); err != nil {
		return -1, fmt.Errorf("niceness: %w", err)
	}
	if i.plan.Switch {
		if err := becomeUser(); err != nil {
			return -1, err
		}
	}
	if err := syscalls.DropPrivileges(); err != nil {
		return -1, err
	}
	write := append(i.plan.writable(), "/dev")
	if i.plan.Channel != "" {
		write = append(write, i.plan.Channel)
	}
	if _, err := syscalls.RestrictFiles(syscalls.Files{Read: []string{"/"}, Write: write}); err != nil {
		return -1, err
	}
	return syscalls.Install(syscalls.Options{Opens: i.plan.Opens})
}

// becomeUser makes the calling thread, and no other, the user of the box. It keeps its capabilities, for DropPrivileges to empty the
// bounding set with.
func becomeUser() error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	// Not by way of package syscall, which changes all threads.
	var errs []error
	for _, c := range []struct {
		name    string
		nr      uintptr
		a, b, c uintptr
	}{{"setgroups", unix.SYS_SETGROUPS, 0, 0, 0}, {"setresgid", unix.SYS_SETRESGID, uid, uid, uid}, {"setresuid", unix.SYS_SETRESUID, uid, uid, uid}} {
		if _, _, e := unix.RawSyscall(c.nr, c.a, c.b, c.c); e != 0 {
			errs = append(errs, fmt.Errorf("%s: %w", c.name, e))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("become the user of the box: %w", err)
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var c [2]unix.CapUserData
	if err := unix.Capget(&h, &c[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	for i := range c {
		c[i].Effective = c[i].Permitted
	}
	if err := unix.Capset(&h, &c[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return nil
}
