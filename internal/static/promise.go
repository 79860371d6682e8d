package static

import (
	"github.com/donapi/donapi/internal/callseq"
)

// Tasks are what runs after the present code: timers, callbacks, handlers. Microtasks are the reactions of promises.

type task struct {
	fn     Value
	this   Value
	args   []Value
	cause  callseq.ID
	guards []callseq.Guard
	due    float64
	seq    int
	mod    *module
	layer  int
	pos    int32
}

const (
	maxTasks    = 6000 // run in one process
	maxPending  = 2000
	maxMicro    = 50_000
	samePending = 40
)

// schedule has a function called after the present code. cause is the call that will call it.
func (ev *evaluator) schedule(fn Value, this Value, args []Value, cause callseq.ID, delay float64) {
	if len(ev.tasks) >= maxPending {
		return
	}
	if !(delay >= 0) {
		delay = 0
	}
	ev.taskSeq++
	t := task{fn: fn, this: this, args: args, cause: cause, due: ev.now + delay, seq: ev.taskSeq, pos: ev.pos}
	t.guards = append([]callseq.Guard(nil), ev.guards...)
	if ev.act != nil {
		t.mod, t.layer = ev.act.mod, ev.act.layer
	}
	ev.tasks = append(ev.tasks, t)
}

// drain runs microtasks and tasks until none is left or the budget of the entry is used up.
func (ev *evaluator) drain() {
	if ev.draining {
		return
	}
	ev.draining = true
	defer func() { ev.draining = false }()
	for {
		ev.drainMicro()
		if len(ev.tasks) == 0 {
			return
		}
		best := 0
		for i := range ev.tasks {
			if ev.tasks[i].due < ev.tasks[best].due || ev.tasks[i].due == ev.tasks[best].due && ev.tasks[i].seq < ev.tasks[best].seq {
				best = i
			}
		}
		t := ev.tasks[best]
		ev.tasks = append(ev.tasks[:best], ev.tasks[best+1:]...)
		if ev.taskRuns++; ev.taskRuns > maxTasks {
			ev.tasks = nil
			return
		}
		ev.now = max(ev.now, t.due)
		ev.runTask(t)
	}
}

func (ev *evaluator) runTask(t task) {
	f := infoOfValue(ev, t.fn)
	if f != nil && f.runs > samePending {
		return
	}
	st := ev.save()
	guards := ev.guards
	defer func() { ev.restore(st); ev.guards = guards }()
	ev.cause = t.cause
	ev.guards = t.guards
	ev.pos = t.pos
	ev.act = &activation{mod: t.mod, layer: t.layer}
	if t.mod != nil {
		ev.act.unit = t.mod.unit
	}
	ev.protect(func() completion {
		ev.call(t.fn, t.this, t.args)
		return normal
	})
}

func infoOfValue(ev *evaluator, v Value) *fnInfo {
	if o, ok := v.(*Object); ok && o.fn != nil && o.fn.code != nil {
		return ev.infos[o.fn.code]
	}
	return nil
}

func (ev *evaluator) drainMicro() {
	for n := 0; len(ev.micro) > 0; n++ {
		f := ev.micro[0]
		ev.micro = ev.micro[1:]
		if n > maxMicro {
			ev.micro = nil
			return
		}
		f()
	}
}

// promise is the inside of a Promise.
type promise struct {
	state     uint8 // pending, fulfilled, rejected
	value     Value
	reactions []func()
}

const (
	pending uint8 = iota
	fulfilled
	rejected
)

func (ev *evaluator) newPromise() (*Object, *promise) {
	o := ev.objectOf(classPromise, ev.realm.promise)
	p := &promise{}
	o.data = p
	return o, p
}

// settledPromise is a promise with its value there already.
func (ev *evaluator) settledPromise(v Value, reject bool) *Object {
	o, p := ev.newPromise()
	if reject {
		p.state, p.value = rejected, v
	} else {
		ev.resolvePromise(p, v)
	}
	return o
}

func (ev *evaluator) resolvePromise(p *promise, v Value) {
	if p.state != pending {
		return
	}
	if o, ok := v.(*Object); ok {
		if q, ok := o.data.(*promise); ok && o.class == classPromise {
			if q.state == pending {
				q.reactions = append(q.reactions, func() { ev.settlePromise(p, q.state, q.value) })
			} else {
				ev.settlePromise(p, q.state, q.value)
			}
			return
		}
		if then, ok := o.lookupData("then").(*Object); ok && then.fn != nil {
			ev.protect(func() completion {
				ev.call(then, o, []Value{
					ev.nativeFn("resolve", func(ev *evaluator, _ Value, a []Value) Value { ev.resolvePromise(p, argAt(nil, a, "0")); return nil }),
					ev.nativeFn("reject", func(ev *evaluator, _ Value, a []Value) Value {
						ev.settlePromise(p, rejected, argAt(nil, a, "0"))
						return nil
					}),
				})
				return normal
			})
			return
		}
	}
	ev.settlePromise(p, fulfilled, v)
}

func (ev *evaluator) settlePromise(p *promise, state uint8, v Value) {
	if p.state != pending {
		return
	}
	p.state, p.value = state, v
	ev.micro = append(ev.micro, p.reactions...)
	p.reactions = nil
}

// then registers reactions and returns the promise of their result.
func (ev *evaluator) then(p *promise, onOK, onErr Value) *Object {
	out, q := ev.newPromise()
	cause, guards, act, entry, phase := ev.cause, append([]callseq.Guard(nil), ev.guards...), ev.act, ev.entry, ev.phase
	pos := ev.pos
	react := func() {
		st := ev.save()
		old := ev.guards
		defer func() { ev.restore(st); ev.guards = old }()
		ev.cause, ev.guards, ev.act, ev.pos, ev.entry, ev.phase = cause, guards, act, pos, entry, phase
		if a, ok := p.value.(*Abstract); ok && a.made != 0 {
			ev.cause = a.made
		}
		f := onOK
		if p.state == rejected {
			f = onErr
		}
		fo, ok := f.(*Object)
		if !ok || fo.fn == nil {
			if isUnknown(f) {
				ev.call(f, nil, []Value{p.value})
			}
			if p.state == rejected {
				ev.settlePromise(q, rejected, p.value)
			} else {
				ev.resolvePromise(q, p.value)
			}
			return
		}
		if i := infoOfValue(ev, f); i != nil && i.runs > memoRuns {
			ev.resolvePromise(q, unknown(callseq.Unknown, own(p.value)))
			return
		}
		var v Value
		_, t := ev.protect(func() completion {
			v = ev.call(f, nil, []Value{p.value})
			return normal
		})
		if t != nil {
			ev.settlePromise(q, rejected, t.v)
		} else {
			ev.resolvePromise(q, v)
		}
	}
	if p.state == pending {
		p.reactions = append(p.reactions, react)
	} else {
		ev.micro = append(ev.micro, react)
		// What the outside answers may also be a failure: the handler for it runs as a possibility.
		if a, ok := p.value.(*Abstract); ok && p.state == fulfilled && a.made != 0 && a.known == nil {
			if f, ok := onErr.(*Object); ok && f.fn != nil && f.fn.code != nil {
				ev.schedule(f, nil, []Value{&Abstract{kind: callseq.Object, path: "error"}}, ev.cause, 0)
			}
		}
	}
	return out
}

// await gives the value of a promise, running what must run first.
func (ev *evaluator) await(v Value) Value {
	o, ok := v.(*Object)
	if !ok {
		return v
	}
	p, ok := o.data.(*promise)
	if !ok || o.class != classPromise {
		if then, ok := o.lookupData("then").(*Object); ok && then.fn != nil {
			return ev.await(ev.settledPromise(v, false))
		}
		return v
	}
	if p.state == pending {
		ev.runPending(p)
	}
	switch p.state {
	case fulfilled:
		return p.value
	case rejected:
		panic(ev.thrown(p.value))
	}
	return unknown(callseq.Unknown, o.flows)
}

// runPending runs queued work until a promise settles. An engine would suspend the function; running ahead keeps the order of
// what depends on the promise, which is all that sequences use.
func (ev *evaluator) runPending(p *promise) {
	st := ev.save()
	guards := ev.guards
	defer func() { ev.restore(st); ev.guards = guards }()
	for n := 0; p.state == pending && n < 200; n++ {
		if len(ev.micro) > 0 {
			f := ev.micro[0]
			ev.micro = ev.micro[1:]
			f()
			continue
		}
		if len(ev.tasks) == 0 || ev.taskRuns > maxTasks {
			return
		}
		best := 0
		for i := range ev.tasks {
			if ev.tasks[i].due < ev.tasks[best].due {
				best = i
			}
		}
		t := ev.tasks[best]
		ev.tasks = append(ev.tasks[:best], ev.tasks[best+1:]...)
		ev.taskRuns++
		ev.now = max(ev.now, t.due)
		ev.runTask(t)
	}
}
