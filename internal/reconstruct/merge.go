package reconstruct

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// MergeOptions say what one merged file is made for.
type MergeOptions struct {
	Entry string // name of the entry that the file runs; empty for what importing the package runs
	ESM   bool   // as an import statement finds the package, not as require does
	All   bool   // files that no entry reaches are merged too
}

// Merged is a whole package as one JavaScript file, to be read, or to be run in the package's root folder.
type Merged struct {
	ESM   bool // a module, which wants the ending .mjs; .cjs otherwise
	Code  string
	Map   []byte // source map, version 3
	Files []MergedFile
	Notes []string // what is not as in the original, and why
}

// MergedFile is one file of the package in a merged one.
type MergedFile struct {
	Path string
	How  string // see form
}

// form is how a file stands in the merged one.
type form string

const (
	formFlat   form = "flat"    // its statements stand at the top level, its names are linked
	formSplice form = "spliced" // the same for CommonJS: they stand where the file was first required
	formLazy   form = "module"  // an ECMAScript module in a function, run when something imports it
	formCommon form = "commonjs"
	formJSON   form = "json"
	formBroken form = "broken" // did not parse
)

// ErrNothing is returned for a package without code that the options ask for.
var ErrNothing = errors.New("no code to merge")

// unit is one file on its way into the merged one.
type unit struct {
	m     *js.Module
	id    string // the <file> of export_<file>_<object>
	form  form
	links *js.Links
	back  *sourceMap // from the erased text to the original; nil when they are the same
	err   error
	deps  []dep             // by index of links.Imports
	calls map[string]*unit  // what literal requires and imports name
	names map[string]string // top-level bindings, flat: what they are called now
	value string            // flat importers ran it: the variable that holds module.exports
	space string            // the variable that holds the namespace object; empty when nobody asked
	run   string            // the function that runs it: CommonJS and lazy modules
	spliced
}

// dep is what one import statement leads to.
type dep struct {
	unit  *unit
	names []string // external: the variables of the names imported, in a flat unit
	star  string   // external: the variable of the whole
}

// merger joins units.
type merger struct {
	p         *js.Program
	opt       MergeOptions
	units     map[string]*unit
	order     []*unit // as met
	flat      []*unit // in the order in which they run
	main      *unit
	esm       bool
	words     map[string]bool // every word of every text: names that we make must be new
	outer     map[string]bool // names taken at the top level
	next      map[string]int  // the number that a name taken gets next
	free      map[string]bool // names that some text expects to be global
	runtime   string
	heads     []string // import statements of the merged file
	spaces    []*unit
	notes     []string
	manifests map[string]*npm.Manifest // by folder; nil when there is none
	placed    []*unit                  // CommonJS at the top level, as it is reached; the main unit is the first
}

// Merge joins the files that an entry reaches into one file. ECMAScript modules that the entry imports are put one after the other in
// the order in which they run, CommonJS files where they are first required; what they export is declared under the name
// export_<file>_<object>, and who imports it uses that name. What runs later or only perhaps stays in a function of its own, and so
// does a file whose text depends on the function that Node puts around it.
func Merge(p *js.Program, opt MergeOptions) (*Merged, error) {
	g := &merger{p: p, opt: opt, units: map[string]*unit{}, words: map[string]bool{}, outer: map[string]bool{}, free: map[string]bool{}, next: map[string]int{}, manifests: map[string]*npm.Manifest{}}
	main, others, err := g.entries()
	if err != nil {
		return nil, err
	}
	if main != nil {
		g.main = g.unit(main)
		g.esm = g.main.links != nil && g.main.links.ESM
		if g.esm {
			g.flatten(g.main, map[*unit]bool{})
		}
	}
	for _, e := range others {
		g.unit(e.Module)
	}
	if opt.All {
		for _, m := range p.Modules {
			if m.Kind == js.KindCommonJS || m.Kind == js.KindESM || m.Kind == js.KindJSON && m.Reach != 0 {
				g.unit(m)
			}
		}
	}
	for i := 0; i < len(g.order); i++ { // grows while it is walked
		g.follow(g.order[i])
	}
	if !g.esm && main != nil {
		g.splice()
	}
	g.name()
	return g.print(others)
}

// entries picks what the merged file runs and what it only holds.
func (g *merger) entries() (main *js.Module, others []js.Entry, err error) {
	lookup := func(e js.Entry) *js.Module {
		if e.Module != nil {
			return e.Module
		}
		if e.Lang != "" && e.Lang != "js" || e.Path == "" {
			return nil
		}
		if m := g.p.Resolver.Lookup(e.Path); m != nil && (m.Kind == js.KindCommonJS || m.Kind == js.KindESM || m.Kind == js.KindJSON) {
			return m
		}
		return nil
	}
	if g.opt.Entry != "" {
		for _, e := range g.p.Entries {
			if e.Name == g.opt.Entry {
				if main = lookup(e); main != nil {
					break
				}
			}
		}
		if main == nil {
			return nil, nil, fmt.Errorf("no entry %q that is JavaScript", g.opt.Entry)
		}
	} else if main = g.self(); main == nil {
		for _, e := range g.p.Entries {
			if e.Phase == "import" && !e.Implied {
				if main = lookup(e); main != nil {
					break
				}
			}
		}
	}
	for _, e := range g.p.Entries {
		if e.Module = lookup(e); e.Module != nil && e.Module != main && (e.Phase == "install" || e.Phase == "bin" || g.opt.All) {
			others = append(others, e)
		}
	}
	if main == nil && len(others) == 0 && !g.opt.All {
		return nil, nil, ErrNothing
	}
	return main, others, nil
}

// self is the module that importing the package by its name loads.
func (g *merger) self() *js.Module {
	m := g.manifest("")
	if m == nil {
		return nil
	}
	for _, esm := range []bool{g.opt.ESM, !g.opt.ESM} {
		if m.Exports != nil {
			if t := target(m.Exports, ".", esm); t != "" {
				if r := g.p.Resolver.Resolve("package.json", "./"+clean(t), esm); r.Module != nil {
					return r.Module
				}
			}
			continue
		}
		main := m.Main
		if main == "" {
			main = "index.js"
		}
		for _, t := range []string{main, "index.js"} {
			if r := g.p.Resolver.Resolve("package.json", "./"+clean(t), esm); r.Module != nil {
				return r.Module
			}
		}
	}
	return nil
}

func (g *merger) manifest(dir string) *npm.Manifest {
	m, ok := g.manifests[dir]
	if !ok {
		if f := g.p.Resolver.Lookup(path.Join(dir, "package.json")); f != nil {
			m = npm.ParseManifest(f.Data)
		}
		g.manifests[dir] = m
	}
	return m
}

// moduleType reports that the manifest nearest to a file says type: module.
func (g *merger) moduleType(p string) bool {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if m := g.manifest(dir); m != nil {
			return m.Type == "module"
		}
		if dir == "" {
			return false
		}
	}
}

// unit reads a module's links, once.
func (g *merger) unit(m *js.Module) *unit {
	if u := g.units[m.Path]; u != nil {
		return u
	}
	u := &unit{m: m, calls: map[string]*unit{}, names: map[string]string{}}
	g.units[m.Path] = u
	g.order = append(g.order, u)
	if m.Kind == js.KindJSON {
		u.form = formJSON
		if !json.Valid(stripBOM(m.Data)) {
			u.form, u.err = formBroken, errors.New("not JSON")
		}
		return u
	}
	u.form = formCommon
	if u.err = g.read(u); u.err != nil {
		u.form = formBroken
		g.notes = append(g.notes, "not merged, does not parse: "+u.err.Error())
		return u
	}
	if u.links.ESM {
		u.form = formLazy
	}
	return u
}

func stripBOM(data []byte) []byte { return []byte(strings.TrimPrefix(string(data), "\ufeff")) }

func (g *merger) read(u *unit) error {
	parsed, err := u.m.Unit()
	if err != nil {
		return err
	}
	source, name := string(u.m.Data), u.m.Path
	if parsed != nil && parsed.Loader != "js" {
		code, text, err := js.Erase(name, source, parsed.Loader)
		if err != nil {
			return err
		}
		if u.back, err = readSourceMap(text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		source = code
	}
	u.links, err = js.ReadLinks(name, source, g.moduleType(name))
	return err
}

func (g *merger) resolve(u *unit, spec string, esm bool) *unit {
	r := g.p.Resolver.Resolve(u.m.Path, spec, esm)
	if r.Module == nil || r.Module.Kind != js.KindCommonJS && r.Module.Kind != js.KindESM && r.Module.Kind != js.KindJSON {
		return nil
	}
	return g.unit(r.Module)
}

// flatten puts a module and what it imports at the top level, in the order in which Node runs them.
func (g *merger) flatten(u *unit, seen map[*unit]bool) {
	if seen[u] {
		return
	}
	seen[u] = true
	if u.form == formLazy && !u.links.Dynamic {
		u.form = formFlat
		g.follow(u)
		for _, d := range u.deps {
			if d.unit != nil {
				g.flatten(d.unit, seen)
			}
		}
	}
	g.flat = append(g.flat, u)
}

// follow finds what a unit asks for.
func (g *merger) follow(u *unit) {
	if u.links == nil || u.deps != nil {
		return
	}
	u.deps = make([]dep, len(u.links.Imports))
	for i, im := range u.links.Imports {
		u.deps[i].unit = g.resolve(u, im.From, true)
	}
	for _, c := range u.links.Calls {
		if c.Spec != "" && c.Kind != js.RequireResolve {
			if t := g.resolve(u, c.Spec, c.Kind == js.DynamicImport); t != nil {
				u.calls[c.Spec] = t
			}
		}
	}
}

var wordPattern = regexp.MustCompile(`[A-Za-z_$][A-Za-z0-9_$]*`)

// fresh makes a name that no text uses.
func (g *merger) fresh(base string) string {
	name := base
	for n := max(2, g.next[base]); g.words[name] || g.outer[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
		g.next[base] = n + 1
	}
	g.outer[name] = true
	return name
}

var nonWord = regexp.MustCompile(`[^A-Za-z0-9_$]+`)

// exported is the paper's name for an object of a file.
func (g *merger) exported(u *unit, object string) string {
	return g.fresh("export_" + u.id + "_" + nonWord.ReplaceAllString(object, "_"))
}

// name gives every file its id and every top-level name its new one.
func (g *merger) name() {
	ids := map[string]int{} // taken, and the number to try next
	for _, u := range g.order {
		stem := strings.TrimSuffix(u.m.Path, path.Ext(u.m.Path))
		if u.form == formJSON {
			stem = u.m.Path
		}
		id := strings.Trim(nonWord.ReplaceAllString(stem, "_"), "_")
		u.id = id
		for n := max(2, ids[id]); ids[u.id] > 0; n++ {
			u.id = fmt.Sprintf("%s_%d", id, n)
			ids[id] = n + 1
		}
		ids[u.id] = 1
		if u.links == nil {
			continue
		}
		for _, w := range wordPattern.FindAllString(u.links.Source, -1) {
			g.words[w] = true
		}
		for _, n := range u.links.Free {
			g.free[n.Text] = true
		}
	}
	for _, n := range slices.Concat(js.CommonJS, wordPattern.FindAllString(runtimeSource, -1)) {
		g.free[n] = true
	}
	g.runtime = g.fresh("merged")
	for _, u := range g.placed {
		g.nameSplice(u)
	}
	for _, u := range g.flat {
		if u.form != formFlat {
			continue
		}
		for _, e := range u.links.Exports {
			if e.Import < 0 && (u.names[e.Local] == "" || e.As == e.Local) {
				u.names[e.Local] = "export_" + u.id + "_" + nonWord.ReplaceAllString(e.As, "_")
			}
		}
		for _, e := range u.links.Exports {
			if e.Import < 0 && !g.outer[u.names[e.Local]] {
				u.names[e.Local] = g.fresh(u.names[e.Local])
			}
		}
		for _, n := range u.links.Names {
			if u.names[n.Text] == "" {
				u.names[n.Text] = g.keep(u, n.Text)
			}
		}
		for i, im := range u.links.Imports {
			if u.deps[i].unit != nil {
				continue
			}
			for _, n := range im.Names {
				u.deps[i].names = append(u.deps[i].names, g.keep(u, n.Local))
			}
		}
	}
	for _, u := range g.order {
		switch u.form {
		case formCommon, formBroken:
			u.run = g.exported(u, "exports")
		case formLazy:
			u.run = g.exported(u, "run")
		case formJSON:
			u.value = g.exported(u, "default")
		}
	}
	for _, u := range g.flat {
		if u.run != "" && u.form != formLazy {
			u.value = g.exported(u, "default")
		}
	}
}

// keep is what a name of a unit is called at the top level: the same, unless another text means something else by it.
func (g *merger) keep(u *unit, name string) string {
	if g.free[name] || g.outer[name] {
		return g.fresh(name + "_" + u.id)
	}
	g.outer[name] = true
	return name
}

// ref is how another file writes what an export is bound to.
type ref struct {
	text   string
	member bool // an object stands before it
}

func property(object, name string) string {
	if wordPattern.FindString(name) == name && name != "" {
		return object + "." + name
	}
	return object + "[" + quoted(name) + "]"
}

// namespace is the variable that holds a unit's namespace object.
func (g *merger) namespace(u *unit) string {
	if u.form != formFlat && u.form != formLazy {
		return fmt.Sprintf("%s.space(%s)", g.runtime, g.common(u))
	}
	if u.space == "" {
		u.space = g.exported(u, "namespace")
		g.spaces = append(g.spaces, u)
	}
	return u.space
}

// common is the value of module.exports of a unit that is not a module.
func (g *merger) common(u *unit) string {
	if u.form == formSplice {
		return g.whole(u)
	}
	if u.value != "" {
		return u.value
	}
	return u.run + "()"
}

// export finds what a name that a unit exports is bound to.
func (g *merger) export(u *unit, name string, seen map[string]bool) (ref, bool) {
	key := u.m.Path + "\x00" + name
	if seen[key] {
		return ref{}, false
	}
	seen[key] = true
	switch u.form {
	case formCommon, formBroken, formJSON, formSplice:
		if name == "default" || name == "module.exports" {
			return ref{g.common(u), false}, true
		}
		return ref{property(g.common(u), name), true}, true
	}
	if e, ok := u.exportOf(name); ok {
		switch {
		case e.Import >= 0:
			return g.imported(u, e.Import, e.Name, seen)
		case u.form == formFlat:
			return ref{u.names[e.Local], false}, true
		default:
			return ref{property(g.namespace(u), name), true}, true
		}
	}
	if name == "default" {
		return ref{}, false
	}
	var later *unit
	laterAt := -1
	for _, e := range u.links.Exports {
		if !e.All {
			continue
		}
		t := u.deps[e.Import].unit
		if t == nil || t.form != formFlat && t.form != formLazy {
			if laterAt < 0 { // only running it tells what it exports
				later, laterAt = t, e.Import
			}
			continue
		}
		if r, ok := g.export(t, name, seen); ok {
			return r, true
		}
	}
	if later != nil {
		return g.export(later, name, seen)
	}
	if laterAt >= 0 {
		return ref{property(g.external(u, laterAt), name), true}, true
	}
	return ref{}, false
}

// exportOf finds the entry of a name among a module's exports, which are sorted.
func (u *unit) exportOf(name string) (js.ExportName, bool) {
	i, ok := slices.BinarySearchFunc(u.links.Exports, name, func(e js.ExportName, name string) int { return strings.Compare(e.As, name) })
	for ; ok && i < len(u.links.Exports) && u.links.Exports[i].As == name; i++ {
		if e := u.links.Exports[i]; !e.All {
			return e, true
		}
	}
	return js.ExportName{}, false
}

// imported is what a name of an import statement is bound to.
func (g *merger) imported(u *unit, i int, name string, seen map[string]bool) (ref, bool) {
	d := &u.deps[i]
	if d.unit != nil {
		if name == "*" {
			return ref{g.namespace(d.unit), false}, true
		}
		return g.export(d.unit, name, seen)
	}
	for j, n := range u.links.Imports[i].Names {
		if n.Name == name && j < len(d.names) {
			return ref{d.names[j], false}, true
		}
	}
	star := g.external(u, i)
	if name == "*" {
		return ref{star, false}, true
	}
	return ref{property(star, name), true}, true
}

// external is the variable that holds the namespace of a package that is not part of this one.
func (g *merger) external(u *unit, i int) string {
	d := &u.deps[i]
	if d.star == "" {
		d.star = g.fresh(strings.Trim(nonWord.ReplaceAllString("import_"+u.links.Imports[i].From, "_"), "_"))
		if u.form == formFlat {
			g.heads = append(g.heads, fmt.Sprintf("import * as %s from %s%s;", d.star, g.specifier(u, u.links.Imports[i].From), attributes(u.links.Imports[i])))
		}
	}
	return d.star
}

func attributes(im js.ImportStmt) string {
	if im.Attributes == "" {
		return ""
	}
	return " " + im.Attributes
}

// specifier writes what a file asks for as the merged file must ask for it: paths are relative to the package's root.
func (g *merger) specifier(u *unit, spec string) string {
	if spec == "." || spec == ".." || strings.HasPrefix(spec, "./") || strings.HasPrefix(spec, "../") {
		p := path.Join(path.Dir(u.m.Path), spec)
		if !strings.HasPrefix(p, "../") && p != ".." {
			p = "./" + p
		}
		spec = p
	}
	return quoted(spec)
}

// exportNames lists what a module exports, as far as its text tells. outside lists the imports of other packages that it exports whole.
func (g *merger) exportNames(u *unit) (names []string, outside []string) {
	seen, all := map[*unit]bool{}, map[string]bool{}
	var walk func(u *unit, top bool)
	walk = func(u *unit, top bool) {
		if seen[u] {
			return
		}
		seen[u] = true
		if u.form != formFlat && u.form != formLazy {
			commonNames(u, all, seen)
			return
		}
		for _, e := range u.links.Exports {
			switch {
			case !e.All:
				if top || e.As != "default" {
					all[e.As] = true
				}
			case u.deps[e.Import].unit != nil:
				walk(u.deps[e.Import].unit, false)
			default:
				outside = append(outside, g.specifier(u, u.links.Imports[e.Import].From)+attributes(u.links.Imports[e.Import]))
			}
		}
	}
	walk(u, true)
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	slices.Sort(outside)
	return names, slices.Compact(outside)
}

// What Node's own lexer looks for in CommonJS: assignments, defined properties, and files that are exported whole.
var (
	commonExport   = regexp.MustCompile(`(?:^|[^\w$.])(?:module\.)?exports\.([A-Za-z_$][\w$]*)\s*=[^=]`)
	commonProperty = regexp.MustCompile(`Object\.defineProperty\(\s*(?:module\.)?exports\s*,\s*["']([A-Za-z_$][\w$]*)["']`)
	commonWhole    = regexp.MustCompile(`(?:module\.exports\s*=\s*|\b__export(?:Star)?\(\s*)require\(\s*["']([^"'\n]+)["']\s*\)`)
)

// commonNames adds the names that a CommonJS text gives its exports, as a reader sees them, and those of files that it exports whole.
func commonNames(u *unit, all map[string]bool, seen map[*unit]bool) {
	if u.links == nil {
		return
	}
	for _, pattern := range []*regexp.Regexp{commonExport, commonProperty} {
		for _, m := range pattern.FindAllStringSubmatch(u.links.Source, -1) {
			if m[1] != "default" {
				all[m[1]] = true
			}
		}
	}
	for _, m := range commonWhole.FindAllStringSubmatch(u.links.Source, -1) {
		if t := u.calls[m[1]]; t != nil && !seen[t] {
			seen[t] = true
			commonNames(t, all, seen)
		}
	}
}

// edit replaces a span of a unit's text. Units that are spliced in come before the new text.
type edit struct {
	js.Span
	text  string
	units []*unit
}

// edits are the changes that link a unit's text.
func (g *merger) edits(u *unit) []edit {
	var out []edit
	l := u.links
	put := func(s js.Span, text string) { out = append(out, edit{Span: s, text: text}) }
	for i, im := range l.Imports {
		put(im.Span, "")
		for _, n := range im.Names {
			r, ok := g.imported(u, i, n.Name, map[string]bool{})
			if !ok {
				r = ref{"undefined", false}
				g.notes = append(g.notes, fmt.Sprintf("%s: %s does not export %s", u.m.Path, im.From, n.Name))
			}
			mention(n.Local, r, n.Mentions, put)
		}
	}
	for _, x := range l.Exposed {
		switch x.Default {
		case "":
			put(x.Drop, "")
		case "expr":
			put(x.Drop, "const "+g.defaultName(u)+" = ")
		default:
			put(x.Drop, "")
			put(js.Span{Start: x.NameAt, End: x.NameAt}, " "+g.defaultName(u))
		}
	}
	out = append(out, g.planEdits(u)...)
	if u.form == formSplice {
		out = append(out, g.spliceEdits(u)...)
	}
	if u.form == formFlat || u.form == formSplice {
		for _, n := range l.Names {
			if u.gone[n.Text] {
				continue
			}
			if to := u.names[n.Text]; to != n.Text {
				mention(n.Text, ref{to, false}, n.Uses, put)
			}
		}
	}
	for _, m := range l.Metas {
		put(m, fmt.Sprintf("%s.meta(%s)", g.runtime, quoted(u.m.Path)))
	}
	for _, c := range l.Calls {
		if u.linked[c.Start] {
			continue
		}
		if c.Arg.End > 0 {
			put(js.Span{Start: c.Start, End: c.Arg.Start}, fmt.Sprintf("%s.import(%s, ", g.runtime, quoted(u.m.Path)))
			continue
		}
		if text := g.call(u, c); text != "" {
			put(c.Span, text)
		}
	}
	put(js.Span{End: len(l.Source) - len(withoutHashbang(l.Source))}, "")
	slices.SortStableFunc(out, func(a, b edit) int { return cmp.Or(a.Start-b.Start, a.End-b.End) })
	return out
}

func mention(old string, r ref, at []js.Mention, put func(js.Span, string)) {
	for _, m := range at {
		text := r.text
		if m.Callee && r.member {
			text = "(0, " + text + ")"
		}
		if m.Short {
			text = old + ": " + text
		}
		put(m.Span, text)
	}
}

func (g *merger) defaultName(u *unit) string {
	if u.names["default"] == "" {
		u.names["default"] = g.exported(u, "default")
	}
	return u.names["default"]
}

// quoted writes a string as JavaScript has it, line separators escaped.
func quoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// call rewrites a require or an import() of a file; empty when the text can stay.
func (g *merger) call(u *unit, c js.LinkCall) string {
	t := u.calls[c.Spec]
	relative := strings.HasPrefix(c.Spec, ".")
	switch c.Kind {
	case js.Require:
		switch {
		case t == nil && u.form == formSplice && relative:
			return fmt.Sprintf("require(%s)", g.specifier(u, c.Spec))
		case t == nil || t.form == formJSON && u.form != formCommon && u.form != formSplice:
			return "" // its own require finds it
		case t.form == formJSON:
			return t.value
		case t.form == formCommon || t.form == formBroken:
			return t.run + "()"
		case t.form == formSplice:
			return g.whole(t)
		case t.form == formFlat:
			return g.namespace(t)
		}
		return fmt.Sprintf("%s.load([%s], %s)", g.runtime, strings.Join(g.runs(t), ", "), g.namespace(t))
	case js.DynamicImport:
		switch {
		case t == nil && relative:
			return fmt.Sprintf("import(%s)", g.specifier(u, c.Spec))
		case t == nil:
			return ""
		case t.form == formLazy:
			return fmt.Sprintf("%s.later([%s], %s)", g.runtime, strings.Join(g.runs(t), ", "), g.namespace(t))
		case t.form == formFlat:
			return fmt.Sprintf("Promise.resolve(%s)", g.namespace(t))
		case t.form == formJSON || t.form == formSplice:
			return fmt.Sprintf("%s.later([], %s.space(%s))", g.runtime, g.runtime, g.common(t))
		}
		return fmt.Sprintf("%s.later([%s], undefined, %s)", g.runtime, t.run, t.run)
	}
	return ""
}

// runs lists the functions that run a module and before it what it imports, in Node's order.
func (g *merger) runs(u *unit) []string {
	var out []string
	seen := map[*unit]bool{}
	var walk func(*unit)
	walk = func(u *unit) {
		if seen[u] || u.run == "" {
			return
		}
		seen[u] = true
		if u.form == formLazy {
			for _, d := range u.deps {
				if d.unit != nil {
					walk(d.unit)
				}
			}
		}
		out = append(out, u.run)
	}
	walk(u)
	return out
}

// Ext is the ending that makes Node read the file as what it is.
func (m *Merged) Ext() string {
	if m.ESM {
		return ".mjs"
	}
	return ".cjs"
}
