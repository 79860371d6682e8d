package reconstruct

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/js"
)

// spliced is what a CommonJS file needs to stand at the top level of the merged one.
type spliced struct {
	at      map[int][]*unit   // files that are first required by the statement that starts there
	objects map[string]string // exports.NAME by NAME: the variables they became; nil when the exports stay an object
	old     string            // the variable of the exports object that module.exports no longer is
	gone    map[string]bool   // variables that held a file whose exports are no object
	linked  map[int]bool      // requires, by their start, that a plan replaces
	plans   []plan

	literals map[int]bool // starts of the literal requests, made on demand
}

// splice finds the CommonJS files that can stand at the top level: those that the main file's text requires before it does anything
// else, and from there on. Node would run them at this very point. Who requires a file perhaps, or later, keeps it in a function.
func (g *merger) splice() {
	main := g.main
	if main.form != formCommon || main.links.Dynamic {
		return
	}
	reached := g.reached(main)
	fit := map[*unit]bool{}
	computed := false
	for u := range reached {
		computed = computed || computes(u)
	}
	for _, u := range g.order {
		if main.links.Strict && u.form == formCommon && !u.links.Strict {
			return // the whole file would be strict, and with it this one
		}
	}
	for u := range reached {
		fit[u] = u == main || !computed && g.fits(u)
	}
	for changed := true; changed; {
		changed = false
		bar := func(u *unit) {
			if fit[u] && u != main {
				fit[u], changed = false, true
			}
		}
		for u := range reached {
			for i := range u.deps {
				if t := u.deps[i].unit; t != nil {
					bar(t)
				}
			}
			if u.links == nil {
				continue
			}
			for _, c := range u.links.Calls {
				if t := u.calls[c.Spec]; t != nil && (c.Kind != js.Require || c.Lead < 0 || !fit[u]) {
					bar(t)
				}
			}
		}
	}
	var place func(u *unit)
	place = func(u *unit) {
		u.form = formSplice
		u.at = map[int][]*unit{}
		g.placed = append(g.placed, u)
		calls := slices.Clone(u.links.Calls)
		slices.SortFunc(calls, func(a, b js.LinkCall) int { return a.Start - b.Start })
		for _, c := range calls {
			if t := u.calls[c.Spec]; t != nil && fit[t] && t.form == formCommon && c.Kind == js.Require {
				u.at[c.Lead] = append(u.at[c.Lead], t)
				place(t)
			}
		}
	}
	place(main)
	users := g.users()
	for _, u := range g.placed[1:] {
		g.dissolve(u, users[u])
	}
}

// reached are the units that running the main one can run. It follows them.
func (g *merger) reached(main *unit) map[*unit]bool {
	seen := map[*unit]bool{}
	var walk func(*unit)
	walk = func(u *unit) {
		if seen[u] {
			return
		}
		seen[u] = true
		g.follow(u)
		for _, d := range u.deps {
			if d.unit != nil {
				walk(d.unit)
			}
		}
		for _, t := range u.calls {
			walk(t)
		}
	}
	walk(main)
	return seen
}

// fits reports that a file's text means the same at the top level.
func (g *merger) fits(u *unit) bool {
	if u.form != formCommon || u.links.Dynamic || u.links.Wrapped || u.links.Strict != g.main.links.Strict {
		return false
	}
	for _, n := range u.links.Names {
		if slices.Contains(js.CommonJS, n.Text) {
			return false
		}
	}
	for _, n := range u.links.Free {
		for _, m := range n.Uses {
			switch n.Text {
			case "module":
				if name, _ := member(u.links.Source, m.End); name != "exports" || m.Short {
					return false
				}
			case "require":
				if !literal(u, m.Start) {
					return false
				}
			}
		}
	}
	return true
}

// literal reports that a mention of require is one of the literal requests.
func literal(u *unit, at int) bool {
	if u.literals == nil {
		u.literals = map[int]bool{}
		for _, c := range u.links.Calls {
			u.literals[c.Start] = true
		}
	}
	return u.literals[at]
}

// sortedHas reports a place among sorted places.
func sortedHas(places []int, at int) bool {
	_, ok := slices.BinarySearch(places, at)
	return ok
}

var memberPattern = regexp.MustCompile(`^\s*\.\s*([A-Za-z_$][\w$]*)`)

// member reads .NAME at a place of a text and where it ends.
func member(src string, at int) (name string, end int) {
	m := memberPattern.FindStringSubmatch(src[at:])
	if m == nil {
		return "", at
	}
	return m[1], at + len(m[0])
}

// follows reports what stands behind a place, blanks aside.
func follows(src string, at int, pattern *regexp.Regexp) bool { return pattern.MatchString(src[at:]) }

var (
	callPattern   = regexp.MustCompile("^\\s*(?:\\?\\.\\s*)?[(`]")
	assignPattern = regexp.MustCompile(`^\s*=[^=>]`)
	prefixPattern = regexp.MustCompile(`(?:\+\+|--|\bdelete)\s*$`)
)

// computes reports that a unit requires what it computes: that looks among the files that stay functions.
func computes(u *unit) bool {
	if u.links == nil {
		return false
	}
	for _, n := range u.links.Free {
		for _, m := range n.Uses {
			if n.Text == "require" && !literal(u, m.Start) {
				if name, _ := member(u.links.Source, m.End); name == "" {
					return true
				}
			}
		}
	}
	return false
}

// mentions are the places at which a unit's text says exports or module.exports, each with where its member would start.
type exportsMention struct {
	js.Span
	module bool
	short  bool
}

func (u *unit) mentions() []exportsMention {
	var out []exportsMention
	for _, n := range u.links.Free {
		for _, m := range n.Uses {
			switch n.Text {
			case "exports":
				out = append(out, exportsMention{m.Span, false, m.Short})
			case "module":
				_, end := member(u.links.Source, m.End)
				out = append(out, exportsMention{js.Span{Start: m.Start, End: end}, true, m.Short})
			}
		}
	}
	slices.SortFunc(out, func(a, b exportsMention) int { return a.Start - b.Start })
	return out
}

// use is one place at which a unit requires another.
type use struct {
	by   *unit
	call js.LinkCall
}

func (g *merger) users() map[*unit][]use {
	out := map[*unit][]use{}
	for _, u := range g.order { // grows only before
		if u.links == nil {
			continue
		}
		for i := range u.deps {
			if t := u.deps[i].unit; t != nil {
				out[t] = append(out[t], use{u, js.LinkCall{Kind: js.DynamicImport}})
			}
		}
		for _, c := range u.links.Calls {
			if t := u.calls[c.Spec]; t != nil {
				out[t] = append(out[t], use{u, c})
			}
		}
	}
	return out
}

// dissolve makes variables of the members of a file's exports, if neither the file nor anyone else ever holds the object itself.
func (g *merger) dissolve(u *unit, users []use) {
	src := u.links.Source
	names := map[string]bool{}
	for _, m := range u.mentions() {
		name, end := member(src, m.End)
		if name == "" || m.short || prefixPattern.MatchString(src[max(0, m.Start-20):m.Start]) || u.links.This && follows(src, end, callPattern) {
			return
		}
		names[name] = names[name] || follows(src, end, assignPattern)
	}
	for _, assigned := range names {
		if !assigned { // read only: it could come from Object.prototype
			return
		}
	}
	if names["__proto__"] || len(names) == 0 {
		return
	}
	known := func(name string) bool { return names[name] }
	plans := make([]plan, len(users))
	for i, x := range users {
		var ok bool
		if plans[i], ok = linkable(x, u, known); !ok {
			return
		}
	}
	u.objects = map[string]string{}
	for n := range names {
		u.objects[n] = "" // named later
	}
	for i, x := range users {
		if x.by.linked == nil {
			x.by.linked, x.by.gone = map[int]bool{}, map[string]bool{}
		}
		x.by.plans = append(x.by.plans, plans[i])
		x.by.linked[x.call.Start] = true
		if plans[i].variable != nil {
			x.by.gone[plans[i].variable.Text] = true
		}
	}
}

// plan is how one place that requires a dissolved file is written.
type plan struct {
	unit     *unit    // what is required
	span     js.Span  // of the text that goes
	member   string   // require("./x").NAME
	keys     []string // const { NAME } = require("./x")
	variable *js.Name // const x = require("./x"), and every x is x.NAME
}

var (
	variablePattern = regexp.MustCompile(`^(?:const|let|var)\s+([A-Za-z_$][\w$]*)\s*=\s*$`)
	patternPattern  = regexp.MustCompile(`^(?:const|let|var)\s*\{([^{}]*)\}\s*=\s*$`)
	keyPattern      = regexp.MustCompile(`^\s*([A-Za-z_$][\w$]*)\s*(?::\s*[A-Za-z_$][\w$]*\s*)?$`)
	endPattern      = regexp.MustCompile("^[ \\t]*(?:;|(?:\\r?\\n\\s*)(?:[^\\s.(\\[`+\\-*/,?=<>&|%^:]|$)|$)")
)

// ends reports that a statement ends at a place, and where its semicolon does.
func ends(src string, at int) (int, bool) {
	if !endPattern.MatchString(src[at:]) {
		return at, false
	}
	if rest := strings.TrimLeft(src[at:], " \t"); strings.HasPrefix(rest, ";") {
		return len(src) - len(rest) + 1, true
	}
	return at, true
}

// linkable finds how a place that requires a file can do without its exports object.
func linkable(x use, u *unit, known func(string) bool) (plan, bool) {
	c, src := x.call, x.by.links.Source
	if c.Kind != js.Require || x.by.links.ESM {
		return plan{}, false
	}
	p := plan{unit: u, span: c.Span}
	if name, end := member(src, c.End); name != "" {
		p.member, p.span.End = name, end
		return p, known(name) && (!u.links.This || !follows(src, end, callPattern)) && !prefixPattern.MatchString(src[max(0, c.Start-20):c.Start])
	}
	end, ok := ends(src, c.End)
	if !ok || c.Lead < 0 {
		return p, false
	}
	before := src[c.Lead:c.Start]
	if before == "" {
		p.span = js.Span{Start: c.Lead, End: end}
		return p, true
	}
	if m := patternPattern.FindStringSubmatch(before); m != nil {
		for _, part := range strings.Split(strings.TrimSuffix(strings.TrimSpace(m[1]), ","), ",") {
			k := keyPattern.FindStringSubmatch(part)
			if k == nil || !known(k[1]) {
				return p, false
			}
			p.keys = append(p.keys, k[1])
		}
		return p, true
	}
	m := variablePattern.FindStringSubmatch(before)
	if m == nil {
		return p, false
	}
	i := slices.IndexFunc(x.by.links.Names, func(n js.Name) bool { return n.Text == m[1] })
	if i < 0 {
		return p, false
	}
	p.variable, p.span = &x.by.links.Names[i], js.Span{Start: c.Lead, End: end}
	for _, use := range p.variable.Uses {
		if use.Start >= p.span.Start && use.End <= p.span.End {
			continue
		}
		name, end := member(src, use.End)
		if use.Short || !known(name) || u.links.This && follows(src, end, callPattern) || prefixPattern.MatchString(src[max(0, use.Start-20):use.Start]) {
			return p, false
		}
	}
	return p, true
}

// planEdits rewrite the requires of dissolved files.
func (g *merger) planEdits(u *unit) []edit {
	var out []edit
	for _, p := range u.plans {
		switch {
		case p.member != "":
			out = append(out, edit{Span: p.span, text: p.unit.objects[p.member]})
		case p.keys != nil:
			out = append(out, edit{Span: p.span, text: literalObject(p.unit, p.keys)})
		default:
			out = append(out, edit{Span: p.span})
		}
		if p.variable == nil {
			continue
		}
		for _, use := range p.variable.Uses {
			if use.Start < p.span.Start || use.End > p.span.End {
				name, end := member(u.links.Source, use.End)
				out = append(out, edit{Span: js.Span{Start: use.Start, End: end}, text: p.unit.objects[name]})
			}
		}
	}
	return out
}

func literalObject(u *unit, keys []string) string {
	var b []string
	seen := map[string]bool{}
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			b = append(b, key(k)+": "+u.objects[k])
		}
	}
	return "{ " + strings.Join(b, ", ") + " }"
}

// nameSplice names what a file at the top level declares.
func (g *merger) nameSplice(u *unit) {
	for _, n := range u.links.Names {
		if !u.gone[n.Text] {
			u.names[n.Text] = g.keep(u, n.Text)
		}
	}
	if u == g.main {
		return
	}
	if u.objects != nil {
		for _, n := range u.objectNames() {
			u.objects[n] = g.exported(u, n)
		}
		return
	}
	u.value = g.exported(u, "exports")
	own, module := false, false
	for _, m := range u.mentions() {
		own, module = own || !m.module, module || m.module
	}
	if own && module {
		u.old = g.fresh("exports_" + u.id)
	}
}

func (u *unit) objectNames() []string {
	names := make([]string, 0, len(u.objects))
	for n := range u.objects {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// whole is the exports of a file at the top level.
func (g *merger) whole(u *unit) string {
	switch {
	case u == g.main:
		return "module.exports"
	case u.objects != nil:
		return literalObject(u, u.objectNames())
	}
	return u.value
}

// spliceEdits make a file's text mean at the top level what it meant in its function.
func (g *merger) spliceEdits(u *unit) []edit {
	var out []edit
	src := u.links.Source
	for at, units := range u.at {
		out = append(out, edit{Span: js.Span{Start: at, End: at}, units: units})
	}
	root := !strings.Contains(u.m.Path, "/")
	for _, n := range u.links.Free {
		for _, m := range n.Uses {
			text := ""
			switch {
			case n.Text == "require" && !literal(u, m.Start):
				if name, _ := member(src, m.End); name == "" || name == "resolve" && !root {
					text = fmt.Sprintf("%s.require(%s)", g.runtime, quoted(u.m.Path))
				}
			case n.Text == "__dirname" && !root:
				text = fmt.Sprintf("%s.meta(%s).dirname", g.runtime, quoted(u.m.Path))
			case n.Text == "__filename":
				text = fmt.Sprintf("%s.meta(%s).filename", g.runtime, quoted(u.m.Path))
			}
			if text != "" {
				mention(n.Text, ref{text, true}, []js.Mention{m}, func(s js.Span, t string) { out = append(out, edit{Span: s, text: t}) })
			}
		}
	}
	declared := map[string]bool{}
	for _, m := range u.mentions() {
		name, end := member(src, m.End)
		first := sortedHas(u.links.Stmts, m.Start) && follows(src, end, assignPattern)
		switch {
		case u == g.main:
			if object := cmp.Or(name, "exports"); first && !declared[object] && (name != "" || m.module) {
				declared[object] = true
				out = append(out, edit{Span: js.Span{Start: m.Start, End: m.Start}, text: "var " + g.exported(u, object) + " = "})
			}
		case u.objects != nil:
			text := u.objects[name]
			if first {
				text = "var " + text
			}
			out = append(out, edit{Span: js.Span{Start: m.Start, End: end}, text: text})
		default:
			text := u.value
			if !m.module && u.old != "" {
				text = u.old
			}
			if m.short {
				text = src[m.Start:m.End] + ": " + text
			}
			out = append(out, edit{Span: m.Span, text: text})
		}
	}
	return out
}

// printSplice writes a file at the top level.
func (g *merger) printSplice(t *text, u *unit) {
	t.printf("\n// %s\n", comment(u.m.Path))
	src := u.links.Source
	late := map[string]bool{} // members that no statement of their own declares
	for n := range u.objects {
		late[n] = true
	}
	var bare []string
	listed := map[string]bool{}
	for _, m := range u.mentions() {
		name, end := member(src, m.End)
		if u.objects == nil {
			name, end = "", m.End
		}
		if !follows(src, end, assignPattern) {
			continue
		}
		if sortedHas(u.links.Stmts, m.Start) {
			delete(late, name)
		}
		at := end + strings.IndexByte(src[end:], '=') + 1
		at += len(src[at:]) - len(strings.TrimLeft(src[at:], " \t\r\n"))
		target := u.objects[name]
		if u.objects == nil {
			target = u.value
		}
		if u != g.main && sortedHas(u.links.Bare, at) && (u.objects != nil || m.module) && !listed[target] {
			listed[target] = true
			bare = append(bare, target)
		}
	}
	var list []string
	for _, n := range u.objectNames() {
		if late[n] {
			list = append(list, u.objects[n])
		}
	}
	switch {
	case len(list) > 0:
		t.printf("var %s;\n", strings.Join(list, ", "))
	case u.value != "" && u.old != "":
		t.printf("var %s = {}, %s = %s;\n", u.value, u.old, u.value)
	case u.value != "":
		t.printf("var %s = {};\n", u.value)
	}
	g.printNamed(t, u, u.links.Named)
	g.printBody(t, u)
	g.printNamed(t, u, u.links.Lately)
	if len(bare) > 0 {
		t.printf(";%s.nameless(%s);\n", g.runtime, strings.Join(bare, ", "))
	}
}
