//go:build linux && (amd64 || arm64)

package syscalls

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestRefused(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "refused")
		lines := strings.Split(strings.TrimSpace(r.out), "\n")
		seen := find(r.events, sandbox.KindRefused)
		n := 0
		for _, c := range calls {
			if c.do != refused && c.do != reported || c.when != nil {
				continue
			}
			n++
			if want := c.name + " " + unix.ErrnoName(c.errno); !slices.Contains(lines, want) {
				t.Errorf("%s is not refused as it should be", want)
			}
			at := slices.IndexFunc(seen, func(e sandbox.Event) bool { return e.Call == c.name })
			if (at >= 0) != (c.do == reported) {
				t.Errorf("%s: event %v", c.name, at >= 0)
			}
		}
		if len(lines) != n || r.lost != 0 {
			t.Errorf("%d calls, %d lost, output:\n%s", n, r.lost, r.out)
		}
	})
}

func TestConditions(t *testing.T) {
	want := `unshare 10000000 EPERM
unshare 20000 EPERM
unshare 10020000000 EPERM
unshare 40000000 EPERM
unshare 80 EPERM
unshare files ok
clone newuser EPERM
personality query ok
personality norandom EPERM
socket unix ok
socket inet ok
socket inet6 ok
socket route ok
socket netfilter EAFNOSUPPORT
socket packet EAFNOSUPPORT
socket vsock EAFNOSUPPORT
socket alg EAFNOSUPPORT
socket raw EAFNOSUPPORT
ioctl sti EPERM
ioctl sti high EPERM
ioctl linux EPERM
ioctl size EBADF
newer ENOSYS
`
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "conditions")
		if d := cmp.Diff(want, r.out); d != "" {
			t.Error(d)
		}
		var got []string
		for _, e := range find(r.events, sandbox.KindRefused) {
			got = append(got, strings.TrimSpace(e.Call+" "+e.Flags))
			if e.PID != r.pid {
				t.Errorf("of process %d, should be %d", e.PID, r.pid)
			}
		}
		events := strings.Split("unshare,unshare,unshare,unshare,unshare,clone,personality,socket netlink:12,socket packet,socket vsock,socket alg,socket raw,ioctl,ioctl,ioctl", ",")
		if d := cmp.Diff(events, got); d != "" {
			t.Error(d)
		}
	})
}

// brief is what matters of an event in most tests.
func brief(e sandbox.Event, dir string) string {
	s := string(e.Kind)
	for _, f := range []string{e.Path, e.To, e.Addr, e.Flags, e.Error} {
		if f != "" {
			s += " " + strings.ReplaceAll(f, dir, "DIR")
		}
	}
	return s
}

func briefs(events []sandbox.Event, dir string) []string {
	var out []string
	for _, e := range events {
		out = append(out, brief(e, dir))
	}
	return out
}

func TestFiles(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "files")
		want := []string{
			"unlink DIR/a",
			"rename DIR/b DIR/b2",
			"rename DIR/b2 DIR/sub/b3",
			"link DIR/c DIR/sub/c2 hard",
			"link DIR/c DIR/sub/c3 symbolic",
			"link /etc/passwd DIR/pw symbolic",
			"chmod DIR/d 4755",
			"chmod DIR/d 600",
			"unlink DIR/sub/e",
			"unlink DIR/nowhere",
			"unlink DIR/sub/c2",
			"unlink x bad file descriptor",
			"unlink DIR/" + strings.Repeat("x", maxPath),
			"unlink /such/thing",
		}
		if d := cmp.Diff(want, briefs(r.events, u.dir)); d != "" {
			t.Errorf("%s\n%s", d, r.out)
		}
		for _, line := range []string{"unlink ok", "rename ok", "rename2 ok", "link ok", "symlink ok", "chmod ok", "fchmod ok", "unlinkat ok", "magic ok", "rmdir ENOENT", "bad fd EBADF", "long ENAMETOOLONG"} {
			if !strings.Contains(r.out, line+"\n") {
				t.Errorf("no %q in\n%s", line, r.out)
			}
		}
	})
}

func TestPath(t *testing.T) {
	u := under{dir: t.TempDir()}
	u.watch.Path = func(s string) string { return strings.Replace(s, u.dir, "/work", 1) }
	r := u.run(t, "files")
	if got, want := brief(r.events[1], "none"), "rename /work/b /work/b2"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOpens(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		u.opens = true
		r := u.run(t, "opens")
		var got []string
		for _, e := range r.events {
			if strings.HasPrefix(e.Path, u.dir) || e.Kind == sandbox.KindSend {
				got = append(got, brief(e, u.dir))
			}
		}
		want := []string{
			"open DIR/o1 rwct",
			"open DIR/o1 wa",
			"open DIR/o1 r",
			"mkdir DIR/m1",
			"open DIR/o1 wt",
			"send 127.0.0.1:9",
			"send 127.0.0.1:9",
			"send 127.0.0.1:10",
			"send 127.0.0.1:10",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s\n%s", d, r.out)
		}
		if strings.Contains(r.out, "E") {
			t.Errorf("a call failed:\n%s", r.out)
		}
	})
}

func TestExec(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "exec")
		es := find(r.events, sandbox.KindExec)
		if len(es) != 6 {
			t.Fatalf("%d events: %s\n%s", len(es), show(es), r.out)
		}
		if d := cmp.Diff([]string{"/bin/sh", "-c", "exit 0", "a b", "\xff"}, es[0].Args); d != "" || es[0].Path != "/bin/sh" || es[0].Cut {
			t.Errorf("%s %+v", d, es[0])
		}
		if es[0].Parent != r.pid || es[0].PID == r.pid || es[0].PID == 0 {
			t.Errorf("process %d of %d, whose number is %d", es[0].PID, es[0].Parent, r.pid)
		}
		if len(es[1].Args) != maxArgs || !es[1].Cut || es[1].Args[maxArgs-1] != strconv.Itoa(maxArgs-2) {
			t.Errorf("%d of many arguments, cut %v", len(es[1].Args), es[1].Cut)
		}
		n := 0
		for _, a := range es[2].Args {
			n += len(a)
		}
		if n < maxArgBytes-16 || n > maxArgBytes || !es[2].Cut {
			t.Errorf("%d bytes of long arguments, cut %v", n, es[2].Cut)
		}
		if es[3].Path != "/memfd:payload" {
			t.Errorf("a program without a name ran as %s", es[3].Path)
		}
		if es[4].Path != "/etc/passwd" || !slices.Equal(es[4].Args, []string{"name"}) {
			t.Errorf("execveat: %+v", es[4])
		}
		if es[5].Path != filepath.Join(u.dir, "nothing") || es[5].Args != nil || es[5].Error != "" {
			t.Errorf("execve without arguments: %+v", es[5])
		}
		if strings.Count(r.out, "run ok") != 3 || !strings.Contains(r.out, "run memfd ok") {
			t.Error(r.out)
		}
	})
}

func TestSockets(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "sockets")
		want := []string{"bind 127.0.0.1:0", "connect 127.0.0.1:1", "connect [::1]:1", "connect unix:/nowhere/x.sock", "connect unix:@donapi-none"}
		if d := cmp.Diff(want, briefs(r.events, u.dir)); d != "" {
			t.Errorf("%s\n%s", d, r.out)
		}
		for _, line := range []string{"connect ECONNREFUSED", "connect short EINVAL", "connect huge EINVAL"} {
			if !strings.Contains(r.out, line) {
				t.Errorf("no %q in\n%s", line, r.out)
			}
		}
	})
}

func TestSignals(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "signals")
		_, s, _ := strings.Cut(r.out, "pid ")
		pid, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			t.Fatal(r.out)
		}
		var got []string
		for _, e := range find(r.events, sandbox.KindSignal) {
			if e.Target != r.pid { // what the runtime of the child sends itself
				got = append(got, fmt.Sprint(e.Target, " ", e.Status))
			}
		}
		var want []string
		for _, sig := range []int{0, 18, 18, 9} {
			want = append(want, fmt.Sprint(pid, " ", sig))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s\n%s", d, r.out)
		}
	})
}

func TestMemFiles(t *testing.T) {
	r := under{dir: t.TempDir()}.run(t, "memfd")
	if r.out != "late ENFILE\n" {
		t.Error(r.out)
	}
	if es := find(r.events, sandbox.KindMemFile); len(es) != maxMemFiles+1 || es[0].Path != "m" || es[maxMemFiles].Error == "" {
		t.Error(show(es))
	}
}

func TestBadPointers(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "bad")
		for _, line := range []string{"null EFAULT", "wild EFAULT", "kernel EFAULT", "edge EFAULT", "before edge ENOENT", "argv EFAULT", "address EFAULT"} {
			if !strings.Contains(r.out, line+"\n") {
				t.Errorf("no %q in\n%s", line, r.out)
			}
		}
		if r.lost != 0 {
			t.Errorf("%d lost", r.lost)
		}
		if es := find(r.events, sandbox.KindUnlink); len(es) != 5 || es[4].Path != filepath.Join(u.dir, "qq") || es[3].Error == "" {
			t.Error(show(es))
		}
	})
}

func TestThreads(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "threads")
		seen := map[string]int{}
		pids := map[int]bool{}
		for _, e := range find(r.events, sandbox.KindUnlink) {
			seen[e.Path]++
			pids[e.PID] = true
		}
		if len(seen) != 4*8*20 || len(pids) != 4 {
			t.Errorf("%d calls of %d processes\n%s", len(seen), len(pids), r.out)
		}
	})
}

func TestOtherABI(t *testing.T) {
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "abi")
		if r.out == "none\n" {
			return
		}
		var got []string
		for _, e := range r.events {
			got = append(got, e.Call)
		}
		if d := cmp.Diff([]string{"x32:39", "i386:20"}, got); d != "" || r.out != "x32 ENOSYS\ni386 ENOSYS\n" {
			t.Errorf("%s\n%s", d, r.out)
		}
	})
}

func TestNode(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("no node to watch")
	}
	users(t, func(t *testing.T, u under) {
		for _, u.opens = range []bool{false, true} {
			r := u.run(t, "node")
			if !strings.Contains(r.out, "from a shell") || !strings.Contains(r.out, "ECONNREFUSED") || !strings.Contains(r.out, "node ok") {
				t.Errorf("node did not run:\n%s", r.out)
			}
			all := strings.Join(briefs(r.events, u.dir), "\n")
			for _, want := range []string{"exec /bin/sh", "chmod DIR/made 755", "rename DIR/made DIR/made2", "unlink DIR/made2", "connect 127.0.0.1:1"} {
				if !strings.Contains(all, want) {
					t.Errorf("opens %v: no %q in\n%s", u.opens, want, all)
				}
			}
			if len(find(r.events, sandbox.KindRefused)) > 0 {
				t.Errorf("node is refused: %s", show(find(r.events, sandbox.KindRefused)))
			}
		}
	})
}

// TestUnsupervised ends the supervisor: what it would have seen fails, and nothing goes on unseen.
func TestUnsupervised(t *testing.T) {
	u := under{dir: t.TempDir(), supervise: func(_ context.Context, fd int, _ Watch) { unix.Close(fd) }}
	if r := u.run(t, "unsupervise"); r.out != "unlink ENOSYS\nsocket ok\n" {
		t.Error(r.out)
	}
}

// TestCanceled ends the context while a call waits for its event to be taken.
func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	u := under{dir: t.TempDir()}
	var n int
	u.supervise = func(_ context.Context, fd int, w Watch) {
		w.Emit = func(sandbox.Event) { n++; cancel() }
		if _, err := Supervise(ctx, fd, w); err != context.Canceled {
			t.Errorf("err = %v", err)
		}
	}
	r := u.run(t, "files")
	if n != 1 || !strings.Contains(r.out, "unlink ok\nrename ENOSYS\n") {
		t.Errorf("%d events\n%s", n, r.out)
	}
}

// TestKilled kills the child while its call waits.
func TestKilled(t *testing.T) {
	u := under{dir: t.TempDir()}
	u.watch.Emit = func(e sandbox.Event) { unix.Kill(e.PID, unix.SIGKILL) }
	r := u.run(t, "files")
	if len(r.events) == 0 || r.lost != 0 || strings.Contains(r.out, "unlink ok") {
		t.Errorf("%d events\n%s", len(r.events), r.out)
	}
}

func TestNothing(t *testing.T) {
	if r := (under{dir: t.TempDir()}).run(t, "nothing"); r.out != "" || len(r.events) != 0 {
		t.Errorf("%s %s", r.out, show(r.events))
	}
}

func TestRestrictFiles(t *testing.T) {
	if LandlockABI() == 0 {
		t.Skip("no Landlock here")
	}
	users(t, func(t *testing.T, u under) {
		r := u.run(t, "landlock")
		want := []string{"restrict ok", "write here ok", "read there EACCES", "write there EACCES", "device EACCES", "fifo ok"}
		if LandlockABI() >= 6 {
			want = append(want, "signal out EPERM")
		}
		for _, line := range want {
			if !strings.Contains(r.out, line+"\n") {
				t.Errorf("no %q in\n%s", line, r.out)
			}
		}
	})
}

func TestRights(t *testing.T) {
	for abi, want := range map[int]string{
		1: "1fff 0 truncating files,commands to devices,abstract Unix sockets,signals",
		2: "3fff 0 truncating files,commands to devices,abstract Unix sockets,signals",
		3: "7fff 0 commands to devices,abstract Unix sockets,signals",
		5: "ffff 0 abstract Unix sockets,signals",
		6: "ffff 3 ",
		9: "ffff 3 ",
	} {
		fs, scoped, open := rights(abi)
		if got := fmt.Sprintf("%x %x %s", fs, scoped, strings.Join(open, ",")); got != want {
			t.Errorf("ABI %d: %s, want %s", abi, got, want)
		}
	}
}
