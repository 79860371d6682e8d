package reconstruct

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// tree reads a tree of files written as one text: a line "-- PATH --" before each.
func tree(text string) []artifact.File {
	var out []artifact.File
	for _, line := range strings.SplitAfter(text, "\n") {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if name, ok2 := strings.CutSuffix(name, " --"); ok && ok2 {
			out = append(out, artifact.File{Path: name, Mode: 0o644})
		} else if n := len(out); n > 0 {
			out[n-1].Data = append(out[n-1].Data, line...)
		}
	}
	return out
}

func build(files []artifact.File) *js.Program {
	return Build(artifact.New(files, nil, ""), Options{})
}

func lay(t *testing.T, files []artifact.File) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range files {
		p := filepath.Join(dir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func needNode(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
}

// TestMerge runs each small package and its merged file. Each case has a call, as in testdata/packages.txt, and patterns that the
// merged text must hold (or, after a !, must not).
func TestMerge(t *testing.T) {
	needNode(t)
	files, err := filepath.Glob("testdata/merge/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	probe, err := filepath.Abs("testdata/probe.mjs")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, body, _ := strings.Cut(string(data), "\n-- ")
			how, call, want := "require", "", []string(nil)
			for _, line := range strings.Split(head, "\n") {
				word, rest, _ := strings.Cut(line, " ")
				switch word {
				case "how":
					how = rest
				case "call":
					call = rest
				case "text":
					want = append(want, rest)
				case "#", "":
				default:
					t.Fatalf("unknown line %q", line)
				}
			}
			list := tree("-- " + body)
			p := build(list)
			m, err := Merge(p, MergeOptions{ESM: how == "import"})
			if err != nil {
				t.Fatal(err)
			}
			again, err := Merge(build(list), MergeOptions{ESM: how == "import"})
			if err != nil || again.Code != m.Code || string(again.Map) != string(m.Map) {
				t.Errorf("not the same bytes every time: %v", err)
			}
			for _, w := range want {
				pattern, not := strings.CutPrefix(w, "!")
				if regexp.MustCompile(pattern).MatchString(m.Code) == not {
					t.Errorf("the merged text must match %s:\n%s", w, strings.SplitN(m.Code, "require, module);\n", 2)[strings.Count(m.Code, "require, module);\n")&1])
				}
			}
			whole := lay(t, list)
			main := mainOf(t, p, how)
			alone := lay(t, append(onlyOutside(list), artifact.File{Path: "merged" + m.Ext(), Data: []byte(m.Code)}))
			want1 := "typescript, not run by node"
			if !strings.HasSuffix(main, ".ts") && !strings.HasSuffix(main, ".tsx") && !strings.HasSuffix(main, ".jsx") {
				want1 = node(t.Context(), t, whole, probe, how, filepath.Join(whole, filepath.FromSlash(main)), call)
			} else if golden, err := os.ReadFile(strings.TrimSuffix(file, ".txt") + ".out"); err == nil {
				want1 = string(golden)
			}
			got := node(t.Context(), t, alone, probe, how, filepath.Join(alone, "merged"+m.Ext()), call)
			if diff := cmp.Diff(want1, got); diff != "" {
				t.Errorf("the merged file differs (-package +merged):\n%s\n%s", diff, m.Code)
			}
		})
	}
}

// mainOf is the file that importing a program's package loads.
func mainOf(t *testing.T, p *js.Program, how string) string {
	t.Helper()
	g := &merger{p: p, opt: MergeOptions{ESM: how == "import"}, manifests: map[string]*npm.Manifest{}}
	m := g.self()
	if m == nil {
		t.Fatal("the case has no main file")
	}
	return m.Path
}

// onlyOutside keeps what a merged file needs beside it: the manifest and packages that are no part of this one.
func onlyOutside(files []artifact.File) []artifact.File {
	var out []artifact.File
	for _, f := range files {
		if f.Path == "package.json" || strings.HasPrefix(f.Path, "outside/") {
			out = append(out, f)
		}
	}
	return out
}

// TestSourceMap asks the map where a mark in the merged text comes from, and compares with where it stands in the files.
func TestSourceMap(t *testing.T) {
	files := tree(`
-- package.json --
{"name":"m","main":"index.js"}
-- index.js --
// first
const { other } = require("./lib/other"); MARK_a();
const data = require("./data.json");
module.exports = function wide() { "é😀"; return MARK_b(other, data); };
-- lib/other.js --

exports.other = () => {
  return MARK_c() + /* "😀" */ MARK_d();
};
if (process.env.MORE) exports.late = require("./late.ts");
-- lib/late.ts --
interface Gone { a: number }

export function late(x: number): number {
  const y: Gone = { a: x };
  return MARK_e(y.a as number);
}
-- data.json --
{}
`)
	m, err := Merge(build(files), MergeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Version        int
		Sources        []string
		SourcesContent []string
		Mappings       string
	}
	if err := json.Unmarshal(m.Map, &doc); err != nil || doc.Version != 3 {
		t.Fatalf("version %d, %v", doc.Version, err)
	}
	for _, mark := range []string{"MARK_a", "MARK_b", "MARK_c", "MARK_d", "MARK_e"} {
		i := strings.Index(m.Code, mark)
		if i < 0 {
			t.Errorf("%s is lost:\n%s", mark, m.Code)
			continue
		}
		line, col := advance(0, 0, m.Code[:i])
		source, l, c := locate(t, doc.Mappings, line, col)
		text := strings.Split(doc.SourcesContent[source], "\n")[l]
		at := strings.Index(text, mark)
		if at < 0 {
			t.Errorf("%s: the map leads to %s:%d: %q", mark, doc.Sources[source], l+1, text)
			continue
		}
		if _, want := advance(0, 0, text[:at]); c > want {
			t.Errorf("%s: the map leads to column %d of %q, after it", mark, c, text)
		}
	}
}

// locate reads mappings by itself, so that a mistake in our writer is not repeated.
func locate(t *testing.T, mappings string, line, col int) (source, l, c int) {
	t.Helper()
	found := false
	var s, ol, oc int
	for n, text := range strings.Split(mappings, ";") {
		at := 0
		for _, field := range strings.Split(text, ",") {
			v := unvlq(field)
			if len(v) == 0 {
				continue
			}
			at += v[0]
			if len(v) >= 4 {
				s, ol, oc = s+v[1], ol+v[2], oc+v[3]
			}
			if n == line && at <= col {
				found = len(v) >= 4
				source, l, c = s, ol, oc
			}
		}
	}
	if !found {
		t.Fatalf("line %d, column %d of the merged file is mapped to nothing", line+1, col+1)
	}
	return source, l, c
}

func TestMergeEntries(t *testing.T) {
	needNode(t)
	files := tree(`
-- package.json --
{"name":"m","main":"index.js","bin":{"tool":"bin/tool.js"},"scripts":{"postinstall":"node setup.js now"}}
-- index.js --
exports.name = "main";
-- setup.js --
require("./shared").log("setup " + process.argv[2]);
-- bin/tool.js --
#!/usr/bin/env node
require("../shared").log("tool " + require.main.filename.includes("merged"));
-- shared.js --
exports.log = (x) => console.log(x);
-- unused.js --
exports.never = 1;
-- bad.js --
let = = ;
`)
	p := build(files)
	run := func(opt MergeOptions) (*Merged, string) {
		t.Helper()
		m, err := Merge(p, opt)
		if err != nil {
			t.Fatal(err)
		}
		dir := lay(t, []artifact.File{{Path: "merged" + m.Ext(), Data: []byte(m.Code)}})
		out, err := exec.Command("node", filepath.Join(dir, "merged"+m.Ext()), "now").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return m, string(out)
	}
	m, out := run(MergeOptions{})
	if out != "" || !strings.Contains(m.Code, "run_scripts_postinstall()") || !strings.Contains(m.Code, "run_bin_tool()") || strings.Contains(m.Code, "never") {
		t.Errorf("the main entry runs nothing else; the others are functions; unreached files stay out. It printed %q:\n%s", out, m.Code)
	}
	if _, out := run(MergeOptions{Entry: "scripts.postinstall"}); out != "setup now\n" {
		t.Errorf("scripts.postinstall printed %q", out)
	}
	if _, out := run(MergeOptions{Entry: "bin.tool"}); out != "tool true\n" {
		t.Errorf("bin.tool printed %q", out)
	}
	m, _ = run(MergeOptions{All: true})
	if !strings.Contains(m.Code, "never") || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "bad.js") {
		t.Errorf("all files: unreached ones are in, broken ones are noted: %v", m.Notes)
	}
	if _, err := Merge(p, MergeOptions{Entry: "scripts.nothing"}); err == nil {
		t.Error("an unknown entry is an error")
	}
	if _, err := Merge(build(tree("-- package.json --\n{}\n")), MergeOptions{}); err != ErrNothing {
		t.Errorf("a package without code: %v", err)
	}
}

// TestMergeHostile: names, paths and texts made to break out of what we write.
func TestMergeHostile(t *testing.T) {
	needNode(t)
	evil := "a\n;throw 1 /*.js"
	files := []artifact.File{
		{Path: "package.json", Data: []byte(`{"name":"x\nthrow 2","version":"*/ throw 3","main":"index.js","scripts":{"postinstall":"node setup.js\u2028throw 4"}}`)},
		{Path: "index.js", Data: []byte("exports.a = require(" + quoted("./"+evil) + ");\nvar merged = 1, export_index_a = 2; exports.b = merged + export_index_a;\n//")},
		{Path: evil, Data: []byte("module.exports = 5 //")},
		{Path: "setup.js", Data: []byte("<!-- html comment\n--> another\n")},
		{Path: "__proto__.js", Data: []byte("exports.__proto__ = null; exports.constructor = 1")},
	}
	m, err := Merge(build(files), MergeOptions{All: true})
	if err != nil {
		t.Fatal(err)
	}
	dir := lay(t, []artifact.File{{Path: "m.cjs", Data: []byte(m.Code)}})
	out, err := exec.Command("node", "-p", "JSON.stringify(require("+quoted(filepath.Join(dir, "m.cjs"))+"))").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != `{"a":5,"b":3}` {
		t.Errorf("%v %s\n%s", err, out, m.Code)
	}
}

// FuzzMerge feeds the merger two files that name each other. It must end, and what it writes must parse again.
func FuzzMerge(f *testing.F) {
	for _, s := range [][2]string{
		{"exports.a = require('./b').b;", "exports.b = 1; exports.c = exports.b"},
		{"import x, * as n from './b.mjs'; export default x; export * from './b.mjs'", "export default class {} export let y = 1"},
		{"const { a, b: c } = require('./b'); module.exports = { a, c }", "module.exports = function () {}"},
		{"const q = require('./b')\nq.x()", "exports.x = function () { return this }"},
		{"export { a as '*' }; let a; export * as '*' from './b.mjs'", "export let b; export { b as '*' }"},
		{"export * from './b.mjs'; export let a; export { a as '*' }", "export * from './a.mjs'; export { a as '__proto__', a as 'default' } from './a.mjs'"},
		{"export { a as 'b c' } from './b.mjs'; await 1; import('./b.mjs')", "import { z } from './a.mjs'; export var a = z"},
		{"#!x\n'use strict'\nvar require, exports", "with (a) b"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 4000 {
			return
		}
		for _, ext := range []string{".js", ".mjs"} {
			p := build([]artifact.File{{Path: "package.json", Data: []byte(`{"main":"a` + ext + `"}`)}, {Path: "a" + ext, Data: []byte(a)}, {Path: "b.js", Data: []byte(b)}, {Path: "b.mjs", Data: []byte(b)}, {Path: "a.mjs", Data: []byte(a)}})
			m, err := Merge(p, MergeOptions{All: true})
			if err != nil {
				continue
			}
			if _, err := js.Parse("merged"+m.Ext(), m.Code, js.Options{}); err != nil {
				t.Errorf("%v\n%s", err, m.Code)
			}
			if !json.Valid(m.Map) {
				t.Error("the map is not JSON")
			}
		}
	})
}

// TestMergeMany: the cost of a file grows with its size, not with its square.
func TestMergeMany(t *testing.T) {
	const n = 30_000
	var common, module, requires strings.Builder
	for i := range n {
		fmt.Fprintf(&common, "exports.a%d = function () {};\n", i)
		fmt.Fprintf(&module, "export { v as \"%s\" };\n", strings.Repeat("-", 1+i%3)+fmt.Sprint(i))
		fmt.Fprintf(&requires, "var r%d = require('./common').a%d;\n", i, i)
	}
	start := time.Now()
	for _, files := range [][]artifact.File{
		{{Path: "package.json", Data: []byte(`{"main":"index.js"}`)}, {Path: "index.js", Data: []byte(requires.String())}, {Path: "common.js", Data: []byte(common.String())}},
		{{Path: "package.json", Data: []byte(`{"main":"index.mjs"}`)}, {Path: "index.mjs", Data: []byte("export * from './module.mjs'; import * as all from './module.mjs'; all")}, {Path: "module.mjs", Data: []byte("const v = 1;\n" + module.String())}},
	} {
		if _, err := Merge(build(files), MergeOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Logf("took %v", took)
	}
}
