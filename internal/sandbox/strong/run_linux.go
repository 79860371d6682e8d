//go:build linux && (amd64 || arm64)

package strong

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/internet"
	"github.com/donapi/donapi/internal/sandbox/record"
)

// Run runs one spec to its end, as sandbox.Box says.
func (b *Box) Run(ctx context.Context, spec sandbox.Spec) (*sandbox.Result, error) {
	p, err := newPlan(spec)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &running{runsc: b.runsc, plan: p, spec: &spec, record: record.New(p.Limits, spec.Events), result: &sandbox.Result{Tier: sandbox.Strong},
		reports: make(chan report), ending: make(chan struct{}), usage: make(chan int64, 1)}
	defer r.close()
	if p.Network {
		r.internet, err = internet.New(internet.Config{Network: spec.Network, Body: p.Limits.Body, Emit: r.record.Emit})
		if err != nil {
			return nil, err
		}
		p.Trust = r.internet.Certificates()
	}
	if r.process, err = launch(); err != nil {
		return nil, err
	}
	r.record.Emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindBegan, Type: string(sandbox.Strong)})
	err = r.attend(ctx)
	r.process.kill() // when something failed; otherwise it is dead
	<-r.process.dead
	close(r.ending)
	r.process.conn.Close()
	r.readers.Wait()
	if r.internet != nil {
		r.internet.Close()
	}
	if err == nil {
		err = r.judge()
	}
	if err != nil {
		if s := r.said(); s != "" {
			err = fmt.Errorf("%w: %s", err, s)
		}
		return nil, err
	}
	r.finish()
	return r.result, nil
}

// running is one run of a box.
type running struct {
	runsc    string
	plan     *innerPlan
	spec     *sandbox.Spec
	record   *record.Run
	result   *sandbox.Result
	internet *internet.Internet
	process  *process
	readers  sync.WaitGroup // of everything that the box writes
	log      string         // what the outer process had to say, after readers

	held    []*os.File
	reports chan report
	ending  chan struct{} // closed when the box is dead
	usage   chan int64    // answers of the inner process to the watch
	watch   *watch
	tracer  atomic.Pointer[tracer]
	traced  chan struct{} // closed when the sentry has said that it traces

	started bool // the program of the Spec
	exited  bool
	done    bool // the inner process has come to its end
	failed  string
	disk    int64
	largest int64 // resident bytes of the program of the Spec
}

type report struct {
	kind    byte
	payload []byte
	err     error
}

// close releases every descriptor.
func (r *running) close() {
	if r.process != nil {
		r.process.close()
	}
	for _, f := range r.held {
		f.Close()
	}
}

// hold keeps the descriptors of a message until the end.
func (r *running) hold(m message, n int) ([]*os.File, error) {
	var out []*os.File
	for _, fd := range m.fds {
		out = append(out, os.NewFile(uintptr(fd), "box"))
	}
	r.held = append(r.held, out...)
	if len(out) != n {
		return nil, fmt.Errorf("the outer process of the box sent %d descriptors with %q, and not %d", len(out), m.kind, n)
	}
	return out, nil
}

// read runs a reader of what the box writes.
func (r *running) read(f func()) { r.readers.Go(f) }

// stopping is how long the inner process waits for the network at the end, and half of what it may take to end the box and to list its
// files, once it has been told to.
const stopping = 8 * time.Second

// attend follows the life of the box until it is dead.
func (r *running) attend(ctx context.Context) error {
	proc := r.process
	r.traced = make(chan struct{})
	r.read(func() { r.result.Stdout = r.record.Output(proc.stdout) })
	r.read(func() { r.result.Stderr = r.record.Output(proc.stderr) })
	r.read(func() { r.log = head(proc.log) })
	r.read(func() {
		proc.stdin.Write(r.spec.Stdin) // it may not care to read it
		proc.stdin.Close()
	})
	r.read(func() { r.sendPlan() })
	r.read(func() { r.readReports() })

	wall := time.NewTimer(r.plan.Limits.Wall)
	defer wall.Stop()
	exceeded := make(chan struct{})
	var hard <-chan time.Time // when asking has not helped
	end := func(reason sandbox.Reason) {
		if r.result.Reason == "" {
			r.result.Reason = reason
		}
		if hard != nil {
			return
		}
		if !r.started {
			proc.kill()
			return
		}
		r.tell(tellStop)
		hard = time.After(2 * stopping)
	}
	var failed error
	fail := func(err error) {
		if failed == nil {
			failed = err
		}
		proc.kill()
	}
	messages, reports, done, over, tooMuch := proc.messages, r.reports, ctx.Done(), r.record.Over(), exceeded
	for messages != nil || reports != nil {
		select {
		case m, ok := <-messages:
			if !ok {
				messages = nil
				break
			}
			if err := r.handle(m); err != nil {
				fail(err)
			}
		case m, ok := <-reports:
			if !ok {
				reports = nil
				break
			}
			if err := r.reported(m, exceeded); err != nil {
				fail(err)
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
		case <-hard:
			proc.kill()
		}
	}
	<-proc.dead
	return failed
}

// sendPlan writes the plan of the inner process and its files. The descriptor stays open, for what it is told later.
func (r *running) sendPlan() {
	outer := outerPlan{Runsc: r.runsc, Network: r.plan.Network, Channel: r.plan.Channel != "", Opens: r.spec.Opens, Hostname: r.plan.Hostname}
	for _, m := range r.spec.Mounts {
		outer.Mounts = append(outer.Mounts, m.Host)
	}
	// Errors mean that they are dead, which shows elsewhere.
	if err := gob.NewEncoder(r.process.plan).Encode(&outer); err != nil {
		return
	}
	r.process.plan.Close()
	e := gob.NewEncoder(r.process.inner)
	if err := e.Encode(r.plan); err != nil {
		return
	}
	for i := range r.spec.Files {
		if err := e.Encode(&r.spec.Files[i]); err != nil {
			return
		}
	}
}

// tell tells the inner process something, which has read its plan when it has started the program.
func (r *running) tell(what byte) {
	r.process.inner.SetWriteDeadline(time.Now().Add(time.Second))
	r.process.inner.Write([]byte{what})
}

// readReports reads what the inner process says, within limits of all of it together.
func (r *running) readReports() {
	defer close(r.reports)
	room := r.plan.Limits.Written + 64<<20 // names and heads
	for {
		kind, payload, err := readReport(r.process.reports, room)
		if err != nil {
			if errors.Is(err, errReport) {
				r.reports <- report{err: err}
			}
			return
		}
		room -= len(payload) + 5
		r.reports <- report{kind: kind, payload: payload}
	}
}

// handle acts on a message of the outer process.
func (r *running) handle(m message) error {
	switch m.kind {
	case msgDevice:
		f, err := r.hold(m, 1)
		if err != nil {
			return err
		}
		if r.internet == nil {
			return errors.New("the outer process of the box made a network that it should not have")
		}
		if err := r.internet.Attach(int(f[0].Fd()), true); err != nil {
			return err
		}
		return r.process.answer()
	case msgRoot:
		n := 3
		if r.plan.Channel != "" {
			n++
		}
		f, err := r.hold(m, n)
		if err != nil {
			return err
		}
		r.watch = &watch{proc: f[0], record: r.record, limits: r.plan.Limits}
		log := newSpoken(func() bool {
			n, err := unix.IoctlGetInt(int(f[2].Fd()), unix.TIOCINQ)
			return err == nil && n > 0
		})
		r.read(func() { log.read(f[2]) })
		r.read(func() { r.trace(f[1], log) })
		if n > 3 {
			r.read(func() { r.record.Lines(f[3]) })
		}
		return r.process.answer()
	case msgExit:
		r.hold(m, 0)
		return nil // what the inner process has said counts
	case msgError:
		r.hold(m, 0)
		return fmt.Errorf("build the box: %s", m.text)
	}
	r.hold(m, 0)
	return fmt.Errorf("the outer process of the box sent a message of kind %q", m.kind)
}

// reported acts on a report of the inner process.
func (r *running) reported(m report, exceeded chan struct{}) error {
	if m.err != nil {
		return m.err
	}
	var n uint64
	var err error
	switch m.kind {
	case repReady:
		// What happens before the sentry has said that it traces is not seen, so nothing of the Spec may run before. The message was
		// sent before the inner process began.
		select {
		case <-r.traced:
		case <-r.process.dead:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("gVisor does not report what happens in the box")
		}
		if err := r.watch.rest(); err != nil {
			return err
		}
		r.tell(tellGo)
	case repStarted:
		r.started = true
		r.read(func() { r.watch.run(exceeded, r.ending, r.ask) })
	case repExit:
		if len(m.payload) != 16 {
			return errReport
		}
		n, _ = decodeNumber(m.payload[:8])
		largest, _ := decodeNumber(m.payload[8:])
		r.largest = int64(largest)
		r.exited = true
		switch status := unix.WaitStatus(n); {
		case status.Signaled():
			r.result.Exit = 128 + int(status.Signal())
			r.end(sandbox.ReasonSignal)
		default:
			r.result.Exit = status.ExitStatus()
			r.end(sandbox.ReasonExit)
		}
	case repOrphan:
		e, err := decodeOrphan(m.payload)
		if err != nil {
			return err
		}
		r.record.Emit(e)
	case repFile:
		f, err := decodeFile(m.payload)
		if err != nil {
			return err
		}
		r.result.Written = append(r.result.Written, f)
	case repRemoved:
		r.result.Removed = append(r.result.Removed, string(m.payload))
	case repLimit:
		r.record.Reach(sandbox.Limit(m.payload))
	case repUsage:
		if n, err = decodeNumber(m.payload); err != nil {
			return err
		}
		r.disk = int64(n)
		select {
		case r.usage <- int64(n):
		default:
		}
	case repError:
		r.failed = string(m.payload)
	case repDone:
		r.done = true
		go func() {
			if r.internet != nil {
				r.internet.Settle()
			}
			r.tell(tellEnd)
		}()
	default:
		return errReport
	}
	return nil
}

// end notes why the box ended, unless that is known.
func (r *running) end(reason sandbox.Reason) {
	if r.result.Reason == "" {
		r.result.Reason = reason
	}
}

// ask asks the inner process how much of the disk is used, for the watch. A box that is too busy to answer has used none.
func (r *running) ask() int64 {
	select {
	case <-r.usage: // of an earlier question
	default:
	}
	r.tell(tellUsage)
	select {
	case n := <-r.usage:
		return n
	case <-time.After(200 * time.Millisecond):
		return 0
	case <-r.ending:
		return 0
	}
}

// trace reads what the sentry reports until the box is dead.
func (r *running) trace(listener *os.File, log *spoken) {
	t := newTracer(r.record.Emit, log.text)
	fd, err := r.accept(listener)
	if err != nil {
		return
	}
	conn := os.NewFile(uintptr(fd), "trace")
	defer conn.Close()
	buf := make([]byte, maxTraceMessage)
	n, err := conn.Read(buf)
	if err != nil {
		return
	}
	answer, err := handshake(buf[:n])
	if err != nil {
		return
	}
	if _, err := conn.Write(answer); err != nil {
		return
	}
	defer func() {
		t.end()
		r.tracer.Store(t)
	}()
	began := false
	for {
		n, err := conn.Read(buf)
		if n == 0 || err != nil {
			return
		}
		t.message(buf[:n])
		if t.started && !began {
			began = true
			close(r.traced)
		}
		if t.most >= r.plan.Limits.Processes {
			r.record.Reach(sandbox.LimitProcesses)
		}
	}
}

// accept waits for the sentry's connection, which runsc makes.
func (r *running) accept(listener *os.File) (int, error) {
	c, err := listener.SyscallConn()
	if err != nil {
		return -1, err
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-r.process.dead:
			listener.SetReadDeadline(time.Now())
		case <-stop:
		}
	}()
	fd := -1
	rerr := c.Read(func(l uintptr) bool {
		fd, _, err = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN)
	})
	if rerr != nil {
		return -1, rerr
	}
	return fd, err
}

// judge says whether what was seen of the box can be trusted, once it is dead.
func (r *running) judge() error {
	t := r.tracer.Load()
	switch {
	case r.failed != "":
		return errors.New("build the box: " + r.failed)
	case !r.started && r.result.Reason == sandbox.ReasonCanceled:
		return nil
	case !r.started && r.result.Reason != "":
		return fmt.Errorf("the box could not be built within its limits (%s)", r.result.Reason)
	case !r.started:
		return errors.New("the box died before it began")
	case t == nil || !t.started:
		return errors.New("gVisor has not reported what happened in the box")
	case !r.done && r.result.Reason == "":
		return errors.New("gVisor died")
	case !r.done && r.exited && r.result.Reason != sandbox.ReasonMemory && r.result.Reason != sandbox.ReasonWall && r.result.Reason != sandbox.ReasonCanceled &&
		r.result.Reason != sandbox.ReasonEvents:
		return errors.New("gVisor died before it had listed what was written")
	}
	return nil
}

// said is what runsc and the outer process had to say, for an error.
func (r *running) said() string {
	if r.started {
		return r.log
	}
	b := r.result.Stderr
	return fmt.Sprint(r.log, string(b[:min(len(b), 2000)]))
}

// finish completes the result.
func (r *running) finish() {
	if !r.exited {
		r.result.Exit = 128 + int(syscall.SIGKILL)
	}
	if r.started && !r.done { // it had to be killed: what was written is lost
		r.record.Reach(sandbox.LimitWritten)
	}
	u := &r.result.Usage
	u.Disk = r.disk
	if t := r.tracer.Load(); t != nil {
		u.Processes = t.most
	}
	if r.watch != nil {
		u.Memory = max(r.watch.largest, r.largest) // the watch may have looked a moment too early
	}
	if s, ok := r.process.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.CPU = time.Duration(s.Utime.Nano() + s.Stime.Nano())
	}
	const rest = 64 << 10 // too little for who writes large blocks
	if r.plan.Limits.Disk-r.disk < min(rest, r.plan.Limits.Disk/16) {
		r.record.Reach(sandbox.LimitDisk)
	}
	r.record.Finish(r.result)
}
