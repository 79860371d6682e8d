// Package manifest looks at package.json for what deceives or hides: dependencies that do not come from the registry, commands that
// shadow others, entries that are not there, versions made to win over internal ones.
package manifest

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks at the manifest.
var Detector = &detect.Detector{
	Name:   "manifest",
	Doc:    "Reads package.json. Most checks are weak by themselves and count beside what the code does.",
	Checks: checks,
	Run:    run,
}

var checks = []detect.Check{
	{ID: "manifest/install-script", Title: "runs a script when installed", Severity: report.Info, Doc: "preinstall, install or postinstall is set, or binding.gyp implies one."},
	{ID: "manifest/url-dependency", Title: "a dependency comes from a URL, not from the registry", Severity: report.Medium, Doc: "Its content can change at any time and escapes the registry's checks."},
	{ID: "manifest/git-dependency", Title: "a dependency comes from a repository", Severity: report.Info, Doc: "Its prepare script runs at install."},
	{ID: "manifest/local-script", Title: "a dependency inside the package runs a script when installed", Severity: report.High, Doc: "A dependency on a folder of the package itself has an install script of its own, which a look at the package's scripts does not show."},
	{ID: "manifest/bundled-script", Title: "a dependency that comes inside the package runs a script when installed", Severity: report.Low, Doc: "bundleDependencies brings a dependency along, whose install script npm runs as its own. What comes along is under no registry's check."},
	{ID: "manifest/high-version", Title: "a version number made to win over others", Severity: report.Low, Doc: "Very high numbers are used to shadow an internal package of the same name."},
	{ID: "manifest/bin-shadow", Title: "a command shadows a common one", Severity: report.Medium, Doc: "bin names a command such as npm, node or git."},
	{ID: "manifest/missing-file", Title: "an install script starts a file that is not there", Severity: report.Low, Doc: "The file may arrive later, or the package is broken."},
	{ID: "manifest/unreadable", Title: "the manifest is not valid", Severity: report.Low, Doc: "npm would not read it as it stands."},
	{ID: "manifest/gyp-without-sources", Title: "a native build without sources", Severity: report.Medium, Doc: "binding.gyp makes npm run node-gyp at install; without C or C++ files there is nothing to build, but its expansions run."},
	{ID: "manifest/placeholder", Title: "nothing but an install script", Severity: report.Medium, Doc: "A package with an install script, hardly any code of its own and no description or repository."},
	{ID: "manifest/duplicate-key", Title: "a key appears twice", Severity: report.Low, Doc: "Readers differ in which one counts."},
}

const highMajor = 50 // majors of ordinary packages stay below; calendar versions above 1990 are told apart

var commonCommands = []string{"npm", "npx", "node", "yarn", "pnpm", "git", "sh", "bash", "curl", "python", "ssh", "sudo", "ls", "cat"}

func run(s *detect.Subject) []report.Finding {
	m := s.Artifact.Manifest
	var out []report.Finding
	add := func(id, text string) {
		out = append(out, detect.Find(checks, id, report.Evidence{File: "package.json", Text: text}))
	}
	hook := ""
	for _, n := range npm.LifecycleInstall {
		if c := m.Script(n); c != "" {
			hook = n + ": " + c
			add("manifest/install-script", short(hook))
		}
	}
	if s.Artifact.Lookup("binding.gyp") != nil {
		if hook == "" {
			add("manifest/install-script", "binding.gyp")
		}
		if !slices.ContainsFunc(s.Artifact.Files, isNativeSource) {
			add("manifest/gyp-without-sources", "binding.gyp")
		}
	}
	for _, d := range slices.Concat(m.Dependencies, m.OptionalDependencies) {
		switch v := strings.ToLower(d.Value); {
		case strings.HasPrefix(v, "http://"), strings.HasPrefix(v, "https://") && !strings.Contains(v, ".git"):
			add("manifest/url-dependency", short(d.Key+": "+d.Value))
		case strings.Contains(v, "git") && strings.Contains(v, ":"), strings.Count(v, "/") == 1 && !strings.HasPrefix(v, "npm:") && !strings.HasPrefix(v, "file:") && !strings.Contains(v, " "):
			add("manifest/git-dependency", short(d.Key+": "+d.Value))
		}
	}
	for _, dir := range m.LocalDependencies() {
		f := s.Artifact.Lookup(path.Join(dir, "package.json"))
		if dir == "" || f == nil {
			continue
		}
		inner := npm.ParseManifest(f.Data)
		for _, n := range npm.LifecycleInstall {
			if c := inner.Script(n); c != "" {
				out = append(out, detect.Find(checks, "manifest/local-script", report.Evidence{File: f.Path, Text: short(n + ": " + c)}))
			}
		}
	}
	for _, d := range m.Bundled {
		f := s.Artifact.Lookup(path.Join("node_modules", d, "package.json"))
		if f == nil {
			continue
		}
		inner := npm.ParseManifest(f.Data)
		for _, n := range npm.LifecycleInstall {
			if c := inner.Script(n); c != "" {
				out = append(out, detect.Find(checks, "manifest/bundled-script", report.Evidence{File: f.Path, Text: short(n + ": " + c)}))
			}
		}
	}
	if v, err := semver.NewVersion(m.Version); err == nil {
		if n := v.Major(); n >= highMajor && !(n >= 1990 && n <= 2100) && !(n > 19900000 && n < 21000000) || v.Minor() >= 900 && n < 1000 || n >= 9 && repeated(m.Version) {
			add("manifest/high-version", m.Version)
		}
	}
	for _, b := range m.Bin {
		if slices.Contains(commonCommands, b.Key) && b.Key != m.Name {
			add("manifest/bin-shadow", short(b.Key+" -> "+b.Value))
		}
	}
	for _, u := range s.Program.Unresolved {
		if strings.HasPrefix(u.Why, "scripts.") {
			add("manifest/missing-file", short(u.Specifier+": "+u.Why))
		}
	}
	for _, p := range m.Problems {
		id := "manifest/unreadable"
		if strings.HasPrefix(p, "duplicate key") {
			id = "manifest/duplicate-key"
		}
		add(id, short(p))
	}
	if hook != "" && m.Repository == "" && m.Homepage == "" && codeSize(s) < 2000 {
		add("manifest/placeholder", fmt.Sprintf("%d bytes of code", codeSize(s)))
	}
	return out
}

// repeated reports a version of nines or of one digit over and over, as 9.9.9 or 99.99.99.
func repeated(v string) bool {
	digits := strings.ReplaceAll(v, ".", "")
	return len(digits) >= 3 && strings.Count(digits, digits[:1]) == len(digits)
}

func codeSize(s *detect.Subject) int {
	n := 0
	for _, m := range s.Program.Modules {
		if m.Kind == js.KindCommonJS || m.Kind == js.KindESM {
			n += len(m.Data)
		}
	}
	return n
}

func isNativeSource(f artifact.File) bool {
	for _, e := range []string{".c", ".cc", ".cpp", ".cxx", ".m", ".mm", ".S", ".asm", ".rs", ".swift", ".go", ".h", ".hpp"} {
		if strings.HasSuffix(f.Path, e) {
			return true
		}
	}
	return false
}

func short(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "\u2026"
	}
	return s
}
