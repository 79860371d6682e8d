//go:build linux && (amd64 || arm64)

package strong

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	pb "gvisor.dev/gvisor/pkg/sentry/seccheck/points/points_go_proto"

	"github.com/donapi/donapi/internal/sandbox"
)

// The trace tells paths of a few calls only. Of the others gVisor writes a line to its log (runsc --strace) before it sends their message:
//
//	strace.go:569] [  10:  10] rm E unlinkat(AT_FDCWD /work, 0x55f73413d380 name, 0x0)
//
// The message is what counts: a line adds text to it. A process chooses the name of its program and the paths, and may choose them so
// that they look like something else, so a line is taken apart along the numbers of its message only.

// spoken keeps lines of the log until the message of their call has come. It is safe for concurrent use.
type spoken struct {
	waiting func() bool // says whether something of the log has not been read

	mu    sync.Mutex
	more  sync.Cond
	lines map[int32][]string // by thread, the oldest first
	size  int
	busy  bool // with what has been read
	ended bool
}

const (
	maxLogLine = 256 << 10 // a longer line is nobody's: two paths, every byte of them escaped
	maxSpoken  = 32 << 20  // bytes kept
	late       = 2 * time.Second
	moment     = 5 * time.Millisecond
)

func newSpoken(waiting func() bool) *spoken {
	s := &spoken{waiting: waiting, lines: map[int32][]string{}}
	s.more.L = &s.mu
	return s
}

// read reads the log to its end.
func (s *spoken) read(log io.Reader) {
	buf := make([]byte, 64<<10)
	var line []byte // the beginning of one
	for {
		n, err := log.Read(buf)
		s.set(&s.busy, true)
		for b := buf[:n]; len(b) > 0; {
			part, rest, whole := bytes.Cut(b, []byte{'\n'})
			if b = rest; len(line) <= maxLogLine {
				line = append(line, part...)
			}
			if whole {
				if len(line) <= maxLogLine {
					s.hear(line)
				}
				line = line[:0]
			}
		}
		s.set(&s.busy, false)
		if err != nil {
			s.set(&s.ended, true)
			return
		}
	}
}

func (s *spoken) set(what *bool, v bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = v
	s.more.Broadcast()
}

// hear keeps a line when it tells of a call that begins.
func (s *spoken) hear(line []byte) {
	if !bytes.Contains(line, []byte(`"msg":"strace.go:`)) || !bytes.Contains(line, []byte(" E ")) {
		return
	}
	var entry struct {
		Msg string `json:"msg"`
	}
	if json.Unmarshal(line, &entry) != nil {
		return
	}
	_, rest, _ := strings.Cut(entry.Msg, "] [")
	ids, text, ok := strings.Cut(rest, "] ")
	_, id, _ := strings.Cut(ids, ":")
	tid, err := strconv.ParseInt(strings.TrimSpace(id), 10, 32)
	if !ok || err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+len(text) > maxSpoken { // of calls whose messages were lost, or are far behind
		clear(s.lines)
		s.size = 0
	}
	s.lines[int32(tid)] = append(s.lines[int32(tid)], text)
	s.size += len(text)
	s.more.Broadcast()
}

// text returns what follows start in the oldest line of a thread that has it, and forgets the lines before. The line was written before
// the message that asks, so it is there, or in what has not been read, or lost.
func (s *spoken) text(tid int32, start string) (string, bool) {
	end := time.Now().Add(late)
	looked := 0 // at lines of the thread
	for silent := 0; ; silent++ {
		s.mu.Lock()
		lines := s.lines[tid]
		if looked > len(lines) {
			looked = 0
		}
		for ; looked < len(lines); looked++ {
			_, rest, ok := strings.Cut(lines[looked], start)
			if !ok {
				continue
			}
			for _, l := range lines[:looked+1] {
				s.size -= len(l)
			}
			if s.lines[tid] = lines[looked+1:]; len(s.lines[tid]) == 0 {
				delete(s.lines, tid)
			}
			s.mu.Unlock()
			return rest, true
		}
		if s.busy || s.waiting() {
			silent = 0
		}
		// Between reading and being busy is a moment, so silence counts the second time.
		if s.ended || silent > 1 || time.Now().After(end) {
			s.mu.Unlock()
			return "", false
		}
		timer := time.AfterFunc(moment, s.more.Broadcast)
		s.more.Wait()
		timer.Stop()
		s.mu.Unlock()
	}
}

// Arguments as the log writes them.
const (
	argPath   = 'p' // address and text
	argFD     = 'f' // descriptor and path
	argNumber = 'x' // hexadecimal
	argAddr   = 'a' // address and what it holds: the address of a socket
	argOther  = '-' // a mode
)

// spelled are the calls of which lines are written, with their arguments.
var spelled = map[string]string{
	"unlinkat": "fpx", "renameat": "fpxp", "renameat2": "fpxpx", "linkat": "fpxpx", "symlinkat": "pfp",
	"fchmod": "f-", "fchmodat": "fp-", "memfd_create": "px", "mkdirat": "fpx", "truncate": "px", "sendto": "fxxxax",
	"unlink": "p", "rmdir": "p", "rename": "pp", "link": "pp", "symlink": "pp", "chmod": "p-", "mkdir": "p-",
	"mount": "pppxp", "umount2": "px", "pivot_root": "pp", "chroot": "p",
	"chdir": "p", "fchdir": "f",
}

// spelledCalls are the names of the calls of which lines are to be written.
func spelledCalls(opens bool) []string {
	onlyOpens := map[string]bool{}
	for _, m := range traced {
		onlyOpens[m.name] = m.opens
	}
	var out []string
	for name := range spelled {
		if opens || !onlyOpens[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// anchor is how the text of an argument begins.
func anchor(kind byte, value uint64) string {
	switch kind {
	case argPath:
		if value == 0 {
			return "<null>"
		}
		return fmt.Sprintf("%#x ", value)
	case argFD:
		if int32(value) == unix.AT_FDCWD {
			return "AT_FDCWD "
		}
		return fmt.Sprintf("%#x ", int32(value))
	case argNumber:
		return "0x" + strconv.FormatUint(value, 16)
	case argAddr:
		if value == 0 {
			return "null"
		}
		return fmt.Sprintf("%#x ", value)
	}
	return ""
}

// split takes the arguments of a line apart: text begins behind the anchor of the first. What is returned are texts behind anchors.
func split(kinds, text string, values []uint64) ([]string, bool) {
	text, ok := strings.CutSuffix(text, ")")
	if !ok {
		return nil, false
	}
	out := make([]string, len(kinds))
	for i := len(kinds) - 1; i > 0; i-- {
		sep := ", " + anchor(kinds[i], values[i])
		at := strings.LastIndex(text, sep)
		if at < 0 {
			return nil, false
		}
		out[i], text = text[at+len(sep):], text[:at]
	}
	out[0] = text
	return out, true
}

// spell returns the texts of a call's arguments.
func (t *tracer) spell(m *pb.Syscall, name string) ([]string, bool) {
	kinds := spelled[name]
	if kinds == "" || t.text == nil {
		return nil, false
	}
	values := []uint64{m.Arg1, m.Arg2, m.Arg3, m.Arg4, m.Arg5, m.Arg6}
	rest, ok := t.text(m.ContextData.GetThreadId(), " E "+name+"("+anchor(kinds[0], values[0]))
	if !ok {
		return nil, false
	}
	return split(kinds, rest, values)
}

// at makes a path absolute. dir is the path of the descriptor that it is relative to, empty for the folder the process is in. Where that
// is not known it stays relative.
func (t *tracer) at(pid int32, dir, name string) string {
	if path.IsAbs(name) {
		return path.Clean(name)
	}
	if !path.IsAbs(dir) {
		dir = t.dirs[pid]
	}
	if dir == "" {
		return name
	}
	return path.Join(dir, name)
}

// moved notes that a process has changed the folder it is in.
func (t *tracer) moved(m *pb.Syscall) {
	name := "chdir"
	if m.Sysno == unix.SYS_FCHDIR {
		name = "fchdir"
	}
	a, ok := t.spell(m, name)
	if m.Exit.GetErrorno() != 0 {
		return
	}
	pid := m.ContextData.GetThreadGroupId()
	if !ok {
		delete(t.dirs, pid)
		return
	}
	dir := t.at(pid, "", a[0])
	if len(t.dirs) >= maxProcesses || len(dir) > maxDir {
		delete(t.dirs, pid)
		return
	}
	t.dirs[pid] = dir
}

const (
	maxProcesses = 100_000 // whose folder is remembered
	maxDir       = 8 << 10 // bytes of its path; one path has at most half of them
)

// spellOut completes the event of a call with what its arguments say. It returns false when they cannot be read.
func (t *tracer) spellOut(m *pb.Syscall, name string, e *sandbox.Event) bool {
	a, ok := t.spell(m, name)
	if !ok {
		return false
	}
	pid := m.ContextData.GetThreadGroupId()
	second := func(fd uint64, first string) string { // of a second descriptor the log tells the number only
		if int32(fd) != unix.AT_FDCWD && fd == m.Arg1 {
			return first
		}
		return ""
	}
	switch name {
	case "unlink", "rmdir":
		e.Kind, e.Path = sandbox.KindUnlink, t.at(pid, "", a[0])
	case "unlinkat":
		e.Kind, e.Path = sandbox.KindUnlink, t.at(pid, a[0], a[1])
	case "mkdir":
		e.Kind, e.Path = sandbox.KindMkdir, t.at(pid, "", a[0])
	case "mkdirat":
		e.Kind, e.Path = sandbox.KindMkdir, t.at(pid, a[0], a[1])
	case "rename":
		e.Kind, e.Path, e.To = sandbox.KindRename, t.at(pid, "", a[0]), t.at(pid, "", a[1])
	case "renameat", "renameat2":
		e.Kind, e.Path, e.To = sandbox.KindRename, t.at(pid, a[0], a[1]), t.at(pid, second(m.Arg3, a[0]), a[3])
	case "link":
		e.Kind, e.Path, e.To, e.Flags = sandbox.KindLink, t.at(pid, "", a[0]), t.at(pid, "", a[1]), "hard"
	case "linkat":
		e.Kind, e.Path, e.To, e.Flags = sandbox.KindLink, t.at(pid, a[0], a[1]), t.at(pid, second(m.Arg3, a[0]), a[3]), "hard"
	case "symlink", "symlinkat":
		e.Kind, e.To, e.Flags = sandbox.KindLink, t.at(pid, "", a[len(a)-1]), "symbolic"
		if name == "symlinkat" {
			e.To = t.at(pid, a[1], a[2])
		}
		if e.Path = a[0]; !path.IsAbs(e.Path) { // relative to where the link lies
			e.Path = path.Join(path.Dir(e.To), e.Path)
		}
	case "chmod":
		e.Kind, e.Path, e.Flags = sandbox.KindChmod, t.at(pid, "", a[0]), octal(m.Arg2)
	case "fchmod":
		e.Kind, e.Path, e.Flags = sandbox.KindChmod, a[0], octal(m.Arg2)
	case "fchmodat":
		e.Kind, e.Path, e.Flags = sandbox.KindChmod, t.at(pid, a[0], a[1]), octal(m.Arg3)
	case "truncate":
		e.Kind, e.Path, e.Flags = sandbox.KindOpen, t.at(pid, "", a[0]), "wt"
	case "memfd_create":
		e.Kind, e.Path = sandbox.KindMemFile, a[0]
	case "sendto":
		addr, ok := spokenAddress(a[4])
		if !ok {
			return false
		}
		e.Kind, e.Addr = sandbox.KindSend, addr
	case "umount2", "pivot_root", "chroot":
		e.Path = t.at(pid, "", a[0])
	case "mount":
		e.Path = t.at(pid, "", a[1])
	}
	if e.Kind != sandbox.KindRefused {
		e.Call = ""
	}
	return true
}

func octal(mode uint64) string { return strconv.FormatUint(mode&0o7777, 8) }

// spokenAddress reads an internet address as the log writes it: {Family: AF_INET, Addr: 198.18.0.1, Port: 53}.
func spokenAddress(s string) (string, bool) {
	_, s, _ = strings.Cut(s, ", Addr: ")
	ip, port, ok := strings.Cut(strings.TrimSuffix(s, "}"), ", Port: ")
	a, err := netip.ParseAddr(ip)
	n, err2 := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || err2 != nil {
		return "", false
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)).String(), true
}
