package static

import (
	"bytes"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// realm holds JavaScript's own objects: prototypes, constructors, the global object.
type realm struct {
	object, function, array, str, number, boolean, symbol, bigint, regexp, date, promise *Object
	errorProto, generator, mapProto, setProto, bytes, buffer                             *Object
	global                                                                               Value
	vars                                                                                 map[string]Value
	names                                                                                map[*Object]string // of prototypes and constructors
	instances                                                                            map[*Object]*Object
	bytesProtos                                                                          map[string]*Object
	units                                                                                unitsCache
	tail                                                                                 []byte
	symbols                                                                              int
}

// method adds a model of ours to a prototype or constructor.
func (ev *evaluator) method_(o *Object, name string, f nativeFunc) {
	fn := &Object{class: classFunction, proto: ev.realm.function, fn: &function{native: f, name: name}}
	o.add(prop{key: name, val: fn, hidden: true})
}

func (ev *evaluator) methods(o *Object, fs map[string]nativeFunc) {
	for _, k := range sortedFuncs(fs) {
		ev.method_(o, k, fs[k])
	}
}

func sortedFuncs(fs map[string]nativeFunc) []string {
	m := map[string]Value{}
	for k := range fs {
		m[k] = nil
	}
	return sortedKeys(m)
}

// constructor makes a global constructor with its prototype.
func (ev *evaluator) constructor(name string, proto *Object, call, ctor nativeFunc) *Object {
	o := &Object{class: classFunction, proto: ev.realm.function, fn: &function{native: call, ctor: ctor, name: name}}
	o.add(prop{key: "prototype", val: proto, hidden: true})
	proto.putHidden("constructor", o)
	ev.realm.vars[name] = o
	ev.realm.names[o] = name
	ev.realm.names[proto] = name + ".prototype"
	return o
}

func newRealm(ev *evaluator) *realm {
	r := &realm{vars: map[string]Value{}, names: map[*Object]string{}, instances: map[*Object]*Object{}, bytesProtos: map[string]*Object{}}
	ev.realm = r
	r.object = &Object{}
	proto := func(c class) *Object { return &Object{class: c, proto: r.object} }
	r.function, r.array = proto(classPlain), proto(classPlain)
	r.str, r.number, r.boolean, r.symbol, r.bigint = proto(classPlain), proto(classPlain), proto(classPlain), proto(classPlain), proto(classPlain)
	r.regexp, r.date, r.promise, r.errorProto, r.generator = proto(classPlain), proto(classPlain), proto(classPlain), proto(classPlain), proto(classPlain)
	r.mapProto, r.setProto, r.bytes = proto(classPlain), proto(classPlain), proto(classPlain)
	ev.setupObject()
	ev.setupFunction()
	ev.setupArray()
	ev.setupString()
	ev.setupNumbers()
	ev.setupRegExp()
	ev.setupCollections()
	ev.setupPromise()
	ev.setupErrors()
	ev.setupDate()
	ev.setupJSON()
	ev.setupBytes()
	ev.setupReflect()
	ev.setupText()
	g := &Abstract{kind: callseq.Object, host: true, ns: true, path: "globalThis"}
	r.global = g
	g.props = map[string]Value{}
	return r
}

// global resolves a name that the unit binds nowhere.
func (ev *evaluator) global(name string, pos int32) Value {
	if ev.act != nil {
		if env := ev.layerEnv[ev.act.layer]; env != nil {
			if f, i := findName(env, name); f != nil {
				return f.slots[i]
			}
		}
	}
	for f := ev.f; ev.hasWith && f != nil; f = f.up {
		if f.with != nil {
			if o, ok := f.with.(*Object); ok && o.find(name) != nil {
				return ev.get(o, name)
			}
		}
	}
	if v, ok := ev.globals[name]; ok {
		return v
	}
	v, ok := ev.globalBuiltin(name)
	if !ok {
		return &Abstract{kind: callseq.Unknown, path: name}
	}
	if a, isA := v.(*Abstract); isA && a.host {
		if api := ev.base.API(name); api != nil && api.Kind == callseq.KindGet && api.Name != "process.env" {
			ev.pos = pos
			return ev.readAPI(api, a)
		}
	}
	return v
}

// globalBuiltin finds a name of the language, of Node or of the browser.
func (ev *evaluator) globalBuiltin(name string) (Value, bool) {
	if v, ok := ev.realm.vars[name]; ok {
		return v, true
	}
	switch name {
	case "globalThis", "global", "window", "self", "top", "parent", "frames":
		return ev.realm.global, true
	case "undefined":
		return nil, true
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "require":
		if ev.act != nil && ev.act.mod != nil && ev.act.mod.js != nil {
			return ev.wrapperValue(ev.act.mod, 1), true
		}
	case "module":
		if ev.act != nil && ev.act.mod != nil && ev.act.mod.object != nil {
			return ev.act.mod.object, true
		}
	case "exports":
		if ev.act != nil && ev.act.mod != nil && ev.act.mod.object != nil {
			return ev.get(ev.act.mod.object, "exports"), true
		}
	case "eval", "Function", "AsyncFunction", "GeneratorFunction":
		a := ev.hostValue(name)
		a.kind = callseq.Func
		return a, true
	case "process", "console", "Buffer":
		a := ev.hostValue(name)
		if !a.ns {
			a.ns = true
			if name != "Buffer" {
				a.kind = callseq.Object
			} else {
				a.kind = callseq.Func
			}
		}
		return a, true
	case "crypto", "performance", "fetch", "WebAssembly", "queueMicrotask", "structuredClone", "setTimeout", "setInterval", "setImmediate", "clearTimeout", "clearInterval", "clearImmediate", "URL", "URLSearchParams", "AbortController", "EventEmitter":
		return ev.hostValue(name), true
	}
	if ev.base.API(name) != nil || ev.isNamespace(name) && !isBuiltin(name) || browserNames[name] {
		return ev.hostValue(name), true
	}
	if _, ok := ev.models[name]; ok {
		return ev.hostValue(name), true
	}
	return nil, false
}

// browserNames exist in a page only: typeof on them may go either way.
var browserNames = map[string]bool{"document": true, "navigator": true, "location": true, "localStorage": true, "sessionStorage": true, "XMLHttpRequest": true,
	"Image": true, "history": true, "screen": true, "indexedDB": true, "alert": true, "chrome": true, "browser": true, "ethereum": true, "web3": true, "HTMLElement": true, "Element": true, "Node": true, "importScripts": true, "Deno": true, "Bun": true}

// typeofGlobal is typeof NAME, which does not fail for a missing name.
func (ev *evaluator) typeofGlobal(g *js.Global) Value {
	switch g.Name {
	case "window", "self", "document", "navigator", "location", "Deno", "Bun", "importScripts", "chrome", "browser":
		if _, ok := ev.globals[g.Name]; !ok {
			t := "object"
			if g.Name == "importScripts" {
				t = "function"
			}
			if ev.phase == callseq.PhaseBrowser && g.Name != "Deno" && g.Name != "Bun" && g.Name != "importScripts" {
				return t
			}
			return join("undefined", t)
		}
	}
	if ev.act != nil {
		if env := ev.layerEnv[ev.act.layer]; env != nil {
			if f, i := findName(env, g.Name); f != nil {
				return typeOf(f.slots[i])
			}
		}
	}
	if v, ok := ev.globals[g.Name]; ok {
		return typeOf(v)
	}
	v, ok := ev.globalBuiltin(g.Name)
	if !ok {
		return "undefined"
	}
	if browserNames[g.Name] || strings.HasPrefix(pathOf(v), "document") {
		return join("undefined", typeOf(v))
	}
	if a, isA := v.(*Abstract); isA && a.kind == callseq.Unknown {
		return join("undefined", "object")
	}
	return typeOf(v)
}

func (ev *evaluator) setGlobal(name string, v Value) {
	if ev.act != nil {
		if env := ev.layerEnv[ev.act.layer]; env != nil {
			if f, i := findName(env, name); f != nil {
				ev.setSlot(f, i, v)
				return
			}
		}
	}
	for f := ev.f; ev.hasWith && f != nil; f = f.up {
		if o, ok := f.with.(*Object); ok && o.find(name) != nil {
			ev.setOn(o, name, v, o)
			return
		}
	}
	if old, ok := ev.globals[name]; ok && ev.j != nil {
		v = join(old, v)
	} else if b, isBuiltin := ev.globalBuiltin(name); isBuiltin {
		if f, isFn := v.(*Object); isFn && f.fn != nil && f.fn.code != nil && isHost(b) {
			ev.record(callseq.KindSet, "globalThis."+name, nil, []Value{v})
		}
	}
	ev.globals[name] = v
}

// globalMember is globalThis.NAME: a global of the package, or a builtin.
func (ev *evaluator) globalMember(key string) (Value, bool) {
	if v, ok := ev.globals[key]; ok {
		return v, true
	}
	switch key {
	case "window", "document", "location", "top", "parent", "frames", "XMLHttpRequest", "localStorage":
		if ev.inNode() {
			return nil, false
		}
	}
	return ev.globalBuiltin(key)
}

// inNode reports that the running code is made for Node: an install script, or code decoded by a file that calls require. What such
// code asks the global object for, and only a browser has, is not there; decoders that test where they run depend on it.
func (ev *evaluator) inNode() bool {
	switch ev.phase {
	case callseq.PhaseInstall, callseq.PhaseBin:
		return true
	case callseq.PhaseBrowser:
		return false
	}
	return ev.act != nil && ev.act.mod != nil && ev.trace.Layers[ev.act.layer].How != "" && bytes.Contains(ev.act.mod.js.Data, []byte("require("))
}

// --- arguments of models

func argOr(args []Value, i int) Value {
	if i < len(args) {
		return args[i]
	}
	return nil
}

// intArg is a relative index as slice and friends take it: known, clamped to 0..n.
func (ev *evaluator) intArg(args []Value, i int, def, n int) (int, bool) {
	if i >= len(args) || args[i] == nil {
		return def, true
	}
	f, ok := ev.toNumber(args[i])
	if !ok {
		return 0, false
	}
	k := toInt(f)
	if k < 0 {
		return max(0, n+k), true
	}
	return min(k, n), true
}

func (ev *evaluator) newError(name, message string) *Object {
	o := ev.objectOf(classError, ev.realm.errorProto)
	if c, ok := ev.realm.vars[name].(*Object); ok {
		if p, ok := c.lookupData("prototype").(*Object); ok {
			o.proto = p
		}
	}
	o.putHidden("message", message)
	o.putHidden("stack", &Abstract{kind: callseq.String, path: "stack"})
	return o
}

func (ev *evaluator) setupErrors() {
	r := ev.realm
	r.errorProto.putHidden("name", "Error")
	r.errorProto.putHidden("message", "")
	ev.method_(r.errorProto, "toString", func(ev *evaluator, this Value, _ []Value) Value {
		if o, ok := this.(*Object); ok {
			if s, ok := objectText(o); ok {
				return s
			}
		}
		return unknown(callseq.String, deep(this))
	})
	base := r.errorProto
	for _, name := range []string{"Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError", "AggregateError"} {
		p := base
		if name != "Error" {
			p = &Object{proto: base}
			p.putHidden("name", name)
		}
		make := func(ev *evaluator, _ Value, args []Value) Value {
			o := ev.newError(name, "")
			if len(args) > 0 && args[0] != nil {
				o.putHidden("message", ev.str(args[0]))
			}
			if opt, ok := argOr(args, 1).(*Object); ok {
				if c := opt.lookupData("cause"); c != nil {
					o.putHidden("cause", c)
				}
			}
			return o
		}
		c := ev.constructor(name, p, make, make)
		ev.method_(c, "captureStackTrace", func(*evaluator, Value, []Value) Value { return nil })
	}
}

func (ev *evaluator) setupNumbers() {
	r := ev.realm
	toNum := func(ev *evaluator, _ Value, args []Value) Value {
		if len(args) == 0 {
			return num(0)
		}
		if b, ok := plain(args[0]).(*big.Int); ok {
			f, _ := new(big.Float).SetInt(b).Float64()
			return num(f)
		}
		if f, ok := ev.toNumber(args[0]); ok {
			return tainted(num(f), primitiveFlows(args[0]))
		}
		return unknown(callseq.Number, deep(args[0]))
	}
	n := ev.constructor("Number", r.number, toNum, func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.objectOf(classBoxed, ev.realm.number)
		o.data = toNum(ev, nil, args)
		return o
	})
	for k, v := range map[string]float64{"MAX_SAFE_INTEGER": 1<<53 - 1, "MIN_SAFE_INTEGER": -(1<<53 - 1), "MAX_VALUE": math.MaxFloat64, "MIN_VALUE": 5e-324, "EPSILON": math.Pow(2, -52), "POSITIVE_INFINITY": math.Inf(1), "NEGATIVE_INFINITY": math.Inf(-1), "NaN": math.NaN()} {
		n.putHidden(k, v)
	}
	isNum := func(test func(float64) bool, convert bool) nativeFunc {
		return func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			if isUnknown(v) {
				return unknown(callseq.Bool, own(v))
			}
			if f, ok := plain(v).(float64); ok {
				return test(f)
			}
			if !convert {
				return false
			}
			if f, ok := ev.toNumber(v); ok {
				return test(f)
			}
			return unknown(callseq.Bool, own(v))
		}
	}
	isInt := func(f float64) bool { return f == math.Trunc(f) && !math.IsInf(f, 0) }
	nan := func(f float64) bool { return f != f }
	fin := func(f float64) bool { return f == f && !math.IsInf(f, 0) }
	ev.methods(n, map[string]nativeFunc{"isInteger": isNum(isInt, false), "isNaN": isNum(nan, false), "isFinite": isNum(fin, false),
		"isSafeInteger": isNum(func(f float64) bool { return isInt(f) && math.Abs(f) <= 1<<53-1 }, false), "parseInt": parseIntFn, "parseFloat": parseFloatFn})
	r.vars["isNaN"] = ev.nativeFn("isNaN", isNum(nan, true))
	r.vars["isFinite"] = ev.nativeFn("isFinite", isNum(fin, true))
	r.vars["parseInt"] = ev.nativeFn("parseInt", parseIntFn)
	r.vars["parseFloat"] = ev.nativeFn("parseFloat", parseFloatFn)
	ev.methods(r.number, map[string]nativeFunc{
		"toString": func(ev *evaluator, this Value, args []Value) Value {
			radix := 10.0
			if len(args) > 0 && args[0] != nil {
				f, ok := ev.toNumber(args[0])
				if !ok {
					return unknown(callseq.String, own(this))
				}
				radix = f
			}
			f, ok := number(this)
			if !ok {
				return unknown(callseq.String, own(this))
			}
			if radix == 10 || radix < 2 || radix > 36 {
				return formatNumber(f)
			}
			return radixText(f, int(radix))
		},
		"toFixed": func(ev *evaluator, this Value, args []Value) Value {
			f, ok := number(this)
			d, ok2 := ev.toNumber(argOr(args, 0))
			if !ok || !ok2 && len(args) > 0 {
				return unknown(callseq.String, own(this))
			}
			return strconv.FormatFloat(f, 'f', min(max(toInt(d), 0), 100), 64)
		},
		"toPrecision": func(ev *evaluator, this Value, args []Value) Value {
			f, ok := number(this)
			if !ok || len(args) == 0 {
				return ev.str(this)
			}
			d, ok := ev.toNumber(args[0])
			if !ok {
				return unknown(callseq.String, own(this))
			}
			return strconv.FormatFloat(f, 'g', min(max(toInt(d), 1), 100), 64)
		},
		"toLocaleString": func(ev *evaluator, this Value, args []Value) Value { return ev.str(this) },
		"valueOf":        primitiveValueOf,
	})
	b := ev.constructor("Boolean", r.boolean, func(ev *evaluator, _ Value, args []Value) Value {
		t, ok := truth(argOr(args, 0))
		if !ok {
			return unknown(callseq.Bool, own(args[0]))
		}
		return t
	}, func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.objectOf(classBoxed, ev.realm.boolean)
		t, _ := truth(argOr(args, 0))
		o.data = t
		return o
	})
	_ = b
	ev.methods(r.boolean, map[string]nativeFunc{"toString": func(ev *evaluator, this Value, _ []Value) Value { return ev.str(plain(this)) }, "valueOf": primitiveValueOf})
	ev.constructor("BigInt", r.bigint, func(ev *evaluator, _ Value, args []Value) Value {
		switch x := plain(argOr(args, 0)).(type) {
		case *big.Int:
			return x
		case float64:
			if x == math.Trunc(x) && math.Abs(x) < 1e300 {
				n, _ := big.NewFloat(x).Int(nil)
				return n
			}
		case string:
			if n, ok := new(big.Int).SetString(strings.TrimSpace(x), 0); ok && len(x) < 1<<14 {
				return n
			}
		}
		return unknown(callseq.Number, own(argOr(args, 0)))
	}, nil)
	ev.methods(r.bigint, map[string]nativeFunc{"toString": func(ev *evaluator, this Value, args []Value) Value {
		n, ok := plain(this).(*big.Int)
		base := 10.0
		if len(args) > 0 {
			base, _ = ev.toNumber(args[0])
		}
		if !ok || base < 2 || base > 36 {
			return unknown(callseq.String, own(this))
		}
		return n.Text(int(base))
	}, "valueOf": primitiveValueOf})
	ev.setupMath()
}

func primitiveValueOf(ev *evaluator, this Value, _ []Value) Value {
	if o, ok := this.(*Object); ok && o.class == classBoxed {
		return o.data
	}
	return this
}

func radixText(f float64, radix int) Value {
	if f != f {
		return "NaN"
	}
	neg := f < 0
	f = math.Abs(f)
	if math.IsInf(f, 0) {
		return "Infinity"
	}
	ip, fp := math.Modf(f)
	var s string
	if ip < 1<<63 {
		s = strconv.FormatUint(uint64(ip), radix)
	} else {
		n, _ := big.NewFloat(ip).Int(nil)
		s = n.Text(radix)
	}
	if fp > 0 {
		var b strings.Builder
		b.WriteByte('.')
		delta := math.Max(math.Nextafter(f, math.Inf(1))-f, 5e-324) / 2
		for n := 0; n < 1100 && fp >= delta; n++ {
			fp *= float64(radix)
			delta *= float64(radix)
			d := int(fp)
			fp -= float64(d)
			if fp > 0.5 || fp == 0.5 && d&1 == 1 {
				if fp+delta > 1 {
					d++
					fp = 0
				}
			}
			b.WriteString(strconv.FormatInt(int64(min(d, radix-1)), radix))
		}
		s += b.String()
	}
	if neg {
		s = "-" + s
	}
	return s
}

func parseIntFn(ev *evaluator, _ Value, args []Value) Value {
	s, ok := ev.toText(argOr(args, 0))
	if !ok {
		return unknown(callseq.Number, deep(args[0]))
	}
	fl := primitiveFlows(argOr(args, 0))
	radix := 0
	if len(args) > 1 {
		f, ok := ev.toNumber(args[1])
		if !ok {
			return unknown(callseq.Number, fl)
		}
		radix = int(toInt32(f))
	}
	s = strings.TrimFunc(s, isSpace)
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg = s[0] == '-'
		s = s[1:]
	}
	if (radix == 0 || radix == 16) && len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
		radix = 16
	}
	if radix == 0 {
		radix = 10
	}
	if radix < 2 || radix > 36 {
		return tainted(math.NaN(), fl)
	}
	f, n := 0.0, 0
	for n < len(s) {
		d := digit(s[n])
		if d < 0 || d >= radix {
			break
		}
		f = f*float64(radix) + float64(d)
		n++
	}
	if n == 0 {
		return tainted(math.NaN(), fl)
	}
	if neg {
		f = -f
	}
	return tainted(num(f), fl)
}

func digit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'Z':
		return int(c-'A') + 10
	}
	return -1
}

func parseFloatFn(ev *evaluator, _ Value, args []Value) Value {
	s, ok := ev.toText(argOr(args, 0))
	if !ok {
		return unknown(callseq.Number, deep(args[0]))
	}
	s = strings.TrimLeftFunc(s, isSpace)
	n, dot, exp, digits := 0, false, false, false
	for n < len(s) {
		c := s[n]
		switch {
		case c >= '0' && c <= '9':
			digits = true
		case (c == '-' || c == '+') && (n == 0 || s[n-1] == 'e' || s[n-1] == 'E'):
		case c == '.' && !dot && !exp:
			dot = true
		case (c == 'e' || c == 'E') && digits && !exp && n+1 < len(s) && (s[n+1] >= '0' && s[n+1] <= '9' || (s[n+1] == '-' || s[n+1] == '+') && n+2 < len(s) && s[n+2] >= '0' && s[n+2] <= '9'):
			exp = true
		default:
			if strings.HasPrefix(s[n:], "Infinity") && (n == 0 || n == 1) {
				return parseNumber(s[:n] + "Infinity")
			}
			goto done
		}
		n++
	}
done:
	if !digits {
		return math.NaN()
	}
	return tainted(num(parseNumber(strings.TrimSuffix(s[:n], "."))), primitiveFlows(args[0]))
}

func (ev *evaluator) setupMath() {
	m := &Object{proto: ev.realm.object}
	ev.realm.vars["Math"] = m
	ev.realm.names[m] = "Math"
	for k, v := range map[string]float64{"PI": math.Pi, "E": math.E, "LN2": math.Ln2, "LN10": math.Ln10, "SQRT2": math.Sqrt2, "LOG2E": math.Log2E, "LOG10E": math.Log10E, "SQRT1_2": math.Sqrt(0.5)} {
		m.putHidden(k, v)
	}
	for name, f := range map[string]func(float64) float64{"floor": math.Floor, "ceil": math.Ceil, "abs": math.Abs, "sqrt": math.Sqrt, "sin": math.Sin, "cos": math.Cos, "tan": math.Tan, "atan": math.Atan,
		"asin": math.Asin, "acos": math.Acos, "exp": math.Exp, "log": math.Log, "log2": math.Log2, "log10": math.Log10, "cbrt": math.Cbrt, "trunc": math.Trunc, "sinh": math.Sinh, "cosh": math.Cosh, "tanh": math.Tanh, "log1p": math.Log1p, "expm1": math.Expm1,
		"round": func(f float64) float64 { return math.Floor(f + 0.5) }, "fround": func(f float64) float64 { return float64(float32(f)) },
		"sign": func(f float64) float64 {
			switch {
			case f > 0:
				return 1
			case f < 0:
				return -1
			}
			return f
		},
		"clz32": func(f float64) float64 {
			n := 0
			for u := toUint32(f); u != 0; u >>= 1 {
				n++
			}
			return float64(32 - n)
		}} {
		m.putHidden(name, ev.nativeFn(name, func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			x, ok := ev.toNumber(v)
			if !ok {
				return unknown(callseq.Number, own(v))
			}
			return tainted(num(f(x)), primitiveFlows(v))
		}))
	}
	fold := func(name string, start float64, f func(a, b float64) float64) {
		m.putHidden(name, ev.nativeFn(name, func(ev *evaluator, _ Value, args []Value) Value {
			acc := start
			var fl flows
			for i, v := range args {
				x, ok := ev.toNumber(v)
				if !ok {
					return unknown(callseq.Number, own(v))
				}
				fl = fl.union(primitiveFlows(v))
				if i == 0 && name != "hypot" {
					acc = x
				} else {
					acc = f(acc, x)
				}
			}
			return tainted(num(acc), fl)
		}))
	}
	fold("max", math.Inf(-1), math.Max)
	fold("min", math.Inf(1), math.Min)
	fold("pow", math.NaN(), math.Pow)
	fold("atan2", math.NaN(), math.Atan2)
	fold("hypot", 0, math.Hypot)
	fold("imul", math.NaN(), func(a, b float64) float64 { return float64(toInt32(a) * toInt32(b)) })
	m.putHidden("random", ev.nativeFn("random", func(ev *evaluator, _ Value, _ []Value) Value {
		return &Abstract{kind: callseq.Number, path: "Math.random()"}
	}))
}

func (ev *evaluator) setupText() {
	r := ev.realm
	coder := func(f func(string) (string, bool), via callseq.Via) nativeFunc {
		return func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			s, ok := ev.toText(v)
			if ok {
				if out, ok := f(s); ok {
					return tainted(out, deep(v).via(via))
				}
				ev.throw("URIError", "URI malformed")
			}
			if a, isA := v.(*Abstract); isA && len(a.parts) > 0 && via == callseq.Encode {
				ps := make([]part, len(a.parts))
				for i, p := range a.parts {
					ps[i] = p
					if p.hole == nil {
						ps[i].lit, _ = f(p.lit)
					}
				}
				return ev.partly(ps)
			}
			return &Abstract{kind: callseq.String, flows: deep(v), path: pathOf(v)}
		}
	}
	r.vars["decodeURIComponent"] = ev.nativeFn("decodeURIComponent", coder(func(s string) (string, bool) { return decodeURI(s, true) }, callseq.Decode))
	r.vars["decodeURI"] = ev.nativeFn("decodeURI", coder(func(s string) (string, bool) { return decodeURI(s, false) }, callseq.Decode))
	r.vars["encodeURIComponent"] = ev.nativeFn("encodeURIComponent", coder(func(s string) (string, bool) { return encodeURI(s, "-_.!~*'()") }, callseq.Encode))
	r.vars["encodeURI"] = ev.nativeFn("encodeURI", coder(func(s string) (string, bool) { return encodeURI(s, "-_.!~*'();/?:@&=+$,#") }, callseq.Encode))
	r.vars["escape"] = ev.nativeFn("escape", coder(func(s string) (string, bool) { return escapeText(s), true }, callseq.Encode))
	r.vars["unescape"] = ev.nativeFn("unescape", coder(func(s string) (string, bool) { return unescapeText(s), true }, callseq.Decode))
}
