//go:build linux && (amd64 || arm64)

package syscalls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// process is what decoders ask about the process that made a call. What it answers is the box's to choose.
type process interface {
	// read fills b with the memory at addr, as far as that can be read; the error says why nothing could.
	read(b []byte, addr uint64) (int, error)
	// readlink returns where a link of the process's folder in /proc leads: cwd, fd/7.
	readlink(name string) (string, error)
	// numbers are the numbers of the process and of the thread, as the box counts.
	numbers() (pid, tid int)
	// target is the process that a descriptor stands for, as the box counts, 0 when unknown.
	target(fd int32) int
}

// Errors of decoders, which are the errors that the call fails with.
var (
	errFault  error = unix.EFAULT // no memory there
	errNoFile error = unix.EBADF  // no such descriptor
	errDenied error = unix.EPERM  // the kernel does not let us look
)

// Limits of what one call makes us read. Those of the kernel for paths and single arguments are the same, so that what goes beyond them
// fails in the kernel.
const (
	maxPath     = 4096
	maxArgument = 128 << 10
	maxArgs     = 4096      // arguments
	maxArgBytes = 256 << 10 // of all arguments of one call
	maxName     = 256       // of a memfd: 249
	maxMessages = 64        // of one sendmmsg that are decoded
	page        = 4096      // the smallest there is
)

// memory reads n bytes.
func memory(p process, addr uint64, n int) ([]byte, error) {
	b := make([]byte, n)
	for done := 0; done < n; {
		k, err := p.read(b[done:], addr+uint64(done))
		if err != nil {
			return nil, err
		}
		if k <= 0 {
			return nil, errFault
		}
		done += k
	}
	return b, nil
}

// text reads a string up to its zero, or max bytes of it when it is longer.
func text(p process, addr uint64, max int) (s string, cut bool, err error) {
	if addr == 0 {
		return "", false, errFault
	}
	var out, buf []byte
	for len(out) < max {
		// Pages are read one by one: a string may end just before memory that is not there.
		n := min(page-int(addr%page), max-len(out))
		if cap(buf) < n {
			buf = make([]byte, n)
		}
		k, err := p.read(buf[:n], addr)
		if err != nil {
			return string(out), true, err
		}
		if k <= 0 {
			return string(out), true, errFault
		}
		if i := bytes.IndexByte(buf[:k], 0); i >= 0 {
			return string(append(out, buf[:i]...)), false, nil
		}
		out = append(out, buf[:k]...)
		addr += uint64(k)
	}
	return string(out), true, nil
}

// list reads an argument vector.
func list(p process, addr uint64) (out []string, cut bool, err error) {
	if addr == 0 {
		return nil, false, nil
	}
	left := maxArgBytes
	var ptrs []byte
	for len(out) < maxArgs {
		if len(ptrs) == 0 {
			// To the end of the page, in whole pointers; one that lies across two pages is read alone.
			n := int(page-addr%page) &^ 7
			if n == 0 {
				n = 8
			}
			if n > 64 && len(out) == 0 {
				n = 64
			}
			if ptrs, err = memory(p, addr, n); err != nil {
				return out, true, err
			}
			addr += uint64(n)
		}
		ptr := binary.NativeEndian.Uint64(ptrs)
		ptrs = ptrs[8:]
		if ptr == 0 {
			return out, cut, nil
		}
		if left <= 0 {
			return out, true, nil
		}
		s, c, err := text(p, ptr, min(left, maxArgument))
		if err != nil {
			return out, true, err
		}
		left -= len(s) + 1
		out, cut = append(out, s), cut || c
	}
	return out, true, nil
}

// pathAt reads a path and makes it absolute. The empty path is the descriptor itself, which is what it means where the kernel takes it.
func pathAt(p process, dirfd uint64, addr uint64) (string, error) {
	s, _, err := text(p, addr, maxPath)
	if err != nil {
		return "", err
	}
	return resolve(p, int32(dirfd), s)
}

// here is the folder that relative paths begin in when a call has no descriptor of a folder.
const here = uint64(0xffffffff_ffffff9c) // AT_FDCWD

func resolve(p process, dirfd int32, s string) (string, error) {
	if strings.HasPrefix(s, "/") {
		return magic(p, path.Clean(s)), nil
	}
	name := "cwd"
	if dirfd != unix.AT_FDCWD {
		name = "fd/" + strconv.Itoa(int(dirfd))
	}
	dir, err := p.readlink(name)
	if err != nil {
		return s, err
	}
	if s == "" {
		return dir, nil
	}
	return magic(p, path.Join(dir, s)), nil
}

// magic replaces the beginnings of a path that lead elsewhere by way of /proc, which is how a program runs a file that has no name.
func magic(p process, s string) string {
	rest, ok := strings.CutPrefix(s, "/dev/fd/")
	if ok {
		rest = "fd/" + rest
	} else if rest, ok = strings.CutPrefix(s, "/proc/"); ok {
		var who string
		who, rest, _ = strings.Cut(rest, "/")
		pid, tid := p.numbers()
		if who != "self" && who != "thread-self" && who != strconv.Itoa(pid) && who != strconv.Itoa(tid) {
			return s
		}
		if r, ok := strings.CutPrefix(rest, "task/"); ok {
			_, rest, _ = strings.Cut(r, "/")
		}
	} else {
		return s
	}
	name, tail, _ := strings.Cut(rest, "/")
	if name == "fd" {
		var fd string
		fd, tail, _ = strings.Cut(tail, "/")
		if _, err := strconv.ParseUint(fd, 10, 31); err != nil {
			return s
		}
		name += "/" + fd
	} else if name != "cwd" && name != "root" && name != "exe" {
		return s
	}
	to, err := p.readlink(name)
	if err != nil || !strings.HasPrefix(to, "/") {
		return s
	}
	return path.Join(to, tail)
}

// address reads a socket address. It is empty for those that no event has: of the kernel's own protocols, and AF_UNSPEC, which undoes
// a connect.
func address(p process, addr, size uint64) (string, error) {
	n := min(int(uint32(size)), 128)
	if addr == 0 || n < 2 || int32(size) < 0 {
		return "", nil
	}
	b, err := memory(p, addr, n)
	if err != nil {
		return "", err
	}
	return formatAddress(b), nil
}

func formatAddress(b []byte) string {
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		if len(b) >= 8 {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:])).String()
		}
	case unix.AF_INET6:
		if len(b) >= 24 {
			return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[8:24])).Unmap(), binary.BigEndian.Uint16(b[2:])).String()
		}
	case unix.AF_UNIX:
		switch name := b[2:]; {
		case len(name) == 0:
			return ""
		case name[0] == 0: // in the abstract space, where zeros are letters too
			return "unix:@" + strings.ReplaceAll(strings.TrimRight(string(name[1:]), "\x00"), "\x00", "@")
		default:
			name, _, _ = bytes.Cut(name, []byte{0})
			return "unix:" + string(name)
		}
	}
	return ""
}

func one(e sandbox.Event, err error) ([]sandbox.Event, error) { return []sandbox.Event{e}, err }

func execve(p process, a args) ([]sandbox.Event, error) { return executed(p, here, a[0], a[1]) }
func execveat(p process, a args) ([]sandbox.Event, error) {
	return executed(p, a[0], a[1], a[2])
}

func executed(p process, dirfd, name, argv uint64) ([]sandbox.Event, error) {
	e := sandbox.Event{Kind: sandbox.KindExec}
	var err, err2 error
	e.Path, err = pathAt(p, dirfd, name)
	e.Args, e.Cut, err2 = list(p, argv)
	return one(e, errors.Join(err, err2))
}

func connect(p process, a args) ([]sandbox.Event, error) {
	return addressed(p, sandbox.KindConnect, a[1], a[2])
}

func bind(p process, a args) ([]sandbox.Event, error) {
	return addressed(p, sandbox.KindBind, a[1], a[2])
}

func sendto(p process, a args) ([]sandbox.Event, error) {
	return addressed(p, sandbox.KindSend, a[4], a[5])
}

func sendmsg(p process, a args) ([]sandbox.Event, error) {
	b, err := memory(p, a[1], 16) // the beginning of struct msghdr: the address and its size
	if err != nil {
		return one(sandbox.Event{Kind: sandbox.KindSend}, err)
	}
	return addressed(p, sandbox.KindSend, binary.NativeEndian.Uint64(b), uint64(binary.NativeEndian.Uint32(b[8:])))
}

func sendmmsg(p process, a args) ([]sandbox.Event, error) {
	const size = 64 // of struct mmsghdr
	var out []sandbox.Event
	n := uint64(uint32(a[2]))
	for i := uint64(0); i < min(n, maxMessages); i++ {
		es, err := sendmsg(p, args{1: a[1] + i*size})
		if err != nil && i > 0 {
			break // the kernel sends what came before
		} else if err != nil {
			return es, err
		}
		out = append(out, es...)
	}
	if n > maxMessages && len(out) > 0 {
		out[len(out)-1].Cut = true
	}
	return out, nil
}

func addressed(p process, kind sandbox.Kind, addr, size uint64) ([]sandbox.Event, error) {
	s, err := address(p, addr, size)
	if s == "" && err == nil {
		return nil, nil
	}
	return one(sandbox.Event{Kind: kind, Addr: s}, err)
}

func named(p process, kind sandbox.Kind, dirfd, name uint64) ([]sandbox.Event, error) {
	s, err := pathAt(p, dirfd, name)
	return one(sandbox.Event{Kind: kind, Path: s}, err)
}

func unlink(p process, a args) ([]sandbox.Event, error) {
	return named(p, sandbox.KindUnlink, here, a[0])
}

func unlinkat(p process, a args) ([]sandbox.Event, error) {
	return named(p, sandbox.KindUnlink, a[0], a[1])
}

func mkdir(p process, a args) ([]sandbox.Event, error) {
	return named(p, sandbox.KindMkdir, here, a[0])
}

func mkdirat(p process, a args) ([]sandbox.Event, error) {
	return named(p, sandbox.KindMkdir, a[0], a[1])
}

func rename(p process, a args) ([]sandbox.Event, error) {
	return paired(p, sandbox.KindRename, "", here, a[0], here, a[1])
}

func renameat(p process, a args) ([]sandbox.Event, error) {
	return paired(p, sandbox.KindRename, "", a[0], a[1], a[2], a[3])
}

func link(p process, a args) ([]sandbox.Event, error) {
	return paired(p, sandbox.KindLink, "hard", here, a[0], here, a[1])
}

func linkat(p process, a args) ([]sandbox.Event, error) {
	return paired(p, sandbox.KindLink, "hard", a[0], a[1], a[2], a[3])
}

func paired(p process, kind sandbox.Kind, flags string, dir1, name1, dir2, name2 uint64) ([]sandbox.Event, error) {
	from, err := pathAt(p, dir1, name1)
	to, err2 := pathAt(p, dir2, name2)
	return one(sandbox.Event{Kind: kind, Path: from, To: to, Flags: flags}, errors.Join(err, err2))
}

func symlink(p process, a args) ([]sandbox.Event, error) { return symlinked(p, a[0], here, a[1]) }

func symlinkat(p process, a args) ([]sandbox.Event, error) { return symlinked(p, a[0], a[1], a[2]) }

// symlinked makes the link's target absolute too: it is relative to where the link lies.
func symlinked(p process, target, dirfd, name uint64) ([]sandbox.Event, error) {
	to, err := pathAt(p, dirfd, name)
	from, _, err2 := text(p, target, maxPath)
	if err == nil && err2 == nil && !strings.HasPrefix(from, "/") {
		from = path.Join(path.Dir(to), from)
	}
	return one(sandbox.Event{Kind: sandbox.KindLink, Path: from, To: to, Flags: "symbolic"}, errors.Join(err, err2))
}

func chmod(p process, a args) ([]sandbox.Event, error) { return moded(p, here, a[0], a[1]) }

func fchmodat(p process, a args) ([]sandbox.Event, error) { return moded(p, a[0], a[1], a[2]) }

func moded(p process, dirfd, name, mode uint64) ([]sandbox.Event, error) {
	s, err := pathAt(p, dirfd, name)
	return one(sandbox.Event{Kind: sandbox.KindChmod, Path: s, Flags: octal(mode)}, err)
}

func fchmod(p process, a args) ([]sandbox.Event, error) {
	s, err := resolve(p, int32(a[0]), "")
	return one(sandbox.Event{Kind: sandbox.KindChmod, Path: s, Flags: octal(a[1])}, err)
}

func octal(mode uint64) string { return strconv.FormatUint(mode&0o7777, 8) }

func open(p process, a args) ([]sandbox.Event, error) { return opened(p, here, a[0], a[1]) }

func creat(p process, a args) ([]sandbox.Event, error) {
	return opened(p, here, a[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC)
}

func openat(p process, a args) ([]sandbox.Event, error) { return opened(p, a[0], a[1], a[2]) }

func openat2(p process, a args) ([]sandbox.Event, error) {
	b, err := memory(p, a[2], 8) // the beginning of struct open_how: the flags
	if err != nil {
		return one(sandbox.Event{Kind: sandbox.KindOpen}, err)
	}
	return opened(p, a[0], a[1], binary.NativeEndian.Uint64(b))
}

func truncate(p process, a args) ([]sandbox.Event, error) {
	return opened(p, here, a[0], unix.O_WRONLY|unix.O_TRUNC)
}

func opened(p process, dirfd, name, flags uint64) ([]sandbox.Event, error) {
	s, err := pathAt(p, dirfd, name)
	if flags&unix.O_PATH != 0 && err == nil {
		return nil, nil // nothing is read or written through it; what is done with it later is resolved
	}
	return one(sandbox.Event{Kind: sandbox.KindOpen, Path: s, Flags: openFlags(flags)}, err)
}

func openFlags(f uint64) string {
	s := [4]string{"r", "w", "rw", "rw"}[f&unix.O_ACCMODE]
	if f&unix.O_CREAT != 0 || f&unix.O_TMPFILE == unix.O_TMPFILE {
		s += "c"
	}
	if f&unix.O_TRUNC != 0 {
		s += "t"
	}
	if f&unix.O_APPEND != 0 {
		s += "a"
	}
	return s
}

func kill(_ process, a args) ([]sandbox.Event, error) {
	return one(sandbox.Event{Kind: sandbox.KindSignal, Target: int(int32(a[0])), Status: int(int32(a[1]))}, nil)
}

// tgkill is how runtimes interrupt their own threads, many times a second, which says nothing.
func tgkill(p process, a args) ([]sandbox.Event, error) {
	if pid, _ := p.numbers(); pid == int(int32(a[0])) {
		return nil, nil
	}
	return one(sandbox.Event{Kind: sandbox.KindSignal, Target: int(int32(a[0])), Status: int(int32(a[2]))}, nil)
}

func tkill(p process, a args) ([]sandbox.Event, error) {
	if _, tid := p.numbers(); tid == int(int32(a[0])) {
		return nil, nil
	}
	return kill(p, a)
}

func pidfdSignal(p process, a args) ([]sandbox.Event, error) {
	return one(sandbox.Event{Kind: sandbox.KindSignal, Target: p.target(int32(a[0])), Status: int(int32(a[1]))}, nil)
}

func memfd(p process, a args) ([]sandbox.Event, error) {
	s, cut, err := text(p, a[0], maxName)
	return one(sandbox.Event{Kind: sandbox.KindMemFile, Path: s, Cut: cut}, err)
}

// first is the path that a refused call has as its first argument, second as its second, and at as its second with a folder before it.
func first(p process, a args) ([]sandbox.Event, error) { return refusal(p, here, a[0]) }

func second(p process, a args) ([]sandbox.Event, error) { return refusal(p, here, a[1]) }

func at(p process, a args) ([]sandbox.Event, error) { return refusal(p, a[0], a[1]) }

// refusal has a path where one can be read; the call fails anyway.
func refusal(p process, dirfd, name uint64) ([]sandbox.Event, error) {
	s, _ := pathAt(p, dirfd, name)
	return one(sandbox.Event{Path: s}, nil)
}

// family says which kind of socket was refused.
func family(_ process, a args) ([]sandbox.Event, error) {
	s := ""
	switch f := uint32(a[0]); f {
	case unix.AF_INET, unix.AF_INET6:
		s = "raw"
	case unix.AF_NETLINK:
		s = "netlink:" + strconv.Itoa(int(uint32(a[2])))
	case unix.AF_PACKET:
		s = "packet"
	case unix.AF_VSOCK:
		s = "vsock"
	case unix.AF_ALG:
		s = "alg"
	default:
		s = strconv.Itoa(int(f))
	}
	return one(sandbox.Event{Flags: s}, nil)
}
