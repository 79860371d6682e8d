package npm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Limits of a manifest. What lies beyond them is left out and said in Problems.
const (
	maxManifest   = 8 << 20
	maxEntries    = 10_000
	maxCondDepth  = 32
	maxJSONTokens = 2_000_000
)

// ParseManifest reads a package.json. It never fails: a file that is not JSON gives a Manifest with that as its first Problem.
func ParseManifest(data []byte) *Manifest {
	m := &Manifest{Raw: data}
	problem := func(format string, args ...any) { m.Problems = append(m.Problems, fmt.Sprintf(format, args...)) }
	if len(data) > maxManifest {
		problem("manifest of %d bytes was not read", len(data))
		return m
	}
	root, dups, err := decodeObject(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if err != nil {
		problem("manifest is not JSON: %v", err)
	}
	for _, d := range dups {
		problem("duplicate key %q", d)
	}
	var command string // bin as a text: the command has the package's name, which may come later
	for _, kv := range root {
		str := func(dst *string) {
			if s, ok := kv.val.(string); ok {
				*dst = s
			} else if kv.val != nil {
				problem("%s is not a string", kv.key)
			}
		}
		switch kv.key {
		case "name":
			str(&m.Name)
		case "version":
			str(&m.Version)
		case "description":
			str(&m.Description)
		case "type":
			str(&m.Type)
		case "main":
			str(&m.Main)
		case "module":
			str(&m.Module)
		case "types":
			str(&m.Types)
		case "homepage":
			str(&m.Homepage)
		case "license":
			if s, ok := kv.val.(string); ok {
				m.License = s
			}
		case "repository":
			switch v := kv.val.(type) {
			case string:
				m.Repository = v
			case object:
				m.Repository, _ = v.get("url").(string)
			}
		case "scripts":
			m.Scripts = pairs(kv, problem)
		case "bin":
			if s, ok := kv.val.(string); ok {
				command, m.Bin = s, nil
			} else {
				command, m.Bin = "", pairs(kv, problem)
			}
		case "browser":
			switch v := kv.val.(type) {
			case string:
				m.Browser = []Pair{{"", v}}
			case object:
				for _, e := range v {
					s, _ := e.val.(string)
					m.Browser = append(m.Browser, Pair{e.key, s})
				}
			}
		case "exports":
			m.Exports = condition(kv.val, 0)
		case "imports":
			m.Imports = condition(kv.val, 0)
		case "gypfile":
			if b, ok := kv.val.(bool); ok {
				m.GypFile = &b
			}
		case "files":
			m.Files = stringList(kv.val)
		case "os":
			m.OS = stringList(kv.val)
		case "cpu":
			m.CPU = stringList(kv.val)
		case "dependencies":
			m.Dependencies = pairs(kv, problem)
		case "devDependencies":
			m.DevDependencies = pairs(kv, problem)
		case "optionalDependencies":
			m.OptionalDependencies = pairs(kv, problem)
		case "peerDependencies":
			m.PeerDependencies = pairs(kv, problem)
		case "bundleDependencies", "bundledDependencies":
			if b, ok := kv.val.(bool); ok {
				m.BundleAll = b
			} else {
				m.Bundled = append(m.Bundled, stringList(kv.val)...)
			}
		}
	}
	if command != "" {
		_, name, scoped := strings.Cut(m.Name, "/")
		if !scoped {
			name = m.Name
		}
		m.Bin = []Pair{{name, command}}
	}
	slices.Sort(m.Bundled)
	m.Bundled = slices.Compact(m.Bundled)
	if m.BundleAll {
		for _, d := range m.Dependencies {
			m.Bundled = append(m.Bundled, d.Key)
		}
	}
	slices.Sort(m.Problems)
	return m
}

type member struct {
	key string
	val any // string, bool, json.Number, nil, object, []any
}

type object []member

func (o object) get(key string) any {
	for _, m := range o {
		if m.key == key {
			return m.val
		}
	}
	return nil
}

// decodeObject reads one JSON object keeping the order of its keys. Of equal keys the last counts, as for JSON.parse; their names
// are returned too. What follows the object is an error, but the object is returned.
func decodeObject(data []byte) (object, []string, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var dups []string
	n := 0
	var value func(depth int) (any, error)
	value = func(depth int) (any, error) {
		if n++; n > maxJSONTokens || depth > 200 {
			return nil, fmt.Errorf("too large or too deep")
		}
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		delim, ok := t.(json.Delim)
		if !ok {
			return t, nil
		}
		if delim == '[' {
			var list []any
			for d.More() {
				v, err := value(depth + 1)
				if err != nil {
					return nil, err
				}
				list = append(list, v)
			}
			_, err := d.Token()
			return list, err
		}
		var o object
		at := map[string]int{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := value(depth + 1)
			if err != nil {
				return nil, err
			}
			key := k.(string)
			if i, dup := at[key]; dup {
				if depth <= 1 {
					dups = append(dups, key)
				}
				o[i].val = v
				continue
			}
			at[key] = len(o)
			o = append(o, member{key, v})
		}
		_, err = d.Token()
		return o, err
	}
	v, err := value(0)
	if err != nil {
		return nil, nil, err
	}
	o, ok := v.(object)
	if !ok {
		return nil, nil, fmt.Errorf("not an object")
	}
	if _, err := d.Token(); err != io.EOF {
		return o, dups, fmt.Errorf("something follows its end")
	}
	return o, dups, nil
}

func pairs(kv member, problem func(string, ...any)) []Pair {
	o, ok := kv.val.(object)
	if !ok {
		if kv.val != nil {
			problem("%s is not an object", kv.key)
		}
		return nil
	}
	var out []Pair
	for _, e := range o {
		s, ok := e.val.(string)
		if !ok {
			problem("%s.%s is not a string", kv.key, e.key)
			continue
		}
		if len(out) == maxEntries {
			problem("%s has more than %d entries", kv.key, maxEntries)
			break
		}
		out = append(out, Pair{e.key, s})
	}
	return out
}

func stringList(v any) []string {
	switch x := v.(type) {
	case string:
		return []string{x}
	case []any:
		var out []string
		for _, e := range x {
			if s, ok := e.(string); ok && len(out) < maxEntries {
				out = append(out, s)
			}
		}
		return out
	}
	return nil
}

func condition(v any, depth int) *Cond {
	if depth > maxCondDepth {
		return nil
	}
	switch x := v.(type) {
	case string:
		return &Cond{Target: x}
	case nil, bool:
		return &Cond{Null: true}
	case []any:
		c := &Cond{}
		for _, e := range x {
			if len(c.List) < 64 {
				c.List = append(c.List, condition(e, depth+1))
			}
		}
		return c
	case object:
		c := &Cond{}
		for _, e := range x {
			if len(c.Keys) < maxEntries {
				c.Keys = append(c.Keys, CondKey{e.key, condition(e.val, depth+1)})
			}
		}
		return c
	}
	return nil
}

// Hosts lists the hosts of homepage and repository: those that the package itself documents.
func (m *Manifest) Hosts() []string {
	var out []string
	for _, u := range []string{m.Homepage, m.Repository} {
		_, h, ok := strings.Cut(u, "://")
		if !ok {
			continue
		}
		if i := strings.IndexAny(h, "/?#:"); i >= 0 {
			h = h[:i]
		}
		if i := strings.LastIndexByte(h, '@'); i >= 0 {
			h = h[i+1:]
		}
		if h = strings.ToLower(strings.TrimPrefix(h, "www.")); h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return out
}

// LocalDependencies lists the folders inside the package that it depends on by path, as file:./vendor/x, in the order of their names.
func (m *Manifest) LocalDependencies() []string {
	var out []string
	for _, d := range slices.Concat(m.Dependencies, m.OptionalDependencies) {
		p, ok := strings.CutPrefix(d.Value, "file:")
		if !ok && !strings.HasPrefix(d.Value, "./") {
			continue
		}
		p = path.Clean(strings.TrimPrefix(strings.ReplaceAll(p, `\`, "/"), "//"))
		if path.IsAbs(p) || p == "." || p == ".." || strings.HasPrefix(p, "../") || strings.HasSuffix(p, ".tgz") {
			continue
		}
		out = append(out, p)
	}
	return out
}
