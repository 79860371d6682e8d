package shell

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

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
	if p.member() == "get" || p.member() == "fetch" {
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
