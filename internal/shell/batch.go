package shell

import (
	"regexp"
	"strconv"
	"strings"
)

// guess tells the language of a text that came without one: what only cmd.exe or PowerShell would write.
func guess(text string) string {
	if strings.HasPrefix(text, "#!") {
		return "sh"
	}
	batch := 0
	for i, line := range strings.SplitN(text, "\n", 50) {
		if i == 49 {
			break
		}
		if looksLikeBatch(line) {
			batch++
		}
	}
	if batch > 0 && parse(text) == nil || batch > 2 {
		return "cmd"
	}
	if batch > 0 && strings.Contains(text, "%") && percent.MatchString(text) && !strings.Contains(text, "$") {
		return "cmd"
	}
	return "sh"
}

var batchStart = regexp.MustCompile(`(?i)^\s*@?\s*(echo\s+off|rem\s|set\s+("?[a-z_]\w*=|/[ap]\s)|if\s+(not\s+)?(exist|defined|errorlevel)\s|if\s+(/i\s+)?"?%|for\s+(/[a-z]\s+("[^"]*"\s+)?)?%%?[a-z]\s+in\s|setlocal|goto\s|call\s+:|::|:[a-z]\w*\s*$|start\s+(/[a-z]+\s)|del\s+/|(rd|rmdir)\s+/|move\s+/y|copy\s+/|xcopy\s|timeout\s+/t|reg\s+(add|query|delete)\s)`)

func looksLikeBatch(line string) bool {
	if batchStart.MatchString(line) {
		return true
	}
	m := percent.FindAllString(line, 8)
	for _, v := range m { // %APPDATA%, but not date +%Y%m%d
		if v == strings.ToUpper(v) && len(v) > 4 {
			return true
		}
	}
	return false
}

var percent = regexp.MustCompile(`[%!]([A-Za-z_][A-Za-z0-9_()]*)(:[^%!]*)?[%!]`)

// batch reads cmd.exe syntax by its tokens.
func (x *reading) batch(text string) word {
	kept := x.lang
	x.lang = "cmd"
	defer func() { x.lang = kept }()
	var out word
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "^\n", "")
	base := x.line
	for i, line := range strings.Split(text, "\n") {
		if !x.step() {
			break
		}
		if i > 0 || base == 0 {
			x.line = max(base, 1) + i
		}
		out = out.add(x.batchLine(line))
	}
	return out
}

func (x *reading) batchLine(line string) word {
	line = strings.TrimSpace(line)
	low := strings.ToLower(strings.TrimLeft(line, "@ "))
	if line == "" || strings.HasPrefix(low, "rem ") || low == "rem" || strings.HasPrefix(line, ":") || strings.HasPrefix(line, "#") {
		return word{}
	}
	var out, in word
	piped := false
	for _, seg := range x.segments(line) {
		words := seg.words
		for len(words) > 0 {
			n := conditionWords(words)
			if n == 0 {
				break
			}
			words = words[n:]
		}
		if len(words) == 0 {
			in, piped = word{}, false
			continue
		}
		words = x.startCharacters(words)
		in0 := input{stdin: in, given: piped}
		if !seg.stdin.empty() {
			in0.stdin, _ = x.readFile(seg.stdin, "$shell.<")
			in0.given = true
		}
		o := x.batchCommand(words, in0)
		if !seg.target.empty() {
			x.writeFile(seg.target, o, seg.append)
			o = word{}
		}
		in, piped = word{}, false
		if seg.pipe {
			if in, piped = o, true; in.empty() {
				in = hole("|")
			}
		} else {
			out = out.add(o)
		}
	}
	return out
}

// startCharacters drops what may stand before a command: @ and parentheses.
func (x *reading) startCharacters(words []word) []word {
	if t := words[0].text(); strings.HasPrefix(t, "@") && len(t) > 1 && !words[0].parts[0].Hole {
		words = append([]word{x.substr(words[0], 1)}, words[1:]...)
	}
	return words
}

// conditionWords counts the words of an if, else or do before the command that it guards.
func conditionWords(words []word) int {
	at := func(i int) string {
		if i < len(words) {
			return strings.ToLower(words[i].text())
		}
		return ""
	}
	i := 0
	switch strings.TrimLeft(at(0), "@") {
	case "else", "do", "then", "fi", "done":
		return 1
	case "if":
		i = 1
	default:
		return 0
	}
	for at(i) == "/i" || at(i) == "not" {
		i++
	}
	switch at(i) {
	case "exist", "defined", "errorlevel", "cmdextversion":
		return min(i+2, len(words))
	}
	if strings.Contains(at(i), "==") { // a==b in one word, or a== b
		if strings.HasSuffix(at(i), "==") {
			i++
		}
		return min(i+1, len(words))
	}
	switch at(i + 1) {
	case "==", "equ", "neq", "lss", "leq", "gtr", "geq":
		return min(i+3, len(words))
	}
	if strings.HasPrefix(at(i+1), "==") {
		return min(i+2, len(words))
	}
	return min(i+1, len(words))
}

// batchCommand reads one simple command of cmd.exe.
func (x *reading) batchCommand(words []word, in input) word {
	switch strings.ToLower(words[0].text()) {
	case "set":
		if len(words) > 1 {
			x.batchSet(words[1:], in)
			return word{}
		}
	case "for":
		return x.batchFor(words, in)
	case "call":
		if len(words) > 1 {
			if strings.HasPrefix(words[1].text(), ":") {
				return word{}
			}
			return x.run(words[1:], in)
		}
		return word{}
	case "echo.", "echo:":
		return word{}
	}
	return x.run(words, in)
}

func (x *reading) batchSet(args []word, in input) {
	for len(args) > 1 && strings.HasPrefix(args[0].text(), "/") {
		args = args[1:]
	}
	w := joinWords(args, " ")
	n, _, ok := strings.Cut(w.text(), "=")
	if !ok {
		return
	}
	v := cutAfter(w, "=")
	if !in.stdin.empty() {
		v = in.stdin
	}
	x.set("%"+strings.ToLower(strings.TrimSpace(n)), v)
}

// batchFor reads for %%i in (list) do command; with /f the list may be a command in quotes or a file.
func (x *reading) batchFor(words []word, in input) word {
	name := ""
	list, do := -1, -1
	file := false
	for i, w := range words {
		t := strings.ToLower(w.text())
		switch {
		case t == "/f":
			file = true
		case strings.HasPrefix(t, "%") && name == "":
			name = strings.TrimLeft(w.text(), "%")
		case t == "in" && list < 0:
			list = i + 1
		case t == "do" && do < 0:
			do = i
		}
	}
	if name == "" || list < 0 || do < list || do+1 >= len(words) {
		if do > 0 && do+1 < len(words) {
			return x.batchCommand(words[do+1:], in)
		}
		return word{}
	}
	var items []word
	for _, w := range words[list:do] {
		t := strings.Trim(w.text(), "()")
		switch {
		case file && len(t) > 1 && (t[0] == '\'' || t[0] == '`'):
			items = append(items, x.nested(lit(strings.Trim(t, "'`")), "cmd", "for /f", x.cause))
		case file && t != "":
			v, _ := x.readFile(lit(t), "$shell.<")
			items = append(items, v)
		case t != "":
			items = append(items, lit(t))
		}
	}
	return x.loop("%%"+name, items, func() word {
		body := make([]word, 0, len(words)-do)
		for _, w := range words[do+1:] {
			v, _ := x.lookup("%%" + name)
			for _, mark := range []string{"%%" + name, "%%~" + name, "%" + name, "%~" + name} {
				w = replaceText(w, mark, v)
			}
			body = append(body, w)
		}
		return x.batchCommand(body, in)
	})
}

// segment is one simple command of a line, with its redirections.
type segment struct {
	words         []word
	pipe          bool // its output goes into the next
	target, stdin word
	append        bool
}

// segments splits a line into simple commands and their words. Quotes hold blanks together, ^ takes the meaning from a character.
func (x *reading) segments(line string) []segment {
	var out []segment
	var cur segment
	var b strings.Builder
	has, dq := false, false
	redirect := byte(0)
	word_ := func() {
		if !has {
			return
		}
		w := x.percents(b.String())
		b.Reset()
		has = false
		switch redirect {
		case '>':
			cur.target = w
		case '<':
			cur.stdin = w
		case 0:
			if f := w.fields(); len(cur.words) == 0 && len(f) > 1 && !dq {
				cur.words = append(cur.words, f...) // a variable may hold a command and its arguments
			} else if len(cur.words) < maxFields {
				cur.words = append(cur.words, w)
			}
		}
		redirect, dq = 0, false
	}
	end := func(pipe bool) {
		word_()
		if len(cur.words) > 0 || !cur.target.empty() {
			cur.pipe = pipe
			out = append(out, cur)
		}
		cur = segment{}
	}
	parens := 0
	quote := byte(0)
	for i := 0; i < len(line) && len(out) < maxFields; i++ {
		c := line[i]
		next := byte(0)
		if i+1 < len(line) {
			next = line[i+1]
		}
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
				if c != '"' {
					b.WriteByte(c)
				}
			} else {
				b.WriteByte(c)
			}
		case c == '^' && next != 0:
			i++
			b.WriteByte(next)
			has = true
		case c == '"':
			quote, has, dq = c, true, true
		case (c == '\'' || c == '`') && strings.IndexByte(line[i+1:], c) >= 0 && !has:
			quote, has = c, true
			b.WriteByte(c)
		case c == ' ' || c == '\t' || c == ',' && parens > 0:
			word_()
		case c == '>' || c == '<':
			if s := b.String(); s == "1" || s == "2" { // 2>file
				b.Reset()
				has = false
				if s == "2" && next != '>' {
					word_()
					redirect = '2'
					continue
				}
			}
			word_()
			if next == '>' {
				cur.append = true
				i++
				next = 0
				if i+1 < len(line) {
					next = line[i+1]
				}
			}
			if next == '&' {
				i += 2
				continue
			}
			redirect = c
		case c == '&' || c == '|':
			pipe := c == '|' && next != '|'
			if next == c {
				i++
			}
			end(pipe)
		case c == '(' && isFor(cur.words):
			word_()
			parens++
		case c == ')' && parens > 0:
			word_()
			parens--
		case c == '(' || c == ')':
			if c == ')' && has && strings.Contains(b.String(), "(") || c == '(' && has {
				b.WriteByte(c)
				continue
			}
			end(false)
		default:
			b.WriteByte(c)
			has = true
		}
	}
	end(false)
	return out
}

// isFor reports the words before the list of a for.
func isFor(words []word) bool {
	for i, w := range words {
		if strings.EqualFold(strings.TrimLeft(w.text(), "@"), "for") && i+1 < len(words) {
			return strings.EqualFold(words[len(words)-1].text(), "in")
		}
	}
	return false
}

// folders are variables that name well-known places and are kept as they are, for the classes of paths.
var folders = map[string]bool{"APPDATA": true, "LOCALAPPDATA": true, "TEMP": true, "TMP": true, "PROGRAMFILES": true, "SYSTEMROOT": true, "WINDIR": true, "HOMEPATH": true, "HOMEDRIVE": true, "PUBLIC": true, "SYSTEMDRIVE": true, "PROGRAMDATA": true, "ALLUSERSPROFILE": true, "COMSPEC": true}

// percents expands %name%, %name:~off,len%, %name:a=b% and, with delayed expansion, the same in exclamation marks.
func (x *reading) percents(s string) word {
	var out word
	for {
		m := percent.FindStringSubmatchIndex(s)
		if m == nil {
			return out.add(x.decode(s))
		}
		out = out.add(x.decode(s[:m[0]]))
		name := s[m[2]:m[3]]
		if s[m[0]] == '!' {
			if _, ok := x.lookup("%" + strings.ToLower(name)); !ok {
				out = out.add(x.decode(s[m[0]:m[1]]))
				s = s[m[1]:]
				continue
			}
		}
		v, ok := x.lookup("%" + strings.ToLower(name))
		switch {
		case ok:
			if m[4] >= 0 {
				v = batchSlice(v, s[m[4]+1:m[5]])
			}
			out = out.add(v)
		case folders[strings.ToUpper(name)]:
			out = out.add(lit("%" + name + "%"))
			if strings.EqualFold(name, "comspec") {
				out = lit("cmd.exe")
			}
		case strings.EqualFold(name, "cd"):
			out = out.add(x.variable("CD"))
		default:
			out = out.add(x.variable(strings.ToUpper(name)))
		}
		s = s[m[1]:]
	}
}

// batchSlice applies ~off,len or a=b to a known value.
func batchSlice(v word, op string) word {
	s, ok := v.known()
	if !ok {
		return v
	}
	if rest, ok := strings.CutPrefix(op, "~"); ok {
		a, b, two := strings.Cut(rest, ",")
		off, err := strconv.Atoi(strings.TrimSpace(a))
		if err != nil {
			off = 0
		}
		n := len(s)
		if two {
			if n, err = strconv.Atoi(strings.TrimSpace(b)); err != nil {
				n = len(s)
			}
		}
		return lit(substring(s, off, n)).with(v.flows())
	}
	if a, b, ok := strings.Cut(op, "="); ok && a != "" && len(s)*(len(b)+1) < maxWord {
		return lit(strings.ReplaceAll(s, a, b)).with(v.flows())
	}
	return v
}
