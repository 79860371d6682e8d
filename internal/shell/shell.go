// Package shell reads commands and yields the same calls as code does: lifecycle scripts, shell files, the command strings that
// code hands to a shell. In goes a text, perhaps known in part; out comes a Trace in which every command is a call named
// $shell.NAME, with the behaviour types that its table entry gives it, its words as arguments, and with what flows through pipes,
// substitutions, variables and files. Code in another language that a command carries is handed out, not read. Nothing is run.
package shell

import (
	"fmt"
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/donapi/donapi/internal/callseq"
)

// Source is one text to read.
type Source struct {
	Text  callseq.Value // holes stand for what is not known; their flows are kept
	Lang  string        // sh, cmd, powershell, python, perl, ruby; empty: whatever it looks like
	Phase callseq.Phase
	Entry string
	File  string // where it stands, for the layer
	How   string // script:NAME, shell, file
	By    callseq.ID
	Files func(path string) ([]byte, bool) // files of the package that a command may start
}

// Code is a piece of another language found in a command.
type Code struct {
	Lang string
	Text string
	By   callseq.ID // the call that carries it, in the trace returned with it
}

// command is one entry of knowledge/shell.
type command struct {
	Names       []string `yaml:"names"`
	Type        []string `yaml:"type"`
	Gives       []string `yaml:"gives"`
	URL         bool     `yaml:"url"`
	Reads       bool     `yaml:"reads"`
	Writes      bool     `yaml:"writes"`
	Deletes     bool     `yaml:"deletes"`
	Filter      bool     `yaml:"filter"`
	Print       bool     `yaml:"print"`
	Shell       bool     `yaml:"shell"`
	Interpreter bool     `yaml:"interpreter"`
	Prefix      bool     `yaml:"prefix"`
	Only        string   `yaml:"only"`
	Data        []string `yaml:"data"`
	Out         []string `yaml:"out"`
	Values      []string `yaml:"values"`
	Code        string   `yaml:"code"`
	Rule        string   `yaml:"rule"`
}

// Classes tells what the knowledge base knows of paths, hosts and variables.
type Classes interface {
	PathClass(path string) []string
	HostClass(host string) string
	EnvClass(name string) string
}

// Reader reads commands with a table of what they do. It is immutable.
type Reader struct {
	table   map[string]*command
	classes Classes
}

// Load reads the command table.
func Load(fsys fs.FS, classes Classes) (*Reader, error) {
	files, err := fs.Glob(fsys, "shell/*.yaml")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("knowledge has no shell/*.yaml")
	}
	r := &Reader{table: map[string]*command{}, classes: classes}
	for _, f := range files {
		data, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		var list []*command
		dec := yaml.NewDecoder(strings.NewReader(string(data)))
		dec.KnownFields(true)
		if err := dec.Decode(&list); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		for _, c := range list {
			for _, n := range c.Names {
				if r.table[n] != nil {
					return nil, fmt.Errorf("%s: command %s is described twice", f, n)
				}
				r.table[n] = c
			}
		}
	}
	return r, nil
}

// limits of one text
const (
	maxText     = 1 << 20
	maxNesting  = 200
	maxCommands = 3000
	maxDepth    = 6 // shells within shells
)

// Read reads a text. ok is false when part of it was beyond the limits or did not parse.
func (r *Reader) Read(src Source) (t *callseq.Trace, codes []Code, ok bool) {
	x := &reading{r: r, src: src, t: &callseq.Trace{}, vars: map[string]word{}, files: map[string]word{}, ok: true}
	lang := src.Lang
	if lang == "" {
		lang = "sh"
	}
	text, holes := flatten(&src.Text)
	x.holes = holes
	x.t.Layers = append(x.t.Layers, callseq.Layer{ID: 0, Parent: -1, File: src.File, How: src.How, Lang: lang, By: src.By})
	if len(text) > maxText {
		text, x.ok = text[:maxText], false
	}
	x.read(text, lang, 0)
	return x.t, x.codes, x.ok
}

// hole marks: a placeholder word that the parser takes for a plain literal.
const holeOpen, holeClose = "\u27e8", "\u27e9"

// flatten writes a partly known value as text with numbered placeholders.
func flatten(v *callseq.Value) (string, []callseq.Part) {
	if len(v.Parts) == 0 {
		if v.Kind == callseq.Unknown || v.Kind == callseq.Object || v.Text == "" && v.Source != "" {
			return holeOpen + "0" + holeClose, []callseq.Part{{Hole: true, Source: v.Source, Flows: v.Flows}}
		}
		return v.Text, nil
	}
	var b strings.Builder
	var holes []callseq.Part
	for _, p := range v.Parts {
		if p.Hole {
			fmt.Fprintf(&b, "%s%d%s", holeOpen, len(holes), holeClose)
			holes = append(holes, p)
		} else {
			b.WriteString(p.Lit)
		}
	}
	return b.String(), holes
}

// word is a value in a command: pieces of text and holes, as a partly known string.
type word struct {
	parts []callseq.Part
}

func lit(s string) word { return word{[]callseq.Part{{Lit: s}}} }

func hole(source string, flows ...callseq.Flow) word {
	return word{[]callseq.Part{{Hole: true, Source: source, Flows: flows}}}
}

func (w word) add(o word) word {
	out := append([]callseq.Part(nil), w.parts...)
	for _, p := range o.parts {
		if n := len(out); !p.Hole && n > 0 && !out[n-1].Hole && len(p.Flows) == 0 && len(out[n-1].Flows) == 0 {
			out[n-1].Lit += p.Lit
			continue
		}
		out = append(out, p)
	}
	return word{out}
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

// text is the text with * for holes.
func (w word) text() string {
	var b strings.Builder
	for _, p := range w.parts {
		if p.Hole {
			switch {
			case p.Source == "$HOME" || p.Source == "$USERPROFILE" || strings.HasPrefix(p.Source, "os.homedir"):
				b.WriteString("~")
			default:
				b.WriteString("*")
			}
		} else {
			b.WriteString(p.Lit)
		}
	}
	return b.String()
}

func (w word) flows() []callseq.Flow {
	var out []callseq.Flow
	for _, p := range w.parts {
		out = append(out, p.Flows...)
	}
	return out
}

func (w word) via(v callseq.Via) word {
	out := make([]callseq.Part, len(w.parts))
	for i, p := range w.parts {
		fl := make([]callseq.Flow, len(p.Flows))
		for j, f := range p.Flows {
			f.Via = v
			fl[j] = f
		}
		p.Flows = fl
		out[i] = p
	}
	return word{out}
}

func (w word) value() callseq.Value {
	if s, ok := w.known(); ok {
		return callseq.Value{Kind: callseq.String, Text: cut(s), Flows: w.flows(), Len: len(s), Truncated: len(s) > callseq.MaxText}
	}
	v := callseq.Value{Kind: callseq.String}
	for _, p := range w.parts {
		p.Lit = cut(p.Lit)
		v.Parts = append(v.Parts, p)
	}
	return v
}

func cut(s string) string {
	if len(s) > callseq.MaxText {
		return strings.ToValidUTF8(s[:callseq.MaxText], "")
	}
	return s
}

// Commands lists the simple commands of a script with their words as far as known, * for what is not.
func (r *Reader) Commands(script string) [][]string {
	t, _, _ := r.Read(Source{Text: callseq.Value{Kind: callseq.String, Text: script}})
	var out [][]string
	for i := range t.Calls {
		c := &t.Calls[i]
		if name, ok := strings.CutPrefix(c.API, "$shell."); ok && c.Depth == 0 {
			words := []string{name}
			for j := range c.Args {
				words = append(words, c.Args[j].Pattern("*"))
			}
			out = append(out, words)
		}
	}
	return out
}
