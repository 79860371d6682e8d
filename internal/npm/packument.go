package npm

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Packument is the registry's document of one package, as far as donapi reads it.
type Packument struct {
	Name     string
	Tags     map[string]string
	Versions map[string]PackumentVersion
	Time     map[string]string
}

// PackumentVersion is one version in a packument.
type PackumentVersion struct {
	Name             string `json:"name"`
	Version          string `json:"version"`
	Deprecated       any    `json:"deprecated"`
	HasInstallScript bool   `json:"hasInstallScript"`
	Dist             Dist   `json:"dist"`
}

// Dist says where a tarball is and what it must be.
type Dist struct {
	Tarball   string `json:"tarball"`
	Integrity string `json:"integrity"`
	Shasum    string `json:"shasum"`
}

// Sum is the integrity of a tarball: the modern field, or the sha1 of old versions.
func (d Dist) Sum() Integrity {
	if i := Integrity(d.Integrity); i != "" && !i.Weak() {
		return i
	}
	if d.Shasum != "" {
		return SHA1(d.Shasum)
	}
	return Integrity(d.Integrity)
}

// ParsePackument reads a packument. Versions of a wrong shape are left out.
func ParsePackument(data []byte) (*Packument, error) {
	var raw struct {
		Name     string                     `json:"name"`
		Tags     map[string]string          `json:"dist-tags"`
		Versions map[string]json.RawMessage `json:"versions"`
		Time     map[string]any             `json:"time"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("packument: %w", err)
	}
	p := &Packument{Name: raw.Name, Tags: raw.Tags, Versions: map[string]PackumentVersion{}, Time: map[string]string{}}
	for k, v := range raw.Versions {
		var pv PackumentVersion
		if json.Unmarshal(v, &pv) == nil {
			p.Versions[k] = pv
		}
	}
	for k, v := range raw.Time {
		if s, ok := v.(string); ok {
			p.Time[k] = s
		}
	}
	return p, nil
}

// Spec is what a user names: a package, and a version, range or tag of it.
type Spec struct{ Name, Want string }

// ParseSpec reads name, name@version, name@range, name@tag and npm:name@range, with or without a scope.
func ParseSpec(s string) (Spec, error) {
	s = strings.TrimPrefix(s, "npm:")
	name, want := s, ""
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		name, want = s[:i], s[i+1:]
	}
	if !ValidName(name) {
		return Spec{}, fmt.Errorf("%q is not the name of a package", name)
	}
	return Spec{name, want}, nil
}

// ValidName reports a name that the registry could hold: npm's rules for old packages.
func ValidName(n string) bool {
	if scope, rest, ok := strings.Cut(n, "/"); ok {
		return strings.HasPrefix(scope, "@") && len(scope) > 1 && validPart(scope[1:]) && validPart(rest)
	}
	return validPart(n)
}

func validPart(s string) bool {
	if s == "" || len(s) > 214 || s[0] == '.' || s == "node_modules" || s == "favicon.ico" {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_.~!'()*", c) >= 0) {
			return false
		}
	}
	return true
}

// Pick chooses the version that npm would: an exact one, a tag, or the highest in a range, preferring what latest names.
func (p *Packument) Pick(want string) (PackumentVersion, error) {
	if want == "" {
		want = "latest"
	}
	if v, ok := p.Versions[want]; ok {
		return v, nil
	}
	if t, ok := p.Tags[want]; ok {
		if v, ok := p.Versions[t]; ok {
			return v, nil
		}
	}
	c, err := semver.NewConstraint(want)
	if err != nil {
		return PackumentVersion{}, fmt.Errorf("%s has no version or tag %q", p.Name, want)
	}
	if t, ok := p.Tags["latest"]; ok {
		if v, err := semver.NewVersion(t); err == nil && c.Check(v) {
			if pv, ok := p.Versions[t]; ok {
				return pv, nil
			}
		}
	}
	var vs []*semver.Version
	for k := range p.Versions {
		if v, err := semver.NewVersion(k); err == nil && c.Check(v) {
			vs = append(vs, v)
		}
	}
	if len(vs) == 0 {
		return PackumentVersion{}, fmt.Errorf("no version of %s matches %q", p.Name, want)
	}
	sort.Sort(semver.Collection(vs))
	return p.Versions[vs[len(vs)-1].Original()], nil
}
