package static

import (
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
)

// What lies outside the package is met here: builtins and their members are host values, named as in knowledge/apis. A call of
// one is recorded if the knowledge base knows it; what it returns is unknown but remembers the call.

func isHost(v Value) bool {
	a, ok := v.(*Abstract)
	return ok && a.known == nil && (a.host || a.typ != "")
}

func pathOf(v Value) string {
	switch x := v.(type) {
	case *Abstract:
		return x.path
	case *Object:
		if a, ok := x.data.(*Abstract); ok {
			return a.path
		}
	}
	return ""
}

// hostValue is the one value for a canonical path.
func (ev *evaluator) hostValue(path string) *Abstract {
	if a, ok := ev.hosts[path]; ok {
		return a
	}
	a := &Abstract{kind: callseq.Unknown, path: path, host: true}
	if api := ev.base.API(path); api != nil {
		a.path = api.Name
		switch api.Kind {
		case callseq.KindCall, callseq.KindNew:
			a.kind = callseq.Func
		}
	} else if _, ok := ev.models[path]; ok {
		a.kind = callseq.Func
	}
	if a.kind == callseq.Unknown && ev.isNamespace(path) {
		a.kind, a.ns = callseq.Object, true
	}
	ev.hosts[path] = a
	return a
}

// isNamespace reports that some API lies below the path.
func (ev *evaluator) isNamespace(path string) bool {
	i, _ := slices.BinarySearch(ev.names, path+".")
	return i < len(ev.names) && strings.HasPrefix(ev.names[i], path+".")
}

// module is the value of a builtin or of a package outside this one.
func (ev *evaluator) moduleValue(spec string) Value {
	name := strings.TrimPrefix(spec, "node:")
	canon := strings.ReplaceAll(name, "/", ".")
	if m, ok := moduleNames[name]; ok {
		canon = m
	}
	if v, ok := ev.modules[canon]; ok {
		return v
	}
	if v, ok := ev.moduleModel(canon); ok {
		ev.modules[canon] = v
		return v
	}
	if ev.isNamespace(canon) || ev.base.API(canon) != nil {
		a := ev.hostValue(canon)
		if !a.ns {
			a.ns = true
		}
		return a
	}
	if isBuiltin(name) {
		a := ev.hostValue(canon)
		a.ns, a.kind = true, callseq.Object
		return a
	}
	key := "require(" + strconv.Quote(spec) + ")"
	if a, ok := ev.hosts[key]; ok {
		return a
	}
	a := &Abstract{kind: callseq.Unknown, path: key, ns: true}
	ev.hosts[key] = a
	return a
}

const maxPath = 8 // members of members that are still named

// getAbstract reads a property of something unknown.
func (ev *evaluator) getAbstract(a *Abstract, key string) Value {
	if a.known != nil {
		switch k := a.known.(type) {
		case string:
			return ev.getString(k, key, a.flows)
		default:
			return tainted(ev.get(k, key), a.flows)
		}
	}
	if v, ok := a.props[key]; ok {
		return v
	}
	if len(a.parts) > 0 || a.kind == callseq.String && !a.host {
		return ev.getString("", key, a.flows)
	}
	if len(a.alts) > 0 {
		var out joined
		for _, v := range a.alts {
			out.add(ev.get(v, key))
		}
		return tainted(out.value(), a.flows)
	}
	if a.host {
		switch key {
		case "default":
			if a.ns && ev.base.API(a.path+".default") == nil {
				return a
			}
		case "__esModule":
			return nil
		case "constructor":
			if a.kind == callseq.Func {
				return ev.hostValue("Function")
			}
		case "prototype":
			return ev.instanceOfHost(a)
		case "call", "apply", "bind":
			if a.kind == callseq.Func || !a.ns {
				return ev.hostFunctionMethod(a, key)
			}
		case "toString", "hasOwnProperty", "valueOf":
			if a.kind == callseq.Func || a.ns {
				return ev.getFrom(ev.realm.function, key, a)
			}
		case "name":
			if a.kind == callseq.Func {
				return a.path[strings.LastIndexByte(a.path, '.')+1:]
			}
		case "promisify":
			// falls through to the member below
		}
		if a.path == "globalThis" {
			v, ok := ev.globalMember(key)
			if !ok {
				return nil
			}
			return v
		}
		full := a.path + "." + key
		if alias, ok := hostAlias[full]; ok {
			full = alias
		}
		if v, ok := ev.hosts[full]; ok {
			return v
		}
		if c, ok := hostConstants[full]; ok {
			return c
		}
		if a.path == "process.env" {
			return ev.envValue(key)
		}
		if f, ok := ev.hostVals[full]; ok {
			v := f(ev)
			return v
		}
		return ev.hostValue(full)
	}
	if a.typ != "" {
		if m := ev.typeMember(a, key); m != nil {
			return m
		}
	}
	if a.ns && key == "__esModule" {
		return nil
	}
	if a.ns && key == "default" {
		return a
	}
	switch key {
	case "length", "size", "byteLength":
		return &Abstract{kind: callseq.Number, flows: a.flows.may(), path: a.path}
	case "call", "apply", "bind":
		return ev.hostFunctionMethod(a, key)
	}
	out := &Abstract{kind: callseq.Unknown, flows: a.flows, made: 0, depth: a.depth + 1}
	if a.path != "" && a.depth < maxPath {
		out.path = a.path + "." + key
	}
	if a.depth > maxPath {
		out.path = a.path
	}
	return out
}

// typeMember is a member of an instance that an API returned: Type.member, with the instance behind it.
func (ev *evaluator) typeMember(a *Abstract, key string) Value {
	full := a.typ + "." + key
	if api := ev.base.API(full); api != nil {
		switch api.Kind {
		case callseq.KindCall, callseq.KindNew:
			return &Abstract{kind: callseq.Func, path: api.Name, host: true, flows: a.flows, made: a.made, file: a.file}
		default:
			out := &Abstract{kind: callseq.Unknown, path: full, flows: a.flows, made: a.made}
			for _, r := range api.Results {
				if r.On == "return" || r.On == "" {
					out.is(r.Type)
				}
			}
			return out
		}
	}
	if _, ok := ev.models[full]; ok {
		return &Abstract{kind: callseq.Func, path: full, host: true, flows: a.flows, made: a.made, file: a.file}
	}
	return nil
}

// instanceOfHost is an unknown instance of a builtin class, as for a class that extends it.
func (ev *evaluator) instanceOfHost(a *Abstract) *Abstract {
	typ := a.path
	if api := ev.base.API(a.path); api != nil {
		for _, r := range api.Results {
			if r.On == "return" && r.Type != "" {
				typ = r.Type
			}
		}
	}
	return &Abstract{kind: callseq.Object, typ: typ, path: a.path, flows: a.flows}
}

// setAbstract writes a property of something outside the package.
func (ev *evaluator) setAbstract(a *Abstract, key string, val Value) {
	if a.known != nil {
		return
	}
	if len(a.alts) > 0 && len(a.parts) == 0 {
		for _, v := range a.alts {
			if o, ok := v.(*Object); ok {
				ev.setOn(o, key, join(ev.get(o, key), val), o)
			}
		}
	}
	if a.host && a.path == "globalThis" {
		ev.setGlobal(key, val)
		return
	}
	full := a.path + "." + key
	if a.typ != "" {
		full = a.typ + "." + key
	}
	if a.host || a.typ != "" {
		ev.writeHost(a, full, key, val)
	} else if a.ns {
		ev.record(callseq.KindSet, a.path+"."+key, nil, []Value{val})
	}
	if a.props == nil {
		a.props = map[string]Value{}
	}
	if len(a.props) < 256 {
		if old, ok := a.props[key]; ok && ev.j != nil {
			val = join(old, val)
		}
		a.props[key] = val
	}
	a.flows = a.flows.union(deep(val).may())
}

// writeHost records a property write that means something: a setter API, or a builtin replaced by code of the package.
func (ev *evaluator) writeHost(a *Abstract, full, key string, val Value) {
	api := ev.base.API(full)
	f, isFn := val.(*Object)
	isFn = isFn && f.fn != nil
	switch {
	case api != nil && api.Kind == callseq.KindSet:
		if worthRecording(api, a, []Value{val}) || len(api.Types) > 0 {
			id := ev.record(callseq.KindSet, api.Name, recvOf(a), []Value{val})
			ev.applyFlows(api, id, a, []Value{val}, nil)
		}
	case api != nil && api.Kind == callseq.KindGet:
		ev.record(callseq.KindSet, api.Name, recvOf(a), []Value{val})
	case isFn && a.host && !strings.HasPrefix(key, "on"):
		ev.record(callseq.KindSet, full, recvOf(a), []Value{val})
	case a.path == "process.env":
		ev.record(callseq.KindSet, "process.env", nil, []Value{key, val})
	}
	if isFn { // a handler, as in req.onload = f
		ev.schedule(f, a, ev.handlerArgs(a, strings.TrimPrefix(key, "on")), ev.causeOf(a), 0)
	}
}

func recvOf(a *Abstract) Value {
	if a.typ == "" && a.made == 0 {
		return nil
	}
	return a
}

func (ev *evaluator) causeOf(a *Abstract) callseq.ID {
	if a.made > 0 {
		return a.made
	}
	return ev.cause
}

// readHost records the read of a property with meaning: process.platform, document.cookie.
func (ev *evaluator) readHost(x Value, key string, v Value, pos int32) Value {
	a, ok := x.(*Abstract)
	if !ok || a.known != nil {
		return v
	}
	if a.host && a.path == "process.env" {
		return v // envValue has done it
	}
	full := a.path + "." + key
	if !a.host && a.typ != "" {
		full = a.typ + "." + key
	}
	api := ev.base.API(full)
	if api == nil || api.Kind != callseq.KindGet || api.Name == "process.env" {
		return v
	}
	if _, set := a.props[key]; set {
		return v
	}
	ev.pos = pos
	return ev.readAPI(api, a)
}

// readCall is readHost for destructuring.
func (ev *evaluator) readCall(x Value, key string, pos int32) {
	if isHost(x) && key != "" {
		ev.readHost(x, key, nil, pos)
	}
}

func (ev *evaluator) readAPI(api *behavior.API, a *Abstract) Value {
	id := ev.record(callseq.KindGet, api.Name, recvOf(a), nil)
	out := &Abstract{kind: callseq.Unknown, path: api.Name, flows: flows{{From: id, Via: callseq.Copy}}, made: id}
	for _, r := range api.Results {
		if r.On == "return" || r.On == "" {
			out.is(r.Type)
		}
	}
	if k, ok := readKinds[api.Name]; ok {
		out.kind = k
	}
	if a.typ != "" {
		out.flows = out.flows.union(a.flows)
	}
	return out
}

// readKinds are the types of some properties that code often tests.
var readKinds = map[string]callseq.ValueKind{
	"process.platform": callseq.String, "process.arch": callseq.String, "process.version": callseq.String, "process.pid": callseq.Number,
	"process.execPath": callseq.String, "os.EOL": callseq.String, "navigator.userAgent": callseq.String, "document.cookie": callseq.String,
	"location.href": callseq.String, "process.title": callseq.String, "process.versions": callseq.Object,
}

// envValue is process.env[key].
func (ev *evaluator) envValue(key string) Value {
	if v, ok := ev.env[key]; ok {
		return v
	}
	id := ev.record(callseq.KindGet, "process.env", nil, []Value{key})
	return &Abstract{kind: callseq.Unknown, path: "process.env." + key, flows: flows{{From: id, Via: callseq.Env}}}
}

// wholeEnv stands for the environment as a whole, when it is copied, listed or sent.
func (ev *evaluator) wholeEnv() flows {
	key := site{ev.position(), "process.env", ev.entry, ev.cause}
	if fl, ok := ev.envReads[key]; ok {
		return fl
	}
	fl := ev.newSource(callseq.KindGet, "process.env")
	fl[0].Via = callseq.Env
	ev.envReads[key] = fl
	return fl
}

// spreadHost copies a host object: only the environment matters as a whole.
func (ev *evaluator) spreadHost(o *Object, a *Abstract) {
	if a.path == "process.env" {
		o.flows = o.flows.union(ev.wholeEnv())
	}
}

func (ev *evaluator) hostIndexUnknown(a *Abstract, k Value) Value {
	if a.path == "process.env" {
		id := ev.record(callseq.KindGet, "process.env", nil, []Value{k})
		return &Abstract{kind: callseq.Unknown, path: "process.env[?]", flows: flows{{From: id, Via: callseq.Env}}.union(own(k).may())}
	}
	return nil
}

// deletedHost records delete of something outside, as delete require.cache[x] or delete process.env.X.
func (ev *evaluator) deletedHost(o Value, key string, pos int32) {
	if a, ok := o.(*Abstract); ok && a.host && a.path == "process.env" {
		ev.pos = pos
		ev.record(callseq.KindSet, "process.env", nil, []Value{key, nil})
	}
}

// builtinWritten records that the package replaced a member of a JavaScript builtin: Array.prototype.map, Function.prototype.call.
func (ev *evaluator) builtinWritten(o *Object, key string, val Value) {
	f, ok := val.(*Object)
	if !ok || f.fn == nil || f.fn.code == nil {
		return
	}
	if name, ok := ev.realm.names[o]; ok {
		ev.record(callseq.KindSet, name+"."+key, nil, []Value{val})
	}
}

// hostFunctionMethod is call, apply or bind of a function of the outside.
func (ev *evaluator) hostFunctionMethod(a *Abstract, name string) Value {
	return ev.nativeFn(name, func(ev *evaluator, this Value, args []Value) Value {
		f, isA := this.(*Abstract)
		if !isA {
			f = a
		}
		var recv Value
		if len(args) > 0 {
			recv = args[0]
			args = args[1:]
		}
		switch name {
		case "apply":
			var list []Value
			if len(args) > 0 {
				items, open := ev.iterate(args[0], 1<<12)
				list = items
				if open {
					list = append(list, unknown(callseq.Unknown, deep(args[0])))
				}
			}
			return ev.callAbstract(f, recv, list, false)
		case "bind":
			bound := append([]Value(nil), args...)
			return ev.nativeFn("bound", func(ev *evaluator, _ Value, rest []Value) Value {
				return ev.callAbstract(f, recv, append(append([]Value(nil), bound...), rest...), false)
			})
		}
		return ev.callAbstract(f, recv, args, false)
	})
}

// callAbstract calls or constructs something outside the package.
func (ev *evaluator) callAbstract(a *Abstract, this Value, args []Value, isNew bool) Value {
	ev.unknownOps++
	if a.known != nil {
		return ev.callMissing(this, "", args, ev.pos)
	}
	if len(a.alts) > 0 {
		return ev.callAlts(a, this, args, isNew)
	}
	if !a.host {
		return ev.callUnknown(a, this, args)
	}
	if len(args) > 256 {
		args = args[:256]
	}
	args = ev.fileFlows(a.path, args)
	if v, done := ev.codeCall(a, args, isNew); done {
		return v
	}
	api := ev.base.API(a.path)
	kind := callseq.KindCall
	if isNew {
		kind = callseq.KindNew
	}
	recv := ev.receiver(a, this)
	var id callseq.ID
	if api != nil && api.Kind != callseq.KindGet && worthRecording(api, recv, args) {
		id = ev.record(kind, api.Name, recv, args)
	}
	name := a.path
	if api != nil {
		name = api.Name
		if v, ran := ev.codeArgs(api, id, recv, args); ran {
			return v
		}
	}
	if m, ok := ev.models[name]; ok {
		h := hostCall{ev: ev, api: api, id: id, fn: a, this: this, recv: recv, args: args, isNew: isNew}
		if v, ok := m(&h); ok {
			return v
		}
	}
	return ev.hostResult(api, id, a, this, recv, args)
}

// hostCall is one call of a builtin, for its model.
type hostCall struct {
	ev    *evaluator
	api   *behavior.API
	id    callseq.ID
	fn    *Abstract
	this  Value
	recv  Value
	args  []Value
	isNew bool
}

func (h *hostCall) arg(i int) Value {
	if i < len(h.args) {
		return h.args[i]
	}
	return nil
}

// flows of the result: the call itself if recorded, and what its arguments carried.
func (h *hostCall) flows(via callseq.Via, vs ...Value) flows {
	var fl flows
	for _, v := range vs {
		fl = fl.union(deep(v))
	}
	fl = fl.via(via)
	if h.id != 0 {
		fl = fl.union(flows{{From: h.id, Via: callseq.Copy}})
	}
	return fl
}

// receiver is the instance on which a member is called, if it is one of the outside.
func (ev *evaluator) receiver(a *Abstract, this Value) Value {
	switch t := this.(type) {
	case *Abstract:
		if t.known == nil && (t.typ != "" || t.made != 0) {
			return t
		}
		if t.known != nil || len(t.flows) > 0 && !t.ns {
			return t
		}
	case *Object:
		if t.class == classBytes || len(t.flows) > 0 || ev.hostBase(t) != nil {
			return t
		}
	case string:
		return t
	}
	if a.made != 0 {
		return &Abstract{kind: callseq.Object, flows: a.flows, made: a.made, file: a.file}
	}
	return nil
}

// hostResult makes what an API gives back and calls what it was given.
func (ev *evaluator) hostResult(api *behavior.API, id callseq.ID, a *Abstract, this, recv Value, args []Value) Value {
	var in flows
	for _, v := range args {
		in = in.union(deep(v))
	}
	if api == nil {
		fl := in
		if recv != nil {
			fl = fl.union(own(recv))
		}
		for _, v := range args {
			ev.escape(v, fl)
		}
		return &Abstract{kind: callseq.Unknown, flows: fl.may(), path: callPath(a.path), depth: a.depth + 1}
	}
	var self flows
	if id != 0 {
		self = flows{{From: id, Via: callseq.Copy}}
	}
	out := &Abstract{kind: callseq.Unknown, flows: self, path: callPath(api.Name), made: id}
	if path := api.Role("path"); path != "" {
		if v := argAt(recv, args, path); v != nil {
			out.file = v
		}
	}
	var promised *Abstract
	called := map[int]bool{}
	for _, r := range api.Results {
		switch r.On {
		case "return":
			out.is(r.Type)
			if r.Type == "this" {
				if t, ok := this.(*Abstract); ok {
					out = t
				}
			}
		case "promise":
			promised = &Abstract{kind: callseq.Unknown, flows: self, path: callPath(api.Name), made: id}
			promised.is(r.Type)
		}
	}
	extra := ev.applyFlows(api, id, recv, args, out)
	if promised != nil {
		promised.flows = promised.flows.union(extra)
	}
	if isEmitter(a.path) {
		ev.listen(api, id, a, this, recv, args, called)
	} else {
		ev.callbacks(api, id, args, self.union(extra), called)
	}
	if recv != nil && len(api.Results) == 0 && len(api.Types) == 0 {
		out.flows = out.flows.union(own(recv))
	}
	if promised != nil {
		return ev.settledPromise(promised, false)
	}
	return out
}

func callPath(p string) string {
	if len(p) > 120 {
		return ""
	}
	return p + "()"
}

// is makes an unknown value one of the type that the knowledge base gives: a plain kind of value, or an instance of a class whose
// members it knows.
func (x *Abstract) is(typ string) {
	switch typ {
	case "string":
		x.kind = callseq.String
	case "number":
		x.kind = callseq.Number
	case "boolean":
		x.kind = callseq.Bool
	case "Array":
		x.kind = callseq.Array
	case "Object":
		x.kind = callseq.Object
	case "Buffer":
		x.kind, x.typ = callseq.Bytes, typ
	case "this":
	default:
		x.typ = typ
	}
}

// argAt finds an argument by path, as callseq.Call.ArgAt does in a recorded call.
func argAt(recv Value, args []Value, path string) Value {
	head, rest, _ := strings.Cut(path, ".")
	var v Value
	if head == "this" {
		v = recv
	} else {
		i, err := strconv.Atoi(head)
		if err != nil {
			return nil
		}
		if i < 0 {
			i += len(args)
		}
		if i < 0 || i >= len(args) {
			return nil
		}
		v = args[i]
	}
	for rest != "" {
		head, rest, _ = strings.Cut(rest, ".")
		switch x := v.(type) {
		case *Object:
			v = x.lookupData(head)
		case *Abstract:
			v = x.props[head]
		default:
			return nil
		}
	}
	return v
}

// applyFlows follows the flow rules of a stanza and returns what flows into the result.
func (ev *evaluator) applyFlows(api *behavior.API, id callseq.ID, recv Value, args []Value, out *Abstract) flows {
	var res flows
	for _, f := range api.Flows {
		fl := deep(argAt(recv, args, f.From))
		if f.Via != "" {
			fl = fl.via(f.Via)
		}
		switch {
		case f.To == "return" || f.To == "promise" || f.To == "callback":
			res = res.union(fl)
		case f.To == "this":
			if r, ok := recv.(*Abstract); ok && r.known == nil {
				r.flows = r.flows.union(fl)
				if r.file != nil {
					ev.writeFile(r.file, id, fl, nil)
				}
			}
		case strings.HasPrefix(f.To, "file:"):
			p := argAt(recv, args, strings.TrimPrefix(f.To, "file:"))
			content := argAt(recv, args, f.From)
			ev.writeFile(p, id, fl, content)
		default:
			switch t := argAt(recv, args, f.To).(type) {
			case *Abstract:
				if t.known == nil {
					t.flows = t.flows.union(fl)
					if t.file != nil {
						ev.writeFile(t.file, t.made, fl, nil)
					}
				}
			case *Object:
				t.flows = t.flows.union(fl)
				t.weak = true
				if b, ok := t.data.(*Abstract); ok {
					b.flows = b.flows.union(fl)
				}
			}
		}
	}
	if out != nil {
		out.flows = out.flows.union(res)
	}
	return res
}

// callbacks calls the functions given to an API, later, with what the stanza says they receive.
func (ev *evaluator) callbacks(api *behavior.API, id callseq.ID, args []Value, fl flows, called map[int]bool) {
	delay := 0.0
	if p := api.Role("delay"); p != "" {
		delay, _ = number(argAt(nil, args, p))
	}
	for i, v := range args {
		f, ok := v.(*Object)
		if !ok || f.fn == nil {
			if ok || isUnknown(v) {
				ev.escape(v, fl)
			}
			continue
		}
		if called[i] {
			continue
		}
		n := 2
		if f.fn.code != nil {
			n = max(n, min(f.fn.code.Length, 6))
		}
		in := make([]Value, n)
		typed := false
		for _, r := range api.Results {
			if (r.On == "callback" || r.On == "listener") && r.Arg < 8 {
				for r.Arg >= len(in) {
					in = append(in, nil)
				}
				x := &Abstract{kind: callseq.Unknown, flows: fl, made: id, path: callPath(api.Name)}
				x.is(r.Type)
				in[r.Arg] = x
				typed = true
			}
		}
		for j := range in {
			if in[j] == nil {
				if typed {
					in[j] = &Abstract{kind: callseq.Unknown}
				} else {
					in[j] = &Abstract{kind: callseq.Unknown, flows: fl}
				}
			}
		}
		ev.schedule(f, nil, in, id, delay)
	}
}

func isEmitter(path string) bool {
	switch path[strings.LastIndexByte(path, '.')+1:] {
	case "on", "once", "addListener", "addEventListener", "prependListener", "prependOnceListener", "subscribe":
		return true
	}
	return false
}

// listen calls an event handler with what the event brings.
func (ev *evaluator) listen(api *behavior.API, id callseq.ID, a *Abstract, this, recv Value, args []Value, called map[int]bool) {
	name, _ := text(argAt(nil, args, "0"))
	for i, v := range args {
		f, ok := v.(*Object)
		if !ok || f.fn == nil {
			continue
		}
		called[i] = true
		r, _ := recv.(*Abstract)
		if r == nil {
			r = a
		}
		ev.schedule(f, this, ev.handlerArgs(r, name), ev.causeOf(r), 0)
	}
}

// handlerArgs are the arguments of an event handler on an instance.
func (ev *evaluator) handlerArgs(a *Abstract, event string) []Value {
	fl := a.flows
	if a.made != 0 {
		fl = fl.union(flows{{From: a.made, Via: callseq.Copy}})
	}
	typ, at := ev.eventType(a, event)
	out := make([]Value, max(2, at+1))
	for i := range out {
		x := &Abstract{kind: callseq.Unknown, flows: fl, path: event}
		if i == at {
			x.is(typ)
			x.made = a.made
		}
		out[i] = x
	}
	return out
}

func (ev *evaluator) eventType(a *Abstract, event string) (string, int) {
	kind := a.typ
	if kind == "" && a.host { // the document, the window
		kind = a.path
	}
	for _, name := range []string{kind + ".on", kind + ".addEventListener", kind} {
		if api := ev.base.API(name); api != nil {
			for _, r := range api.Results {
				if r.On == "event" && r.Event == event {
					return r.Type, r.Arg
				}
			}
		}
	}
	if c := ev.lookupCall(a.made); c != nil {
		if api := ev.base.API(c.API); api != nil {
			for _, r := range api.Results {
				if r.On == "event" && r.Event == event {
					return r.Type, r.Arg
				}
			}
		}
	}
	return "", 0
}

func (ev *evaluator) lookupCall(id callseq.ID) *callseq.Call {
	if id <= 0 {
		return nil
	}
	return ev.trace.Lookup(id)
}

// callUnknown calls a function of which we know nothing: a parameter, a member of a package outside.
func (ev *evaluator) callUnknown(a *Abstract, this Value, args []Value) Value {
	fl := a.flows
	if t, ok := this.(*Abstract); ok {
		fl = fl.union(own(t))
	} else if o, ok := this.(*Object); ok {
		fl = fl.union(o.flows)
	}
	name := a.path[strings.LastIndexByte(a.path, '.')+1:]
	in := fl
	for _, v := range args {
		in = in.union(deep(v))
	}
	if out, ok := ev.visitUnknown(a, this, name, args, in); ok {
		return out
	}
	for _, v := range args {
		ev.escape(v, fl)
	}
	via := callseq.Copy
	switch name {
	case "toString", "encode":
		if s, ok := text(argAt(nil, args, "0")); ok && (s == "base64" || s == "hex" || s == "base64url") {
			via = callseq.Encode
		}
	case "then", "catch", "finally":
		return &Abstract{kind: callseq.Unknown, flows: in, path: a.path, depth: a.depth}
	}
	out := &Abstract{kind: callseq.Unknown, flows: in.via(via), path: callPath(a.path), depth: a.depth + 1}
	if a.typ != "" && a.made != 0 {
		out.made = a.made
	}
	if t, ok := this.(*Abstract); ok && t.kind == callseq.String {
		out.kind = callseq.Unknown
	}
	return out
}

// visitUnknown calls the callback of a method that visits a list which nobody knows, at once, as list.forEach does: what the callback
// adds up is there when the method returns. The list may be empty, so that its writes are weak.
func (ev *evaluator) visitUnknown(a *Abstract, this Value, name string, args []Value, fl flows) (Value, bool) {
	switch name {
	case "forEach", "each", "map", "flatMap", "filter", "reject", "some", "every", "find", "findIndex", "findLast", "reduce", "reduceRight", "sort", "replace", "replaceAll":
	default:
		return nil, false
	}
	at := slices.IndexFunc(args, func(v Value) bool { o, ok := v.(*Object); return ok && o.fn != nil && o.fn.code != nil })
	if at < 0 || at > 1 {
		return nil, false
	}
	var item Value = &Abstract{kind: callseq.Unknown, flows: fl, path: a.path[:max(0, strings.LastIndexByte(a.path, '.'))]}
	if at == 1 { // _.each(list, f)
		if items, _ := ev.iterate(args[0], 1); len(items) > 0 {
			item = items[0]
		}
	}
	in := []Value{item, unknown(callseq.Number, nil), this}
	switch {
	case name == "replace" || name == "replaceAll":
		in = []Value{item, item, item}
	case strings.HasPrefix(name, "reduce"):
		acc := argOr(args, at+1)
		if acc == nil {
			acc = item
		}
		in = []Value{acc, item, unknown(callseq.Number, nil), this}
	}
	var got Value
	ev.either(callseq.Guard{Cond: ev.nextCond(), Text: "the list has an element"}, func() completion {
		got = ev.call(args[at], nil, in)
		return normal
	}, nil)
	got = ev.await(got)
	switch name {
	case "map", "flatMap":
		if items, _ := ev.iterate(got, 1); name == "flatMap" && len(items) > 0 {
			got = items[0]
		}
		list := ev.array([]Value{got})
		list.weak, list.flows = true, fl
		return list, true
	case "filter", "reject", "sort":
		if at == 0 && this != nil {
			return this, true
		}
	case "find", "findLast":
		return item, true
	case "some", "every":
		return unknown(callseq.Bool, fl), true
	case "reduce", "reduceRight":
		return join(in[0], got), true
	case "forEach":
		return nil, true
	}
	return &Abstract{kind: callseq.Unknown, flows: fl.union(deep(got)), path: callPath(a.path), depth: a.depth + 1}, true
}

// callAlts calls each of the functions that a value may be, as branches.
func (ev *evaluator) callAlts(a *Abstract, this Value, args []Value, isNew bool) Value {
	var fns []Value
	for _, v := range a.alts {
		switch x := v.(type) {
		case *Object:
			if x.fn != nil {
				fns = append(fns, x)
			}
		case *Abstract:
			fns = append(fns, x)
		}
	}
	one := func(f Value) Value {
		if isNew {
			return ev.construct(f, args, f)
		}
		return ev.call(f, this, args)
	}
	if len(fns) == 1 {
		return one(fns[0])
	}
	var out Value = unknown(callseq.Unknown, nil)
	for i, f := range fns {
		var v Value
		g := callseq.Guard{Cond: ev.nextCond(), Text: "which function is called"}
		ev.either(g, func() completion {
			v = one(f)
			return normal
		}, nil)
		if i == 0 {
			out = v
		} else {
			out = join(out, v)
		}
	}
	return out
}

// escape gives a value to unknown code: functions in it may be called, with unknown arguments.
func (ev *evaluator) escape(v Value, fl flows) {
	o, ok := v.(*Object)
	if !ok {
		return
	}
	if o.fn != nil {
		if o.fn.code == nil || o.fn.cls != nil || ev.escaped[o] {
			return
		}
		ev.escaped[o] = true
		n := min(o.fn.code.Length, 6)
		args := make([]Value, n)
		for i := range args {
			args[i] = &Abstract{kind: callseq.Unknown, flows: fl.may(), path: "arg" + strconv.Itoa(i)}
		}
		ev.schedule(o, nil, args, ev.cause, 0)
		return
	}
	if ev.escaped[o] || len(o.props) > 64 {
		return
	}
	ev.escaped[o] = true
	for i := range o.props {
		if f, ok := o.props[i].val.(*Object); ok && f.fn != nil {
			ev.escape(f, fl)
		}
	}
	if o.class == classArray && len(o.arr) <= 64 {
		for _, e := range o.arr {
			if f, ok := e.(*Object); ok && f.fn != nil {
				ev.escape(f, fl)
			}
		}
	}
}

// --- files written and used again

type written struct {
	by      callseq.ID
	flows   flows
	content Value
}

// fileKey names a path as far as known: holes keep the place they come from.
func fileKey(v Value) string {
	switch x := v.(type) {
	case string:
		return x
	case *Abstract:
		if s, ok := x.known.(string); ok {
			return s
		}
		if len(x.parts) > 0 {
			var b strings.Builder
			lit := false
			for _, p := range x.parts {
				switch {
				case p.hole == nil:
					b.WriteString(p.lit)
					lit = true
				case p.hole.known != nil:
					s, _ := text(p.hole.known)
					b.WriteString(s)
					lit = lit || s != ""
				default:
					b.WriteString("<" + p.hole.path + ">")
				}
			}
			if lit {
				return b.String()
			}
			return ""
		}
		if x.path != "" && len(x.alts) == 0 {
			return "<" + x.path + ">"
		}
	case *Object:
		if x.class == classBoxed {
			return fileKey(x.data)
		}
	}
	return ""
}

func (ev *evaluator) writeFile(path Value, by callseq.ID, fl flows, content Value) {
	key := fileKey(path)
	if key == "" || len(ev.files) > 4096 {
		return
	}
	w := ev.files[key]
	if w == nil {
		w = &written{by: by}
		ev.files[key] = w
		ev.fileNames = append(ev.fileNames, key)
	}
	if by != 0 {
		w.by = by
	}
	w.flows = w.flows.union(fl)
	w.content = content
}

// fileFlows marks arguments that name a file which the package has written.
func (ev *evaluator) fileFlows(path string, args []Value) []Value {
	if len(ev.files) == 0 {
		return args
	}
	api := ev.base.API(path)
	if api == nil {
		return args
	}
	for _, r := range api.Args {
		switch r.Role {
		case "path", "command", "file", "argv", "module":
		default:
			continue
		}
		i, err := strconv.Atoi(r.Path)
		if err != nil || i < 0 || i >= len(args) {
			continue
		}
		key := fileKey(args[i])
		if o, ok := args[i].(*Object); ok && o.class == classArray {
			for _, e := range o.arr {
				key += " " + fileKey(e)
			}
		}
		if key == "" {
			continue
		}
		for _, name := range ev.fileNames {
			w := ev.files[name]
			if w.by == 0 || !strings.Contains(key, name) {
				continue
			}
			fl := flows{{From: w.by, Via: callseq.File}}.union(w.flows.via(callseq.File))
			args = slices.Clone(args)
			if o, ok := args[i].(*Object); ok {
				c := *o
				c.flows, c.id = c.flows.union(fl), 0
				args[i] = &c
			} else {
				args[i] = taintAny(args[i], fl)
			}
		}
	}
	return args
}

// taintAny adds flows to any value that is not an object of ours.
func taintAny(v Value, fl flows) Value {
	switch v.(type) {
	case nil, null, *Object:
		return v
	}
	return tainted(v, fl)
}
