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
	"fmt"
	"io/fs"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/shell"
	"github.com/donapi/donapi/internal/verdict"
	"github.com/donapi/donapi/knowledge"
)

// Version of the scanner. A change of what any stage finds must change it: cached outcomes are kept by it.
const Version = "0.1.0"

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
	return &Knowledge{Base: b, Shell: sh}, nil
}

// Subject is one package to be scanned: a tarball's bytes, or a folder.
type Subject struct {
	Target  string
	Tarball []byte
	Folder  string
	Notes   []report.Finding // what the way here already told, as a sha1-only integrity
}

// Scanner holds what every scan shares. It is safe for concurrent use.
type Scanner struct {
	k        *Knowledge
	analyser Analyser
	digest   string
}

// Analyser runs the stages on one package: in this process, or in a confined one.
type Analyser interface {
	Analyse(ctx context.Context, s Subject) (*Analysis, error)
}

// New makes a scanner.
func New(k *Knowledge, a Analyser) *Scanner {
	return &Scanner{k: k, analyser: a, digest: knowledge.Digest()}
}

// Scan judges one package. An error means that the scanner itself failed; whatever the package did is in the verdict.
func (s *Scanner) Scan(ctx context.Context, sub Subject) (*report.Verdict, error) {
	a, err := s.analyser.Analyse(ctx, sub)
	if err != nil {
		return nil, err
	}
	v := s.judge(a, sub)
	return v, nil
}

// Failed is the verdict of a target that could not be scanned.
func (s *Scanner) Failed(target string, err error) *report.Verdict {
	return &report.Verdict{SchemaVersion: report.SchemaVersion, Target: target, Scanner: "donapi " + Version, Knowledge: s.digest, Error: err.Error(), Level: report.Inconclusive, Why: "not scanned", Preliminary: report.Normal}
}

func (s *Scanner) judge(a *Analysis, sub Subject) *report.Verdict {
	fs := append([]report.Finding(nil), a.Findings...)
	fs = append(fs, sub.Notes...)
	fs = append(fs, s.k.Base.Match(a.Trace, behavior.Subject{Name: a.Name, Hosts: a.Hosts})...)
	report.SortFindings(fs)
	r := verdict.Judge(verdict.Input{Findings: fs, Coverage: a.Coverage, Trace: a.Trace, Types: func(c *callseq.Call) []string { return s.k.Base.Types(a.Trace, c) }})
	return &report.Verdict{SchemaVersion: report.SchemaVersion, Target: sub.Target, Scanner: "donapi " + Version, Knowledge: s.digest, Name: a.Name, Version: a.Version, Integrity: a.Integrity,
		Level: r.Level, Why: r.Why, Preliminary: r.Preliminary, Categories: r.Categories, Findings: fs, Features: r.Features, Coverage: a.Coverage}
}

// InProcess analyses in the present process.
type InProcess struct{ K *Knowledge }

// Analyse reads the package and runs the stages.
func (p InProcess) Analyse(ctx context.Context, s Subject) (*Analysis, error) {
	return p.analyse(ctx, s, func(string) {})
}

func (p InProcess) analyse(ctx context.Context, s Subject, note func(string)) (*Analysis, error) {
	a, err := read(s)
	if err != nil {
		return nil, err
	}
	return analyze(ctx, p.K, a, note), nil
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
