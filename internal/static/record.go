package static

import (
	"math/big"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// source is a value from outside that is written into the trace only when it reaches a recorded call: a parameter of a driven
// export, the whole environment. Until then flows name it by a negative ID.
type source struct {
	id     callseq.ID
	kind   callseq.Kind
	api    string
	args   []callseq.Value
	pos    callseq.Pos
	phase  callseq.Phase
	entry  string
	cause  callseq.ID
	guards []callseq.Guard
}

func (ev *evaluator) newSource(kind callseq.Kind, api string, args ...callseq.Value) flows {
	ev.sources = append(ev.sources, source{kind: kind, api: api, args: args, pos: ev.position(), phase: ev.phase, entry: ev.entry, cause: ev.cause,
		guards: append([]callseq.Guard(nil), ev.guards...)})
	return flows{{From: -callseq.ID(len(ev.sources)), Via: callseq.Copy}}
}

// settle replaces pending sources by calls of the trace.
func (ev *evaluator) settle(fl flows) flows {
	open := false
	for _, f := range fl {
		if f.From < 0 {
			open = true
		}
	}
	if !open {
		return fl
	}
	var out flows
	for _, f := range fl {
		if f.From < 0 {
			s := &ev.sources[-f.From-1]
			if s.id == 0 {
				if len(ev.trace.Calls) >= ev.opt.MaxCalls {
					continue
				}
				s.id = callseq.ID(len(ev.trace.Calls) + 1)
				ev.trace.Calls = append(ev.trace.Calls, callseq.Call{ID: s.id, Kind: s.kind, API: s.api, Args: s.args, Guards: s.guards,
					Cause: s.cause, Origin: callseq.Static, Phase: s.phase, Entry: s.entry, Pos: s.pos})
			}
			f.From = s.id
		}
		out = out.union(flows{f})
	}
	return out
}

func (ev *evaluator) position() callseq.Pos {
	layer := 0
	if ev.act != nil {
		layer = ev.act.layer
	}
	return callseq.Pos{Layer: layer, Offset: int(ev.pos)}
}

// site identifies a call in the text, so that a loop's repetitions are counted, not listed.
type site struct {
	pos   callseq.Pos
	api   string
	entry string
	cause callseq.ID
}

const sameSite = 6 // calls recorded of one place before further ones are only counted

// record adds one call to the trace and returns its ID.
func (ev *evaluator) record(kind callseq.Kind, api string, recv Value, args []Value) callseq.ID {
	c := callseq.Call{Kind: kind, API: api, Origin: callseq.Static, Phase: ev.phase, Entry: ev.entry, Cause: ev.cause, Pos: ev.position()}
	for _, a := range args {
		c.Args = append(c.Args, ev.describe(a, 0))
	}
	if recv != nil {
		r := ev.describe(recv, callseq.MaxDepth-1)
		c.Recv = &r
	}
	s := site{c.Pos, api, ev.entry, 0}
	prev := ev.sites[s]
	for _, id := range prev {
		p := &ev.trace.Calls[id-1]
		if len(prev) >= sameSite || equalArgs(p, &c) {
			if p.Count == 0 {
				p.Count = 1
			}
			p.Count++
			if equalArgs(p, &c) {
				return id
			}
			if len(prev) >= sameSite {
				ev.mergeFlows(p, &c)
				return id
			}
		}
	}
	if len(ev.trace.Calls) >= ev.opt.MaxCalls {
		ev.full = true
		return callseq.ID(len(ev.trace.Calls))
	}
	for i := range ev.guards {
		g := ev.guards[i]
		g.Reads = ev.settleIDs(g.Reads)
		c.Guards = append(c.Guards, g)
	}
	c.ID = callseq.ID(len(ev.trace.Calls) + 1)
	ev.trace.Calls = append(ev.trace.Calls, c)
	ev.sites[s] = append(prev, c.ID)
	return c.ID
}

func (ev *evaluator) settleIDs(ids []callseq.ID) []callseq.ID {
	var fl flows
	for _, id := range ids {
		fl = fl.union(flows{{From: id, Via: callseq.Copy}})
	}
	var out []callseq.ID
	for _, f := range ev.settle(fl) {
		out = append(out, f.From)
	}
	return out
}

// mergeFlows keeps the origins of a call that is only counted, so that none is lost.
func (ev *evaluator) mergeFlows(p, c *callseq.Call) {
	for i := range p.Args {
		if i < len(c.Args) {
			p.Args[i].Flows = flows(p.Args[i].Flows).union(flows(c.Args[i].AllFlows()))
		}
	}
}

func equalArgs(a, b *callseq.Call) bool {
	if len(a.Args) != len(b.Args) || a.Kind != b.Kind {
		return false
	}
	for i := range a.Args {
		if !equalValue(&a.Args[i], &b.Args[i]) {
			return false
		}
	}
	return true
}

func equalValue(a, b *callseq.Value) bool {
	if a.Kind != b.Kind || a.Text != b.Text || a.Source != b.Source || len(a.Parts) != len(b.Parts) || len(a.Fields) != len(b.Fields) || len(a.Alts) != len(b.Alts) || !sameFlows(a.Flows, b.Flows) {
		return false
	}
	for i := range a.Parts {
		if a.Parts[i].Lit != b.Parts[i].Lit || a.Parts[i].Source != b.Parts[i].Source || !sameFlows(a.Parts[i].Flows, b.Parts[i].Flows) {
			return false
		}
	}
	for i := range a.Fields {
		if a.Fields[i].Name != b.Fields[i].Name || !equalValue(&a.Fields[i].Value, &b.Fields[i].Value) {
			return false
		}
	}
	for i := range a.Alts {
		if !equalValue(&a.Alts[i], &b.Alts[i]) {
			return false
		}
	}
	return true
}

// describe turns a value into what the trace says of it.
func (ev *evaluator) describe(v Value, depth int) callseq.Value {
	switch x := v.(type) {
	case nil, hole:
		return callseq.Value{Kind: callseq.Undefined}
	case null:
		return callseq.Value{Kind: callseq.Null}
	case bool, float64, *big.Int:
		s, _ := text(v)
		return callseq.Value{Kind: kindOf(v), Text: s}
	case string:
		return cut(callseq.Value{Kind: callseq.String, Text: x})
	case *Symbol:
		return callseq.Value{Kind: callseq.Unknown, Source: x.key}
	case *Abstract:
		return ev.describeAbstract(x, depth)
	case *Object:
		return ev.describeObject(x, depth)
	}
	return callseq.Value{Kind: callseq.Unknown}
}

func cut(v callseq.Value) callseq.Value {
	if len(v.Text) > callseq.MaxText {
		v.Len = len(v.Text)
		end := callseq.MaxText
		for end > 0 && v.Text[end]&0xc0 == 0x80 {
			end--
		}
		v.Text = strings.Clone(v.Text[:end])
		v.Truncated = true
	}
	return v
}

func (ev *evaluator) describeAbstract(x *Abstract, depth int) callseq.Value {
	if x.known != nil {
		out := ev.describe(x.known, depth)
		out.Flows = ev.settle(x.flows)
		return out
	}
	out := callseq.Value{Kind: x.kind, Source: x.path, Flows: ev.settle(x.flows)}
	if x.typ != "" && out.Source == "" {
		out.Source = x.typ
	}
	if x.host && x.path == "process.env" {
		out.Flows = ev.settle(ev.wholeEnv())
	}
	for _, p := range x.parts {
		if p.hole == nil {
			out.Parts = append(out.Parts, callseq.Part{Lit: cutText(p.lit)})
			continue
		}
		if s, ok := p.hole.known.(string); ok { // text that is known, and where it came from
			out.Parts = append(out.Parts, callseq.Part{Lit: cutText(s), Flows: ev.settle(p.hole.flows)})
			continue
		}
		fl := p.hole.flows
		src := p.hole.path
		for _, a := range p.hole.alts {
			fl = fl.union(own(a))
		}
		if src == "" {
			src = p.hole.typ
		}
		out.Parts = append(out.Parts, callseq.Part{Hole: true, Source: src, Flows: ev.settle(fl)})
	}
	if len(x.parts) == 0 {
		for i, a := range x.alts {
			if i >= callseq.MaxAlts {
				out.Truncated = true
				break
			}
			out.Alts = append(out.Alts, ev.describe(a, depth+1))
		}
	}
	if depth < callseq.MaxDepth {
		for _, k := range sortedKeys(x.props) {
			if len(out.Fields) >= callseq.MaxFields {
				out.Truncated = true
				break
			}
			out.Fields = append(out.Fields, callseq.Field{Name: k, Value: ev.describe(x.props[k], depth+1)})
		}
	}
	return out
}

func cutText(s string) string {
	if len(s) > callseq.MaxText {
		return strings.Clone(s[:callseq.MaxText])
	}
	return s
}

func (ev *evaluator) describeObject(x *Object, depth int) callseq.Value {
	out := callseq.Value{Kind: kindOf(x), Flows: ev.settle(x.flows), Truncated: x.weak}
	switch {
	case x.fn != nil:
		out.Source = x.fn.name
		return out
	case x.class == classBytes:
		if b, ok := x.data.(*bytesData); ok && !x.weak {
			raw := b.view()
			n := len(raw)
			out.Text = latin1(raw[:min(n, callseq.MaxText)])
			if n > callseq.MaxText {
				out.Len, out.Truncated = n, true
			}
		}
		return out
	case x.class == classBoxed:
		v := ev.describe(x.data, depth)
		return v
	case x.class == classRegExp:
		s, _ := objectText(x)
		out.Text = cutText(s)
		return out
	}
	if base, ok := x.data.(*Abstract); ok {
		out.Source = base.typ
		out.Flows = flows(out.Flows).union(ev.settle(base.flows))
	}
	if p, ok := x.data.(*promise); ok {
		out.Flows = flows(out.Flows).union(ev.settle(deep(p.value)))
		return out
	}
	if depth >= callseq.MaxDepth || x.visiting {
		out.Flows = flows(out.Flows).union(ev.settle(deep(x)))
		out.Truncated = true
		return out
	}
	x.visiting = true
	defer func() { x.visiting = false }()
	if m, ok := x.data.(*orderedMap); ok {
		for i := range m.keys {
			if !m.live[i] {
				continue
			}
			if len(out.Fields) >= callseq.MaxFields {
				out.Truncated = true
				break
			}
			name, _ := text(m.keys[i])
			out.Fields = append(out.Fields, callseq.Field{Name: cutText(name), Value: ev.describe(m.vals[i], depth+1)})
		}
		return out
	}
	for i, e := range x.arr {
		if len(out.Fields) >= callseq.MaxFields {
			out.Truncated = true
			x.visiting = false
			out.Flows = flows(out.Flows).union(ev.settle(deep(x)))
			break
		}
		out.Fields = append(out.Fields, callseq.Field{Name: formatNumber(float64(i)), Value: ev.describe(e, depth+1)})
	}
	for i := range x.props {
		p := &x.props[i]
		if strings.HasPrefix(p.key, "@@") && !strings.HasPrefix(p.key, "@@any") || p.hidden {
			continue
		}
		if len(out.Fields) >= callseq.MaxFields {
			out.Truncated = true
			x.visiting = false
			out.Flows = flows(out.Flows).union(ev.settle(deep(x)))
			break
		}
		out.Fields = append(out.Fields, callseq.Field{Name: cutText(p.key), Value: ev.describe(p.val, depth+1)})
	}
	if x.class != classArray && x.class != classArguments {
		sortFields(out.Fields)
	}
	return out
}

func sortFields(fs []callseq.Field) {
	for i := 1; i < len(fs); i++ {
		for j := i; j > 0 && fs[j].Name < fs[j-1].Name; j-- {
			fs[j], fs[j-1] = fs[j-1], fs[j]
		}
	}
}

// quietTypes are behaviour types that matter only for data that came from somewhere or is long.
var quietTypes = map[string]bool{"DECODE": true, "ENCODE": true, "ENCRYPT": true, "DECRYPT": true, "SERIALIZATION": true, "HASH": true, "CRYPTO": true}

// worthRecording keeps transformations of the package's own short constants out of the trace.
func worthRecording(api *behavior.API, recv Value, args []Value) bool {
	quiet := true
	for _, t := range api.Types {
		if !quietTypes[t.Type] {
			quiet = false
		}
	}
	if !quiet {
		return true
	}
	if recv != nil && len(own(recv)) > 0 && len(api.Types) > 0 {
		return true
	}
	for _, a := range args {
		if len(deep(a)) > 0 {
			return true
		}
		if len(api.Types) == 0 {
			continue
		}
		if s, ok := plain(a).(string); ok && len(s) >= 40 {
			return true
		}
		if o, ok := a.(*Object); ok && o.class == classBytes {
			if b, ok := o.data.(*bytesData); ok && b.length() >= 32 {
				return true
			}
		}
	}
	return false
}

// guard describes a condition that may go either way.
func (ev *evaluator) guard(test js.Expr, v Value) callseq.Guard {
	ev.unknownOps++
	g := callseq.Guard{Cond: ev.nextCond()}
	if ev.act != nil && ev.act.unit != nil {
		g.Text = snippet(ev.act.unit.Source, int(test.Pos()))
	}
	for _, f := range deep(v) {
		if n := len(g.Reads); n < 8 && (n == 0 || g.Reads[n-1] != f.From) {
			g.Reads = append(g.Reads, f.From)
		}
	}
	return g
}

func (ev *evaluator) nextCond() int {
	ev.conds++
	return ev.conds
}

// snippet is the start of the source at an offset, for people.
func snippet(src string, at int) string {
	if at < 0 || at >= len(src) {
		return ""
	}
	end := min(len(src), at+60)
	s := src[at:end]
	if i := strings.IndexAny(s, "\n\r{;"); i > 0 {
		s = s[:i]
	}
	return strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
}
