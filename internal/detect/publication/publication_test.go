package publication

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

func ids(fs []report.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.ID)
	}
	return out
}

// TestCompare pairs what deceives with what npm itself changes between a tarball and the registry.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name, registry, tarball string
		want                    []string
	}{
		{"the same", `{"name":"a","version":"1.0.0"}`, `{"name":"a","version":"1.0.0"}`, nil},
		{"fields that npm adds, in another order", `{"_id":"a@1.0.0","version":"1.0.0","name":"a","gitHead":"0","bin":{"a":"cli.js"},"bugs":{}}`, `{"name":"a","version":"v1.0.0","bin":"./cli.js"}`, nil},
		{"a native build", `{"name":"a","version":"1.0.0","scripts":{"install":"node-gyp rebuild"},"gypfile":true}`, `{"name":"a","version":"1.0.0"}`, nil},
		{"optional dependencies listed twice", `{"name":"a","version":"1.0.0","dependencies":{"b":"1","c":"1"},"optionalDependencies":{"c":"1"}}`, `{"name":"a","version":"1.0.0","dependencies":{"b":"1"},"optionalDependencies":{"c":"1"}}`, nil},
		{"build metadata", `{"name":"a","version":"1.0.0"}`, `{"name":"a","version":"1.0.0+build.7"}`, nil},
		{"a script for development", `{"name":"a","version":"1.0.0"}`, `{"name":"a","version":"1.0.0","scripts":{"test":"tape"}}`, nil},
		{"a hidden hook", `{"name":"a","version":"1.0.0"}`, `{"name":"a","version":"1.0.0","scripts":{"preinstall":"node x.js"}}`, []string{"publication/hidden-hook"}},
		{"another hook", `{"name":"a","version":"1.0.0","scripts":{"install":"node-gyp rebuild"}}`, `{"name":"a","version":"1.0.0","scripts":{"install":"node x.js"}}`, []string{"publication/other-hook"}},
		{"one more hook", `{"name":"a","version":"1.0.0","scripts":{"install":"node-gyp rebuild"}}`, `{"name":"a","version":"1.0.0","scripts":{"postinstall":"node x.js"}}`, []string{"publication/other-hook"}},
		{"another package", `{"name":"a","version":"1.0.0"}`, `{"name":"b","version":"1.0.0"}`, []string{"publication/other-identity"}},
		{"other dependencies on both sides", `{"name":"a","version":"1.0.0","dependencies":{"b":"1"}}`, `{"name":"a","version":"1.0.0","dependencies":{"c":"1"}}`, []string{"publication/hidden-dependency", "publication/hidden-dependency"}},
		{"another command", `{"name":"a","version":"1.0.0","bin":{"a":"cli.js"}}`, `{"name":"a","version":"1.0.0","bin":{"a":"cli.js","npm":"cli.js"}}`, []string{"publication/hidden-command"}},
	} {
		got := ids(Compare(npm.ParseManifest([]byte(c.registry)).Declared(), npm.ParseManifest([]byte(c.tarball)).Declared()))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestChecks asks that each check is documented once.
func TestChecks(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Checks {
		if seen[c.ID] || c.Title == "" || c.Doc == "" {
			t.Errorf("%s: described twice, or not", c.ID)
		}
		seen[c.ID] = true
	}
}

func TestHolderAndDeprecated(t *testing.T) {
	p, err := npm.ParsePackument([]byte(`{"name":"a","versions":{"0.0.1-security":{"name":"a","version":"0.0.1-security","_npmUser":{"name":"npm"},"deprecated":"taken down"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(Read(p, "0.0.1-security")); !slices.Equal(got, []string{"publication/security-holder", "publication/deprecated"}) {
		t.Errorf("%v", got)
	}
	if got := Read(p, "9.9.9"); got != nil {
		t.Errorf("%v of a version that is not there", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"name":"a","time":{"created":"2026-01-01T00:00:00.000Z","1.0.0":"2026-01-01T00:00:00.000Z","1.0.1":"2026-02-01T00:00:00Z"},"versions":{"1.0.0":{"_npmUser":{"name":"x"}},"1.0.1":{"scripts":{"install":"x"},"dependencies":{"b":"*"},"_npmUser":{"trustedPublisher":{"id":1}},"dist":{"attestations":7}}}}`), "1.0.1")
	f.Add([]byte(`{"versions":{"":{"scripts":[]}},"time":{"":"2026"}}`), "")
	f.Fuzz(func(t *testing.T, data []byte, version string) {
		p, err := npm.ParsePackument(data)
		if err != nil {
			return
		}
		for _, x := range Read(p, version) {
			if x.ID == x.Title {
				t.Errorf("%s is not documented", x.ID)
			}
		}
		_, _, err = Dependencies(context.Background(), p, version, func(string) bool { return false }, func(_ context.Context, name string) (*npm.Packument, error) {
			if len(name)%2 == 0 {
				return nil, errors.New("gone")
			}
			return p, nil
		})
		if err != nil {
			t.Error(err)
		}
		if v, ok := p.Versions[version]; ok {
			d := npm.ParseManifest(v.Raw).Declared()
			if fs := Compare(d, d); len(fs) > 0 {
				t.Errorf("differs from itself: %v", ids(fs))
			}
		}
	})
}
