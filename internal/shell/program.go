package shell

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// val is a value of a script: text as far as known, and its elements if it is a list.
type val struct {
	w     word
	elems []word
	name  string // dotted name, when it is one
}

// program is the state of reading one script.
type program struct {
	x       *reading
	l       *language
	toks    []token
	i       int
	vars    map[string]val
	aliases map[string]string
	depth   int
	socket  callseq.ID // the last socket that was opened
	dup     callseq.ID // the socket that the standard descriptors were made to
}

const maxTokens = 60_000

// program reads a script by its tokens: which functions it calls with which values, in the order in which they stand.
func (x *reading) runProgram(text string, l *language) word {
	p := &program{x: x, l: l, vars: map[string]val{}, aliases: map[string]string{}}
	p.toks = p.tokens(text)
	for p.at().kind != tokEnd && x.step() {
		before := p.i
		p.statement()
		if p.i == before {
			p.i++
		}
	}
	return hole(l.Name, from(x.cause, callseq.Copy)...)
}

func (p *program) at() token {
	if p.i < len(p.toks) {
		return p.toks[p.i]
	}
	return token{}
}

func (p *program) peek(n int) token {
	if i := p.i + n; i >= 0 && i < len(p.toks) {
		return p.toks[i]
	}
	return token{}
}

func (p *program) mark(s string) bool { return p.at().kind == tokMark && p.at().text == s }

// statement reads up to the end of a line or a semicolon.
func (p *program) statement() val {
	for p.at().kind == tokLine || p.mark(";") {
		p.i++
	}
	t := p.at()
	p.x.line, p.x.offset = max(t.line, 1), t.at
	if t.kind == tokName {
		switch t.text {
		case "import", "from":
			if p.l.Name == "python" {
				p.imports()
				return val{}
			}
		case "use", "require", "package", "no":
			if p.l.Name == "perl" || p.l.Name == "ruby" && t.text == "require" {
				p.skipLine()
				return val{}
			}
		case "for", "foreach":
			p.i++
			return p.forLoop()
		case "def", "sub", "function", "class":
			p.i += 2
			if p.mark("(") {
				p.group()
			}
			return val{}
		case "with":
			p.i++
			v := p.expr()
			if p.at().kind == tokName && p.at().text == "as" {
				p.i++
				p.vars[p.at().text] = v
				p.i++
			}
			return val{}
		}
	}
	if names, n := p.assignment(); n > 0 {
		p.i += n
		v := p.list()
		for i, name := range names {
			w := v
			if len(names) > 1 && i < len(v.elems) {
				w = val{w: v.elems[i]}
			}
			if len(p.vars) < maxVars {
				p.vars[name] = w
			}
		}
		return val{}
	}
	v := p.list()
	return v
}

// list is an expression with commas: its elements and all of it together.
func (p *program) list() val {
	v := p.expr()
	if !p.mark(",") {
		return v
	}
	elems := []word{v.w}
	for p.mark(",") && p.x.step() {
		p.i++
		e := p.expr()
		elems = append(elems, e.w)
		if len(elems) > maxFields {
			break
		}
	}
	return val{w: joinWords(elems, " "), elems: elems}
}

func (p *program) skipLine() {
	for p.at().kind != tokEnd && p.at().kind != tokLine && !p.mark(";") {
		p.i++
	}
}

// imports reads import a.b as c and from a import b as c.
func (p *program) imports() {
	fromWhat := ""
	if p.at().text == "from" {
		p.i++
		fromWhat = p.dotted()
		if p.at().text != "import" {
			p.skipLine()
			return
		}
	}
	p.i++
	for p.at().kind == tokName || p.mark("(") {
		if p.mark("(") {
			p.i++
			continue
		}
		name := p.dotted()
		as := name
		if p.at().text == "as" {
			p.i++
			as = p.at().text
			p.i++
		}
		if fromWhat != "" {
			p.aliases[as] = fromWhat + "." + name
		} else if as != name {
			p.aliases[as] = name
		}
		if !p.mark(",") {
			break
		}
		p.i++
		for p.at().kind == tokLine {
			p.i++
		}
	}
	p.skipLine()
}

func (p *program) dotted() string {
	var parts []string
	for p.at().kind == tokName {
		parts = append(parts, p.at().text)
		p.i++
		if !p.mark(".") {
			break
		}
		p.i++
	}
	return strings.Join(parts, ".")
}

// forLoop reads for x in list, foreach (list as $x), foreach my $x (list): the variable is any of the list.
func (p *program) forLoop() val {
	start := p.i
	var names []string
	for j := 0; j < 12; j++ {
		t := p.peek(j)
		if t.kind == tokLine || t.kind == tokEnd || t.text == "{" {
			break
		}
		if t.kind == tokName && t.text == "in" {
			p.i += j + 1
			v := p.expr()
			for _, n := range names {
				p.vars[n] = val{w: v.w}
			}
			return val{}
		}
		if t.kind == tokName && t.text != "my" && t.text != "each" {
			names = append(names, t.text)
		}
	}
	p.i = start
	return p.expr()
}

// assignment reports the names on the left of an assignment and the tokens up to its value.
func (p *program) assignment() ([]string, int) {
	var names []string
	depth := 0
	for j := 0; j < 40; j++ {
		t := p.peek(j)
		switch {
		case t.kind == tokName && depth == 0:
			if t.text == "my" || t.text == "our" || t.text == "local" || t.text == "global" || t.text == "const" || t.text == "let" || t.text == "var" {
				continue
			}
			if prev := p.peek(j - 1); j > 0 && prev.kind == tokMark && (prev.text == "." || prev.text == "->" || prev.text == "::") && len(names) > 0 {
				names[len(names)-1] += "." + t.text
				continue
			} else if j > 0 && prev.kind == tokName && prev.text != "my" && prev.text != "our" && prev.text != "local" {
				return nil, 0
			}
			names = append(names, t.text)
		case t.kind == tokName || t.kind == tokNumber || t.kind == tokString:
			if depth == 0 {
				return nil, 0
			}
		case t.kind == tokMark && (t.text == "(" || t.text == "[" || t.text == "{"):
			if t.text == "(" && len(names) > 0 {
				return nil, 0
			}
			if t.text != "(" {
				depth++
			}
		case t.kind == tokMark && (t.text == ")" || t.text == "]" || t.text == "}"):
			if t.text != ")" {
				depth--
			}
		case t.kind == tokMark && (t.text == "=" || t.text == "+=" || t.text == ".=") && depth == 0:
			if len(names) == 0 {
				return nil, 0
			}
			return names, j + 1
		case t.kind == tokMark && (t.text == "," || t.text == "." || t.text == "->" || t.text == "::" || t.text == "$" || t.text == "*") && depth == 0:
		default:
			if depth == 0 {
				return nil, 0
			}
		}
	}
	return nil, 0
}

// expr reads an expression up to a comma, a closing bracket or the end of the statement. What stands side by side or is joined by
// an operator is taken as one text.
func (p *program) expr() val {
	if p.depth > maxNest {
		p.x.cut("a script nested too deep")
		p.i++
		return val{}
	}
	p.depth++
	defer func() { p.depth-- }()
	var out val
	n := 0
	for p.x.step() {
		t := p.at()
		if t.kind == tokEnd || t.kind == tokLine || t.kind == tokMark && strings.Contains(",;)]}", t.text) {
			return out
		}
		if t.kind == tokName && (t.text == "as" || t.text == "in") && n > 0 {
			return out
		}
		if t.kind == tokMark && t.text != "(" && t.text != "[" && t.text != "{" {
			p.i++
			continue
		}
		v := p.postfix(p.primary())
		if n == 0 {
			out = v
		} else {
			out = val{w: out.w.add(v.w), elems: out.elems}
		}
		n++
	}
	return out
}

// group reads a bracketed list: its elements, keyword arguments by name.
func (p *program) group() (elems []val, keys map[string]val) {
	keys = map[string]val{}
	p.i++
	for p.x.step() {
		t := p.at()
		if t.kind == tokEnd {
			return elems, keys
		}
		if t.kind == tokMark && (t.text == ")" || t.text == "]" || t.text == "}") {
			p.i++
			return elems, keys
		}
		if t.kind == tokLine || t.kind == tokMark && (t.text == "," || t.text == ";") {
			p.i++
			continue
		}
		key := ""
		if (t.kind == tokName || t.kind == tokString) && p.peek(1).kind == tokMark {
			switch p.peek(1).text {
			case "=", "=>", ":":
				key = t.text
				p.i += 2
			}
		}
		before := p.i
		v := p.expr()
		if key != "" {
			keys[key] = v
		}
		if key == "" || t.kind == tokString {
			elems = append(elems, v)
		}
		if p.i == before {
			p.i++
		}
		if len(elems) > maxFields {
			p.x.cut("a list of too many elements")
			return elems, keys
		}
	}
	return elems, keys
}

func flat(elems []val, keys map[string]val) val {
	var out val
	for _, e := range elems {
		out.elems = append(out.elems, e.w)
	}
	var names []string
	for k := range keys {
		names = append(names, k)
	}
	all := slices.Clone(out.elems)
	for _, k := range sorted(names) {
		if len(out.elems) == 0 || !slices.ContainsFunc(elems, func(v val) bool { return v.w.text() == keys[k].w.text() }) {
			all = append(all, keys[k].w)
		}
	}
	out.w = joinWords(all, " ")
	return out
}

func (p *program) primary() val {
	t := p.at()
	switch t.kind {
	case tokString:
		p.i++
		if t.raw || p.l.Embed == "" {
			return val{w: p.x.decode(t.text)}
		}
		return val{w: p.embedded(t.text)}
	case tokCommand:
		p.i++
		p.x.line, p.x.offset = max(t.line, 1), t.at
		id := p.x.call("$"+p.l.Name+".`", nil, []string{"PROCESS_COMMAND_EXECUTION"})
		return val{w: p.x.nested(p.embedded(t.text), "sh", p.l.Name, id)}
	case tokNumber:
		p.i++
		return val{w: lit(t.text)}
	case tokName:
		p.i++
		return p.named(t)
	}
	if t.text == "(" || t.text == "[" || t.text == "{" {
		elems, keys := p.group()
		if len(elems) == 1 && t.text == "(" && len(keys) == 0 {
			return elems[0]
		}
		return flat(elems, keys)
	}
	p.i++
	return val{}
}

// named reads a name with its dots, and what it stands for.
func (p *program) named(t token) val {
	name := t.text
	first := name
	if v, ok := p.vars[name]; ok && !p.isCall() {
		for p.member() != "" {
			long := name + "." + p.member()
			w, ok := p.vars[long]
			if !ok {
				break
			}
			name, v = long, w
			p.i += 2
		}
		v.name = name
		return v
	}
	for {
		m := p.member()
		if m == "" {
			break
		}
		name += "." + m
		p.i += 2
		if p.isCall() {
			break
		}
	}
	if a, ok := p.aliases[first]; ok {
		name = a + strings.TrimPrefix(name, first)
	}
	if v, ok := p.vars[name]; ok {
		v.name = name
		return v
	}
	recv, isVar := p.vars[first]
	f := p.l.find(name, strings.Contains(name, "."))
	switch {
	case p.mark("("):
		elems, keys := p.group()
		return p.invoke(name, f, t, recv, elems, keys)
	case f != nil && f.Value:
		return p.invoke(name, f, t, recv, nil, nil)
	case f != nil && (p.at().kind == tokString || p.at().kind == tokName && p.at().text != "as" && p.at().text != "in" && p.at().text != "if" || p.at().kind == tokCommand): // system "..." without brackets
		v := p.list()
		elems := []val{v}
		if len(v.elems) > 0 {
			elems = nil
			for _, e := range v.elems {
				elems = append(elems, val{w: e})
			}
		}
		return p.invoke(name, f, t, recv, elems, nil)
	}
	if isVar {
		recv.name = name
		return recv
	}
	return val{name: name}
}

// member is the name after a dot or arrow that comes next.
func (p *program) member() string {
	if t := p.at(); t.kind == tokMark && (t.text == "." && p.l.Name != "perl" && p.l.Name != "php" || t.text == "->" || t.text == "::") && p.peek(1).kind == tokName {
		return p.peek(1).text
	}
	return ""
}

func (p *program) isCall() bool { return p.mark("(") }

// postfix reads what follows a value: indexes and methods.
func (p *program) postfix(v val) val {
	for p.x.step() {
		t := p.at()
		switch {
		case t.kind == tokMark && (t.text == "[" || t.text == "{" && p.l.Name == "perl"):
			elems, _ := p.group()
			if n := len(elems); n == 1 && v.name != "" && v.w.empty() { // ENV['X']
				v.w = elems[0].w
			}
		case t.kind == tokMark && t.text == "->" && p.peek(1).kind == tokMark:
			p.i++
		case p.member() != "":
			name := p.member()
			p.i += 2
			f := p.l.find(v.name+"."+name, true)
			if p.mark("(") {
				elems, keys := p.group()
				v = p.invoke("."+name, f, t, v, elems, keys)
			} else if f != nil {
				v = p.invoke("."+name, f, t, v, nil, nil)
			}
		default:
			return v
		}
	}
	return v
}

// embedded puts the values of variables into a string.
func (p *program) embedded(s string) word {
	var out word
	for s != "" {
		var i, n int
		var name string
		switch p.l.Embed {
		case "dollar":
			i = strings.IndexAny(s, "$@")
			if i >= 0 {
				j := i + 1
				brace := j < len(s) && s[j] == '{'
				if brace {
					j++
				}
				k := j
				for k < len(s) && nameByte(s[k]) {
					k++
				}
				name, n = s[j:k], k
				if brace && k < len(s) && s[k] == '}' {
					n++
				}
			}
		case "hash":
			i = strings.Index(s, "#{")
			if i >= 0 {
				name, n = upTo(s, i+2)
			}
		default:
			i = strings.IndexByte(s, '{')
			if i >= 0 {
				name, n = upTo(s, i+1)
			}
		}
		if i < 0 {
			break
		}
		out = out.add(p.x.decode(s[:i]))
		switch v, ok := p.vars[strings.TrimSpace(name)]; {
		case name == "":
			out = out.add(p.x.decode(s[i:max(n, i+1)]))
		case ok:
			out = out.add(v.w)
		case p.l.Embed != "dollar" && p.depth < maxNest:
			out = out.add(p.inner(name))
		default:
			out = out.add(hole(name))
		}
		s = s[max(n, i+1):]
	}
	return out.add(p.x.decode(s))
}

// upTo is the text from start to the next closing brace, and where the text after that begins.
func upTo(s string, start int) (string, int) {
	if j := strings.IndexByte(s[start:], '}'); j >= 0 {
		return s[start : start+j], start + j + 1
	}
	return "", len(s)
}

// inner reads an expression inside a string.
func (p *program) inner(s string) word {
	q := &program{x: p.x, l: p.l, vars: p.vars, aliases: p.aliases, depth: p.depth + 1, socket: p.socket, dup: p.dup}
	q.toks = q.tokens(s)
	v := q.expr()
	if v.w.empty() {
		return hole(strings.TrimSpace(s))
	}
	return v.w
}

// invoke records one call of a function that the table knows, and gives its value.
func (p *program) invoke(name string, f *routine, t token, recv val, elems []val, keys map[string]val) val {
	all := flat(elems, keys)
	if f == nil {
		return val{w: hole(strings.TrimPrefix(name, "."), mergeFlows(recv.w.flows(), all.w.flows())...)}
	}
	x := p.x
	x.line, x.offset = max(t.line, 1), t.at
	c := &functionCall{f: f, name: name, lang: p.l.Name, recv: recv, all: all}
	for i, e := range elems {
		c.add(f.role(i, ""), e)
	}
	var names []string
	for k := range keys {
		names = append(names, k)
	}
	for _, k := range sorted(names) {
		c.add(f.role(-1, k), keys[k])
	}
	v := x.invokeFunction(c, p)
	if f.Socket {
		p.socket, x.socket = c.id, c.id
	}
	if f.Output == "module" {
		v.name = all.w.text()
	}
	return v
}
