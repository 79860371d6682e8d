package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
)

// Judged is one sample with its verdict.
type Judged struct {
	Sample  Sample
	Level   report.Level
	Verdict *report.Verdict // nil in the rows of an ablation

	analysis *scan.Analysis
	subject  scan.Subject
	took     time.Duration
}

// Options of a run.
type Options struct {
	Load     func(Sample) (scan.Subject, error)
	Jobs     int      // packages at the same time, at least 1
	Without  []string // groups of stages (scan.Groups) that are left out throughout
	Stages   bool     // judge each package with each group alone and without it too
	Progress func(name string)
}

// Report is the outcome of a run.
type Report struct {
	Scanner    string   `json:"scanner"`
	Knowledge  string   `json:"knowledge"`
	Without    []string `json:"without,omitempty"`
	All        Row      `json:"all"`
	Parts      []Row    `json:"parts"`              // tune and check of the nested split
	Stages     []Row    `json:"stages,omitempty"`   // each group of stages alone, then everything without it
	Categories []Row    `json:"categories"`         // packages with a finding of the category that carried the verdict
	Sizes      []Row    `json:"sizes"`              // by bytes unpacked
	Variants   []Held   `json:"variants,omitempty"` // whether flagged samples keep their verdict when written differently
	Costs      []Cost   `json:"costs"`
	Errors     []Error  `json:"errors"`
}

// Row is one line of a table of scores.
type Row struct {
	Name string `json:"name"`
	Score
	Recall            Interval `json:"recall"`
	NamedRecall       Interval `json:"namedRecall"`
	ClusterRecall     Interval `json:"clusterRecall"`
	Precision         Interval `json:"precision"`
	F1                float64  `json:"f1"`
	AlarmsPerThousand float64  `json:"alarmsPerThousand"`
}

// Cost of one stage over all packages.
type Cost struct {
	Stage     string        `json:"stage"`
	Time      time.Duration `json:"time"`      // nanoseconds
	Longest   time.Duration `json:"longest"`   // of one package
	Slowest   string        `json:"slowest"`   // that package
	Allocated uint64        `json:"allocated"` // bytes
}

// Error is a package whose verdict contradicts its label.
type Error struct {
	Kind     string           `json:"kind"` // missed, unseen, false malicious, false suspicious, false inconclusive, failed
	Name     string           `json:"name"`
	Cluster  string           `json:"cluster"`
	Part     Part             `json:"part"`
	Level    report.Level     `json:"level"`
	Why      string           `json:"why"`
	Findings []report.Finding `json:"findings,omitempty"`
}

// Run scans every sample and scores the verdicts. An error means that the run was broken off.
func Run(ctx context.Context, s *scan.Scanner, samples []Sample, opt Options) (*Report, []Judged, error) {
	out := make([]Judged, len(samples))
	slots := make(chan struct{}, max(1, opt.Jobs))
	var wg sync.WaitGroup
	for i, sample := range samples {
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			out[i] = judge(ctx, s, sample, opt)
			if opt.Progress != nil {
				opt.Progress(sample.Name)
			}
		}()
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	return summarise(s, out, opt), out, nil
}

func judge(ctx context.Context, s *scan.Scanner, sample Sample, opt Options) Judged {
	j := Judged{Sample: sample}
	sub, err := opt.Load(sample)
	if err == nil {
		start := time.Now()
		j.analysis, err = s.Analyse(ctx, sub)
		j.took = time.Since(start)
	}
	if err != nil {
		j.Verdict = s.Failed(sample.Name, err)
		return j
	}
	sub.Tarball = nil
	j.subject = sub
	a := j.analysis
	if len(opt.Without) > 0 {
		a = s.Without(a, opt.Without...)
	}
	j.Verdict = s.Judge(a, sub)
	j.Level = j.Verdict.Level
	return j
}

func row(name string, rs []Judged) Row {
	s := tally(rs)
	return Row{Name: name, Score: s, Recall: s.Recall(), NamedRecall: s.NamedRecall(), ClusterRecall: s.ClusterRecall(), Precision: s.Precision(), F1: s.F1(), AlarmsPerThousand: s.AlarmsPerThousand()}
}

func filter(rs []Judged, keep func(*Judged) bool) []Judged {
	var out []Judged
	for i := range rs {
		if keep(&rs[i]) {
			out = append(out, rs[i])
		}
	}
	return out
}

// sizes are the upper bounds of the size classes, bytes unpacked.
var sizes = []struct {
	name  string
	bound int64
}{{"under 10 kB", 10e3}, {"10 to 100 kB", 100e3}, {"100 kB to 1 MB", 1e6}, {"over 1 MB", 1 << 62}}

func summarise(s *scan.Scanner, rs []Judged, opt Options) *Report {
	r := &Report{Without: opt.Without, All: row("all", rs)}
	if len(rs) > 0 {
		r.Scanner, r.Knowledge = rs[0].Verdict.Scanner, rs[0].Verdict.Knowledge
	}
	for _, p := range []Part{Tune, Check} {
		r.Parts = append(r.Parts, row(string(p), filter(rs, func(j *Judged) bool { return j.Sample.Part() == p })))
	}
	if opt.Stages {
		r.Stages = ablations(s, rs)
	}
	categories := map[string]bool{}
	for _, j := range rs {
		for _, c := range j.Verdict.Categories {
			categories[c] = true
		}
	}
	for _, c := range sortedCategories(categories) {
		r.Categories = append(r.Categories, row(c, filter(rs, func(j *Judged) bool { return slices.Contains(j.Verdict.Categories, c) })))
	}
	low := int64(-1)
	for _, z := range sizes {
		r.Sizes = append(r.Sizes, row(z.name, filter(rs, func(j *Judged) bool {
			return j.Verdict.Coverage.Bytes > low && j.Verdict.Coverage.Bytes <= z.bound
		})))
		low = z.bound
	}
	r.Costs = costs(rs)
	for _, j := range rs {
		if kind := kindOf(&j); kind != "" {
			r.Errors = append(r.Errors, Error{Kind: kind, Name: j.Sample.Name, Cluster: j.Sample.Cluster, Part: j.Sample.Part(), Level: j.Level, Why: why(j.Verdict), Findings: telling(j.Verdict)})
		}
	}
	slices.SortStableFunc(r.Errors, func(a, b Error) int { return strings.Compare(a.Kind, b.Kind) })
	return r
}

// ablations judges with one group of stages alone, and with all but one.
func ablations(s *scan.Scanner, rs []Judged) []Row {
	again := func(name string, without []string) Row {
		list := make([]Judged, len(rs))
		for i, j := range rs {
			list[i] = Judged{Sample: j.Sample}
			if j.analysis != nil {
				list[i].Level = s.Judge(s.Without(j.analysis, without...), j.subject).Level
			}
		}
		return row(name, list)
	}
	var out []Row
	for _, g := range scan.Groups {
		out = append(out, again("only "+g, slices.DeleteFunc(slices.Clone(scan.Groups), func(x string) bool { return x == g })))
	}
	for _, g := range scan.Groups {
		out = append(out, again("without "+g, []string{g}))
	}
	return out
}

func sortedCategories(set map[string]bool) []string {
	var out []string
	for c := range set {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return out
}

func costs(rs []Judged) []Cost {
	var out []Cost
	add := func(stage, name string, t time.Duration, bytes uint64) {
		i := slices.IndexFunc(out, func(c Cost) bool { return c.Stage == stage })
		if i < 0 {
			out = append(out, Cost{Stage: stage})
			i = len(out) - 1
		}
		c := &out[i]
		c.Time += t
		c.Allocated += bytes
		if t > c.Longest {
			c.Longest, c.Slowest = t, name
		}
	}
	for _, j := range rs {
		if j.analysis == nil {
			continue
		}
		var sum uint64
		for _, c := range j.analysis.Costs {
			add(c.Stage, j.Sample.Name, c.Time, c.Allocated)
			sum += c.Allocated
		}
		add("all", j.Sample.Name, j.took, sum)
	}
	return out
}

func kindOf(j *Judged) string {
	switch {
	case j.Verdict.Error != "":
		return "failed"
	case j.Sample.Malicious && j.Level == report.Inconclusive:
		return "unseen"
	case j.Sample.Malicious && j.Level < report.Suspicious:
		return "missed"
	case j.Sample.Malicious || j.Level == report.Clear:
		return ""
	}
	return "false " + j.Level.String()
}

func why(v *report.Verdict) string {
	if v.Error != "" {
		return v.Error
	}
	return v.Why
}

// telling are the findings worth a look, the gravest first, at most ten.
func telling(v *report.Verdict) []report.Finding {
	var out []report.Finding
	for _, f := range v.Findings {
		if f.Severity >= report.Low && len(out) < 10 {
			out = append(out, f)
		}
	}
	return out
}

func (i Interval) String() string {
	return fmt.Sprintf("%5.1f %% (%.1f-%.1f)", 100*i.Share, 100*i.Low, 100*i.High)
}
