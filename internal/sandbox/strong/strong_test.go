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

// TestPaths asks that what a program does to files is seen with the paths that it means, whatever it calls them.
func TestPaths(t *testing.T) {
	b := requireTier(t)
	script := `mkdir -p "sub/a
b, 0x0)"; cd sub; mv "a
b, 0x0)" c; touch f; ln -s f l; ln f h; chmod 700 f; cd /; (cd /tmp && touch t && rm t); rm /work/sub/l; rmdir work/sub/c`
	if _, err := exec.LookPath("node"); err == nil {
		script += `; cd /work; node -e 'const fs=require("fs"); fs.renameSync("sub/f","g"); fs.chmodSync("g",0o755); process.chdir("sub"); fs.unlinkSync("h"); process.kill(process.ppid, "SIGCONT")'`
	}
	var seen []string
	res, err := b.Run(t.Context(), sandbox.Spec{Argv: []string{"sh", "-c", script}, Opens: true, Events: func(e sandbox.Event) {
		switch e.Kind {
		case sandbox.KindMkdir, sandbox.KindRename, sandbox.KindLink, sandbox.KindChmod, sandbox.KindUnlink:
			seen = append(seen, strings.Join([]string{string(e.Kind), e.Path, e.To, e.Flags}, "|"))
		case sandbox.KindCall, sandbox.KindLost:
			if e.Call != "sendmsg" && e.Call != "sendto" {
				t.Errorf("%+v", e)
			}
		}
	}})
	if err != nil || res.Exit != 0 {
		t.Fatalf("%v, %+v, %s", err, res, res.Stderr)
	}
	for _, want := range []string{"mkdir|/work/sub||", "mkdir|/work/sub/a\nb, 0x0)||", "rename|/work/sub/a\nb, 0x0)|/work/sub/c|", "link|/work/sub/f|/work/sub/l|symbolic",
		"link|/work/sub/f|/work/sub/h|hard", "chmod|/work/sub/f||700", "unlink|/tmp/t||", "unlink|/work/sub/l||", "unlink|/work/sub/c||"} {
		if !slices.Contains(seen, want) {
			t.Errorf("%q was not seen", want)
		}
	}
	if _, err := exec.LookPath("node"); err == nil {
		for _, want := range []string{"rename|/work/sub/f|/work/g|", "chmod|/work/g||755", "unlink|/work/sub/h||"} {
			if !slices.Contains(seen, want) {
				t.Errorf("%q was not seen", want)
			}
		}
	}
	if t.Failed() {
		t.Logf("%q", seen)
	}
}

// TestUnspeakable asks that a process cannot hide by names that the messages of the trace cannot hold.
func TestUnspeakable(t *testing.T) {
	b := requireTier(t)
	n := map[sandbox.Kind]int{}
	removed := false
	res, err := b.Run(t.Context(), sandbox.Spec{
		// The folder, the program's name and its arguments are not UTF-8.
		Argv: []string{"sh", "-c", `d=$(printf 'x\377y'); mkdir $d; cd $d; cp /bin/sh $d; touch seen; ./$d -c "rm seen; exit 7" $d; kill -0 1; exec sleep 0`},
		Events: func(e sandbox.Event) {
			n[e.Kind]++
			removed = removed || e.Kind == sandbox.KindUnlink && strings.HasSuffix(e.Path, "/seen")
			if e.Kind == sandbox.KindExec && e.Cut {
				n["unspeakable"]++
			}
		},
	})
	if err != nil || res.Exit != 0 {
		t.Fatalf("%v, %+v, %s", err, res, res.Stderr)
	}
	if n["unspeakable"] < 3 || !removed || n[sandbox.KindStart] != n[sandbox.KindExit] {
		t.Errorf("%v, removed %v", n, removed)
	}
}

// TestClosed asks that a box can read what we show it even where the host's others may not, and that it stays as it is.
func TestClosed(t *testing.T) {
	b := requireTier(t)
	dir, err := os.MkdirTemp(t.TempDir(), "") // 0700
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"open": 0o644, "closed": 0o600, "run": 0o700, "sub/inner": 0o400} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte("echo "+name+"\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	res, err := b.Run(t.Context(), sandbox.Spec{
		Mounts: []sandbox.Mount{{Host: dir, Box: "/opt/shown"}, {Host: filepath.Join(dir, "closed"), Box: "/opt/one"}, {Host: dir, Box: "/work/shown"}},
		Files:  []sandbox.File{{Path: "/opt/shown/open", Data: []byte("covered\n")}},
		Argv: []string{"sh", "-c", `cd /opt/shown; cat open closed sub/inner /opt/one /work/shown/closed; ./run
			for f in open closed sub/inner new /opt/one /work/shown/closed /work/shown/new; do echo x 2>/dev/null > $f && echo wrote $f; done; chmod 777 closed 2>/dev/null && echo changed; ls -a / | grep opened; grep overlay /proc/mounts | grep -v " ro," | head -1`},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "covered\necho closed\necho sub/inner\necho closed\necho closed\nrun\n"
	if string(res.Stdout) != want || len(res.Written) > 0 {
		t.Errorf("%q, %s, %+v", res.Stdout, res.Stderr, res.Written)
	}
	if st, err := os.Stat(filepath.Join(dir, "closed")); err != nil || st.Mode() != 0o600 {
		t.Errorf("the host's file is %v, %v", st, err)
	}
}
