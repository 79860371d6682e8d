package training

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/eval"
	"github.com/donapi/donapi/internal/npm/npmtest"
)

// corpus writes ordinary packages, and a malicious one that must not be touched.
func corpus(t *testing.T) []eval.Sample {
	t.Helper()
	dir := t.TempDir()
	for i := range 6 {
		p := filepath.Join(dir, "benign", fmt.Sprintf("pkg%d-1.0.0", i))
		var code strings.Builder
		for k := range 30 {
			fmt.Fprintf(&code, "// adds %d\nexports.add%d = function (number) {\n  if (number > %d) return number + %d;\n  return \"small\";\n};\n", k, k, i, k)
		}
		write(t, filepath.Join(p, "index.js"), code.String())
		write(t, filepath.Join(p, "tiny.js"), "module.exports = 1;\n")
	}
	write(t, filepath.Join(dir, "malicious", "bad-1.0.0", "index.js"), strings.Repeat("console.log('marker');\n", 60))
	list, err := eval.Read(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestObfuscation(t *testing.T) {
	samples := corpus(t)
	fake := func(_ context.Context, jobs []Job) (map[string]string, error) {
		done := map[string]string{}
		for _, j := range jobs[1:] {
			done[j.ID] = strings.ReplaceAll(j.Code, "number", "_0x1a2b3c")
		}
		return done, nil
	}
	a, err := Obfuscation(t.Context(), samples, 5, 1, fake)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Rows) != 5*4-1 || len(a.Skipped) != 1 || len(a.Features) != 25 {
		t.Errorf("%d rows, %d features, skipped %q", len(a.Rows), len(a.Features), a.Skipped)
	}
	for i, r := range a.Rows {
		if strings.HasPrefix(r.ID, "bad") {
			t.Errorf("a malicious package was taken: %s", r.ID)
		}
		if r.Label != slices.Contains(Presets, a.Kinds[i]) || !strings.HasPrefix(r.ID, r.Group+"-") {
			t.Errorf("%s of group %s: kind %s, label %t", r.ID, r.Group, a.Kinds[i], r.Label)
		}
	}
	slices.Reverse(samples)
	b, err := Obfuscation(t.Context(), samples, 5, 1, fake)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("samples in another order give another table:\n%s", diff)
	}
	if _, err := Obfuscation(t.Context(), nil, 5, 1, fake); err == nil {
		t.Error("no packages: no error")
	}
}

// TestPresets runs the obfuscator itself.
func TestPresets(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	dir := npmtest.Install(t, "testdata/package.json")
	table, err := Obfuscation(t.Context(), corpus(t), 5, 1, In(dir))
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 20 || len(table.Skipped) > 0 {
		t.Fatalf("%d rows, skipped %q", len(table.Rows), table.Skipped)
	}
	for _, p := range Presets {
		if !slices.Contains(table.Kinds, p) {
			t.Errorf("no row of preset %s", p)
		}
	}
}
