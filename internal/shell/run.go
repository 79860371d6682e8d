package shell

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// call records a call at the present place and returns its ID, 0 when there are too many.
func (x *reading) call(api string, args []callseq.Value, types []string) callseq.ID {
	if len(x.t.Calls) >= maxCalls {
		x.cut("more than 4000 commands")
		return 0
	}
	id := callseq.ID(len(x.t.Calls) + 1)
	types = slices.Clone(types)
	slices.Sort(types)
	x.t.Calls = append(x.t.Calls, callseq.Call{
		ID: id, Kind: callseq.KindCall, API: api, Args: args, Types: slices.Compact(types), Guards: slices.Clone(x.guards), Cause: x.cause,
		Origin: callseq.Shell, Phase: x.src.Phase, Entry: x.src.Entry, Depth: x.layers, Pos: callseq.Pos{Layer: x.layer, Offset: x.offset, Line: x.line, Col: x.col},
	})
	return id
}

func (x *reading) addTypes(id callseq.ID, types ...string) {
	if c := x.t.Lookup(id); c != nil && len(types) > 0 {
		c.Types = append(c.Types, types...)
		slices.Sort(c.Types)
		c.Types = slices.Compact(c.Types)
	}
}

// resolve is a path as the files map and the classes know it: seen from the folder that cd went to.
func (x *reading) resolve(p string) string {
	p = strings.ReplaceAll(strings.Trim(p, `"'`), `\`, "/")
	if x.cwd != "" && p != "" && !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "~") && !strings.HasPrefix(p, "*") && !strings.HasPrefix(p, "%") && !strings.HasPrefix(p, "$") && !strings.Contains(p, ":") {
		p = x.cwd + "/" + p
	}
	if strings.HasPrefix(p, "./") || strings.Contains(p, "/../") || strings.Contains(p, "/./") {
		p = path.Clean(p)
	}
	return p
}

var windowsFolders = strings.NewReplacer("%userprofile%", "~", "$home", "~", "$env:userprofile", "~", "%homedrive%%homepath%", "~", "%homepath%", "~",
	"%appdata%", "~/appdata/roaming", "$env:appdata", "~/appdata/roaming", "%localappdata%", "~/appdata/local", "$env:localappdata", "~/appdata/local",
	"%temp%", "<tmp>", "$env:temp", "<tmp>", "%tmp%", "<tmp>")

// classPath is a path as the knowledge base compares it.
func classPath(p string) string {
	p = strings.ToLower(strings.ReplaceAll(p, `\`, "/"))
	p = windowsFolders.Replace(p)
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	return p
}

// pathTypes are the subtypes of a file type that the class of a path gives.
func (x *reading) pathTypes(base string, w word) []string {
	var out []string
	for _, c := range x.r.classes.PathClass(classPath(x.resolve(w.text()))) {
		out = append(out, base+"_"+c)
	}
	return out
}

func nowhere(t string) bool {
	return t == "" || t == "-" || t == "/dev/null" || strings.HasPrefix(t, "/dev/std") || strings.HasPrefix(t, "/dev/tty") || strings.EqualFold(t, "nul") || strings.HasPrefix(t, "&")
}

// readFile is the content of a file: what the commands wrote to it, or a read of its own, recorded as a call of the given name.
func (x *reading) readFile(p word, api string) (word, callseq.ID) {
	t := p.text()
	if w, ok := x.files[x.resolve(t)]; ok {
		return w.content.via(callseq.File), 0
	}
	if nowhere(t) {
		return word{}, 0
	}
	id := x.call(api, []callseq.Value{p.value()}, append([]string{"FILE_READ"}, x.pathTypes("FILE_READ", p)...))
	return hole("file "+t, mergeFlows(from(id, callseq.Copy), p.flows())...), id
}

func (x *reading) writeFile(p, content word, appended bool) {
	t := p.text()
	if nowhere(t) {
		return
	}
	base := "FILE_CREATE"
	if appended {
		base = "FILE_MODIFY"
	}
	types := append([]string{base}, x.pathTypes(base, p)...)
	id := x.call("$shell.>", []callseq.Value{p.value(), content.value()}, types)
	x.wrote(p, content, id, appended)
}

// wrote remembers what a file holds.
func (x *reading) wrote(p, content word, by callseq.ID, appended bool) {
	key := x.resolve(p.text())
	if len(x.files) >= maxVars || key == "" {
		return
	}
	if content.empty() {
		content = hole("")
	}
	if old, ok := x.files[key]; ok && (appended || len(x.guards) > 0) { // under a condition, what was there may still be there
		content = old.content.add(content)
	}
	x.files[key] = written{content: content, by: by}
}

// sensitive reports that a value comes from the host or the user, not only from the network.
func (x *reading) sensitive(fl []callseq.Flow) bool {
	for _, f := range fl {
		c := x.t.Lookup(f.From)
		if c == nil {
			continue // a call of the code that made the command: the matcher follows it
		}
		for _, ty := range c.Types {
			switch {
			case strings.HasPrefix(ty, "SYSTEM_MESSAGE_") && ty != "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES",
				strings.HasPrefix(ty, "FILE_READ"), ty == "FILE_LIST", ty == "ENV_ALL", ty == "ENV_SECRET", ty == "ENV_IDENTITY", ty == "ENV_OIDC", ty == "INPUT_CAPTURE", ty == "CLOUD_IDENTITY":
				return true
			}
		}
	}
	return false
}

// running tells what it means that a text or file with these flows is run.
func (x *reading) running(fl []callseq.Flow) []string {
	var out []string
	for _, f := range fl {
		c := x.t.Lookup(f.From)
		if c == nil {
			continue
		}
		if slices.Contains(c.Types, "NETWORK_SOCKET") { // what the other side types
			out = append(out, "REVERSE_SHELL")
		} else if slices.Contains(c.Types, "NETWORK_IN") {
			out = append(out, "SHELL_DOWNLOAD_EXECUTE")
		}
		if slices.Contains(c.Types, "DECODE") || f.Via == callseq.Decode {
			out = append(out, "SHELL_DECODE_EXECUTE")
		}
	}
	return out
}

// run reads one simple command and returns what it prints.
func (x *reading) run(words []word, in input) word {
	for len(words) > 0 && words[0].empty() {
		words = words[1:]
	}
	if len(words) == 0 || !x.step() {
		return word{}
	}
	words[0] = x.hidden(words[0])
	full := words[0].text()
	if s, ok := words[0].known(); ok {
		if a, ok := x.aliases[s]; ok && !x.aliasing[s] {
			x.aliasing[s] = true
			text := x.encode(lit(a + " ").add(quoted(words[1:])))
			var out word
			if f := x.parse(text); f != nil {
				out = x.stmts(f.Stmts, in)
			}
			delete(x.aliasing, s)
			return out
		}
		if f := x.funcs[s]; f != nil {
			return x.invoke(f, words[1:], in)
		}
	}
	name := commandName(full)
	if out, done := x.builtin(name, words, in); done {
		return out
	}
	cmd := x.r.lookup(name)
	if cmd != nil && cmd.Prefix != "" {
		if rest, ok := x.behind(cmd, words); ok {
			return x.prefixed(cmd, name, words, rest, in)
		}
	}
	x.listWords(words)
	if cmd == nil {
		return x.unknown(name, words, in)
	}
	return x.known(name, cmd, words, in)
}

// hidden is a command name without the variables that nobody set and that only break it up, as in cu${z}rl.
func (x *reading) hidden(w word) word {
	if len(w.parts) < 2 {
		return w
	}
	var b strings.Builder
	for _, p := range w.parts {
		if !p.Hole {
			b.WriteString(p.Lit)
		}
	}
	if n := commandName(b.String()); x.r.lookup(n) != nil && len(n) > 1 && !strings.HasSuffix(b.String(), "/"+n) {
		return lit(b.String())
	}
	return w
}

func (x *reading) listWords(words []word) {
	if x.layers > 0 || len(x.list) > maxCalls {
		return
	}
	l := listed{offset: x.line<<32 | x.offset}
	for _, w := range words {
		l.words = append(l.words, w.text())
	}
	x.list = append(x.list, l)
}

// quoted writes words so that a parser reads them as they are.
func quoted(ws []word) word {
	var out word
	for i, w := range ws {
		if i > 0 {
			out = out.add(lit(" "))
		}
		s, ok := w.known()
		if ok && (s == "" || !plainWord(s)) {
			out = out.add(word{[]callseq.Part{{Lit: "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"}}})
			continue
		}
		out = out.add(w)
	}
	return out
}

// behind finds the command that a prefix such as sudo or timeout starts.
func (x *reading) behind(cmd *command, words []word) ([]word, bool) {
	skip := 0
	if cmd.Prefix == "1" {
		skip = 1
	}
	for i := 1; i < len(words); i++ {
		t := words[i].text()
		if t == "--" {
			i++
			if i < len(words) {
				return words[i:], true
			}
			return nil, false
		}
		if strings.HasPrefix(t, "-") && len(t) > 1 || cmd.Style == "slash" && strings.HasPrefix(t, "/") && len(t) < 12 && !strings.Contains(t[1:], "/") {
			role, ok := cmd.Options[t]
			if ok && role != "" && !strings.Contains(t, "=") {
				i++
			}
			continue
		}
		if cmd.Prefix == "assign" {
			if n, _, ok := strings.Cut(t, "="); ok && !strings.ContainsAny(n, "/.") {
				x.set(n, cutAfter(words[i], "="))
				continue
			}
		}
		if cmd.Style == "slash" && words[i].empty() { // start "title" program
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		return words[i:], true
	}
	return nil, false
}

// cutAfter is what follows the first occurrence of a separator in the text of a word.
func cutAfter(w word, sep string) word {
	for i, p := range w.parts {
		if p.Hole {
			continue
		}
		if _, after, ok := strings.Cut(p.Lit, sep); ok {
			out := word{}
			if after != "" {
				p.Lit = after
				out.parts = append(out.parts, p)
			}
			out.parts = append(out.parts, w.parts[i+1:]...)
			return out
		}
	}
	return word{}
}

func (x *reading) prefixed(cmd *command, name string, words, rest []word, in input) word {
	if len(cmd.Types) > 0 || len(cmd.When) > 0 {
		texts := lowerTexts(words[1 : len(words)-len(rest)])
		if types := applyWhen(slices.Clone(cmd.Types), cmd.When, texts); len(types) > 0 {
			x.call("$shell."+name, values(words[1:]), types)
		}
	}
	if name == "xargs" || name == "parallel" {
		rest = fillIn(words, rest, in.stdin)
		in = input{sock: in.sock}
	}
	if len(rest) > 0 {
		if s, ok := rest[0].known(); ok && strings.ContainsAny(s, " \t") && !strings.ContainsAny(s, `/\`) { // npx "a b"
			rest = append(rest[0].fields(), rest[1:]...)
		}
	}
	if x.nest >= maxNest {
		x.cut("statements nested too deep")
		return word{}
	}
	x.nest++
	defer func() { x.nest-- }()
	return x.run(rest, in)
}

// fillIn puts what xargs reads into its command: at the end, or where -I says.
func fillIn(words, rest []word, stdin word) []word {
	if stdin.empty() {
		return rest
	}
	mark := ""
	for i, w := range words[:len(words)-len(rest)] {
		if t := w.text(); strings.HasPrefix(t, "-I") || strings.HasPrefix(t, "-i") {
			if mark = t[2:]; mark == "" {
				mark = "{}"
				if i+1 < len(words) && t == "-I" {
					mark = words[i+1].text()
				}
			}
		}
	}
	items := stdin.fields()
	if len(items) == 0 || len(items) > maxAlternatives {
		items = []word{hole("xargs", stdin.flows()...)}
	}
	if mark == "" {
		return append(slices.Clone(rest), items...)
	}
	out := make([]word, len(rest))
	for i, w := range rest {
		out[i] = replaceText(w, mark, items[0])
	}
	return out
}

func replaceText(w word, mark string, by word) word {
	var out word
	for _, p := range w.parts {
		before, after, ok := strings.Cut(p.Lit, mark)
		if p.Hole || !ok || mark == "" {
			out = out.add(word{[]callseq.Part{p}})
			continue
		}
		out = out.add(lit(before)).add(by).add(lit(after))
	}
	return out
}

func values(ws []word) []callseq.Value {
	out := make([]callseq.Value, 0, len(ws))
	for _, w := range ws {
		out = append(out, w.value())
	}
	return out
}

func lowerTexts(ws []word) []string {
	out := make([]string, 0, len(ws))
	for _, w := range ws {
		out = append(out, strings.ToLower(w.text()))
	}
	return out
}

// builtin reads the commands that change the state of the shell itself.
func (x *reading) builtin(name string, words []word, in input) (word, bool) {
	args := words[1:]
	switch name {
	case "cd", "pushd", "chdir":
		x.listWords(words)
		to := ""
		for _, a := range args {
			if t := a.text(); !strings.HasPrefix(t, "-") && !strings.EqualFold(t, "/d") {
				to = t
			}
		}
		switch {
		case len(args) == 0:
			if x.lang == "cmd" {
				return word{}, true
			}
			x.cwd = "~"
		case to != "":
			x.cwd = strings.TrimSuffix(x.resolve(strings.ReplaceAll(to, `\`, "/")), "/")
		}
	case "popd":
		x.cwd = ""
	case "eval":
		return x.eval(joinWords(args, " ")), true
	case ".", "source":
		x.listWords(words)
		if len(args) > 0 {
			x.execute("$shell.source", args[0], args[1:], "sh", in)
		}
	case "exec":
		for len(args) > 0 && strings.HasPrefix(args[0].text(), "-") {
			if args[0].text() == "-a" && len(args) > 1 {
				args = args[1:]
			}
			args = args[1:]
		}
		if len(args) > 0 {
			return x.run(args, in), true
		}
	case "alias":
		for _, a := range args {
			if n, v, ok := strings.Cut(a.text(), "="); ok && len(x.aliases) < maxVars {
				x.aliases[n] = v
			}
		}
	case "unalias", "shift", "unset", "return", "exit", "wait", "true", "false", ":", "test", "[", "umask", "shopt", "ulimit", "sleep", "break", "continue", "hash", "bg", "fg", "jobs", "getopts", "rem", "setlocal", "endlocal", "goto", "pause", "cls", "color", "title", "else", "readonly":
		if name == "shift" && len(x.args) > 0 {
			x.args = x.args[1:]
		}
		if name == "sleep" && len(args) > 0 && longSleep(args[0].text()) {
			x.call("$shell.sleep", values(args), []string{"TIME_GATE"})
		}
	case "export", "local", "declare", "typeset":
		if len(args) == 0 || strings.HasPrefix(args[0].text(), "-p") {
			return word{}, false
		}
		for _, a := range args {
			if n, _, ok := strings.Cut(a.text(), "="); ok {
				x.set(n, cutAfter(a, "="))
			}
		}
	case "read", "mapfile", "readarray":
		v := in.stdin
		if v.empty() {
			v = hole("read")
		}
		n := 0
		for i := 0; i < len(args); i++ {
			t := args[i].text()
			if strings.HasPrefix(t, "-") {
				if strings.HasSuffix(t, "p") || t == "-d" || t == "-n" || t == "-t" || t == "-u" || t == "-a" {
					if t == "-u" && i+1 < len(args) {
						if f, ok := x.fds[args[i+1].text()]; ok {
							v = f.content
						}
					}
					if t != "-a" {
						i++
					}
				}
				continue
			}
			x.set(t, v)
			n++
		}
		if n == 0 {
			x.set("REPLY", v)
		}
	case "trap":
		if len(args) > 1 && args[0].text() != "-" {
			x.eval(args[0])
		}
	case "set":
		if x.lang == "cmd" {
			return word{}, false
		}
		if len(args) == 0 {
			return word{}, false
		}
		for i, a := range args {
			if a.text() == "--" {
				x.args = args[i+1:]
			}
		}
	case "command", "type", "which", "where":
		if name == "command" && len(args) > 0 && !strings.HasPrefix(args[0].text(), "-v") && !strings.HasPrefix(args[0].text(), "-V") {
			for len(args) > 1 && args[0].text() == "-p" {
				args = args[1:]
			}
			return x.run(args, in), true
		}
		if name == "type" && x.lang == "cmd" {
			return word{}, false
		}
		if len(args) > 0 {
			return args[len(args)-1], true
		}
	case "echo", "printf":
		return x.print(name, args), true
	case "printenv":
		if len(args) != 1 || strings.HasPrefix(args[0].text(), "-") {
			return word{}, false
		}
		if n, ok := args[0].known(); ok {
			return x.variable(n), true
		}
	default:
		return word{}, false
	}
	return word{}, true
}

// print is echo and printf: their words are their output. Nothing is recorded.
func (x *reading) print(name string, args []word) word {
	escapes, line := x.lang == "sh" && name == "printf", name == "echo"
	for name == "echo" && len(args) > 0 {
		t := args[0].text()
		if len(t) < 2 || t[0] != '-' || strings.Trim(t[1:], "neE") != "" {
			break
		}
		escapes = escapes || strings.Contains(t, "e")
		line = line && !strings.Contains(t, "n")
		args = args[1:]
	}
	if name == "printf" {
		for len(args) > 0 && (args[0].text() == "--" || args[0].text() == "-v") {
			if args[0].text() == "-v" && len(args) > 2 {
				x.set(args[1].text(), format(args[2], args[3:]))
				return word{}
			}
			args = args[1:]
		}
		if len(args) == 0 {
			return word{}
		}
		return format(args[0], args[1:])
	}
	out := joinWords(args, " ")
	if s, ok := out.known(); ok && (escapes || strings.Contains(s, `\x`) || strings.Contains(s, `\0`)) {
		out = lit(ansiEscapes(s)).with(out.flows())
	}
	if line {
		out = out.add(lit("\n"))
	}
	return out
}

// format is printf: the words take the places of %s and its like; the format repeats while words are left.
func format(f word, args []word) word {
	s, ok := f.known()
	if !ok {
		return f.add(joinWords(args, " "))
	}
	var out word
	for round := 0; round < maxFields; round++ {
		used := false
		rest := s
		for rest != "" {
			i := strings.IndexByte(rest, '%')
			if i < 0 || i+1 >= len(rest) {
				out = out.add(lit(ansiEscapes(rest)))
				break
			}
			out = out.add(lit(ansiEscapes(rest[:i])))
			j := i + 1
			for j < len(rest) && strings.IndexByte("-+ #0123456789.", rest[j]) >= 0 {
				j++
			}
			if j >= len(rest) {
				break
			}
			switch c := rest[j]; c {
			case '%':
				out = out.add(lit("%"))
			default:
				if len(args) > 0 {
					w := args[0]
					if v, ok := w.known(); ok && (c == 'b' || c == 'x') {
						w = lit(ansiEscapes(v)).with(w.flows())
					}
					out, args, used = out.add(w), args[1:], true
				}
			}
			rest = rest[j+1:]
		}
		if !used || len(args) == 0 {
			break
		}
	}
	return out.with(f.flows())
}

// eval runs text as shell commands: known words as they are, text with an origin as a layer of its own.
func (x *reading) eval(w word) word {
	fl := w.flows()
	types := append([]string{"CODE_GENERATION"}, x.running(codeFlows(w))...)
	by := x.cause
	if len(fl) > 0 {
		by = x.call("$shell.eval", []callseq.Value{w.value()}, types)
	}
	if _, ok := w.known(); !ok && len(w.parts) == 1 {
		return hole("eval", from(by, callseq.Copy)...)
	}
	return x.nested(w, "sh", "eval", by)
}

// codeFlows are the flows into what a text of code does, not into the arguments in it: those of its beginning.
func codeFlows(w word) []callseq.Flow {
	for i, p := range w.parts {
		if i == 0 && (p.Hole || len(p.Flows) > 0) {
			return w.flows()
		}
		if !p.Hole && len(p.Flows) > 0 { // known text that came from somewhere
			return p.Flows
		}
	}
	return nil
}

// longSleep reports a sleep of a minute or more.
func longSleep(t string) bool {
	n, err := strconv.ParseFloat(strings.TrimRight(t, "smhd"), 64)
	return err == nil && (n >= 60 || n > 0 && strings.ContainsAny(t, "mhd"))
}

// unknown is a command that no entry describes: a program or script, perhaps one that was written before.
func (x *reading) unknown(name string, words []word, in input) word {
	if w, ok := words[0].known(); !ok && len(words[0].parts) == 1 { // the command itself came from somewhere
		types := append([]string{"PROCESS_COMMAND_EXECUTION"}, x.running(words[0].flows())...)
		id := x.call("$shell.$", append(values(words), stdinValue(in)...), types)
		return hole("$", from(id, callseq.Copy)...)
	} else if ok && strings.HasSuffix(strings.ToLower(w), ".ps1") {
		return x.execute("$shell."+name, words[0], words[1:], "powershell", in)
	}
	return x.execute("$shell."+name, words[0], words[1:], "", in)
}

func stdinValue(in input) []callseq.Value {
	if in.stdin.empty() || len(in.stdin.flows()) == 0 {
		return nil
	}
	return []callseq.Value{in.stdin.value()}
}

// execute is the start of a file: what the commands wrote there, a file of the package, or a program.
func (x *reading) execute(api string, file word, args []word, lang string, in input) word {
	types := []string{"PROCESS_FILE_EXECUTION"}
	vals := append([]callseq.Value{file.value()}, values(args)...)
	if lang == "" && api != "$shell.source" {
		vals = vals[1:]
		if t := file.text(); strings.ContainsAny(t, `/\`) {
			vals = append([]callseq.Value{file.value()}, vals...)
		}
	}
	key := x.resolve(file.text())
	w, ok := x.files[key]
	if !ok {
		w, ok = x.files[strings.TrimPrefix(key, "./")]
	}
	if !ok && !strings.ContainsAny(key, "/") {
		w, ok = x.files[path.Join(x.cwd, key)]
	}
	fl := file.flows()
	if ok {
		fl = mergeFlows(through(w.content.flows(), callseq.File), from(w.by, callseq.File))
		content := hole("content of "+key, fl...)
		vals = append(vals, content.value())
	}
	types = append(types, x.running(fl)...)
	if x.background {
		types = append(types, "BACKGROUND")
	}
	id := x.call(api, append(vals, stdinValue(in)...), types)
	if ok {
		if s, known := w.content.known(); known && s != "" {
			if lang == "" {
				lang = scriptLanguage(key, s)
			}
			return x.script(w.content, lang, "file", id, args)
		}
	} else if x.src.Files != nil {
		if data, found := x.src.Files(strings.TrimPrefix(strings.ReplaceAll(key, `\`, "/"), "./")); found && len(data) <= maxText {
			if lang == "" {
				lang = scriptLanguage(key, string(data))
			}
			if lang != "js" && lang != "" {
				return x.script(lit(string(data)), lang, "file", id, args)
			}
		}
	}
	return hole("output of "+strings.TrimPrefix(api, "$shell."), mergeFlows(from(id, callseq.Copy), in.stdin.flows())...)
}

// script reads the text of a script with its parameters.
func (x *reading) script(w word, lang, how string, by callseq.ID, args []word) word {
	kept := x.args
	x.args = args
	out := x.code(lang, w, how, by)
	x.args = kept
	return out
}

// code reads or hands out a text in a language.
func (x *reading) code(lang string, w word, how string, by callseq.ID) word {
	switch lang {
	case "sh", "cmd", "powershell":
	default:
		if len(x.codes) < maxCodes {
			x.codes = append(x.codes, Code{Lang: lang, Text: placeholders(w), By: by})
		} else {
			x.cut("more than 50 pieces of inline code")
		}
		if x.r.languages[lang] == nil {
			return hole("output", mergeFlows(from(by, callseq.Copy), w.flows())...)
		}
	}
	return x.nested(w, lang, how, by)
}

// placeholders writes inline code with names for what is not known.
func placeholders(w word) string {
	var b strings.Builder
	n := 0
	for _, p := range w.parts {
		if p.Hole {
			b.WriteString("__" + string(rune('0'+n%10)) + "__")
			n++
			continue
		}
		b.WriteString(p.Lit)
	}
	return b.String()
}

// scriptLanguage guesses the language of a file that is started by its name.
func scriptLanguage(name, text string) string {
	if rest, ok := strings.CutPrefix(text, "#!"); ok {
		line, _, _ := strings.Cut(rest, "\n")
		for _, w := range strings.Fields(strings.ReplaceAll(line, "/", " ")) {
			switch strings.TrimRight(w, "0123456789.") {
			case "sh", "bash", "dash", "zsh", "ksh", "ash":
				return "sh"
			case "node", "bun", "deno":
				return "js"
			case "python", "perl", "ruby", "php":
				return strings.TrimRight(w, "0123456789.")
			}
		}
	}
	switch strings.ToLower(path.Ext(strings.ReplaceAll(name, `\`, "/"))) {
	case ".bat", ".cmd":
		return "cmd"
	case ".ps1":
		return "powershell"
	case ".py":
		return "python"
	case ".pl":
		return "perl"
	case ".rb":
		return "ruby"
	case ".php":
		return "php"
	case ".js", ".mjs", ".cjs":
		return "js"
	case ".sh", ".bash", ".command", "":
		return "sh"
	}
	return ""
}
