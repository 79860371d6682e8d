package scan

import (
	"context"
	"errors"
	"slices"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect/diff"
	"github.com/donapi/donapi/internal/reconstruct"
)

// profile is what versions of a package are compared by.
func profile(k *Knowledge, a *artifact.Artifact, out *Analysis) *diff.Profile {
	p := reconstruct.Build(a, reconstruct.Options{Commands: k.Shell.Commands})
	return diff.Read(a, p, out.Trace, slices.Concat(out.Findings, out.Matched), k.Base)
}

// Compare sets a new version of a package beside an old one. The analyser must make profiles. Each version is judged too.
func (s *Scanner) Compare(ctx context.Context, old, new Subject) (*diff.Diff, error) {
	var sides [2]diff.Side
	var profiles [2]*diff.Profile
	for i, sub := range []Subject{old, new} {
		a, err := s.Analyse(ctx, sub)
		if err != nil {
			return nil, err
		}
		if a.Profile == nil { // no process survived it
			return nil, errors.New(sub.Target + ": could not be analysed")
		}
		v := s.Judge(a, sub)
		profiles[i] = a.Profile
		sides[i] = diff.Side{Target: sub.Target, Name: v.Name, Version: v.Version, Integrity: v.Integrity, Level: v.Level, Why: v.Why}
	}
	d := diff.Compare(profiles[0], profiles[1])
	d.Old, d.New = sides[0], sides[1]
	return d, nil
}
