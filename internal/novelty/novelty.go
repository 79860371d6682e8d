// Package novelty tells what a confirmed sample does that no known one did: API calls, and sequences of calls, by the difference of
// sets. Both are normalised before, so that names of files, arguments and repetition do not make everything new. It also finds the
// pattern that samples have in common, as a behaviour for a person to edit.
package novelty

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
)

// Record is what one sample did, normalised. Every list is sorted and without doubles.
type Record struct {
	Sample    string   `json:"sample"`
	Integrity string   `json:"integrity,omitempty"`
	Date      string   `json:"date,omitempty"` // the day since which it is known, as 2026-01-02
	APIs      []string `json:"apis"`
	Sequences []string `json:"sequences"` // runs of two and three calls of one entry, as "a > b > c"
	Chains    []string `json:"chains"`    // behaviour types between which a value flows, as "A => B"
}

// Limits of a record. What lies beyond them is left out.
const (
	maxSequences = 20_000
	maxChains    = 20_000
	maxTypes     = 8 // of one call, for chains
	maxRun       = 3
	maxRecord    = 32 << 20 // bytes of one line of a file
)

// Of normalises a trace. Only calls that the knowledge base gives a behaviour type count, by their canonical names; a call that
// repeats the one before it counts once. Code that nothing reaches is left out.
func Of(base *behavior.Base, t *callseq.Trace, sample, integrity string) Record {
	r := Record{Sample: sample, Integrity: integrity, APIs: []string{}, Sequences: []string{}, Chains: []string{}}
	types := make([][]string, len(t.Calls))
	apis, sequences, chains := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for i := range t.Calls {
		c := &t.Calls[i]
		if c.Phase == callseq.PhaseUnused || c.API == "" {
			continue
		}
		if types[i] = base.Types(t, c); len(types[i]) > 0 {
			apis[canonical(base, c)] = true
		}
	}
	for _, s := range t.Sequences() {
		var run []string
		for _, id := range s.Calls {
			c := t.Lookup(id)
			if len(types[id-1]) == 0 {
				continue
			}
			name := canonical(base, c)
			if len(run) > 0 && run[len(run)-1] == name {
				continue
			}
			if run = append(run, name); len(run) > maxRun {
				run = run[1:]
			}
			for n := 2; n <= len(run) && len(sequences) < maxSequences; n++ {
				sequences[strings.Join(run[len(run)-n:], " > ")] = true
			}
		}
	}
	for i := range t.Calls {
		if len(types[i]) == 0 {
			continue
		}
		for _, from := range sources(&t.Calls[i], t) {
			for _, a := range limited(types[from-1]) {
				for _, b := range limited(types[i]) {
					// what a request sends is not what it gives, and the other way round
					if a != b && a != "NETWORK_OUT" && b != "NETWORK_IN" && len(chains) < maxChains {
						chains[a+" => "+b] = true
					}
				}
			}
		}
	}
	r.APIs, r.Sequences, r.Chains = sorted(apis), sorted(sequences), sorted(chains)
	return r
}

func canonical(base *behavior.Base, c *callseq.Call) string {
	if a := base.API(c.API); a != nil {
		return a.Name
	}
	if strings.HasPrefix(c.API, "$shell.") { // a program of no description, often a file of the package
		return "$shell.other"
	}
	return c.API
}

func limited(types []string) []string { return types[:min(len(types), maxTypes)] }

// sources are the calls whose values flow into a call, sorted.
func sources(c *callseq.Call, t *callseq.Trace) []callseq.ID {
	var out []callseq.ID
	add := func(v *callseq.Value) {
		for _, f := range v.AllFlows() {
			if f.From != c.ID && t.Lookup(f.From) != nil {
				out = append(out, f.From)
			}
		}
	}
	for i := range c.Args {
		add(&c.Args[i])
	}
	if c.Recv != nil {
		add(c.Recv)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Known is what known samples did, all together.
type Known struct {
	Samples   int
	apis      map[string]bool
	sequences map[string]bool
	chains    map[string]bool
}

// Add makes a sample known.
func (k *Known) Add(r Record) {
	if k.apis == nil {
		k.apis, k.sequences, k.chains = map[string]bool{}, map[string]bool{}, map[string]bool{}
	}
	k.Samples++
	for _, x := range r.APIs {
		k.apis[x] = true
	}
	for _, x := range r.Sequences {
		k.sequences[x] = true
	}
	for _, x := range r.Chains {
		k.chains[x] = true
	}
}

// Novelty is what one sample did and no known one.
type Novelty struct {
	Sample    string   `json:"sample"`
	Integrity string   `json:"integrity,omitempty"`
	APIs      []string `json:"apis"`
	Sequences []string `json:"sequences"` // only those of which no part is new by itself
}

// Of lists what is new in a record. A sequence is left out when a shorter one in it, or a call, is new already: that tells it better.
func (k *Known) Of(r Record) Novelty {
	n := Novelty{Sample: r.Sample, Integrity: r.Integrity, APIs: []string{}, Sequences: []string{}}
	fresh := map[string]bool{}
	for _, a := range r.APIs {
		if !k.apis[a] {
			n.APIs = append(n.APIs, a)
			fresh[a] = true
		}
	}
	list := slices.Clone(r.Sequences)
	slices.SortFunc(list, func(a, b string) int {
		return cmp.Or(cmp.Compare(strings.Count(a, " > "), strings.Count(b, " > ")), cmp.Compare(a, b))
	})
	for _, s := range list {
		if k.sequences[s] {
			continue
		}
		if !anyPart(strings.Split(s, " > "), fresh) {
			n.Sequences = append(n.Sequences, s)
		}
		fresh[s] = true
	}
	return n
}

// anyPart reports that a run within the calls, shorter than all of them, is in the set.
func anyPart(calls []string, set map[string]bool) bool {
	for n := 1; n < len(calls); n++ {
		for i := 0; i+n <= len(calls); i++ {
			if set[strings.Join(calls[i:i+n], " > ")] {
				return true
			}
		}
	}
	return false
}

// Write prints a record as one line.
func (r Record) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// Read reads records, one a line, that were known at a day; "" takes all. Records without a date were always known.
func Read(r io.Reader, asOf string, f func(Record)) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxRecord)
	for n := 1; sc.Scan(); n++ {
		if strings.TrimSpace(sc.Text()) == "" {
			continue
		}
		var x Record
		dec := json.NewDecoder(bytes.NewReader(sc.Bytes()))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&x); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if x.Date != "" {
			if _, err := time.Parse(time.DateOnly, x.Date); err != nil {
				return fmt.Errorf("line %d: date %.50q is not a day", n, x.Date)
			}
		}
		if asOf == "" || x.Date <= asOf {
			f(x)
		}
	}
	return sc.Err()
}
