package npm

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTally(t *testing.T) {
	var y Tally
	y.Manifest(ParseManifest([]byte(`{"name":"app","dependencies":{"ms":"^2","alias":"npm:real@1","git":"me/git","near":"file:../near"},"devDependencies":{"tape":"*"}}`)))
	y.Manifest(ParseManifest([]byte(`{"name":"app","version":"2.0.0","dependencies":{"ms":"^2"}}`))) // another version: the same package
	y.Manifest(ParseManifest([]byte(`{"dependencies":{"ms":"^2"}}`)))                                // nobody
	for _, lock := range []string{
		`{"lockfileVersion":3,"packages":{"":{"name":"site","dependencies":{"ms":"1"}},"node_modules/@a/b":{"version":"1.0.0","dependencies":{"ms":"1"},"peerDependencies":{"tape":"4"}}}}`,
		`{"lockfileVersion":1,"requires":true,"dependencies":{"c":{"version":"1.0.0","requires":{"ms":"1"},"dependencies":{"d":{"version":"1.0.0","requires":{"tape":"1"}}}}}}`,
	} {
		if err := y.Lockfile([]byte(lock)); err != nil {
			t.Fatal(err)
		}
	}
	if y.Packages() != 5 {
		t.Errorf("%d packages, want 5", y.Packages())
	}
	p := y.Popular(1, "2026-01-02")
	if diff := cmp.Diff([]PopularName{{"ms", 4}, {"tape", 3}, {"real", 1}}, p.Names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	var b bytes.Buffer
	if err := p.Write(&b, "one", "two"); err != nil {
		t.Fatal(err)
	}
	if want := "# one\n# two\n# date: 2026-01-02\nms 4\ntape 3\nreal 1\n"; b.String() != want {
		t.Errorf("written as %q, want %q", b.String(), want)
	}
	again, err := ParsePopular(b.Bytes())
	if err != nil || again.Date != p.Date || !cmp.Equal(again.Names, p.Names) || again.Dependents("ms") != 4 {
		t.Errorf("read again as %+v (%v)", again, err)
	}
	if n := len(y.Popular(4, "").Names); n != 1 {
		t.Errorf("%d names with four dependents, want 1", n)
	}
}

func TestPopularRefused(t *testing.T) {
	for _, text := range []string{"ms", "ms x", "ms 0", "ms -1", "../x 3", "ms 3 4", strings.Repeat("a", 600) + " 3"} {
		if _, err := ParsePopular([]byte("# date: 2026-01-02\n" + text)); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%.40q: error %v, want one with its line", text, err)
		}
	}
	for _, lock := range []string{`[]`, `{}`, `{"packages":{"":1}}`, `{"packages":{"":{"dependencies":[1]}}}`, `{"dependencies":{"a":{"requires":{"b":1}}}}`, `{"dependencies":` + strings.Repeat(`{"a":{"dependencies":`, 200) + `{}` + strings.Repeat(`}}`, 200) + `}`} {
		var y Tally
		if err := y.Lockfile([]byte(lock)); err == nil {
			t.Errorf("%.60s: no error", lock)
		}
	}
}

func FuzzPopular(f *testing.F) {
	f.Add([]byte("# date: 2026-01-02\nms 4\n@a/b 3\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePopular(data)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := p.Write(&b); err != nil {
			t.Fatal(err)
		}
		if again, err := ParsePopular(b.Bytes()); err != nil || !cmp.Equal(again.Names, p.Names) {
			t.Errorf("%q reads as %v, then as %v (%v)", data, p.Names, again, err)
		}
	})
}
