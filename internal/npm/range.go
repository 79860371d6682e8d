package npm

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Range is a set of versions as npm's semver reads it, loosely: alternatives of comparators that all must hold. It is our own
// because Go's libraries let other pre-releases in than npm does, and the version judged must be the version installed.
type Range struct {
	any [][]comparator
}

// semVersion is a version. A pre-release is lower than its release.
type semVersion struct {
	n   [3]int64
	pre []string
}

func (v semVersion) String() string {
	s := fmt.Sprintf("%d.%d.%d", v.n[0], v.n[1], v.n[2])
	if len(v.pre) > 0 {
		s += "-" + strings.Join(v.pre, ".")
	}
	return s
}

type comparator struct {
	op string // >=, >, <, <= or =
	v  semVersion
}

const (
	maxSemver = 256 // length of a version, as npm has it
	maxSafe   = 1<<53 - 1
	part      = `([0-9]+|[xX*])`
	tail      = `(?:-?((?:[0-9A-Za-z-]+)(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?`
)

var (
	fullVersion = regexp.MustCompile(`^[v=\s]*([0-9]+)\.([0-9]+)\.([0-9]+)` + tail + `$`)
	partial     = regexp.MustCompile(`^[v=\s]*` + part + `(?:\.` + part + `(?:\.` + part + tail + `)?)?$`)
	hyphen      = regexp.MustCompile(`^\s*(\S+)\s+-\s+(\S+)\s*$`)
	compareGap  = regexp.MustCompile(`([<>]=?|=) +([v=]*[0-9xX*])`)
	tildeGap    = regexp.MustCompile(`(~)>? +|(\^) +`)
	star        = regexp.MustCompile(`[<>]?=?\s*\*`)
	operator    = regexp.MustCompile(`^(>=|<=|>|<|=|~>|~|\^|)(.*)$`)
)

func parseVersion(s string) (semVersion, bool) {
	s = strings.TrimSpace(s)
	m := fullVersion.FindStringSubmatch(s)
	if m == nil || len(s) > maxSemver {
		return semVersion{}, false
	}
	return build(m[1:4], m[4])
}

func build(parts []string, pre string) (v semVersion, ok bool) {
	for i, p := range parts {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil || n > maxSafe {
			return v, false
		}
		v.n[i] = n
	}
	if pre != "" {
		v.pre = strings.Split(pre, ".")
		for i, p := range v.pre {
			if n, numeric := number(p); numeric { // 01 is 1, loosely
				v.pre[i] = strconv.FormatInt(n, 10)
			}
		}
	}
	return v, true
}

func number(s string) (int64, bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= maxSafe
}

func (v semVersion) sameTriple(w semVersion) bool { return v.n == w.n }

func (v semVersion) compare(w semVersion) int {
	for i := range v.n {
		if c := cmp.Compare(v.n[i], w.n[i]); c != 0 {
			return c
		}
	}
	if len(v.pre) == 0 || len(w.pre) == 0 {
		return cmp.Compare(len(w.pre), len(v.pre)) // the release is higher; equal when neither has one
	}
	for i := 0; i < len(v.pre) && i < len(w.pre); i++ {
		a, aNum := number(v.pre[i])
		b, bNum := number(w.pre[i])
		c := strings.Compare(v.pre[i], w.pre[i])
		switch {
		case aNum && bNum:
			c = cmp.Compare(a, b)
		case aNum:
			c = -1
		case bNum:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.pre), len(w.pre))
}

// ParseRange reads a range: comparators, ^, ~, hyphens, x and alternatives with ||. "" is any version. As npm does, it passes over
// comparators that are none, as long as one is left, and takes the whole for any version when one alternative is.
func ParseRange(s string) (*Range, error) {
	r := &Range{}
	if len(s) > 16<<10 {
		return nil, fmt.Errorf("range of %d bytes", len(s))
	}
	s = strings.Join(strings.Fields(s), " ")
	found, any := false, false
	for _, alt := range strings.Split(s, "||") {
		cs, ok := comparators(strings.TrimSpace(alt))
		if !ok {
			continue
		}
		found = true
		any = any || len(cs) == 0
		r.any = append(r.any, cs)
	}
	if !found {
		return nil, fmt.Errorf("%q is not a range", s)
	}
	if any {
		r.any = [][]comparator{nil}
	}
	return r, nil
}

// comparators reads one alternative; ok is false when nothing in it is a comparator.
func comparators(s string) (out []comparator, ok bool) {
	if m := hyphen.FindStringSubmatch(s); m != nil && partial.MatchString(m[1]) && partial.MatchString(m[2]) {
		from, ok1 := desugar(">=", m[1])
		to, ok2 := desugar("<=", m[2])
		if ok1 && ok2 {
			return append(from, to...), true
		}
	}
	s = compareGap.ReplaceAllString(s, "$1$2")
	s = tildeGap.ReplaceAllString(s, "$1$2")
	fields := strings.Split(s, " ")
	for i, f := range fields {
		cs, valid := token(f)
		if !valid || len(cs) == 0 && i > 0 && i < len(fields)-1 { // between others, x says nothing
			continue
		}
		ok = true
		if len(cs) == 1 && cs[0].op == "<" && cs[0].v.compare(none[0].v) == 0 {
			return none, true
		}
		for _, c := range cs {
			if c.op != ">=" || c.v.compare(semVersion{}) != 0 { // that is any version
				out = append(out, c)
			}
		}
	}
	return out, ok
}

// token reads one comparator.
func token(f string) ([]comparator, bool) {
	m := operator.FindStringSubmatch(f)
	tilde := m[1] == "^" || m[1] == "~" || m[1] == "~>"
	if cs, ok := desugar(m[1], m[2]); ok && (tilde || ordered(m[2])) {
		return cs, true
	}
	at := star.FindStringIndex(f) // npm drops a star wherever it stands
	if at == nil {
		return nil, false
	}
	f = f[:at[0]] + f[at[1]:]
	m = operator.FindStringSubmatch(f)
	if m[1] == "^" || m[1] == "~" || m[1] == "~>" {
		return nil, false
	}
	if _, full := parseVersion(m[2]); f != "" && !full {
		return nil, false
	}
	return desugar(m[1], m[2])
}

// ordered reports that no number follows an x, as it does in 1.x.3.
func ordered(s string) bool {
	m := partial.FindStringSubmatch(s)
	if m == nil {
		return s == ""
	}
	x := false
	for _, p := range m[1:4] {
		isX := strings.ContainsAny(p, "xX*")
		if x && p != "" && !isX {
			return false
		}
		x = x || isX
	}
	return true
}

// none holds for no version at all.
var none = []comparator{{"<", semVersion{pre: []string{"0"}}}}

// desugar turns an operator and a version that may lack parts into plain comparators. No comparator means any version.
func desugar(op, s string) ([]comparator, bool) {
	if s == "" {
		return nil, op == ""
	}
	m := partial.FindStringSubmatch(s)
	if m == nil || len(s) > maxSemver {
		return nil, false
	}
	known := 0
	parts := []string{"0", "0", "0"}
	for known < 3 && m[known+1] != "" && !strings.ContainsAny(m[known+1], "xX*") {
		parts[known] = m[known+1]
		known++
	}
	pre := m[4]
	if known < 3 {
		pre = ""
	}
	v, ok := build(parts, pre)
	if !ok {
		return nil, false
	}
	// up is the first pre-release of the version after v in part i
	up := func(i int) semVersion {
		w := semVersion{pre: []string{"0"}}
		copy(w.n[:i+1], v.n[:i+1])
		w.n[i]++
		return w
	}
	between := func(i int) []comparator { return []comparator{{">=", v}, {"<", up(i)}} }
	switch op {
	case "^":
		switch {
		case known == 0:
			return nil, true
		case v.n[0] > 0 || known == 1:
			return between(0), true
		case v.n[1] > 0 || known == 2:
			return between(1), true
		}
		return between(2), true
	case "~", "~>":
		switch known {
		case 0:
			return nil, true
		case 1:
			return between(0), true
		}
		return between(1), true
	case "", "=":
		switch known {
		case 0:
			return nil, true
		case 3:
			return []comparator{{"=", v}}, true
		}
		return between(known - 1), true
	case ">":
		switch known {
		case 0:
			return none, true
		case 3:
			return []comparator{{">", v}}, true
		}
		w := up(known - 1)
		w.pre = nil
		return []comparator{{">=", w}}, true
	case "<":
		if known == 0 {
			return none, true
		}
		if known < 3 {
			v.pre = []string{"0"}
		}
		return []comparator{{"<", v}}, true
	case "<=":
		switch known {
		case 0:
			return nil, true
		case 3:
			return []comparator{{"<=", v}}, true
		}
		return []comparator{{"<", up(known - 1)}}, true
	}
	// >=
	if known == 0 {
		return nil, true
	}
	return []comparator{{">=", v}}, true
}

// Allows reports whether a version lies in the range. A pre-release does so only if the range names a pre-release of the same version.
func (r *Range) Allows(version string) bool {
	v, ok := parseVersion(version)
	return ok && r.allows(v)
}

func (r *Range) allows(v semVersion) bool {
	for _, all := range r.any {
		if holds(all, v) {
			return true
		}
	}
	return false
}

func holds(all []comparator, v semVersion) bool {
	named := len(v.pre) == 0
	for _, c := range all {
		x := v.compare(c.v)
		ok := x == 0
		switch c.op {
		case ">=":
			ok = x >= 0
		case ">":
			ok = x > 0
		case "<=":
			ok = x <= 0
		case "<":
			ok = x < 0
		}
		if !ok {
			return false
		}
		named = named || len(c.v.pre) > 0 && c.v.sameTriple(v)
	}
	return named
}
