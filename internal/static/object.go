package static

import (
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

const indexFrom = 9 // properties from which an index pays

func (o *Object) own(key string) *prop {
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return &o.props[i]
		}
		return nil
	}
	for i := range o.props {
		if o.props[i].key == key {
			return &o.props[i]
		}
	}
	return nil
}

// find looks along the prototype chain.
func (o *Object) find(key string) *prop {
	for n := 0; o != nil && n < 100; n++ {
		if p := o.own(key); p != nil {
			return p
		}
		o = o.proto
	}
	return nil
}

// lookupData reads a data property without running getters.
func (o *Object) lookupData(key string) Value {
	if p := o.find(key); p != nil {
		return p.val
	}
	return nil
}

// put writes an own data property without journal: for objects under construction and for models.
func (o *Object) put(key string, v Value) *Object {
	if p := o.own(key); p != nil {
		p.val, p.get, p.set = v, nil, nil
		return o
	}
	o.add(prop{key: key, val: v})
	return o
}

func (o *Object) putHidden(key string, v Value) *Object {
	o.put(key, v)
	o.own(key).hidden = true
	return o
}

func (o *Object) add(p prop) {
	o.props = append(o.props, p)
	if o.index != nil {
		o.index[p.key] = int32(len(o.props) - 1)
	} else if len(o.props) >= indexFrom {
		o.index = make(map[string]int32, 2*indexFrom)
		for i := range o.props {
			o.index[o.props[i].key] = int32(i)
		}
	}
}

func (o *Object) remove(key string) {
	for i := range o.props {
		if o.props[i].key == key {
			o.props = slices.Delete(slices.Clone(o.props), i, i+1)
			if o.index != nil {
				o.index = make(map[string]int32, len(o.props))
				for j := range o.props {
					o.index[o.props[j].key] = int32(j)
				}
			}
			return
		}
	}
}

// arrayIndex reads a canonical array index.
func arrayIndex(key string) (int, bool) {
	if key == "" || len(key) > 9 || key[0] == '0' && len(key) > 1 {
		return 0, false
	}
	n := 0
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// keys lists the own enumerable string keys in JavaScript's order.
func (o *Object) keys() []string {
	var out []string
	if o.class == classArray || o.class == classArguments {
		for i := range o.arr {
			if _, ok := o.arr[i].(hole); !ok {
				out = append(out, strconv.Itoa(i))
			}
		}
	}
	if o.class == classBytes {
		if b, ok := o.data.(*bytesData); ok && b.width > 0 {
			for i := range min(b.length(), 1<<16) {
				out = append(out, strconv.Itoa(i))
			}
		}
	}
	if s, ok := o.data.(string); ok && o.class == classBoxed {
		for i := range utf16Len(s) {
			out = append(out, strconv.Itoa(i))
		}
	}
	var ints []int
	for i := range o.props {
		if p := &o.props[i]; !p.hidden && !strings.HasPrefix(p.key, "@@") && !strings.HasPrefix(p.key, "#") {
			if n, ok := arrayIndex(p.key); ok {
				ints = append(ints, n)
			}
		}
	}
	slices.Sort(ints)
	for _, n := range ints {
		out = append(out, strconv.Itoa(n))
	}
	for i := range o.props {
		p := &o.props[i]
		if p.hidden || strings.HasPrefix(p.key, "@@") || strings.HasPrefix(p.key, "#") {
			continue
		}
		if len(ints) > 0 {
			if _, ok := arrayIndex(p.key); ok {
				continue
			}
		}
		out = append(out, p.key)
	}
	return out
}

func sortedKeys(m map[string]Value) []string {
	if len(m) == 0 {
		return nil
	}
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// orderedMap is the inside of Map, Set, WeakMap and WeakSet.
type orderedMap struct {
	keys, vals []Value
	live       []bool
	at         map[Value]int
	n          int
}

func newOrderedMap() *orderedMap { return &orderedMap{at: map[Value]int{}} }

func mapKey(v Value) Value {
	switch x := v.(type) {
	case float64:
		if x == 0 {
			return 0.0
		}
		if x != x {
			return hole{}
		}
	case *Abstract:
		if x.known != nil {
			return mapKey(x.known)
		}
	}
	return v
}

func (m *orderedMap) get(k Value) (Value, bool) {
	if i, ok := m.at[mapKey(k)]; ok {
		return m.vals[i], true
	}
	return nil, false
}

func (m *orderedMap) set(k, v Value) {
	key := mapKey(k)
	if i, ok := m.at[key]; ok {
		m.vals[i] = v
		return
	}
	m.at[key] = len(m.keys)
	m.keys, m.vals, m.live = append(m.keys, k), append(m.vals, v), append(m.live, true)
	m.n++
}

func (m *orderedMap) delete(k Value) bool {
	key := mapKey(k)
	i, ok := m.at[key]
	if ok {
		delete(m.at, key)
		m.live[i] = false
		m.keys[i], m.vals[i] = nil, nil
		m.n--
	}
	return ok
}

// --- making objects

func (ev *evaluator) object() *Object {
	ev.alloc(1)
	return &Object{proto: ev.realm.object, born: ev.jseq}
}

func (ev *evaluator) objectOf(c class, proto *Object) *Object {
	ev.alloc(1)
	return &Object{class: c, proto: proto, born: ev.jseq}
}

func (ev *evaluator) array(vs []Value) *Object {
	ev.alloc(1 + len(vs))
	return &Object{class: classArray, proto: ev.realm.array, arr: vs, born: ev.jseq}
}

func (ev *evaluator) nativeFn(name string, f nativeFunc) *Object {
	return &Object{class: classFunction, proto: ev.realm.function, fn: &function{native: f, name: name}, born: ev.jseq}
}

// alloc counts what the package makes; past the budget the run ends as past the steps.
func (ev *evaluator) alloc(n int) {
	if ev.memory -= int64(n); ev.memory < 0 {
		panic(abort{"memory budget"})
	}
}

// --- reading

// get reads a property of any value.
func (ev *evaluator) get(v Value, key string) Value {
	switch x := v.(type) {
	case *Object:
		return ev.getFrom(x, key, v)
	case string:
		return ev.getString(x, key, nil)
	case *Abstract:
		return ev.getAbstract(x, key)
	case float64:
		return ev.getFrom(ev.realm.number, key, v)
	case bool:
		return ev.getFrom(ev.realm.boolean, key, v)
	case *Symbol:
		if key == "description" {
			return x.desc
		}
		return ev.getFrom(ev.realm.symbol, key, v)
	case nil, null:
		// A real engine throws here. That a value is missing is more often our own ignorance than the program's intent, and what
		// comes after must not be lost, so the run goes on with an unknown.
		return unknown(callseq.Unknown, nil)
	}
	return ev.getFrom(ev.realm.bigint, key, v)
}

func (ev *evaluator) getFrom(o *Object, key string, recv Value) Value {
	if o.class != classPlain {
		switch o.class {
		case classArray, classArguments:
			if key == "length" {
				return num(float64(len(o.arr)))
			}
			if i, ok := arrayIndex(key); ok {
				return ev.element(o, i)
			}
		case classBytes:
			if b, ok := o.data.(*bytesData); ok {
				if v, ok := ev.bytesProp(o, b, key); ok {
					return v
				}
			}
		case classBoxed:
			if s, ok := o.data.(string); ok {
				if key == "length" {
					return num(float64(utf16Len(s)))
				}
				if i, ok := arrayIndex(key); ok {
					return charAt(s, i)
				}
			}
		case classFunction:
			if v, ok := ev.functionProp(o, key); ok {
				return v
			}
		case classProxy:
			return ev.proxyGet(o, key, recv)
		case classRegExp:
			if r, ok := o.data.(*regexpData); ok {
				if v, ok := r.prop(key); ok {
					return v
				}
			}
		case classMap, classSet:
			if key == "size" {
				if m, ok := o.data.(*orderedMap); ok {
					return num(float64(m.n))
				}
			}
		}
	}
	p := o.find(key)
	if p == nil {
		if key == "__proto__" {
			if o.proto == nil {
				return null{}
			}
			return o.proto
		}
		if o.weak {
			return unknown(callseq.Unknown, deep(o))
		}
		if base := ev.hostBase(o); base != nil { // a class that extends a builtin
			return ev.getAbstract(base, key)
		}
		return nil
	}
	if p.get != nil {
		return ev.call(p.get, recv, nil)
	}
	if p.set != nil {
		return nil
	}
	return p.val
}

func (ev *evaluator) element(o *Object, i int) Value {
	if i >= 0 && i < len(o.arr) {
		if _, ok := o.arr[i].(hole); ok {
			return nil
		}
		return o.arr[i]
	}
	if o.weak {
		return unknown(callseq.Unknown, deep(o))
	}
	return nil
}

// hostBase finds the builtin that an object's class extends, if any.
func (ev *evaluator) hostBase(o *Object) *Abstract {
	for n := 0; o != nil && n < 20; n++ {
		if a, ok := o.data.(*Abstract); ok {
			return a
		}
		o = o.proto
	}
	return nil
}

// index reads v[k].
func (ev *evaluator) index(v, k Value) Value {
	switch o := v.(type) {
	case *Object:
		if f, ok := k.(float64); ok {
			if i := int(f); float64(i) == f && i >= 0 {
				switch o.class {
				case classArray, classArguments:
					return ev.element(o, i)
				case classBytes:
					if b, ok := o.data.(*bytesData); ok && !o.weak {
						return tainted(b.at(i), o.flows)
					}
				}
			}
		}
	case string:
		if f, ok := k.(float64); ok {
			if i := int(f); float64(i) == f && i >= 0 {
				return ev.charAt(o, i)
			}
		}
	}
	if key, ok := ev.propKey(k); ok {
		r := ev.get(v, key)
		if fl := own(k); len(fl) > 0 {
			if _, isObj := r.(*Object); !isObj && !isHost(r) {
				return tainted(r, fl.may())
			}
		}
		return r
	}
	// An unknown key: any of the properties.
	fl := own(k).may()
	switch o := v.(type) {
	case *Object:
		if a, ok := k.(*Abstract); ok && len(a.alts) > 0 {
			var out joined
			for _, alt := range a.alts {
				out.add(ev.index(v, alt))
			}
			return out.value()
		}
		var fns []Value
		for i := range o.props {
			if f, ok := o.props[i].val.(*Object); ok && f.fn != nil && len(fns) < maxAlts {
				fns = append(fns, f)
			}
		}
		for _, e := range o.arr {
			if f, ok := e.(*Object); ok && len(fns) < maxAlts {
				fns = append(fns, f)
			}
		}
		return &Abstract{kind: callseq.Unknown, flows: deep(o).union(fl), alts: fns}
	case *Abstract:
		if o.known == nil {
			path := ""
			if o.path != "" && !o.host {
				path = o.path + "[?]"
			}
			if o.host {
				if r := ev.hostIndexUnknown(o, k); r != nil {
					return r
				}
			}
			return &Abstract{kind: callseq.Unknown, flows: own(o).union(fl), path: path}
		}
	}
	return unknown(callseq.Unknown, own(v).union(fl))
}

// propKey converts a known value to a property key.
func (ev *evaluator) propKey(k Value) (string, bool) {
	switch x := k.(type) {
	case string:
		return x, true
	case *Symbol:
		return x.key, true
	case *Object:
		return ev.toText(x)
	}
	return text(k)
}

// --- writing

// set writes v[key] = val for any value.
func (ev *evaluator) set(v Value, key string, val Value) {
	switch o := v.(type) {
	case *Object:
		ev.setOn(o, key, val, v)
	case *Abstract:
		ev.setAbstract(o, key, val)
	}
}

func (ev *evaluator) setOn(o *Object, key string, val Value, recv Value) {
	switch o.class {
	case classArray, classArguments:
		if i, ok := arrayIndex(key); ok {
			ev.setElement(o, i, val)
			return
		}
		if key == "length" {
			if f, ok := number(val); ok {
				n := toInt(f)
				ev.logArray(o)
				if n >= 0 && n < len(o.arr) {
					o.arr = o.arr[:n:n]
				}
				for len(o.arr) < n && n < 1<<16 {
					o.arr = append(o.arr, hole{})
				}
			}
			return
		}
	case classBytes:
		if b, ok := o.data.(*bytesData); ok {
			if i, ok := arrayIndex(key); ok {
				ev.setByte(o, b, i, val)
				return
			}
		}
	case classProxy:
		ev.proxySet(o, key, val, recv)
		return
	}
	p := o.own(key)
	if p == nil && o.proto != nil {
		if q := o.proto.find(key); q != nil && (q.set != nil || q.get != nil) {
			if q.set != nil {
				ev.call(q.set, recv, []Value{val})
			}
			return
		}
	}
	if p != nil && (p.set != nil || p.get != nil) {
		if p.set != nil {
			ev.call(p.set, recv, []Value{val})
		}
		return
	}
	if o.frozen {
		return
	}
	if key == "__proto__" {
		if q, ok := val.(*Object); ok {
			o.proto = q
		}
		return
	}
	if o.born <= ev.jmark {
		ev.logProp(o, key, p)
	}
	if p != nil {
		p.val = val
		return
	}
	ev.alloc(1)
	o.add(prop{key: key, val: val})
	if ev.watchBuiltins && o.born == 0 {
		ev.builtinWritten(o, key, val)
	}
}

func (ev *evaluator) setElement(o *Object, i int, val Value) {
	if o.frozen {
		return
	}
	if i < len(o.arr) {
		if o.born <= ev.jmark {
			ev.logElement(o, i)
		}
		o.arr[i] = val
		return
	}
	if i > len(o.arr)+1<<20 {
		return
	}
	ev.alloc(i - len(o.arr) + 1)
	if o.born <= ev.jmark {
		ev.logArray(o)
	}
	for len(o.arr) < i {
		o.arr = append(o.arr, hole{})
	}
	o.arr = append(o.arr, val)
}

// setIndex writes v[k] = val.
func (ev *evaluator) setIndex(v, k, val Value) {
	if o, ok := v.(*Object); ok {
		if f, ok := k.(float64); ok {
			if i := int(f); float64(i) == f && i >= 0 {
				switch o.class {
				case classArray, classArguments:
					ev.setElement(o, i, val)
					return
				case classBytes:
					if b, ok := o.data.(*bytesData); ok {
						ev.setByte(o, b, i, val)
						return
					}
				}
			}
		}
	}
	if key, ok := ev.propKey(k); ok {
		if fl := own(k); len(fl) > 0 {
			val = tainted(val, fl.may())
		}
		ev.set(v, key, val)
		return
	}
	switch o := v.(type) {
	case *Object:
		// Somewhere in it, we do not know where.
		o.weak = true
		o.flows = o.flows.union(deep(val)).union(own(k).may())
		if f, ok := val.(*Object); ok && f.fn != nil {
			ev.setOn(o, "@@any"+strconv.Itoa(len(o.props)), val, o)
		}
	case *Abstract:
		ev.setAbstract(o, "@@any", val)
	}
}

func (ev *evaluator) deleteProp(v Value, k Value) {
	key, ok := ev.propKey(k)
	o, isObj := v.(*Object)
	if !isObj || !ok || o.frozen {
		return
	}
	if i, isIdx := arrayIndex(key); isIdx && (o.class == classArray || o.class == classArguments) {
		if i < len(o.arr) {
			ev.setElement(o, i, hole{})
		}
		return
	}
	if p := o.own(key); p != nil {
		if o.born <= ev.jmark {
			ev.logProp(o, key, p)
		}
		o.remove(key)
	}
}
