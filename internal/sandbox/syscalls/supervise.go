//go:build linux && (amd64 || arm64)

package syscalls

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// Watch says where events go.
type Watch struct {
	Began time.Time // the events' At counts from here
	// Emit gets the events, one at a time, in the order of the calls, each before its call goes on.
	Emit func(sandbox.Event)
	// Path, when set, returns what a path that the kernel names is called in the box.
	Path func(string) string
}

const (
	// maxMemFiles is how many files in memory a box may make. No limit of a process counts them but that on the size of a file, so what
	// they can hold is this number times RLIMIT_FSIZE.
	maxMemFiles = 32
	// keptArgs is how many bytes of arguments all events of a box may hold together. Then each keeps a little.
	keptArgs  = 64 << 20
	shortArgs = 4 << 10
)

// Supervise answers the calls that the filter hands to the listener until no process is under the filter any more (a nil error) or the
// context ends, and closes the listener: watched calls that are or will be made fail with ENOSYS. It returns how many calls failed
// because their arguments could not be read, or could not be received, which is the last event, of KindLost, if there were any.
func Supervise(ctx context.Context, listener int, w Watch) (lost int, err error) {
	s := &supervisor{fd: listener, watch: w, table: map[uint32]*call{}}
	for i := range calls {
		s.table[calls[i].nr] = &calls[i]
	}
	defer unix.Close(listener)
	defer func() {
		if lost = s.lost; lost > 0 {
			s.emit(sandbox.Event{Kind: sandbox.KindLost, Status: lost}, time.Now())
		}
	}()
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, fmt.Errorf("supervising system calls: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		unix.Write(wake, binary.NativeEndian.AppendUint64(nil, 1))
	})
	defer func() {
		if !stop() {
			<-woken
		}
		unix.Close(wake)
	}()
	if err := s.sizes(); err != nil {
		return 0, fmt.Errorf("supervising system calls: %w", err)
	}
	// The supervisor and the process that waits for it run on one processor, one after the other (since Linux 6.6): less delay.
	unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, unix.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP)
	for {
		p := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return 0, fmt.Errorf("supervising system calls: %w", err)
		}
		switch {
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case p[0].Revents&unix.POLLIN != 0:
			if err := s.next(); err != nil {
				return 0, fmt.Errorf("supervising system calls: %w", err)
			}
		case p[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
			return 0, nil
		}
	}
}

type supervisor struct {
	fd       int
	watch    Watch
	table    map[uint32]*call
	request  []byte // as large as the kernel's struct, which may be larger than ours
	response []byte
	lost     int
	memFiles int
	args     int // bytes of arguments in events
}

// request and response begin like this in every kernel.
type request struct {
	id    uint64
	tid   uint32
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  args
}

type response struct {
	id    uint64
	val   int64
	err   int32
	flags uint32
}

func (s *supervisor) sizes() error {
	var n struct{ request, response, data uint16 }
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&n))); e != 0 {
		return e
	}
	s.request = make([]byte, max(int(n.request), int(unsafe.Sizeof(request{}))))
	s.response = make([]byte, max(int(n.response), int(unsafe.Sizeof(response{}))))
	return nil
}

func (s *supervisor) ioctl(op uintptr, arg unsafe.Pointer) error {
	for {
		_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), op, uintptr(arg))
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return e
		}
	}
}

// next receives one call, decodes it, and answers. The error is that of a listener that works no more.
func (s *supervisor) next() error {
	clear(s.request)
	switch err := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&s.request[0])); err {
	case nil:
	case unix.ENOENT: // the process has ended, or a signal came first: the call is not made
		return nil
	case unix.ENOMEM:
		s.lost++
		return nil
	default:
		return err
	}
	r := (*request)(unsafe.Pointer(&s.request[0]))
	now := time.Now()
	events, errno := s.decide(r, &host{tid: int(r.tid)})
	// The process was there all the time, so what was read was its own and not that of one with the same number.
	if s.ioctl(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&r.id)) != nil {
		return nil
	}
	for _, e := range events {
		s.emit(e, now)
	}
	clear(s.response)
	a := (*response)(unsafe.Pointer(&s.response[0]))
	a.id = r.id
	if errno == 0 {
		a.flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
	} else {
		a.err = -int32(errno)
	}
	switch err := s.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&s.response[0])); err {
	case nil, unix.ENOENT:
		return nil
	default:
		return err
	}
}

// subject is a process with what events say of it beside its call.
type subject interface {
	process
	parent() int
	err() error
}

// decide returns the events of a call and the error that it fails with, zero when it goes on.
func (s *supervisor) decide(r *request, p subject) ([]sandbox.Event, unix.Errno) {
	c, ok := s.table[uint32(r.nr)]
	if r.arch != auditArch || !ok {
		// The filter watches calls by foreign numbers only to have them seen.
		return s.complete([]sandbox.Event{{Kind: sandbox.KindRefused, Call: foreign(r)}}, p), unix.ENOSYS
	}
	var events []sandbox.Event
	var err error
	if c.decode != nil {
		events, err = c.decode(p, r.args)
	}
	if c.do == reported {
		if len(events) == 0 {
			events = make([]sandbox.Event, 1)
		}
		events[0].Kind, events[0].Call = sandbox.KindRefused, c.name
		return s.complete(events, p), c.errno
	}
	if err == nil {
		err = p.err()
	}
	events = s.complete(events, p)
	switch {
	case errors.Is(err, errFault), errors.Is(err, errNoFile):
		// The kernel would have found the same, unless another thread mends it in between.
		errno := unix.EFAULT
		if !errors.Is(err, errFault) {
			errno = unix.EBADF
		}
		fail(events, errno)
		return events, errno
	case err != nil:
		s.lost++
		fail(events, unix.EPERM)
		return events, unix.EPERM
	}
	if len(events) > 0 && events[0].Kind == sandbox.KindMemFile {
		if s.memFiles++; s.memFiles > maxMemFiles {
			fail(events, unix.ENFILE)
			return events, unix.ENFILE
		}
	}
	return events, 0
}

func fail(events []sandbox.Event, errno unix.Errno) {
	for i := range events {
		events[i].Error = errno.Error()
	}
}

// complete adds to events what is known of the process that they are of.
func (s *supervisor) complete(events []sandbox.Event, p subject) []sandbox.Event {
	pid, _ := p.numbers()
	for i := range events {
		e := &events[i]
		e.Source, e.PID = sandbox.SourceKernel, pid
		if e.Kind == sandbox.KindExec {
			e.Parent = p.parent()
			s.shorten(e)
		}
		e.Path, e.To = s.place(e.Path), s.place(e.To)
		if name, ok := strings.CutPrefix(e.Addr, "unix:/"); ok {
			e.Addr = "unix:" + s.place("/"+name)
		}
	}
	return events
}

// place returns what a path is called in the box.
func (s *supervisor) place(path string) string {
	if strings.HasPrefix(path, "/memfd:") {
		path = strings.TrimSuffix(path, " (deleted)")
	}
	if path != "" && s.watch.Path != nil {
		return s.watch.Path(path)
	}
	return path
}

// shorten keeps the arguments of all events within bounds.
func (s *supervisor) shorten(e *sandbox.Event) {
	n := 0
	for i, a := range e.Args {
		if n += len(a) + 16; s.args+n > keptArgs && n > shortArgs {
			e.Args, e.Cut = e.Args[:i], true
			break
		}
	}
	s.args += min(n, maxArgBytes)
}

func (s *supervisor) emit(e sandbox.Event, at time.Time) {
	e.Source, e.At = sandbox.SourceKernel, at.Sub(s.watch.Began)
	if s.watch.Emit != nil {
		s.watch.Emit(e)
	}
}

func foreign(r *request) string {
	abi := "arch " + strconv.FormatUint(uint64(r.arch), 16)
	switch {
	case r.arch == unix.AUDIT_ARCH_I386:
		abi = "i386"
	case r.arch == unix.AUDIT_ARCH_ARM:
		abi = "arm"
	case r.arch == auditArch && uint32(r.nr)&x32Bit != 0:
		return "x32:" + strconv.Itoa(int(uint32(r.nr)&^uint32(x32Bit)))
	}
	return abi + ":" + strconv.Itoa(int(r.nr))
}

// host is a process that waits in a call, looked at from outside.
type host struct {
	tid    int // as we count
	looked bool
	status status
	bad    error
}

// status is what /proc/.../status says, as far as it matters here.
type status struct {
	parent   int   // as we count
	pid, tid []int // in each namespace, ours first
}

func (h *host) look() *status {
	if !h.looked {
		h.looked = true
		h.status, h.bad = readStatus(h.tid)
	}
	return &h.status
}

// err says why the process could not be looked at, nil when it could or was not.
func (h *host) err() error { return h.bad }

func (h *host) numbers() (pid, tid int) {
	st := h.look()
	return last(st.pid), last(st.tid)
}

// parent is the number of the parent as the box counts, 0 when it is outside: in fewer namespaces than its child.
func (h *host) parent() int {
	st := h.look()
	if st.parent == 0 {
		return 0
	}
	p, err := readStatus(st.parent)
	if err != nil || len(p.pid) != len(st.pid) {
		return 0
	}
	return last(p.pid)
}

func last(n []int) int {
	if len(n) == 0 {
		return 0
	}
	return n[len(n)-1]
}

func (h *host) read(b []byte, addr uint64) (int, error) {
	local := unix.Iovec{Base: &b[0]}
	local.SetLen(len(b))
	n, err := unix.ProcessVMReadv(h.tid, []unix.Iovec{local}, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}, 0)
	if n > 0 {
		return n, nil
	}
	// Where that call is not to be had (a filter around us), and for memory that is not made of pages, there is the file.
	k, err2 := h.readFile(b, addr)
	switch {
	case k > 0:
		return k, nil
	case err == unix.EFAULT || err2 == nil || errors.Is(err2, unix.EIO) || errors.Is(err2, unix.EFAULT):
		return 0, errFault
	default:
		return 0, errDenied
	}
}

func (h *host) readFile(b []byte, addr uint64) (int, error) {
	if int64(addr) < 0 {
		return 0, unix.EFAULT
	}
	fd, err := unix.Open(h.path("mem"), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return unix.Pread(fd, b, int64(addr))
}

func (h *host) path(name string) string { return "/proc/" + strconv.Itoa(h.tid) + "/" + name }

func (h *host) readlink(name string) (string, error) {
	s, err := os.Readlink(h.path(name))
	switch {
	case err == nil:
		return s, nil
	case errors.Is(err, unix.ENOENT):
		return "", errNoFile
	default:
		return "", errDenied
	}
}

func (h *host) target(fd int32) int {
	b, err := os.ReadFile(h.path("fdinfo/" + strconv.Itoa(int(fd))))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		if v, ok := bytes.CutPrefix(line, []byte("NSpid:")); ok {
			return last(ints(string(v)))
		}
	}
	return 0
}

func readStatus(tid int) (status, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return status{}, err
	}
	defer f.Close()
	var st status
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		key, v, _ := strings.Cut(sc.Text(), ":")
		switch key {
		case "PPid":
			st.parent, _ = strconv.Atoi(strings.TrimSpace(v))
		case "NStgid":
			st.pid = ints(v)
		case "NSpid":
			st.tid = ints(v)
			return st, nil // what follows is of no interest
		}
	}
	if err := sc.Err(); err != nil {
		return st, err
	}
	return st, fmt.Errorf("status of %d does not say its numbers", tid)
}

func ints(s string) []int {
	var out []int
	for _, f := range strings.Fields(s) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	return out
}
