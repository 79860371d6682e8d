package shell

import (
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// words of one command sorted by what they are for, as its table entry says.
type sorting struct {
	cmd   *command
	style string
	types []string

	dest     word   // where it connects to
	port     word   // of a host
	sent     []word // what is sent, or printed, or transformed
	reads    []word // files
	writes   []word // files that receive the output, or what was read
	paths    []word // files that are removed, changed, ...
	codes    []piece
	texts    []string // all words in lower case, for conditions
	operands []word
	modes    map[string]bool
	wipe     bool
	folder   word
	sub      *sub // what the first operand chose
}

// enter takes over what the first operand changes.
func (s *sorting) enter(sb *sub) {
	c := *s.cmd
	c.Operands, c.Last = sb.Operands, ""
	if sb.Output != "" {
		c.Output = sb.Output
	}
	if sb.Scheme != "" {
		c.Scheme = sb.Scheme
	}
	s.cmd, s.sub = &c, sb
	if sb.Only {
		s.types = nil
	}
	s.types = applyWhen(append(s.types, sb.Types...), sb.When, s.texts)
}

// piece is code that a command is given.
type piece struct {
	role string
	w    word
	args []word
}

// sort finds the role of every word.
func (x *reading) sort(cmd *command, words []word) *sorting {
	s := &sorting{cmd: cmd, style: cmd.Style, modes: map[string]bool{}, types: slices.Clone(cmd.Types), texts: lowerTexts(words[1:])}
	args := words[1:]
	onlyOperands := false
	for i := 0; i < len(args); i++ {
		t := args[i].text()
		if i == 0 && cmd.Bundle && t != "" && !strings.HasPrefix(t, "-") && !args[0].parts[0].Hole { // tar czf
			args = slices.Clone(args)
			args[0] = lit("-").add(args[0])
			t = "-" + t
		}
		if onlyOperands || !s.isOption(t) || args[i].empty() {
			if len(s.operands) == 0 && s.sub == nil && cmd.Sub[strings.ToLower(t)] != nil {
				s.enter(cmd.Sub[strings.ToLower(t)])
				continue
			}
			s.operands = append(s.operands, args[i])
			if r := s.operandRole(len(s.operands)-1, false); (r == "command" || r == "script" || r == "code") && !s.modes["stdin"] { // the rest belongs to it
				s.codes = append(s.codes, piece{r, args[i], args[i+1:]})
				s.operands = s.operands[:len(s.operands)-1]
				return s
			}
			continue
		}
		if t == "--" {
			onlyOperands = true
			continue
		}
		i += x.option(s, args, i)
	}
	return s
}

func (s *sorting) isOption(t string) bool {
	if len(t) < 2 {
		return false
	}
	switch s.style {
	case "slash":
		return t[0] == '-' || t[0] == '/' && !strings.ContainsAny(t[1:], `/\`)
	case "bare": // dd if=x, options without a dash
		return true
	}
	return t[0] == '-' || s.cmd.Scheme == "dns" && (t[0] == '+' || t[0] == '@')
}

// find looks an option up as the style of the command allows.
func (s *sorting) find(table map[string]string, t string) (string, bool) {
	if r, ok := table[t]; ok {
		return r, true
	}
	switch s.style {
	case "slash", "powershell":
		l := strings.ToLower(strings.Replace(t, "/", "-", min(1, strings.Count(t[:1], "/"))))
		if r, ok := table[l]; ok {
			return r, true
		}
		if s.style == "powershell" && len(l) > 1 {
			best := ""
			for k := range table {
				if strings.HasPrefix(k, l) && (best == "" || k < best) {
					best = k
				}
			}
			if best != "" {
				return table[best], true
			}
		}
	}
	return "", false
}

// option reads one option and says how many further words it took.
func (x *reading) option(s *sorting, args []word, i int) int {
	w := args[i]
	t := w.text()
	if slices.Contains(s.cmd.Wipe, strings.ToLower(t)) {
		s.wipe = true
	}
	if m, ok := s.find(s.cmd.Flags, t); ok {
		s.modes[m] = true
	}
	if r, ok := s.find(s.cmd.Options, t); ok {
		if i+1 >= len(args) {
			return 0
		}
		x.give(s, r, args[i+1], args[i+2:])
		if takesRest(r) {
			return len(args)
		}
		return 1
	}
	for _, sep := range []string{"=", ":"} {
		if sep == ":" && s.style != "slash" && s.style != "powershell" {
			continue
		}
		if n, _, ok := strings.Cut(t, sep); ok {
			if r, ok := s.find(s.cmd.Options, n); ok {
				x.give(s, r, cutAfter(w, sep), args[i+1:])
				return 0
			}
		}
	}
	if s.style != "" || strings.HasPrefix(t, "--") {
		return 0
	}
	for k := 1; k < len(t); k++ { // a bundle such as -fsSLo file
		o := "-" + t[k:k+1]
		if slices.Contains(s.cmd.Wipe, o) {
			s.wipe = true
		}
		if m, ok := s.cmd.Flags[o]; ok {
			s.modes[m] = true
		}
		r, ok := s.cmd.Options[o]
		if !ok {
			continue
		}
		if k+1 < len(t) {
			x.give(s, r, x.substr(w, k+1), args[i+1:])
			return 0
		}
		if i+1 < len(args) {
			x.give(s, r, args[i+1], args[i+2:])
			if takesRest(r) {
				return len(args)
			}
			return 1
		}
	}
	return 0
}

// takesRest reports a role after which all words belong to what runs.
func takesRest(role string) bool {
	return role == "command" || role == "code" || role == "cmd" || role == "powershell"
}

func (s *sorting) operandRole(i int, last bool) string {
	roles := s.cmd.Operands
	if last && s.cmd.Last != "" && i > 0 {
		return s.cmd.Last
	}
	if len(roles) == 0 {
		return "value"
	}
	return roles[min(i, len(roles)-1)]
}

// give puts a word where its role says.
func (x *reading) give(s *sorting, role string, w word, rest []word) {
	switch role {
	case "url":
		if s.dest.empty() {
			s.dest = w
		} else {
			s.sent = append(s.sent, w)
		}
	case "host":
		if t := strings.ToLower(w.text()); s.dest.empty() && !strings.HasPrefix(t, "exec:") && !strings.HasPrefix(t, "system:") && !strings.HasPrefix(t, "stdio") {
			s.dest = w
		}
	case "port":
		s.port = w
	case "remote": // user@host:path of scp and rsync, or a local file
		if t := w.text(); strings.Contains(t, ":") && !strings.Contains(strings.SplitN(t, ":", 2)[0], "/") || strings.Contains(t, "://") {
			if s.dest.empty() {
				s.dest = w
			}
		} else {
			s.reads = append(s.reads, w)
		}
	case "data", "text", "method":
		s.sent = append(s.sent, w)
	case "data@":
		s.sent = append(s.sent, w)
		if t := w.text(); strings.HasPrefix(t, "@") {
			s.reads = append(s.reads, x.substr(w, 1))
		} else if n, f, ok := strings.Cut(t, "@"); ok && f != "" && !strings.ContainsAny(n, " :/.") && len(n) < 40 {
			s.reads = append(s.reads, cutAfter(w, "@"))
		}
	case "form":
		s.sent = append(s.sent, w)
		for _, sep := range []string{"=@", "=<"} {
			if f := cutAfter(w, sep); !f.empty() {
				s.reads = append(s.reads, firstField(f, ";"))
			}
		}
	case "upload", "read":
		if strings.Contains(w.text(), "://") && s.dest.empty() { // a file that is a URL
			s.dest = w
			return
		}
		s.reads = append(s.reads, w)
	case "write":
		s.writes = append(s.writes, w)
	case "folder":
		s.folder = w
	case "path":
		s.paths = append(s.paths, w)
	case "sh", "cmd", "powershell", "encoded", "code", "command", "script":
		s.codes = append(s.codes, piece{role, w, rest})
	}
}

func firstField(w word, sep string) word {
	var out word
	for _, p := range w.parts {
		if !p.Hole {
			if before, _, ok := strings.Cut(p.Lit, sep); ok {
				return out.add(lit(before))
			}
		}
		out = out.add(word{[]callseq.Part{p}})
	}
	return out
}

// known reads a command that the table describes.
func (x *reading) known(name string, cmd *command, words []word, in input) word {
	s := x.sort(cmd, words)
	output, scheme := s.cmd.Output, s.cmd.Scheme
	for i, w := range s.operands {
		x.give(s, s.operandRole(i, i == len(s.operands)-1), w, nil)
	}
	s.types = applyWhen(s.types, cmd.When, s.texts)

	if s.modes["extract"] { // the archive is what is read
		s.reads, s.writes = s.writes, nil
	}

	// What goes in: files, standard input, words.
	var content word // what was read
	sends := slices.Contains(s.types, "NETWORK_OUT")
	var readTypes []string
	reads := s.reads
	for _, p := range reads {
		if sends { // the read is a step of its own before the sending
			w, _ := x.readFile(p, "$shell.<")
			content = content.add(w)
			continue
		}
		if w, ok := x.files[x.resolve(p.text())]; ok {
			content = content.add(w.content.via(callseq.File))
			continue
		}
		if nowhere(p.text()) {
			continue
		}
		readTypes = append(readTypes, "FILE_READ")
		readTypes = append(readTypes, x.pathTypes("FILE_READ", p)...)
		content = content.add(hole("file "+p.text(), p.flows()...))
	}
	usesStdin := in.given && (cmd.Stdin == "data" || cmd.Stdin == "text" || len(reads) == 0 && (output == "pass" || output == "filter" || output == "transform") || slices.ContainsFunc(words[1:], func(w word) bool { return w.text() == "-" || w.text() == "@-" }))
	if usesStdin {
		content = content.add(in.stdin)
	}
	sent := s.sent
	flows := mergeFlows(flowsOf(words[1:]), content.flows())

	types := append(s.types, readTypes...)
	for _, p := range s.paths {
		for _, t := range s.types {
			switch t {
			case "FILE_DELETE", "FILE_MODIFY", "FILE_CREATE", "FILE_READ":
				types = append(types, x.pathTypes(t, p)...)
			}
		}
		if s.wipe && wipes(p.text(), x.resolve(p.text())) {
			types = append(types, "DESTROY")
		}
	}
	if slices.Contains(s.types, "FILE_DELETE") && !s.wipe {
		for _, p := range s.paths {
			if wipes(p.text(), p.text()) && len(cmd.Wipe) == 0 {
				types = append(types, "DESTROY")
			}
		}
	}
	if sends {
		if x.sensitive(flows) {
			types = append(types, "SHELL_EXFILTRATION")
		}
		for _, f := range in.stdin.flows() {
			if slices.Contains(types, "NETWORK_SOCKET") && x.interactive[f.From] {
				types = append(types, "REVERSE_SHELL")
			}
		}
	}
	if output == "transform" {
		types = append(types, s.transformType())
	}
	if x.background && cmd.Lang != "" {
		types = append(types, "BACKGROUND")
	}

	// Arguments: the destination first, then the words as they stand, then what comes in.
	args := make([]callseq.Value, 0, len(words)+2)
	rest := words[1:]
	if d := s.destination(scheme); !d.empty() && sends {
		args = append(args, d.value())
		rest = without(rest, s.dest)
	}
	args = append(args, values(rest)...)
	if usesStdin && len(in.stdin.flows()) > 0 || in.given && cmd.Lang != "" {
		args = append(args, in.stdin.value())
	} else if fl := content.flows(); len(fl) > 0 && !content.empty() {
		args = append(args, content.value())
	}
	id := x.call("$shell."+name, args, types)

	// What comes out.
	var out word
	switch output {
	case "own":
		out = hole(name, mergeFlows(from(id, callseq.Copy), handled(flows, sends))...)
	case "paths": // below each folder, some file
		for i, p := range s.paths {
			if i > 0 {
				out = out.add(lit("\n"))
			}
			out = out.add(p).add(lit("/")).add(hole(name, from(id, callseq.Copy)...))
		}
		if len(s.paths) == 0 {
			out = hole(name, from(id, callseq.Copy)...)
		}
	case "pass":
		out = content
		if len(readTypes) > 0 {
			out = out.with(from(id, callseq.Copy))
		}
		for _, w := range sent {
			out = out.add(w)
		}
	case "filter":
		var self []callseq.Flow
		if len(readTypes) > 0 {
			self = from(id, callseq.Copy)
		}
		out = x.filtered(name, s, content, self)
	case "transform":
		for _, w := range sent {
			content = content.add(w)
		}
		out = s.transform(content, from(id, callseq.Copy), len(readTypes) > 0)
	}
	if cmd.Lang != "" || len(s.codes) > 0 {
		out = x.inside(name, cmd, s, in, id, out)
	}
	x.outputs(s, out, content, id)
	if len(s.writes) > 0 && output != "pass" && !slices.ContainsFunc(s.writes, func(w word) bool { return nowhere(w.text()) }) {
		return word{}
	}
	return out
}

// without drops the first of some words that equals another.
func without(ws []word, w word) []word {
	t := w.text()
	for i := range ws {
		if ws[i].text() == t {
			return slices.Delete(slices.Clone(ws), i, i+1)
		}
	}
	return ws
}

// handled are the flows that a command's own output carries on: not those it only sent.
func handled(fl []callseq.Flow, sends bool) []callseq.Flow {
	if sends {
		return nil
	}
	return fl
}

// destination writes where a command connects to as a URL.
func (s *sorting) destination(scheme string) word {
	d := s.dest
	if d.empty() {
		return d
	}
	if t := d.text(); strings.Contains(t, "://") {
		return d
	} else if scheme == "tcp" && (strings.HasPrefix(strings.ToLower(t), "tcp:") || strings.HasPrefix(strings.ToLower(t), "tcp4:") || strings.HasPrefix(strings.ToLower(t), "openssl:")) {
		d = firstField(cutAfter(d, ":"), ",")
	}
	if !s.port.empty() {
		d = d.add(lit(":")).add(s.port)
	}
	if scheme == "ssh" {
		if _, _, ok := strings.Cut(d.text(), "@"); ok {
			d = cutAfter(d, "@")
		}
		d = firstField(d, ":")
	}
	if scheme == "" {
		scheme = "http"
	}
	return lit(scheme + "://").add(d)
}

func (s *sorting) transformType() string {
	c := codecs[s.cmd.Codec]
	switch {
	case c == nil:
		return "ENCODE"
	case s.modes["decode"]:
		return c.decoded
	}
	return c.encoded
}

// transform is the output of an encoder or decoder, computed where its input is known.
func (s *sorting) transform(content word, self []callseq.Flow, own bool) word {
	c := codecs[s.cmd.Codec]
	via, f := callseq.Encode, c.encode
	if s.modes["decode"] || c.encoded == "DECODE" {
		via, f = callseq.Decode, c.decode
	}
	if c.encoded == "ENCRYPT" && via == callseq.Encode {
		via = callseq.Encrypt
	}
	fl := mergeFlows(through(content.flows(), via), through(self, via))
	if own {
		fl = mergeFlows(fl, self)
	}
	if t, ok := content.known(); ok && t != "" {
		if s.cmd.Codec == "hex" && via == callseq.Encode && !s.modes["plain"] {
			return hole("encoded", fl...)
		}
		if r, ok := f(t); ok {
			return lit(r).with(fl)
		}
	}
	return hole(string(via)+"d", fl...)
}

// filtered is what a filter leaves of its input: computed for the few that hide text, else a hole with the same flows.
func (x *reading) filtered(name string, s *sorting, content word, self []callseq.Flow) word {
	fl := mergeFlows(content.flows(), self)
	t, ok := content.known()
	if ok && t != "" && len(t) <= maxWord {
		switch name {
		case "tr":
			var sets []string
			for _, w := range s.operands {
				v, ok := w.known()
				if !ok {
					return hole(name, fl...)
				}
				sets = append(sets, v)
			}
			if len(sets) == 2 {
				if r, ok := translate(t, sets[0], sets[1], false); ok {
					return lit(r).with(through(fl, callseq.Decode))
				}
			} else if len(sets) == 1 && s.modes["delete"] {
				if r, ok := translate(t, sets[0], "", true); ok {
					return lit(r).with(fl)
				}
			}
		case "tac":
			lines := strings.Split(strings.TrimSuffix(t, "\n"), "\n")
			slices.Reverse(lines)
			return lit(strings.Join(lines, "\n")).with(fl)
		}
	}
	if content.empty() && len(self) == 0 {
		return word{}
	}
	return hole(name, fl...)
}

// outputs writes the files that the command makes.
func (x *reading) outputs(s *sorting, out, content word, id callseq.ID) {
	targets := s.writes
	if (s.modes["remote-name"] || s.cmd.Named && len(targets) == 0) && !s.dest.empty() {
		targets = append(slices.Clone(targets), baseName(s.dest))
	}
	if s.cmd.Last == "write" && len(s.writes) > 0 && len(s.reads) > 0 || s.cmd.Output == "pass" {
		out = content
		for _, w := range s.sent {
			out = out.add(w)
		}
	}
	for _, w := range targets {
		t := w.text()
		if nowhere(t) {
			continue
		}
		if !s.folder.empty() && !strings.Contains(t, "/") {
			w = s.folder.add(lit("/")).add(w)
		}
		base := "FILE_CREATE"
		if s.modes["append"] {
			base = "FILE_MODIFY"
		}
		x.addTypes(id, append([]string{base}, x.pathTypes(base, w)...)...)
		x.wrote(w, out.with(w.flows()), id, s.modes["append"])
		if len(s.reads) > 0 && s.cmd.Last == "write" && (strings.HasSuffix(t, "/") || !strings.Contains(path.Base(t), ".")) {
			for _, r := range s.reads { // cp file folder
				x.wrote(w.add(lit("/")).add(baseName(r)), out, id, false)
			}
		}
	}
}

// baseName is the last part of a path or URL.
func baseName(w word) word {
	t := w.text()
	if i := strings.IndexAny(t, "?#"); i > 0 {
		t = t[:i]
	}
	return lit(path.Base(t))
}

// wipes reports that deleting all of a folder takes a home, the root, a drive or every user's files.
func wipes(raw, resolved string) bool {
	for _, t := range []string{classPath(strings.Trim(raw, `"'`)), classPath(resolved)} {
		for _, tail := range []string{"/*", "/.*", "/{*,.*}", "/.", "/*.*"} {
			t = strings.TrimSuffix(t, tail)
		}
		if t == ".." || strings.HasSuffix(t, "/..") && path.Base(path.Clean(t)) == ".." { // a folder above
			return true
		}
		switch t {
		case "/", "~", "/home", "/home/*", "c:", "d:", "/root", "/etc", "/usr", "/var", "/bin", "/lib", "/boot", "/opt", "/users", "/users/*", "c:/users", "c:/windows", "~/..", "~/documents", "~/desktop", "*:", "~/library", "/system", "/applications":
			return true
		case "":
			if strings.HasPrefix(strings.Trim(raw, `"'`), "/") {
				return true
			}
		}
	}
	return false
}

// inside reads what a shell or an interpreter is given to run, and returns what that prints.
func (x *reading) inside(name string, cmd *command, s *sorting, in input, id callseq.ID, out word) word {
	ran := false
	for _, p := range s.codes {
		ran = true
		switch p.role {
		case "sh", "cmd", "powershell":
			lang := p.role
			x.addTypes(id, x.running(codeFlows(p.w))...)
			w := p.w
			if lang != "sh" {
				w = joinWords(append([]word{p.w}, p.args...), " ")
			}
			out = x.script(w, lang, name, id, p.args)
		case "encoded":
			x.addTypes(id, "SHELL_DECODE_EXECUTE", "DECODE")
			if t, ok := p.w.known(); ok {
				if b, ok := decodeBase64(t); ok {
					out = x.nested(lit(utf16Text(b)), "powershell", name+" -EncodedCommand", id)
				}
			}
		case "code":
			x.addTypes(id, x.running(codeFlows(p.w))...)
			out = x.script(p.w, cmd.Lang, name, id, p.args)
		case "command":
			words := append([]word{p.w}, p.args...)
			if len(words) == 1 {
				words = p.w.fields()
			}
			for i := range words { // find -exec
				if t := words[i].text(); t == ";" || t == "+" {
					words = words[:i]
					break
				}
				words[i] = replaceText(words[i], "{}", out)
			}
			if len(words) > 0 && x.layers < maxLayers {
				x.layers++
				out = x.run(words, in)
				x.layers--
			}
		case "script":
			out = x.startScript(cmd, p, in, id)
		}
	}
	if ran || cmd.Lang == "" {
		return out
	}
	// No code and no file: the standard input is the program.
	if in.given || in.socks != 0 || in.sock != 0 {
		fl := in.stdin.flows()
		x.addTypes(id, x.running(fl)...)
		t, known := in.stdin.known()
		switch {
		case known && t != "":
			return x.script(in.stdin, cmd.Lang, name+" < stdin", id, nil)
		case !known && len(in.stdin.parts) > 1: // a here-document with holes
			return x.script(in.stdin, cmd.Lang, name+" < stdin", id, nil)
		}
	}
	if cmd.Lang == "sh" || cmd.Lang == "cmd" || cmd.Lang == "powershell" {
		x.interactive[id] = true
		if in.sock != 0 || in.socks != 0 {
			x.addTypes(id, "REVERSE_SHELL")
		}
	}
	return hole(name, mergeFlows(from(id, callseq.Copy), in.stdin.flows())...)
}

// startScript follows an interpreter to the file that it runs.
func (x *reading) startScript(cmd *command, p piece, in input, id callseq.ID) word {
	t := p.w.text()
	if t == "-" || t == "/dev/stdin" {
		x.addTypes(id, x.running(in.stdin.flows())...)
		if _, ok := in.stdin.known(); ok || len(in.stdin.parts) > 1 {
			return x.script(in.stdin, cmd.Lang, "stdin", id, p.args)
		}
		return hole("output", from(id, callseq.Copy)...)
	}
	if strings.Contains(t, "://") && (cmd.Lang == "js" || cmd.Lang == "php") { // deno run https://...
		x.addTypes(id, "NETWORK_IN", "SHELL_DOWNLOAD_EXECUTE", "SHELL_NETWORK")
	}
	key := x.resolve(t)
	w, ok := x.files[key]
	if !ok {
		w, ok = x.files[strings.TrimPrefix(key, "./")]
	}
	x.addTypes(id, x.running(p.w.flows())...)
	if ok {
		fl := mergeFlows(through(w.content.flows(), callseq.File), from(w.by, callseq.File))
		x.addTypes(id, x.running(fl)...)
		if c := x.t.Lookup(id); c != nil {
			c.Args = append(c.Args, hole("content of "+key, fl...).value())
		}
		if s, known := w.content.known(); known && s != "" {
			return x.script(w.content, cmd.Lang, "file", id, p.args)
		}
	} else if x.src.Files != nil && cmd.Lang != "js" {
		if data, found := x.src.Files(strings.TrimPrefix(strings.ReplaceAll(key, `\`, "/"), "./")); found && len(data) <= maxText {
			return x.script(lit(string(data)), cmd.Lang, "file", id, p.args)
		}
	}
	return hole("output of "+t, from(id, callseq.Copy)...)
}
