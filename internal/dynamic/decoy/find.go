package decoy

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"io"
	"slices"
)

const (
	maxData  = 4 << 20 // searched of one piece of data, and of what it unpacks to
	maxZips  = 8       // streams unpacked in one piece of data
	maxDepth = 3       // streams within streams
	piece    = 6       // shortest part of a split token that counts
)

// Find returns the tokens in bytes that left a box: as they are, reversed, in base64 at any alignment, hexadecimal, URL-encoded, inside
// gzip, and cut in pieces of at least six characters, as header fields and DNS labels carry them.
func (h *Home) Find(data []byte) []Token {
	var found []Token
	for _, text := range views(data, 0) {
		for _, t := range h.Tokens {
			if !slices.Contains(found, t) && slices.ContainsFunc(forms(t.Value), func(f []byte) bool { return covered(f, text) }) {
				found = append(found, t)
			}
		}
	}
	return found
}

// views are the texts that data can be read as.
func views(data []byte, depth int) [][]byte {
	data = data[:min(len(data), maxData)]
	out := [][]byte{data}
	if bytes.IndexByte(data, '%') >= 0 {
		out = append(out, unescaped(data))
	}
	if depth == maxDepth {
		return out
	}
	rest := data
	for range maxZips {
		_, after, ok := bytes.Cut(rest, []byte("\x1f\x8b\x08"))
		if !ok {
			break
		}
		if r, err := gzip.NewReader(bytes.NewReader(rest[len(rest)-len(after)-3:])); err == nil {
			b, _ := io.ReadAll(io.LimitReader(r, maxData)) // the head of a broken stream counts too
			out = append(out, views(b, depth+1)...)
		}
		rest = after
	}
	return out
}

// unescaped undoes URL encoding where there is some and leaves other bytes, so that a stray % hides nothing.
func unescaped(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for k := 0; k < len(data); k++ {
		var b [1]byte
		if data[k] == '%' && k+2 < len(data) {
			if _, err := hex.Decode(b[:], data[k+1:k+3]); err == nil {
				out = append(out, b[0])
				k += 2
				continue
			}
		}
		out = append(out, data[k])
	}
	return out
}

// forms are the ways a token may be written.
func forms(v string) [][]byte {
	b := []byte(v)
	back := slices.Clone(b)
	slices.Reverse(back)
	h := hex.EncodeToString(b)
	out := [][]byte{b, back, []byte(h), bytes.ToUpper([]byte(h))}
	for shift := range 3 {
		e := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), b...))
		// Characters at the ends depend on the bytes around the token too.
		out = append(out, []byte(e[(shift*8+5)/6:(shift+len(b))*8/6]))
	}
	return out
}

// covered reports whether a form is in text, whole or in pieces. A few characters between pieces may be missing.
func covered(form, text []byte) bool {
	missing := 0
	for len(form) >= piece {
		n := 0
		for k := piece; k <= len(form) && bytes.Contains(text, form[:k]); k++ {
			n = k
		}
		if n == 0 {
			missing++
			n = 1
			if missing > piece {
				return false
			}
		}
		form = form[n:]
	}
	return true
}
