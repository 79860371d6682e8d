package reconstruct

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// requireNPM names the environment variable that turns the skip without a registry into a failure.
const requireNPM = "DONAPI_REQUIRE_NPM"

// proofPackage is one line of testdata/packages.txt.
type proofPackage struct {
	spec, name, how, call string
	esm, cycle, function  bool
}

func proofPackages(t *testing.T) []proofPackage {
	data, err := os.ReadFile("testdata/packages.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []proofPackage
	sc := bufio.NewScanner(bytes.NewReader(data))
	for sc.Scan() {
		if strings.HasPrefix(sc.Text(), "#") || sc.Text() == "" {
			continue
		}
		f := strings.SplitN(sc.Text(), " ", 4)
		name := f[0][:strings.LastIndexByte(f[0], '@')]
		out = append(out, proofPackage{f[0], name, f[1], f[3], strings.Contains(f[2], "esm"), strings.Contains(f[2], "cycle"), strings.Contains(f[2], "function")})
	}
	return out
}

// TestMergedPackages is the proof: the merged file of ordinary packages, run by Node in an empty folder with nothing but the
// package's dependencies, has the same exports as the package and gives the same result of a call.
func TestMergedPackages(t *testing.T) {
	dir, pkgs := t.TempDir(), proofPackages(t)
	skip := func(format string, args ...any) {
		t.Helper()
		if os.Getenv(requireNPM) != "" {
			t.Fatalf(format, args...)
		}
		t.Skipf("SKIPPED: "+format, args...)
	}
	if testing.Short() {
		skip("installs packages from the registry")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			skip("%v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := []string{"install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--loglevel=error", "--fetch-retries=1", "--fetch-timeout=20000"}
	for _, p := range pkgs {
		args = append(args, p.spec)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "npm", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		skip("npm install: %v\n%s", err, out)
	}
	probe, err := filepath.Abs("testdata/probe.mjs")
	if err != nil {
		t.Fatal(err)
	}
	var esm, cycles, functions int
	for _, p := range pkgs {
		t.Run(p.spec, func(t *testing.T) {
			home := filepath.Join(dir, "node_modules", filepath.FromSlash(p.name))
			m, prog := mergeFolder(t, home, MergeOptions{ESM: p.how == "import"})
			if p.cycle != circular(prog) {
				t.Errorf("import cycle: the list says %v, the files say %v", p.cycle, !p.cycle)
			}
			run := emptyFolder(t, home, filepath.Join(dir, "node_modules"))
			file := filepath.Join(run, "merged"+m.Ext())
			if err := os.WriteFile(file, []byte(m.Code), 0o600); err != nil {
				t.Fatal(err)
			}
			want := node(ctx, t, dir, probe, p.how, p.name, p.call, entryFile(t, home, p.how))
			got := node(ctx, t, run, probe, p.how, file, p.call)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the merged file differs (-package +merged):\n%s", diff)
			}
			if p.function != strings.HasPrefix(want, "export function") {
				t.Errorf("exports a function: the list says %v", p.function)
			}
		})
		if p.esm {
			esm++
		}
		if p.cycle {
			cycles++
		}
		if p.function {
			functions++
		}
	}
	t.Logf("%d packages: %d ESM only, %d with import cycles, %d exporting a function", len(pkgs), esm, cycles, functions)
	if len(pkgs) < 30 || esm < 10 || cycles < 5 || functions < 5 {
		t.Errorf("too few packages to prove anything")
	}
}

func mergeFolder(t *testing.T, dir string, opt MergeOptions) (*Merged, *js.Program) {
	t.Helper()
	a, err := artifact.FromFolder(dir, artifact.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p := Build(a, Options{})
	m, err := Merge(p, opt)
	if err != nil {
		t.Fatal(err)
	}
	return m, p
}

// entryFile is what an import of the package loads; node's own resolution from the outside has no flag for that.
func entryFile(t *testing.T, home, how string) string {
	t.Helper()
	if how != "import" {
		return ""
	}
	data, err := os.ReadFile(filepath.Join(home, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := npm.ParseManifest(data)
	main := m.Main
	if m.Exports != nil {
		main = target(m.Exports, ".", true)
	}
	if main == "" {
		main = "index.js"
	}
	return filepath.Join(home, main)
}

// emptyFolder makes a folder that holds the package.json and links to the dependencies, and nothing else.
func emptyFolder(t *testing.T, home, installed string) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile(filepath.Join(home, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := npm.ParseManifest(data)
	for _, d := range m.Dependencies {
		to := filepath.Join(home, "node_modules", filepath.FromSlash(d.Key))
		if _, err := os.Stat(to); err != nil {
			to = filepath.Join(installed, filepath.FromSlash(d.Key))
		}
		link := filepath.Join(dir, "node_modules", filepath.FromSlash(d.Key))
		if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	own, err := json.Marshal(map[string]any{"imports": json.RawMessage(imports(data))})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), own, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func imports(manifest []byte) string {
	var m struct{ Imports json.RawMessage }
	if json.Unmarshal(manifest, &m) != nil || m.Imports == nil {
		return "{}"
	}
	return string(m.Imports)
}

func node(ctx context.Context, t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args[:2], " "), err, stderr.String())
	}
	return string(out)
}

// circular reports that files of a program import each other in a circle, by their static specifiers.
func circular(p *js.Program) bool {
	const running, done = 1, 2
	state := map[*js.Module]int{}
	var walk func(m *js.Module) bool
	walk = func(m *js.Module) bool {
		state[m] = running
		if u, err := m.Unit(); err == nil && u != nil {
			for _, spec := range specifiers(u) {
				r := p.Resolver.Resolve(m.Path, spec, u.ESM)
				if r.Module == nil || state[r.Module] == done {
					continue
				}
				if state[r.Module] == running || walk(r.Module) {
					return true
				}
			}
		}
		state[m] = done
		return false
	}
	for _, m := range p.Modules {
		if m.Reach&js.ReachImport != 0 && state[m] == 0 && walk(m) {
			return true
		}
	}
	return false
}
