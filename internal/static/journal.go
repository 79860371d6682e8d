package static

import (
	"slices"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// Branches on unknown conditions run one after the other on the same state: the first branch's writes are journalled and taken
// back, the second branch runs, and where the two meet each written place holds the join of both values. A frame or object made
// after the journal was opened needs no entry: no one else can have seen it before.

type place struct {
	frame *frame
	obj   *Object
	key   string
	slot  int32
	elem  int32 // array element, -1 for none, -2 for the whole array
}

type undo struct {
	place
	old     Value
	oldArr  []Value
	oldProp *prop
}

type journal struct {
	up   *journal
	mark int32 // what was born at or before it is logged
	log  []undo
	seen map[place]bool
	own  []ownSlots
}

// ownSlots are the bindings of a block that began after the journal was opened: nothing outside it sees them, so that neither
// branch needs them taken back.
type ownSlots struct {
	frame *frame
	slots js.Slots
}

// owns exempts the bindings of a block that begins.
func (ev *evaluator) owns(b *js.Block) {
	if ev.j != nil && b.Own.Low < b.Own.High && ev.f.born <= ev.jmark {
		o := ownSlots{ev.f, b.Own}
		if !slices.Contains(ev.j.own, o) {
			ev.j.own = append(ev.j.own, o)
		}
	}
}

func (ev *evaluator) openJournal() *journal {
	ev.jseq++
	var j *journal
	if n := len(ev.spareJournals); n > 0 {
		j = ev.spareJournals[n-1]
		ev.spareJournals = ev.spareJournals[:n-1]
	} else {
		j = &journal{}
	}
	j.up, j.mark = ev.j, ev.jseq-1
	ev.j, ev.jmark = j, j.mark
	return j
}

// maxSpare is the number of entries up to which the memory of a journal is used again.
const maxSpare = 1024

func (ev *evaluator) closeJournal(j *journal) {
	ev.j = j.up
	ev.jmark = -1
	if j.up != nil {
		ev.jmark = j.up.mark
	}
	if cap(j.log) > maxSpare {
		return
	}
	clear(j.log)
	clear(j.own)
	*j = journal{log: j.log[:0], own: j.own[:0]}
	ev.spareJournals = append(ev.spareJournals, j)
}

func (j *journal) first(p place) bool {
	if len(j.log) < 8 {
		for i := range j.log {
			if j.log[i].place == p {
				return false
			}
		}
		return true
	}
	if j.seen == nil {
		j.seen = map[place]bool{}
		for i := range j.log {
			j.seen[j.log[i].place] = true
		}
	}
	if j.seen[p] {
		return false
	}
	j.seen[p] = true
	return true
}

func (ev *evaluator) logSlot(f *frame, slot int) {
	for _, o := range ev.j.own {
		if o.frame == f && int32(slot) >= o.slots.Low && int32(slot) < o.slots.High {
			return
		}
	}
	p := place{frame: f, slot: int32(slot), elem: -1}
	if ev.j.first(p) {
		ev.j.log = append(ev.j.log, undo{place: p, old: f.slots[slot]})
	}
}

func (ev *evaluator) logProp(o *Object, key string, cur *prop) {
	if ev.j == nil {
		return
	}
	p := place{obj: o, key: key, elem: -1}
	if ev.j.first(p) {
		u := undo{place: p}
		if cur != nil {
			c := *cur
			u.oldProp = &c
		}
		ev.j.log = append(ev.j.log, u)
	}
}

func (ev *evaluator) logElement(o *Object, i int) {
	if ev.j == nil {
		return
	}
	p := place{obj: o, elem: int32(i)}
	if ev.j.first(p) {
		ev.j.log = append(ev.j.log, undo{place: p, old: o.arr[i]})
	}
}

// logArray is to be called before an array changes its length or order.
func (ev *evaluator) logArray(o *Object) {
	if ev.j == nil || o.born > ev.jmark {
		return
	}
	p := place{obj: o, elem: -2}
	if ev.j.first(p) {
		ev.alloc(len(o.arr))
		ev.j.log = append(ev.j.log, undo{place: p, oldArr: append([]Value(nil), o.arr...)})
	}
}

// change is one place with the value a branch left there.
type change struct {
	place
	val    Value
	arr    []Value
	absent bool
}

// takeBack undoes a branch and returns what it had left where.
func (ev *evaluator) takeBack(j *journal) []change {
	var out []change
	if n := len(ev.spareChanges); n > 0 {
		out = ev.spareChanges[n-1]
		ev.spareChanges = ev.spareChanges[:n-1]
	}
	for i := range j.log {
		u := &j.log[i]
		c := change{place: u.place}
		switch {
		case u.frame != nil:
			c.val = u.frame.slots[u.slot]
		case u.elem == -2:
			c.arr = append([]Value(nil), u.obj.arr...)
		case u.elem >= 0:
			if int(u.elem) < len(u.obj.arr) {
				c.val = u.obj.arr[u.elem]
			}
		default:
			if p := u.obj.own(u.key); p != nil {
				c.val = p.val
			} else {
				c.absent = true
			}
		}
		out = append(out, c)
	}
	for i := len(j.log) - 1; i >= 0; i-- {
		u := &j.log[i]
		switch {
		case u.frame != nil:
			u.frame.slots[u.slot] = u.old
		case u.elem == -2:
			u.obj.arr = u.oldArr
		case u.elem >= 0:
			if int(u.elem) < len(u.obj.arr) {
				u.obj.arr[u.elem] = u.old
			}
		case u.oldProp == nil:
			u.obj.remove(u.key)
		default:
			if p := u.obj.own(u.key); p != nil {
				*p = *u.oldProp
			} else {
				u.obj.add(*u.oldProp)
			}
		}
	}
	return out
}

// spendChanges gives back the memory of changes that were dealt with.
func (ev *evaluator) spendChanges(cs []change) {
	if 0 < cap(cs) && cap(cs) <= maxSpare {
		clear(cs)
		ev.spareChanges = append(ev.spareChanges, cs[:0])
	}
}

// weakenAll writes what a branch left into the present state, each as weaken does.
func (ev *evaluator) weakenAll(cs []change, sure bool) {
	for i := range cs {
		ev.weaken(&cs[i], sure)
	}
}

// weaken writes what a branch left in one place into the present state, as one possibility beside the present value. With sure, it is
// the only one.
func (ev *evaluator) weaken(c *change, sure bool) {
	switch {
	case c.frame != nil:
		v := c.val
		if !sure {
			v = join(c.frame.slots[c.slot], v)
		}
		ev.setSlot(c.frame, int(c.slot), v)
	case c.elem == -2:
		ev.logArray(c.obj)
		cur := c.obj.arr
		if sure {
			c.obj.arr = c.arr
			return
		}
		long, short := cur, c.arr
		if len(c.arr) > len(cur) {
			long, short = c.arr, cur
		}
		out := append([]Value(nil), long...)
		for i := range short {
			out[i] = join(cur[i], c.arr[i])
		}
		c.obj.arr = out
	case c.elem >= 0:
		if int(c.elem) < len(c.obj.arr) {
			v := c.val
			if !sure {
				v = join(c.obj.arr[c.elem], v)
			}
			if c.obj.born <= ev.jmark {
				ev.logElement(c.obj, int(c.elem))
			}
			c.obj.arr[c.elem] = v
		}
	case c.absent:
		// deleted on one side: it may still be there
	default:
		p := c.obj.own(c.key)
		if c.obj.born <= ev.jmark {
			ev.logProp(c.obj, c.key, p)
		}
		switch {
		case p == nil && sure:
			c.obj.add(prop{key: c.key, val: c.val})
		case p == nil:
			v := c.val
			if o, ok := v.(*Object); !ok || o.fn == nil {
				v = join(v, nil)
			}
			c.obj.add(prop{key: c.key, val: v})
		case p.get != nil || p.set != nil:
		case sure:
			p.val = c.val
		default:
			p.val = join(p.val, c.val)
		}
	}
}

// What a branch on an unknown condition costs, in steps, beside its own: journals, and joins of the places written.
const (
	branchSteps = 10
	placeSteps  = 4
)

// either runs two branches of an unknown condition and joins them. A nil branch does nothing.
func (ev *evaluator) either(g callseq.Guard, yes, no func() completion) completion {
	if ev.branchDepth > maxBranchDepth {
		// Too deep to keep both states apart: run them one after the other.
		c := completion(normal)
		for _, f := range []func() completion{yes, no} {
			if f != nil {
				c = ev.branch(g, f)
			}
		}
		_ = c
		return normal
	}
	ev.branchDepth++
	defer func() { ev.branchDepth-- }()
	depth := len(ev.guards)

	j := ev.openJournal()
	c1 := completion(normal)
	g.Taken = true
	if yes != nil {
		c1 = ev.branch(g, yes)
	}
	ret1, label1 := ev.ret, ev.label
	left := ev.takeBack(j)
	ev.closeJournal(j)

	j = ev.openJournal()
	c2 := completion(normal)
	g.Taken = false
	if no != nil {
		c2 = ev.branch(g, no)
	}
	ret2 := ev.ret
	right := ev.takeBack(j)
	ev.closeJournal(j)
	ev.cutGuards(depth)
	ev.steps -= branchSteps + placeSteps*int64(len(left)+len(right)) // joining costs time too

	switch {
	case c1 == normal && c2 == normal, c1 != normal && c2 != normal:
		ev.weakenBoth(left, right)
	case c1 == normal:
		ev.weakenAll(right, false)
		ev.weakenAll(left, true)
	default:
		ev.weakenAll(left, false)
		ev.weakenAll(right, true)
	}
	ev.spendChanges(left)
	ev.spendChanges(right)
	switch {
	case c1 == normal && c2 == normal:
		return normal
	case c1 == c2:
		if c1 == returned {
			ev.ret = join(ret1, ret2)
		}
		return c1
	case c1 == normal || c2 == normal:
		// One side leaves: what follows runs under the other.
		gone, ret := c1, ret1
		g.Taken = false
		if c1 == normal {
			gone, ret = c2, ret2
			g.Taken = true
		}
		if gone == returned {
			ev.act.pending = append(ev.act.pending, ret)
		}
		if gone == broke || gone == returned || gone == threw {
			ev.mayLeave = true
		}
		ev.guards = append(ev.guards, g)
		return normal
	}
	// Both leave, in different ways: go where the run can go on.
	if c1 == returned || c2 == returned {
		r := ret1
		if c1 != returned {
			r = ret2
		}
		if c1 == threw || c2 == threw {
			ev.ret = r
			return returned
		}
		ev.act.pending = append(ev.act.pending, r)
	}
	if c1 == threw || c1 == returned {
		return c2
	}
	ev.label = label1
	return c1
}

// weakenBoth joins what two branches left: places written on both sides take the join of both values; on one side only, the join with
// what was there.
func (ev *evaluator) weakenBoth(left, right []change) {
	in := func(cs []change) func(place) *change {
		if len(left)*len(right) <= 256 { // as most are: looking through them costs less than a map
			return func(p place) *change {
				for i := range cs {
					if cs[i].place == p {
						return &cs[i]
					}
				}
				return nil
			}
		}
		at := make(map[place]*change, len(cs))
		for i := range cs {
			at[cs[i].place] = &cs[i]
		}
		return func(p place) *change { return at[p] }
	}
	inRight, inLeft := in(right), in(left)
	for i := range left {
		if inRight(left[i].place) == nil {
			ev.weaken(&left[i], false)
		}
	}
	for i := range right {
		if l := inLeft(right[i].place); l != nil {
			ev.weaken(l, true)
		}
		ev.weaken(&right[i], false)
	}
}

// branch runs one side under a guard, catching what it throws.
func (ev *evaluator) branch(g callseq.Guard, f func() completion) (c completion) {
	depth := len(ev.guards)
	ev.guards = append(ev.guards, g)
	st := ev.save()
	defer func() {
		ev.cutGuards(depth)
		if ev.unwind == exceptionUnwinds {
			if t, ok := recover().(*thrown); ok {
				ev.unwind = nothingUnwinds
				ev.restore(st)
				ev.lastThrown = t.v
				c = threw
			}
		}
	}()
	return f()
}
