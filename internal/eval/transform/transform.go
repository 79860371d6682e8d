// Package transform writes a package's code differently without changing what it does: renamed, minified, bundled into one file an
// entry, split over more files. An analyser that judges by behaviour gives every variant the verdict of the original; eval measures
// whether ours does. A package goes in as an artifact and comes out as another. Its code is read and printed by esbuild, never run,
// and a file that esbuild cannot read stays as it is, which Variant.Kept tells.
//
// The parser and the printer recurse without limit. Every file passes the guard of package js first, yet untrusted packages belong
// in a confined process.
package transform

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/evanw/esbuild/pkg/api"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
)

// Variant is a package written differently.
type Variant struct {
	Artifact *artifact.Artifact
	Changed  int      // files
	Kept     []string // files that could not be read and are as they were, sorted
}

// Transform makes a variant of a package. The program tells the entries and how one file finds another.
type Transform struct {
	Name string
	Make func(*artifact.Artifact, *js.Program) (*Variant, error)
}

// All lists every transformation.
var All = []Transform{{"rename", Rename}, {"minify", Minify}, {"bundle", Bundle}, {"split", Split}}

// Rename gives every local name a short new one and prints the rest anew: comments and layout are lost.
func Rename(a *artifact.Artifact, p *js.Program) (*Variant, error) {
	return each(a, p, func(f *file) (map[string][]byte, error) {
		return f.print(api.TransformOptions{MinifyIdentifiers: true})
	})
}

// Minify does what a minifier does: short names, no blanks, constants folded, statements joined.
func Minify(a *artifact.Artifact, p *js.Program) (*Variant, error) {
	return each(a, p, func(f *file) (map[string][]byte, error) {
		return f.print(api.TransformOptions{MinifyIdentifiers: true, MinifySyntax: true, MinifyWhitespace: true})
	})
}

// Split spreads each file over several: what it asks Node for comes through a file of its own for each builtin module, and its code
// moves to a file beside it, which the old one passes on.
func Split(a *artifact.Artifact, p *js.Program) (*Variant, error) {
	return each(a, p, (*file).split)
}

// file is one JavaScript file on its way.
type file struct {
	path   string
	source string
	unit   *js.Unit
}

func (f *file) loader() api.Loader {
	return map[string]api.Loader{"js": api.LoaderJS, "jsx": api.LoaderJSX, "ts": api.LoaderTS, "tsx": api.LoaderTSX}[f.unit.Loader]
}

func (f *file) format() api.Format {
	if f.unit.ESM {
		return api.FormatESModule
	}
	return api.FormatCommonJS
}

// each writes every file that parses and is JavaScript by its loader.
func each(a *artifact.Artifact, p *js.Program, write func(*file) (map[string][]byte, error)) (*Variant, error) {
	v := &Variant{}
	files := map[string]artifact.File{}
	for _, f := range a.Files {
		files[f.Path] = f
	}
	for _, m := range p.Modules {
		if m.Kind != js.KindCommonJS && m.Kind != js.KindESM {
			continue
		}
		u, err := m.Unit()
		if err != nil || u == nil {
			v.Kept = append(v.Kept, m.Path)
			continue
		}
		out, err := write(&file{m.Path, u.Source, u})
		if err != nil {
			v.Kept = append(v.Kept, m.Path)
			continue
		}
		v.Changed++
		for name, data := range out {
			files[name] = artifact.File{Path: name, Data: data, Mode: files[m.Path].Mode}
		}
	}
	return v.with(files, a), nil
}

func (v *Variant) with(files map[string]artifact.File, a *artifact.Artifact) *Variant {
	list := make([]artifact.File, 0, len(files))
	for _, f := range files {
		list = append(list, f)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Path < list[j].Path })
	sort.Strings(v.Kept)
	v.Artifact = artifact.New(list, slices.Clone(a.Anomalies), "")
	return v
}

// hashbang splits off the first line of a script.
func hashbang(source string) (line, rest string) {
	if !strings.HasPrefix(source, "#!") {
		return "", source
	}
	if i := strings.IndexByte(source, '\n'); i >= 0 {
		return source[:i+1], source[i+1:]
	}
	return source + "\n", ""
}

func (f *file) print(opt api.TransformOptions) (map[string][]byte, error) {
	line, source := hashbang(f.source)
	opt.Loader, opt.Format, opt.Sourcefile = f.loader(), f.format(), f.path
	opt.TreeShaking, opt.IgnoreAnnotations, opt.LegalComments, opt.Charset = api.TreeShakingFalse, true, api.LegalCommentsNone, api.CharsetUTF8
	r := api.Transform(source, opt)
	if len(r.Errors) > 0 {
		return nil, problem(r.Errors)
	}
	return map[string][]byte{f.path: append([]byte(line), r.Code...)}, nil
}

func problem(ms []api.Message) error {
	return errors.New(ms[0].Text)
}

// split writes the code to NAME-part.EXT and one file for each builtin module to NAME-MODULE.EXT.
func (f *file) split() (map[string][]byte, error) {
	line, source := hashbang(f.source)
	ext := path.Ext(f.path)
	stem := strings.TrimSuffix(f.path, ext)
	base := path.Base(stem)
	if t := strings.TrimPrefix(ext, "."); strings.Contains(t, "ts") || t == "tsx" || t == "jsx" {
		return nil, errors.New("only JavaScript is split")
	}
	out := map[string][]byte{}
	plugin := api.Plugin{Name: "split", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind == api.ResolveEntryPoint {
				return api.OnResolveResult{}, nil
			}
			name := strings.TrimPrefix(args.Path, "node:")
			if !builtin[name] {
				return api.OnResolveResult{Path: args.Path, External: true}, nil
			}
			part, text := fmt.Sprintf("%s-%s.cjs", base, strings.ReplaceAll(name, "/", "-")), fmt.Sprintf("module.exports = require(%q);\n", args.Path)
			if args.Kind == api.ResolveJSImportStatement || args.Kind == api.ResolveJSDynamicImport {
				part, text = strings.TrimSuffix(part, ".cjs")+".mjs", fmt.Sprintf("export * from %q;\nexport { default } from %[1]q;\n", args.Path)
			}
			out[path.Join(path.Dir(f.path), part)] = []byte(text)
			return api.OnResolveResult{Path: "./" + part, External: true}, nil
		})
	}}
	r := api.Build(api.BuildOptions{
		Stdin: &api.StdinOptions{Contents: source, Sourcefile: f.path, Loader: f.loader()}, Bundle: true, Platform: api.PlatformNode, Format: f.format(), Plugins: []api.Plugin{plugin},
		TreeShaking: api.TreeShakingFalse, IgnoreAnnotations: true, LegalComments: api.LegalCommentsNone, Charset: api.CharsetUTF8, LogLevel: api.LogLevelSilent, Outfile: "out.js", Metafile: true,
	})
	if len(r.Errors) > 0 {
		return nil, problem(r.Errors)
	}
	part := base + "-part" + ext
	out[path.Join(path.Dir(f.path), part)] = r.OutputFiles[0].Contents
	stub := fmt.Sprintf("module.exports = require(%q);\n", "./"+part)
	if f.unit.ESM {
		stub = fmt.Sprintf("export * from %q;\n", "./"+part)
		if slices.ContainsFunc(f.unit.Exports, func(e js.Export) bool { return e.As == "default" }) {
			stub += fmt.Sprintf("export { default } from %q;\n", "./"+part)
		}
	}
	out[f.path] = []byte(line + stub)
	return out, nil
}

var builtin = func() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields("assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns dns/promises domain events fs fs/promises http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream string_decoder timers timers/promises tls tty url util v8 vm worker_threads zlib") {
		m[n] = true
	}
	return m
}()

// Bundle joins each entry and what it imports of the package into one file that takes the entry's place. The code files joined go
// away, except those that are entries themselves.
func Bundle(a *artifact.Artifact, p *js.Program) (*Variant, error) {
	v := &Variant{}
	files := map[string]artifact.File{}
	for _, f := range a.Files {
		files[f.Path] = f
	}
	entries, joined := map[string]bool{}, map[string]bool{}
	for _, e := range p.Entries {
		if e.Path != "" && (e.Lang == "" || e.Lang == "js") {
			entries[e.Path] = true
		}
	}
	paths := make([]string, 0, len(entries))
	for e := range entries {
		paths = append(paths, e)
	}
	sort.Strings(paths)
	for _, e := range paths {
		m := p.Resolver.Lookup(e)
		if m == nil || m.Kind != js.KindCommonJS && m.Kind != js.KindESM {
			continue
		}
		u, err := m.Unit()
		if err != nil || u == nil {
			v.Kept = append(v.Kept, e)
			continue
		}
		code, parts, err := bundle(&file{e, u.Source, u}, p.Resolver)
		if err != nil {
			v.Kept = append(v.Kept, e)
			continue
		}
		v.Changed++
		files[e] = artifact.File{Path: e, Data: code, Mode: files[e].Mode}
		for _, part := range parts {
			joined[part] = true
		}
	}
	for f := range joined {
		if !entries[f] {
			delete(files, f)
		}
	}
	return v.with(files, a), nil
}

const inPackage = "package" // esbuild's namespace for the files of the artifact

func bundle(f *file, resolver js.Resolver) (code []byte, parts []string, err error) {
	line, _ := hashbang(f.source)
	plugin := api.Plugin{Name: "artifact", Setup: func(b api.PluginBuild) {
		b.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind == api.ResolveEntryPoint {
				return api.OnResolveResult{Path: f.path, Namespace: inPackage}, nil
			}
			esm := args.Kind == api.ResolveJSImportStatement || args.Kind == api.ResolveJSDynamicImport
			r := resolver.Resolve(args.Importer, args.Path, esm)
			if m := r.Module; m != nil && (m.Kind == js.KindCommonJS || m.Kind == js.KindESM || m.Kind == js.KindJSON) {
				if _, err := m.Unit(); err == nil { // a file that the guard refuses stays outside
					return api.OnResolveResult{Path: m.Path, Namespace: inPackage}, nil
				}
			}
			return api.OnResolveResult{Path: outside(f.path, args), External: true}, nil
		})
		b.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: inPackage}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			m := resolver.Lookup(args.Path)
			if m == nil {
				return api.OnLoadResult{}, fmt.Errorf("%s: not in the package", args.Path)
			}
			if m.Kind != js.KindJSON { // data such as package.json is read by others too
				parts = append(parts, args.Path)
			}
			loader, text := api.LoaderJSON, string(m.Data)
			if u, err := m.Unit(); err == nil && u != nil {
				loader = (&file{unit: u}).loader()
			}
			return api.OnLoadResult{Contents: &text, Loader: loader}, nil
		})
	}}
	r := api.Build(api.BuildOptions{
		EntryPoints: []string{f.path}, Bundle: true, Platform: api.PlatformNode, Format: f.format(), Plugins: []api.Plugin{plugin}, Outfile: "out.js",
		TreeShaking: api.TreeShakingFalse, IgnoreAnnotations: true, LegalComments: api.LegalCommentsNone, Charset: api.CharsetUTF8, LogLevel: api.LogLevelSilent,
	})
	if len(r.Errors) > 0 {
		return nil, nil, problem(r.Errors)
	}
	code = r.OutputFiles[0].Contents
	if line != "" && !strings.HasPrefix(string(code), "#!") {
		code = append([]byte(line), code...)
	}
	slices.Sort(parts)
	return code, slices.Compact(parts), nil
}

// outside writes a relative request that stays one as the bundle in the entry's place must make it.
func outside(entry string, args api.OnResolveArgs) string {
	if !strings.HasPrefix(args.Path, ".") {
		return args.Path
	}
	target := path.Join("/", path.Dir(args.Importer), args.Path)
	up := strings.Repeat("../", strings.Count(path.Clean(entry), "/"))
	if up == "" {
		up = "./"
	}
	return up + strings.TrimPrefix(target, "/")
}
