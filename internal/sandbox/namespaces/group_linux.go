//go:build linux && (amd64 || arm64)

package namespaces

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// group is a control group (cgroup v2) for one box, where we may make one: in sessions of systemd, and as root. It counts what no other
// limit does, such as the buffers of sockets, and it has no gaps in time. Boxes do without where there is none.
type group struct {
	dir *os.File
}

const (
	groupPrefix = "donapi-box-"
	// groupRoom is what the init and the kernel use for a box beside what the limits are about, bytes.
	groupRoom = 96 << 20
	// groupThreads is how many threads the init may have.
	groupThreads = 32
)

var groups atomic.Int64 // made by this process

// newGroup makes a group with the limits, or returns nil where that cannot be done.
func newGroup(l sandbox.Limits) *group {
	parent := groupParent()
	if parent == "" {
		return nil
	}
	g, err := makeGroup(parent, []setting{
		{"memory.max", l.Memory + l.Disk + groupRoom}, {"memory.swap.max", 0}, {"memory.oom.group", 1}, {"pids.max", int64(l.Processes) + groupThreads},
	})
	if err != nil {
		return nil
	}
	return g
}

// setting is a file of a group with its value.
type setting struct {
	file  string
	value int64
}

// groupParent is the group beside our own in which groups with limits can be made, empty for none.
func groupParent() string {
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var s unix.Statfs_t
		if err := unix.Statfs(mount, &s); err != nil || s.Type != unix.CGROUP2_SUPER_MAGIC {
			continue
		}
		own, err := os.ReadFile("/proc/self/cgroup")
		if err != nil {
			return ""
		}
		return parentIn(mount, own)
	}
	return ""
}

// parentIn finds the parent of the group that own, the text of /proc/self/cgroup, names.
func parentIn(mount string, own []byte) string {
	for line := range bytes.Lines(own) {
		p, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "0::")
		if !ok || !filepath.IsAbs(p) || strings.Contains(p, "/../") {
			continue
		}
		// A group has either processes or groups with limits in it, so a group of ours is a neighbour of our own.
		parent := filepath.Join(mount, filepath.Dir(p))
		b, err := os.ReadFile(filepath.Join(parent, "cgroup.subtree_control"))
		have := strings.Fields(string(b))
		if err == nil && slices.Contains(have, "memory") && slices.Contains(have, "pids") {
			return parent
		}
	}
	return ""
}

// makeGroup makes a group in a parent. What was left there by processes that were killed is taken away.
func makeGroup(parent string, limits []setting) (*group, error) {
	sweepGroups(parent)
	dir := filepath.Join(parent, groupPrefix+strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(groups.Add(1), 10))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for _, l := range limits {
		err := os.WriteFile(filepath.Join(dir, l.file), strconv.AppendInt(nil, l.value, 10), 0)
		if err != nil && !(l.file == "memory.swap.max" && errors.Is(err, os.ErrNotExist)) {
			os.Remove(dir)
			return nil, err
		}
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	return &group{dir: os.NewFile(uintptr(fd), dir)}, nil
}

// sweepGroups removes the groups of processes that are no more. One with anything alive in it cannot be removed.
func sweepGroups(parent string) {
	names, err := filepath.Glob(filepath.Join(parent, groupPrefix+"*"))
	if err != nil {
		return
	}
	for _, n := range names {
		s, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(n), groupPrefix), "-")
		if pid, err := strconv.Atoi(s); err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			os.Remove(n)
		}
	}
}

// outOfMemory says whether the kernel ended the box because it had more than its limit.
func (g *group) outOfMemory() bool {
	if g == nil {
		return false
	}
	b, err := os.ReadFile(filepath.Join(g.dir.Name(), "memory.events"))
	return err == nil && eventCount(b, "oom_kill") > 0
}

// eventCount returns a value of a file of lines with a name and a number.
func eventCount(b []byte, name string) int64 {
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(v)), 10, 64)
			if err == nil {
				return n
			}
		}
	}
	return 0
}

// remove removes the group of a box that is dead.
func (g *group) remove() error {
	if g == nil {
		return nil
	}
	err := os.Remove(g.dir.Name())
	if e := g.dir.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("control group of the box: %w", err)
	}
	return nil
}
