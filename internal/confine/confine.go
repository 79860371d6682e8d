// Package confine runs a function of our own binary in a limited child process: the binary starts itself again, the child lowers its
// own limits and serves one job at a time over pipes. Bytes go in, bytes come out; the package knows nothing of what they mean. A
// child that dies, hangs or floods costs its job only: the caller gets a *Died that says how, and the next job gets a new child.
//
// On Linux the child's memory is limited by RLIMIT_DATA and it dies with its parent; elsewhere only time is limited.
package confine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler does one job. note tells the parent what is being worked on; the last note is in *Died.
type Handler func(ctx context.Context, request []byte, note func(string)) ([]byte, error)

// Limits of a child. The zero value means the defaults.
type Limits struct {
	Memory int64         // bytes of data
	Time   time.Duration // for one job
	Reply  int           // bytes of an answer
	// Threads is how many threads of a child run Go code at a time, 0 for one a core. With as many children as cores one is enough: a
	// second only makes the collector of garbage hurry.
	Threads int
	// Large is the size of a request, bytes, from which on idle children end before it starts: it will need the memory they keep. 0 for
	// never.
	Large int
}

const envKey = "DONAPI_CONFINED"

func (l Limits) orDefault() Limits {
	if l.Memory == 0 {
		l.Memory = 2 << 30
	}
	if l.Time == 0 {
		l.Time = 120 * time.Second
	}
	if l.Reply == 0 {
		l.Reply = 256 << 20
	}
	return l
}

// Reasons of a child's death.
const (
	Memory  = "memory"
	TimeOut = "time"
	Stack   = "stack"
	Exited  = "exit"
)

// Died says how a child ended before it had answered.
type Died struct {
	Reason string // one of the constants
	Note   string // what it was working on
	Detail string // the end of what it wrote to its standard error
}

func (d *Died) Error() string {
	return fmt.Sprintf("the confined process died (%s) at %q", d.Reason, d.Note)
}

// IsChild reports that this process was started as a child; main then calls Serve and nothing else.
func IsChild() bool { return os.Getenv(envKey) != "" }

// kinds of frames
const (
	frameNote byte = iota
	frameReply
	frameError
)

// Serve answers jobs until its input ends. It is the whole life of a child.
func Serve(h Handler) error {
	memory, _ := strconv.ParseInt(os.Getenv(envKey), 10, 64)
	limit(memory)
	if memory > 0 {
		debug.SetMemoryLimit(memory * 3 / 4)
	}
	pace()
	debug.SetMaxStack(512 << 20)
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		req, err := readBlock(in, 1<<30)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		note := func(s string) {
			writeFrame(out, frameNote, []byte(s[:min(len(s), 500)]))
			out.Flush()
		}
		reply, err := h(context.Background(), req, note)
		req = nil
		giveBack() // before the answer: with it the parent starts what else needs memory
		if err != nil {
			writeFrame(out, frameError, []byte(err.Error()))
		} else {
			writeFrame(out, frameReply, reply)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// What an analysis leaves behind is collected when the heap has grown by growth bytes, or by leastPercent of what is alive where that
// is more. The usual rule, growth by a percentage, collects small heaps all the time and lets large ones grow too far.
const (
	growth       = 48 << 20
	leastPercent = 40
)

// pace sets how far the heap may grow after each collection, until the process ends. A finaliser is what Go offers to run code then.
func pace() {
	scanned := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	type collected struct{ _ *byte }
	var next func(*collected)
	next = func(c *collected) {
		metrics.Read(scanned)
		var n uint64 // what the percentage is of
		for _, s := range scanned {
			n += s.Value.Uint64()
		}
		debug.SetGCPercent(max(leastPercent, int(growth*100/max(n, 4<<20))))
		runtime.SetFinalizer(c, next)
	}
	next(&collected{new(byte)})
}

// keepHeap is how much heap an idle child may keep, bytes: the next job will want about as much as most do.
const keepHeap = 80 << 20

// giveBack returns the memory of a large job to the system.
func giveBack() {
	var m runtime.MemStats
	if runtime.ReadMemStats(&m); m.HeapSys-m.HeapReleased > keepHeap {
		debug.FreeOSMemory()
	}
}

func readBlock(r io.Reader, max int) ([]byte, error) {
	var n uint32
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return nil, err
	}
	if int64(n) > int64(max) {
		return nil, fmt.Errorf("a block of %d bytes is beyond the limit", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

func writeBlock(w io.Writer, b []byte) error {
	if err := binary.Write(w, binary.BigEndian, uint32(len(b))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

func writeFrame(w io.Writer, kind byte, b []byte) error {
	if _, err := w.Write([]byte{kind}); err != nil {
		return err
	}
	return writeBlock(w, b)
}

// Pool keeps children for reuse. It is safe for concurrent use.
type Pool struct {
	lim  Limits
	mu   sync.Mutex
	idle []*child
	args []string
}

// NewPool makes a pool of children of this binary, started with args.
func NewPool(lim Limits, args ...string) *Pool { return &Pool{lim: lim.orDefault(), args: args} }

type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	errs *tail
}

// tail keeps the end of what is written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.b) < 2048 {
		t.b = append(t.b, p[:min(len(p), 2048)]...) // the head of a Go crash says what it was
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}

func (p *Pool) get() (*child, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find our own binary: %w", err)
	}
	c := &child{cmd: exec.Command(self, p.args...), errs: &tail{}}
	c.cmd.Env = append(os.Environ(), envKey+"="+strconv.FormatInt(p.lim.Memory, 10))
	if p.lim.Threads > 0 {
		c.cmd.Env = append(c.cmd.Env, "GOMAXPROCS="+strconv.Itoa(p.lim.Threads))
	}
	if p.lim.Threads == 1 {
		// Nobody waits for a pause, and what is allocated while a collection runs beside the code cannot be collected by it.
		c.cmd.Env = append(c.cmd.Env, "GODEBUG=gcstoptheworld=1")
	}
	c.cmd.Stderr = c.errs
	c.cmd.SysProcAttr = attributes()
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the confined process: %w", err)
	}
	return c, nil
}

func (c *child) kill() {
	c.cmd.Process.Kill()
	c.in.Close()
	c.cmd.Wait()
}

// Run does one job in a child. progress may be nil. The error is a *Died when the child ended, the handler's own message otherwise.
func (p *Pool) Run(ctx context.Context, request []byte, progress func(string)) ([]byte, error) {
	c, err := p.get()
	if err != nil {
		return nil, err
	}
	if p.lim.Large > 0 && len(request) >= p.lim.Large {
		p.Close()
	}
	type result struct {
		reply []byte
		err   error
	}
	done := make(chan result, 1)
	var mu sync.Mutex
	last := ""
	go func() {
		if err := writeBlock(c.in, request); err != nil {
			done <- result{err: err}
			return
		}
		for {
			kind, err := c.out.ReadByte()
			if err != nil {
				done <- result{err: err}
				return
			}
			b, err := readBlock(c.out, p.lim.Reply)
			if err != nil {
				done <- result{err: err}
				return
			}
			switch kind {
			case frameNote:
				mu.Lock()
				last = string(b)
				mu.Unlock()
				if progress != nil {
					progress(string(b))
				}
			case frameReply:
				done <- result{reply: b}
				return
			case frameError:
				done <- result{err: handlerError(b)}
				return
			default:
				done <- result{err: fmt.Errorf("unknown frame")}
				return
			}
		}
	}()
	died := func(reason string) error {
		c.kill()
		mu.Lock()
		defer mu.Unlock()
		return &Died{Reason: reason, Note: last, Detail: firstLine(c.errs.String())}
	}
	timer := time.NewTimer(p.lim.Time)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		c.kill()
		<-done
		return nil, ctx.Err()
	case <-timer.C:
		err := died(TimeOut)
		<-done
		return nil, err
	case r := <-done:
		var h handlerError
		if r.err != nil && !errors.As(r.err, &h) {
			c.cmd.Process.Kill()
			c.cmd.Wait()
			return nil, died(reason(c.errs.String()))
		}
		p.mu.Lock()
		p.idle = append(p.idle, c)
		p.mu.Unlock()
		if r.err != nil {
			return nil, errors.New(string(h))
		}
		return r.reply, nil
	}
}

type handlerError string

func (e handlerError) Error() string { return string(e) }

func reason(stderr string) string {
	switch {
	case strings.Contains(stderr, "stack overflow"), strings.Contains(stderr, "stack exceeds"):
		return Stack
	case strings.Contains(stderr, "out of memory"), strings.Contains(stderr, "cannot allocate"):
		return Memory
	}
	return Exited
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// Close ends all idle children, which have nothing to finish. The pool may be used on: it starts new ones.
func (p *Pool) Close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, c := range idle {
		c.kill()
	}
}
