package static

import (
	"strings"

	"github.com/donapi/donapi/internal/js"
)

// interesting reports that a function can reach anything outside the package: its module, or a module that it loads, names
// something by which code acts. Driving the others would tell nothing, and most functions of most packages are such.
func (ev *evaluator) interesting(f *js.Func) bool {
	if f.Unit == nil {
		return true
	}
	r := ev.byUnit[f.Unit]
	if r == nil || r.js == nil { // a decoded layer
		return true
	}
	return ev.acts(r.js, 0)
}

// acts is interesting for a module, over what it loads.
func (ev *evaluator) acts(m *js.Module, depth int) bool {
	if v, ok := ev.acting[m]; ok {
		return v
	}
	ev.acting[m] = false // a cycle decides nothing
	out := m.Kind == js.KindNative || m.Kind == js.KindWasm
	if u, err := m.Unit(); u != nil && err == nil {
		out = out || usesAny(u.Globals, actingWords) || strings.Contains(u.Source, "constructor") || hidesRequests(u.Source)
		if !out && depth < 200 {
			for _, spec := range u.Calls {
				res := ev.program.Resolver.Resolve(m.Path, spec, u.ESM)
				if res.Module != nil && ev.acts(res.Module, depth+1) || res.External != "" && ev.isNamespace(strings.ReplaceAll(res.External, "/", ".")) || actingBuiltins[res.Builtin] {
					out = true
					break
				}
			}
		}
	}
	ev.acting[m] = out
	return out
}

var actingBuiltins = map[string]bool{"fs": true, "fs/promises": true, "child_process": true, "http": true, "https": true, "http2": true, "net": true, "tls": true, "dns": true, "dns/promises": true, "dgram": true, "os": true, "vm": true, "worker_threads": true, "cluster": true, "module": true, "inspector": true, "v8": true, "process": true, "zlib": true, "crypto": true}

// actingWords are the names through which code reaches the outside without an import, or makes code.
var actingWords = []string{"process", "eval", "Function", "fetch", "XMLHttpRequest", "WebSocket", "document", "navigator", "window", "global", "globalThis", "self", "localStorage", "atob", "WebAssembly", "importScripts", "EventSource", "chrome", "ethereum"}

// hidesRequests reports that a text makes code, or asks for a module that is not written there: what it loads cannot be told without
// running it. It looks at the text because bodies of functions are only read when they run.
func hidesRequests(src string) bool {
	for _, word := range []string{"require", "import", "eval", "Function"} {
		for rest := src; ; {
			i := strings.Index(rest, word)
			if i < 0 {
				break
			}
			before := i > 0 && (isIdentByte(rest[i-1]) || rest[i-1] == '.')
			rest = rest[i+len(word):]
			after, called := strings.CutPrefix(strings.TrimLeft(rest, " \t\n"), "(")
			if before || !called {
				continue
			}
			if word == "eval" || word == "Function" {
				return true
			}
			after = strings.TrimLeft(after, " \t\n")
			if after != "" && after[0] != '"' && after[0] != '\'' && after[0] != '`' {
				return true
			}
			if spec, _, ok := strings.Cut(after[min(1, len(after)):], after[:min(1, len(after))]); ok && (strings.Contains(spec, `\`) || actingBuiltins[strings.TrimPrefix(spec, "node:")]) {
				return true
			}
		}
	}
	return false
}

func isIdentByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func usesAny(names, words []string) bool {
	for _, n := range names {
		for _, w := range words {
			if n == w {
				return true
			}
		}
	}
	return false
}
