package shell

import (
	"fmt"
	"io/fs"
	"strings"
)

// language is one file of knowledge/shell/languages: how a scripting language is written, and what its functions do.
type language struct {
	Name     string    `yaml:"name"`
	Comments []string  `yaml:"comments"`
	Sigils   string    `yaml:"sigils"`   // characters that begin a variable
	Embed    string    `yaml:"embed"`    // variables in strings: dollar ("$x"), hash ("#{x}"), braces (f"{x}")
	Backtick bool      `yaml:"backtick"` // `command`
	Calls    []routine `yaml:"calls"`

	byName map[string]*routine
}

// routine describes one function, method (.name) or constant that stands for a value.
type routine struct {
	Names  []string          `yaml:"names"`
	Types  []string          `yaml:"types"`
	When   []when            `yaml:"when"`
	Args   map[string]string `yaml:"args"`   // position or keyword: role; "*" for all others
	Output string            `yaml:"output"` // own, pass, encode, decode, encrypt, or nothing
	Codec  string            `yaml:"codec"`
	Value  bool              `yaml:"value"` // read without a call, as os.environ
	Socket bool              `yaml:"socket"`
	Scheme string            `yaml:"scheme"`
}

func loadLanguages(fsys fs.FS) (map[string]*language, error) {
	files, err := fs.Glob(fsys, "shell/languages/*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]*language{}
	for _, f := range files {
		l := &language{}
		if err := decodeYAML(fsys, f, l); err != nil {
			return nil, err
		}
		l.byName = map[string]*routine{}
		for i := range l.Calls {
			c := &l.Calls[i]
			for _, role := range c.Args {
				if !roles[role] && role != "argv" {
					return nil, fmt.Errorf("%s: %s: unknown role %q", f, c.Names[0], role)
				}
			}
			if c.Codec != "" && codecs[c.Codec] == nil {
				return nil, fmt.Errorf("%s: %s: unknown codec %q", f, c.Names[0], c.Codec)
			}
			for _, n := range c.Names {
				if l.byName[n] != nil {
					return nil, fmt.Errorf("%s: %s is described twice", f, n)
				}
				l.byName[n] = c
			}
		}
		out[l.Name] = l
	}
	return out, nil
}

// find looks a name up as written, then without its leading parts: os.system, then .system for a method.
func (l *language) find(name string, method bool) *routine {
	if f := l.byName[name]; f != nil {
		return f
	}
	rest := name
	for {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			break
		}
		if f := l.byName[rest[i:]]; f != nil {
			return f
		}
		rest = rest[i+1:]
		if f := l.byName[rest]; f != nil && strings.Contains(rest, ".") {
			return f
		}
	}
	if method {
		return l.byName["."+rest]
	}
	return nil
}
