package js

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/npm/npmtest"
)

// TestParse reads one snippet of each kind of syntax and asks what it loads, and which names it binds nowhere.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, file, src string
		esm             bool
		globals, calls  string // joined by blanks
	}{
		{"commonjs", "a.js", `const a = require("x"); module.exports = a + b;`, false, "b", "x"},
		{"esm", "a.js", `import d, { e as f } from "x"; import * as n from "y"; export { f }; export * from "z"; await import("w");`, true, "", "x y z w"},
		{"hashbang and BOM", "a.js", "\ufeff#!/usr/bin/env node\nfoo();", false, "foo", ""},
		{"html comment", "a.js", "<!-- x\nfoo();\n--> y", false, "foo", ""},
		{"jsx", "a.jsx", `const x = <Foo a={b}>text</Foo>;`, false, "Foo b", ""},
		{"jsx in js", "a.js", `const x = <div/>;`, false, "", ""},
		{"typescript", "a.ts", `interface A { x: number } enum E { A = 1 } const a: A = { x: E.A as number }; export default a!;`, true, "", ""},
		{"decorator", "a.ts", `@dec class A { @dec x = 1; }`, false, "dec", ""},
		{"import attributes", "a.mjs", `import j from "./x.json" with { type: "json" };`, true, "", "./x.json"},
		{"class fields", "a.js", `class A { #p = 1; static s = q; static { t(); } get x() { return this.#p; } }`, false, "q", ""}, // bodies are read when they run
		{"optional and nullish", "a.js", `a?.b?.[c]?.(d) ?? (e ||= f);`, false, "a c d e f", ""},
		{"generators and async", "a.js", `async function* g() { for await (const x of y) yield* x; } g(z);`, false, "z", ""},
		{"destructuring", "a.js", `const { a: [b = c], ...r } = d;`, false, "c d", ""},
		{"with", "a.js", `with (o) { p; }`, false, "o p", ""},
		{"label and goto", "a.js", `x: for (;;) { continue x; }`, false, "", ""},
		{"octal", "a.js", `var a = 0777, b = "\101";`, false, "", ""},
		{"regexp flags", "a.js", `/[/]\/(?<n>a)/dgimsuy.test(x);`, false, "x", ""},
		{"bigint", "a.js", `1_000n ** 2n;`, false, "", ""},
		{"wide template", "a.js", "`a${`b${c}`}d`;", false, "c", ""},
		{"return at the top", "a.js", `if (x) return; y();`, false, "x y", ""},
		{"invalid utf-8", "a.js", "var a = \"\xff\xfe\"; b();", false, "b", ""},
		{"surrogates", "a.js", `"\ud800"; c();`, false, "c", ""},
	} {
		u, err := Parse(c.file, c.src, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		force(u.Body)
		if u.ESM != c.esm {
			t.Errorf("%s: ESM %v", c.name, u.ESM)
		}
		var free []string
		for _, g := range u.Globals {
			if g != "undefined" && g != "React" && !strings.HasPrefix(g, "__") { // what the parser itself adds
				free = append(free, g)
			}
		}
		slices.Sort(free)
		if got := strings.Join(slices.Compact(free), " "); got != c.globals {
			t.Errorf("%s: globals %q, want %q", c.name, got, c.globals)
		}
		if got := strings.Join(u.Calls, " "); got != c.calls {
			t.Errorf("%s: calls %q, want %q", c.name, got, c.calls)
		}
	}
}

// force lowers a function, which is otherwise done when it first runs.
func force(f *Func) {
	if f != nil {
		f.Code()
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, src := range []string{"var = 1", "function (", "`${", "'abc", "/abc", "{", "class A { constructor() {} constructor() {} }", "let a; let a;", "await import(", "\x00"} {
		_, err := Parse("a.js", src, Options{})
		var se *SyntaxError
		if err == nil || !errors.As(err, &se) {
			t.Errorf("%q: %v, want a syntax error", src, err)
		}
	}
}

// shapes nest or repeat n times what exhausts parsers.
var shapes = map[string]func(n int) string{
	"parentheses":    func(n int) string { return strings.Repeat("(", n) + "1" + strings.Repeat(")", n) },
	"arrays":         func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) },
	"objects":        func(n int) string { return "a=" + strings.Repeat("{a:", n) + "1" + strings.Repeat("}", n) },
	"blocks":         func(n int) string { return strings.Repeat("{", n) + strings.Repeat("}", n) },
	"functions":      func(n int) string { return strings.Repeat("function f(){", n) + strings.Repeat("}", n) },
	"arrows":         func(n int) string { return strings.Repeat("a=>", n) + "1" },
	"not":            func(n int) string { return strings.Repeat("!", n) + "a" },
	"minus":          func(n int) string { return strings.Repeat("- ", n) + "a" },
	"typeof":         func(n int) string { return strings.Repeat("typeof ", n) + "a" },
	"concatenation":  func(n int) string { return "a" + strings.Repeat(`+"b"`, n) },
	"commas":         func(n int) string { return "a" + strings.Repeat(",a", n) },
	"members":        func(n int) string { return "a" + strings.Repeat(".b", n) },
	"calls":          func(n int) string { return "a" + strings.Repeat("()", n) },
	"indexes":        func(n int) string { return "a" + strings.Repeat("[0]", n) },
	"conditionals":   func(n int) string { return strings.Repeat("a?b:", n) + "c" },
	"else if":        func(n int) string { return strings.Repeat("if(a){}else ", n) + "{}" },
	"templates":      func(n int) string { return strings.Repeat("`${", n) + "1" + strings.Repeat("}`", n) },
	"labels":         func(n int) string { return labels(n) },
	"switch":         func(n int) string { return "switch(a){" + strings.Repeat("case 1:", n) + "}" },
	"classes":        func(n int) string { return strings.Repeat("(class extends ", n) + "a" + strings.Repeat("{})", n) },
	"new":            func(n int) string { return strings.Repeat("new ", n) + "a" },
	"assignments":    func(n int) string { return strings.Repeat("a=", n) + "1" },
	"power":          func(n int) string { return "a" + strings.Repeat("**a", n) },
	"logical":        func(n int) string { return "a" + strings.Repeat("||a", n) },
	"destructuring":  func(n int) string { return "var " + strings.Repeat("[", n) + "a" + strings.Repeat("]", n) + "=b" },
	"jsx":            func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) },
	"statements":     func(n int) string { return strings.Repeat("a;", n) },
	"long string":    func(n int) string { return `"` + strings.Repeat("a", n) + `"` },
	"open string":    func(n int) string { return `"` + strings.Repeat("a", n) },
	"open comment":   func(n int) string { return "/*" + strings.Repeat("*", n) },
	"regexp":         func(n int) string { return "/" + strings.Repeat("(a", n) + strings.Repeat(")", n) + "/" },
	"jsfuck":         func(n int) string { return strings.Repeat("(![]+[])[+[]]+", n) + "[]" },
	"type arguments": func(n int) string { return "a" + strings.Repeat("<b", n) },
}

func labels(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "l%d:", i)
	}
	return b.String() + ";"
}

// TestHostile asks for an end, by a unit, a syntax error or a refusal, whatever the depth. A fatal stack overflow would end the test.
func TestHostile(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{30, 1000, 100_000} {
				src := shape(n)
				for _, file := range []string{"a.js", "a.ts"} {
					u, err := Parse(file, src, Options{})
					var se *SyntaxError
					var re *Refusal
					switch {
					case err == nil:
						force(u.Body)
					case errors.As(err, &se), errors.As(err, &re):
					default:
						t.Errorf("%d deep, %s: %v", n, file, err)
					}
					if n == 30 && errors.As(err, &re) {
						t.Errorf("%d deep was refused: %v", n, err)
					}
				}
			}
		})
	}
}

// TestScan asks that the tokens of a text are the text.
func TestScan(t *testing.T) {
	for _, src := range []string{"", "a", "a/b/c; x = /[/]/g", "`a${b + `c`}d`", "'\\'' \"\\\"\"", "a // b\nc /* d */", "x\u2028y", "'open", "/* open", "`open ${", "1.5e3 .5 0x1f 1_0n", "a?.b", "\xff"} {
		if got := joined(src); got != src {
			t.Errorf("%q: tokens give %q", src, got)
		}
	}
}

func joined(src string) string {
	var b strings.Builder
	Scan(src, func(t Token) bool {
		b.WriteString(t.Text)
		return true
	})
	return b.String()
}

func FuzzScan(f *testing.F) {
	f.Add("a/b/`c${d}`")
	f.Fuzz(func(t *testing.T, src string) {
		if got := joined(src); got != src {
			t.Errorf("%q: tokens give %q", src, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add("a.js", "var a = require('b'); class C { #d = `${e}`; }")
	f.Add("a.ts", "enum A { B } namespace C { export const d = <any>e }")
	f.Add("a.mjs", "import a from 'b' with { type: 'json' }; export * as c from 'd'")
	f.Fuzz(func(t *testing.T, name, src string) {
		u, err := Parse(name, src, Options{})
		if (u == nil) == (err == nil) {
			t.Errorf("unit %v, error %v", u, err)
		}
		if u != nil {
			force(u.Body)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	src := strings.Repeat("function f(a, b) { if (a > b) { return g(a.c, { d: [1, 'x', /y/] }); } for (const e of b) h(e); }\n", 1000)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Parse("a.js", src, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAcorn compares with acorn on npm's own files: what parses, and every word, number, string and regular expression.
func TestAcorn(t *testing.T) {
	dir := npmtest.Install(t, "testdata/acorn/package.json")
	out, err := exec.Command("npm", "root", "-g").Output()
	if err != nil {
		t.Skip("skipped: npm root -g: ", err)
	}
	var files []string
	filepath.WalkDir(filepath.Join(strings.TrimSpace(string(out)), "npm"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && (strings.HasSuffix(p, ".js") || strings.HasSuffix(p, ".mjs") || strings.HasSuffix(p, ".cjs")) {
			files = append(files, p)
		}
		return nil
	})
	if len(files) < 100 {
		t.Skipf("skipped: only %d files of npm found", len(files))
	}
	script, _ := filepath.Abs("testdata/acorn/tokens.js")
	cmd := exec.Command("node", script)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err = cmd.Output()
	if err != nil {
		t.Fatalf("tokens.js: %v\n%s", err, stderr.String())
	}
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 64<<20)
	n := 0
	for sc.Scan() {
		var want struct {
			File   string
			OK     bool
			Tokens [][2]string
		}
		if err := json.Unmarshal(sc.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		n++
		src, err := os.ReadFile(want.File)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(want.File, string(src), Options{})
		if want.OK && err != nil {
			t.Errorf("%s: acorn reads it: %v", want.File, err)
		}
		if want.OK {
			compare(t, want.File, string(src), want.Tokens)
		}
	}
	t.Logf("%d files compared", n)
}

func compare(t *testing.T, file, src string, want [][2]string) {
	t.Helper()
	kinds := map[TokenKind]string{Word: "name", Number: "num", String: "string", Regex: "regexp"}
	var got [][2]string
	Scan(src, func(tok Token) bool {
		if k, ok := kinds[tok.Kind]; ok {
			got = append(got, [2]string{k, tok.Text})
		}
		return true
	})
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			near := func(list [][2]string) [][2]string { return list[min(i, len(list)):min(i+3, len(list))] }
			t.Errorf("%s: token %d: %v, acorn has %v", file, i, near(got), near(want))
			return
		}
	}
}
