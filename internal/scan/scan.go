// Package scan is the pipeline, on one page: a package goes in, a verdict comes out.
//
//	target -> artifact -> program -> sequences -> findings -> verdict
//
// Everything that touches hostile input runs in a confined child process (package confine) that is given one package at a time; the
// parent only fetches, judges and reports. A child that dies costs its package one file; when it dies again in a fresh process, that
// is itself evidence. Errors are ours; what a package does is a finding; what a stage could not see is an outcome.
package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/detect/publication"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/shell"
	"github.com/donapi/donapi/internal/verdict"
	"github.com/donapi/donapi/knowledge"
)

// Version of the scanner. A change of what any stage finds must change it: cached outcomes are kept by it.
const Version = "0.2.3"

// LoadKnowledge reads the knowledge base from its files.
func LoadKnowledge(fsys fs.FS) (*Knowledge, error) {
	b, err := behavior.Load(fsys)
	if err != nil {
		return nil, err
	}
	sh, err := shell.Load(fsys, b)
	if err != nil {
		return nil, err
	}
	popular, err := popularNames(fsys)
	if err != nil {
		return nil, err
	}
	published := sync.OnceValues(func() (*behavior.Edition, error) { return behavior.LoadEdition(fsys, b) })
	return &Knowledge{Base: b, Shell: sh, Popular: popular, Digest: knowledge.Digest(fsys), published: published}, nil
}

// popularNames reads the list of popular names. Knowledge without one compares no names.
func popularNames(fsys fs.FS) (*npm.Popular, error) {
	const file = "names/popular.txt"
	data, err := fs.ReadFile(fsys, file)
	if errors.Is(err, fs.ErrNotExist) {
		return &npm.Popular{}, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := npm.ParsePopular(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// Subject is one package to be scanned: a tarball's bytes, or a folder.
type Subject struct {
	Target  string
	Tarball []byte
	Folder  string
	Notes   []report.Finding // what the way here already told, as a sha1-only integrity

	History  *npm.Packument   // the registry's document of the package; nil when there is none
	Release  string           // the version there
	Outcomes []report.Outcome // of stages that ran on the way here
}

// Scanner holds what every scan shares. It is safe for concurrent use.
type Scanner struct {
	k        *Knowledge
	analyser Analyser
	paper    bool
}

// Classifiers that can judge: our own rules on the corrected knowledge, and the paper's on the published.
const (
	Corrected = "corrected"
	Paper     = "paper"
)

// WithClassifier is the scanner with another classifier. For the paper's the analyser must have been told to match its edition.
func (s *Scanner) WithClassifier(name string) *Scanner {
	t := *s
	t.paper = name == Paper
	return &t
}

// Analyser runs the stages on one package, and finds behaviours anew in an analysis that was made with other knowledge: in this
// process, or in a confined one.
type Analyser interface {
	Analyse(ctx context.Context, s Subject) (*Analysis, error)
	Match(ctx context.Context, a *Analysis) (*Analysis, error)
}

// New makes a scanner.
func New(k *Knowledge, a Analyser) *Scanner { return &Scanner{k: k, analyser: a} }

// Scan judges one package. An error means that the scanner itself failed; whatever the package did is in the verdict.
func (s *Scanner) Scan(ctx context.Context, sub Subject) (*report.Verdict, error) {
	a, err := s.Analyse(ctx, sub)
	if err != nil {
		return nil, err
	}
	return s.Judge(a, sub), nil
}

// Analyse runs the stages only.
func (s *Scanner) Analyse(ctx context.Context, sub Subject) (*Analysis, error) {
	a, err := s.analyser.Analyse(ctx, sub)
	if err != nil || a.Knowledge == s.k.Digest && (!s.paper || a.Paper != nil) {
		return a, err
	}
	return s.analyser.Match(ctx, a)
}

// Failed is the verdict of a target that could not be scanned.
func (s *Scanner) Failed(target string, err error) *report.Verdict {
	return &report.Verdict{SchemaVersion: report.SchemaVersion, Target: target, Scanner: "donapi " + Version, Knowledge: s.k.Digest, Error: err.Error(), Level: report.Inconclusive, Why: "not scanned", Preliminary: report.Normal}
}

// Judge makes the verdict of an analysis. It reads findings, never the trace: whatever an attacker could make large or deep stays in
// the process that ran the stages.
func (s *Scanner) Judge(a *Analysis, sub Subject) *report.Verdict {
	matched, judge := a.Matched, verdict.Judge
	if s.paper {
		matched, judge = a.Paper, verdict.JudgeAsPaper
	}
	fs := slices.Concat(a.Findings, sub.Notes, published(a, sub), matched)
	report.SortFindings(fs)
	cov := a.Coverage
	cov.Outcomes = slices.Concat(cov.Outcomes, sub.Outcomes)
	r := judge(verdict.Input{Findings: fs, Coverage: cov, Features: a.Features})
	return &report.Verdict{SchemaVersion: report.SchemaVersion, Target: sub.Target, Scanner: "donapi " + Version, Knowledge: s.k.Digest, Name: a.Name, Version: a.Version, Integrity: a.Integrity,
		Level: r.Level, Why: r.Why, Preliminary: r.Preliminary, Categories: r.Categories, Findings: fs, Features: a.Features, Coverage: cov}
}

// published tells what the registry's document says of the version, and whether the tarball says the same.
func published(a *Analysis, sub Subject) []report.Finding {
	if sub.History == nil {
		return nil
	}
	out := publication.Read(sub.History, sub.Release)
	if v, ok := sub.History.Versions[sub.Release]; ok && a.Name != "" {
		out = append(out, publication.Compare(npm.ParseManifest(v.Raw).Declared(), a.Declared)...)
	}
	return out
}

// InProcess analyses in the present process.
type InProcess struct {
	K       *Knowledge
	Paper   bool // match the published edition too
	Profile bool // add the profile that versions are compared by
}

// Analyse reads the package and runs the stages.
func (p InProcess) Analyse(ctx context.Context, s Subject) (*Analysis, error) {
	a, err := read(s)
	if err != nil {
		return nil, err
	}
	out := analyze(ctx, p.K, a, func(string) {})
	if p.Profile {
		out.Profile = profile(p.K, a, out)
	}
	if p.Paper {
		err = matchPaper(p.K, out)
	}
	return out, err
}

// Match finds the behaviours anew.
func (p InProcess) Match(_ context.Context, a *Analysis) (*Analysis, error) {
	b := *a
	match(p.K, &b)
	if p.Paper {
		return &b, matchPaper(p.K, &b)
	}
	return &b, nil
}

func read(s Subject) (*artifact.Artifact, error) {
	if s.Folder != "" {
		a, err := artifact.FromFolder(s.Folder, artifact.Limits{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Target, err)
		}
		return a, nil
	}
	a, err := artifact.FromTarball(bytes.NewReader(s.Tarball), artifact.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Target, err)
	}
	return a, nil
}
