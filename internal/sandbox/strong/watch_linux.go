//go:build linux && (amd64 || arm64)

package strong

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/record"
)

// watch looks at the memory of gVisor's processes from outside, by a descriptor of the /proc of the namespaces: the file in memory that
// holds everything of the box's processes and of its writable folders, and what gVisor allocates for itself. What it had before the
// program of the Spec was started is not the box's.
type watch struct {
	proc    *os.File
	record  *record.Run
	limits  sandbox.Limits
	memory  string // the file, below proc
	own     int64  // bytes before the program was started
	largest int64  // the largest seen
}

// tick is how often a box is looked at.
const tick = 10 * time.Millisecond

// rest takes the measure of a box in which nothing of the Spec runs yet.
func (w *watch) rest() error {
	for _, pid := range w.pids() {
		for _, fd := range w.names(pid + "/fd") {
			name := pid + "/fd/" + fd
			buf := make([]byte, 64)
			if n, err := unix.Readlinkat(int(w.proc.Fd()), name, buf); err == nil && strings.HasPrefix(string(buf[:n]), "/memfd:runsc-memory") {
				w.memory = name
			}
		}
	}
	if w.memory == "" {
		return errors.New("the memory of gVisor cannot be found")
	}
	var err error
	w.own, err = w.used()
	return err
}

// used returns the bytes that gVisor has.
func (w *watch) used() (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(w.proc.Fd()), w.memory, &st, 0); err != nil {
		return 0, fmt.Errorf("memory of gVisor: %w", err)
	}
	n := st.Blocks * 512
	for _, pid := range w.pids() {
		_, rest, ok := bytes.Cut(w.read(pid+"/status"), []byte("\nRssAnon:"))
		if f := bytes.Fields(rest); ok && len(f) > 0 {
			kb, _ := strconv.ParseInt(string(f[0]), 10, 64)
			n += kb << 10
		}
	}
	return n, nil
}

// run looks until the box is dead, and closes exceeded when it has more memory than it may. disk asks for the bytes in its writable
// folders, which have a limit of their own.
func (w *watch) run(exceeded, ending chan struct{}, disk func() int64) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if n, err := w.used(); err == nil { // otherwise it is about to end
			n -= w.own
			if n > w.limits.Memory {
				n -= min(disk(), w.limits.Disk)
			}
			w.largest = max(w.largest, n)
			if n > w.limits.Memory {
				w.record.Reach(sandbox.LimitMemory)
				close(exceeded)
				return
			}
		}
		select {
		case <-t.C:
		case <-ending:
			return
		}
	}
}

// pids lists the processes of the namespaces but the first, which is ours.
func (w *watch) pids() []string {
	return slices.DeleteFunc(w.names("."), func(n string) bool {
		pid, err := strconv.Atoi(n)
		return err != nil || pid == 1
	})
}

// names lists a folder.
func (w *watch) names(dir string) []string {
	fd, err := unix.Openat(int(w.proc.Fd()), dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "proc")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil
	}
	return names
}

// read returns the first bytes of a file of /proc.
func (w *watch) read(name string) []byte {
	fd, err := unix.Openat(int(w.proc.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	b := make([]byte, 2048)
	n, err := unix.Read(fd, b)
	if err != nil || n <= 0 {
		return nil
	}
	return b[:n]
}
