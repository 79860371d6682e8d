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
// not, and must be clear. A behaviour without the two is an error.
func TestExamples(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	shows := func(v *report.Verdict, id string) bool {
		return slices.ContainsFunc(v.Findings, func(f report.Finding) bool { return f.ID == id })
	}
	var without []string
	for _, b := range k.Base.Behaviors {
		ar, err := txtar.ParseFile(filepath.Join("../../knowledge", strings.TrimSuffix(b.File, ".yaml")+".txtar"))
		if os.IsNotExist(err) {
			without = append(without, b.ID)
			continue
		}
		t.Run(b.ID, func(t *testing.T) {
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
	if len(without) > 0 {
		t.Errorf("%d of %d behaviours have no example: %s", len(without), len(k.Base.Behaviors), strings.Join(without, ", "))
	}
}
