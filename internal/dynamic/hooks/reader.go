package hooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Reader turns lines into events. Lines may come from several threads in turn; those of one thread in the order it wrote them. Anything
// in the box can write lines, so nothing of them is trusted: what is malformed, missing or repeated is a Fault. The zero value is ready.
type Reader struct {
	threads map[Thread]*thread
	faults  []Fault
	dropped int // faults beyond maxFaults
}

type thread struct {
	last  int // number of the last line
	first int // number of the first line of the event that is being put together
	open  bool
	text  strings.Builder
}

// FaultKind says what was wrong with lines.
type FaultKind string

// Kinds of faults.
const (
	FaultMalformed FaultKind = "malformed" // no line as the hooks write them
	FaultGap       FaultKind = "gap"       // lines are missing
	FaultRepeat    FaultKind = "repeat"    // a number came again: someone else writes lines
	FaultUnending  FaultKind = "unending"  // an event did not end, or was too long
	FaultCrowd     FaultKind = "crowd"     // too many threads
)

// Fault is something wrong with the lines of a thread.
type Fault struct {
	Thread
	Kind   FaultKind
	Number int // of the line, where it is known
	Text   string
}

const maxFaults = 1000

func (r *Reader) fault(t Thread, kind FaultKind, number int, text string) {
	if len(r.faults) >= maxFaults {
		r.dropped++
		return
	}
	if len(text) > 200 {
		text = text[:200]
	}
	r.faults = append(r.faults, Fault{Thread: t, Kind: kind, Number: number, Text: text})
}

// Line reads one line, without its end. It gives nil when the line is a part of an event whose end is still to come, or a fault.
func (r *Reader) Line(data []byte) *Event {
	if r.threads == nil {
		r.threads = map[Thread]*thread{}
	}
	if len(data) > MaxLine {
		r.fault(Thread{}, FaultMalformed, 0, fmt.Sprintf("a line of %d bytes", len(data)))
		return nil
	}
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		r.fault(Thread{}, FaultMalformed, 0, err.Error())
		return nil
	}
	key := Thread{l.PID, l.Thread}
	if l.PID <= 0 || l.Thread < 0 || l.Number <= 0 || len(l.Args) > maxArgs || len(l.Argv) > maxArgs {
		r.fault(key, FaultMalformed, l.Number, "numbers out of range")
		return nil
	}
	t := r.threads[key]
	if t == nil {
		if len(r.threads) >= MaxThreads {
			r.fault(key, FaultCrowd, l.Number, "")
			return nil
		}
		t = &thread{}
		r.threads[key] = t
	}
	if l.Number <= t.last {
		// The number of a process that ended is given again, and a process may replace its program. Otherwise one of the two lines is
		// forged, nobody knows which: both are kept and counting goes on from here, lest a forged number silence the true lines.
		if l.Kind != LineStart || l.Number > 2 {
			r.fault(key, FaultRepeat, l.Number, string(l.Kind))
		}
		r.end(key, t)
		t.last = l.Number - 1
	}
	if l.Number > t.last+1 {
		r.fault(key, FaultGap, l.Number, fmt.Sprintf("%d lines missing", l.Number-t.last-1))
		r.end(key, t)
	}
	t.last = l.Number
	if l.Kind != linePart {
		r.end(key, t)
		return r.event(key, &l)
	}
	return r.part(key, t, &l)
}

// part adds a piece to the event of a thread and gives the event when it is whole.
func (r *Reader) part(key Thread, t *thread, l *line) *Event {
	if !t.open {
		t.open, t.first = true, l.Number
	}
	if t.text.Len()+len(l.Piece) > MaxEvent {
		r.fault(key, FaultUnending, l.Number, "too long")
		t.text.Reset()
		t.open = false
		return nil
	}
	t.text.WriteString(l.Piece)
	if l.More {
		return nil
	}
	var whole line
	err := json.Unmarshal([]byte(t.text.String()), &whole)
	first := t.first
	t.text.Reset()
	t.open = false
	if err != nil || whole.Kind == linePart {
		r.fault(key, FaultMalformed, first, fmt.Sprintf("an event of several lines: %v", err))
		return nil
	}
	whole.Number = first
	return r.event(key, &whole)
}

// end closes an event that never ended.
func (r *Reader) end(key Thread, t *thread) {
	if t.open {
		r.fault(key, FaultUnending, t.first, "")
		t.text.Reset()
		t.open = false
	}
}

var lineKinds = []LineKind{LineStart, LineEnd, LineCall, LineNew, LineGet, LineSet, LineResult, LineCode, LineFault}

func (r *Reader) event(key Thread, l *line) *Event {
	site, ok := l.site()
	if !ok || !slices.Contains(lineKinds, l.Kind) || len(l.Args) > maxArgs || len(l.Argv) > maxArgs {
		r.fault(key, FaultMalformed, l.Number, "kind "+string(l.Kind))
		return nil
	}
	e := &Event{Thread: key, Kind: l.Kind, Number: l.Number, Micros: l.Micros, API: l.API, ID: l.ID, Of: l.Of, On: l.On, Recv: l.Recv, Args: l.Args,
		Value: l.Value, Site: site, Cause: l.Cause, Count: l.Count, How: l.How, Hash: l.Hash, File: l.File, Parent: l.Parent, Dir: l.Dir,
		Version: l.Version, Cut: l.Cut > 0}
	for _, v := range l.Argv {
		e.Argv = append(e.Argv, v.Text)
	}
	return e
}

// site reads the place of a line: nothing, or file, line and column.
func (l *line) site() (Site, bool) {
	if len(l.At) == 0 {
		return Site{}, true
	}
	if len(l.At) != 3 {
		return Site{}, false
	}
	var s Site
	file, ok := l.At[0].(string)
	if !ok {
		return Site{}, false
	}
	if code, made := strings.CutPrefix(file, "#"); made {
		s.Code = code
	} else {
		s.File = file
	}
	for i, p := range []*int{&s.Line, &s.Col} {
		switch n := l.At[i+1].(type) {
		case float64:
			if n < 0 || n > 1<<30 {
				return Site{}, false
			}
			*p = int(n)
		case nil:
		default:
			return Site{}, false
		}
	}
	return s, true
}

// Faults gives what was wrong so far, and how many more faults were not kept. Events that are still open count as unending.
func (r *Reader) Faults() ([]Fault, int) {
	out := slices.Clone(r.faults)
	var open []Fault
	for key, t := range r.threads {
		if t.open {
			open = append(open, Fault{Thread: key, Kind: FaultUnending, Number: t.first})
		}
	}
	slices.SortFunc(open, func(a, b Fault) int {
		if a.PID != b.PID {
			return a.PID - b.PID
		}
		return a.Thread.Thread - b.Thread.Thread
	})
	return append(out, open...), r.dropped
}
