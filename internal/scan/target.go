package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/detect/publication"
	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
)

// Source fetches packages from a registry.
type Source interface {
	Resolve(ctx context.Context, s npm.Spec) (npm.PackumentVersion, error)
	History(ctx context.Context, name string) (*npm.Packument, error) // the whole document
	Tarball(ctx context.Context, url string, sum npm.Integrity) ([]byte, error)
}

// Item is one package that a target names, not yet fetched.
type Item struct {
	Target string
	Load   func(ctx context.Context) (Subject, error)
}

// maxLocal bounds a tarball or lock file read from disk or standard input, bytes.
const maxLocal = 512 << 20

// Expand lists the packages that a target names. A target is a file or folder when it exists as such or is written as a path; - is a
// tarball on standard input; http and https name a tarball; all else is a package in the registry. A lock file names every package
// that it resolved. note receives what a user should know of the choice. known is nil, or a package by name comes with the document that
// tells how it was published, and with a look at those of its dependencies that known does not know.
func Expand(target string, src Source, stdin io.Reader, known func(name string) bool, note func(string)) ([]Item, error) {
	if target == "-" {
		return []Item{{Target: "-", Load: func(context.Context) (Subject, error) {
			data, err := io.ReadAll(io.LimitReader(stdin, maxLocal+1))
			if len(data) > maxLocal {
				err = fmt.Errorf("standard input: beyond %d MB", maxLocal>>20)
			}
			return Subject{Target: "-", Tarball: data}, err
		}}}, nil
	}
	if strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://") {
		return []Item{{Target: target, Load: func(ctx context.Context) (Subject, error) {
			data, err := src.Tarball(ctx, target, "")
			return Subject{Target: target, Tarball: data}, err
		}}}, nil
	}
	st, err := os.Stat(target)
	pathlike := strings.HasPrefix(target, ".") || strings.HasPrefix(target, "/") || strings.HasPrefix(target, "~") || filepath.IsAbs(target) || strings.Contains(target, `\`)
	switch {
	case err == nil && st.IsDir():
		if !pathlike && npm.ValidName(target) {
			note(fmt.Sprintf("%s is a folder here and is scanned as one; for the package of that name write %s@latest", target, target))
		}
		return []Item{{Target: target, Load: func(context.Context) (Subject, error) { return Subject{Target: target, Folder: target}, nil }}}, nil
	case err == nil:
		switch base := filepath.Base(target); {
		case base == "package.json":
			return nil, fmt.Errorf("%s is a manifest: scan its folder %s, or the lock file beside it", target, filepath.Dir(target))
		case base == "yarn.lock" || base == "pnpm-lock.yaml" || base == "bun.lock":
			return nil, fmt.Errorf("%s: of lock files only npm's are read", target)
		case strings.HasSuffix(base, ".json"):
			return lockfile(target, src)
		}
		return []Item{{Target: target, Load: func(context.Context) (Subject, error) {
			data, err := readLimited(target)
			return Subject{Target: target, Tarball: data}, err
		}}}, nil
	case pathlike || strings.HasSuffix(target, ".tgz") || strings.HasSuffix(target, ".json"):
		return nil, fmt.Errorf("%s: no such file or folder", target)
	}
	spec, err := npm.ParseSpec(target)
	if err != nil {
		return nil, err
	}
	return []Item{{Target: target, Load: func(ctx context.Context) (Subject, error) {
		if known != nil {
			return fetchNamed(ctx, src, target, spec, known)
		}
		v, err := src.Resolve(ctx, spec)
		if err != nil {
			return Subject{}, err
		}
		return fetch(ctx, src, target, v.Dist.Tarball, v.Dist.Sum())
	}}}, nil
}

// fetchNamed fetches a version with the document that tells how it was published.
func fetchNamed(ctx context.Context, src Source, target string, spec npm.Spec, known func(name string) bool) (Subject, error) {
	p, err := src.History(ctx, spec.Name)
	if err != nil {
		return Subject{}, err
	}
	v, err := p.Release(spec.Want)
	if errors.Is(err, npm.ErrNoVersions) {
		err = fmt.Errorf("%s is not in the registry any more: all its versions are gone", spec.Name)
	}
	if err != nil {
		return Subject{}, err
	}
	s, err := fetch(ctx, src, target, v.Dist.Tarball, v.Dist.Sum())
	if err != nil {
		return s, err
	}
	return s, s.Document(ctx, p, v.Version, known, src.History)
}

// Document adds what the registry's document of the package tells of a version, and what the documents of its new dependencies tell.
// Those that known knows are left out.
func (s *Subject) Document(ctx context.Context, p *npm.Packument, version string, known func(name string) bool, document func(ctx context.Context, name string) (*npm.Packument, error)) error {
	s.History, s.Release = p, version
	o := report.Outcome{Stage: "metadata", Status: report.Ran}
	if p.Published(version).IsZero() {
		o.Status, o.Reason = report.Skipped, "the registry does not say when versions came out"
	}
	notes, unseen, err := publication.Dependencies(ctx, p, version, known, document)
	if err != nil {
		return err
	}
	if len(unseen) > 0 {
		o.Status, o.Reason, o.Unseen = report.Partial, "some dependencies could not be looked at", unseen
	}
	s.Notes = append(s.Notes, notes...)
	s.Outcomes = append(s.Outcomes, o)
	return nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLocal+1))
	if len(data) > maxLocal {
		return nil, fmt.Errorf("%s: beyond %d MB", path, maxLocal>>20)
	}
	return data, err
}

// fetchChecks documents what the way from the registry can tell of a package.
var fetchChecks = []detect.Check{
	{ID: "registry/weak-integrity", Title: "vouched for by sha1 only, or by nothing", Severity: report.Info, Doc: "The registry or the lock file gives no digest that cannot be forged. Versions from before 2017 have a sha1 only."},
}

func fetch(ctx context.Context, src Source, target, url string, sum npm.Integrity) (Subject, error) {
	data, err := src.Tarball(ctx, url, sum)
	if err != nil {
		return Subject{}, err
	}
	s := Subject{Target: target, Tarball: data}
	if sum.Weak() {
		what := "sha1 only"
		if !sum.Known() {
			what = "nothing"
		}
		f := detect.Find(fetchChecks, "registry/weak-integrity", report.Evidence{Text: string(sum)})
		f.Title = "vouched for by " + what
		s.Notes = append(s.Notes, f)
	}
	return s, nil
}

func lockfile(path string, src Source) ([]Item, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	locked, err := npm.ParseLockfile(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(locked) == 0 {
		return nil, fmt.Errorf("%s: %w", path, errors.New("no package from a registry is locked"))
	}
	var out []Item
	for _, l := range locked {
		target := l.String()
		out = append(out, Item{Target: target, Load: func(ctx context.Context) (Subject, error) {
			url, sum := l.Resolved, l.Integrity
			if !strings.HasPrefix(url, "http") {
				if url != "" {
					return Subject{}, fmt.Errorf("%s: resolved from %s, which is not a registry and is not fetched", target, url)
				}
				v, err := src.Resolve(ctx, npm.Spec{Name: l.Name, Want: l.Version.Version})
				if err != nil {
					return Subject{}, err
				}
				url = v.Dist.Tarball
				if sum == "" {
					sum = v.Dist.Sum()
				}
			}
			return fetch(ctx, src, target, url, sum)
		}})
	}
	return out, nil
}
