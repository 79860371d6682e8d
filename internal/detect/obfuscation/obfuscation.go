// Package obfuscation tells code that was made unreadable on purpose from code that is merely minified or generated. It works on
// tokens, so that it needs no parse, and scores each file by what obfuscators leave behind: names of one machine-made shape,
// arrays of encoded strings behind a decoder, character codes, escapes, flattened control flow, alphabets of a few punctuators.
// The paper's 25 features stand beside it in the finding, of the worst file and of the whole
// package, with a linear score in the place of the paper's forest; they decide nothing here.
package obfuscation

import (
	"math"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks at every JavaScript file.
var Detector = &detect.Detector{
	Name:   "obfuscation",
	Doc:    "Scores each file between 0 and 1 from its tokens; from 0.5 on it is called obfuscated. Minified code alone stays far below.",
	Checks: checks,
	Read:   read,
}

var checks = []detect.Check{
	{ID: "obfuscation/reached", Title: "obfuscated code runs at install or import", Severity: report.Medium, Doc: "A file that an entry reaches is obfuscated."},
	{ID: "obfuscation/present", Title: "obfuscated code in a file", Severity: report.Low, Doc: "A file that only a command, a page or nothing reaches is obfuscated."},
}

const (
	threshold  = 0.5
	minBytes   = 200     // of a file that is scored
	paperBytes = 4 << 20 // of the code of which the paper's features are computed
)

func read(s *detect.Subject) detect.Reader { return &reader{s: s} }

type reader struct {
	s                *detect.Subject
	text             detect.Text // being read
	m                *meter      // of it, nil if it is not scored
	reached, present []report.Evidence
	top              Score
	topSource        string // of the worst file
}

func (r *reader) Begin(text detect.Text) func(js.Token) {
	r.end()
	if text.Layer != "" || len(text.Src) < minBytes {
		return nil
	}
	r.text, r.m = text, newMeter(len(text.Src))
	return r.m.token
}

// end scores the text read last.
func (r *reader) end() {
	if r.m == nil {
		return
	}
	sc := r.m.score()
	r.m = nil
	if sc.Value < threshold {
		return
	}
	ev := report.Evidence{File: r.text.File, Text: sc.Kind}
	if r.text.Reach&(js.ReachInstall|js.ReachImport) == 0 {
		r.present = append(r.present, ev)
		return
	}
	r.reached = append(r.reached, ev)
	if sc.Value > r.top.Value {
		r.top, r.topSource = sc, r.text.Src[:min(len(r.text.Src), paperBytes)]
	}
}

func (r *reader) Findings() []report.Finding {
	r.end()
	var out []report.Finding
	if len(r.reached) > 0 {
		f := detect.Find(checks, "obfuscation/reached", r.reached[:min(len(r.reached), 10)]...)
		var all string // the paper's features are of the worst file, and of the whole package
		for _, m := range r.s.Program.Modules {
			if (m.Kind == js.KindCommonJS || m.Kind == js.KindESM) && m.Reach != 0 && len(all)+len(m.Data) <= paperBytes {
				all += m.Text() + "\n"
			}
		}
		f.Score, f.Features = round(r.top.Value), r.top.Features
		for _, x := range Paper(r.topSource) {
			x.Name = "file " + x.Name
			f.Features = append(f.Features, x)
		}
		for _, x := range Paper(all) {
			x.Name = "package " + x.Name
			f.Features = append(f.Features, x)
		}
		out = append(out, f)
	}
	if len(r.present) > 0 {
		out = append(out, detect.Find(checks, "obfuscation/present", r.present[:min(len(r.present), 10)]...))
	}
	return out
}

func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// Score is the result for one file: its value from 0 to 1, the trait that added most, and every trait's part.
type Score struct {
	Value    float64
	Kind     string
	Features []report.Feature
}

// counts of one file's tokens
type counts struct {
	bytes, words, hexNames, strings, escaped, encoded, hexNumbers, numbers, punct, longest int
	jsfuck, charCodes, switches, newlines, fromCharCode, splitOrder, runs, rotations       int
}

// Measure scores a source text.
func Measure(src string) Score {
	m := newMeter(len(src))
	js.Scan(src, func(t js.Token) bool {
		m.token(t)
		return true
	})
	return m.score()
}

// meter counts what Measure looks for, token by token.
type meter struct {
	counts
	run              int // numbers in a row between commas
	parses, push, at int // parseInt calls of late, where push was last named, tokens so far
	names            map[string]bool
}

func newMeter(bytes int) *meter {
	return &meter{counts: counts{bytes: bytes}, names: map[string]bool{}}
}

func (m *meter) score() Score { return m.counts.score(len(m.names)) }

func (m *meter) token(t js.Token) {
	c := &m.counts
	m.at++
	name := t.Text
	if t.Kind == js.String || t.Kind == js.TemplatePart {
		name = ""
		if len(t.Text) <= longestName+2 {
			name = strings.Trim(t.Text, "'\"`")
		}
	}
	switch name {
	case "parseInt":
		m.parses++
	case "push":
		m.push = m.at
	case "shift":
		if m.push > 0 && m.at-m.push <= 8 && m.parses >= 5 {
			c.rotations++
		}
	case "function", "=>":
		m.parses = 0
	}
	switch t.Kind {
	case js.Word:
		c.words++
		if hexName(t.Text) {
			c.hexNames++
			m.names[t.Text] = true
		}
		switch t.Text {
		case "switch":
			c.switches++
		case "fromCharCode", "charCodeAt", "fromCodePoint":
			c.fromCharCode++
		case "eval", "Function", "constructor", "child_process", "execSync", "spawn", "_compile", "runInThisContext":
			c.runs++
		}
	case js.Number:
		c.numbers++
		if strings.HasPrefix(t.Text, "0x") {
			c.hexNumbers++
		}
		if charCode(t.Text) {
			if m.run++; m.run > c.charCodes {
				c.charCodes = m.run
			}
		} else {
			m.run = 0
		}
	case js.String, js.TemplatePart:
		c.strings++
		c.longest = max(c.longest, len(t.Text))
		if n := plainEscapes(t.Text); n > 1 && n*8 > len(t.Text) {
			c.escaped++
		}
		if encodedText(t.Text) {
			c.encoded++
		}
		if order(t.Text) {
			c.splitOrder++
		}
	case js.Punct:
		c.punct++
		switch t.Text {
		case "[", "(", "]", ")", "!", "+":
			c.jsfuck++
		}
	case js.Newline:
		c.newlines++
	}
	if t.Kind != js.Number && t.Text != "," && t.Kind != js.Space && t.Kind != js.Newline {
		m.run = 0
	}
}

func (c *counts) score(names int) Score {
	var s Score
	tokens := float64(max(c.words+c.punct+c.strings+c.numbers, 1))
	best := 0.0
	add := func(name string, value, weight float64) {
		if value <= 0 {
			return
		}
		added := math.Min(value, 1) * weight
		s.Value += added
		s.Features = append(s.Features, report.Feature{Name: name, Value: round(value), Added: round(added)})
		if added > best {
			best, s.Kind = added, name
		}
	}
	words := float64(max(c.words, 1))
	hex := float64(c.hexNames) / words
	if c.hexNames >= 8 {
		add("machine-made names", hex*4, 0.7)
	}
	if c.hexNumbers >= 10 {
		add("hexadecimal numbers", float64(c.hexNumbers)/float64(max(c.numbers, 1))*float64(c.hexNumbers)/tokens*12, 0.25)
	}
	if c.escaped > 0 { // no printer of code writes letters that way
		add("escaped letters", 0.5+float64(c.escaped)/float64(c.strings), 1)
	}
	if c.strings >= 4 {
		if c.fromCharCode > 0 || hex > 0.05 {
			add("encoded strings", float64(c.encoded)/float64(c.strings)*2-0.5, 0.3)
		}
	}
	if fuck := float64(c.jsfuck) / tokens; fuck > 0.9 && c.punct > 300 {
		add("few punctuators only", 1, 1)
	}
	if c.rotations > 0 {
		add("a list turned until its numbers fit", 1, 0.6)
	}
	if c.splitOrder > 0 && c.switches > 0 {
		add("flattened control flow", 1, 0.5)
	}
	if c.charCodes > 60 && c.fromCharCode > 0 && c.bytes < 200_000 {
		add("character codes", float64(c.charCodes)/200, 0.5)
	}
	if c.longest > 1000 && c.bytes < 400_000 && float64(c.longest)/float64(c.bytes) > 0.4 && c.fromCharCode > 0 && c.runs > 0 {
		add("one long string and a decoder", 1, 0.4)
	}
	s.Value = math.Min(s.Value, 1)
	return s
}

// longestName is the length of the longest name that Measure looks for in strings, bytes.
const longestName = len("function")

// charCode reports a number that may be the code of a character.
func charCode(s string) bool {
	if strings.IndexByte(s, '.') >= 0 {
		return false
	}
	n, err := strconv.ParseUint(s, 0, 32)
	return err == nil && n >= 9 && n < 127
}

// plainEscapes counts the escapes of a string that stand for letters or digits, which need none.
func plainEscapes(s string) int {
	n := 0
	for i := strings.IndexByte(s, '\\'); i >= 0 && i+3 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		var digits string
		switch {
		case s[i+1] == 'x':
			digits = s[i+2 : i+4]
		case s[i+1] == 'u' && i+6 <= len(s) && s[i+2:i+4] == "00":
			digits = s[i+4 : i+6]
		default:
			i++
			continue
		}
		if c, err := strconv.ParseUint(digits, 16, 8); err == nil && (c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z') {
			n++
		}
		i += 3
	}
	return n
}

// hexName reports a name as obfuscators make them: _0x and hexadecimal digits, or look-alikes of O and 0, I and l.
func hexName(w string) bool {
	if strings.HasPrefix(w, "_0x") && len(w) >= 5 {
		return true
	}
	if len(w) < 6 {
		return false
	}
	for i := 0; i < len(w); i++ {
		switch w[i] {
		case 'O', '0', '_', 'I', 'l', '1', '$':
		default:
			return false
		}
	}
	return strings.ContainsAny(w, "O0Il1")
}

// encodedText reports a string that looks like base64, hexadecimal or another dense encoding.
func encodedText(s string) bool {
	if len(s) < 12 {
		return false
	}
	s = s[1 : len(s)-1]
	lower, upper, digits := 0, 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'Z':
			upper++
		case c >= '0' && c <= '9':
			digits++
		case c == '+' || c == '/' || c == '=' || c == '\\':
		default:
			return false
		}
	}
	return lower > 0 && upper > 1 && digits > 0
}

// order reports the string of a flattened block's order: 3|0|1|2.
func order(s string) bool {
	if len(s) < 7 || strings.Count(s, "|") < 2 {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if s[i] != '|' && (s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return true
}
