//go:build linux && (amd64 || arm64)

package syscalls

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// children are what a child does under the filter.
var children = map[string]func(){
	"refused":    callRefused,
	"conditions": callConditions,
	"files":      useFiles,
	"opens":      useOpens,
	"exec":       execMany,
	"sockets":    useSockets,
	"signals":    sendSignals,
	"memfd":      makeMemFiles,
	"bad":        passBadPointers,
	"threads":    useThreads,
	"abi":        useOtherABI,
	"unlink":     func() { say("unlink", unix.Unlink("nothing")) },
	"unsupervise": func() {
		say("unlink", unix.Unlink("nothing"))
		say("socket", socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	},
	"blocked":  blocked,
	"node":     runNode,
	"nothing":  func() {},
	"landlock": underLandlock,
}

func say(name string, err error) {
	if err == nil {
		fmt.Println(name, "ok")
		return
	}
	if e, ok := err.(syscall.Errno); ok {
		fmt.Println(name, unix.ErrnoName(e))
		return
	}
	fmt.Println(name, err)
}

func raw(nr uint32, a ...uintptr) error {
	var v [6]uintptr
	copy(v[:], a)
	_, _, e := unix.RawSyscall6(uintptr(nr), v[0], v[1], v[2], v[3], v[4], v[5])
	if e != 0 {
		return e
	}
	return nil
}

func str(s string) uintptr {
	p, _ := unix.BytePtrFromString(s)
	pinned = append(pinned, p)
	return uintptr(unsafe.Pointer(p))
}

var pinned []*byte // what addresses were passed of as numbers

func socket(domain, typ, proto int) error {
	fd, err := unix.Socket(domain, typ, proto)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// callRefused makes every call that is refused whatever its arguments.
func callRefused() {
	for _, c := range calls {
		if (c.do == refused || c.do == reported) && c.when == nil {
			say(c.name, raw(c.nr))
		}
	}
}

// callConditions makes calls that are refused for some arguments, with such and with others.
func callConditions() {
	for _, f := range []uintptr{unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWPID | 1<<40, unix.CLONE_NEWNET, unix.CLONE_NEWTIME} {
		say(fmt.Sprintf("unshare %x", f), raw(unix.SYS_UNSHARE, f))
	}
	say("unshare files", raw(unix.SYS_UNSHARE, unix.CLONE_FILES))
	say("clone newuser", raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD)))
	say("personality query", raw(unix.SYS_PERSONALITY, 0xffffffff))
	say("personality norandom", raw(unix.SYS_PERSONALITY, 0x0040000))
	say("socket unix", socket(unix.AF_UNIX, unix.SOCK_STREAM, 0))
	say("socket inet", socket(unix.AF_INET, unix.SOCK_STREAM, 0))
	say("socket inet6", socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	say("socket route", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE))
	say("socket netfilter", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER))
	say("socket packet", socket(unix.AF_PACKET, unix.SOCK_RAW, 0))
	say("socket vsock", socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0))
	say("socket alg", socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0))
	say("socket raw", socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP))
	say("ioctl sti", raw(unix.SYS_IOCTL, 1, unix.TIOCSTI, str("x")))
	say("ioctl sti high", raw(unix.SYS_IOCTL, 1, unix.TIOCSTI|1<<32, str("x")))
	say("ioctl linux", raw(unix.SYS_IOCTL, 1, tiocLinux, str("x")))
	say("ioctl size", raw(unix.SYS_IOCTL, 99, unix.TIOCGWINSZ, 0))
	say("newer", raw(lastCall+1))
}

func useFiles() {
	os.Mkdir("sub", 0o755)
	for _, n := range []string{"a", "b", "c", "d", "sub/e"} {
		fd, _ := unix.Open(n, unix.O_CREAT|unix.O_WRONLY, 0o644)
		unix.Close(fd)
	}
	dir, err := unix.Open("sub", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	say("dir", err)
	say("unlink", unix.Unlinkat(unix.AT_FDCWD, "a", 0))
	say("rename", unix.Renameat(unix.AT_FDCWD, "./b", dir, "../b2"))
	say("rename2", unix.Renameat2(unix.AT_FDCWD, "b2", dir, "b3", unix.RENAME_NOREPLACE))
	say("link", unix.Linkat(unix.AT_FDCWD, "c", dir, "c2", 0))
	say("symlink", unix.Symlinkat("../c", dir, "c3"))
	say("symlink absolute", unix.Symlinkat("/etc/passwd", unix.AT_FDCWD, "pw"))
	say("chmod", unix.Fchmodat(unix.AT_FDCWD, "d", 0o4755, 0))
	fd, _ := unix.Open("d", unix.O_RDONLY, 0)
	say("fchmod", unix.Fchmod(fd, 0o600))
	say("unlinkat", unix.Unlinkat(dir, "e", 0))
	say("rmdir", unix.Rmdir("nowhere"))
	say("magic", unix.Unlinkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d/c2", dir), 0))
	say("bad fd", unix.Unlinkat(500, "x", 0))
	say("long", unix.Unlinkat(unix.AT_FDCWD, strings.Repeat("x", 5000), 0))
	say("root", unix.Unlinkat(unix.AT_FDCWD, "/no/../such/./thing", 0))
}

func useOpens() {
	fd, err := unix.Openat(unix.AT_FDCWD, "o1", unix.O_CREAT|unix.O_RDWR|unix.O_TRUNC, 0o644)
	say("open", err)
	unix.Close(fd)
	fd, err = unix.Openat(unix.AT_FDCWD, "o1", unix.O_WRONLY|unix.O_APPEND, 0)
	say("append", err)
	unix.Close(fd)
	how := unix.OpenHow{Flags: unix.O_RDONLY}
	fd, err = unix.Openat2(unix.AT_FDCWD, "o1", &how)
	say("openat2", err)
	unix.Close(fd)
	_, err = unix.Openat(unix.AT_FDCWD, "o1", unix.O_PATH, 0)
	say("path", err)
	say("mkdir", unix.Mkdirat(unix.AT_FDCWD, "m1", 0o755))
	say("truncate", unix.Truncate("o1", 5))
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	say("socket", err)
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}
	say("sendto", unix.Sendto(s, []byte("x"), 0, to))
	_, err = unix.SendmsgN(s, []byte("x"), nil, to, 0)
	say("sendmsg", err)
	type mmsghdr struct {
		hdr unix.Msghdr
		n   uint32
		_   uint32
	}
	sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 0x0a00, Addr: [4]byte{127, 0, 0, 1}}
	x := []byte("x")
	iov := unix.Iovec{Base: &x[0], Len: 1}
	var m [2]mmsghdr
	for i := range m {
		m[i].hdr = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&sa)), Namelen: unix.SizeofSockaddrInet4, Iov: &iov, Iovlen: 1}
	}
	say("sendmmsg", raw(unix.SYS_SENDMMSG, uintptr(s), uintptr(unsafe.Pointer(&m[0])), 2, 0))
	runtime.KeepAlive(x)
}

func execMany() {
	run := func(argv ...string) {
		cmd := exec.Command(argv[0], argv[1:]...)
		say("run", cmd.Run()) // by vfork: clone with CLONE_VFORK|CLONE_VM
	}
	run("/bin/sh", "-c", "exit 0", "a b", "\xff")
	many := []string{"/bin/true"}
	for i := range 9000 {
		many = append(many, fmt.Sprint(i))
	}
	run(many...)
	run("/bin/true", strings.Repeat("y", 100<<10), strings.Repeat("z", 100<<10), strings.Repeat("w", 100<<10))
	// A program without a name.
	fd, err := unix.MemfdCreate("payload", 0)
	say("memfd", err)
	b, _ := os.ReadFile("/bin/true")
	unix.Write(fd, b)
	cmd := exec.Command(fmt.Sprintf("/proc/self/fd/%d", fd))
	say("run memfd", cmd.Run())
	// execveat of an open file, tried on one that is not a program, so that we go on.
	f, _ := unix.Open("/etc/passwd", unix.O_RDONLY, 0)
	argv := []uintptr{str("name"), 0}
	say("execveat", raw(unix.SYS_EXECVEAT, uintptr(f), str(""), uintptr(unsafe.Pointer(&argv[0])), 0, unix.AT_EMPTY_PATH))
	say("execve without", raw(unix.SYS_EXECVE, str("./nothing"), 0, 0))
}

func useSockets() {
	s, _ := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	say("bind", unix.Bind(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	s, _ = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	say("connect", unix.Connect(s, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 1}))
	s, _ = unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	say("connect6", unix.Connect(s, &unix.SockaddrInet6{Addr: [16]byte{15: 1}, Port: 1}))
	s, _ = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	say("connect unix", unix.Connect(s, &unix.SockaddrUnix{Name: "/nowhere/x.sock"}))
	say("connect abstract", unix.Connect(s, &unix.SockaddrUnix{Name: "@donapi-none"}))
	say("connect short", raw(unix.SYS_CONNECT, uintptr(s), str("x"), 1))
	say("connect huge", raw(unix.SYS_CONNECT, uintptr(s), str("x"), 1<<31))
}

func sendSignals() {
	cmd := exec.Command("/bin/sleep", "1000")
	say("start", cmd.Start())
	say("probe", unix.Kill(cmd.Process.Pid, 0))
	fd, err := unix.PidfdOpen(cmd.Process.Pid, 0)
	say("pidfd", err)
	say("pidfd signal", unix.PidfdSendSignal(fd, unix.SIGCONT, nil, 0))
	say("tgkill", unix.Tgkill(cmd.Process.Pid, cmd.Process.Pid, unix.SIGCONT))
	say("own", unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGURG))
	say("kill", unix.Kill(cmd.Process.Pid, unix.SIGKILL))
	cmd.Wait()
	fmt.Println("pid", cmd.Process.Pid)
}

func makeMemFiles() {
	for range maxMemFiles {
		if _, err := unix.MemfdCreate("m", 0); err != nil {
			say("early", err)
		}
	}
	_, err := unix.MemfdCreate("one more", 0)
	say("late", err)
}

func passBadPointers() {
	say("null", raw(unix.SYS_UNLINKAT, uintptr(1<<64-100), 0, 0))
	say("wild", raw(unix.SYS_UNLINKAT, uintptr(1<<64-100), 0xdeadbeef000, 0))
	say("kernel", raw(unix.SYS_UNLINKAT, uintptr(1<<64-100), 0xffffffff81000000, 0))
	// A string that runs into memory that is not there, and one that ends right before.
	m, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	say("mmap", err)
	for i := range m[:page] {
		m[i] = 'q'
	}
	base := uintptr(unsafe.Pointer(&m[0]))
	say("unmap", raw(unix.SYS_MUNMAP, base+page, page))
	say("edge", raw(unix.SYS_UNLINKAT, uintptr(1<<64-100), base+page-3, 0))
	m[page-1] = 0
	say("before edge", raw(unix.SYS_UNLINKAT, uintptr(1<<64-100), base+page-3, 0))
	say("argv", raw(unix.SYS_EXECVE, str("/bin/true"), base+page-4, 0))
	say("address", raw(unix.SYS_CONNECT, 0, base+page-3, 16))
}

// useThreads starts processes of many threads that all make calls at once.
func useThreads() {
	self, _ := os.Executable()
	var cmds []*exec.Cmd
	for i := range 4 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "DONAPI_TEST_CHILD=", "DONAPI_TEST_THREADS="+fmt.Sprint(i))
		cmd.Stdout = os.Stdout
		say("start", cmd.Start())
		cmds = append(cmds, cmd)
	}
	for _, cmd := range cmds {
		say("wait", cmd.Wait())
	}
}

// manyThreads runs in processes that useThreads starts: eight threads, each of which makes twenty calls.
func manyThreads(name string) int {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			runtime.LockOSThread()
			for k := range 20 {
				if err := unix.Unlink(fmt.Sprintf("t-%s-%d-%d", name, i, k)); err != unix.ENOENT {
					say("unlink", err)
				}
			}
		})
	}
	wg.Wait()
	return 0
}

// blocked makes a call that nobody answers and says so before.
func blocked() {
	fmt.Println("about to")
	say("unlink", unix.Unlink("nothing"))
}

func runNode() {
	cmd := exec.Command("node", "-e", `
const cp = require('child_process'), fs = require('fs'), net = require('net');
fs.writeFileSync('made', 'x'); fs.chmodSync('made', 0o755); fs.renameSync('made', 'made2'); fs.unlinkSync('made2');
console.log(cp.execSync('echo from a shell').toString());
net.connect(1, '127.0.0.1').on('error', e => console.log(e.code));
`)
	b, err := cmd.CombinedOutput()
	fmt.Println(string(b))
	say("node", err)
}

func underLandlock() {
	l, err := RestrictFiles(Files{Read: []string{"/usr", "/bin", "/lib", "/proc"}, Write: []string{"."}})
	say("restrict", err)
	fmt.Println("abi", l.ABI)
	say("write here", os.WriteFile("here", []byte("x"), 0o600))
	_, err = os.ReadFile("/etc/passwd")
	say("read there", unwrap(err))
	say("write there", unwrap(os.WriteFile(os.TempDir()+"/donapi-should-not-be", nil, 0o600)))
	say("device", unix.Mknod("dev", unix.S_IFCHR|0o600, 0))
	say("fifo", unix.Mkfifo("fifo", 0o600))
	say("signal out", unix.Kill(os.Getppid(), 0))
}

func unwrap(err error) error {
	if p, ok := err.(*os.PathError); ok {
		return p.Err
	}
	return err
}
