package reconstruct

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// text is a piece of the merged file with the place in the package that each stretch came from. Lines and columns count from 0,
// columns in UTF-16 units, as source maps do.
type text struct {
	b        strings.Builder
	line     int
	col      int
	marks    []mark
	unit     *unit // whose text is being copied
	fromLine int
	fromCol  int
}

// mark says that what follows a place of the merged file comes from a place of a file.
type mark struct {
	line, col int
	unit      *unit // nil: written by us
	l, c      int
}

// advance moves a place over a text.
func advance(line, col int, s string) (int, int) {
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		line += strings.Count(s, "\n")
		col, s = 0, s[i+1:]
	}
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			col++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		if col++; r > 0xffff {
			col++
		}
	}
	return line, col
}

func (t *text) write(s string) {
	t.b.WriteString(s)
	t.line, t.col = advance(t.line, t.col, s)
}

func (t *text) mark() {
	m := mark{line: t.line, col: t.col, unit: t.unit, l: t.fromLine, c: t.fromCol}
	if t.unit != nil && t.unit.back != nil {
		var ok bool
		if m.l, m.c, ok = t.unit.back.original(m.l, m.c); !ok {
			return
		}
	}
	t.marks = append(t.marks, m)
}

// printf writes what no file holds.
func (t *text) printf(format string, args ...any) {
	if t.unit != nil {
		t.unit = nil
		t.mark()
	}
	t.write(fmt.Sprintf(format, args...))
}

// from begins the copy of a unit's text.
func (t *text) from(u *unit) { t.unit, t.fromLine, t.fromCol = u, 0, 0 }

// copy writes the next stretch of the unit's text.
func (t *text) copy(s string) {
	for s != "" {
		t.mark()
		line := s
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			line = s[:i+1]
		}
		t.write(line)
		t.fromLine, t.fromCol = advance(t.fromLine, t.fromCol, line)
		s = s[len(line):]
	}
}

// replace writes something else for the next stretch of the unit's text.
func (t *text) replace(old, new string) {
	if new != "" {
		t.mark()
		t.write(new)
	}
	t.fromLine, t.fromCol = advance(t.fromLine, t.fromCol, old)
}

// line ends the present line, if it holds anything.
func (t *text) endLine() {
	if t.col > 0 {
		t.unit = nil
		t.mark()
		t.write("\n")
	}
}

// append adds another text, which must begin a line.
func (t *text) append(o *text) {
	for _, m := range o.marks {
		m.line += t.line
		t.marks = append(t.marks, m)
	}
	t.b.WriteString(o.b.String())
	t.line += o.line
}

// document is a source map, version 3.
type document struct {
	Version        int      `json:"version"`
	Sources        []string `json:"sources"`
	SourcesContent []string `json:"sourcesContent,omitempty"`
	Names          []string `json:"names"`
	Mappings       string   `json:"mappings"`
}

func (t *text) sourceMap() ([]byte, error) {
	d := document{Version: 3, Sources: []string{}, Names: []string{}}
	index := map[*unit]int{}
	var b []byte
	line, col, source, l, c := 0, 0, 0, 0, 0
	first := true
	for _, m := range t.marks {
		for ; line < m.line; line++ {
			b = append(b, ';')
			col, first = 0, true
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = vlq(b, m.col-col)
		col = m.col
		if m.unit == nil {
			continue
		}
		i, ok := index[m.unit]
		if !ok {
			i = len(d.Sources)
			index[m.unit] = i
			d.Sources = append(d.Sources, m.unit.m.Path)
			d.SourcesContent = append(d.SourcesContent, string(m.unit.m.Data))
		}
		b = vlq(b, i-source)
		b = vlq(b, m.l-l)
		b = vlq(b, m.c-c)
		source, l, c = i, m.l, m.c
	}
	d.Mappings = string(b)
	return json.Marshal(d)
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// vlq appends a number as source maps write it: five bits a digit, the lowest first, the sign in the lowest bit of all.
func vlq(b []byte, n int) []byte {
	u := uint(n) << 1
	if n < 0 {
		u = uint(-n)<<1 | 1
	}
	for {
		d := u & 31
		if u >>= 5; u > 0 {
			d |= 32
		}
		b = append(b, base64Digits[d])
		if u == 0 {
			return b
		}
	}
}

// sourceMap leads from a text of one source back to it.
type sourceMap struct{ lines [][]segment }

type segment struct{ col, l, c int }

// readSourceMap reads a source map with one source.
func readSourceMap(text string) (*sourceMap, error) {
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("source map: %w", err)
	}
	m := &sourceMap{}
	l, c := 0, 0
	for _, line := range strings.Split(d.Mappings, ";") {
		var segments []segment
		col := 0
		for _, field := range strings.Split(line, ",") {
			n := unvlq(field)
			if len(n) > 0 {
				col += n[0]
			}
			if len(n) < 4 {
				continue
			}
			l, c = l+n[2], c+n[3]
			segments = append(segments, segment{col, l, c})
		}
		m.lines = append(m.lines, segments)
	}
	return m, nil
}

func unvlq(s string) []int {
	var out []int
	n, shift := 0, 0
	for i := 0; i < len(s); i++ {
		d := strings.IndexByte(base64Digits, s[i])
		if d < 0 || shift > 50 {
			return nil
		}
		n |= (d & 31) << shift
		if shift += 5; d&32 == 0 {
			if n&1 != 0 {
				out = append(out, -(n >> 1))
			} else {
				out = append(out, n>>1)
			}
			n, shift = 0, 0
		}
	}
	return out
}

// original finds where a place of the text came from: the last known place before it in its line.
func (m *sourceMap) original(line, col int) (l, c int, ok bool) {
	if line >= len(m.lines) || len(m.lines[line]) == 0 {
		return 0, 0, false
	}
	s := m.lines[line]
	i, found := slices.BinarySearchFunc(s, col, func(s segment, col int) int { return s.col - col })
	if !found {
		i--
	}
	if i < 0 {
		return s[0].l, s[0].c, true
	}
	return s[i].l, s[i].c, true
}
