package js

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// at lists where a name stands, as the text from there to the end of the line.
func at(l *Links, ms []Mention) []string {
	var out []string
	for _, m := range ms {
		rest, _, _ := strings.Cut(l.Source[m.Start:], "\n")
		out = append(out, rest)
	}
	return out
}

func named(list []Name, text string) []Mention {
	for _, n := range list {
		if n.Text == text {
			return n.Uses
		}
	}
	return nil
}

func TestLinksNames(t *testing.T) {
	const src = `const a = 1, { b, c: d = a, ...e } = free(a);
function f(a) { var b = a; return { d, b, a: f }; }
{ function inBlock() { return inBlock; } }
inBlock(); e.d = e["d"]; label: for (const a of [a]) break label;
class K extends f { a = K; #p = this.#p; static { K; } }
({ b = 2, c: e } = d);
free` + "`${a}`" + `;
`
	l, err := ReadLinks("x.js", src, false)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]int{"a": 4, "b": 2, "d": 3, "e": 4, "f": 3, "inBlock": 3, "K": 3}
	for name, want := range tests {
		if got := at(l, named(l.Names, name)); len(got) != want {
			t.Errorf("%s stands at %d places, want %d: %q", name, len(got), want, got)
		}
	}
	if got := named(l.Free, "free"); len(got) != 2 || !got[0].Callee || !got[1].Callee {
		t.Errorf("free: %v", got)
	}
	for _, m := range named(l.Names, "b") {
		if !m.Short {
			t.Errorf("b at %d is a shorthand", m.Start)
		}
	}
	if l.Dynamic || l.ESM || l.Strict || l.Wrapped || !l.This {
		t.Errorf("%+v", l)
	}
}

func TestLinksFlags(t *testing.T) {
	for src, want := range map[string]string{
		"eval('x')":                            "dynamic",
		"function f() { eval('x') }":           "dynamic",
		"(0, eval)('x')":                       "",
		"with (a) b":                           "dynamic",
		"var \\u0061 = 1; a":                   "dynamic",
		"this.a = 1":                           "wrapped",
		"(() => this)()":                       "wrapped",
		"function f() { return this }":         "",
		"class A { m() { this } f = this }":    "",
		"if (a) return; b":                     "wrapped",
		"arguments[0]":                         "wrapped",
		"(function () { return arguments })()": "",
		"'use strict'; a":                      "strict",
		"import 'a'":                           "esm strict",
		"export {}":                            "esm strict",
		"await a":                              "esm strict",
		"import('a')":                          "",
	} {
		l, err := ReadLinks("x.js", src, false)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		var got []string
		for name, on := range map[string]bool{"dynamic": l.Dynamic, "esm": l.ESM, "strict": l.Strict, "wrapped": l.Wrapped} {
			if on {
				got = append(got, name)
			}
		}
		if len(got) == 2 && got[0] > got[1] {
			got[0], got[1] = got[1], got[0]
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", src, diff)
		}
	}
}

func TestLinksLead(t *testing.T) {
	for src, want := range map[string]bool{ // does the statement require before anything else with an effect?
		"const a = require('x')":                      true,
		"const a = require('x').b, c = 1":             true,
		"const c = 1, a = require('x')":               true,
		"const c = f(), a = require('x')":             false,
		"require('x')":                                true,
		"require('x')()":                              true,
		"exports.a = module.exports = require('x')":   true,
		"module.exports = { a: 1, b: require('x') }":  true,
		"module.exports = { a: f(), b: require('x')}": false,
		"f(require('x'))":                             true,
		"f()(require('x'))":                           false,
		"new (require('x'))":                          true,
		"a && require('x')":                           false,
		"require('x') || {}":                          true,
		"if (a) require('x')":                         false,
		"function f() { require('x') }":               false,
		"const f = () => require('x')":                false,
		"try { require('x') } catch {}":               false,
		"a ? require('x') : 1":                        false,
		"a, require('x')":                             true,
		"f(), require('x')":                           false,
		"[1, require('x')]":                           true,
		"class A { static a = require('x') }":         false,
	} {
		l, err := ReadLinks("x.js", src, false)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if len(l.Calls) != 1 || l.Calls[0].Spec != "x" || (l.Calls[0].Lead >= 0) != want {
			t.Errorf("%s: %+v, want lead %v", src, l.Calls, want)
		}
	}
}

func TestLinksModule(t *testing.T) {
	const src = `import d, { a as b, "odd name" as c } from "one" with { type: "json" }
import * as n from './two.js'; import "three";
export { b as x, local as "y z" };
export * from "four"
export * as ns from "five"; export { q as default } from "six";
export const local = b(c), { k, l: [m] } = n;
export /* comment */ async function fn() { return import.meta.url; }
d;
`
	l, err := ReadLinks("x.mjs", src, false)
	if err != nil {
		t.Fatal(err)
	}
	var imports []string
	for _, im := range l.Imports {
		text := im.From + im.Attributes
		for _, n := range im.Names {
			text += " " + n.Name + "=" + n.Local
		}
		imports = append(imports, text)
	}
	if diff := cmp.Diff([]string{`onewith { type: "json" } default=d a=b odd name=c`, "./two.js *=n", "three", "four", "five", "six"}, imports); diff != "" {
		t.Error(diff)
	}
	var exports []string
	for _, e := range l.Exports {
		exports = append(exports, strings.Join([]string{e.As, e.Local, e.Name}, "|"))
	}
	if diff := cmp.Diff([]string{"*||*", "default||q", "fn|fn|", "k|k|", "local|local|", "m|m|", "ns||*", "x||a", "y z|local|"}, exports); diff != "" {
		t.Error(diff)
	}
	var dropped []string
	for _, x := range l.Exposed {
		dropped = append(dropped, src[x.Drop.Start:x.Drop.End])
	}
	if diff := cmp.Diff([]string{`export { b as x, local as "y z" };`, "export ", "export /* comment */ "}, dropped); diff != "" {
		t.Error(diff)
	}
	if len(l.Metas) != 1 || src[l.Metas[0].Start:l.Metas[0].End] != "import.meta" {
		t.Errorf("metas: %v", l.Metas)
	}
}

func TestErase(t *testing.T) {
	code, m, err := Erase("x.tsx", "interface A {}\nexport const a: A = <b>x</b>;\n", "tsx")
	if err != nil || strings.Contains(code, "interface") || !strings.Contains(code, "export const a") || !strings.Contains(m, `"mappings"`) {
		t.Errorf("%v\n%s\n%s", err, code, m)
	}
	if _, _, err := Erase("x.ts", strings.Repeat("(", 10_000), "ts"); err == nil {
		t.Error("the guard stands before the printer too")
	}
}
