// Package detect is the vocabulary of detectors: checks of a package's shape, which need no evaluation. Each detector is a value
// in a package of its own, with its documentation inside; package scan lists them.
package detect

import (
	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks at the shape of a package.
type Detector struct {
	Name   string
	Doc    string
	Checks []Check
	Run    func(*Subject) []report.Finding
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
