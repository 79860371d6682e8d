package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// tarReader reads tar as npm's own reader does, leniently and in its own way: blocks that are no header are passed over, an entry
// that is invalid leaves its body to be read as headers, extended headers are read line by line, sparse files are not known. A
// stricter or a different reader would see other files than the ones that are installed, which is all that an attacker needs.
type tarReader struct {
	r       io.Reader
	note    func(kind, path, detail string)
	remain  int64 // of the current entry's body
	padding int64
	local   map[string]string // extended header of the next entry
	global  map[string]string
	valid   bool // at least one header was one
}

// entry is one member of the archive that is not about other members.
type entry struct {
	name string
	kind entryKind
	code byte // type flag as written
	link string
	mode int64
	size int64
}

type entryKind int8

const (
	regular entryKind = iota
	folder
	link
	special
)

const (
	block   = 512
	maxMeta = 1 << 20 // npm ignores larger extended headers
)

// next passes over what is left of the current entry and reads the next one. io.EOF is the end of the archive.
func (t *tarReader) next() (*entry, error) {
	if _, err := io.CopyN(io.Discard, t.r, t.remain+t.padding); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	t.remain, t.padding = 0, 0
	var b [block]byte
	null := false
	for {
		if n, err := io.ReadFull(t.r, b[:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) && n > 0 {
				t.note(Trailing, "", fmt.Sprintf("%d bytes are no block", n))
				err = io.EOF
			}
			return nil, err
		}
		sum, written, ok := checksum(&b)
		if !ok && sum == 8*' ' {
			if null {
				return nil, io.EOF
			}
			null = true
			continue
		}
		null = false
		if !ok || sum != written {
			t.note(BadHeader, "", "a block with a wrong checksum is passed over")
			continue
		}
		e, err := t.header(&b)
		if err != nil {
			return nil, err
		}
		if e != nil {
			return e, nil
		}
	}
}

// Read reads the body of the current entry.
func (t *tarReader) Read(p []byte) (int, error) {
	if t.remain == 0 {
		return 0, io.EOF
	}
	n, err := t.r.Read(p[:min(int64(len(p)), t.remain)])
	t.remain -= int64(n)
	if err == io.EOF && t.remain > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (t *tarReader) body(size int64) { t.remain, t.padding = size, (block-size%block)%block }

// header reads one header. It returns nil when that tells of other entries only, or is invalid.
func (t *tarReader) header(b *[block]byte) (*entry, error) {
	code := b[156]
	e := &entry{code: code, kind: kindOf(code)}
	var own, all map[string]string
	if code == 0 || code >= '0' && code <= '7' || code == 'D' {
		own, all = t.local, t.global
	}
	e.name = text(b[:100])
	if v, ok := own["path"]; ok {
		e.name = v
	}
	for _, f := range [][]byte{b[100:108], b[108:116], b[116:124], b[124:136], b[136:148]} { // mode, owners, size, time
		if n, ok := octal(f); f[0]&0x80 != 0 && (!ok || n > 1<<53-1) {
			t.note(BadHeader, e.name, "a number that npm cannot hold; it passes over the header")
			return nil, nil
		}
	}
	e.mode, _ = octal(b[100:108])
	size, ok := octal(b[124:136])
	for _, ex := range []map[string]string{own, all} {
		if v, given := ex["size"]; given {
			size, ok = jsNumber(v)
			break
		}
	}
	if !ok || size < 0 {
		size = 0
	}
	if (code == 0 || code == '0') && strings.HasSuffix(e.name, "/") {
		e.kind = folder
	}
	if e.kind == folder && code != 'D' {
		size = 0
	}
	e.link = text(b[157:257])
	if string(b[257:265]) == "ustar\x0000" {
		prefix := text(b[345:475])
		if b[475] != 0 {
			prefix = text(b[345:500])
		}
		if prefix != "" || b[475] != 0 {
			e.name = prefix + "/" + e.name
		}
	}
	isLink := e.kind == link
	switch {
	case e.name == "":
		t.note(BadHeader, "", "an entry without a name")
		return nil, nil
	case isLink && e.link == "":
		t.note(BadHeader, e.name, "a link to nothing")
		return nil, nil
	case !isLink && code != 'x' && code != 'g' && e.link != "":
		t.note(BadHeader, e.name, "a target for what is no link; npm passes over the header and reads the body as headers")
		return nil, nil
	}
	t.valid = true
	t.body(size)
	if meta(code) {
		return nil, t.meta(code, size)
	}
	e.size = size
	t.local = nil
	if v, given := own["path"]; given {
		e.name = v // also in the place of the prefix
	}
	for _, ex := range []map[string]string{own, all} {
		if v, given := ex["type"]; given {
			t.note(LongHeader, e.name, "an extended header sets the type to "+visible(v))
		}
	}
	return e, nil
}

// kindOf tells what npm makes of a type flag.
func kindOf(code byte) entryKind {
	switch code {
	case 0, '0', '7':
		return regular
	case '1', '2':
		return link
	case '5', 'D':
		return folder
	}
	return special
}

func meta(code byte) bool { return code != 0 && strings.IndexByte("xgXLKN", code) >= 0 }

// meta reads an extended header.
func (t *tarReader) meta(code byte, size int64) error {
	if size > maxMeta {
		t.note(LongHeader, "", fmt.Sprintf("an extended header of %d bytes, which npm ignores", size))
		return t.skip()
	}
	data, err := io.ReadAll(t)
	if err != nil {
		return err
	}
	if err := t.skip(); err != nil {
		return err
	}
	if size == 0 {
		return nil
	}
	if len(data) > 64<<10 {
		t.note(LongHeader, "", fmt.Sprintf("an extended header of %d bytes", len(data)))
	}
	switch code {
	case 'x', 'X':
		t.local = t.records(data, t.local)
	case 'g':
		if t.global = t.records(data, t.global); len(t.global) > 0 { // git's holds a comment only
			t.note(LongHeader, "", "a global extended header that is about files")
		}
	default:
		key := "path"
		if code == 'K' {
			key = "linkpath"
		}
		next := map[string]string{key: text(data)}
		for k, v := range t.local {
			if k != key {
				next[k] = v
			}
		}
		t.local = next
	}
	return nil
}

func (t *tarReader) skip() error {
	_, err := io.CopyN(io.Discard, t.r, t.remain+t.padding)
	t.remain, t.padding = 0, 0
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// records reads the lines of an extended header that count for npm, on top of earlier ones.
func (t *tarReader) records(data []byte, before map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range before {
		out[k] = v
	}
	for line := range bytes.SplitSeq(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		digits := 0
		for digits < len(line) && line[digits] >= '0' && line[digits] <= '9' {
			digits++
		}
		n, err := strconv.Atoi(string(line[:digits]))
		if err != nil || n != len(line)+1 || digits == len(line) {
			t.note(LongHeader, "", "a line of an extended header that npm passes over")
			continue
		}
		key, value, _ := bytes.Cut(line[digits+1:], []byte("="))
		k := string(key)
		if strings.HasPrefix(k, "GNU.sparse.") {
			t.note(LongHeader, "", "sparse file: "+visible(k))
		}
		if bytes.IndexByte(value, 0) >= 0 {
			t.note(BadName, string(value), "NUL in an extended header")
		}
		switch k {
		case "path", "linkpath", "type":
			out[k] = text(value)
		case "size":
			if n, ok := jsNumber(text(value)); ok && n >= 0 {
				out[k] = text(value)
			}
		}
	}
	return out
}

// text is a field up to its first NUL.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string([]rune(string(b))) // what is not UTF-8 becomes U+FFFD
}

// octal reads a number as npm does: base 256 when the first bit is set, and else octal digits up to anything else.
func octal(b []byte) (int64, bool) {
	if b[0]&0x80 != 0 {
		if b[0] == 0xff {
			return -1, true // negative, which is all that matters of it
		}
		if b[0] != 0x80 {
			return 0, false
		}
		var n int64
		for _, c := range b[1:] {
			if n > math.MaxInt64>>8 {
				return math.MaxInt64, true
			}
			n = n<<8 | int64(c)
		}
		return n, true
	}
	s := strings.TrimSpace(text(b))
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '7' {
		end++
	}
	n, err := strconv.ParseInt(s[:end], 8, 64)
	return n, err == nil
}

// jsNumber reads an integer as JavaScript's Number does.
func jsNumber(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, true
	}
	if len(s) > 2 && s[0] == '0' && strings.ContainsAny(s[1:2], "xXoObB") && !strings.Contains(s, "_") {
		n, err := strconv.ParseInt(s, 0, 64)
		return n, err == nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "_xXpPnN") || f != math.Trunc(f) || math.Abs(f) >= 1<<62 {
		return 0, false
	}
	return int64(f), true
}

// checksum returns the sum of a block and the one that it carries; ok is false when it carries none.
func checksum(b *[block]byte) (sum, written int64, ok bool) {
	for i, c := range b {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	written, ok = octal(b[148:160]) // npm reads twelve bytes
	return sum, written, ok
}
