package npm

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Locked is one package that a lock file resolved.
type Locked struct {
	Version
	Resolved  string // URL of the tarball; empty for a bundled package
	Integrity Integrity
	Path      string // its first place, as node_modules/a/node_modules/b
}

// ParseLockfile reads a package-lock.json or npm-shrinkwrap.json of version 2 or 3: every package from a registry, once, by name.
func ParseLockfile(data []byte) ([]Locked, error) {
	var raw struct {
		LockfileVersion int                        `json:"lockfileVersion"`
		Packages        map[string]json.RawMessage `json:"packages"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("lock file: %w", err)
	}
	if raw.LockfileVersion < 2 || raw.Packages == nil {
		return nil, fmt.Errorf("lock file of version %d: run npm install --lockfile-version 3 --package-lock-only to bring it up to date", raw.LockfileVersion)
	}
	var paths []string
	for p := range raw.Packages {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	seen := map[string]bool{}
	var out []Locked
	for _, p := range paths {
		var e struct {
			Name      string `json:"name"`
			Version   string `json:"version"`
			Resolved  string `json:"resolved"`
			Integrity string `json:"integrity"`
			Link      bool   `json:"link"`
			InBundle  bool   `json:"inBundle"`
		}
		if err := json.Unmarshal(raw.Packages[p], &e); err != nil {
			return nil, fmt.Errorf("lock file: %.200q: %w", p, err)
		}
		i := strings.LastIndex(p, "node_modules/")
		if i < 0 || e.Link || e.InBundle || e.Version == "" {
			continue
		}
		l := Locked{Version: Version{Name: e.Name, Version: e.Version}, Resolved: e.Resolved, Integrity: Integrity(e.Integrity), Path: p}
		if l.Name == "" {
			l.Name = p[i+len("node_modules/"):]
		}
		if !ValidName(l.Name) {
			return nil, fmt.Errorf("lock file: %.200q names no package", p)
		}
		key := l.String() + " " + e.Integrity
		if !seen[key] {
			seen[key] = true
			out = append(out, l)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].String() < out[j].String() })
	return out, nil
}
