//go:build linux && (amd64 || arm64)

package syscalls

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Bits of PR_SET_SECUREBITS, locked: uid 0 means nothing, changes of the user keep what there is (nothing), ambient capabilities cannot be raised.
const secureBits = 1<<0 | 1<<1 | 1<<2 | 1<<3 | 1<<5 | 1<<6 | 1<<7

// DropPrivileges takes every capability from the calling thread, and with no_new_privs the ways to get one back, and makes sure of it.
// A thread that may not empty its bounding set has no use for it any more either.
func DropPrivileges() error {
	if err := dropPrivileges(); err != nil {
		return fmt.Errorf("dropping privileges: %w", err)
	}
	return nil
}

func dropPrivileges() error {
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0); err != nil && err != unix.EPERM {
		return fmt.Errorf("secure bits: %w", err)
	}
	for c := uintptr(0); c < 64; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if err == unix.EINVAL { // beyond the last that this kernel knows
			break
		}
		if err != nil && err != unix.EPERM {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil && err != unix.EINVAL {
		return fmt.Errorf("ambient set: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&h, &none[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	return unprivileged()
}

// unprivileged is an error when the calling thread has a capability or can get one.
func unprivileged() error {
	f, err := os.Open("/proc/thread-self/status")
	if err != nil {
		return err
	}
	defer f.Close()
	seen := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		key, v, _ := strings.Cut(sc.Text(), ":")
		v = strings.TrimSpace(v)
		switch key {
		case "CapInh", "CapPrm", "CapEff", "CapAmb":
			if seen++; strings.Trim(v, "0") != "" {
				return fmt.Errorf("%s is still %s", key, v)
			}
		case "NoNewPrivs":
			if seen++; v != "1" {
				return fmt.Errorf("no_new_privs is %s", v)
			}
		}
	}
	if seen != 5 {
		return fmt.Errorf("/proc/thread-self/status does not say what is left")
	}
	return nil
}
