package names

import (
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report"
)

const list = `# date: 2026-01-02
left-adder 90
quickparse 80
cross-shell 70
vue 60
@sample/runner 50
@sample/parser 40
@sample/printer 30
tiny-log 16
rarely-used 2
`

func popular(t *testing.T) *npm.Popular {
	t.Helper()
	p, err := npm.ParsePopular([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNearest(t *testing.T) {
	p := popular(t)
	for _, c := range []struct{ name, check, near string }{
		{"quickprase", "names/typosquat", "quickparse"},
		{"quikparse", "names/typosquat", "quickparse"},
		{"quickkparse", "names/typosquat", "quickparse"},
		{"quickp\u0061rze", "names/typosquat", "quickparse"},
		{"crossshell", "names/typosquat", "cross-shell"},
		{"cross.shell", "names/typosquat", "cross-shell"},
		{"adder-left", "names/typosquat", "left-adder"},
		{"tiny-1og", "names/typosquat", "tiny-log"},
		{"QuickParze", "names/typosquat", "quickparse"},
		{"@samp1e/runner", "names/scope-confusion", "@sample/runner"},
		{"sample-runner", "names/scope-confusion", "@sample/runner"},
		{"cross-shells", "", ""},
		{"quick-parse", "names/typosquat", "quickparse"},
		{"quickparse-js", "names/combosquat", "quickparse"},
		{"node-quickparse", "names/combosquat", "quickparse"},

		{"quickparse", "", ""},           // itself
		{"vuo", "", ""},                  // short names have neighbours
		{"quickparse2", "", ""},          // a member of a family
		{"quickparses", "", ""},          // a plural
		{"quickparse-colours", "", ""},   // a plug-in
		{"@me/quickparse", "", ""},       // a fork
		{"@sample/runer", "", ""},        // the scope's owner gives the name
		{"@somebody/runner", "", ""},     // an ordinary word in another's scope
		{"rarely-usd", "", ""},           // nobody poses as what few know
		{"\u0430bc/\u0430", "", ""},      // no name
		{"left-adder-tiny-log", "", ""},  // two names
		{"completely-different", "", ""}, //
	} {
		n, ok := Nearest(p, c.name)
		if ok != (c.check != "") || n.Check != c.check || n.Name != c.near {
			t.Errorf("%s: %q near %q (%s), want %q near %q", c.name, n.Check, n.Name, n.How, c.check, c.near)
		}
	}
}

// TestSymmetry asks that a slip is one in whichever direction it is made.
func TestSymmetry(t *testing.T) {
	for _, c := range [][2]string{{"abcdefg", "abcdfeg"}, {"abcdefg", "abcdeg"}, {"abcdefg", "abxdefg"}, {"abcdefg", "abcdefs"}, {"abcdefg", "gfedcba"}, {"abcdefg", "abcdefg"}, {"", "a"}} {
		if oneEdit(c[0], c[1]) != oneEdit(c[1], c[0]) {
			t.Errorf("%q and %q: differs by direction", c[0], c[1])
		}
	}
}

func found(t *testing.T, manifest string) []string {
	a := artifact.New([]artifact.File{{Path: "package.json", Data: []byte(manifest)}}, nil, "")
	var ids []string
	for _, f := range run(&detect.Subject{Artifact: a, Program: reconstruct.Build(a, reconstruct.Options{}), Popular: popular(t)}) {
		if f.Severity != report.Info || len(f.Evidence) == 0 {
			t.Errorf("%s: a name is a note with evidence, not %v", f.ID, f)
		}
		ids = append(ids, f.ID)
	}
	return ids
}

func TestDetector(t *testing.T) {
	for manifest, want := range map[string][]string{
		`{"name":"quikparse","dependencies":{"quickparse":"^1"}}`:             {"names/typosquat"},
		`{"name":"fine-app","dependencies":{"quikparse":"^1"}}`:               {"names/dependency"},
		`{"name":"fine-app","dependencies":{"quickparse":"^1","@me/x":"^1"}}`: nil,
		`{"name":"fine-app","devDependencies":{"quikparse":"^1"}}`:            nil, // is not installed with the package
		`{"name":"quickparse","dependencies":{"quikparse":"^1"}}`:             nil, // a family
		`{}`: nil,
	} {
		if got := found(t, manifest); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", manifest, got, want)
		}
	}
}

func FuzzNearest(f *testing.F) {
	f.Add("quikparse")
	f.Add("@samp1e/runner")
	f.Add("a-/.")
	p, err := npm.ParsePopular([]byte(list))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if n, ok := Nearest(p, name); ok && (n.Name == name || p.Dependents(n.Name) == 0 || n.How == "") {
			t.Errorf("%q: %+v", name, n)
		}
	})
}
