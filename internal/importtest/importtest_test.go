// Package importtest keeps the picture in docs/architecture.md true: who may import whom.
package importtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/donapi/donapi/"

// layers, from the bottom. A package may import packages of lower layers, and of its own where peers says so.
var layers = []struct {
	name  string
	peers bool
	pkgs  []string
}{
	{"vocabulary", true, []string{"internal/npm", "internal/js", "internal/callseq", "internal/report"}},
	{"isolation", false, []string{"internal/sandbox"}},
	{"what tiers share", false, []string{"internal/sandbox/internet", "internal/sandbox/syscalls", "internal/sandbox/record"}},
	{"tiers of isolation", false, []string{"internal/sandbox/*"}},
	{"choice of a tier", false, []string{"internal/sandbox/tier"}},
	{"models", false, []string{"internal/forest"}},
	{"knowledge", false, []string{"knowledge"}},
	{"views", false, []string{"internal/artifact", "internal/behavior", "internal/confine", "internal/npm/npmtest"}},
	{"detector vocabulary", false, []string{"internal/detect"}},
	{"stages", false, []string{"internal/registry", "internal/registry/*", "internal/reconstruct", "internal/static", "internal/shell", "internal/verdict", "internal/novelty", "internal/cluster", "internal/detect/*", "internal/report/*"}},
	{"execution", true, []string{"internal/dynamic", "internal/dynamic/*"}},
	{"spine", false, []string{"internal/scan"}},
	{"records", true, []string{"internal/store", "internal/store/*"}},
	{"workers", true, []string{"internal/worker", "internal/worker/*"}},
	{"evaluation", true, []string{"internal/eval", "internal/eval/*"}},
	{"commands", false, []string{"cmd/*"}},
}

func layerOf(pkg string) int {
	for i, l := range layers {
		if slices.Contains(l.pkgs, pkg) {
			return i
		}
	}
	for i, l := range layers {
		for _, p := range l.pkgs {
			if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(pkg, prefix) {
				return i
			}
		}
	}
	return -1
}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	n := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "internal/importtest" {
			continue
		}
		n++
		own := layerOf(name)
		if own < 0 {
			t.Errorf("%s is in no layer: add it to the picture", name)
			continue
		}
		for _, imp := range p.Imports {
			dep, ours := strings.CutPrefix(imp, module)
			if !ours {
				if own == 0 && strings.Contains(imp, ".") && name != "internal/js" {
					t.Errorf("%s imports %s: vocabulary uses the standard library only", name, imp)
				}
				if strings.Contains(imp, "esbuild-internal") && name != "internal/js" {
					t.Errorf("%s imports %s: internal/js is the only door to the parser", name, imp)
				}
				continue
			}
			l := layerOf(dep)
			if l > own || l == own && !layers[own].peers {
				t.Errorf("%s (%s) imports %s (%s)", name, layers[own].name, dep, layers[max(l, 0)].name)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d packages seen", n)
	}
}
