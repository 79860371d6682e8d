package shell

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// language is one file of knowledge/shell/languages: how a scripting language is written, and what its functions do.
type language struct {
	Name     string    `yaml:"name"`
	Comments []string  `yaml:"comments"`
	Sigils   string    `yaml:"sigils"`   // characters that begin a variable
	Embed    string    `yaml:"embed"`    // variables in strings: dollar ("$x"), hash ("#{x}"), braces (f"{x}")
	Backtick bool      `yaml:"backtick"` // `command`
	Calls    []routine `yaml:"calls"`

	byName map[string]*routine
}

// routine describes one function, method (.name) or constant that stands for a value.
type routine struct {
	Names  []string          `yaml:"names"`
	Types  []string          `yaml:"types"`
	When   []when            `yaml:"when"`
	Args   map[string]string `yaml:"args"`   // position or keyword: role; "*" for all others
	Output string            `yaml:"output"` // own, pass, encode, decode, encrypt, or nothing
	Codec  string            `yaml:"codec"`
	Value  bool              `yaml:"value"` // read without a call, as os.environ
	Socket bool              `yaml:"socket"`
	Scheme string            `yaml:"scheme"`
}

func loadLanguages(fsys fs.FS) (map[string]*language, error) {
	files, err := fs.Glob(fsys, "shell/languages/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]*language{}
	for _, f := range files {
		l := &language{}
		if err := decodeYAML(fsys, f, l); err != nil {
			return nil, err
		}
		l.byName = map[string]*routine{}
		for i := range l.Calls {
			c := &l.Calls[i]
			for _, role := range c.Args {
				if !roles[role] && role != "argv" {
					return nil, fmt.Errorf("%s: %s: unknown role %q", f, c.Names[0], role)
				}
			}
			if c.Codec != "" && codecs[c.Codec] == nil {
				return nil, fmt.Errorf("%s: %s: unknown codec %q", f, c.Names[0], c.Codec)
			}
			for _, n := range c.Names {
				if l.byName[n] != nil {
					return nil, fmt.Errorf("%s: %s is described twice", f, n)
				}
				l.byName[n] = c
			}
		}
		out[l.Name] = l
	}
	return out, nil
}

// find looks a name up as written, then without its leading parts: os.system, then .system for a method.
func (l *language) find(name string, method bool) *routine {
	if f := l.byName[name]; f != nil {
		return f
	}
	rest := name
	for {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			break
		}
		if f := l.byName[rest[i:]]; f != nil {
			return f
		}
		rest = rest[i+1:]
		if f := l.byName[rest]; f != nil && strings.Contains(rest, ".") {
			return f
		}
	}
	if method {
		return l.byName["."+rest]
	}
	return nil
}

type tokenKind int8

const (
	tokEnd tokenKind = iota
	tokName
	tokString
	tokNumber
	tokMark // punctuation, one character except for -> :: => == != <= >= += .=
	tokLine
	tokCommand // `...`
)

type token struct {
	kind tokenKind
	text string // of a string: its content, escapes read
	raw  bool   // a string in which nothing is embedded
	at   int
	line int
}

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

func (p *program) tokens(s string) []token {
	var out []token
	line := p.x.line
	for i := 0; i < len(s); {
		if len(out) > maxTokens {
			p.x.cut("a script of too many tokens")
			break
		}
		c := s[i]
		start := i
		switch {
		case c == '\n':
			out = append(out, token{kind: tokLine, at: i, line: line})
			line++
			i++
			continue
		case c == ' ' || c == '\t' || c == '\r':
			i++
			continue
		case c == '\\' && i+1 < len(s) && s[i+1] == '\n':
			i += 2
			line++
			continue
		}
		if n := p.comment(s[i:]); n > 0 {
			line += strings.Count(s[i:i+n], "\n")
			i += n
			continue
		}
		prefix := i
		for prefix < len(s) && prefix-i < 3 && strings.IndexByte("rbfuRBFU", s[prefix]) >= 0 {
			prefix++
		}
		switch {
		case c == '"' || c == '\'' || p.l.Name == "python" && prefix > i && prefix < len(s) && (s[prefix] == '"' || s[prefix] == '\''):
			mods := strings.ToLower(s[i:prefix])
			if c == '"' || c == '\'' {
				mods, prefix = "", i
			}
			body, n := quotedText(s[prefix:], p.l.Name == "python")
			raw := s[prefix] == '\'' && p.l.Embed != "braces" || strings.Contains(mods, "r") || p.l.Embed == "braces" && !strings.Contains(mods, "f")
			if !strings.Contains(mods, "r") && (s[prefix] == '"' || p.l.Name == "python") {
				body = ansiEscapes(body)
			} else if s[prefix] == '\'' {
				body = strings.ReplaceAll(strings.ReplaceAll(body, `\'`, `'`), `\\`, `\`)
			}
			out = append(out, token{tokString, body, raw, start, line})
			line += strings.Count(s[i:prefix+n], "\n")
			i = prefix + n
		case c == '`' && p.l.Backtick:
			body, n := quotedText(s[i:], false)
			out = append(out, token{tokCommand, body, false, start, line})
			i += n
		case nameByte(c) && !digit(c) || strings.IndexByte(p.l.Sigils, c) >= 0 && i+1 < len(s) && (nameByte(s[i+1]) || s[i+1] == '{'):
			j := i
			for j < len(s) && strings.IndexByte(p.l.Sigils, s[j]) >= 0 {
				j++
			}
			k := j
			for k < len(s) && nameByte(s[k]) {
				k++
			}
			if k == j {
				k = j + 1
			}
			out = append(out, token{kind: tokName, text: s[j:min(k, len(s))], at: start, line: line})
			i = k
		case digit(c):
			j := i
			for j < len(s) && (nameByte(s[j]) || s[j] == '.') {
				j++
			}
			out = append(out, token{kind: tokNumber, text: s[i:j], at: start, line: line})
			i = j
		case isHole(rune(0xF0000)) && c >= 0xF0:
			r := []rune(s[i:min(len(s), i+4)])
			if len(r) > 0 && isHole(r[0]) {
				out = append(out, token{kind: tokString, text: string(r[:1]), at: start, line: line})
			}
			i += len(string(r[:1]))
		default:
			n := 1
			if i+1 < len(s) && slices.Contains([]string{"->", "::", "=>", "==", "!=", "<=", ">=", "+=", ".=", "&&", "||", "<<"}, s[i:i+2]) {
				n = 2
			}
			out = append(out, token{kind: tokMark, text: s[i : i+n], at: start, line: line})
			i += n
		}
	}
	return out
}

func (p *program) comment(s string) int {
	for _, c := range p.l.Comments {
		if !strings.HasPrefix(s, c) {
			continue
		}
		if c == "/*" {
			if i := strings.Index(s, "*/"); i >= 0 {
				return i + 2
			}
			return len(s)
		}
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return max(i, 1)
		}
		return len(s)
	}
	return 0
}

// quotedText reads a string at its opening quote and returns its content and full length.
func quotedText(s string, triple bool) (string, int) {
	q := s[:1]
	if triple && len(s) >= 6 && s[1] == s[0] && s[2] == s[0] {
		if i := strings.Index(s[3:], s[:3]); i >= 0 {
			return s[3 : 3+i], i + 6
		}
		return s[3:], len(s)
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i:i+1] == q:
			return s[1:i], i + 1
		}
	}
	return s[1:], len(s)
}

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c)
}
func digit(c byte) bool { return c >= '0' && c <= '9' }

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

func (f *routine) role(i int, key string) string {
	if key == "" {
		key = string(rune('0' + min(i, 9)))
	}
	if r, ok := f.Args[key]; ok {
		return r
	}
	return f.Args["*"]
}

// functionCall is one call of a described function with its arguments by role.
type functionCall struct {
	f     *routine
	name  string
	lang  string
	recv  val
	all   val
	id    callseq.ID
	roles []roleArg
}

type roleArg struct {
	role string
	v    val
}

func (c *functionCall) add(role string, v val) { c.roles = append(c.roles, roleArg{role, v}) }

// codeFlows are the flows into what is run: the program of an argument list, the beginning of a command or code.
func (c *functionCall) codeFlows() []callseq.Flow {
	var out []callseq.Flow
	for _, a := range c.roles {
		switch a.role {
		case "argv":
			w := a.v.w
			if len(a.v.elems) > 0 {
				w = a.v.elems[0]
			}
			out = mergeFlows(out, codeFlows(w))
		case "sh", "cmd", "powershell", "code", "path", "script":
			out = mergeFlows(out, codeFlows(a.v.w))
		}
	}
	if len(c.roles) == 1 && len(out) == 0 {
		out = codeFlows(c.roles[0].v.w)
	}
	return out
}

// invokeFunction gives a described function its types, and reads what it runs. p is the program for the rules on sockets, or nil.
func (x *reading) invokeFunction(c *functionCall, p *program) val {
	f := c.f
	types := applyWhen(slices.Clone(f.Types), f.When, append(lowerTexts(c.all.elems), strings.ToLower(c.all.w.text())))
	s := &sorting{cmd: &command{}}
	var commands []piece
	for _, a := range c.roles {
		w := a.v.w
		switch a.role {
		case "argv":
			if len(a.v.elems) > 0 {
				w = quoted(a.v.elems)
			}
			commands = append(commands, piece{role: "sh", w: w})
		case "host":
			if s.dest.empty() && len(a.v.elems) > 1 { // connect((host, port))
				s.dest, s.port = a.v.elems[0], a.v.elems[1]
			} else if s.dest.empty() {
				s.dest = w
			}
		case "code":
			commands = append(commands, piece{role: c.lang, w: w})
		default:
			x.give(s, a.role, w, nil)
		}
	}
	commands = append(commands, s.codes...)
	sends := slices.Contains(types, "NETWORK_OUT")
	content := c.recv.w
	for _, r := range s.reads {
		if t := r.text(); nowhere(t) || strings.HasPrefix(t, "<") || strings.HasPrefix(t, ">") || t == "r" || t == "rb" { // a mode
			continue
		}
		if sends {
			w, _ := x.readFile(r, "$shell.<")
			content = content.add(w)
			continue
		}
		if w, ok := x.files[x.resolve(r.text())]; ok {
			content = content.add(w.content.via(callseq.File))
			continue
		}
		types = append(append(types, "FILE_READ"), x.pathTypes("FILE_READ", r)...)
	}
	for _, q := range s.paths {
		for _, t := range f.Types {
			if strings.HasPrefix(t, "FILE_") {
				types = append(types, x.pathTypes(t, q)...)
			}
		}
		if slices.Contains(f.Types, "DELETE_TREE") && wipes(q.text(), x.resolve(q.text())) {
			types = append(types, "DESTROY")
		}
	}
	for _, w := range s.writes {
		types = append(append(types, "FILE_CREATE"), x.pathTypes("FILE_CREATE", w)...)
	}
	types = slices.DeleteFunc(types, func(t string) bool { return t == "DELETE_TREE" })
	if f.Value && len(c.all.elems) == 0 && slices.Contains(types, "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES") {
		if n := p.index(); n != "" { // one variable, not all
			types = slices.DeleteFunc(types, func(t string) bool { return t == "ENV_ALL" })
			return val{w: x.variable(n)}
		}
	}
	if slices.Contains(types, "ENV_ONE") {
		if n, ok := c.all.w.known(); ok {
			return val{w: x.variable(strings.Fields(n + " ?")[0])}
		}
	}
	flows := mergeFlows(c.all.w.flows(), c.recv.w.flows(), content.flows())
	if sends && x.sensitive(flows) {
		types = append(types, "SHELL_EXFILTRATION")
	}
	if slices.Contains(types, "SOCKET_WRITE") { // of a stream: to a socket or to anything else
		types = slices.DeleteFunc(types, func(t string) bool { return t == "SOCKET_WRITE" })
		if x.socketIn(c.recv.w.flows()) {
			types = append(types, "NETWORK_OUT", "NETWORK_SOCKET")
		}
	}
	if slices.Contains(types, "NETWORK_SOCKET") && slices.Contains(types, "NETWORK_OUT") {
		for _, fl := range c.all.w.flows() {
			if from := x.t.Lookup(fl.From); from != nil && (slices.Contains(from.Types, "PROCESS_COMMAND_EXECUTION") || slices.Contains(from.Types, "CODE_GENERATION")) {
				types = append(types, "REVERSE_SHELL")
			}
		}
	}
	runs := slices.Contains(types, "PROCESS_COMMAND_EXECUTION") || slices.Contains(types, "CODE_GENERATION") || slices.Contains(types, "PROCESS_FILE_EXECUTION")
	if runs {
		types = append(types, x.running(c.codeFlows())...)
		if p != nil && p.dup != 0 {
			types = append(types, "REVERSE_SHELL")
		}
	}
	args := make([]callseq.Value, 0, 3)
	if d := s.destination(f.Scheme); !d.empty() && sends {
		args = append(args, d.value())
	}
	dest := s.dest.text()
	for _, a := range c.roles {
		if w := a.v.w; !sends || w.text() != dest {
			args = append(args, w.value())
		}
	}
	if fl := content.flows(); len(fl) > 0 {
		args = append(args, content.value())
	}
	c.id = x.call("$"+c.lang+"."+strings.TrimPrefix(c.name, "."), args, types)
	if p != nil && slices.Contains(types, "DUPLICATES_DESCRIPTOR") && (p.socket != 0 || x.socketIn(flows)) {
		p.dup = max(p.socket, 1)
	}
	out := hole(strings.TrimPrefix(c.name, "."), mergeFlows(from(c.id, callseq.Copy), flows)...)
	if sends {
		out = hole(strings.TrimPrefix(c.name, "."), from(c.id, callseq.Copy)...)
	}
	for _, w := range s.writes {
		x.wrote(w, out, c.id, false)
	}
	for _, q := range commands {
		r := x.code(q.role, q.w, c.lang, c.id)
		if !r.empty() {
			out = out.with(r.flows())
		}
	}
	return val{w: x.result(f, c, out, content)}
}

// index is the name in brackets that follows, as in os.environ['HOME'].
func (p *program) index() string {
	if p == nil {
		return ""
	}
	if t := p.at(); t.kind == tokMark && (t.text == "[" || t.text == "{") && (p.peek(1).kind == tokString || p.peek(1).kind == tokName) && p.peek(2).kind == tokMark && strings.Contains("]}", p.peek(2).text) {
		n := p.peek(1).text
		p.i += 3
		return n
	}
	if t := p.at(); p.member() == "get" || p.member() == "fetch" {
		_ = t
		if p.peek(2).text == "(" && p.peek(3).kind == tokString {
			n := p.peek(3).text
			p.i += 2
			p.group()
			return n
		}
	}
	return ""
}

func (x *reading) socketIn(fl []callseq.Flow) bool {
	for _, f := range fl {
		if c := x.t.Lookup(f.From); c != nil && slices.Contains(c.Types, "NETWORK_SOCKET") {
			return true
		}
	}
	return false
}

// result is the value of a described function.
func (x *reading) result(f *routine, c *functionCall, out, content word) word {
	in := content
	for _, e := range c.all.elems {
		if in.empty() || !e.empty() && len(c.recv.w.parts) == 0 {
			in = e
			break
		}
	}
	self := from(c.id, callseq.Copy)
	switch f.Output {
	case "pass":
		if in.empty() {
			return out
		}
		return in
	case "arg": // its argument in another form
		if len(c.all.elems) > 0 && !c.all.elems[0].empty() {
			return c.all.elems[0].with(c.recv.w.flows())
		}
		return out
	case "decode", "encode", "encrypt":
		cd := codecs[f.Codec]
		s := &sorting{cmd: &command{Codec: f.Codec}, modes: map[string]bool{"decode": f.Output == "decode"}}
		if cd == nil {
			return hole(f.Output+"d", mergeFlows(through(in.flows(), callseq.Via(f.Output)), through(self, callseq.Via(f.Output)))...)
		}
		return s.transform(in, self, false)
	case "own":
		return out
	}
	return out
}
