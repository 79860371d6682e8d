//go:build linux && (amd64 || arm64)

package namespaces

import (
	"errors"
	"fmt"
	"io/fs"
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
		{unix.RLIMIT_CORE, "core", 1, 1}, // with 0 a helper of the host's, which may be root, is still given the core
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

// settings are what the namespaces of the box allow beyond the limits of its processes, as files of /proc/sys.
var settings = []struct{ file, value string }{
	// The filter refuses new namespaces; so does this.
	{"user/max_user_namespaces", "0"}, {"user/max_mnt_namespaces", "0"}, {"user/max_pid_namespaces", "0"}, {"user/max_net_namespaces", "0"},
	{"user/max_uts_namespaces", "0"}, {"user/max_ipc_namespaces", "0"}, {"user/max_cgroup_namespaces", "0"}, {"user/max_time_namespaces", "0"},
	// These are counted for the user that started us, who needs some himself.
	{"user/max_inotify_instances", "32"}, {"user/max_inotify_watches", "16384"}, {"user/max_fanotify_groups", "0"}, {"user/max_fanotify_marks", "0"},
	// Buffers of connections are the kernel's memory, of which the whole machine has one budget: megabytes each, by default.
	{"net/ipv4/tcp_rmem", "4096 65536 262144"}, {"net/ipv4/tcp_wmem", "4096 16384 262144"},
	// ping works for ordinary users, as on most systems.
	{"net/ipv4/ping_group_range", "1000 1000"},
}

// tuning is a setting that is about to be put in force.
type tuning struct {
	file  *os.File
	value string
}

// settle opens the settings, while that is possible. What a kernel does not have needs no limit.
func settle() ([]tuning, error) {
	var out []tuning
	for _, s := range settings {
		f, err := os.OpenFile("/proc/sys/"+s.file, os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("setting of the box: %w", err)
		}
		out = append(out, tuning{f, s.value})
	}
	return out, nil
}

// set puts a setting in force.
func (t tuning) set() error {
	defer t.file.Close()
	if _, err := t.file.WriteString(t.value); err != nil {
		return fmt.Errorf("setting of the box: %w", err)
	}
	return nil
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
