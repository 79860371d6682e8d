package js

import (
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/ije/esbuild-internal/ast"
	"github.com/ije/esbuild-internal/config"
	"github.com/ije/esbuild-internal/js_ast"
	"github.com/ije/esbuild-internal/js_parser"
	"github.com/ije/esbuild-internal/logger"
)

// Kind says how a text is to be read.
type Kind uint8

const (
	KindFile   Kind = iota // a file: what it is follows from its extension and from its syntax
	KindScript             // a layer made at run time
)

// Options steer one Parse.
type Options struct {
	Kind   Kind
	Module bool // the nearest manifest says type: module
}

// Parse reads a source text. Loaders are tried in turn: that of the extension, then JSX, then TypeScript. The error is a
// *Refusal when the guard will not hand the text to the parser, else a *SyntaxError.
func Parse(name, source string, opt Options) (*Unit, error) {
	if rest, ok := strings.CutPrefix(source, "\ufeff#!"); ok { // Node takes the mark off first; positions stay what they are
		source = "//   " + rest
	}
	if err := guard(name, source); err != nil {
		return nil, err
	}
	var first error
	for _, l := range loaders(name) {
		u, err := parseAs(name, source, l, opt)
		if err == nil {
			return u, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func loaders(name string) []string {
	switch path.Ext(name) {
	case ".ts", ".mts", ".cts":
		return []string{"ts", "tsx"}
	case ".tsx":
		return []string{"tsx"}
	case ".jsx":
		return []string{"jsx", "tsx"}
	}
	return []string{"js", "jsx", "ts"}
}

func parseAs(name, source, loader string, opt Options) (u *Unit, err error) {
	defer func() {
		if r := recover(); r != nil { // the parser's own bug must cost one file, not the run
			u, err = nil, &SyntaxError{Name: name, Text: "the parser failed"}
		}
	}()
	log := logger.NewDeferLog(logger.DeferLogNoVerboseOrDebug, nil)
	o := config.Options{OmitRuntimeForTests: true}
	o.TS.Parse = loader == "ts" || loader == "tsx"
	o.JSX.Parse = loader == "jsx" || loader == "tsx"
	if o.TS.Parse {
		o.TS.Config.ExperimentalDecorators = config.True
		o.TS.Config.VerbatimModuleSyntax = config.True
	}
	switch ext := path.Ext(name); {
	case ext == ".mjs" || ext == ".mts":
		o.ModuleTypeData.Type = js_ast.ModuleESM_MJS
	case ext == ".cjs" || ext == ".cts":
		o.ModuleTypeData.Type = js_ast.ModuleCommonJS_CJS
	}
	tree, ok := js_parser.Parse(log, logger.Source{Contents: source, KeyPath: logger.Path{Text: name}, IdentifierName: "m"}, js_parser.OptionsFromConfig(&o))
	for _, m := range log.Done() {
		if m.Kind == logger.Error {
			e := &SyntaxError{Name: name, Text: m.Data.Text}
			if m.Data.Location != nil {
				e.Line = m.Data.Location.Line
			}
			return nil, e
		}
	}
	if !ok {
		return nil, &SyntaxError{Name: name, Text: "not parsed"}
	}
	u = &Unit{Name: name, Source: source, Loader: loader}
	low := &lowerer{u: u, syms: tree.Symbols, records: tree.ImportRecords, decls: make([]decl, len(tree.Symbols)), exportsRef: tree.ExportsRef, moduleRef: tree.ModuleRef, globals: map[string]bool{}, calls: map[string]bool{}}
	var stmts []js_ast.Stmt
	for _, p := range tree.Parts {
		stmts = append(stmts, p.Stmts...)
	}
	u.ESM = opt.Kind == KindFile && (isESM(stmts) || tree.ExportKeyword.Len > 0 || o.ModuleTypeData.Type == js_ast.ModuleESM_MJS)
	u.TLA = tree.TopLevelAwaitKeyword.Len > 0
	if u.TLA && opt.Kind == KindFile {
		u.ESM = true
	}
	low.imports(tree.NamedImports)
	low.unit(stmts, hasStrict(tree.Directives) || u.ESM)
	low.exports(tree.NamedExports, tree.ExportStarImportRecords, stmts)
	for g := range low.globals {
		u.Globals = append(u.Globals, g)
	}
	sort.Strings(u.Globals)
	return u, nil
}

func hasStrict(ds []string) bool { return slices.Contains(ds, "use strict") }

func isESM(stmts []js_ast.Stmt) bool {
	for _, s := range stmts {
		switch d := s.Data.(type) {
		case *js_ast.SImport, *js_ast.SExportClause, *js_ast.SExportFrom, *js_ast.SExportDefault, *js_ast.SExportStar:
			return true
		case *js_ast.SLocal:
			if d.IsExport {
				return true
			}
		case *js_ast.SFunction:
			if d.IsExport {
				return true
			}
		case *js_ast.SClass:
			if d.IsExport {
				return true
			}
		}
	}
	return false
}

// Line gives the line and column of an offset, both from 1. The column counts bytes.
func (u *Unit) Line(pos int32) (line, col int) {
	if u.lines == nil {
		u.lines = []int32{0}
		for i := 0; i < len(u.Source); i++ {
			if u.Source[i] == '\n' {
				u.lines = append(u.lines, int32(i+1))
			}
		}
	}
	i, found := slices.BinarySearch(u.lines, pos)
	if !found {
		i--
	}
	if i < 0 {
		return 0, 0
	}
	return i + 1, int(pos-u.lines[i]) + 1
}

// imports lists the imported bindings, in the order of the source.
func (l *lowerer) imports(named map[ast.Ref]js_ast.NamedImport) {
	type item struct {
		ref ast.Ref
		im  js_ast.NamedImport
	}
	var items []item
	for r, im := range named {
		items = append(items, item{r, im})
	}
	sort.Slice(items, func(i, j int) bool {
		a, b := items[i], items[j]
		if a.im.ImportRecordIndex != b.im.ImportRecordIndex {
			return a.im.ImportRecordIndex < b.im.ImportRecordIndex
		}
		return a.ref.InnerIndex < b.ref.InnerIndex
	})
	l.importOf = map[uint32]int{}
	for _, it := range items {
		name := it.im.Alias
		if it.im.AliasIsStar {
			name = "*"
		}
		rec := &l.records[it.im.ImportRecordIndex]
		l.importOf[it.ref.InnerIndex] = len(l.u.Imports)
		l.u.Imports = append(l.u.Imports, Import{From: rec.Path.Text, Name: name, Local: l.syms[it.ref.InnerIndex].OriginalName, Pos: it.im.AliasLoc.Start, Type: rec.AssertOrWith != nil})
	}
}

func (l *lowerer) exports(named map[string]js_ast.NamedExport, stars []uint32, stmts []js_ast.Stmt) {
	if !l.u.ESM {
		return
	}
	var names []string
	for n := range named {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		e := named[n]
		x := Export{As: n, Slot: -1, Import: -1, Pos: e.AliasLoc.Start}
		ref := l.follow(e.Ref)
		if i, ok := l.importOf[ref.InnerIndex]; ok {
			x.Import = i
		} else if d := l.decls[ref.InnerIndex]; d.lex != nil {
			x.Slot = d.slot
		}
		l.u.Exports = append(l.u.Exports, x)
	}
	for _, i := range stars {
		l.u.Exports = append(l.u.Exports, Export{As: "*", Name: "*", Slot: -1, Import: -1, From: l.records[i].Path.Text})
	}
}

func (l *lowerer) follow(r ast.Ref) ast.Ref {
	for n := 0; n < 100; n++ {
		link := l.syms[r.InnerIndex].Link
		if link == ast.InvalidRef {
			break
		}
		r = link
	}
	return r
}
