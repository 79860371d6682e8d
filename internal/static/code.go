package static

import (
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// Code made at run time: eval, Function, vm, timers with strings. Each text becomes a layer of the trace and runs like the rest.

const (
	maxLayers     = 400
	maxLayerDepth = 24
	maxLayerBytes = 8 << 20
)

// codeCall handles the builtins whose result is code: their text runs, and what it evaluates to is returned.
func (ev *evaluator) codeCall(a *Abstract, args []Value, isNew bool) (Value, bool) {
	switch a.path {
	case "eval":
		return ev.evalCall(args, false), true
	case "Function", "AsyncFunction", "GeneratorFunction", "AsyncGeneratorFunction":
		return ev.functionCall(a.path, args, isNew), true
	case "require":
		return ev.require(ev.act.mod, argAt(nil, args, "0")), true
	}
	return nil, false
}

// evalCall is eval(x). A direct eval sees the scope it stands in.
func (ev *evaluator) evalCall(args []Value, direct bool) Value {
	if len(args) == 0 {
		return nil
	}
	v := args[0]
	if o, ok := v.(*Object); ok && o.class != classBoxed { // eval of a non-string returns it
		return v
	}
	id := ev.record(callseq.KindCall, "eval", nil, args[:1])
	var env *frame
	if direct {
		env = ev.f
	}
	var out Value = unknown(callseq.Unknown, own(v))
	for i, src := range texts(v) {
		r := ev.runText(src, "eval", id, env)
		if i == 0 {
			out = r
		} else {
			out = join(out, r)
		}
	}
	return out
}

// texts are the known texts a value may have.
func texts(v Value) []string {
	switch x := v.(type) {
	case string:
		return []string{x}
	case *Object:
		if x.class == classBoxed || x.class == classBytes {
			if s, ok := text(x); ok {
				return []string{s}
			}
		}
	case *Abstract:
		if s, ok := x.known.(string); ok {
			return []string{s}
		}
		var out []string
		for _, a := range x.alts {
			if len(x.parts) == 0 && len(out) < 4 {
				out = append(out, texts(a)...)
			}
		}
		return out
	}
	return nil
}

// functionCall is Function(params..., body).
func (ev *evaluator) functionCall(kind string, args []Value, isNew bool) Value {
	k := callseq.KindCall
	if isNew {
		k = callseq.KindNew
	}
	id := ev.record(k, kind, nil, args)
	head := map[string]string{"Function": "function", "AsyncFunction": "async function", "GeneratorFunction": "function*", "AsyncGeneratorFunction": "async function*"}[kind]
	var params []string
	body := ""
	var fl flows
	for i, a := range args {
		s, ok := ev.toText(a)
		if !ok {
			fl = fl.union(deep(a))
			return &Abstract{kind: callseq.Func, flows: fl.union(flows{{From: id, Via: callseq.Copy}}), path: kind + "()"}
		}
		if i == len(args)-1 {
			body = s
		} else {
			params = append(params, s)
		}
	}
	v := ev.runText("("+head+" anonymous("+strings.Join(params, ",")+"\n) {\n"+body+"\n})", kind, id, nil)
	if o, ok := v.(*Object); ok {
		o.flows = o.flows.union(fl)
	}
	return v
}

// codeArgs runs the text that a stanza marks as code: vm.runInThisContext, setTimeout with a string, module._compile.
func (ev *evaluator) codeArgs(api *behavior.API, id callseq.ID, recv Value, args []Value) (Value, bool) {
	var out Value
	ran := false
	for _, r := range api.Args {
		if r.Role != "code" {
			continue
		}
		v := argAt(recv, args, r.Path)
		for _, src := range texts(v) {
			how := api.Name
			switch {
			case strings.HasPrefix(how, "vm."):
				how = "vm"
			case strings.HasPrefix(how, "set"):
				how = "timer"
			case strings.Contains(how, "_compile"):
				how = "module"
			}
			if strings.HasPrefix(api.Name, "vm.compileFunction") {
				src = "(function(){\n" + src + "\n})"
			}
			if how == "module" {
				out = ev.runModuleText(src, id)
			} else {
				out = ev.runText(src, how, id, nil)
			}
			ran = true
		}
	}
	return out, ran
}

// layer adds a source text to the trace, or finds it there.
func (ev *evaluator) layer(l callseq.Layer, u *js.Unit) int {
	l.ID = len(ev.trace.Layers)
	ev.trace.Layers = append(ev.trace.Layers, l)
	ev.units = append(ev.units, u)
	return l.ID
}

type madeKey struct {
	src string
	by  callseq.ID
}

// runText runs a text as a script of its own and returns its completion value. env, when set, is the scope of a direct eval.
func (ev *evaluator) runText(src, how string, by callseq.ID, env *frame) Value {
	if len(src) > maxLayerBytes || ev.layerDepth >= maxLayerDepth {
		ev.skip("a decoded layer beyond the limits", ev.entryReached())
		return unknown(callseq.Unknown, nil)
	}
	if v, ok := literalOnly(src); ok {
		return v
	}
	parent := 0
	if ev.act != nil {
		parent = ev.act.layer
	}
	id, seen := ev.texts[madeKey{src, by}]
	var u *js.Unit
	switch {
	case seen && id < 0:
		if ev.try > 0 {
			ev.throw("SyntaxError", "Invalid or unexpected token")
		}
		return unknown(callseq.Unknown, nil)
	case seen:
		u = ev.units[id]
	default:
		if len(ev.texts) >= maxLayers {
			ev.skip("more than "+strconv.Itoa(maxLayers)+" decoded layers", ev.entryReached())
			return unknown(callseq.Unknown, nil)
		}
		name := ev.fileOf(parent)
		var err error
		u, err = js.Parse(name, src, js.Options{Kind: js.KindScript})
		if err != nil {
			if _, refused := err.(*js.Refusal); refused {
				ev.skip("a decoded layer was refused: "+err.Error(), ev.entryReached())
			}
			ev.texts[madeKey{src, by}] = -1
			if ev.try > 0 {
				ev.throw("SyntaxError", "Invalid or unexpected token")
			}
			return unknown(callseq.Unknown, nil)
		}
		id = ev.layer(callseq.Layer{Parent: parent, File: name, How: how, By: by, Text: cutLayer(src)}, u)
		ev.texts[madeKey{src, by}] = id
	}
	if id < 0 || u == nil {
		return unknown(callseq.Unknown, nil)
	}
	if env != nil {
		ev.layerEnv[id] = env
	}
	return ev.runUnit(u, id, by, env)
}

func cutLayer(s string) string {
	if len(s) > callseq.MaxLayerText {
		return strings.Clone(s[:callseq.MaxLayerText])
	}
	return s
}

// literalOnly answers the very common eval of a number, a string or an empty text without parsing.
func literalOnly(src string) (Value, bool) {
	s := strings.TrimSpace(src)
	if s == "" {
		return nil, true
	}
	if len(s) < 20 && s[0] >= '0' && s[0] <= '9' {
		if f := parseNumber(s); f == f {
			return num(f), true
		}
	}
	switch s {
	case "this", "globalThis":
		return nil, false
	}
	return nil, false
}

// runUnit runs a parsed text at its top level.
func (ev *evaluator) runUnit(u *js.Unit, layer int, by callseq.ID, env *frame) Value {
	oldF, oldA, oldCause := ev.f, ev.act, ev.cause
	ev.layerDepth++
	defer func() { ev.f, ev.act, ev.cause = oldF, oldA, oldCause; ev.layerDepth-- }()
	code := u.Body.Code()
	f := &frame{slots: make([]Value, len(code.Scope.Names)), up: env, scope: code.Scope, born: ev.jseq}
	act := &activation{unit: u, layer: layer}
	if oldA != nil {
		act.mod = oldA.mod
		if env != nil {
			act.this, act.fn, act.newTarget = oldA.this, oldA.fn, oldA.newTarget
		}
	}
	if !u.ESM {
		ev.fillWrapper(f, code, act.mod)
	}
	ev.f, ev.act = f, act
	if by != 0 {
		ev.cause = by
	}
	ev.hoist(code.Body)
	var last Value
	for _, s := range code.Body.Stmts {
		if x, ok := s.(*js.ExprStmt); ok {
			ev.tick()
			last = ev.eval(x.X)
			continue
		}
		c := ev.stmt(s)
		if c == returned {
			last = ev.ret
		}
		if c != normal {
			if c == threw {
				panic(ev.thrown(ev.lastThrown))
			}
			break
		}
	}
	// What a sloppy script declares belongs to the scope it was evaluated in.
	for i, n := range code.Scope.Names {
		if n == "" || i < len(js.CommonJS) && n == js.CommonJS[i] {
			continue
		}
		if env != nil {
			if g, slot := findName(env, n); g != nil {
				ev.setSlot(g, slot, f.slots[i])
				continue
			}
		}
		if f.slots[i] != nil {
			ev.setGlobal(n, f.slots[i])
		}
	}
	return last
}

// fillWrapper gives a script the module wrapper's variables, which eval code inside a module can see.
func (ev *evaluator) fillWrapper(f *frame, code *js.Code, m *module) {
	for i := range js.CommonJS {
		if i < len(f.slots) && i < len(code.Scope.Names) && code.Scope.Names[i] == js.CommonJS[i] && m != nil {
			f.slots[i] = ev.wrapperValue(m, i)
		}
	}
}

func findName(f *frame, name string) (*frame, int) {
	for ; f != nil; f = f.up {
		for i, n := range f.scope.Names {
			if n == name {
				return f, i
			}
		}
	}
	return nil, 0
}

// dynLookup is a name lookup where a with statement or a direct eval may have come between.
func (ev *evaluator) dynLookup(name string, stop *frame) (Value, bool) {
	for f := ev.f; f != nil && f != stop; f = f.up {
		if f.with != nil {
			if o, ok := f.with.(*Object); ok && o.find(name) != nil {
				return ev.get(o, name), true
			}
		}
	}
	return nil, false
}

// runModuleText is module._compile: the text runs as a CommonJS module in place of the present one.
func (ev *evaluator) runModuleText(src string, by callseq.ID) Value {
	return ev.runText("(function(){\n"+src+"\n})()", "module", by, nil)
}
