package shell

import (
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// ps reads PowerShell by its characters: statements, pipelines, commands with parameters, and expressions as far as text can flow
// through them. Cmdlets are entries of the command table; members of .NET classes are those of languages/powershell.yaml.
type ps struct {
	x     *reading
	l     *language
	s     string
	i     int
	depth int
	list  []word // elements of the last expression with commas
}

func (x *reading) powershell(text string) word {
	l := x.r.languages["powershell"]
	if l == nil {
		l = &language{Name: "powershell"}
	}
	p := &ps{x: x, l: l, s: strings.NewReplacer("\r\n", "\n", "\x00", " ").Replace(text)}
	kept := x.lang
	x.lang = "powershell"
	out := p.block(0)
	x.lang = kept
	return out
}

func (p *ps) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

// blanks skips blanks, comments, and line ends where these mean nothing.
func (p *ps) blanks(lines bool) {
	for p.i < len(p.s) {
		switch c := p.s[p.i]; {
		case c == ' ' || c == '\t' || c == '\r' || lines && (c == '\n' || c == ';'):
			p.i++
		case c == '`' && p.i+1 < len(p.s) && p.s[p.i+1] == '\n':
			p.i += 2
		case strings.HasPrefix(p.s[p.i:], "<#"):
			if j := strings.Index(p.s[p.i:], "#>"); j >= 0 {
				p.i += j + 2
			} else {
				p.i = len(p.s)
			}
		case c == '#' && (p.i == 0 || strings.IndexByte(" \t\n;{(", p.s[p.i-1]) >= 0):
			if j := strings.IndexByte(p.s[p.i:], '\n'); j >= 0 {
				p.i += j
			} else {
				p.i = len(p.s)
			}
		default:
			return
		}
	}
}

// block reads statements up to a closing brace.
func (p *ps) block(closing byte) word {
	var out word
	if p.depth > maxNest {
		p.x.cut("a script nested too deep")
		p.i = len(p.s)
		return out
	}
	p.depth++
	defer func() { p.depth-- }()
	for p.x.step() {
		p.blanks(true)
		c := p.peek()
		if c == 0 {
			return out
		}
		if c == closing {
			p.i++
			return out
		}
		before := p.i
		out = out.add(p.statement())
		if p.i == before {
			p.i++
		}
	}
	p.i = len(p.s)
	return out
}

func (p *ps) place() {
	p.x.offset = p.i
	p.x.line = 1 + strings.Count(p.s[:p.i], "\n")
}

// bare reads a bare word: a command name, path or keyword.
func (p *ps) bare() string {
	start := p.i
	for p.i < len(p.s) && strings.IndexByte(" \t\n;|(){}\"',=&<>", p.s[p.i]) < 0 {
		if p.s[p.i] == '`' && p.i+1 < len(p.s) {
			p.i++
		}
		if p.s[p.i] == '$' && p.i > start {
			break
		}
		p.i++
	}
	return strings.ReplaceAll(p.s[start:p.i], "`", "")
}

var psKeywords = map[string]bool{"if": true, "elseif": true, "else": true, "while": true, "do": true, "until": true, "for": true, "try": true, "catch": true, "finally": true, "return": true, "param": true, "begin": true, "process": true, "end": true, "switch": true, "throw": true, "exit": true, "using": true, "in": true}

// statement reads one pipeline, assignment or control structure.
func (p *ps) statement() word {
	p.place()
	start := p.i
	c := p.peek()
	if c == '$' || c == '[' {
		if name, ok := p.target(); ok {
			op := p.peek()
			p.i++
			if op == '+' {
				p.i++
			}
			v := p.pipeline()
			if op == '+' {
				if old, ok := p.x.lookup("ps:" + name); ok {
					v = old.add(v)
				}
			}
			p.x.set("ps:"+name, v)
			if env, ok := strings.CutPrefix(name, "env:"); ok {
				p.x.set(env, v)
			}
			return word{}
		}
		p.i = start
	}
	if c == '{' {
		p.i++
		return p.block('}')
	}
	if letter(c) {
		w := strings.ToLower(p.bare())
		switch {
		case w == "function" || w == "filter":
			p.blanks(false)
			p.bare()
			p.blanks(true)
			if p.peek() == '(' {
				p.i++
				p.skip(')')
				p.blanks(true)
			}
			if p.peek() == '{' {
				p.i++
				return p.block('}')
			}
			return word{}
		case w == "foreach" && p.after() == '(':
			p.blanks(false)
			p.i++
			p.blanks(true)
			name := ""
			if p.peek() == '$' {
				p.i++
				name = strings.ToLower(p.bare())
			}
			p.blanks(true)
			if strings.HasPrefix(strings.ToLower(p.s[p.i:]), "in") {
				p.i += 2
			}
			v := p.pipeline()
			p.x.set("ps:"+name, v)
			p.blanks(true)
			if p.peek() == ')' {
				p.i++
			}
			return word{}
		case psKeywords[w]:
			p.blanks(true)
			if p.peek() == '(' {
				p.i++
				return p.block(')')
			}
			return word{}
		}
		p.i = start
	}
	return p.pipeline()
}

func (p *ps) after() byte {
	j := p.i
	for j < len(p.s) && (p.s[j] == ' ' || p.s[j] == '\t') {
		j++
	}
	if j < len(p.s) {
		return p.s[j]
	}
	return 0
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// target reads the left side of an assignment and stands at its operator.
func (p *ps) target() (string, bool) {
	if p.peek() == '[' { // [type]$x = ...
		j := strings.IndexByte(p.s[p.i:], ']')
		if j < 0 || p.i+j+1 >= len(p.s) || p.s[p.i+j+1] != '$' {
			return "", false
		}
		p.i += j + 1
	}
	if p.peek() != '$' {
		return "", false
	}
	p.i++
	start := p.i
	for p.i < len(p.s) && (nameByte(p.s[p.i]) || p.s[p.i] == ':' || p.s[p.i] == '.' || p.s[p.i] == '{' || p.s[p.i] == '}') {
		p.i++
	}
	name := strings.ToLower(strings.Trim(p.s[start:p.i], "{}"))
	p.blanks(false)
	rest := p.s[p.i:]
	return name, name != "" && (strings.HasPrefix(rest, "=") && !strings.HasPrefix(rest, "==") || strings.HasPrefix(rest, "+="))
}

func (p *ps) skip(closing byte) {
	opening := map[byte]byte{')': '(', '}': '{', ']': '['}[closing]
	n := 1
	for p.i < len(p.s) && n > 0 {
		switch p.s[p.i] {
		case opening:
			n++
		case closing:
			n--
		}
		p.i++
	}
}

// pipeline reads commands or expressions joined by |.
func (p *ps) pipeline() word {
	var out word
	in := input{}
	for p.x.step() {
		p.blanks(false)
		out = p.element(in)
		p.blanks(false)
		for p.peek() == '>' || p.peek() == '2' && strings.HasPrefix(p.s[p.i:], "2>") {
			appended := strings.HasPrefix(p.s[p.i:], ">>")
			errors := p.peek() == '2'
			for p.i < len(p.s) && strings.IndexByte("2>&1", p.s[p.i]) >= 0 {
				p.i++
			}
			p.blanks(false)
			if w := p.argument(); !errors {
				p.x.writeFile(w, out, appended)
				out = word{}
			}
			p.blanks(false)
		}
		if p.peek() != '|' {
			return out
		}
		p.i++
		if out.empty() {
			out = hole("|")
		}
		in = input{stdin: out, given: true}
		p.blanks(true)
	}
	return out
}

// element is one part of a pipeline.
func (p *ps) element(in input) word {
	c := p.peek()
	switch {
	case c == '&' || c == '.' && strings.IndexByte(" \t($\"'", p.after1()) >= 0:
		p.i++
		p.blanks(false)
		if p.peek() == '{' {
			p.i++
			return p.block('}')
		}
		name := p.primary()
		return p.command(name, in)
	case c == '{':
		p.i++
		return p.block('}')
	case letter(c) || c == '.' || c == '\\' || c == '%' || c == '?':
		p.place()
		start := p.i
		name := p.bare()
		if name == "" {
			p.i = start + 1
			return word{}
		}
		if letter(c) && strings.HasPrefix(p.s[p.i:], "=") {
			p.i++
			return p.pipeline()
		}
		return p.command(p.x.decode(name), in)
	}
	return p.expression()
}

func (p *ps) after1() byte {
	if p.i+1 < len(p.s) {
		return p.s[p.i+1]
	}
	return ' '
}

// command reads the arguments of a command and runs it by the table.
func (p *ps) command(name word, in input) word {
	offset, line := p.x.offset, p.x.line
	words := []word{name}
	for p.x.step() && len(words) < maxFields {
		p.blanks(false)
		c := p.peek()
		if c == 0 || strings.IndexByte("\n;|)}", c) >= 0 {
			break
		}
		if c == ',' {
			p.i++
			continue
		}
		if c == '>' || c == '2' && strings.HasPrefix(p.s[p.i:], "2>") {
			break
		}
		if c == '&' {
			p.i++
			break
		}
		before := p.i
		w := p.argument()
		if p.i == before {
			p.i++
			continue
		}
		words = append(words, w)
	}
	p.x.offset, p.x.line = offset, line
	switch commandName(name.text()) {
	case "iex", "invoke-expression":
		w := joinWords(words[1:], " ")
		if len(words) > 1 && strings.EqualFold(words[1].text(), "-command") {
			w = joinWords(words[2:], " ")
		}
		if w.empty() {
			w = in.stdin
		}
		id := p.x.call("$shell.invoke-expression", []callseq.Value{w.value()}, append(p.evaluating(w), p.x.running(codeFlows(w))...))
		if _, ok := w.known(); ok || len(w.parts) > 1 {
			return p.x.nested(w, "powershell", "iex", id)
		}
		return hole("iex", from(id, callseq.Copy)...)
	case "foreach-object", "%", "where-object", "?", "select-object", "out-string", "sort-object", "select-string":
		fl := mergeFlows(in.stdin.flows(), flowsOf(words[1:]))
		if in.stdin.empty() {
			return hole("|", fl...)
		}
		if _, ok := in.stdin.known(); ok {
			return in.stdin
		}
		return hole("|", fl...)
	case "write-output", "write-host", "echo", "out-null":
		return joinWords(words[1:], " ")
	case "new-object":
		for i, w := range words[1:] {
			if !strings.HasPrefix(w.text(), "-") || strings.EqualFold(w.text(), "-comobject") && i > 0 {
				args := words[i+2:]
				if len(args) == 1 { // New-Object X("a", 1)
					args = args[0].fields()
				}
				return p.member("new:"+strings.TrimPrefix(strings.ToLower(w.text()), "system."), word{}, args)
			}
		}
		return word{}
	}
	return p.x.run(words, in)
}

// evaluating are the types of running a text: it comes from a socket, if the script opened one and the text is not known.
func (p *ps) evaluating(w word) []string {
	if _, ok := w.known(); !ok && p.x.socket != 0 {
		return []string{"CODE_GENERATION", "REVERSE_SHELL"}
	}
	return []string{"CODE_GENERATION"}
}

// argument reads one word of a command.
func (p *ps) argument() word {
	switch c := p.peek(); {
	case c == '$' || c == '"' || c == '\'' || c == '(' || c == '@' || c == '[':
		v := p.postfix(p.primary())
		for p.i < len(p.s) && strings.IndexByte(" \t\n;|)},", p.s[p.i]) < 0 { // $a"b"\c
			before := p.i
			if strings.IndexByte("$\"'(", p.peek()) >= 0 {
				v = v.add(p.primary())
			} else {
				v = v.add(p.x.decode(p.bare()))
			}
			if p.i == before {
				break
			}
		}
		return v
	case c == '{':
		p.i++
		return p.block('}')
	}
	w := p.x.decode(p.bare())
	for p.peek() == '$' || p.peek() == '"' && !w.empty() {
		w = w.add(p.primary())
		if t := p.bare(); t != "" {
			w = w.add(p.x.decode(t))
		}
	}
	return w
}

// expression reads operands joined by operators; text that stands side by side is taken as joined.
func (p *ps) expression() word {
	if p.depth > maxNest {
		p.x.cut("a script nested too deep")
		p.i = len(p.s)
		return word{}
	}
	p.depth++
	defer func() { p.depth-- }()
	var out word
	var list []word
	for p.x.step() {
		p.blanks(false)
		c := p.peek()
		switch {
		case c == 0 || strings.IndexByte("\n;|)}]", c) >= 0 || c == '>' || c == '2' && strings.HasPrefix(p.s[p.i:], "2>"):
			if p.list = nil; len(list) > 0 {
				p.list = append(list, out)
				return joinWords(p.list, " ")
			}
			return out
		case c == ',':
			p.i++
			list, out = append(list, out), word{}
		case c == '+':
			p.i++
			p.blanks(true)
		case c == '-' && letter(p.after1()):
			p.i++
			op := strings.ToLower(p.bare())
			p.blanks(false)
			switch op {
			case "join":
				elems := append(list, out)
				if len(list) == 0 && len(p.list) > 0 && joinWords(p.list, " ").text() == out.text() {
					elems = p.list
				}
				out = joinWords(elems, p.postfix(p.primary()).text())
				list = nil
			case "split":
				p.postfix(p.primary())
			case "replace", "creplace", "ireplace":
				a := p.postfix(p.primary())
				p.blanks(false)
				b := word{}
				if p.peek() == ',' {
					p.i++
					p.blanks(false)
					b = p.postfix(p.primary())
				}
				out = replaced(out, a, b)
			case "f":
				args := []word{p.postfix(p.primary())}
				for p.blanks(false); p.peek() == ','; p.blanks(false) {
					p.i++
					p.blanks(false)
					args = append(args, p.postfix(p.primary()))
					if len(args) > 64 {
						break
					}
				}
				for i, a := range args {
					out = replaceText(out, "{"+strconv.Itoa(i)+"}", a)
				}
			}
		default:
			before := p.i
			v := p.postfix(p.primary())
			out = out.add(v)
			if p.i == before {
				p.i++
			}
		}
	}
	return out
}

func replaced(w, a, b word) word {
	s, ok1 := w.known()
	x, ok2 := a.known()
	y, ok3 := b.known()
	if !ok1 || !ok2 || !ok3 || x == "" || len(s)*(len(y)+1) > maxWord*4 {
		return w
	}
	return lit(strings.ReplaceAll(s, strings.ReplaceAll(x, `\`, ""), y)).with(w.flows())
}

// primary reads one operand.
func (p *ps) primary() word {
	if p.i >= len(p.s) || !p.x.step() {
		p.i = len(p.s)
		return word{}
	}
	switch c := p.peek(); c {
	case '\'':
		return lit(p.single())
	case '"':
		return p.double()
	case '@':
		p.i++
		switch p.peek() {
		case '\'', '"':
			q := p.peek()
			end := strings.Index(p.s[p.i:], "\n"+string(q)+"@")
			if end < 0 {
				end = len(p.s) - p.i
			}
			body := p.s[min(p.i+1, len(p.s)):min(p.i+end, len(p.s))]
			p.i = min(p.i+end+3, len(p.s))
			if q == '"' {
				return p.embedded(strings.TrimPrefix(body, "\n"))
			}
			return p.x.decode(strings.TrimPrefix(body, "\n"))
		case '(':
			p.i++
			return p.block(')')
		case '{':
			p.i++
			return p.block('}')
		}
		return word{}
	case '(':
		p.i++
		return p.block(')')
	case '{':
		p.i++
		return p.block('}')
	case '$':
		return p.dollar()
	case '[':
		return p.class()
	case '-', '!':
		p.i++
		return word{}
	}
	w := p.bare()
	if w == "" {
		p.i++
	}
	return p.x.decode(w)
}

// single reads '...' in which two quotes stand for one.
func (p *ps) single() string {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		if p.s[p.i] == '\'' {
			if p.i+1 < len(p.s) && p.s[p.i+1] == '\'' {
				p.i++
			} else {
				p.i++
				break
			}
		}
		b.WriteByte(p.s[p.i])
	}
	return b.String()
}

func (p *ps) double() word {
	start := p.i + 1
	depth := 0
	for p.i++; p.i < len(p.s); p.i++ {
		switch {
		case p.s[p.i] == '`':
			p.i++
		case strings.HasPrefix(p.s[p.i:], "$("):
			depth++
		case p.s[p.i] == ')' && depth > 0:
			depth--
		case p.s[p.i] == '"' && depth == 0:
			p.i++
			return p.embedded(p.s[start : p.i-1])
		}
	}
	p.i = len(p.s)
	return p.embedded(p.s[min(start, len(p.s)):])
}

// embedded expands $x and $( ) in a string.
func (p *ps) embedded(s string) word {
	var out word
	var b strings.Builder
	for i := 0; i < len(s) && p.x.step(); {
		switch {
		case s[i] == '`' && i+1 < len(s):
			switch s[i+1] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r', '0':
			default:
				b.WriteByte(s[i+1])
			}
			i += 2
		case s[i] == '$' && i+1 < len(s) && (nameByte(s[i+1]) || s[i+1] == '(' || s[i+1] == '{'):
			out = out.add(p.x.decode(b.String()))
			b.Reset()
			q := &ps{x: p.x, l: p.l, s: s, i: i, depth: p.depth + 1}
			out = out.add(q.dollar())
			i = max(q.i, i+1)
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return out.add(p.x.decode(b.String()))
}

// dollar reads a variable or $( ).
func (p *ps) dollar() word {
	p.i++
	if p.peek() == '(' {
		p.i++
		return p.block(')')
	}
	brace := p.peek() == '{'
	if brace {
		p.i++
	}
	start := p.i
	for p.i < len(p.s) && (nameByte(p.s[p.i]) || p.s[p.i] == ':' && p.i+1 < len(p.s) && nameByte(p.s[p.i+1]) || brace && p.s[p.i] != '}') {
		p.i++
	}
	name := p.s[start:p.i]
	if brace && p.i < len(p.s) {
		p.i++
	}
	low := strings.ToLower(name)
	if v, ok := p.x.lookup("ps:" + low); ok {
		return v
	}
	if env, ok := strings.CutPrefix(low, "env:"); ok {
		if folders[strings.ToUpper(env)] {
			return lit("%" + env + "%")
		}
		return p.x.variable(strings.ToUpper(env))
	}
	switch low {
	case "home":
		return hole(homeSource)
	case "pshome", "true", "false", "null", "_", "args", "psscriptroot", "myinvocation", "error", "host", "pwd", "input", "this":
		return hole("$" + name)
	}
	return hole("$" + name)
}

// class reads [Type]::Member(...), or a conversion.
func (p *ps) class() word {
	end := strings.IndexByte(p.s[p.i:], ']')
	if end < 0 {
		p.i = len(p.s)
		return word{}
	}
	name := strings.ToLower(p.s[p.i+1 : p.i+end])
	p.i += end + 1
	name = strings.TrimPrefix(name, "system.")
	v := word{}
	if strings.HasPrefix(p.s[p.i:], "::") {
		p.i += 2
		m := strings.ToLower(p.memberName())
		name += "." + m
		if p.peek() == '(' {
			p.i++
			return p.postfix(p.member(name, v, p.arguments()))
		}
		return p.postfix(p.member(name, v, nil))
	}
	p.blanks(false)
	if c := p.peek(); c == '$' || c == '(' || c == '"' || c == '\'' || c == '[' {
		v = p.postfix(p.primary())
		if name == "char" {
			if s, ok := v.known(); ok {
				n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 16)
				if err == nil {
					return lit(string(rune(n)))
				}
			}
		}
		return v
	}
	return lit("[" + name + "]")
}

func (p *ps) memberName() string {
	if c := p.peek(); c == '"' || c == '\'' {
		return p.primary().text()
	}
	start := p.i
	for p.i < len(p.s) && nameByte(p.s[p.i]) {
		p.i++
	}
	return p.s[start:p.i]
}

// arguments reads ( ) after a member.
func (p *ps) arguments() []word {
	var out []word
	for p.x.step() && len(out) < 64 {
		p.blanks(true)
		switch p.peek() {
		case ')':
			p.i++
			return out
		case 0:
			return out
		case ',':
			p.i++
			continue
		}
		before := p.i
		out = append(out, p.operand())
		if p.i == before {
			p.i++
		}
	}
	return out
}

// operand is an expression up to a comma.
func (p *ps) operand() word {
	var out word
	for p.x.step() {
		p.blanks(true)
		c := p.peek()
		if c == 0 || strings.IndexByte("),;|}", c) >= 0 {
			return out
		}
		if c == '+' {
			p.i++
			continue
		}
		before := p.i
		out = out.add(p.postfix(p.primary()))
		if p.i == before {
			p.i++
		}
	}
	return out
}

// postfix reads members and indexes after a value.
func (p *ps) postfix(v word) word {
	for p.x.step() {
		switch {
		case p.peek() == '.' && (letter(p.after1()) || p.after1() == '"' || p.after1() == '\''), strings.HasPrefix(p.s[p.i:], "::"):
			p.i += 1
			if p.peek() == ':' {
				p.i++
			}
			p.place()
			m := "." + strings.ToLower(p.memberName())
			var args []word
			called := p.peek() == '('
			if called {
				p.i++
				args = p.arguments()
			}
			v = p.member(m, v, args)
		case p.peek() == '[' && !v.empty():
			p.i++
			p.skip(']')
		default:
			return v
		}
	}
	return v
}

// member is one use of a .NET member.
func (p *ps) member(name string, recv word, args []word) word {
	f := p.l.find(name, strings.HasPrefix(name, "."))
	if f == nil {
		switch name {
		case ".tostring", ".trim", ".content", ".value", ".text", ".invoke", ".tolower":
			if !recv.empty() && len(args) == 0 {
				return recv
			}
		case ".replace":
			if len(args) == 2 {
				return replaced(recv, args[0], args[1])
			}
		}
		return hole(strings.TrimPrefix(name, "."), mergeFlows(recv.flows(), flowsOf(args))...)
	}
	c := &functionCall{f: f, name: name, lang: "powershell", recv: val{w: recv}}
	for i, a := range args {
		c.add(f.role(i, ""), val{w: a})
	}
	c.all = val{w: joinWords(args, " "), elems: slices.Clone(args)}
	v := p.x.invokeFunction(c, nil).w
	if f.Socket {
		p.x.socket = c.id
	}
	return v
}
