//go:build linux && (amd64 || arm64)

package strong

import (
	"bufio"
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/record"
)

// innerName is what the inner process is called. It is its whole command line, which the box can read.
const innerName = "/sbin/init"

// What the parent tells the inner process after its plan, one byte each.
const (
	tellGo    = 'g' // start the program
	tellStop  = 's' // end every process of the box and come to the end
	tellUsage = 'u' // report what is used
	tellEnd   = 'e' // the network has come to rest
)

// innerMain is the life of the first process in gVisor.
func innerMain() {
	// Signals that a process sends to the first one are ignored unless it has a handler, and Go has one for each.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored)
	debug.SetGCPercent(-1)
	unix.CloseOnExec(fdInnerIn)
	unix.CloseOnExec(fdInnerOut)
	i := &inner{out: os.NewFile(fdInnerOut, "report"), stop: make(chan struct{}), end: make(chan struct{})}
	if err := i.run(); err != nil {
		i.report(repError, []byte(err.Error()))
		os.Exit(0)
	}
	i.report(repDone, nil)
	// gVisor ends with us, and with it what its network stack has still to send.
	select {
	case <-i.end:
	case <-time.After(stopping):
	}
	os.Exit(0)
}

// inner is the first process in gVisor.
type inner struct {
	plan  innerPlan
	files []sandbox.File
	stop  chan struct{} // closed when the parent wants an end
	end   chan struct{} // closed when the parent wants nothing more

	mu       sync.Mutex
	out      *os.File
	writable *os.File // of the file system of the writable folders
}

// report sends a report. Without a parent there is no reason to live.
func (i *inner) report(kind byte, payload []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := writeReport(i.out, kind, payload); err != nil {
		os.Exit(1)
	}
}

func (i *inner) run() error {
	in := bufio.NewReader(os.NewFile(fdInnerIn, "plan"))
	d := gob.NewDecoder(in)
	if err := d.Decode(&i.plan); err != nil {
		return fmt.Errorf("plan of the box: %w", err)
	}
	unix.Umask(0)
	if err := i.build(d); err != nil {
		return err
	}
	argv0, err := i.lookPath(i.plan.Argv[0])
	if err != nil {
		return err
	}
	i.report(repReady, nil)
	if b, err := in.ReadByte(); err != nil || b != tellGo {
		return errors.New("the box was not wanted any more")
	}
	first, err := i.start(argv0)
	if err != nil {
		return err
	}
	i.report(repStarted, nil)
	go i.listen(in)
	i.wait(first)
	return i.finish()
}

// listen does what the parent says.
func (i *inner) listen(in *bufio.Reader) {
	stop, end := sync.OnceFunc(func() { close(i.stop) }), sync.OnceFunc(func() { close(i.end) })
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			stop()
			end()
			return
		case b == tellStop:
			stop()
		case b == tellUsage:
			i.report(repUsage, number(uint64(i.disk())))
		case b == tellEnd:
			end()
		}
	}
}

// disk returns how much of the writable folders is used, bytes.
func (i *inner) disk() int64 {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(i.writable.Fd()), &s); err != nil {
		return 0
	}
	return int64(s.Blocks-s.Bfree) * s.Bsize
}

// build puts the file tree together and makes it the root of this process and all that follow.
func (i *inner) build(files *gob.Decoder) error {
	b := &builder{plan: &i.plan}
	if err := b.enter(); err != nil {
		return err
	}
	if err := b.fill(); err != nil {
		return err
	}
	for k, place := range i.plan.Mounts {
		if err := b.show(k, place); err != nil {
			return fmt.Errorf("mount %s: %w", place, err)
		}
	}
	for range i.plan.Files {
		var f sandbox.File
		if err := files.Decode(&f); err != nil {
			return fmt.Errorf("files of the box: %w", err)
		}
		if err := b.write(f); err != nil {
			return err
		}
		i.files = append(i.files, f)
	}
	if i.plan.Channel != "" {
		if err := b.bind(b.channel, i.plan.Channel); err != nil {
			return fmt.Errorf("channel %s: %w", i.plan.Channel, err)
		}
	}
	i.writable = b.held
	return b.close()
}

// start starts the program of the box from a thread that has given up its rights first.
func (i *inner) start(argv0 string) (pid int, err error) {
	l := i.plan.Limits
	for _, r := range []struct {
		resource int
		name     string
		value    uint64
	}{{unix.RLIMIT_NPROC, "nproc", uint64(l.Processes)}, {unix.RLIMIT_FSIZE, "fsize", uint64(l.Disk)}, {unix.RLIMIT_DATA, "data", uint64(l.Memory)},
		{unix.RLIMIT_MEMLOCK, "memlock", 64 << 10}, {unix.RLIMIT_CORE, "core", 0}} {
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: r.value, Max: r.value}); err != nil {
			return 0, fmt.Errorf("limit %s: %w", r.name, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, err
	}
	unix.Umask(0o022)
	type outcome struct {
		pid int
		err error
	}
	done := make(chan outcome)
	go func() {
		// Never unlocked: what this thread has given up must not be missed by anybody else.
		runtime.LockOSThread()
		err := giveUp()
		pid := 0
		if err == nil {
			pid, err = syscall.ForkExec(argv0, i.plan.Argv, &syscall.ProcAttr{Dir: i.plan.Dir, Env: i.plan.Env, Files: []uintptr{0, 1, 2},
				Sys: &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: uid, Gid: uid, Groups: []uint32{uid}}}})
			if err != nil {
				err = fmt.Errorf("start %s: %w", argv0, err)
			}
		}
		done <- outcome{pid, err}
		select {} // the end of a locked goroutine would end the thread that is the parent of the program
	}()
	o := <-done
	for fd := range 3 {
		unix.Close(fd)
	}
	return o.pid, o.err
}

// giveUp empties what a later program could gain rights from, and refuses what it has no use for. Becoming the user of the box takes the
// rest.
func giveUp() error {
	for c := uintptr(0); c < 64; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("bounding set: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return filter()
}

// lookPath finds the program as execvp would.
func (i *inner) lookPath(name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	list, _ := i.plan.getenv("PATH")
	for _, dir := range filepath.SplitList(list) {
		if !path.IsAbs(dir) {
			dir = path.Join(i.plan.Dir, dir)
		}
		p := path.Join(dir, name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("program %s: %w in the box's PATH", name, fs.ErrNotExist)
}

// wait waits until every process of the box has ended, and sees to it that they do.
func (i *inner) wait(first int) {
	over := make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(over) }) }
	go func() {
		<-i.stop
		end()
	}()
	go func() {
		<-over
		unix.Kill(-1, unix.SIGKILL)
	}()
	for {
		var status unix.WaitStatus
		var used unix.Rusage
		pid, err := unix.Wait4(-1, &status, unix.WALL, &used)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // nobody is left
		}
		if pid != first {
			continue
		}
		i.report(repExit, append(number(uint64(uint32(status))), number(uint64(used.Maxrss)<<10)...))
		for _, o := range orphans() {
			i.report(repOrphan, o)
		}
		time.AfterFunc(i.plan.Limits.Grace, end)
	}
}

// orphans describes the processes that are still alive, see decodeOrphan.
func orphans() [][]byte {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out [][]byte
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		f := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if err != nil || len(f) < 2 || len(f[0]) != 1 || f[0][0] == 'Z' || f[0][0] == 'X' {
			continue
		}
		parent, _ := strconv.Atoi(string(f[1]))
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err != nil {
			continue
		}
		out = append(out, encodeOrphan(pid, parent, line))
	}
	return out
}

// finish reports what was written.
func (i *inner) finish() error {
	disk := i.disk()
	run := record.New(i.plan.Limits, nil)
	var folders []record.Folder
	for k, f := range i.plan.writable() {
		fd, err := unix.Openat(int(i.writable.Fd()), strconv.Itoa(k), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("files written in %s: %w", f, err)
		}
		folders = append(folders, record.Folder{Path: f, Dir: os.NewFile(uintptr(fd), f)})
	}
	written, removed, err := run.Written(folders, i.files, func(p string) bool {
		return p == i.plan.Channel || slices.Contains(i.plan.Mounts, p)
	})
	if err != nil {
		return err
	}
	for k := range written {
		i.report(repFile, encodeFile(&written[k]))
	}
	for _, p := range removed {
		i.report(repRemoved, []byte(p))
	}
	var res sandbox.Result
	run.Finish(&res)
	for _, l := range res.Limits {
		i.report(repLimit, []byte(l))
	}
	i.report(repUsage, number(uint64(disk)))
	return nil
}
