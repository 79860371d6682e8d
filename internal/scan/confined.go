package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/cluster"
	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report"
)

// Confined analyses each package in a child process of its own. A child that dies is replaced and the package tried once more
// without the file at which it died; a second death is evidence by itself.
type Confined struct {
	Pool      *confine.Pool
	Trace     bool   // hand the trace out too
	Paper     bool   // match the published edition too
	Profile   bool   // and the profile that versions are compared by
	Knowledge string // digest of what the children match with
	Progress  func(target, file string)
}

// job is what the child is asked: to analyse a package, or to match an analysis anew.
type job struct {
	Target  string                    `json:"target"`
	Tarball []byte                    `json:"tarball,omitempty"`
	Folder  string                    `json:"folder,omitempty"`
	Without []string                  `json:"without,omitempty"`
	Match   *Analysis                 `json:"match,omitempty"`
	Trace   bool                      `json:"trace,omitempty"`   // hand the trace out
	Merge   *reconstruct.MergeOptions `json:"merge,omitempty"`   // write the merged file instead
	Print   bool                      `json:"print,omitempty"`   // make what packages are clustered by instead
	Paper   bool                      `json:"paper,omitempty"`   // match the published edition too
	Profile bool                      `json:"profile,omitempty"` // add the profile that versions are compared by
}

// Handler is what the child does: it must run in a process started by confine.
func Handler(k *Knowledge) confine.Handler {
	return func(ctx context.Context, request []byte, note func(string)) ([]byte, error) {
		var j job
		if err := json.Unmarshal(request, &j); err != nil {
			return nil, fmt.Errorf("request: %w", err)
		}
		out := j.Match
		if out != nil {
			match(k, out)
		} else {
			a, err := read(Subject{Target: j.Target, Tarball: j.Tarball, Folder: j.Folder})
			if err != nil {
				return nil, err
			}
			if len(j.Without) > 0 {
				a = without(a, j.Without)
			}
			if j.Merge != nil {
				m, err := merge(k, a, *j.Merge)
				if err != nil {
					return nil, err
				}
				return json.Marshal(m)
			}
			if j.Print {
				return json.Marshal(cluster.Of(a))
			}
			out = analyze(ctx, k, a, note)
			if j.Profile {
				out.Profile = profile(k, a, out)
			}
		}
		if j.Paper {
			if err := matchPaper(k, out); err != nil {
				return nil, err
			}
		}
		if !j.Trace {
			out.Trace = nil
		}
		return json.Marshal(out)
	}
}

// without leaves files out.
func without(a *artifact.Artifact, paths []string) *artifact.Artifact {
	var files []artifact.File
next:
	for _, f := range a.Files {
		for _, p := range paths {
			if f.Path == p {
				continue next
			}
		}
		files = append(files, f)
	}
	return artifact.New(files, a.Anomalies, a.Integrity)
}

// Analyse runs the job, twice if need be.
func (c *Confined) Analyse(ctx context.Context, s Subject) (*Analysis, error) {
	return c.run(ctx, job{Target: s.Target, Tarball: s.Tarball, Folder: s.Folder, Trace: c.Trace, Profile: c.Profile})
}

// Match finds the behaviours anew.
func (c *Confined) Match(ctx context.Context, a *Analysis) (*Analysis, error) {
	return c.run(ctx, job{Target: a.Name, Match: a, Trace: c.Trace, Paper: c.Paper})
}

func (c *Confined) run(ctx context.Context, j job) (*Analysis, error) {
	var deaths []*confine.Died
	for try := 0; ; try++ {
		req, err := json.Marshal(j)
		if err != nil {
			return nil, err
		}
		reply, err := c.Pool.Run(ctx, req, func(file string) {
			if c.Progress != nil {
				c.Progress(j.Target, file)
			}
		})
		var died *confine.Died
		if errors.As(err, &died) {
			deaths = append(deaths, died)
			if try < 2 {
				if died.Note != "" {
					j.Without = append(j.Without, died.Note)
				}
				continue
			}
			return c.dead(deaths), nil
		}
		if err != nil {
			return nil, err
		}
		a := &Analysis{}
		if err := json.Unmarshal(reply, a); err != nil {
			return nil, fmt.Errorf("%s: answer of the confined process: %w", j.Target, err)
		}
		c.survived(a, deaths)
		return a, nil
	}
}

// checks of the pipeline itself
var checks = []detect.Check{
	{ID: "analyser/killed", Title: "kills whoever analyses it", Severity: report.Medium, Doc: "The confined process died at this file, and again in a fresh one."},
}

func (c *Confined) survived(a *Analysis, deaths []*confine.Died) {
	if len(deaths) == 0 {
		return
	}
	o := report.Outcome{Stage: "confine", Status: report.Partial, Reason: "the confined process died", Reached: true}
	for _, d := range deaths {
		o.Unseen = append(o.Unseen, d.Note+" ("+d.Reason+")")
	}
	a.Coverage.Outcomes = append(a.Coverage.Outcomes, o)
	if len(deaths) > 1 {
		a.Findings = append(a.Findings, killed(deaths))
	}
}

func killed(deaths []*confine.Died) report.Finding {
	var ev []report.Evidence
	for _, d := range deaths {
		ev = append(ev, report.Evidence{File: d.Note, Text: d.Reason})
	}
	return detect.Find(checks, "analyser/killed", ev...)
}

// dead is the analysis of a package that no process survived.
func (c *Confined) dead(deaths []*confine.Died) *Analysis {
	a := &Analysis{Trace: &callseq.Trace{}, Knowledge: c.Knowledge, Findings: []report.Finding{killed(deaths)}}
	a.Coverage.Outcomes = append(a.Coverage.Outcomes, report.Outcome{Stage: "confine", Status: report.Failed, Reason: "no process survived the analysis", Reached: true})
	return a
}
