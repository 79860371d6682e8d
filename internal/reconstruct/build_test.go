package reconstruct

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
)

// written writes an entry on one line: phase name [lang] path argv, or phase name $ command.
func written(e js.Entry) string {
	s := e.Phase + " " + e.Name
	if e.Command != "" {
		return s + " $ " + e.Command
	}
	if e.Lang != "" && e.Lang != "js" {
		s += " [" + e.Lang + "]"
	}
	s += " " + e.Path
	if len(e.Argv) > 0 {
		s += " " + strings.Join(e.Argv, " ")
	}
	return s
}

func entries(p *js.Program) []string {
	out := []string{}
	for _, e := range p.Entries {
		out = append(out, written(e))
	}
	return out
}

// TestScripts follows one postinstall line to the files that it starts.
func TestScripts(t *testing.T) {
	const files = `
-- x.js --
-- lib/y.js --
-- lib/index.js --
-- run.sh --
-- run.bat --
-- run.ps1 --
-- tool.py --
-- bin/native.exe --
-- hook.mjs --
-- sub/package.json --
{"main":"entry"}
-- sub/entry.js --
`
	tests := []struct {
		line    string
		scripts string // further scripts, as JSON members
		want    []string
	}{
		{"node x.js", "", []string{"x.js"}},
		{"node ./x", "", []string{"x.js"}},
		{"node x.js one 'two three'", "", []string{"x.js one two three"}},
		{"node lib", "", []string{"lib/index.js"}},
		{"node sub", "", []string{"sub/entry.js"}},
		{"node --max-old-space-size=100 x.js", "", []string{"x.js"}},
		{"node -r ./lib/y.js x.js", "", []string{"lib/y.js", "x.js"}},
		{"node --require=./lib/y.js x.js", "", []string{"lib/y.js", "x.js"}},
		{"node --import ./hook.mjs x.js", "", []string{"hook.mjs", "x.js"}},
		{"sh run.sh", "", []string{"[sh] run.sh"}},
		{"bash -e ./run.sh a", "", []string{"[sh] run.sh a"}},
		{"./run.sh", "", []string{"[sh] run.sh"}},
		{"run.bat", "", []string{"[cmd] run.bat"}},
		{`.\run.bat`, "", []string{"[cmd] run.bat"}},
		{"cmd /c run.bat", "", []string{"[cmd] run.bat"}},
		{"start /b bin/native.exe", "", []string{"[binary] bin/native.exe"}},
		{"powershell -File run.ps1", "", []string{"[powershell] run.ps1"}},
		{"python3 tool.py", "", []string{"[python] tool.py"}},
		{"node x.js && sh run.sh", "", []string{"x.js", "[sh] run.sh"}},
		{"node x.js || node lib/y.js; node hook.mjs", "", []string{"x.js", "lib/y.js", "hook.mjs"}},
		{"cd lib && node y.js", "", []string{"lib/y.js"}},
		{"sh -c 'node x.js && node lib/y'", "", []string{"x.js", "lib/y.js"}},
		{"npm run other", `"other":"node x.js"`, []string{"x.js"}},
		{"npm run -s other -- --flag", `"other":"node x.js"`, []string{"x.js"}},
		{"npm run other", `"preother":"node lib/y.js","other":"node x.js","postother":"node hook.mjs"`, []string{"lib/y.js", "x.js", "hook.mjs"}},
		{"yarn other", `"other":"node x.js"`, []string{"x.js"}},
		{"npm test", `"test":"node x.js"`, []string{"x.js"}},
		{"run-s one two", `"one":"node x.js","two":"node lib/y.js"`, []string{"x.js", "lib/y.js"}},
		{"npm run loop", `"loop":"npm run loop2","loop2":"npm run loop && node x.js"`, []string{"x.js"}},
		{"npx -y ts-node x.js", "", []string{"x.js"}},
		{"npx node x.js", "", []string{"x.js"}},
		{"cross-env A=1 B=2 node x.js", "", []string{"x.js"}},
		{"A=1 node x.js", "", []string{"x.js"}},
		{"sudo nohup node x.js &", "", []string{"x.js"}},
		{"timeout 10 node x.js", "", []string{"x.js"}},
		{"concurrently 'node x.js' 'node lib/y.js'", "", []string{"x.js", "lib/y.js"}},
		{"nodemon --quiet x.js", "", []string{"x.js"}},
		{"node -e \"require('./x.js')\"", "", nil}, // the code of the line is for the shell reader
		{"echo node x.js", "", nil},
		{"node ../outside.js", "", nil},
		{"exit 0", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.line, func(t *testing.T) {
			line, err := json.Marshal(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			more := ""
			if tt.scripts != "" {
				more = "," + tt.scripts
			}
			manifest := fmt.Sprintf(`{"name":"m","main":"none.js","scripts":{"postinstall":%s%s}}`, line, more)
			p := build(append(tree(files), artifact.File{Path: "package.json", Data: []byte(manifest)}))
			var got []string
			for _, e := range p.Entries {
				if e.Kind == js.EntryScript && !e.Implied {
					got = append(got, strings.TrimPrefix(written(e), "install scripts.postinstall "))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("files started (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEntries: what starts a package, by every field of the manifest.
func TestEntries(t *testing.T) {
	tests := []struct {
		name, files string
		want        []string
	}{
		{"main without ending", "-- package.json --\n{\"main\":\"lib/a\"}\n-- lib/a.js --\n", []string{"import main lib/a.js"}},
		{"no main", "-- package.json --\n{}\n-- index.js --\n", []string{"import main index.js"}},
		{"main that is not there", "-- package.json --\n{\"main\":\"dist/x.js\"}\n-- index.js --\n", []string{"import main index.js"}},
		{"no manifest", "-- index.js --\n", []string{"import main index.js"}},
		{"module and browser", "-- package.json --\n{\"main\":\"a.js\",\"module\":\"a.mjs\",\"browser\":\"b.js\"}\n-- a.js --\n-- a.mjs --\n-- b.js --\n",
			[]string{"import main a.js", "import module a.mjs", "browser browser b.js"}},
		{"browser map", "-- package.json --\n{\"browser\":{\"./a.js\":\"./b.js\",\"fs\":false,\"x\":\"y\"}}\n-- a.js --\n-- b.js --\n", []string{"browser browser../a.js b.js"}},
		{"every condition of exports", `
-- package.json --
{"exports":{".":{"types":"./t.d.ts","browser":"./b.js","node":{"import":"./n.mjs","require":"./n.cjs"},"default":"./d.js"},"./sub":"./s.js","./data":"./data.json","./null":null,"./list":["./s2.js","./s3.js"]}}
-- t.d.ts --
-- b.js --
-- n.mjs --
-- n.cjs --
-- d.js --
-- s.js --
-- s2.js --
-- s3.js --
-- data.json --
{}
`, []string{"import exports...node.import n.mjs", "import exports...node.require n.cjs", "import exports...default d.js", "import exports.sub s.js", "import exports.list s2.js", "import exports.list s3.js", "browser exports...browser b.js"}},
		{"patterns", "-- package.json --\n{\"exports\":{\"./f/*\":\"./lib/*.js\"}}\n-- lib/a.js --\n-- lib/deep/b.js --\n-- lib/c.txt --\n", []string{"import exports.f/* lib/a.js", "import exports.f/* lib/deep/b.js"}},
		{"bin", "-- package.json --\n{\"name\":\"@s/tool\",\"bin\":\"cli.js\"}\n-- cli.js --\n", []string{"bin bin.tool cli.js"}},
		{"bins", "-- package.json --\n{\"bin\":{\"a\":\"./a.js\",\"b\":\"b\"}}\n-- a.js --\n-- b --\n#!/usr/bin/env node\n", []string{"bin bin.a a.js", "bin bin.b b"}},
		{"lifecycle order", "-- package.json --\n{\"scripts\":{\"postinstall\":\"node c.js\",\"install\":\"node b.js\",\"preinstall\":\"node a.js\",\"prepare\":\"node p.js\",\"test\":\"node t.js\"}}\n-- a.js --\n-- b.js --\n-- c.js --\n-- p.js --\n-- t.js --\n",
			[]string{"install scripts.preinstall $ node a.js", "install scripts.preinstall a.js", "install scripts.install $ node b.js", "install scripts.install b.js", "install scripts.postinstall $ node c.js", "install scripts.postinstall c.js", "import files t.js", "bin scripts.prepare $ node p.js", "bin scripts.prepare p.js"}},
		{"implicit build", "-- package.json --\n{\"main\":\"a.js\"}\n-- a.js --\n-- gen.js --\n-- binding.gyp --\n{'targets':[{'sources':['<!@(node gen.js list)'],'x':'<!(node -p 1)'}]}\n",
			[]string{"install binding.gyp $ node-gyp rebuild", "install binding.gyp $ node gen.js list", "install binding.gyp gen.js list", "install binding.gyp $ node -p 1", "import main a.js"}},
		{"no implicit build beside an install script", "-- package.json --\n{\"main\":\"a.js\",\"scripts\":{\"install\":\"exit 0\"}}\n-- a.js --\n-- binding.gyp --\n{}\n", []string{"install scripts.install $ exit 0", "import main a.js"}},
		{"bundled dependency", "-- package.json --\n{\"main\":\"a.js\",\"bundledDependencies\":[\"in\"]}\n-- a.js --\n-- node_modules/in/package.json --\n{\"scripts\":{\"install\":\"node hook.js\"}}\n-- node_modules/in/hook.js --\n",
			[]string{"install node_modules/in:scripts.install $ node hook.js", "install node_modules/in:scripts.install node_modules/in/hook.js", "import main a.js"}},
		{"local dependency", "-- package.json --\n{\"main\":\"a.js\",\"dependencies\":{\"x\":\"file:./vendor/x\"}}\n-- a.js --\n-- vendor/x/package.json --\n{\"scripts\":{\"preinstall\":\"node hook.js\"}}\n-- vendor/x/hook.js --\n",
			[]string{"install vendor/x:scripts.preinstall $ node hook.js", "install vendor/x:scripts.preinstall vendor/x/hook.js", "import main a.js"}},
		{"an install script whose file is not there yet", "-- package.json --\n{\"main\":\"none\",\"scripts\":{\"postinstall\":\"node later.js\"}}\n-- lib/hidden.js --\n-- test/spec.js --\n",
			[]string{"install scripts.postinstall $ node later.js", "install scripts.postinstall lib/hidden.js"}},
		{"nothing names a file", "-- package.json --\n{}\n-- lib/used-by-path.js --\n", []string{"import files lib/used-by-path.js"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := build(tree(tt.files))
			if diff := cmp.Diff(tt.want, entries(p)); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReach: each file knows how it can come to run; what nothing reaches stays and is marked by an empty Reach.
func TestReach(t *testing.T) {
	p := build(tree(`
-- package.json --
{"name":"m","main":"index.js","bin":"cli.js","browser":"page.js","scripts":{"install":"node setup"}}
-- index.js --
require("./a"); function later() { return require("./b"); }
// require("./commented")
const text = "require('./quoted')";
require("./missing"); require("outside"); require("fs");
-- a.js --
import("./a-later.mjs"); require("./index");
-- a-later.mjs --
export * from "./cycle.mjs";
-- cycle.mjs --
import "./a-later.mjs";
-- b.js --
const c = require(
  /* spread over lines */ "./c.json");
-- c.json --
{}
-- setup.js --
require("./a");
-- cli.js --
require("./index");
-- page.js --
-- unused.js --
-- commented.js --
-- quoted.js --
-- broken.js --
let = = 1
`))
	const i, m, b, c = js.ReachInstall, js.ReachImport, js.ReachBrowser, js.ReachBin
	want := map[string]js.Reach{"index.js": i | m | c, "a.js": i | m | c, "a-later.mjs": i | m | c, "cycle.mjs": i | m | c, "b.js": i | m | c, "c.json": i | m | c, "setup.js": i, "cli.js": c, "page.js": b,
		"unused.js": 0, "commented.js": 0, "quoted.js": 0, "broken.js": 0, "package.json": 0}
	got := map[string]js.Reach{}
	for _, m := range p.Modules {
		got[m.Path] = m.Reach
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reach (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]js.Unresolved{{From: "index.js", Specifier: "./missing", Why: "no such file"}}, slices.CompactFunc(p.Unresolved, func(a, b js.Unresolved) bool { return a == b })); diff != "" {
		t.Errorf("unresolved (-want +got):\n%s", diff)
	}
}

// TestResolveAsNode asks Node itself, with its own resolver, where every specifier leads.
func TestResolveAsNode(t *testing.T) {
	needNode(t)
	files := tree(`
-- package.json --
{"name":"self","version":"1.0.0","exports":{".":"./index.js","./lib/*":"./lib/*.js","./lib/private/*":null,"./only":{"import":"./only.mjs","require":"./only.cjs"}},"imports":{"#a":"./lib/a.js","#dir/*":"./lib/*.js","#dep":"dep","#cond":{"import":"./only.mjs","default":"./only.cjs"},"#none":null}}
-- index.js --
-- only.mjs --
-- only.cjs --
-- lib.js --
-- lib/index.js --
-- lib/a.js --
-- lib/a.json --
{}
-- lib/b.json --
{}
-- lib/c.node --
-- lib/d/index.json --
{}
-- lib/e/package.json --
{"main":"inner"}
-- lib/e/inner.js --
-- lib/f/package.json --
{"main":"missing.js"}
-- lib/f/index.js --
-- lib/g/package.json --
{"main":"./sub"}
-- lib/g/sub/index.js --
-- lib/private/x.js --
-- lib/with space.js --
-- lib/deep/er/h.js --
-- node_modules/dep/package.json --
{"name":"dep","main":"./main"}
-- node_modules/dep/main.js --
-- node_modules/dep/sub/x.js --
-- node_modules/dep/node_modules/inner/index.js --
-- node_modules/plain.js --
-- node_modules/noman/index.js --
-- node_modules/punycode/index.js --
-- node_modules/punycode/package.json --
{}
-- node_modules/@s/scoped/package.json --
{"exports":{"./a":"./a.js","./*/b":"./b-*.js","./*":"./any/*.js","./a/*":"./a-*.js","./dir/*/end.js":"./end-*.js","./list":[{"browser":"./no.js"},"./a.js"],"./nest":{"node":{"import":"./i.mjs","require":"./r.cjs"},"default":"./a.js"},"./order":{"default":"./a.js","node":"./no.js"},"./unknown":{"deno":"./no.js"}}}
-- node_modules/@s/scoped/a.js --
-- node_modules/@s/scoped/b-1.js --
-- node_modules/@s/scoped/a-z.js --
-- node_modules/@s/scoped/any/q.js --
-- node_modules/@s/scoped/any/r/b.js --
-- node_modules/@s/scoped/end-k.js --
-- node_modules/@s/scoped/i.mjs --
-- node_modules/@s/scoped/r.cjs --
-- node_modules/@s/scoped/hidden.js --
-- node_modules/sugar/package.json --
{"exports":{"import":"./i.mjs","require":"./r.js"}}
-- node_modules/sugar/i.mjs --
-- node_modules/sugar/r.js --
-- node_modules/text/package.json --
{"exports":"./t.js","main":"./other.js"}
-- node_modules/text/t.js --
-- node_modules/text/other.js --
`)
	type question struct {
		From, Spec string
		ESM        bool
	}
	var asked []question
	ask := func(from string, specs ...string) {
		for _, s := range specs {
			asked = append(asked, question{from, s, false}, question{from, s, true})
		}
	}
	ask("index.js", "./lib", "./lib/", "./lib.js", "./lib/a", "./lib/a.js", "./lib/a.json", "./lib/b", "./lib/c", "./lib/d", "./lib/e", "./lib/f", "./lib/g", "./missing", "./lib/with%20space.js", "./lib/with space.js",
		"self", "self/lib/a", "self/lib/private/x", "self/only", "self/index.js", "self/lib.js", "#a", "#dir/a", "#dep", "#cond", "#none", "#unknown",
		"dep", "dep/", "dep/sub/x", "dep/sub/x.js", "dep/none", "plain.js", "plain", "noman", "punycode", "punycode/", "fs", "fs/promises", "node:fs", "fs/none", "process",
		"@s/scoped", "@s/scoped/a", "@s/scoped/1/b", "@s/scoped/q", "@s/scoped/a/z", "@s/scoped/dir/k/end.js", "@s/scoped/list", "@s/scoped/nest", "@s/scoped/order", "@s/scoped/unknown", "@s/scoped/hidden.js",
		"sugar", "sugar/r.js", "text", "text/other.js", "absent", "absent/x")
	ask("lib/deep/er/h.js", "..", "../..", ".", "./", "../../a", "../../../index", "dep", "self", "#a", "h", "../../../../up")
	ask("node_modules/dep/main.js", "inner", "self", "dep", "./sub/x", "#a", "text")
	dir := lay(t, files)
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import { createRequire } from "node:module";
import { existsSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isBuiltin } from "node:module";
const [root] = process.argv.slice(1);
const out = JSON.parse(readFileSync(0, "utf8")).map(({ From, Spec, ESM }) => {
  const from = root + "/" + From;
  try {
    let at = ESM ? import.meta.resolve(Spec, pathToFileURL(from).href) : createRequire(from).resolve(Spec);
    if (at.startsWith("node:") || isBuiltin(at)) return "builtin";
    if (ESM) at = fileURLToPath(at);
    return existsSync(at) && statSync(at).isFile() ? at.slice(root.length + 1) : "";
  } catch { return ""; }
});
console.log(JSON.stringify(out));`
	in, err := json.Marshal(asked)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", "--no-warnings", "--experimental-import-meta-resolve", "--input-type=module", "-e", script, real)
	cmd.Stdin = strings.NewReader(string(in))
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := json.Unmarshal(answer, &want); err != nil {
		t.Fatal(err)
	}
	p := build(files)
	found := 0
	for i, q := range asked {
		r := p.Resolver.Resolve(q.From, q.Spec, q.ESM)
		got := ""
		switch {
		case r.Builtin != "":
			got = "builtin"
		case r.Module != nil:
			got = r.Module.Path
		}
		if want[i] != "" {
			found++
		}
		// Bundlers and TypeScript let an import leave out the ending or name a folder, which Node does not: ours finds the file.
		lenient := q.ESM && want[i] == "" && got != "" && !strings.HasSuffix(q.Spec, "/"+got) && (strings.HasPrefix(q.Spec, ".") || strings.HasSuffix(q.Spec, "/") || strings.HasPrefix(q.Spec, "dep") || strings.HasPrefix(q.Spec, "plain") || strings.HasPrefix(q.Spec, "noman") || strings.HasPrefix(q.Spec, "inner"))
		if got != want[i] && !lenient {
			t.Errorf("%s from %s (import: %v): node finds %q, we %q", q.Spec, q.From, q.ESM, want[i], got)
		}
	}
	if found < 60 {
		t.Errorf("only %d of %d questions have an answer", found, len(asked))
	}
}

// TestBuildHostile: manifests and trees made to exhaust or confuse their reader.
func TestBuildHostile(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	var many strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&many, `"s%d":"npm run s%d && npm run s%d",`, i, i+1, i+2)
	}
	tests := map[string]string{
		"not JSON":              `{"main":`,
		"not an object":         `[1,2]`,
		"wrong types":           `{"main":{},"scripts":[],"bin":7,"exports":3,"browser":[[]],"imports":"#x","dependencies":"x"}`,
		"deep exports":          `{"exports":` + deep + `}`,
		"climbing paths":        `{"main":"../../etc/passwd","bin":{"a":"../../../x"},"exports":{"./*":"../*"},"scripts":{"install":"node ../../../x.js && cd ../.. && node x"}}`,
		"exploding scripts":     `{"scripts":{` + many.String() + `"install":"npm run s0"}}`,
		"script of itself":      `{"scripts":{"install":"npm run install && npm run install"}}`,
		"nested shells":         `{"scripts":{"install":"` + strings.Repeat("sh -c ", 5000) + `x"}}`,
		"imports that loop":     `{"name":"m","imports":{"#a":"#b","#b":"#a","#c":"m"},"exports":{".":"./index.js"}}`,
		"local dependency loop": `{"dependencies":{"x":"file:./v"},"scripts":{"install":"node index.js"}}`,
		"pattern of all":        `{"exports":{"./*":"./*"}}`,
		"names of prototypes":   `{"main":"__proto__","bin":{"__proto__":"constructor"},"scripts":{"__proto__":"x","install":"npm run constructor"}}`,
		"control characters":    "{\"main\":\"a\\u0000b\",\"scripts\":{\"install\":\"node a\\u0000\\nnode index.js\"}}",
	}
	for name, manifest := range tests {
		t.Run(name, func(t *testing.T) {
			p := build([]artifact.File{
				{Path: "package.json", Data: []byte(manifest)}, {Path: "index.js", Data: []byte(`require("#a"); require("#c"); require("./".repeat(9)); require("./index")`)},
				{Path: "v/package.json", Data: []byte(`{"dependencies":{"y":"file:../"},"scripts":{"install":"node ../index.js"}}`)},
			})
			if len(p.Entries) > maxEntries || len(p.Unresolved) > maxEntries {
				t.Errorf("%d entries, %d unresolved", len(p.Entries), len(p.Unresolved))
			}
			for _, e := range p.Entries {
				if strings.Contains(e.Path, "..") {
					t.Errorf("an entry outside the package: %s", written(e))
				}
			}
		})
	}
}

// FuzzBuild: whatever a manifest and a script line say, the reconstruction ends within its limits and names only files that are there.
func FuzzBuild(f *testing.F) {
	f.Add(`{"main":"a.js","exports":{".":{"import":"./b.mjs"}},"scripts":{"install":"node a.js && sh c.sh"}}`, "require('./b.mjs')", "#a")
	f.Add(`{"imports":{"#a/*":"./*"},"bin":"a.js","browser":{"a":false}}`, "import x from '#a/b.mjs'", "./..//a.js/")
	f.Add(`{"scripts":{"preinstall":"cd x; npm run y -- z","y":"cross-env A=1 npx -y node -r ./a.js . && cmd /c \"start a.js\""}}`, "", "a/..")
	f.Fuzz(func(t *testing.T, manifest, code, spec string) {
		files := []artifact.File{{Path: "package.json", Data: []byte(manifest)}, {Path: "a.js", Data: []byte(code)}, {Path: "b.mjs", Data: []byte("export let a")}, {Path: "c.sh", Data: []byte("node a.js")}, {Path: "node_modules/x/package.json", Data: []byte(manifest)}}
		a := artifact.New(files, nil, "")
		p := Build(a, Options{})
		for _, e := range p.Entries {
			if e.Path != "" && a.Lookup(e.Path) == nil {
				t.Errorf("%s is not there", written(e))
			}
		}
		for _, esm := range []bool{false, true} {
			for _, from := range []string{"a.js", "node_modules/x/y.js"} {
				if r := p.Resolver.Resolve(from, spec, esm); r.Module != nil && a.Lookup(r.Module.Path) == nil {
					t.Errorf("%q leads to %q, which is not there", spec, r.Module.Path)
				}
			}
		}
	})
}
