// Package npmtest installs packages for tests, by name and pinned, with the real npm. A machine without npm, or without its registry,
// skips the test and says so; DONAPI_REQUIRE_NPM turns that skip into a failure.
package npmtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Install installs what a package.json names, without running scripts, into a folder of the test and returns it.
func Install(t *testing.T, manifest string) string {
	t.Helper()
	skip := func(why string) {
		if os.Getenv("DONAPI_REQUIRE_NPM") != "" {
			t.Fatal(why)
		}
		t.Skip("skipped: " + why)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		skip("npm is not here")
	}
	dir := t.TempDir()
	data, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "package.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		skip(fmt.Sprintf("npm install: %v: %s", err, out))
	}
	return dir
}
