package static

import (
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

func (ev *evaluator) setupObject() {
	r := ev.realm
	o := ev.constructor("Object", r.object, func(ev *evaluator, _ Value, args []Value) Value {
		v := argOr(args, 0)
		switch v.(type) {
		case nil, null:
			return ev.object()
		case *Object, *Abstract:
			return v
		}
		b := ev.objectOf(classBoxed, ev.realm.object)
		switch v.(type) {
		case string:
			b.proto = ev.realm.str
		case float64:
			b.proto = ev.realm.number
		case bool:
			b.proto = ev.realm.boolean
		}
		b.data = v
		return b
	}, nil)
	list := func(f func(ev *evaluator, o *Object, k string) Value) nativeFunc {
		return func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			switch x := plain(v).(type) {
			case *Object:
				if px, ok := x.data.(*proxy); ok && x.class == classProxy {
					if t, ok := px.target.(*Object); ok {
						x = t
					}
				}
				var out []Value
				for _, k := range x.keys() {
					out = append(out, f(ev, x, k))
				}
				a := ev.array(out)
				a.weak = x.weak
				if x.weak || len(x.flows) > 0 {
					a.flows = deep(x)
				}
				return a
			case string:
				b := ev.objectOf(classBoxed, ev.realm.str)
				b.data = x
				var out []Value
				for _, k := range b.keys() {
					out = append(out, f(ev, b, k))
				}
				return ev.array(out)
			case *Abstract:
				a := ev.array(nil)
				a.weak = true
				a.flows = deep(x)
				if x.host && x.path == "process.env" {
					a.flows = a.flows.union(ev.wholeEnv())
				}
				for _, k := range sortedKeys(x.props) {
					if fo, ok := x.props[k].(*Object); ok && fo.fn != nil {
						a.arr = append(a.arr, x.props[k])
					}
				}
				return a
			}
			return ev.array(nil)
		}
	}
	ev.methods(o, map[string]nativeFunc{
		"keys":    list(func(_ *evaluator, _ *Object, k string) Value { return k }),
		"values":  list(func(ev *evaluator, o *Object, k string) Value { return ev.get(o, k) }),
		"entries": list(func(ev *evaluator, o *Object, k string) Value { return ev.array([]Value{k, ev.get(o, k)}) }),
		"getOwnPropertyNames": func(ev *evaluator, _ Value, args []Value) Value {
			x, ok := argOr(args, 0).(*Object)
			if !ok {
				a := ev.array(nil)
				a.weak, a.flows = true, deep(argOr(args, 0))
				return a
			}
			var out []Value
			for _, k := range x.keys() {
				out = append(out, k)
			}
			for i := range x.props {
				if p := &x.props[i]; p.hidden && !strings.HasPrefix(p.key, "@@") {
					out = append(out, p.key)
				}
			}
			return ev.array(out)
		},
		"getOwnPropertySymbols": func(ev *evaluator, _ Value, _ []Value) Value { return ev.array(nil) },
		"assign": func(ev *evaluator, _ Value, args []Value) Value {
			t := argOr(args, 0)
			to, ok := t.(*Object)
			if !ok {
				if a, isA := t.(*Abstract); isA && a.known == nil {
					for _, s := range args[1:] {
						if so, ok := s.(*Object); ok {
							for _, k := range so.keys() {
								ev.set(a, k, ev.get(so, k))
							}
						}
						a.flows = a.flows.union(deep(s))
					}
				}
				return t
			}
			for _, s := range args[1:] {
				ev.copyProps(to, s)
			}
			return to
		},
		"create": func(ev *evaluator, _ Value, args []Value) Value {
			n := ev.object()
			n.proto = nil
			switch p := argOr(args, 0).(type) {
			case *Object:
				n.proto = p
			case *Abstract:
				n.data = p
			}
			if d, ok := argOr(args, 1).(*Object); ok {
				for _, k := range d.keys() {
					ev.defineFrom(n, k, ev.get(d, k))
				}
			}
			return n
		},
		"defineProperty": func(ev *evaluator, _ Value, args []Value) Value {
			k, ok := ev.propKey(argOr(args, 1))
			switch t := argOr(args, 0).(type) {
			case *Object:
				if ok {
					ev.defineFrom(t, k, argOr(args, 2))
				} else if d, isObj := argOr(args, 2).(*Object); isObj {
					ev.setIndex(t, args[1], d.lookupData("value"))
				}
			case *Abstract:
				if d, isObj := argOr(args, 2).(*Object); isObj && ok {
					if v := d.lookupData("value"); v != nil {
						ev.set(t, k, v)
					} else if g := d.lookupData("get"); g != nil {
						ev.set(t, k, g)
					}
				}
			}
			return argOr(args, 0)
		},
		"defineProperties": func(ev *evaluator, _ Value, args []Value) Value {
			t, ok := argOr(args, 0).(*Object)
			d, ok2 := argOr(args, 1).(*Object)
			if ok && ok2 {
				for _, k := range d.keys() {
					ev.defineFrom(t, k, ev.get(d, k))
				}
			}
			return argOr(args, 0)
		},
		"getOwnPropertyDescriptor": func(ev *evaluator, _ Value, args []Value) Value {
			x, ok := argOr(args, 0).(*Object)
			k, ok2 := ev.propKey(argOr(args, 1))
			if !ok || !ok2 {
				return unknown(callseq.Unknown, deep(argOr(args, 0)))
			}
			return ev.descriptor(x, k)
		},
		"getOwnPropertyDescriptors": func(ev *evaluator, _ Value, args []Value) Value {
			out := ev.object()
			if x, ok := argOr(args, 0).(*Object); ok {
				for _, k := range x.keys() {
					out.put(k, ev.descriptor(x, k))
				}
			}
			return out
		},
		"getPrototypeOf": func(ev *evaluator, _ Value, args []Value) Value {
			switch x := argOr(args, 0).(type) {
			case *Object:
				if x.fn != nil && x.fn.code != nil && x.proto == ev.realm.function {
					if n := functionKind(x.fn.code); n != "Function" {
						p := ev.object()
						p.put("constructor", ev.hostValue(n))
						return p
					}
				}
				if x.proto == nil {
					return null{}
				}
				return x.proto
			case string:
				return ev.realm.str
			case float64:
				return ev.realm.number
			}
			return unknown(callseq.Object, own(argOr(args, 0)))
		},
		"setPrototypeOf": func(ev *evaluator, _ Value, args []Value) Value {
			if x, ok := argOr(args, 0).(*Object); ok {
				switch p := argOr(args, 1).(type) {
				case *Object:
					for q, n := p, 0; q != nil && n < 100; q, n = q.proto, n+1 {
						if q == x {
							return x
						}
					}
					x.proto = p
				case null:
					x.proto = nil
				case *Abstract:
					if x.data == nil {
						x.data = p
					}
				}
			}
			return argOr(args, 0)
		},
		"freeze": func(ev *evaluator, _ Value, args []Value) Value {
			if x, ok := argOr(args, 0).(*Object); ok && x.class != classBytes {
				x.frozen = true
			}
			return argOr(args, 0)
		},
		"seal":              identity,
		"preventExtensions": identity,
		"isFrozen": func(ev *evaluator, _ Value, args []Value) Value {
			if x, ok := argOr(args, 0).(*Object); ok {
				return x.frozen
			}
			return true
		},
		"isSealed":     func(*evaluator, Value, []Value) Value { return false },
		"isExtensible": func(*evaluator, Value, []Value) Value { return true },
		"is": func(ev *evaluator, _ Value, args []Value) Value {
			a, b := plain(argOr(args, 0)), plain(argOr(args, 1))
			if isUnknown(a) || isUnknown(b) {
				return unknown(callseq.Bool, nil)
			}
			return same(a, b)
		},
		"fromEntries": func(ev *evaluator, _ Value, args []Value) Value {
			out := ev.object()
			items, open := ev.iterate(argOr(args, 0), 1<<16)
			for _, it := range items {
				ev.setIndex(out, ev.index(it, num(0)), ev.index(it, num(1)))
			}
			if open {
				out.weak, out.flows = true, deep(argOr(args, 0))
			}
			return out
		},
		"hasOwn": func(ev *evaluator, _ Value, args []Value) Value {
			return hasOwn(ev, argOr(args, 0), args[min(1, len(args)):])
		},
		"groupBy": func(ev *evaluator, _ Value, args []Value) Value {
			ev.escape(argOr(args, 1), deep(argOr(args, 0)))
			return unknown(callseq.Object, deep(argOr(args, 0)))
		},
	})
	ev.methods(r.object, map[string]nativeFunc{
		"hasOwnProperty":       hasOwn,
		"propertyIsEnumerable": hasOwn,
		"isPrototypeOf": func(ev *evaluator, this Value, args []Value) Value {
			x, ok := argOr(args, 0).(*Object)
			if !ok {
				return false
			}
			for p, n := x.proto, 0; p != nil && n < 100; p, n = p.proto, n+1 {
				if Value(p) == this {
					return true
				}
			}
			return false
		},
		"valueOf": func(ev *evaluator, this Value, _ []Value) Value { return this },
		"toString": func(ev *evaluator, this Value, _ []Value) Value {
			tag := "Object"
			switch x := plain(this).(type) {
			case nil:
				tag = "Undefined"
			case null:
				tag = "Null"
			case string:
				tag = "String"
			case float64:
				tag = "Number"
			case bool:
				tag = "Boolean"
			case *Symbol:
				tag = "Symbol"
			case *Abstract:
				switch {
				case x.host && x.path == "process":
					tag = "process"
				case x.host && x.path == "globalThis":
					tag = "global"
				case x.kind == callseq.Func:
					tag = "Function"
				default:
					return unknown(callseq.String, nil)
				}
			case *Object:
				if t, ok := x.lookupData("@@toStringTag").(string); ok {
					tag = t
					break
				}
				tag = map[class]string{classArray: "Array", classFunction: "Function", classError: "Error", classRegExp: "RegExp", classDate: "Date", classPromise: "Promise", classMap: "Map", classSet: "Set", classBytes: "Uint8Array", classArguments: "Arguments", classGenerator: "Generator"}[x.class]
				if tag == "" {
					tag = "Object"
				}
			}
			return "[object " + tag + "]"
		},
		"toLocaleString": func(ev *evaluator, this Value, _ []Value) Value { return ev.str(this) },
		"__defineGetter__": func(ev *evaluator, this Value, args []Value) Value {
			if o, ok := this.(*Object); ok {
				if k, ok := ev.propKey(argOr(args, 0)); ok {
					ev.define(o, k, js.PropGet, argOr(args, 1))
				}
			}
			return nil
		},
		"__defineSetter__": func(ev *evaluator, this Value, args []Value) Value {
			if o, ok := this.(*Object); ok {
				if k, ok := ev.propKey(argOr(args, 0)); ok {
					ev.define(o, k, js.PropSet, argOr(args, 1))
				}
			}
			return nil
		},
	})
}

func identity(_ *evaluator, _ Value, args []Value) Value { return argOr(args, 0) }

func functionKind(f *js.Func) string {
	switch {
	case f.Async && f.Generator:
		return "AsyncGeneratorFunction"
	case f.Async:
		return "AsyncFunction"
	case f.Generator:
		return "GeneratorFunction"
	}
	return "Function"
}

func hasOwn(ev *evaluator, this Value, args []Value) Value {
	k, ok := ev.propKey(argOr(args, 0))
	switch o := plain(this).(type) {
	case *Object:
		if !ok {
			return unknown(callseq.Bool, nil)
		}
		if o.own(k) != nil {
			return true
		}
		if i, isIdx := arrayIndex(k); isIdx && (o.class == classArray || o.class == classArguments) {
			return i < len(o.arr)
		}
		if o.weak || o.class == classProxy {
			return unknown(callseq.Bool, nil)
		}
		return k == "length" && o.class == classArray || k == "prototype" && o.fn != nil
	case string:
		i, isIdx := arrayIndex(k)
		return ok && (k == "length" || isIdx && i < utf16Len(o))
	case *Abstract:
		if _, set := o.props[k]; set {
			return true
		}
		if o.host && o.path == "process.env" && ok {
			return unknown(callseq.Bool, own(ev.envValue(k)))
		}
		return unknown(callseq.Bool, own(o))
	}
	return false
}

func (ev *evaluator) defineFrom(o *Object, key string, desc Value) {
	d, ok := desc.(*Object)
	if !ok {
		ev.setOn(o, key, unknown(callseq.Unknown, deep(desc)), o)
		return
	}
	if o.frozen {
		return
	}
	if d.own("get") != nil || d.own("set") != nil {
		g, _ := d.lookupData("get").(*Object)
		s, _ := d.lookupData("set").(*Object)
		if o.born <= ev.jmark {
			ev.logProp(o, key, o.own(key))
		}
		o.remove(key)
		p := prop{key: key, get: g, set: s, hidden: true}
		if e, _ := truth(d.lookupData("enumerable")); e {
			p.hidden = false
		}
		if g == nil && s == nil {
			p.val = unknown(callseq.Unknown, nil)
		}
		o.add(p)
		return
	}
	v := d.lookupData("value")
	if i, isIdx := arrayIndex(key); isIdx && o.class == classArray {
		ev.setElement(o, i, v)
		return
	}
	p := o.own(key)
	if o.born <= ev.jmark {
		ev.logProp(o, key, p)
	}
	if p == nil {
		e, _ := truth(d.lookupData("enumerable"))
		o.add(prop{key: key, val: v, hidden: !e})
	} else {
		if d.own("value") != nil {
			p.val, p.get, p.set = v, nil, nil
		}
		if d.own("enumerable") != nil {
			e, _ := truth(d.lookupData("enumerable"))
			p.hidden = !e
		}
	}
	if ev.watchBuiltins && o.born == 0 {
		ev.builtinWritten(o, key, v)
	}
}

func (ev *evaluator) descriptor(x *Object, k string) Value {
	p := x.own(k)
	out := ev.object()
	if p == nil {
		if i, isIdx := arrayIndex(k); isIdx && i < len(x.arr) {
			out.put("value", x.arr[i])
		} else if x.weak {
			return unknown(callseq.Unknown, nil)
		} else {
			return nil
		}
	} else if p.get != nil || p.set != nil {
		if p.get != nil {
			out.put("get", p.get)
		} else {
			out.put("get", nil)
		}
		if p.set != nil {
			out.put("set", p.set)
		} else {
			out.put("set", nil)
		}
	} else {
		out.put("value", p.val)
		out.put("writable", !x.frozen)
	}
	out.put("enumerable", p == nil || !p.hidden)
	out.put("configurable", true)
	return out
}

func (ev *evaluator) setupFunction() {
	r := ev.realm
	r.names[r.function] = "Function.prototype"
	r.function.add(prop{key: "constructor", hidden: true, get: ev.nativeFn("constructor", func(ev *evaluator, this Value, _ []Value) Value {
		if o, ok := this.(*Object); ok && o.fn != nil && o.fn.code != nil {
			a := ev.hostValue(functionKind(o.fn.code))
			a.kind = callseq.Func
			return a
		}
		a := ev.hostValue("Function")
		a.kind = callseq.Func
		return a
	})})
	ev.methods(r.function, map[string]nativeFunc{
		"call": func(ev *evaluator, this Value, args []Value) Value {
			var t Value
			if len(args) > 0 {
				t, args = args[0], args[1:]
			}
			return ev.call(this, t, args)
		},
		"apply": func(ev *evaluator, this Value, args []Value) Value {
			var list []Value
			if len(args) > 1 {
				items, open := ev.iterate(args[1], 1<<16)
				list = items
				if open {
					list = append(list, unknown(callseq.Unknown, deep(args[1])))
				}
			}
			return ev.call(this, argOr(args, 0), list)
		},
		"bind": func(ev *evaluator, this Value, args []Value) Value {
			target := this
			var t Value
			var bound []Value
			if len(args) > 0 {
				t = args[0]
				bound = append(bound, args[1:]...)
			}
			o := ev.nativeFn("bound", func(ev *evaluator, _ Value, rest []Value) Value {
				return ev.call(target, t, append(append([]Value(nil), bound...), rest...))
			})
			o.fn.ctor = func(ev *evaluator, _ Value, rest []Value) Value {
				return ev.construct(target, append(append([]Value(nil), bound...), rest...), target)
			}
			if f, ok := target.(*Object); ok {
				o.put("prototype", f.lookupData("prototype"))
				o.own("prototype").hidden = true
			}
			return o
		},
		"toString": func(ev *evaluator, this Value, _ []Value) Value {
			switch o := this.(type) {
			case *Object:
				if s, ok := objectText(o); ok {
					return s
				}
			case *Abstract:
				if o.host && o.kind == callseq.Func {
					return "function " + o.path[strings.LastIndexByte(o.path, '.')+1:] + "() { [native code] }"
				}
			}
			return unknown(callseq.String, own(this))
		},
		"@@hasInstance": func(ev *evaluator, this Value, args []Value) Value {
			c, ok := this.(*Object)
			o, ok2 := argOr(args, 0).(*Object)
			if !ok || !ok2 {
				if isUnknown(argOr(args, 0)) {
					return unknown(callseq.Bool, nil)
				}
				return false
			}
			want, _ := ev.get(c, "prototype").(*Object)
			for p, n := o.proto, 0; p != nil && n < 100; p, n = p.proto, n+1 {
				if p == want {
					return true
				}
			}
			return false
		},
	})
	r.function.remove("@@hasInstance") // instanceOf knows it; kept out of the chain so that it costs nothing
}

// proxy is the inside of a Proxy.
type proxy struct{ target, handler Value }

func (ev *evaluator) setupReflect() {
	r := ev.realm
	ref := &Object{proto: r.object}
	r.vars["Reflect"] = ref
	objStatic := r.vars["Object"].(*Object)
	for _, k := range []string{"defineProperty", "getPrototypeOf", "setPrototypeOf", "getOwnPropertyDescriptor", "isExtensible", "preventExtensions"} {
		ref.putHidden(k, objStatic.lookupData(k))
	}
	ev.methods(ref, map[string]nativeFunc{
		"get": func(ev *evaluator, _ Value, args []Value) Value {
			v := ev.index(argOr(args, 0), argOr(args, 1))
			if k, ok := ev.propKey(argOr(args, 1)); ok {
				return ev.readHost(argOr(args, 0), k, v, ev.pos)
			}
			return v
		},
		"set": func(ev *evaluator, _ Value, args []Value) Value {
			ev.setIndex(argOr(args, 0), argOr(args, 1), argOr(args, 2))
			return true
		},
		"has": func(ev *evaluator, _ Value, args []Value) Value {
			return ev.operate(js.OpIn, argOr(args, 1), argOr(args, 0))
		},
		"deleteProperty": func(ev *evaluator, _ Value, args []Value) Value {
			ev.deleteProp(argOr(args, 0), argOr(args, 1))
			return true
		},
		"ownKeys": func(ev *evaluator, _ Value, args []Value) Value {
			return ev.call(objStatic.lookupData("getOwnPropertyNames"), nil, args)
		},
		"apply": func(ev *evaluator, _ Value, args []Value) Value {
			items, open := ev.iterate(argOr(args, 2), 1<<16)
			if open {
				items = append(items, unknown(callseq.Unknown, deep(argOr(args, 2))))
			}
			return ev.call(argOr(args, 0), argOr(args, 1), items)
		},
		"construct": func(ev *evaluator, _ Value, args []Value) Value {
			items, _ := ev.iterate(argOr(args, 1), 1<<16)
			nt := argOr(args, 0)
			if len(args) > 2 {
				nt = args[2]
			}
			return ev.construct(argOr(args, 0), items, nt)
		},
	})
	mk := func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.objectOf(classProxy, nil)
		o.data = &proxy{argOr(args, 0), argOr(args, 1)}
		return o
	}
	p := ev.constructor("Proxy", &Object{}, mk, mk)
	p.putHidden("revocable", ev.nativeFn("revocable", func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.object()
		o.put("proxy", mk(ev, nil, args))
		o.put("revoke", ev.nativeFn("revoke", func(*evaluator, Value, []Value) Value { return nil }))
		return o
	}))
}

func (ev *evaluator) trap(p *proxy, name string) *Object {
	h, ok := p.handler.(*Object)
	if !ok {
		return nil
	}
	f, _ := h.lookupData(name).(*Object)
	if f != nil && f.fn != nil {
		return f
	}
	return nil
}

func (ev *evaluator) proxyGet(o *Object, key string, recv Value) Value {
	p, ok := o.data.(*proxy)
	if !ok || ev.depth > maxDepth-20 {
		return unknown(callseq.Unknown, nil)
	}
	if f := ev.trap(p, "get"); f != nil && !strings.HasPrefix(key, "@@") {
		return ev.call(f, p.handler, []Value{p.target, key, recv})
	}
	return ev.readHost(p.target, key, ev.get(p.target, key), ev.pos)
}

func (ev *evaluator) proxySet(o *Object, key string, val, recv Value) {
	p, ok := o.data.(*proxy)
	if !ok || ev.depth > maxDepth-20 {
		return
	}
	if f := ev.trap(p, "set"); f != nil {
		ev.call(f, p.handler, []Value{p.target, key, val, recv})
		return
	}
	ev.set(p.target, key, val)
}

func (ev *evaluator) proxyCall(p *proxy, this Value, args []Value, isNew bool) Value {
	if isNew {
		if f := ev.trap(p, "construct"); f != nil {
			return ev.call(f, p.handler, []Value{p.target, ev.array(args), p.target})
		}
		return ev.construct(p.target, args, p.target)
	}
	if f := ev.trap(p, "apply"); f != nil {
		return ev.call(f, p.handler, []Value{p.target, this, ev.array(args)})
	}
	return ev.call(p.target, this, args)
}
