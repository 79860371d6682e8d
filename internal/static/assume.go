package static

import "github.com/donapi/donapi/internal/js"

// assume narrows what a branch knows: where a variable is one of several values, those that contradict the branch's condition are
// left out while it runs. The write is taken back with the branch.
func (ev *evaluator) assume(test js.Expr, holds bool) {
	switch d := test.(type) {
	case *js.Unary:
		if d.Op == js.OpNot {
			ev.assume(d.X, !holds)
		}
	case *js.Logical:
		if d.Op == js.OpAnd && holds || d.Op == js.OpOr && !holds {
			ev.assume(d.L, holds)
			ev.assume(d.R, holds)
		}
	case *js.Ident:
		ev.keepAlts(d, func(v Value) bool {
			t, known := truth(v)
			return !known || t == holds
		})
	case *js.Binary:
		var strict bool
		switch d.Op {
		case js.OpSEq:
			strict = true
		case js.OpEq:
		case js.OpSNe:
			strict, holds = true, !holds
		case js.OpNe:
			holds = !holds
		default:
			return
		}
		x, y := d.L, d.R
		if _, ok := constant(x); ok {
			x, y = y, x
		}
		id, isIdent := x.(*js.Ident)
		c, isConst := constant(y)
		if !isIdent || !isConst {
			return
		}
		ev.keepAlts(id, func(v Value) bool {
			eq, known := ev.looseEqual(v, c)
			if strict {
				eq, known = ev.strictEqual(v, c)
			}
			return !known || eq == holds
		})
	}
}

// constant gives the value of a literal.
func constant(e js.Expr) (Value, bool) {
	switch d := e.(type) {
	case *js.Str:
		return d.V, true
	case *js.Num:
		return d.V, true
	case *js.Bool:
		return d.V, true
	case *js.Null:
		return null{}, true
	case *js.Undefined:
		return nil, true
	}
	return nil, false
}

// keepAlts keeps of a variable's possible values those that keep approves of, unless that were none.
func (ev *evaluator) keepAlts(d *js.Ident, keep func(Value) bool) {
	f := ev.f.hop(d.Hops)
	if f == nil || int(d.Slot) >= len(f.slots) {
		return
	}
	a, ok := f.slots[d.Slot].(*Abstract)
	if !ok || a.known != nil || len(a.alts) == 0 || len(a.parts) > 0 {
		return
	}
	var kept joined
	n := 0
	for _, v := range a.alts {
		if keep(v) {
			kept.add(v)
			n++
		}
	}
	if n == 0 || n == len(a.alts) {
		return
	}
	out := kept.value()
	if len(a.flows) > 0 {
		out = tainted(out, a.flows)
	}
	ev.setSlot(f, int(d.Slot), out)
}
