//go:build linux && (amd64 || arm64)

package strong

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"

	"github.com/donapi/donapi/internal/sandbox"
)

// traceConfig is the configuration of the sentry's trace points (runsc --pod-init-config), which it sends to a socket at endpoint.
//
// Only numbers are asked for as context where a name would do too: a string that is not UTF-8 cannot be sent, and then the whole message
// is lost without a trace. A process chooses its own name and the folder it is in, so events would be its to suppress. What remains
// are strings of the call itself; exec, whose arguments are such, is confirmed by number (see tracer.confirm).
func traceConfig(endpoint string, opens bool) ([]byte, error) {
	type point struct {
		Name     string   `json:"name"`
		Optional []string `json:"optional_fields,omitempty"`
		Context  []string `json:"context_fields"`
	}
	who := []string{"group_id", "thread_id"}
	points := []point{
		{Name: "container/start", Context: who},
		{Name: "sentry/clone", Context: who},
		{Name: "sentry/execve", Context: []string{"group_id", "thread_id", "parent_thread_group_id"}},
		{Name: "sentry/exit_notify_parent", Context: who},
		{Name: "sentry/task_exit", Context: who},
		{Name: "syscall/connect/enter", Context: who},
		{Name: "syscall/bind/enter", Context: who},
	}
	for _, nr := range []int{unix.SYS_EXECVE, unix.SYS_EXECVEAT} {
		points = append(points, point{Name: fmt.Sprintf("syscall/sysno/%d/exit", nr), Context: []string{"group_id", "thread_id", "parent_thread_group_id"}})
	}
	for _, nr := range []int{unix.SYS_CHDIR, unix.SYS_FCHDIR} {
		points = append(points, point{Name: fmt.Sprintf("syscall/sysno/%d/exit", nr), Context: who})
	}
	for _, m := range traced {
		if opens || !m.opens {
			points = append(points, point{Name: fmt.Sprintf("syscall/sysno/%d/enter", m.nr), Context: who})
		}
	}
	if opens {
		for _, name := range opening {
			p := point{Name: "syscall/" + name + "/enter", Context: []string{"group_id", "thread_id", "cwd"}}
			if name == "openat" {
				p.Optional = []string{"fd_path"}
			}
			points = append(points, p)
		}
	}
	type sink struct {
		Name   string         `json:"name"`
		Config map[string]any `json:"config"`
	}
	var config struct {
		Session struct {
			Name   string  `json:"name"`
			Points []point `json:"points"`
			Sinks  []sink  `json:"sinks"`
		} `json:"trace_session"`
	}
	config.Session.Name = "Default"
	config.Session.Points = points
	// When we are slow the box waits, up to some seconds for one event, before the sentry drops it and counts it.
	config.Session.Sinks = []sink{{Name: "remote", Config: map[string]any{"endpoint": endpoint, "retries": 5000, "backoff": "25us", "backoff_max": "1ms"}}}
	return json.Marshal(config)
}

const (
	handshakeVersion = 1 // of the messages
	maxTraceMessage  = 1 << 20
	maxArgs          = 4096      // arguments kept of a call
	maxArgBytes      = 256 << 10 // and their bytes
)

// tracer turns messages of the sentry into events. Their contents are chosen by the box, except for the numbers.
type tracer struct {
	emit func(sandbox.Event)
	ours int // process id of the init in the box, whose own calls are not the box's doing

	started bool          // the sentry has reported the start of the container: it traces
	dropped uint32        // messages that the sentry could not send
	bad     error         // of the last message that could not be read
	execs   map[int32]int // successful execs by process that were seen by number, and not yet with what they executed

	text func(tid int32, start string) (string, bool) // what the log says of a call, nil for nothing
	dirs map[int32]string                             // the folders that processes are in, where known

	alive, most int // tasks of the box now, and at most: processes and threads
}

// newTracer makes a tracer of a box whose first process, which is ours, has the number 1.
func newTracer(emit func(sandbox.Event), text func(tid int32, start string) (string, bool)) *tracer {
	return &tracer{emit: emit, text: text, ours: 1, execs: map[int32]int{}, dirs: map[int32]string{}}
}

// handshake answers the first message of the sentry.
func handshake(b []byte) ([]byte, error) {
	var in pb.Handshake
	if err := proto.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("handshake of the trace: %w", err)
	}
	if in.Version != handshakeVersion {
		return nil, fmt.Errorf("the trace has version %d, not %d", in.Version, handshakeVersion)
	}
	return proto.Marshal(&pb.Handshake{Version: handshakeVersion})
}

const traceHeader = 8 // bytes: size of the header, kind of the message, how many were dropped; see pkg/sentry/seccheck/sinks/remote/wire

// message reads one message and emits its events. A message that cannot be read counts as lost.
func (t *tracer) message(b []byte) {
	if err := t.read(b); err != nil {
		t.bad = err
		t.emit(sandbox.Event{Source: sandbox.SourceKernel, Kind: sandbox.KindLost, Status: 1})
	}
}

var errShort = errors.New("a message of the trace is too short")

func (t *tracer) read(b []byte) error {
	if len(b) < traceHeader {
		return errShort
	}
	size, kind := int(binary.LittleEndian.Uint16(b)), pb.MessageType(binary.LittleEndian.Uint16(b[2:]))
	if size < traceHeader || size > len(b) {
		return errShort
	}
	if d := binary.LittleEndian.Uint32(b[4:]); d != t.dropped {
		t.emit(sandbox.Event{Source: sandbox.SourceKernel, Kind: sandbox.KindLost, Status: int(d - t.dropped)})
		t.dropped = d
	}
	b = b[size:]
	switch kind {
	case pb.MessageType_MESSAGE_CONTAINER_START:
		t.started = true
		return proto.Unmarshal(b, &pb.Start{})
	case pb.MessageType_MESSAGE_SENTRY_CLONE:
		return decode(b, &pb.CloneInfo{}, t.clone)
	case pb.MessageType_MESSAGE_SENTRY_EXEC:
		return decode(b, &pb.ExecveInfo{}, t.exec)
	case pb.MessageType_MESSAGE_SENTRY_EXIT_NOTIFY_PARENT:
		return decode(b, &pb.ExitNotifyParentInfo{}, t.exit)
	case pb.MessageType_MESSAGE_SENTRY_TASK_EXIT:
		return decode(b, &pb.TaskExit{}, func(m *pb.TaskExit) {
			if m.ContextData.GetThreadGroupId() != int32(t.ours) {
				t.alive--
			}
		})
	case pb.MessageType_MESSAGE_SYSCALL_CONNECT:
		return decode(b, &pb.Connect{}, func(m *pb.Connect) { t.address(sandbox.KindConnect, m.ContextData, m.Address) })
	case pb.MessageType_MESSAGE_SYSCALL_BIND:
		return decode(b, &pb.Bind{}, func(m *pb.Bind) { t.address(sandbox.KindBind, m.ContextData, m.Address) })
	case pb.MessageType_MESSAGE_SYSCALL_OPEN:
		return decode(b, &pb.Open{}, t.open)
	case pb.MessageType_MESSAGE_SYSCALL_RAW:
		return decode(b, &pb.Syscall{}, t.raw)
	}
	return fmt.Errorf("a message of the trace has the unknown kind %d", kind)
}

func decode[M proto.Message](b []byte, m M, then func(M)) error {
	if err := proto.Unmarshal(b, m); err != nil {
		return err
	}
	then(m)
	return nil
}

// say emits an event of a process, unless it is our own init.
func (t *tracer) say(c *pb.ContextData, e sandbox.Event) {
	e.Source, e.PID, e.Parent = sandbox.SourceKernel, int(c.GetThreadGroupId()), int(c.GetParentThreadGroupId())
	if e.PID != t.ours {
		t.emit(e)
	}
}

func (t *tracer) clone(m *pb.CloneInfo) {
	child, parent := m.CreatedThreadGroupId, m.ContextData.GetThreadGroupId()
	if child != int32(t.ours) {
		t.alive++
		t.most = max(t.most, t.alive)
	}
	if child == parent {
		return // a thread
	}
	t.confirm(m.ContextData)
	if dir, ok := t.dirs[parent]; ok && len(t.dirs) < maxProcesses {
		t.dirs[child] = dir
	}
	t.emit(sandbox.Event{Source: sandbox.SourceKernel, Kind: sandbox.KindStart, PID: int(child), Parent: int(parent)})
}

func (t *tracer) exec(m *pb.ExecveInfo) {
	pid := m.ContextData.GetThreadGroupId()
	if n := t.execs[pid]; n > 1 {
		t.execs[pid] = n - 1
	} else {
		delete(t.execs, pid)
	}
	args, cut := keep(m.Argv)
	t.say(m.ContextData, sandbox.Event{Kind: sandbox.KindExec, Path: m.BinaryPath, Args: args, Cut: cut})
}

// confirm emits an exec without path and arguments for each of a process that was seen by number only: its strings could not be sent.
// The message with the number comes first, and between it and the one with the strings nothing else of the process.
func (t *tracer) confirm(c *pb.ContextData) {
	pid := c.GetThreadGroupId()
	n := t.execs[pid]
	if n == 0 {
		return
	}
	delete(t.execs, pid)
	for range n {
		t.say(&pb.ContextData{ThreadGroupId: pid}, sandbox.Event{Kind: sandbox.KindExec, Cut: true})
	}
}

// end emits what is known of execs that were under way when the box ended.
func (t *tracer) end() {
	for _, pid := range slices.Sorted(maps.Keys(t.execs)) {
		t.confirm(&pb.ContextData{ThreadGroupId: pid})
	}
}

// keep returns the head of an argument vector.
func keep(args []string) (kept []string, cut bool) {
	room := maxArgBytes
	for i, a := range args {
		if i == maxArgs || len(a) > room {
			return append(kept, a[:min(len(a), room)]), true
		}
		room -= len(a)
		kept = append(kept, a)
	}
	return kept, false
}

func (t *tracer) exit(m *pb.ExitNotifyParentInfo) {
	t.confirm(m.ContextData)
	delete(t.dirs, m.ContextData.GetThreadGroupId())
	status := unix.WaitStatus(m.ExitStatus)
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	t.say(m.ContextData, sandbox.Event{Kind: sandbox.KindExit, Status: code})
}

func (t *tracer) address(kind sandbox.Kind, c *pb.ContextData, b []byte) {
	t.confirm(c)
	if a := address(b); a != "" {
		t.say(c, sandbox.Event{Kind: kind, Addr: a})
	}
}

// address reads a sockaddr. It is empty for families without addresses that mean something outside of the machine.
func address(b []byte) string {
	if len(b) < 2 {
		return ""
	}
	switch family, b := binary.NativeEndian.Uint16(b), b[2:]; family {
	case unix.AF_INET:
		if len(b) >= 6 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[2:6])), binary.BigEndian.Uint16(b)).String()
		}
	case unix.AF_INET6:
		if len(b) >= 22 {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[6:22])).Unmap(), binary.BigEndian.Uint16(b)).String()
		}
	case unix.AF_UNIX:
		if len(b) > 0 && b[0] == 0 {
			return "unix:@" + string(b[1:])
		}
		name, _, _ := strings.Cut(string(b), "\x00")
		return "unix:" + name
	}
	return ""
}

func (t *tracer) open(m *pb.Open) {
	t.confirm(m.ContextData)
	p := m.Pathname
	if !path.IsAbs(p) {
		dir := m.FdPath
		if !path.IsAbs(dir) { // AT_FDCWD
			dir = m.ContextData.GetCwd()
		}
		p = path.Join(dir, p)
	}
	t.say(m.ContextData, sandbox.Event{Kind: sandbox.KindOpen, Path: path.Clean(p), Flags: openFlags(m.Flags)})
}

// openFlags are the flags of an open as sandbox.KindOpen writes them.
func openFlags(f uint32) string {
	s := map[uint32]string{unix.O_RDONLY: "r", unix.O_WRONLY: "w"}[f&unix.O_ACCMODE]
	if s == "" {
		s = "rw"
	}
	for _, x := range []struct {
		bit  uint32
		flag string
	}{{unix.O_CREAT, "c"}, {unix.O_TRUNC, "t"}, {unix.O_APPEND, "a"}} {
		if f&x.bit != 0 {
			s += x.flag
		}
	}
	return s
}

func (t *tracer) raw(m *pb.Syscall) {
	if m.Sysno == unix.SYS_EXECVE || m.Sysno == unix.SYS_EXECVEAT {
		if m.Exit != nil && m.Exit.Errorno == 0 {
			t.execs[m.ContextData.GetThreadGroupId()]++
		}
		return
	}
	t.confirm(m.ContextData)
	if m.Sysno == unix.SYS_CHDIR || m.Sysno == unix.SYS_FCHDIR {
		t.moved(m)
		return
	}
	call, ok := callOf(m.Sysno)
	if !ok {
		t.say(m.ContextData, sandbox.Event{Kind: sandbox.KindCall, Call: strconv.FormatUint(m.Sysno, 10)})
		return
	}
	e := sandbox.Event{Kind: call.kind}
	switch call.kind {
	case sandbox.KindSignal:
		signal := m.Arg2
		if m.Sysno == unix.SYS_TGKILL || m.Sysno == unix.SYS_RT_TGSIGQUEUEINFO {
			signal = m.Arg3
		}
		e.Target, e.Status = int(int32(m.Arg1)), int(int32(signal))
		if e.Status == 0 || m.Sysno != unix.SYS_KILL && int32(m.Arg1) == m.ContextData.GetThreadGroupId() {
			return // a question whether it lives; and how threads of one process talk to each other
		}
	case sandbox.KindRefused:
		if m.Sysno == unix.SYS_UNSHARE && m.Arg1&newNamespaces == 0 {
			return
		}
		e.Call = call.name
		t.spellOut(m, call.name, &e)
	default:
		e.Call = call.name
		t.spellOut(m, call.name, &e)
	}
	t.say(m.ContextData, e)
}

// newNamespaces are the flags of unshare that make namespaces.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
	unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWTIME
