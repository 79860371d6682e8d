// Package detect is the vocabulary of detectors: checks of a package's shape, which need no evaluation. Each detector is a value
// in a package of its own, with its documentation inside; package scan lists them. None leaves out what is large: how much of a
// package there is to look at is limited where it is unpacked.
package detect

import (
	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks at the shape of a package: with Run at whatever it likes, with Read at the tokens of all code. One of the two is set.
type Detector struct {
	Name   string
	Doc    string
	Checks []Check
	Run    func(*Subject) []report.Finding
	Read   func(*Subject) Reader
}

// Reader is given all code of a package, text by text: splitting it into tokens costs more than what most detectors do with them.
type Reader interface {
	// Begin starts a text. It returns what is to be called with each token, or nil if the text is of no interest.
	Begin(Text) func(js.Token)
	// Findings is called once, after the last text.
	Findings() []report.Finding
}

// Text is code: a file, or what was decoded at run time.
type Text struct {
	File  string
	Layer string // how it was decoded; empty for a file
	Src   string
	Reach js.Reach // of a file
}

// Run lets all detectors look at a package and returns their findings in the order of the list. lap is told of each that is done, and
// of the reading of code, which is done for all together.
func Run(list []*Detector, s *Subject, lap func(name string)) []report.Finding {
	readers := map[*Detector]Reader{}
	var each []Reader
	for _, d := range list {
		if d.Read != nil {
			r := d.Read(s)
			readers[d] = r
			each = append(each, r)
		}
	}
	if len(each) > 0 {
		read(each, s)
		lap("code")
	}
	var out []report.Finding
	for _, d := range list {
		if d.Read != nil {
			out = append(out, readers[d].Findings()...)
		} else {
			out = append(out, d.Run(s)...)
		}
		lap(d.Name)
	}
	return out
}

func read(readers []Reader, s *Subject) {
	var take []func(js.Token)
	one := func(t Text) {
		take = take[:0]
		for _, r := range readers {
			if f := r.Begin(t); f != nil {
				take = append(take, f)
			}
		}
		if len(take) == 0 {
			return
		}
		js.Scan(t.Src, func(t js.Token) bool {
			for _, f := range take {
				f(t)
			}
			return true
		})
	}
	for _, m := range s.Program.Modules {
		if m.Kind == js.KindCommonJS || m.Kind == js.KindESM {
			one(Text{File: m.Path, Src: m.Text(), Reach: m.Reach})
		}
	}
	if s.Trace != nil {
		for _, l := range s.Trace.Layers {
			if l.How != "" && l.Text != "" {
				one(Text{File: l.File, Layer: l.How, Src: l.Text})
			}
		}
	}
}

// Check documents one finding that a detector can make.
type Check struct {
	ID       string // detector/check
	Title    string
	Severity report.Severity
	Doc      string
}

// Subject is what a detector may look at. It changes nothing of it.
type Subject struct {
	Artifact *artifact.Artifact
	Program  *js.Program
	Trace    *callseq.Trace
	// PathClass gives the classes of a path, as the knowledge base has them.
	PathClass func(path string) []string
	// Popular is the list of popular names; nil when there is none.
	Popular *npm.Popular
}

// Find makes the finding of a check, with its evidence.
func Find(checks []Check, id string, ev ...report.Evidence) report.Finding {
	f := report.Finding{ID: id, Title: id, Confidence: report.ByShape, Evidence: ev}
	for _, c := range checks {
		if c.ID == id {
			f.Title, f.Severity = c.Title, c.Severity
		}
	}
	return f
}
