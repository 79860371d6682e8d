package shell

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// codec computes one direction of a named transformation on known text; decode is nil where there is only one direction.
type codec struct {
	encode, decode func(string) (string, bool)
	encoded        string // type of the call in either direction
	decoded        string
}

// codecs are the named transformations of the table.
var codecs = map[string]*codec{
	"base64": {encode: func(s string) (string, bool) { return base64.StdEncoding.EncodeToString([]byte(s)), true }, decode: decodeBase64, encoded: "ENCODE", decoded: "DECODE"},
	"base32": {encode: func(s string) (string, bool) { return base32.StdEncoding.EncodeToString([]byte(s)), true }, decode: decodeBase32, encoded: "ENCODE", decoded: "DECODE"},
	"hex":    {encode: func(s string) (string, bool) { return hex.EncodeToString([]byte(s)), true }, decode: decodeHex, encoded: "ENCODE", decoded: "DECODE"},
	"gzip":   {encode: unknownText, decode: inflate, encoded: "ENCODE", decoded: "DECODE"},
	"rev":    {encode: reverseLines, decode: reverseLines, encoded: "DECODE", decoded: "DECODE"},
	"cipher": {encode: unknownText, decode: unknownText, encoded: "ENCRYPT", decoded: "DECODE"},
}

func unknownText(string) (string, bool) { return "", false }

func decodeBase64(s string) (string, bool) {
	s = strings.Join(strings.Fields(s), "")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	b, err := base64.RawStdEncoding.DecodeString(s)
	return string(b), err == nil && len(b) > 0
}

func decodeBase32(s string) (string, bool) {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.Join(strings.Fields(s), ""), "="))
	return string(b), err == nil && len(b) > 0
}

// decodeHex reads plain hexadecimal text, and the dump that xxd prints.
func decodeHex(s string) (string, bool) {
	var b strings.Builder
	for _, line := range strings.Split(s, "\n") {
		if _, after, ok := strings.Cut(line, ": "); ok {
			line, _, _ = strings.Cut(after, "  ")
		}
		b.WriteString(strings.Join(strings.Fields(line), ""))
	}
	out, err := hex.DecodeString(strings.TrimPrefix(b.String(), "0x"))
	return string(out), err == nil && len(out) > 0
}

func inflate(s string) (string, bool) {
	var r io.ReadCloser
	var err error
	if r, err = gzip.NewReader(strings.NewReader(s)); err != nil {
		if r, err = zlib.NewReader(strings.NewReader(s)); err != nil {
			return "", false
		}
	}
	b, err := io.ReadAll(io.LimitReader(r, maxWord))
	return string(b), err == nil && len(b) > 0
}

func reverseLines(s string) (string, bool) {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for i, l := range lines {
		r := []rune(l)
		for a, b := 0, len(r)-1; a < b; a, b = a+1, b-1 {
			r[a], r[b] = r[b], r[a]
		}
		lines[i] = string(r)
	}
	return strings.Join(lines, "\n"), true
}

// utf16Text reads the little-endian UTF-16 of PowerShell's encoded commands.
func utf16Text(s string) string {
	u := make([]uint16, len(s)/2)
	for i := range u {
		u[i] = uint16(s[2*i]) | uint16(s[2*i+1])<<8
	}
	return string(utf16.Decode(u))
}

// unmarked is a text without its byte order mark, and in UTF-8: scripts of Windows are often UTF-16.
func unmarked(s string) string {
	switch {
	case strings.HasPrefix(s, "\xef\xbb\xbf"):
		return s[3:]
	case strings.HasPrefix(s, "\xff\xfe"):
		return utf16Text(s[2:])
	}
	return s
}

// ansiEscapes reads the escapes of $'...', printf and echo -e.
func ansiEscapes(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		number := func(start, most, base, bits int) {
			j := start
			for j < len(s) && j < start+most && strings.IndexByte("0123456789abcdefABCDEF"[:map[int]int{8: 8, 16: 22}[base]], s[j]) >= 0 {
				j++
			}
			n, err := strconv.ParseUint(s[start:j], base, 32)
			if err != nil {
				b.WriteByte(s[i])
				return
			}
			if bits == 8 {
				b.WriteByte(byte(n))
			} else {
				b.WriteRune(rune(n))
			}
			i = j - 1
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case 'r':
			b.WriteByte('\r')
		case 'a', 'b', 'f', 'v', 'e':
			b.WriteByte(' ')
		case 'x':
			number(i+1, 2, 16, 8)
		case 'u':
			number(i+1, 4, 16, 32)
		case 'U':
			number(i+1, 8, 16, 32)
		case '0':
			number(i, 4, 8, 8)
		case '1', '2', '3', '4', '5', '6', '7':
			number(i, 3, 8, 8)
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// translate is tr with two sets, as far as its sets are plain characters and ranges.
func translate(s, set1, set2 string, del bool) (string, bool) {
	a, okA := trSet(set1)
	b, okB := trSet(set2)
	if !okA || !okB || len(a) == 0 || !del && len(b) == 0 {
		return "", false
	}
	var out bytes.Buffer
	for i := 0; i < len(s); i++ {
		k := bytes.IndexByte(a, s[i])
		switch {
		case k < 0:
			out.WriteByte(s[i])
		case !del:
			out.WriteByte(b[min(k, len(b)-1)])
		}
	}
	return out.String(), true
}

func trSet(s string) ([]byte, bool) {
	s = ansiEscapes(s)
	for name, range_ := range map[string]string{"[:lower:]": "a-z", "[:upper:]": "A-Z", "[:digit:]": "0-9", "[:alpha:]": "A-Za-z", "[:space:]": " \t\n", "[:alnum:]": "A-Za-z0-9"} {
		s = strings.ReplaceAll(s, name, range_)
	}
	if strings.Contains(s, "[:") {
		return nil, false
	}
	var out []byte
	for i := 0; i < len(s); i++ {
		if i+2 < len(s) && s[i+1] == '-' && s[i] <= s[i+2] {
			for c := int(s[i]); c <= int(s[i+2]); c++ {
				out = append(out, byte(c))
			}
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out, true
}
