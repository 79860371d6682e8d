package scan

import (
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

const (
	madeName     = "http://c8x1q0z4v7k2j9w5r3t6.example.com/r"
	readableName = "https://downloads.example.com/r"
)

// A name that looks made by a machine counts in commands only, and not if it is the package's own. Each case has a twin with a
// readable name.
func TestMadeHosts(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	for _, c := range []struct {
		name     string
		manifest func(url string) string
		code     func(url string) string
		found    bool
		level    report.Level // with the made name; the twin's is lower if it was found
	}{
		{name: "install script", found: true, level: report.Malicious,
			manifest: func(u string) string {
				return `{"name":"a","version":"1.0.0","repository":"https://github.com/a/a","scripts":{"preinstall":"curl ` + u + `"}}`
			}},
		{name: "command in code", found: true, level: report.Suspicious,
			code: func(u string) string { return `require("child_process").exec("curl -s ` + u + `")` }},
		{name: "own host", found: false,
			manifest: func(u string) string {
				return `{"name":"a","version":"1.0.0","homepage":"` + u + `","scripts":{"preinstall":"curl ` + u + `"}}`
			}},
		{name: "not a command", found: false,
			code: func(u string) string { return `fetch("` + u + `")` }},
	} {
		t.Run(c.name, func(t *testing.T) {
			scan := func(url string) *report.Verdict {
				files := map[string]string{"package.json": `{"name":"a","version":"1.0.0"}`, "index.js": "module.exports = 1;"}
				if c.manifest != nil {
					files["package.json"] = c.manifest(url)
				}
				if c.code != nil {
					files["index.js"] = c.code(url)
				}
				v, err := s.Scan(t.Context(), folder(t, files))
				if err != nil {
					t.Fatal(err)
				}
				return v
			}
			made, twin := scan(madeName), scan(readableName)
			has := func(v *report.Verdict) bool {
				return slices.ContainsFunc(v.Findings, func(f report.Finding) bool {
					if f.ID != "shell/made-host" {
						return false
					}
					if len(f.Features) != 9 || f.Score < madeScore || len(f.Evidence) != 1 {
						t.Errorf("score %v of %d features, evidence %v", f.Score, len(f.Features), f.Evidence)
					}
					return true
				})
			}
			if has(made) != c.found {
				t.Errorf("found: %v, want %v\n%s", has(made), c.found, list(made))
			}
			if has(twin) {
				t.Errorf("twin: found\n%s", list(twin))
			}
			if c.found && (made.Level != c.level || twin.Level >= made.Level) {
				t.Errorf("%s, its twin %s; want %s and less\n%s", made.Level, twin.Level, c.level, list(made))
			}
		})
	}
}
