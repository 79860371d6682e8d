package js

import "strings"

// TokenKind is the kind of a token.
type TokenKind uint8

const (
	Word TokenKind = iota // identifiers and keywords, private names with their #
	Number
	String       // with its quotes
	TemplatePart // a piece of a template literal, without holes
	Regex
	Punct
	Comment
	Space   // blanks and tabs
	Newline // one line terminator
	Other   // a byte that starts no token
)

// Token is one token of a source text, as written.
type Token struct {
	Kind TokenKind
	Text string
	Pos  int
}

// Scan splits a text into tokens without ever failing: what does not fit becomes Other. Whether a slash starts a regular expression
// is told from the token before it; after a closing parenthesis it is taken as division, which is wrong only for a statement
// like if (x) /re/.test(y), where the text between the slashes is then read as operators and names. It stops when f returns false.
func Scan(src string, f func(Token) bool) {
	s := scanner{src: src, f: f}
	s.run()
}

type scanner struct {
	src   string
	f     func(Token) bool
	stack []bool // open braces: true for a template hole

	prev       TokenKind // the last token that is neither blank nor comment
	start, end int       // where it stands
}

func (s *scanner) run() {
	src := s.src
	i := 0
	if strings.HasPrefix(src, "#!") {
		i = lineEnd(src, 0)
		if !s.emit(Comment, 0, i) {
			return
		}
	}
	for i < len(src) {
		if src[i] == '`' {
			if i = s.template(i, i+1); i < 0 {
				return
			}
			continue
		}
		k, j := s.token(i)
		if !s.emit(k, i, j) {
			return
		}
		i = j
		if k != Punct {
			continue
		}
		switch src[j-1] { // braces, and what follows a template hole
		case '{':
			s.stack = append(s.stack, false)
		case '}':
			n := len(s.stack)
			if n == 0 {
				continue
			}
			hole := s.stack[n-1]
			s.stack = s.stack[:n-1]
			if hole {
				if i = s.template(j, j); i < 0 {
					return
				}
			}
		}
	}
}

func (s *scanner) emit(k TokenKind, i, j int) bool {
	if k < Comment || k == Other {
		s.prev, s.start, s.end = k, i, j
	}
	return s.f(Token{k, s.src[i:j], i})
}

func lineEnd(src string, i int) int {
	for i < len(src) && src[i] != '\n' && src[i] != '\r' {
		i++
	}
	return i
}

// class tells what a byte can begin.
type class uint8

const (
	none class = iota
	wordByte
	digitByte
	wordStart // # and @: they begin a word and are not within one
	blank
	line
	quote
	punct
	special // begins tokens of several kinds
)

var classes = func() (t [256]class) {
	set := func(bytes string, c class) {
		for i := range len(bytes) {
			t[bytes[i]] = c
		}
	}
	set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_$\\", wordByte)
	for c := 0x80; c < 0x100; c++ {
		t[c] = wordByte
	}
	set("0123456789", digitByte)
	set("#@", wordStart)
	set(" \t\v\f", blank)
	set("\r\n", line)
	set("\"'", quote)
	set("()[]{};,>+-*%&|^!~?:", punct)
	set("/<=.", special)
	return t
}()

func isWord(c byte) bool { return classes[c]-wordByte <= digitByte-wordByte }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// token scans one token, which is no template.
func (s *scanner) token(i int) (TokenKind, int) {
	src := s.src
	c := src[i]
	j := i + 1
	switch classes[c] {
	case wordByte, wordStart:
		for j < len(src) && isWord(src[j]) {
			j++
		}
		return Word, j
	case digitByte:
		return Number, numberEnd(src, i)
	case blank:
		for j < len(src) && (src[j] == ' ' || src[j] == '\t') {
			j++
		}
		return Space, j
	case line:
		if c == '\r' && j < len(src) && src[j] == '\n' {
			j++
		}
		return Newline, j
	case quote:
		return String, stringEnd(src, i)
	case punct:
		return Punct, j
	case special:
	default:
		return Other, j
	}
	switch c {
	case '.':
		if j < len(src) && isDigit(src[j]) {
			return Number, numberEnd(src, i)
		}
	case '=':
		if j < len(src) && src[j] == '>' {
			return Punct, j + 1
		}
	case '<':
		if strings.HasPrefix(src[i:], "<!--") {
			return Comment, lineEnd(src, i)
		}
	case '/':
		if j < len(src) && src[j] == '/' {
			return Comment, lineEnd(src, i)
		}
		if j < len(src) && src[j] == '*' {
			k := strings.Index(src[i+2:], "*/")
			if k < 0 {
				return Comment, len(src)
			}
			return Comment, i + 2 + k + 2
		}
		if s.regexHere() {
			if k := regexEnd(src, i); k > 0 {
				return Regex, k
			}
		}
	}
	return Punct, j
}

func numberEnd(src string, i int) int {
	j := i + 1
	for j < len(src) && (isWord(src[j]) || src[j] == '.' || (src[j] == '+' || src[j] == '-') && (src[j-1] == 'e' || src[j-1] == 'E') && !strings.HasPrefix(src[i:], "0x")) {
		j++
	}
	return j
}

// template scans a piece of a template literal: to the closing backquote or into a hole.
func (s *scanner) template(start, i int) int {
	src := s.src
	for i < len(src) {
		switch src[i] {
		case '\\':
			i++
		case '`':
			if !s.emit(TemplatePart, start, i+1) {
				return -1
			}
			return i + 1
		case '$':
			if i+1 < len(src) && src[i+1] == '{' {
				if !s.emit(TemplatePart, start, i) {
					return -1
				}
				s.stack = append(s.stack, true)
				if !s.emit(Punct, i, i+2) {
					return -1
				}
				return i + 2
			}
		}
		i++
	}
	if !s.emit(TemplatePart, start, len(src)) {
		return -1
	}
	return len(src)
}

func stringEnd(src string, i int) int {
	q := src[i]
	for i++; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case q:
			return i + 1
		case '\n':
			return i
		}
	}
	return len(src)
}

func (s *scanner) regexHere() bool {
	text := s.src[s.start:s.end]
	switch s.prev {
	case Word:
		switch text {
		case "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "do", "else", "instanceof", "yield", "await":
			return true
		}
		return text == "" // nothing stands before
	case Number, String, TemplatePart, Regex:
		return false
	case Punct:
		switch text {
		case ")", "]", "}":
			return false
		}
	}
	return true
}

func regexEnd(src string, i int) int {
	class := false
	for i++; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '\n', '\r':
			return -1
		case '[':
			class = true
		case ']':
			class = false
		case '/':
			if !class {
				i++
				for i < len(src) && isWord(src[i]) {
					i++
				}
				return i
			}
		}
	}
	return -1
}
