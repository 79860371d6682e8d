// Package publication reads how a version was published: by whom, after what, and whether the registry's document says the same as the
// tarball. It sees documents only, never code. Maintainers change, projects sleep and wake, and build servers move: each sign alone is
// ordinary, and most findings are notes. The verdict looks at several together, or at one beside behaviour.
//
// Nothing here asks a clock: a version is set beside what its own document says came before it.
package publication

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Checks are all findings of this package.
var Checks = []detect.Check{
	{ID: "publication/new-publisher", Title: "published by somebody who never published it before", Severity: report.Low, Doc: "The account published none of the earlier versions, of which there are at least three."},
	{ID: "publication/returning-publisher", Title: "published by somebody who had not published it for a year", Severity: report.Low, Doc: "Others published meanwhile. Old accounts are taken over more easily than ones in use."},
	{ID: "publication/lost-provenance", Title: "published without the attestation that earlier versions have", Severity: report.Low, Doc: "The last two versions or more were built and attested by a known pipeline; this one was not. That an attestation is there is no pardon."},
	{ID: "publication/lost-trusted-publisher", Title: "published by a person or token where a pipeline did before", Severity: report.Low, Doc: "The last two versions or more came from a trusted publisher, without a token; this one did not."},
	{ID: "publication/dormant", Title: "the first version after more than a year", Severity: report.Low, Doc: "Nobody published for over a year, and nobody may be looking."},
	{ID: "publication/version-jump", Title: "a version number far above the earlier ones", Severity: report.Low, Doc: "The major number is higher by ten or more, and is no year. Used to win over an internal package, or to reach wide ranges."},
	{ID: "publication/hook-added", Title: "the first version with an install script", Severity: report.Low, Doc: "None of the earlier versions, of which there are at least two, has one."},
	{ID: "publication/hook-changed", Title: "another install script than the version before", Severity: report.Info, Doc: "The command differs."},
	{ID: "publication/burst", Title: "one of many versions within an hour", Severity: report.Info, Doc: "Ten or more versions came out within the hour before it."},
	{ID: "publication/deprecated", Title: "deprecated", Severity: report.Info, Doc: "The publisher advises against it."},
	{ID: "publication/security-holder", Title: "a name that the registry took down", Severity: report.Info, Doc: "The registry removed a package of this name for security reasons and holds the name. What is there now is empty."},
	{ID: "publication/other-identity", Title: "the tarball calls itself otherwise", Severity: report.Low, Doc: "Its manifest has another name or version than the registry's document."},
	{ID: "publication/hidden-hook", Title: "an install script that the registry does not show", Severity: report.High, Doc: "The tarball's manifest has an install script and the registry's document has none. Whoever looks at the registry sees a package that runs nothing."},
	{ID: "publication/other-hook", Title: "another install script than the registry shows", Severity: report.Medium, Doc: "Both manifests have the script, with different commands."},
	{ID: "publication/hidden-dependency", Title: "dependencies that only the registry or only the tarball names", Severity: report.Low, Doc: "npm installs what the registry's document says; whoever reads the tarball sees others."},
	{ID: "publication/hidden-command", Title: "commands that the registry does not show", Severity: report.Info, Doc: "bin of the tarball differs from that of the registry's document."},
	{ID: "publication/fresh-dependency", Title: "depends on a package that hardly existed when it was published", Severity: report.Low, Doc: "The dependency's first version came out in the seven days before, or later. Seen up to three steps away, as long as each step is fresh."},
	{ID: "publication/armed-dependency", Title: "a dependency got an install script after this was published", Severity: report.Low, Doc: "The range that was harmless at publication now takes a later version, the first with an install script."},
}

// Bounds of what is ordinary.
const (
	sleep    = 365 * 24 * time.Hour
	known    = 3 // earlier versions before a publisher can be new
	kept     = 2 // versions in a row before something can be lost
	jump     = 10
	crowd    = 10
	manyVers = 20_000 // versions read of one document
)

// Read tells what a document says of one of its versions. A document without times or publishers, as mirrors give, tells less.
func Read(p *npm.Packument, version string) []report.Finding {
	v, ok := p.Versions[version]
	if !ok {
		return nil
	}
	var out []report.Finding
	add := func(id, format string, args ...any) {
		f := detect.Find(Checks, id, report.Evidence{Text: fmt.Sprintf(format, args...)})
		out = append(out, f)
	}
	if p.SecurityHolder() {
		add("publication/security-holder", "%s@%s", p.Name, version)
	}
	if v.IsDeprecated() {
		add("publication/deprecated", "%.200v", v.Deprecated)
	}
	before := p.Before(version)
	before = before[max(0, len(before)-manyVers):]
	if len(before) == 0 {
		return out
	}
	at, last := p.Published(version), &before[len(before)-1]
	since := at.Sub(p.Published(last.Version))
	if since > sleep {
		add("publication/dormant", "%s came out %s, %d days before", last.Version, day(p.Published(last.Version)), int(since.Hours()/24))
	}
	publisher(p, &v, before, add)
	tail := before[max(0, len(before)-kept):]
	if len(tail) == kept && !v.Provenance && all(tail, func(x *npm.PackumentVersion) bool { return x.Provenance }) {
		add("publication/lost-provenance", "%s and %s have an attestation", tail[0].Version, tail[1].Version)
	}
	if len(tail) == kept && v.TrustedPublisher == "" && v.Publisher != "" && all(tail, func(x *npm.PackumentVersion) bool { return x.TrustedPublisher != "" }) {
		add("publication/lost-trusted-publisher", "%s came from %.50s, this one from %.100s", last.Version, last.TrustedPublisher, v.Publisher)
	}
	if was, is, ok := jumped(before, version); ok {
		add("publication/version-jump", "%s after %s", is, was)
	}
	hooks(&v, before, add)
	recent := 0
	for i := range before {
		if at.Sub(p.Published(before[i].Version)) <= time.Hour {
			recent++
		}
	}
	if recent >= crowd {
		add("publication/burst", "%d versions in the hour before", recent)
	}
	for i := range out {
		if out[i].ID == "publication/hook-added" || out[i].ID == "publication/hook-changed" {
			out[i].Phase = callseq.PhaseInstall
		}
	}
	return out
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func all(list []npm.PackumentVersion, f func(*npm.PackumentVersion) bool) bool {
	return !slices.ContainsFunc(list, func(v npm.PackumentVersion) bool { return !f(&v) })
}

func publisher(p *npm.Packument, v *npm.PackumentVersion, before []npm.PackumentVersion, add func(string, string, ...any)) {
	if v.Publisher == "" || v.TrustedPublisher != "" { // a pipeline's account is nobody's
		return
	}
	var latest, others int // by them, and by others since
	var at time.Time
	named := 0
	for i := range before {
		switch {
		case before[i].Publisher == "":
		case before[i].Publisher == v.Publisher:
			named++
			latest, others, at = i+1, 0, p.Published(before[i].Version)
		default:
			named++
			others++
		}
	}
	switch {
	case latest == 0 && named >= known:
		add("publication/new-publisher", "%.100s; the versions before are by %.100s and others", v.Publisher, before[len(before)-1].Publisher)
	case latest > 0 && others >= known && p.Published(v.Version).Sub(at) > sleep:
		add("publication/returning-publisher", "%.100s, last seen %s; %d versions by others since", v.Publisher, day(at), others)
	}
}

// jumped reports a major number far above all earlier ones.
func jumped(before []npm.PackumentVersion, version string) (was, is string, ok bool) {
	v, err := semver.NewVersion(version)
	if err != nil {
		return "", "", false
	}
	var highest *semver.Version
	for i := range before {
		if x, err := semver.NewVersion(before[i].Version); err == nil && (highest == nil || x.GreaterThan(highest)) {
			highest = x
		}
	}
	if highest == nil || v.Major() < highest.Major()+jump || year(v.Major()) {
		return "", "", false
	}
	return highest.String(), v.String(), true
}

func year(n uint64) bool {
	return n >= 1990 && n <= 2100 || n >= 199_001 && n <= 210_012 || n >= 19_900_101 && n <= 21_001_231
}

func hooks(v *npm.PackumentVersion, before []npm.PackumentVersion, add func(string, string, ...any)) {
	now := installScripts(v)
	if len(now) == 0 && !v.HasInstallScript {
		return
	}
	had := false
	for i := range before {
		had = had || before[i].HasInstallScript || len(installScripts(&before[i])) > 0
	}
	text := "binding.gyp"
	if len(now) > 0 {
		text = now[0].Key + ": " + now[0].Value
	}
	if !had {
		if len(before) >= kept {
			add("publication/hook-added", "%.200s", text)
		}
		return
	}
	if was := installScripts(&before[len(before)-1]); len(was) > 0 && len(now) > 0 && !slices.Equal(was, now) {
		add("publication/hook-changed", "%.200s", text)
	}
}

// installScripts reads no more of a manifest than its scripts.
func installScripts(v *npm.PackumentVersion) []npm.Pair {
	var m struct{ Scripts map[string]any }
	if json.Unmarshal(v.Raw, &m) != nil {
		return nil
	}
	var out []npm.Pair
	for _, n := range npm.LifecycleInstall {
		if s, _ := m.Scripts[n].(string); s != "" {
			out = append(out, npm.Pair{Key: n, Value: s})
		}
	}
	return out
}
