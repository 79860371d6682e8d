package novelty

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
)

// Case is a confirmed sample to learn from.
type Case struct {
	Record
	Trace *callseq.Trace
}

// Proposal is a behaviour that samples have in common, as the text of a file for knowledge/behaviors.
type Proposal struct {
	ID      string
	YAML    []byte
	Steps   []string // types or APIs, with the arrow before each but the first
	Matches []string // samples that show it, in the order given
	Known   bool     // known samples show it too: nothing better was found
}

// ErrNothingCommon says that the samples share neither a chain of values nor a run of calls.
var ErrNothingCommon = errors.New("the samples have nothing in common")

// maxTries bounds the patterns that are tried on the samples.
const maxTries = 60

// candidate is a pattern that might describe the samples.
type candidate struct {
	steps []string
	flow  bool
	share int // samples that may show it
	known bool
}

// Learn proposes the most telling pattern that at least least of the samples show: a chain of values between behaviour types before a
// run of calls, one that no known sample shows before others, a longer one before a shorter, specific types before general ones.
// id names it, as M1/name. The text loads as a behaviour and was matched against the samples.
func Learn(base *behavior.Base, cases []Case, known *Known, least int, id string) (*Proposal, error) {
	if len(cases) == 0 {
		return nil, ErrNothingCommon
	}
	var list []candidate
	chains := shared(cases, least, func(c Case) []string { return c.Chains })
	for c, n := range chains {
		ab := strings.Split(c, " => ")
		list = append(list, candidate{ab, true, n, known.chains[c]})
		for d, m := range chains { // A => B => C, where both are shared
			bc := strings.Split(d, " => ")
			if ab[1] == bc[0] && bc[1] != ab[0] && bc[1] != ab[1] {
				list = append(list, candidate{[]string{ab[0], ab[1], bc[1]}, true, min(n, m), known.chains[c] && known.chains[d]})
			}
		}
	}
	for s, n := range shared(cases, least, func(c Case) []string { return c.Sequences }) {
		list = append(list, candidate{strings.Split(s, " > "), false, n, known.sequences[s]})
	}
	rank := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(rank(a.known), rank(b.known)), cmp.Compare(rank(b.flow), rank(a.flow)), cmp.Compare(b.share, a.share),
			cmp.Compare(len(b.steps), len(a.steps)), cmp.Compare(specific(b.steps), specific(a.steps)), slices.Compare(a.steps, b.steps))
	})
	for _, c := range list[:min(len(list), maxTries)] {
		p := &Proposal{ID: id, Known: c.known}
		for i, s := range c.steps {
			switch {
			case i == 0:
			case c.flow:
				s = "=> " + s
			default:
				s = "-> " + s
			}
			p.Steps = append(p.Steps, s)
		}
		p.YAML = p.text(c, len(cases))
		one, err := base.Only("behaviors/"+id+".yaml", p.YAML)
		if err != nil {
			return nil, err
		}
		for _, x := range cases {
			if len(one.Match(x.Trace, behavior.Subject{Name: x.Sample})) > 0 {
				p.Matches = append(p.Matches, x.Sample)
			}
		}
		if len(p.Matches) >= least {
			return p, nil
		}
	}
	return nil, ErrNothingCommon
}

// shared counts what at least so many of the samples have.
func shared(cases []Case, least int, of func(Case) []string) map[string]int {
	n := map[string]int{}
	for _, c := range cases {
		for _, x := range of(c) {
			n[x]++
		}
	}
	for x, k := range n {
		if k < least {
			delete(n, x)
		}
	}
	return n
}

// specific grows with how closely types say what is done: subtypes have longer names.
func specific(steps []string) int {
	n := 0
	for _, s := range steps {
		n += strings.Count(s, "_")
	}
	return n
}

func (p *Proposal) text(c candidate, samples int) []byte {
	var b strings.Builder
	category, _, _ := strings.Cut(p.ID, "/")
	fmt.Fprintf(&b, "# Proposed by donapi kb learn from %d samples. To be edited: the title, the description, the severity by phase, destinations that are\n# ordinary (nothost), and what calls must not have (not). It needs an inert example and a benign twin beside it.\n", samples)
	fmt.Fprintf(&b, "id: %s\ntitle: says in a few words what it does\ncategory: %s\nseverity: medium\ndescription: >-\n  Says what is done, and why honest packages do not.\nsteps:\n", p.ID, category)
	for i, s := range c.steps {
		if c.flow {
			fmt.Fprintf(&b, "  - types: [%s]\n", s)
		} else {
			fmt.Fprintf(&b, "  - api: [%q]\n", s)
		}
		if i > 0 {
			arrow := "->"
			if c.flow {
				arrow = "=>"
			}
			fmt.Fprintf(&b, "    arrow: %q\n", arrow)
		}
	}
	return []byte(b.String())
}
