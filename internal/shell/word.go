package shell

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// word is a string as far as it is known: pieces of text and holes, each with the calls it derives from.
type word struct {
	parts []callseq.Part
}

func lit(s string) word {
	if s == "" {
		return word{}
	}
	return word{[]callseq.Part{{Lit: s}}}
}

func hole(source string, flows ...callseq.Flow) word {
	return word{[]callseq.Part{{Hole: true, Source: source, Flows: flows}}}
}

func from(id callseq.ID, via callseq.Via) []callseq.Flow {
	if id == 0 {
		return nil
	}
	return []callseq.Flow{{From: id, Via: via}}
}

// fromValue takes a value of a trace as a word.
func fromValue(v *callseq.Value) word {
	if len(v.Parts) > 0 {
		return word{v.Parts}
	}
	switch v.Kind {
	case callseq.String, callseq.Number, callseq.Bool, callseq.Bytes:
		if v.Text == "" && v.Source == "" {
			return word{}
		}
		if v.Text != "" {
			return word{[]callseq.Part{{Lit: v.Text, Flows: v.Flows}}}
		}
	}
	return hole(v.Source, v.AllFlows()...)
}

// overflow is the source of the hole that stands for what went beyond the limits of a word.
const overflow = "\u2026"

func (w word) empty() bool { return len(w.parts) == 0 }

// add appends o. What would go beyond the limits becomes one hole that keeps the flows.
func (w word) add(o word) word {
	if len(o.parts) == 0 {
		return w
	}
	if len(w.parts) == 0 {
		return o
	}
	if last := &w.parts[len(w.parts)-1]; last.Hole && last.Source == overflow { // full already
		if len(last.Flows) >= maxParts {
			return w
		}
		out := word{slices.Clone(w.parts)}
		out.parts[len(out.parts)-1].Flows = mergeFlows(last.Flows, o.flows())
		return out
	}
	if w.size()+o.size() > maxWord || len(w.parts)+len(o.parts) > maxParts {
		out := word{slices.Clone(w.parts[:min(len(w.parts), maxParts-1)])}
		if w.size() > maxWord/2 {
			out.parts = nil
		}
		out.parts = append(out.parts, callseq.Part{Hole: true, Source: overflow, Flows: mergeFlows(w.flows(), o.flows())})
		return out
	}
	out := make([]callseq.Part, len(w.parts), len(w.parts)+len(o.parts))
	copy(out, w.parts)
	for _, p := range o.parts {
		if n := len(out); !p.Hole && n > 0 && !out[n-1].Hole && len(p.Flows) == 0 && len(out[n-1].Flows) == 0 {
			out[n-1].Lit += p.Lit
			continue
		}
		out = append(out, p)
	}
	return word{out}
}

func (w word) size() int {
	n := 0
	for _, p := range w.parts {
		n += len(p.Lit)
	}
	return n
}

// known is the text if no hole is in it.
func (w word) known() (string, bool) {
	var b strings.Builder
	for _, p := range w.parts {
		if p.Hole {
			return "", false
		}
		b.WriteString(p.Lit)
	}
	return b.String(), true
}

// text is the text with * for holes, ~ for the home folder.
func (w word) text() string {
	var b strings.Builder
	for _, p := range w.parts {
		switch {
		case !p.Hole:
			b.WriteString(p.Lit)
		case p.Source == homeSource || strings.HasPrefix(p.Source, "os.homedir") || p.Source == "process.env.HOME" || p.Source == "process.env.USERPROFILE":
			b.WriteString("~")
		default:
			b.WriteString("*")
		}
	}
	return b.String()
}

const homeSource = "$HOME"

// mergeFlows joins lists without doubles, in order of first sight.
func mergeFlows(lists ...[]callseq.Flow) []callseq.Flow {
	var out []callseq.Flow
	for _, l := range lists {
		for _, f := range l {
			if !slices.Contains(out, f) && len(out) < maxParts {
				out = append(out, f)
			}
		}
	}
	return out
}

func (w word) flows() []callseq.Flow {
	var out []callseq.Flow
	for _, p := range w.parts {
		out = mergeFlows(out, p.Flows)
	}
	return out
}

func flowsOf(ws []word) []callseq.Flow {
	var out []callseq.Flow
	for _, w := range ws {
		out = mergeFlows(out, w.flows())
	}
	return out
}

// through marks all flows of a list with what happened to the value on its way; copying keeps what was there.
func through(fl []callseq.Flow, via callseq.Via) []callseq.Flow {
	if via == callseq.Copy {
		return fl
	}
	var out []callseq.Flow
	for _, f := range fl {
		f.Via = via
		out = mergeFlows(out, []callseq.Flow{f})
	}
	return out
}

func (w word) via(v callseq.Via) word {
	out := make([]callseq.Part, len(w.parts))
	for i, p := range w.parts {
		p.Flows = through(p.Flows, v)
		out[i] = p
	}
	return word{out}
}

// with adds flows to all of the word.
func (w word) with(fl []callseq.Flow) word {
	if len(fl) == 0 || len(w.parts) == 0 {
		return w
	}
	out := make([]callseq.Part, len(w.parts))
	for i, p := range w.parts {
		p.Flows = mergeFlows(p.Flows, fl)
		out[i] = p
	}
	return word{out}
}

func (w word) value() callseq.Value {
	if s, ok := w.known(); ok {
		return callseq.Value{Kind: callseq.String, Text: cutText(s), Flows: w.flows(), Len: len(s), Truncated: len(s) > callseq.MaxText}
	}
	v := callseq.Value{Kind: callseq.String}
	for _, p := range w.parts {
		p.Lit = cutText(p.Lit)
		v.Parts = append(v.Parts, p)
	}
	return v
}

func cutText(s string) string {
	if len(s) > callseq.MaxText {
		return strings.ToValidUTF8(s[:callseq.MaxText], "")
	}
	return s
}

// fields splits a word at the blanks of its text, as a shell does with what an expansion gave.
func (w word) fields() []word {
	var out []word
	var cur word
	open := false
	for _, p := range w.parts {
		if p.Hole {
			cur, open = cur.add(word{[]callseq.Part{p}}), true
			continue
		}
		rest := p.Lit
		for rest != "" {
			i := strings.IndexAny(rest, " \t\r\n")
			if i < 0 {
				cur, open = cur.add(word{[]callseq.Part{{Lit: rest, Flows: p.Flows}}}), true
				break
			}
			if i > 0 {
				cur, open = cur.add(word{[]callseq.Part{{Lit: rest[:i], Flows: p.Flows}}}), true
			}
			if open {
				out = append(out, cur)
				cur, open = word{}, false
			}
			rest = rest[i+1:]
			if len(out) > maxFields {
				return out
			}
		}
	}
	if open {
		out = append(out, cur)
	}
	return out
}

// joinWords puts words together with a separator between them.
func joinWords(ws []word, sep string) word {
	var out word
	for i, w := range ws {
		if i > 0 {
			out = out.add(lit(sep))
		}
		out = out.add(w)
	}
	return out
}

// A hole travels through a parser as one private-use character, firstHole plus its number.
const (
	firstHole = 0xF0000
	maxHoles  = 4096
)

func isHole(r rune) bool { return r >= firstHole && r < firstHole+maxHoles }

// encode writes a word as text with a private-use character for each piece that is not plain text.
func (x *reading) encode(w word) string {
	var b strings.Builder
	for _, p := range w.parts {
		if p.Hole || len(p.Flows) > 0 && plainWord(p.Lit) {
			if len(x.holes) < maxHoles {
				b.WriteRune(rune(firstHole + len(x.holes)))
				x.holes = append(x.holes, p)
				continue
			}
			x.cut("too many unknown pieces")
		}
		if strings.IndexFunc(p.Lit, isHole) >= 0 { // not ours
			p.Lit = strings.Map(func(r rune) rune {
				if isHole(r) {
					return '\ufffd'
				}
				return r
			}, p.Lit)
		}
		b.WriteString(p.Lit)
	}
	return b.String()
}

// plainWord reports a text that no reader would split or interpret.
func plainWord(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_./:@%+,-", c) >= 0) {
			return false
		}
	}
	return s != "" && len(s) < 1024
}

// decode is the reverse of encode.
func (x *reading) decode(s string) word {
	if len(x.holes) == 0 || strings.IndexFunc(s, isHole) < 0 {
		return lit(s)
	}
	var out word
	start := 0
	for i, r := range s {
		if !isHole(r) {
			continue
		}
		out = out.add(lit(s[start:i]))
		if k := int(r - firstHole); k < len(x.holes) {
			out = out.add(word{[]callseq.Part{x.holes[k]}})
		}
		start = i + len(string(r))
	}
	return out.add(lit(s[start:]))
}
