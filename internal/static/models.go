package static

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// Models of Node's own functions that compute with values: what they return is known when their arguments are. Everything that
// touches the outside is described by knowledge/apis alone. A model returns false to fall back on that description.

type hostModel func(h *hostCall) (Value, bool)

// hostConstants are members with a fixed value.
var hostConstants = map[string]Value{
	"path.sep": "/", "path.delimiter": ":", "os.EOL": "\n", "process.argv0": "node", "process.exitCode": nil,
	"process.version": nil, "process.release.name": "node", "process.browser": false, "process.type": nil, "process.pkg": nil,
	"fs.constants.F_OK": num(0), "fs.constants.R_OK": num(4), "fs.constants.W_OK": num(2), "fs.constants.X_OK": num(1),
	"util.promisify.custom": &Symbol{key: "@@promisify", desc: "nodejs.util.promisify.custom"},
	"util.inspect.custom":   &Symbol{key: "@@inspect", desc: "nodejs.util.inspect.custom"},
}

// hostAlias maps a path to the canonical name of the same thing.
var hostAlias = map[string]string{
	"buffer.Buffer": "Buffer", "buffer.atob": "atob", "buffer.btoa": "btoa", "util.TextDecoder": "TextDecoder", "util.TextEncoder": "TextEncoder", "url.URL": "URL", "url.URLSearchParams": "URLSearchParams",
	"timers.setTimeout": "setTimeout", "timers.setInterval": "setInterval", "timers.setImmediate": "setImmediate", "path.posix": "path", "path.win32": "path",
	"crypto.webcrypto": "crypto", "crypto.subtle": "crypto.subtle", "process.mainModule.constructor": "module", "module.Module": "module",
	"events.EventEmitter": "events", "events.default": "events", "process.default": "process",
}

// moduleModel is a module of which we hold an object of our own.
func (ev *evaluator) moduleModel(name string) (Value, bool) {
	switch name {
	case "process", "console":
		return ev.globalBuiltin(name)
	case "events":
		return ev.eventsModule(), true
	}
	return nil, false
}

// hostValues are members whose value is made on demand.
func hostValues() map[string]func(ev *evaluator) Value {
	return map[string]func(ev *evaluator) Value{
		"process.mainModule":      mainModuleValue,
		"globalThis.globalThis":   func(ev *evaluator) Value { return ev.realm.global },
		"module.constructor":      func(ev *evaluator) Value { return ev.hostValue("module") },
		"module.builtinModules":   func(ev *evaluator) Value { return builtinList(ev) },
		"process.stdout.isTTY":    func(ev *evaluator) Value { return unknown(callseq.Bool, nil) },
		"process.versions.node":   func(ev *evaluator) Value { return &Abstract{kind: callseq.String, path: "process.versions.node"} },
		"require.main":            func(ev *evaluator) Value { return nil },
		"crypto.webcrypto.subtle": func(ev *evaluator) Value { return ev.hostValue("crypto.subtle") },
	}
}

// hostModels lists the models by canonical name.
func hostModels() map[string]hostModel {
	m := map[string]hostModel{
		"Buffer.from": bufferFrom, "Buffer": bufferFrom, "Buffer.alloc": bufferAlloc, "Buffer.allocUnsafe": bufferAlloc, "Buffer.allocUnsafeSlow": bufferAlloc,
		"Buffer.concat": bufferConcat, "Buffer.isBuffer": isBuffer, "Buffer.byteLength": byteLength, "Buffer.isEncoding": func(h *hostCall) (Value, bool) { return true, true },
		"atob": atobModel, "btoa": btoaModel,
		"TextDecoder": func(h *hostCall) (Value, bool) { return h.ev.textCoder(), true }, "TextEncoder": func(h *hostCall) (Value, bool) { return h.ev.textCoder(), true },
		"structuredClone": func(h *hostCall) (Value, bool) { return h.arg(0), true },
		"queueMicrotask":  nextTick, "process.nextTick": nextTick,
		"process.exit": func(h *hostCall) (Value, bool) { return nil, true }, "process.abort": func(h *hostCall) (Value, bool) { return nil, true },
		"process.emitWarning": func(h *hostCall) (Value, bool) { return nil, true }, "process.hrtime": func(h *hostCall) (Value, bool) { return h.ev.openArray(nil), true },
		"process.getBuiltinModule": moduleByName, "process.mainModule.require": moduleByName, "module._load": moduleByName, "module.createRequire": createRequire, "module": newModule, "module.prototype.require": moduleByName,
		"util.promisify": promisify, "util.inherits": utilInherits, "util.deprecate": firstArg, "util.callbackify": firstArg, "util.format": utilFormat, "util.inspect": utilInspect, "util.stripVTControlCharacters": firstArg, "util.debuglog": noopFactory, "util.isDeepStrictEqual": unknownBool,
		"path.join": pathJoin, "path.resolve": pathResolve, "path.normalize": pathMap(func(s string) string { return path.Clean(s) }), "path.dirname": pathMap(path.Dir), "path.basename": pathBase, "path.extname": pathMap(path.Ext),
		"path.isAbsolute": pathAbs, "path.relative": pathRelative, "path.toNamespacedPath": firstArg, "path.parse": pathParse, "path.format": pathFormat,
		"url.fileURLToPath": fileURLToPath, "url.pathToFileURL": func(h *hostCall) (Value, bool) { return h.ev.urlObject(h.ev.add("file://", h.arg(0)), nil), true },
		"URL": newURL, "url.parse": newURL, "url.format": urlFormat, "url.resolve": urlResolve, "URLSearchParams": newSearchParams,
		"querystring.stringify": queryStringify, "querystring.escape": queryEscape, "querystring.encode": queryStringify,
	}
	for _, k := range strings.Fields("log error warn info debug trace dir time timeEnd timeLog group groupEnd groupCollapsed table count countReset assert clear profile profileEnd") {
		m["console."+k] = func(h *hostCall) (Value, bool) { return nil, true }
	}
	for _, k := range strings.Fields("clearTimeout clearInterval clearImmediate") {
		m[k] = func(h *hostCall) (Value, bool) { return nil, true }
	}
	for _, more := range []map[string]hostModel{cryptoModels(), zlibModels(), fileModels()} {
		maps.Copy(m, more)
	}
	return m
}

func mainModuleValue(ev *evaluator) Value {
	if ev.act != nil && ev.act.mod != nil && ev.act.mod.object != nil {
		return ev.act.mod.object
	}
	o := ev.object()
	o.put("require", ev.nativeFn("require", func(ev *evaluator, _ Value, args []Value) Value {
		var m *module
		if ev.act != nil {
			m = ev.act.mod
		}
		return ev.require(m, argOr(args, 0))
	}))
	o.put("filename", ev.root+"/index.js")
	o.put("constructor", ev.moduleValue("module"))
	return o
}

func builtinList(ev *evaluator) Value {
	var names []Value
	m := map[string]Value{}
	for k := range builtinModules {
		m[k] = nil
	}
	for _, k := range sortedKeys(m) {
		names = append(names, k)
	}
	return ev.array(names)
}

func firstArg(h *hostCall) (Value, bool) { return h.arg(0), true }

func unknownBool(h *hostCall) (Value, bool) { return unknown(callseq.Bool, nil), true }

func noopFactory(h *hostCall) (Value, bool) {
	return h.ev.nativeFn("debug", func(*evaluator, Value, []Value) Value { return nil }), true
}

func nextTick(h *hostCall) (Value, bool) {
	f := h.arg(0)
	var rest []Value
	if len(h.args) > 1 {
		rest = h.args[1:]
	}
	h.ev.schedule(f, nil, rest, h.ev.cause, 0)
	return nil, true
}

func moduleByName(h *hostCall) (Value, bool) {
	var m *module
	if h.ev.act != nil {
		m = h.ev.act.mod
	}
	return h.ev.require(m, h.arg(0)), true
}

func createRequire(h *hostCall) (Value, bool) {
	m := &module{}
	if h.ev.act != nil && h.ev.act.mod != nil {
		m = h.ev.act.mod
	}
	if m.js == nil {
		return nil, false
	}
	return h.ev.requireFunction(m), true
}

// --- Buffer and text

func bufferFrom(h *hostCall) (Value, bool) {
	ev, v := h.ev, h.arg(0)
	enc := ""
	if e, ok := text(h.arg(1)); ok && h.arg(1) != nil {
		enc = e
	}
	via := callseq.Copy
	if isCoding(enc) {
		via = callseq.Decode
	}
	fl := h.flows(via, v)
	switch x := plain(v).(type) {
	case string:
		raw, ok := encodeText(x, enc)
		if !ok {
			return nil, false
		}
		return ev.newBytes("Buffer", raw, fl), true
	case float64:
		if n := toInt(x); n >= 0 && n <= maxBytes {
			return ev.newBytes("Buffer", make([]byte, n), fl), true
		}
	case *Object:
		switch x.class {
		case classBytes:
			if b, ok := x.data.(*bytesData); ok {
				var raw []byte
				if b.width <= 1 {
					raw = append(raw, b.view()...)
				} else {
					for i := range b.length() {
						f, _ := number(b.at(i))
						raw = append(raw, byte(toUint32(f)))
					}
				}
				o := ev.newBytes("Buffer", raw, fl)
				o.weak = x.weak
				return o, true
			}
		case classArray, classArguments:
			raw := make([]byte, 0, len(x.arr))
			for _, e := range x.arr {
				f, ok := number(val(e))
				if !ok {
					return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl}, true
				}
				raw = append(raw, byte(toUint32(f)))
			}
			o := ev.newBytes("Buffer", raw, fl)
			o.weak = x.weak
			return o, true
		case classBoxed:
			if s, ok := text(x); ok {
				raw, _ := encodeText(s, enc)
				return ev.newBytes("Buffer", raw, fl), true
			}
		default:
			if d, ok := x.lookupData("data").(*Object); ok && d.class == classArray {
				h.args[0] = d
				return bufferFrom(h)
			}
		}
	}
	path := pathOf(v)
	return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl, path: path}, true
}

func bufferAlloc(h *hostCall) (Value, bool) {
	f, ok := h.ev.toNumber(h.arg(0))
	if n := toInt(f); ok && n >= 0 && n <= maxBytes {
		o := h.ev.newBytes("Buffer", make([]byte, n), nil)
		if fill := h.arg(1); fill != nil {
			h.ev.call(h.ev.get(o, "fill"), o, []Value{fill})
		}
		return o, true
	}
	return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: own(h.arg(0))}, true
}

func bufferConcat(h *hostCall) (Value, bool) {
	items, open := h.ev.iterate(h.arg(0), 1<<16)
	var raw []byte
	fl := h.flows(callseq.Copy, h.arg(0))
	for _, it := range items {
		b, _, ok := rawBytes(it)
		if !ok || len(raw) > maxBytes {
			open = true
			break
		}
		raw = append(raw, b...)
	}
	if open {
		return &Abstract{kind: callseq.Bytes, typ: "Buffer", flows: fl}, true
	}
	return h.ev.newBytes("Buffer", raw, fl), true
}

func isBuffer(h *hostCall) (Value, bool) {
	switch x := h.arg(0).(type) {
	case *Object:
		b, ok := x.data.(*bytesData)
		return ok && b.kind == "Buffer", true
	case *Abstract:
		if x.known == nil && (x.kind == callseq.Unknown || x.kind == callseq.Bytes) {
			return unknown(callseq.Bool, nil), true
		}
	}
	return false, true
}

func byteLength(h *hostCall) (Value, bool) {
	if s, ok := plain(h.arg(0)).(string); ok {
		raw, _ := encodeText(s, "")
		return num(float64(len(raw))), true
	}
	return unknown(callseq.Number, own(h.arg(0)).may()), true
}

func atobModel(h *hostCall) (Value, bool) {
	v := h.arg(0)
	fl := h.flows(callseq.Decode, v)
	if s, ok := h.ev.toText(v); ok {
		raw, _ := decodeBase64(s)
		return tainted(latin1(raw), fl), true
	}
	return &Abstract{kind: callseq.String, flows: fl, path: pathOf(v)}, true
}

func btoaModel(h *hostCall) (Value, bool) {
	v := h.arg(0)
	fl := h.flows(callseq.Encode, v)
	if s, ok := h.ev.toText(v); ok {
		out, _ := decodeText(bytesOf(s), "base64")
		return tainted(out, fl), true
	}
	return &Abstract{kind: callseq.String, flows: fl, path: pathOf(v)}, true
}

func (ev *evaluator) textCoder() *Object {
	o := ev.object()
	o.put("encoding", "utf-8")
	o.putHidden("decode", ev.nativeFn("decode", func(ev *evaluator, _ Value, args []Value) Value {
		v := argOr(args, 0)
		if raw, fl, ok := rawBytes(v); ok {
			return tainted(decodeUTF8(raw), fl)
		}
		return &Abstract{kind: callseq.String, flows: deep(v), path: pathOf(v)}
	}))
	o.putHidden("encode", ev.nativeFn("encode", func(ev *evaluator, _ Value, args []Value) Value {
		v := argOr(args, 0)
		if s, ok := ev.toText(v); ok {
			raw, _ := encodeText(s, "")
			return ev.newBytes("Uint8Array", raw, deep(v))
		}
		return &Abstract{kind: callseq.Bytes, flows: deep(v), path: pathOf(v)}
	}))
	return o
}

// --- util

func promisify(h *hostCall) (Value, bool) {
	f := h.arg(0)
	return h.ev.nativeFn("promisified", func(ev *evaluator, this Value, args []Value) Value {
		out, p := ev.newPromise()
		cb := ev.nativeFn("callback", func(ev *evaluator, _ Value, a []Value) Value {
			v := argOr(a, 1)
			if len(a) > 2 {
				o := ev.object()
				o.put("stdout", a[1])
				o.put("stderr", a[2])
				v = o
			}
			ev.resolvePromise(p, v)
			return nil
		})
		ev.call(f, this, append(slices.Clone(args), cb))
		return out
	}), true
}

func utilInherits(h *hostCall) (Value, bool) {
	c, ok := h.arg(0).(*Object)
	if !ok {
		return nil, true
	}
	proto, _ := h.ev.get(c, "prototype").(*Object)
	switch s := h.arg(1).(type) {
	case *Object:
		if p, ok := h.ev.get(s, "prototype").(*Object); ok && proto != nil && p != proto {
			proto.proto = p
		}
		c.put("super_", s)
	case *Abstract:
		if proto != nil && proto.data == nil {
			proto.data = h.ev.instanceOfHost(s)
		}
		c.put("super_", s)
	}
	return nil, true
}

func utilFormat(h *hostCall) (Value, bool) {
	f, ok := plain(h.arg(0)).(string)
	if !ok {
		return unknown(callseq.String, h.flows(callseq.Copy, h.args...)), true
	}
	var v Value = ""
	rest := h.args[1:]
	for {
		i := strings.IndexByte(f, '%')
		if i < 0 || i+1 >= len(f) || len(rest) == 0 {
			break
		}
		v = h.ev.add(v, f[:i])
		switch f[i+1] {
		case 's', 'd', 'i', 'f':
			v = h.ev.add(v, h.ev.str(rest[0]))
			rest = rest[1:]
		case 'j', 'o', 'O':
			if ps, ok := h.ev.stringify(rest[0], nil, ""); ok {
				v = h.ev.add(v, h.ev.pieced(ps))
			}
			rest = rest[1:]
		case '%':
			v = h.ev.add(v, "%")
		default:
			v = h.ev.add(v, f[i:i+2])
		}
		f = f[i+2:]
	}
	v = h.ev.add(v, f)
	for _, a := range rest {
		v = h.ev.add(h.ev.add(v, " "), h.ev.str(a))
	}
	return v, true
}

func utilInspect(h *hostCall) (Value, bool) {
	return unknown(callseq.String, h.flows(callseq.Copy, h.arg(0))), true
}

// --- path

// pathText applies f to a wholly known path; a partly known one keeps its flows and place.
func pathMap(f func(string) string) hostModel {
	return func(h *hostCall) (Value, bool) {
		v := h.arg(0)
		if s, ok := h.ev.toText(v); ok {
			return tainted(f(s), own(v)), true
		}
		if a, ok := v.(*Abstract); ok && len(a.parts) > 0 {
			return a, true
		}
		return &Abstract{kind: callseq.String, flows: deep(v), path: pathOf(v)}, true
	}
}

func pathJoin(h *hostCall) (Value, bool) { return h.ev.joinPath(h.args), true }

// joinPath joins with separators; known neighbours are cleaned.
func (ev *evaluator) joinPath(args []Value) Value {
	var known []string
	all := true
	var fl flows
	for _, a := range args {
		s, ok := ev.toText(a)
		if !ok {
			all = false
			break
		}
		fl = fl.union(own(a))
		known = append(known, s)
	}
	if all {
		return tainted(path.Join(known...), fl)
	}
	var v Value = ""
	for i, a := range args {
		s := ev.str(a)
		if i > 0 {
			if t, ok := s.(string); ok {
				s = strings.TrimPrefix(strings.TrimPrefix(t, "./"), "/")
			}
			v = ev.add(v, "/")
		}
		v = ev.add(v, s)
	}
	return v
}

func pathResolve(h *hostCall) (Value, bool) {
	args := h.args
	start := -1
	for i, a := range args {
		if s, ok := h.ev.toText(a); ok && strings.HasPrefix(s, "/") {
			start = i
		} else if x, isA := a.(*Abstract); isA && x.known == nil && (len(x.parts) == 0 || x.parts[0].hole != nil || strings.HasPrefix(x.parts[0].lit, "/")) {
			start = i
		}
	}
	if start < 0 {
		args = append([]Value{h.ev.workingDir()}, args...)
	} else {
		args = args[start:]
	}
	return h.ev.joinPath(args), true
}

// workingDir is where the process runs: the package itself at install, somewhere of the user's otherwise.
func (ev *evaluator) workingDir() Value {
	if ev.phase == callseq.PhaseInstall {
		return ev.root
	}
	return &Abstract{kind: callseq.String, path: "process.cwd()"}
}

func pathBase(h *hostCall) (Value, bool) {
	v := h.arg(0)
	if s, ok := h.ev.toText(v); ok {
		b := path.Base(s)
		if ext, ok := text(h.arg(1)); ok && h.arg(1) != nil {
			b = strings.TrimSuffix(b, ext)
		}
		return tainted(b, own(v)), true
	}
	return &Abstract{kind: callseq.String, flows: deep(v), path: pathOf(v)}, true
}

func pathAbs(h *hostCall) (Value, bool) {
	if s, ok := h.ev.toText(h.arg(0)); ok {
		return strings.HasPrefix(s, "/"), true
	}
	return unknown(callseq.Bool, nil), true
}

func pathRelative(h *hostCall) (Value, bool) {
	a, ok1 := h.ev.toText(h.arg(0))
	b, ok2 := h.ev.toText(h.arg(1))
	if ok1 && ok2 && strings.HasPrefix(b, a+"/") {
		return b[len(a)+1:], true
	}
	return unknown(callseq.String, h.flows(callseq.Copy, h.args...)), true
}

func pathParse(h *hostCall) (Value, bool) {
	o := h.ev.object()
	s, ok := h.ev.toText(h.arg(0))
	if !ok {
		o.weak, o.flows = true, deep(h.arg(0))
		return o, true
	}
	o.put("dir", path.Dir(s))
	o.put("base", path.Base(s))
	o.put("ext", path.Ext(s))
	o.put("name", strings.TrimSuffix(path.Base(s), path.Ext(s)))
	o.put("root", "")
	return o, true
}

func pathFormat(h *hostCall) (Value, bool) {
	o, ok := h.arg(0).(*Object)
	if !ok {
		return nil, false
	}
	dir, base := o.lookupData("dir"), o.lookupData("base")
	if base == nil {
		base = h.ev.add(h.ev.str(o.lookupData("name")), h.ev.str(o.lookupData("ext")))
	}
	if dir == nil {
		return base, true
	}
	return h.ev.joinPath([]Value{dir, base}), true
}

// --- url and querystring

func fileURLToPath(h *hostCall) (Value, bool) {
	v := h.arg(0)
	if o, ok := v.(*Object); ok {
		v = o.lookupData("href")
	}
	if s, ok := h.ev.toText(v); ok {
		s = strings.TrimPrefix(s, "file://")
		if d, ok := decodeURI(s, true); ok {
			s = d
		}
		return tainted(s, own(v)), true
	}
	return &Abstract{kind: callseq.String, flows: deep(v), path: pathOf(v)}, true
}

func newURL(h *hostCall) (Value, bool) {
	v := h.ev.str(h.arg(0))
	if h.fn.path == "url.parse" {
		return h.ev.urlObject(v, nil), true
	}
	return h.ev.urlObject(v, h.arg(1)), true
}

// urlObject is a URL: its pieces as far as the text is known.
func (ev *evaluator) urlObject(v Value, base Value) Value {
	if base != nil {
		if o, ok := base.(*Object); ok {
			base = o.lookupData("href")
		}
		if s, ok := ev.toText(v); !ok || !strings.Contains(s, "://") {
			b, known := ev.toText(base)
			if !known {
				v = ev.add(ev.str(base), v)
			} else {
				v = resolveURL(ev, b, v)
			}
		}
	}
	o := ev.object()
	set := func(href Value) {
		s, rest := "", Value(nil)
		switch x := href.(type) {
		case string:
			s = x
		case *Abstract:
			if k, ok := x.known.(string); ok {
				s = k
			} else if len(x.parts) > 0 && x.parts[0].hole == nil {
				s = x.parts[0].lit
				rest = x
			} else {
				o.weak, o.flows = true, deep(x)
			}
		}
		fl := own(href)
		scheme, after, ok := strings.Cut(s, "://")
		if !ok {
			scheme, after = "", s
		}
		host, tail := after, ""
		if i := strings.IndexAny(after, "/?#"); i >= 0 {
			host, tail = after[:i], after[i:]
		}
		if i := strings.LastIndexByte(host, '@'); i >= 0 {
			o.put("auth", host[:i])
			host = host[i+1:]
		}
		name, port, _ := strings.Cut(host, ":")
		o.put("href", href)
		if rest != nil && tail == "" { // the host itself is open
			o.weak, o.flows = true, fl
			if scheme != "" {
				o.put("protocol", scheme+":")
			}
			return
		}
		o.put("protocol", scheme+":")
		o.put("host", host)
		o.put("hostname", name)
		o.put("port", port)
		o.put("origin", scheme+"://"+host)
		if rest != nil {
			a := rest.(*Abstract)
			ps := append([]part{{lit: tail}}, a.parts[1:]...)
			p := ev.partly(ps)
			o.put("pathname", p)
			o.put("path", p)
			o.put("search", &Abstract{kind: callseq.String, flows: fl})
			return
		}
		tail, hash, _ := strings.Cut(tail, "#")
		pathname, search, hasSearch := strings.Cut(tail, "?")
		if hasSearch {
			search = "?" + search
		}
		if pathname == "" {
			pathname = "/"
		}
		o.put("pathname", tainted(pathname, fl))
		o.put("search", tainted(search, fl))
		o.put("query", tainted(strings.TrimPrefix(search, "?"), fl))
		o.put("path", tainted(pathname+search, fl))
		if hash != "" {
			hash = "#" + hash
		}
		o.put("hash", hash)
	}
	set(v)
	params := ev.searchParams(nil)
	o.put("searchParams", params)
	o.own("searchParams").hidden = true
	self := ev.nativeFn("toString", func(ev *evaluator, this Value, _ []Value) Value {
		href := o.lookupData("href")
		if q := params.lookupData("@@text"); q != nil {
			return ev.add(ev.add(href, "?"), q)
		}
		return href
	})
	o.putHidden("toString", self)
	o.putHidden("toJSON", self)
	return o
}

func resolveURL(ev *evaluator, base string, v Value) Value {
	scheme, after, ok := strings.Cut(base, "://")
	if !ok {
		return ev.add(base, v)
	}
	host := after
	if i := strings.IndexByte(after, '/'); i >= 0 {
		host = after[:i]
	}
	if s, ok := plain(v).(string); ok && !strings.HasPrefix(s, "/") {
		return ev.add(scheme+"://"+host+"/", v)
	}
	return ev.add(scheme+"://"+host, v)
}

func urlFormat(h *hostCall) (Value, bool) {
	o, ok := h.arg(0).(*Object)
	if !ok {
		return h.ev.str(h.arg(0)), true
	}
	if v := o.lookupData("href"); v != nil {
		return v, true
	}
	ev := h.ev
	host := o.lookupData("host")
	if host == nil {
		host = o.lookupData("hostname")
	}
	v := ev.add(ev.add(ev.str(o.lookupData("protocol")), "//"), ev.str(host))
	if p := o.lookupData("pathname"); p != nil {
		v = ev.add(v, p)
	}
	if q := o.lookupData("search"); q != nil {
		v = ev.add(v, q)
	} else if q, ok := o.lookupData("query").(*Object); ok {
		v = ev.add(ev.add(v, "?"), ev.queryText(q))
	}
	return v, true
}

func urlResolve(h *hostCall) (Value, bool) {
	u := h.ev.urlObject(h.ev.str(h.arg(1)), h.ev.str(h.arg(0))).(*Object)
	return u.lookupData("href"), true
}

func newSearchParams(h *hostCall) (Value, bool) { return h.ev.searchParams(h.arg(0)), true }

func (ev *evaluator) searchParams(init Value) *Object {
	o := ev.object()
	if init != nil {
		if x, ok := init.(*Object); ok {
			o.putHidden("@@text", ev.queryText(x))
		} else {
			o.putHidden("@@text", ev.str(init))
		}
	}
	add := ev.nativeFn("append", func(ev *evaluator, this Value, args []Value) Value {
		var v Value = ""
		if old := o.lookupData("@@text"); old != nil {
			v = ev.add(old, "&")
		}
		v = ev.add(ev.add(ev.add(v, ev.str(argOr(args, 0))), "="), ev.str(argOr(args, 1)))
		o.putHidden("@@text", v)
		return nil
	})
	o.putHidden("append", add)
	o.putHidden("set", add)
	o.putHidden("get", ev.nativeFn("get", func(ev *evaluator, _ Value, args []Value) Value {
		return &Abstract{kind: callseq.Unknown, flows: own(o.lookupData("@@text"))}
	}))
	o.putHidden("toString", ev.nativeFn("toString", func(ev *evaluator, _ Value, _ []Value) Value {
		if t := o.lookupData("@@text"); t != nil {
			return t
		}
		return ""
	}))
	return o
}

// queryText is a=b&c=d of an object.
func (ev *evaluator) queryText(o *Object) Value {
	var v Value = ""
	if o.class == classArray || o.class == classMap {
		items, _ := ev.iterate(o, 256)
		for i, it := range items {
			if i > 0 {
				v = ev.add(v, "&")
			}
			v = ev.add(ev.add(ev.add(v, ev.str(ev.index(it, num(0)))), "="), ev.str(ev.index(it, num(1))))
		}
		return v
	}
	for i, k := range o.keys() {
		if i > 0 {
			v = ev.add(v, "&")
		}
		q := ev.str(ev.get(o, k))
		if s, ok := q.(string); ok {
			q, _ = encodeURI(s, "-_.!~*'()")
		}
		v = ev.add(ev.add(v, k+"="), q)
	}
	if o.weak || len(o.flows) > 0 {
		v = ev.add(v, unknown(callseq.String, deep(o)))
	}
	return v
}

func queryStringify(h *hostCall) (Value, bool) {
	if o, ok := h.arg(0).(*Object); ok {
		return tainted(h.ev.queryText(o), h.flows(callseq.Copy)), true
	}
	v := h.arg(0)
	fl := h.flows(callseq.Encode, v)
	if a, ok := v.(*Abstract); ok && a.host && a.path == "process.env" {
		fl = fl.union(h.ev.wholeEnv())
	}
	return unknown(callseq.String, fl), true
}

func queryEscape(h *hostCall) (Value, bool) {
	return h.ev.call(h.ev.realm.vars["encodeURIComponent"], nil, h.args), true
}

// --- events

// eventsModule is Node's EventEmitter, which packages use among their own objects: listeners are kept and emit calls them.
func (ev *evaluator) eventsModule() Value {
	proto := ev.object()
	proto.born = 0
	list := func(o *Object, name string) *Object {
		key := "@@on:" + name
		if l, ok := o.lookupData(key).(*Object); ok && o.own(key) != nil {
			return l
		}
		l := ev.array(nil)
		if len(o.props) < 512 {
			o.putHidden(key, l)
		}
		return l
	}
	on := func(ev *evaluator, this Value, args []Value) Value {
		f := argOr(args, 1)
		if a, ok := this.(*Abstract); ok {
			ev.escape(f, a.flows)
			return a
		}
		o, ok := this.(*Object)
		name, known := text(argOr(args, 0))
		if !ok || !known {
			ev.escape(f, nil)
			return this
		}
		if base := ev.hostBase(o); base != nil {
			if m := ev.typeMember(base, "on"); m != nil {
				ev.call(m, base, args)
			}
		}
		l := list(o, name)
		if len(l.arr) < 64 {
			l.arr = append(l.arr, f)
		}
		return this
	}
	for _, k := range strings.Fields("on once addListener prependListener prependOnceListener addEventListener") {
		proto.putHidden(k, ev.nativeFn(k, on))
	}
	same := func(_ *evaluator, this Value, _ []Value) Value { return this }
	for _, k := range strings.Fields("off removeListener removeAllListeners setMaxListeners removeEventListener") {
		proto.putHidden(k, ev.nativeFn(k, same))
	}
	proto.putHidden("emit", ev.nativeFn("emit", func(ev *evaluator, this Value, args []Value) Value {
		o, ok := this.(*Object)
		name, known := text(argOr(args, 0))
		if !ok || !known {
			return unknown(callseq.Bool, nil)
		}
		l, ok := o.lookupData("@@on:" + name).(*Object)
		if !ok {
			return false
		}
		for _, f := range slices.Clone(l.arr) {
			ev.call(f, this, args[1:])
		}
		return true
	}))
	proto.putHidden("listenerCount", ev.nativeFn("listenerCount", func(ev *evaluator, this Value, args []Value) Value {
		if o, ok := this.(*Object); ok {
			name, _ := text(argOr(args, 0))
			if l, ok := o.lookupData("@@on:" + name).(*Object); ok {
				return num(float64(len(l.arr)))
			}
		}
		return num(0)
	}))
	proto.putHidden("listeners", ev.nativeFn("listeners", func(ev *evaluator, this Value, args []Value) Value {
		if o, ok := this.(*Object); ok {
			name, _ := text(argOr(args, 0))
			if l, ok := o.lookupData("@@on:" + name).(*Object); ok {
				return ev.array(slices.Clone(l.arr))
			}
		}
		return ev.array(nil)
	}))
	c := ev.nativeFn("EventEmitter", func(ev *evaluator, this Value, _ []Value) Value { return this })
	c.fn.ctor = func(ev *evaluator, _ Value, _ []Value) Value { return ev.objectOf(classPlain, proto) }
	c.born = 0
	c.putHidden("prototype", proto)
	proto.putHidden("constructor", c)
	c.put("EventEmitter", c)
	c.put("default", c)
	c.put("defaultMaxListeners", num(10))
	c.put("once", ev.nativeFn("once", func(ev *evaluator, _ Value, args []Value) Value {
		return ev.settledPromise(ev.openArray(argOr(args, 0)), false)
	}))
	return c
}
