package importtest

import (
	"os"
	"strings"
	"testing"
)

// TestDependencies asks that docs/dependencies.md says why each direct dependency of go.mod is there.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(string(mod), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.HasPrefix(f[1], "v") || strings.Contains(line, "// indirect") || f[0] == "module" || f[0] == "go" {
			continue
		}
		n++
		if !strings.Contains(string(doc), "| "+f[0]+" |") {
			t.Errorf("docs/dependencies.md does not say why %s is there", f[0])
		}
	}
	if n == 0 {
		t.Error("no dependency found in go.mod")
	}
}
