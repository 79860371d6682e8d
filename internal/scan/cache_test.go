package scan

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// counting is an analyser that counts what it is asked.
type counting struct {
	analysed, matched int
	own               bool
}

func (c *counting) Analyse(context.Context, Subject) (*Analysis, error) {
	c.analysed++
	a := &Analysis{Name: "x", Knowledge: "old", Trace: &callseq.Trace{Calls: []callseq.Call{{ID: 1, API: "eval"}}}}
	a.Coverage.Outcomes = []report.Outcome{{Stage: "static", Status: report.Ran, Own: c.own}}
	return a, nil
}

func (c *counting) Match(_ context.Context, a *Analysis) (*Analysis, error) {
	c.matched++
	b := *a
	b.Knowledge = "new"
	return &b, nil
}

func TestCached(t *testing.T) {
	inner := &counting{}
	dir := t.TempDir()
	c := Cached{Analyser: inner, Dir: dir, Key: "k"}
	ctx := context.Background()
	one, two := Subject{Tarball: []byte("one")}, Subject{Tarball: []byte("two")}
	for _, s := range []Subject{one, one, two, one} {
		a, err := c.Analyse(ctx, s)
		if err != nil || a.Name != "x" || len(a.Trace.Calls) != 1 {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	if inner.analysed != 2 {
		t.Errorf("analysed %d times, want once for each package", inner.analysed)
	}
	c.Key = "another build"
	if c.Analyse(ctx, one); inner.analysed != 3 {
		t.Error("an analysis of another build was used")
	}
	// New behaviours: the kept trace is matched again, nothing is analysed.
	s := New(&Knowledge{Digest: "new"}, c)
	if a, err := s.Analyse(ctx, one); err != nil || a.Knowledge != "new" || inner.analysed != 3 || inner.matched != 1 {
		t.Errorf("%v, %v, analysed %d, matched %d", a, err, inner.analysed, inner.matched)
	}
}

// TestCachedOwn keeps nothing that a clock or a fault of ours decided.
func TestCachedOwn(t *testing.T) {
	inner := &counting{own: true}
	c := Cached{Analyser: inner, Dir: t.TempDir(), Key: "k"}
	for range 2 {
		c.Analyse(context.Background(), Subject{Tarball: []byte("x")})
	}
	if inner.analysed != 2 {
		t.Errorf("analysed %d times, want 2", inner.analysed)
	}
}

// TestCachedDamage treats an entry that does not read as absent, and works without a folder to write to.
func TestCachedDamage(t *testing.T) {
	inner := &counting{}
	dir := t.TempDir()
	c := Cached{Analyser: inner, Dir: dir, Key: "k"}
	s := Subject{Tarball: []byte("x")}
	c.Analyse(context.Background(), s)
	path, err := c.path(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Analyse(context.Background(), s); err != nil || a == nil || inner.analysed != 2 {
		t.Errorf("%v, %v, analysed %d", a, err, inner.analysed)
	}
	blocked := filepath.Join(dir, "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Dir = blocked
	if a, err := c.Analyse(context.Background(), s); err != nil || a == nil {
		t.Errorf("without a folder: %v, %v", a, err)
	}
}

func TestCacheFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := Cached{Key: "k"}
	write("1")
	a, err := c.path(Subject{Folder: dir})
	if err != nil {
		t.Fatal(err)
	}
	write("2")
	if b, _ := c.path(Subject{Folder: dir}); a == b {
		t.Error("a changed folder has the same key")
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	if err := Prune(dir, now); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "pruned"))
	if err != nil {
		t.Fatal(err)
	}
	if err := Prune(dir, st.ModTime().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if st2, _ := os.Stat(filepath.Join(dir, "pruned")); !st2.ModTime().Equal(st.ModTime()) {
		t.Error("pruned twice within a day")
	}
}
