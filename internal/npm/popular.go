package npm

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Popular is a dated list of names that many packages depend on. It is compiled from dependency lists, not from downloads: that a
// name is missing says nothing. Its zero value is the empty list.
type Popular struct {
	Date  string // as 2026-11-30; "" when the list does not say
	Names []PopularName

	dependents map[string]int
	scopes     map[string]int // "@scope" -> names of it in the list
}

// PopularName is one name and how many packages of the compiled ones depend on it.
type PopularName struct {
	Name       string
	Dependents int
}

// Limits of a list.
const (
	maxPopular     = 100_000
	maxPopularLine = 512
)

// ParsePopular reads a list: one "NAME DEPENDENTS" a line, # for comments, of which "# date: YYYY-MM-DD" is the list's date.
func ParsePopular(data []byte) (*Popular, error) {
	p := &Popular{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if c, ok := strings.CutPrefix(line, "#"); ok {
			if d, ok := strings.CutPrefix(strings.TrimSpace(c), "date:"); ok {
				p.Date = strings.TrimSpace(d)
			}
			continue
		}
		if line == "" {
			continue
		}
		name, count, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(count)
		if len(line) > maxPopularLine || !ValidName(name) || err != nil || n < 1 {
			return nil, fmt.Errorf("line %d: %.100q is not a name and the number of its dependents", i+1, line)
		}
		if len(p.Names) == maxPopular {
			return nil, fmt.Errorf("line %d: more than %d names", i+1, maxPopular)
		}
		p.Names = append(p.Names, PopularName{name, n})
	}
	p.index()
	return p, nil
}

func (p *Popular) index() {
	slices.SortFunc(p.Names, func(a, b PopularName) int {
		return cmp.Or(cmp.Compare(b.Dependents, a.Dependents), cmp.Compare(a.Name, b.Name))
	})
	p.Names = slices.CompactFunc(p.Names, func(a, b PopularName) bool { return a.Name == b.Name })
	p.dependents, p.scopes = make(map[string]int, len(p.Names)), map[string]int{}
	for _, n := range p.Names {
		p.dependents[n.Name] = n.Dependents
		if scope, _, ok := strings.Cut(n.Name, "/"); ok {
			p.scopes[scope]++
		}
	}
}

// Dependents is how many packages depend on a name, 0 when the list has it not.
func (p *Popular) Dependents(name string) int { return p.dependents[name] }

// Scope is how many names of a scope, written "@scope", are in the list.
func (p *Popular) Scope(scope string) int { return p.scopes[scope] }

// Scopes lists the scopes of the list, sorted.
func (p *Popular) Scopes() []string {
	var out []string
	for s := range p.scopes {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// Write prints the list as ParsePopular reads it. Each line of recipe becomes a comment.
func (p *Popular) Write(w io.Writer, recipe ...string) error {
	b := bufio.NewWriter(w)
	for _, r := range recipe {
		fmt.Fprintf(b, "# %s\n", r)
	}
	fmt.Fprintf(b, "# date: %s\n", p.Date)
	for _, n := range p.Names {
		fmt.Fprintf(b, "%s %d\n", n.Name, n.Dependents)
	}
	return b.Flush()
}

// Tally counts who depends on whom. A package counts once, however many of its versions and places were read. The zero value is ready.
type Tally struct {
	dependents map[string]map[string]bool // dependency -> dependents
	packages   map[string]bool
}

// Packages is how many packages, by name, were read.
func (t *Tally) Packages() int { return len(t.packages) }

// Manifest adds the dependencies of a package, of all kinds. One without a valid name is left out.
func (t *Tally) Manifest(m *Manifest) {
	t.add(m.Name, slices.Concat(m.Dependencies, m.DevDependencies, m.OptionalDependencies, m.PeerDependencies))
}

func (t *Tally) add(name string, deps []Pair) {
	if !ValidName(name) {
		return
	}
	if t.dependents == nil {
		t.dependents, t.packages = map[string]map[string]bool{}, map[string]bool{}
	}
	t.packages[name] = true
	for _, d := range deps {
		on, want := d.Key, strings.TrimSpace(d.Value)
		if real, ok := strings.CutPrefix(want, "npm:"); ok {
			s, err := ParseSpec(real)
			if err != nil {
				continue
			}
			on = s.Name
		} else if strings.Contains(want, ":") || strings.HasPrefix(want, ".") || strings.Contains(want, "/") {
			continue // a URL, a repository, a folder: not the registry's package of that name
		}
		if !ValidName(on) || on == name {
			continue
		}
		if t.dependents[on] == nil {
			t.dependents[on] = map[string]bool{}
		}
		t.dependents[on][name] = true
	}
}

// Lockfile adds every package of a package-lock.json of any version with the dependencies that it names.
func (t *Tally) Lockfile(data []byte) error {
	type entry struct {
		Name                 string                     `json:"name"`
		Dependencies         json.RawMessage            `json:"dependencies"` // names and ranges, or in version 1 the packages below
		DevDependencies      map[string]string          `json:"devDependencies"`
		OptionalDependencies map[string]string          `json:"optionalDependencies"`
		PeerDependencies     map[string]string          `json:"peerDependencies"`
		Requires             json.RawMessage            `json:"requires"` // version 1: names and ranges; of the root a boolean
		Packages             map[string]json.RawMessage `json:"packages"`
	}
	var root entry
	if err := json.Unmarshal(data, &root); err != nil {
		return fmt.Errorf("lock file: %w", err)
	}
	pairs := func(maps ...map[string]string) []Pair {
		var out []Pair
		for _, m := range maps {
			for k, v := range m {
				out = append(out, Pair{k, v})
			}
		}
		return out
	}
	if root.Packages != nil {
		for p, raw := range root.Packages {
			var e entry
			if err := json.Unmarshal(raw, &e); err != nil {
				return fmt.Errorf("lock file: %.200q: %w", p, err)
			}
			if i := strings.LastIndex(p, "node_modules/"); i >= 0 && e.Name == "" {
				e.Name = p[i+len("node_modules/"):]
			}
			var deps map[string]string
			if len(e.Dependencies) > 0 && json.Unmarshal(e.Dependencies, &deps) != nil {
				return fmt.Errorf("lock file: %.200q: dependencies are not names and ranges", p)
			}
			t.add(e.Name, pairs(deps, e.DevDependencies, e.OptionalDependencies, e.PeerDependencies))
		}
		return nil
	}
	var below func(raw json.RawMessage, depth int) error
	below = func(raw json.RawMessage, depth int) error {
		if len(raw) == 0 || isNull(raw) {
			return nil
		}
		if depth > maxLockDepth {
			return fmt.Errorf("lock file: nested deeper than %d", maxLockDepth)
		}
		var list map[string]entry
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("lock file: %w", err)
		}
		for name, e := range list {
			var requires map[string]string
			if bytes.HasPrefix(bytes.TrimSpace(e.Requires), []byte("{")) && json.Unmarshal(e.Requires, &requires) != nil {
				return fmt.Errorf("lock file: %.200q: requires are not names and ranges", name)
			}
			t.add(name, pairs(requires))
			if err := below(e.Dependencies, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if len(root.Dependencies) == 0 {
		return fmt.Errorf("lock file: it names no packages")
	}
	return below(root.Dependencies, 0)
}

const maxLockDepth = 100

// Popular lists the names that at least so many packages depend on.
func (t *Tally) Popular(least int, date string) *Popular {
	p := &Popular{Date: date}
	for n, by := range t.dependents {
		if len(by) >= least {
			p.Names = append(p.Names, PopularName{n, len(by)})
		}
	}
	p.index()
	return p
}
