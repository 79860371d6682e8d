package behavior

import (
	"fmt"
	"io/fs"
	"strings"
)

// class is one list of paths.yaml, hosts.yaml or env.yaml.
type class struct {
	name  string
	items []classItem
}

type classItem struct {
	text string
	line int
}

// readClasses reads a file of classes: a map of lists of strings, in the two layouts of YAML that these files use ("name: [a, b]" on
// one line, or "name:" with one "- item" a line). The files are loaded by every scan process, and a YAML parser costs as much as
// all the rest of loading; a test holds the two readings together. An error names file and line.
func readClasses(fsys fs.FS, file string) ([]class, error) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	var out []class
	seen := map[string]bool{}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, " \t\r\n")
		t := strings.TrimLeft(line, " ")
		switch {
		case t == "" || t[0] == '#':
		case len(t) < len(line): // an item
			rest, ok := strings.CutPrefix(t, "- ")
			if !ok || len(out) == 0 {
				return nil, fmt.Errorf("%s:%d: want \"- item\" below a class", file, n)
			}
			item, err := scalar(rest)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, n, err)
			}
			c := &out[len(out)-1]
			c.items = append(c.items, classItem{item, n})
		default:
			name, rest, ok := strings.Cut(line, ":")
			if !ok || name == "" || strings.ContainsAny(name, " \"'[]#") {
				return nil, fmt.Errorf("%s:%d: want a class and a colon", file, n)
			}
			if seen[name] {
				return nil, fmt.Errorf("%s:%d: class %s is given twice", file, n, name)
			}
			seen[name] = true
			c := class{name: name}
			if rest = strings.TrimSpace(stripComment(rest)); rest != "" {
				inner, ok := strings.CutPrefix(rest, "[")
				inner, ok2 := strings.CutSuffix(inner, "]")
				if !ok || !ok2 {
					return nil, fmt.Errorf("%s:%d: want a list in brackets after class %s", file, n, name)
				}
				for _, s := range strings.Split(inner, ",") {
					item, err := scalar(s)
					if err != nil {
						return nil, fmt.Errorf("%s:%d: %w", file, n, err)
					}
					c.items = append(c.items, classItem{item, n})
				}
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// scalar reads one plain or quoted string. What would mean something else to YAML must be quoted.
func scalar(s string) (string, error) {
	s = strings.TrimSpace(stripComment(s))
	if s == "" {
		return "", fmt.Errorf("empty item")
	}
	if q := s[0]; q == '"' || q == '\'' {
		if len(s) < 2 || s[len(s)-1] != q || strings.IndexByte(s[1:len(s)-1], q) >= 0 || strings.IndexByte(s, '\\') >= 0 {
			return "", fmt.Errorf("cannot read %s: quotes must close, and hold no quote or backslash", s)
		}
		return s[1 : len(s)-1], nil
	}
	if strings.IndexByte("*&!%@`{}[]>|?,-", s[0]) >= 0 || strings.Contains(s, ": ") || strings.ContainsAny(s, "\"'") || strings.HasSuffix(s, ":") {
		return "", fmt.Errorf("%s needs quotes", s)
	}
	return s, nil
}

// stripComment cuts a comment: # at the start or after a blank, outside quotes.
func stripComment(s string) string {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t'):
			return s[:i]
		}
	}
	return s
}

// wild matches s against a pattern in which * stands for any run of bytes.
func wild(pattern, s string) bool {
	head, rest, found := strings.Cut(pattern, "*")
	if !found {
		return s == pattern
	}
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	for {
		var part string
		part, rest, found = strings.Cut(rest, "*")
		if !found {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
}
