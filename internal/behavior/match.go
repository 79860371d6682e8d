package behavior

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Subject is what the matcher may know of the package beside its trace.
type Subject struct {
	Name  string
	Hosts []string // of homepage, repository and bugs: the package's own documented hosts
}

// perBehavior bounds the findings of one behaviour; maxTried bounds the candidates looked at for one step of one chain.
const (
	perBehavior = 3
	maxTried    = 4000
)

type matcher struct {
	base    *Base
	t       *callseq.Trace
	subject Subject
	types   [][]string              // by call
	byType  map[string][]callseq.ID // calls by type, in order
	flows   []map[callseq.ID]callseq.Via
	dests   map[callseq.ID]Destination
	tried   int
}

// Match finds the behaviours of a trace. The result is sorted and does not depend on anything but its arguments.
func (b *Base) Match(t *callseq.Trace, s Subject) []report.Finding {
	m := b.matcher(t, s)
	var out []report.Finding
	for _, x := range b.Behaviors {
		out = append(out, m.behavior(x)...)
	}
	report.SortFindings(out)
	return out
}

func (b *Base) matcher(t *callseq.Trace, s Subject) *matcher {
	m := &matcher{base: b, t: t, subject: s, byType: map[string][]callseq.ID{}, dests: map[callseq.ID]Destination{}}
	m.types = make([][]string, len(t.Calls))
	m.flows = make([]map[callseq.ID]callseq.Via, len(t.Calls))
	for i := range t.Calls {
		m.types[i] = b.Types(t, &t.Calls[i])
		for _, ty := range m.types[i] {
			m.byType[ty] = append(m.byType[ty], t.Calls[i].ID)
		}
	}
	return m
}

// candidates lists the calls that match a step, in order.
func (m *matcher) candidates(s *Step) []callseq.ID {
	var ids []callseq.ID
	if len(s.Types) == 0 && len(s.All) == 0 {
		for i := range m.t.Calls {
			ids = append(ids, m.t.Calls[i].ID)
		}
	} else {
		want := s.Types
		if len(want) == 0 {
			want = s.All[:1]
		}
		for _, t := range want {
			if p, ok := strings.CutSuffix(t, "*"); ok {
				for k, v := range m.byType {
					if strings.HasPrefix(k, p) {
						ids = append(ids, v...)
					}
				}
			} else {
				ids = append(ids, m.byType[t]...)
			}
		}
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	out := ids[:0:0]
	for _, id := range ids {
		if c := m.t.Lookup(id); c != nil && m.selects(s, c) {
			out = append(out, id)
		}
	}
	return out
}

// into is the set of calls that flow into a call's arguments or, for a method, into its receiver's arguments.
func (m *matcher) into(id callseq.ID) map[callseq.ID]callseq.Via {
	if f := m.flows[id-1]; f != nil {
		return f
	}
	f := map[callseq.ID]callseq.Via{}
	m.flows[id-1] = f
	c := m.t.Lookup(id)
	add := func(v *callseq.Value) {
		for _, x := range v.AllFlows() {
			if old, ok := f[x.From]; !ok || old == callseq.Copy {
				f[x.From] = x.Via
			}
		}
	}
	for i := range c.Args {
		add(&c.Args[i])
	}
	if c.Recv != nil {
		add(c.Recv)
	}
	delete(f, id)
	return f
}

// chain is one way in which a behaviour's steps are met.
type chain struct {
	ids   []callseq.ID // one or more for each step, flattened in order of steps
	flow  bool         // every => held and there is at least one
	phase callseq.Phase
}

func (m *matcher) behavior(x *Behavior) []report.Finding {
	last := len(x.Steps) - 1
	for i := range x.Unless {
		if len(m.candidates(&x.Unless[i])) > 0 {
			return nil
		}
	}
	var chains []chain
	m.tried = 0
	for _, id := range m.candidates(&x.Steps[last]) {
		c := m.t.Lookup(id)
		if !x.counts(c.Phase) {
			continue
		}
		if ids, ok := m.back(x, last, id); ok {
			chains = append(chains, chain{ids: ids, flow: x.hasFlow(), phase: c.Phase})
			if len(chains) > 200 {
				break
			}
		}
	}
	// The most telling phase first, then the earliest.
	slices.SortStableFunc(chains, func(a, b chain) int {
		return cmp.Or(cmp.Compare(x.severity(b.phase), x.severity(a.phase)), cmp.Compare(len(b.ids), len(a.ids)))
	})
	var out []report.Finding
	seen := map[string]bool{}
	for _, ch := range chains {
		f := m.finding(x, ch)
		// The same sources reaching several sinks, or one sink reached in several ways, is one finding.
		sources, sink := fmt.Sprint(f.Phase), f.Evidence[len(f.Evidence)-1]
		for _, e := range f.Evidence[:len(f.Evidence)-1] {
			sources += fmt.Sprintf("|%s:%d:%d:%s", e.File, e.Line, e.Col, e.API)
		}
		place := fmt.Sprintf("%s:%d:%s", sink.File, sink.Line, sink.API)
		if len(f.Evidence) > 1 && seen[sources] || seen[place] {
			continue
		}
		seen[sources], seen[place] = true, true
		if out = append(out, f); len(out) == perBehavior {
			break
		}
	}
	return out
}

func (x *Behavior) counts(p callseq.Phase) bool {
	if len(x.Only) > 0 {
		return slices.Contains(x.Only, p)
	}
	return true
}

func (x *Behavior) hasFlow() bool {
	return slices.ContainsFunc(x.Steps, func(s Step) bool { return s.Arrow == "=>" })
}

func (x *Behavior) severity(p callseq.Phase) report.Severity {
	if s, ok := x.Phases[p]; ok {
		return s
	}
	if p == callseq.PhaseUnused {
		return min(x.Severity, report.Low)
	}
	return x.Severity
}

// back looks for the steps before step i, which id meets, and returns the calls of all steps up to it.
func (m *matcher) back(x *Behavior, i int, id callseq.ID) ([]callseq.ID, bool) {
	if i == 0 {
		return []callseq.ID{id}, true
	}
	prev, s := &x.Steps[i-1], &x.Steps[i]
	c := m.t.Lookup(id)
	if s.Arrow == "=>" {
		in := m.into(id)
		var from []callseq.ID
		for f, via := range in {
			if fc := m.t.Lookup(f); fc != nil && (len(s.Via) == 0 || slices.Contains(s.Via, string(via))) && m.selects(prev, fc) {
				from = append(from, f)
			}
		}
		slices.Sort(from)
		if prev.Distinct > 0 {
			if m.distinct(prev, from) < prev.Distinct {
				return nil, false
			}
			if i-1 == 0 {
				return append(from[:min(len(from), 12)], id), true
			}
		}
		for _, f := range from {
			if ids, ok := m.back(x, i-1, f); ok {
				if prev.Distinct == 0 && i-1 == 0 { // all the sources of one leak are one piece of evidence
					ids = from[:min(len(from), 12)]
				}
				return append(slices.Clone(ids), id), true
			}
		}
		return nil, false
	}
	cands := m.candidatesOf(x, i-1)
	for k := len(cands) - 1; k >= 0; k-- {
		if m.tried++; m.tried > maxTried {
			return nil, false
		}
		if cands[k] >= id {
			continue
		}
		pc := m.t.Lookup(cands[k])
		if !before(pc, c) {
			continue
		}
		if ids, ok := m.back(x, i-1, cands[k]); ok {
			return append(slices.Clone(ids), id), true
		}
	}
	return nil, false
}

func (m *matcher) candidatesOf(x *Behavior, i int) []callseq.ID { return m.candidates(&x.Steps[i]) }

func (m *matcher) distinct(s *Step, ids []callseq.ID) int {
	seen := map[string]bool{}
	for _, id := range ids {
		for _, want := range s.Types {
			p, star := strings.CutSuffix(want, "*")
			for _, t := range m.types[id-1] {
				if t == want || star && strings.HasPrefix(t, p) {
					seen[t] = true
				}
			}
		}
	}
	return len(seen)
}

// before reports that a may happen before b: same phase, branches that do not exclude each other.
func before(a, b *callseq.Call) bool {
	if a.Phase != b.Phase || a.Origin == b.Origin && a.Phase == callseq.PhaseInstall && a.Entry != b.Entry && a.Proc != b.Proc {
		return false
	}
	for _, g := range a.Guards {
		for _, h := range b.Guards {
			if g.Cond == h.Cond && g.Taken != h.Taken {
				return false
			}
		}
	}
	return true
}

func (m *matcher) finding(x *Behavior, ch chain) report.Finding {
	f := report.Finding{ID: x.ID, Title: x.Title, Category: x.Category, Severity: x.severity(ch.phase), Confidence: report.BySequence, Phase: ch.phase, Tags: slices.Clone(x.Tags)}
	if ch.flow {
		f.Confidence = report.ByFlow
	}
	f.Tags = append(f.Tags, trigger(ch.phase))
	slices.Sort(f.Tags)
	f.Tags = slices.Compact(f.Tags)
	for i := range x.Raise {
		if len(m.candidates(&x.Raise[i].Step)) > 0 {
			f.Severity = report.Severity(max(int(report.Info), min(int(report.Critical), int(f.Severity)+x.Raise[i].By)))
		}
	}
	in := map[callseq.ID]bool{}
	for _, id := range ch.ids {
		in[id] = true
	}
	for _, id := range ch.ids {
		f.Evidence = append(f.Evidence, m.evidence(id, in))
	}
	return f
}

func trigger(p callseq.Phase) string {
	switch p {
	case callseq.PhaseInstall:
		return "T1"
	case callseq.PhaseImport:
		return "T3"
	case callseq.PhaseBrowser:
		return "T5"
	case callseq.PhaseUnused:
		return "T7"
	}
	return "T4"
}

func (m *matcher) evidence(id callseq.ID, in map[callseq.ID]bool) report.Evidence {
	c := m.t.Lookup(id)
	pos := m.t.FilePos(c.Pos)
	e := report.Evidence{File: m.t.File(c.Pos), Line: pos.Line, Col: pos.Col, API: c.API, Call: c.ID, Text: Render(c), Types: m.types[id-1]}
	if c.Pos.Layer < len(m.t.Layers) && m.t.Layers[c.Pos.Layer].Parent >= 0 {
		l := m.t.Layers[c.Pos.Layer]
		e.Layer = l.How
	}
	if slices.ContainsFunc(m.types[id-1], func(t string) bool { return strings.HasPrefix(t, "NETWORK_") || t == "SHELL_NETWORK" }) {
		e.To = m.destination(c).Host
	}
	for f := range m.into(id) {
		if in[f] {
			e.From = append(e.From, f)
		}
	}
	slices.Sort(e.From)
	return e
}

// Render writes a call for people: its name and what is known of its arguments, shortened.
func Render(c *callseq.Call) string {
	var s strings.Builder
	if c.Kind == callseq.KindNew {
		s.WriteString("new ")
	}
	s.WriteString(strings.TrimPrefix(c.API, "$"))
	switch c.Kind {
	case callseq.KindGet:
		if len(c.Args) > 0 {
			s.WriteString("." + c.Args[0].Pattern("?"))
		}
		return s.String()
	case callseq.KindSet:
		s.WriteString(" = ")
		for i := range c.Args {
			if i > 0 {
				s.WriteString(", ")
			}
			renderValue(&s, &c.Args[i], 1)
		}
		return s.String()
	}
	s.WriteByte('(')
	for i := range c.Args {
		if i > 0 {
			s.WriteString(", ")
		}
		if s.Len() > 300 {
			s.WriteString("\u2026")
			break
		}
		renderValue(&s, &c.Args[i], 0)
	}
	s.WriteByte(')')
	return s.String()
}

func renderValue(s *strings.Builder, v *callseq.Value, depth int) {
	switch {
	case len(v.Parts) > 0:
		for i, p := range v.Parts {
			if i > 0 {
				s.WriteString(" + ")
			}
			if s.Len() > 360 {
				s.WriteString("\u2026")
				return
			}
			if p.Hole {
				src := p.Source
				if src == "" {
					src = "?"
				}
				s.WriteString("<" + src + ">")
			} else {
				s.WriteString(quote(p.Lit))
			}
		}
	case len(v.Alts) > 0:
		for i := range v.Alts {
			if i > 0 {
				s.WriteString(" | ")
			}
			if i > 2 {
				s.WriteString("\u2026")
				break
			}
			renderValue(s, &v.Alts[i], depth+1)
		}
	case v.Text == "" && v.Source != "" && v.Kind != callseq.Func:
		s.WriteString("<" + v.Source + ">")
	case v.Kind == callseq.String || v.Kind == callseq.Bytes:
		s.WriteString(quote(v.Text))
	case v.Kind == callseq.Number || v.Kind == callseq.Bool:
		s.WriteString(v.Text)
	case v.Kind == callseq.Undefined:
		s.WriteString("undefined")
	case v.Kind == callseq.Null:
		s.WriteString("null")
	case v.Kind == callseq.Func:
		s.WriteString("function")
	case v.Kind == callseq.Array || v.Kind == callseq.Object:
		o, c := "{", "}"
		if v.Kind == callseq.Array {
			o, c = "[", "]"
		}
		s.WriteString(o)
		for i := range v.Fields {
			if i > 0 {
				s.WriteString(", ")
			}
			if i > 5 || depth > 1 || s.Len() > 300 {
				s.WriteString("\u2026")
				break
			}
			if v.Kind == callseq.Object {
				s.WriteString(v.Fields[i].Name + ": ")
			}
			renderValue(s, &v.Fields[i].Value, depth+1)
		}
		s.WriteString(c)
	default:
		src := v.Source
		if src == "" {
			src = "?"
		}
		s.WriteString("<" + src + ">")
	}
}

func quote(s string) string {
	if len(s) > 120 {
		s = strings.ToValidUTF8(s[:120], "") + "\u2026"
	}
	return fmt.Sprintf("%q", s)
}

// Explain finds a behaviour by ID.
func (b *Base) Explain(id string) *Behavior { return b.byID[id] }
