// Package static is the abstract evaluator: it runs a package's Program in Node's order without touching the host, and yields
// the API calls that it makes. Values are concrete where known, so that string arrays, ciphers and eval layers unfold as they run,
// and symbolic otherwise; every value remembers the calls it derives from. A condition on an unknown value takes both branches.
//
// Nothing the package does can fail an evaluation: what could not be followed is an Outcome. The evaluator has no clock: budgets
// count steps and bytes, so that the same package gives the same trace. A cancelled context ends the run with an Outcome marked as
// our own doing.
package static

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/report"
)

// Options are the budgets of one evaluation. The zero value means the defaults.
type Options struct {
	Name     string // package name, for paths that its code sees
	Files    func(path string) ([]byte, bool)
	Env      map[string]string // environment values that are known, as npm_package_name
	Steps    int64             // evaluation steps for install and import, each; other phases get a share
	Memory   int64             // values allocated, all phases together
	MaxCalls int               // recorded calls
	Progress func(file string) // told what is evaluated, before
}

const (
	defaultSteps    = 24_000_000
	defaultMemory   = 60_000_000
	defaultMaxCalls = 20_000
)

// Result is what an evaluation yields.
type Result struct {
	Trace   *callseq.Trace
	Outcome report.Outcome
	Steps   int64
	Loaded  int // modules that ran
}

// Base is what the evaluator asks of the knowledge base.
type Base interface {
	API(name string) *behavior.API
	APIs() []*behavior.API
}

type evaluator struct {
	opt     Options
	base    Base
	ctx     context.Context
	program *js.Program
	realm   *realm
	root    string
	names   []string // all API names, sorted

	trace  callseq.Trace
	units  []*js.Unit // by layer
	phase  callseq.Phase
	entry  string
	full   bool
	sites  map[site][]callseq.ID
	conds  int
	guards []callseq.Guard
	cause  callseq.ID

	f           *frame
	act         *activation
	pos         int32
	ret         Value
	label       string
	lastThrown  Value
	unwind      unwinding
	depth       int
	nest        int
	try         int
	branchDepth int
	mayLeave    bool
	dynamic     bool // inside a with statement
	hasWith     bool
	steps       int64
	total       int64
	memory      int64
	unknownOps  int
	uncaught    int

	j             *journal
	jseq          int32
	jmark         int32
	spareJournals []*journal
	spareChanges  [][]change

	infos         map[*js.Func]*fnInfo
	ids           int32  // values numbered so far
	sig           []byte // room for a signature
	ran           map[*js.Func]bool
	closures      []*Object // made and perhaps never called, in order
	watchBuiltins bool
	generators    []*generator
	hosts         map[string]*Abstract
	modules       map[string]Value
	env           map[string]Value
	envReads      map[site]flows
	sources       []source
	files         map[string]*written
	fileNames     []string
	globals       map[string]Value
	escaped       map[*Object]bool
	texts         map[madeKey]int
	layerEnv      map[int]*frame
	layerDepth    int
	regexps       map[string]*regexpData
	models        map[string]hostModel
	hostVals      map[string]func(ev *evaluator) Value

	loaded     map[*js.Module]*module
	everLoaded map[*js.Module]bool
	acting     map[*js.Module]bool
	byUnit     map[*js.Unit]*module
	fileLayers map[string]int
	mainModule *Object

	tasks     []task
	taskSeq   int
	taskRuns  int
	micro     []func()
	draining  bool
	now       float64
	skipped   []string
	hung      bool
	waits     map[*js.For]bool // loops that were given up
	reached   bool             // something skipped can run at install or import
	cancelled bool
	extra     int64 // of decoderSteps, granted so far
	lent      int64 // of it, in the present guarded run
	extraOps  int   // operations on unknown values when it was granted last
}

// Run evaluates a program.
func Run(ctx context.Context, p *js.Program, base Base, opt Options) *Result {
	if opt.Steps == 0 {
		opt.Steps = defaultSteps
	}
	if opt.Memory == 0 {
		opt.Memory = defaultMemory
	}
	if opt.MaxCalls == 0 {
		opt.MaxCalls = defaultMaxCalls
	}
	if opt.Name == "" {
		opt.Name = "package"
	}
	ev := &evaluator{
		opt: opt, base: base, ctx: ctx, program: p, root: root + opt.Name, jmark: -1, memory: opt.Memory,
		sites: map[site][]callseq.ID{}, infos: map[*js.Func]*fnInfo{}, ran: map[*js.Func]bool{}, hosts: map[string]*Abstract{}, modules: map[string]Value{},
		env: map[string]Value{}, envReads: map[site]flows{}, files: map[string]*written{}, globals: map[string]Value{}, escaped: map[*Object]bool{},
		texts: map[madeKey]int{}, layerEnv: map[int]*frame{}, everLoaded: map[*js.Module]bool{}, acting: map[*js.Module]bool{}, byUnit: map[*js.Unit]*module{}, fileLayers: map[string]int{},
		regexps: map[string]*regexpData{}, waits: map[*js.For]bool{}, models: hostModels(), hostVals: hostValues(),
	}
	for _, a := range base.APIs() {
		ev.names = append(ev.names, a.Name)
	}
	slices.Sort(ev.names)
	for k, v := range opt.Env {
		ev.env[k] = v
	}
	ev.realm = newRealm(ev)
	ev.watchBuiltins = true
	ev.jseq = 1
	ev.phases()
	ev.stopGenerators()
	ev.locate()
	return &Result{Trace: &ev.trace, Outcome: ev.outcome(), Steps: ev.total, Loaded: len(ev.everLoaded)}
}

// phases runs the entries by phase, each phase in a process of its own, then what no entry reached.
func (ev *evaluator) phases() {
	share := map[callseq.Phase]int64{callseq.PhaseInstall: 8, callseq.PhaseImport: 4, callseq.PhaseBrowser: 1, callseq.PhaseBin: 1, callseq.PhaseCall: 1}
	for _, ph := range []callseq.Phase{callseq.PhaseInstall, callseq.PhaseImport, callseq.PhaseBrowser, callseq.PhaseBin, callseq.PhaseCall} {
		var es []js.Entry
		for _, e := range ev.program.Entries {
			if callseq.Phase(e.Phase) == ph && (e.Path != "" || e.Module != nil) && (e.Lang == "" || e.Lang == "js") {
				es = append(es, e)
			}
		}
		if len(es) == 0 {
			continue
		}
		ev.startProcess(ph, share[ph])
		for _, e := range es {
			if ph == callseq.PhaseInstall || ph == callseq.PhaseBin { // each is a process of its own
				left := ev.steps
				ev.startProcess(ph, share[ph])
				ev.steps = left
				if left <= 0 {
					ev.steps = ev.opt.Steps / 16
				}
			}
			ev.runEntry(e)
		}
		if ph == callseq.PhaseImport || ph == callseq.PhaseBrowser {
			ev.driveExports(es, ph)
		}
	}
	ev.driveUncalled()
	ev.unreached()
}

func (ev *evaluator) startProcess(ph callseq.Phase, share int64) {
	ev.phase = ph
	ev.loaded = map[*js.Module]*module{}
	ev.mainModule = nil
	ev.globals = map[string]Value{}
	ev.tasks, ev.micro, ev.now, ev.taskRuns = nil, nil, 0, 0
	ev.setSteps(ev.opt.Steps * share / 8)
}

func (ev *evaluator) setSteps(n int64) { ev.steps = n }

// guarded runs f to its end or to the end of a budget.
func (ev *evaluator) guarded(what string, f func()) {
	before := ev.steps
	ev.lent = 0
	st := state{}
	defer func() {
		ev.total += before + ev.lent - max(ev.steps, 0)
		if r := recover(); r != nil {
			switch x := r.(type) {
			case abort:
				ev.skip(what+": "+x.why, ev.entryReached())
			case *thrown:
				ev.uncaught++
			case *shortCircuitT, stopGenerator:
			default:
				panic(r)
			}
			ev.unwind = nothingUnwinds
			ev.restore(st)
			ev.f, ev.act, ev.guards, ev.depth, ev.try, ev.branchDepth = nil, nil, nil, 0, 0, 0
			ev.j, ev.jmark, ev.layerDepth, ev.draining = nil, -1, 0, false
		}
	}()
	f()
}

func (ev *evaluator) entryReached() bool {
	return ev.phase == callseq.PhaseInstall || ev.phase == callseq.PhaseImport
}

func (ev *evaluator) runEntry(e js.Entry) {
	m := e.Module
	if m == nil {
		m = ev.program.Resolver.Lookup(e.Path)
	}
	if m == nil {
		return
	}
	if ev.opt.Progress != nil {
		ev.opt.Progress(e.Path)
	}
	ev.entry = e.Name
	ev.cause = 0
	ev.setArgv(e)
	if ev.steps <= 0 {
		ev.skip(e.Name+": step budget", ev.entryReached())
		return
	}
	if m.Kind == js.KindCommonJS || m.Kind == js.KindESM {
		if _, err := m.Unit(); err != nil {
			ev.skip(err.Error(), ev.entryReached())
			return
		}
	}
	ev.guarded(e.Name, func() {
		ev.load(m)
		ev.drain()
	})
	if ev.steps > 0 {
		ev.guarded(e.Name, ev.drain)
	}
}

func (ev *evaluator) setArgv(e js.Entry) {
	args := []Value{"/usr/local/bin/node", ev.root + "/" + e.Path}
	for _, a := range e.Argv {
		args = append(args, a)
	}
	argv := ev.array(args)
	if ev.phase != callseq.PhaseInstall {
		argv.weak = true
	}
	ev.hostValue("process").setProp("argv", argv)
}

func (a *Abstract) setProp(key string, v Value) {
	if a.props == nil {
		a.props = map[string]Value{}
	}
	a.props[key] = v
}

// Budget of code that only computes, beyond its steps: a string decoder with a cipher inside may need that much before the first call.
const (
	decoderSteps  = 180_000_000 // all phases together
	decoderSlice  = 20_000_000
	decoderChange = 200 // operations on unknown values in a slice: with more of them it is no decoder
)

// checkSteps ends the run when the steps or the patience of the caller are used up.
func (ev *evaluator) checkSteps() {
	if ev.ctx.Err() != nil {
		ev.cancelled = true
		panic(abort{"cancelled"})
	}
	if ev.steps >= 0 {
		return
	}
	ops := ev.unknownOps + len(ev.trace.Calls)
	early := ev.phase == callseq.PhaseInstall || ev.phase == callseq.PhaseImport
	if early && ev.branchDepth == 0 && ev.extra+decoderSlice <= decoderSteps && (ev.extra == 0 || ops-ev.extraOps < decoderChange) {
		ev.extra += decoderSlice
		ev.extraOps = ops
		ev.steps += decoderSlice
		ev.lent += decoderSlice
		return
	}
	panic(abort{"step budget"})
}

func (ev *evaluator) skip(what string, reached bool) {
	if len(ev.skipped) < 50 && !slices.Contains(ev.skipped, what) {
		ev.skipped = append(ev.skipped, what)
	}
	ev.reached = ev.reached || reached
}

// hang notes a loop without end: code that waits for someone who debugs it, or that burns time.
func (ev *evaluator) hang(pos int32) {
	ev.pos = pos
	if !ev.hung {
		ev.hung = true
		ev.record(callseq.KindSource, "$endlessLoop", nil, nil)
	}
	if ev.try > 0 || ev.depth > 0 {
		panic(ev.thrown(unknown(callseq.Object, nil)))
	}
}

func (ev *evaluator) outcome() report.Outcome {
	o := report.Outcome{Stage: "static", Status: report.Ran}
	if ev.full {
		ev.skip("more than "+strconv.Itoa(ev.opt.MaxCalls)+" calls recorded", false)
	}
	if len(ev.skipped) > 0 || ev.cancelled {
		o.Status = report.Partial
		o.Reason = "not everything could be followed"
		o.Unseen = ev.skipped
		slices.Sort(o.Unseen)
		o.Reached = ev.reached
		if ev.cancelled {
			o.Own = true
			o.Reason = "the time was up"
			o.Reached = true
		}
	}
	return o
}

// locate turns offsets into lines and columns.
func (ev *evaluator) locate() {
	for i := range ev.trace.Calls {
		p := &ev.trace.Calls[i].Pos
		if p.Layer < len(ev.units) && ev.units[p.Layer] != nil {
			p.Line, p.Col = ev.units[p.Layer].Line(int32(p.Offset))
		}
	}
}

// --- exports and what nobody called

const (
	maxDriven   = 4000
	driveSteps  = 200_000 // for one function whose own text names something by which code acts
	otherSteps  = 25_000  // for one that could only act through others
	unrunDriven = 3000
)

// patience is how many steps a function gets that we call ourselves.
func patience(f *js.Func) int64 {
	if f == nil || f.Unit == nil || f.End <= f.Start || int(f.End) > len(f.Unit.Source) || telling(f.Unit.Source[f.Start:f.End]) {
		return driveSteps
	}
	return otherSteps
}

func (ev *evaluator) driveExports(es []js.Entry, ph callseq.Phase) {
	left := ev.opt.Steps / 40
	seen := map[*Object]bool{}
	n := 0
	for _, e := range es {
		m := ev.program.Resolver.Lookup(e.Path)
		r := ev.loaded[m]
		if m == nil || r == nil {
			continue
		}
		ev.entry = e.Name
		if ph != callseq.PhaseBrowser {
			ev.phase = callseq.PhaseCall
		}
		ev.cause = 0
		var fns []driven
		ev.guarded(e.Name, func() { fns = ev.collect(ev.exportsOf(r), nil, "", seen, 0) })
		for _, d := range fns {
			if n++; n > maxDriven || left <= 0 {
				ev.skip(e.Name+": not every export was called", false)
				return
			}
			ev.steps = min(patience(d.fn.fn.code), left)
			before := ev.steps
			ev.guarded("export "+d.name, func() { ev.drive(d) })
			left -= before - max(ev.steps, 0)
		}
	}
	ev.phase = ph
}

// driven is one function to be called by us.
type driven struct {
	fn   *Object
	this Value
	name string
	cls  bool
}

// collect finds the functions that a host program could call on an export.
func (ev *evaluator) collect(v Value, this Value, name string, seen map[*Object]bool, depth int) []driven {
	o, ok := v.(*Object)
	if !ok || seen[o] || depth > 4 || o.born == 0 {
		return nil
	}
	seen[o] = true
	var out []driven
	if o.fn != nil && (o.fn.code != nil || o.fn.cls != nil) {
		out = append(out, driven{fn: o, this: this, name: name, cls: o.fn.cls != nil || looksConstructor(o)})
	}
	for i := range o.props {
		p := &o.props[i]
		if p.key == "constructor" || p.key == "prototype" && o.fn == nil {
			continue
		}
		sub := name + "." + p.key
		if name == "" {
			sub = p.key
		}
		switch {
		case p.get != nil:
			if !seen[p.get] && p.get.fn != nil && p.get.fn.code != nil {
				seen[p.get] = true
				out = append(out, driven{fn: p.get, this: o, name: sub})
				if p.get.fn.code.Length == 0 && depth < 3 {
					out = append(out, ev.collect(ev.quietCall(p.get, o), o, sub, seen, depth+1)...)
				}
			}
		case p.key == "prototype":
			if proto, ok := p.val.(*Object); ok && len(proto.props) > 1 {
				inst := ev.instance(o, proto)
				out = append(out, ev.collect(proto, inst, name+".prototype", seen, depth+1)...)
			}
		default:
			out = append(out, ev.collect(p.val, o, sub, seen, depth+1)...)
		}
	}
	return out
}

func (ev *evaluator) quietCall(f *Object, this Value) (v Value) {
	ev.protect(func() completion { v = ev.call(f, this, nil); return normal })
	return v
}

func looksConstructor(o *Object) bool {
	p, ok := o.lookupData("prototype").(*Object)
	return ok && len(p.props) > 1
}

// instance is an object of a class whose constructor was not run: its fields are unknown.
func (ev *evaluator) instance(ctor, proto *Object) *Object {
	if i, ok := ev.instances()[ctor]; ok {
		return i
	}
	o := ev.objectOf(classPlain, proto)
	o.weak = true
	return o
}

func (ev *evaluator) instances() map[*Object]*Object { return ev.realm.instances }

// drive calls a function as a host program might, with marked arguments.
func (ev *evaluator) drive(d driven) {
	f := d.fn.fn
	n := 0
	if f.code != nil {
		n = max(f.code.Length, paramCount(f.code))
		if !ev.interesting(f.code) {
			return
		}
	}
	args := make([]Value, min(n, 8))
	for i := range args {
		fl := ev.newSource(callseq.KindSource, "$argument", ev.describe(d.name, 0), ev.describe(num(float64(i)), 0))
		args[i] = &Abstract{kind: callseq.Unknown, flows: fl, path: "argument " + strconv.Itoa(i) + " of " + d.name}
	}
	if f.code != nil {
		ev.pos = f.code.Start
	}
	ev.act = &activation{mod: f.mod, layer: f.layer, unit: unitOf(f, &activation{})}
	if d.cls {
		v := ev.construct(d.fn, args, d.fn)
		if o, ok := v.(*Object); ok {
			ev.realm.instances[d.fn] = o
		}
	} else {
		v := ev.call(d.fn, d.this, args)
		if o, ok := v.(*Object); ok && o.fn != nil && o.fn.code != nil { // a factory: call what it made
			ev.escape(o, nil)
		} else if ok {
			ev.escape(v, nil)
		}
	}
	ev.drain()
	ev.act, ev.f = nil, nil
}

func paramCount(f *js.Func) int { return len(f.Code().Params) }

// driveUncalled runs the closures that nothing has called so far: handlers put into containers, methods of private classes.
func (ev *evaluator) driveUncalled() {
	ev.phase = callseq.PhaseCall
	left := ev.opt.Steps / 60
	n := 0
	for i := 0; i < len(ev.closures); i++ {
		o := ev.closures[i]
		f := o.fn
		if f.code == nil || ev.ran[f.code] || !ev.interesting(f.code) {
			continue
		}
		if n++; n > unrunDriven || left <= 0 {
			ev.skip("not every function was called", false)
			break
		}
		ev.steps = min(patience(f.code), left)
		before := ev.steps
		ev.entry = "uncalled"
		ev.guarded("function "+f.name, func() {
			this := Value(&Object{class: classPlain, proto: ev.realm.object, weak: true, born: ev.jseq})
			if f.home != nil {
				this = ev.instance(nil, f.home)
			}
			args := make([]Value, min(paramCount(f.code), 8))
			for j := range args {
				args[j] = &Abstract{kind: callseq.Unknown, path: "arg" + strconv.Itoa(j)}
			}
			ev.act = &activation{mod: f.mod, layer: f.layer, unit: unitOf(f, &activation{})}
			ev.call(o, this, args)
			ev.drain()
			ev.act, ev.f = nil, nil
		})
		left -= before - max(ev.steps, 0)
	}
	ev.closures = nil
}

// made remembers a closure so that driveUncalled finds it.
func (ev *evaluator) made(o *Object) {
	if len(ev.closures) < 1<<18 && o.fn.code != nil && ev.branchDepth < 8 {
		if i := ev.infos[o.fn.code]; i == nil {
			ev.info(o.fn.code)
			ev.closures = append(ev.closures, o)
		}
	}
}

// unreached evaluates the files that no entry reaches, if they hold anything of interest: they run only when something else starts them.
func (ev *evaluator) unreached() {
	left := ev.opt.Steps / 60
	for _, m := range ev.program.Modules {
		if ev.everLoaded[m] || m.Kind != js.KindCommonJS && m.Kind != js.KindESM || !telling(m.Text()) {
			continue
		}
		if left <= 0 {
			ev.skip("not every unused file was evaluated", false)
			return
		}
		if _, err := m.Unit(); err != nil {
			continue
		}
		ev.startProcess(callseq.PhaseUnused, 1)
		ev.entry = m.Path
		ev.steps = min(left, 1_000_000)
		before := ev.steps
		if ev.opt.Progress != nil {
			ev.opt.Progress(m.Path)
		}
		ev.guarded(m.Path, func() { ev.load(m); ev.drain() })
		left -= before - max(ev.steps, 0)
		m.Release()
	}
}

// telling reports that a text names something by which code can act on the outside. It only saves time on files that nothing starts.
func telling(s string) bool {
	for _, w := range tellingWords {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

var tellingWords = []string{"child_process", "http", "process.env", "fetch(", "eval(", "Function(", "net", "dns", "exec(", "spawn", "XMLHttpRequest", "WebSocket", "_0x", "\\x", "fromCharCode", "atob", "process[", "global[", "globalThis[", "require("}
