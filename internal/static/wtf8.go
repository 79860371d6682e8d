package static

import (
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Strings are WTF-8 (see package js). JavaScript counts UTF-16 units, so long strings that are not ASCII are converted once and
// kept, which makes charCodeAt in a loop linear.

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// nextRune decodes one code point, lone surrogates included. Invalid bytes count as U+FFFD.
func nextRune(s string) (r rune, size int) {
	if c := s[0]; c < 0x80 {
		return rune(c), 1
	}
	r, size = utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && size <= 1 {
		if len(s) >= 3 && s[0] == 0xed && s[1]&0xc0 == 0x80 && s[2]&0xc0 == 0x80 {
			return 0xd000 | rune(s[1]&0x3f)<<6 | rune(s[2]&0x3f), 3
		}
		return utf8.RuneError, 1
	}
	return r, size
}

func encodeRune(r rune) string {
	if r >= 0xd800 && r < 0xe000 {
		return string([]byte{0xed, 0x80 | byte(r>>6&0x3f), 0x80 | byte(r&0x3f)})
	}
	return string(r)
}

// decodeWTF8 lists code points.
func decodeWTF8(s string) []rune {
	out := make([]rune, 0, len(s))
	for len(s) > 0 {
		r, n := nextRune(s)
		out = append(out, r)
		s = s[n:]
	}
	return out
}

func toUTF16(s string) []uint16 {
	out := make([]uint16, 0, len(s))
	for len(s) > 0 {
		r, n := nextRune(s)
		if r >= 0x10000 {
			r -= 0x10000
			out = append(out, uint16(0xd800+(r>>10)), uint16(0xdc00+(r&0x3ff)))
		} else {
			out = append(out, uint16(r))
		}
		s = s[n:]
	}
	return out
}

func fromUTF16(u []uint16) string {
	var b strings.Builder
	b.Grow(len(u))
	for i := 0; i < len(u); i++ {
		c := rune(u[i])
		switch {
		case c < 0x80:
			b.WriteByte(byte(c))
		case c >= 0xd800 && c < 0xdc00 && i+1 < len(u) && u[i+1] >= 0xdc00 && u[i+1] < 0xe000:
			b.WriteRune(0x10000 + (c-0xd800)<<10 + rune(u[i+1]) - 0xdc00)
			i++
		case c >= 0xd800 && c < 0xe000:
			b.WriteString(encodeRune(c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

// units is a view of a string by UTF-16 units; u is nil when the string is ASCII.
type units struct {
	s string
	u []uint16
}

func (x units) len() int {
	if x.u != nil {
		return len(x.u)
	}
	return len(x.s)
}

func (x units) at(i int) uint16 {
	if x.u != nil {
		return x.u[i]
	}
	return uint16(x.s[i])
}

func (x units) slice(i, j int) string {
	if i >= j {
		return ""
	}
	if x.u != nil {
		return fromUTF16(x.u[i:j])
	}
	return x.s[i:j]
}

// unitsCache remembers the last long strings looked into.
type unitsCache struct {
	keys [4]*byte
	vals [4]units
	next int
}

func (c *unitsCache) of(s string) units {
	if len(s) < 48 {
		if isASCII(s) {
			return units{s: s}
		}
		return units{s: s, u: toUTF16(s)}
	}
	p := unsafe.StringData(s)
	for i := range c.keys {
		if c.keys[i] == p && len(c.vals[i].s) == len(s) {
			return c.vals[i]
		}
	}
	x := units{s: s}
	if !isASCII(s) {
		x.u = toUTF16(s)
	}
	c.keys[c.next], c.vals[c.next] = p, x
	c.next = (c.next + 1) % len(c.keys)
	return x
}

func utf16Len(s string) int {
	n := 0
	for i := 0; i < len(s); {
		if s[i] < 0x80 {
			i++
			n++
			continue
		}
		r, size := nextRune(s[i:])
		i += size
		n++
		if r >= 0x10000 {
			n++
		}
	}
	return n
}

func charAt(s string, i int) Value {
	if isASCII(s) {
		if i < 0 || i >= len(s) {
			return nil
		}
		return latin[s[i]]
	}
	u := toUTF16(s)
	if i < 0 || i >= len(u) {
		return nil
	}
	return fromUTF16(u[i : i+1])
}

func (ev *evaluator) charAt(s string, i int) Value {
	x := ev.realm.units.of(s)
	if i < 0 || i >= x.len() {
		return nil
	}
	c := x.at(i)
	if c < 256 {
		return latin[c]
	}
	return fromUTF16([]uint16{c})
}

// compareUTF16 orders strings as JavaScript does, by UTF-16 units.
func compareUTF16(a, b string) int {
	if isASCII(a) && isASCII(b) {
		return strings.Compare(a, b)
	}
	x, y := toUTF16(a), toUTF16(b)
	for i := 0; i < len(x) && i < len(y); i++ {
		if x[i] != y[i] {
			if x[i] < y[i] {
				return -1
			}
			return 1
		}
	}
	return len(x) - len(y)
}

// maxString bounds a concrete string, in bytes.
const maxString = 64 << 20

// concat appends. Building a long string piece by piece reuses the space behind the last result, so that it stays linear.
func (ev *evaluator) concat(a, b string) Value {
	if a == "" {
		return b
	}
	if b == "" {
		return a
	}
	n := len(a) + len(b)
	if n > maxString {
		panic(abort{"a string of more than 64 MB"})
	}
	if n < 64 {
		return joinSurrogates(a, b)
	}
	ev.alloc(1 + len(b)/64)
	if a[len(a)-1]&0xc0 == 0x80 && b[0] == 0xed {
		return joinSurrogates(a, b)
	}
	buf := ev.realm.tail
	if len(buf) == len(a) && len(buf) > 0 && unsafe.StringData(a) == &buf[0] {
		buf = append(buf, b...)
	} else {
		ev.alloc(n / 64)
		buf = make([]byte, 0, n+n/2)
		buf = append(append(buf, a...), b...)
	}
	ev.realm.tail = buf
	return unsafe.String(&buf[0], len(buf))
}

// joinSurrogates concatenates so that a high and a low surrogate that meet become one code point.
func joinSurrogates(a, b string) Value {
	if len(a) >= 3 && len(b) >= 3 && b[0] == 0xed && b[1] >= 0xb0 && a[len(a)-3] == 0xed && a[len(a)-2] >= 0xa0 && a[len(a)-2] < 0xb0 {
		hi, _ := nextRune(a[len(a)-3:])
		lo, _ := nextRune(b)
		return a[:len(a)-3] + string(0x10000+(hi-0xd800)<<10+lo-0xdc00) + b[3:]
	}
	return a + b
}

// latin1 turns bytes into text, one code point each.
func latin1(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			var s strings.Builder
			s.Grow(len(b) + 16)
			for _, c := range b {
				s.WriteRune(rune(c))
			}
			return s.String()
		}
	}
	return string(b)
}

// bytesOf turns text into bytes by the low byte of each unit, as latin1 and binary encodings do.
func bytesOf(s string) []byte {
	if isASCII(s) {
		return []byte(s)
	}
	u := toUTF16(s)
	out := make([]byte, len(u))
	for i, c := range u {
		out[i] = byte(c)
	}
	return out
}

// decodeUTF8 is what Buffer.toString does: invalid bytes become U+FFFD.
func decodeUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}
