//go:build linux && (amd64 || arm64)

package namespaces

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// leastData is what RLIMIT_DATA is at least: the init, which must live under it too, has some of it reserved.
	leastData = 256 << 20
	openFiles = 4096
	// largestFile bounds one file, and with that what a few files in memory can hold.
	largestFile = 256 << 20
	// niceness lets everybody else go first, so that a box full of busy processes leaves the machine, and whoever watches it, usable.
	niceness = 10
)

// limit lowers what the init, and what it starts, may use. It returns the limit on processes: the kernel counts the init's own threads
// too, where they have the same user.
func (i *initProcess) limit() (nproc uint64, err error) {
	l := i.plan.Limits
	nproc = uint64(l.Processes)
	if !i.plan.Switch {
		own, err := ownThreads()
		if err != nil {
			return 0, err
		}
		nproc += own
	}
	for _, r := range []struct {
		resource  int
		name      string
		soft, max uint64
	}{
		{unix.RLIMIT_DATA, "data", uint64(max(l.Memory, leastData)), uint64(max(l.Memory, leastData))}, // address space would count what is only reserved
		{unix.RLIMIT_FSIZE, "fsize", uint64(min(l.Disk, largestFile)), uint64(min(l.Disk, largestFile))},
		{unix.RLIMIT_NOFILE, "nofile", 1024, openFiles},
		{unix.RLIMIT_STACK, "stack", 8 << 20, 64 << 20},
		{unix.RLIMIT_CORE, "core", 0, 0},
		{unix.RLIMIT_MEMLOCK, "memlock", 64 << 10, 64 << 10},
		{unix.RLIMIT_MSGQUEUE, "msgqueue", 0, 0},
		{unix.RLIMIT_SIGPENDING, "sigpending", 4096, 4096},
		{unix.RLIMIT_RTPRIO, "rtprio", 0, 0},
		{unix.RLIMIT_NICE, "nice", 0, 0},
		{unix.RLIMIT_NPROC, "nproc", nproc, nproc},
	} {
		var was unix.Rlimit
		if err := unix.Getrlimit(r.resource, &was); err != nil {
			return 0, fmt.Errorf("limit %s: %w", r.name, err)
		}
		now := unix.Rlimit{Cur: min(r.soft, was.Max), Max: min(r.max, was.Max)}
		if err := unix.Setrlimit(r.resource, &now); err != nil {
			return 0, fmt.Errorf("limit %s: %w", r.name, err)
		}
	}
	return nproc, nil
}

func ownThreads() (uint64, error) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), "\nThreads:")
	n, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(strings.TrimSpace(n), 10, 64)
}
