package js

import (
	"strings"

	"github.com/ije/esbuild-internal/ast"
	"github.com/ije/esbuild-internal/js_ast"
)

// lowerer turns the parser's tree into ours. Function bodies are lowered when they are first asked for, in the lexical
// environment they were met in; lex.depth and the table of declarations make each reference a constant-time look-up.
type lowerer struct {
	u                     *Unit
	syms                  []ast.Symbol
	records               []ast.ImportRecord
	decls                 []decl // by symbol
	importOf              map[uint32]int
	exportsRef, moduleRef ast.Ref
	globals, calls        map[string]bool
	root                  *lex
}

type decl struct {
	lex  *lex
	slot int32
}

// lex is one frame at run time.
type lex struct {
	depth  int32
	scope  *Scope
	up     *lex
	inLoop bool
}

func (l *lowerer) newLex(up *lex) *lex {
	x := &lex{scope: &Scope{}, up: up}
	if up != nil {
		x.depth = up.depth + 1
	}
	return x
}

func (l *lowerer) declare(x *lex, r ast.Ref) int32 {
	r = l.follow(r)
	if d := l.decls[r.InnerIndex]; d.lex == x {
		return d.slot
	}
	slot := int32(len(x.scope.Names))
	x.scope.Names = append(x.scope.Names, l.syms[r.InnerIndex].OriginalName)
	l.decls[r.InnerIndex] = decl{x, slot}
	return slot
}

// ref makes the node for a use of a symbol.
func (l *lowerer) ref(x *lex, r ast.Ref, at int32) Expr {
	r = l.follow(r)
	if i, ok := l.importOf[r.InnerIndex]; ok {
		return &ImportRef{At(at), i}
	}
	d := l.decls[r.InnerIndex]
	sym := &l.syms[r.InnerIndex]
	name := sym.OriginalName
	if d.lex == nil {
		switch r {
		case l.exportsRef:
			name = "exports"
		case l.moduleRef:
			name = "module"
		}
		if !l.u.ESM {
			for i, n := range CommonJS {
				if n == name {
					return &Ident{At(at), Ref{x.depth - l.root.depth, int32(i)}, name}
				}
			}
		}
		l.globals[name] = true
		return &Global{At(at), name}
	}
	return &Ident{At(at), Ref{x.depth - d.lex.depth, d.slot}, name}
}

func (l *lowerer) pat(x *lex, r ast.Ref, at int32) Pattern {
	return l.ref(x, r, at).(Pattern)
}

// unit lowers the top level.
func (l *lowerer) unit(stmts []js_ast.Stmt, strict bool) {
	x := l.newLex(nil)
	l.root = x
	if !l.u.ESM {
		x.scope.Names = append(x.scope.Names, CommonJS...)
	}
	l.vars(x, stmts)
	code := &Code{Scope: x.scope, Self: -1, Arguments: -1, Strict: strict}
	code.Body = l.block(x, stmts, true)
	l.u.Body = &Func{Unit: l.u, code: code, End: int32(len(l.u.Source))}
	for i := range l.records {
		rec := &l.records[i]
		if rec.Path.Text != "" && rec.Kind != ast.ImportURL {
			l.addCall(rec.Path.Text)
		}
	}
}

func (l *lowerer) addCall(s string) {
	if s != "" && !l.calls[s] {
		l.calls[s] = true
		l.u.Calls = append(l.u.Calls, s)
	}
}

// vars declares what var statements bind anywhere in a function, not entering nested ones.
func (l *lowerer) vars(x *lex, stmts []js_ast.Stmt) {
	one := func(s js_ast.Stmt) {
		if s.Data != nil {
			l.vars(x, []js_ast.Stmt{s})
		}
	}
	for _, s := range stmts {
		switch d := s.Data.(type) {
		case *js_ast.SLocal:
			if d.Kind == js_ast.LocalVar {
				for i := range d.Decls {
					l.bindings(x, d.Decls[i].Binding)
				}
			}
		case *js_ast.SBlock:
			l.vars(x, d.Stmts)
		case *js_ast.SIf:
			one(d.Yes)
			one(d.NoOrNil)
		case *js_ast.SFor:
			one(d.InitOrNil)
			one(d.Body)
		case *js_ast.SForIn:
			one(d.Init)
			one(d.Body)
		case *js_ast.SForOf:
			one(d.Init)
			one(d.Body)
		case *js_ast.SWhile:
			one(d.Body)
		case *js_ast.SDoWhile:
			one(d.Body)
		case *js_ast.SLabel:
			one(d.Stmt)
		case *js_ast.SWith:
			one(d.Body)
		case *js_ast.SSwitch:
			for _, c := range d.Cases {
				l.vars(x, c.Body)
			}
		case *js_ast.STry:
			l.vars(x, d.Block.Stmts)
			if d.Catch != nil {
				l.vars(x, d.Catch.Block.Stmts)
			}
			if d.Finally != nil {
				l.vars(x, d.Finally.Block.Stmts)
			}
		}
	}
}

func (l *lowerer) bindings(x *lex, b js_ast.Binding) {
	switch d := b.Data.(type) {
	case *js_ast.BIdentifier:
		l.declare(x, d.Ref)
	case *js_ast.BArray:
		for i := range d.Items {
			l.bindings(x, d.Items[i].Binding)
		}
	case *js_ast.BObject:
		for i := range d.Properties {
			l.bindings(x, d.Properties[i].Value)
		}
	}
}

// lexical declares what let, const, class and function statements bind in this very list.
func (l *lowerer) lexical(x *lex, stmts []js_ast.Stmt) {
	for _, s := range stmts {
		switch d := s.Data.(type) {
		case *js_ast.SLocal:
			if d.Kind != js_ast.LocalVar {
				for i := range d.Decls {
					l.bindings(x, d.Decls[i].Binding)
				}
			}
		case *js_ast.SFunction:
			l.declare(x, d.Fn.Name.Ref)
		case *js_ast.SClass:
			l.declare(x, d.Class.Name.Ref)
		case *js_ast.SExportDefault:
			l.declare(x, d.DefaultName.Ref)
			switch v := d.Value.Data.(type) {
			case *js_ast.SFunction:
				if v.Fn.Name != nil {
					l.declare(x, v.Fn.Name.Ref)
				}
			case *js_ast.SClass:
				if v.Class.Name != nil {
					l.declare(x, v.Class.Name.Ref)
				}
			}
		case *js_ast.SEnum:
			l.declare(x, d.Name.Ref)
		case *js_ast.SNamespace:
			l.declare(x, d.Name.Ref)
		case *js_ast.SLabel:
			l.lexical(x, []js_ast.Stmt{d.Stmt})
		}
	}
}

func hasLexical(stmts []js_ast.Stmt) bool {
	for _, s := range stmts {
		switch d := s.Data.(type) {
		case *js_ast.SLocal:
			if d.Kind != js_ast.LocalVar {
				return true
			}
		case *js_ast.SFunction, *js_ast.SClass:
			return true
		}
	}
	return false
}

// block lowers a statement list. The body of a function declares in the function's own frame; another block gets a frame of its
// own when it stands in a loop and closures may capture its bindings.
func (l *lowerer) block(x *lex, stmts []js_ast.Stmt, body bool) *Block {
	b := &Block{}
	if !body && x.inLoop && hasLexical(stmts) && anyClosure(stmts) {
		x = l.newLex(x)
		x.inLoop = true
		b.Scope = x.scope
	}
	low := len(x.scope.Names)
	l.lexical(x, stmts)
	if !body && b.Scope == nil {
		b.Own = Slots{int32(low), int32(len(x.scope.Names))}
	}
	for _, s := range stmts {
		l.stmtInto(x, s, b)
	}
	return b
}

func (l *lowerer) stmtInto(x *lex, s js_ast.Stmt, b *Block) {
	at := s.Loc.Start
	switch d := s.Data.(type) {
	case *js_ast.SFunction:
		b.Funcs = append(b.Funcs, FuncBind{l.pat(x, d.Fn.Name.Ref, d.Fn.Name.Loc.Start), l.function(x, &d.Fn, at, l.name(d.Fn.Name), false)})
	case *js_ast.SExportDefault:
		target := l.pat(x, d.DefaultName.Ref, at)
		switch v := d.Value.Data.(type) {
		case *js_ast.SFunction:
			fn := l.function(x, &v.Fn, d.Value.Loc.Start, l.name(v.Fn.Name), false)
			if fn.Name == "" {
				fn.Name = "default"
			}
			b.Funcs = append(b.Funcs, FuncBind{target, fn})
			if v.Fn.Name != nil {
				b.Funcs = append(b.Funcs, FuncBind{l.pat(x, v.Fn.Name.Ref, at), fn})
			}
		case *js_ast.SClass:
			c := l.class(x, &v.Class, d.Value.Loc.Start)
			b.Stmts = append(b.Stmts, &ClassDecl{At(at), target, c})
			if v.Class.Name != nil {
				b.Stmts = append(b.Stmts, &Decl{At(at), DeclConst, l.pat(x, v.Class.Name.Ref, at), target.(Expr)})
			}
		case *js_ast.SExpr:
			b.Stmts = append(b.Stmts, &Decl{At(at), DeclConst, target, l.expr(x, v.Value)})
		}
	case *js_ast.SLocal:
		kind := DeclVar
		switch d.Kind {
		case js_ast.LocalLet:
			kind = DeclLet
		case js_ast.LocalConst:
			kind = DeclConst
		case js_ast.LocalUsing, js_ast.LocalAwaitUsing:
			kind = DeclUsing
		}
		for i := range d.Decls {
			var init Expr
			if d.Decls[i].ValueOrNil.Data != nil {
				init = l.expr(x, d.Decls[i].ValueOrNil)
			}
			b.Stmts = append(b.Stmts, &Decl{At(d.Decls[i].Binding.Loc.Start), kind, l.binding(x, d.Decls[i].Binding), init})
		}
	default:
		if st := l.stmt(x, s); st != nil {
			b.Stmts = append(b.Stmts, st)
		}
	}
}

func (l *lowerer) name(n *ast.LocRef) string {
	if n == nil {
		return ""
	}
	return l.syms[n.Ref.InnerIndex].OriginalName
}

// body lowers a statement in a place where one statement stands: a branch, a loop's body.
func (l *lowerer) body(x *lex, s js_ast.Stmt) Stmt {
	if s.Data == nil {
		return nil
	}
	if b, ok := s.Data.(*js_ast.SBlock); ok {
		return &BlockStmt{At(s.Loc.Start), l.block(x, b.Stmts, false)}
	}
	blk := &Block{}
	l.lexical(x, []js_ast.Stmt{s})
	l.stmtInto(x, s, blk)
	if len(blk.Stmts) == 1 && len(blk.Funcs) == 0 {
		return blk.Stmts[0]
	}
	return &BlockStmt{At(s.Loc.Start), blk}
}

// loop marks that what is lowered inside runs more than once.
func (l *lowerer) loop(x *lex, f func()) {
	old := x.inLoop
	x.inLoop = true
	f()
	x.inLoop = old
}

func (l *lowerer) stmt(x *lex, s js_ast.Stmt) Stmt {
	at := At(s.Loc.Start)
	switch d := s.Data.(type) {
	case *js_ast.SExpr:
		return &ExprStmt{at, l.expr(x, d.Value)}
	case *js_ast.SBlock:
		return &BlockStmt{at, l.block(x, d.Stmts, false)}
	case *js_ast.SClass:
		return &ClassDecl{at, l.pat(x, d.Class.Name.Ref, d.Class.Name.Loc.Start), l.class(x, &d.Class, s.Loc.Start)}
	case *js_ast.SReturn:
		r := &Return{At: at}
		if d.ValueOrNil.Data != nil {
			r.X = l.expr(x, d.ValueOrNil)
		}
		return r
	case *js_ast.SThrow:
		return &Throw{at, l.expr(x, d.Value)}
	case *js_ast.SIf:
		return &If{at, l.expr(x, d.Test), l.body(x, d.Yes), l.body(x, d.NoOrNil)}
	case *js_ast.SFor:
		return l.forStmt(x, d, at)
	case *js_ast.SWhile:
		w := &For{At: at, Test: l.expr(x, d.Test)}
		l.loop(x, func() { w.Body = l.body(x, d.Body) })
		return w
	case *js_ast.SDoWhile:
		w := &For{At: at, Post: true}
		l.loop(x, func() { w.Body = l.body(x, d.Body) })
		w.Test = l.expr(x, d.Test)
		return w
	case *js_ast.SForIn:
		return l.forIn(x, d.Init, d.Value, d.Body, at, false, false)
	case *js_ast.SForOf:
		return l.forIn(x, d.Init, d.Value, d.Body, at, true, d.Await.Len > 0)
	case *js_ast.STry:
		t := &Try{At: at, Body: l.block(x, d.Block.Stmts, false)}
		if d.Catch != nil {
			y := x
			c := &Block{}
			if x.inLoop && anyClosure(d.Catch.Block.Stmts) {
				y = l.newLex(x)
				y.inLoop = true
				c.Scope = y.scope
			}
			low := len(y.scope.Names)
			if d.Catch.BindingOrNil.Data != nil {
				l.bindings(y, d.Catch.BindingOrNil)
				t.Param = l.binding(y, d.Catch.BindingOrNil)
			}
			l.lexical(y, d.Catch.Block.Stmts)
			if c.Scope == nil {
				c.Own = Slots{int32(low), int32(len(y.scope.Names))}
			}
			for _, s := range d.Catch.Block.Stmts {
				l.stmtInto(y, s, c)
			}
			t.Catch = c
		}
		if d.Finally != nil {
			t.Finally = l.block(x, d.Finally.Block.Stmts, false)
		}
		return t
	case *js_ast.SSwitch:
		sw := &Switch{At: at, X: l.expr(x, d.Test), Block: &Block{}}
		var all []js_ast.Stmt
		for _, c := range d.Cases {
			all = append(all, c.Body...)
		}
		y := x
		if x.inLoop && hasLexical(all) && anyClosure(all) {
			y = l.newLex(x)
			y.inLoop = true
			sw.Block.Scope = y.scope
		}
		low := len(y.scope.Names)
		l.lexical(y, all)
		if sw.Block.Scope == nil {
			sw.Block.Own = Slots{int32(low), int32(len(y.scope.Names))}
		}
		for _, c := range d.Cases {
			var k Case
			if c.ValueOrNil.Data != nil {
				k.Test = l.expr(y, c.ValueOrNil)
			}
			blk := &Block{}
			for _, s := range c.Body {
				l.stmtInto(y, s, blk)
			}
			k.Body = blk.Stmts
			sw.Block.Funcs = append(sw.Block.Funcs, blk.Funcs...)
			sw.Cases = append(sw.Cases, k)
		}
		return sw
	case *js_ast.SLabel:
		return &Label{at, l.name(&d.Name), l.body(x, d.Stmt)}
	case *js_ast.SBreak:
		return &Break{at, l.name(d.Label)}
	case *js_ast.SContinue:
		return &Continue{at, l.name(d.Label)}
	case *js_ast.SWith:
		w := &With{At: at, X: l.expr(x, d.Value)}
		y := l.newLex(x) // the object stands where a frame would
		y.inLoop = x.inLoop
		w.Scope = y.scope
		w.Body = l.body(y, d.Body)
		return w
	case *js_ast.SExportEquals:
		if l.u.ESM {
			return &ExprStmt{at, l.expr(x, d.Value)}
		}
		return &ExprStmt{at, &Assign{at, OpNone, &Member{At: at, X: &Ident{at, Ref{x.depth - l.root.depth, 2}, "module"}, Name: "exports"}, l.expr(x, d.Value)}}
	case *js_ast.SLazyExport:
		return &ExprStmt{at, l.expr(x, d.Value)}
	}
	return nil
}

func (l *lowerer) forStmt(x *lex, d *js_ast.SFor, at At) Stmt {
	f := &For{At: at}
	y := x
	if loc, ok := d.InitOrNil.Data.(*js_ast.SLocal); ok && loc.Kind != js_ast.LocalVar {
		if closureIn(d.Body) || d.TestOrNil.Data != nil && closureInExpr(d.TestOrNil) {
			y = l.newLex(x)
			y.inLoop = true
			f.Scope = y.scope
		}
		l.lexical(y, []js_ast.Stmt{d.InitOrNil})
	}
	if d.InitOrNil.Data != nil {
		blk := &Block{}
		l.stmtInto(y, d.InitOrNil, blk)
		f.Init = blk.Stmts
	}
	if d.TestOrNil.Data != nil {
		f.Test = l.expr(y, d.TestOrNil)
	}
	if d.UpdateOrNil.Data != nil {
		f.Update = l.expr(y, d.UpdateOrNil)
	}
	l.loop(y, func() { f.Body = l.body(y, d.Body) })
	return f
}

func (l *lowerer) forIn(x *lex, init js_ast.Stmt, value js_ast.Expr, body js_ast.Stmt, at At, of, await bool) Stmt {
	f := &ForIn{At: at, Of: of, Await: await}
	f.X = l.expr(x, value)
	y := x
	switch d := init.Data.(type) {
	case *js_ast.SLocal:
		f.Decl = true
		if d.Kind != js_ast.LocalVar {
			if closureIn(body) {
				y = l.newLex(x)
				y.inLoop = true
				f.Scope = y.scope
			}
			l.bindings(y, d.Decls[0].Binding)
		}
		f.Target = l.binding(y, d.Decls[0].Binding)
	case *js_ast.SExpr:
		f.Target = l.target(y, d.Value)
	}
	if f.Target == nil {
		f.Target = &Global{at, "%"}
	}
	l.loop(y, func() { f.Body = l.body(y, body) })
	return f
}

// --- functions and classes

func (l *lowerer) function(x *lex, fn *js_ast.Fn, start int32, name string, expr bool) *Func {
	f := &Func{Name: name, Start: start, End: fn.Body.Block.CloseBraceLoc.Start + 1, Async: fn.IsAsync, Generator: fn.IsGenerator, Unit: l.u, Length: length(fn.Args, fn.HasRestArg)}
	var self *ast.LocRef
	if expr {
		self = fn.Name
	}
	f.lower = func() *Code {
		y := l.newLex(x)
		c := &Code{Scope: y.scope, Self: -1, Arguments: -1, Rest: fn.HasRestArg}
		if self != nil {
			c.Self = l.declare(y, self.Ref)
		}
		if fn.ArgumentsRef != ast.InvalidRef && int(fn.ArgumentsRef.InnerIndex) < len(l.syms) && l.syms[fn.ArgumentsRef.InnerIndex].UseCountEstimate > 0 {
			c.Arguments = l.declare(y, fn.ArgumentsRef)
		}
		l.code(y, c, fn.Args, fn.Body.Block.Stmts)
		return c
	}
	return f
}

func length(args []js_ast.Arg, rest bool) int {
	n := 0
	for i := range args {
		if args[i].DefaultOrNil.Data != nil || rest && i == len(args)-1 {
			break
		}
		n++
	}
	return n
}

func (l *lowerer) arrow(x *lex, d *js_ast.EArrow, at int32) *Func {
	f := &Func{Start: at, End: d.Body.Block.CloseBraceLoc.Start + 1, Arrow: true, Method: true, Async: d.IsAsync, Unit: l.u, Length: length(d.Args, d.HasRestArg)}
	if d.PreferExpr || f.End <= f.Start {
		f.End = 0
	}
	f.lower = func() *Code {
		y := l.newLex(x)
		c := &Code{Scope: y.scope, Self: -1, Arguments: -1, Rest: d.HasRestArg}
		l.code(y, c, d.Args, d.Body.Block.Stmts)
		return c
	}
	return f
}

func (l *lowerer) code(y *lex, c *Code, args []js_ast.Arg, stmts []js_ast.Stmt) {
	for i := range args {
		l.bindings(y, args[i].Binding)
	}
	l.vars(y, stmts)
	for i := range args {
		p := Param{Target: l.binding(y, args[i].Binding)}
		if args[i].DefaultOrNil.Data != nil {
			p.Default = l.expr(y, args[i].DefaultOrNil)
		}
		c.Params = append(c.Params, p)
	}
	if len(stmts) > 0 {
		if dir, ok := stmts[0].Data.(*js_ast.SDirective); ok && text16(dir.Value) == "use strict" {
			c.Strict = true
		}
	}
	c.Strict = c.Strict || l.u.ESM
	c.Body = l.block(y, stmts, true)
}

func (l *lowerer) class(x *lex, c *js_ast.Class, at int32) *Class {
	out := &Class{Start: at, End: c.CloseBraceLoc.Start + 1}
	if c.Name != nil {
		out.Name = l.name(c.Name)
		if l.decls[l.follow(c.Name.Ref).InnerIndex].lex == nil {
			l.declare(x, c.Name.Ref)
		}
		out.Self = l.pat(x, c.Name.Ref, c.Name.Loc.Start)
	}
	if c.ExtendsOrNil.Data != nil {
		out.Extends = l.expr(x, c.ExtendsOrNil)
	}
	for i := range c.Properties {
		p := &c.Properties[i]
		if p.Kind == js_ast.PropertyDeclareOrAbstract {
			continue
		}
		q := Prop{Static: p.Flags.Has(js_ast.PropertyIsStatic), Pos: p.Loc.Start}
		if p.Kind == js_ast.PropertyClassStaticBlock {
			stmts := p.ClassStaticBlock.Block.Stmts
			fn := &Func{Start: p.ClassStaticBlock.Loc.Start, Unit: l.u, Method: true}
			fn.lower = func() *Code {
				y := l.newLex(x)
				code := &Code{Scope: y.scope, Self: -1, Arguments: -1}
				l.code(y, code, nil, stmts)
				code.Strict = true
				return code
			}
			q.Kind, q.Block = PropStaticBlock, fn
			out.Props = append(out.Props, q)
			continue
		}
		l.key(x, p.Key, p.Flags.Has(js_ast.PropertyIsComputed), &q)
		switch p.Kind {
		case js_ast.PropertyMethod, js_ast.PropertyGetter, js_ast.PropertySetter:
			fe, ok := p.ValueOrNil.Data.(*js_ast.EFunction)
			if !ok {
				continue
			}
			fn := l.function(x, &fe.Fn, p.Loc.Start, q.Name, false)
			fn.Method = true
			q.Value = &FuncExpr{At(p.Loc.Start), fn}
			q.Kind = PropMethod
			switch p.Kind {
			case js_ast.PropertyGetter:
				q.Kind, fn.Getter = PropGet, true
			case js_ast.PropertySetter:
				q.Kind, fn.Setter = PropSet, true
			}
			if q.Name == "constructor" && !q.Static && q.Computed == nil && q.Kind == PropMethod {
				fn.Method = false
				out.Ctor = fn
				continue
			}
		default:
			q.Kind = PropField
			if p.InitializerOrNil.Data != nil {
				q.Value = l.expr(x, p.InitializerOrNil)
			} else if p.ValueOrNil.Data != nil {
				q.Value = l.expr(x, p.ValueOrNil)
			}
		}
		out.Props = append(out.Props, q)
	}
	return out
}

// key lowers a property key to a constant name or an expression.
func (l *lowerer) key(x *lex, k js_ast.Expr, computed bool, q *Prop) {
	switch d := k.Data.(type) {
	case *js_ast.EString:
		q.Name = text16(d.Value)
		return
	case *js_ast.EPrivateIdentifier:
		q.Name = l.syms[d.Ref.InnerIndex].OriginalName
		return
	case *js_ast.ENameOfSymbol:
		q.Name = l.syms[d.Ref.InnerIndex].OriginalName
		return
	case nil:
		return
	}
	q.Computed = l.expr(x, k)
}

// --- patterns

func (l *lowerer) binding(x *lex, b js_ast.Binding) Pattern {
	at := At(b.Loc.Start)
	switch d := b.Data.(type) {
	case *js_ast.BIdentifier:
		return l.pat(x, d.Ref, b.Loc.Start)
	case *js_ast.BArray:
		p := &ArrayPat{At: at, Rest: d.HasSpread}
		for i := range d.Items {
			var it PatItem
			if _, missing := d.Items[i].Binding.Data.(*js_ast.BMissing); !missing {
				it.Target = l.binding(x, d.Items[i].Binding)
			}
			if d.Items[i].DefaultValueOrNil.Data != nil {
				it.Default = l.expr(x, d.Items[i].DefaultValueOrNil)
			}
			p.Items = append(p.Items, it)
		}
		return p
	case *js_ast.BObject:
		p := &ObjectPat{At: at}
		for i := range d.Properties {
			pr := &d.Properties[i]
			if pr.IsSpread {
				p.Rest = l.binding(x, pr.Value)
				continue
			}
			var q Prop
			l.key(x, pr.Key, pr.IsComputed, &q)
			pp := PatProp{Name: q.Name, Computed: q.Computed, Target: l.binding(x, pr.Value), Pos: pr.Loc.Start, Shorthand: pr.Key.Loc == pr.Value.Loc}
			if pr.DefaultValueOrNil.Data != nil {
				pp.Default = l.expr(x, pr.DefaultValueOrNil)
			}
			p.Props = append(p.Props, pp)
		}
		return p
	}
	return &Global{at, "%"}
}

// target lowers the left side of an assignment.
func (l *lowerer) target(x *lex, e js_ast.Expr) Pattern {
	at := At(e.Loc.Start)
	switch d := e.Data.(type) {
	case *js_ast.EArray:
		p := &ArrayPat{At: at}
		for _, it := range d.Items {
			switch v := it.Data.(type) {
			case *js_ast.EMissing:
				p.Items = append(p.Items, PatItem{})
			case *js_ast.ESpread:
				p.Rest = true
				p.Items = append(p.Items, PatItem{Target: l.target(x, v.Value)})
			default:
				t, def := l.withDefault(x, it)
				p.Items = append(p.Items, PatItem{Target: t, Default: def})
			}
		}
		return p
	case *js_ast.EObject:
		p := &ObjectPat{At: at}
		for i := range d.Properties {
			pr := &d.Properties[i]
			if pr.Kind == js_ast.PropertySpread {
				p.Rest = l.target(x, pr.ValueOrNil)
				continue
			}
			var q Prop
			l.key(x, pr.Key, pr.Flags.Has(js_ast.PropertyIsComputed), &q)
			pp := PatProp{Name: q.Name, Computed: q.Computed, Pos: pr.Loc.Start, Shorthand: pr.Flags.Has(js_ast.PropertyWasShorthand)}
			pp.Target, pp.Default = l.withDefault(x, pr.ValueOrNil)
			if pr.InitializerOrNil.Data != nil {
				pp.Default = l.expr(x, pr.InitializerOrNil)
			}
			p.Props = append(p.Props, pp)
		}
		return p
	}
	if p, ok := l.expr(x, e).(Pattern); ok {
		return p
	}
	return &Global{at, "%"}
}

func (l *lowerer) withDefault(x *lex, e js_ast.Expr) (Pattern, Expr) {
	if b, ok := e.Data.(*js_ast.EBinary); ok && b.Op == js_ast.BinOpAssign {
		return l.target(x, b.Left), l.expr(x, b.Right)
	}
	return l.target(x, e), nil
}

// --- expressions

var unaryOps = map[js_ast.OpCode]Op{js_ast.UnOpPos: OpPlus, js_ast.UnOpNeg: OpMinus, js_ast.UnOpCpl: OpBitNot, js_ast.UnOpNot: OpNot, js_ast.UnOpVoid: OpVoid, js_ast.UnOpTypeof: OpTypeof, js_ast.UnOpDelete: OpDelete}

var binaryOps = map[js_ast.OpCode]Op{
	js_ast.BinOpAdd: OpAdd, js_ast.BinOpSub: OpSub, js_ast.BinOpMul: OpMul, js_ast.BinOpDiv: OpDiv, js_ast.BinOpRem: OpMod, js_ast.BinOpPow: OpPow,
	js_ast.BinOpLt: OpLt, js_ast.BinOpLe: OpLe, js_ast.BinOpGt: OpGt, js_ast.BinOpGe: OpGe, js_ast.BinOpIn: OpIn, js_ast.BinOpInstanceof: OpInstanceof,
	js_ast.BinOpShl: OpShl, js_ast.BinOpShr: OpShr, js_ast.BinOpUShr: OpUShr, js_ast.BinOpLooseEq: OpEq, js_ast.BinOpLooseNe: OpNe, js_ast.BinOpStrictEq: OpSEq, js_ast.BinOpStrictNe: OpSNe,
	js_ast.BinOpBitwiseOr: OpBitOr, js_ast.BinOpBitwiseAnd: OpBitAnd, js_ast.BinOpBitwiseXor: OpBitXor,
}

var assignOps = map[js_ast.OpCode]Op{
	js_ast.BinOpAssign: OpNone, js_ast.BinOpAddAssign: OpAdd, js_ast.BinOpSubAssign: OpSub, js_ast.BinOpMulAssign: OpMul, js_ast.BinOpDivAssign: OpDiv, js_ast.BinOpRemAssign: OpMod, js_ast.BinOpPowAssign: OpPow,
	js_ast.BinOpShlAssign: OpShl, js_ast.BinOpShrAssign: OpShr, js_ast.BinOpUShrAssign: OpUShr, js_ast.BinOpBitwiseOrAssign: OpBitOr, js_ast.BinOpBitwiseAndAssign: OpBitAnd, js_ast.BinOpBitwiseXorAssign: OpBitXor,
	js_ast.BinOpNullishCoalescingAssign: OpNullish, js_ast.BinOpLogicalOrAssign: OpOr, js_ast.BinOpLogicalAndAssign: OpAnd,
}

func (l *lowerer) exprs(x *lex, es []js_ast.Expr) []Expr {
	out := make([]Expr, 0, len(es))
	for _, e := range es {
		if _, missing := e.Data.(*js_ast.EMissing); missing {
			out = append(out, nil)
			continue
		}
		out = append(out, l.expr(x, e))
	}
	return out
}

// expr lowers an expression; the outermost link of an optional chain is wrapped in Chain.
func (l *lowerer) expr(x *lex, e js_ast.Expr) Expr {
	out := l.link(x, e)
	if optional(e) {
		return &Chain{At(e.Loc.Start), out}
	}
	return out
}

func optional(e js_ast.Expr) bool {
	switch d := e.Data.(type) {
	case *js_ast.EDot:
		return d.OptionalChain != js_ast.OptionalChainNone
	case *js_ast.EIndex:
		return d.OptionalChain != js_ast.OptionalChainNone
	case *js_ast.ECall:
		return d.OptionalChain != js_ast.OptionalChainNone
	}
	return false
}

// inner lowers the object of a member or call: a link of the same chain is not wrapped again.
func (l *lowerer) inner(x *lex, e js_ast.Expr, chain js_ast.OptionalChain) Expr {
	if chain == js_ast.OptionalChainContinue {
		return l.link(x, e)
	}
	return l.expr(x, e)
}

func (l *lowerer) link(x *lex, e js_ast.Expr) Expr {
	at := At(e.Loc.Start)
	switch d := e.Data.(type) {
	case *js_ast.EString:
		return &Str{at, text16(d.Value)}
	case *js_ast.ENumber:
		return &Num{at, d.Value}
	case *js_ast.EBoolean:
		return &Bool{at, d.Value}
	case *js_ast.ENull:
		return &Null{at}
	case *js_ast.EUndefined, *js_ast.EMissing:
		return &Undefined{at}
	case *js_ast.EThis:
		return &This{at}
	case *js_ast.ESuper:
		return &Super{at}
	case *js_ast.ENewTarget:
		return &NewTarget{at}
	case *js_ast.EImportMeta:
		return &ImportMeta{at}
	case *js_ast.EBigInt:
		return &BigInt{at, strings.TrimSuffix(d.Value, "n")}
	case *js_ast.ERegExp:
		i := strings.LastIndexByte(d.Value, '/')
		if i < 1 {
			return &Regexp{at, d.Value, ""}
		}
		return &Regexp{at, d.Value[1:i], d.Value[i+1:]}
	case *js_ast.EIdentifier:
		return l.ref(x, d.Ref, e.Loc.Start)
	case *js_ast.EImportIdentifier:
		return l.ref(x, d.Ref, e.Loc.Start)
	case *js_ast.EDot:
		return &Member{at, l.inner(x, d.Target, d.OptionalChain), d.Name, d.OptionalChain == js_ast.OptionalChainStart, d.NameLoc.Start}
	case *js_ast.EIndex:
		o := d.OptionalChain == js_ast.OptionalChainStart
		switch k := d.Index.Data.(type) {
		case *js_ast.EPrivateIdentifier:
			return &Member{at, l.inner(x, d.Target, d.OptionalChain), l.syms[k.Ref.InnerIndex].OriginalName, o, d.Index.Loc.Start}
		case *js_ast.ENameOfSymbol:
			return &Member{at, l.inner(x, d.Target, d.OptionalChain), l.syms[k.Ref.InnerIndex].OriginalName, o, d.Index.Loc.Start}
		}
		return &Index{at, l.inner(x, d.Target, d.OptionalChain), l.expr(x, d.Index), o}
	case *js_ast.ECall:
		c := &Call{At: at, Fn: l.inner(x, d.Target, d.OptionalChain), Args: l.exprs(x, d.Args), Optional: d.OptionalChain == js_ast.OptionalChainStart, Eval: d.Kind == js_ast.DirectEval}
		if g, ok := c.Fn.(*Ident); ok && g.Name == "require" && len(d.Args) == 1 {
			if s, ok := c.Args[0].(*Str); ok {
				l.addCall(s.V)
			}
		}
		return c
	case *js_ast.ENew:
		return &New{at, l.expr(x, d.Target), l.exprs(x, d.Args)}
	case *js_ast.EArray:
		return &Array{at, l.exprs(x, d.Items)}
	case *js_ast.EObject:
		return l.object(x, d, at)
	case *js_ast.EFunction:
		return &FuncExpr{at, l.function(x, &d.Fn, e.Loc.Start, l.name(d.Fn.Name), d.Fn.Name != nil)}
	case *js_ast.EArrow:
		return &FuncExpr{at, l.arrow(x, d, e.Loc.Start)}
	case *js_ast.EClass:
		return &ClassExpr{at, l.class(x, &d.Class, e.Loc.Start)}
	case *js_ast.EUnary:
		switch d.Op {
		case js_ast.UnOpPreInc, js_ast.UnOpPostInc, js_ast.UnOpPreDec, js_ast.UnOpPostDec:
			op := OpInc
			if d.Op == js_ast.UnOpPreDec || d.Op == js_ast.UnOpPostDec {
				op = OpDec
			}
			return &Update{at, op, d.Op == js_ast.UnOpPreInc || d.Op == js_ast.UnOpPreDec, l.target(x, d.Value)}
		}
		value := l.expr(x, d.Value)
		if n := foldUnary(at, unaryOps[d.Op], value); n != nil {
			return n
		}
		return &Unary{at, unaryOps[d.Op], value}
	case *js_ast.EBinary:
		return l.binary(x, e, d)
	case *js_ast.EIf:
		return &Cond{at, l.expr(x, d.Test), l.expr(x, d.Yes), l.expr(x, d.No)}
	case *js_ast.ETemplate:
		t := &Template{At: at, Cooked: []string{text16(d.HeadCooked)}, Raw: []string{d.HeadRaw}}
		if d.TagOrNil.Data != nil {
			t.Tag = l.expr(x, d.TagOrNil)
			t.Cooked[0] = d.HeadRaw
		}
		for _, p := range d.Parts {
			t.Exprs = append(t.Exprs, l.expr(x, p.Value))
			cooked := text16(p.TailCooked)
			if t.Tag != nil {
				cooked = p.TailRaw
			}
			t.Cooked = append(t.Cooked, cooked)
			t.Raw = append(t.Raw, p.TailRaw)
		}
		return t
	case *js_ast.ESpread:
		return &Spread{at, l.expr(x, d.Value)}
	case *js_ast.EAwait:
		return &Await{at, l.expr(x, d.Value)}
	case *js_ast.EYield:
		y := &Yield{At: at, Star: d.IsStar}
		if d.ValueOrNil.Data != nil {
			y.X = l.expr(x, d.ValueOrNil)
		}
		return y
	case *js_ast.ERequireString:
		return l.require(x, at, d.ImportRecordIndex)
	case *js_ast.ERequireResolveString:
		c := l.require(x, at, d.ImportRecordIndex).(*Call)
		c.Fn = &Member{At: at, X: c.Fn, Name: "resolve"}
		return c
	case *js_ast.EImportString:
		return &DynImport{At: at, X: &Str{at, l.records[d.ImportRecordIndex].Path.Text}}
	case *js_ast.EImportCall:
		i := &DynImport{At: at, X: l.expr(x, d.Expr)}
		if d.OptionsOrNil.Data != nil {
			i.Options = l.expr(x, d.OptionsOrNil)
		}
		if s, ok := i.X.(*Str); ok {
			l.addCall(s.V)
		}
		return i
	case *js_ast.EInlinedEnum:
		return l.expr(x, d.Value)
	case *js_ast.EAnnotation:
		return l.expr(x, d.Value)
	case *js_ast.EPrivateIdentifier:
		return &Str{at, l.syms[d.Ref.InnerIndex].OriginalName}
	case *js_ast.ENameOfSymbol:
		return &Str{at, l.syms[d.Ref.InnerIndex].OriginalName}
	case *js_ast.EJSXText:
		return &Str{at, d.Raw}
	}
	return &Undefined{at}
}

func (l *lowerer) require(x *lex, at At, record uint32) Expr {
	var fn Expr = &Global{at, "require"}
	if !l.u.ESM {
		fn = &Ident{at, Ref{x.depth - l.root.depth, 1}, "require"}
	}
	return &Call{At: at, Fn: fn, Args: []Expr{&Str{at, l.records[record].Path.Text}}}
}

// binary lowers operators. Left-deep chains, as of a long concatenation, are walked without recursion.
func (l *lowerer) binary(x *lex, e js_ast.Expr, d *js_ast.EBinary) Expr {
	at := At(e.Loc.Start)
	if op, ok := assignOps[d.Op]; ok {
		return &Assign{at, op, l.target(x, d.Left), l.expr(x, d.Right)}
	}
	type step struct {
		at At
		d  *js_ast.EBinary
	}
	var steps []step
	left := e
	for {
		b, ok := left.Data.(*js_ast.EBinary)
		if !ok {
			break
		}
		if _, isAssign := assignOps[b.Op]; isAssign {
			break
		}
		steps = append(steps, step{At(left.Loc.Start), b})
		left = b.Left
	}
	out := l.expr(x, left)
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		r := l.expr(x, s.d.Right)
		switch s.d.Op {
		case js_ast.BinOpComma:
			if q, ok := out.(*Seq); ok {
				q.List = append(q.List, r)
			} else {
				out = &Seq{s.at, []Expr{out, r}}
			}
		case js_ast.BinOpLogicalAnd:
			out = &Logical{s.at, OpAnd, out, r}
		case js_ast.BinOpLogicalOr:
			out = &Logical{s.at, OpOr, out, r}
		case js_ast.BinOpNullishCoalescing:
			out = &Logical{s.at, OpNullish, out, r}
		default:
			if n := foldBinary(s.at, binaryOps[s.d.Op], out, r); n != nil {
				out = n
			} else {
				out = &Binary{s.at, binaryOps[s.d.Op], out, r}
			}
		}
	}
	return out
}

func (l *lowerer) object(x *lex, d *js_ast.EObject, at At) Expr {
	o := &Object{At: at}
	for i := range d.Properties {
		p := &d.Properties[i]
		q := Prop{Pos: p.Loc.Start, Shorthand: p.Flags.Has(js_ast.PropertyWasShorthand)}
		if p.Kind == js_ast.PropertySpread {
			q.Kind, q.Value = PropSpread, l.expr(x, p.ValueOrNil)
			o.Props = append(o.Props, q)
			continue
		}
		l.key(x, p.Key, p.Flags.Has(js_ast.PropertyIsComputed), &q)
		switch p.Kind {
		case js_ast.PropertyMethod, js_ast.PropertyGetter, js_ast.PropertySetter:
			fe, ok := p.ValueOrNil.Data.(*js_ast.EFunction)
			if !ok {
				continue
			}
			fn := l.function(x, &fe.Fn, p.Loc.Start, q.Name, false)
			fn.Method = true
			q.Value = &FuncExpr{At(p.Loc.Start), fn}
			q.Kind = PropMethod
			switch p.Kind {
			case js_ast.PropertyGetter:
				q.Kind, fn.Getter = PropGet, true
			case js_ast.PropertySetter:
				q.Kind, fn.Setter = PropSet, true
			}
		default:
			if p.ValueOrNil.Data != nil {
				q.Value = l.expr(x, p.ValueOrNil)
			}
		}
		o.Props = append(o.Props, q)
	}
	return o
}

// text16 turns the parser's UTF-16 into WTF-8.
func text16(u []uint16) string {
	ascii := true
	for _, c := range u {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		b := make([]byte, len(u))
		for i, c := range u {
			b[i] = byte(c)
		}
		return string(b)
	}
	var b strings.Builder
	b.Grow(len(u) + len(u)/2)
	for i := 0; i < len(u); i++ {
		c := rune(u[i])
		switch {
		case c >= 0xd800 && c < 0xdc00 && i+1 < len(u) && u[i+1] >= 0xdc00 && u[i+1] < 0xe000:
			b.WriteRune(0x10000 + (c-0xd800)<<10 + rune(u[i+1]) - 0xdc00)
			i++
		case c >= 0xd800 && c < 0xe000:
			b.Write([]byte{0xed, 0x80 | byte(c>>6&0x3f), 0x80 | byte(c&0x3f)})
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
