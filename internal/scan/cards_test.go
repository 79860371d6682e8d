package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

var categoryLine = regexp.MustCompile(`(?m)^category: (M\d+)$`)

// TestCards scans the cards of knowledge/cards, and their twins.
func TestCards(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	files, err := filepath.Glob("../../knowledge/cards/*.txtar")
	if err != nil || len(files) < 21 {
		t.Fatalf("%d cards, want the 18 samples and 3 figures (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := categoryLine.FindSubmatch(ar.Comment)
			if m == nil {
				t.Fatal("the card names no category")
			}
			v := scanPart(t, s, ar, "example/")
			if v.Level < report.Suspicious || !slices.Contains(v.Categories, string(m[1])) {
				t.Errorf("example: %s %v, want %s and at least suspicious: %s\n%s", v.Level, v.Categories, m[1], v.Why, list(v))
			}
			if !slices.ContainsFunc(v.Findings, func(f report.Finding) bool {
				return f.Category == string(m[1]) && slices.ContainsFunc(f.Evidence, func(e report.Evidence) bool { return e.API != "" && e.File != "" })
			}) {
				t.Errorf("example: no finding of %s names a call and where it stands", m[1])
			}
			if v := scanPart(t, s, ar, "twin/"); v.Level != report.Clear {
				t.Errorf("twin: %s: %s\n%s", v.Level, v.Why, list(v))
			}
		})
	}
}

// scanPart scans the files of an archive below a prefix.
func scanPart(t *testing.T, s *Scanner, ar *txtar.Archive, prefix string) *report.Verdict {
	t.Helper()
	dir := t.TempDir()
	n := 0
	for _, f := range ar.Files {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			continue
		}
		n++
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Fatalf("no files below %s", prefix)
	}
	sub := Subject{Target: prefix, Folder: dir}
	documents(t, &sub, ar, strings.TrimSuffix(prefix, "/")+"-registry/")
	v, err := s.Scan(context.Background(), sub)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func list(v *report.Verdict) string {
	var b strings.Builder
	for _, f := range v.Findings {
		b.WriteString("  " + f.Severity.String() + " " + f.ID + " " + string(f.Phase) + "\n")
	}
	return b.String()
}

// documents adds the registry's documents of a part, NAME.json each. The first is the package's own; its latest version is scanned.
func documents(t *testing.T, sub *Subject, ar *txtar.Archive, prefix string) {
	t.Helper()
	all := map[string]*npm.Packument{}
	var own *npm.Packument
	for _, f := range ar.Files {
		if !strings.HasPrefix(f.Name, prefix) {
			continue
		}
		p, err := npm.ParsePackument(f.Data)
		if err != nil || len(p.Problems) > 0 {
			t.Fatalf("%s: %v %v", f.Name, err, p.Problems)
		}
		if all[p.Name] = p; own == nil {
			own = p
		}
	}
	if own == nil {
		return
	}
	err := sub.Document(t.Context(), own, own.Tags["latest"], func(string) bool { return false }, func(_ context.Context, name string) (*npm.Packument, error) {
		if p := all[name]; p != nil {
			return p, nil
		}
		return nil, fmt.Errorf("%s is not in the registry", name)
	})
	if err != nil {
		t.Fatal(err)
	}
}
