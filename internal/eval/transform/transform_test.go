package transform

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/reconstruct"
)

func program(files map[string]string) (*artifact.Artifact, *js.Program) {
	var list []artifact.File
	for p, text := range files {
		list = append(list, artifact.File{Path: p, Data: []byte(text), Mode: 0o644})
	}
	a := artifact.New(list, nil, "")
	return a, reconstruct.Build(a, reconstruct.Options{})
}

var samples = map[string]map[string]string{
	"commonjs": {
		"package.json":  `{"name":"a","main":"index.js","scripts":{"postinstall":"node lib/setup.js"}}`,
		"index.js":      "const helper = require('./lib/helper');\nconst data = require('./data.json'), own = require('./package.json').name;\nmodule.exports = function longName(firstArgument) { return helper.twice(firstArgument) + data.add; };\n",
		"lib/helper.js": "const os = require('os');\nfunction multiply(left, right) { return left * right; }\nexports.twice = (value) => multiply(value, 2) + (os.EOL.length - os.EOL.length);\n",
		"lib/setup.js":  "#!/usr/bin/env node\nconst { twice } = require('./helper');\nconst fs = require('fs');\nfs.writeFileSync(require('path').join(__dirname, 'marker.txt'), String(twice(21)));\n",
		"data.json":     `{"add": 1}`,
	},
	"module": {
		"package.json":  `{"name":"b","type":"module","exports":"./index.js"}`,
		"index.js":      "import { join } from 'node:path';\nimport twice, { count } from './lib/helper.js';\nexport * from './lib/helper.js';\nexport default (value) => join('a', String(twice(value)), String(count));\n",
		"lib/helper.js": "export let count = 0;\nexport default function twice(value) { count++; return value * 2; }\n",
	},
}

var call = map[string]string{
	"commonjs": `const m = require(process.argv[1]); require(process.argv[1] + "/lib/setup.js"); console.log(m.length, m(20), require("fs").readFileSync(process.argv[1] + "/lib/marker.txt", "utf8"))`,
	"module":   `import(process.argv[1] + "/index.js").then((m) => console.log(Object.keys(m).sort().join(), m.default(4), m.count))`,
}

// TestSameBehaviour runs our own inert packages and every variant of them.
func TestSameBehaviour(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	for name, files := range samples {
		a, p := program(files)
		want := run(t, a, call[name])
		for _, tr := range All {
			t.Run(name+"/"+tr.Name, func(t *testing.T) {
				v, err := tr.Make(a, p)
				if err != nil {
					t.Fatal(err)
				}
				if len(v.Kept) > 0 || v.Changed == 0 {
					t.Errorf("changed %d, kept %v", v.Changed, v.Kept)
				}
				if diff := cmp.Diff(want, run(t, v.Artifact, call[name])); diff != "" {
					t.Errorf("behaves differently (-original +variant):\n%s", diff)
				}
				again, err := tr.Make(a, p)
				if err != nil || again.Artifact.Integrity != v.Artifact.Integrity || !cmp.Equal(again.Artifact.Files, v.Artifact.Files) {
					t.Errorf("not deterministic: %v", err)
				}
			})
		}
	}
}

func run(t *testing.T, a *artifact.Artifact, code string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range a.Files {
		p := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stderr bytes.Buffer
	cmd := exec.Command("node", "-e", code, dir)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return string(out)
}

func TestShape(t *testing.T) {
	a, p := program(samples["commonjs"])
	has := func(v *Variant, path string) bool { return v.Artifact.Lookup(path) != nil }
	text := func(v *Variant, path string) []byte { return v.Artifact.Lookup(path).Data }

	v, _ := Rename(a, p)
	if bytes.Contains(text(v, "lib/helper.js"), []byte("multiply")) || !bytes.Contains(text(v, "lib/helper.js"), []byte("twice")) {
		t.Errorf("rename: local names must go, property names stay:\n%s", text(v, "lib/helper.js"))
	}
	v, _ = Minify(a, p)
	if n := bytes.Count(bytes.TrimSpace(text(v, "lib/helper.js")), []byte("\n")); n != 0 {
		t.Errorf("minify: %d line ends", n)
	}
	v, _ = Bundle(a, p)
	if !has(v, "package.json") || v.Artifact.Manifest.Name != "a" {
		t.Error("bundle: the manifest is data and stays")
	}
	if has(v, "lib/helper.js") || !has(v, "lib/setup.js") || !bytes.Contains(text(v, "index.js"), []byte("multiply")) {
		t.Errorf("bundle: entries hold what they import, which goes away")
	}
	v, _ = Split(a, p)
	if !has(v, "lib/setup-fs.cjs") || !has(v, "lib/setup-part.js") || bytes.Contains(text(v, "lib/setup-part.js"), []byte(`"fs"`)) {
		t.Errorf("split: builtin modules come through files of their own")
	}
}

// TestKept: what does not parse or is refused stays and is named.
func TestKept(t *testing.T) {
	deep := bytes.Repeat([]byte("["), 10_000)
	a, p := program(map[string]string{"package.json": `{"main":"bad.js"}`, "bad.js": "let = = ;", "deep.js": string(deep)})
	for _, tr := range All[:2] {
		v, err := tr.Make(a, p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"bad.js", "deep.js"}, v.Kept); diff != "" {
			t.Errorf("%s: %s", tr.Name, diff)
		}
	}
}

// TestConcurrent: esbuild is called from several packages at once.
func TestConcurrent(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			a, p := program(samples["module"])
			if _, err := Bundle(a, p); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
