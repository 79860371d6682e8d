package behavior

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Behavior is one entry of knowledge/behaviors: an ordered pattern of calls and what it means.
type Behavior struct {
	ID          string                            `yaml:"id"`
	Title       string                            `yaml:"title"`
	Category    string                            `yaml:"category"`
	Severity    report.Severity                   `yaml:"severity"` // where Phases does not say otherwise
	Phases      map[callseq.Phase]report.Severity `yaml:"phases"`
	Only        []callseq.Phase                   `yaml:"only"` // phases in which it counts at all; empty for all but unused
	Description string                            `yaml:"description"`
	References  []string                          `yaml:"references"`
	Tags        []string                          `yaml:"tags"`
	Steps       []Step                            `yaml:"steps"`
	Unless      []Step                            `yaml:"unless"` // a call of the trace that takes the finding back
	Raise       []Modifier                        `yaml:"raise"`
	File        string                            `yaml:"-"`
}

// Step selects calls. All conditions that are set must hold.
type Step struct {
	Types    []string          `yaml:"types"`    // one of these behaviour types; a trailing * stands for any subtype
	All      []string          `yaml:"all"`      // all of these
	Not      []string          `yaml:"not"`      // none of these
	API      []string          `yaml:"api"`      // one of these names, as globs
	Args     map[string]string `yaml:"args"`     // role or argument path -> regular expression on what is known of it
	NotArgs  map[string]string `yaml:"notargs"`  // must not match
	Host     []string          `yaml:"host"`     // destination class is one of these; "" for a host of no class, open for an unknown one
	NotHost  []string          `yaml:"nothost"`  // destination class is none of these
	Open     []string          `yaml:"open"`     // these arguments are not known constants
	Distinct int               `yaml:"distinct"` // at least so many different of Types flow into the next step
	Arrow    string            `yaml:"arrow"`    // from the step before: "=>" value flow, "->" order (default)
	Via      []string          `yaml:"via"`      // for =>: one of these transformations on the way
	Path     []string          `yaml:"path"`     // a path argument is of one of these classes
	Guarded  bool              `yaml:"guarded"`  // stands under a condition that reads something

	args, notArgs map[string]*regexp.Regexp
}

// Modifier raises or lowers the severity when a call of the trace matches it.
type Modifier struct {
	Step `yaml:",inline"`
	By   int `yaml:"by"`
}

func (b *Base) loadBehaviors(fsys fs.FS) error {
	err := fs.WalkDir(fsys, "behaviors", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".yaml" {
			return err
		}
		data, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		x, err := parseBehavior(p, data)
		if err != nil {
			return err
		}
		return b.addBehavior(x)
	})
	slices.SortFunc(b.Behaviors, func(x, y *Behavior) int { return strings.Compare(x.ID, y.ID) })
	return err
}

func parseBehavior(p string, data []byte) (*Behavior, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	dec.KnownFields(true)
	x := &Behavior{}
	if err := dec.Decode(x); err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	x.File = p
	return x, x.check(p)
}

func (b *Base) addBehavior(x *Behavior) error {
	if b.byID[x.ID] != nil {
		return fmt.Errorf("%s: %s is described twice", x.File, x.ID)
	}
	b.byID[x.ID] = x
	b.Behaviors = append(b.Behaviors, x)
	return nil
}

// Only is the base with a single behaviour, read from the text of a file as behaviors/M1/name.yaml: to try it out.
func (b *Base) Only(file string, data []byte) (*Base, error) {
	x, err := parseBehavior(file, data)
	if err != nil {
		return nil, err
	}
	c := *b
	c.Behaviors, c.byID = nil, map[string]*Behavior{}
	return &c, c.addBehavior(x)
}

func (x *Behavior) check(p string) error {
	if want := strings.TrimSuffix(strings.TrimPrefix(p, "behaviors/"), ".yaml"); x.ID != want {
		return fmt.Errorf("%s: id is %q, want %q", p, x.ID, want)
	}
	if len(x.Steps) == 0 || x.Title == "" {
		return fmt.Errorf("%s: title and steps are needed", p)
	}
	slices.Sort(x.Tags)
	all := [][]Step{x.Steps, x.Unless}
	for _, list := range all {
		for i := range list {
			if err := list[i].compile(); err != nil {
				return fmt.Errorf("%s: step %d: %w", p, i+1, err)
			}
		}
	}
	for i := range x.Raise {
		if err := x.Raise[i].compile(); err != nil {
			return fmt.Errorf("%s: raise %d: %w", p, i+1, err)
		}
	}
	return nil
}

func (s *Step) compile() error {
	switch s.Arrow {
	case "", "->", "=>":
	default:
		return fmt.Errorf("unknown arrow %q", s.Arrow)
	}
	var err error
	if s.args, err = compileAll(s.Args); err != nil {
		return err
	}
	s.notArgs, err = compileAll(s.NotArgs)
	return err
}

func compileAll(m map[string]string) (map[string]*regexp.Regexp, error) {
	out := map[string]*regexp.Regexp{}
	for k, v := range m {
		re, err := regexp.Compile(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = re
	}
	return out, nil
}

// hasType reports that one of the types, or for a pattern ending in * one below it, is in the sorted set.
func hasType(set []string, t string) bool {
	if p, ok := strings.CutSuffix(t, "*"); ok {
		i, _ := slices.BinarySearch(set, p)
		return i < len(set) && strings.HasPrefix(set[i], p)
	}
	_, ok := slices.BinarySearch(set, t)
	return ok
}

// selects reports that a call matches the step on its own.
func (m *matcher) selects(s *Step, c *callseq.Call) bool {
	types := m.types[c.ID-1]
	if len(s.Types) > 0 && !slices.ContainsFunc(s.Types, func(t string) bool { return hasType(types, t) }) {
		return false
	}
	for _, t := range s.All {
		if !hasType(types, t) {
			return false
		}
	}
	for _, t := range s.Not {
		if hasType(types, t) {
			return false
		}
	}
	if len(s.API) > 0 && !slices.ContainsFunc(s.API, func(g string) bool { ok, _ := path.Match(g, c.API); return ok || g == c.API }) {
		return false
	}
	for k, re := range s.args {
		if !slices.ContainsFunc(m.argTexts(c, k), re.MatchString) {
			return false
		}
	}
	for k, re := range s.notArgs {
		if slices.ContainsFunc(m.argTexts(c, k), re.MatchString) {
			return false
		}
	}
	for _, k := range s.Open {
		v := m.arg(c, k)
		if v == nil {
			return false
		}
		if _, known := v.Known(); known {
			return false
		}
	}
	if len(s.Path) > 0 && !slices.ContainsFunc(types, func(t string) bool {
		return slices.ContainsFunc(s.Path, func(p string) bool { return strings.HasSuffix(t, "_"+p) })
	}) {
		return false
	}
	if len(s.Host) > 0 || len(s.NotHost) > 0 {
		class := m.destination(c).Class
		if len(s.Host) > 0 && !slices.Contains(s.Host, class) || slices.Contains(s.NotHost, class) {
			return false
		}
	}
	if s.Guarded && !slices.ContainsFunc(c.Guards, func(g callseq.Guard) bool { return len(g.Reads) > 0 }) {
		return false
	}
	return true
}

// arg finds an argument by role or by path.
func (m *matcher) arg(c *callseq.Call, key string) *callseq.Value {
	if a := m.base.API(c.API); a != nil {
		if p := a.Role(key); p != "" {
			return argPath(c, p)
		}
	}
	return argPath(c, key)
}

func argPath(c *callseq.Call, p string) *callseq.Value {
	if p == "-1" {
		if len(c.Args) == 0 {
			return nil
		}
		return &c.Args[len(c.Args)-1]
	}
	return c.ArgAt(p)
}

// argTexts lists what is known of an argument: its text with … for holes, and its alternatives. The key "any" takes all arguments.
func (m *matcher) argTexts(c *callseq.Call, key string) []string {
	var out []string
	add := func(v *callseq.Value) {
		n := 0
		v.Walk(func(w *callseq.Value) bool {
			if n++; n > 60 {
				return false
			}
			if w.Text != "" || len(w.Parts) > 0 {
				out = append(out, w.Pattern("\u2026"))
			}
			return true
		})
	}
	if key == "any" {
		for i := range c.Args {
			add(&c.Args[i])
		}
		return out
	}
	v := m.arg(c, key)
	if v == nil {
		return nil
	}
	add(v)
	if key == "path" || key == "file" {
		out = append(out, PathText(v))
	}
	if len(out) == 0 {
		out = append(out, v.Pattern("\u2026"))
	}
	return out
}
