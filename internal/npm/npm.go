// Package npm holds the registry's vocabulary: versions, manifests, packuments, integrity, changes. Values only: reading them
// never fails a package. What a manifest says in a shape that npm would not accept is kept as a Problem beside the rest.
package npm

import (
	"fmt"
	"slices"
)

// Version is one published version. Its zero value names nothing.
type Version struct {
	Name    string `json:"name"` // with scope, as @babel/core
	Version string `json:"version"`
}

func (v Version) String() string { return v.Name + "@" + v.Version }

// Manifest is what donapi reads of a package.json. Maps are kept as sorted lists, so that everything after is deterministic.
type Manifest struct {
	Name        string
	Version     string
	Description string
	Type        string // "module", "commonjs" or ""
	Main        string
	Module      string
	Types       string
	Scripts     []Pair // in the order of the file
	Bin         []Pair // command name -> file
	Browser     []Pair // "" -> file for the string form; path -> path, "" target for false
	Exports     *Cond  // nil when absent
	Imports     *Cond
	GypFile     *bool
	Files       []string
	OS, CPU     []string
	Homepage    string
	Repository  string
	License     string

	Dependencies         []Pair
	DevDependencies      []Pair
	OptionalDependencies []Pair
	PeerDependencies     []Pair
	Bundled              []string // bundleDependencies, bundledDependencies
	BundleAll            bool

	Problems []string // fields of a wrong type or beyond a limit, sorted
	Raw      []byte   // the file
}

// Declared is the part of a manifest that decides what an installer does.
type Declared struct {
	Name         string `json:"name"`
	Version      string `json:"version"`
	Scripts      []Pair `json:"scripts,omitempty"`
	Bin          []Pair `json:"bin,omitempty"`
	Dependencies []Pair `json:"dependencies,omitempty"` // optional ones too
}

// Declared is what the manifest makes an installer do.
func (m *Manifest) Declared() Declared {
	return Declared{m.Name, m.Version, m.Scripts, m.Bin, slices.Concat(m.Dependencies, m.OptionalDependencies)}
}

// Pair is one entry of a JSON object whose values are strings.
type Pair struct{ Key, Value string }

// Cond is the tree of an exports or imports field: a target, or keys (subpaths or conditions) in the order of the file.
type Cond struct {
	Target string // when it is a string
	Null   bool   // when it is null or false: the subpath is closed
	Keys   []CondKey
	List   []*Cond // when it is an array of fallbacks
}

// CondKey is one subpath or condition.
type CondKey struct {
	Key  string
	Cond *Cond
}

// Script returns the named script, or "".
func (m *Manifest) Script(name string) string { return Get(m.Scripts, name) }

// Get returns the value of a key, or "".
func Get(ps []Pair, key string) string {
	for _, p := range ps {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// LifecycleInstall lists the scripts that npm runs when a published package is installed, in their order. prepare and
// prepublish run for git dependencies and links only and are treated as implicit.
var LifecycleInstall = []string{"preinstall", "install", "postinstall"}

// PURL is the package URL of the version.
func (v Version) PURL() string {
	name := v.Name
	if len(name) > 0 && name[0] == '@' {
		name = "%40" + name[1:]
	}
	return fmt.Sprintf("pkg:npm/%s@%s", name, v.Version)
}
