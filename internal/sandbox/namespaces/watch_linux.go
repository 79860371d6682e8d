//go:build linux && (amd64 || arm64)

package namespaces

import (
	"bytes"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/record"
)

// watch looks at the processes of a box from outside, by a descriptor of the box's own /proc, where they have the numbers that the box
// knows them by. Limits of one process are the kernel's to keep; those of all together are kept here.
type watch struct {
	proc     *os.File
	writable *os.File
	record   *record.Run
	limits   sandbox.Limits
	memFiles *atomic.Bool
	nproc    int // RLIMIT_NPROC

	swap bool // the machine has some, where a box could put what it must not have in memory

	memory    int64 // the largest seen
	processes int
}

const (
	// tick is how often a box is looked at. Within it a box can take as much memory as the machine clears in that time.
	tick = 20 * time.Millisecond
	// socketBytes is what a socket may hold in the kernel, which no limit of a process counts: the usual largest buffer. A box may have as
	// many as its memory would be filled by, and some in any case.
	socketBytes  = 208 << 10
	leastSockets = 1024
)

// run looks until the box ends, and closes exceeded when it has more memory than it may.
func (w *watch) run(exceeded, ending, dead chan struct{}) {
	w.swap = kilobytes(w.read("meminfo", 4096), "SwapTotal:") > 0
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		if !w.look() {
			w.record.Reach(sandbox.LimitMemory)
			close(exceeded)
			return
		}
		select {
		case <-t.C:
		case <-ending:
			return
		case <-dead:
			return
		}
	}
}

// look takes one sample, and says whether the box may go on.
func (w *watch) look() bool {
	var rss int64
	threads, own := 0, 0
	pids := w.pids()
	for _, pid := range pids {
		s, ok := w.stat(pid)
		if !ok {
			continue
		}
		if pid == 1 {
			own = s.threads
			continue
		}
		threads += s.threads
		rss += s.resident
		if w.swap {
			rss += w.swapped(pid)
		}
	}
	w.processes = max(w.processes, threads)
	// Who starts several threads at once fails a little before the last one.
	if near := w.limits.Processes - w.limits.Processes/16; threads >= near || threads+own-(w.nproc-w.limits.Processes) >= near {
		w.record.Reach(sandbox.LimitProcesses)
	}
	if rss > w.limits.Memory { // pages that processes share have been counted for each
		rss = 0
		for _, pid := range pids {
			if pid != 1 {
				rss += w.share(pid)
				if w.swap {
					rss += w.swapped(pid)
				}
			}
		}
	}
	if w.memFiles.Load() {
		rss += w.inMemory(pids)
	}
	w.memory = max(w.memory, rss)
	w.disk()
	return rss <= w.limits.Memory && int64(w.sockets()) <= max(leastSockets, w.limits.Memory/socketBytes)
}

// disk returns how much of the writable folders is used, bytes.
func (w *watch) disk() int64 {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(w.writable.Fd()), &s); err != nil {
		return 0
	}
	const rest = 64 << 10 // too little for who writes large blocks
	if int64(s.Bfree)*s.Bsize < min(rest, w.limits.Disk/16) || s.Ffree == 0 {
		w.record.Reach(sandbox.LimitDisk)
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize
}

// pids lists the processes of the box, as it counts them.
func (w *watch) pids() []int {
	fd, err := unix.Openat(int(w.proc.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "proc")
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var out []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// read returns the first bytes of a file of /proc.
func (w *watch) read(name string, size int) []byte {
	fd, err := unix.Openat(int(w.proc.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	b := make([]byte, size)
	n, err := unix.Read(fd, b)
	if err != nil || n <= 0 {
		return nil
	}
	return b[:n]
}

type stat struct {
	state    byte
	parent   int
	threads  int
	resident int64 // bytes
}

// stat reads /proc/PID/stat.
func (w *watch) stat(pid int) (stat, bool) {
	return parseStat(w.read(strconv.Itoa(pid)+"/stat", 1024))
}

// parseStat understands /proc/PID/stat, see proc(5). The name of the program may hold anything, so reading begins behind its end.
func parseStat(b []byte) (stat, bool) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 22 || len(f[0]) != 1 {
		return stat{}, false
	}
	number := func(i int) int64 {
		n, err := strconv.ParseInt(string(f[i]), 10, 64)
		if err != nil || n < 0 || n > 1<<40 {
			return 0
		}
		return n
	}
	return stat{state: f[0][0], parent: int(number(1)), threads: int(number(17)), resident: number(21) * int64(os.Getpagesize())}, true
}

// share returns the resident bytes of a process, with those that it shares divided by how many share them.
func (w *watch) share(pid int) int64 {
	if n := kilobytes(w.read(strconv.Itoa(pid)+"/smaps_rollup", 4096), "Pss:"); n > 0 {
		return n << 10
	}
	s, _ := w.stat(pid)
	return s.resident
}

// swapped returns the bytes of a process that have been written to swap.
func (w *watch) swapped(pid int) int64 {
	return kilobytes(w.read(strconv.Itoa(pid)+"/status", 4096), "VmSwap:") << 10
}

// kilobytes returns the value of a line of a file of /proc, 0 when it has none.
func kilobytes(b []byte, key string) int64 {
	_, rest, ok := bytes.Cut(append([]byte("\n"), b...), []byte("\n"+key))
	f := bytes.Fields(rest)
	if !ok || len(f) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(string(f[0]), 10, 64)
	if err != nil || n < 0 || n > 1<<50 {
		return 0
	}
	return n
}

// inMemory returns the bytes of the files in memory (memfd_create) that processes of the box have open. As long as they are not mapped
// they are nobody's resident memory.
func (w *watch) inMemory(pids []int) int64 {
	seen := map[uint64]bool{}
	var sum int64
	for _, pid := range pids {
		fd, err := unix.Openat(int(w.proc.Fd()), strconv.Itoa(pid)+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		f := os.NewFile(uintptr(fd), "fd")
		names, _ := f.Readdirnames(openFiles)
		for _, n := range names {
			link := make([]byte, 16)
			var st unix.Stat_t
			if k, err := unix.Readlinkat(fd, n, link); err != nil || !bytes.HasPrefix(link[:k], []byte("/memfd:")) {
				continue
			}
			if err := unix.Fstatat(fd, n, &st, 0); err == nil && !seen[st.Ino] {
				seen[st.Ino] = true
				sum += st.Blocks * 512
			}
		}
		f.Close()
	}
	return sum
}

// sockets returns how many sockets the box has.
func (w *watch) sockets() int {
	_, rest, _ := bytes.Cut(w.read("1/net/sockstat", 256), []byte("sockets: used "))
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// alive returns an event for each process that lives on when the first one of the box has ended.
func (w *watch) alive() []sandbox.Event {
	var out []sandbox.Event
	for _, pid := range w.pids() {
		s, ok := w.stat(pid)
		if pid == 1 || !ok || s.state == 'Z' || s.state == 'X' {
			continue
		}
		const size = 4096
		line := w.read(strconv.Itoa(pid)+"/cmdline", size)
		e := sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindOrphan, PID: pid, Parent: s.parent, Cut: len(line) == size}
		for _, a := range bytes.Split(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
			e.Args = append(e.Args, string(a))
		}
		out = append(out, e)
	}
	return out
}
