//go:build linux && (amd64 || arm64)

package strong

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"

	"github.com/donapi/donapi/internal/sandbox"
)

// logged is a line of the log as gVisor writes it.
func logged(tid int, comm, call string) string {
	b, err := json.Marshal(map[string]string{"msg": fmt.Sprintf("strace.go:569] [% 4d:% 4d] %s E %s", tid, tid, comm, call), "level": "info"})
	if err != nil {
		panic(err)
	}
	return string(b) + "\n"
}

func TestSpell(t *testing.T) {
	here := uint64(unix.AT_FDCWD & 0xffffffff)
	log := newSpoken(func() bool { return false })
	log.read(strings.NewReader(
		`{"msg":"cli.go:275] **** gVisor ****","level":"info"}` + "\nnot JSON\n" + `{"msg":"` + strings.Repeat("x", maxLogLine) + `"}` + "\n" +
			logged(7, "sh", "chdir(0x10 /work/sub)") +
			logged(7, "sh", "unlink(0x11 ../a)") +
			logged(7, "rm", "unlinkat(AT_FDCWD /work/sub, 0x12 b\n, c, 0x0), 0x0)") +
			logged(7, "mv", "renameat2(0x5 /home/dev, 0x13 x, 0xffffff9c, 0x14 y, 0x1)") +
			logged(7, "x E unlink(0x1", "rename(0x15 real, 0x16 /to)") + // a name that looks like a call
			logged(7, "ln", "symlinkat(0x17 ../target, 0x6 /work/deep, 0x18 link)") +
			logged(7, "ln", "linkat(0x6 /work/deep, 0x19 old, 0x6, 0x1a new, 0x0)") +
			logged(7, "sh", "chmod(0x1b run.sh, S_IFREG|0o755)") +
			logged(7, "sh", "fchmod(0x8 /tmp/f, 0o4755)") +
			logged(7, "node", "memfd_create(0x1c hidden, 0x1)") +
			logged(7, "node", "sendto(0x9 socket:[3], 0x20, 0x4, 0x0, 0x1d {Family: AF_INET, Addr: 203.0.113.9, Port: 53}, 0x10)") +
			logged(7, "sh", "mount(0x1e none, 0x1f /mnt, 0x20 tmpfs, 0x0, <null>)") +
			logged(8, "sh", "unlink(0x11 inherited)") +
			logged(9, "sh", "unlink(0x11 nowhere)") +
			logged(7, "sh", "unlink(<null>)")))
	var got []sandbox.Event
	tr := newTracer(func(e sandbox.Event) { got = append(got, e) }, log.text)
	call := func(pid int32, nr uint64, args ...uint64) {
		args = append(args, 0, 0, 0, 0, 0, 0)
		m := &pb.Syscall{ContextData: who(pid, 0), Sysno: nr, Arg1: args[0], Arg2: args[1], Arg3: args[2], Arg4: args[3], Arg5: args[4], Arg6: args[5]}
		if nr == unix.SYS_CHDIR {
			m.Exit = &pb.Exit{}
		}
		tr.message(packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 0, m))
	}
	number := func(name string) uint64 {
		for _, m := range traced {
			if m.name == name {
				return m.nr
			}
		}
		t.Skipf("SKIPPED: this architecture has no %s", name)
		return 0
	}
	call(7, unix.SYS_CHDIR, 0x10)
	call(7, number("unlink"), 0x11)
	call(7, unix.SYS_UNLINKAT, here, 0x12, 0)
	call(7, unix.SYS_RENAMEAT2, 5, 0x13, here, 0x14, 1)
	call(7, number("rename"), 0x15, 0x16)
	call(7, unix.SYS_SYMLINKAT, 0x17, 6, 0x18)
	call(7, unix.SYS_LINKAT, 6, 0x19, 6, 0x1a, 0)
	call(7, number("chmod"), 0x1b, 0o100755)
	call(7, unix.SYS_FCHMOD, 8, 0o4755)
	call(7, unix.SYS_MEMFD_CREATE, 0x1c, 1)
	call(7, unix.SYS_SENDTO, 9, 0x20, 4, 0, 0x1d, 16)
	call(7, unix.SYS_MOUNT, 0x1e, 0x1f, 0x20, 0, 0)
	tr.message(packed(t, pb.MessageType_MESSAGE_SENTRY_CLONE, 0, &pb.CloneInfo{ContextData: who(7, 0), CreatedThreadGroupId: 8}))
	call(8, number("unlink"), 0x11)
	call(9, number("unlink"), 0x11)
	call(7, number("unlink"), 0x99) // of which nothing was written
	want := []sandbox.Event{
		{Kind: sandbox.KindUnlink, Path: "/work/a"},
		{Kind: sandbox.KindUnlink, Path: "/work/sub/b\n, c, 0x0)"},
		{Kind: sandbox.KindRename, Path: "/home/dev/x", To: "/work/sub/y"},
		{Kind: sandbox.KindRename, Path: "/work/sub/real", To: "/to"},
		{Kind: sandbox.KindLink, Path: "/work/target", To: "/work/deep/link", Flags: "symbolic"},
		{Kind: sandbox.KindLink, Path: "/work/deep/old", To: "/work/deep/new", Flags: "hard"},
		{Kind: sandbox.KindChmod, Path: "/work/sub/run.sh", Flags: "755"},
		{Kind: sandbox.KindChmod, Path: "/tmp/f", Flags: "4755"},
		{Kind: sandbox.KindMemFile, Path: "hidden"},
		{Kind: sandbox.KindSend, Addr: "203.0.113.9:53"},
		{Kind: sandbox.KindRefused, Call: "mount", Path: "/mnt"},
		{Kind: sandbox.KindStart, PID: 8, Parent: 7},
		{Kind: sandbox.KindUnlink, PID: 8, Path: "/work/sub/inherited"},
		{Kind: sandbox.KindUnlink, PID: 9, Path: "nowhere"},
		{Kind: sandbox.KindCall, Call: "unlink"},
	}
	for i := range want {
		want[i].Source = sandbox.SourceKernel
		if want[i].PID == 0 {
			want[i].PID = 7
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestSpokenIsBounded asks that lines nobody asks for are forgotten.
func TestSpokenIsBounded(t *testing.T) {
	s := newSpoken(func() bool { return false })
	for i := range 1200 {
		s.hear([]byte(logged(i%4, "sh", "unlink(0x1 "+strings.Repeat("x", 20_000)+")")))
	}
	n := 0
	for _, l := range s.lines {
		for _, x := range l {
			n += len(x)
		}
	}
	if n != s.size || n > maxSpoken {
		t.Errorf("%d bytes kept, %d counted", n, s.size)
	}
}

func FuzzSpell(f *testing.F) {
	f.Add([]byte(logged(7, "rm", "unlinkat(AT_FDCWD /tmp, 0x12 b, 0x0)")), uint64(0x12), uint64(0))
	f.Add([]byte(logged(7, "mv", "renameat2(0x5 /tmp, 0x12 b, 0x5, 0x13 c, 0x0)")), uint64(0x12), uint64(0x13))
	f.Add([]byte(logged(7, "x", "sendto(0x9 s, 0x20, 0x4, 0x0, 0x1d {Family: AF_INET, Addr: ::1, Port: 53}, 0x10)")), uint64(0x20), uint64(0x1d))
	f.Fuzz(func(t *testing.T, line []byte, a, b uint64) {
		log := newSpoken(func() bool { return false })
		log.read(strings.NewReader(string(line)))
		for _, m := range traced {
			tr := newTracer(func(e sandbox.Event) {
				if e.Kind == "" || e.PID != 7 {
					t.Errorf("%+v", e)
				}
			}, log.text)
			for _, args := range [][6]uint64{{a, b}, {5, a, 5, b}, {9, a, 4, 0, b, 16}, {uint64(unix.AT_FDCWD & 0xffffffff), a, b}} {
				tr.raw(&pb.Syscall{ContextData: who(7, 0), Sysno: m.nr, Arg1: args[0], Arg2: args[1], Arg3: args[2], Arg4: args[3], Arg5: args[4], Arg6: args[5]})
			}
		}
	})
}
