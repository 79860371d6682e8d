// Package dynamic makes a callseq.Trace of what was seen while a package ran in a box: the lines of the hooks tell the calls, the
// kernel tells the processes, and where the two disagree, or something was not seen, there is a Doubt.
//
// A value that comes out of one call and goes into another is recognised by its digest, by the object that it came in, or by standing
// within the text that goes in (the first 64 texts of a run are looked for so). That is less than the evaluator knows (a value that the
// package's own code computed anew has no flow), and what it finds did happen.
package dynamic

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/dynamic/hooks"
	"github.com/donapi/donapi/internal/sandbox"
)

// Limits of a trace. What crosses one is a Doubt.
const (
	MaxCalls  = 50_000
	MaxProcs  = 4096
	MaxLayers = 4096
	MaxBytes  = 64 << 20 // of the lines of hooks together
)

// Options say what ran.
type Options struct {
	Phase callseq.Phase
	Entry string // as callseq.Call.Entry
	Root  string // folder of the package in the box; files below it are named from there
}

// DoubtKind says why a trace may not be the whole truth.
type DoubtKind string

// Kinds of doubts.
const (
	DoubtUnwatched DoubtKind = "unwatched" // the kernel saw Node start, and the hooks never spoke
	DoubtUnknown   DoubtKind = "unknown"   // hooks spoke for a process that the kernel did not see start
	DoubtForged    DoubtKind = "forged"    // lines are malformed, missing or repeated
	DoubtBlind     DoubtKind = "blind"     // a part of the hooks does not work in this Node
	DoubtLost      DoubtKind = "lost"      // events were not kept, by the box or here
)

// Doubt is a disagreement of witnesses, or something that was not seen.
type Doubt struct {
	Kind DoubtKind
	PID  int
	Text string
}

// Builder takes the events of one run in the order seen.
type Builder struct {
	base    *behavior.Base
	options Options
	reader  hooks.Reader
	trace   callseq.Trace
	doubts  []Doubt
	read    int // bytes of lines

	began   int64 // Micros of the first line
	procs   map[int]int
	execs   map[int]string // programs that the kernel saw, by pid
	order   []int          // keys of execs, as seen
	started map[int]bool   // processes whose hooks spoke
	threads map[hooks.Thread]*thread
	spawned map[int]callseq.ID // by pid of the child
	layers  map[string]int     // by file, or # and hash
	flows   flows
}

// thread is what is known of one thread of one process.
type thread struct {
	calls map[int]callseq.ID // by the number that the hooks gave
	last  callseq.ID
	cause callseq.ID // the call that started the process or thread
}

// NewBuilder returns a Builder that knows from base what APIs do with values.
func NewBuilder(base *behavior.Base, o Options) *Builder {
	return &Builder{base: base, options: o, procs: map[int]int{}, execs: map[int]string{}, started: map[int]bool{},
		threads: map[hooks.Thread]*thread{}, spawned: map[int]callseq.ID{}, layers: map[string]int{}, flows: flows{byDigest: map[string][]callseq.Flow{}}}
}

// Add takes one event.
func (b *Builder) Add(e sandbox.Event) {
	switch e.Kind {
	case sandbox.KindLine:
		if b.read += len(e.Data); b.read > MaxBytes {
			b.overflow("bytes of lines")
			return
		}
		if h := b.reader.Line(e.Data); h != nil {
			b.hooked(h)
		}
	case sandbox.KindExec:
		if _, known := b.execs[e.PID]; !known {
			b.order = append(b.order, e.PID)
		}
		b.execs[e.PID] = e.Path
		b.proc(e.PID, e.Parent, e.Args)
	case sandbox.KindLost, sandbox.KindDropped:
		b.doubts = append(b.doubts, Doubt{Kind: DoubtLost, Text: strconv.Itoa(e.Status) + " events of the box"})
	}
}

// Trace gives what was seen, and the doubts about it. The Builder must not be used afterwards.
func (b *Builder) Trace() (*callseq.Trace, []Doubt) {
	if len(b.flows.byDigest) >= maxDigests {
		b.overflow("values to follow")
	}
	out := b.doubts
	for _, pid := range b.order {
		if name := path.Base(b.execs[pid]); (name == "node" || name == "nodejs") && !b.started[pid] {
			out = append(out, Doubt{DoubtUnwatched, pid, b.execs[pid]})
		}
	}
	faults, more := b.reader.Faults()
	for _, f := range faults {
		out = append(out, Doubt{DoubtForged, f.PID, string(f.Kind) + " " + f.Text})
	}
	if more > 0 {
		out = append(out, Doubt{Kind: DoubtForged, Text: strconv.Itoa(more) + " more faults"})
	}
	return &b.trace, out
}

// proc gives the number of a process, which is new when its pid is.
func (b *Builder) proc(pid, parent int, argv []string) int {
	id, known := b.procs[pid]
	if !known {
		if len(b.trace.Procs) >= MaxProcs {
			b.overflow("processes")
			return 0
		}
		id = len(b.trace.Procs)
		up, ok := b.procs[parent]
		if !ok {
			up = min(id, 1) - 1 // the first has no parent; one whose parent is not known is a child of the first
		}
		b.procs[pid] = id
		b.trace.Procs = append(b.trace.Procs, callseq.Proc{ID: id, Parent: up})
	}
	if len(argv) > 0 {
		b.trace.Procs[id].Argv = argv
	}
	return id
}

func (b *Builder) overflow(what string) {
	if d := (Doubt{Kind: DoubtLost, Text: "too many " + what}); !slices.Contains(b.doubts, d) {
		b.doubts = append(b.doubts, d)
	}
}

func (b *Builder) hooked(e *hooks.Event) {
	if b.began == 0 {
		b.began = e.Micros
	}
	t := b.threads[e.Thread]
	if t == nil || e.Kind == hooks.LineStart {
		t = &thread{calls: map[int]callseq.ID{}, cause: b.starter(e)}
		b.threads[e.Thread] = t
	}
	switch e.Kind {
	case hooks.LineStart:
		b.started[e.PID] = true
		if len(b.execs) > 0 && b.execs[e.PID] == "" {
			b.doubts = append(b.doubts, Doubt{DoubtUnknown, e.PID, strings.Join(e.Argv, " ")})
		}
		b.proc(e.PID, e.Parent, nil)
		if p := b.procs[e.PID]; p < len(b.trace.Procs) && b.trace.Procs[p].Argv == nil {
			b.trace.Procs[p].Argv = e.Argv
		}
	case hooks.LineFault:
		b.doubts = append(b.doubts, Doubt{DoubtBlind, e.PID, e.API})
	case hooks.LineResult:
		b.result(t, e)
	case hooks.LineCall, hooks.LineNew, hooks.LineGet, hooks.LineSet:
		b.call(t, e, callseq.Kind(e.Kind))
	case hooks.LineCode:
		b.code(t, e)
	}
}

// starter is the call that began a process or thread: the one that told its pid, or the last of a parent that waits for its child.
func (b *Builder) starter(e *hooks.Event) callseq.ID {
	parent, want := hooks.Thread{PID: e.Parent}, "child_process."
	if e.Thread.Thread > 0 {
		parent, want = hooks.Thread{PID: e.PID}, "worker_threads."
	} else if id := b.spawned[e.PID]; id > 0 {
		return id
	}
	p := b.threads[parent]
	if p == nil {
		return 0
	}
	if c := b.trace.Lookup(p.last); c != nil && strings.HasPrefix(c.API, want) {
		return p.last
	}
	return p.cause
}

func (b *Builder) call(t *thread, e *hooks.Event, kind callseq.Kind) *callseq.Call {
	if len(b.trace.Calls) >= MaxCalls {
		b.overflow("calls")
		return nil
	}
	c := callseq.Call{ID: callseq.ID(len(b.trace.Calls) + 1), Kind: kind, API: e.API, Cause: t.calls[e.Cause], Origin: callseq.Dynamic,
		Phase: b.options.Phase, Entry: b.options.Entry, Proc: b.proc(e.PID, e.Parent, nil), Pos: b.pos(e.Site), Count: e.Count,
		At: max(0, e.Micros-b.began) * 1000}
	if c.Cause == 0 {
		c.Cause = t.cause
	}
	if from := t.calls[e.Recv]; from > 0 {
		c.Recv = &callseq.Value{Kind: callseq.Object, Flows: []callseq.Flow{{From: from, Via: callseq.Copy}}}
	}
	for _, v := range e.Args {
		c.Args = append(c.Args, b.flows.value(t, v, 0))
	}
	b.trace.Calls = append(b.trace.Calls, c)
	if e.ID > 0 {
		t.calls[e.ID] = c.ID
	}
	t.last = c.ID
	if kind == callseq.KindGet && e.Value != nil {
		b.flows.produced(*e.Value, []callseq.Flow{{From: c.ID, Via: callseq.Copy}})
	}
	return &b.trace.Calls[c.ID-1]
}

// result notes where the value that a call gave comes from: the call, and what its arguments came from where the API passes them on.
func (b *Builder) result(t *thread, e *hooks.Event) {
	c := b.trace.Lookup(t.calls[e.Of])
	if c == nil || e.Value == nil {
		return
	}
	if e.On == "pid" {
		if pid, err := strconv.Atoi(e.Value.Text); err == nil {
			b.spawned[pid] = c.ID
		}
		return
	}
	out := []callseq.Flow{{From: c.ID, Via: callseq.Copy}}
	if a := b.base.API(c.API); a != nil {
		for _, r := range a.Flows {
			for _, f := range from(c, r.From) {
				if r.Via != callseq.Copy {
					f.Via = r.Via
				}
				out = append(out, f)
			}
		}
	}
	b.flows.produced(*e.Value, tidy(out))
}

// from gives the flows of an argument, with those of its parts, or of the receiver.
func from(c *callseq.Call, where string) []callseq.Flow {
	if where == "this" {
		if c.Recv == nil {
			return nil
		}
		return c.Recv.Flows
	}
	first, _, _ := strings.Cut(where, ".")
	i, err := strconv.Atoi(first)
	if err != nil || i < 0 || i >= len(c.Args) {
		return nil
	}
	return all(c.Args[i], nil)
}

func all(v callseq.Value, out []callseq.Flow) []callseq.Flow {
	out = append(out, v.Flows...)
	for _, f := range v.Fields {
		out = all(f.Value, out)
	}
	return out
}

// code notes code that was made at run time: a layer the first time, and a call each time.
func (b *Builder) code(t *thread, e *hooks.Event) {
	made := b.pos(e.Site)
	key := "#" + e.Hash
	_, known := b.layers[key]
	if !known && len(b.trace.Layers) >= MaxLayers {
		b.overflow("files")
	} else if !known && e.Value != nil {
		b.layers[key] = len(b.trace.Layers)
		text := e.Value.Text
		if len(text) > callseq.MaxLayerText {
			text = strings.ToValidUTF8(text[:callseq.MaxLayerText], "")
		}
		b.trace.Layers = append(b.trace.Layers, callseq.Layer{ID: len(b.trace.Layers), Parent: made.Layer, File: b.trace.File(made), How: e.How,
			By: callseq.ID(len(b.trace.Calls) + 1), Text: text})
	}
	if e.API = e.How; b.base.API(e.API) == nil {
		e.API = "eval" // a function of vm, which has a call of its own
	}
	if e.Value != nil {
		e.Args = []hooks.Value{*e.Value}
	}
	b.call(t, e, callseq.KindCode)
}

// pos gives a place its layer. A place that is not known lies in a file without a name.
func (b *Builder) pos(s hooks.Site) callseq.Pos {
	file := strings.TrimPrefix(s.File, "file://")
	if b.options.Root != "" {
		file = strings.TrimPrefix(file, strings.TrimSuffix(b.options.Root, "/")+"/")
	}
	key := file
	if s.Code != "" {
		key = "#" + s.Code
	}
	id, known := b.layers[key]
	if !known {
		if len(b.trace.Layers) >= MaxLayers {
			b.overflow("files")
			return callseq.Pos{}
		}
		id = len(b.trace.Layers)
		b.layers[key] = id
		b.trace.Layers = append(b.trace.Layers, callseq.Layer{ID: id, Parent: -1, File: file})
	}
	return callseq.Pos{Layer: id, Line: s.Line, Col: s.Col}
}

func tidy(list []callseq.Flow) []callseq.Flow {
	slices.SortFunc(list, func(a, b callseq.Flow) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Via, b.Via)) })
	list = slices.Compact(list)
	return list[:min(len(list), maxFlows)]
}
