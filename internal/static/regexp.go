package static

import (
	"strings"
	"time"

	"github.com/dlclark/regexp2"

	"github.com/donapi/donapi/internal/callseq"
)

// Regular expressions on known text run for real, in an engine with JavaScript's syntax. The engine backtracks, so patterns and
// texts are bounded; what is beyond the bounds, or takes the engine too long, is unknown.

type regexpData struct {
	source, flags string
	re            *regexp2.Regexp // nil when it does not compile here
}

const (
	maxRegexpText    = 1 << 20
	maxRegexpMatches = 200_000
	regexpPatience   = 2 * time.Second // a net only: what ends by it is unknown, as beyond any bound
)

func (r *regexpData) prop(key string) (Value, bool) {
	switch key {
	case "source":
		return r.source, true
	case "flags":
		return r.flags, true
	case "global":
		return strings.Contains(r.flags, "g"), true
	case "ignoreCase":
		return strings.Contains(r.flags, "i"), true
	case "multiline":
		return strings.Contains(r.flags, "m"), true
	case "sticky":
		return strings.Contains(r.flags, "y"), true
	case "unicode":
		return strings.Contains(r.flags, "u"), true
	}
	return nil, false
}

func (ev *evaluator) newRegExp(source, flags string) Value {
	key := flags + "/" + source
	d := ev.regexps[key]
	if d == nil {
		d = &regexpData{source: source, flags: flags}
		opt := regexp2.RegexOptions(regexp2.ECMAScript)
		if strings.Contains(flags, "i") {
			opt |= regexp2.IgnoreCase
		}
		if strings.Contains(flags, "m") {
			opt |= regexp2.Multiline
		}
		if strings.ContainsAny(flags, "uvs") {
			opt &^= regexp2.ECMAScript // that mode knows neither code points nor dot-all
			if strings.Contains(flags, "s") {
				opt |= regexp2.Singleline
			}
			if strings.ContainsAny(flags, "uv") {
				opt |= regexp2.Unicode
			}
		}
		if len(source) < 1<<15 {
			if re, err := regexp2.Compile(source, opt); err == nil {
				re.MatchTimeout = regexpPatience
				d.re = re
			}
		}
		ev.regexps[key] = d
	}
	o := ev.objectOf(classRegExp, ev.realm.regexp)
	o.data = d
	o.add(prop{key: "lastIndex", val: num(0), hidden: true})
	return o
}

// match is one match in code points, with groups; a group that took no part is undefined.
type match struct {
	start, end int // UTF-16 units
	groups     []Value
	named      map[string]Value
	order      []string
}

// matches lists the matches of a known text from an offset; ok is false when they cannot be known.
func (ev *evaluator) matches(d *regexpData, s string, from int, all bool) (out []match, ok bool) {
	if d.re == nil || len(s) > maxRegexpText {
		return nil, false
	}
	runes := decodeWTF8(s)
	// offsets in UTF-16 units by rune
	wide := false
	for _, r := range runes {
		if r >= 0x10000 {
			wide = true
			break
		}
	}
	unit := func(i int) int {
		if !wide {
			return i
		}
		n := i
		for _, r := range runes[:i] {
			if r >= 0x10000 {
				n++
			}
		}
		return n
	}
	start := 0
	for n := 0; start < len(runes) && n < from; start++ {
		n++
		if runes[start] >= 0x10000 {
			n++
		}
	}
	if from > len(runes)*2 {
		return nil, true
	}
	m, err := d.re.FindRunesMatchStartingAt(runes, start)
	for m != nil && err == nil {
		ev.tick()
		x := match{start: unit(m.Index), end: unit(m.Index + m.Length)}
		for _, g := range m.Groups() {
			var v Value
			if len(g.Captures) > 0 {
				v = runesText(g.Runes())
			}
			if len(x.groups) == 0 || g.Name == "" || g.Name[0] >= '0' && g.Name[0] <= '9' {
				x.groups = append(x.groups, v)
			} else {
				x.groups = append(x.groups, v)
				if x.named == nil {
					x.named = map[string]Value{}
				}
				x.named[g.Name] = v
				x.order = append(x.order, g.Name)
			}
		}
		out = append(out, x)
		if !all {
			return out, true
		}
		if len(out) > maxRegexpMatches {
			return nil, false
		}
		m, err = d.re.FindNextMatch(m)
	}
	return out, err == nil
}

func runesText(rs []rune) string {
	var b strings.Builder
	for _, r := range rs {
		b.WriteString(encodeRune(r))
	}
	return b.String()
}

func (ev *evaluator) matchArray(m match, s string, fl flows) *Object {
	vs := make([]Value, len(m.groups))
	for i, g := range m.groups {
		vs[i] = taintAny(g, fl)
	}
	a := ev.array(vs)
	a.put("index", num(float64(m.start)))
	a.put("input", tainted(s, fl))
	var groups Value
	if m.named != nil {
		g := ev.object()
		for _, k := range m.order {
			g.put(k, taintAny(m.named[k], fl))
		}
		groups = g
	}
	a.put("groups", groups)
	return a
}

func asRegExp(v Value) (*Object, *regexpData) {
	if o, ok := v.(*Object); ok && o.class == classRegExp {
		if d, ok := o.data.(*regexpData); ok {
			return o, d
		}
	}
	return nil, nil
}

func (ev *evaluator) setupRegExp() {
	r := ev.realm
	mk := func(ev *evaluator, _ Value, args []Value) Value {
		flags := ""
		if f, ok := text(argOr(args, 1)); ok && len(args) > 1 && args[1] != nil {
			flags = f
		}
		if _, d := asRegExp(argOr(args, 0)); d != nil {
			if len(args) < 2 || args[1] == nil {
				flags = d.flags
			}
			return ev.newRegExp(d.source, flags)
		}
		s, ok := ev.toText(argOr(args, 0))
		if !ok {
			o := ev.objectOf(classRegExp, r.regexp)
			o.data = &regexpData{source: "(?:)", flags: flags}
			o.flows = deep(args[0])
			return o
		}
		return ev.newRegExp(s, flags)
	}
	ev.constructor("RegExp", r.regexp, mk, mk)
	exec := func(ev *evaluator, this Value, args []Value) Value {
		o, d := asRegExp(this)
		v := argOr(args, 0)
		s, ok := ev.toText(v)
		if d == nil || !ok {
			return ev.openMatch(v)
		}
		from := 0
		sticky := strings.ContainsAny(d.flags, "gy")
		if sticky {
			f, known := number(o.lookupData("lastIndex"))
			if !known {
				return ev.openMatch(v)
			}
			from = toInt(f)
		}
		ms, ok := ev.matches(d, s, from, false)
		if !ok {
			return ev.openMatch(v)
		}
		if len(ms) == 0 || strings.Contains(d.flags, "y") && ms[0].start != from {
			if sticky {
				ev.setOn(o, "lastIndex", num(0), o)
			}
			return null{}
		}
		if sticky {
			ev.setOn(o, "lastIndex", num(float64(ms[0].end)), o)
		}
		return ev.matchArray(ms[0], s, own(v))
	}
	ev.methods(r.regexp, map[string]nativeFunc{
		"exec": exec,
		"test": func(ev *evaluator, this Value, args []Value) Value {
			if v := argOr(args, 0); isUnknown(v) {
				return unknown(callseq.Bool, own(v))
			}
			m := exec(ev, this, args)
			if isUnknown(m) {
				return unknown(callseq.Bool, own(m))
			}
			if _, isNull := m.(null); isNull {
				return ev.guardsLayout(this, argOr(args, 0))
			}
			return true
		},
		"toString": func(ev *evaluator, this Value, _ []Value) Value { return ev.str(this) },
		"compile":  func(ev *evaluator, this Value, _ []Value) Value { return this },
		"@@replace": func(ev *evaluator, this Value, args []Value) Value {
			return replaceFn(false)(ev, argOr(args, 0), []Value{this, argOr(args, 1)})
		},
	})
}

// guardsLayout answers a regular expression by which code of obfuscators finds out that it was laid out anew, to hang then: whoever
// publishes it does not, and we want to see what it does for them. The test is for a function on one line.
func (ev *evaluator) guardsLayout(re, text Value) bool {
	_, d := asRegExp(re)
	s, ok := plain(text).(string)
	if d == nil || !ok || !strings.HasPrefix(d.source, `\w+ *\(\) *{\w+ *`) || !strings.Contains(s, "\n") {
		return false
	}
	compact := strings.Join(strings.Fields(s), " ")
	compact = strings.NewReplacer("{ ", "{", " }", "}").Replace(compact)
	ms, ok := ev.matches(d, compact, 0, false)
	return ok && len(ms) > 0
}

func (ev *evaluator) openMatch(v Value) Value {
	return &Abstract{kind: callseq.Unknown, flows: deep(v), path: pathOf(v)}
}

func replaceFn(all bool) nativeFunc {
	return func(ev *evaluator, this Value, args []Value) Value {
		s, ok := ev.toText(this)
		fl := own(this)
		with := argOr(args, 1)
		f, _ := with.(*Object)
		isFn := f != nil && f.fn != nil
		if !ok || isUnknown(argOr(args, 0)) || !isFn && isUnknown(with) {
			if ok && !isFn && isUnknown(with) { // a known template with something unknown put in
				return ev.replaceUnknown(s, argOr(args, 0), with, fl, all)
			}
			return ev.openString("replace", this, args, fl.union(deep(with)))
		}
		var ms []match
		if _, d := asRegExp(args[0]); d != nil {
			global := all || strings.Contains(d.flags, "g")
			ms, ok = ev.matches(d, s, 0, global)
			if !ok {
				return ev.openString("replace", this, args, fl)
			}
		} else {
			want, ok := ev.toText(args[0])
			if !ok {
				return ev.openString("replace", this, args, fl)
			}
			ms = literalMatches(s, want, all)
		}
		if len(ms) == 0 {
			return tainted(s, fl)
		}
		x := ev.realm.units.of(s)
		var ps []part
		last := 0
		for _, m := range ms {
			ps = append(ps, part{lit: x.slice(last, m.start)})
			if isFn {
				in := make([]Value, 0, len(m.groups)+2)
				for _, g := range m.groups {
					in = append(in, taintAny(g, fl))
				}
				in = append(in, num(float64(m.start)), tainted(s, fl))
				ps = append(ps, pieces(ev.str(ev.call(f, nil, in)))...)
			} else {
				w, _ := ev.toText(with)
				ps = append(ps, part{lit: expand(w, m, x)})
			}
			last = m.end
		}
		ps = append(ps, part{lit: x.slice(last, x.len())})
		return tainted(ev.pieced(ps), fl.union(own(with)))
	}
}

// pieced joins pieces to plain text when they are all known, which is the usual case for long texts with many matches.
func (ev *evaluator) pieced(ps []part) Value {
	n := 0
	for _, p := range ps {
		if p.hole != nil {
			return ev.partly(ps)
		}
		n += len(p.lit)
	}
	if n > maxString {
		return unknown(callseq.String, nil)
	}
	ev.alloc(n / 64)
	var b strings.Builder
	b.Grow(n)
	for _, p := range ps {
		b.WriteString(p.lit)
	}
	return b.String()
}

func (ev *evaluator) replaceUnknown(s string, pattern, with Value, fl flows, all bool) Value {
	var ms []match
	if _, d := asRegExp(pattern); d != nil {
		var ok bool
		if ms, ok = ev.matches(d, s, 0, all || strings.Contains(d.flags, "g")); !ok {
			return unknown(callseq.String, fl.union(deep(with)))
		}
	} else if want, ok := ev.toText(pattern); ok {
		ms = literalMatches(s, want, all)
	}
	x := ev.realm.units.of(s)
	var ps []part
	last := 0
	for _, m := range ms {
		ps = append(ps, part{lit: x.slice(last, m.start)})
		ps = append(ps, pieces(ev.str(with))...)
		last = m.end
	}
	ps = append(ps, part{lit: x.slice(last, x.len())})
	return tainted(ev.partly(ps), fl)
}

func literalMatches(s, want string, all bool) []match {
	var out []match
	base, at := 0, 0
	for {
		i := strings.Index(s[at:], want)
		if i < 0 {
			return out
		}
		start := base + utf16Len(s[at:at+i])
		end := start + utf16Len(want)
		out = append(out, match{start: start, end: end, groups: []Value{want}})
		at += i + len(want)
		base = end
		if !all || len(out) > maxRegexpMatches {
			return out
		}
		if want == "" {
			if at >= len(s) {
				return out
			}
			_, n := nextRune(s[at:])
			base += utf16Len(s[at : at+n])
			at += n
		}
	}
}

// expand fills $1, $&, $<name> in a replacement.
func expand(w string, m match, x units) string {
	if strings.IndexByte(w, '$') < 0 {
		return w
	}
	var b strings.Builder
	for i := 0; i < len(w); i++ {
		if w[i] != '$' || i+1 >= len(w) {
			b.WriteByte(w[i])
			continue
		}
		c := w[i+1]
		switch {
		case c == '$':
			b.WriteByte('$')
			i++
		case c == '&':
			b.WriteString(x.slice(m.start, m.end))
			i++
		case c == '`':
			b.WriteString(x.slice(0, m.start))
			i++
		case c == '\'':
			b.WriteString(x.slice(m.end, x.len()))
			i++
		case c >= '0' && c <= '9':
			n := int(c - '0')
			size := 1
			if i+2 < len(w) && w[i+2] >= '0' && w[i+2] <= '9' && n*10+int(w[i+2]-'0') < len(m.groups) {
				n = n*10 + int(w[i+2]-'0')
				size = 2
			}
			if n == 0 || n >= len(m.groups) {
				b.WriteByte('$')
				continue
			}
			if s, ok := m.groups[n].(string); ok {
				b.WriteString(s)
			}
			i += size
		case c == '<' && m.named != nil:
			end := strings.IndexByte(w[i:], '>')
			if end < 0 {
				b.WriteByte('$')
				continue
			}
			if s, ok := m.named[w[i+2:i+end]].(string); ok {
				b.WriteString(s)
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

func splitFn(ev *evaluator, this Value, args []Value) Value {
	s, ok := ev.toText(this)
	fl := own(this)
	if !ok {
		if a, isA := this.(*Abstract); isA && len(a.parts) > 0 {
			if sep, known := plain(argOr(args, 0)).(string); known && sep != "" {
				return ev.splitParts(a, sep)
			}
		}
		return ev.openString("split", this, args, fl)
	}
	limit := 1 << 24
	if f, ok := ev.toNumber(argOr(args, 1)); ok && len(args) > 1 && args[1] != nil {
		limit = toInt(f)
	}
	if len(args) == 0 || args[0] == nil {
		return ev.array([]Value{tainted(s, fl)})
	}
	var out []Value
	if _, d := asRegExp(args[0]); d != nil {
		ms, ok := ev.matches(d, s, 0, true)
		if !ok {
			return ev.openString("split", this, args, fl)
		}
		x := ev.realm.units.of(s)
		last := 0
		for _, m := range ms {
			if m.end == m.start && (m.start == 0 || m.start >= x.len()) {
				continue
			}
			out = append(out, tainted(x.slice(last, m.start), fl))
			for _, g := range m.groups[1:] {
				out = append(out, taintAny(g, fl))
			}
			last = m.end
		}
		out = append(out, tainted(x.slice(last, x.len()), fl))
	} else {
		sep, ok := ev.toText(args[0])
		if !ok {
			return ev.openString("split", this, args, fl.union(own(args[0])))
		}
		if sep == "" {
			x := ev.realm.units.of(s)
			out = make([]Value, x.len())
			for i := range out {
				out[i] = tainted(ev.charAt(s, i), fl)
			}
		} else {
			for _, p := range strings.Split(s, sep) {
				out = append(out, tainted(p, fl))
			}
		}
	}
	ev.alloc(len(out))
	if len(out) > limit && limit >= 0 {
		out = out[:limit]
	}
	return ev.array(out)
}

// splitParts splits a partly known string at a separator in its literals.
func (ev *evaluator) splitParts(a *Abstract, sep string) Value {
	var out []Value
	var cur []part
	flush := func() {
		if len(cur) == 1 && cur[0].hole == nil {
			out = append(out, cur[0].lit)
		} else if len(cur) == 1 {
			out = append(out, cur[0].hole)
		} else if len(cur) == 0 {
			out = append(out, "")
		} else {
			out = append(out, ev.partly(cur))
		}
		cur = nil
	}
	for _, p := range a.parts {
		if p.hole != nil {
			cur = append(cur, p)
			continue
		}
		for i, s := range strings.Split(p.lit, sep) {
			if i > 0 {
				flush()
			}
			if s != "" {
				cur = append(cur, part{lit: s})
			}
		}
	}
	flush()
	o := ev.array(out)
	o.weak = true
	o.flows = a.flows
	return o
}

func matchFn(ev *evaluator, this Value, args []Value) Value {
	s, ok := ev.toText(this)
	_, d := asRegExp(argOr(args, 0))
	if d == nil && ok {
		if p, known := ev.toText(argOr(args, 0)); known && len(args) > 0 {
			_, d = asRegExp(ev.newRegExp(p, ""))
		}
	}
	if !ok || d == nil {
		return ev.openMatch(this)
	}
	global := strings.Contains(d.flags, "g")
	ms, ok := ev.matches(d, s, 0, global)
	if !ok {
		return ev.openMatch(this)
	}
	if len(ms) == 0 {
		return null{}
	}
	if !global {
		return ev.matchArray(ms[0], s, own(this))
	}
	out := make([]Value, len(ms))
	for i, m := range ms {
		out[i] = taintAny(m.groups[0], own(this))
	}
	return ev.array(out)
}

func matchAllFn(ev *evaluator, this Value, args []Value) Value {
	s, ok := ev.toText(this)
	_, d := asRegExp(argOr(args, 0))
	if !ok || d == nil {
		return ev.openMatch(this)
	}
	ms, ok := ev.matches(d, s, 0, true)
	if !ok {
		return ev.openMatch(this)
	}
	out := make([]Value, len(ms))
	for i, m := range ms {
		out[i] = ev.matchArray(m, s, own(this))
	}
	return ev.iterator("RegExp String", out)
}

func searchFn(ev *evaluator, this Value, args []Value) Value {
	s, ok := ev.toText(this)
	_, d := asRegExp(argOr(args, 0))
	if d == nil && ok {
		if p, known := ev.toText(argOr(args, 0)); known {
			_, d = asRegExp(ev.newRegExp(p, ""))
		}
	}
	if !ok || d == nil {
		return unknown(callseq.Number, own(this))
	}
	ms, ok := ev.matches(d, s, 0, false)
	if !ok {
		return unknown(callseq.Number, own(this))
	}
	if len(ms) == 0 {
		return num(-1)
	}
	return num(float64(ms[0].start))
}
