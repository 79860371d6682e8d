package static

import (
	"fmt"
	"iter"
	"strconv"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// closure makes a function object of code in the present scope.
func (ev *evaluator) closure(f *js.Func) *Object {
	ev.alloc(2)
	both := &struct { // they live together
		Object
		function
	}{
		Object{class: classFunction, proto: ev.realm.function, born: ev.jseq},
		function{code: f, env: ev.f, name: f.Name, layer: ev.act.layer, mod: ev.act.mod},
	}
	o, fn := &both.Object, &both.function
	o.fn = fn
	if f.Arrow {
		fn.act = ev.act
	}
	ev.made(o)
	return o
}

// functionProp reads the properties that every function has without storing them.
func (ev *evaluator) functionProp(o *Object, key string) (Value, bool) {
	switch key {
	case "name":
		if o.own("name") == nil {
			return o.fn.name, true
		}
	case "length":
		if o.own("length") == nil {
			if o.fn.code != nil {
				return num(float64(o.fn.code.Length)), true
			}
			return num(0), true
		}
	case "prototype":
		if o.own("prototype") == nil && o.fn.code != nil && !o.fn.code.Arrow && !o.fn.code.Method && !o.fn.code.Async {
			p := ev.object()
			p.born = o.born
			p.putHidden("constructor", o)
			o.add(prop{key: "prototype", val: p, hidden: true})
			return p, true
		}
	}
	return nil, false
}

func (ev *evaluator) thisValue() Value {
	if ev.act == nil {
		return nil
	}
	if ev.act.this == nil && (ev.act.fn == nil || !ev.strict()) {
		return ev.realm.global
	}
	return ev.act.this
}

func (ev *evaluator) strict() bool {
	fn := ev.act.fn
	return fn != nil && fn.fn != nil && fn.fn.code != nil && (fn.fn.code.Code().Strict || fn.fn.cls != nil)
}

// --- calls

func (ev *evaluator) args(list []js.Expr) []Value {
	out := make([]Value, 0, len(list))
	for _, e := range list {
		if sp, ok := e.(*js.Spread); ok {
			src := ev.eval(sp.X)
			items, open := ev.iterate(src, 1<<16)
			out = append(out, items...)
			if open {
				out = append(out, unknown(callseq.Unknown, deep(src)))
			}
			continue
		}
		out = append(out, ev.eval(e))
	}
	return out
}

func (ev *evaluator) callExpr(d *js.Call) Value {
	var f, this Value
	switch c := d.Fn.(type) {
	case *js.Super:
		return ev.superCall(ev.args(d.Args), d.At.Pos())
	case *js.Member:
		if _, ok := c.X.(*js.Super); ok {
			f, this = ev.superGet(c.Name), ev.thisValue()
			break
		}
		this = ev.eval(c.X)
		if c.Optional && nothing(this) {
			panic(ev.short())
		}
		ev.pos = c.At.Pos()
		f = ev.method(this, c.Name)
		if f == nil && !c.Optional {
			return ev.callMissing(this, c.Name, ev.args(d.Args), d.At.Pos())
		}
	case *js.Index:
		if _, ok := c.X.(*js.Super); ok {
			f, this = ev.superGet(ev.eval(c.I)), ev.thisValue()
			break
		}
		this = ev.eval(c.X)
		if c.Optional && nothing(this) {
			panic(ev.short())
		}
		k := ev.eval(c.I)
		ev.pos = c.At.Pos()
		if key, ok := ev.propKey(k); ok {
			f = ev.method(this, key)
			if fl := own(k); len(fl) > 0 {
				f = tainted(f, fl.may())
			}
			if f == nil {
				if o, isObj := this.(*Object); isObj && (o.class == classArray || o.class == classArguments) {
					f = ev.index(this, k)
				}
			}
			if f == nil && !d.Optional {
				return ev.callMissing(this, key, ev.args(d.Args), d.At.Pos())
			}
		} else {
			f = ev.index(this, k)
		}
	case *js.Global:
		f = ev.global(c.Name, d.At.Pos())
		if d.Eval && c.Name == "eval" {
			args := ev.args(d.Args)
			ev.pos = d.At.Pos()
			if a, ok := f.(*Abstract); ok && a.host && a.path == "eval" {
				return ev.evalCall(args, true)
			}
			return ev.call(f, nil, args)
		}
	default:
		f = ev.eval(d.Fn)
	}
	if d.Optional && nothing(f) {
		panic(ev.short())
	}
	args := ev.args(d.Args)
	ev.pos = d.At.Pos()
	return ev.call(f, this, args)
}

// method reads a property in order to call it: no read of a builtin's property is recorded for it.
func (ev *evaluator) method(v Value, key string) Value {
	return ev.get(v, key)
}

// callMissing is a call of a property that is not there. An engine would throw; we go on, and the callbacks may yet be called.
func (ev *evaluator) callMissing(this Value, name string, args []Value, pos int32) Value {
	ev.pos = pos
	fl := own(this)
	for _, a := range args {
		ev.escape(a, fl)
		fl = fl.union(own(a))
	}
	return unknown(callseq.Unknown, fl.may())
}

// maxNest bounds calls within calls, those of models included.
const maxNest = 700

// call calls any value.
func (ev *evaluator) call(f, this Value, args []Value) Value {
	ev.tick()
	if ev.nest >= maxNest {
		return ev.noMore(this, args)
	}
	ev.nest++
	v := ev.callAny(f, this, args)
	ev.nest--
	return v
}

func (ev *evaluator) callAny(f, this Value, args []Value) Value {
	switch o := f.(type) {
	case *Object:
		if o.fn == nil {
			if p, ok := o.data.(*proxy); ok {
				return ev.proxyCall(p, this, args, false)
			}
			break
		}
		if o.fn.native != nil {
			return o.fn.native(ev, this, args)
		}
		if o.fn.cls != nil { // calling a class throws; transpiled code sometimes does it under a guard
			return ev.construct(o, args, o)
		}
		return ev.callCode(o, this, args, nil)
	case *Abstract:
		return ev.callAbstract(o, this, args, false)
	}
	return ev.callMissing(this, "", args, ev.pos)
}

type fnInfo struct {
	runs   int
	memo   map[string]Value
	active int
	branch int // unknown conditions that the outermost active run stood under
}

const (
	memoAfter = 6      // runs with unknown arguments after which results are remembered
	memoRuns  = 600    // runs with unknown arguments after which no more are made
	memoSize  = 2000   // remembered results of one function
	maxKey    = 64     // length of a string by which a result may be remembered
	plainRuns = 50_000 // runs under an unknown condition, but with known arguments, after which no more are made
)

func (ev *evaluator) info(f *js.Func) *fnInfo {
	i := ev.infos[f]
	if i == nil {
		i = &fnInfo{}
		ev.infos[f] = i
	}
	return i
}

// id numbers what results are remembered by: its address would be that of another once it is gone. The number stands in the value.
func (ev *evaluator) id(of *int32) int64 {
	if *of == 0 {
		ev.ids++
		*of = ev.ids
	}
	return int64(*of)
}

// signature describes arguments as far as they can make a difference to what is recorded. The bytes are good until the next call.
func (ev *evaluator) signature(this Value, args []Value) (sig []byte, open bool) {
	b := ev.sig[:0]
	for i := -1; i < len(args); i++ {
		v := this
		if i >= 0 {
			v = args[i]
		}
		switch x := v.(type) {
		case *Abstract:
			if x.known == nil {
				open = true
			}
			b = append(b, 'A')
			b = append(append(append(append(append(b, x.kind...), 0), x.path...), 0), x.typ...)
			for _, f := range x.flows {
				b = strconv.AppendInt(append(b, ','), int64(f.From), 10)
				b = append(b, f.Via...)
			}
			if len(x.alts)+len(x.parts) > 0 || x.known != nil {
				b = strconv.AppendInt(append(b, '#'), ev.id(&x.id), 10)
			}
		case *Object:
			if x.weak {
				open = true
			}
			b = strconv.AppendInt(append(b, 'O'), ev.id(&x.id), 10)
		case string:
			if len(x) > maxKey { // each is one of its own
				var n int32
				b = strconv.AppendInt(append(b, 'L'), ev.id(&n), 10)
				break
			}
			b = append(strconv.AppendQuote(append(b, 'S'), x), ' ')
		default:
			s, _ := text(v)
			b = append(append(b, 'P'), s...)
		}
		b = append(b, ';')
	}
	ev.sig = b
	return b, open
}

func anyUnknown(args []Value) bool {
	for _, a := range args {
		if isUnknown(a) {
			return true
		}
	}
	return false
}

func (ev *evaluator) callCode(o *Object, this Value, args []Value, newTarget Value) Value {
	f := o.fn
	info := ev.info(f.code)
	if ev.depth >= maxDepth {
		ev.throw("RangeError", "Maximum call stack size exceeded")
	}
	info.runs++
	if ev.ran != nil && info.runs == 1 {
		ev.ran[f.code] = true
	}
	var memoKey string
	if open := isUnknown(this) || anyUnknown(args); info.runs > memoAfter && (open || ev.branchDepth > 0) {
		most, deep := memoRuns, 2
		if !open {
			most, deep = plainRuns, 40 // a decoder may well be called that often, with other arguments each time
		}
		// Where each level of a recursion stands under one more unknown condition, as in a reader of unknown data, levels multiply.
		guessed := info.active > 2 && ev.branchDepth-info.branch >= info.active
		if guessed || info.active > deep || info.runs > most {
			return ev.noMore(this, args)
		}
		sig, open := ev.signature(this, args)
		if open {
			if v, ok := info.memo[string(sig)]; ok {
				return v
			}
			memoKey = string(sig)
		}
	}
	v := ev.enter(o, info, this, args, newTarget)
	if memoKey != "" && len(info.memo) < memoSize {
		if info.memo == nil {
			info.memo = map[string]Value{}
		}
		info.memo[memoKey] = v
	}
	return v
}

// noMore stands for a call that would tell nothing new.
func (ev *evaluator) noMore(this Value, args []Value) Value {
	fl := own(this)
	for _, a := range args {
		fl = fl.union(deep(a))
	}
	return unknown(callseq.Unknown, fl.may())
}

func (ev *evaluator) enter(o *Object, info *fnInfo, this Value, args []Value, newTarget Value) Value {
	f := o.fn
	code := f.code.Code()
	act := &activation{this: this, fn: o, newTarget: newTarget, args: args, mod: f.mod, unit: f.code.Unit, layer: f.layer}
	if f.code.Arrow && f.act != nil {
		act.this, act.newTarget, act.args = f.act.this, f.act.newTarget, f.act.args
		act.fn = f.act.fn
	}
	if f.code.Generator {
		return ev.startGenerator(o, code, act, args)
	}
	if f.code.Async {
		return ev.startAsync(o, code, act, args)
	}
	return ev.runBody(o, info, code, act, args)
}

// runBody runs a function's code in a frame of its own and returns its value.
func (ev *evaluator) runBody(o *Object, info *fnInfo, code *js.Code, act *activation, args []Value) Value {
	oldF, oldA, oldDyn := ev.f, ev.act, ev.dynamic
	guards, try, leave := len(ev.guards), ev.try, ev.mayLeave
	ev.f = newFrame(len(code.Scope.Names), o.fn.env, code.Scope, ev.jseq)
	ev.act = act
	ev.depth++
	ev.mayLeave = false
	if info != nil {
		if info.active == 0 {
			info.branch = ev.branchDepth
		}
		info.active++
	}
	defer func() {
		ev.f, ev.act, ev.dynamic = oldF, oldA, oldDyn
		ev.depth--
		ev.mayLeave = leave
		if len(ev.guards) > guards {
			ev.guards = ev.guards[:guards]
		}
		ev.try = try
		if info != nil {
			info.active--
		}
	}()
	ev.params(o, code, args)
	c := ev.blockIn(code.Body)
	var v Value
	if c == returned {
		v = ev.ret
	}
	ev.ret = nil
	if c == threw {
		panic(ev.thrown(ev.lastThrown))
	}
	for i, p := range act.pending {
		if c != returned && i == 0 && p != nil {
			v = p
			if _, ok := p.(*Object); !ok {
				v = join(nil, p)
			}
			continue
		}
		v = join(v, p)
	}
	return v
}

func (ev *evaluator) params(o *Object, code *js.Code, args []Value) {
	if code.Arguments >= 0 {
		a := ev.objectOf(classArguments, ev.realm.object)
		a.arr = append([]Value(nil), args...)
		a.putHidden("callee", o)
		a.putHidden("@@iterator", ev.realm.array.lookupData("@@iterator"))
		ev.f.slots[code.Arguments] = a
	}
	if code.Self >= 0 {
		ev.f.slots[code.Self] = o
	}
	for i, p := range code.Params {
		if code.Rest && i == len(code.Params)-1 {
			rest := append([]Value(nil), args[min(i, len(args)):]...)
			ev.bind(p.Target, ev.array(rest))
			break
		}
		var v Value
		if i < len(args) {
			v = args[i]
		}
		if p.Default != nil {
			ev.bindDefault(p.Target, v, p.Default)
		} else {
			ev.bind(p.Target, v)
		}
	}
}

// --- construction and classes

func (ev *evaluator) newExpr(d *js.New) Value {
	f := ev.eval(d.Fn)
	args := ev.args(d.Args)
	ev.pos = d.At.Pos()
	return ev.construct(f, args, f)
}

// construct is new f(...args).
func (ev *evaluator) construct(f Value, args []Value, newTarget Value) Value {
	ev.tick()
	switch o := f.(type) {
	case *Object:
		if o.fn == nil {
			if p, ok := o.data.(*proxy); ok {
				return ev.proxyCall(p, nil, args, true)
			}
			return unknown(callseq.Object, nil)
		}
		if o.fn.ctor != nil {
			r := o.fn.ctor(ev, newTarget, args)
			if nt, ok := newTarget.(*Object); ok && nt != o {
				if ro, ok := r.(*Object); ok {
					if p, ok := ev.get(nt, "prototype").(*Object); ok {
						ro.proto = p
					}
				}
			}
			return r
		}
		if o.fn.native != nil {
			return o.fn.native(ev, nil, args)
		}
		proto := ev.realm.object
		if nt, ok := newTarget.(*Object); ok {
			if p, ok := ev.get(nt, "prototype").(*Object); ok {
				proto = p
			}
		}
		if o.fn.cls != nil {
			return ev.constructClass(o, args, newTarget, proto)
		}
		this := ev.objectOf(classPlain, proto)
		r := ev.callCode(o, this, args, newTarget)
		if ro, ok := r.(*Object); ok {
			return ro
		}
		if a, ok := r.(*Abstract); ok && a.known == nil && (a.typ != "" || a.host) {
			return a
		}
		return this
	case *Abstract:
		return ev.callAbstract(o, nil, args, true)
	}
	return unknown(callseq.Object, nil)
}

func (ev *evaluator) class(c *js.Class) Value {
	var super Value
	if c.Extends != nil {
		super = ev.eval(c.Extends)
	}
	proto := ev.object()
	var superCtor Value
	switch s := super.(type) {
	case *Object:
		superCtor = s
		if p, ok := ev.get(s, "prototype").(*Object); ok {
			proto.proto = p
		}
	case null:
		proto.proto = nil
	case *Abstract:
		superCtor = s
		// Methods of the builtin show through: its instances' members are APIs.
		proto.data = ev.instanceOfHost(s)
	}
	fn := &function{code: c.Ctor, env: ev.f, name: c.Name, cls: c, derived: c.Extends != nil, mod: ev.act.mod, layer: ev.act.layer}
	o := &Object{class: classFunction, proto: ev.realm.function, fn: fn, born: ev.jseq}
	if s, ok := superCtor.(*Object); ok {
		o.proto = s
	} else if superCtor != nil {
		o.data = superCtor
	}
	fn.home = proto
	o.add(prop{key: "prototype", val: proto, hidden: true})
	proto.putHidden("constructor", o)
	ev.made(o)
	if c.Self != nil {
		ev.bind(c.Self, o)
	}
	// Keys are evaluated in order; static fields and blocks after the class exists.
	var statics []func()
	for i := range c.Props {
		p := &c.Props[i]
		target := proto
		if p.Static {
			target = o
		}
		key := p.Name
		if p.Computed != nil {
			k := ev.eval(p.Computed)
			s, ok := ev.propKey(k)
			if !ok {
				s = "@@any" + fmt.Sprint(i)
			}
			key = s
		}
		switch p.Kind {
		case js.PropField:
			if p.Static {
				value := p.Value
				statics = append(statics, func() {
					var v Value
					if value != nil {
						v = ev.withThis(o, o, value)
					}
					o.put(key, v)
				})
			} else {
				fn.fields = append(fn.fields, field{key: key, value: p.Value, fn: fn})
			}
		case js.PropStaticBlock:
			blk := p.Block
			statics = append(statics, func() {
				f := ev.closure(blk)
				f.fn.home = o
				ev.call(f, o, nil)
			})
		default:
			v := ev.eval(p.Value)
			if f, ok := v.(*Object); ok && f.fn != nil {
				f.fn.home = target
				if f.fn.name == "" {
					f.fn.name = key
				}
			}
			kind := p.Kind
			ev.define(target, key, kind, v)
			if q := target.own(key); q != nil {
				q.hidden = true
			}
		}
	}
	for _, s := range statics {
		s()
	}
	return o
}

// withThis evaluates an expression as in a method of home on this.
func (ev *evaluator) withThis(this Value, home *Object, e js.Expr) Value {
	old := ev.act
	a := *old
	a.this = this
	a.fn = &Object{class: classFunction, proto: ev.realm.function, fn: &function{home: home, name: ""}}
	ev.act = &a
	defer func() { ev.act = old }()
	return ev.eval(e)
}

func (ev *evaluator) constructClass(o *Object, args []Value, newTarget Value, proto *Object) Value {
	f := o.fn
	if !f.derived {
		this := ev.objectOf(classPlain, proto)
		ev.initFields(o, this)
		if f.code != nil {
			if r, ok := ev.callCode(o, this, args, newTarget).(*Object); ok {
				return r
			}
		}
		return this
	}
	// The object comes from the base class, when super is called; until then this is a placeholder that super fills.
	this := ev.objectOf(classPlain, proto)
	if f.code == nil {
		return ev.superConstruct(o, this, args, newTarget)
	}
	r := ev.callCode(o, this, args, newTarget)
	if ro, ok := r.(*Object); ok {
		return ro
	}
	return this
}

func (ev *evaluator) initFields(o *Object, this *Object) {
	f := o.fn
	if len(f.fields) == 0 {
		return
	}
	oldF, oldA := ev.f, ev.act
	ev.f = f.env
	ev.act = &activation{this: this, fn: o, mod: f.mod, unit: unitOf(f, oldA), layer: f.layer}
	defer func() { ev.f, ev.act = oldF, oldA }()
	for _, fd := range f.fields {
		var v Value
		if fd.value != nil {
			v = ev.eval(fd.value)
		}
		this.put(fd.key, v)
	}
}

func unitOf(f *function, a *activation) *js.Unit {
	if f.code != nil {
		return f.code.Unit
	}
	if f.mod != nil && f.mod.unit != nil {
		return f.mod.unit
	}
	return a.unit
}

// superConstruct makes the base part of an object of class o in this.
func (ev *evaluator) superConstruct(o *Object, this *Object, args []Value, newTarget Value) Value {
	base := o.proto
	var super Value = base
	if o.data != nil {
		super = o.data
	}
	switch s := super.(type) {
	case *Object:
		switch {
		case s.fn == nil:
		case s.fn.cls != nil:
			if !s.fn.derived {
				ev.initFields(s, this)
				if s.fn.code != nil {
					ev.callCode(s, this, args, newTarget)
				}
			} else if s.fn.code != nil {
				ev.callCode(s, this, args, newTarget)
			} else {
				ev.superConstruct(s, this, args, newTarget)
			}
		case s.fn.ctor != nil:
			if r, ok := s.fn.ctor(ev, newTarget, args).(*Object); ok { // Error, Array, Map, Promise: take over its inside
				this.class, this.data, this.arr = r.class, r.data, r.arr
				for i := range r.props {
					this.put(r.props[i].key, r.props[i].val)
				}
			}
		case s.fn.code != nil:
			ev.callCode(s, this, args, newTarget)
		}
	case *Abstract:
		r := ev.callAbstract(s, nil, args, true)
		if a, ok := r.(*Abstract); ok {
			this.data = a
			this.flows = this.flows.union(a.flows)
		}
	}
	ev.initFields(o, this)
	return this
}

func (ev *evaluator) superCall(args []Value, pos int32) Value {
	ev.pos = pos
	fn := ev.act.fn
	this, ok := ev.act.this.(*Object)
	if fn == nil || fn.fn == nil || !ok {
		return unknown(callseq.Object, nil)
	}
	return ev.superConstruct(fn, this, args, ev.act.newTarget)
}

func (ev *evaluator) superGet(k Value) Value {
	key, ok := ev.propKey(k)
	fn := ev.act.fn
	if !ok || fn == nil || fn.fn == nil || fn.fn.home == nil {
		return unknown(callseq.Unknown, nil)
	}
	if p := fn.fn.home.proto; p != nil {
		v := ev.getFrom(p, key, ev.thisValue())
		if v != nil {
			return v
		}
	}
	if base := ev.hostBase(fn.fn.home); base != nil {
		return ev.getAbstract(base, key)
	}
	if s, isClass := fn.fn.home.lookupData("constructor").(*Object); isClass {
		if a, isHost := s.data.(*Abstract); isHost {
			return ev.getAbstract(a, key)
		}
	}
	return nil
}

func (ev *evaluator) instanceOf(l, r Value) Value {
	o, ok := l.(*Object)
	c, ok2 := r.(*Object)
	if !ok || !ok2 || c.fn == nil {
		if !isUnknown(l) && ok2 && !ok {
			return false
		}
		return unknown(callseq.Bool, own(l))
	}
	if p := c.find("@@hasInstance"); p != nil {
		if f, isFn := p.val.(*Object); isFn && f.fn != nil {
			return ev.call(f, c, []Value{l})
		}
	}
	want, _ := ev.get(c, "prototype").(*Object)
	for p, n := o.proto, 0; p != nil && n < 100; p, n = p.proto, n+1 {
		if p == want {
			return true
		}
	}
	return false
}

func (ev *evaluator) taggedTemplate(d *js.Template) Value {
	var f, this Value
	switch c := d.Tag.(type) {
	case *js.Member:
		this = ev.eval(c.X)
		f = ev.get(this, c.Name)
	default:
		f = ev.eval(d.Tag)
	}
	cooked, raw := make([]Value, len(d.Cooked)), make([]Value, len(d.Raw))
	for i := range d.Cooked {
		cooked[i] = d.Cooked[i]
	}
	for i := range d.Raw {
		raw[i] = d.Raw[i]
	}
	strs := ev.array(cooked)
	strs.put("raw", ev.array(raw))
	strs.own("raw").hidden = true
	args := []Value{strs}
	for _, x := range d.Exprs {
		args = append(args, ev.eval(x))
	}
	ev.pos = d.At.Pos()
	return ev.call(f, this, args)
}

// --- generators

// generator is a function body that runs between its yields.
type generator struct {
	next    func() (Value, bool)
	stop    func()
	yield   func(Value) bool
	sent    Value
	ret     Value
	st      state
	started bool
	done    bool
	running bool
	async   bool
	turns   int
}

type stopGenerator struct{}

const maxYields = 4096

func (ev *evaluator) startGenerator(o *Object, code *js.Code, act *activation, args []Value) Value {
	g := &generator{async: o.fn.code.Async}
	act.gen = g
	out := ev.objectOf(classGenerator, ev.realm.generator)
	if p, ok := o.lookupData("prototype").(*Object); ok {
		p.proto = ev.realm.generator
		out.proto = p
	}
	out.data = g
	if len(ev.generators) > 2000 {
		g.done = true
		return out
	}
	g.next, g.stop = iter.Pull(func(yield func(Value) bool) {
		g.yield = yield
		defer func() {
			if r := recover(); r != nil {
				if _, ok := r.(stopGenerator); !ok {
					panic(r)
				}
			}
		}()
		g.ret = ev.runBody(o, nil, code, act, args)
	})
	ev.generators = append(ev.generators, g)
	return out
}

// resume runs a generator to its next yield.
func (ev *evaluator) resume(g *generator, sent Value) (v Value, done bool) {
	if g.done || g.running {
		return nil, true
	}
	if g.turns++; g.turns > maxYields {
		return nil, true
	}
	caller := ev.save()
	guards := append([]callseq.Guard(nil), ev.guards...)
	finished := false
	defer func() {
		g.running = false
		ev.restore(caller)
		ev.guards = guards
		if !finished {
			g.done = true
		}
	}()
	g.running = true
	g.sent = sent
	if g.started {
		ev.f, ev.act = g.st.f, g.st.act
	}
	g.started = true
	v, ok := g.next()
	finished = true
	if !ok {
		g.done = true
		return g.ret, true
	}
	return v, false
}

func (ev *evaluator) yield(d *js.Yield) Value {
	g := ev.act.gen
	if g == nil || g.yield == nil {
		if d.X != nil {
			return ev.eval(d.X)
		}
		return nil
	}
	var v Value
	if d.X != nil {
		v = ev.eval(d.X)
	}
	if d.Star {
		items, open := ev.iterate(v, maxYields)
		for _, it := range items {
			ev.yieldOne(g, it)
		}
		if open {
			ev.yieldOne(g, unknown(callseq.Unknown, deep(v)))
		}
		return nil
	}
	if g.async {
		v = ev.await(v)
	}
	return ev.yieldOne(g, v)
}

func (ev *evaluator) yieldOne(g *generator, v Value) Value {
	g.st = ev.save()
	if !g.yield(v) {
		panic(stopGenerator{})
	}
	ev.f, ev.act = g.st.f, g.st.act
	return g.sent
}

func (ev *evaluator) stopGenerators() {
	for _, g := range ev.generators {
		if !g.done && !g.running {
			g.done = true
			g.stop()
		}
	}
	ev.generators = nil
}

// iterate lists what for-of or a spread would give, to a bound. open says that there may be more, unknown ones.
func (ev *evaluator) iterate(v Value, max int) (items []Value, open bool) {
	switch x := v.(type) {
	case nil, null:
		return nil, false
	case string:
		for _, r := range decodeWTF8(x) {
			items = append(items, encodeRune(r))
			if len(items) >= max {
				return items, true
			}
		}
		return items, false
	case *Abstract:
		if x.known != nil {
			items, open = ev.iterate(x.known, max)
			for i := range items {
				items[i] = tainted(items[i], x.flows)
			}
			return items, open
		}
		if len(x.alts) > 0 {
			for _, a := range x.alts {
				if o, ok := a.(*Object); ok {
					it, _ := ev.iterate(o, max-len(items))
					items = append(items, it...)
				}
			}
		}
		return items, true
	case *Object:
		return ev.iterateObject(x, max)
	}
	return nil, false
}

func (ev *evaluator) iterateObject(x *Object, max int) (items []Value, open bool) {
	switch x.class {
	case classArray, classArguments:
		n := min(len(x.arr), max)
		items = make([]Value, n)
		for i := range n {
			if _, ok := x.arr[i].(hole); !ok {
				items[i] = x.arr[i]
			}
		}
		return items, x.weak || n < len(x.arr)
	case classMap, classSet:
		if m, ok := x.data.(*orderedMap); ok && x.proto != nil {
			for i := range m.keys {
				if !m.live[i] {
					continue
				}
				if x.class == classMap {
					items = append(items, ev.array([]Value{m.keys[i], m.vals[i]}))
				} else {
					items = append(items, m.keys[i])
				}
				if len(items) >= max {
					return items, true
				}
			}
			return items, x.weak
		}
	case classBytes:
		if b, ok := x.data.(*bytesData); ok {
			ev.alloc(min(b.length(), max))
			ev.steps -= int64(min(b.length(), max))
			for i := range min(b.length(), max) {
				items = append(items, tainted(b.at(i), x.flows))
			}
			return items, x.weak
		}
	case classBoxed:
		return ev.iterate(x.data, max)
	case classGenerator:
		if g, ok := x.data.(*generator); ok {
			for len(items) < min(max, maxYields) {
				v, done := ev.resume(g, nil)
				if done {
					return items, false
				}
				items = append(items, v)
			}
			return items, false
		}
	}
	p := x.find("@@iterator")
	if p == nil {
		p = x.find("@@asyncIterator")
	}
	if p == nil {
		return nil, x.weak || ev.hostBase(x) != nil
	}
	it := ev.call(p.val, x, nil)
	if o, ok := it.(*Object); ok && o != x && o.class != classPlain {
		return ev.iterateObject(o, max)
	}
	next := ev.get(it, "next")
	if isUnknown(next) || next == nil {
		return nil, true
	}
	for len(items) < min(max, maxYields) {
		r := ev.await(ev.call(next, it, nil))
		d, known := truth(ev.get(r, "done"))
		if !known {
			return append(items, ev.get(r, "value")), true
		}
		if d {
			return items, false
		}
		items = append(items, ev.get(r, "value"))
	}
	return items, false
}

// enumerate lists what for-in gives.
func (ev *evaluator) enumerate(v Value) (items []Value, open bool) {
	switch x := v.(type) {
	case *Object:
		seen := map[string]bool{}
		for o, n := x, 0; o != nil && n < 20; o, n = o.proto, n+1 {
			if o.born == 0 && o != x {
				break
			}
			for _, k := range o.keys() {
				if !seen[k] {
					seen[k] = true
					items = append(items, k)
				}
			}
		}
		return items, x.weak
	case string:
		for i := range utf16Len(x) {
			items = append(items, formatNumber(float64(i)))
		}
	case *Abstract:
		if x.known != nil {
			return ev.enumerate(x.known)
		}
		for _, k := range sortedKeys(x.props) {
			items = append(items, k)
		}
		return items, true
	}
	return items, false
}

// startAsync runs an async function. It runs through its awaits at once and returns a settled promise.
func (ev *evaluator) startAsync(o *Object, code *js.Code, act *activation, args []Value) Value {
	out, p := ev.newPromise()
	var v Value
	_, t := ev.protect(func() completion {
		v = ev.runBody(o, ev.info(o.fn.code), code, act, args)
		return normal
	})
	if t != nil {
		ev.settlePromise(p, rejected, t.v)
	} else {
		ev.resolvePromise(p, v)
	}
	return out
}
