package diff

import (
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
)

// SchemaVersion is the version of the JSON that a Diff prints.
const SchemaVersion = 1

// Change lists what is new and what is gone. Both print as [] when there is nothing.
type Change[T any] struct {
	Added   []T `json:"added"`
	Removed []T `json:"removed"`
}

// Diff is what sets a new version apart from an old one.
type Diff struct {
	SchemaVersion int                `json:"schemaVersion"`
	Old           Side               `json:"old"`
	New           Side               `json:"new"`
	Hooks         Change[Hook]       `json:"hooks"`
	Entries       Change[Entry]      `json:"entries"`
	Dependencies  Change[Dependency] `json:"dependencies"`
	Sinks         Change[Sink]       `json:"sinks"`
	Flows         Change[Flow]       `json:"flows"`
	Sequences     Change[Sequence]   `json:"sequences"`
	Obfuscation   Change[Obfuscated] `json:"obfuscation"`
	Behaviors     Change[Behavior]   `json:"behaviors"`
	Files         Files              `json:"files"`
	Findings      []report.Finding   `json:"findings"`
}

// Side names one of the two versions. Level is its verdict.
type Side struct {
	Target    string       `json:"target"`
	Name      string       `json:"name"`
	Version   string       `json:"version"`
	Integrity string       `json:"integrity"`
	Level     report.Level `json:"level"`
	Why       string       `json:"why"`
}

// Files are the paths whose content differs.
type Files struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

func (e Entry) key() string      { return e.Name + "\x00" + e.Phase + "\x00" + e.Path }
func (d Dependency) key() string { return d.Kind + "\x00" + d.Name + "\x00" + d.Indirect }
func (s Sink) key() string {
	return string(s.Phase) + "\x00" + s.Group + "\x00" + s.API + "\x00" + s.To + "\x00" + strings.Join(s.Types, ",")
}
func (f Flow) key() string {
	return string(f.Phase) + "\x00" + f.From + "\x00" + f.To + "\x00" + f.Where
}
func (s Sequence) key() string { return string(s.Phase) + "\x00" + strings.Join(s.Calls, "\x00") }
func (b Behavior) key() string { return b.ID + "\x00" + string(b.Phase) }

func compare[T any](old, new []T, key func(T) string) Change[T] {
	c := Change[T]{Added: []T{}, Removed: []T{}}
	only := func(list, other []T) []T {
		has := map[string]bool{}
		for _, x := range other {
			has[key(x)] = true
		}
		out := []T{}
		for _, x := range list {
			if !has[key(x)] {
				out = append(out, x)
			}
		}
		return out
	}
	c.Added, c.Removed = only(new, old), only(old, new)
	return c
}

// Compare sets two versions side by side. The sides' verdicts are for the caller to fill in.
func Compare(old, new *Profile) *Diff {
	d := &Diff{
		SchemaVersion: SchemaVersion,
		Old:           Side{Name: old.Name, Version: old.Version, Integrity: old.Integrity},
		New:           Side{Name: new.Name, Version: new.Version, Integrity: new.Integrity},
		Hooks:         compare(old.Hooks, new.Hooks, func(h Hook) string { return h.Name + "\x00" + h.Command }),
		Entries:       compare(old.Entries, new.Entries, Entry.key),
		Dependencies:  compare(old.Dependencies, new.Dependencies, Dependency.key),
		Sinks:         compare(old.Sinks, new.Sinks, Sink.key),
		Flows:         compare(old.Flows, new.Flows, Flow.key),
		Sequences:     compare(old.Sequences, new.Sequences, Sequence.key),
		Obfuscation:   compare(old.Obfuscation, new.Obfuscation, func(o Obfuscated) string { return fmt.Sprintf("%s\x00%v", o.File, o.Reached) }),
		Behaviors:     compare(old.Behaviors, new.Behaviors, Behavior.key),
		Files:         Files{[]string{}, []string{}, []string{}},
	}
	for p, sum := range new.Files {
		switch was, ok := old.Files[p]; {
		case !ok:
			d.Files.Added = append(d.Files.Added, p)
		case was != sum:
			d.Files.Changed = append(d.Files.Changed, p)
		}
	}
	for p := range old.Files {
		if _, ok := new.Files[p]; !ok {
			d.Files.Removed = append(d.Files.Removed, p)
		}
	}
	slices.Sort(d.Files.Added)
	slices.Sort(d.Files.Removed)
	slices.Sort(d.Files.Changed)
	d.Findings = d.find(old)
	return d
}

// Checks are the differences that matter.
var Checks = []detect.Check{
	{ID: "diff/hook-and-sinks", Title: "a new install hook, and new calls that it makes", Severity: report.High, Doc: "The new version runs something at install that the old one did not, and what runs there reaches the network, starts programs, makes code or reads secrets as no code of the old version did. The usual shape of a hijacked release."},
	{ID: "diff/hook-added", Title: "runs something new when installed", Severity: report.Medium, Doc: "An install script or binding.gyp that the old version did not have."},
	{ID: "diff/hook-changed", Title: "runs something else when installed", Severity: report.Low, Doc: "An install script has another command than before."},
	{ID: "diff/secret-flow", Title: "a secret flows out where none did", Severity: report.High, Doc: "At install or import a value read from the environment or from a file of secrets now reaches the network, by call or command, or made code."},
	{ID: "diff/remote-code", Title: "runs what the network sends, which it did not", Severity: report.High, Doc: "At install or import a value from the network now reaches a command, made code or a program's file."},
	{ID: "diff/behavior-added", Title: "behaves as the old version did not", Severity: report.Medium, Doc: "A behaviour of the knowledge base of at least medium severity was matched in the new version only."},
	{ID: "diff/obfuscation-added", Title: "code that runs at install or import is obfuscated now", Severity: report.Medium, Doc: "A file that an entry reaches is obfuscated; the old version had no such file."},
	{ID: "diff/indirect-dependency", Title: "a new dependency does not come from the registry", Severity: report.Medium, Doc: "A URL, a repository or a path: its content is under no registry's check."},
	{ID: "diff/dependency-added", Title: "a new dependency", Severity: report.Info, Doc: "What it does is judged by scanning it."},
	{ID: "diff/unused-dependency", Title: "a new dependency that no code asks for", Severity: report.Medium, Doc: "A dependency was added and no file requires or imports it. One that is there for its own install script looks so."},
}

// evident makes the evidence of a sink.
func (s Sink) evident() report.Evidence {
	text := s.API
	if s.To != "" {
		text += " " + s.To
	}
	return report.Evidence{File: s.File, Line: s.Line, API: s.API, Text: text, Types: s.Types}
}

// hookName is the name of a hook without its command.
func hookNames(list []Hook) []string {
	var out []string
	for _, h := range list {
		out = append(out, h.Name)
	}
	return out
}

const maxEvidence = 12

func (d *Diff) find(old *Profile) []report.Finding {
	out := []report.Finding{}
	add := func(id string, phase callseq.Phase, ev ...report.Evidence) {
		if len(ev) == 0 {
			return
		}
		f := detect.Find(Checks, id, ev[:min(len(ev), maxEvidence)]...)
		f.Phase = phase
		out = append(out, f)
	}
	var added, changed []report.Evidence
	had := hookNames(old.Hooks)
	for _, h := range d.Hooks.Added {
		ev := report.Evidence{File: "package.json", Text: h.Name + ": " + h.Command}
		if slices.Contains(had, h.Name) {
			changed = append(changed, ev)
		} else {
			added = append(added, ev)
		}
	}
	if sinks := d.newSinks(old); len(added)+len(changed) > 0 && len(sinks) > 0 {
		add("diff/hook-and-sinks", callseq.PhaseInstall, append(slices.Concat(added, changed), sinks...)...)
	} else {
		add("diff/hook-added", callseq.PhaseInstall, added...)
		add("diff/hook-changed", callseq.PhaseInstall, changed...)
	}
	d.flows(add)
	var behaviors []report.Evidence
	for _, b := range d.Behaviors.Added {
		if b.Severity >= report.Medium {
			behaviors = append(behaviors, report.Evidence{Text: fmt.Sprintf("%s at %s: %s (%s)", b.ID, b.Phase, b.Title, b.Severity)})
		}
	}
	add("diff/behavior-added", "", behaviors...)
	var hidden []report.Evidence
	if !slices.ContainsFunc(old.Obfuscation, func(o Obfuscated) bool { return o.Reached }) {
		for _, o := range d.Obfuscation.Added {
			if o.Reached {
				hidden = append(hidden, report.Evidence{File: o.File, Text: o.Kind})
			}
		}
	}
	add("diff/obfuscation-added", "", hidden...)
	d.dependencies(old, add)
	report.SortFindings(out)
	return out
}

// newSinks are the grave calls at install that no code of the old version makes, in whatever phase.
func (d *Diff) newSinks(old *Profile) []report.Evidence {
	had := map[string]bool{}
	for _, s := range old.Sinks {
		if s.Phase == callseq.PhaseInstall {
			had[s.Group+"\x00"+s.API] = true
		}
	}
	var out []report.Evidence
	for _, s := range d.Sinks.Added {
		switch s.Group {
		case "network", "process", "code", "secret":
			if s.Phase == callseq.PhaseInstall && !had[s.Group+"\x00"+s.API] {
				out = append(out, s.evident())
			}
		}
	}
	return out
}

func (d *Diff) flows(add func(string, callseq.Phase, ...report.Evidence)) {
	for _, phase := range []callseq.Phase{callseq.PhaseInstall, callseq.PhaseImport} {
		var secrets, remote []report.Evidence
		for _, f := range d.Flows.Added {
			if f.Phase != phase {
				continue
			}
			ev := report.Evidence{File: f.File, Line: f.Line, API: f.To, Text: strings.TrimSpace(fmt.Sprintf("%s => %s %s", f.From, f.To, f.Where))}
			switch {
			case f.Given == "secret" && (f.Group == "network" || f.Group == "code"): // a child process gets the environment anyway
				secrets = append(secrets, ev)
			case f.Given == "network" && (f.Group == "process" || f.Group == "code"):
				remote = append(remote, ev)
			}
		}
		add("diff/secret-flow", phase, secrets...)
		add("diff/remote-code", phase, remote...)
	}
}

func (d *Diff) dependencies(old *Profile, add func(string, callseq.Phase, ...report.Evidence)) {
	known := map[string]bool{}
	for _, x := range old.Dependencies {
		known[x.Name] = true
	}
	var fresh, indirect, unused []report.Evidence
	for _, x := range d.Dependencies.Added {
		ev := report.Evidence{File: "package.json", Text: strings.TrimSpace(x.Name + " " + x.Range)}
		switch {
		case x.Indirect == "url", x.Indirect == "git", x.Indirect == "file":
			indirect = append(indirect, ev)
		case known[x.Name] || x.Kind == "peer" || x.Kind == "bundled":
		case x.Kind == "dependency" && x.Unmentioned && !strings.HasPrefix(x.Name, "@types/"):
			unused = append(unused, ev)
		default:
			fresh = append(fresh, ev)
		}
	}
	add("diff/indirect-dependency", "", indirect...)
	add("diff/unused-dependency", "", unused...)
	add("diff/dependency-added", "", fresh...)
}
