package publication

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Compare sets the registry's manifest of a version beside that of its tarball. What npm itself changes between the two (the order of
// fields, bin as a text or with ./ before it, an install script that stands for binding.gyp, optional dependencies listed twice) is no
// difference.
func Compare(registry, tarball npm.Declared) []report.Finding {
	var out []report.Finding
	add := func(id string, phase callseq.Phase, text string) {
		f := detect.Find(Checks, id, report.Evidence{File: "package.json", Text: text})
		f.Phase = phase
		out = append(out, f)
	}
	if tarball.Name != "" && registry.Name != "" && (tarball.Name != registry.Name || plainVersion(tarball.Version) != plainVersion(registry.Version)) {
		add("publication/other-identity", "", fmt.Sprintf("%.200s@%.100s, in the registry %s@%s", tarball.Name, tarball.Version, registry.Name, registry.Version))
	}
	shown := slices.ContainsFunc(npm.LifecycleInstall, func(n string) bool { return npm.Get(registry.Scripts, n) != "" })
	for _, n := range npm.LifecycleInstall {
		own, public := strings.TrimSpace(npm.Get(tarball.Scripts, n)), strings.TrimSpace(npm.Get(registry.Scripts, n))
		switch {
		case own == "" || own == public:
		case public == "" && !shown:
			add("publication/hidden-hook", callseq.PhaseInstall, fmt.Sprintf("%s: %.200s", n, own))
		default:
			add("publication/other-hook", callseq.PhaseInstall, fmt.Sprintf("%s: %.200s; in the registry %.200q", n, own, public))
		}
	}
	own, public := dependencyNames(tarball), dependencyNames(registry)
	for _, side := range []struct {
		list, other []string
		where       string
	}{{own, public, "only in the tarball"}, {public, own, "only in the registry"}} {
		only := slices.DeleteFunc(slices.Clone(side.list), func(d string) bool { _, ok := slices.BinarySearch(side.other, d); return ok })
		if len(only) > 0 {
			add("publication/hidden-dependency", "", fmt.Sprintf("%s: %.300s", side.where, strings.Join(only, ", ")))
		}
	}
	var hidden []string
	for _, b := range tarball.Bin {
		if target(npm.Get(registry.Bin, b.Key)) != target(b.Value) {
			hidden = append(hidden, b.Key+" -> "+b.Value)
		}
	}
	if len(hidden) > 0 {
		slices.Sort(hidden)
		add("publication/hidden-command", "", fmt.Sprintf("%.300s", strings.Join(hidden, ", ")))
	}
	return out
}

func plainVersion(v string) string {
	v = strings.TrimLeft(strings.TrimSpace(v), "v= ")
	v, _, _ = strings.Cut(v, "+") // build metadata is not kept
	return v
}

func dependencyNames(d npm.Declared) []string {
	var out []string
	for _, p := range d.Dependencies {
		out = append(out, p.Key)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func target(p string) string {
	if p == "" {
		return ""
	}
	return path.Clean("/" + strings.ReplaceAll(p, `\`, "/"))
}
