// Package names compares the names in a manifest with popular ones. Attackers publish under names that are mistaken for others: a
// letter off, a word added, another scope. So do honest people, far more often: forks, plug-ins, families. A similar name alone is
// therefore a note; the verdict counts it only beside behaviour.
package names

import (
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Detector compares the package's own name, and those of its dependencies.
var Detector = &detect.Detector{
	Name:   "names",
	Doc:    "Compares names with the dated list of knowledge/names/popular.txt. Every finding is a note, and weighs only beside behaviour.",
	Checks: checks,
	Run:    run,
}

var checks = []detect.Check{
	{ID: "names/typosquat", Title: "named almost as a popular package", Severity: report.Info, Doc: "One letter, a look-alike, a separator or the order of words sets the name apart from one that many packages depend on."},
	{ID: "names/combosquat", Title: "named as a popular package, with a word that any package could have", Severity: report.Info, Doc: "Words such as js, api, utils or official added to, or taken from, a name that many packages depend on."},
	{ID: "names/scope-confusion", Title: "named as a popular package of another scope", Severity: report.Info, Doc: "The scope is a letter off a popular one, or stands inside the name as if it were one."},
	{ID: "names/dependency", Title: "depends on a package named almost as a popular one", Severity: report.Info, Doc: "A slip in a dependency list installs what somebody else put there."},
}

// How close names are to be, and to what. Short names have too many neighbours; nobody poses as what few know.
const (
	minSquat    = 5   // letters of a popular name for a slip in it
	minSeparate = 6   // where only separators or the order of words differ
	minCombo    = 4   // where a word is added
	squatFrom   = 3   // dependents of a popular name for a slip in it
	comboFrom   = 15  // where a word is added
	minScope    = 3   // popular names of a scope that somebody would pose as
	maxDeps     = 500 // dependencies compared
)

func run(s *detect.Subject) []report.Finding {
	if s.Popular == nil || len(s.Popular.Names) == 0 {
		return nil
	}
	m := s.Artifact.Manifest
	var out []report.Finding
	if n, ok := Nearest(s.Popular, m.Name); ok {
		out = append(out, detect.Find(checks, n.Check, report.Evidence{File: "package.json", Text: n.text(m.Name, s.Popular)}))
	}
	var ev []report.Evidence
	deps := slices.Concat(m.Dependencies, m.OptionalDependencies)
	for _, d := range deps[:min(len(deps), maxDeps)] {
		if n, ok := Nearest(s.Popular, d.Key); ok && n.Check == "names/typosquat" && n.Name != m.Name {
			ev = append(ev, report.Evidence{File: "package.json", Text: n.text(d.Key, s.Popular)})
		}
	}
	if len(ev) > 0 {
		out = append(out, detect.Find(checks, "names/dependency", ev...))
	}
	return out
}

// Near is a popular name that another one is mistaken for.
type Near struct {
	npm.PopularName
	Check string // ID of the check
	How   string // what sets the names apart
}

func (n Near) text(name string, p *npm.Popular) string {
	return fmt.Sprintf("%.100s and %s, which %d packages at hand depended on (%s): %s", name, n.Name, n.Dependents, p.Date, n.How)
}

// Nearest finds the most popular name that a name is mistaken for, a slip before a scope before an added word. A name that is in the
// list itself is not mistaken for another.
func Nearest(p *npm.Popular, name string) (Near, bool) {
	if !npm.ValidName(name) || p.Dependents(name) > 0 {
		return Near{}, false
	}
	lower := strings.ToLower(name)
	for _, q := range p.Names {
		if q.Dependents < squatFrom {
			break
		}
		if how := slip(lower, q.Name); how != "" {
			return Near{q, "names/typosquat", how}, true
		}
	}
	for _, q := range p.Names {
		if how := otherScope(p, lower, q.Name); how != "" {
			return Near{q, "names/scope-confusion", how}, true
		}
	}
	for _, q := range p.Names {
		if q.Dependents < comboFrom {
			break
		}
		if how := addedWord(lower, q.Name); how != "" {
			return Near{q, "names/combosquat", how}, true
		}
	}
	return Near{}, false
}

// split divides a name into its scope, "" or as "@scope", and the rest.
func split(name string) (scope, rest string) {
	if s, r, ok := strings.Cut(name, "/"); ok {
		return s, r
	}
	return "", name
}

// slip says how two names of one scope differ by a slip: of the finger, the eye or the memory.
func slip(name, popular string) string {
	scope, a := split(name)
	scope2, b := split(popular)
	if scope != scope2 || scope != "" { // within a scope its owner alone gives names
		return ""
	}
	switch {
	case a == b:
		return ""
	case len(b) >= minSeparate && bare(a) == bare(b):
		return "separators differ"
	case len(b) >= minSeparate && strings.ContainsAny(b, "-_.") && sameWords(a, b):
		return "the words stand in another order"
	case len(b) >= minSquat && lookAlike(a) == lookAlike(b):
		return "characters look alike"
	case len(b) >= minSquat && oneEdit(a, b):
		return "one letter differs"
	}
	return ""
}

func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-_.", r) {
			return -1
		}
		return r
	}, s)
}

func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune("-_.", r) })
}

func sameWords(a, b string) bool {
	x, y := words(a), words(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

var looks = strings.NewReplacer("0", "o", "1", "l", "5", "s", "rn", "m", "vv", "w")

func lookAlike(s string) string { return looks.Replace(s) }

// oneEdit reports that one letter was left out, added, replaced or swapped with its neighbour. Digits tell members of a family apart, such
// as vue2 and vue3, and an s makes a plural: these are no slips.
func oneEdit(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	digit := func(s string, i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }
	if len(a) == len(b) {
		if i == len(a) {
			return false
		}
		if digit(a, i) || digit(b, i) {
			return false
		}
		if a[i+1:] == b[i+1:] {
			return !separator(a[i]) && !separator(b[i])
		}
		return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
	}
	if a[i+1:] != b[i:] || digit(a, i) {
		return false
	}
	end := i == len(a)-1 || separator(a[i+1]) // of a word
	return !(end && a[i] == 's' && (i == 0 || a[i-1] != 's'))
}

func separator(c byte) bool { return c == '-' || c == '_' || c == '.' }

// otherScope says how a name poses as one of another scope.
func otherScope(p *npm.Popular, name, popular string) string {
	scope2, b := split(popular)
	if scope2 == "" || p.Scope(scope2) < minScope {
		return ""
	}
	scope, a := split(name)
	if scope == "" {
		if len(b) >= 3 && (a == scope2[1:]+"-"+b || a == scope2[1:]+"_"+b || a == scope2[1:]+"."+b) {
			return "the scope stands inside the name"
		}
		return ""
	}
	if a == b && scope != scope2 && len(scope2) > minSquat && p.Scope(scope) == 0 && (oneEdit(scope, scope2) || bare(scope) == bare(scope2) || lookAlike(scope) == lookAlike(scope2)) {
		return "the scope is almost the same"
	}
	return ""
}

// ordinary are words that any package could have in its name. They are added to pose as the official, the newer or the safer one.
var ordinary = []string{"api", "beta", "bin", "client", "core", "dev", "fix", "fixed", "helper", "helpers", "install", "installer", "javascript", "js", "latest", "lib", "lite", "module", "new", "next", "node", "nodejs", "npm", "official", "package", "patch", "plus", "pro", "release", "sdk", "secure", "security", "stable", "std", "test", "tool", "tools", "update", "updated", "util", "utils"}

// addedWord says which ordinary word sets two names apart.
func addedWord(name, popular string) string {
	scope, a := split(name)
	scope2, b := split(popular)
	if scope != "" || scope2 != "" || len(b) < minCombo {
		return ""
	}
	x, y := words(a), words(b)
	switch {
	case len(x) == len(y)+1:
		if slices.Equal(x[1:], y) && slices.Contains(ordinary, x[0]) {
			return x[0] + " was added"
		}
		if last := x[len(x)-1]; slices.Equal(x[:len(x)-1], y) && slices.Contains(ordinary, last) {
			return last + " was added"
		}
	case len(y) == len(x)+1 && len(x) > 1:
		if last := y[len(y)-1]; slices.Equal(y[:len(y)-1], x) && slices.Contains(ordinary, last) {
			return last + " was left out"
		}
	}
	return ""
}
