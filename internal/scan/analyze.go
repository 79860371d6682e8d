package scan

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/detect/diff"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/shell"
	"github.com/donapi/donapi/internal/static"
	"github.com/donapi/donapi/internal/verdict"
)

// Analysis is everything the stages found out about one package, before it is judged. It prints to JSON, so that a confined child
// can hand it to its parent and a cache can keep it. Matched and Features follow from the rest and the knowledge named.
type Analysis struct {
	Name      string           `json:"name"`
	Version   string           `json:"version"`
	Integrity string           `json:"integrity"`
	Hosts     []string         `json:"hosts,omitempty"`
	Declared  npm.Declared     `json:"declared"`        // of the tarball's manifest
	Trace     *callseq.Trace   `json:"trace,omitempty"` // nil where nobody asked for it
	Findings  []report.Finding `json:"findings"`        // of the detectors
	Coverage  report.Coverage  `json:"coverage"`
	Knowledge string           `json:"knowledge"`       // whose behaviours were matched
	Matched   []report.Finding `json:"matched"`         // behaviours
	Features  []report.Feature `json:"features"`        // the paper's 12
	Paper     []report.Finding `json:"paper,omitempty"` // sequences of the published edition, where asked for
	Costs     []Cost           `json:"costs,omitempty"`
	Profile   *diff.Profile    `json:"profile,omitempty"` // nil where nobody asked for it
}

// Knowledge is what the stages need of the knowledge base, loaded once.
type Knowledge struct {
	Base    *behavior.Base
	Shell   *shell.Reader
	Popular *npm.Popular // names that many packages depend on
	Digest  string

	published func() (*behavior.Edition, error)
}

// Published is the edition of the paper's authors, read when it is first asked for.
func (k *Knowledge) Published() (*behavior.Edition, error) { return k.published() }

// matchPaper finds the sequences of the published edition.
func matchPaper(k *Knowledge, a *Analysis) error {
	e, err := k.Published()
	if err != nil {
		return err
	}
	a.Paper = e.Match(a.Trace)
	return nil
}

// match finds the behaviours in the trace.
func match(k *Knowledge, a *Analysis) {
	a.Matched = k.Base.Match(a.Trace, behavior.Subject{Name: a.Name, Hosts: a.Hosts})
	a.Features = verdict.Features(a.Trace, func(c *callseq.Call) []string { return k.Base.Types(a.Trace, c) })
	a.Knowledge = k.Digest
}

// analyze runs every stage over one artifact.
func analyze(ctx context.Context, k *Knowledge, a *artifact.Artifact, note func(string)) *Analysis {
	m := a.Manifest
	out := &Analysis{Name: m.Name, Version: m.Version, Integrity: a.Integrity, Hosts: m.Hosts(), Declared: m.Declared(), Trace: &callseq.Trace{}}
	cov := &out.Coverage
	cov.Files = len(a.Files)
	for i := range a.Files {
		cov.Bytes += int64(len(a.Files[i].Data))
	}
	cov.Outcomes = append(cov.Outcomes, artifactOutcome(a))
	note("package.json")
	cost := newMeter()
	p := reconstruct.Build(a, reconstruct.Options{Commands: k.Shell.Commands})
	cov.Entries = len(p.Entries)
	cov.Outcomes = append(cov.Outcomes, reconstructOutcome(p))

	s := &stages{k: k, a: a, p: p, out: out, note: note, shell: report.Outcome{Stage: "shell", Status: report.Ran}}
	cost.lap("reconstruct")
	s.scripts()
	cost.lap("shell")
	s.evaluate(ctx, p)
	cost.lap("static")
	s.commands(ctx) // and the code that commands carry
	cost.lap("shell")
	cov.Outcomes = append(cov.Outcomes, s.static, s.shell)
	out.Findings = append(out.Findings, madeHosts(k, out)...)
	input := &Input{Artifact: a, Program: p, Trace: out.Trace, PathClass: k.Base.PathClass, Popular: k.Popular}
	out.Findings = append(out.Findings, detect.Run(detectors, input, func(name string) { cost.lap("detect/" + name) })...)
	for _, d := range detectors {
		cov.Outcomes = append(cov.Outcomes, report.Outcome{Stage: "detect/" + d.Name, Status: report.Ran})
	}
	for _, mod := range p.Modules {
		if mod.Kind == js.KindCommonJS || mod.Kind == js.KindESM {
			cov.Modules++
		}
	}
	cov.Calls, cov.Layers = len(out.Trace.Calls), len(out.Trace.Layers)
	match(k, out)
	cost.lap("match")
	out.Costs = cost.costs
	return out
}

func artifactOutcome(a *artifact.Artifact) report.Outcome {
	o := report.Outcome{Stage: "artifact", Status: report.Ran}
	if a.Truncated {
		o.Status, o.Reason, o.Reached = report.Partial, "the archive could not be read to its end", true
	}
	return o
}

// reconstructOutcome names the files that did not parse and can run.
func reconstructOutcome(p *js.Program) report.Outcome {
	o := report.Outcome{Stage: "reconstruct", Status: report.Ran}
	for _, m := range p.Modules {
		if m.Reach == 0 || m.Kind != js.KindCommonJS && m.Kind != js.KindESM {
			continue
		}
		_, err := m.Unit()
		if err == nil {
			continue
		}
		if _, refused := err.(*js.Refusal); refused {
			o.Reached = o.Reached || m.Reach&(js.ReachInstall|js.ReachImport) != 0
		}
		o.Status, o.Reason = report.Partial, "some files did not parse"
		if len(o.Unseen) < 50 {
			o.Unseen = append(o.Unseen, err.Error())
		}
	}
	slices.Sort(o.Unseen)
	return o
}

// stages holds what the stages of one analysis hand to each other.
type stages struct {
	k       *Knowledge
	a       *artifact.Artifact
	p       *js.Program
	out     *Analysis
	note    func(string)
	static  report.Outcome
	shell   report.Outcome
	inline  []js.Entry // code and files that commands and calls start, not yet evaluated
	started []string
	read    map[string]bool
}

// shellRead adds the outcome of one text to that of the stage.
func (s *stages) shellRead(o report.Outcome) {
	if o.Status == report.Ran {
		return
	}
	s.shell.Status, s.shell.Reached = o.Status, s.shell.Reached || o.Reached
	if s.shell.Reason == "" {
		s.shell.Reason = o.Reason
	}
	if s.shell.Unseen = append(s.shell.Unseen, o.Unseen...); len(s.shell.Unseen) > 50 {
		s.shell.Unseen = s.shell.Unseen[:50]
	}
}

// scripts reads the command lines of lifecycle scripts and the shell files that they start.
func (s *stages) scripts() {
	raw := s.a.Manifest.Raw
	for _, e := range s.p.Entries {
		src := shell.Source{Phase: callseq.Phase(e.Phase), Entry: e.Name, File: "package.json", How: "script"}
		switch {
		case e.Kind == js.EntryCommand:
			if e.Phase != string(callseq.PhaseInstall) && !e.Implied {
				continue
			}
			src.Text = callseq.Value{Kind: callseq.String, Text: e.Command}
			s.command(src, lineOf(raw, e.Name))
		case e.Path != "" && e.Lang != "" && e.Lang != "js" && e.Lang != "binary":
			f := s.a.Lookup(e.Path)
			if f == nil {
				continue
			}
			s.note(e.Path)
			src.Text = callseq.Value{Kind: callseq.String, Text: string(f.Data)}
			src.Lang, src.File, src.How = e.Lang, e.Path, "file"
			s.command(src, 1)
		}
	}
}

func lineOf(raw []byte, entry string) int {
	_, name, _ := strings.Cut(entry, "scripts.")
	i := bytes.Index(raw, []byte(`"`+name+`"`))
	if i < 0 {
		return 1
	}
	return 1 + bytes.Count(raw[:i], []byte("\n"))
}

// command reads one text and adds its calls. JavaScript that it carries is kept for the evaluator.
func (s *stages) command(src shell.Source, line int) {
	t, codes, outcome := s.k.Shell.Read(src)
	s.shellRead(outcome)
	for i := range t.Calls { // a command line stands in one line of the manifest, a file has lines of its own
		if p := &t.Calls[i].Pos; p.Layer == 0 && src.How == "script" {
			*p = callseq.Pos{Line: line, Col: 1}
		}
	}
	off := s.out.Trace.Append(t)
	for _, c := range codes {
		s.code(c, off+c.By, src)
	}
}

func (s *stages) code(c shell.Code, by callseq.ID, src shell.Source) {
	if c.Lang != "js" || len(s.inline) >= 50 {
		return
	}
	name := fmt.Sprintf("%s (inline %d)", src.File, len(s.inline)+1)
	m := js.NewModule(name, js.KindCommonJS, []byte(c.Text), func(m *js.Module) (*js.Unit, error) {
		return js.Parse(m.Path, m.Text(), js.Options{})
	})
	s.inline = append(s.inline, js.Entry{Name: src.Entry, Kind: js.EntryScript, Phase: string(src.Phase), Module: m})
}

// file is the content of a file of the package.
func (s *stages) file(path string) ([]byte, bool) {
	if f := s.a.Lookup(path); f != nil {
		return f.Data, true
	}
	return nil, false
}

// evaluate runs the abstract evaluator over a program and the inline code met so far.
func (s *stages) evaluate(ctx context.Context, p *js.Program) {
	q := *p
	q.Entries = append(slices.Clone(s.inline), p.Entries...)
	s.inline = nil
	env := map[string]string{"npm_package_name": s.a.Manifest.Name, "npm_package_version": s.a.Manifest.Version}
	res := static.Run(ctx, &q, s.k.Base, static.Options{Name: s.a.Manifest.Name, Env: env, Progress: s.note, Files: s.file})
	s.out.Trace.Append(res.Trace)
	if s.static.Stage == "" {
		s.static = res.Outcome
	} else if res.Outcome.Status != report.Ran {
		s.static.Status, s.static.Reason = res.Outcome.Status, res.Outcome.Reason
		s.static.Unseen = append(s.static.Unseen, res.Outcome.Unseen...)
		s.static.Reached = s.static.Reached || res.Outcome.Reached
	}
}

const maxRounds = 3 // of commands in code in commands

// commands reads the command lines that the code hands to a shell, and evaluates the code that these carry, until nothing new turns up.
func (s *stages) commands(ctx context.Context) {
	s.read = map[string]bool{}
	from := 0
	for round := 0; round < maxRounds; round++ {
		n := len(s.out.Trace.Calls)
		for i := from; i < n; i++ {
			s.commandOf(&s.out.Trace.Calls[i])
		}
		for i := from; i < len(s.out.Trace.Calls); i++ {
			s.startedBy(&s.out.Trace.Calls[i])
		}
		from = n
		if len(s.inline) > 0 {
			s.evaluate(ctx, &js.Program{Resolver: s.p.Resolver})
		}
		if len(s.out.Trace.Calls) == n {
			return
		}
	}
}

// commandOf reads the command line of one call, if it has one.
func (s *stages) commandOf(c *callseq.Call) {
	if c.Origin == callseq.Shell {
		return
	}
	api := s.k.Base.API(c.API)
	if api == nil {
		return
	}
	var texts []callseq.Value
	if p := api.Role("file"); p != "" && inShell(c) {
		if v := c.ArgAt(p); v != nil {
			texts = append(texts, commandText(v, c.ArgAt(api.Role("argv"))))
		}
	} else if p := api.Role("command"); p != "" {
		if v := c.ArgAt(p); v != nil {
			texts = append(texts, *v)
			texts = append(texts, v.Alts...)
		}
	} else if p := api.Role("file"); p != "" && strings.Contains(strings.Join(s.k.Base.Types(s.out.Trace, c), " "), "PROCESS_") {
		if v := c.ArgAt(p); v != nil {
			texts = append(texts, argvText(v, c.ArgAt(api.Role("argv"))))
		}
	}
	for _, v := range texts {
		if v.Kind != callseq.String && len(v.Parts) == 0 {
			continue
		}
		key := fmt.Sprintf("%s|%s|%s", c.Phase, v.Pattern("\u2026"), c.Entry)
		if s.read[key] || len(s.read) > 500 {
			continue
		}
		s.read[key] = true
		src := shell.Source{Text: negate(v), Phase: c.Phase, Entry: c.Entry, File: s.out.Trace.File(c.Pos), How: "shell", By: c.ID, Files: s.file}
		t, codes, outcome := s.k.Shell.Read(src)
		s.shellRead(outcome)
		for i := range t.Calls {
			if t.Calls[i].Cause == 0 {
				t.Calls[i].Cause = -c.ID
			}
			t.Calls[i].Pos = callseq.Pos{Line: c.Pos.Line, Col: c.Pos.Col, Offset: c.Pos.Offset}
		}
		cc, layer := *c, c.Pos.Layer
		off := s.out.Trace.Append(t)
		for i := int(off); i < len(s.out.Trace.Calls); i++ { // the commands stand where their call stands
			s.out.Trace.Calls[i].Pos.Layer = layer
			s.out.Trace.Calls[i].Guards = slices.Concat(cc.Guards, s.out.Trace.Calls[i].Guards)
		}
		for _, code := range codes {
			s.code(code, off+code.By, src)
		}
	}
}

// inShell reports that a call hands its text to a shell because its options say so.
func inShell(c *callseq.Call) bool {
	for _, p := range []string{"1.shell", "2.shell"} {
		if v := c.ArgAt(p); v != nil && v.Kind != callseq.Undefined && v.Kind != callseq.Null && v.Text != "false" && (v.Text != "" || v.Kind == callseq.Unknown) {
			return true
		}
	}
	return false
}

// commandText joins a command line and further words, as a shell gets them: unquoted.
func commandText(file, argv *callseq.Value) callseq.Value {
	out := *file
	if argv == nil || argv.Kind != callseq.Array || len(argv.Fields) == 0 {
		return out
	}
	words := callseq.Value{Kind: callseq.Array, Fields: argv.Fields}
	return joinWords(file, &words, func(t string) string { return t })
}

// argvText writes a program and its arguments as one command line, each argument quoted.
func argvText(file, argv *callseq.Value) callseq.Value {
	return joinWords(file, argv, func(t string) string {
		if strings.ContainsAny(t, " \t\n\"$`\\;|&<>()*?") {
			return "'" + strings.ReplaceAll(t, "'", `'\''`) + "'"
		}
		return t
	})
}

func joinWords(file, argv *callseq.Value, quote func(string) string) callseq.Value {
	out := callseq.Value{Kind: callseq.String}
	add := func(v *callseq.Value) {
		if len(v.Parts) > 0 {
			out.Parts = append(out.Parts, v.Parts...)
			return
		}
		if v.Source == "process.execPath" || v.Source == "process.argv.0" || v.Source == "process.argv0" {
			out.Parts = append(out.Parts, callseq.Part{Lit: "node", Flows: v.Flows})
			return
		}
		if v.Kind == callseq.Unknown || v.Text == "" && v.Source != "" {
			out.Parts = append(out.Parts, callseq.Part{Hole: true, Source: v.Source, Flows: v.Flows})
			return
		}
		out.Parts = append(out.Parts, callseq.Part{Lit: quote(v.Text), Flows: v.Flows})
	}
	add(file)
	if argv != nil && argv.Kind == callseq.Array {
		for i := range argv.Fields {
			out.Parts = append(out.Parts, callseq.Part{Lit: " "})
			add(&argv.Fields[i].Value)
		}
	}
	return out
}

// negate marks the flows of a value as those of the trace that the commands are appended to.
func negate(v callseq.Value) callseq.Value {
	neg := func(fl []callseq.Flow) []callseq.Flow {
		out := make([]callseq.Flow, len(fl))
		for i, f := range fl {
			f.From = -f.From
			out[i] = f
		}
		return out
	}
	v.Flows = neg(v.Flows)
	parts := make([]callseq.Part, len(v.Parts))
	for i, p := range v.Parts {
		p.Flows = neg(p.Flows)
		parts[i] = p
	}
	v.Parts = parts
	v.Alts = nil
	if len(parts) == 0 && len(v.Flows) > 0 && v.Text != "" { // known text with an origin
		v.Parts = []callseq.Part{{Lit: v.Text, Flows: v.Flows}}
	}
	if len(v.Parts) == 0 {
		v.Parts = nil
	}
	return v
}
