// Package report is the vocabulary of results: what a stage found (Finding), whether a stage could look at all (Outcome), and
// what follows for one package (Verdict). It holds no rule and weighs nothing; package verdict does. Everything here prints to
// JSON as docs/report.schema.json describes, in a fixed order, without clock or host name.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/donapi/donapi/internal/callseq"
)

// SchemaVersion is the version of the JSON that a Verdict prints.
const SchemaVersion = 1

// Level is the verdict. The zero value is Inconclusive: what nobody looked at is never clear.
type Level int8

const (
	Clear        Level = -1
	Inconclusive Level = 0
	Suspicious   Level = 1
	Malicious    Level = 2
)

var levelNames = map[Level]string{Clear: "clear", Inconclusive: "inconclusive", Suspicious: "suspicious", Malicious: "malicious"}

func (l Level) String() string { return levelNames[l] }

// ParseLevel reads clear, inconclusive, suspicious or malicious.
func ParseLevel(s string) (Level, error) {
	for l, n := range levelNames {
		if n == s {
			return l, nil
		}
	}
	return Inconclusive, fmt.Errorf("unknown level %q: want clear, inconclusive, suspicious or malicious", s)
}

func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l *Level) UnmarshalText(b []byte) (err error) {
	*l, err = ParseLevel(string(b))
	return err
}

// Preliminary is the paper's preliminary judgement.
type Preliminary string

const (
	Normal        Preliminary = "normal"
	SuspiciousPre Preliminary = "suspicious"
	Obfuscated    Preliminary = "obfuscated"
)

// Severity of a finding, on its own.
type Severity int8

const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

var severityNames = []string{"info", "low", "medium", "high", "critical"}

func (s Severity) String() string {
	if int(s) < 0 || int(s) >= len(severityNames) {
		return "info"
	}
	return severityNames[s]
}

// ParseSeverity reads info, low, medium, high or critical.
func ParseSeverity(s string) (Severity, error) {
	for i, n := range severityNames {
		if n == s {
			return Severity(i), nil
		}
	}
	return Info, fmt.Errorf("unknown severity %q: want info, low, medium, high or critical", s)
}

func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s *Severity) UnmarshalText(b []byte) (err error) {
	*s, err = ParseSeverity(string(b))
	return err
}

// Confidence says what a finding rests on. Flow beats sequence beats shape.
type Confidence string

const (
	ByFlow     Confidence = "flow"     // the value read is the value that leaves or runs
	BySequence Confidence = "sequence" // the calls stand in the order, no flow was shown
	ByShape    Confidence = "shape"    // how the package looks, not what it does
)

// Finding is one thing that the package did or is, with its proof.
type Finding struct {
	ID         string        `json:"id"`                 // knowledge entry or detector, as M1/env-to-network, obfuscation/string-array
	Title      string        `json:"title"`              // one line for people
	Category   string        `json:"category,omitempty"` // M1..M11, empty for observations
	Severity   Severity      `json:"severity"`
	Confidence Confidence    `json:"confidence"`
	Phase      callseq.Phase `json:"phase,omitempty"`
	Tags       []string      `json:"tags,omitempty"` // trigger (T1..T7), evasion (E1..E24), ATT&CK ids; sorted
	Evidence   []Evidence    `json:"evidence"`
	Score      float64       `json:"score,omitempty"`    // a model's or a linear score's value
	Features   []Feature     `json:"features,omitempty"` // contributions to Score
}

// Evidence is one provable step of a finding.
type Evidence struct {
	File  string       `json:"file,omitempty"`
	Line  int          `json:"line,omitempty"` // from 1
	Col   int          `json:"col,omitempty"`  // from 1
	Layer string       `json:"layer,omitempty"`
	API   string       `json:"api,omitempty"`
	Call  callseq.ID   `json:"call,omitempty"` // in the trace that `donapi sequences` prints
	Text  string       `json:"text,omitempty"` // the call as written down, the decoded code, the matching text; shortened
	Types []string     `json:"types,omitempty"`
	From  []callseq.ID `json:"from,omitempty"` // calls of this finding whose values flow into this one
	To    string       `json:"to,omitempty"`   // host that a network call talks to, as far as it is known
}

// Feature is one named number of a scored finding, with what it added.
type Feature struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Added float64 `json:"added"`
}

// Status of a stage.
type Status string

const (
	Ran     Status = "ran"
	Skipped Status = "skipped"
	Failed  Status = "failed"
	Partial Status = "partial" // ran, but a budget or a refused file left something unseen
)

// Outcome says whether a stage could look, and at what not.
type Outcome struct {
	Stage   string   `json:"stage"` // artifact, reconstruct, static, shell, detect/NAME, dynamic, metadata
	Status  Status   `json:"status"`
	Reason  string   `json:"reason,omitempty"`
	Unseen  []string `json:"unseen,omitempty"`  // files or parts it could not see, sorted, at most 50
	Reached bool     `json:"reached,omitempty"` // what was left unseen can run at install or import
	Own     bool     `json:"-"`                 // decided by a wall clock or by our own fault: never cached
}

// Coverage is what was looked at.
type Coverage struct {
	Files    int       `json:"files"`
	Bytes    int64     `json:"bytes"`
	Modules  int       `json:"modules"` // parsed JavaScript modules
	Entries  int       `json:"entries"`
	Calls    int       `json:"calls"` // recorded API calls
	Layers   int       `json:"layers"`
	Outcomes []Outcome `json:"outcomes"`
}

// Verdict is the result for one target.
type Verdict struct {
	SchemaVersion int         `json:"schemaVersion"`
	Target        string      `json:"target"`
	Scanner       string      `json:"scanner"`
	Knowledge     string      `json:"knowledge"`
	Error         string      `json:"error,omitempty"` // our own failure; Level is then Inconclusive
	Name          string      `json:"name"`
	Version       string      `json:"version"`
	Integrity     string      `json:"integrity"`
	Level         Level       `json:"level"`
	Why           string      `json:"why"` // one line
	Preliminary   Preliminary `json:"preliminary"`
	Categories    []string    `json:"categories"`
	Findings      []Finding   `json:"findings"`
	Features      []Feature   `json:"features,omitempty"` // the paper's 12 API-sequence features
	Coverage      Coverage    `json:"coverage"`
}

// MarshalJSON prints empty lists as [], so that a reader need not tell null from none.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	if v.Categories == nil {
		v.Categories = []string{}
	}
	if v.Findings == nil {
		v.Findings = []Finding{}
	}
	if v.Coverage.Outcomes == nil {
		v.Coverage.Outcomes = []Outcome{}
	}
	return json.Marshal(plain(v))
}

// Handler receives results as they come, in the order of the targets. Each output format is one.
type Handler interface {
	Verdict(*Verdict) error
	Close() error // the last verdict was delivered
}

// Progress receives what a person may want to see meanwhile. It never influences a result.
type Progress interface {
	Progress(target, stage string, done, total int)
}

// SortFindings orders findings: severity down, then category, ID and first evidence, so that output does not depend on stage order.
func SortFindings(fs []Finding) {
	first := func(f *Finding) Evidence {
		if len(f.Evidence) == 0 {
			return Evidence{}
		}
		return f.Evidence[0]
	}
	slices.SortStableFunc(fs, func(a, b Finding) int {
		x, y := first(&a), first(&b)
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Category, b.Category), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Phase, b.Phase), cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Col, y.Col), cmp.Compare(x.Text, y.Text))
	})
}
