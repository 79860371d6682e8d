package behavior

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Edition is the knowledge base of the paper's authors in their own form: behaviour subtypes by API and argument, and sequences of one
// or two of them by category. It is matched as they do: an ordered subsequence with gaps, without value flow.
type Edition struct {
	Types     []EditionType
	Sequences []EditionSequence // in the authors' order

	base  *Base
	byAPI map[string][]*EditionSubtype
}

// EditionType is one of the 12 behaviour types.
type EditionType struct {
	Type     string           `yaml:"type"`
	Subtypes []EditionSubtype `yaml:"subtypes"`
}

// EditionSubtype is one of the 40 subtypes: calls of its APIs, whose first argument meets its condition, if it has one.
type EditionSubtype struct {
	Name  string   `yaml:"name"`
	Class string   `yaml:"class"` // suspicious or malicious
	APIs  []string `yaml:"apis"`  // as the authors write them; with Paths those of the type's own subtype
	Args  []string `yaml:"args"`  // the first argument is one of these
	Paths string   `yaml:"paths"` // the first argument matches this list

	paths []string
}

// EditionSequence is one of the 44 sequences.
type EditionSequence struct {
	Category string
	Steps    []string // subtypes
}

// ID names a sequence in findings.
func (s EditionSequence) ID() string { return "paper/" + s.Category + "/" + strings.Join(s.Steps, "-") }

// Subtypes counts the subtypes of all types.
func (e *Edition) Subtypes() int {
	n := 0
	for _, t := range e.Types {
		n += len(t.Subtypes)
	}
	return n
}

// LoadEdition reads the published edition. Names of APIs are resolved with the corrected base, which knows more spellings.
func LoadEdition(fsys fs.FS, base *Base) (*Edition, error) {
	e := &Edition{base: base, byAPI: map[string][]*EditionSubtype{}}
	var sequences map[string][][]string
	var paths map[string][]string
	var names map[string]string
	for file, into := range map[string]any{"types.yaml": &e.Types, "sequences.yaml": &sequences, "paths.yaml": &paths, "names.yaml": &names} {
		data, err := fs.ReadFile(fsys, "editions/published/"+file)
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, into); err != nil {
			return nil, fmt.Errorf("editions/published/%s: %w", file, err)
		}
	}
	known := map[string]bool{}
	for i := range e.Types {
		t := &e.Types[i]
		for k := range t.Subtypes {
			s := &t.Subtypes[k]
			known[s.Name] = true
			apis := s.APIs
			if s.Paths != "" {
				if s.paths = paths[s.Paths]; s.paths == nil {
					return nil, fmt.Errorf("editions/published/types.yaml: %s: no list of paths %s", s.Name, s.Paths)
				}
				apis = t.Subtypes[0].APIs
			}
			for _, name := range apis {
				name = e.spelling(name, names)
				e.byAPI[name] = append(e.byAPI[name], s)
			}
		}
	}
	for _, c := range []string{"M1", "M2", "M3", "M4", "M5"} {
		for _, steps := range sequences[c] {
			for _, s := range steps {
				if !known[s] {
					return nil, fmt.Errorf("editions/published/sequences.yaml: %s: no behaviour %s", c, s)
				}
			}
			e.Sequences = append(e.Sequences, EditionSequence{c, steps})
		}
	}
	return e, nil
}

// spelling gives the name by which traces call an API of the authors.
func (e *Edition) spelling(name string, names map[string]string) string {
	if to, ok := names[name]; ok {
		name = to
	} else {
		best := ""
		for from := range names {
			if strings.HasSuffix(from, ".") && strings.HasPrefix(name, from) && len(from) > len(best) {
				best = from
			}
		}
		if best != "" {
			name = names[best] + strings.TrimPrefix(name, best)
		}
	}
	if api := e.base.API(name); api != nil {
		return api.Name
	}
	return name
}

// Has reports that the edition gives an API, by its canonical name, a behaviour.
func (e *Edition) Has(api string) bool { return len(e.byAPI[api]) > 0 }

// Behaviours lists the subtypes that a call shows.
func (e *Edition) Behaviours(c *callseq.Call) []string {
	var out []string
	for _, s := range e.byAPI[c.API] {
		if s.holds(c) && !slices.Contains(out, s.Name) {
			out = append(out, s.Name)
		}
	}
	return out
}

func (s *EditionSubtype) holds(c *callseq.Call) bool {
	if len(s.Args) == 0 && len(s.paths) == 0 {
		return true
	}
	if len(c.Args) == 0 {
		return false
	}
	for _, v := range append([]callseq.Value{c.Args[0]}, c.Args[0].Alts...) {
		text := PathText(&v)
		if slices.Contains(s.Args, text) {
			return true
		}
		for _, p := range s.paths {
			if matchesPublished(text, p) {
				return true
			}
		}
	}
	return false
}

// matchesPublished compares a path with one of the authors' patterns.
func matchesPublished(path, pattern string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/"); ok && !strings.Contains(dir, "*") {
		return strings.HasPrefix(path, pattern)
	}
	pre, post, star := strings.Cut(pattern, "*")
	if !star {
		return path == pattern
	}
	return strings.HasPrefix(path, pre) && len(path) >= len(pre)+len(strings.TrimSuffix(post, "/")) && (strings.HasSuffix(path, post) || strings.HasSuffix(post, "/") && strings.Contains(path[len(pre):], "/"))
}

// Match finds the sequences in what runs at install and import, in the order of the trace.
func (e *Edition) Match(t *callseq.Trace) []report.Finding {
	first, last := map[string]*callseq.Call{}, map[string]*callseq.Call{}
	for i := range t.Calls {
		c := &t.Calls[i]
		if c.Phase != callseq.PhaseInstall && c.Phase != callseq.PhaseImport {
			continue
		}
		for _, b := range e.Behaviours(c) {
			if first[b] == nil {
				first[b] = c
			}
			last[b] = c
		}
	}
	out := []report.Finding{}
	for _, s := range e.Sequences {
		steps := []*callseq.Call{first[s.Steps[0]]}
		if len(s.Steps) == 2 {
			steps = append(steps, last[s.Steps[1]])
		}
		if slices.Contains(steps, nil) || len(steps) == 2 && steps[0].ID >= steps[1].ID {
			continue
		}
		f := report.Finding{ID: s.ID(), Title: strings.Join(s.Steps, " then "), Category: s.Category, Severity: report.Medium, Confidence: report.BySequence, Phase: steps[0].Phase}
		for _, c := range steps {
			pos := t.FilePos(c.Pos)
			f.Evidence = append(f.Evidence, report.Evidence{File: t.File(c.Pos), Line: pos.Line, Col: pos.Col, API: c.API, Call: c.ID, Text: Render(c), Types: e.Behaviours(c)})
		}
		out = append(out, f)
	}
	return out
}
