//go:build linux && (amd64 || arm64)

package namespaces

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/internet"
	"github.com/donapi/donapi/internal/sandbox/record"
	"github.com/donapi/donapi/internal/sandbox/syscalls"
)

// Box runs specs in namespaces. It is safe for concurrent use.
type Box struct {
	device string // of the network: tun or veth, empty for the first that works
	// group makes the control group of a box, nil for none.
	group func(sandbox.Limits) *group
}

// Run runs one spec to its end, as sandbox.Box says.
func (b *Box) Run(ctx context.Context, spec sandbox.Spec) (*sandbox.Result, error) {
	p, err := newPlan(spec)
	if err != nil {
		return nil, err
	}
	p.Device = b.device
	r := &running{plan: p, spec: &spec, record: record.New(p.Limits, spec.Events), result: &sandbox.Result{Tier: sandbox.Namespaces},
		blind: make(chan error, 1)}
	defer r.close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.Network {
		r.internet, err = internet.New(internet.Config{Network: spec.Network, Body: p.Limits.Body, Emit: r.record.Emit})
		if err != nil {
			return nil, err
		}
		p.Trust = r.internet.Certificates()
	}
	if b.group != nil {
		r.group = b.group(p.Limits)
	}
	if r.group != nil {
		if r.process, err = launch(r.group, &p.Switch); err != nil {
			r.group.remove() // it may have been made and not be allowed to be entered
			r.group = nil
		}
	}
	if r.process == nil {
		if r.process, err = launch(nil, &p.Switch); err != nil {
			return nil, err
		}
	}
	r.record.Emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindBegan, Type: string(sandbox.Namespaces)})
	err = r.attend(ctx)
	r.process.kill() // when something failed; otherwise it is dead
	<-r.process.dead
	r.process.conn.Close()
	r.readers.Wait()
	if r.internet != nil {
		r.internet.Close()
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return nil, err
	}
	return r.result, nil
}

// running is one run of a box.
type running struct {
	plan     *plan
	spec     *sandbox.Spec
	record   *record.Run
	result   *sandbox.Result
	internet *internet.Internet
	process  *process
	readers  sync.WaitGroup // of everything that the box writes
	log      string         // what the init had to say, after readers

	held     []*os.File
	writable *os.File
	proc     *os.File
	watch    *watch
	group    *group
	memFiles atomic.Bool // files in memory were made
	blind    chan error  // the supervisor failed: the box is not seen any more

	exited     bool
	supervised bool
}

// close releases every descriptor.
func (r *running) close() {
	if r.process != nil {
		r.process.close()
	}
	for _, f := range r.held {
		f.Close()
	}
	r.group.remove()
}

// hold keeps the descriptors of a message until the end.
func (r *running) hold(m message, n int) ([]*os.File, error) {
	var out []*os.File
	for _, fd := range m.fds {
		out = append(out, os.NewFile(uintptr(fd), "box"))
	}
	r.held = append(r.held, out...)
	if len(out) != n {
		return nil, fmt.Errorf("the init of the box sent %d descriptors with %q, and not %d", len(out), m.kind, n)
	}
	return out, nil
}

// read runs a reader of what the box writes.
func (r *running) read(f func()) {
	r.readers.Add(1)
	go func() {
		defer r.readers.Done()
		f()
	}()
}

// attend follows the life of the box until it is dead.
func (r *running) attend(ctx context.Context) error {
	proc := r.process
	r.read(func() { r.result.Stdout = r.record.Output(proc.stdout) })
	r.read(func() { r.result.Stderr = r.record.Output(proc.stderr) })
	r.read(func() { r.log = head(proc.log) })
	r.read(func() {
		proc.stdin.Write(r.spec.Stdin) // it may not care to read it
		proc.stdin.Close()
	})
	sent := make(chan error, 1)
	r.read(func() {
		sent <- r.plan.send(proc.plan, r.spec.Files)
		proc.plan.Close()
	})
	ending := make(chan struct{}) // stops the watch
	defer close(ending)
	exceeded := make(chan struct{})
	wall := time.NewTimer(r.plan.Limits.Wall)
	defer wall.Stop()
	var grace <-chan time.Time
	end := func(reason sandbox.Reason) {
		if r.result.Reason == "" {
			r.result.Reason = reason
		}
		proc.kill()
	}
	var failed error
	messages, done, over, tooMuch := proc.messages, ctx.Done(), r.record.Over(), exceeded
	for messages != nil {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				break
			}
			if err := r.handle(m, &grace, exceeded, ending); err != nil && failed == nil {
				failed = err
				proc.kill()
			}
		case <-wall.C:
			r.record.Reach(sandbox.LimitWall)
			end(sandbox.ReasonWall)
		case <-done:
			done = nil
			end(sandbox.ReasonCanceled)
		case <-over:
			over = nil
			end(sandbox.ReasonEvents)
		case <-tooMuch:
			tooMuch = nil
			end(sandbox.ReasonMemory)
		case <-grace:
			proc.kill()
		case err := <-r.blind:
			if failed == nil {
				failed = err
			}
			proc.kill()
		}
	}
	<-proc.dead
	if failed == nil && r.result.Reason == "" && r.supervised && r.group.outOfMemory() {
		r.record.Reach(sandbox.LimitMemory)
		r.result.Reason = sandbox.ReasonMemory
	}
	switch {
	case failed != nil:
		return failed
	case r.result.Reason != "":
		if !r.exited {
			r.result.Exit = 128 + int(syscall.SIGKILL)
		}
		if !r.supervised && r.result.Reason != sandbox.ReasonCanceled {
			return fmt.Errorf("the box could not be built within its limits (%s)", r.result.Reason)
		}
	case !r.exited:
		r.process.conn.Close()
		r.readers.Wait()
		err := errors.New("the first process of the box died")
		select {
		case e := <-sent:
			if e != nil {
				err = fmt.Errorf("%w before it had read its plan", err)
			}
		default:
		}
		if r.log != "" {
			err = fmt.Errorf("%w: %s", err, r.log)
		}
		return err
	}
	return nil
}

// handle acts on a message of the init.
func (r *running) handle(m message, grace *<-chan time.Time, exceeded, ending chan struct{}) error {
	switch m.kind {
	case msgDevice:
		f, err := r.hold(m, 2)
		if err != nil {
			return err
		}
		if r.internet == nil {
			return errors.New("the init of the box made a network that it should not have")
		}
		if err := r.internet.Attach(int(f[0].Fd()), string(m.text) == veth); err != nil {
			return err
		}
		return r.process.answer()
	case msgRoot:
		n := 2
		if r.plan.Channel != "" {
			n++
		}
		f, err := r.hold(m, n)
		if err != nil {
			return err
		}
		r.writable, r.proc = f[0], f[1]
		if n > 2 {
			r.read(func() { r.record.Lines(f[2]) })
		}
		r.watch = &watch{proc: r.proc, writable: r.writable, record: r.record, limits: r.plan.Limits, memFiles: &r.memFiles}
	case msgStarted:
		if r.watch == nil || !r.supervised {
			return errors.New("the init of the box started a program without a root or without a filter")
		}
		r.watch.nproc = int(m.number())
		r.read(func() { r.watch.run(exceeded, ending, r.process.dead) })
	case msgExit:
		r.exited = true
		status := unix.WaitStatus(m.number())
		switch {
		case status.Signaled():
			r.result.Exit = 128 + int(status.Signal())
			if r.result.Reason == "" {
				r.result.Reason = sandbox.ReasonSignal
			}
		default:
			r.result.Exit = status.ExitStatus()
			if r.result.Reason == "" {
				r.result.Reason = sandbox.ReasonExit
			}
		}
		for _, o := range r.watch.alive() {
			r.record.Emit(o)
		}
		*grace = time.After(r.plan.Limits.Grace)
	case msgError:
		return m.error()
	case msgListener:
		if len(m.fds) != 1 || r.supervised {
			r.hold(m, 0)
			return errors.New("the init of the box sent no listener, or a second one")
		}
		r.supervised = true
		r.read(func() {
			// Until no process of the box is left; it closes the listener.
			if _, err := syscalls.Supervise(context.Background(), m.fds[0], syscalls.Watch{Began: r.record.Began(), Emit: r.kernel}); err != nil {
				r.blind <- err
			}
		})
		return r.process.answer()
	default:
		r.hold(m, 0)
		return fmt.Errorf("the init of the box sent a message of kind %q", m.kind)
	}
	return nil
}

// kernel takes an event of the supervisor.
func (r *running) kernel(e sandbox.Event) {
	if e.Kind == sandbox.KindMemFile {
		r.memFiles.Store(true)
	}
	r.record.Emit(e)
}

// finish lists what the box has written and completes the result.
func (r *running) finish() error {
	var folders []record.Folder
	for i, f := range r.plan.writable() {
		if r.writable == nil {
			break
		}
		fd, err := unix.Openat(int(r.writable.Fd()), strconv.Itoa(i), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("files written in %s: %w", f, err)
		}
		dir := os.NewFile(uintptr(fd), f)
		r.held = append(r.held, dir)
		folders = append(folders, record.Folder{Path: f, Dir: dir})
	}
	var err error
	r.result.Written, r.result.Removed, err = r.record.Written(folders, r.spec.Files, func(p string) bool {
		return p == r.plan.Channel || slices.ContainsFunc(r.plan.Mounts, func(m sandbox.Mount) bool { return m.Box == p })
	})
	if err != nil {
		return err
	}
	u := &r.result.Usage
	if r.watch != nil {
		u.Disk, u.Memory, u.Processes = r.watch.disk(), r.watch.memory, r.watch.processes
	}
	if s, ok := r.process.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.CPU = time.Duration(s.Utime.Nano() + s.Stime.Nano())
		u.Memory = max(u.Memory, s.Maxrss<<10)
	}
	r.record.Finish(r.result)
	return nil
}
