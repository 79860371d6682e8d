package publication

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Limits of the look at dependencies.
const (
	fresh     = 7 * 24 * time.Hour
	maxSteps  = 3
	maxLooked = 20 // documents
)

// Dependencies looks at the dependencies of a version that the version before it did not have, by their own documents. skip names those
// that need no look. A fresh one's dependencies are looked at too. What could not be fetched is named in unseen; err is ours.
func Dependencies(ctx context.Context, p *npm.Packument, version string, skip func(name string) bool, document func(ctx context.Context, name string) (*npm.Packument, error)) (out []report.Finding, unseen []string, err error) {
	at := p.Published(version)
	if at.IsZero() { // nothing can be told apart in time
		return nil, nil, nil
	}
	var old []string
	if before := p.Before(version); len(before) > 0 {
		old = dependencyNames(npm.ParseManifest(before[len(before)-1].Raw).Declared())
	}
	type step struct {
		npm.Pair
		way []string
	}
	var todo []step
	push := func(raw []byte, way []string) {
		for _, d := range npm.ParseManifest(raw).Declared().Dependencies {
			todo = append(todo, step{d, way})
		}
	}
	push(p.Versions[version].Raw, nil)
	looked := map[string]bool{p.Name: true}
	for len(todo) > 0 && len(looked) <= maxLooked {
		d := todo[0]
		todo = todo[1:]
		if looked[d.Key] || !npm.ValidName(d.Key) || skip(d.Key) || len(d.way) == 0 && slices.Contains(old, d.Key) || strings.Contains(d.Value, ":") {
			continue
		}
		looked[d.Key] = true
		q, err := document(ctx, d.Key)
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if err != nil {
			unseen = append(unseen, fmt.Sprintf("%s: %v", d.Key, err))
			continue
		}
		way := append(slices.Clone(d.way), d.Key)
		where := strings.Join(way, " > ")
		created := q.Created()
		isFresh := !created.IsZero() && created.After(at.Add(-fresh))
		if isFresh {
			out = append(out, detect.Find(Checks, "publication/fresh-dependency", report.Evidence{File: "package.json", Text: fmt.Sprintf("%s: first published %s, this version %s", where, stamp(created), stamp(at))}))
		}
		now, err := q.Pick(d.Value)
		if err != nil {
			continue
		}
		if f, ok := armed(q, d.Value, &now, at); ok {
			out = append(out, detect.Find(Checks, "publication/armed-dependency", report.Evidence{File: "package.json", Text: where + " " + f}))
			out[len(out)-1].Phase = callseq.PhaseInstall
		}
		if isFresh && len(way) < maxSteps {
			push(now.Raw, way)
		}
	}
	slices.Sort(unseen)
	slices.SortStableFunc(out, func(a, b report.Finding) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Evidence[0].Text, b.Evidence[0].Text))
	})
	return out, unseen, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// armed reports that a range took a version without an install script at a time and takes a later one with one now.
func armed(q *npm.Packument, want string, now *npm.PackumentVersion, at time.Time) (string, bool) {
	out := q.Published(now.Version)
	if !out.After(at) || !now.HasInstallScript && len(installScripts(now)) == 0 {
		return "", false
	}
	then := &npm.Packument{Name: q.Name, Versions: map[string]npm.PackumentVersion{}, Tags: map[string]string{}}
	for k, v := range q.Versions {
		if t := q.Published(k); !t.IsZero() && !t.After(at) {
			then.Versions[k] = v
		}
	}
	was, err := then.Pick(want)
	if err != nil || was.HasInstallScript || len(installScripts(&was)) > 0 {
		return "", false
	}
	return fmt.Sprintf("%.100s: %s at publication, now %s of %s, which runs a script when installed", want, was.Version, now.Version, stamp(out)), true
}
