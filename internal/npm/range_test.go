package npm

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// npmModules is the folder of npm's own modules, to compare with.
func npmModules(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("npm")
	if err == nil {
		bin, err = filepath.EvalSymlinks(bin)
	}
	dir := filepath.Join(filepath.Dir(bin), "..", "node_modules")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "semver"))
	}
	if err != nil {
		t.Skip("SKIPPED: npm's own modules are not here: ", err)
	}
	return dir
}

// askNode runs a function of one argument, given as JavaScript, and returns what it returns.
func askNode(t *testing.T, code string, arg, result any) {
	t.Helper()
	in, err := json.Marshal(arg)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("node", "-e", "const f = "+code+"; process.stdout.write(JSON.stringify(f(JSON.parse(require('fs').readFileSync(0, 'utf8')))))")
	c.Stdin = strings.NewReader(string(in))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Skip("SKIPPED: node cannot be run: ", err)
	}
	if err := json.Unmarshal(out, result); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

var (
	someRanges = []string{
		"", "*", "x", "1", "1.x", "1.2", "1.2.x", "1.2.*", "1.2.3", "=1.2.3", "v1.2.3", "= v1.2.3", "^1.2.3", "^0.2.3", "^0.0.3", "^1", "^0", "^0.0", "^1.x", "^0.0.x", "~1.2.3", "~1.2", "~1",
		"~> 1.2.3", "~0", ">1", ">1.2", ">1.2.3", ">=1", ">=1.2", ">= 1.2.3", "<1", "<1.2", "<2.0.0", "<=1", "<=1.2", "<=1.2.3", "<*", ">*", ">=*", ">1.2.x", "1.2.3 - 2.3.4", "1.2 - 2.3", "1 - 2",
		"1.2.3 - 2", "1.2.3-alpha.1 - 2", "^1.2.3-beta.2", "~1.2.3-beta.2", ">=1.2.3-beta <2", "^1.2.3-beta.2 || ^2", "<1.2.3 || >=2.0.0-rc.1", ">1 <3", "1.2.3 || 2.x", "||", "1 ||", "^1.0.0-0", "1.2.3+build",
		"^1.2.3+build", "1.2.3-01", "1.2.3alpha", ">=1.2.3 <1.2.3", "1.2.3 1.2.3", "> 1.0.0", "^ 1.2.3", "=  1.2.3", ">= 1.2.3  <2", "1.x.3", "x.2.3", "^x", "~x", ">=x <2", "01.2.3", "latest", "next", "1.2.3.4",
		"a b", "^^1.2.3", "~^1", "!1.2.3", ">=", "99999999999999999999.0.0", "^1.2.x-alpha", "git+ssh://x", "http://x.invalid/y.tgz", "file:../x", "<0.0.0-0", ">=0.0.0-0", "1.2.3-", "v", "^v1.2.3", "~v1",
	}
	someVersions = []string{
		"0.0.0", "0.0.1", "0.0.3", "0.0.4", "0.1.0", "0.2.3", "0.2.4", "0.3.0", "1.0.0", "1.0.0-0", "1.1.9", "1.2.0", "1.2.2", "1.2.3", "1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-beta", "1.2.3-beta.2", "1.2.3-beta.11",
		"1.2.3-beta.x", "1.2.3-1", "1.2.4", "1.2.4-beta.2", "1.3.0", "1.3.0-beta", "1.9.9", "2.0.0", "2.0.0-0", "2.0.0-rc.1", "2.3.4", "2.3.5", "2.4.0", "3.0.0", "1.2.3+build", "junk", "1.2", "10.0.0", "0.0.0-alpha",
	}
)

// compareRanges asks npm's semver which of the versions lie in each range, and compares.
func compareRanges(t *testing.T, ranges []string) {
	t.Helper()
	dir := npmModules(t)
	var want [][]string // null when it is no range
	askNode(t, `({ranges, versions, dir}) => { const s = require(dir + '/semver')
		return ranges.map(r => s.validRange(r, {loose: true}) === null ? null : versions.filter(v => s.satisfies(v, r, {loose: true}))) }`,
		map[string]any{"ranges": ranges, "versions": someVersions, "dir": dir}, &want)
	for i, s := range ranges {
		r, err := ParseRange(s)
		if (err != nil) != (want[i] == nil) {
			t.Errorf("%q: error %v, npm says range %v", s, err, want[i] != nil)
			continue
		}
		if err != nil {
			continue
		}
		var got []string
		for _, v := range someVersions {
			if r.Allows(v) {
				got = append(got, v)
			}
		}
		if strings.Join(got, " ") != strings.Join(want[i], " ") {
			t.Errorf("%q:\n got %v\nwant %v", s, got, want[i])
		}
	}
}

func TestRangeAgainstNPM(t *testing.T) { compareRanges(t, someRanges) }

// TestRandomRangesAgainstNPM puts ranges together from what ranges are made of.
func TestRandomRangesAgainstNPM(t *testing.T) {
	ops := []string{"", "", "^", "~", "~>", ">", ">=", "<", "<=", "=", "v", "> ", "^ ", "!"}
	versions := []string{"1", "1.2", "1.2.3", "0", "0.0.3", "0.2", "2.0.0", "1.2.3-beta.2", "1.2.3-alpha", "2.0.0-rc.1", "x", "*", "1.x", "1.2.*", "1.2.3+b", "0.0.0", "0.0.0-0", "3", "beta", "", "1.2.3*", "1.x.2"}
	between := []string{" ", " ", "||", " || ", " - ", "  "}
	r := rand.New(rand.NewPCG(3, 4))
	var ranges []string
	for range 5000 {
		s := ""
		for i := range 1 + r.IntN(4) {
			if i > 0 {
				s += between[r.IntN(len(between))]
			}
			s += ops[r.IntN(len(ops))] + versions[r.IntN(len(versions))]
		}
		ranges = append(ranges, s)
	}
	compareRanges(t, ranges)
}

func TestPickAgainstNPM(t *testing.T) {
	dir := npmModules(t)
	type pv map[string]any
	docs := []map[string]any{}
	add := func(latest string, deprecated string, vs ...string) {
		m := map[string]any{}
		for _, v := range vs {
			x := pv{"name": "a", "version": v}
			if strings.Contains(deprecated, "|"+v+"|") {
				x["deprecated"] = "old"
			}
			m[v] = x
		}
		docs = append(docs, map[string]any{"name": "a", "dist-tags": map[string]any{"latest": latest, "next": vs[len(vs)-1], "v1": vs[0]}, "versions": m})
	}
	add("1.2.3", "", "1.0.0", "1.2.3", "1.2.4", "2.0.0")
	add("2.0.0", "|2.0.0|", "1.0.0", "1.2.3", "1.2.4-beta.1", "2.0.0")
	add("1.2.4", "|1.2.4|1.2.3|", "1.2.3", "1.2.4", "2.0.0-rc.1")
	add("2.0.0-rc.1", "", "2.0.0-rc.1", "2.0.0-rc.2")
	add("9.9.9", "", "0.0.3", "0.2.3", "1.2.3")
	wants := append([]string{"latest", "next", "v1", "none", "^1.0.0"}, someRanges...)
	var want [][]string
	askNode(t, `({docs, wants, dir}) => { const pick = require(dir + '/npm-pick-manifest'); return docs.map(d => wants.map(w => { try { return pick(d, w).version } catch { return '' } })) }`,
		map[string]any{"docs": docs, "wants": wants, "dir": dir}, &want)
	for i, d := range docs {
		data, _ := json.Marshal(d)
		p, err := ParsePackument(data)
		if err != nil {
			t.Fatal(err)
		}
		for j, w := range wants {
			v, _ := p.Pick(w)
			if v.Version != want[i][j] {
				t.Errorf("document %d, %q: picked %q, npm picks %q", i, w, v.Version, want[i][j])
			}
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range someRanges {
		f.Add(s, "1.2.3")
	}
	f.Fuzz(func(t *testing.T, s, v string) {
		if r, err := ParseRange(s); err == nil {
			r.Allows(v)
		}
		if v, ok := parseVersion(v); ok {
			if again, ok := parseVersion(v.String()); !ok || again.compare(v) != 0 {
				t.Errorf("%v reads back as %v", v, again)
			}
		}
	})
}
