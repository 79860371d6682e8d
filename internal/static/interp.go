package static

import (
	"math"
	"math/big"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// completion is how a statement ended.
type completion uint8

const (
	normal completion = iota
	broke
	continued
	returned
	threw
)

// thrown is a JavaScript exception on its way; abort ends the whole run of an entry.
type (
	thrown struct{ v Value }
	abort  struct{ why string }
)

const (
	maxDepth       = 260     // nested calls, then a RangeError, as an engine has
	maxBranchDepth = 24      // nested unknown conditions kept apart
	maxTurns       = 4 << 20 // turns of one concrete loop
	unknownTurns   = 2       // turns of a loop whose condition is unknown
	waitTurns      = 4096    // turns of a loop without a counter that asks the outside at each
	longWait       = 150_000 // turns of any loop without a counter: decoders that long count
	shortWait      = 16      // turns of one that was given up before
)

func (ev *evaluator) tick() {
	if ev.steps--; ev.steps&(1<<20-1) == 0 || ev.steps < 0 {
		ev.checkSteps()
	}
}

// state is what a caught exception must put back.
type state struct {
	f      *frame
	act    *activation
	depth  int
	cause  callseq.ID
	guards int
	try    int
	branch int
	nest   int
}

func (ev *evaluator) save() state {
	return state{ev.f, ev.act, ev.depth, ev.cause, len(ev.guards), ev.try, ev.branchDepth, ev.nest}
}

func (ev *evaluator) restore(s state) {
	ev.f, ev.act, ev.depth, ev.cause, ev.try, ev.branchDepth, ev.nest = s.f, s.act, s.depth, s.cause, s.try, s.branch, s.nest
	ev.cutGuards(s.guards)
}

func (ev *evaluator) throw(name, message string) {
	panic(ev.thrown(ev.newError(name, message)))
}

// unwinding says what a panic on its way up the Go stack stands for. Deferred functions look at it before they recover, so that
// one they do not mean is never recovered and raised again, which would cost more with every level.
type unwinding uint8

const (
	nothingUnwinds unwinding = iota // or an abort, or our own fault: only guarded stops those
	exceptionUnwinds
	chainUnwinds
)

func (ev *evaluator) thrown(v Value) *thrown {
	ev.unwind = exceptionUnwinds
	return &thrown{v}
}

func (ev *evaluator) short() *shortCircuitT {
	ev.unwind = chainUnwinds
	return shortCircuit
}

func (ev *evaluator) cutGuards(n int) {
	if len(ev.guards) > n {
		ev.guards = ev.guards[:n]
	}
}

// --- frames

func (ev *evaluator) push(s *js.Scope) {
	ev.f = newFrame(len(s.Names), ev.f, s, ev.jseq)
}

func (f *frame) hop(n int32) *frame {
	for ; n > 0 && f != nil; n-- {
		f = f.up
	}
	return f
}

func (ev *evaluator) setSlot(f *frame, slot int, v Value) {
	if f.born <= ev.jmark {
		ev.logSlot(f, slot)
	}
	f.slots[slot] = v
}

// --- statements

func (ev *evaluator) block(b *js.Block) completion {
	if b.Scope != nil {
		old := ev.f
		ev.push(b.Scope)
		c := ev.blockIn(b)
		ev.f = old
		return c
	}
	ev.owns(b)
	return ev.blockIn(b)
}

func (ev *evaluator) blockIn(b *js.Block) completion {
	ev.hoist(b)
	return ev.stmts(b.Stmts)
}

func (ev *evaluator) hoist(b *js.Block) {
	for i := range b.Funcs {
		ev.bind(b.Funcs[i].Target, ev.closure(b.Funcs[i].Fn))
	}
}

func (ev *evaluator) stmts(list []js.Stmt) completion {
	for _, s := range list {
		if c := ev.stmt(s); c != normal {
			return c
		}
	}
	return normal
}

func (ev *evaluator) stmt(s js.Stmt) completion {
	ev.tick()
	switch d := s.(type) {
	case *js.ExprStmt:
		ev.eval(d.X)
	case *js.Decl:
		if d.Init != nil {
			v := ev.evalNamed(d.Init, d.Target)
			ev.bind(d.Target, v)
		} else if d.Kind != js.DeclVar {
			ev.bind(d.Target, nil)
		}
	case *js.ClassDecl:
		ev.bind(d.Target, ev.class(d.Class))
	case *js.Return:
		ev.ret = nil
		if d.X != nil {
			ev.ret = ev.eval(d.X)
		}
		return returned
	case *js.If:
		t := ev.eval(d.Test)
		if v, ok := truth(t); ok {
			if v {
				return ev.stmt(d.Yes)
			}
			if d.No != nil {
				return ev.stmt(d.No)
			}
			return normal
		}
		return ev.either(ev.guard(d.Test, t), func() completion {
			ev.assume(d.Test, true)
			return ev.stmt(d.Yes)
		}, func() completion {
			ev.assume(d.Test, false)
			if d.No == nil {
				return normal
			}
			return ev.stmt(d.No)
		})
	case *js.BlockStmt:
		return ev.block(d.Block)
	case *js.For:
		return ev.forLoop(d, "")
	case *js.ForIn:
		return ev.forIn(d, "")
	case *js.Throw:
		panic(ev.thrown(ev.eval(d.X)))
	case *js.Try:
		return ev.tryStmt(d)
	case *js.Switch:
		return ev.switchStmt(d)
	case *js.Label:
		var c completion
		switch b := d.Body.(type) {
		case *js.For:
			c = ev.forLoop(b, d.Name)
		case *js.ForIn:
			c = ev.forIn(b, d.Name)
		default:
			c = ev.stmt(d.Body)
		}
		if c == broke && ev.label == d.Name {
			ev.label = ""
			return normal
		}
		return c
	case *js.Break:
		ev.label = d.Label
		return broke
	case *js.Continue:
		ev.label = d.Label
		return continued
	case *js.With:
		obj := ev.eval(d.X)
		old := ev.f
		dyn := ev.dynamic
		ev.f = &frame{slots: make([]Value, len(d.Scope.Names)), up: old, scope: d.Scope, with: obj, born: ev.jseq}
		ev.dynamic, ev.hasWith = true, true
		c := ev.stmt(d.Body)
		ev.f, ev.dynamic = old, dyn
		return c
	}
	return normal
}

// turn runs a loop body once and says whether the loop ends, and how.
func (ev *evaluator) turn(body js.Stmt, label string) (stop bool, c completion) {
	depth := len(ev.guards)
	c = ev.stmt(body)
	if len(ev.guards) > depth && c != returned {
		ev.cutGuards(depth)
	}
	switch c {
	case broke:
		if ev.label != "" {
			return true, broke
		}
		return true, normal
	case continued:
		if ev.label == "" || ev.label == label {
			ev.label = ""
			return false, normal
		}
		return true, continued
	case returned, threw:
		return true, c
	}
	return false, normal
}

func (ev *evaluator) forLoop(d *js.For, label string) completion {
	old := ev.f
	defer func() { ev.f = old }()
	if d.Scope != nil {
		ev.push(d.Scope)
	}
	for _, s := range d.Init {
		ev.stmt(s)
	}
	if d.Test == nil || isTrue(d.Test) {
		if emptyBody(d.Body) && d.Update == nil {
			ev.hang(d.Pos())
			return normal
		}
	}
	outer := ev.mayLeave
	ev.mayLeave = false
	defer func() { ev.mayLeave = outer || ev.mayLeave }()
	open := 0
	ops := ev.unknownOps
	for n := 0; ; n++ {
		ev.tick()
		if d.Update == nil && (n > longWait || n > waitTurns && ev.unknownOps-ops >= n || n > shortWait && ev.waits[d]) {
			if !ev.waits[d] && isTrue(d.Test) {
				ev.skip("a loop that does not end", ev.entryReached())
			}
			ev.waits[d] = true
			return normal // it waits for what only the outside can bring about
		}
		if n > maxTurns {
			ev.hang(d.Pos())
			return normal
		}
		unknownTest := false
		var t Value
		if d.Test != nil && !(d.Post && n == 0) {
			t = ev.eval(d.Test)
			v, ok := truth(t)
			if ok && !v {
				return normal
			}
			unknownTest = !ok
		}
		if unknownTest || ev.mayLeave {
			if open++; open > unknownTurns {
				return normal
			}
		}
		if unknownTest {
			stop, c := false, completion(normal)
			k := ev.either(ev.guard(d.Test, t), func() completion {
				stop, c = ev.turn(d.Body, label)
				if c == normal && stop {
					return broke
				}
				return c
			}, nil)
			if k != normal {
				return k
			}
			if stop {
				return normal
			}
		} else if stop, c := ev.turn(d.Body, label); stop {
			return c
		}
		if d.Scope != nil { // a fresh copy of the head's bindings for every turn
			f := &frame{slots: append([]Value(nil), ev.f.slots...), up: ev.f.up, scope: ev.f.scope, born: ev.jseq}
			ev.f = f
		}
		if d.Update != nil {
			ev.eval(d.Update)
		}
	}
}

func isTrue(e js.Expr) bool {
	switch x := e.(type) {
	case *js.Bool:
		return x.V
	case *js.Num:
		return x.V != 0
	case *js.Unary:
		if x.Op == js.OpNot {
			switch y := x.X.(type) {
			case *js.Array, *js.Object:
				return false
			case *js.Unary:
				if y.Op == js.OpNot {
					switch y.X.(type) {
					case *js.Array, *js.Object:
						return true
					}
				}
			}
		}
	}
	return false
}

func emptyBody(s js.Stmt) bool {
	b, ok := s.(*js.BlockStmt)
	return s == nil || ok && len(b.Stmts) == 0
}

func (ev *evaluator) forIn(d *js.ForIn, label string) completion {
	x := ev.eval(d.X)
	var items []Value
	open := false
	if d.Of {
		items, open = ev.iterate(x, maxTurns)
	} else {
		items, open = ev.enumerate(x)
	}
	old := ev.f
	defer func() { ev.f = old }()
	outer := ev.mayLeave
	ev.mayLeave = false
	defer func() { ev.mayLeave = outer || ev.mayLeave }()
	one := func(it Value) (bool, completion) {
		ev.f = old
		if d.Scope != nil {
			ev.push(d.Scope)
		}
		if d.Await {
			it = ev.await(it)
		}
		ev.bind(d.Target, it)
		return ev.turn(d.Body, label)
	}
	for _, it := range items {
		ev.tick()
		if stop, c := one(it); stop {
			return c
		}
	}
	if open {
		var item Value = unknown(callseq.Unknown, deep(x))
		if !d.Of {
			item = unknown(callseq.String, own(x))
		}
		if items, ok := item.(*Abstract); ok {
			items.path = pathOf(x)
			if items.path != "" {
				items.path += "[]"
			}
		}
		k := ev.either(ev.guard(d.X, x), func() completion {
			_, c := one(item)
			return c
		}, nil)
		if k != normal && k != continued {
			return k
		}
	}
	return normal
}

func (ev *evaluator) tryStmt(d *js.Try) (c completion) {
	c, caught := ev.tryBlock(d)
	if d.Finally != nil {
		r, l := ev.ret, ev.label
		if k := ev.block(d.Finally); k != normal {
			return k
		}
		ev.ret, ev.label = r, l
	}
	if caught != nil {
		panic(ev.thrown(caught.v))
	}
	return c
}

// tryBlock runs the body and, if something was thrown or might have been, the handler.
func (ev *evaluator) tryBlock(d *js.Try) (c completion, out *thrown) {
	calls := len(ev.trace.Calls) + ev.unknownOps
	c, t := ev.protect(func() completion { return ev.block(d.Body) })
	if t == nil && c == threw {
		t = &thrown{ev.lastThrown}
	}
	if t != nil {
		if d.Catch == nil {
			return normal, t
		}
		return ev.catch(d, t.v)
	}
	// What the body asked of the outside may have failed.
	if d.Catch != nil && len(ev.trace.Calls)+ev.unknownOps > calls && len(d.Catch.Stmts) > 0 {
		ret, label, pend := ev.ret, ev.label, len(ev.act.pending)
		g := callseq.Guard{Cond: ev.nextCond(), Text: "an exception in the try block"}
		var ct *thrown
		ev.either(g, func() completion {
			k, t := ev.catch(d, unknown(callseq.Object, nil))
			ct = t
			return k
		}, nil)
		_ = ct
		_ = pend
		ev.ret, ev.label = ret, label
	}
	return c, nil
}

func (ev *evaluator) catch(d *js.Try, v Value) (completion, *thrown) {
	old := ev.f
	defer func() { ev.f = old }()
	return ev.protect(func() completion {
		if d.Catch.Scope != nil {
			ev.push(d.Catch.Scope)
		}
		if d.Param != nil {
			ev.bind(d.Param, v)
		}
		ev.owns(d.Catch)
		return ev.blockIn(d.Catch)
	})
}

// protect runs f and catches a JavaScript exception.
func (ev *evaluator) protect(f func() completion) (c completion, t *thrown) {
	st := ev.save()
	ev.try++
	defer func() {
		ev.try = st.try
		if ev.unwind == exceptionUnwinds {
			if x, ok := recover().(*thrown); ok {
				ev.unwind = nothingUnwinds
				ev.restore(st)
				c, t = normal, x
			}
		}
	}()
	c = f()
	return c, nil
}

func (ev *evaluator) switchStmt(d *js.Switch) completion {
	x := ev.eval(d.X)
	old := ev.f
	defer func() { ev.f = old }()
	if d.Block != nil {
		if d.Block.Scope != nil {
			ev.push(d.Block.Scope)
		}
		ev.owns(d.Block)
		ev.hoist(d.Block)
	}
	start := -1
	open := false
	for i := range d.Cases {
		if d.Cases[i].Test == nil {
			continue
		}
		eq, ok := ev.strictEqual(x, ev.eval(d.Cases[i].Test))
		if !ok {
			open = true
			break
		}
		if eq {
			start = i
			break
		}
	}
	if !open {
		if start < 0 {
			for i := range d.Cases {
				if d.Cases[i].Test == nil {
					start = i
				}
			}
			if start < 0 {
				return normal
			}
		}
		for i := start; i < len(d.Cases); i++ {
			switch c := ev.stmts(d.Cases[i].Body); {
			case c == broke && ev.label == "":
				return normal
			case c != normal:
				return c
			}
		}
		return normal
	}
	// Any case may be it: each with its fall-through, apart from one another.
	for i := range d.Cases {
		if len(d.Cases[i].Body) == 0 {
			continue
		}
		test := d.X
		if d.Cases[i].Test != nil {
			test = d.Cases[i].Test
		}
		c := ev.either(ev.guard(test, x), func() completion {
			for j := i; j < len(d.Cases) && j < i+4; j++ {
				switch c := ev.stmts(d.Cases[j].Body); {
				case c == broke && ev.label == "":
					return normal
				case c != normal:
					return c
				}
			}
			return normal
		}, nil)
		if c != normal {
			return c
		}
	}
	return normal
}

// --- binding and assignment

func (ev *evaluator) bind(p js.Pattern, v Value) {
	switch d := p.(type) {
	case *js.Ident:
		f := ev.f.hop(d.Hops)
		if f == nil || int(d.Slot) >= len(f.slots) {
			return
		}
		ev.setSlot(f, int(d.Slot), v)
	case *js.Global:
		ev.setGlobal(d.Name, v)
	case *js.Member:
		ev.assignMember(d, v)
	case *js.Index:
		ev.setIndex(ev.eval(d.X), ev.eval(d.I), v)
	case *js.ArrayPat:
		if a, ok := v.(*Abstract); ok && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 {
			v = ev.zip(a, len(d.Items))
		}
		items, open := ev.iterate(v, len(d.Items)+64)
		for i, it := range d.Items {
			if it.Target == nil {
				continue
			}
			var x Value
			switch {
			case d.Rest && i == len(d.Items)-1:
				rest := ev.array(append([]Value(nil), items[min(i, len(items)):]...))
				if open {
					rest.weak, rest.flows = true, deep(v)
				}
				x = rest
			case i < len(items):
				x = items[i]
			case open:
				x = ev.index(v, num(float64(i)))
				if x == nil {
					x = unknown(callseq.Unknown, deep(v))
				}
			}
			ev.bindDefault(it.Target, x, it.Default)
		}
	case *js.ObjectPat:
		used := map[string]bool{}
		for _, pr := range d.Props {
			var x Value
			if pr.Computed != nil {
				k := ev.eval(pr.Computed)
				if key, ok := ev.propKey(k); ok {
					used[key] = true
				}
				x = ev.index(v, k)
			} else {
				used[pr.Name] = true
				x = ev.get(v, pr.Name)
			}
			ev.readCall(v, pr.Name, pr.Pos)
			ev.bindDefault(pr.Target, x, pr.Default)
		}
		if d.Rest != nil {
			ev.bind(d.Rest, ev.restOf(v, used))
		}
	}
}

// zip makes one list of a value that is one of several lists: each place holds what any of them has there.
func (ev *evaluator) zip(a *Abstract, n int) Value {
	out := make([]Value, n)
	for k, alt := range a.alts {
		items, open := ev.iterate(alt, n)
		for i := range out {
			var x Value
			switch {
			case i < len(items):
				x = items[i]
			case open:
				if x = ev.index(alt, num(float64(i))); x == nil {
					x = unknown(callseq.Unknown, deep(alt))
				}
			}
			if k == 0 {
				out[i] = x
			} else {
				out[i] = join(out[i], x)
			}
		}
	}
	list := ev.array(out)
	list.weak, list.flows = true, a.flows
	return list
}

func (ev *evaluator) restOf(v Value, used map[string]bool) Value {
	o, ok := v.(*Object)
	if !ok {
		return v
	}
	out := ev.object()
	out.weak, out.flows = o.weak, o.flows
	for _, k := range o.keys() {
		if !used[k] {
			out.put(k, ev.get(o, k))
		}
	}
	return out
}

func (ev *evaluator) bindDefault(p js.Pattern, x Value, def js.Expr) {
	if def != nil {
		if x == nil {
			x = ev.evalNamed(def, p)
		} else if a, ok := x.(*Abstract); ok && a.known == nil && !a.host && mayBeUndefined(a) {
			x = join(x, ev.evalNamed(def, p))
		}
	}
	ev.bind(p, x)
}

func mayBeUndefined(a *Abstract) bool {
	if len(a.alts) > 0 {
		for _, v := range a.alts {
			if v == nil {
				return true
			}
		}
		return false
	}
	return a.kind == callseq.Unknown
}

func (ev *evaluator) assignMember(d *js.Member, v Value) {
	if _, ok := d.X.(*js.Super); ok {
		ev.set(ev.thisValue(), d.Name, v)
		return
	}
	x := ev.eval(d.X)
	ev.pos = d.At.Pos()
	ev.set(x, d.Name, v)
}

// --- expressions

func (ev *evaluator) eval(e js.Expr) Value {
	ev.tick()
	switch d := e.(type) {
	case *js.Ident:
		f := ev.f.hop(d.Hops)
		if f == nil || int(d.Slot) >= len(f.slots) {
			return nil
		}
		if ev.dynamic {
			if v, ok := ev.dynLookup(d.Name, f); ok {
				return v
			}
		}
		return f.slots[d.Slot]
	case *js.Str:
		return d.V
	case *js.Num:
		return num(d.V)
	case *js.Member:
		return ev.member(d)
	case *js.Index:
		if _, ok := d.X.(*js.Super); ok {
			return ev.superGet(ev.eval(d.I))
		}
		x := ev.eval(d.X)
		if d.Optional {
			if nothing(x) {
				panic(ev.short())
			}
		}
		i := ev.eval(d.I)
		ev.pos = d.At.Pos()
		v := ev.index(x, i)
		if isHost(x) {
			if key, ok := ev.propKey(i); ok {
				v = ev.readHost(x, key, v, d.At.Pos())
			}
		}
		return v
	case *js.Call:
		return ev.callExpr(d)
	case *js.Binary:
		return ev.binary(d)
	case *js.Assign:
		return ev.assign(d)
	case *js.Logical:
		return ev.logical(d)
	case *js.Cond:
		t := ev.eval(d.Test)
		if v, ok := truth(t); ok {
			if v {
				return ev.eval(d.Yes)
			}
			return ev.eval(d.No)
		}
		return ev.eitherValue(d.Test, t, func() Value { return ev.eval(d.Yes) }, func() Value { return ev.eval(d.No) })
	case *js.Unary:
		return ev.unary(d)
	case *js.Update:
		return ev.update(d)
	case *js.Global:
		return ev.global(d.Name, d.At.Pos())
	case *js.ImportRef:
		return ev.importValue(d.Index)
	case *js.This:
		return ev.thisValue()
	case *js.Bool:
		return d.V
	case *js.Undefined:
		return nil
	case *js.Null:
		return null{}
	case *js.Object:
		return ev.objectLit(d)
	case *js.Array:
		vs := make([]Value, 0, len(d.Items))
		var open flows
		weak := false
		for _, it := range d.Items {
			switch x := it.(type) {
			case nil:
				vs = append(vs, hole{})
			case *js.Spread:
				src := ev.eval(x.X)
				items, o := ev.iterate(src, maxTurns)
				vs = append(vs, items...)
				if o {
					weak = true
					open = open.union(deep(src))
					vs = append(vs, unknown(callseq.Unknown, deep(src)))
				}
			default:
				vs = append(vs, ev.eval(it))
			}
		}
		a := ev.array(vs)
		a.weak, a.flows = weak, open
		return a
	case *js.FuncExpr:
		return ev.closure(d.Fn)
	case *js.ClassExpr:
		return ev.class(d.Class)
	case *js.New:
		return ev.newExpr(d)
	case *js.Seq:
		var v Value
		for _, x := range d.List {
			v = ev.eval(x)
		}
		return v
	case *js.Template:
		return ev.template(d)
	case *js.Chain:
		return ev.chain(d)
	case *js.Regexp:
		return ev.newRegExp(d.Source, d.Flags)
	case *js.BigInt:
		if n, ok := new(big.Int).SetString(d.Text, 0); ok {
			return n
		}
		return unknown(callseq.Number, nil)
	case *js.Await:
		return ev.await(ev.eval(d.X))
	case *js.Yield:
		return ev.yield(d)
	case *js.DynImport:
		return ev.dynImport(d)
	case *js.Spread:
		return ev.eval(d.X)
	case *js.NewTarget:
		return ev.act.newTarget
	case *js.ImportMeta:
		return ev.importMeta()
	case *js.Super:
		return ev.thisValue()
	}
	return unknown(callseq.Unknown, nil)
}

// evalNamed evaluates an initialiser; an anonymous function takes the name of what it is bound to.
func (ev *evaluator) evalNamed(e js.Expr, p js.Pattern) Value {
	v := ev.eval(e)
	if o, ok := v.(*Object); ok && o.fn != nil && o.fn.name == "" {
		switch e.(type) {
		case *js.FuncExpr, *js.ClassExpr:
			switch d := p.(type) {
			case *js.Ident:
				o.fn.name = d.Name
			case *js.Global:
				o.fn.name = d.Name
			}
		}
	}
	return v
}

type shortCircuitT struct{}

var shortCircuit = &shortCircuitT{}

// nothing reports undefined or null.
func nothing(v Value) bool {
	switch x := v.(type) {
	case nil, null:
		return true
	case *Abstract:
		return x.known != nil && nothing(x.known)
	}
	return false
}

func (ev *evaluator) chain(d *js.Chain) (v Value) {
	st := ev.save()
	defer func() {
		if ev.unwind == chainUnwinds {
			recover()
			ev.unwind = nothingUnwinds
			ev.restore(st)
			v = nil
		}
	}()
	return ev.eval(d.X)
}

func (ev *evaluator) member(d *js.Member) Value {
	if _, ok := d.X.(*js.Super); ok {
		return ev.superGet(d.Name)
	}
	x := ev.eval(d.X)
	if d.Optional && nothing(x) {
		panic(ev.short())
	}
	ev.pos = d.At.Pos()
	v := ev.get(x, d.Name)
	if isHost(x) {
		v = ev.readHost(x, d.Name, v, d.At.Pos())
	}
	return v
}

func (ev *evaluator) eitherValue(test js.Expr, t Value, yes, no func() Value) Value {
	var a, b Value
	aOK, bOK := false, false
	ev.either(ev.guard(test, t), func() completion {
		ev.assume(test, true)
		a = yes()
		aOK = true
		return normal
	}, func() completion {
		ev.assume(test, false)
		b = no()
		bOK = true
		return normal
	})
	switch {
	case aOK && bOK:
		return join(a, b)
	case aOK:
		return a
	case bOK:
		return b
	}
	return unknown(callseq.Unknown, nil)
}

func (ev *evaluator) logical(d *js.Logical) Value {
	l := ev.eval(d.L)
	if d.Op == js.OpNullish {
		if nothing(l) {
			return ev.eval(d.R)
		}
		a, ok := l.(*Abstract)
		if !ok || a.known != nil || a.host || !mayBeUndefined(a) {
			return l
		}
		r := ev.eval(d.R)
		return join(l, r)
	}
	v, ok := truth(l)
	if ok {
		if v == (d.Op == js.OpAnd) {
			return ev.eval(d.R)
		}
		return l
	}
	if simple(d.R) { // nothing happens in it: no branch to keep apart
		return ev.joinLogical(d.Op, l, ev.eval(d.R))
	}
	return ev.eitherValue(d.L, l, func() Value {
		if d.Op == js.OpAnd {
			return ev.eval(d.R)
		}
		return l
	}, func() Value {
		if d.Op == js.OpAnd {
			return l
		}
		return ev.eval(d.R)
	})
}

// joinLogical drops from `x || y` and `x && y` the values that cannot come out.
func (ev *evaluator) joinLogical(op js.Op, l, r Value) Value {
	if a, ok := l.(*Abstract); ok && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 {
		var out joined
		for _, v := range a.alts {
			if t, known := truth(v); known && t == (op == js.OpAnd) {
				continue
			}
			out.add(v)
		}
		out.add(r)
		return out.value()
	}
	return join(l, r)
}

func simple(e js.Expr) bool {
	switch x := e.(type) {
	case *js.Str, *js.Num, *js.Bool, *js.Null, *js.Undefined, *js.Ident, *js.This, *js.FuncExpr, *js.Regexp:
		return true
	case *js.Array:
		return len(x.Items) == 0
	case *js.Object:
		return len(x.Props) == 0
	case *js.Member:
		_, ok := x.X.(*js.Ident)
		return ok
	case *js.Unary:
		return x.Op != js.OpDelete && simple(x.X)
	case *js.Binary:
		return simple(x.L) && simple(x.R)
	case *js.Logical:
		return simple(x.L) && simple(x.R)
	}
	return false
}

func (ev *evaluator) unary(d *js.Unary) Value {
	switch d.Op {
	case js.OpTypeof:
		if g, ok := d.X.(*js.Global); ok {
			return ev.typeofGlobal(g)
		}
		return typeOf(ev.eval(d.X))
	case js.OpDelete:
		switch x := d.X.(type) {
		case *js.Member:
			o := ev.eval(x.X)
			ev.deleteProp(o, x.Name)
			ev.deletedHost(o, x.Name, d.At.Pos())
		case *js.Index:
			o, k := ev.eval(x.X), ev.eval(x.I)
			ev.deleteProp(o, k)
		default:
			ev.eval(d.X)
		}
		return true
	}
	x := ev.eval(d.X)
	switch d.Op {
	case js.OpNot:
		if v, ok := truth(x); ok {
			return tainted(!v, primitiveFlows(x))
		}
		return unknown(callseq.Bool, own(x))
	case js.OpVoid:
		return nil
	}
	if n, ok := plain(x).(*big.Int); ok {
		switch d.Op {
		case js.OpMinus:
			return new(big.Int).Neg(n)
		case js.OpBitNot:
			return new(big.Int).Not(n)
		}
	}
	f, ok := ev.toNumber(x)
	if !ok {
		return unknown(callseq.Number, own(x))
	}
	switch d.Op {
	case js.OpMinus:
		f = -f
	case js.OpBitNot:
		f = float64(^toInt32(f))
	}
	return tainted(num(f), primitiveFlows(x))
}

func primitiveFlows(v Value) flows {
	if a, ok := v.(*Abstract); ok && a.known != nil {
		return a.flows
	}
	return nil
}

func (ev *evaluator) update(d *js.Update) Value {
	old := ev.eval(d.Target.(js.Expr))
	var next Value
	if n, ok := plain(old).(*big.Int); ok {
		one := big.NewInt(1)
		if d.Op == js.OpDec {
			one.SetInt64(-1)
		}
		next = new(big.Int).Add(n, one)
	} else if f, ok := ev.toNumber(old); ok {
		old = tainted(num(f), primitiveFlows(old))
		if d.Op == js.OpInc {
			f++
		} else {
			f--
		}
		next = tainted(num(f), primitiveFlows(old))
	} else {
		next = unknown(callseq.Number, own(old))
	}
	ev.bind(d.Target, next)
	if d.Prefix {
		return next
	}
	return old
}

func (ev *evaluator) assign(d *js.Assign) Value {
	if d.Op == js.OpNone {
		// The object of a member target is evaluated before the value.
		switch t := d.Target.(type) {
		case *js.Member:
			if _, ok := t.X.(*js.Super); !ok {
				x := ev.eval(t.X)
				v := ev.eval(d.Value)
				ev.pos = t.At.Pos()
				ev.set(x, t.Name, v)
				return v
			}
		case *js.Index:
			x, i := ev.eval(t.X), ev.eval(t.I)
			v := ev.eval(d.Value)
			ev.pos = t.At.Pos()
			ev.setIndex(x, i, v)
			return v
		}
		v := ev.evalNamed(d.Value, d.Target)
		ev.bind(d.Target, v)
		return v
	}
	old := ev.eval(d.Target.(js.Expr))
	var v Value
	switch d.Op {
	case js.OpAnd, js.OpOr, js.OpNullish:
		t, ok := truth(old)
		if d.Op == js.OpNullish {
			t, ok = !nothing(old), !isUnknown(old)
		}
		if ok {
			if t != (d.Op == js.OpAnd) {
				return old
			}
			v = ev.eval(d.Value)
		} else {
			v = ev.joinLogical(d.Op, old, ev.eval(d.Value))
		}
	default:
		v = ev.operate(d.Op, old, ev.eval(d.Value))
	}
	ev.bind(d.Target, v)
	return v
}

func (ev *evaluator) binary(d *js.Binary) Value {
	l := ev.eval(d.L)
	r := ev.eval(d.R)
	return ev.operate(d.Op, l, r)
}

func (ev *evaluator) operate(op js.Op, l, r Value) Value {
	// The common cases first: both plain.
	switch a := l.(type) {
	case float64:
		if b, ok := r.(float64); ok {
			return numeric(op, a, b)
		}
	case string:
		if b, ok := r.(string); ok {
			switch op {
			case js.OpAdd:
				return ev.concat(a, b)
			case js.OpSEq, js.OpEq:
				return a == b
			case js.OpSNe, js.OpNe:
				return a != b
			}
		}
	}
	switch op {
	case js.OpAdd:
		return ev.add(l, r)
	case js.OpSEq, js.OpSNe:
		eq, ok := ev.strictEqual(l, r)
		if !ok {
			return unknown(callseq.Bool, own(l).union(own(r)))
		}
		return eq == (op == js.OpSEq)
	case js.OpEq, js.OpNe:
		eq, ok := ev.looseEqual(l, r)
		if !ok {
			return unknown(callseq.Bool, own(l).union(own(r)))
		}
		return eq == (op == js.OpEq)
	case js.OpIn:
		if o, ok := r.(*Object); ok {
			if key, ok := ev.propKey(l); ok && !o.weak && o.class != classProxy {
				if i, isIdx := arrayIndex(key); isIdx && (o.class == classArray || o.class == classArguments) {
					return i < len(o.arr)
				}
				if o.find(key) != nil {
					return true
				}
				if ev.hostBase(o) == nil {
					return o.class == classArray && key == "length"
				}
			}
		}
		return unknown(callseq.Bool, own(r))
	case js.OpInstanceof:
		return ev.instanceOf(l, r)
	}
	if a, b := plainBig(l), plainBig(r); a != nil && b != nil {
		return bigOp(op, a, b)
	}
	if cmp := op == js.OpLt || op == js.OpLe || op == js.OpGt || op == js.OpGe; cmp {
		a, aok := plain(l).(string)
		b, bok := plain(r).(string)
		if aok && bok {
			c := compareUTF16(a, b)
			res := false
			switch op {
			case js.OpLt:
				res = c < 0
			case js.OpLe:
				res = c <= 0
			case js.OpGt:
				res = c > 0
			case js.OpGe:
				res = c >= 0
			}
			return tainted(res, primitiveFlows(l).union(primitiveFlows(r)))
		}
		x, xok := ev.toNumber(l)
		y, yok := ev.toNumber(r)
		if !xok || !yok {
			return unknown(callseq.Bool, own(l).union(own(r)))
		}
		return tainted(numeric(op, x, y), primitiveFlows(l).union(primitiveFlows(r)))
	}
	x, xok := ev.toNumber(l)
	y, yok := ev.toNumber(r)
	if !xok || !yok {
		if v, ok := ev.eachAlt(op, l, r); ok {
			return v
		}
		fl := own(l).union(own(r))
		if op == js.OpBitXor {
			fl = fl.via(callseq.Decode)
		}
		return unknown(callseq.Number, fl)
	}
	fl := primitiveFlows(l).union(primitiveFlows(r))
	if op == js.OpBitXor {
		fl = fl.via(callseq.Decode)
	}
	return tainted(numeric(op, x, y), fl)
}

// eachAlt applies an operator to every alternative of a value that is one of a few.
func (ev *evaluator) eachAlt(op js.Op, l, r Value) (Value, bool) {
	if a, ok := l.(*Abstract); ok && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 && !isUnknown(r) {
		var out joined
		for _, v := range a.alts {
			if isUnknown(v) {
				return nil, false
			}
			out.add(ev.operate(op, v, r))
		}
		return out.value(), true
	}
	if a, ok := r.(*Abstract); ok && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 && !isUnknown(l) {
		var out joined
		for _, v := range a.alts {
			if isUnknown(v) {
				return nil, false
			}
			out.add(ev.operate(op, l, v))
		}
		return out.value(), true
	}
	return nil, false
}

func plainBig(v Value) *big.Int {
	b, _ := plain(v).(*big.Int)
	return b
}

func bigOp(op js.Op, a, b *big.Int) Value {
	z := new(big.Int)
	switch op {
	case js.OpSub:
		return z.Sub(a, b)
	case js.OpMul:
		if a.BitLen()+b.BitLen() > 1<<16 {
			return unknown(callseq.Number, nil)
		}
		return z.Mul(a, b)
	case js.OpDiv:
		if b.Sign() != 0 {
			return z.Quo(a, b)
		}
	case js.OpMod:
		if b.Sign() != 0 {
			return z.Rem(a, b)
		}
	case js.OpBitAnd:
		return z.And(a, b)
	case js.OpBitOr:
		return z.Or(a, b)
	case js.OpBitXor:
		return z.Xor(a, b)
	case js.OpShl, js.OpShr:
		n := b.Int64()
		if !b.IsInt64() || n < -1<<16 || n > 1<<16 {
			return unknown(callseq.Number, nil)
		}
		if op == js.OpShr {
			n = -n
		}
		if n >= 0 {
			return z.Lsh(a, uint(n))
		}
		return z.Rsh(a, uint(-n))
	case js.OpPow:
		if b.IsInt64() && b.Int64() >= 0 && int64(a.BitLen())*b.Int64() < 1<<16 {
			return z.Exp(a, b, nil)
		}
	case js.OpLt:
		return a.Cmp(b) < 0
	case js.OpLe:
		return a.Cmp(b) <= 0
	case js.OpGt:
		return a.Cmp(b) > 0
	case js.OpGe:
		return a.Cmp(b) >= 0
	}
	return unknown(callseq.Number, nil)
}

func numeric(op js.Op, a, b float64) Value {
	switch op {
	case js.OpAdd:
		return num(a + b)
	case js.OpSub:
		return num(a - b)
	case js.OpMul:
		return num(a * b)
	case js.OpDiv:
		return num(a / b)
	case js.OpMod:
		return num(jsMod(a, b))
	case js.OpPow:
		return num(math.Pow(a, b))
	case js.OpShl:
		return num(float64(toInt32(a) << (toUint32(b) & 31)))
	case js.OpShr:
		return num(float64(toInt32(a) >> (toUint32(b) & 31)))
	case js.OpUShr:
		return num(float64(toUint32(a) >> (toUint32(b) & 31)))
	case js.OpBitAnd:
		return num(float64(toInt32(a) & toInt32(b)))
	case js.OpBitOr:
		return num(float64(toInt32(a) | toInt32(b)))
	case js.OpBitXor:
		return num(float64(toInt32(a) ^ toInt32(b)))
	case js.OpEq, js.OpSEq:
		return a == b
	case js.OpNe, js.OpSNe:
		return a != b
	case js.OpLt:
		return a < b
	case js.OpLe:
		return a <= b
	case js.OpGt:
		return a > b
	case js.OpGe:
		return a >= b
	}
	return unknown(callseq.Unknown, nil)
}

func jsMod(a, b float64) float64 {
	if a >= 0 && b > 0 && a < 1<<52 && b < 1<<52 {
		if i, j := int64(a), int64(b); float64(i) == a && float64(j) == b {
			return float64(i % j)
		}
	}
	return math.Mod(a, b)
}

// strictEqual is ===; ok is false when it is open.
func (ev *evaluator) strictEqual(l, r Value) (eq, ok bool) {
	a, b := plain(l), plain(r)
	x, xa := a.(*Abstract)
	y, ya := b.(*Abstract)
	if xa || ya {
		if xa && ya {
			if x == y || x.host && y.host && x.path == y.path && x.made == y.made {
				return true, x.host || len(x.alts) == 0
			}
			return false, false
		}
		if ya {
			x, b = y, a
		}
		return ev.equalAbstract(x, b)
	}
	return sameStrict(a, b), true
}

func sameStrict(a, b Value) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case float64:
		y, ok := b.(float64)
		return ok && x == y
	case *big.Int:
		y, ok := b.(*big.Int)
		return ok && x.Cmp(y) == 0
	}
	return a == b
}

// equalAbstract compares something unknown with a known value: often its type or its pieces decide.
func (ev *evaluator) equalAbstract(x *Abstract, b Value) (eq, ok bool) {
	if len(x.alts) > 0 && len(x.parts) == 0 {
		yes, no := 0, 0
		for _, v := range x.alts {
			e, k := ev.strictEqual(v, b)
			if !k {
				return false, false
			}
			if e {
				yes++
			} else {
				no++
			}
		}
		return yes > 0, yes == 0 || no == 0
	}
	if x.host && (x.ns || x.kind == callseq.Func || x.kind == callseq.Object) || x.typ != "" && x.made != 0 {
		return false, true // an object of the outside is no value of ours
	}
	if x.kind != callseq.Unknown && x.kind != kindOf(b) {
		if (b == nil || b == Value(null{})) && len(x.flows) > 0 && len(x.parts) == 0 {
			return false, false // what the outside gives may be missing
		}
		return false, true
	}
	if s, isStr := b.(string); isStr && len(x.parts) > 0 {
		if f := x.parts[0]; f.hole == nil && !(len(s) >= len(f.lit) && s[:len(f.lit)] == f.lit) {
			return false, true
		}
		if l := x.parts[len(x.parts)-1]; l.hole == nil && !(len(s) >= len(l.lit) && s[len(s)-len(l.lit):] == l.lit) {
			return false, true
		}
	}
	return false, false
}

func (ev *evaluator) looseEqual(l, r Value) (eq, ok bool) {
	a, b := plain(l), plain(r)
	an, bn := nothing(a), nothing(b)
	if an && bn {
		return true, true
	}
	if an || bn {
		o := a
		if an {
			o = b
		}
		if x, isA := o.(*Abstract); isA {
			if len(x.parts) > 0 || x.host && (x.ns || x.kind == callseq.Func || x.kind == callseq.Object) || x.typ != "" && x.made != 0 {
				return false, true
			}
			if len(x.alts) > 0 {
				return ev.equalLooseAlts(x, nil)
			}
			return false, false
		}
		return false, true
	}
	if isUnknown(a) || isUnknown(b) {
		if kindOf(a) == kindOf(b) {
			return ev.strictEqual(a, b)
		}
		return false, false
	}
	ao, aObj := a.(*Object)
	bo, bObj := b.(*Object)
	if aObj && bObj {
		return ao == bo, true
	}
	if as, is := a.(string); is {
		if bs, is := b.(string); is {
			return as == bs, true
		}
	}
	if aObj {
		p, ok := ev.primitive(ao, false)
		if !ok {
			return false, false
		}
		return ev.looseEqual(p, b)
	}
	if bObj {
		p, ok := ev.primitive(bo, false)
		if !ok {
			return false, false
		}
		return ev.looseEqual(a, p)
	}
	if _, is := a.(*Symbol); is {
		return a == b, true
	}
	if _, is := b.(*Symbol); is {
		return false, true
	}
	x, _ := number(a)
	y, _ := number(b)
	if n := plainBig(a); n != nil {
		x, _ = new(big.Float).SetInt(n).Float64()
	}
	if n := plainBig(b); n != nil {
		y, _ = new(big.Float).SetInt(n).Float64()
	}
	return x == y, true
}

func (ev *evaluator) equalLooseAlts(x *Abstract, b Value) (eq, ok bool) {
	yes, no := 0, 0
	for _, v := range x.alts {
		e, k := ev.looseEqual(v, b)
		if !k {
			return false, false
		}
		if e {
			yes++
		} else {
			no++
		}
	}
	return yes > 0, yes == 0 || no == 0
}

// primitive is ToPrimitive, running the package's own valueOf and toString.
func (ev *evaluator) primitive(o *Object, str bool) (Value, bool) {
	order := []string{"valueOf", "toString"}
	if str || o.class == classDate {
		order = []string{"toString", "valueOf"}
	}
	if p := o.find("@@toPrimitive"); p != nil {
		if f, ok := p.val.(*Object); ok && f.fn != nil {
			hint := "default"
			if str {
				hint = "string"
			}
			v := ev.call(f, o, []Value{hint})
			return v, !isUnknown(v)
		}
	}
	for _, name := range order {
		p := o.find(name)
		if p == nil {
			continue
		}
		f, ok := p.val.(*Object)
		if !ok || f.fn == nil {
			if isUnknown(p.val) {
				return nil, false
			}
			continue
		}
		if f.fn.native != nil {
			if name == "toString" {
				s, ok := objectText(o)
				if ok {
					return tainted(s, o.flows), true
				}
			}
			if name == "valueOf" {
				switch o.class {
				case classBoxed, classDate:
					return o.data, o.data != nil
				}
				continue
			}
		}
		v := ev.call(f, o, nil)
		if _, isObj := v.(*Object); !isObj {
			return v, true
		}
	}
	if s, ok := objectText(o); ok {
		return tainted(s, o.flows), true
	}
	return nil, false
}

// toText is ToString, running code if need be.
func (ev *evaluator) toText(v Value) (string, bool) {
	if o, ok := v.(*Object); ok {
		p, ok := ev.primitive(o, true)
		if !ok {
			return "", false
		}
		return text(p)
	}
	return text(v)
}

// toNumber is ToNumber, running code if need be.
func (ev *evaluator) toNumber(v Value) (float64, bool) {
	if o, ok := v.(*Object); ok {
		p, ok := ev.primitive(o, false)
		if !ok {
			return 0, false
		}
		return number(p)
	}
	return number(v)
}

// str converts to a string value that keeps flows and, when open, what is known of it.
func (ev *evaluator) str(v Value) Value {
	switch x := v.(type) {
	case string:
		return x
	case *Abstract:
		if x.known != nil {
			s, _ := text(x.known)
			return tainted(s, x.flows)
		}
		if len(x.parts) > 0 || x.kind == callseq.String {
			return x
		}
		if len(x.alts) > 0 {
			var out Value
			for i, a := range x.alts {
				s := ev.str(a)
				if i == 0 {
					out = s
				} else {
					out = join(out, s)
				}
			}
			return out
		}
		return &Abstract{kind: callseq.String, flows: deep(x), path: x.path}
	case *Object:
		p, ok := ev.primitive(x, true)
		if !ok {
			return unknown(callseq.String, deep(x))
		}
		if s, ok := text(p); ok {
			return tainted(s, deep(x).union(own(p)))
		}
		return ev.str(p)
	}
	s, _ := text(v)
	return s
}

func (ev *evaluator) add(l, r Value) Value {
	lp, rp := l, r
	if o, ok := l.(*Object); ok {
		if p, ok := ev.primitive(o, false); ok {
			lp = tainted(p, deep(o))
		} else {
			lp = unknown(callseq.String, deep(o))
		}
	}
	if o, ok := r.(*Object); ok {
		if p, ok := ev.primitive(o, false); ok {
			rp = tainted(p, deep(o))
		} else {
			rp = unknown(callseq.String, deep(o))
		}
	}
	a, b := plain(lp), plain(rp)
	_, as := a.(string)
	_, bs := b.(string)
	if !isUnknown(a) && !isUnknown(b) {
		fl := primitiveFlows(lp).union(primitiveFlows(rp))
		if as || bs {
			x, _ := text(a)
			y, _ := text(b)
			return tainted(ev.concat(x, y), fl)
		}
		if m, n := plainBig(a), plainBig(b); m != nil && n != nil {
			return tainted(new(big.Int).Add(m, n), fl)
		}
		x, _ := number(a)
		y, _ := number(b)
		return tainted(num(x+y), fl)
	}
	if !as && !bs && kindOf(a) != callseq.String && kindOf(b) != callseq.String {
		if v, ok := ev.eachAlt(js.OpAdd, lp, rp); ok {
			return v
		}
		if kindOf(a) == callseq.Number && kindOf(b) == callseq.Number {
			return unknown(callseq.Number, own(lp).union(own(rp)))
		}
	} else if v, ok := ev.eachAlt(js.OpAdd, lp, rp); ok {
		return v
	}
	return ev.partly(append(pieces(ev.str(lp)), pieces(ev.str(rp))...))
}

// pieces views any string value as parts.
func pieces(v Value) []part {
	switch x := v.(type) {
	case string:
		if x == "" {
			return nil
		}
		return []part{{lit: x}}
	case *Abstract:
		if s, ok := x.known.(string); ok {
			if len(x.flows) == 0 {
				return []part{{lit: s}}
			}
			return []part{{hole: x}}
		}
		if len(x.parts) > 0 {
			return x.parts
		}
		return []part{{hole: x}}
	}
	return []part{{hole: unknown(callseq.String, own(v))}}
}

// partly makes a string of pieces, merging literals and bounding their number.
func (ev *evaluator) partly(ps []part) Value {
	out := make([]part, 0, min(len(ps), maxParts+1))
	ev.steps -= int64(len(ps)) / 2
	var fl flows
	for _, p := range ps {
		if p.hole == nil && len(out) > 0 && out[len(out)-1].hole == nil {
			out[len(out)-1].lit += p.lit
			continue
		}
		if p.hole != nil {
			fl = fl.union(p.hole.flows)
			for _, a := range p.hole.alts {
				fl = fl.union(own(a))
			}
		}
		out = append(out, p)
	}
	if len(out) > maxParts {
		out = append(out[:maxParts-1:maxParts-1], part{hole: unknown(callseq.String, fl)})
	}
	return &Abstract{kind: callseq.String, flows: fl, parts: out}
}

func (ev *evaluator) template(d *js.Template) Value {
	if d.Tag != nil {
		return ev.taggedTemplate(d)
	}
	var v Value = d.Cooked[0]
	for i, x := range d.Exprs {
		v = ev.operate(js.OpAdd, v, ev.str(ev.eval(x)))
		if s := d.Cooked[i+1]; s != "" {
			v = ev.operate(js.OpAdd, v, s)
		}
	}
	return v
}

func (ev *evaluator) objectLit(d *js.Object) Value {
	o := ev.object()
	if n := len(d.Props); n > 0 {
		o.props = make([]prop, 0, n)
	}
	for i := range d.Props {
		p := &d.Props[i]
		if p.Kind == js.PropSpread {
			ev.copyProps(o, ev.eval(p.Value))
			continue
		}
		key := p.Name
		var open Value
		if p.Computed != nil {
			k := ev.eval(p.Computed)
			s, ok := ev.propKey(k)
			if !ok {
				open = k
			}
			key = s
		}
		var v Value
		if p.Value != nil {
			v = ev.eval(p.Value)
		}
		if f, ok := v.(*Object); ok && f.fn != nil && p.Kind != js.PropInit {
			f.fn.home = o
		}
		if f, ok := v.(*Object); ok && f.fn != nil && f.fn.name == "" {
			f.fn.name = key
		}
		if open != nil {
			ev.setIndex(o, open, v)
			continue
		}
		ev.define(o, key, p.Kind, v)
	}
	return o
}

func (ev *evaluator) define(o *Object, key string, kind js.PropKind, v Value) {
	f, _ := v.(*Object)
	switch kind {
	case js.PropGet, js.PropSet:
		p := o.own(key)
		if p == nil || p.get == nil && p.set == nil {
			o.remove(key)
			o.add(prop{key: key})
			p = o.own(key)
		}
		if kind == js.PropGet {
			p.get = f
		} else {
			p.set = f
		}
	default:
		if key == "__proto__" && kind == js.PropInit {
			if f != nil {
				o.proto = f
			} else if _, isNull := v.(null); isNull {
				o.proto = nil
			}
			return
		}
		o.put(key, v)
	}
}

// copyProps is what ...x and Object.assign do.
func (ev *evaluator) copyProps(o *Object, src Value) {
	switch s := src.(type) {
	case *Object:
		if s.weak {
			o.weak = true
			o.flows = o.flows.union(s.flows)
		}
		for _, k := range s.keys() {
			ev.setOn(o, k, ev.get(s, k), o)
		}
		for i := range s.props {
			if k := s.props[i].key; len(k) > 2 && k[:2] == "@@" && !s.props[i].hidden {
				ev.setOn(o, k, s.props[i].val, o)
			}
		}
	case string:
		for i := range utf16Len(s) {
			ev.setOn(o, formatNumber(float64(i)), charAt(s, i), o)
		}
	case *Abstract:
		if s.known != nil {
			ev.copyProps(o, s.known)
			return
		}
		o.weak = true
		o.flows = o.flows.union(deep(s))
		for _, k := range sortedKeys(s.props) {
			ev.setOn(o, k, s.props[k], o)
		}
		if s.host {
			ev.spreadHost(o, s)
		}
	}
}
