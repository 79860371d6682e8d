//go:build linux && (amd64 || arm64)

package strong

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/sandboxtest"
)

func TestMain(m *testing.M) {
	Main()
	sandboxtest.Main(newBox)
	os.Exit(m.Run())
}

func newBox() (sandbox.Box, error) { return New(context.Background(), "") }

// requireTier asks for the tier, and fails where DONAPI_REQUIRE_BOX says that it has to be there: a list of tiers, or 1 for all.
func requireTier(t testing.TB) *Box {
	t.Helper()
	b, err := New(t.Context(), "")
	if err != nil {
		if v := os.Getenv("DONAPI_REQUIRE_BOX"); v == "1" || slices.Contains(strings.Split(v, ","), string(sandbox.Strong)) {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
	return b
}

func TestContract(t *testing.T) {
	requireTier(t)
	sandboxtest.Run(t, newBox)
}

// TestOrdinary runs the contract as a user without any rights, where we are root.
func TestOrdinary(t *testing.T) {
	b := requireTier(t)
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: the contract has been run as an ordinary user already")
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("SKIPPED: there is no setpriv to become an ordinary user with")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "donapi-ordinary")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, d := range []string{dir, filepath.Join(dir, "home")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const user = 12345
	if err := os.Chown(filepath.Join(dir, "home"), user, user); err != nil {
		t.Fatal(err)
	}
	test, runsc := filepath.Join(dir, "test"), filepath.Join(dir, "runsc")
	for to, from := range map[string]string{test: self, runsc: b.runsc} {
		if err := copyFile(to, from); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(setpriv, "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
		test, "-test.run=^TestContract$", "-test.v=true")
	c.Dir = dir
	c.Env = append(os.Environ(), "DONAPI_REQUIRE_BOX=1", "HOME="+filepath.Join(dir, "home"), "TMPDIR="+filepath.Join(dir, "home"), EnvRunsc+"="+runsc)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if e := out.Close(); err == nil {
		err = e
	}
	return err
}
