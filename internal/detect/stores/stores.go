// Package stores counts the places of credentials that a package names. One browser's profile is a tool's business; a list of
// browsers, messengers and wallets side by side is a stealer's, even where no flow from them could be followed.
package stores

import (
	"cmp"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/report"
)

// Detector reads the string literals of all code, and of all code decoded.
var Detector = &detect.Detector{
	Name:   "stores",
	Doc:    "Collects the literals that name a browser's, messenger's or wallet's data, by the classes of knowledge/paths.yaml.",
	Checks: checks,
	Read:   read,
}

var checks = []detect.Check{
	{ID: "stores/many", Title: "names the data of many browsers, messengers and wallets", Severity: report.High, Doc: "Four or more applications' stores are named in the code."},
}

const (
	few       = 4   // applications; libraries that read one browser's cookies name its channels, not its rivals
	maxText   = 300 // of a literal, bytes
	maxListed = 12
	maxTold   = 10_000 // literals of which it is remembered whether they are wanted
)

var classes = []string{"BROWSER_DATA", "CHAT_DATA", "WALLET"}

func read(s *detect.Subject) detect.Reader {
	return &reader{s: s, found: map[string]report.Evidence{}, told: map[string]bool{}}
}

type reader struct {
	s     *detect.Subject
	found map[string]report.Evidence // by application
	told  map[string]bool            // literals that name no store
}

func (r *reader) Begin(text detect.Text) func(js.Token) {
	if r.s.PathClass == nil {
		return nil
	}
	return func(t js.Token) {
		if t.Kind != js.String && t.Kind != js.TemplatePart || len(t.Text) < 8 || len(t.Text) > maxText || !strings.ContainsAny(t.Text, `/\`) || r.told[t.Text] {
			return
		}
		path := strings.ReplaceAll(strings.Trim(t.Text, "'\"`${}"), `\\`, `\`)
		if !slices.ContainsFunc(r.s.PathClass("~/AppData/"+strings.TrimLeft(path, `/\`)), wanted) && !slices.ContainsFunc(r.s.PathClass(path), wanted) {
			if len(r.told) < maxTold {
				r.told[t.Text] = true
			}
			return
		}
		app := Application(path)
		if _, ok := r.found[app]; !ok && app != "" {
			r.found[app] = report.Evidence{File: text.File, Layer: text.Layer, Line: 1 + strings.Count(text.Src[:t.Pos], "\n"), Text: path}
		}
	}
}

func (r *reader) Findings() []report.Finding {
	if len(r.found) < few {
		return nil
	}
	var ev []report.Evidence
	for _, e := range r.found {
		ev = append(ev, e)
	}
	slices.SortFunc(ev, func(a, b report.Evidence) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	f := detect.Find(checks, "stores/many", ev[:min(len(ev), maxListed)]...)
	f.Score = float64(len(r.found))
	f.Phase = phase(r.s, ev)
	return []report.Finding{f}
}

func wanted(class string) bool { return slices.Contains(classes, class) }

// phase is the earliest in which a file that names stores runs.
func phase(s *detect.Subject, ev []report.Evidence) callseq.Phase {
	var reach js.Reach
	for _, e := range ev {
		for _, m := range s.Program.Modules {
			if m.Path == e.File {
				reach |= m.Reach
			}
		}
	}
	switch {
	case reach&js.ReachInstall != 0:
		return callseq.PhaseInstall
	case reach&js.ReachImport != 0:
		return callseq.PhaseImport
	case reach != 0:
		return callseq.PhaseBin
	}
	return callseq.PhaseUnused
}

// Application names the application whose data a path holds: the first folder that is neither the user's nor the system's, with its
// vendor, in lower case; channels of one program are one application.
func Application(path string) string {
	parts := strings.FieldsFunc(strings.ToLower(path), func(r rune) bool { return r == '/' || r == '\\' })
	for i, p := range parts {
		switch p {
		case "", "~", "users", "home", "library", "application support", ".config", ".local", "share", "appdata", "roaming", "local", "locallow", "local storage", "leveldb", "user data", "default", "c:", "..", ".":
			continue
		}
		if strings.HasSuffix(p, ":") || strings.ContainsAny(p, "${}%*") {
			continue
		}
		if (p == "google" || p == "microsoft" || p == "mozilla") && i+1 < len(parts) {
			return p + "/" + strings.Fields(parts[i+1] + " x")[0]
		}
		for _, end := range []string{"canary", "ptb", "development", " software", " beta", " nightly"} {
			p = strings.TrimSuffix(p, end)
		}
		return p
	}
	return ""
}
