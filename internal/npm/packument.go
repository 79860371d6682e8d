package npm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Packument is the registry's document of one package, as far as donapi reads it. Mirrors leave out Rev, Time and signatures.
type Packument struct {
	Name        string
	Rev         string
	Tags        map[string]string
	Versions    map[string]PackumentVersion
	Time        map[string]string // of versions, created and modified; a removed version stays here
	Unpublished bool              // the owner removed all versions
	Problems    []string          // parts of a wrong shape, which were left out; sorted
}

// PackumentVersion is one version in a packument.
type PackumentVersion struct {
	Name             string
	Version          string
	Deprecated       any // a text; other types occur. nil, false and "" mean that it is not
	HasInstallScript bool
	Publisher        string // _npmUser.name
	TrustedPublisher string // service that published without a token, as github; _npmUser.trustedPublisher.id
	Provenance       bool   // the registry holds an attestation of where it was built
	Description      string
	Dist             Dist
	Raw              json.RawMessage // the manifest as the registry gave it
}

// IsDeprecated reports a version that installers avoid.
func (v *PackumentVersion) IsDeprecated() bool {
	return v.Deprecated != nil && v.Deprecated != false && v.Deprecated != ""
}

// SecurityHolder reports a document that the registry put in the place of a package that it took down.
func (p *Packument) SecurityHolder() bool {
	for k, v := range p.Versions {
		if !strings.HasPrefix(k, "0.0.1-security") || v.Publisher != "npm" {
			return false
		}
	}
	return len(p.Versions) > 0
}

// Published is when a version came out, by the registry's clock; zero when the document does not say.
func (p *Packument) Published(version string) time.Time {
	t, err := time.Parse(time.RFC3339, p.Time[version])
	if err != nil {
		return time.Time{}
	}
	return t
}

// Created is when the first version came out that the document tells of, removed ones included; zero when it does not say.
func (p *Packument) Created() time.Time {
	first := p.Published("created")
	for k := range p.Time {
		if t := p.Published(k); k != "modified" && !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// Before lists the versions that came out before another, by time and then by name; removed ones are not there.
func (p *Packument) Before(version string) []PackumentVersion {
	at := p.Published(version)
	var out []PackumentVersion
	for _, k := range slices.Sorted(maps.Keys(p.Versions)) {
		if t := p.Published(k); k != version && !t.IsZero() && t.Before(at) {
			out = append(out, p.Versions[k])
		}
	}
	slices.SortStableFunc(out, func(a, b PackumentVersion) int { return p.Published(a.Version).Compare(p.Published(b.Version)) })
	return out
}

// Dist says where a tarball is and what it must be.
type Dist struct {
	Tarball   string
	Integrity string
	Shasum    string
}

// Sum is the integrity of a tarball: the modern field, or the sha1 of old versions.
func (d Dist) Sum() Integrity {
	if i := Integrity(d.Integrity); i != "" && !i.Weak() {
		return i
	}
	if s := SHA1(d.Shasum); s != "" {
		return s
	}
	return Integrity(d.Integrity)
}

// ParsePackument reads a packument. Parts of a wrong shape are left out and told in Problems; only what is no object is an error.
func ParsePackument(data []byte) (*Packument, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("packument: %w", err)
	}
	if raw == nil {
		return nil, fmt.Errorf("packument: null")
	}
	p := &Packument{Tags: map[string]string{}, Versions: map[string]PackumentVersion{}, Time: map[string]string{}}
	problem := func(format string, args ...any) {
		if len(p.Problems) < maxProblems {
			p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
		}
	}
	text := func(dst *string, m map[string]json.RawMessage, key, where string) {
		if v, ok := m[key]; ok && !isNull(v) && json.Unmarshal(v, dst) != nil {
			problem("%s%s is not a text", where, key)
		}
	}
	members := func(m map[string]json.RawMessage, key, where string) map[string]json.RawMessage {
		var o map[string]json.RawMessage
		if v, ok := m[key]; ok && json.Unmarshal(v, &o) != nil {
			problem("%s%s is not an object", where, key)
		}
		return o
	}
	text(&p.Name, raw, "name", "")
	text(&p.Rev, raw, "_rev", "")
	for k, v := range members(raw, "dist-tags", "") {
		var s string
		if json.Unmarshal(v, &s) != nil {
			problem("dist-tags.%.100s is not a text", k)
			continue
		}
		p.Tags[k] = s
	}
	times := members(raw, "time", "")
	for k, v := range times {
		var s string
		if json.Unmarshal(v, &s) == nil {
			p.Time[k] = s
		}
	}
	gone, listed := times["unpublished"]
	p.Unpublished = listed && !isNull(gone)
	versions := members(raw, "versions", "")
	for _, k := range slices.Sorted(maps.Keys(versions)) {
		var m map[string]json.RawMessage
		if json.Unmarshal(versions[k], &m) != nil || m == nil {
			problem("versions.%.100s is not an object", k)
			continue
		}
		where := fmt.Sprintf("versions.%.100s.", k)
		v := PackumentVersion{Raw: versions[k]}
		text(&v.Name, m, "name", where)
		text(&v.Version, m, "version", where)
		if v.Version != k {
			problem("versions.%.100s has the version %.100q", k, v.Version)
			v.Version = k // an installer goes by the key
		}
		text(&v.Description, m, "description", where)
		json.Unmarshal(m["deprecated"], &v.Deprecated)
		json.Unmarshal(m["hasInstallScript"], &v.HasInstallScript)
		if user, ok := m["_npmUser"]; ok {
			var u struct {
				Name             string
				TrustedPublisher struct{ ID string }
			}
			json.Unmarshal(user, &u) // old ones are texts
			v.Publisher, v.TrustedPublisher = u.Name, u.TrustedPublisher.ID
		}
		dist := members(m, "dist", where)
		text(&v.Dist.Tarball, dist, "tarball", where+"dist.")
		text(&v.Dist.Integrity, dist, "integrity", where+"dist.")
		text(&v.Dist.Shasum, dist, "shasum", where+"dist.")
		a, attested := dist["attestations"]
		v.Provenance = attested && !isNull(a)
		p.Versions[k] = v
	}
	if len(p.Versions) > 0 {
		p.Unpublished = false
	}
	slices.Sort(p.Problems)
	return p, nil
}

func isNull(v json.RawMessage) bool { return bytes.Equal(bytes.TrimSpace(v), []byte("null")) }

// Spec is what a user names: a package, and a version, range or tag of it.
type Spec struct{ Name, Want string }

// ParseSpec reads name, name@version, name@range, name@tag, npm:name@range and alias@npm:name@range, with or without a scope.
func ParseSpec(s string) (Spec, error) {
	if i := strings.Index(s, "@npm:"); i > 0 {
		s = s[i+1:]
	}
	s = strings.TrimPrefix(s, "npm:")
	name, want := s, ""
	if i := strings.IndexByte(s[min(1, len(s)):], '@'); i >= 0 {
		name, want = s[:i+1], s[i+2:]
	}
	if !ValidName(name) {
		return Spec{}, fmt.Errorf("%q is not the name of a package", name)
	}
	return Spec{name, strings.TrimSpace(want)}, nil
}

// ValidName reports a name that the registry could hold: npm's rules for old packages.
func ValidName(n string) bool {
	if len(n) > 214 {
		return false
	}
	if scope, rest, ok := strings.Cut(n, "/"); ok {
		return strings.HasPrefix(scope, "@") && len(scope) > 1 && validPart(scope[1:]) && validPart(rest)
	}
	return validPart(n) && !strings.EqualFold(n, "node_modules") && !strings.EqualFold(n, "favicon.ico")
}

func validPart(s string) bool {
	if s == "" || s[0] == '.' || s[0] == '_' {
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

// ErrNoVersions is returned for a package whose versions are all gone.
var ErrNoVersions = errors.New("it has no version any more")

// Release picks as Pick does, a version that can be fetched.
func (p *Packument) Release(want string) (PackumentVersion, error) {
	if len(p.Versions) == 0 {
		return PackumentVersion{}, fmt.Errorf("%s: %w", p.Name, ErrNoVersions)
	}
	v, err := p.Pick(want)
	if err == nil && v.Dist.Tarball == "" {
		err = fmt.Errorf("%s@%s has no tarball", p.Name, v.Version)
	}
	return v, err
}

// Pick chooses the version that npm would: an exact one, a tag, or what latest names if the range allows it, and else the highest of
// the range; a deprecated one only when there is no other.
func (p *Packument) Pick(want string) (PackumentVersion, error) {
	want = strings.TrimSpace(want)
	if v, ok := parseVersion(want); ok {
		if pv, ok := p.Versions[v.String()]; ok {
			return pv, nil
		}
		if pv, ok := p.Versions[want]; ok {
			return pv, nil
		}
		return PackumentVersion{}, fmt.Errorf("%s has no version %s", p.Name, want)
	}
	r, err := ParseRange(want)
	if err != nil {
		if pv, ok := p.Versions[p.Tags[want]]; ok {
			return pv, nil
		}
		return PackumentVersion{}, fmt.Errorf("%s has no version or tag %q", p.Name, want)
	}
	latest := p.Tags["latest"]
	if pv, ok := p.Versions[latest]; ok && (want == "" || want == "*" || r.Allows(latest)) && !pv.IsDeprecated() {
		return pv, nil
	}
	var best PackumentVersion
	var at semVersion
	found := false
	for _, k := range slices.Sorted(maps.Keys(p.Versions)) {
		v, ok := parseVersion(k)
		if !ok || !r.allows(v) {
			continue
		}
		pv := p.Versions[k]
		better := !found || best.IsDeprecated() && !pv.IsDeprecated()
		if found && best.IsDeprecated() == pv.IsDeprecated() {
			better = v.compare(at) > 0
		}
		if better {
			best, at, found = pv, v, true
		}
	}
	if !found {
		return PackumentVersion{}, fmt.Errorf("no version of %s matches %q", p.Name, want)
	}
	return best, nil
}
