package scan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

// TestExamples scans the inert example and the benign twin beside each behaviour: the example must show the behaviour, the twin must
// not, and must be clear. A behaviour without a file of its own must be shown by one of the cards, which have twins too.
func TestExamples(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	shows := func(v *report.Verdict, id string) bool {
		return slices.ContainsFunc(v.Findings, func(f report.Finding) bool { return f.ID == id })
	}
	carded := map[string]bool{}
	cards, err := filepath.Glob("../../knowledge/cards/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range cards {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range scanPart(t, s, ar, "example/").Findings {
			carded[f.ID] = true
		}
	}
	for _, b := range k.Base.Behaviors {
		t.Run(b.ID, func(t *testing.T) {
			file := filepath.Join("../../knowledge", strings.TrimSuffix(b.File, ".yaml")+".txtar")
			ar, err := txtar.ParseFile(file)
			if os.IsNotExist(err) {
				if !carded[b.ID] {
					t.Errorf("no example: neither %s nor a card shows it", file)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if v := scanPart(t, s, ar, "example/"); !shows(v, b.ID) {
				t.Errorf("the example does not show it: %s\n%s", v.Level, list(v))
			}
			if v := scanPart(t, s, ar, "twin/"); shows(v, b.ID) || v.Level != report.Clear {
				t.Errorf("the twin is %s: %s\n%s", v.Level, v.Why, list(v))
			}
		})
	}
}
