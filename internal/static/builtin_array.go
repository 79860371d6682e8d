package static

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// elems is the element list of an array-like value; ok is false when it is not one of ours.
func (ev *evaluator) elems(v Value) (list []Value, o *Object, ok bool) {
	switch x := plain(v).(type) {
	case *Object:
		switch x.class {
		case classArray, classArguments:
			return x.arr, x, true
		case classBytes, classBoxed:
			items, _ := ev.iterate(x, 1<<20)
			return items, x, true
		}
		if n, isNum := number(x.lookupData("length")); isNum && n >= 0 && n < 1<<20 {
			out := make([]Value, int(n))
			for i := range out {
				out[i] = ev.get(x, formatNumber(float64(i)))
			}
			return out, x, true
		}
		return nil, x, false
	case string:
		x16 := ev.realm.units.of(x)
		out := make([]Value, x16.len())
		for i := range out {
			out[i] = ev.charAt(x, i)
		}
		return out, nil, true
	}
	return nil, nil, false
}

func val(v Value) Value {
	if _, ok := v.(hole); ok {
		return nil
	}
	return v
}

// each calls f for every element, and once more with an unknown one when the array is not wholly known.
func (ev *evaluator) each(this Value, f func(v Value, i Value) bool) {
	list, o, ok := ev.elems(this)
	if !ok {
		f(&Abstract{kind: callseq.Unknown, flows: deep(this), path: elemPath(this)}, unknown(callseq.Number, nil))
		return
	}
	list = slices.Clone(list)
	for i, v := range list {
		if _, isHole := v.(hole); isHole {
			continue
		}
		if !f(v, num(float64(i))) {
			return
		}
	}
	if o != nil && o.weak {
		f(unknown(callseq.Unknown, deep(o)), unknown(callseq.Number, nil))
	}
}

func elemPath(v Value) string {
	if p := pathOf(v); p != "" && len(p) < 100 {
		return p + "[]"
	}
	return ""
}

func (ev *evaluator) setupArray() {
	r := ev.realm
	r.array.class = classPlain
	mk := func(ev *evaluator, _ Value, args []Value) Value {
		if len(args) == 1 {
			if f, ok := plain(args[0]).(float64); ok {
				n := toInt(f)
				if n < 0 || n > 1<<24 {
					ev.throw("RangeError", "Invalid array length")
				}
				ev.alloc(n)
				out := make([]Value, n)
				for i := range out {
					out[i] = hole{}
				}
				return ev.array(out)
			}
			if isUnknown(args[0]) {
				a := ev.array(nil)
				a.weak = true
				return a
			}
		}
		return ev.array(slices.Clone(args))
	}
	c := ev.constructor("Array", r.array, mk, mk)
	ev.methods(c, map[string]nativeFunc{
		"isArray": func(ev *evaluator, _ Value, args []Value) Value {
			switch x := argOr(args, 0).(type) {
			case *Object:
				return x.class == classArray
			case *Abstract:
				if x.known == nil && (x.kind == callseq.Unknown || x.kind == callseq.Array) && len(x.parts) == 0 {
					return unknown(callseq.Bool, nil)
				}
			}
			return false
		},
		"of": func(ev *evaluator, _ Value, args []Value) Value { return ev.array(slices.Clone(args)) },
		"from": func(ev *evaluator, _ Value, args []Value) Value {
			src := argOr(args, 0)
			items, open := ev.iterate(src, 1<<20)
			if o, ok := src.(*Object); ok && len(items) == 0 && !open {
				if list, _, ok := ev.elems(o); ok {
					items = slices.Clone(list)
				}
			}
			if open {
				items = append(items, &Abstract{kind: callseq.Unknown, flows: deep(src), path: elemPath(src)})
			}
			if f := argOr(args, 1); f != nil {
				for i := range items {
					items[i] = ev.call(f, nil, []Value{val(items[i]), num(float64(i))})
				}
			}
			a := ev.array(items)
			a.weak = open
			return a
		},
		"fromAsync": func(ev *evaluator, _ Value, args []Value) Value {
			items, _ := ev.iterate(argOr(args, 0), 1<<12)
			return ev.settledPromise(ev.array(items), false)
		},
	})
	c.putHidden("@@species", c)
	ev.arrayReaders()
	ev.arrayWriters()
	ev.arrayCallbacks()
	r.array.putHidden("@@iterator", r.array.lookupData("values"))
	r.array.putHidden("@@toStringTag", nil)
	r.array.remove("@@toStringTag")
}

func (ev *evaluator) arrayReaders() {
	ev.methods(ev.realm.array, map[string]nativeFunc{
		"slice": func(ev *evaluator, this Value, args []Value) Value {
			list, o, ok := ev.elems(this)
			i, ok1 := ev.intArg(args, 0, 0, len(list))
			j, ok2 := ev.intArg(args, 1, len(list), len(list))
			if !ok || !ok1 || !ok2 {
				return ev.openArray(this)
			}
			a := ev.array(slices.Clone(list[i:max(i, j)]))
			if o != nil {
				a.weak, a.flows = o.weak, o.flows
			}
			return a
		},
		"concat": func(ev *evaluator, this Value, args []Value) Value {
			var out []Value
			a := ev.array(nil)
			for _, v := range append([]Value{this}, args...) {
				if o, ok := v.(*Object); ok && (o.class == classArray || o.class == classArguments) {
					out = append(out, o.arr...)
					a.weak = a.weak || o.weak
					a.flows = a.flows.union(o.flows)
				} else {
					out = append(out, v)
				}
			}
			ev.alloc(len(out))
			a.arr = out
			return a
		},
		"join": func(ev *evaluator, this Value, args []Value) Value {
			list, o, ok := ev.elems(this)
			sep := Value(",")
			if len(args) > 0 && args[0] != nil {
				sep = ev.str(args[0])
			}
			if !ok || o != nil && o.weak && len(list) == 0 {
				return &Abstract{kind: callseq.String, flows: deep(this), path: pathOf(this)}
			}
			return ev.joinText(list, sep, o)
		},
		"indexOf": func(ev *evaluator, this Value, args []Value) Value { return ev.indexOf(this, args, false) },
		"lastIndexOf": func(ev *evaluator, this Value, args []Value) Value {
			list, o, ok := ev.elems(this)
			if !ok || o != nil && o.weak {
				return unknown(callseq.Number, nil)
			}
			for i := len(list) - 1; i >= 0; i-- {
				eq, known := ev.strictEqual(val(list[i]), argOr(args, 0))
				if !known {
					return unknown(callseq.Number, own(argOr(args, 0)))
				}
				if eq {
					return num(float64(i))
				}
			}
			return num(-1)
		},
		"includes": func(ev *evaluator, this Value, args []Value) Value {
			i := ev.indexOf(this, args, true)
			if f, ok := i.(float64); ok {
				return f >= 0
			}
			return unknown(callseq.Bool, own(argOr(args, 0)))
		},
		"at": func(ev *evaluator, this Value, args []Value) Value {
			list, _, ok := ev.elems(this)
			f, ok2 := ev.toNumber(argOr(args, 0))
			if !ok || !ok2 {
				return ev.index(this, argOr(args, 0))
			}
			i := toInt(f)
			if i < 0 {
				i += len(list)
			}
			if i < 0 || i >= len(list) {
				return nil
			}
			return val(list[i])
		},
		"flat": func(ev *evaluator, this Value, args []Value) Value {
			depth := 1.0
			if len(args) > 0 {
				depth, _ = ev.toNumber(args[0])
			}
			list, _, _ := ev.elems(this)
			var out []Value
			var walk func(list []Value, d int)
			walk = func(list []Value, d int) {
				for _, v := range list {
					if o, ok := v.(*Object); ok && o.class == classArray && d > 0 {
						walk(o.arr, d-1)
					} else if _, isHole := v.(hole); !isHole {
						out = append(out, v)
					}
				}
			}
			walk(list, min(toInt(depth), 32))
			a := ev.array(out)
			a.flows = own(this)
			return a
		},
		"keys": func(ev *evaluator, this Value, _ []Value) Value {
			list, _, _ := ev.elems(this)
			out := make([]Value, len(list))
			for i := range list {
				out[i] = num(float64(i))
			}
			return ev.iterator("Array", out)
		},
		"values": func(ev *evaluator, this Value, _ []Value) Value {
			items, open := ev.iterate(this, 1<<20)
			if open {
				items = append(items, unknown(callseq.Unknown, deep(this)))
			}
			return ev.iterator("Array", items)
		},
		"entries": func(ev *evaluator, this Value, _ []Value) Value {
			list, _, _ := ev.elems(this)
			out := make([]Value, len(list))
			for i := range list {
				out[i] = ev.array([]Value{num(float64(i)), val(list[i])})
			}
			return ev.iterator("Array", out)
		},
		"toString":       func(ev *evaluator, this Value, _ []Value) Value { return ev.str(this) },
		"toLocaleString": func(ev *evaluator, this Value, _ []Value) Value { return ev.str(this) },
		"toReversed": func(ev *evaluator, this Value, _ []Value) Value {
			list, _, _ := ev.elems(this)
			out := slices.Clone(list)
			slices.Reverse(out)
			return ev.array(out)
		},
		"with": func(ev *evaluator, this Value, args []Value) Value {
			list, _, _ := ev.elems(this)
			a := ev.array(slices.Clone(list))
			ev.setIndex(a, argOr(args, 0), argOr(args, 1))
			return a
		},
	})
}

func (ev *evaluator) openArray(from Value) *Object {
	a := ev.array(nil)
	a.weak, a.flows = true, deep(from)
	return a
}

// joinText joins elements, keeping what is known of each.
func (ev *evaluator) joinText(list []Value, sep Value, o *Object) Value {
	s, sepKnown := sep.(string)
	known := sepKnown && (o == nil || !o.weak)
	if known {
		var b strings.Builder
		for i, v := range list {
			if i > 0 {
				b.WriteString(s)
			}
			switch x := v.(type) {
			case nil, null, hole:
			case string:
				b.WriteString(x)
			case float64:
				b.WriteString(formatNumber(x))
			case *Object:
				if x.class != classBoxed && x.class != classArray || len(deep(x)) > 0 {
					known = false
				} else if t, ok := text(x); ok {
					b.WriteString(t)
				} else {
					known = false
				}
			default:
				if a, isA := v.(*Abstract); isA && (a.known == nil || len(a.flows) > 0) {
					known = false
				} else if t, ok := text(v); ok {
					b.WriteString(t)
				}
			}
			if !known || b.Len() > maxString {
				known = false
				break
			}
		}
		if known {
			ev.alloc(b.Len() / 64)
			if o != nil {
				return tainted(b.String(), o.flows)
			}
			return b.String()
		}
	}
	var ps []part
	for i, v := range list {
		if len(ps) > 4*maxParts {
			ps = append(ps, part{hole: unknown(callseq.String, deep(o))})
			break
		}
		if i > 0 {
			ps = append(ps, pieces(sep)...)
		}
		if !nothing(val(v)) {
			ps = append(ps, pieces(ev.str(val(v)))...)
		}
	}
	if o != nil && o.weak {
		ps = append(ps, part{hole: unknown(callseq.String, deep(o))})
	}
	out := ev.partly(ps)
	if o != nil {
		return tainted(out, o.flows)
	}
	return out
}

func (ev *evaluator) indexOf(this Value, args []Value, nan bool) Value {
	list, o, ok := ev.elems(this)
	if !ok || o != nil && o.weak {
		return unknown(callseq.Number, own(this))
	}
	from, ok := ev.intArg(args, 1, 0, len(list))
	if !ok {
		return unknown(callseq.Number, nil)
	}
	want := argOr(args, 0)
	open := false
	for i := from; i < len(list); i++ {
		eq, known := ev.strictEqual(val(list[i]), want)
		if !known {
			open = true
			continue
		}
		if eq {
			return num(float64(i))
		}
		if nan {
			if f, ok := plain(want).(float64); ok && f != f {
				if g, ok := list[i].(float64); ok && g != g {
					return num(float64(i))
				}
			}
		}
	}
	if open {
		return unknown(callseq.Number, own(want))
	}
	return num(-1)
}

func (ev *evaluator) arrayWriters() {
	mutate := func(f func(ev *evaluator, o *Object, args []Value) Value) nativeFunc {
		return func(ev *evaluator, this Value, args []Value) Value {
			o, ok := this.(*Object)
			if !ok || o.class != classArray && o.class != classArguments {
				if a, isA := this.(*Abstract); isA && a.known == nil {
					for _, v := range args {
						a.flows = a.flows.union(deep(v))
						ev.escape(v, a.flows)
					}
				}
				return unknown(callseq.Unknown, deep(this))
			}
			ev.logArray(o)
			return f(ev, o, args)
		}
	}
	ev.methods(ev.realm.array, map[string]nativeFunc{
		"push": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			ev.alloc(len(args))
			o.arr = append(o.arr, args...)
			return num(float64(len(o.arr)))
		}),
		"pop": mutate(func(ev *evaluator, o *Object, _ []Value) Value {
			n := len(o.arr)
			if n == 0 {
				return ev.missingElem(o)
			}
			v := val(o.arr[n-1])
			o.arr = o.arr[: n-1 : n-1]
			return v
		}),
		"shift": mutate(func(ev *evaluator, o *Object, _ []Value) Value {
			if len(o.arr) == 0 {
				return ev.missingElem(o)
			}
			v := val(o.arr[0])
			o.arr = o.arr[1:]
			return v
		}),
		"unshift": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			ev.alloc(len(args))
			o.arr = append(slices.Clone(args), o.arr...)
			return num(float64(len(o.arr)))
		}),
		"reverse": mutate(func(ev *evaluator, o *Object, _ []Value) Value {
			o.arr = slices.Clone(o.arr)
			slices.Reverse(o.arr)
			return o
		}),
		"splice": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			n := len(o.arr)
			i, ok := ev.intArg(args, 0, 0, n)
			del := n - i
			if len(args) == 0 {
				del = 0
			} else if len(args) > 1 {
				f, ok2 := ev.toNumber(args[1])
				ok = ok && ok2
				del = min(max(toInt(f), 0), n-i)
			}
			if !ok {
				o.weak = true
				o.flows = o.flows.union(deep(ev.array(args)))
				return ev.openArray(o)
			}
			out := ev.array(slices.Clone(o.arr[i : i+del]))
			out.weak = o.weak
			var ins []Value
			if len(args) > 2 {
				ins = args[2:]
			}
			next := make([]Value, 0, n-del+len(ins))
			next = append(append(append(next, o.arr[:i]...), ins...), o.arr[i+del:]...)
			ev.alloc(len(ins))
			o.arr = next
			return out
		}),
		"fill": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			i, _ := ev.intArg(args, 1, 0, len(o.arr))
			j, _ := ev.intArg(args, 2, len(o.arr), len(o.arr))
			o.arr = slices.Clone(o.arr)
			for ; i < j; i++ {
				o.arr[i] = argOr(args, 0)
			}
			return o
		}),
		"sort": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			o.arr = ev.sorted(o.arr, argOr(args, 0))
			return o
		}),
		"copyWithin": mutate(func(ev *evaluator, o *Object, args []Value) Value {
			t, _ := ev.intArg(args, 0, 0, len(o.arr))
			i, _ := ev.intArg(args, 1, 0, len(o.arr))
			j, _ := ev.intArg(args, 2, len(o.arr), len(o.arr))
			src := slices.Clone(o.arr[i:max(i, j)])
			o.arr = slices.Clone(o.arr)
			copy(o.arr[t:], src)
			return o
		}),
	})
	ev.methods(ev.realm.array, map[string]nativeFunc{
		"toSorted": func(ev *evaluator, this Value, args []Value) Value {
			list, _, _ := ev.elems(this)
			return ev.array(ev.sorted(list, argOr(args, 0)))
		},
		"toSpliced": func(ev *evaluator, this Value, args []Value) Value {
			list, _, _ := ev.elems(this)
			a := ev.array(slices.Clone(list))
			ev.call(ev.realm.array.lookupData("splice"), a, args)
			return a
		},
	})
}

func (ev *evaluator) missingElem(o *Object) Value {
	if o.weak {
		return unknown(callseq.Unknown, deep(o))
	}
	return nil
}

// sorted is a stable merge sort, so that a comparator of the package cannot break it.
func (ev *evaluator) sorted(list []Value, cmp Value) []Value {
	out := slices.Clone(list)
	f, _ := cmp.(*Object)
	open := false
	less := func(a, b Value) bool {
		if f != nil && f.fn != nil && !open {
			r := ev.call(f, nil, []Value{val(a), val(b)})
			x, ok := ev.toNumber(r)
			if !ok {
				open = true
				return false
			}
			return x > 0
		}
		x, ok1 := text(val(a))
		y, ok2 := text(val(b))
		return ok1 && ok2 && compareUTF16(x, y) > 0
	}
	buf := make([]Value, len(out))
	for w := 1; w < len(out); w *= 2 {
		for lo := 0; lo < len(out); lo += 2 * w {
			mid, hi := min(lo+w, len(out)), min(lo+2*w, len(out))
			i, j := lo, mid
			for k := lo; k < hi; k++ {
				if i < mid && (j >= hi || !less(out[i], out[j])) {
					buf[k] = out[i]
					i++
				} else {
					buf[k] = out[j]
					j++
				}
			}
		}
		out, buf = buf, out
	}
	return out
}

func (ev *evaluator) arrayCallbacks() {
	// each of these calls its first argument with (element, index, array)
	cb := func(f func(ev *evaluator, this Value, call func(v, i Value) Value) Value) nativeFunc {
		return func(ev *evaluator, this Value, args []Value) Value {
			fn := argOr(args, 0)
			t := argOr(args, 1)
			return f(ev, this, func(v, i Value) Value { return ev.call(fn, t, []Value{v, i, this}) })
		}
	}
	ev.methods(ev.realm.array, map[string]nativeFunc{
		"forEach": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			ev.each(this, func(v, i Value) bool { call(v, i); return true })
			return nil
		}),
		"map": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			var out []Value
			a := ev.array(nil)
			if o, ok := this.(*Object); ok {
				a.weak, a.flows = o.weak, o.flows
			} else if isUnknown(this) {
				a.weak, a.flows = true, own(this)
			}
			ev.each(this, func(v, i Value) bool { out = append(out, call(v, i)); return true })
			ev.alloc(len(out))
			a.arr = out
			if b, ok := this.(*Object); ok && b.class == classBytes {
				return ev.bytesFromList(b, out)
			}
			return a
		}),
		"filter": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			var out []Value
			a := ev.array(nil)
			if o, ok := this.(*Object); ok {
				a.weak, a.flows = o.weak, o.flows
			} else if isUnknown(this) {
				a.weak, a.flows = true, own(this)
			}
			ev.each(this, func(v, i Value) bool {
				if t, ok := truth(call(v, i)); t || !ok {
					out = append(out, v)
				}
				return true
			})
			a.arr = out
			if b, ok := this.(*Object); ok && b.class == classBytes {
				return ev.bytesFromList(b, out)
			}
			return a
		}),
		"some": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			var out Value = false
			ev.each(this, func(v, i Value) bool {
				t, ok := truth(call(v, i))
				if ok && t {
					out = true
					return false
				}
				if !ok {
					out = unknown(callseq.Bool, own(v))
				}
				return true
			})
			return out
		}),
		"every": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			var out Value = true
			ev.each(this, func(v, i Value) bool {
				t, ok := truth(call(v, i))
				if ok && !t {
					out = false
					return false
				}
				if !ok {
					out = unknown(callseq.Bool, own(v))
				}
				return true
			})
			return out
		}),
		"find":          cb(findFirst(false, false)),
		"findIndex":     cb(findFirst(true, false)),
		"findLast":      cb(findFirst(false, true)),
		"findLastIndex": cb(findFirst(true, true)),
		"flatMap": cb(func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
			var out []Value
			a := ev.array(nil)
			ev.each(this, func(v, i Value) bool {
				r := call(v, i)
				if o, ok := r.(*Object); ok && o.class == classArray {
					out = append(out, o.arr...)
					a.weak = a.weak || o.weak
				} else {
					out = append(out, r)
				}
				return true
			})
			a.arr = out
			return a
		}),
	})
	reduce := func(right bool) nativeFunc {
		return func(ev *evaluator, this Value, args []Value) Value {
			var items, idx []Value
			ev.each(this, func(v, i Value) bool { items, idx = append(items, v), append(idx, i); return true })
			if right {
				slices.Reverse(items)
				slices.Reverse(idx)
			}
			var acc Value
			if len(args) > 1 {
				acc = args[1]
			} else if len(items) > 0 {
				acc, items, idx = items[0], items[1:], idx[1:]
			}
			for k, v := range items {
				acc = ev.call(argOr(args, 0), nil, []Value{acc, v, idx[k], this})
			}
			return acc
		}
	}
	ev.methods(ev.realm.array, map[string]nativeFunc{"reduce": reduce(false), "reduceRight": reduce(true)})
}

func findFirst(index, last bool) func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
	return func(ev *evaluator, this Value, call func(v, i Value) Value) Value {
		var items, idx []Value
		ev.each(this, func(v, i Value) bool { items, idx = append(items, v), append(idx, i); return true })
		if last {
			slices.Reverse(items)
			slices.Reverse(idx)
		}
		var out Value
		if index {
			out = num(-1)
		}
		open := false
		for k, v := range items {
			t, ok := truth(call(v, idx[k]))
			if ok && !t {
				continue
			}
			r := v
			if index {
				r = idx[k]
			}
			if !ok {
				if open {
					out = join(out, r)
				} else {
					out = join(r, out)
				}
				open = true
				continue
			}
			if open {
				return join(out, r)
			}
			return r
		}
		return out
	}
}

// iterator is an object that gives a fixed list, one by one. kind is what it is an iterator of: its tag reads as in Node, which
// obfuscators take letters from.
func (ev *evaluator) iterator(kind string, items []Value) *Object {
	o := ev.objectOf(classGenerator, ev.realm.generator)
	o.putHidden("@@toStringTag", kind+" Iterator")
	i := 0
	g := &generator{started: false}
	g.next = func() (Value, bool) {
		if i >= len(items) {
			return nil, false
		}
		i++
		return val(items[i-1]), true
	}
	g.stop = func() {}
	g.turns = -1 << 30
	o.data = g
	return o
}

func (ev *evaluator) setupCollections() {
	r := ev.realm
	next := func(ev *evaluator, this Value, args []Value) Value {
		o, ok := this.(*Object)
		if !ok {
			return unknown(callseq.Object, deep(this))
		}
		g, ok := o.data.(*generator)
		if !ok {
			return unknown(callseq.Object, deep(this))
		}
		v, done := ev.resume(g, argOr(args, 0))
		out := ev.object()
		out.put("value", v)
		out.put("done", done)
		if g.async {
			return ev.settledPromise(out, false)
		}
		return out
	}
	self := func(_ *evaluator, this Value, _ []Value) Value { return this }
	ev.methods(r.generator, map[string]nativeFunc{"next": next, "@@iterator": self, "@@asyncIterator": self,
		"return": func(ev *evaluator, this Value, args []Value) Value {
			if o, ok := this.(*Object); ok {
				if g, ok := o.data.(*generator); ok {
					g.done = true
				}
			}
			out := ev.object()
			out.put("value", argOr(args, 0))
			out.put("done", true)
			return out
		},
		"throw": func(ev *evaluator, this Value, args []Value) Value { panic(ev.thrown(argOr(args, 0))) },
	})
	for _, name := range []string{"map", "filter", "forEach", "some", "every", "find", "reduce"} {
		f := r.array.lookupData(name)
		ev.method_(r.generator, name, func(ev *evaluator, this Value, args []Value) Value {
			items, _ := ev.iterate(this, maxYields)
			return ev.call(f, ev.array(items), args)
		})
	}
	ev.method_(r.generator, "toArray", func(ev *evaluator, this Value, _ []Value) Value {
		items, _ := ev.iterate(this, maxYields)
		return ev.array(items)
	})

	make := func(name string, proto *Object, isMap bool) {
		c := ev.constructor(name, proto, nil, nil)
		c.fn.native = func(ev *evaluator, _ Value, _ []Value) Value { return unknown(callseq.Object, nil) }
		c.fn.ctor = func(ev *evaluator, _ Value, args []Value) Value {
			o := ev.objectOf(classSet, proto)
			if isMap {
				o.class = classMap
			}
			m := newOrderedMap()
			o.data = m
			if len(args) > 0 && !nothing(args[0]) {
				items, open := ev.iterate(args[0], 1<<18)
				for _, it := range items {
					if isMap {
						m.set(ev.index(it, num(0)), ev.index(it, num(1)))
					} else {
						m.set(it, it)
					}
				}
				if open {
					o.weak, o.flows = true, deep(args[0])
				}
			}
			return o
		}
	}
	weakMap, weakSet := &Object{proto: r.object}, &Object{proto: r.object}
	make("Map", r.mapProto, true)
	make("Set", r.setProto, false)
	make("WeakMap", weakMap, true)
	make("WeakSet", weakSet, false)
	for _, p := range []*Object{r.mapProto, weakMap, r.setProto, weakSet} {
		ev.collectionMethods(p, p == r.mapProto || p == weakMap)
	}
	weakRef := func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.object()
		v := argOr(args, 0)
		o.put("deref", ev.nativeFn("deref", func(*evaluator, Value, []Value) Value { return v }))
		return o
	}
	ev.constructor("WeakRef", &Object{proto: r.object}, weakRef, weakRef)
	fin := func(ev *evaluator, _ Value, args []Value) Value { return ev.object() }
	fp := &Object{proto: r.object}
	ev.methods(fp, map[string]nativeFunc{"register": func(*evaluator, Value, []Value) Value { return nil }, "unregister": func(*evaluator, Value, []Value) Value { return nil }})
	ev.constructor("FinalizationRegistry", fp, fin, func(ev *evaluator, _ Value, args []Value) Value { return ev.objectOf(classPlain, fp) })
	sym := func(ev *evaluator, _ Value, args []Value) Value {
		d, _ := text(argOr(args, 0))
		r.symbols++
		return &Symbol{key: "@@" + d + "#" + formatNumber(float64(r.symbols)), desc: d}
	}
	s := ev.constructor("Symbol", r.symbol, sym, sym)
	for _, k := range []string{"iterator", "asyncIterator", "hasInstance", "toPrimitive", "toStringTag", "species", "isConcatSpreadable", "match", "matchAll", "replace", "search", "split", "unscopables", "dispose", "asyncDispose"} {
		s.putHidden(k, &Symbol{key: "@@" + k, desc: "Symbol." + k})
	}
	ev.methods(s, map[string]nativeFunc{"for": func(ev *evaluator, _ Value, args []Value) Value {
		d, _ := text(argOr(args, 0))
		key := "@@for:" + d
		if v, ok := ev.modules[key]; ok {
			return v
		}
		v := &Symbol{key: key, desc: d}
		ev.modules[key] = v
		return v
	}, "keyFor": func(ev *evaluator, _ Value, args []Value) Value {
		if s, ok := argOr(args, 0).(*Symbol); ok && strings.HasPrefix(s.key, "@@for:") {
			return s.desc
		}
		return nil
	}})
	ev.methods(r.symbol, map[string]nativeFunc{"toString": func(ev *evaluator, this Value, _ []Value) Value {
		if s, ok := this.(*Symbol); ok {
			return "Symbol(" + s.desc + ")"
		}
		return "Symbol()"
	}, "valueOf": primitiveValueOf})
}

func (ev *evaluator) collectionMethods(p *Object, isMap bool) {
	of := func(v Value) (*Object, *orderedMap) {
		if o, ok := v.(*Object); ok {
			if m, ok := o.data.(*orderedMap); ok {
				return o, m
			}
		}
		return nil, nil
	}
	with := func(f func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value) nativeFunc {
		return func(ev *evaluator, this Value, args []Value) Value {
			o, m := of(this)
			if m == nil {
				for _, a := range args {
					ev.escape(a, deep(this))
				}
				return unknown(callseq.Unknown, deep(this))
			}
			return f(ev, o, m, args)
		}
	}
	put := func(ev *evaluator, o *Object, m *orderedMap, k, v Value) {
		ev.alloc(2)
		if isUnknown(k) {
			o.weak = true
			o.flows = o.flows.union(deep(v)).union(own(k).may())
		}
		if old, ok := m.get(k); ok && ev.j != nil && o.born <= ev.jmark {
			v = join(old, v)
		}
		m.set(k, v)
	}
	list := func(f func(ev *evaluator, k, v Value) Value) nativeFunc {
		return with(func(ev *evaluator, o *Object, m *orderedMap, _ []Value) Value {
			var out []Value
			for i := range m.keys {
				if m.live[i] {
					out = append(out, f(ev, m.keys[i], m.vals[i]))
				}
			}
			if o.weak {
				out = append(out, unknown(callseq.Unknown, deep(o)))
			}
			kind := "Map"
			if o.class == classSet {
				kind = "Set"
			}
			return ev.iterator(kind, out)
		})
	}
	pair := func(ev *evaluator, k, v Value) Value { return ev.array([]Value{k, v}) }
	key := func(_ *evaluator, k, _ Value) Value { return k }
	value := func(_ *evaluator, _, v Value) Value { return v }
	ev.methods(p, map[string]nativeFunc{
		"has": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
			if _, ok := m.get(argOr(args, 0)); ok {
				return true
			}
			if o.weak || isUnknown(argOr(args, 0)) {
				return unknown(callseq.Bool, nil)
			}
			return false
		}),
		"delete": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
			if ev.j != nil && o.born <= ev.jmark {
				return unknown(callseq.Bool, nil)
			}
			return m.delete(argOr(args, 0))
		}),
		"clear": with(func(ev *evaluator, o *Object, m *orderedMap, _ []Value) Value {
			if ev.j == nil || o.born > ev.jmark {
				*m = *newOrderedMap()
			}
			return nil
		}),
		"forEach": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
			for i := 0; i < len(m.keys); i++ {
				if i < len(m.live) && m.live[i] {
					ev.call(argOr(args, 0), argOr(args, 1), []Value{m.vals[i], m.keys[i], o})
				}
			}
			return nil
		}),
		"keys": list(key), "values": list(value), "entries": list(pair),
	})
	if isMap {
		ev.methods(p, map[string]nativeFunc{
			"get": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
				if v, ok := m.get(argOr(args, 0)); ok {
					return v
				}
				if o.weak || isUnknown(argOr(args, 0)) && m.n > 0 {
					fns := &Abstract{kind: callseq.Unknown, flows: deep(o)}
					for i := range m.vals {
						if f, ok := m.vals[i].(*Object); ok && f.fn != nil && len(fns.alts) < maxAlts {
							fns.alts = append(fns.alts, f)
						}
					}
					return fns
				}
				return nil
			}),
			"set": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
				put(ev, o, m, argOr(args, 0), argOr(args, 1))
				return o
			}),
		})
		p.putHidden("@@iterator", p.lookupData("entries"))
	} else {
		ev.methods(p, map[string]nativeFunc{"add": with(func(ev *evaluator, o *Object, m *orderedMap, args []Value) Value {
			put(ev, o, m, argOr(args, 0), argOr(args, 0))
			return o
		})})
		p.putHidden("@@iterator", p.lookupData("values"))
	}
}

func (ev *evaluator) setupPromise() {
	r := ev.realm
	mk := func(ev *evaluator, _ Value, args []Value) Value {
		o, p := ev.newPromise()
		_, t := ev.protect(func() completion {
			ev.call(argOr(args, 0), nil, []Value{
				ev.nativeFn("resolve", func(ev *evaluator, _ Value, a []Value) Value {
					if p.state == fulfilled && ev.branchDepth > 0 {
						p.value = join(p.value, argOr(a, 0)) // another branch resolves it too
						return nil
					}
					ev.resolvePromise(p, argOr(a, 0))
					return nil
				}),
				ev.nativeFn("reject", func(ev *evaluator, _ Value, a []Value) Value {
					if ev.branchDepth == 0 { // a rejection that is only possible must not hide the success
						ev.settlePromise(p, rejected, argOr(a, 0))
					}
					return nil
				}),
			})
			return normal
		})
		if t != nil {
			ev.settlePromise(p, rejected, t.v)
		}
		return o
	}
	c := ev.constructor("Promise", r.promise, mk, mk)
	inner := func(v Value) *promise {
		if o, ok := v.(*Object); ok {
			if p, ok := o.data.(*promise); ok {
				return p
			}
		}
		return nil
	}
	ev.methods(r.promise, map[string]nativeFunc{
		"then": func(ev *evaluator, this Value, args []Value) Value {
			p := inner(this)
			if p == nil {
				return unknown(callseq.Object, deep(this))
			}
			return ev.then(p, argOr(args, 0), argOr(args, 1))
		},
		"catch": func(ev *evaluator, this Value, args []Value) Value {
			p := inner(this)
			if p == nil {
				return unknown(callseq.Object, deep(this))
			}
			return ev.then(p, nil, argOr(args, 0))
		},
		"finally": func(ev *evaluator, this Value, args []Value) Value {
			p := inner(this)
			if p == nil {
				return unknown(callseq.Object, deep(this))
			}
			f := argOr(args, 0)
			g := ev.nativeFn("finally", func(ev *evaluator, _ Value, a []Value) Value {
				ev.call(f, nil, nil)
				return argOr(a, 0)
			})
			return ev.then(p, g, g)
		},
	})
	all := func(wrap func(ev *evaluator, v Value, bad bool) Value) nativeFunc {
		return func(ev *evaluator, _ Value, args []Value) Value {
			items, open := ev.iterate(argOr(args, 0), 1<<14)
			out := make([]Value, len(items))
			for i, it := range items {
				_, t := ev.protect(func() completion { out[i] = ev.await(it); return normal })
				if t != nil {
					out[i] = t.v
				}
				if wrap != nil {
					out[i] = wrap(ev, out[i], t != nil)
				}
			}
			a := ev.array(out)
			if open {
				a.weak, a.flows = true, deep(argOr(args, 0))
			}
			return ev.settledPromise(a, false)
		}
	}
	first := func(ev *evaluator, _ Value, args []Value) Value {
		items, open := ev.iterate(argOr(args, 0), 64)
		var out Value
		for i, it := range items {
			var v Value
			if _, t := ev.protect(func() completion { v = ev.await(it); return normal }); t != nil {
				continue
			}
			if i == 0 {
				out = v
			} else {
				out = join(out, v)
			}
		}
		if open {
			out = join(out, unknown(callseq.Unknown, deep(argOr(args, 0))))
		}
		return ev.settledPromise(out, false)
	}
	ev.methods(c, map[string]nativeFunc{
		"resolve": func(ev *evaluator, _ Value, args []Value) Value {
			if inner(argOr(args, 0)) != nil {
				return args[0]
			}
			return ev.settledPromise(argOr(args, 0), false)
		},
		"reject": func(ev *evaluator, _ Value, args []Value) Value { return ev.settledPromise(argOr(args, 0), true) },
		"all":    all(nil),
		"allSettled": all(func(ev *evaluator, v Value, bad bool) Value {
			o := ev.object()
			if bad {
				o.put("status", "rejected")
				o.put("reason", v)
			} else {
				o.put("status", "fulfilled")
				o.put("value", v)
			}
			return o
		}),
		"race": first,
		"any":  first,
		"withResolvers": func(ev *evaluator, _ Value, _ []Value) Value {
			o, p := ev.newPromise()
			out := ev.object()
			out.put("promise", o)
			out.put("resolve", ev.nativeFn("resolve", func(ev *evaluator, _ Value, a []Value) Value { ev.resolvePromise(p, argOr(a, 0)); return nil }))
			out.put("reject", ev.nativeFn("reject", func(ev *evaluator, _ Value, a []Value) Value {
				ev.settlePromise(p, rejected, argOr(a, 0))
				return nil
			}))
			return out
		},
	})
}

func (ev *evaluator) setupDate() {
	r := ev.realm
	mk := func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.objectOf(classDate, r.date)
		if len(args) == 1 {
			if f, ok := plain(args[0]).(float64); ok {
				o.data = f
			}
		}
		return o
	}
	c := ev.constructor("Date", r.date, func(ev *evaluator, _ Value, _ []Value) Value {
		return &Abstract{kind: callseq.String, path: "Date()"}
	}, mk)
	now := func(*evaluator, Value, []Value) Value { return &Abstract{kind: callseq.Number, path: "Date.now()"} }
	ev.methods(c, map[string]nativeFunc{"now": now, "parse": now, "UTC": now})
	text := map[string]bool{"toISOString": true, "toString": true, "toJSON": true, "toLocaleString": true, "toDateString": true, "toTimeString": true, "toLocaleDateString": true, "toLocaleTimeString": true, "toUTCString": true, "toGMTString": true}
	for _, n := range strings.Fields("toISOString toString toJSON toLocaleString toDateString toTimeString toLocaleDateString toLocaleTimeString toUTCString toGMTString getTime valueOf getFullYear getMonth getDate getDay getHours getMinutes getSeconds getMilliseconds getTimezoneOffset getUTCFullYear getUTCMonth getUTCDate getUTCDay getUTCHours getUTCMinutes getUTCSeconds getUTCMilliseconds getYear setFullYear setMonth setDate setHours setMinutes setSeconds setMilliseconds setTime setUTCHours setUTCDate setUTCFullYear setUTCMonth setUTCMinutes setUTCSeconds") {
		kind := callseq.Number
		if text[n] {
			kind = callseq.String
		}
		ev.method_(r.date, n, func(ev *evaluator, this Value, _ []Value) Value {
			if o, ok := this.(*Object); ok && (n == "getTime" || n == "valueOf") {
				if f, ok := o.data.(float64); ok {
					return f
				}
			}
			return &Abstract{kind: kind, path: "Date." + n + "()"}
		})
	}
}
