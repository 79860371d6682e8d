package shell

import (
	"slices"
	"strings"
	"unicode/utf8"
)

type tokenKind int8

const (
	tokEnd tokenKind = iota
	tokName
	tokString
	tokNumber
	tokMark // punctuation, one character except for -> :: => == != <= >= += .=
	tokLine
	tokCommand // `...`
)

type token struct {
	kind tokenKind
	text string // of a string: its content, escapes read
	raw  bool   // a string in which nothing is embedded
	at   int
	line int
}

func (p *program) tokens(s string) []token {
	var out []token
	line := p.x.line
	for i := 0; i < len(s); {
		if len(out) > maxTokens {
			p.x.cut("a script of too many tokens")
			break
		}
		c := s[i]
		start := i
		switch {
		case c == '\n':
			out = append(out, token{kind: tokLine, at: i, line: line})
			line++
			i++
			continue
		case c == ' ' || c == '\t' || c == '\r':
			i++
			continue
		case c == '\\' && i+1 < len(s) && s[i+1] == '\n':
			i += 2
			line++
			continue
		}
		if n := p.comment(s[i:]); n > 0 {
			line += strings.Count(s[i:i+n], "\n")
			i += n
			continue
		}
		prefix := i
		for prefix < len(s) && prefix-i < 3 && strings.IndexByte("rbfuRBFU", s[prefix]) >= 0 {
			prefix++
		}
		switch {
		case c == '"' || c == '\'' || p.l.Name == "python" && prefix > i && prefix < len(s) && (s[prefix] == '"' || s[prefix] == '\''):
			mods := strings.ToLower(s[i:prefix])
			if c == '"' || c == '\'' {
				mods, prefix = "", i
			}
			body, n := quotedText(s[prefix:], p.l.Name == "python")
			raw := s[prefix] == '\'' && p.l.Embed != "braces" || strings.Contains(mods, "r") || p.l.Embed == "braces" && !strings.Contains(mods, "f")
			if !strings.Contains(mods, "r") && (s[prefix] == '"' || p.l.Name == "python") {
				body = ansiEscapes(body)
			} else if s[prefix] == '\'' {
				body = strings.ReplaceAll(strings.ReplaceAll(body, `\'`, `'`), `\\`, `\`)
			}
			out = append(out, token{tokString, body, raw, start, line})
			line += strings.Count(s[i:prefix+n], "\n")
			i = prefix + n
		case c == '`' && p.l.Backtick:
			body, n := quotedText(s[i:], false)
			out = append(out, token{tokCommand, body, false, start, line})
			i += n
		case nameByte(c) && !digit(c) || strings.IndexByte(p.l.Sigils, c) >= 0 && i+1 < len(s) && (nameByte(s[i+1]) || s[i+1] == '{'):
			j := i
			for j < len(s) && strings.IndexByte(p.l.Sigils, s[j]) >= 0 {
				j++
			}
			k := j
			for k < len(s) && nameByte(s[k]) {
				k++
			}
			if k == j {
				k = j + 1
			}
			out = append(out, token{kind: tokName, text: s[j:min(k, len(s))], at: start, line: line})
			i = k
		case digit(c):
			j := i
			for j < len(s) && (nameByte(s[j]) || s[j] == '.') {
				j++
			}
			out = append(out, token{kind: tokNumber, text: s[i:j], at: start, line: line})
			i = j
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			if isHole(r) {
				out = append(out, token{kind: tokString, text: string(r), at: start, line: line})
			}
			i += n
		default:
			n := 1
			if i+1 < len(s) && slices.Contains([]string{"->", "::", "=>", "==", "!=", "<=", ">=", "+=", ".=", "&&", "||", "<<"}, s[i:i+2]) {
				n = 2
			}
			out = append(out, token{kind: tokMark, text: s[i : i+n], at: start, line: line})
			i += n
		}
	}
	return out
}

func (p *program) comment(s string) int {
	for _, c := range p.l.Comments {
		if !strings.HasPrefix(s, c) {
			continue
		}
		if c == "/*" {
			if i := strings.Index(s, "*/"); i >= 0 {
				return i + 2
			}
			return len(s)
		}
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			return max(i, 1)
		}
		return len(s)
	}
	return 0
}

// quotedText reads a string at its opening quote and returns its content and full length.
func quotedText(s string, triple bool) (string, int) {
	q := s[:1]
	if triple && len(s) >= 6 && s[1] == s[0] && s[2] == s[0] {
		if i := strings.Index(s[3:], s[:3]); i >= 0 {
			return s[3 : 3+i], i + 6
		}
		return s[3:], len(s)
	}
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i:i+1] == q:
			return s[1:i], i + 1
		}
	}
	return s[1:], len(s)
}

func nameByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c)
}
func digit(c byte) bool { return c >= '0' && c <= '9' }
