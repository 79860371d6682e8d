package js

import "github.com/ije/esbuild-internal/js_ast"

// anyClosure reports that a statement list makes a function anywhere. It looks at the parser's tree, before lowering, to decide
// whether a block in a loop needs a frame for every turn.
func anyClosure(stmts []js_ast.Stmt) bool {
	for _, s := range stmts {
		if closureIn(s) {
			return true
		}
	}
	return false
}

func closureIn(s js_ast.Stmt) bool {
	switch d := s.Data.(type) {
	case *js_ast.SExpr:
		return closureInExpr(d.Value)
	case *js_ast.SLocal:
		for i := range d.Decls {
			if d.Decls[i].ValueOrNil.Data != nil && closureInExpr(d.Decls[i].ValueOrNil) {
				return true
			}
		}
	case *js_ast.SFunction, *js_ast.SClass:
		return true
	case *js_ast.SBlock:
		return anyClosure(d.Stmts)
	case *js_ast.SIf:
		return closureInExpr(d.Test) || closureIn(d.Yes) || d.NoOrNil.Data != nil && closureIn(d.NoOrNil)
	case *js_ast.SFor:
		return closureIn(d.Body) || d.InitOrNil.Data != nil && closureIn(d.InitOrNil) || d.UpdateOrNil.Data != nil && closureInExpr(d.UpdateOrNil)
	case *js_ast.SForIn:
		return closureIn(d.Body) || closureInExpr(d.Value)
	case *js_ast.SForOf:
		return closureIn(d.Body) || closureInExpr(d.Value)
	case *js_ast.SWhile:
		return closureIn(d.Body) || closureInExpr(d.Test)
	case *js_ast.SDoWhile:
		return closureIn(d.Body) || closureInExpr(d.Test)
	case *js_ast.SReturn:
		return d.ValueOrNil.Data != nil && closureInExpr(d.ValueOrNil)
	case *js_ast.SThrow:
		return closureInExpr(d.Value)
	case *js_ast.SLabel:
		return closureIn(d.Stmt)
	case *js_ast.SWith:
		return true
	case *js_ast.SSwitch:
		for _, c := range d.Cases {
			if anyClosure(c.Body) {
				return true
			}
		}
	case *js_ast.STry:
		return anyClosure(d.Block.Stmts) || d.Catch != nil && anyClosure(d.Catch.Block.Stmts) || d.Finally != nil && anyClosure(d.Finally.Block.Stmts)
	}
	return false
}

func closureInExpr(e js_ast.Expr) bool {
	list := func(es []js_ast.Expr) bool {
		for _, x := range es {
			if closureInExpr(x) {
				return true
			}
		}
		return false
	}
	switch d := e.Data.(type) {
	case *js_ast.EFunction, *js_ast.EArrow, *js_ast.EClass:
		return true
	case *js_ast.EUnary:
		return closureInExpr(d.Value)
	case *js_ast.EBinary:
		for { // left-deep chains without recursion
			if closureInExpr(d.Right) {
				return true
			}
			b, ok := d.Left.Data.(*js_ast.EBinary)
			if !ok {
				return closureInExpr(d.Left)
			}
			d = b
		}
	case *js_ast.EIf:
		return closureInExpr(d.Test) || closureInExpr(d.Yes) || closureInExpr(d.No)
	case *js_ast.ECall:
		return d.Kind == js_ast.DirectEval || closureInExpr(d.Target) || list(d.Args)
	case *js_ast.ENew:
		return closureInExpr(d.Target) || list(d.Args)
	case *js_ast.EDot:
		return closureInExpr(d.Target)
	case *js_ast.EIndex:
		return closureInExpr(d.Target) || closureInExpr(d.Index)
	case *js_ast.EArray:
		return list(d.Items)
	case *js_ast.EObject:
		for i := range d.Properties {
			p := &d.Properties[i]
			if p.ValueOrNil.Data != nil && closureInExpr(p.ValueOrNil) || p.Key.Data != nil && closureInExpr(p.Key) {
				return true
			}
		}
	case *js_ast.ESpread:
		return closureInExpr(d.Value)
	case *js_ast.EAwait:
		return closureInExpr(d.Value)
	case *js_ast.EYield:
		return d.ValueOrNil.Data != nil && closureInExpr(d.ValueOrNil)
	case *js_ast.ETemplate:
		for i := range d.Parts {
			if closureInExpr(d.Parts[i].Value) {
				return true
			}
		}
		return d.TagOrNil.Data != nil && closureInExpr(d.TagOrNil)
	case *js_ast.EImportCall:
		return closureInExpr(d.Expr)
	}
	return false
}
