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
	prev  Token
	stack []bool // open braces: true for a template hole
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
		j := s.next(i)
		if j < 0 {
			return
		}
		i = j
	}
}

func (s *scanner) emit(k TokenKind, i, j int) bool {
	t := Token{k, s.src[i:j], i}
	if k != Space && k != Newline && k != Comment {
		s.prev = t
	}
	return s.f(t)
}

func lineEnd(src string, i int) int {
	for i < len(src) && src[i] != '\n' && src[i] != '\r' {
		i++
	}
	return i
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '$' || c >= 0x80 || c == '\\'
}

// next scans one token and returns the offset after it, or -1 to stop.
func (s *scanner) next(i int) int {
	src := s.src
	c := src[i]
	done := func(k TokenKind, j int) int {
		if !s.emit(k, i, j) {
			return -1
		}
		return j
	}
	switch {
	case c == '\n' || c == '\r':
		if c == '\r' && i+1 < len(src) && src[i+1] == '\n' {
			return done(Newline, i+2)
		}
		return done(Newline, i+1)
	case c == ' ' || c == '\t' || c == '\v' || c == '\f':
		j := i + 1
		for j < len(src) && (src[j] == ' ' || src[j] == '\t') {
			j++
		}
		return done(Space, j)
	case c >= '0' && c <= '9' || c == '.' && i+1 < len(src) && src[i+1] >= '0' && src[i+1] <= '9':
		j := i + 1
		for j < len(src) && (isWord(src[j]) || src[j] == '.' || (src[j] == '+' || src[j] == '-') && (src[j-1] == 'e' || src[j-1] == 'E') && !strings.HasPrefix(src[i:], "0x")) {
			j++
		}
		return done(Number, j)
	case isWord(c) || c == '#' || c == '@':
		j := i + 1
		for j < len(src) && isWord(src[j]) {
			j++
		}
		return done(Word, j)
	case c == '"' || c == '\'':
		return done(String, stringEnd(src, i))
	case c == '`':
		return s.template(i, i+1)
	case c == '/':
		if i+1 < len(src) && src[i+1] == '/' {
			return done(Comment, lineEnd(src, i))
		}
		if i+1 < len(src) && src[i+1] == '*' {
			k := strings.Index(src[i+2:], "*/")
			if k < 0 {
				return done(Comment, len(src))
			}
			return done(Comment, i+2+k+2)
		}
		if s.regexHere() {
			if j := regexEnd(src, i); j > 0 {
				return done(Regex, j)
			}
		}
		return done(Punct, i+1)
	case c == '<' && strings.HasPrefix(src[i:], "<!--"):
		return done(Comment, lineEnd(src, i))
	case c == '{':
		s.stack = append(s.stack, false)
		return done(Punct, i+1)
	case c == '}':
		if n := len(s.stack); n > 0 {
			hole := s.stack[n-1]
			s.stack = s.stack[:n-1]
			if hole {
				if !s.emit(Punct, i, i+1) {
					return -1
				}
				return s.template(i+1, i+1)
			}
		}
		return done(Punct, i+1)
	case c == '=' && i+1 < len(src) && src[i+1] == '>':
		return done(Punct, i+2)
	case strings.IndexByte("()[];,<>+-*%&|^!~?:=.", c) >= 0:
		return done(Punct, i+1)
	}
	return done(Other, i+1)
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
	switch s.prev.Kind {
	case Word:
		switch s.prev.Text {
		case "return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "do", "else", "instanceof", "yield", "await":
			return true
		}
		return s.prev.Text == ""
	case Number, String, TemplatePart, Regex:
		return false
	case Punct:
		switch s.prev.Text {
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
