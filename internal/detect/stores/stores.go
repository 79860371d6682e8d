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
	Run:    run,
}

var checks = []detect.Check{
	{ID: "stores/many", Title: "names the data of many browsers, messengers and wallets", Severity: report.High, Doc: "Four or more applications' stores are named in the code."},
}

const (
	few       = 4 // applications; libraries that read one browser's cookies name its channels, not its rivals
	maxFile   = 4 << 20
	maxText   = 300 // of a literal, bytes
	maxListed = 12
)

var classes = []string{"BROWSER_DATA", "CHAT_DATA", "WALLET"}

func run(s *detect.Subject) []report.Finding {
	if s.PathClass == nil {
		return nil
	}
	found := map[string]report.Evidence{} // by application
	look := func(file, layer, src string) {
		if len(src) > maxFile {
			return
		}
		js.Scan(src, func(t js.Token) bool {
			if t.Kind != js.String && t.Kind != js.TemplatePart || len(t.Text) < 8 || len(t.Text) > maxText || !strings.ContainsAny(t.Text, `/\`) {
				return true
			}
			text := strings.ReplaceAll(strings.Trim(t.Text, "'\"`${}"), `\\`, `\`)
			if !slices.ContainsFunc(s.PathClass("~/AppData/"+strings.TrimLeft(text, `/\`)), wanted) && !slices.ContainsFunc(s.PathClass(text), wanted) {
				return true
			}
			app := Application(text)
			if _, ok := found[app]; !ok && app != "" {
				found[app] = report.Evidence{File: file, Layer: layer, Line: 1 + strings.Count(src[:t.Pos], "\n"), Text: text}
			}
			return true
		})
	}
	for _, m := range s.Program.Modules {
		if m.Kind == js.KindCommonJS || m.Kind == js.KindESM {
			look(m.Path, "", m.Text())
		}
	}
	if s.Trace != nil {
		for _, l := range s.Trace.Layers {
			if l.How != "" && l.Text != "" {
				look(l.File, l.How, l.Text)
			}
		}
	}
	if len(found) < few {
		return nil
	}
	var ev []report.Evidence
	for _, e := range found {
		ev = append(ev, e)
	}
	slices.SortFunc(ev, func(a, b report.Evidence) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	f := detect.Find(checks, "stores/many", ev[:min(len(ev), maxListed)]...)
	f.Score = float64(len(found))
	f.Phase = phase(s, ev)
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
