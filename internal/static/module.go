package static

import (
	"path"
	"strings"
	"unicode/utf8"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// module is one loaded file of the package, in one process of it.
type module struct {
	js      *js.Module
	unit    *js.Unit
	frame   *frame
	object  *Object // CommonJS: the module object
	require *Object
	value   Value // JSON, native
	layer   int
	loaded  bool
}

// root is where the package lies in the world that its code sees.
const root = "/home/dev/project/node_modules/"

func (ev *evaluator) dirOf(m *module) string {
	if m == nil || m.js == nil {
		return ev.root
	}
	return path.Join(ev.root, path.Dir(m.js.Path))
}

// load runs a module, once in each process.
func (ev *evaluator) load(m *js.Module) *module {
	if r, ok := ev.loaded[m]; ok {
		return r
	}
	r := &module{js: m}
	ev.loaded[m] = r
	ev.everLoaded[m] = true
	switch m.Kind {
	case js.KindJSON:
		v, ok := parseJSON(ev, string(m.Data))
		if !ok {
			v = unknown(callseq.Object, nil)
		}
		r.value, r.loaded = v, true
		return r
	case js.KindCommonJS, js.KindESM:
	default:
		if m.Kind == js.KindNative {
			ev.record(callseq.KindCall, "process.dlopen", nil, []Value{nil, path.Join(ev.root, m.Path)})
		}
		r.value, r.loaded = unknown(callseq.Object, nil), true
		return r
	}
	u, err := m.Unit()
	if err != nil || u == nil {
		r.value, r.loaded = unknown(callseq.Object, nil), true
		return r
	}
	r.unit = u
	r.layer = ev.fileLayer(m.Path, u)
	ev.byUnit[u] = r
	code := u.Body.Code()
	r.frame = &frame{slots: make([]Value, len(code.Scope.Names)), scope: code.Scope, born: ev.jseq}
	if u.ESM {
		for _, spec := range u.Calls {
			if isStaticImport(u, spec) {
				if res := ev.program.Resolver.Resolve(m.Path, spec, true); res.Module != nil {
					ev.load(res.Module)
				}
			}
		}
	} else {
		ev.commonJS(r)
		for i := range js.CommonJS {
			if i < len(r.frame.slots) {
				r.frame.slots[i] = ev.wrapperValue(r, i)
			}
		}
	}
	ev.runModule(r, code)
	r.loaded = true
	return r
}

func isStaticImport(u *js.Unit, spec string) bool {
	for i := range u.Imports {
		if u.Imports[i].From == spec {
			return true
		}
	}
	for i := range u.Exports {
		if u.Exports[i].From == spec {
			return true
		}
	}
	// a bare import for its effects has no binding; dynamic imports are in Calls too, and loading them early changes little
	return true
}

func (ev *evaluator) runModule(r *module, code *js.Code) {
	st := ev.save()
	oldGuards := ev.guards
	ev.f = r.frame
	ev.act = &activation{unit: r.unit, layer: r.layer, mod: r}
	if r.object != nil {
		ev.act.this = ev.get(r.object, "exports")
	}
	ev.depth = min(ev.depth, maxDepth/2)
	_, t := ev.protect(func() completion { return ev.blockIn(code.Body) })
	ev.restore(st)
	ev.guards = oldGuards
	if t != nil {
		ev.uncaught++
	}
}

func (ev *evaluator) fileLayer(name string, u *js.Unit) int {
	if id, ok := ev.fileLayers[name]; ok {
		return id
	}
	id := ev.layer(callseq.Layer{Parent: -1, File: name}, u)
	ev.fileLayers[name] = id
	return id
}

func (ev *evaluator) fileOf(layer int) string {
	if layer >= 0 && layer < len(ev.trace.Layers) {
		return ev.trace.Layers[layer].File
	}
	return ""
}

// commonJS makes the module object and its require.
func (ev *evaluator) commonJS(r *module) {
	exports := ev.object()
	mod := ev.object()
	mod.props = make([]prop, 0, 12)
	mod.put("exports", exports)
	mod.put("id", path.Join(ev.root, r.js.Path))
	mod.put("filename", path.Join(ev.root, r.js.Path))
	mod.put("path", ev.dirOf(r))
	mod.put("loaded", false)
	mod.put("children", ev.array(nil))
	mod.put("paths", ev.array([]Value{path.Join(ev.dirOf(r), "node_modules")}))
	mod.putHidden("constructor", ev.moduleValue("module"))
	r.object = mod
	r.require = ev.requireFunction(r)
	mod.put("require", r.require)
	mod.putHidden("_compile", ev.compileMethod())
	if ev.mainModule == nil && (ev.phase == callseq.PhaseInstall || ev.phase == callseq.PhaseBin) {
		ev.mainModule = mod
	}
	if ev.mainModule != nil {
		r.require.put("main", ev.mainModule)
	}
}

// compileMethod is module._compile.
func (ev *evaluator) compileMethod() *Object {
	return ev.nativeFn("_compile", func(ev *evaluator, _ Value, args []Value) Value {
		id := ev.record(callseq.KindCall, "module._compile", nil, args)
		for _, src := range texts(argAt(nil, args, "0")) {
			ev.runModuleText(src, id)
		}
		return nil
	})
}

// newModule is new Module(id): a module without a file, into which code can be compiled.
func newModule(h *hostCall) (Value, bool) {
	if !h.isNew {
		return nil, false
	}
	ev := h.ev
	mod := ev.object()
	mod.put("exports", &Abstract{kind: callseq.Unknown, path: "Module().exports"}) // what compiled code will have put there
	mod.put("id", h.arg(0))
	mod.put("filename", h.arg(0))
	mod.put("paths", ev.array(nil))
	mod.put("require", ev.nativeFn("require", func(ev *evaluator, _ Value, args []Value) Value {
		var m *module
		if ev.act != nil {
			m = ev.act.mod
		}
		return ev.require(m, argOr(args, 0))
	}))
	mod.putHidden("constructor", ev.moduleValue("module"))
	mod.putHidden("_compile", ev.compileMethod())
	return mod, true
}

func (ev *evaluator) requireFunction(r *module) *Object {
	req := ev.nativeFn("require", func(ev *evaluator, _ Value, args []Value) Value {
		return ev.require(r, argAt(nil, args, "0"))
	})
	req.put("resolve", ev.nativeFn("resolve", func(ev *evaluator, _ Value, args []Value) Value {
		if s, ok := text(argAt(nil, args, "0")); ok {
			if res := ev.program.Resolver.Resolve(r.js.Path, s, false); res.Module != nil {
				return path.Join(ev.root, res.Module.Path)
			}
		}
		return &Abstract{kind: callseq.String, path: "require.resolve()", flows: deep(argAt(nil, args, "0"))}
	}))
	req.put("cache", &Abstract{kind: callseq.Object, path: "require.cache", host: true, ns: true})
	req.put("extensions", &Abstract{kind: callseq.Object, path: "require.extensions", host: true, ns: true})
	return req
}

// wrapperValue is the value of one of the module wrapper's parameters.
func (ev *evaluator) wrapperValue(r *module, i int) Value {
	if r.object == nil {
		if r.js == nil {
			return nil
		}
		ev.commonJS(r)
	}
	switch i {
	case 0:
		return ev.get(r.object, "exports")
	case 1:
		return r.require
	case 2:
		return r.object
	case 3:
		return path.Join(ev.root, r.js.Path)
	}
	return ev.dirOf(r)
}

// require is require(spec) from a module.
func (ev *evaluator) require(from *module, spec Value) Value {
	if a, ok := spec.(*Abstract); ok && a.known == nil && len(a.alts) > 0 && len(a.parts) == 0 {
		var out Value
		for i, v := range a.alts {
			x := ev.require(from, v)
			if i == 0 {
				out = x
			} else {
				out = join(out, x)
			}
		}
		return out
	}
	name, ok := ev.toText(spec)
	if !ok {
		var id callseq.ID
		if api := ev.base.API("require"); api != nil {
			id = ev.record(callseq.KindCall, "require", nil, []Value{spec})
		}
		if m := ev.requirePattern(from, spec); m != nil {
			return m
		}
		return &Abstract{kind: callseq.Unknown, ns: true, path: "require(?)", flows: deep(spec), made: id}
	}
	if len(ev.files) > 0 || len(own(spec)) > 0 { // code that the package wrote or fetched before
		if v := ev.fileFlows("require", []Value{spec}); len(own(v[0])) > 0 {
			ev.record(callseq.KindCall, "require", nil, v)
		}
	}
	return ev.resolve(from, name, false)
}

// requirePattern loads the one module that a partly known specifier can mean, as in require("./lib/" + x) with a single file.
func (ev *evaluator) requirePattern(from *module, spec Value) Value {
	a, ok := spec.(*Abstract)
	if !ok || len(a.parts) == 0 || a.parts[0].hole != nil || from == nil || !strings.HasPrefix(a.parts[0].lit, ".") {
		return nil
	}
	prefix := path.Join(path.Dir(from.js.Path), a.parts[0].lit)
	suffix := ""
	if l := a.parts[len(a.parts)-1]; l.hole == nil && len(a.parts) > 1 {
		suffix = l.lit
	}
	var out Value
	n := 0
	for _, m := range ev.program.Modules {
		base := strings.TrimSuffix(m.Path, path.Ext(m.Path))
		if !strings.HasPrefix(m.Path, prefix) || suffix != "" && !strings.HasSuffix(m.Path, suffix) && !strings.HasSuffix(base, suffix) {
			continue
		}
		if n++; n > maxAlts {
			break
		}
		v := ev.exportsOf(ev.load(m))
		if n == 1 {
			out = v
		} else {
			out = join(out, v)
		}
	}
	return out
}

func (ev *evaluator) resolve(from *module, name string, esm bool) Value {
	if strings.HasPrefix(name, "data:") {
		return ev.dataImport(name)
	}
	p := ""
	if from != nil && from.js != nil {
		p = from.js.Path
	}
	name = strings.TrimPrefix(name, "file://")
	if strings.HasPrefix(name, ev.root+"/") {
		if m := ev.program.Resolver.Lookup(strings.TrimPrefix(name, ev.root+"/")); m != nil {
			return ev.valueOf(m, esm)
		}
		res := ev.program.Resolver.Resolve("package.json", "./"+strings.TrimPrefix(name, ev.root+"/"), esm)
		if res.Module != nil {
			return ev.valueOf(res.Module, esm)
		}
	}
	res := ev.program.Resolver.Resolve(p, name, esm)
	switch {
	case res.Module != nil:
		return ev.valueOf(res.Module, esm)
	case res.Builtin != "":
		return ev.moduleValue(res.Builtin)
	case res.External != "":
		return ev.moduleValue(res.External)
	}
	if isBuiltin(strings.TrimPrefix(name, "node:")) {
		return ev.moduleValue(name)
	}
	return &Abstract{kind: callseq.Unknown, ns: true, path: "require(" + quoteShort(name) + ")"}
}

func quoteShort(s string) string {
	if len(s) > 60 {
		s = s[:60]
		for len(s) > 0 && !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return "\"" + s + "\""
}

func (ev *evaluator) valueOf(m *js.Module, esm bool) Value {
	r := ev.load(m)
	if esm {
		return ev.namespace(r)
	}
	return ev.exportsOf(r)
}

// exportsOf is what require returns for a module.
func (ev *evaluator) exportsOf(r *module) Value {
	switch {
	case r.object != nil:
		return ev.get(r.object, "exports")
	case r.unit != nil && r.unit.ESM:
		return ev.namespace(r)
	}
	return r.value
}

// namespace is what import * gives: an object of the exports as they are now.
func (ev *evaluator) namespace(r *module) Value {
	if r.unit == nil || !r.unit.ESM {
		v := ev.exportsOf(r)
		ns := ev.object()
		if o, ok := v.(*Object); ok {
			for _, k := range o.keys() {
				if k != "default" && o.class != classArray {
					ns.put(k, ev.get(o, k))
				}
			}
		} else if a, ok := v.(*Abstract); ok {
			return a
		}
		ns.put("default", v)
		return ns
	}
	ns := ev.object()
	ns.putHidden("__esModule", true)
	for _, name := range ev.exportNames(r, map[*module]bool{}) {
		ns.put(name, ev.exported(r, name, 0))
	}
	return ns
}

func (ev *evaluator) exportNames(r *module, seen map[*module]bool) []string {
	if seen[r] || r.unit == nil {
		return nil
	}
	seen[r] = true
	var out []string
	for i := range r.unit.Exports {
		e := &r.unit.Exports[i]
		if e.As != "*" {
			out = append(out, e.As)
			continue
		}
		res := ev.program.Resolver.Resolve(r.js.Path, e.From, true)
		if res.Module != nil {
			t := ev.load(res.Module)
			if t.unit != nil && t.unit.ESM {
				for _, n := range ev.exportNames(t, seen) {
					if n != "default" {
						out = append(out, n)
					}
				}
			} else if o, ok := ev.exportsOf(t).(*Object); ok {
				out = append(out, o.keys()...)
			}
		}
	}
	return out
}

// exported is the present value of an export.
func (ev *evaluator) exported(r *module, name string, depth int) Value {
	if depth > 64 || r.unit == nil {
		return unknown(callseq.Unknown, nil)
	}
	if !r.unit.ESM {
		v := ev.exportsOf(r)
		if name == "default" {
			return v
		}
		return ev.get(v, name)
	}
	for i := range r.unit.Exports {
		e := &r.unit.Exports[i]
		if e.As != name {
			continue
		}
		switch {
		case e.Slot >= 0 && int(e.Slot) < len(r.frame.slots):
			return r.frame.slots[e.Slot]
		case e.From != "":
			return ev.imported(r, e.From, e.Name, depth+1)
		case e.Import >= 0 && e.Import < len(r.unit.Imports):
			im := &r.unit.Imports[e.Import]
			return ev.imported(r, im.From, im.Name, depth+1)
		}
	}
	if name != "default" {
		for i := range r.unit.Exports {
			if e := &r.unit.Exports[i]; e.As == "*" {
				if v := ev.imported(r, e.From, name, depth+1); v != nil {
					return v
				}
			}
		}
	}
	return nil
}

// imported is the value of an import binding: a name of what a specifier leads to.
func (ev *evaluator) imported(r *module, from, name string, depth int) Value {
	res := ev.program.Resolver.Resolve(r.js.Path, from, true)
	if res.Module != nil {
		t := ev.load(res.Module)
		if name == "*" {
			return ev.namespace(t)
		}
		if t.unit == nil {
			if name == "default" {
				return t.value
			}
			return ev.get(t.value, name)
		}
		return ev.exported(t, name, depth)
	}
	v := ev.resolve(r, from, true)
	if name == "*" {
		return v
	}
	return ev.readHost(v, name, ev.get(v, name), ev.pos)
}

func (ev *evaluator) importValue(i int) Value {
	u := ev.act.unit
	r := ev.byUnit[u]
	if r == nil || i < 0 || i >= len(u.Imports) {
		return unknown(callseq.Unknown, nil)
	}
	im := &u.Imports[i]
	return ev.imported(r, im.From, im.Name, 0)
}

func (ev *evaluator) dynImport(d *js.DynImport) Value {
	spec := ev.eval(d.X)
	ev.pos = d.At.Pos()
	name, ok := ev.toText(spec)
	if !ok {
		id := callseq.ID(0)
		if api := ev.base.API("import"); api != nil {
			id = ev.record(callseq.KindCall, "import", nil, []Value{spec})
		}
		return ev.settledPromise(&Abstract{kind: callseq.Unknown, ns: true, path: "import(?)", flows: deep(spec), made: id}, false)
	}
	if len(own(spec)) > 0 || strings.HasPrefix(name, "data:") || strings.HasPrefix(name, "http") {
		if api := ev.base.API("import"); api != nil {
			ev.record(callseq.KindCall, "import", nil, []Value{spec})
		}
	}
	return ev.settledPromise(ev.resolve(ev.act.mod, name, true), false)
}

// dataImport is import("data:text/javascript,...").
func (ev *evaluator) dataImport(url string) Value {
	head, body, ok := strings.Cut(url, ",")
	if !ok {
		return unknown(callseq.Unknown, nil)
	}
	if strings.Contains(head, ";base64") {
		b, _ := decodeBase64(body)
		body = string(b)
	} else if s, ok := decodeURI(body, true); ok {
		body = s
	}
	ev.runText("(async function(){\n"+body+"\n})()", "import", callseq.ID(len(ev.trace.Calls)), nil)
	return unknown(callseq.Object, nil)
}

func (ev *evaluator) importMeta() Value {
	m := ev.object()
	if ev.act.mod != nil && ev.act.mod.js != nil {
		p := path.Join(ev.root, ev.act.mod.js.Path)
		m.put("url", "file://"+p)
		m.put("filename", p)
		m.put("dirname", path.Dir(p))
		m.put("resolve", ev.nativeFn("resolve", func(ev *evaluator, _ Value, args []Value) Value {
			return &Abstract{kind: callseq.String, path: "import.meta.resolve()", flows: deep(argAt(nil, args, "0"))}
		}))
	}
	return m
}

func isBuiltin(name string) bool {
	name, _, _ = strings.Cut(name, "/")
	return builtinModules[name]
}

var builtinModules = func() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields("assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain events fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl sea sqlite stream string_decoder sys test timers tls trace_events tty url util v8 vm wasi worker_threads zlib") {
		m[n] = true
	}
	return m
}()

// moduleNames maps a specifier to the canonical prefix of its members, where it is not the specifier itself.
var moduleNames = map[string]string{
	"fs/promises": "fs.promises", "dns/promises": "dns.promises", "timers/promises": "timers.promises", "stream/promises": "stream.promises",
	"readline/promises": "readline.promises", "sys": "util", "path/posix": "path", "path/win32": "path", "stream/web": "stream.web", "util/types": "util.types",
}
