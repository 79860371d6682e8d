package js

import "math"

// Constant expressions are computed when code is lowered: obfuscators write 7 as -0x1*-0x19f+-0x4e+-0x14a inside the loops of their
// decoders, where evaluating it each time would cost most of the budget.

const maxFolded = 4096 // bytes of a text put together; longer ones are left to run time

// foldBinary computes an operator on two constants, or returns nil.
func foldBinary(at At, op Op, l, r Expr) Expr {
	switch x := l.(type) {
	case *Num:
		y, ok := r.(*Num)
		if !ok {
			return nil
		}
		switch op {
		case OpAdd:
			return &Num{at, x.V + y.V}
		case OpSub:
			return &Num{at, x.V - y.V}
		case OpMul:
			return &Num{at, x.V * y.V}
		case OpDiv:
			return &Num{at, x.V / y.V}
		case OpMod:
			return &Num{at, math.Mod(x.V, y.V)}
		}
	case *Str:
		y, ok := r.(*Str)
		if ok && op == OpAdd && len(x.V)+len(y.V) <= maxFolded {
			return &Str{at, x.V + y.V}
		}
	}
	return nil
}

// foldUnary computes a sign before a number, or returns nil.
func foldUnary(at At, op Op, x Expr) Expr {
	n, ok := x.(*Num)
	if !ok {
		return nil
	}
	switch op {
	case OpMinus:
		return &Num{at, -n.V}
	case OpPlus:
		return n
	}
	return nil
}
