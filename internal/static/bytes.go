package static

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// bytesData is the inside of a Buffer, a typed array, an ArrayBuffer or a DataView: a window on shared storage.
type bytesData struct {
	kind   string // Buffer, Uint8Array, Int32Array, ArrayBuffer, DataView
	buf    *[]byte
	off    int
	n      int // bytes
	width  int // bytes of one element; 0 for ArrayBuffer and DataView
	float  bool
	signed bool
	clamp  bool
}

func (b *bytesData) view() []byte { return (*b.buf)[b.off : b.off+b.n] }

func (b *bytesData) length() int {
	if b.width == 0 {
		return 0
	}
	return b.n / b.width
}

func (b *bytesData) at(i int) Value {
	if b.width == 0 || i < 0 || i >= b.length() {
		return nil
	}
	return readElement(b.view()[i*b.width:], b, binary.LittleEndian)
}

func readElement(p []byte, b *bytesData, o binary.ByteOrder) Value {
	switch b.width {
	case 1:
		if b.signed {
			return num(float64(int8(p[0])))
		}
		return num(float64(p[0]))
	case 2:
		if b.signed {
			return num(float64(int16(o.Uint16(p))))
		}
		return num(float64(o.Uint16(p)))
	case 4:
		u := o.Uint32(p)
		switch {
		case b.float:
			return num(float64(math.Float32frombits(u)))
		case b.signed:
			return num(float64(int32(u)))
		}
		return num(float64(u))
	}
	u := o.Uint64(p)
	if b.float {
		return num(math.Float64frombits(u))
	}
	return num(float64(u))
}

func writeElement(p []byte, b *bytesData, f float64, o binary.ByteOrder) {
	switch b.width {
	case 1:
		if b.clamp {
			f = math.RoundToEven(min(max(f, 0), 255))
		}
		p[0] = byte(toUint32(f))
	case 2:
		o.PutUint16(p, uint16(toUint32(f)))
	case 4:
		if b.float {
			o.PutUint32(p, math.Float32bits(float32(f)))
		} else {
			o.PutUint32(p, toUint32(f))
		}
	case 8:
		if b.float {
			o.PutUint64(p, math.Float64bits(f))
		} else {
			o.PutUint64(p, uint64(int64(f)))
		}
	}
}

// list is what toString of a typed array gives.
func (b *bytesData) list() string {
	var s strings.Builder
	for i := range b.length() {
		if i > 0 {
			s.WriteByte(',')
		}
		t, _ := text(b.at(i))
		s.WriteString(t)
	}
	return s.String()
}

const maxBytes = 64 << 20

func (ev *evaluator) newBytes(kind string, raw []byte, fl flows) *Object {
	ev.alloc(1 + len(raw)/64)
	o := ev.objectOf(classBytes, ev.realm.bytesProtos[kind])
	o.flows = fl
	b := bytesKind(kind)
	b.buf, b.n = &raw, len(raw)
	o.data = b
	return o
}

func bytesKind(kind string) *bytesData {
	b := &bytesData{kind: kind, width: 1}
	switch kind {
	case "ArrayBuffer", "DataView", "SharedArrayBuffer":
		b.width = 0
	case "Int8Array":
		b.signed = true
	case "Uint8ClampedArray":
		b.clamp = true
	case "Int16Array":
		b.width, b.signed = 2, true
	case "Uint16Array":
		b.width = 2
	case "Int32Array":
		b.width, b.signed = 4, true
	case "Uint32Array":
		b.width = 4
	case "Float32Array":
		b.width, b.float = 4, true
	case "Float64Array":
		b.width, b.float = 8, true
	case "BigInt64Array", "BigUint64Array":
		b.width = 8
	}
	return b
}

// rawBytes gives the bytes of a value that holds known bytes.
func rawBytes(v Value) ([]byte, flows, bool) {
	if o, ok := v.(*Object); ok && o.class == classBytes && !o.weak {
		if b, ok := o.data.(*bytesData); ok {
			return b.view(), o.flows, true
		}
	}
	return nil, nil, false
}

func (ev *evaluator) bytesProp(o *Object, b *bytesData, key string) (Value, bool) {
	if i, ok := arrayIndex(key); ok {
		if o.weak {
			return unknown(callseq.Number, o.flows), true
		}
		return tainted(b.at(i), o.flows), true
	}
	switch key {
	case "length":
		if b.width > 0 {
			if o.weak {
				return unknown(callseq.Number, o.flows.may()), true
			}
			return num(float64(b.length())), true
		}
	case "byteLength":
		return num(float64(b.n)), true
	case "byteOffset":
		return num(float64(b.off)), true
	case "BYTES_PER_ELEMENT":
		return num(float64(b.width)), true
	case "buffer", "parent":
		if b.kind != "ArrayBuffer" {
			n := ev.objectOf(classBytes, ev.realm.bytesProtos["ArrayBuffer"])
			n.data = &bytesData{kind: "ArrayBuffer", buf: b.buf, n: len(*b.buf)}
			n.flows, n.weak = o.flows, o.weak
			return n, true
		}
	}
	return nil, false
}

func (ev *evaluator) setByte(o *Object, b *bytesData, i int, v Value) {
	if i < 0 || i >= b.length() {
		return
	}
	f, ok := ev.toNumber(v)
	if fl := own(v); len(fl) > 0 {
		o.flows = o.flows.union(fl)
	}
	if !ok {
		o.weak = true
		o.flows = o.flows.union(deep(v))
		return
	}
	writeElement(b.view()[i*b.width:], b, f, binary.LittleEndian)
}

func (ev *evaluator) bytesFromList(like *Object, list []Value) Value {
	b := like.data.(*bytesData)
	kind := b.kind
	n := ev.newBytes(kind, make([]byte, len(list)*max(b.width, 1)), like.flows.via(callseq.Decode)) // map and filter make other bytes of them
	for i, v := range list {
		ev.setByte(n, n.data.(*bytesData), i, v)
	}
	return n
}

// --- text encodings

func decodeBase64(s string) ([]byte, bool) {
	var clean []byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/':
			clean = append(clean, c)
		case c == '-':
			clean = append(clean, '+')
		case c == '_':
			clean = append(clean, '/')
		case c == '=':
			i = len(s)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(clean)))
	n, err := base64.RawStdEncoding.Decode(out, clean)
	return out[:n], err == nil
}

// encodeText turns text into bytes as Buffer.from does.
func encodeText(s, enc string) ([]byte, bool) {
	switch strings.ToLower(enc) {
	case "", "utf8", "utf-8":
		if strings.IndexByte(s, 0xed) >= 0 {
			var b strings.Builder
			for _, r := range decodeWTF8(s) {
				b.WriteRune(r)
			}
			return []byte(b.String()), true
		}
		return []byte(s), true
	case "base64", "base64url":
		b, _ := decodeBase64(s)
		return b, true
	case "hex":
		n := 0
		for n+1 < len(s) && digit(s[n]) >= 0 && digit(s[n]) < 16 && digit(s[n+1]) >= 0 && digit(s[n+1]) < 16 {
			n += 2
		}
		b, _ := hex.DecodeString(s[:n])
		return b, true
	case "latin1", "binary", "ascii":
		return bytesOf(s), true
	case "ucs2", "ucs-2", "utf16le", "utf-16le":
		u := toUTF16(s)
		out := make([]byte, 2*len(u))
		for i, c := range u {
			binary.LittleEndian.PutUint16(out[2*i:], c)
		}
		return out, true
	}
	return nil, false
}

// decodeText turns bytes into text as Buffer.toString does.
func decodeText(b []byte, enc string) (string, bool) {
	switch strings.ToLower(enc) {
	case "", "utf8", "utf-8":
		return decodeUTF8(b), true
	case "base64":
		return base64.StdEncoding.EncodeToString(b), true
	case "base64url":
		return base64.RawURLEncoding.EncodeToString(b), true
	case "hex":
		return hex.EncodeToString(b), true
	case "latin1", "binary":
		return latin1(b), true
	case "ascii":
		out := make([]byte, len(b))
		for i, c := range b {
			out[i] = c & 0x7f
		}
		return string(out), true
	case "ucs2", "ucs-2", "utf16le", "utf-16le":
		u := make([]uint16, len(b)/2)
		for i := range u {
			u[i] = binary.LittleEndian.Uint16(b[2*i:])
		}
		return fromUTF16(u), true
	}
	return "", false
}

func isCoding(enc string) bool {
	switch strings.ToLower(enc) {
	case "base64", "base64url", "hex":
		return true
	}
	return false
}

func (ev *evaluator) setupBytes() {
	r := ev.realm
	base := r.bytes
	for _, name := range strings.Fields("slice concat join indexOf lastIndexOf includes at keys values entries forEach map filter some every find findIndex findLast findLastIndex reduce reduceRight toReversed") {
		base.putHidden(name, r.array.lookupData(name))
	}
	base.putHidden("@@iterator", r.array.lookupData("values"))
	window := func(ev *evaluator, this Value, args []Value, copyIt bool) Value {
		o, ok := this.(*Object)
		if !ok {
			return unknown(callseq.Bytes, deep(this))
		}
		b, ok := o.data.(*bytesData)
		if !ok {
			return unknown(callseq.Bytes, deep(this))
		}
		w := max(b.width, 1)
		n := b.n / w
		i, ok1 := ev.intArg(args, 0, 0, n)
		j, ok2 := ev.intArg(args, 1, n, n)
		if !ok1 || !ok2 {
			return unknown(callseq.Bytes, o.flows)
		}
		j = max(i, j)
		c := *b
		c.off, c.n = b.off+i*w, (j-i)*w
		if copyIt {
			raw := append([]byte(nil), c.view()...)
			c.buf, c.off = &raw, 0
		}
		out := ev.objectOf(classBytes, o.proto)
		out.data, out.flows, out.weak = &c, o.flows, o.weak
		return out
	}
	mutator := func(f func(ev *evaluator, o *Object, b *bytesData, args []Value) Value) nativeFunc {
		return func(ev *evaluator, this Value, args []Value) Value {
			if o, ok := this.(*Object); ok {
				if b, ok := o.data.(*bytesData); ok {
					return f(ev, o, b, args)
				}
			}
			return unknown(callseq.Unknown, deep(this))
		}
	}
	ev.methods(base, map[string]nativeFunc{
		"subarray": func(ev *evaluator, this Value, args []Value) Value { return window(ev, this, args, false) },
		"slice":    func(ev *evaluator, this Value, args []Value) Value { return window(ev, this, args, true) },
		"set": mutator(func(ev *evaluator, o *Object, b *bytesData, args []Value) Value {
			items, open := ev.iterate(argOr(args, 0), 1<<22)
			off := toInt(numArg(ev, args, 1, 0))
			for i, v := range items {
				ev.setByte(o, b, off+i, v)
			}
			o.flows = o.flows.union(deep(argOr(args, 0)))
			o.weak = o.weak || open
			return nil
		}),
		"fill": mutator(func(ev *evaluator, o *Object, b *bytesData, args []Value) Value {
			i, _ := ev.intArg(args, 1, 0, b.length())
			j, _ := ev.intArg(args, 2, b.length(), b.length())
			if s, ok := plain(argOr(args, 0)).(string); ok {
				if raw, ok := encodeText(s, ""); ok && len(raw) > 0 {
					for k := i; k < j; k++ {
						ev.setByte(o, b, k, num(float64(raw[(k-i)%len(raw)])))
					}
				}
				return o
			}
			for ; i < j; i++ {
				ev.setByte(o, b, i, argOr(args, 0))
			}
			return o
		}),
		"reverse": mutator(func(ev *evaluator, o *Object, b *bytesData, _ []Value) Value {
			v := b.view()
			if b.width == 1 {
				for i, j := 0, len(v)-1; i < j; i, j = i+1, j-1 {
					v[i], v[j] = v[j], v[i]
				}
			}
			return o
		}),
		"copyWithin": mutator(func(ev *evaluator, o *Object, _ *bytesData, _ []Value) Value { return o }),
		"sort":       mutator(func(ev *evaluator, o *Object, _ *bytesData, _ []Value) Value { return o }),
		"toString": func(ev *evaluator, this Value, args []Value) Value {
			o, ok := this.(*Object)
			if !ok {
				return unknown(callseq.String, deep(this))
			}
			b, ok := o.data.(*bytesData)
			if !ok || o.weak {
				via := callseq.Copy
				if enc, known := text(argOr(args, 0)); known && isCoding(enc) {
					via = callseq.Encode
				}
				return unknown(callseq.String, deep(o).via(via))
			}
			if b.kind != "Buffer" {
				return tainted(b.list(), o.flows)
			}
			enc := ""
			if len(args) > 0 && args[0] != nil {
				e, known := text(args[0])
				if !known {
					return unknown(callseq.String, o.flows)
				}
				enc = e
			}
			v := b.view()
			i, _ := ev.intArg(args, 1, 0, len(v))
			j, _ := ev.intArg(args, 2, len(v), len(v))
			s, ok := decodeText(v[i:max(i, j)], enc)
			if !ok {
				return unknown(callseq.String, o.flows)
			}
			via := callseq.Copy
			if isCoding(enc) {
				via = callseq.Encode
			}
			return tainted(s, o.flows.via(via))
		},
		"equals": mutator(func(ev *evaluator, o *Object, b *bytesData, args []Value) Value {
			raw, _, ok := rawBytes(argOr(args, 0))
			if !ok || o.weak {
				return unknown(callseq.Bool, nil)
			}
			return string(raw) == string(b.view())
		}),
		"copy": mutator(func(ev *evaluator, o *Object, b *bytesData, args []Value) Value {
			t, ok := argOr(args, 0).(*Object)
			if !ok {
				return unknown(callseq.Number, nil)
			}
			tb, ok := t.data.(*bytesData)
			if !ok {
				return unknown(callseq.Number, nil)
			}
			ts, _ := ev.intArg(args, 1, 0, tb.n)
			i, _ := ev.intArg(args, 2, 0, b.n)
			j, _ := ev.intArg(args, 3, b.n, b.n)
			n := copy(tb.view()[ts:], b.view()[i:max(i, j)])
			t.flows = t.flows.union(o.flows)
			t.weak = t.weak || o.weak
			return num(float64(n))
		}),
		"write": mutator(func(ev *evaluator, o *Object, b *bytesData, args []Value) Value {
			s, ok := ev.toText(argOr(args, 0))
			o.flows = o.flows.union(deep(argOr(args, 0)))
			if !ok {
				o.weak = true
				return unknown(callseq.Number, nil)
			}
			off, enc := 0, ""
			for _, a := range args[1:] {
				switch x := plain(a).(type) {
				case string:
					enc = x
				case float64:
					off = toInt(x)
				}
				break
			}
			raw, _ := encodeText(s, enc)
			return num(float64(copy(b.view()[min(max(off, 0), b.n):], raw)))
		}),
		"toJSON": func(ev *evaluator, this Value, _ []Value) Value {
			o := ev.object()
			o.put("type", "Buffer")
			items, _ := ev.iterate(this, 1<<20)
			o.put("data", ev.array(items))
			return o
		},
	})
	ev.numberAccess(base)
	for _, kind := range strings.Fields("Uint8Array Int8Array Uint8ClampedArray Int16Array Uint16Array Int32Array Uint32Array Float32Array Float64Array BigInt64Array BigUint64Array ArrayBuffer SharedArrayBuffer DataView") {
		proto := &Object{proto: base}
		proto.putHidden("@@toStringTag", kind)
		r.bytesProtos[kind] = proto
		mk := func(ev *evaluator, _ Value, args []Value) Value { return ev.makeBytes(kind, args) }
		c := ev.constructor(kind, proto, mk, mk)
		from := func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			if len(args) > 1 {
				v = ev.call(ev.realm.vars["Array"].(*Object).lookupData("from"), nil, args)
			}
			return ev.makeBytes(kind, []Value{v})
		}
		ev.methods(c, map[string]nativeFunc{"from": from, "of": func(ev *evaluator, _ Value, args []Value) Value { return ev.makeBytes(kind, []Value{ev.array(args)}) },
			"isView": func(ev *evaluator, _ Value, args []Value) Value {
				o, ok := argOr(args, 0).(*Object)
				return ok && o.class == classBytes
			}})
		c.putHidden("BYTES_PER_ELEMENT", num(float64(bytesKind(kind).width)))
	}
	buf := &Object{proto: r.bytesProtos["Uint8Array"]}
	r.bytesProtos["Buffer"], r.buffer = buf, buf
}

// makeBytes is new KIND(x): a length, a list, bytes to copy, or a buffer to look into.
func (ev *evaluator) makeBytes(kind string, args []Value) Value {
	v := argOr(args, 0)
	like := bytesKind(kind)
	w := max(like.width, 1)
	switch x := plain(v).(type) {
	case float64:
		n := toInt(x) * w
		if n < 0 || n > maxBytes {
			ev.throw("RangeError", "Invalid typed array length")
		}
		return ev.newBytes(kind, make([]byte, n), own(v))
	case nil:
		return ev.newBytes(kind, nil, nil)
	case *Object:
		if b, ok := x.data.(*bytesData); ok && x.class == classBytes {
			if b.width == 0 || kind == "DataView" { // a window on it
				c := *like
				c.buf, c.off, c.n = b.buf, b.off, b.n
				if len(args) > 1 && args[1] != nil {
					off := clampIndex(numArg(ev, args, 1, 0), b.n)
					c.off += off
					c.n -= off
				}
				if len(args) > 2 && args[2] != nil {
					c.n = clampIndex(numArg(ev, args, 2, 0)*float64(w), c.n)
				}
				o := ev.objectOf(classBytes, ev.realm.bytesProtos[kind])
				o.data, o.flows, o.weak = &c, x.flows, x.weak
				return o
			}
		}
		items, open := ev.iterate(x, maxBytes/w)
		if list, _, ok := ev.elems(x); ok && len(items) == 0 {
			items = list
		}
		if len(items)*w > maxBytes {
			return unknown(callseq.Bytes, deep(x))
		}
		o := ev.newBytes(kind, make([]byte, len(items)*w), x.flows)
		for i, it := range items {
			ev.setByte(o, o.data.(*bytesData), i, val(it))
		}
		o.weak = o.weak || open
		return o
	case string:
		if n := parseNumber(x); n == n {
			return ev.makeBytes(kind, []Value{n})
		}
		return ev.newBytes(kind, nil, nil)
	}
	return &Abstract{kind: callseq.Bytes, flows: deep(v), typ: kind, path: pathOf(v)}
}

// numberAccess adds Buffer's and DataView's typed reads and writes.
func (ev *evaluator) numberAccess(base *Object) {
	type access struct {
		name  string
		like  bytesData
		order binary.ByteOrder
		view  bool
	}
	var list []access
	for name, like := range map[string]bytesData{"UInt8": {width: 1}, "Int8": {width: 1, signed: true}, "UInt16": {width: 2}, "Int16": {width: 2, signed: true}, "UInt32": {width: 4}, "Int32": {width: 4, signed: true}, "Float": {width: 4, float: true}, "Double": {width: 8, float: true}} {
		if like.width == 1 {
			list = append(list, access{name: name, like: like, order: binary.BigEndian})
			continue
		}
		list = append(list, access{name + "LE", like, binary.LittleEndian, false}, access{name + "BE", like, binary.BigEndian, false})
	}
	for name, like := range map[string]bytesData{"Uint8": {width: 1}, "Int8": {width: 1, signed: true}, "Uint16": {width: 2}, "Int16": {width: 2, signed: true}, "Uint32": {width: 4}, "Int32": {width: 4, signed: true}, "Float32": {width: 4, float: true}, "Float64": {width: 8, float: true}} {
		list = append(list, access{name, like, binary.BigEndian, true})
	}
	for _, a := range list {
		read, write := "read"+a.name, "write"+a.name
		if a.view {
			read, write = "get"+a.name, "set"+a.name
		}
		rd := func(ev *evaluator, this Value, args []Value) Value {
			o, ok := this.(*Object)
			if !ok {
				return unknown(callseq.Number, deep(this))
			}
			b, ok := o.data.(*bytesData)
			i, known := ev.toNumber(argOr(args, 0))
			if len(args) == 0 {
				i, known = 0, true
			}
			if !ok || !known || o.weak {
				return unknown(callseq.Number, deep(o))
			}
			at := toInt(i)
			if at < 0 || at+a.like.width > b.n {
				ev.throw("RangeError", "The value of \"offset\" is out of range")
			}
			order := a.order
			if a.view {
				if le, _ := truth(argOr(args, 1)); le {
					order = binary.LittleEndian
				}
			}
			return tainted(readElement(b.view()[at:], &a.like, order), o.flows)
		}
		wr := func(ev *evaluator, this Value, args []Value) Value {
			o, ok := this.(*Object)
			if !ok {
				return unknown(callseq.Number, deep(this))
			}
			b, ok := o.data.(*bytesData)
			v, offV := argOr(args, 0), argOr(args, 1)
			if a.view {
				v, offV = argOr(args, 1), argOr(args, 0)
			}
			f, k1 := ev.toNumber(v)
			off, k2 := ev.toNumber(offV)
			if offV == nil {
				off, k2 = 0, true
			}
			if !ok || !k1 || !k2 {
				o.weak = true
				o.flows = o.flows.union(deep(v))
				return unknown(callseq.Number, nil)
			}
			at := toInt(off)
			if at < 0 || at+a.like.width > b.n {
				return num(0)
			}
			order := a.order
			if a.view {
				if le, _ := truth(argOr(args, 2)); le {
					order = binary.LittleEndian
				}
			}
			writeElement(b.view()[at:], &a.like, f, order)
			o.flows = o.flows.union(own(v))
			return num(float64(at + a.like.width))
		}
		base.putHidden(read, ev.nativeFn(read, rd))
		base.putHidden(write, ev.nativeFn(write, wr))
		if strings.HasPrefix(a.name, "UInt") {
			base.putHidden("readUint"+a.name[4:], ev.nativeFn(read, rd))
			base.putHidden("writeUint"+a.name[4:], ev.nativeFn(write, wr))
		}
	}
}
