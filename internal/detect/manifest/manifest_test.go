package manifest

import (
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report"
)

// found lists the IDs of what the detector says of a package, without the mere note that there is an install script.
func found(files map[string]string) []string {
	var fs []artifact.File
	for p, text := range files {
		fs = append(fs, artifact.File{Path: p, Data: []byte(text)})
	}
	slices.SortFunc(fs, func(a, b artifact.File) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	a := artifact.New(fs, nil, "")
	ids := []string{}
	for _, f := range run(&detect.Subject{Artifact: a, Program: reconstruct.Build(a, reconstruct.Options{})}) {
		if f.ID != "manifest/install-script" && f.Severity > report.Info {
			ids = append(ids, f.ID)
		}
	}
	return slices.Compact(ids)
}

// TestChecks pairs each check with a manifest that it must see and a benign twin that it must not.
func TestChecks(t *testing.T) {
	const code = "module.exports = () => 1;\n"
	for _, c := range []struct {
		id      string
		example map[string]string
		twin    map[string]string
	}{
		{"manifest/url-dependency",
			map[string]string{"package.json": `{"name":"a","dependencies":{"b":"http://packages.example/b.tgz"}}`},
			map[string]string{"package.json": `{"name":"a","dependencies":{"b":"^1.0.0"},"homepage":"https://a.example"}`}},
		{"manifest/high-version",
			map[string]string{"package.json": `{"name":"a","version":"9999.0.1"}`},
			map[string]string{"package.json": `{"name":"a","version":"2024.1.0"}`}},
		{"manifest/bin-shadow",
			map[string]string{"package.json": `{"name":"a","bin":{"git":"x.js"}}`, "x.js": code},
			map[string]string{"package.json": `{"name":"a","bin":{"a":"x.js"}}`, "x.js": code}},
		{"manifest/missing-file",
			map[string]string{"package.json": `{"name":"a","repository":"r","scripts":{"postinstall":"node gone.js"}}`},
			map[string]string{"package.json": `{"name":"a","repository":"r","scripts":{"postinstall":"node here.js"}}`, "here.js": code}},
		{"manifest/placeholder",
			map[string]string{"package.json": `{"name":"a","scripts":{"preinstall":"node index.js"}}`, "index.js": code},
			map[string]string{"package.json": `{"name":"a","repository":"https://forge.example/a","scripts":{"preinstall":"node index.js"}}`, "index.js": code}},
		{"manifest/gyp-without-sources",
			map[string]string{"package.json": `{"name":"a"}`, "binding.gyp": `{"targets":[]}`},
			map[string]string{"package.json": `{"name":"a","repository":"r"}`, "binding.gyp": `{"targets":[]}`, "src/a.cc": "int x;"}},
		{"manifest/local-script",
			map[string]string{"package.json": `{"name":"a","dependencies":{"b":"file:./b"}}`, "b/package.json": `{"name":"b","scripts":{"postinstall":"./x.sh"}}`},
			map[string]string{"package.json": `{"name":"a","dependencies":{"b":"file:./b"}}`, "b/package.json": `{"name":"b"}`}},
		{"manifest/bundled-script",
			map[string]string{"package.json": `{"name":"a","bundleDependencies":["b"],"dependencies":{"b":"1"}}`, "node_modules/b/package.json": `{"name":"b","scripts":{"install":"./x.sh"}}`},
			map[string]string{"package.json": `{"name":"a","bundleDependencies":["b"],"dependencies":{"b":"1"}}`, "node_modules/b/package.json": `{"name":"b","scripts":{"test":"./x.sh"}}`}},
		{"manifest/duplicate-key",
			map[string]string{"package.json": `{"name":"a","main":"x.js","main":"y.js"}`},
			map[string]string{"package.json": `{"name":"a","main":"x.js"}`}},
	} {
		if got := found(c.example); !slices.Contains(got, c.id) {
			t.Errorf("%s: not seen in its example; seen %v", c.id, got)
		}
		if got := found(c.twin); slices.Contains(got, c.id) {
			t.Errorf("%s: seen in its twin", c.id)
		}
	}
}
