package shell

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"

	"github.com/donapi/donapi/internal/callseq"
)

// reading is the state of one Read.
type reading struct {
	r     *Reader
	src   Source
	t     *callseq.Trace
	codes []Code
	lang  string // of the outermost text

	holes   []callseq.Part
	vars    map[string][]word // what a variable may hold, most recent last
	env     map[string]callseq.ID
	funcs   map[string]*function
	aliases map[string]string
	args    []word // positional parameters
	files   map[string]written
	fds     map[string]stream // descriptors that exec left open
	cwd     string            // folder that cd went to, "" where the command started

	interactive map[callseq.ID]bool // shells that take their commands from their input
	aliasing    map[string]bool     // aliases being expanded
	socket      callseq.ID          // the last that code in another language opened
	parses      int
	nestedBytes int
	choice      int // which of the values of a variable is read, see alternatives
	choices     int // the most values that a variable read so far has

	layer  int // text being read
	offset int // where in it
	line   int
	col    int
	cause  callseq.ID
	guards []callseq.Guard
	conds  int

	nest, steps, layers int
	background          bool
	list                []listed
	unseen              []string
}

// listed is one simple command for Commands.
type listed struct {
	offset int
	words  []string
}

type function struct {
	body   *syntax.Stmt
	called bool
	active int
}

// written is what the commands put into a file.
type written struct {
	content word
	by      callseq.ID
}

// stream is one end of a redirection: text that can be read, or a socket.
type stream struct {
	content word
	path    word
	socket  callseq.ID
	file    bool
	append  bool
	open    bool
}

// input is what a command is started with.
type input struct {
	stdin word
	given bool       // stdin is a pipe, file or here-document
	sock  callseq.ID // the socket that its output goes to
	socks callseq.ID // the socket that its input comes from
}

func (x *reading) cut(why string) {
	if len(x.unseen) < 50 {
		x.unseen = append(x.unseen, why)
	}
}

// step counts work and reports that more may be done.
func (x *reading) step() bool {
	if x.steps++; x.steps > maxSteps {
		x.cut("a script of too many steps")
		return false
	}
	return true
}

// text reads a text in a language and returns what it prints.
func (x *reading) text(text, lang string) word {
	switch lang {
	case "cmd":
		return x.batch(text)
	case "powershell":
		return x.powershell(text)
	case "sh", "":
		return x.sh(text)
	}
	if l := x.r.languages[lang]; l != nil {
		return x.runProgram(text, l)
	}
	return word{}
}

// nested reads a text that a command runs, as a layer of its own.
func (x *reading) nested(w word, lang, how string, by callseq.ID) word {
	if w.empty() {
		return word{}
	}
	if x.layers >= maxLayers {
		x.cut("commands nested too deep")
		return word{}
	}
	text := x.encode(w)
	if x.nestedBytes += len(text); x.nestedBytes > maxNested || len(x.t.Layers) > maxCalls {
		x.cut("too much code within code")
		return word{}
	}
	kept := *x
	x.layers++
	x.layer = len(x.t.Layers)
	x.t.Layers = append(x.t.Layers, callseq.Layer{ID: x.layer, Parent: kept.layer, File: x.src.File, How: how, Lang: lang, By: by, Text: layerText(w)})
	x.cause, x.offset, x.line, x.col = by, 0, 1, 1
	out := x.text(text, lang)
	x.layers, x.layer, x.cause, x.offset, x.line, x.col = kept.layers, kept.layer, kept.cause, kept.offset, kept.line, kept.col
	return out
}

func layerText(w word) string {
	s := w.text()
	if len(s) > callseq.MaxLayerText {
		s = strings.ToValidUTF8(s[:callseq.MaxLayerText], "")
	}
	return s
}

// openers counts what may open a nesting level. The parser recurses, so a text of more is not given to it whole.
func openers(s string) int {
	n := 0
	start := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '(' || c == '{' || c == '`' || c == '[' || c == '!' || c == '|' || c == '&':
			n++
			start = i + 1
		case c == ' ' || c == '\n' || c == '\t' || c == ';' || c == ')':
			switch s[start:i] {
			case "if", "while", "until", "for", "case", "select", "function", "time", "coproc", "then", "do", "else", "elif":
				n++
			}
			start = i + 1
		}
	}
	return n
}

func (x *reading) sh(text string) word {
	if f := x.parse(text); f != nil {
		return x.stmts(f.Stmts, input{})
	}
	// Another shell's syntax, a broken line or far too many levels: what parses is read as shell, the rest by its tokens.
	var out word
	lines := strings.Split(strings.ReplaceAll(text, "\\\n", " "), "\n")
	for i, line := range lines {
		if !x.step() {
			break
		}
		x.line, x.offset = i+1, 0
		if len(lines) > 1 && !looksLikeBatch(line) {
			if f := x.parse(line); f != nil {
				out = out.add(x.stmts(f.Stmts, input{}))
				continue
			}
		}
		out = out.add(x.batch(line))
	}
	return out
}

// parse is nil for text that is no shell script, or when enough was tried: hostile text may not parse line after line.
func (x *reading) parse(text string) *syntax.File {
	x.parses += 1 + len(text)/256
	if x.parses > maxParses {
		x.cut("too many pieces that do not parse together")
		return nil
	}
	return parse(text)
}

func parse(text string) *syntax.File {
	if openers(text) > maxOpeners {
		return nil
	}
	for _, v := range []syntax.LangVariant{syntax.LangBash, syntax.LangMirBSDKorn} {
		if f, err := syntax.NewParser(syntax.Variant(v)).Parse(strings.NewReader(text), ""); err == nil {
			return f
		}
	}
	return nil
}

// stmts reads statements and returns what they print together.
func (x *reading) stmts(list []*syntax.Stmt, in input) word {
	var out word
	for _, s := range list {
		out = out.add(x.stmt(s, in))
	}
	return out
}

func (x *reading) stmt(s *syntax.Stmt, in input) word {
	if s == nil || !x.step() {
		return word{}
	}
	if x.nest >= maxNest {
		x.cut("statements nested too deep")
		return word{}
	}
	x.nest++
	defer func() { x.nest-- }()
	background := x.background
	x.background = s.Background
	defer func() { x.background = background }()

	if len(s.Redirs) == 0 {
		return x.command(s.Cmd, in)
	}
	fds := x.redirect(s.Redirs)
	if f, ok := fds["0"]; ok && f.open {
		in.stdin, in.given, in.socks = f.content, true, f.socket
	}
	out1 := fds["1"]
	if out1.open {
		in.sock = out1.socket
	}
	if c, ok := s.Cmd.(*syntax.CallExpr); ok && len(c.Args) == 1 && c.Args[0].Lit() == "exec" || s.Cmd == nil {
		for k, f := range fds { // the redirections stay
			x.fds[k] = f
		}
		if s.Cmd != nil {
			return word{}
		}
	}
	out := x.command(s.Cmd, in)
	switch {
	case !out1.open:
		return out
	case out1.socket != 0:
		x.send(out1.socket, out)
	case out1.file:
		x.writeFile(out1.path, out, out1.append)
	}
	return word{}
}

// send notes that a text goes out through a socket that is open.
func (x *reading) send(socket callseq.ID, w word) {
	if len(w.flows()) == 0 || x.t.Lookup(socket) == nil {
		return
	}
	args := []callseq.Value{w.value()}
	if d := x.t.Lookup(socket).Args; len(d) > 0 {
		args = append([]callseq.Value{d[0]}, args...)
	}
	types := []string{"NETWORK_OUT", "NETWORK_SOCKET", "SHELL_NETWORK"}
	if x.sensitive(w.flows()) {
		types = append(types, "SHELL_EXFILTRATION")
	}
	x.call("$shell.>", args, types)
}

// redirect opens the redirections of a statement, in order, and returns its descriptors.
func (x *reading) redirect(list []*syntax.Redirect) map[string]stream {
	fds := map[string]stream{}
	for k, f := range x.fds {
		fds[k] = f
	}
	for _, r := range list {
		n := ""
		if r.N != nil {
			n = r.N.Value
		}
		input := n
		if input == "" {
			input = "0"
		}
		output := n
		if output == "" {
			output = "1"
		}
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			if r.Hdoc != nil {
				fds[input] = stream{content: x.hereDoc(r), open: true}
			}
		case syntax.WordHdoc:
			fds[input] = stream{content: x.word(r.Word).add(lit("\n")), open: true}
		case syntax.RdrIn:
			fds[input] = x.open(x.word(r.Word), true)
		case syntax.RdrInOut:
			fds[input] = x.open(x.word(r.Word), true)
		case syntax.RdrOut, syntax.AppOut, syntax.RdrClob, syntax.AppClob:
			f := x.open(x.word(r.Word), false)
			f.append = r.Op == syntax.AppOut || r.Op == syntax.AppClob
			fds[output] = f
		case syntax.RdrAll, syntax.AppAll, syntax.RdrAllClob, syntax.AppAllClob:
			f := x.open(x.word(r.Word), false)
			f.append = r.Op == syntax.AppAll || r.Op == syntax.AppAllClob
			fds["1"], fds["2"] = f, f
		case syntax.DplIn, syntax.DplOut:
			w := x.word(r.Word)
			t := strings.TrimSuffix(w.text(), "-")
			if _, ok := w.known(); !ok || strings.HasPrefix(t, "%") { // a descriptor that only the caller knows
				t = "3"
			}
			to := output
			if r.Op == syntax.DplIn {
				to = input
			}
			if f, ok := fds[t]; ok {
				fds[to] = f
			} else if t != "" && strings.Trim(t, "0123456789") != "" { // >&file
				f := x.open(w, false)
				fds["1"], fds["2"] = f, f
			} else if r.Op == syntax.DplIn && t != "0" && t != "" || t > "2" {
				fds[to] = stream{open: true, content: hole("fd " + t), socket: x.socket} // opened by the program that started the shell
			} else if t == "2" && to == "1" {
				fds["1"] = stream{open: true}
			}
		}
	}
	return fds
}

func (x *reading) hereDoc(r *syntax.Redirect) word {
	var out word
	for _, p := range r.Hdoc.Parts {
		if l, ok := p.(*syntax.Lit); ok {
			s := l.Value
			if r.Op == syntax.DashHdoc {
				s = strings.ReplaceAll(strings.TrimLeft(s, "\t"), "\n\t", "\n")
			}
			if quotedDelimiter(r.Word) {
				out = out.add(x.decode(s))
			} else {
				out = out.add(x.decode(unescapeDouble(s)))
			}
			continue
		}
		out = out.add(x.part(p, true))
	}
	return out
}

func quotedDelimiter(w *syntax.Word) bool {
	for _, p := range w.Parts {
		if _, ok := p.(*syntax.Lit); !ok {
			return true
		}
	}
	return false
}

// open is the stream of a path: bash's own sockets, a file that is read, or one that is written.
func (x *reading) open(p word, read bool) stream {
	t := p.text()
	proto, _, _ := strings.Cut(strings.TrimPrefix(t, "/dev/"), "/")
	if strings.HasPrefix(t, "/dev/") && (proto == "tcp" || proto == "udp") {
		w := lit(proto + "://").add(hostPort(x.substr(p, len("/dev/tcp/"))))
		id := x.call("$shell./dev/"+proto, []callseq.Value{w.value()}, []string{"NETWORK_OUT", "NETWORK_IN", "NETWORK_SOCKET", "SHELL_NETWORK"})
		return stream{open: true, socket: id, content: hole("socket", from(id, callseq.Copy)...)}
	}
	if read {
		w, _ := x.readFile(p, "$shell.<")
		return stream{open: true, content: w}
	}
	return stream{open: true, file: true, path: p}
}

// substr drops the first n bytes of the known text of a word.
func (x *reading) substr(w word, n int) word {
	out := word{}
	for _, p := range w.parts {
		if !p.Hole && n > 0 {
			k := min(n, len(p.Lit))
			n -= k
			p.Lit = p.Lit[k:]
			if p.Lit == "" {
				continue
			}
		}
		out.parts = append(out.parts, p)
	}
	return out
}

// hostPort writes HOST/PORT as HOST:PORT.
func hostPort(w word) word {
	out := word{}
	for _, p := range w.parts {
		p.Lit = strings.ReplaceAll(p.Lit, "/", ":")
		out.parts = append(out.parts, p)
	}
	return out
}

func (x *reading) place(n syntax.Node) {
	if p := n.Pos(); p.IsValid() {
		x.offset = int(p.Offset())
		if x.line <= 1 || int(p.Line()) > 1 { // a line read by itself keeps its own number
			x.line = int(p.Line())
		}
		x.col = int(p.Col())
	}
}

func (x *reading) command(c syntax.Command, in input) word {
	switch d := c.(type) {
	case *syntax.CallExpr:
		x.place(d)
		return x.callExpr(d, in)
	case *syntax.BinaryCmd:
		return x.binary(d, in)
	case *syntax.Subshell:
		cwd := x.cwd
		out := x.stmts(d.Stmts, in)
		x.cwd = cwd
		return out
	case *syntax.Block:
		return x.stmts(d.Stmts, in)
	case *syntax.IfClause:
		return x.ifClause(d, in)
	case *syntax.WhileClause:
		return x.whileClause(d, in)
	case *syntax.ForClause:
		return x.forClause(d, in)
	case *syntax.CaseClause:
		return x.caseClause(d, in)
	case *syntax.FuncDecl:
		x.declare(d)
	case *syntax.TimeClause:
		return x.stmt(d.Stmt, in)
	case *syntax.CoprocClause:
		return x.stmt(d.Stmt, in)
	case *syntax.TestClause:
		x.testWords(d.X, 0)
	case *syntax.DeclClause:
		x.place(d)
		return x.declClause(d)
	case *syntax.LetClause:
	case *syntax.ArithmCmd:
	case *syntax.TestDecl:
		return x.stmt(d.Body, in)
	}
	return word{}
}

// testWords reads the words of a test for the substitutions in them.
func (x *reading) testWords(e syntax.TestExpr, depth int) {
	if depth > maxNest {
		return
	}
	switch d := e.(type) {
	case *syntax.Word:
		x.word(d)
	case *syntax.BinaryTest:
		x.testWords(d.X, depth+1)
		x.testWords(d.Y, depth+1)
	case *syntax.UnaryTest:
		x.testWords(d.X, depth+1)
	case *syntax.ParenTest:
		x.testWords(d.X, depth+1)
	}
}

// binary reads a chain of && || | without recursion on its left side, which may be very long.
func (x *reading) binary(d *syntax.BinaryCmd, in input) word {
	type link struct {
		op syntax.BinCmdOperator
		y  *syntax.Stmt
	}
	var links []link
	left := d.X
	links = append(links, link{d.Op, d.Y})
	for {
		b, ok := left.Cmd.(*syntax.BinaryCmd)
		if !ok || len(left.Redirs) > 0 || left.Negated || len(links) > maxSteps {
			break
		}
		links = append(links, link{b.Op, b.Y})
		left = b.X
	}
	out := x.stmt(left, in)
	for i := len(links) - 1; i >= 0; i-- {
		l := links[i]
		if l.op == syntax.Pipe || l.op == syntax.PipeAll {
			if out.empty() {
				out = hole("|")
			}
			out = x.stmt(l.y, input{stdin: out, given: true, sock: in.sock})
			continue
		}
		out = out.add(x.stmt(l.y, in))
	}
	return out
}

// snapshot is a copy of what the variables hold.
func (x *reading) snapshot() map[string][]word {
	m := make(map[string][]word, len(x.vars))
	for k, v := range x.vars {
		m[k] = v
	}
	return m
}

const maxAlternatives = 4

// join makes the variables hold what they hold after any of several branches.
func (x *reading) join(after []map[string][]word) {
	out := map[string][]word{}
	for _, m := range after {
		for k, vs := range m {
			now := out[k]
			for _, v := range vs {
				if len(now) < maxAlternatives && !slices.ContainsFunc(now, func(w word) bool { return w.text() == v.text() && slices.Equal(w.flows(), v.flows()) }) {
					now = append(now[:len(now):len(now)], v)
				}
			}
			out[k] = now
		}
	}
	x.vars = out
}

// either reads the branches of one condition, each under the guard that it and none before it was taken. Some branch is taken
// for sure if total is true.
func (x *reading) either(branches []func(), reads []callseq.ID, total bool) {
	before := x.snapshot()
	var after []map[string][]word
	n := len(x.guards)
	for _, f := range branches {
		x.conds++
		g := callseq.Guard{Cond: x.conds, Taken: true, Reads: reads}
		x.guards = append(x.guards[:len(x.guards):len(x.guards)], g)
		f()
		after = append(after, x.vars)
		x.vars = before
		x.vars = x.snapshot()
		x.guards = x.guards[:len(x.guards)-1]
		if len(x.guards) < n+maxGuards {
			g.Taken = false
			x.guards = append(x.guards[:len(x.guards):len(x.guards)], g)
		}
	}
	x.guards = x.guards[:n]
	if !total {
		after = append(after, before)
	}
	x.join(after)
}

const maxGuards = 20 // of one chain of else-ifs

func (x *reading) ifClause(d *syntax.IfClause, in input) word {
	first := callseq.ID(len(x.t.Calls))
	out := x.stmts(d.Cond, in)
	var reads []callseq.ID
	for id := first + 1; int(id) <= len(x.t.Calls) && len(reads) < 8; id++ {
		reads = append(reads, id)
	}
	branches := []func(){func() { out = out.add(x.stmts(d.Then, in)) }}
	total := false
	for e, n := d.Else, 0; e != nil && n < maxSteps; e, n = e.Else, n+1 {
		branches = append(branches, func() {
			x.stmts(e.Cond, in)
			out = out.add(x.stmts(e.Then, in))
		})
		total = len(e.Cond) == 0
	}
	x.either(branches, reads, total)
	return out
}

func (x *reading) caseClause(d *syntax.CaseClause, in input) word {
	var reads []callseq.ID
	for _, f := range x.word(d.Word).flows() {
		if f.From > 0 {
			reads = append(reads, f.From)
		}
	}
	var out word
	var branches []func()
	total := false
	for _, it := range d.Items {
		branches = append(branches, func() { out = out.add(x.stmts(it.Stmts, in)) })
		for _, p := range it.Patterns {
			total = total || p.Lit() == "*"
		}
	}
	x.either(branches, reads, total)
	return out
}

// whileClause reads the body once; a loop that nothing can end is noted.
func (x *reading) whileClause(d *syntax.WhileClause, in input) word {
	out := x.stmts(d.Cond, in)
	if len(d.Cond) == 1 && !d.Until && endless(d.Cond[0]) && !leaves(d.Do) {
		x.place(d)
		x.call("$shell.endless-loop", nil, []string{"SOURCE_ENDLESSLOOP"})
	}
	return out.add(x.stmts(d.Do, in))
}

func endless(s *syntax.Stmt) bool {
	c, ok := s.Cmd.(*syntax.CallExpr)
	return ok && len(c.Args) > 0 && (c.Args[0].Lit() == "true" || c.Args[0].Lit() == ":")
}

// leaves reports that a loop's body may end or pause it: any command but those that only compute.
func leaves(body []*syntax.Stmt) bool {
	found := false
	for _, s := range body {
		syntax.Walk(s, func(n syntax.Node) bool {
			if c, ok := n.(*syntax.CallExpr); ok && len(c.Args) > 0 {
				switch c.Args[0].Lit() {
				case "continue", ":", "true", "echo", "printf":
				default:
					found = true
				}
			}
			return !found
		})
	}
	return found
}

func (x *reading) forClause(d *syntax.ForClause, in input) word {
	it, ok := d.Loop.(*syntax.WordIter)
	if !ok || it.Name == nil {
		return x.stmts(d.Do, in)
	}
	var items []word
	for _, w := range it.Items {
		items = append(items, x.fields(w)...)
	}
	if len(it.Items) == 0 {
		items = x.args
	}
	return x.loop(it.Name.Value, items, func() word { return x.stmts(d.Do, in) })
}

// loop reads a body for the values of its variable: one by one while they are few.
func (x *reading) loop(name string, items []word, body func() word) word {
	if len(items) == 0 {
		items = []word{hole("$" + name)}
	}
	if len(items) > maxAlternatives {
		known := items[:maxAlternatives:maxAlternatives]
		items = append(known, hole("$"+name, flowsOf(items[maxAlternatives:])...))
	}
	var out word
	for _, w := range items {
		x.set(name, w)
		out = out.add(body())
	}
	return out
}

func (x *reading) set(name string, w word) {
	if len(x.vars) < maxVars || x.vars[name] != nil {
		x.vars[name] = []word{w}
	}
}

func (x *reading) declare(d *syntax.FuncDecl) {
	if d.Name == nil || len(x.funcs) > maxVars {
		x.stmt(d.Body, input{})
		return
	}
	x.funcs[d.Name.Value] = &function{body: d.Body}
	if forks(d.Name.Value, d.Body) {
		x.place(d)
		x.call("$shell.fork-bomb", []callseq.Value{{Kind: callseq.String, Text: d.Name.Value}}, []string{"DESTROY"})
	}
}

// forks reports a function that starts itself twice at once.
func forks(name string, body *syntax.Stmt) bool {
	found := false
	syntax.Walk(body, func(n syntax.Node) bool {
		if b, ok := n.(*syntax.BinaryCmd); ok && b.Op == syntax.Pipe && calls(name, b.X) && calls(name, b.Y) {
			found = true
		}
		return !found
	})
	return found
}

func calls(name string, s *syntax.Stmt) bool {
	c, ok := s.Cmd.(*syntax.CallExpr)
	return ok && len(c.Args) > 0 && c.Args[0].Lit() == name
}

// invoke reads the body of a function for one call.
func (x *reading) invoke(f *function, args []word, in input) word {
	f.called = true
	if f.active > 1 || x.layers >= maxLayers {
		return word{}
	}
	f.active++
	x.layers++
	kept := x.args
	x.args = args
	out := x.stmt(f.body, in)
	x.args = kept
	x.layers--
	f.active--
	return out
}

// finish reads the functions that nothing called: someone may source the file.
func (x *reading) finish() {
	for range 3 {
		var names []string
		for n, f := range x.funcs {
			if !f.called {
				names = append(names, n)
			}
		}
		for _, n := range sorted(names) {
			x.invoke(x.funcs[n], nil, input{})
		}
		if len(names) == 0 {
			return
		}
	}
}

func (x *reading) declClause(d *syntax.DeclClause) word {
	dump := len(d.Args) == 0
	for _, a := range d.Args {
		if a.Naked && a.Name == nil && a.Value != nil {
			if t := a.Value.Lit(); strings.HasPrefix(t, "-") && strings.Contains(t, "p") {
				dump = true
			}
		}
		x.assign(a)
	}
	if dump {
		name := "export"
		if d.Variant != nil {
			name = d.Variant.Value
		}
		return x.run([]word{lit(name), lit("-p")}, input{})
	}
	return word{}
}

func (x *reading) assign(a *syntax.Assign) {
	if a.Name == nil || a.Naked {
		return
	}
	var v word
	switch {
	case a.Array != nil:
		for i, e := range a.Array.Elems {
			if i > 0 {
				v = v.add(lit(" "))
			}
			w := x.word(e.Value)
			if i < maxFields {
				x.set(elementName(a.Name.Value, i), w)
			}
			v = v.add(w)
		}
	default:
		v = x.word(a.Value)
	}
	name := a.Name.Value
	if a.Index != nil {
		if w, ok := a.Index.(*syntax.Word); ok {
			name += "[" + x.word(w).text() + "]"
		}
	}
	if a.Append {
		for _, old := range x.vars[name] {
			v = old.add(v)
			break
		}
	}
	x.set(name, v)
}

// callExpr reads a simple command, once for each value that the variables in it may have.
func (x *reading) callExpr(d *syntax.CallExpr, in input) word {
	for _, a := range d.Assigns {
		x.assign(a)
	}
	if len(d.Args) == 0 {
		return word{}
	}
	kept, keptMost := x.choice, x.choices
	defer func() { x.choice, x.choices = kept, keptMost }()
	var out word
	x.choices = 1
	for k := 0; k < x.choices && k < maxAlternatives; k++ {
		x.choice = k
		var words []word
		for _, a := range d.Args {
			if words = append(words, x.fields(a)...); len(words) > maxFields {
				x.cut("a command of too many words")
				words = words[:maxFields]
				break
			}
		}
		most := x.choices
		out = out.add(x.run(words, in))
		x.choices = most
	}
	return out
}
