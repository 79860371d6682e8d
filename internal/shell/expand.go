package shell

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/donapi/donapi/internal/callseq"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func elementName(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// fields expands a word into the words that the command sees: braces, and blanks in unquoted expansions, make several.
func (x *reading) fields(w *syntax.Word) []word {
	if !x.step() {
		return nil
	}
	copied := *w
	copied.Parts = slices.Clone(w.Parts)
	if !syntax.SplitBraces(&copied) {
		return x.fieldsOf(w)
	}
	var out []word
	for _, v := range braces(&copied) {
		out = append(out, x.fieldsOf(v)...)
	}
	return out
}

// braces multiplies out {a,b}; long sequences stay as they are.
func braces(w *syntax.Word) []*syntax.Word {
	out := []*syntax.Word{{}}
	for _, p := range w.Parts {
		var alts []*syntax.Word
		b, ok := p.(*syntax.BraceExp)
		switch {
		case ok && !b.Sequence:
			for _, e := range b.Elems {
				alts = append(alts, braces(e)...)
			}
		case ok:
			alts = []*syntax.Word{{Parts: []syntax.WordPart{&syntax.Lit{Value: "*"}}}}
		default:
			alts = []*syntax.Word{{Parts: []syntax.WordPart{p}}}
		}
		if len(out)*len(alts) > maxPatterns {
			alts = alts[:1]
		}
		var next []*syntax.Word
		for _, o := range out {
			for _, a := range alts {
				next = append(next, &syntax.Word{Parts: slices.Concat(o.Parts, a.Parts)})
			}
		}
		out = next
	}
	return out
}

func (x *reading) fieldsOf(w *syntax.Word) []word {
	var out []word
	var cur word
	open := false // cur stands, even if empty
	for i, p := range w.Parts {
		switch d := p.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst:
			v := x.part(p, false)
			fs := v.fields()
			if len(fs) == 0 {
				if _, known := firstByte(v); known && open { // $IFS
					out, cur, open = append(out, cur), word{}, false
				}
				continue
			}
			if s, ok := firstByte(v); ok && blank(s) && open {
				out, cur = append(out, cur), word{}
			}
			cur = cur.add(fs[0])
			for _, f := range fs[1:] {
				out, cur = append(out, cur), f
			}
			open = true
			if s, ok := lastByte(v); ok && blank(s) {
				out, cur, open = append(out, cur), word{}, false
			}
		case *syntax.Lit:
			s := unescape(d.Value)
			if i == 0 {
				s = d.Value
				if s == "~" || strings.HasPrefix(s, "~/") {
					cur = cur.add(hole(homeSource))
					s = s[1:]
				}
				s = unescape(s)
			}
			cur, open = cur.add(x.decode(s)), true
		case *syntax.DblQuoted:
			if !allArguments(d) {
				cur, open = cur.add(x.part(p, false)), true
				continue
			}
			for i, a := range x.args { // "$@" is as many words as there are
				if i > 0 {
					out, cur = append(out, cur), word{}
				}
				cur, open = cur.add(a), true
			}
		default:
			cur, open = cur.add(x.part(p, false)), true
		}
	}
	if open {
		out = append(out, cur)
	}
	return out
}

func allArguments(d *syntax.DblQuoted) bool {
	if len(d.Parts) != 1 {
		return false
	}
	p, ok := d.Parts[0].(*syntax.ParamExp)
	return ok && p.Param != nil && p.Param.Value == "@" && p.Exp == nil && p.Slice == nil
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

func firstByte(w word) (byte, bool) {
	if len(w.parts) == 0 || w.parts[0].Hole || w.parts[0].Lit == "" {
		return 0, false
	}
	return w.parts[0].Lit[0], true
}

func lastByte(w word) (byte, bool) {
	if len(w.parts) == 0 {
		return 0, false
	}
	p := w.parts[len(w.parts)-1]
	if p.Hole || p.Lit == "" {
		return 0, false
	}
	return p.Lit[len(p.Lit)-1], true
}

// word expands a word without splitting it.
func (x *reading) word(w *syntax.Word) word {
	var out word
	if w == nil || !x.step() {
		return out
	}
	for i, p := range w.Parts {
		if l, ok := p.(*syntax.Lit); ok && i == 0 && (l.Value == "~" || strings.HasPrefix(l.Value, "~/")) {
			out = hole(homeSource).add(x.decode(unescape(l.Value[1:])))
			continue
		}
		out = out.add(x.part(p, false))
	}
	return out
}

func (x *reading) part(p syntax.WordPart, quoted bool) word {
	if x.nest >= maxNest {
		x.cut("words nested too deep")
		return hole("?")
	}
	x.nest++
	defer func() { x.nest-- }()
	switch d := p.(type) {
	case *syntax.Lit:
		if quoted {
			return x.decode(unescapeDouble(d.Value))
		}
		return x.decode(unescape(d.Value))
	case *syntax.SglQuoted:
		if d.Dollar {
			return lit(ansiEscapes(d.Value))
		}
		return x.decode(d.Value)
	case *syntax.DblQuoted:
		var out word
		for _, q := range d.Parts {
			out = out.add(x.part(q, true))
		}
		return out
	case *syntax.ParamExp:
		return x.param(d)
	case *syntax.CmdSubst:
		return x.substitute(d)
	case *syntax.ProcSubst:
		return x.process(d)
	case *syntax.ArithmExp:
		if n, ok := x.arithmetic(d.X, 0); ok {
			return lit(strconv.Itoa(n))
		}
		return hole("$(( ))")
	case *syntax.ExtGlob:
		return lit(d.Pattern.Value)
	case *syntax.BraceExp:
		var out word
		for _, e := range d.Elems {
			out = out.add(x.word(e))
		}
		return out
	}
	return hole("?")
}

// substitute is what the commands in $( ) print, without the line ends at its end.
func (x *reading) substitute(d *syntax.CmdSubst) word {
	cwd := x.cwd
	out := x.stmts(d.Stmts, input{})
	x.cwd = cwd
	if n := len(out.parts); n > 0 && !out.parts[n-1].Hole {
		parts := slices.Clone(out.parts)
		parts[n-1].Lit = strings.TrimRight(parts[n-1].Lit, "\r\n")
		if parts[n-1].Lit == "" {
			parts = parts[:n-1]
		}
		return word{parts}
	}
	return out
}

// process is the name of a pipe: the file of <( ) holds what the commands print.
func (x *reading) process(d *syntax.ProcSubst) word {
	if d.Op == syntax.CmdOut {
		x.stmts(d.Stmts, input{stdin: hole("pipe"), given: true})
		return hole("pipe")
	}
	out := x.stmts(d.Stmts, input{})
	name := "/dev/fd/" + strconv.Itoa(100+len(x.files))
	x.files[name] = written{content: out}
	return lit(name)
}

func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

var doubleEscapes = strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`, "\\\n", "")

func unescapeDouble(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return doubleEscapes.Replace(s)
}

// param expands a parameter with its operators, as far as it is known.
func (x *reading) param(d *syntax.ParamExp) word {
	if d.Param == nil {
		return hole("$")
	}
	name := d.Param.Value
	if d.Index != nil {
		if w, ok := d.Index.(*syntax.Word); ok {
			t := x.word(w).text()
			if v, ok := x.lookup(name + "[" + t + "]"); ok {
				return x.operators(d, v)
			}
		}
	}
	if d.Exp != nil {
		set := x.isSet(name)
		switch d.Exp.Op {
		case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
			if !set {
				def := x.word(d.Exp.Word)
				if d.Exp.Op == syntax.AssignUnset || d.Exp.Op == syntax.AssignUnsetOrNull {
					x.set(name, def)
				}
				if positional(name) {
					return def
				}
				return def.with(x.variable(name).flows())
			}
		case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
			return x.word(d.Exp.Word)
		}
	}
	if d.Names != 0 {
		return hole("${!" + name + "*}")
	}
	v := x.variable(name)
	if d.Excl {
		if s, ok := v.known(); ok && s != "" {
			v = x.variable(s)
		} else {
			v = hole("${!"+name+"}", v.flows()...)
		}
	}
	return x.operators(d, v)
}

func positional(name string) bool { return strings.Trim(name, "0123456789@*#") == "" }

// operators applies slices, replacements and case changes to a known value; to an unknown one they only leave its flows.
func (x *reading) operators(d *syntax.ParamExp, v word) word {
	if d.Slice == nil && d.Repl == nil && !d.Length && (d.Exp == nil || d.Exp.Op < syntax.RemSmallPrefix) {
		return v
	}
	s, ok := v.known()
	if !ok {
		if d.Length {
			return hole("${#}")
		}
		if len(v.parts) == 1 {
			return v
		}
		return hole("${ }", v.flows()...)
	}
	fl := v.flows()
	switch {
	case d.Length:
		return lit(strconv.Itoa(len(s)))
	case d.Slice != nil:
		off, ok1 := x.arithmetic(d.Slice.Offset, 0)
		n, ok2 := len(s), true
		if d.Slice.Length != nil {
			n, ok2 = x.arithmetic(d.Slice.Length, 0)
		}
		if !ok1 || !ok2 {
			return hole("${ }", fl...)
		}
		return lit(substring(s, off, n)).with(fl)
	case d.Repl != nil:
		a, okA := x.word(d.Repl.Orig).known()
		b, okB := x.word(d.Repl.With).known()
		if d.Repl.With == nil {
			okB = true
		}
		if !okA || !okB || a == "" || strings.ContainsAny(a, "*?[") {
			return hole("${ }", fl...)
		}
		if d.Repl.All {
			if len(s)*(len(b)+1) > maxWord*4 {
				return hole("${ }", fl...)
			}
			return lit(strings.ReplaceAll(s, a, b)).with(fl)
		}
		return lit(strings.Replace(s, a, b, 1)).with(fl)
	case d.Exp != nil:
		arg, _ := x.word(d.Exp.Word).known()
		switch d.Exp.Op {
		case syntax.RemSmallPrefix, syntax.RemLargePrefix:
			return lit(removePrefix(s, arg, d.Exp.Op == syntax.RemLargePrefix)).with(fl)
		case syntax.RemSmallSuffix, syntax.RemLargeSuffix:
			return lit(reverse(removePrefix(reverse(s), reverse(arg), d.Exp.Op == syntax.RemLargeSuffix))).with(fl)
		case syntax.UpperAll:
			return lit(strings.ToUpper(s)).with(fl)
		case syntax.LowerAll:
			return lit(strings.ToLower(s)).with(fl)
		}
	}
	return v
}

// substring is ${s:off:n}, negative numbers counting from the end.
func substring(s string, off, n int) string {
	if off < 0 {
		off = max(0, len(s)+off)
	}
	off = min(off, len(s))
	end := off + n
	if n < 0 {
		end = len(s) + n
	}
	if end < off {
		return ""
	}
	return s[off:min(end, len(s))]
}

func reverse(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// removePrefix drops a pattern of plain text with at most one * at its start, which is what scripts use.
func removePrefix(s, pattern string, longest bool) string {
	tail, star := strings.CutPrefix(pattern, "*")
	if !star {
		return strings.TrimPrefix(s, strings.TrimSuffix(pattern, "*"))
	}
	i := strings.Index(s, tail)
	if longest {
		i = strings.LastIndex(s, tail)
	}
	if i < 0 {
		return s
	}
	return s[i+len(tail):]
}

// arithmetic computes constant expressions.
func (x *reading) arithmetic(e syntax.ArithmExpr, depth int) (int, bool) {
	if depth > 50 || e == nil {
		return 0, false
	}
	switch d := e.(type) {
	case *syntax.Word:
		s, ok := x.word(d).known()
		if !ok {
			return 0, false
		}
		if n, err := strconv.ParseInt(s, 0, 32); err == nil {
			return int(n), true
		}
		if v, found := x.lookup(s); found {
			if s, ok := v.known(); ok {
				n, err := strconv.ParseInt(s, 0, 32)
				return int(n), err == nil
			}
		}
	case *syntax.ParenArithm:
		return x.arithmetic(d.X, depth+1)
	case *syntax.UnaryArithm:
		n, ok := x.arithmetic(d.X, depth+1)
		switch d.Op {
		case syntax.Minus:
			return -n, ok
		case syntax.Plus:
			return n, ok
		}
	case *syntax.BinaryArithm:
		a, ok1 := x.arithmetic(d.X, depth+1)
		b, ok2 := x.arithmetic(d.Y, depth+1)
		if !ok1 || !ok2 || a > 1<<40 || b > 1<<40 || a < -1<<40 || b < -1<<40 {
			return 0, false
		}
		switch d.Op {
		case syntax.Add:
			return a + b, true
		case syntax.Sub:
			return a - b, true
		case syntax.Mul:
			if max(a, -a) > 1<<20 || max(b, -b) > 1<<20 {
				return 0, false
			}
			return a * b, true
		case syntax.Quo:
			if b != 0 {
				return a / b, true
			}
		case syntax.Rem:
			if b != 0 {
				return a % b, true
			}
		case syntax.Xor:
			return a ^ b, true
		}
	}
	return 0, false
}

// lookup is a variable that the script set.
func (x *reading) lookup(name string) (word, bool) {
	v, ok := x.vars[name]
	if !ok || len(v) == 0 {
		return word{}, false
	}
	x.choices = max(x.choices, len(v))
	return v[len(v)-1-min(x.choice, len(v)-1)], true
}

func (x *reading) isSet(name string) bool {
	if n, err := strconv.Atoi(name); err == nil {
		return n >= 1 && n <= len(x.args)
	}
	_, ok := x.vars[name]
	return ok
}

// variable is the value of a variable: what the script put in, or a read of the environment.
func (x *reading) variable(name string) word {
	if v, ok := x.lookup(name); ok {
		return v
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n >= 1 && n <= len(x.args) {
			return x.args[n-1]
		}
		return hole("$" + name)
	}
	switch name {
	case "IFS":
		return lit(" \t\n")
	case "@", "*":
		return joinWords(x.args, " ")
	case "HOME", "USERPROFILE", "home":
		return hole(homeSource)
	case "#", "?", "$", "!", "-", "_", "RANDOM", "SECONDS", "LINENO", "PPID", "BASH_SOURCE", "BASH_VERSION", "OSTYPE", "OPTARG", "OPTIND", "REPLY", "PIPESTATUS", "FUNCNAME", "errorlevel", "ERRORLEVEL", "COLUMNS":
		return hole("$" + name)
	}
	class := x.r.classes.EnvClass(name)
	if class == "harmless" {
		return hole("$" + name)
	}
	id := x.env[name]
	if id == 0 {
		types := []string{"SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"}
		if class != "" {
			types = append(types, "ENV_"+strings.ToUpper(class))
		}
		switch strings.ToUpper(name) {
		case "USER", "USERNAME", "LOGNAME", "USERDOMAIN":
			types = append(types, "SYSTEM_MESSAGE_OS_USERINFO")
		case "HOSTNAME", "COMPUTERNAME", "HOST":
			types = append(types, "SYSTEM_MESSAGE_OS_HOSTNAME")
		case "PWD", "INIT_CWD", "OLDPWD", "CD":
			types = append(types, "SYSTEM_MESSAGE_CWD")
		}
		id = x.call("process.env", []callseq.Value{{Kind: callseq.String, Text: name}}, types)
		if c := x.t.Lookup(id); c != nil {
			c.Kind = callseq.KindGet
			x.env[name] = id
		}
	}
	return hole("$"+name, from(id, callseq.Env)...)
}
