package static

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// Value is one JavaScript value as the evaluator knows it:
//
//	nil        undefined
//	null{}     null
//	bool, float64, *big.Int, string (WTF-8), *Symbol
//	*Object    anything with an inside that we hold: objects, arrays, functions, bytes, promises
//	*Abstract  a value not wholly known, or a known primitive that remembers where it came from
type Value any

type null struct{}

// Symbol is a JavaScript symbol. Its key names properties.
type Symbol struct{ key, desc string }

// class tells what kind of object an Object is.
type class uint8

const (
	classPlain class = iota
	classArray
	classFunction
	classError
	classRegExp
	classDate
	classPromise
	classMap
	classSet
	classBytes // Buffer, Uint8Array and the other typed arrays, ArrayBuffer, DataView
	classBoxed // new String, Number, Boolean
	classArguments
	classProxy
	classGenerator
)

// prop is one own property. get or set make it an accessor.
type prop struct {
	key      string
	val      Value
	get, set *Object
	hidden   bool // not enumerable
}

// Object is an object that the evaluator holds.
type Object struct {
	class    class
	weak     bool // something unknown was written into it: an absent property is unknown, not undefined
	frozen   bool
	visiting bool
	born     int32 // journal counter at its making: younger objects need no undo
	id       int32 // see evaluator.id
	proto    *Object
	props    []prop
	index    map[string]int32 // of props, once there are many
	arr      []Value          // elements of arrays and arguments; hole{} for holes
	fn       *function
	data     any   // *regexpData, *promise, *orderedMap, *bytesData, float64 (date), Value (boxed), *proxy, *generator
	flows    flows // where the object as a whole came from
}

type hole struct{}

// function is what a callable object runs: code of the package, or a model of ours.
type function struct {
	code    *js.Func
	env     *frame
	act     *activation // of the place it was made in, for arrows: this, super, new.target, arguments
	mod     *module
	layer   int
	native  nativeFunc
	ctor    nativeFunc // what new does, when native differs
	name    string
	cls     *js.Class
	derived bool
	fields  []field
	home    *Object // where super looks from
}

type field struct {
	key   string
	value js.Expr
	fn    *function // scope to evaluate in
}

type nativeFunc func(ev *evaluator, this Value, args []Value) Value

// frame holds the slots of one activation of a js.Scope.
type frame struct {
	slots []Value
	up    *frame
	scope *js.Scope
	with  Value // object of a with statement
	born  int32
}

// newFrame makes a frame with room for so many slots, in one allocation if they are as few as most scopes have.
func newFrame(n int, up *frame, scope *js.Scope, born int32) *frame {
	f := frame{up: up, scope: scope, born: born}
	switch {
	case n == 0:
		return &f
	case n <= 2:
		x := &struct {
			frame
			room [2]Value
		}{frame: f}
		x.slots = x.room[:n:n]
		return &x.frame
	case n <= 4:
		x := &struct {
			frame
			room [4]Value
		}{frame: f}
		x.slots = x.room[:n:n]
		return &x.frame
	case n <= 8:
		x := &struct {
			frame
			room [8]Value
		}{frame: f}
		x.slots = x.room[:n:n]
		return &x.frame
	}
	f.slots = make([]Value, n)
	return &f
}

// activation is one running function.
type activation struct {
	this      Value
	fn        *Object
	newTarget Value
	args      []Value
	mod       *module
	unit      *js.Unit
	layer     int
	pending   []Value // values of returns under unknown conditions
	gen       *generator
}

// maxFlows bounds how many origins one value remembers. Beyond it the oldest stay.
const maxFlows = 48

// flows are the calls a value derives from, sorted. They are never changed in place.
type flows []callseq.Flow

func less(a, b callseq.Flow) bool {
	if a.From != b.From {
		return a.From < b.From
	}
	if a.Via != b.Via {
		return a.Via < b.Via
	}
	return !a.May && b.May
}

func (a flows) union(b flows) flows {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	if len(a) == len(b) && &a[0] == &b[0] {
		return a
	}
	if a.covers(b) {
		return a
	}
	if b.covers(a) {
		return b
	}
	out := make(flows, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		var f callseq.Flow
		if len(b) == 0 || len(a) > 0 && less(a[0], b[0]) {
			f, a = a[0], a[1:]
		} else {
			f, b = b[0], b[1:]
		}
		if n := len(out); n > 0 && out[n-1].From == f.From && out[n-1].Via == f.Via {
			continue
		}
		out = append(out, f)
	}
	if len(out) > maxFlows {
		out = out[:maxFlows]
	}
	return out
}

// covers reports that the union with b would be a: the common case by far, which needs no copy.
func (a flows) covers(b flows) bool {
	if len(b) > len(a) {
		return false
	}
	i := 0
	for _, f := range b {
		for i < len(a) && (a[i].From != f.From || a[i].Via != f.Via) {
			i++
		}
		if i == len(a) || a[i].May && !f.May {
			return false
		}
	}
	return true
}

// via marks what a transformation did to a value: plain copies become it, what was transformed before keeps its mark beside it.
func (a flows) via(v callseq.Via) flows {
	if v == callseq.Copy || len(a) == 0 {
		return a
	}
	var out flows
	for _, f := range a {
		g := f
		g.Via = v
		one := flows{g}
		if f.Via != callseq.Copy && f.Via != v {
			one = flows{f}.union(one)
		}
		out = out.union(one)
	}
	return out
}

func (a flows) may() flows {
	if !slices.ContainsFunc(a, func(f callseq.Flow) bool { return !f.May }) {
		return a
	}
	out := make(flows, len(a))
	for i, f := range a {
		f.May = true
		out[i] = f
	}
	return out
}

// part is a piece of a partly known string: literal text, or a hole.
type part struct {
	lit  string
	hole *Abstract // nil for a literal
}

const (
	maxAlts  = 6
	maxParts = 64
)

// Abstract is a value that is not wholly known. With known set it is an ordinary primitive that remembers its flows.
type Abstract struct {
	known Value
	kind  callseq.ValueKind
	flows flows
	parts []part  // of a string known in part
	alts  []Value // it is one of these
	path  string  // how the package would name it: process.env.HOME, require("x").y
	typ   string  // instance type: its members are APIs named typ.member
	props map[string]Value
	file  Value      // the path of the file behind a stream or descriptor
	made  callseq.ID // the call that returned it, when it is a handle
	id    int32      // see evaluator.id
	depth int16      // length of the access path since the call that made it
	host  bool       // path is the canonical name of a builtin, or of a member of one
	ns    bool       // a module namespace
}

// Boxing numbers and characters at each use would be the evaluator's largest cost.
var small = func() (t [1280]Value) {
	for i := range t {
		t[i] = float64(i - 256)
	}
	return t
}()

var latin = func() (t [256]Value) {
	for i := range t {
		t[i] = string(rune(i))
	}
	return t
}()

func num(f float64) Value {
	if i := int(f); float64(i) == f && i >= -256 && i < 1024 && (i != 0 || !math.Signbit(f)) {
		return small[i+256]
	}
	return f
}

func unknown(kind callseq.ValueKind, fl flows) *Abstract { return &Abstract{kind: kind, flows: fl} }

// tainted gives a known primitive its flows.
func tainted(v Value, fl flows) Value {
	if len(fl) == 0 {
		return v
	}
	switch x := v.(type) {
	case *Abstract:
		if y := x.flows.union(fl); len(y) != len(x.flows) {
			c := *x
			c.flows = y
			c.props, c.id = nil, 0
			return &c
		}
		return x
	case *Object:
		return v
	}
	return &Abstract{known: v, kind: kindOf(v), flows: fl}
}

// plain strips the flows of a known primitive.
func plain(v Value) Value {
	if a, ok := v.(*Abstract); ok && a.known != nil {
		return a.known
	}
	return v
}

// own gives the flows of the value itself, not of what it holds.
func own(v Value) flows {
	switch x := v.(type) {
	case *Abstract:
		fl := x.flows
		for _, p := range x.parts {
			if p.hole != nil {
				fl = fl.union(p.hole.flows)
			}
		}
		for _, a := range x.alts {
			fl = fl.union(own(a))
		}
		return fl
	case *Object:
		return x.flows
	}
	return nil
}

// deep gives the flows of the value and of everything in it, to a bound.
func deep(v Value) flows {
	n := 150
	return deepN(v, &n, 0)
}

func deepN(v Value, n *int, depth int) flows {
	if *n--; *n < 0 {
		return nil
	}
	fl := own(v)
	o, ok := v.(*Object)
	if depth > 6 {
		return fl
	}
	if a, isA := v.(*Abstract); isA {
		if len(a.props) > 0 {
			for _, k := range sortedKeys(a.props) {
				if *n < 0 {
					return fl
				}
				fl = fl.union(deepN(a.props[k], n, depth+1))
			}
		}
		for _, x := range a.alts {
			if *n < 0 {
				return fl
			}
			if _, isObject := x.(*Object); isObject { // own has those of all others
				fl = fl.union(deepN(x, n, depth+1))
			}
		}
		return fl
	}
	if !ok || o.visiting {
		return fl
	}
	o.visiting = true
	for _, e := range o.arr {
		if *n < 0 {
			break
		}
		switch e.(type) {
		case *Object, *Abstract:
			fl = fl.union(deepN(e, n, depth+1))
		}
	}
	for i := range o.props {
		if *n < 0 {
			break
		}
		switch o.props[i].val.(type) {
		case *Object, *Abstract:
			fl = fl.union(deepN(o.props[i].val, n, depth+1))
		}
	}
	switch d := o.data.(type) {
	case *orderedMap:
		for i := range d.keys {
			if d.live[i] {
				fl = fl.union(deepN(d.keys[i], n, depth+1)).union(deepN(d.vals[i], n, depth+1))
			}
		}
	case *promise:
		fl = fl.union(deepN(d.value, n, depth+1))
	}
	o.visiting = false
	return fl
}

func kindOf(v Value) callseq.ValueKind {
	switch x := v.(type) {
	case nil:
		return callseq.Undefined
	case null:
		return callseq.Null
	case bool:
		return callseq.Bool
	case float64, *big.Int:
		return callseq.Number
	case string:
		return callseq.String
	case *Object:
		switch {
		case x.fn != nil:
			return callseq.Func
		case x.class == classArray || x.class == classArguments:
			return callseq.Array
		case x.class == classBytes:
			return callseq.Bytes
		}
		return callseq.Object
	case *Abstract:
		return x.kind
	}
	return callseq.Unknown
}

// join is the value after two branches meet.
func join(a, b Value) Value {
	if same(a, b) {
		return a
	}
	var j joined
	j.add(a)
	j.add(b)
	return j.value()
}

// joined is a join being made of any number of values, one after the other.
type joined struct {
	any  bool
	one  Value              // the first, until another differs
	alts [2 * maxAlts]Value // then these
	n    int
}

func (j *joined) add(v Value) {
	if !j.any {
		j.any, j.one = true, v
		return
	}
	if j.n == 0 {
		if same(j.one, v) {
			return
		}
		j.alternatives(j.one)
	}
	j.alternatives(v)
	if j.n > maxAlts {
		j.one, j.n = j.value(), 0
	}
}

func (j *joined) alternatives(v Value) {
	if x, ok := v.(*Abstract); ok && x.known == nil && len(x.alts) > 0 && len(x.parts) == 0 {
		for _, y := range x.alts {
			j.alternative(y)
		}
		return
	}
	j.alternative(v)
}

func (j *joined) alternative(v Value) {
	for _, z := range j.alts[:j.n] {
		if same(v, z) {
			return
		}
	}
	j.alts[j.n] = v
	j.n++
}

// value is the join of all that was added.
func (j *joined) value() Value {
	if j.n == 0 {
		return j.one
	}
	alts := j.alts[:j.n]
	kind := kindOf(alts[0])
	for _, v := range alts[1:] {
		if kindOf(v) != kind {
			kind = callseq.Unknown
		}
	}
	if len(alts) > maxAlts {
		out := &Abstract{kind: kind}
		for _, v := range alts {
			out.flows = out.flows.union(own(v))
			if o, ok := v.(*Object); ok && len(out.alts) < maxAlts && o.fn != nil {
				out.alts = append(out.alts, v)
			}
		}
		return out
	}
	if len(alts) == 2 { // as most have: one allocation
		out := &struct {
			Abstract
			room [2]Value
		}{Abstract: Abstract{kind: kind}, room: [2]Value(alts)}
		out.alts = out.room[:]
		return &out.Abstract
	}
	return &Abstract{kind: kind, alts: slices.Clone(alts)}
}

// same reports that two values are one and the same to the evaluator, flows included.
func same(a, b Value) bool {
	switch x := a.(type) {
	case nil:
		return b == nil
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || x != x && y != y)
	case *big.Int:
		y, ok := b.(*big.Int)
		return ok && x.Cmp(y) == 0
	case *Abstract:
		y, ok := b.(*Abstract)
		if !ok {
			return false
		}
		if x == y {
			return true
		}
		if x.known != nil && y.known != nil {
			return same(x.known, y.known) && sameFlows(x.flows, y.flows)
		}
		return x.known == nil && y.known == nil && x.path != "" && x.path == y.path && x.typ == y.typ && sameFlows(x.flows, y.flows) && len(x.alts)+len(y.alts)+len(x.parts)+len(y.parts)+len(x.props)+len(y.props) == 0
	}
	return a == b
}

func sameFlows(a, b flows) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// isUnknown reports a value whose type and content are open.
func isUnknown(v Value) bool {
	a, ok := v.(*Abstract)
	return ok && a.known == nil
}

// truth evaluates a condition; ok is false when both outcomes are possible.
func truth(v Value) (val, ok bool) {
	switch x := v.(type) {
	case nil, null:
		return false, true
	case bool:
		return x, true
	case float64:
		return x != 0 && x == x, true
	case *big.Int:
		return x.Sign() != 0, true
	case string:
		return x != "", true
	case *Abstract:
		if x.known != nil {
			return truth(x.known)
		}
		if len(x.alts) > 0 {
			for i, a := range x.alts {
				t, k := truth(a)
				if !k || i > 0 && t != val {
					return false, false
				}
				val = t
			}
			return val, true
		}
		for _, p := range x.parts {
			if p.lit != "" {
				return true, true
			}
		}
		if x.host && (x.ns || x.kind == callseq.Func || x.kind == callseq.Object) || x.typ != "" && x.made != 0 {
			return true, true
		}
		return false, false
	}
	return true, true
}

func typeOf(v Value) Value {
	switch x := v.(type) {
	case nil:
		return "undefined"
	case null:
		return "object"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case *big.Int:
		return "bigint"
	case string:
		return "string"
	case *Symbol:
		return "symbol"
	case *Object:
		if x.fn != nil {
			return "function"
		}
		return "object"
	case *Abstract:
		if x.known != nil {
			return typeOf(x.known)
		}
		if len(x.parts) > 0 {
			return "string"
		}
		if len(x.alts) > 0 {
			t := typeOf(x.alts[0])
			for _, a := range x.alts[1:] {
				t = join(t, typeOf(a))
			}
			return t
		}
		switch x.kind {
		case callseq.String:
			return "string"
		case callseq.Number:
			return "number"
		case callseq.Bool:
			return "boolean"
		case callseq.Func:
			return "function"
		case callseq.Array, callseq.Object, callseq.Bytes:
			return "object"
		}
	}
	return unknown(callseq.String, own(v))
}

// number converts a known primitive; ok is false for anything unknown or with an inside.
func number(v Value) (float64, bool) {
	switch x := v.(type) {
	case nil:
		return math.NaN(), true
	case null:
		return 0, true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case float64:
		return x, true
	case string:
		return parseNumber(x), true
	case *Object:
		switch x.class {
		case classBoxed:
			return number(x.data)
		case classDate:
			if f, ok := x.data.(float64); ok {
				return f, true
			}
			return 0, false
		}
		if s, ok := text(x); ok {
			return parseNumber(s), true
		}
	case *Abstract:
		if x.known != nil {
			return number(x.known)
		}
	}
	return 0, false
}

func parseNumber(s string) float64 {
	s = strings.TrimFunc(s, isSpace)
	if s == "" {
		return 0
	}
	if len(s) > 2 && s[0] == '0' {
		base := 0
		switch s[1] | 0x20 {
		case 'x':
			base = 16
		case 'o':
			base = 8
		case 'b':
			base = 2
		}
		if base != 0 {
			if n, err := strconv.ParseUint(s[2:], base, 64); err == nil {
				return float64(n)
			}
			if n, ok := new(big.Int).SetString(s[2:], base); ok && s[2] != '-' && s[2] != '+' {
				f, _ := new(big.Float).SetInt(n).Float64()
				return f
			}
			return math.NaN()
		}
	}
	switch s {
	case "Infinity", "+Infinity":
		return math.Inf(1)
	case "-Infinity":
		return math.Inf(-1)
	}
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-') {
			return math.NaN()
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

func isSpace(r rune) bool {
	switch r {
	case ' ', '\t', '\n', '\r', '\v', '\f', 0xa0, 0xfeff, 0x2028, 0x2029, 0x1680, 0x202f, 0x205f, 0x3000:
		return true
	}
	return r >= 0x2000 && r <= 0x200a
}

func formatNumber(f float64) string {
	switch {
	case f != f:
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f == 0:
		return "0"
	}
	if i := int64(f); float64(i) == f && i > -1e15 && i < 1e15 {
		return strconv.FormatInt(i, 10)
	}
	a := math.Abs(f)
	if a >= 1e21 || a < 1e-6 {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		m, e, _ := strings.Cut(s, "e")
		sign := e[:1]
		e = strings.TrimLeft(e[1:], "0")
		return m + "e" + sign + e
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// text converts a value to its string if that is wholly known without running code of the package.
func text(v Value) (string, bool) {
	switch x := v.(type) {
	case nil:
		return "undefined", true
	case null:
		return "null", true
	case bool:
		return strconv.FormatBool(x), true
	case float64:
		return formatNumber(x), true
	case *big.Int:
		return x.String(), true
	case string:
		return x, true
	case *Symbol:
		return x.key, true
	case *Abstract:
		if x.known != nil {
			return text(x.known)
		}
	case *Object:
		return objectText(x)
	}
	return "", false
}

func objectText(o *Object) (string, bool) {
	if o.visiting {
		return "", true
	}
	switch o.class {
	case classArray, classArguments:
		if o.weak || len(o.arr) > 1<<20 {
			return "", false
		}
		if o.class == classArguments {
			return "[object Arguments]", true
		}
		o.visiting = true
		defer func() { o.visiting = false }()
		var b strings.Builder
		for i, e := range o.arr {
			if i > 0 {
				b.WriteByte(',')
			}
			switch e.(type) {
			case nil, null, hole:
				continue
			}
			s, ok := text(e)
			if !ok {
				return "", false
			}
			b.WriteString(s)
		}
		return b.String(), true
	case classBoxed:
		return text(o.data)
	case classFunction:
		f := o.fn
		if f.code != nil && f.code.Unit != nil && f.code.End > f.code.Start && int(f.code.End) <= len(f.code.Unit.Source) {
			return f.code.Unit.Source[f.code.Start:f.code.End], true
		}
		if f.cls != nil && f.mod != nil {
			return "class " + f.name + " { }", true
		}
		return "function " + f.name + "() { [native code] }", true
	case classError:
		name, _ := text(o.lookupData("name"))
		msg, ok := text(o.lookupData("message"))
		if msg == "" {
			return name, ok
		}
		return name + ": " + msg, ok
	case classRegExp:
		if r, ok := o.data.(*regexpData); ok {
			return "/" + r.source + "/" + r.flags, true
		}
	case classBytes:
		if b, ok := o.data.(*bytesData); ok && !o.weak {
			if b.kind == "Buffer" {
				return decodeUTF8(b.view()), true
			}
			return b.list(), true
		}
		return "", false
	case classPlain, classMap, classSet, classPromise:
		if o.own("toString") != nil || o.own("@@toPrimitive") != nil || o.weak {
			return "", false
		}
		for p := o.proto; p != nil && p.proto != nil; p = p.proto {
			if p.own("toString") != nil || p.own("@@toPrimitive") != nil {
				return "", false
			}
		}
		switch o.class {
		case classMap:
			return "[object Map]", true
		case classSet:
			return "[object Set]", true
		case classPromise:
			return "[object Promise]", true
		}
		if t, ok := o.lookupData("@@toStringTag").(string); ok {
			return "[object " + t + "]", true
		}
		return "[object Object]", true
	}
	return "", false
}

// toInt is ToIntegerOrInfinity on a known number, clamped to what an int holds.
func toInt(f float64) int {
	if f != f {
		return 0
	}
	if f > 1<<53 {
		return 1 << 53
	}
	if f < -1<<53 {
		return -1 << 53
	}
	return int(f)
}

func toInt32(f float64) int32 { return int32(toUint32(f)) }

func toUint32(f float64) uint32 {
	if f != f || math.IsInf(f, 0) {
		return 0
	}
	if i := int64(f); f > -9e18 && f < 9e18 {
		return uint32(i)
	}
	return uint32(int64(math.Mod(math.Trunc(f), 1<<32)))
}
