package eval

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/eval/transform"
	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
)

// Held says how many packages kept their verdict when they were written differently: renamed, minified, bundled, split. Samples are
// transformed through parser APIs only.
type Held struct {
	Transform string   `json:"transform"`
	Packages  int      `json:"packages"` // that could be transformed
	Level     Interval `json:"level"`    // kept the level
	Flagged   Interval `json:"flagged"`  // are still flagged, or still not
	Lost      []string `json:"lost,omitempty"`
}

// maxLost bounds the list of packages that did not hold.
const maxLost = 50

// Variants judges each flagged sample again in every variant.
func Variants(ctx context.Context, s *scan.Scanner, judged []Judged, opt Options) ([]Held, error) {
	list := filter(judged, func(j *Judged) bool { return j.Sample.Malicious && j.Level >= report.Suspicious })
	var out []Held
	for _, t := range transform.All {
		levels := make([]*report.Level, len(list))
		slots := make(chan struct{}, max(1, opt.Jobs))
		var wg sync.WaitGroup
		for i := range list {
			if ctx.Err() != nil {
				break
			}
			slots <- struct{}{}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				levels[i] = variant(ctx, s, &list[i], t, opt)
				if opt.Progress != nil {
					opt.Progress(t.Name + " " + list[i].Sample.Name)
				}
			}()
		}
		wg.Wait()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out = append(out, held(t.Name, list, levels))
	}
	return out, nil
}

func held(name string, list []Judged, levels []*report.Level) Held {
	h := Held{Transform: name}
	same, flagged := 0, 0
	for i, l := range levels {
		if l == nil {
			continue
		}
		h.Packages++
		if *l == list[i].Level {
			same++
		}
		if *l >= report.Suspicious {
			flagged++
		}
		if *l != list[i].Level && len(h.Lost) < maxLost {
			h.Lost = append(h.Lost, fmt.Sprintf("%s: %s, then %s", list[i].Sample.Name, list[i].Level, *l))
		}
	}
	h.Level, h.Flagged = Wilson(same, h.Packages), Wilson(flagged, h.Packages)
	slices.Sort(h.Lost)
	return h
}

// variant judges one sample transformed; nil when it has no code to transform.
func variant(ctx context.Context, s *scan.Scanner, j *Judged, t transform.Transform, opt Options) *report.Level {
	sub, err := opt.Load(j.Sample)
	if err != nil {
		return nil
	}
	var a *artifact.Artifact
	if sub.Folder != "" {
		a, err = artifact.FromFolder(sub.Folder, artifact.Limits{})
	} else {
		a, err = artifact.FromTarball(bytes.NewReader(sub.Tarball), artifact.Limits{})
	}
	if err != nil {
		return nil
	}
	v, err := t.Make(a, reconstruct.Build(a, reconstruct.Options{}))
	if err != nil || v.Changed == 0 {
		return nil
	}
	tarball, err := pack(v.Artifact)
	if err != nil {
		return nil
	}
	verdict, err := s.Scan(ctx, scan.Subject{Target: j.Sample.Name, Tarball: tarball})
	if err != nil {
		return nil
	}
	return &verdict.Level
}

// pack writes an artifact as a tarball.
func pack(a *artifact.Artifact) ([]byte, error) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for i := range a.Files {
		f := &a.Files[i]
		if err := w.WriteHeader(&tar.Header{Name: "package/" + f.Path, Mode: 0o644, Size: int64(len(f.Data))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}
