package static

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/donapi/donapi/internal/callseq"
)

// getString reads a property of a string; methods of an unknown string are reached with s empty.
func (ev *evaluator) getString(s, key string, fl flows) Value {
	if key == "length" {
		if fl != nil && s == "" {
			return unknown(callseq.Number, fl.may())
		}
		return tainted(num(float64(ev.realm.units.of(s).len())), fl.may())
	}
	if i, ok := arrayIndex(key); ok {
		if fl != nil && s == "" {
			return unknown(callseq.String, fl)
		}
		return tainted(ev.charAt(s, i), fl)
	}
	return ev.getFrom(ev.realm.str, key, s)
}

// stringMethod wraps a model that needs its receiver and arguments wholly known; otherwise the result is unknown with their flows.
type stringMethod func(ev *evaluator, s string, args []Value) (Value, bool)

func (ev *evaluator) strMethods(fs map[string]stringMethod) {
	for _, name := range func() []string {
		m := map[string]Value{}
		for k := range fs {
			m[k] = nil
		}
		return sortedKeys(m)
	}() {
		f := fs[name]
		ev.method_(ev.realm.str, name, func(ev *evaluator, this Value, args []Value) Value {
			s, ok := ev.toText(this)
			fl := own(this)
			if o, isObj := this.(*Object); isObj {
				fl = deep(o)
			}
			for _, a := range args {
				if x, isA := a.(*Abstract); isA {
					fl = fl.union(own(x))
				}
			}
			if ok {
				for i, a := range args {
					if isUnknown(a) {
						ok = false
						break
					}
					args[i] = plain(a)
				}
			}
			if ok {
				if v, done := f(ev, s, args); done {
					return taintResult(v, fl)
				}
			}
			return ev.openString(name, this, args, fl)
		})
	}
}

// taintResult marks a model's result: a primitive, or the elements of a fresh array.
func taintResult(v Value, fl flows) Value {
	if len(fl) == 0 {
		return v
	}
	if o, ok := v.(*Object); ok {
		if o.class == classArray {
			for i := range o.arr {
				o.arr[i] = taintAny(o.arr[i], fl)
			}
		}
		return o
	}
	return tainted(v, fl)
}

var stringResults = map[string]callseq.ValueKind{"indexOf": callseq.Number, "lastIndexOf": callseq.Number, "charCodeAt": callseq.Number, "codePointAt": callseq.Number, "search": callseq.Number,
	"localeCompare": callseq.Number, "includes": callseq.Bool, "startsWith": callseq.Bool, "endsWith": callseq.Bool, "split": callseq.Array, "match": callseq.Unknown, "matchAll": callseq.Array}

// openString is the result of a string method on something not wholly known.
func (ev *evaluator) openString(name string, this Value, args []Value, fl flows) Value {
	a, _ := this.(*Abstract)
	if a != nil && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 && len(a.alts) <= maxAlts { // one of a few known strings
		var out Value
		ok := true
		for i, alt := range a.alts {
			s, isStr := plain(alt).(string)
			if !isStr {
				ok = false
				break
			}
			r := ev.call(ev.realm.str.lookupData(name), s, args)
			if i == 0 {
				out = r
			} else {
				out = join(out, r)
			}
		}
		if ok {
			return out
		}
	}
	switch name {
	case "concat":
		ps := pieces(ev.str(this))
		for _, x := range args {
			ps = append(ps[:len(ps):len(ps)], pieces(ev.str(x))...)
		}
		return ev.partly(ps)
	case "startsWith", "includes", "endsWith", "indexOf":
		if a != nil && len(a.parts) > 0 {
			if want, ok := plain(argOr(args, 0)).(string); ok && want != "" {
				if name == "startsWith" && a.parts[0].hole == nil && len(a.parts[0].lit) >= len(want) {
					return strings.HasPrefix(a.parts[0].lit, want)
				}
				if name == "includes" {
					for _, p := range a.parts {
						if p.hole == nil && strings.Contains(p.lit, want) {
							return true
						}
					}
				}
			}
		}
	case "toString", "valueOf":
		if a != nil {
			if enc, ok := text(argOr(args, 0)); ok && (enc == "base64" || enc == "hex") {
				fl = fl.via(callseq.Encode)
				return &Abstract{kind: callseq.String, flows: fl, path: a.path}
			}
			return a
		}
	case "trim", "trimStart", "trimEnd", "toLowerCase", "toUpperCase", "normalize":
		if a != nil && len(a.parts) > 0 {
			return a
		}
	case "split":
		o := ev.array(nil)
		o.weak, o.flows = true, fl
		return o
	case "replace", "replaceAll":
		if a != nil && len(a.parts) > 0 {
			if f, ok := argOr(args, 1).(*Object); ok && f.fn != nil {
				break
			}
			if want, ok := plain(argOr(args, 0)).(string); ok {
				if with, ok := ev.toText(argOr(args, 1)); ok {
					ps := make([]part, len(a.parts))
					for i, p := range a.parts {
						ps[i] = p
						if p.hole == nil {
							ps[i].lit = strings.ReplaceAll(p.lit, want, with)
						}
					}
					return ev.partly(ps)
				}
			}
		}
	}
	for _, x := range args {
		if f, ok := x.(*Object); ok && f.fn != nil { // a replacer: it sees the text
			in := make([]Value, max(3, min(f.fn.paramsHint(), 6)))
			for i := range in {
				in[i] = unknown(callseq.String, fl)
			}
			fl = fl.union(deep(ev.call(f, nil, in)))
		}
	}
	kind, ok := stringResults[name]
	if !ok {
		kind = callseq.String
	}
	path := ""
	if a != nil {
		path = a.path
	}
	return &Abstract{kind: kind, flows: fl, path: path}
}

func (f *function) paramsHint() int {
	if f.code == nil {
		return 0
	}
	return f.code.Length
}

func (ev *evaluator) setupString() {
	r := ev.realm
	toStr := func(ev *evaluator, _ Value, args []Value) Value {
		if len(args) == 0 {
			return ""
		}
		if s, ok := args[0].(*Symbol); ok {
			return "Symbol(" + s.desc + ")"
		}
		return ev.str(args[0])
	}
	c := ev.constructor("String", r.str, toStr, func(ev *evaluator, _ Value, args []Value) Value {
		o := ev.objectOf(classBoxed, r.str)
		o.data = toStr(ev, nil, args)
		return o
	})
	fromCodes := func(point bool) nativeFunc {
		return func(ev *evaluator, _ Value, args []Value) Value {
			u := make([]uint16, 0, len(args))
			var fl flows
			for _, a := range args {
				f, ok := ev.toNumber(a)
				if !ok {
					for _, b := range args {
						fl = fl.union(deep(b))
					}
					return &Abstract{kind: callseq.String, flows: fl.via(callseq.Decode)}
				}
				fl = fl.union(own(a))
				if n := toUint32(f); point && n >= 0x10000 && n <= 0x10ffff {
					n -= 0x10000
					u = append(u, uint16(0xd800+(n>>10)), uint16(0xdc00+(n&0x3ff)))
				} else {
					u = append(u, uint16(n))
				}
			}
			if len(u) == 1 && u[0] < 256 {
				return tainted(latin[u[0]], fl.via(callseq.Decode))
			}
			return tainted(fromUTF16(u), fl.via(callseq.Decode))
		}
	}
	ev.methods(c, map[string]nativeFunc{"fromCharCode": fromCodes(false), "fromCodePoint": fromCodes(true), "raw": func(ev *evaluator, _ Value, args []Value) Value {
		items, _ := ev.iterate(ev.get(argOr(args, 0), "raw"), 1<<12)
		var v Value = ""
		for i, it := range items {
			v = ev.add(v, ev.str(it))
			if i+1 < len(items) && i+1 < len(args) {
				v = ev.add(v, ev.str(args[i+1]))
			}
		}
		return v
	}})
	ev.strMethods(stringTable)
	ev.method_(r.str, "toString", func(ev *evaluator, this Value, args []Value) Value {
		if o, ok := this.(*Object); ok && o.class == classBoxed {
			return o.data
		}
		if isUnknown(this) {
			return ev.openString("toString", this, args, own(this))
		}
		return this
	})
	r.str.putHidden("valueOf", r.str.lookupData("toString"))
	ev.method_(r.str, "@@iterator", func(ev *evaluator, this Value, _ []Value) Value {
		items, _ := ev.iterate(this, 1<<20)
		return ev.iterator("String", items)
	})
	for name, f := range map[string]func(ev *evaluator, this Value, args []Value) Value{"replace": replaceFn(false), "replaceAll": replaceFn(true), "split": splitFn, "match": matchFn, "matchAll": matchAllFn, "search": searchFn} {
		_ = name
		r.str.putHidden(name, ev.nativeFn(name, f))
	}
}

func clampIndex(f float64, n int) int { return min(max(toInt(f), 0), n) }

func numArg(ev *evaluator, args []Value, i int, def float64) float64 {
	if i >= len(args) || args[i] == nil {
		return def
	}
	f, _ := ev.toNumber(args[i])
	return f
}

func strArg(ev *evaluator, args []Value, i int) string {
	if i >= len(args) {
		return "undefined"
	}
	s, _ := ev.toText(args[i])
	return s
}

var stringTable = map[string]stringMethod{
	"charAt": func(ev *evaluator, s string, args []Value) (Value, bool) {
		v := ev.charAt(s, toInt(numArg(ev, args, 0, 0)))
		if v == nil {
			v = ""
		}
		return v, true
	},
	"charCodeAt": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		i := toInt(numArg(ev, args, 0, 0))
		if i < 0 || i >= x.len() {
			return num(nanValue), true
		}
		return num(float64(x.at(i))), true
	},
	"codePointAt": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		i := toInt(numArg(ev, args, 0, 0))
		if i < 0 || i >= x.len() {
			return nil, true
		}
		c := rune(x.at(i))
		if c >= 0xd800 && c < 0xdc00 && i+1 < x.len() {
			if d := rune(x.at(i + 1)); d >= 0xdc00 && d < 0xe000 {
				c = 0x10000 + (c-0xd800)<<10 + d - 0xdc00
			}
		}
		return num(float64(c)), true
	},
	"at": func(ev *evaluator, s string, args []Value) (Value, bool) {
		i := toInt(numArg(ev, args, 0, 0))
		if i < 0 {
			i += ev.realm.units.of(s).len()
		}
		return ev.charAt(s, i), true
	},
	"slice": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		i, _ := ev.intArg(args, 0, 0, x.len())
		j, _ := ev.intArg(args, 1, x.len(), x.len())
		return x.slice(i, j), true
	},
	"substring": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		i, j := clampIndex(numArg(ev, args, 0, 0), x.len()), clampIndex(numArg(ev, args, 1, float64(x.len())), x.len())
		return x.slice(min(i, j), max(i, j)), true
	},
	"substr": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		i, _ := ev.intArg(args, 0, 0, x.len())
		n := clampIndex(numArg(ev, args, 1, float64(x.len())), x.len()-i)
		return x.slice(i, i+n), true
	},
	"indexOf": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x, w := ev.realm.units.of(s), strArg(ev, args, 0)
		from := clampIndex(numArg(ev, args, 1, 0), x.len())
		if x.u == nil {
			i := strings.Index(s[from:], w)
			if i >= 0 {
				i += from
			}
			return num(float64(i)), true
		}
		return num(float64(indexUnits(x.u, toUTF16(w), from))), true
	},
	"lastIndexOf": func(ev *evaluator, s string, args []Value) (Value, bool) {
		i := strings.LastIndex(s, strArg(ev, args, 0))
		if i > 0 {
			i = utf16Len(s[:i])
		}
		return num(float64(i)), true
	},
	"includes": func(ev *evaluator, s string, args []Value) (Value, bool) {
		return strings.Contains(s, strArg(ev, args, 0)), true
	},
	"startsWith": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		return strings.HasPrefix(x.slice(clampIndex(numArg(ev, args, 1, 0), x.len()), x.len()), strArg(ev, args, 0)), true
	},
	"endsWith": func(ev *evaluator, s string, args []Value) (Value, bool) {
		x := ev.realm.units.of(s)
		return strings.HasSuffix(x.slice(0, clampIndex(numArg(ev, args, 1, float64(x.len())), x.len())), strArg(ev, args, 0)), true
	},
	"toLowerCase":       func(_ *evaluator, s string, _ []Value) (Value, bool) { return lower(s), true },
	"toUpperCase":       func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.ToUpper(s), true },
	"toLocaleLowerCase": func(_ *evaluator, s string, _ []Value) (Value, bool) { return lower(s), true },
	"toLocaleUpperCase": func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.ToUpper(s), true },
	"trim":              func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.TrimFunc(s, isSpace), true },
	"trimStart":         func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.TrimLeftFunc(s, isSpace), true },
	"trimEnd":           func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.TrimRightFunc(s, isSpace), true },
	"trimLeft":          func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.TrimLeftFunc(s, isSpace), true },
	"trimRight":         func(_ *evaluator, s string, _ []Value) (Value, bool) { return strings.TrimRightFunc(s, isSpace), true },
	"normalize":         func(_ *evaluator, s string, _ []Value) (Value, bool) { return s, true },
	"isWellFormed":      func(_ *evaluator, s string, _ []Value) (Value, bool) { return true, true },
	"toWellFormed":      func(_ *evaluator, s string, _ []Value) (Value, bool) { return s, true },
	"localeCompare": func(ev *evaluator, s string, args []Value) (Value, bool) {
		return num(float64(strings.Compare(s, strArg(ev, args, 0)))), true
	},
	"concat": func(ev *evaluator, s string, args []Value) (Value, bool) {
		var v Value = s
		for _, a := range args {
			t, ok := ev.toText(a)
			if !ok {
				return nil, false
			}
			v = ev.concat(v.(string), t)
		}
		return v, true
	},
	"repeat": func(ev *evaluator, s string, args []Value) (Value, bool) {
		n := toInt(numArg(ev, args, 0, 0))
		if n < 0 {
			ev.throw("RangeError", "Invalid count value")
		}
		if n*len(s) > maxString/4 {
			return nil, false
		}
		ev.alloc(n * len(s) / 64)
		return strings.Repeat(s, n), true
	},
	"padStart": func(ev *evaluator, s string, args []Value) (Value, bool) { return pad(ev, s, args, true) },
	"padEnd":   func(ev *evaluator, s string, args []Value) (Value, bool) { return pad(ev, s, args, false) },
	"anchor": func(_ *evaluator, s string, _ []Value) (Value, bool) {
		return `<a name="undefined">` + s + "</a>", true
	},
	"link": func(_ *evaluator, s string, _ []Value) (Value, bool) {
		return `<a href="undefined">` + s + "</a>", true
	},
	"bold":    func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<b>" + s + "</b>", true },
	"italics": func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<i>" + s + "</i>", true },
	"sub":     func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<sub>" + s + "</sub>", true },
	"sup":     func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<sup>" + s + "</sup>", true },
	"big":     func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<big>" + s + "</big>", true },
	"small":   func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<small>" + s + "</small>", true },
	"strike":  func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<strike>" + s + "</strike>", true },
	"blink":   func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<blink>" + s + "</blink>", true },
	"fixed":   func(_ *evaluator, s string, _ []Value) (Value, bool) { return "<tt>" + s + "</tt>", true },
	"fontcolor": func(ev *evaluator, s string, args []Value) (Value, bool) {
		return `<font color="` + strings.ReplaceAll(strArg(ev, args, 0), `"`, "&quot;") + `">` + s + "</font>", true
	},
	"fontsize": func(ev *evaluator, s string, args []Value) (Value, bool) {
		return `<font size="` + strings.ReplaceAll(strArg(ev, args, 0), `"`, "&quot;") + `">` + s + "</font>", true
	},
}

var nanValue = parseNumber("x")

func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.ToLowerSpecial(unicode.SpecialCase{}, s)
}

func indexUnits(u, w []uint16, from int) int {
next:
	for i := from; i+len(w) <= len(u); i++ {
		for j := range w {
			if u[i+j] != w[j] {
				continue next
			}
		}
		return i
	}
	return -1
}

func pad(ev *evaluator, s string, args []Value, start bool) (Value, bool) {
	n := toInt(numArg(ev, args, 0, 0)) - utf16Len(s)
	fill := " "
	if len(args) > 1 && args[1] != nil {
		fill = strArg(ev, args, 1)
	}
	if n <= 0 || fill == "" {
		return s, true
	}
	if n > 1<<20 {
		return nil, false
	}
	p := strings.Repeat(fill, n/len(fill)+1)[:n]
	if start {
		return p + s, true
	}
	return s + p, true
}

// --- text codecs

func encodeURI(s, keep string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := nextRune(s[i:])
		if r >= 0xd800 && r < 0xe000 {
			return "", false
		}
		if r < 0x80 && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.IndexByte(keep, byte(r)) >= 0) {
			b.WriteByte(byte(r))
		} else {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte("0123456789ABCDEF"[c>>4])
				b.WriteByte("0123456789ABCDEF"[c&15])
			}
		}
		i += n
	}
	return b.String(), true
}

func decodeURI(s string, component bool) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || digit(s[i+1]) < 0 || digit(s[i+1]) > 15 || digit(s[i+2]) < 0 || digit(s[i+2]) > 15 {
			return "", false
		}
		c := byte(digit(s[i+1])<<4 | digit(s[i+2]))
		if !component && strings.IndexByte(";/?:@&=+$,#", c) >= 0 {
			b.WriteString(s[i : i+3])
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	out := b.String()
	for i := 0; i < len(out); {
		if out[i] < 0x80 {
			i++
			continue
		}
		r, n := nextRune(out[i:])
		if r == 0xfffd && n == 1 {
			return "", false
		}
		i += n
	}
	return out, true
}

func escapeText(s string) string {
	var b strings.Builder
	for _, c := range toUTF16(s) {
		switch {
		case c < 128 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("@*_+-./", byte(c)) >= 0):
			b.WriteByte(byte(c))
		case c < 256:
			b.WriteString("%" + strings.ToUpper(strconv.FormatInt(int64(c)+256, 16)[1:]))
		default:
			b.WriteString("%u" + strings.ToUpper(strconv.FormatInt(int64(c)+65536, 16)[1:]))
		}
	}
	return b.String()
}

func unescapeText(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	in := toUTF16(s)
	out := make([]uint16, 0, len(in))
	hex := func(i, n int) (uint16, bool) {
		v := 0
		if i+n > len(in) {
			return 0, false
		}
		for _, c := range in[i : i+n] {
			d := -1
			if c < 128 {
				d = digit(byte(c))
			}
			if d < 0 || d > 15 {
				return 0, false
			}
			v = v<<4 | d
		}
		return uint16(v), true
	}
	for i := 0; i < len(in); i++ {
		if in[i] == '%' {
			if i+1 < len(in) && in[i+1] == 'u' {
				if v, ok := hex(i+2, 4); ok {
					out = append(out, v)
					i += 5
					continue
				}
			} else if v, ok := hex(i+1, 2); ok {
				out = append(out, v)
				i += 2
				continue
			}
		}
		out = append(out, in[i])
	}
	return fromUTF16(out)
}
