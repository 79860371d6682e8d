package reconstruct

import (
	_ "embed"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/donapi/donapi/internal/js"
)

//go:embed runtime.js
var runtimeSource string

// print writes the merged file. The bodies come first, because writing them finds which namespaces and imports they need.
func (g *merger) print(others []js.Entry) (*Merged, error) {
	var defs, flat text
	for _, u := range g.order {
		switch u.form {
		case formCommon:
			g.printCommon(&defs, u)
		case formLazy:
			g.printLazy(&defs, u)
		case formBroken:
			defs.printf("\n// %s: not merged\nconst %s = %s.commonjs(%s, function () {\n  throw new SyntaxError(%s);\n});\n", u.m.Path, u.run, g.runtime, quoted(u.m.Path), quoted(u.err.Error()))
		}
	}
	for _, u := range g.flat {
		switch u.form {
		case formFlat:
			g.printFlat(&flat, u)
		case formLazy:
			flat.printf("\nawait %s.later([%s]);\n", g.runtime, strings.Join(g.runs(u), ", "))
		case formCommon, formBroken:
			flat.printf("\nconst %s = %s();\n", u.value, u.run)
		}
	}
	if g.main != nil && g.main.form == formSplice {
		g.printSplice(&flat, g.main)
	}
	g.printExports(&flat)
	g.printEntries(&flat, others)
	var spaces text
	for i := 0; i < len(g.spaces); i++ { // the getters of one namespace can ask for another
		g.printNamespace(&spaces, g.spaces[i])
	}
	var data text
	for _, u := range g.order {
		if u.form == formJSON {
			g.printJSON(&data, u)
		}
	}
	var head text
	g.printHead(&head, spaces.b.String()+data.b.String()+defs.b.String()+flat.b.String())
	out := &Merged{ESM: g.esm, Notes: g.notes}
	var all text
	for _, t := range []*text{&head, &spaces, &data, &defs, &flat} {
		all.append(t)
	}
	for _, u := range g.order {
		out.Files = append(out.Files, MergedFile{u.m.Path, string(u.form)})
	}
	sort.Slice(out.Files, func(i, j int) bool { return out.Files[i].Path < out.Files[j].Path })
	out.Code = all.b.String()
	var err error
	out.Map, err = all.sourceMap()
	return out, err
}

func (g *merger) printHead(t *text, rest string) {
	if g.main != nil && g.main.form == formSplice && g.main.links.Strict {
		t.printf("\"use strict\";\n")
	}
	if m := g.manifest(""); m != nil && m.Name != "" {
		t.printf("// %s, merged into one file. It runs in the folder of the package.json.\n", comment(m.Name+"@"+m.Version))
	}
	for _, n := range g.notes {
		t.printf("// note: %s\n", comment(n))
	}
	for _, u := range g.flat {
		if u.form == formFlat {
			g.printImports(t, u)
		}
	}
	for _, h := range g.heads {
		t.printf("%s\n", h)
	}
	if !strings.Contains(rest, g.runtime+".") {
		return
	}
	t.printf("// What the files need of Node's module loader: each file by its path, and requests relative to the file that makes them.\n")
	if g.esm {
		p, u, r := g.fresh("merged_path"), g.fresh("merged_url"), g.fresh("merged_require")
		t.printf("import * as %s from \"node:path\";\nimport * as %s from \"node:url\";\nimport { createRequire as %s } from \"node:module\";\n", p, u, r)
		t.printf("const %s = %s(%s, %s, %s.dirname(%s.fileURLToPath(import.meta.url)), %s(import.meta.url));\n", g.runtime, strings.TrimSpace(runtimeSource), p, u, p, u, r)
		return
	}
	t.printf("const %s = %s(require(\"node:path\"), require(\"node:url\"), __dirname, require, module);\n", g.runtime, strings.TrimSpace(runtimeSource))
}

// comment makes a text safe in a line comment.
func comment(s string) string {
	return strings.Trim(quoted(s), `"`)
}

// printImports writes the imports of other packages, under the names that the merged file gives them.
func (g *merger) printImports(t *text, u *unit) {
	for i, im := range u.links.Imports {
		d := &u.deps[i]
		if d.unit != nil {
			continue
		}
		clause, star, names := "", "", []string(nil)
		for j, n := range im.Names {
			switch {
			case n.Name == "*":
				star = d.names[j]
			case n.Name == "default" && clause == "":
				clause = d.names[j]
			case n.Name == d.names[j]:
				names = append(names, n.Name)
			default:
				names = append(names, exportName(n.Name)+" as "+d.names[j])
			}
		}
		from := g.specifier(u, im.From) + attributes(im)
		switch {
		case len(im.Names) == 0:
			t.printf("import %s;\n", from)
		case star != "" && clause != "":
			t.printf("import %s, * as %s from %s;\n", clause, star, from)
		case star != "":
			t.printf("import * as %s from %s;\n", star, from)
		case len(names) == 0:
			t.printf("import %s from %s;\n", clause, from)
		case clause == "":
			t.printf("import { %s } from %s;\n", strings.Join(names, ", "), from)
		default:
			t.printf("import %s, { %s } from %s;\n", clause, strings.Join(names, ", "), from)
		}
	}
}

// exportName writes a name as an import or export clause can hold it.
func exportName(n string) string {
	if wordPattern.FindString(n) == n && n != "" {
		return n
	}
	return quoted(n)
}

// key writes a property name of an object literal.
func key(n string) string {
	if n == "__proto__" {
		return `["__proto__"]`
	}
	return exportName(n)
}

func (g *merger) printNamespace(t *text, u *unit) {
	if u.form == formLazy {
		t.printf("const %s = %s.empty();\n", u.space, g.runtime)
		return
	}
	t.printf("const %s = %s.namespace(%s.empty(), {\n%s}%s);\n", u.space, g.runtime, g.runtime, g.getters(u), g.stars(u))
}

// getters are the exports of a module as they are at the time when they are read.
func (g *merger) getters(u *unit) string {
	var b strings.Builder
	names, _ := g.exportNames(u)
	for _, n := range names {
		text := ""
		if u.form == formLazy {
			text = g.ownName(u, n)
		}
		if text == "" {
			r, ok := g.export(u, n, map[string]bool{})
			if !ok {
				continue
			}
			text = r.text
		}
		fmt.Fprintf(&b, "  %s: () => %s,\n", key(n), text)
	}
	return b.String()
}

// ownName is what an export of a lazy module is called in its own function.
func (g *merger) ownName(u *unit, name string) string {
	e, ok := u.exportOf(name)
	switch {
	case !ok || e.Import >= 0:
		return ""
	case e.Local == "default":
		return g.defaultName(u)
	}
	return e.Local
}

// stars are the namespaces whose names only running tells, that a module exports whole.
func (g *merger) stars(u *unit) string {
	var b strings.Builder
	for _, e := range u.links.Exports {
		if !e.All {
			continue
		}
		switch t := u.deps[e.Import].unit; {
		case t == nil:
			b.WriteString(", " + g.external(u, e.Import))
		case t.form != formFlat && t.form != formLazy && t.value == "":
			b.WriteString(", " + g.namespace(t))
		}
	}
	return b.String()
}

func (g *merger) printCommon(t *text, u *unit) {
	if g.esm && !u.links.Strict {
		if _, err := js.Parse("strict.mjs", u.links.Source, js.Options{}); err != nil {
			t.printf("\n// %s: as a text, because a module cannot hold it\nconst %s = %s.commonjs(%s, Function(\"exports\", \"require\", \"module\", \"__filename\", \"__dirname\", %s));\n",
				comment(u.m.Path), u.run, g.runtime, quoted(u.m.Path), quoted(withoutHashbang(u.links.Source)))
			return
		}
		g.notes = append(g.notes, u.m.Path+" is strict here, as everything in a module is, and was not")
	}
	t.printf("\n// %s\nconst %s = %s.commonjs(%s, function (exports, require, module, __filename, __dirname) {\n", comment(u.m.Path), u.run, g.runtime, quoted(u.m.Path))
	g.printBody(t, u)
	t.printf("});\n")
}

func withoutHashbang(source string) string {
	if !strings.HasPrefix(source, "#!") {
		return source
	}
	return source[strings.IndexByte(source+"\n", '\n'):]
}

func (g *merger) printLazy(t *text, u *unit) {
	waits := u.links.TLA
	var outside strings.Builder
	for i, im := range u.links.Imports {
		if u.deps[i].unit != nil {
			continue
		}
		name := strings.TrimPrefix(im.From, "node:")
		if builtin(name) {
			fmt.Fprintf(&outside, "const %s = %s.builtin(%s);\n", g.external(u, i), g.runtime, quoted(im.From))
			continue
		}
		waits = true
		options := ""
		if im.Attributes != "" {
			options = ", { " + strings.Replace(im.Attributes, " ", ": ", 1) + " }"
		}
		fmt.Fprintf(&outside, "const %s = await import(%s%s);\n", g.external(u, i), g.specifier(u, im.From), options)
	}
	async := ""
	if waits {
		async = "async "
	}
	t.printf("\n// %s\nconst %s = %s.module(%sfunction () {\n\"use strict\";\n%s", comment(u.m.Path), u.run, g.runtime, async, outside.String())
	t.printf("%s.namespace(%s, {\n%s}%s);\n", g.runtime, g.namespace(u), g.getters(u), g.stars(u))
	def := func(names []string) []string { // alone in a function of its own, only a nameless default needs another name
		if slices.Contains(names, "default") {
			return []string{"default"}
		}
		return nil
	}
	g.printNamed(t, u, def(u.links.Named))
	g.printBody(t, u)
	g.printNamed(t, u, def(u.links.Lately))
	t.printf("});\n")
}

func (g *merger) printFlat(t *text, u *unit) {
	t.printf("\n// %s\n", comment(u.m.Path))
	g.printNamed(t, u, u.links.Named)
	g.printBody(t, u)
	g.printNamed(t, u, u.links.Lately)
}

// printNamed gives renamed functions the names back that programs see.
func (g *merger) printNamed(t *text, u *unit, names []string) {
	var b []string
	for _, n := range names {
		if to := u.names[n]; to != "" && to != n {
			b = append(b, key(n)+": "+to)
		}
	}
	if len(b) > 0 {
		t.printf(";%s.named({ %s });\n", g.runtime, strings.Join(b, ", "))
	}
}

// printBody copies a unit's text, with its edits.
func (g *merger) printBody(t *text, u *unit) {
	t.from(u)
	at, src := 0, u.links.Source
	for _, e := range g.edits(u) {
		if e.Start < at {
			continue
		}
		t.copy(src[at:e.Start])
		if len(e.units) > 0 {
			line, col := t.fromLine, t.fromCol
			for _, s := range e.units {
				t.endLine()
				g.printSplice(t, s)
			}
			t.unit, t.fromLine, t.fromCol = u, line, col
		}
		t.replace(src[e.Start:e.End], e.text)
		at = e.End
	}
	t.copy(src[at:])
	t.endLine()
}

func (g *merger) printJSON(t *text, u *unit) {
	value := string(stripBOM(u.m.Data))
	if strings.Contains(value, "__proto__") {
		value = "JSON.parse(" + quoted(value) + ")"
	}
	t.printf("\n// %s\nconst %s = ", comment(u.m.Path), u.value)
	t.printf("%s.json(%s, %s);\n", g.runtime, quoted(u.m.Path), strings.TrimSpace(value))
}

func (g *merger) printExports(t *text) {
	u := g.main
	if u == nil {
		return
	}
	if u.form == formSplice {
		return // its module.exports is that of the file
	}
	if !g.esm {
		t.printf("\nmodule.exports = %s;\n", g.common(u))
		return
	}
	names, outside := g.exportNames(u)
	var list []string
	for _, n := range names {
		r, ok := g.export(u, n, map[string]bool{})
		if !ok {
			g.notes = append(g.notes, fmt.Sprintf("%s: the export %s leads nowhere", u.m.Path, n))
			continue
		}
		if r.member || strings.ContainsAny(r.text, ".([") {
			v := g.exported(u, n)
			t.printf("const %s = %s;\n", v, r.text)
			r.text = v
		}
		list = append(list, r.text+" as "+exportName(n))
	}
	if len(list) > 0 {
		t.printf("\nexport { %s };\n", strings.Join(list, ", "))
	}
	for _, from := range outside {
		t.printf("export * from %s;\n", from)
	}
}

// printEntries writes a function for each other way into the package. Nothing calls them.
func (g *merger) printEntries(t *text, others []js.Entry) {
	for _, e := range others {
		u := g.units[e.Module.Path]
		name := g.fresh("run_" + strings.Trim(nonWord.ReplaceAllString(e.Name, "_"), "_"))
		what := e.Name
		if e.Command != "" {
			what += ": " + e.Command
		}
		t.printf("\n// %s\n", comment(what))
		switch u.form {
		case formLazy:
			t.printf("function %s() {\n  return %s.later([%s], %s);\n}\n", name, g.runtime, strings.Join(g.runs(u), ", "), g.namespace(u))
		case formFlat:
			t.printf("function %s() {\n  return %s;\n}\n", name, g.namespace(u))
		default:
			t.printf("function %s() {\n  return %s;\n}\n", name, g.common(u))
		}
	}
}
