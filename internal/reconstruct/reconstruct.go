// Package reconstruct finds a package's code: the entries from which it can start, the modules they reach by Node's rules, and
// what leads nowhere. Out comes a js.Program whose modules are parsed when they are first asked for. Files that no entry reaches
// stay in it and are marked by an empty Reach. Nothing is evaluated here.
package reconstruct

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// Options of a reconstruction. Commands splits a command line into simple commands, each a list of words.
type Options struct {
	Commands func(script string) [][]string
}

// limits of one package
const (
	maxEntries = 2000
	maxScripts = 200
)

// Build finds entries and modules.
func Build(a *artifact.Artifact, opt Options) *js.Program {
	if opt.Commands == nil {
		opt.Commands = splitCommands
	}
	b := &builder{a: a, opt: opt, modules: map[string]*js.Module{}, manifests: map[string]*npm.Manifest{}}
	for i := range a.Files {
		b.addModule(&a.Files[i])
	}
	b.p.Resolver = b
	b.root("", a.Manifest)
	b.bundled()
	b.local(a.Manifest)
	for _, e := range b.p.Entries {
		if e.Path != "" {
			b.loadable(e.Path)
		}
	}
	b.reach()
	b.orphans()
	for _, m := range b.modules {
		b.p.Modules = append(b.p.Modules, m)
	}
	sort.Slice(b.p.Modules, func(i, j int) bool { return b.p.Modules[i].Path < b.p.Modules[j].Path })
	order := map[string]int{"install": 0, "import": 1, "browser": 2, "bin": 3}
	slices.SortStableFunc(b.p.Entries, func(x, y js.Entry) int { return order[x.Phase] - order[y.Phase] })
	return &b.p
}

type builder struct {
	a         *artifact.Artifact
	opt       Options
	p         js.Program
	modules   map[string]*js.Module
	manifests map[string]*npm.Manifest // by folder; nil when there is none
	seen      map[string]bool
	missing   string // the first install script whose file is not there
}

func (b *builder) addModule(f *artifact.File) {
	kind, ok := moduleKind(f.Path)
	if !ok && !strings.HasPrefix(string(f.Data[:min(len(f.Data), 64)]), "#!/usr/bin/env node") {
		return
	}
	if !ok {
		kind = js.KindCommonJS
	}
	b.modules[f.Path] = js.NewModule(f.Path, kind, f.Data, b.parse)
}

func moduleKind(p string) (js.ModuleKind, bool) {
	switch path.Ext(p) {
	case ".js", ".cjs", ".jsx", ".cts":
		return js.KindCommonJS, true
	case ".ts", ".tsx":
		return js.KindCommonJS, !strings.HasSuffix(p, ".d.ts")
	case ".mts":
		return js.KindESM, !strings.HasSuffix(p, ".d.mts")
	case ".mjs":
		return js.KindESM, true
	case ".json":
		return js.KindJSON, true
	case ".node":
		return js.KindNative, true
	case ".wasm":
		return js.KindWasm, true
	}
	return js.KindAsset, false
}

func (b *builder) parse(m *js.Module) (*js.Unit, error) {
	return js.Parse(m.Path, m.Text(), js.Options{Module: b.typeOf(m.Path) == "module"})
}

// loadable makes sure that a file which something starts can be loaded as code, whatever its name ends in.
func (b *builder) loadable(p string) *js.Module {
	if m := b.modules[p]; m != nil && m.Kind != js.KindAsset {
		return m
	}
	f := b.a.Lookup(p)
	if f == nil {
		return nil
	}
	m := js.NewModule(p, js.KindCommonJS, f.Data, b.parse)
	b.modules[p] = m
	return m
}

// manifest is the package.json that governs a folder.
func (b *builder) manifestAt(dir string) *npm.Manifest {
	if m, ok := b.manifests[dir]; ok {
		return m
	}
	var m *npm.Manifest
	if f := b.a.Lookup(path.Join(dir, "package.json")); f != nil {
		m = npm.ParseManifest(f.Data)
	}
	b.manifests[dir] = m
	return m
}

// typeOf is the type field of the nearest manifest.
func (b *builder) typeOf(p string) string {
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if m := b.manifestAt(dir); m != nil {
			return m.Type
		}
		if dir == "" {
			return ""
		}
	}
}

func (b *builder) entry(e js.Entry) {
	key := e.Name + "\x00" + e.Path + "\x00" + e.Command
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	if b.seen[key] || len(b.p.Entries) >= maxEntries {
		return
	}
	b.seen[key] = true
	b.p.Entries = append(b.p.Entries, e)
}

func (b *builder) unresolved(from, spec, why string) {
	if len(b.p.Unresolved) < maxEntries {
		b.p.Unresolved = append(b.p.Unresolved, js.Unresolved{From: from, Specifier: spec, Why: why})
	}
}

// root adds the entries of a manifest that lies in dir.
func (b *builder) root(dir string, m *npm.Manifest) {
	prefix := ""
	if dir != "" {
		prefix = dir + ":"
	}
	s := scripts{b: b, m: m, dir: dir, prefix: prefix}
	for _, name := range npm.LifecycleInstall {
		if m.Script(name) != "" {
			s.run(name, "install", false)
		}
	}
	if b.a.Lookup(path.Join(dir, "binding.gyp")) != nil && m.Script("install") == "" && m.Script("preinstall") == "" {
		b.gyp(dir, prefix)
	}
	for _, name := range []string{"prepare", "prepublish"} {
		if m.Script(name) != "" {
			s.run(name, "bin", true) // for a git dependency or in a checkout only
		}
	}
	if dir != "" {
		return // a bundled dependency is loaded by who requires it
	}
	b.imports(m)
}

// gyp finds the commands that reading binding.gyp runs: <!(...) and <!@(...) expansions.
func (b *builder) gyp(dir, prefix string) {
	f := b.a.Lookup(path.Join(dir, "binding.gyp"))
	b.entry(js.Entry{Name: prefix + "binding.gyp", Kind: js.EntryGyp, Phase: string(callseq.PhaseInstall), Implied: true, Command: "node-gyp rebuild"})
	text := string(f.Data)
	for n := 0; n < maxScripts; n++ {
		i := strings.Index(text, "<!")
		if i < 0 {
			return
		}
		text = strings.TrimPrefix(text[i+2:], "@")
		if !strings.HasPrefix(text, "(") {
			continue
		}
		depth, end := 0, -1
		for j := 0; j < len(text) && j < 4096; j++ {
			if text[j] == '(' {
				depth++
			} else if text[j] == ')' {
				if depth--; depth == 0 {
					end = j
					break
				}
			}
		}
		if end < 0 {
			return
		}
		cmd := strings.ReplaceAll(text[1:end], `\"`, `"`)
		s := scripts{b: b, m: b.a.Manifest, dir: dir, prefix: prefix}
		s.command("binding.gyp", cmd, "install", true, 0)
		text = text[end:]
	}
}

func (b *builder) imports(m *npm.Manifest) {
	phase := string(callseq.PhaseImport)
	add := func(name, target string, ph string, kind js.EntryKind) {
		if target == "" {
			return
		}
		p, ok := b.file(clean(target))
		if !ok {
			b.unresolved("package.json", target, name+" names a file that is not there")
			return
		}
		b.entry(js.Entry{Name: name, Kind: kind, Phase: ph, Path: p})
	}
	main := m.Main
	if main == "" {
		main = "index.js"
	}
	if p, ok := b.file(clean(main)); ok {
		b.entry(js.Entry{Name: "main", Kind: js.EntryImport, Phase: phase, Path: p})
	} else if m.Main != "" {
		if p, ok := b.file("index.js"); ok {
			b.entry(js.Entry{Name: "main", Kind: js.EntryImport, Phase: phase, Path: p})
		} else {
			b.unresolved("package.json", main, "main names a file that is not there")
		}
	}
	add("module", m.Module, phase, js.EntryImport)
	b.conditions("exports", m.Exports, func(name, target string) {
		for _, t := range b.expand(target) {
			ph := phase
			kind := js.EntryImport
			if strings.Contains(name, ".browser") {
				ph, kind = string(callseq.PhaseBrowser), js.EntryBrowser
			}
			if k, ok := moduleKind(t); ok && k != js.KindJSON && k != js.KindWasm {
				add(name, t, ph, kind)
			}
		}
	})
	for _, e := range m.Bin {
		add("bin."+e.Key, e.Value, string(callseq.PhaseBin), js.EntryBin)
	}
	for _, e := range m.Browser {
		if e.Key == "" {
			add("browser", e.Value, string(callseq.PhaseBrowser), js.EntryBrowser)
		} else if e.Value != "" && strings.HasPrefix(e.Value, ".") {
			add("browser."+e.Key, e.Value, string(callseq.PhaseBrowser), js.EntryBrowser)
		}
	}
}

// conditions visits every target of an exports tree.
func (b *builder) conditions(name string, c *npm.Cond, f func(name, target string)) {
	if c == nil {
		return
	}
	if c.Target != "" && !strings.Contains(name, ".types") {
		f(name, c.Target)
	}
	for _, k := range c.Keys {
		b.conditions(name+"."+strings.TrimPrefix(k.Key, "./"), k.Cond, f)
	}
	for _, x := range c.List {
		b.conditions(name, x, f)
	}
}

// expand lists the files that a target with a * stands for.
func (b *builder) expand(target string) []string {
	pre, post, ok := strings.Cut(target, "*")
	if !ok {
		return []string{target}
	}
	pre = clean(pre)
	if strings.HasSuffix(target[:strings.IndexByte(target, '*')], "/") && pre != "" {
		pre += "/"
	}
	var out []string
	for i := range b.a.Files {
		p := b.a.Files[i].Path
		if strings.HasPrefix(p, pre) && strings.HasSuffix(p, post) && len(p) >= len(pre)+len(post) && len(out) < 500 {
			out = append(out, p)
		}
	}
	return out
}

func clean(p string) string {
	return strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(p, `\`, "/")), "/")
}

var extensions = []string{"", ".js", ".json", ".node", ".mjs", ".cjs", ".ts", ".tsx", ".jsx"}

// file finds a path by Node's rules for files and folders.
func (b *builder) file(p string) (string, bool) {
	if p != "" {
		for _, ext := range extensions {
			if f := b.a.Lookup(p + ext); f != nil {
				return f.Path, true
			}
		}
	}
	if f, ok := b.folder(p); ok {
		return f, true
	}
	if ext := path.Ext(p); ext == ".js" || ext == ".mjs" || ext == ".cjs" { // TypeScript sources import the names they compile to
		stem := strings.TrimSuffix(p, ext)
		for _, t := range []string{".ts", ".tsx", ".mts", ".cts"} {
			if f := b.a.Lookup(stem + t); f != nil {
				return f.Path, true
			}
		}
	}
	return "", false
}

// folder finds the file that stands for a folder: its manifest's main, else its index.
func (b *builder) folder(p string) (string, bool) {
	if m := b.manifestAt(p); m != nil && m.Main != "" {
		main := path.Join(p, clean(m.Main))
		for _, ext := range extensions {
			if f := b.a.Lookup(main + ext); f != nil {
				return f.Path, true
			}
		}
		for _, ext := range extensions[1:] {
			if f := b.a.Lookup(path.Join(main, "index"+ext)); f != nil {
				return f.Path, true
			}
		}
	}
	for _, ext := range extensions[1:] {
		if f := b.a.Lookup(path.Join(p, "index"+ext)); f != nil {
			return f.Path, true
		}
	}
	return "", false
}

// bundled adds the install scripts of dependencies that lie in the tarball.
func (b *builder) bundled() {
	for i := range b.a.Files {
		p := b.a.Files[i].Path
		if !strings.HasPrefix(p, "node_modules/") || path.Base(p) != "package.json" {
			continue
		}
		dir := path.Dir(p)
		name := dir[strings.LastIndex(dir, "node_modules/")+len("node_modules/"):]
		if strings.Count(name, "/") > 1 || strings.Contains(name, "/") && name[0] != '@' {
			continue
		}
		if m := b.manifestAt(dir); m != nil {
			b.root(dir, m)
		}
	}
}

// orphans makes entries of files that nothing reaches, where something that should start one is missing: the file of an install
// script, which another part of the script may put there, or what main names, without which users load files by their path.
func (b *builder) orphans() {
	e := js.Entry{Name: b.missing, Kind: js.EntryScript, Phase: string(callseq.PhaseInstall), Implied: true}
	if b.missing == "" {
		if slices.ContainsFunc(b.p.Entries, func(e js.Entry) bool {
			return e.Kind == js.EntryImport || e.Kind == js.EntryBrowser || e.Kind == js.EntryBin
		}) {
			return
		}
		e = js.Entry{Name: "files", Kind: js.EntryImport, Phase: string(callseq.PhaseImport), Implied: true}
	}
	n := len(b.p.Entries)
	for _, p := range slices.Sorted(maps.Keys(b.modules)) {
		m := b.modules[p]
		if m.Reach == 0 && (m.Kind == js.KindCommonJS || m.Kind == js.KindESM) && !aside(p) {
			e.Path = p
			b.entry(e)
		}
	}
	if len(b.p.Entries) > n {
		b.reach()
	}
}

// aside reports a path in a folder whose files no user loads.
func aside(p string) bool {
	for _, dir := range strings.Split(path.Dir(p), "/") {
		switch strings.ToLower(dir) {
		case "test", "tests", "__tests__", "spec", "specs", "bench", "benchmark", "benchmarks", "example", "examples", "demo", "demos", "docs", "doc", "node_modules", "fixtures", "scripts", "tools", "tasks", "build-tools", "grunt":
			return true
		}
	}
	switch path.Base(p) {
	case "Gruntfile.js", "gulpfile.js", "gruntfile.js", "Gulpfile.js", "webpack.config.js", "rollup.config.js", "karma.conf.js", "jest.config.js", "babel.config.js", ".eslintrc.js":
		return true
	}
	return strings.Contains(path.Base(p), ".test.") || strings.Contains(path.Base(p), ".spec.")
}

// local adds the packages inside this one that it depends on by path: npm runs their install scripts too.
func (b *builder) local(m *npm.Manifest) {
	for _, dir := range m.LocalDependencies() {
		if n := b.manifestAt(dir); n != nil && dir != "" {
			b.root(dir, n)
		}
	}
}

// reach walks the static specifiers from every entry.
func (b *builder) reach() {
	bits := map[string]js.Reach{"install": js.ReachInstall, "import": js.ReachImport, "browser": js.ReachBrowser, "bin": js.ReachBin}
	type item struct {
		m   *js.Module
		bit js.Reach
	}
	var todo []item
	for _, e := range b.p.Entries {
		if m := b.modules[e.Path]; m != nil && (e.Lang == "" || e.Lang == "js") {
			todo = append(todo, item{m, bits[e.Phase]})
		}
	}
	for len(todo) > 0 {
		it := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if it.m.Reach&it.bit != 0 {
			continue
		}
		it.m.Reach |= it.bit
		u, err := it.m.Unit()
		if err != nil || u == nil {
			continue
		}
		for _, spec := range specifiers(u) {
			r := b.Resolve(it.m.Path, spec, u.ESM)
			if r.Module != nil {
				todo = append(todo, item{r.Module, it.bit})
			} else if r.Builtin == "" && r.External == "" {
				b.unresolved(it.m.Path, spec, "no such file")
			}
		}
	}
}

// specifiers lists the literal requests of a unit. Its Calls lack the requires of function bodies, which are read only when they are
// run; those are found in the text. The tokens are read only where the text holds a request that Calls does not.
func specifiers(u *js.Unit) []string {
	fresh := false
	requests(u.Source, func(spec string) bool {
		fresh = !slices.Contains(u.Calls, spec)
		return !fresh
	})
	if !fresh {
		return u.Calls
	}
	out := slices.Clone(u.Calls)
	seen := map[string]bool{}
	for _, c := range out {
		seen[c] = true
	}
	var last [3]js.Token // before the present one: request, parenthesis, specifier
	js.Scan(u.Source, func(t js.Token) bool {
		if t.Kind == js.Space || t.Kind == js.Newline || t.Kind == js.Comment {
			return true
		}
		if (t.Text == ")" || t.Text == ",") && last[2].Kind == js.String && last[1].Text == "(" && (last[0].Text == "require" || last[0].Text == "import") && len(last[2].Text) > 2 {
			if spec := last[2].Text[1 : len(last[2].Text)-1]; !strings.Contains(spec, `\`) && !seen[spec] {
				seen[spec] = true
				out = append(out, spec)
			}
		}
		last[0], last[1], last[2] = last[1], last[2], t
		return len(out) < maxEntries
	})
	return out
}

// requests finds what looks like require("x") or import("x") in a text, wherever it stands, until found returns false.
func requests(src string, found func(spec string) bool) {
	for _, word := range []string{"require", "import"} {
		for at := 0; ; {
			i := strings.Index(src[at:], word)
			if i < 0 {
				break
			}
			at += i + len(word)
			rest, called := strings.CutPrefix(strings.TrimLeft(src[at:min(len(src), at+maxSpecifier)], " \t\r\n"), "(")
			rest = strings.TrimLeft(rest, " \t\r\n")
			if !called || rest == "" || rest[0] != '"' && rest[0] != '\'' {
				continue
			}
			if n := strings.IndexAny(rest[1:], "\"'\\\n"); n > 0 && rest[1+n] != '\\' && rest[1+n] != '\n' && !found(rest[1:1+n]) {
				return
			}
		}
	}
}

const maxSpecifier = 1000 // bytes from a request's word to the end of what it names

// Resolve finds what a specifier names, as Node does.
func (b *builder) Resolve(from, spec string, esm bool) js.Resolution {
	switch {
	case spec == "":
		return js.Resolution{}
	case strings.HasPrefix(spec, "node:"):
		return js.Resolution{Builtin: spec[5:]}
	case strings.HasPrefix(spec, "./"), strings.HasPrefix(spec, "../"), spec == ".", spec == "..", strings.HasPrefix(spec, `.\`):
		return b.relative(from, spec, esm)
	case strings.HasPrefix(spec, "/"):
		return js.Resolution{External: spec}
	case strings.HasPrefix(spec, "#"):
		return b.imported(from, spec, esm)
	}
	if builtin(spec) {
		return js.Resolution{Builtin: spec}
	}
	name := packageName(spec)
	// A package finds itself by its name, before anything else, if it has exports.
	if dir, m := b.scope(from); m != nil && m.Name == name && m.Exports != nil {
		if f, ok := b.inPackage(dir, m, strings.TrimPrefix(spec, name), esm); ok {
			return js.Resolution{Module: b.loadable(f)}
		}
		return js.Resolution{}
	}
	// node_modules inside the package: bundled dependencies.
	for dir := path.Dir(from); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if path.Base(dir) != "node_modules" {
			home := path.Join(dir, "node_modules", name)
			if m := b.manifestAt(home); m != nil {
				if f, ok := b.inPackage(home, m, strings.TrimPrefix(spec, name), esm); ok {
					return js.Resolution{Module: b.loadable(f)}
				}
				if m.Exports != nil {
					return js.Resolution{}
				}
			} else if f, ok := b.file(path.Join(dir, "node_modules", clean(spec))); ok { // a folder or file without a manifest
				return js.Resolution{Module: b.loadable(f)}
			}
		}
		if dir == "" {
			break
		}
	}
	return js.Resolution{External: spec}
}

// relative resolves a path from the file that asks.
func (b *builder) relative(from, spec string, esm bool) js.Resolution {
	spec = strings.ReplaceAll(spec, `\`, "/")
	if esm && strings.Contains(spec, "%") {
		if text, err := url.PathUnescape(spec); err == nil {
			spec = text
		}
	}
	p := path.Join(path.Dir(from), spec)
	if strings.HasPrefix(p, "../") || p == ".." {
		return js.Resolution{External: spec}
	}
	if i := strings.IndexAny(p, "?#"); i > 0 {
		if _, ok := b.file(p); !ok {
			p = p[:i]
		}
	}
	if p == "." {
		p = ""
	}
	find := b.file
	switch path.Base(spec) {
	case ".", "..":
		find = b.folder
	default:
		if strings.HasSuffix(spec, "/") {
			find = b.folder
		}
	}
	if f, ok := find(p); ok {
		return js.Resolution{Module: b.loadable(f)}
	}
	return js.Resolution{}
}

// imported resolves a name of the imports field of the package that a file belongs to.
func (b *builder) imported(from, spec string, esm bool) js.Resolution {
	dir, m := b.scope(from)
	if m == nil || m.Imports == nil {
		return js.Resolution{}
	}
	t := target(m.Imports, spec, esm)
	switch {
	case t == "" || strings.HasPrefix(t, "#"):
		return js.Resolution{}
	case !strings.HasPrefix(t, "."):
		return b.Resolve(from, t, esm)
	}
	if f, ok := b.file(path.Join(dir, clean(t))); ok {
		return js.Resolution{Module: b.loadable(f)}
	}
	return js.Resolution{}
}

// scope is the nearest folder above a file that has a manifest, and the manifest.
func (b *builder) scope(from string) (string, *npm.Manifest) {
	for dir := path.Dir(from); ; dir = path.Dir(dir) {
		if dir == "." || dir == "/" {
			dir = ""
		}
		if m := b.manifestAt(dir); m != nil {
			return dir, m
		}
		if dir == "" || path.Base(dir) == "node_modules" {
			return "", nil
		}
	}
}

func packageName(spec string) string {
	parts := strings.SplitN(spec, "/", 3)
	if strings.HasPrefix(spec, "@") && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// inPackage finds a subpath of a package that lies in dir.
func (b *builder) inPackage(dir string, m *npm.Manifest, sub string, esm bool) (string, bool) {
	if m.Exports != nil {
		t := target(m.Exports, "."+sub, esm)
		if t == "" {
			return "", false
		}
		return b.file(path.Join(dir, clean(t)))
	}
	if sub == "" || sub == "/" {
		return b.folder(dir)
	}
	return b.file(path.Join(dir, clean(sub)))
}

// target walks an exports or imports tree for one subpath.
func target(c *npm.Cond, sub string, esm bool) string {
	if c == nil {
		return ""
	}
	if c.Target != "" {
		if sub == "." || sub == "" {
			return c.Target
		}
		return ""
	}
	for _, x := range c.List {
		if t := target(x, sub, esm); t != "" {
			return t
		}
	}
	paths := len(c.Keys) > 0 && (strings.HasPrefix(c.Keys[0].Key, ".") || strings.HasPrefix(c.Keys[0].Key, "#"))
	if !paths {
		for _, k := range c.Keys {
			switch k.Key {
			case "node", "default", "module-sync", "node-addons":
			case "import":
				if !esm {
					continue
				}
			case "require":
				if esm {
					continue
				}
			default:
				continue
			}
			if t := target(k.Cond, sub, esm); t != "" {
				return t
			}
		}
		return ""
	}
	for _, k := range c.Keys {
		if k.Key == sub {
			return target(k.Cond, ".", esm)
		}
	}
	best, longest, fill := -1, 0, "" // the longest part before the star wins, then the longest key
	for i, k := range c.Keys {
		pre, post, ok := strings.Cut(k.Key, "*")
		if ok && sub != pre && strings.HasPrefix(sub, pre) && strings.HasSuffix(sub, post) && len(sub) >= len(pre)+len(post) && (best < 0 || len(pre) > longest || len(pre) == longest && len(k.Key) > len(c.Keys[best].Key)) {
			best, longest, fill = i, len(pre), sub[len(pre):len(sub)-len(post)]
		}
	}
	if best >= 0 {
		return strings.ReplaceAll(target(c.Keys[best].Cond, ".", esm), "*", fill)
	}
	return ""
}

// Lookup returns the module of a path.
func (b *builder) Lookup(p string) *js.Module {
	if m := b.modules[p]; m != nil {
		return m
	}
	if b.a.Lookup(p) != nil {
		return b.loadable(p)
	}
	return nil
}

// builtin reports a module of Node itself that needs no node: before its name.
func builtin(name string) bool {
	_, ok := slices.BinarySearch(builtins, name)
	return ok
}

var builtins = []string{"assert", "assert/strict", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram", "diagnostics_channel", "dns", "dns/promises", "domain", "events", "fs", "fs/promises", "http", "http2", "https", "inspector", "inspector/promises", "module", "net", "os", "path", "path/posix", "path/win32", "perf_hooks", "process", "punycode", "querystring", "readline", "readline/promises", "repl", "stream", "stream/consumers", "stream/promises", "stream/web", "string_decoder", "sys", "timers", "timers/promises", "tls", "trace_events", "tty", "url", "util", "util/types", "v8", "vm", "wasi", "worker_threads", "zlib"}
