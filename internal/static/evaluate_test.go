package static_test

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/static"
)

var base = sync.OnceValues(func() (*behavior.Base, error) { return behavior.Load(os.DirFS("../../knowledge")) })

// evaluate runs one CommonJS file as the main module of a package.
func evaluate(t testing.TB, src string) *static.Result {
	t.Helper()
	return evaluateFiles(t, map[string]string{"index.js": src}, callseq.PhaseImport)
}

// evaluateFiles runs index.js in a phase; the other files are there for it to load.
func evaluateFiles(t testing.TB, files map[string]string, phase callseq.Phase) *static.Result {
	t.Helper()
	b, err := base()
	if err != nil {
		t.Fatal(err)
	}
	p := program(files, phase)
	return static.Run(context.Background(), p, b, static.Options{Name: "subject", Files: func(path string) ([]byte, bool) {
		s, ok := files[path]
		return []byte(s), ok
	}})
}

type flatResolver map[string]*js.Module

func (r flatResolver) Lookup(path string) *js.Module { return r[path] }

func (r flatResolver) Resolve(from, spec string, esm bool) js.Resolution {
	if len(spec) > 2 && spec[:2] == "./" {
		for _, p := range []string{spec[2:], spec[2:] + ".js", spec[2:] + ".json"} {
			if m := r[p]; m != nil {
				return js.Resolution{Module: m}
			}
		}
		return js.Resolution{}
	}
	if len(spec) > 5 && spec[:5] == "node:" {
		return js.Resolution{Builtin: spec[5:]}
	}
	switch spec {
	case "fs", "os", "path", "child_process", "http", "https", "net", "dns", "crypto", "zlib", "vm", "module", "util", "url", "events", "worker_threads", "buffer", "querystring", "timers", "stream", "fs/promises":
		return js.Resolution{Builtin: spec}
	}
	return js.Resolution{External: spec}
}

func program(files map[string]string, phase callseq.Phase) *js.Program {
	r := flatResolver{}
	p := &js.Program{Resolver: r}
	for name, text := range files {
		kind := js.KindCommonJS
		switch {
		case len(name) > 5 && name[len(name)-5:] == ".json":
			kind = js.KindJSON
		case len(name) > 4 && name[len(name)-4:] == ".mjs":
			kind = js.KindESM
		}
		m := js.NewModule(name, kind, []byte(text), func(m *js.Module) (*js.Unit, error) {
			return js.Parse(m.Path, string(m.Data), js.Options{Module: m.Kind == js.KindESM})
		})
		r[name] = m
		p.Modules = append(p.Modules, m)
	}
	entry := "index.js"
	if r[entry] == nil {
		entry = "index.mjs"
	}
	p.Entries = []js.Entry{{Name: "main", Kind: js.EntryImport, Phase: string(phase), Path: entry}}
	return p
}
