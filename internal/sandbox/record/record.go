// Package record keeps what one run of a box leaves, for every tier in the same way: events in the order seen and on one clock, lines of
// the channel, output, the limits that were reached, and the files that were written. What arrives here was made by strangers: every
// reader has a limit, and goes on reading beyond it at a pace that costs nobody else.
package record

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// Run is one run. It is safe for concurrent use.
type Run struct {
	limits  sandbox.Limits
	deliver func(sandbox.Event)
	began   time.Time

	mu        sync.Mutex
	delivered int
	dropped   int
	reached   []sandbox.Limit
	output    int64
	over      chan struct{}
}

// New begins a run, now. deliver may be nil.
func New(l sandbox.Limits, deliver func(sandbox.Event)) *Run {
	if deliver == nil {
		deliver = func(sandbox.Event) {}
	}
	return &Run{limits: l.WithDefaults(), deliver: deliver, began: time.Now(), over: make(chan struct{})}
}

// Began is when the run began.
func (r *Run) Began() time.Time { return r.began }

// Emit delivers an event with the time it has now. Beyond Limits.Events those of other sources than the box itself are counted only.
func (r *Run) Emit(e sandbox.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.emit(e)
}

func (r *Run) emit(e sandbox.Event) {
	e.At = time.Since(r.began)
	if e.Source != sandbox.SourceBox {
		if r.delivered >= r.limits.Events {
			if r.dropped++; r.dropped == 1 {
				r.reach(sandbox.LimitEvents)
				close(r.over)
			}
			return
		}
		r.delivered++
	}
	r.deliver(e)
}

// Reach notes that a limit was reached. The first time it is an event.
func (r *Run) Reach(l sandbox.Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reach(l)
}

func (r *Run) reach(l sandbox.Limit) {
	if !slices.Contains(r.reached, l) {
		r.reached = append(r.reached, l)
		r.emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindLimit, Type: string(l)})
	}
}

// Over is closed when there are more events than Limits.Events: the box has to be ended.
func (r *Run) Over() <-chan struct{} { return r.over }

// Finish delivers the last events and completes a result, whose Reason and Exit the tier has set. No event may come after it.
func (r *Run) Finish(res *sandbox.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped > 0 {
		r.emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindDropped, Status: r.dropped})
	}
	r.emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindEnded, Status: res.Exit, Type: string(res.Reason)})
	res.Limits = slices.Clone(r.reached)
	slices.Sort(res.Limits)
	res.Usage.Wall = time.Since(r.began)
	res.Usage.Events = r.delivered + r.dropped
	res.Usage.Output = r.output
}

const (
	// longest is how much of a line of the channel is one event. Honest lines have at most 4096 bytes; longer ones come in pieces.
	longest = 16 << 10
	// Beyond what is kept a reader takes one block each pause, so that a flood costs us little, and the box waits.
	block = 64 << 10
	pause = time.Millisecond
)

// Lines makes an event of each line of the channel, until its end.
func (r *Run) Lines(src io.Reader) {
	in := bufio.NewReaderSize(src, longest)
	for {
		b, err := in.ReadSlice('\n')
		if n := len(b); n > 0 && b[n-1] == '\n' {
			b = b[:n-1]
		}
		if len(b) > 0 || err == nil {
			r.Emit(sandbox.Event{Source: sandbox.SourceNode, Kind: sandbox.KindLine, Data: slices.Clone(b), Cut: errors.Is(err, bufio.ErrBufferFull)})
		}
		select {
		case <-r.over: // the rest is counted by pieces, slowly, until the box has been ended
			time.Sleep(pause)
		default:
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// Output reads an output to its end and returns the first Limits.Output bytes of it.
func (r *Run) Output(src io.Reader) []byte {
	var kept []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		r.mu.Lock()
		r.output += int64(n)
		room := r.limits.Output - len(kept)
		if n > room {
			r.reach(sandbox.LimitOutput)
		}
		r.mu.Unlock()
		kept = append(kept, buf[:min(n, room)]...)
		if err != nil {
			return kept
		}
		if n > room {
			if len(buf) < block {
				buf = make([]byte, block)
			}
			time.Sleep(pause)
		}
	}
}
