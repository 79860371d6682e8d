//go:build linux && (amd64 || arm64)

package strong

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"

	"github.com/donapi/donapi/internal/sandbox"
)

// packed is a message as the sentry sends it.
func packed(t testing.TB, kind pb.MessageType, dropped uint32, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	h := binary.LittleEndian.AppendUint16(nil, traceHeader)
	h = binary.LittleEndian.AppendUint16(h, uint16(kind))
	return append(binary.LittleEndian.AppendUint32(h, dropped), b...)
}

func who(pid, parent int32) *pb.ContextData {
	return &pb.ContextData{ThreadGroupId: pid, ThreadId: pid, ParentThreadGroupId: parent, Cwd: "/work"}
}

func raw(pid int32, nr uint64, args ...uint64) *pb.Syscall {
	args = append(args, 0, 0, 0)
	return &pb.Syscall{ContextData: who(pid, 0), Sysno: nr, Arg1: args[0], Arg2: args[1], Arg3: args[2]}
}

func done(m *pb.Syscall) *pb.Syscall {
	m.Exit = &pb.Exit{}
	return m
}

func TestTrace(t *testing.T) {
	inet := []byte{unix.AF_INET, 0, 0x1f, 0x90, 198, 18, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0}
	inet6 := append([]byte{unix.AF_INET6, 0, 0, 53, 0, 0, 0, 0}, append(make([]byte, 15), 1, 0, 0, 0, 0)...)
	minus := func(n int) uint64 { return uint64(int64(n)) }
	var got []sandbox.Event
	tr := newTracer(func(e sandbox.Event) { got = append(got, e) }, nil)
	for _, m := range [][]byte{
		packed(t, pb.MessageType_MESSAGE_CONTAINER_START, 0, &pb.Start{Args: []string{"init"}}),
		packed(t, pb.MessageType_MESSAGE_SENTRY_CLONE, 0, &pb.CloneInfo{ContextData: who(1, 0), CreatedThreadGroupId: 1, CreatedThreadId: 2}),
		packed(t, pb.MessageType_MESSAGE_SENTRY_CLONE, 0, &pb.CloneInfo{ContextData: who(1, 0), CreatedThreadGroupId: 7}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 0, done(raw(7, unix.SYS_EXECVE))),
		packed(t, pb.MessageType_MESSAGE_SENTRY_EXEC, 0, &pb.ExecveInfo{ContextData: who(7, 1), BinaryPath: "/bin/sh", Argv: []string{"sh", "-c", "id"}}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 0, done(raw(7, unix.SYS_EXECVE))), // arguments that could not be sent
		packed(t, pb.MessageType_MESSAGE_SYSCALL_CONNECT, 0, &pb.Connect{ContextData: who(7, 0), Address: inet}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_CONNECT, 0, &pb.Connect{ContextData: who(7, 0), Address: []byte("\x01\x00/run/x.sock\x00junk")}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_CONNECT, 0, &pb.Connect{ContextData: who(7, 0), Address: []byte{unix.AF_NETLINK, 0}}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_BIND, 0, &pb.Bind{ContextData: who(7, 0), Address: inet6}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_OPEN, 0, &pb.Open{ContextData: who(7, 0), Fd: unix.AT_FDCWD, Pathname: "../etc/passwd"}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_OPEN, 0, &pb.Open{ContextData: who(7, 0), Fd: 5, FdPath: "/home/dev", Pathname: ".npmrc",
			Flags: unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC | unix.O_APPEND}),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_KILL, minus(-1), 9)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_KILL, 9, 0)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_TGKILL, 7, 9, 15)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_TGKILL, 8, 9, 15)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_UNLINKAT)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_MOUNT)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(1, unix.SYS_MOUNT)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_UNSHARE, unix.CLONE_FS)),
		packed(t, pb.MessageType_MESSAGE_SYSCALL_RAW, 3, raw(7, unix.SYS_UNSHARE, unix.CLONE_NEWUSER)),
		packed(t, pb.MessageType_MESSAGE_SENTRY_EXIT_NOTIFY_PARENT, 3, &pb.ExitNotifyParentInfo{ContextData: who(7, 0), ExitStatus: 3 << 8}),
		packed(t, pb.MessageType_MESSAGE_SENTRY_EXIT_NOTIFY_PARENT, 3, &pb.ExitNotifyParentInfo{ContextData: who(8, 0), ExitStatus: 9}),
		{8, 0, 1},
		{200, 0, 1, 0, 3, 0, 0, 0},
	} {
		tr.message(m)
	}
	if !tr.started {
		t.Error("the start of the container was not seen")
	}
	k := func(kind sandbox.Kind, e sandbox.Event) sandbox.Event {
		e.Source, e.Kind = sandbox.SourceKernel, kind
		if e.PID == 0 && kind != sandbox.KindLost {
			e.PID = 7
		}
		return e
	}
	want := []sandbox.Event{
		k(sandbox.KindStart, sandbox.Event{Parent: 1}),
		k(sandbox.KindExec, sandbox.Event{Parent: 1, Path: "/bin/sh", Args: []string{"sh", "-c", "id"}}),
		k(sandbox.KindExec, sandbox.Event{Cut: true}),
		k(sandbox.KindConnect, sandbox.Event{Addr: "198.18.0.7:8080"}),
		k(sandbox.KindConnect, sandbox.Event{Addr: "unix:/run/x.sock"}),
		k(sandbox.KindBind, sandbox.Event{Addr: "[::1]:53"}),
		k(sandbox.KindOpen, sandbox.Event{Path: "/etc/passwd", Flags: "r"}),
		k(sandbox.KindOpen, sandbox.Event{Path: "/home/dev/.npmrc", Flags: "rwcta"}),
		k(sandbox.KindLost, sandbox.Event{Status: 3}),
		k(sandbox.KindSignal, sandbox.Event{Target: -1, Status: 9}),
		k(sandbox.KindSignal, sandbox.Event{Target: 8, Status: 15}),
		k(sandbox.KindCall, sandbox.Event{Call: "unlinkat"}),
		k(sandbox.KindRefused, sandbox.Event{Call: "mount"}),
		k(sandbox.KindRefused, sandbox.Event{Call: "unshare"}),
		k(sandbox.KindExit, sandbox.Event{Status: 3}),
		k(sandbox.KindExit, sandbox.Event{PID: 8, Status: 137}),
		k(sandbox.KindLost, sandbox.Event{Status: 1}),
		k(sandbox.KindLost, sandbox.Event{Status: 1}),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestKeep(t *testing.T) {
	long := strings.Repeat("x", maxArgBytes)
	for _, c := range []struct {
		in   []string
		n    int
		last int
		cut  bool
	}{
		{nil, 0, 0, false},
		{[]string{"a", "bc"}, 2, 2, false},
		{[]string{"a", long}, 2, maxArgBytes - 1, true},
		{make([]string, maxArgs+9), maxArgs + 1, 0, true},
	} {
		kept, cut := keep(c.in)
		if len(kept) != c.n || cut != c.cut || c.n > 0 && len(kept[c.n-1]) != c.last {
			t.Errorf("%d arguments: kept %d, cut %v", len(c.in), len(kept), cut)
		}
	}
}

func TestHandshake(t *testing.T) {
	for version, ok := range map[uint32]bool{1: true, 0: false, 2: false} {
		b, _ := proto.Marshal(&pb.Handshake{Version: version})
		if _, err := handshake(b); (err == nil) != ok {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestTraceConfig asks that no context field is asked for that a process can fill with what cannot be sent.
func TestTraceConfig(t *testing.T) {
	b, err := traceConfig("/x", false)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(b) || strings.Contains(string(b), "process_name") || strings.Contains(string(b), "cwd") {
		t.Errorf("%s", b)
	}
}

// TestVersion asks that runsc and what this program is linked with are of one version.
func TestVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), gvisor+" "+Version) {
		t.Errorf("go.mod does not require %s %s", gvisor, Version)
	}
}

func FuzzTrace(f *testing.F) {
	f.Add(packed(f, pb.MessageType_MESSAGE_SENTRY_EXEC, 0, &pb.ExecveInfo{ContextData: who(7, 1), BinaryPath: "/bin/sh", Argv: []string{"sh"}}))
	f.Add(packed(f, pb.MessageType_MESSAGE_SYSCALL_CONNECT, 1, &pb.Connect{ContextData: who(7, 0), Address: []byte{2, 0, 1, 2, 3, 4, 5, 6}}))
	f.Add(packed(f, pb.MessageType_MESSAGE_SYSCALL_OPEN, 1, &pb.Open{Pathname: "a"}))
	f.Add(packed(f, pb.MessageType_MESSAGE_SYSCALL_RAW, 1, raw(7, unix.SYS_KILL, 1, 2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		tr := newTracer(func(e sandbox.Event) {
			if n++; e.Source != sandbox.SourceKernel || e.Kind == "" {
				t.Errorf("%+v", e)
			}
		}, nil)
		tr.message(b)
		tr.message(b)
		if n > 4 {
			t.Errorf("%d events of two messages", n)
		}
		handshake(b)
	})
}
