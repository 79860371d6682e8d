//go:build linux && (amd64 || arm64)

package namespaces

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
	if what := os.Getenv(withoutKey); what != "" {
		without(what)
	}
	sandboxtest.Main(newBox)
	os.Exit(m.Run())
}

// deviceKey in the environment names the network device that boxes of the contract get.
const deviceKey = "DONAPI_TEST_DEVICE"

func newBox() (sandbox.Box, error) {
	b, err := New(context.Background())
	if err != nil {
		return nil, err
	}
	b.device = os.Getenv(deviceKey)
	return b, nil
}

// requireTier asks for the tier, and fails where DONAPI_REQUIRE_BOX says that it has to be there: a list of tiers, or 1 for all.
func requireTier(t testing.TB) {
	t.Helper()
	if _, err := New(context.Background()); err != nil {
		if v := os.Getenv("DONAPI_REQUIRE_BOX"); v == "1" || slices.Contains(strings.Split(v, ","), string(sandbox.Namespaces)) {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED: %v", err)
	}
}

func TestContract(t *testing.T) {
	requireTier(t)
	sandboxtest.Run(t, newBox)
}

// TestOrdinary runs the contract as a user without any rights, where we are root.
func TestOrdinary(t *testing.T) {
	requireTier(t)
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
	program := filepath.Join(dir, "test")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(program, self); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(setpriv, "--reuid=12345", "--regid=12345", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs",
		program, "-test.run=^TestContract$", "-test.v="+"true")
	c.Dir = dir
	c.Env = append(os.Environ(), "DONAPI_REQUIRE_BOX=1", "HOME="+dir, deviceKey+"=")
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
