package behavior

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// Base is the loaded knowledge. It is immutable and safe for concurrent use.
type Base struct {
	apis      map[string]*API
	list      []*API
	same      map[string]string // modules that have the members of another: graceful-fs those of fs
	paths     pathIndex
	hosts     hostIndex
	env       envIndex
	Behaviors []*Behavior // sorted by ID
	byID      map[string]*Behavior
}

// Load reads the knowledge from its files. An error names the file, and the line where there is one.
//
// Every scan process loads it, so it must be cheap: stanzas are parsed once for all the names that share them, and the lists of
// classes are read line by line and looked up by their fixed parts, without regular expressions.
func Load(fsys fs.FS) (*Base, error) {
	b := &Base{byID: map[string]*Behavior{}}
	if err := b.loadAPIs(fsys); err != nil {
		return nil, err
	}
	var err error
	if b.paths, err = loadPaths(fsys); err != nil {
		return nil, err
	}
	if b.hosts, err = loadHosts(fsys); err != nil {
		return nil, err
	}
	for _, a := range b.list {
		if a.To != "" && !b.hosts.classes[a.To] {
			return nil, fmt.Errorf("apis: %s goes to %s, which is no class of hosts.yaml", a.Name, a.To)
		}
	}
	if b.env, err = loadEnv(fsys); err != nil {
		return nil, err
	}
	if err := b.loadBehaviors(fsys); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *Base) loadAPIs(fsys fs.FS) error {
	files, err := fs.Glob(fsys, "apis/*.txt")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("knowledge has no apis/*.txt")
	}
	b.apis, b.same = make(map[string]*API, 2048), map[string]string{}
	for _, f := range files {
		data, err := fs.ReadFile(fsys, f)
		if err != nil {
			return err
		}
		stanzas, same, err := parseStanzas(f, data)
		if err != nil {
			return err
		}
		maps.Copy(b.same, same)
		for _, s := range stanzas {
			for _, a := range s.apis {
				if err := b.name(a.Name, a); err != nil {
					return fmt.Errorf("%s:%d: %w", f, s.line, err)
				}
				for _, n := range a.Spell {
					if err := b.name(n, a); err != nil {
						return fmt.Errorf("%s:%d: %w", f, s.line, err)
					}
				}
				b.list = append(b.list, a)
			}
		}
	}
	slices.SortFunc(b.list, func(x, y *API) int { return strings.Compare(x.Name, y.Name) })
	return nil
}

func (b *Base) name(n string, a *API) error {
	if b.apis[n] != nil {
		return fmt.Errorf("%s is described twice", n)
	}
	b.apis[n] = a
	return nil
}

// API finds a stanza by its name or another spelling of it. A module may be written as code imports it: node:fs.readFile,
// fs/promises.readFile and @scope/name.member mean fs.readFile, fs.promises.readFile and @scope.name.member.
func (b *Base) API(name string) *API {
	if a := b.apis[name]; a != nil {
		return a
	}
	n := strings.TrimPrefix(name, "node:")
	if strings.IndexByte(n, '/') >= 0 {
		n = strings.ReplaceAll(n, "/", ".")
	}
	if module, member, ok := strings.Cut(n, "."); ok {
		if twin := b.same[module]; twin != "" {
			if a := b.apis[n]; a != nil {
				return a
			}
			return b.apis[twin+"."+member]
		}
	}
	return b.apis[n]
}

// APIs lists all stanzas by name.
func (b *Base) APIs() []*API { return b.list }
