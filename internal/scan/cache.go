package scan

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cached keeps analyses in a folder, so that a package that was analysed once is only judged again. An entry is named by what decided
// it: the bytes of the package, the build of the scanner, and the part of the knowledge that stages read; behaviours are left out,
// because verdicts are always made anew. What a clock or a fault of ours decided is never kept.
//
// An entry is gzipped JSON of one Analysis in DIR/xx/rest-of-key. Entries are written beside their place and renamed, so that a
// reader never sees half of one; one that does not read is as good as absent.
type Cached struct {
	Analyser
	Dir string // is created
	Key string // everything but the package that decides an analysis, as CacheKey makes it
}

// maxCache bounds the folder, bytes. Prune brings it back to three quarters.
const maxCache = 2 << 30

// CacheKey names the build and the knowledge that stages read.
func CacheKey(stages string) (string, error) {
	build, err := buildID()
	if err != nil {
		return "", err
	}
	return Version + " " + build + " " + stages, nil
}

// buildID tells builds of one version apart during development: the digest of the running program.
func buildID() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(exe)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Analyse returns the kept analysis of a package, or makes and keeps it. A cache that cannot be read or written costs time, never
// the result.
func (c Cached) Analyse(ctx context.Context, s Subject) (*Analysis, error) {
	path, err := c.path(s)
	if err != nil {
		return c.Analyser.Analyse(ctx, s)
	}
	if a, err := readAnalysis(path); err == nil {
		return a, nil
	}
	a, err := c.Analyser.Analyse(ctx, s)
	if err != nil || a.own() {
		return a, err
	}
	_ = writeAnalysis(path, a) // a full disk costs the next scan time, no result
	return a, nil
}

// own reports that a clock or a fault of ours decided part of the analysis.
func (a *Analysis) own() bool {
	for _, o := range a.Coverage.Outcomes {
		if o.Own {
			return true
		}
	}
	return false
}

func (c Cached) path(s Subject) (string, error) {
	h := sha256.New()
	io.WriteString(h, c.Key+"\x00")
	if s.Folder == "" {
		h.Write(s.Tarball)
	} else if err := hashFolder(h, s.Folder); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	return filepath.Join(c.Dir, sum[:2], sum[2:]), nil
}

// hashFolder feeds names, kinds and contents of a folder to a hash, in the order of names.
func hashFolder(h io.Writer, dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s\x00%v\x00", rel, d.Type())
		if !d.Type().IsRegular() {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		n, err := io.Copy(h, io.LimitReader(f, maxLocal))
		fmt.Fprintf(h, "\x00%d\x00", n)
		return err
	})
}

func readAnalysis(path string) (*Analysis, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	a := &Analysis{}
	if err := json.NewDecoder(z).Decode(a); err != nil {
		return nil, err
	}
	return a, nil
}

func writeAnalysis(path string, a *Analysis) error {
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	if err := json.NewEncoder(z).Encode(a); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(buf.Bytes())
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Prune deletes the oldest entries of a cache folder once it holds more than its bound. It looks at most once a day: the time of
// the folder's file "pruned" tells.
func Prune(dir string, now time.Time) error {
	mark := filepath.Join(dir, "pruned")
	if st, err := os.Stat(mark); err == nil && now.Sub(st.ModTime()) < 24*time.Hour {
		return nil
	}
	type entry struct {
		path string
		size int64
		at   time.Time
	}
	var all []entry
	var sum int64
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || p == mark {
			return nil // an entry that vanished meanwhile needs no pruning
		}
		if st, err := d.Info(); err == nil {
			all = append(all, entry{p, st.Size(), st.ModTime()})
			sum += st.Size()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if sum > maxCache {
		slices.SortFunc(all, func(a, b entry) int {
			if c := a.at.Compare(b.at); c != 0 {
				return c
			}
			return strings.Compare(a.path, b.path)
		})
		for _, e := range all {
			if sum <= maxCache/4*3 {
				break
			}
			if os.Remove(e.path) == nil {
				sum -= e.size
			}
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}
