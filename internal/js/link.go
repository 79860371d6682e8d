package js

import (
	"reflect"
	"slices"
	"sort"
	"strings"

	"github.com/ije/esbuild-internal/api"
	"github.com/ije/esbuild-internal/ast"
	"github.com/ije/esbuild-internal/config"
	"github.com/ije/esbuild-internal/js_ast"
	"github.com/ije/esbuild-internal/js_parser"
	"github.com/ije/esbuild-internal/logger"
)

// Links tells where in one source text every name stands that joins it to other files: its own top-level bindings, the names it
// leaves free, its imports, exports and requires. Whoever rewrites the text at these places, and nowhere else, keeps the rest of it
// byte for byte.
type Links struct {
	Source  string
	ESM     bool // has import or export syntax, top-level await or an extension that says so
	Strict  bool
	TLA     bool
	Wrapped bool // uses what belongs to the function that Node puts around CommonJS: its this, arguments or return
	Dynamic bool // names may be looked up at run time, or stand where they cannot be found: nothing may be renamed
	Names   []Name
	Free    []Name // used, bound nowhere in the text; sorted. Of CommonJS, require, module and exports are among them
	Imports []ImportStmt
	Exports []ExportName // sorted by As
	Exposed []ExportStmt
	Calls   []LinkCall
	Stmts   []int    // where the top-level statements start, sorted
	Bare    []int    // where the functions and classes without a name stand, sorted
	This    bool     // says this anywhere
	Metas   []Span   // import.meta
	Named   []string // top-level names that name their function: function declarations
	Lately  []string // the same for classes and for nameless functions that variables get
}

// Span is a stretch of the source, in bytes.
type Span struct{ Start, End int }

// Name is one binding with every place that mentions it, its declaration included.
type Name struct {
	Text string
	Uses []Mention
}

// Mention is one place at which a name is written.
type Mention struct {
	Span
	Short  bool // {a}: the text is key and value at once
	Callee bool // a(...) or a`...`: putting an object before it would give the call a receiver
}

// ImportStmt is an import statement, or an export ... from.
type ImportStmt struct {
	Span
	From       string
	Attributes string // with { type: "json" }, as written
	Names      []ImportedName
}

// ImportedName is one imported binding. Name is "default", an exported name, or "*"; Mentions are where the file uses it.
type ImportedName struct {
	Name, Local string
	Mentions    []Mention
}

// ExportName is one exported name: of a local binding, of an imported one (Import names the statement, Name the name there), or,
// with All, everything that another file exports but its default.
type ExportName struct {
	As     string // "*" with All; but "*" can be a name too
	All    bool
	Local  string // "default" for the value of an export default without a name
	Import int    // index of Imports, -1 for a local
	Name   string
}

// ExportStmt is an export statement of which only Drop disappears from the text.
type ExportStmt struct {
	Drop    Span
	Default string // "", or what follows: expr, function, class (both nameless)
	NameAt  int    // where a nameless default function or class can be given one
}

// LinkCall is a require, require.resolve or import with its argument.
type LinkCall struct {
	Span
	Kind CallKind
	Spec string // empty when it is computed
	Lead int    // start of the top-level statement that does this before anything else with an effect; -1 when there is none
	Arg  Span   // of a computed argument: from the opening parenthesis to the closing one
}

// CallKind tells how a module is asked for.
type CallKind uint8

const (
	Require CallKind = iota
	RequireResolve
	DynamicImport
)

// Erase removes what Node does not run from a TypeScript or JSX text and returns the JavaScript with a source map to the original.
func Erase(name, source, loader string) (code, sourceMap string, err error) {
	if err := guard(name, source); err != nil {
		return "", "", err
	}
	opt := api.TransformOptions{
		Sourcefile: name, Sourcemap: api.SourceMapExternal, SourcesContent: api.SourcesContentExclude, Target: api.ESNext, Charset: api.CharsetUTF8,
		TreeShaking: api.TreeShakingFalse, IgnoreAnnotations: true, LegalComments: api.LegalCommentsInline,
		TsconfigRaw: `{"compilerOptions":{"experimentalDecorators":true}}`,
		Loader:      map[string]api.Loader{"ts": api.LoaderTS, "tsx": api.LoaderTSX, "jsx": api.LoaderJSX}[loader],
	}
	if !strings.Contains(source, "React") {
		opt.JSX = api.JSXAutomatic
	}
	r := api.Transform(source, opt)
	if len(r.Errors) > 0 {
		return "", "", &SyntaxError{Name: name, Text: r.Errors[0].Text}
	}
	return string(r.Code), string(r.Map), nil
}

// ReadLinks finds the links of a JavaScript text; TypeScript and JSX must be erased before. module says that a name ending in .js is
// a module by its manifest.
func ReadLinks(name, source string, module bool) (l *Links, err error) {
	if err := guard(name, source); err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil { // the parser's own bug must cost one file, not the run
			l, err = nil, &SyntaxError{Name: name, Text: "the parser failed"}
		}
	}()
	log := logger.NewDeferLog(logger.DeferLogNoVerboseOrDebug, nil)
	o := config.Options{OmitRuntimeForTests: true}
	switch {
	case strings.HasSuffix(name, ".mjs") || strings.HasSuffix(name, ".mts"):
		o.ModuleTypeData.Type = js_ast.ModuleESM_MJS
	case strings.HasSuffix(name, ".cjs") || strings.HasSuffix(name, ".cts"):
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
	var stmts []js_ast.Stmt
	for _, p := range tree.Parts {
		stmts = append(stmts, p.Stmts...)
	}
	sort.SliceStable(stmts, func(i, j int) bool { return stmts[i].Loc.Start < stmts[j].Loc.Start })
	l = &Links{Source: source, TLA: tree.TopLevelAwaitKeyword.Len > 0}
	l.ESM = isESM(stmts) || tree.ExportKeyword.Len > 0 || l.TLA || o.ModuleTypeData.Type == js_ast.ModuleESM_MJS || module && strings.HasSuffix(name, ".js")
	l.Strict = l.ESM || hasStrict(tree.Directives)
	f := &linkFinder{l: l, tree: &tree, at: map[int32]ast.Ref{}, join: map[uint32]uint32{}, uses: map[uint32][]Mention{}}
	f.statements(stmts)
	f.names()
	slices.Sort(l.Bare)
	for i := range l.Calls {
		l.Calls[i].Lead = -1
		if at, ok := f.leads[l.Calls[i].Start]; ok {
			l.Calls[i].Lead = at
		}
	}
	return l, nil
}

// linkFinder walks the parser's tree by reflection: a kind of node that the parser gains later is walked too, where a list of kinds
// would silently pass over the names in it.
type linkFinder struct {
	l        *Links
	tree     *js_ast.AST
	at       map[int32]ast.Ref    // which symbol was first met at a place
	join     map[uint32]uint32    // symbols written at the same place are one: a function in a block and its outer variable
	uses     map[uint32][]Mention // by symbol
	imports  []importUse
	locals   []exportUse
	callees  map[int32]bool
	shorts   map[int32]bool
	leads    map[int]int // by the start of a call: its Lead
	assigned []ast.Ref   // names that are assigned a nameless function
	classes  []ast.Ref   // names of the classes around what is being walked
	inside   int         // functions around what is being walked
	closed   int         // those that have a this of their own
}

type importUse struct {
	stmt, name int
	ref        ast.Ref
}

type exportUse struct {
	as  string
	ref ast.Ref
}

func (f *linkFinder) symbol(r ast.Ref) uint32 {
	for n := 0; n < 100; n++ {
		link := f.tree.Symbols[r.InnerIndex].Link
		if link == ast.InvalidRef {
			break
		}
		r = link
	}
	i := r.InnerIndex
	for {
		j, ok := f.join[i]
		if !ok {
			return i
		}
		i = j
	}
}

func (f *linkFinder) use(r ast.Ref, at int32) {
	if int(r.InnerIndex) >= len(f.tree.Symbols) {
		return
	}
	i := f.symbol(r)
	if old, ok := f.at[at]; ok {
		if j := f.symbol(old); i != j {
			f.join[i] = j
			f.uses[j] = append(f.uses[j], f.uses[i]...)
			delete(f.uses, i)
		}
		return
	}
	f.at[at] = r
	name := f.tree.Symbols[r.InnerIndex].OriginalName
	for j := len(f.classes) - 1; j >= 0; j-- { // the parser has a second name for a class inside its own body
		c := f.classes[j]
		if own := f.tree.Symbols[c.InnerIndex].OriginalName; name == "_"+own && strings.HasPrefix(f.l.Source[at:], own) {
			i, name = f.symbol(c), own
			break
		}
	}
	end := int(at) + len(name)
	if end > len(f.l.Source) || f.l.Source[at:end] != name || end < len(f.l.Source) && isWord(f.l.Source[end]) {
		f.l.Dynamic = true // written with escapes
		return
	}
	f.uses[i] = append(f.uses[i], Mention{Span: Span{int(at), end}, Short: f.shorts[at], Callee: f.callees[at]})
}

func (f *linkFinder) statements(stmts []js_ast.Stmt) {
	f.callees, f.shorts, f.leads = map[int32]bool{}, map[int32]bool{}, map[int]int{}
	src := f.l.Source
	for _, s := range stmts {
		f.l.Stmts = append(f.l.Stmts, int(s.Loc.Start))
		switch d := s.Data.(type) {
		case *js_ast.SExpr:
			f.lead(d.Value, int(s.Loc.Start))
		case *js_ast.SImport:
			im := f.importStmt(s.Loc.Start, d.ImportRecordIndex)
			n := len(f.l.Imports)
			add := func(name string, ref ast.Ref) {
				f.imports = append(f.imports, importUse{n, len(im.Names), ref})
				im.Names = append(im.Names, ImportedName{Name: name, Local: f.tree.Symbols[ref.InnerIndex].OriginalName})
			}
			if d.DefaultName != nil {
				add("default", d.DefaultName.Ref)
			}
			if d.StarNameLoc != nil {
				add("*", d.NamespaceRef)
			}
			if d.Items != nil {
				for _, it := range *d.Items {
					add(it.Alias, it.Name.Ref)
				}
			}
			f.l.Imports = append(f.l.Imports, im)
			continue
		case *js_ast.SExportFrom:
			for _, it := range d.Items {
				f.l.Exports = append(f.l.Exports, ExportName{As: it.Alias, Import: len(f.l.Imports), Name: it.OriginalName})
			}
			f.l.Imports = append(f.l.Imports, f.importStmt(s.Loc.Start, d.ImportRecordIndex))
			continue
		case *js_ast.SExportStar:
			x := ExportName{As: "*", All: d.Alias == nil, Import: len(f.l.Imports), Name: "*"}
			if d.Alias != nil {
				x.As = d.Alias.OriginalName
			}
			f.l.Exports = append(f.l.Exports, x)
			f.l.Imports = append(f.l.Imports, f.importStmt(s.Loc.Start, d.ImportRecordIndex))
			continue
		case *js_ast.SExportClause:
			for _, it := range d.Items {
				f.locals = append(f.locals, exportUse{it.Alias, it.Name.Ref})
			}
			end := scanTo(src, int(s.Loc.Start), "}")
			f.l.Exposed = append(f.l.Exposed, ExportStmt{Drop: Span{int(s.Loc.Start), semicolon(src, end)}})
			continue
		case *js_ast.SExportDefault:
			f.exportDefault(s, d)
		case *js_ast.SLocal:
			for i := range d.Decls {
				if !f.lead(d.Decls[i].ValueOrNil, int(s.Loc.Start)) {
					break
				}
			}
			for i := range d.Decls {
				if id, ok := d.Decls[i].Binding.Data.(*js_ast.BIdentifier); ok && f.nameless(d.Decls[i].ValueOrNil) {
					f.l.Lately = append(f.l.Lately, f.tree.Symbols[id.Ref.InnerIndex].OriginalName)
				}
			}
			if d.IsExport {
				f.keyword(s.Loc.Start)
				for i := range d.Decls {
					f.exported(d.Decls[i].Binding)
				}
			}
		case *js_ast.SFunction:
			f.l.Named = append(f.l.Named, f.tree.Symbols[d.Fn.Name.Ref.InnerIndex].OriginalName)
			if d.IsExport {
				f.keyword(s.Loc.Start)
				f.locals = append(f.locals, exportUse{f.tree.Symbols[d.Fn.Name.Ref.InnerIndex].OriginalName, d.Fn.Name.Ref})
			}
		case *js_ast.SClass:
			f.l.Lately = append(f.l.Lately, f.tree.Symbols[d.Class.Name.Ref.InnerIndex].OriginalName)
			if d.IsExport {
				f.keyword(s.Loc.Start)
				f.locals = append(f.locals, exportUse{f.tree.Symbols[d.Class.Name.Ref.InnerIndex].OriginalName, d.Class.Name.Ref})
			}
		}
		f.value(reflect.ValueOf(s.Data))
	}
}

// keyword finds the word export, at a statement or just before it.
func (f *linkFinder) keyword(loc int32) {
	src, at := f.l.Source, int(loc)
	if strings.HasPrefix(src[at:], "export") && !isWord(src[at+6]) {
		f.l.Exposed = append(f.l.Exposed, ExportStmt{Drop: Span{at, skip(src, at+6)}})
		return
	}
	i := strings.LastIndex(src[:at], "export")
	if i < 0 || skip(src, i+6) != at {
		f.l.Dynamic = true
		return
	}
	f.l.Exposed = append(f.l.Exposed, ExportStmt{Drop: Span{i, at}})
}

func (f *linkFinder) exported(b js_ast.Binding) {
	switch d := b.Data.(type) {
	case *js_ast.BIdentifier:
		f.locals = append(f.locals, exportUse{f.tree.Symbols[d.Ref.InnerIndex].OriginalName, d.Ref})
	case *js_ast.BArray:
		for i := range d.Items {
			f.exported(d.Items[i].Binding)
		}
	case *js_ast.BObject:
		for i := range d.Properties {
			f.exported(d.Properties[i].Value)
		}
	}
}

func (f *linkFinder) exportDefault(s js_ast.Stmt, d *js_ast.SExportDefault) {
	src, at := f.l.Source, int(s.Loc.Start)
	after := skip(src, at+len("export"))    // default
	after = skip(src, after+len("default")) // what is exported
	x := ExportStmt{Drop: Span{at, after}}
	switch v := d.Value.Data.(type) {
	case *js_ast.SFunction:
		if v.Fn.Name != nil && v.Fn.Name.Loc.Start > int32(at) && f.written(v.Fn.Name) {
			f.l.Named = append(f.l.Named, f.tree.Symbols[v.Fn.Name.Ref.InnerIndex].OriginalName)
			f.locals = append(f.locals, exportUse{"default", v.Fn.Name.Ref})
		} else {
			x.Default, x.NameAt = "function", int(v.Fn.OpenParenLoc.Start)
			f.l.Named = append(f.l.Named, "default")
		}
	case *js_ast.SClass:
		if f.namesItself(&v.Class) {
			f.l.Lately = append(f.l.Lately, f.tree.Symbols[v.Class.Name.Ref.InnerIndex].OriginalName)
			f.locals = append(f.locals, exportUse{"default", v.Class.Name.Ref})
		} else {
			x.Default, x.NameAt = "class", int(v.Class.ClassKeyword.End())
			f.l.Lately = append(f.l.Lately, "default")
		}
	case *js_ast.SExpr:
		x.Default = "expr"
		if f.nameless(v.Value) {
			f.l.Lately = append(f.l.Lately, "default")
		}
	}
	if x.Default != "" {
		f.l.Exports = append(f.l.Exports, ExportName{As: "default", Local: "default", Import: -1})
	}
	f.l.Exposed = append(f.l.Exposed, x)
}

// written reports that a name stands in the text and was not made by the parser.
func (f *linkFinder) written(n *ast.LocRef) bool {
	name := f.tree.Symbols[n.Ref.InnerIndex].OriginalName
	return strings.HasPrefix(f.l.Source[n.Loc.Start:], name)
}

// namesItself reports a class with a name in its text; the parser gives one to others too, for its own use.
func (f *linkFinder) namesItself(c *js_ast.Class) bool {
	return c.Name != nil && c.Name.Loc.Start >= c.ClassKeyword.End() && f.written(c.Name)
}

func (f *linkFinder) importStmt(loc int32, record uint32) ImportStmt {
	src := f.l.Source
	rec := &f.tree.ImportRecords[record]
	end := int(rec.Range.End())
	im := ImportStmt{From: rec.Path.Text}
	if rec.AssertOrWith != nil {
		stop := scanTo(src, end, "}")
		im.Attributes = strings.TrimSpace(src[end:stop])
		end = stop
	}
	im.Span = Span{int(loc), semicolon(src, end)}
	return im
}

// skip returns the offset of the next token.
func skip(src string, from int) int {
	at := len(src)
	Scan(src[from:], func(t Token) bool {
		if t.Kind == Space || t.Kind == Newline || t.Kind == Comment {
			return true
		}
		at = from + t.Pos
		return false
	})
	return at
}

// scanTo returns the offset after the next punctuator of the given text.
func scanTo(src string, from int, punct string) int {
	at := len(src)
	Scan(src[from:], func(t Token) bool {
		if t.Kind == Punct && t.Text == punct {
			at = from + t.Pos + len(punct)
			return false
		}
		return true
	})
	return at
}

// semicolon includes a semicolon that ends the statement.
func semicolon(src string, end int) int {
	for i := end; i < len(src); i++ {
		switch src[i] {
		case ' ', '\t':
			continue
		case ';':
			return i + 1
		}
		break
	}
	return end
}

func (f *linkFinder) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() {
			f.value(v.Elem())
		}
	case reflect.Slice:
		switch v.Type().Elem().Kind() {
		case reflect.Struct, reflect.Interface, reflect.Pointer:
			for i := range v.Len() {
				f.value(v.Index(i))
			}
		}
	case reflect.Struct:
		switch x := v.Interface().(type) {
		case js_ast.Expr:
			f.expr(x)
			return
		case js_ast.Binding:
			if id, ok := x.Data.(*js_ast.BIdentifier); ok {
				f.use(id.Ref, x.Loc.Start)
				return
			}
		case js_ast.Property:
			if x.Flags.Has(js_ast.PropertyWasShorthand) {
				f.shorts[x.ValueOrNil.Loc.Start] = true
				f.value(reflect.ValueOf(x.ValueOrNil))
				f.value(reflect.ValueOf(x.InitializerOrNil))
				return
			}
		case js_ast.PropertyBinding:
			if !x.IsSpread && !x.IsComputed && x.Key.Loc == x.Value.Loc {
				f.shorts[x.Value.Loc.Start] = true
			}
		case js_ast.Fn:
			if x.Name != nil && f.written(x.Name) {
				f.use(x.Name.Ref, x.Name.Loc.Start)
			}
			f.inside++
			f.closed++
			defer func() { f.inside--; f.closed-- }()
		case js_ast.EArrow:
			f.inside++
			defer func() { f.inside-- }()
		case js_ast.SReturn:
			f.l.Wrapped = f.l.Wrapped || f.inside == 0
		case js_ast.Class:
			if f.namesItself(&x) {
				f.use(x.Name.Ref, x.Name.Loc.Start)
			}
			f.closed++ // a computed name or a base class that says this is taken for a member that does
			defer func() { f.closed-- }()
			if x.Name != nil {
				f.classes = append(f.classes, x.Name.Ref)
				defer func() { f.classes = f.classes[:len(f.classes)-1] }()
			}
		case js_ast.SWith:
			f.l.Dynamic = true
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				f.value(v.Field(i))
			}
		}
	}
}

func (f *linkFinder) expr(x js_ast.Expr) {
	at := int(x.Loc.Start)
	spec := func(record uint32) string { return f.tree.ImportRecords[record].Path.Text }
	switch d := x.Data.(type) {
	case nil:
		return
	case *js_ast.EIdentifier:
		f.use(d.Ref, x.Loc.Start)
	case *js_ast.EImportIdentifier:
		f.use(d.Ref, x.Loc.Start)
	case *js_ast.EString, *js_ast.EJSXText:
	case *js_ast.EThis:
		f.l.This = true
		f.l.Wrapped = f.l.Wrapped || f.closed == 0
	case *js_ast.EBinary:
		if id, ok := d.Left.Data.(*js_ast.EIdentifier); ok && d.Op.BinaryAssignTarget() != js_ast.AssignTargetNone && f.nameless(d.Right) {
			f.assigned = append(f.assigned, id.Ref)
		}
		f.value(reflect.ValueOf(d))
	case *js_ast.EFunction, *js_ast.EArrow, *js_ast.EClass:
		if f.nameless(x) {
			f.l.Bare = append(f.l.Bare, at)
		}
		f.value(reflect.ValueOf(x.Data))
	case *js_ast.EImportMeta:
		f.l.Metas = append(f.l.Metas, Span{at, at + int(d.RangeLen)})
	case *js_ast.ERequireString:
		f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: Require, Spec: spec(d.ImportRecordIndex)})
	case *js_ast.ERequireResolveString:
		f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: RequireResolve, Spec: spec(d.ImportRecordIndex)})
	case *js_ast.EImportString:
		f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: DynamicImport, Spec: spec(d.ImportRecordIndex)})
	case *js_ast.EImportCall:
		if s, ok := d.Expr.Data.(*js_ast.EString); ok && d.OptionsOrNil.Data == nil {
			f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: DynamicImport, Spec: text16(s.Value)})
			return
		}
		open := scanTo(f.l.Source, at, "(")
		f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: DynamicImport, Arg: Span{open, int(d.CloseParenLoc.Start)}})
		f.expr(d.Expr)
		f.expr(d.OptionsOrNil)
	case *js_ast.ECall:
		if d.Kind == js_ast.DirectEval {
			f.l.Dynamic = true
		}
		if isName(d.Target) {
			f.callees[d.Target.Loc.Start] = true
			if spec, ok := f.required(d); ok {
				f.l.Calls = append(f.l.Calls, LinkCall{Span: Span{at, int(d.CloseParenLoc.Start) + 1}, Kind: Require, Spec: spec})
			}
		}
		f.value(reflect.ValueOf(d))
	case *js_ast.ETemplate:
		if isName(d.TagOrNil) {
			f.callees[d.TagOrNil.Loc.Start] = true
		}
		f.value(reflect.ValueOf(d))
	default:
		f.value(reflect.ValueOf(d))
	}
}

// lead walks what an expression does first, up to the first thing that may have an effect, and notes the requires on the way: they
// can as well be done before the statement. It reports whether the whole expression is without effect but for them.
func (f *linkFinder) lead(e js_ast.Expr, stmt int) bool {
	all := func(es []js_ast.Expr) bool {
		for _, x := range es {
			if !f.lead(x, stmt) {
				return false
			}
		}
		return true
	}
	switch d := e.Data.(type) {
	case nil, *js_ast.EString, *js_ast.ENumber, *js_ast.EBoolean, *js_ast.ENull, *js_ast.EUndefined, *js_ast.EIdentifier, *js_ast.EFunction, *js_ast.EArrow, *js_ast.ERegExp, *js_ast.EMissing:
		return true
	case *js_ast.ERequireString:
		f.leads[int(e.Loc.Start)] = stmt
		return true
	case *js_ast.EAnnotation:
		return f.lead(d.Value, stmt)
	case *js_ast.EDot:
		return f.lead(d.Target, stmt)
	case *js_ast.EIndex:
		return f.lead(d.Target, stmt) && f.lead(d.Index, stmt)
	case *js_ast.ECall:
		if _, ok := f.required(d); ok {
			f.leads[int(e.Loc.Start)] = stmt
			return true
		}
		if f.lead(d.Target, stmt) {
			all(d.Args)
		}
	case *js_ast.ENew:
		if f.lead(d.Target, stmt) {
			all(d.Args)
		}
	case *js_ast.EArray:
		return all(d.Items)
	case *js_ast.EObject:
		for i := range d.Properties {
			p := &d.Properties[i]
			if p.Flags.Has(js_ast.PropertyIsComputed) || !f.lead(p.ValueOrNil, stmt) || p.Kind == js_ast.PropertySpread {
				return false
			}
		}
		return true
	case *js_ast.EUnary:
		switch d.Op {
		case js_ast.UnOpVoid, js_ast.UnOpTypeof, js_ast.UnOpNot:
			return f.lead(d.Value, stmt)
		}
	case *js_ast.EIf:
		f.lead(d.Test, stmt)
	case *js_ast.EBinary:
		switch {
		case d.Op == js_ast.BinOpComma:
			return f.lead(d.Left, stmt) && f.lead(d.Right, stmt)
		case d.Op == js_ast.BinOpAssign:
			if f.lead(d.Left, stmt) {
				f.lead(d.Right, stmt)
			}
		default:
			f.lead(d.Left, stmt)
		}
	}
	return false
}

// required reads the specifier of a call of the free name require.
func (f *linkFinder) required(d *js_ast.ECall) (string, bool) {
	id, ok := d.Target.Data.(*js_ast.EIdentifier)
	if !ok || len(d.Args) != 1 {
		return "", false
	}
	sym := &f.tree.Symbols[f.symbol(id.Ref)]
	s, ok := d.Args[0].Data.(*js_ast.EString)
	if !ok || sym.OriginalName != "require" || sym.Kind != ast.SymbolUnbound {
		return "", false
	}
	return text16(s.Value), true
}

// nameless reports a function or class without a name of its own, which takes that of the variable it is assigned to.
func (f *linkFinder) nameless(e js_ast.Expr) bool {
	switch d := e.Data.(type) {
	case *js_ast.EFunction:
		return d.Fn.Name == nil
	case *js_ast.EArrow:
		return true
	case *js_ast.EClass:
		return !f.namesItself(&d.Class)
	case *js_ast.EAnnotation:
		return f.nameless(d.Value)
	}
	return false
}

func isName(e js_ast.Expr) bool {
	switch e.Data.(type) {
	case *js_ast.EIdentifier, *js_ast.EImportIdentifier:
		return true
	}
	return false
}

// names sorts what was found into top-level bindings, free names, imports and exports.
func (f *linkFinder) names() {
	imported := map[uint32]*ImportedName{}
	from := map[uint32]importUse{}
	for _, u := range f.imports {
		i := f.symbol(u.ref)
		imported[i], from[i] = &f.l.Imports[u.stmt].Names[u.name], u
	}
	top := map[uint32]bool{}
	for _, m := range f.tree.ModuleScope.Members {
		top[f.symbol(m.Ref)] = true
	}
	free := map[string][]Mention{}
	wrapper := map[uint32]bool{f.symbol(f.tree.ExportsRef): true, f.symbol(f.tree.ModuleRef): true}
	for i, uses := range f.uses {
		slices.SortFunc(uses, func(a, b Mention) int { return a.Start - b.Start })
		sym := &f.tree.Symbols[i]
		switch {
		case imported[i] != nil:
			imported[i].Mentions = uses
		case sym.Kind == ast.SymbolUnbound, wrapper[i], slices.Contains(CommonJS, sym.OriginalName) && top[i]:
			free[sym.OriginalName] = append(free[sym.OriginalName], uses...)
			f.l.Wrapped = f.l.Wrapped || sym.OriginalName == "arguments"
		case top[i]:
			f.l.Names = append(f.l.Names, Name{sym.OriginalName, uses})
		}
	}
	for n, uses := range free {
		slices.SortFunc(uses, func(a, b Mention) int { return a.Start - b.Start })
		f.l.Free = append(f.l.Free, Name{n, uses})
	}
	for _, r := range f.assigned {
		if i := f.symbol(r); top[i] && !slices.Contains(f.l.Lately, f.tree.Symbols[i].OriginalName) {
			f.l.Lately = append(f.l.Lately, f.tree.Symbols[i].OriginalName)
		}
	}
	byText := func(a, b Name) int { return strings.Compare(a.Text, b.Text) }
	slices.SortFunc(f.l.Names, byText)
	slices.SortFunc(f.l.Free, byText)
	for _, e := range f.locals {
		i := f.symbol(e.ref)
		if u, ok := from[i]; ok {
			f.l.Exports = append(f.l.Exports, ExportName{As: e.as, Import: u.stmt, Name: f.l.Imports[u.stmt].Names[u.name].Name})
			continue
		}
		f.l.Exports = append(f.l.Exports, ExportName{As: e.as, Local: f.tree.Symbols[i].OriginalName, Import: -1})
	}
	slices.SortStableFunc(f.l.Exports, func(a, b ExportName) int { return strings.Compare(a.As, b.As) })
}
