package shell

import (
	"encoding/base64"
	"encoding/hex"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"

	"mvdan.cc/sh/v3/syntax"

	"github.com/donapi/donapi/internal/callseq"
)

// reading is the state of one Read.
type reading struct {
	r     *Reader
	src   Source
	t     *callseq.Trace
	codes []Code
	holes []callseq.Part
	vars  map[string]word
	files map[string]word // what was written where
	count int
	ok    bool
}

func (x *reading) read(text, lang string, depth int) word {
	if depth > maxDepth {
		x.ok = false
		return word{}
	}
	switch lang {
	case "cmd":
		return x.cmd(text, depth)
	case "powershell":
		return x.powershell(text, depth)
	case "sh", "":
		return x.sh(text, depth)
	}
	x.script(text, lang)
	return word{}
}

func tooDeep(s string) bool {
	n := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '{', '`', '[':
			n++
		case ')', '}', ']':
			n--
		}
		if n > maxNesting {
			return true
		}
	}
	return false
}

func (x *reading) sh(text string, depth int) word {
	if tooDeep(text) {
		x.ok = false
		return x.cmd(text, depth)
	}
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.RecoverErrors(8)).Parse(strings.NewReader(text), "")
	if err != nil {
		f, err = syntax.NewParser(syntax.Variant(syntax.LangMirBSDKorn)).Parse(strings.NewReader(text), "")
	}
	if err != nil || f == nil {
		return x.cmd(text, depth) // another shell's syntax: read it by tokens
	}
	return x.stmts(f.Stmts, word{}, depth)
}

// stmts reads statements and returns what they print.
func (x *reading) stmts(list []*syntax.Stmt, in word, depth int) word {
	var out word
	for _, s := range list {
		out = out.add(x.stmt(s, in, depth))
	}
	return out
}

func (x *reading) stmt(s *syntax.Stmt, in word, depth int) word {
	if s == nil || x.count > maxCommands {
		return word{}
	}
	var target *word
	for _, r := range s.Redirs {
		switch r.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			if r.Hdoc != nil {
				in = x.word(r.Hdoc, depth)
			}
		case syntax.WordHdoc:
			in = x.word(r.Word, depth)
		case syntax.RdrIn, syntax.RdrInOut:
			w := x.word(r.Word, depth)
			x.devTCP(w, depth)
			in = x.readFile(w, depth)
		case syntax.RdrOut, syntax.AppOut, syntax.RdrAll, syntax.AppAll, syntax.RdrClob:
			w := x.word(r.Word, depth)
			x.devTCP(w, depth)
			target = &w
		}
	}
	out := x.command(s.Cmd, in, depth)
	if target != nil {
		x.writeFile(*target, out, depth)
		return word{}
	}
	return out
}

func (x *reading) command(c syntax.Command, in word, depth int) word {
	switch d := c.(type) {
	case *syntax.CallExpr:
		for _, a := range d.Assigns {
			if a.Name != nil && a.Value != nil {
				x.vars[a.Name.Value] = x.word(a.Value, depth)
			}
		}
		if len(d.Args) == 0 {
			return word{}
		}
		words := make([]word, 0, len(d.Args))
		for _, a := range d.Args {
			words = append(words, x.word(a, depth))
		}
		return x.run(words, in, depth)
	case *syntax.BinaryCmd:
		l := x.stmt(d.X, in, depth)
		switch d.Op {
		case syntax.Pipe, syntax.PipeAll:
			return x.stmt(d.Y, l, depth)
		}
		return l.add(x.stmt(d.Y, in, depth))
	case *syntax.Subshell:
		return x.stmts(d.Stmts, in, depth)
	case *syntax.Block:
		return x.stmts(d.Stmts, in, depth)
	case *syntax.IfClause:
		out := x.stmts(d.Cond, in, depth)
		out = out.add(x.stmts(d.Then, in, depth))
		if d.Else != nil {
			out = out.add(x.command(d.Else, in, depth))
		}
		return out
	case *syntax.WhileClause:
		x.stmts(d.Cond, in, depth)
		if len(in.parts) > 0 {
			x.vars["line"] = in
		}
		return x.stmts(d.Do, in, depth)
	case *syntax.ForClause:
		if w, ok := d.Loop.(*syntax.WordIter); ok && w.Name != nil {
			var v word
			for _, it := range w.Items {
				v = x.word(it, depth)
			}
			x.vars[w.Name.Value] = v
		}
		return x.stmts(d.Do, in, depth)
	case *syntax.CaseClause:
		var out word
		for _, it := range d.Items {
			out = out.add(x.stmts(it.Stmts, in, depth))
		}
		return out
	case *syntax.FuncDecl:
		return x.stmt(d.Body, in, depth)
	case *syntax.TimeClause:
		return x.stmt(d.Stmt, in, depth)
	case *syntax.CoprocClause:
		return x.stmt(d.Stmt, in, depth)
	case *syntax.DeclClause:
		for _, a := range d.Args {
			if a.Name != nil && a.Value != nil {
				x.vars[a.Name.Value] = x.word(a.Value, depth)
			}
		}
	}
	return word{}
}

// word expands a word as far as it is known.
func (x *reading) word(w *syntax.Word, depth int) word {
	var out word
	if w == nil {
		return out
	}
	for _, p := range w.Parts {
		out = out.add(x.part(p, depth))
	}
	return out
}

func (x *reading) part(p syntax.WordPart, depth int) word {
	switch d := p.(type) {
	case *syntax.Lit:
		return x.literal(unescape(d.Value))
	case *syntax.SglQuoted:
		if d.Dollar {
			return lit(ansiC(d.Value))
		}
		return x.literal(d.Value)
	case *syntax.DblQuoted:
		var out word
		for _, q := range d.Parts {
			if l, ok := q.(*syntax.Lit); ok {
				out = out.add(x.literal(unescapeDouble(l.Value)))
				continue
			}
			out = out.add(x.part(q, depth))
		}
		return out
	case *syntax.ParamExp:
		return x.param(d)
	case *syntax.CmdSubst:
		return x.stmts(d.Stmts, word{}, depth+1)
	case *syntax.ProcSubst:
		return x.stmts(d.Stmts, word{}, depth+1)
	case *syntax.ArithmExp:
		return hole("$(( ))")
	case *syntax.ExtGlob:
		return lit(d.Pattern.Value)
	case *syntax.BraceExp:
		var out word
		for _, e := range d.Elems {
			out = out.add(x.word(e, depth))
		}
		return out
	}
	return hole("?")
}

// literal puts the holes of a partly known text back.
func (x *reading) literal(s string) word {
	if len(x.holes) == 0 || !strings.Contains(s, holeOpen) {
		return lit(s)
	}
	var out word
	for s != "" {
		i := strings.Index(s, holeOpen)
		if i < 0 {
			return out.add(lit(s))
		}
		if i > 0 {
			out = out.add(lit(s[:i]))
		}
		s = s[i+len(holeOpen):]
		n, rest, ok := strings.Cut(s, holeClose)
		k, err := strconv.Atoi(n)
		if !ok || err != nil || k >= len(x.holes) {
			continue
		}
		out.parts = append(out.parts, x.holes[k])
		s = rest
	}
	return out
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

func unescapeDouble(s string) string {
	return strings.NewReplacer(`\"`, `"`, `\$`, `$`, "\\`", "`", `\\`, `\`).Replace(s)
}

func ansiC(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'x':
			j := i + 1
			for j < len(s) && j < i+3 && strings.IndexByte("0123456789abcdefABCDEF", s[j]) >= 0 {
				j++
			}
			n, _ := strconv.ParseUint(s[i+1:j], 16, 8)
			b.WriteByte(byte(n))
			i = j - 1
		case '0', '1', '2', '3', '4', '5', '6', '7':
			j := i
			for j < len(s) && j < i+3 && s[j] >= '0' && s[j] <= '7' {
				j++
			}
			n, _ := strconv.ParseUint(s[i:j], 8, 16)
			b.WriteByte(byte(n))
			i = j - 1
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func (x *reading) param(d *syntax.ParamExp) word {
	if d.Param == nil {
		return hole("$")
	}
	return x.variable(d.Param.Value)
}

func (x *reading) variable(name string) word {
	if v, ok := x.vars[name]; ok {
		return v
	}
	switch name {
	case "IFS":
		return lit(" ")
	case "HOME", "USERPROFILE", "home":
		return hole("$HOME")
	case "PWD", "INIT_CWD", "OLDPWD", "CD":
		id := x.call("$shell.$"+name, nil, []string{"SYSTEM_MESSAGE_CWD"}, 1)
		return hole("$"+name, callseq.Flow{From: id, Via: callseq.Env})
	case "PATH", "SHELL", "TMPDIR", "TEMP", "TMP", "0", "1", "2", "#", "@", "*", "?", "$", "!", "NODE", "npm_node_execpath", "npm_execpath", "npm_config_node_gyp":
		return hole("$" + name)
	}
	types := []string{"SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"}
	switch cl := x.r.classes.EnvClass(name); cl {
	case "":
	case "harmless":
		return hole("$" + name)
	default:
		types = append(types, "ENV_"+strings.ToUpper(cl))
		if cl == "identity" {
			types = append(types, "SYSTEM_MESSAGE_OS_USERINFO")
		}
	}
	id := x.call("process.env", []callseq.Value{{Kind: callseq.String, Text: name}}, types, 1)
	x.t.Calls[id-1].Kind = callseq.KindGet
	return hole("$"+name, callseq.Flow{From: id, Via: callseq.Env})
}

// call records a command.
func (x *reading) call(api string, args []callseq.Value, types []string, depth int) callseq.ID {
	x.count++
	id := callseq.ID(len(x.t.Calls) + 1)
	x.t.Calls = append(x.t.Calls, callseq.Call{ID: id, Kind: callseq.KindCall, API: api, Args: args, Types: types, Origin: callseq.Shell, Phase: x.src.Phase, Entry: x.src.Entry, Depth: depth, Cause: 0})
	return id
}

// readFile is the content of a file: what was written to it, or a read with the classes of its path.
func (x *reading) readFile(p word, depth int) word {
	t := p.text()
	if w, ok := x.files[t]; ok {
		return w.via(callseq.File)
	}
	if t == "" || t == "-" || t == "/dev/null" || strings.HasPrefix(t, "/dev/std") {
		return word{}
	}
	types := []string{"FILE_READ"}
	for _, c := range x.r.classes.PathClass(normal(t)) {
		types = append(types, "FILE_READ_"+c)
	}
	id := x.call("$shell.<", []callseq.Value{p.value()}, types, depth+1)
	return hole("file "+t, callseq.Flow{From: id, Via: callseq.Copy})
}

func normal(p string) string {
	p = strings.ToLower(strings.ReplaceAll(p, `\`, "/"))
	p = strings.NewReplacer("%userprofile%", "~", "$home", "~", "%appdata%", "~/appdata/roaming", "%localappdata%", "~/appdata/local").Replace(p)
	return strings.TrimSuffix(strings.Trim(p, `"'`), "/")
}

func (x *reading) writeFile(p, content word, depth int) {
	t := p.text()
	if t == "" || t == "/dev/null" || strings.HasPrefix(t, "&") || strings.HasPrefix(t, "/dev/std") || strings.EqualFold(t, "nul") {
		return
	}
	types := []string{"FILE_CREATE"}
	for _, c := range x.r.classes.PathClass(normal(t)) {
		types = append(types, "FILE_CREATE_"+c)
	}
	id := x.call("$shell.>", []callseq.Value{p.value(), content.value()}, types, depth+1)
	if len(x.files) < 500 {
		content.parts = append(append([]callseq.Part(nil), content.parts...), callseq.Part{Hole: true, Source: "written", Flows: []callseq.Flow{{From: id, Via: callseq.File}}})
		x.files[t] = content
	}
}

// devTCP is bash's own socket.
func (x *reading) devTCP(w word, depth int) {
	if t := w.text(); strings.HasPrefix(t, "/dev/tcp/") || strings.HasPrefix(t, "/dev/udp/") {
		host, _, _ := strings.Cut(t[len("/dev/tcp/"):], "/")
		x.call("$shell./dev/tcp", []callseq.Value{{Kind: callseq.String, Text: host}}, []string{"NETWORK_OUT", "NETWORK_SOCKET", "REVERSE_SHELL", "SHELL_NETWORK"}, depth)
	}
}

var inlineFlags = map[string]map[string]string{
	"node": {"-e": "js", "--eval": "js", "-p": "js", "--print": "js", "-pe": "js"}, "nodejs": {"-e": "js", "--eval": "js", "-p": "js"},
	"bun": {"-e": "js"}, "deno": {"eval": "js"},
	"python": {"-c": "python"}, "python3": {"-c": "python"}, "python2": {"-c": "python"}, "perl": {"-e": "perl", "-E": "perl"}, "ruby": {"-e": "ruby"}, "php": {"-r": "php"}, "osascript": {"-e": "applescript"},
}

// run reads one simple command.
func (x *reading) run(words []word, in word, depth int) word {
	if x.count > maxCommands {
		x.ok = false
		return word{}
	}
	for len(words) > 0 && words[0].text() == "" {
		words = words[1:]
	}
	if len(words) == 0 {
		return word{}
	}
	// A variable may hold more than one word.
	if s, ok := words[0].known(); ok && strings.Contains(strings.TrimSpace(s), " ") && len(words[0].flows()) == 0 {
		var split []word
		for _, f := range strings.Fields(s) {
			split = append(split, lit(f))
		}
		words = append(split, words[1:]...)
	}
	full := words[0].text()
	name := strings.ToLower(path.Base(strings.ReplaceAll(full, `\`, "/")))
	name = strings.TrimSuffix(strings.TrimPrefix(name, "@"), ".exe")
	cmd := x.r.table[name]
	if cmd != nil && cmd.Only != "" && (len(words) < 2 || words[1].text() != cmd.Only) {
		cmd = nil
	}
	if cmd != nil && cmd.Prefix {
		return x.prefixed(name, words, in, depth)
	}
	args := make([]callseq.Value, 0, len(words)-1)
	for _, w := range words[1:] {
		args = append(args, w.value())
	}
	if name == "npm" || name == "yarn" || name == "pnpm" {
		return x.manager(name, words, args, depth)
	}
	if cmd == nil {
		return x.unknown(name, full, words, args, in, depth)
	}
	types := append([]string(nil), cmd.Type...)
	var flows []callseq.Flow
	flows = append(flows, in.flows()...)
	sent := in
	var files []word
	for i := 1; i < len(words); i++ {
		t := words[i].text()
		opt, val, inline := strings.Cut(t, "=")
		takes := func(list []string) bool {
			for _, o := range list {
				if o == opt || len(o) == 2 && o[0] == '-' && strings.HasPrefix(t, o) && len(t) > 2 && !strings.HasPrefix(t, "--") {
					return true
				}
			}
			return false
		}
		switch {
		case takes(cmd.Data):
			v := words[i]
			if !inline && (t == opt) && i+1 < len(words) && (len(opt) == 2 || !strings.Contains(t, "=")) && len(t) <= len(opt) {
				i++
				v = words[i]
			}
			vt := v.text()
			if at := strings.IndexByte(vt, '@'); at >= 0 && at < len(vt)-1 && (opt == "-d" || strings.HasPrefix(opt, "--data") || opt == "-F" || opt == "--form") {
				v = v.add(x.readFile(lit(vt[at+1:]), depth))
			} else if opt == "-T" || opt == "--upload-file" || opt == "--post-file" || opt == "--body-file" {
				p := vt
				if inline {
					p = val
				}
				v = v.add(x.readFile(lit(p), depth))
			}
			sent = sent.add(v)
			flows = append(flows, v.flows()...)
		case takes(cmd.Out):
			if i+1 < len(words) && t == opt {
				i++
				files = append(files, words[i])
			} else if inline {
				files = append(files, lit(val))
			} else if len(t) > 2 {
				files = append(files, lit(t[2:]))
			}
		case takes(cmd.Values):
			if t == opt {
				i++
			}
		case cmd.Reads && !strings.HasPrefix(t, "-") && looksLikePath(t):
			r := x.readFile(words[i], depth)
			sent = sent.add(r)
			flows = append(flows, r.flows()...)
		case cmd.Deletes && !strings.HasPrefix(t, "-") && !strings.HasPrefix(t, "/q") && !strings.HasPrefix(t, "/s"):
			for _, c := range x.r.classes.PathClass(normal(t)) {
				types = append(types, "FILE_DELETE_"+c)
			}
			if wipes(t, words) {
				types = append(types, "DESTROY")
			}
		case cmd.Writes && i == len(words)-1 && i > 0:
			for _, c := range x.r.classes.PathClass(normal(t)) {
				types = append(types, "FILE_CREATE_"+c)
			}
			flows = append(flows, words[i].flows()...)
		default:
			flows = append(flows, words[i].flows()...)
		}
	}
	switch {
	case name == "nc" || name == "ncat" || name == "netcat" || name == "socat":
		for _, w := range words[1:] {
			t := w.text()
			if t == "-e" || t == "-c" || t == "--exec" || t == "--sh-exec" || strings.HasPrefix(strings.ToLower(t), "exec:") || strings.HasPrefix(strings.ToLower(t), "system:") {
				types = append(types, "REVERSE_SHELL")
			}
		}
	case name == "reg" && len(words) > 1 && strings.EqualFold(words[1].text(), "add"):
		for _, w := range words[2:] {
			if strings.Contains(strings.ToLower(w.text()), `\run`) {
				types = append(types, "PERSISTENCE")
			}
		}
	case name == "systemctl" && len(words) > 1 && strings.Contains(" enable start --user ", " "+words[1].text()+" "):
		for _, w := range words[1:] {
			if w.text() == "enable" {
				types = append(types, "PERSISTENCE")
			}
		}
	case name == "crontab" && len(words) > 1 && (words[1].text() == "-l" || words[1].text() == "-r"):
		types = nil
	case name == "schtasks" && len(words) > 1 && !strings.EqualFold(words[1].text(), "/create"):
		types = nil
	}
	if cmd.URL && len(flows) > 0 && sensitiveFlows(x.t, flows, x.holes) {
		types = append(types, "SHELL_EXFILTRATION")
	}
	if len(flows) > 0 && cmd.Shell || cmd.Interpreter && len(in.parts) > 0 {
		types = append(types, x.executes(in.flows())...)
		for _, w := range words[1:] {
			types = append(types, x.executes(w.flows())...)
		}
	}
	id := x.call("$shell."+name, withInput(args, in), compact(types), depth)
	x.inside(name, cmd, words, in, id, depth)
	out := word{}
	switch {
	case cmd.Print:
		for i, w := range words[1:] {
			if t := w.text(); i == 0 && strings.HasPrefix(t, "-") && len(t) < 4 {
				continue
			}
			if len(out.parts) > 0 {
				out = out.add(lit(" "))
			}
			out = out.add(w)
		}
		if name == "printf" {
			if s, ok := out.known(); ok {
				out = lit(ansiC(s))
			}
		}
		if s, ok := out.known(); ok && strings.Contains(s, `\x`) {
			out = lit(ansiC(s))
		}
		return out
	case name == "base64" || name == "base32" || name == "openssl":
		decode := false
		for _, w := range words[1:] {
			switch w.text() {
			case "-d", "--decode", "-D", "-di":
				decode = true
			}
		}
		if decode {
			x.t.Calls[id-1].Types = []string{"DECODE"}
			if s, ok := sent.known(); ok {
				if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s)); err == nil {
					return word{[]callseq.Part{{Lit: string(b), Flows: []callseq.Flow{{From: id, Via: callseq.Decode}}}}}
				}
			}
			return hole("decoded", append(sent.via(callseq.Decode).flows(), callseq.Flow{From: id, Via: callseq.Decode})...)
		}
		return hole("encoded", sent.via(callseq.Encode).flows()...)
	case name == "xxd" || name == "rev" || name == "tr":
		for _, w := range words[1:] {
			if w.text() == "-r" && name == "xxd" {
				if s, ok := in.known(); ok {
					if b, err := hex.DecodeString(strings.Join(strings.Fields(s), "")); err == nil {
						return word{[]callseq.Part{{Lit: string(b), Flows: []callseq.Flow{{From: id, Via: callseq.Decode}}}}}
					}
				}
				return hole("decoded", callseq.Flow{From: id, Via: callseq.Decode})
			}
		}
		return hole("filtered", sent.flows()...)
	case cmd.Filter:
		if name == "cat" && len(words) == 1 {
			return in
		}
		if name == "cat" {
			return sent
		}
		return hole("filtered", sent.flows()...)
	case len(cmd.Gives) > 0:
		if len(cmd.Type) == 0 || name == "env" || name == "export" {
			if name == "env" && len(words) > 1 {
				return x.prefixed(name, words, in, depth)
			}
			x.t.Calls[id-1].Types = cmd.Gives
		}
		out = hole(name, callseq.Flow{From: id, Via: callseq.Copy})
	}
	for _, f := range files {
		x.writeFile(f, out, depth)
	}
	if name == "wget" && len(files) == 0 {
		for _, w := range words[1:] {
			if u := w.text(); strings.Contains(u, "://") {
				x.writeFile(lit(path.Base(u)), out, depth)
			}
		}
	}
	if name == "curl" && len(files) == 0 {
		for i, w := range words[1:] {
			if t := w.text(); t == "-O" || t == "--remote-name" || strings.HasPrefix(t, "-") && !strings.HasPrefix(t, "--") && strings.Contains(t, "O") {
				for _, u := range words[i+1:] {
					if strings.Contains(u.text(), "://") {
						x.writeFile(lit(path.Base(u.text())), out, depth)
					}
				}
			}
		}
	}
	return out
}

func withInput(args []callseq.Value, in word) []callseq.Value {
	if len(in.parts) == 0 {
		return args
	}
	return append(args, in.value())
}

func compact(ts []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, t := range ts {
		if !seen[t] {
			seen[t] = true
			out = append(out, t)
		}
	}
	return out
}

func looksLikePath(t string) bool {
	return t != "" && !strings.ContainsAny(t, "{}|;'\"") && (strings.ContainsAny(t, "/\\~.*") || len(t) < 40)
}

// sensitiveFlows reports that what flows comes from the host or the user, not only from the network.
func sensitiveFlows(t *callseq.Trace, fl []callseq.Flow, holes []callseq.Part) bool {
	for _, f := range fl {
		c := t.Lookup(f.From)
		if c == nil {
			continue // a call of the code that made the command: the matcher follows it
		}
		for _, ty := range c.Types {
			if strings.HasPrefix(ty, "SYSTEM_MESSAGE_") && ty != "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES" || strings.HasPrefix(ty, "FILE_READ") || ty == "FILE_LIST" || ty == "ENV_ALL" || ty == "ENV_SECRET" || ty == "ENV_IDENTITY" || ty == "ENV_OIDC" || ty == "INPUT_CAPTURE" {
				return true
			}
		}
	}
	return false
}

// executes tells what a shell that runs such text does.
func (x *reading) executes(fl []callseq.Flow) []string {
	var out []string
	for _, f := range fl {
		c := x.t.Lookup(f.From)
		if c == nil {
			continue
		}
		for _, ty := range c.Types {
			switch ty {
			case "NETWORK_IN":
				out = append(out, "SHELL_DOWNLOAD_EXECUTE")
			case "DECODE":
				out = append(out, "SHELL_DECODE_EXECUTE")
			}
		}
	}
	return out
}

// wipes reports that a recursive delete takes a home, the root, a drive or everything.
func wipes(target string, words []word) bool {
	recursive := false
	for _, w := range words[1:] {
		t := strings.ToLower(w.text())
		if strings.HasPrefix(t, "-") && !strings.HasPrefix(t, "--") && strings.ContainsAny(t, "r") || t == "--recursive" || t == "/s" || t == "--no-preserve-root" {
			recursive = true
		}
	}
	t := normal(target)
	switch t {
	case "", "/*", "~", "~/*", "/home", "/home/*", "c:", "c:/*", "/root", "/etc", "/usr", "/var", "c:/users", "/users", "~/..", "*:/":
		return recursive && (t != "" || strings.Trim(target, `"'`) == "/")
	}
	return false
}

// prefixed reads a command behind one that only starts it.
func (x *reading) prefixed(name string, words []word, in word, depth int) word {
	i := 1
	for i < len(words) {
		t := words[i].text()
		switch {
		case strings.HasPrefix(t, "-"), strings.HasPrefix(t, "/") && (name == "start" || name == "cmd") && len(t) < 5, strings.Contains(t, "=") && !strings.ContainsAny(strings.SplitN(t, "=", 2)[0], "/:"), t == "" && name == "start", name == "timeout" && i == 1:
			i++
			continue
		}
		break
	}
	if i >= len(words) {
		if name == "env" {
			id := x.call("$shell.env", nil, []string{"ENV_ALL", "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"}, depth)
			return hole("env", callseq.Flow{From: id, Via: callseq.Env})
		}
		return word{}
	}
	rest := words[i:]
	if name == "xargs" {
		rest = append(append([]word(nil), rest...), in)
	}
	if depth > maxDepth*4 {
		return word{}
	}
	return x.run(rest, in, depth)
}

// inside reads what a shell or interpreter is given to run.
func (x *reading) inside(name string, cmd *command, words []word, in word, id callseq.ID, depth int) {
	code := func(lang string, w word) {
		s, ok := w.known()
		if !ok {
			s = w.text()
		}
		switch lang {
		case "sh", "cmd", "powershell":
			x.read(s, lang, depth+1)
		case "js":
			if ok && len(x.codes) < 50 {
				x.codes = append(x.codes, Code{Lang: lang, Text: s, By: id})
			}
		default:
			x.script(s, lang)
		}
	}
	switch {
	case name == "cmd":
		for i, w := range words[1:] {
			if t := strings.ToLower(w.text()); t == "/c" || t == "/k" || t == "/r" {
				var all []string
				for _, v := range words[i+2:] {
					all = append(all, v.text())
				}
				x.read(strings.Join(all, " "), "cmd", depth+1)
				return
			}
		}
	case name == "powershell" || name == "pwsh":
		var all []string
		for i, w := range words[1:] {
			t := strings.ToLower(w.text())
			if len(t) > 1 && strings.HasPrefix("-encodedcommand", t) && strings.HasPrefix(t, "-e") && t != "-ex" && i+2 < len(words) {
				if b, err := base64.StdEncoding.DecodeString(words[i+2].text()); err == nil {
					x.t.Calls[id-1].Types = append(x.t.Calls[id-1].Types, "SHELL_DECODE_EXECUTE")
					x.read(decode16(b), "powershell", depth+1)
					return
				}
			}
			all = append(all, w.text())
		}
		x.read(strings.Join(all, " "), "powershell", depth+1)
	case cmd.Shell:
		if name == "eval" {
			var all word
			for _, w := range words[1:] {
				all = all.add(w).add(lit(" "))
			}
			code("sh", all)
			return
		}
		for i, w := range words[1:] {
			if t := w.text(); strings.HasPrefix(t, "-") && strings.Contains(t, "c") && !strings.HasPrefix(t, "--") && i+2 < len(words) {
				code("sh", words[i+2])
				return
			}
		}
		if len(in.parts) > 0 && len(words) == 1 {
			if _, ok := in.known(); ok {
				code("sh", in)
			}
		}
	case cmd.Interpreter:
		flags := inlineFlags[name]
		for i, w := range words[1:] {
			if lang := flags[w.text()]; lang != "" && i+2 < len(words) {
				code(lang, words[i+2])
				return
			}
		}
		if s, ok := in.known(); ok && s != "" && (len(words) == 1 || words[len(words)-1].text() == "-") {
			lang := map[string]string{"node": "js", "nodejs": "js", "bun": "js"}[name]
			if lang == "" {
				lang = strings.TrimRight(name, "23")
			}
			code(lang, in)
		}
	}
}

func decode16(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i]) | uint16(b[2*i+1])<<8
	}
	return string(utf16.Decode(u))
}

func (x *reading) manager(name string, words []word, args []callseq.Value, depth int) word {
	types := []string{"PACKAGE_MANAGER"}
	for i, w := range words[1:] {
		t := w.text()
		if strings.HasPrefix(t, "-") {
			continue
		}
		switch t {
		case "publish", "owner", "token", "adduser", "access", "unpublish":
			types = append(types, "PROPAGATE")
		case "whoami":
			types = append(types, "SYSTEM_MESSAGE_OS_USERINFO")
		case "config", "get":
			for _, v := range words[i+2:] {
				if strings.Contains(v.text(), "token") || strings.Contains(v.text(), "auth") {
					types = append(types, "FILE_READ_CREDENTIALS")
				}
			}
		}
		break
	}
	id := x.call("$shell."+name, args, types, depth)
	return hole(name, callseq.Flow{From: id, Via: callseq.Copy})
}

// unknown is a command that no table entry describes: a program or script, perhaps one that was written before.
func (x *reading) unknown(name, full string, words []word, args []callseq.Value, in word, depth int) word {
	types := []string{"PROCESS_FILE_EXECUTION"}
	if builtins[name] {
		types = nil
	}
	for p, w := range x.files {
		if full == p || full == "./"+p || strings.TrimPrefix(full, "./") == strings.TrimPrefix(p, "./") {
			types = append(types, x.executes(w.flows())...)
		}
	}
	var flows []callseq.Flow
	for _, w := range words {
		flows = append(flows, w.flows()...)
	}
	id := x.call("$shell."+name, withInput(args, in), compact(types), depth)
	return hole(name, append(flows, callseq.Flow{From: id, Via: callseq.Copy})...)
}

var builtins = map[string]bool{"cd": true, "exit": true, "true": true, "false": true, "test": true, "[": true, "[[": true, ":": true, "return": true, "shift": true, "wait": true, "sleep": true, "trap": true, "read": true, "local": true, "unset": true, "alias": true, "umask": true, "pushd": true, "popd": true, "title": true, "rem": true, "setlocal": true, "endlocal": true, "if": true, "else": true, "goto": true, "pause": true, "cls": true, "color": true}

// --- cmd.exe, by tokens

var percent = regexp.MustCompile(`%([A-Za-z_][A-Za-z0-9_()]*)(:[^%]*)?%`)

func (x *reading) cmd(text string, depth int) word {
	var out word
	for _, line := range strings.Split(strings.ReplaceAll(text, "^\n", ""), "\n") {
		line = strings.TrimSpace(strings.ReplaceAll(line, "^", ""))
		low := strings.ToLower(line)
		if line == "" || strings.HasPrefix(low, "rem ") || strings.HasPrefix(line, "::") || strings.HasPrefix(line, ":") || strings.HasPrefix(line, "#") {
			continue
		}
		var in word
		for _, seg := range segments(line) {
			words := x.cmdWords(seg.text)
			if len(words) == 0 {
				continue
			}
			if strings.EqualFold(words[0].text(), "set") && len(words) > 1 {
				if n, v, ok := strings.Cut(words[1].text(), "="); ok {
					x.vars[n] = lit(v)
					continue
				}
			}
			for len(words) > 1 && (strings.EqualFold(words[0].text(), "if") || strings.EqualFold(words[0].text(), "do") || strings.EqualFold(words[0].text(), "else")) {
				words = words[1:]
			}
			o := x.run(words, in, depth)
			if seg.pipe {
				in = o
			} else {
				in = word{}
				out = out.add(o)
			}
		}
	}
	return out
}

type segment struct {
	text string
	pipe bool
}

func segments(line string) []segment {
	var out []segment
	var b strings.Builder
	quoted := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quoted != 0:
			if c == quoted {
				quoted = 0
			}
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quoted = c
			b.WriteByte(c)
		case c == '&' || c == ';' || c == '|' || c == '(' || c == ')' || c == '{' || c == '}':
			if c == '|' && i+1 < len(line) && line[i+1] == '|' || c == '&' && i+1 < len(line) && line[i+1] == '&' {
				i++
				c = ';'
			}
			out = append(out, segment{b.String(), c == '|'})
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(out, segment{b.String(), false})
}

func (x *reading) cmdWords(s string) []word {
	var out []word
	var b strings.Builder
	has := false
	quoted := byte(0)
	flush := func() {
		if has {
			out = append(out, x.percents(b.String()))
			b.Reset()
			has = false
		}
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted != 0:
			if c == quoted {
				quoted = 0
			} else {
				b.WriteByte(c)
			}
		case c == '"' || c == '\'':
			quoted = c
			has = true
		case c == ' ' || c == '\t' || c == ',':
			flush()
		case c == '>' || c == '<':
			flush()
		default:
			b.WriteByte(c)
			has = true
		}
	}
	flush()
	return out
}

func (x *reading) percents(s string) word {
	var out word
	for {
		m := percent.FindStringSubmatchIndex(s)
		if m == nil {
			return out.add(x.literal(s))
		}
		out = out.add(x.literal(s[:m[0]]))
		name := s[m[2]:m[3]]
		switch strings.ToUpper(name) {
		case "APPDATA", "LOCALAPPDATA", "TEMP", "TMP", "USERPROFILE", "PROGRAMFILES", "SYSTEMROOT", "WINDIR", "HOMEPATH", "PUBLIC":
			out = out.add(lit("%" + name + "%"))
		default:
			out = out.add(x.variable(name))
		}
		s = s[m[1]:]
	}
}

// --- PowerShell and scripts of other languages, by what they name

type telling struct {
	re    *regexp.Regexp
	types []string
	api   string
}

func compileTelling(list [][]string) []telling {
	var out []telling
	for _, l := range list {
		out = append(out, telling{regexp.MustCompile(l[0]), l[2:], l[1]})
	}
	return out
}

var powershellTells = compileTelling([][]string{
	{`(?i)\b(iwr|irm|invoke-webrequest|invoke-restmethod|start-bitstransfer|curl|wget)\b`, "$powershell.web", "NETWORK_OUT", "NETWORK_IN", "SHELL_NETWORK"},
	{`(?i)download(string|file|data)|net\.webclient|httpwebrequest|system\.net\.http`, "$powershell.download", "NETWORK_OUT", "NETWORK_IN", "SHELL_NETWORK"},
	{`(?i)\b(iex|invoke-expression)\b|\[scriptblock\]::create`, "$powershell.iex", "CODE_GENERATION"},
	{`(?i)frombase64string`, "$powershell.decode", "DECODE"},
	{`(?i)\bstart-process\b|\binvoke-item\b|\[diagnostics\.process\]::start|\bsaps\b`, "$powershell.start", "PROCESS_FILE_EXECUTION"},
	{`(?i)system\.net\.sockets\.tcpclient`, "$powershell.socket", "NETWORK_OUT", "NETWORK_SOCKET", "REVERSE_SHELL"},
	{`(?i)\\currentversion\\run\b|register-scheduledtask|new-service`, "$powershell.persist", "PERSISTENCE"},
	{`(?i)\$env:(computername|username|userdomain)|get-wmiobject|get-ciminstance|whoami`, "$powershell.host", "SYSTEM_MESSAGE_OS_HOSTNAME"},
	{`(?i)get-clipboard`, "$powershell.clipboard", "INPUT_CAPTURE"},
	{`(?i)add-mppreference|set-mppreference`, "$powershell.defender", "DEFENSE_OFF"},
})

var scriptTells = compileTelling([][]string{
	{`socket\.socket\(|TCPSocket|IO::Socket|fsockopen`, "$script.socket", "NETWORK_OUT", "NETWORK_SOCKET"},
	{`urlopen|requests\.(get|post)|urlretrieve|http\.client|Net::HTTP|LWP|file_get_contents\(\s*['"]http|httpx\.|aiohttp`, "$script.web", "NETWORK_OUT", "NETWORK_IN", "SHELL_NETWORK"},
	{`os\.system|subprocess|popen|exec\(|pty\.spawn|system\(|shell_exec|` + "`", "$script.exec", "PROCESS_COMMAND_EXECUTION"},
	{`/bin/(ba|z|da)?sh|cmd\.exe`, "$script.shell", "PROCESS_START_SHELL"},
	{`os\.dup2|dup2\(`, "$script.dup", "REVERSE_SHELL"},
	{`b64decode|bytes\.fromhex|unhexlify|decode_base64|zlib\.decompress`, "$script.decode", "DECODE"},
	{`\b(exec|eval)\s*\(|__import__`, "$script.code", "CODE_GENERATION"},
	{`gethostname|getpass\.getuser|platform\.(node|uname)|os\.uname|getlogin`, "$script.host", "SYSTEM_MESSAGE_OS_HOSTNAME", "SYSTEM_MESSAGE_OS_USERINFO"},
	{`os\.environ|ENV\[|getenv`, "$script.env", "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"},
	{`\.ssh/|\.aws/|\.npmrc|Login Data|leveldb|/etc/passwd|/etc/shadow`, "$script.secret", "FILE_READ_CREDENTIALS"},
})

var urlText = regexp.MustCompile(`(?i)\b(?:https?|ftp)://[^\s'"<>)}\]\\|]+`)

func (x *reading) tells(text string, list []telling) map[string]callseq.ID {
	ids := map[string]callseq.ID{}
	urls := urlText.FindAllString(text, 8)
	for _, t := range list {
		if !t.re.MatchString(text) {
			continue
		}
		var args []callseq.Value
		for _, ty := range t.types {
			if ty == "SHELL_NETWORK" {
				for _, u := range urls {
					args = append(args, callseq.Value{Kind: callseq.String, Text: cut(u)})
				}
			}
		}
		ids[t.api] = x.call(t.api, args, append([]string(nil), t.types...), 1)
	}
	return ids
}

func (x *reading) powershell(text string, depth int) word {
	ids := x.tells(text, powershellTells)
	net := ids["$powershell.web"] != 0 || ids["$powershell.download"] != 0
	if id := ids["$powershell.iex"]; id != 0 && net {
		x.t.Calls[id-1].Types = append(x.t.Calls[id-1].Types, "SHELL_DOWNLOAD_EXECUTE")
	}
	if id := ids["$powershell.start"]; id != 0 && net {
		x.t.Calls[id-1].Types = append(x.t.Calls[id-1].Types, "SHELL_DOWNLOAD_EXECUTE")
	}
	if id := ids["$powershell.iex"]; id != 0 && ids["$powershell.decode"] != 0 {
		x.t.Calls[id-1].Types = append(x.t.Calls[id-1].Types, "SHELL_DECODE_EXECUTE")
	}
	if id := ids["$powershell.web"]; id != 0 && ids["$powershell.host"] != 0 {
		x.t.Calls[id-1].Types = append(x.t.Calls[id-1].Types, "SHELL_EXFILTRATION")
	}
	return word{}
}

// script reads a text in a language that only its names are known of.
func (x *reading) script(text, lang string) {
	ids := x.tells(text, scriptTells)
	if s, e := ids["$script.socket"], ids["$script.exec"]; s != 0 && (e != 0 && ids["$script.shell"] != 0) {
		x.t.Calls[e-1].Types = append(x.t.Calls[e-1].Types, "REVERSE_SHELL")
	}
	if w := ids["$script.web"]; w != 0 {
		if e := ids["$script.exec"]; e != 0 && (strings.Contains(text, "open(") || ids["$script.code"] != 0) {
			x.t.Calls[e-1].Types = append(x.t.Calls[e-1].Types, "SHELL_DOWNLOAD_EXECUTE")
		}
		if ids["$script.host"] != 0 || ids["$script.secret"] != 0 {
			x.t.Calls[w-1].Types = append(x.t.Calls[w-1].Types, "SHELL_EXFILTRATION")
		}
	}
	if c := ids["$script.code"]; c != 0 && ids["$script.decode"] != 0 {
		x.t.Calls[c-1].Types = append(x.t.Calls[c-1].Types, "SHELL_DECODE_EXECUTE")
	}
}
