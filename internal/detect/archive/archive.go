// Package archive reports what an archive does to deceive its reader.
package archive

import (
	"strings"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
)

// Detector turns the anomalies of an artifact into findings.
var Detector = &detect.Detector{
	Name:   "archive",
	Doc:    "Ordinary packages are packed by npm, which writes regular files below one folder. Links, devices, climbing paths, bombs and the like are made by hand.",
	Checks: checks,
	Run:    run,
}

var checks = []detect.Check{
	{ID: "archive/escape", Title: "a path leaves the package", Severity: report.High, Doc: "An entry whose path climbs out of the folder or starts at the root."},
	{ID: "archive/special", Title: "links or special files in the archive", Severity: report.Low, Doc: "Symbolic or hard links, devices, fifos."},
	{ID: "archive/names", Title: "deceptive file names", Severity: report.Low, Doc: "Duplicate or case-colliding paths, control or invisible characters, backslashes, headers that are oversized or say what npm's never say."},
	{ID: "archive/bomb", Title: "built to exhaust its reader", Severity: report.High, Doc: "A limit on size, ratio or number of files was hit."},
	{ID: "archive/damaged", Title: "damaged or unusual archive", Severity: report.Info, Doc: "Truncated, with data after its end or parts that readers pass over as invalid, not compressed by gzip, or with several root folders."},
}

var checkOf = map[string]string{
	artifact.Traversal: "archive/escape", artifact.AbsolutePath: "archive/escape", artifact.Link: "archive/special", artifact.Device: "archive/special",
	artifact.Duplicate: "archive/names", artifact.CaseCollision: "archive/names", artifact.BadName: "archive/names", artifact.LongHeader: "archive/names", artifact.Bomb: "archive/bomb",
	artifact.Trailing: "archive/damaged", artifact.Truncation: "archive/damaged", artifact.NotGzip: "archive/damaged", artifact.OtherRoot: "archive/damaged",
	artifact.BadHeader: "archive/damaged",
}

const maxEvidence = 20

func run(s *detect.Subject) []report.Finding {
	by := map[string][]report.Evidence{}
	for _, a := range s.Artifact.Anomalies {
		id := checkOf[a.Kind]
		if id == "" {
			id = "archive/damaged" // better said in general than lost
		}
		if len(by[id]) < maxEvidence {
			by[id] = append(by[id], report.Evidence{File: a.Path, Text: strings.TrimSpace(a.Kind + " " + a.Detail)})
		}
	}
	var out []report.Finding
	for _, c := range checks {
		if ev := by[c.ID]; len(ev) > 0 {
			out = append(out, detect.Find(checks, c.ID, ev...))
		}
	}
	return out
}
