//go:build linux && (amd64 || arm64)

package namespaces

import (
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// plan is what the init needs of a spec, with every default filled in. It goes to the init over a pipe, followed by the files one by
// one. gob keeps strings as they are, where JSON would change names that are not UTF-8.
type plan struct {
	Switch bool // the init is root of the box and has to become uid for the rest of it

	Mounts   []sandbox.Mount
	Files    int
	Work     string
	Home     string
	User     string
	Argv     []string
	Env      []string
	Dir      string
	Hostname string
	Limits   sandbox.Limits
	Network  bool
	Device   string // tun or veth, empty for the first that works
	Trust    []byte // certificates, PEM
	Channel  string
	Opens    bool
}

const (
	uid         = 1000 // of the box's processes, and their gid, as they see it
	certificate = "/etc/ssl/certs/ca-certificates.crt"
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// newPlan checks a spec and fills in what it leaves open.
func newPlan(s sandbox.Spec) (*plan, error) {
	p := &plan{Mounts: s.Mounts, Files: len(s.Files), Work: s.Work, Home: s.Home, Argv: s.Argv, Dir: s.Dir, Hostname: s.Hostname,
		Limits: s.Limits.WithDefaults(), Network: !s.Network.Off, Channel: s.Channel, Opens: s.Opens, Env: slices.Clone(s.Env)}
	if p.Work == "" {
		p.Work = "/work"
	}
	if p.Home == "" {
		p.Home = "/home/dev"
	}
	if p.Dir == "" {
		p.Dir = p.Work
	}
	if p.Hostname == "" {
		p.Hostname = "dev-laptop"
	}
	if len(p.Argv) == 0 {
		return nil, errors.New("the spec of the box names no program")
	}
	paths := []string{p.Work, p.Home, p.Dir}
	if p.Channel != "" {
		paths = append(paths, p.Channel)
	}
	for _, m := range s.Mounts {
		paths = append(paths, m.Box)
	}
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	for _, f := range paths {
		if !path.IsAbs(f) || path.Clean(f) != f || f == "/" || strings.ContainsRune(f, 0) {
			return nil, fmt.Errorf("%q is not a path in a box: it has to be absolute, clean and without zero bytes", f)
		}
	}
	for _, f := range []string{p.Work, p.Home} {
		switch first, _, _ := strings.Cut(f[1:], "/"); first {
		case "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "proc", "dev", "sys":
			return nil, fmt.Errorf("a writable folder of a box cannot be %s", f)
		}
	}
	p.User = strings.Map(func(r rune) rune {
		if r == ':' || r < ' ' {
			return '_'
		}
		return r
	}, path.Base(p.Home))
	p.env("PATH", defaultPath)
	p.env("HOME", p.Home)
	if p.Network {
		p.env("NODE_EXTRA_CA_CERTS", certificate)
		p.env("SSL_CERT_FILE", certificate)
	}
	return p, nil
}

// env adds a variable to the environment unless it is there.
func (p *plan) env(name, value string) {
	if _, ok := p.getenv(name); !ok {
		p.Env = append(p.Env, name+"="+value)
	}
}

func (p *plan) getenv(name string) (string, bool) {
	for _, e := range p.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// writable returns the writable folders of which none lies in another, in the order in which they are made.
func (p *plan) writable() []string {
	all := []string{p.Work, p.Home, "/tmp", "/dev/shm"}
	slices.Sort(all)
	var out []string
	for _, f := range all {
		if len(out) > 0 && (f == out[len(out)-1] || strings.HasPrefix(f, out[len(out)-1]+"/")) {
			continue
		}
		out = append(out, f)
	}
	return out
}

// inWritable says whether a path lies in a writable folder.
func (p *plan) inWritable(f string) bool {
	return slices.ContainsFunc(p.writable(), func(w string) bool { return f == w || strings.HasPrefix(f, w+"/") })
}

// send writes the plan and its files.
func (p *plan) send(w io.Writer, files []sandbox.File) error {
	e := gob.NewEncoder(w)
	if err := e.Encode(p); err != nil {
		return err
	}
	for i := range files {
		if err := e.Encode(&files[i]); err != nil {
			return err
		}
	}
	return nil
}

// Kinds of messages on the socket between init and parent: one byte, then text, with descriptors beside it. The parent answers device
// and listener with a message of no meaning when what stands behind them runs.
const (
	msgRoot     = 'r' // descriptors: the folder that holds the writable ones, /proc, and the channel where there is one
	msgDevice   = 'd' // descriptors: packets of the box, and its network namespace; text: tun or veth
	msgListener = 'l' // descriptor: the seccomp listener
	msgStarted  = 's' // text: the value of RLIMIT_NPROC
	msgExit     = 'x' // text: the wait status of the first process
	msgError    = 'e' // text: an error number, or zero, and why the box could not be built
)

type message struct {
	kind byte
	text []byte
	fds  []int
}

// number is the first eight bytes of the text.
func (m message) number() uint64 {
	if len(m.text) < 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(m.text)
}

// buildError is why the init could not build the box.
type buildError struct {
	text  string
	errno syscall.Errno // of the call that failed, 0 for none
}

func (m message) error() error {
	e := &buildError{errno: syscall.Errno(m.number())}
	if len(m.text) > 8 {
		e.text = string(m.text[8:])
	}
	return e
}

func (e *buildError) Error() string { return "build the box: " + e.text }

func (e *buildError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

const maxMessage = 16 << 10

// receive reads one message.
func receive(c *net.UnixConn) (message, error) {
	buf, oob := make([]byte, maxMessage), make([]byte, 256)
	n, on, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return message{}, err
	}
	if n == 0 {
		return message{}, io.EOF
	}
	m := message{kind: buf[0], text: buf[1:n]}
	controls, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil {
		return message{}, err
	}
	for i := range controls {
		fds, err := unix.ParseUnixRights(&controls[i])
		if err != nil {
			return message{}, err
		}
		m.fds = append(m.fds, fds...)
	}
	return m, nil
}

// socketpair returns two ends of a socket that keeps messages apart.
func socketpair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "init")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "parent")
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}
