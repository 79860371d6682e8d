//go:build linux && (amd64 || arm64)

package namespaces

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// initName is what the init is called. It is its whole command line, which the box can read.
const initName = "init"

// Descriptors that the init starts with, beside the standard ones.
const (
	fdSocket = 3 + iota
	fdPlan
	fdStdin
	fdStdout
	fdStderr
)

// Main is the life of the init of a box, the first process in its namespaces, when this process was started as one; then it does not
// return. Programs that run boxes call it first thing in main, and in TestMain.
func Main() {
	if len(os.Args) == 2 && os.Args[1] == checkName {
		os.Exit(check())
	}
	if len(os.Args) != 1 || os.Args[0] != initName || os.Getpid() != 1 {
		return
	}
	// The box must be able neither to read this process nor to stop it. Signals that a process of the box sends to the first one are
	// ignored unless it has a handler, and Go has one for each.
	ignored := make(chan os.Signal, 1)
	signal.Notify(ignored)
	debug.SetGCPercent(-1)
	// Whoever started donapi may have left descriptors open; none of them, nor of ours, is for the box.
	if err := unix.CloseRange(fdSocket, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		os.Exit(1)
	}
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		os.Exit(1)
	}
	f := os.NewFile(fdSocket, "parent")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		os.Exit(1)
	}
	i := &initProcess{parent: c.(*net.UnixConn)}
	if err := i.run(); err != nil {
		var errno syscall.Errno
		errors.As(err, &errno)
		i.send(msgError, append(number(uint64(errno)), err.Error()...))
		os.Exit(1)
	}
	os.Exit(0)
}

// initProcess is the first process of a box.
type initProcess struct {
	parent *net.UnixConn
	plan   plan
}

// send sends a message. Without a parent there is no reason to live.
func (i *initProcess) send(kind byte, text []byte, fds ...int) {
	if len(text) >= maxMessage {
		text = text[:maxMessage-1]
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if _, _, err := i.parent.WriteMsgUnix(append([]byte{kind}, text...), oob, nil); err != nil {
		os.Exit(1)
	}
}

// answered waits until the parent has answered.
func (i *initProcess) answered() {
	if _, err := receive(i.parent); err != nil {
		os.Exit(1)
	}
}

// run builds the box, starts its program and waits until every process has ended.
func (i *initProcess) run() error {
	in := os.NewFile(fdPlan, "plan")
	d := gob.NewDecoder(in)
	if err := d.Decode(&i.plan); err != nil {
		return fmt.Errorf("plan of the box: %w", err)
	}
	unix.Umask(0)
	device := -1
	var kind string
	err := loopback()
	if err == nil && i.plan.Network {
		device, kind, err = connect(i.plan.Device)
	}
	if err != nil {
		return err
	}
	if device >= 0 {
		// With the namespace goes what its device still holds. The parent keeps it until all has been read.
		space, err := unix.Open("/proc/self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("network namespace: %w", err)
		}
		i.send(msgDevice, []byte(kind), device, space)
		unix.Close(space)
		unix.Close(device)
	}
	if err := i.build(d); err != nil {
		return err
	}
	in.Close()
	if device >= 0 {
		i.answered()
	}
	// From now on threads are counted, and a box at its limit must not keep the init from starting one.
	spareThreads(8)
	first, err := i.start()
	if err != nil {
		return err
	}
	go func() { // the parent says nothing more: this ends when it is gone
		receive(i.parent)
		os.Exit(1)
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.ECHILD) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait for the processes of the box: %w", err)
		}
		if pid == first {
			i.send(msgExit, number(uint64(uint32(status))))
		}
	}
}

// build makes the file tree. What it needs of the host, the network included, it has been given before.
func (i *initProcess) build(files *gob.Decoder) error {
	r := &root{plan: &i.plan}
	if err := r.enter(); err != nil {
		return err
	}
	writable, err := r.fill()
	if err != nil {
		return err
	}
	if err := r.mounts(); err != nil {
		return err
	}
	for range i.plan.Files {
		var f sandbox.File
		if err := files.Decode(&f); err != nil {
			return fmt.Errorf("files of the box: %w", err)
		}
		if err := r.write(f); err != nil {
			return err
		}
	}
	proc, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	fds := []int{writable, proc}
	if i.plan.Channel != "" {
		channel, err := r.channel()
		if err != nil {
			return fmt.Errorf("channel %s: %w", i.plan.Channel, err)
		}
		fds = append(fds, channel)
	}
	if err := r.close(); err != nil {
		return err
	}
	i.send(msgRoot, nil, fds...)
	for _, fd := range fds {
		unix.Close(fd)
	}
	return unix.Sethostname([]byte(i.plan.Hostname))
}

// spareThreads lets the runtime have n idle threads.
func spareThreads(n int) {
	var ready, done sync.WaitGroup
	end := make(chan struct{})
	for range n {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			ready.Done()
			<-end
		}()
	}
	ready.Wait()
	close(end)
	done.Wait()
}

// start starts the program of the box from a thread that has been confined first, which it inherits.
func (i *initProcess) start() (pid int, err error) {
	argv0, err := i.lookPath(i.plan.Argv[0])
	if err != nil {
		return 0, err
	}
	nproc, err := i.limit()
	if err != nil {
		return 0, err
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
	listeners, handed := make(chan int), make(chan struct{})
	go func() {
		// Never unlocked: what is put on this thread must not serve anybody else. The runtime starts no thread from a locked one.
		runtime.LockOSThread()
		listener, err := i.confine()
		if err != nil {
			done <- outcome{err: err}
			return
		}
		listeners <- listener
		<-handed
		unix.Close(listener)
		pid, err := syscall.ForkExec(argv0, i.plan.Argv, &syscall.ProcAttr{Dir: i.plan.Dir, Env: i.plan.Env,
			Files: []uintptr{fdStdin, fdStdout, fdStderr}, Sys: &syscall.SysProcAttr{Setsid: true}})
		if err != nil {
			err = fmt.Errorf("start %s: %w", argv0, err)
		}
		done <- outcome{pid, err}
		select {} // the end of a locked goroutine would end the thread that is the parent of the program
	}()
	for {
		select {
		case l := <-listeners:
			i.send(msgListener, nil, l) // by a thread without the filter, which may watch this very call
			i.answered()
			close(handed)
		case o := <-done:
			for fd := fdStdin; fd <= fdStderr; fd++ {
				unix.Close(fd)
			}
			if o.err == nil {
				i.send(msgStarted, number(nproc))
			}
			return o.pid, o.err
		}
	}
}

// lookPath finds the program as execvp would.
func (i *initProcess) lookPath(name string) (string, error) {
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
