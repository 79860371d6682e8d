package strong

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/sandbox"
)

// TestFind asks that nothing but runsc of the right version is taken, and that the error says how to get it.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "runsc")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho runsc version release-20300101.0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		script:                        "does not say its version",
		self:                          "is the program",
		dir:                           "is not a program",
		filepath.Join(dir, "missing"): "no such file",
	} {
		for _, env := range []bool{false, true} {
			named := name
			t.Setenv(EnvRunsc, "/nowhere")
			if env {
				named = ""
				t.Setenv(EnvRunsc, name)
			}
			_, err := Find(named)
			var u *sandbox.Unavailable
			if !errors.As(err, &u) || !strings.Contains(err.Error(), want) || !strings.Contains(u.Fix, "go install gvisor.dev/gvisor/runsc@"+Version) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// What is found by itself is not what another folder happens to hold.
	t.Setenv(EnvRunsc, "")
	t.Setenv("PATH", dir)
	if p, err := Find(""); p == script {
		t.Errorf("%s was taken, %v", p, err)
	}
}
