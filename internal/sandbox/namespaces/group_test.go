//go:build linux && (amd64 || arm64)

package namespaces

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestGroupParent(t *testing.T) {
	mount := t.TempDir()
	slice := filepath.Join(mount, "user.slice/app.slice")
	if err := os.MkdirAll(filepath.Join(slice, "term.scope"), 0o755); err != nil {
		t.Fatal(err)
	}
	own := []byte("1:name=systemd:/x\n0::/user.slice/app.slice/term.scope\n")
	if p := parentIn(mount, own); p != "" {
		t.Errorf("without controllers: %s", p)
	}
	if err := os.WriteFile(filepath.Join(slice, "cgroup.subtree_control"), []byte("cpu memory pids\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := parentIn(mount, own); p != slice {
		t.Errorf("%q, want %s", p, slice)
	}
	for _, own := range []string{"", "0::\n", "0::relative\n", "0::/../../x\n", "4:memory:/user.slice/app.slice/term.scope\n"} {
		if p := parentIn(mount, []byte(own)); p != "" {
			t.Errorf("%q: %s", own, p)
		}
	}
}

func TestEventCount(t *testing.T) {
	b := []byte("low 0\noom 3\noom_kill 2\noom_group_kill x\n")
	if n := eventCount(b, "oom_kill"); n != 2 {
		t.Error(n)
	}
	if eventCount(b, "oom_group_kill") != 0 || eventCount(b, "none") != 0 {
		t.Error("made up")
	}
}

// TestGroup runs a box in a control group of its own, and removes what a killed process left. The limits themselves need controllers.
func TestGroup(t *testing.T) {
	requireTier(t)
	mount := ""
	for _, m := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var s unix.Statfs_t
		if err := unix.Statfs(m, &s); err == nil && s.Type == unix.CGROUP2_SUPER_MAGIC {
			mount = m
		}
	}
	parent := filepath.Join(mount, "donapi-test-"+filepath.Base(t.TempDir()))
	if mount == "" {
		t.Skip("SKIPPED: no control groups of version 2 here")
	}
	if err := os.Mkdir(parent, 0o755); err != nil {
		t.Skipf("SKIPPED: no control group can be made here: %v", err)
	}
	defer os.Remove(parent)
	// Left by a process with a number that nobody has.
	if err := os.Mkdir(filepath.Join(parent, groupPrefix+"4194305-1"), 0o755); err != nil {
		t.Fatal(err)
	}
	used := ""
	b := &Box{group: func(sandbox.Limits) *group {
		g, err := makeGroup(parent, nil)
		if err != nil {
			t.Error(err)
			return nil
		}
		used = g.dir.Name()
		return g
	}}
	var inside []byte
	r, err := b.Run(context.Background(), sandbox.Spec{Argv: []string{"sh", "-c", "echo up > /run/channel; cat /proc/self/cgroup"}, Channel: "/run/channel", Events: func(e sandbox.Event) {
		if e.Kind == sandbox.KindLine {
			inside, _ = os.ReadFile(filepath.Join(used, "cgroup.procs"))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.Fields(string(inside))) < 1 {
		t.Errorf("nobody was in %s", used)
	}
	if !strings.Contains(string(r.Stdout), "0::/\n") { // the box does not see where it is
		t.Errorf("%s", r.Stdout)
	}
	left, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if e.IsDir() {
			t.Errorf("%s is left", e.Name())
		}
	}
	// A group that may not be entered is no reason to fail.
	b.group = func(sandbox.Limits) *group {
		d, err := os.Open(t.TempDir())
		if err != nil {
			t.Error(err)
			return nil
		}
		return &group{dir: d}
	}
	if r, err := b.Run(context.Background(), sandbox.Spec{Argv: []string{"true"}}); err != nil || r.Exit != 0 {
		t.Errorf("%v, %+v", err, r)
	}
}
