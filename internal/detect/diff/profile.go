// Package diff tells what one version of a package can do that another could not. Most attacks arrive as an update of a package that
// was harmless before, and what is new in such an update is small beside what is there: an install hook, a dependency, a file, and
// calls that no version had. A Profile holds what one version does, small enough to hand between processes; Compare sets two side by
// side and Findings says which differences matter. That something is new is no proof of malice: the verdict of the new version stands
// beside it.
package diff

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Profile is what one version of a package does, as far as two versions are compared. Every list is sorted and without doubles.
type Profile struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Integrity    string            `json:"integrity"`
	Hooks        []Hook            `json:"hooks,omitempty"`
	Entries      []Entry           `json:"entries,omitempty"`
	Dependencies []Dependency      `json:"dependencies,omitempty"`
	Files        map[string]string `json:"files,omitempty"` // path -> digest
	Sinks        []Sink            `json:"sinks,omitempty"`
	Flows        []Flow            `json:"flows,omitempty"`
	Sequences    []Sequence        `json:"sequences,omitempty"`
	Obfuscation  []Obfuscated      `json:"obfuscation,omitempty"`
	Behaviors    []Behavior        `json:"behaviors,omitempty"`
}

// Hook is something that runs when the package is installed.
type Hook struct {
	Name    string `json:"name"` // preinstall, install, postinstall, binding.gyp; of a dependency inside the package with its folder before it
	Command string `json:"command"`
}

// Entry is a file with which the package can start.
type Entry struct {
	Name  string `json:"name"`
	Phase string `json:"phase"`
	Path  string `json:"path"`
}

// Dependency is what the package brings with it.
type Dependency struct {
	Name     string `json:"name"`
	Range    string `json:"range"`
	Kind     string `json:"kind"`               // dependency, optional, peer, bundled
	Indirect string `json:"indirect,omitempty"` // url, git, file, alias: it does not come from the registry under its name
	// Unmentioned: no code of the package holds its name
	Unmentioned bool `json:"unmentioned,omitempty"`
}

// Sink is a call that reaches out of the program: where it goes, and what for.
type Sink struct {
	Phase callseq.Phase `json:"phase"`
	Group string        `json:"group"` // network, process, code, file, hook, secret
	API   string        `json:"api"`
	To    string        `json:"to,omitempty"` // URL, host, command or path, with … where it is not known
	Types []string      `json:"types"`
	File  string        `json:"file,omitempty"`
	Line  int           `json:"line,omitempty"`
}

// Flow is a value that one call gives and another takes.
type Flow struct {
	Phase callseq.Phase `json:"phase"`
	From  string        `json:"from"`
	To    string        `json:"to"`
	Group string        `json:"group"`           // of the call that takes it
	Given string        `json:"given"`           // group of the call that gives it
	Where string        `json:"where,omitempty"` // destination, where known
	File  string        `json:"file,omitempty"`  // of the call that takes it
	Line  int           `json:"line,omitempty"`  //
}

// Sequence is the order in which one entry first makes its calls to sinks.
type Sequence struct {
	Phase callseq.Phase `json:"phase"`
	Entry string        `json:"entry"`
	Calls []string      `json:"calls"`
}

// Obfuscated is a file that was made unreadable.
type Obfuscated struct {
	File    string `json:"file"`
	Kind    string `json:"kind"`
	Reached bool   `json:"reached"` // runs at install or import
}

// Behavior is a behaviour of the knowledge base that was matched.
type Behavior struct {
	ID       string          `json:"id"`
	Phase    callseq.Phase   `json:"phase"`
	Title    string          `json:"title"`
	Severity report.Severity `json:"severity"`
}

// limits of a profile
const (
	maxSinks = 5000
	maxCalls = 40 // of a sequence
	maxText  = 300

	maxMentioned = 100 // dependencies looked for in the code
)

// Read makes the profile of an analysed package. findings are those of all detectors and behaviours.
func Read(a *artifact.Artifact, p *js.Program, t *callseq.Trace, findings []report.Finding, base *behavior.Base) *Profile {
	m := a.Manifest
	out := &Profile{Name: m.Name, Version: m.Version, Integrity: a.Integrity, Files: map[string]string{}}
	for i := range a.Files {
		sum := sha256.Sum256(a.Files[i].Data)
		out.Files[a.Files[i].Path] = hex.EncodeToString(sum[:12])
	}
	for _, e := range p.Entries {
		if e.Phase == string(callseq.PhaseInstall) && e.Command != "" {
			name := strings.Replace(e.Name, "scripts.", "", 1)
			out.Hooks = append(out.Hooks, Hook{name, short(e.Command)})
		}
		if e.Path != "" {
			out.Entries = append(out.Entries, Entry{e.Name, e.Phase, e.Path})
		}
	}
	out.Dependencies = dependencies(m)
	unmentioned(out.Dependencies, p)
	r := reader{t: t, base: base, out: out, own: a, groups: make([]string, len(t.Calls))}
	r.calls()
	for i := range findings {
		f := &findings[i]
		switch {
		case strings.HasPrefix(f.ID, "obfuscation/"):
			for _, e := range f.Evidence {
				out.Obfuscation = append(out.Obfuscation, Obfuscated{e.File, e.Text, f.ID == "obfuscation/reached"})
			}
		case f.Category != "":
			out.Behaviors = append(out.Behaviors, Behavior{f.ID, f.Phase, f.Title, f.Severity})
		}
	}
	sorted(&out.Hooks, func(h Hook) string { return h.Name + "\x00" + h.Command })
	sorted(&out.Entries, Entry.key)
	sorted(&out.Dependencies, Dependency.key)
	sorted(&out.Obfuscation, func(o Obfuscated) string { return o.File })
	sorted(&out.Behaviors, Behavior.key)
	return out
}

// sorted sorts a list by key and keeps the first of each.
func sorted[T any](list *[]T, key func(T) string) {
	slices.SortStableFunc(*list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	*list = slices.CompactFunc(*list, func(a, b T) bool { return key(a) == key(b) })
}

func dependencies(m *npm.Manifest) []Dependency {
	var out []Dependency
	add := func(kind string, ps []npm.Pair) {
		for _, p := range ps {
			out = append(out, Dependency{Name: p.Key, Range: short(p.Value), Kind: kind, Indirect: indirect(p.Value)})
		}
	}
	add("dependency", m.Dependencies)
	add("optional", m.OptionalDependencies)
	add("peer", m.PeerDependencies)
	for _, n := range m.Bundled {
		out = append(out, Dependency{Name: n, Kind: "bundled"})
	}
	return out
}

// unmentioned marks the dependencies whose names stand in no code.
func unmentioned(ds []Dependency, p *js.Program) {
	for i := range ds[:min(len(ds), maxMentioned)] {
		ds[i].Unmentioned = !slices.ContainsFunc(p.Modules, func(m *js.Module) bool {
			return (m.Kind == js.KindCommonJS || m.Kind == js.KindESM) && bytes.Contains(m.Data, []byte(ds[i].Name))
		})
	}
}

// indirect says how a dependency escapes the registry.
func indirect(r string) string {
	switch r = strings.ToLower(strings.TrimSpace(r)); {
	case (strings.HasPrefix(r, "http:") || strings.HasPrefix(r, "https:")) && !strings.HasSuffix(strings.SplitN(r, "#", 2)[0], ".git"):
		return "url"
	case strings.HasPrefix(r, "npm:"):
		return "alias"
	case strings.HasPrefix(r, "file:"), strings.HasPrefix(r, "link:"), strings.HasPrefix(r, "workspace:"), strings.HasPrefix(r, "."), strings.HasPrefix(r, "/"), strings.HasPrefix(r, "~/"):
		return "file"
	case strings.Contains(r, ":"), strings.Count(r, "/") == 1 && !strings.ContainsAny(r, " <>=~^*"): // git+ssh://…, github:user/project, user/project
		return "git"
	}
	return ""
}

// reader goes through the calls of a trace.
type reader struct {
	t      *callseq.Trace
	base   *behavior.Base
	out    *Profile
	own    *artifact.Artifact
	groups []string // by call
}

// group is what a call of these types is to a reader: the gravest of its sides.
func group(types []string) string {
	has := func(f func(string) bool) bool { return slices.ContainsFunc(types, f) }
	prefix := func(ps ...string) func(string) bool {
		return func(t string) bool {
			return slices.ContainsFunc(ps, func(p string) bool { return strings.HasPrefix(t, p) })
		}
	}
	switch {
	case has(prefix("NETWORK_", "PAGE_BEACON")):
		return "network"
	case has(prefix("PROCESS_COMMAND_EXECUTION", "PROCESS_START_SHELL", "PROCESS_FILE_EXECUTION", "PROCESS_WORKER", "SHELL_")):
		return "process"
	case has(prefix("CODE_GENERATION", "FOREIGN_RUNTIME")):
		return "code"
	case has(prefix("API_HOOK", "MODULE_HOOK", "CLIENT_HOOK", "INPUT_CAPTURE", "PROPAGATE")):
		return "hook"
	case has(prefix("ENV_", "FILE_READ_", "BROWSER_COOKIE", "BROWSER_STORAGE", "WALLET", "CLOUD_IDENTITY")):
		return "secret"
	case has(prefix("FILE_CREATE", "FILE_MODIFY", "FILE_DELETE", "FILE_PERMISSION", "FILE_LINK")):
		return "file"
	}
	return ""
}

func (r *reader) calls() {
	sinks, flows := map[string]bool{}, map[string]bool{}
	order := map[string]*Sequence{}
	var keys []string
	for i := range r.t.Calls {
		c := &r.t.Calls[i]
		types := r.base.Types(r.t, c)
		g := group(types)
		r.groups[i] = g
		if g == "" || r.startsOwn(c) {
			continue
		}
		pos := r.t.FilePos(c.Pos)
		s := Sink{Phase: c.Phase, Group: g, API: c.API, To: short(r.destination(c, 0)), Types: types, File: r.t.File(c.Pos), Line: pos.Line}
		if k := s.key(); !sinks[k] && len(r.out.Sinks) < maxSinks {
			sinks[k] = true
			r.out.Sinks = append(r.out.Sinks, s)
		}
		for _, f := range r.given(c) {
			f.To, f.Phase, f.Group, f.Where, f.File, f.Line = c.API, c.Phase, g, s.To, s.File, s.Line
			if k := f.key(); !flows[k] && len(r.out.Flows) < maxSinks {
				flows[k] = true
				r.out.Flows = append(r.out.Flows, f)
			}
		}
		k := string(c.Phase) + "\x00" + c.Entry
		q := order[k]
		if q == nil {
			q = &Sequence{Phase: c.Phase, Entry: c.Entry}
			order[k] = q
			keys = append(keys, k)
		}
		if len(q.Calls) < maxCalls && !slices.Contains(q.Calls, c.API) {
			q.Calls = append(q.Calls, c.API)
		}
	}
	for _, k := range keys {
		r.out.Sequences = append(r.out.Sequences, *order[k])
	}
	slices.SortStableFunc(r.out.Sinks, func(a, b Sink) int { return cmp.Compare(a.key(), b.key()) })
	slices.SortStableFunc(r.out.Flows, func(a, b Flow) int { return cmp.Compare(a.key(), b.key()) })
	sorted(&r.out.Sequences, Sequence.key)
}

// startsOwn reports that a command of a script only starts a file of the package: what that does is seen by itself.
func (r *reader) startsOwn(c *callseq.Call) bool {
	if c.Origin != callseq.Shell || c.Cause != 0 || r.t.File(c.Pos) != "package.json" {
		return false
	}
	for i := range c.Args {
		text, ok := c.Args[i].Known()
		if !ok || strings.HasPrefix(text, "-") {
			continue
		}
		for _, end := range []string{"", ".js", "/index.js"} {
			if r.own.Lookup(strings.TrimPrefix(text, "./")+end) != nil {
				return true
			}
		}
		return false
	}
	return false
}

// given lists the calls whose values a call takes and which give something that a program should not hand out, or that comes from
// outside.
func (r *reader) given(c *callseq.Call) []Flow {
	var out []Flow
	add := func(v *callseq.Value) {
		for _, f := range v.AllFlows() {
			from := r.t.Lookup(f.From)
			if from == nil || from.ID == c.ID || from.ID >= callseq.ID(len(r.groups)+1) {
				continue
			}
			g := r.groups[from.ID-1]
			if g == "" && from.Kind != callseq.KindSource || g == "file" || g == "hook" {
				continue
			}
			out = append(out, Flow{From: from.API, Given: g})
		}
	}
	for i := range c.Args {
		add(&c.Args[i])
	}
	return out
}

// destination is where a call goes: by the roles of its arguments, or of those of the call that made its receiver.
func (r *reader) destination(c *callseq.Call, depth int) string {
	const unknown = "…"
	api := r.base.API(c.API)
	if strings.HasPrefix(c.API, "$shell.") {
		words := []string{strings.TrimPrefix(c.API, "$shell.")}
		for i := range c.Args {
			words = append(words, c.Args[i].Pattern(unknown))
		}
		return strings.Join(words, " ")
	}
	if api == nil {
		return ""
	}
	for _, role := range []string{"url", "host", "options", "command", "file", "path", "variable", "module"} {
		for _, a := range api.Args {
			if a.Role != role {
				continue
			}
			v := c.ArgAt(a.Path)
			if v == nil {
				continue
			}
			if v.Kind == callseq.Object {
				for _, name := range []string{"href", "url", "hostname", "host", "baseURL"} {
					if f := v.Field(name); f != nil {
						return f.Pattern(unknown)
					}
				}
				continue
			}
			if text := v.Pattern(unknown); text != unknown && text != "" {
				return text
			}
		}
	}
	if c.Recv != nil && depth < 3 {
		for _, f := range c.Recv.AllFlows() {
			if from := r.t.Lookup(f.From); from != nil && from.ID < c.ID {
				if d := r.destination(from, depth+1); d != "" {
					return d
				}
			}
		}
	}
	return ""
}

func short(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}
