package sandboxtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// probeKey in the environment makes the test binary a probe: argv[1] names what it does in the box.
const probeKey = "DONAPI_SANDBOXTEST_PROBE"

// runnerKey makes it a process that runs a box and is killed.
const runnerKey = "DONAPI_SANDBOXTEST_RUNNER"

// Main is the life of the processes that the suite starts: probes in boxes, and a process that runs a box to be killed. TestMain calls it
// first, after what the tier itself needs there. newBox is what Run gets.
func Main(newBox func() (sandbox.Box, error)) {
	switch {
	case os.Getenv(probeKey) != "":
		if len(os.Args) < 2 || probes[os.Args[1]] == nil {
			fmt.Fprintln(os.Stderr, "no such probe:", os.Args)
			os.Exit(99)
		}
		probes[os.Args[1]](os.Args[2:])
		os.Exit(0)
	case os.Getenv(runnerKey) != "":
		b, err := newBox()
		if err == nil {
			sp := spec("sleep", os.Getenv(runnerKey))
			sp.Events = func(e sandbox.Event) {
				if e.Kind == sandbox.KindExec && slices.Contains(e.Args, os.Getenv(runnerKey)) {
					fmt.Println("up")
				}
			}
			_, err = b.Run(context.Background(), sp)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var probes = map[string]func(args []string){
	"attempts": probeAttempts,
	"whoami":   probeWhoami,
	"reach":    probeReach,
	"network":  probeNetwork,
	"connect":  probeConnect,
	"exit":     func(a []string) { os.Exit(number(a[0])) },
	"signal":   func(a []string) { syscall.Kill(os.Getpid(), syscall.Signal(number(a[0]))); select {} },
	"echo":     func([]string) { io.Copy(os.Stdout, os.Stdin) },
	"sleep":    func([]string) { time.Sleep(time.Hour) },
	"last":     probeLast,
	"stubborn": probeStubborn,
	"detach":   probeDetach,
	"murder":   probeMurder,
	"forkbomb": probeForkBomb,
	"threads":  probeThreads,
	"memory":   probeMemory,
	"memories": probeMemories,
	"memfd":    probeMemFiles,
	"sockets":  probeSockets,
	"fill":     probeFill,
	"inodes":   probeInodes,
	"flood":    probeFlood,
	"lines":    probeLines,
	"writers":  probeWriters,
	"garbage":  probeGarbage,
	"channel":  probeChannel,
	"files":    probeFiles,
	"traps":    probeTraps,
	"trees":    probeTrees,
	"exec":     probeExec,
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// report prints what a test reads.
func report(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		panic(err)
	}
}

func again(args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.Command(self, args...)
}

// outcome of an attempt: empty when it was refused, what it achieved otherwise.
func outcome(err error, what string) string {
	if err != nil {
		return ""
	}
	return what
}

func raw(nr uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	runtime.LockOSThread() // what it changes, if it does, stays on this thread
	_, _, e := unix.Syscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5])
	if e != 0 {
		return e
	}
	return nil
}

func ptr[T any](v *T) uintptr { return uintptr(unsafe.Pointer(v)) }

func cstr(s string) uintptr { return ptr(&append([]byte(s), 0)[0]) }

// attempts are ways out of a box and into what belongs to others. All have to fail.
var attempts = map[string]func() error{
	"mount tmpfs":        func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") },
	"mount proc":         func() error { return unix.Mount("proc", "/tmp", "proc", 0, "") },
	"remount / writable": func() error { return unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, "") },
	"bind mount":         func() error { return unix.Mount("/usr", "/tmp", "", unix.MS_BIND, "") },
	"umount /proc":       func() error { return unix.Unmount("/proc", unix.MNT_DETACH) },
	"open_tree": func() error {
		_, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE)
		return err
	},
	"fsopen":             func() error { _, err := unix.Fsopen("tmpfs", 0); return err },
	"mount_setattr":      func() error { return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_clr: 1}) },
	"pivot_root":         func() error { return unix.PivotRoot("/tmp", "/tmp") },
	"chroot":             func() error { return raw(unix.SYS_CHROOT, cstr("/tmp")) },
	"unshare user":       func() error { return raw(unix.SYS_UNSHARE, unix.CLONE_NEWUSER) },
	"unshare mount":      func() error { return raw(unix.SYS_UNSHARE, unix.CLONE_NEWNS) },
	"unshare network":    func() error { return raw(unix.SYS_UNSHARE, unix.CLONE_NEWNET) },
	"setns":              func() error { return throughNS("/proc/self/ns/net") },
	"setns of the first": func() error { return throughNS("/proc/1/ns/mnt") },
	"clone into a user namespace": func() error {
		pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if e != 0 {
			return e
		}
		if pid == 0 {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
		return nil
	},
	"mknod of a disk":          func() error { return unix.Mknod("/tmp/disk", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) },
	"mknod of memory":          func() error { return unix.Mknod("/tmp/mem", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))) },
	"mknod of a tun":           func() error { return unix.Mknod("/tmp/tun", unix.S_IFCHR|0o600, int(unix.Mkdev(10, 200))) },
	"ptrace the parent":        func() error { return unix.PtraceAttach(os.Getppid()) },
	"ptrace the first":         func() error { return unix.PtraceSeize(1) },
	"read the first":           func() error { return readMemory(1) },
	"environment of the first": func() error { _, err := os.ReadFile("/proc/1/environ"); return err },
	"root of the first":        func() error { _, err := os.ReadDir("/proc/1/root/"); return err },
	"descriptors of the first": func() error { _, err := os.ReadDir("/proc/1/fd"); return err },
	"memory of the first":      func() error { _, err := os.OpenFile("/proc/1/mem", os.O_RDWR, 0); return err },
	"pidfd_getfd of the first": func() error {
		fd, err := unix.PidfdOpen(1, 0)
		if err != nil {
			return err
		}
		_, err = unix.PidfdGetfd(fd, 3, 0)
		return err
	},
	"io_uring": func() error { var p [120]byte; return raw(unix.SYS_IO_URING_SETUP, 8, ptr(&p[0])) },
	"bpf map": func() error {
		a := [16]uint32{1, 4, 4, 1}
		return raw(unix.SYS_BPF, 0, ptr(&a[0]), unsafe.Sizeof(a))
	},
	"keyctl": func() error { return raw(unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(2), 1) },
	"add_key": func() error {
		_, err := unix.AddKey("user", "x", []byte("y"), unix.KEY_SPEC_PROCESS_KEYRING)
		return err
	},
	"setuid 0":    func() error { return raw(unix.SYS_SETUID, 0) },
	"setresuid 0": func() error { return raw(unix.SYS_SETRESUID, 0, 0, 0) },
	"setgid 0":    func() error { return raw(unix.SYS_SETGID, 0) },
	"setgroups":   func() error { g := uint32(0); return raw(unix.SYS_SETGROUPS, 1, ptr(&g)) },
	"a capability": func() error {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		d := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_ADMIN, Permitted: 1 << unix.CAP_SYS_ADMIN}}
		return raw(unix.SYS_CAPSET, ptr(&h), ptr(&d[0]))
	},
	"userfaultfd": func() error { return raw(unix.SYS_USERFAULTFD, 0) },
	"perf_event_open": func() error {
		a := unix.PerfEventAttr{Type: 1, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))}
		return raw(unix.SYS_PERF_EVENT_OPEN, ptr(&a), 0, ^uintptr(0), ^uintptr(0), 0)
	},
	"open_by_handle": func() error {
		b := [4]uint32{8, 1}
		return raw(unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(99), ptr(&b[0]), 0)
	},
	"reboot":          func() error { return raw(unix.SYS_REBOOT, 0, 0, 0) },
	"swapon":          func() error { return raw(unix.SYS_SWAPON, cstr("/tmp"), 0) },
	"init_module":     func() error { return raw(unix.SYS_INIT_MODULE, cstr(""), 0, cstr("")) },
	"kexec_load":      func() error { return raw(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0) },
	"syslog":          func() error { _, err := unix.Klogctl(3, make([]byte, 64)); return err },
	"settimeofday":    func() error { t := unix.Timeval{Sec: 1}; return raw(unix.SYS_SETTIMEOFDAY, ptr(&t), 0) },
	"sethostname":     func() error { return unix.Sethostname([]byte("x")) },
	"a packet socket": func() error { _, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0x300); return err },
	"a raw socket":    func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW); return err },
	"netfilter": func() error {
		_, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)
		return err
	},
	"a vsock":        func() error { _, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0); return err },
	"the crypto API": func() error { _, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0); return err },
	"memfd_secret":   func() error { _, err := unix.MemfdSecret(0); return err },
	"TIOCSTI":        func() error { c := byte('x'); return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, ptr(&c)) },
	"raise the limit of processes": func() error {
		return raw(unix.SYS_SETRLIMIT, unix.RLIMIT_NPROC, ptr(&unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
	},
	"raise the limit of data": func() error {
		return raw(unix.SYS_SETRLIMIT, unix.RLIMIT_DATA, ptr(&unix.Rlimit{Cur: 1 << 40, Max: 1 << 40}))
	},
	"real-time priority": func() error {
		p := int32(1)
		return raw(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_FIFO, ptr(&p))
	},
	"higher priority":               func() error { return raw(unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, ^uintptr(4)) },
	"a file in /":                   func() error { return create("/donapi-x") },
	"a file in /usr":                func() error { return create("/usr/donapi-x") },
	"a file in /usr/bin":            func() error { return create("/usr/bin/donapi-x") },
	"a file in /etc":                func() error { return create("/etc/donapi-x") },
	"a file in /opt":                func() error { return create("/opt/donapi-x") },
	"a file in /dev":                func() error { return create("/dev/donapi-x") },
	"overwrite a program":           func() error { return openWrite("/usr/bin/env") },
	"overwrite passwd":              func() error { return openWrite("/etc/passwd") },
	"chmod of passwd":               func() error { return os.Chmod("/etc/passwd", 0o666) },
	"remove passwd":                 func() error { return os.Remove("/etc/passwd") },
	"rename /etc":                   func() error { return os.Rename("/etc", "/etc2") },
	"write /proc/sys":               func() error { return openWrite("/proc/sys/kernel/core_pattern") },
	"write a sysctl of the network": func() error { return openWrite("/proc/sys/net/ipv4/ip_forward") },
	"sysrq":                         func() error { return os.WriteFile("/proc/sysrq-trigger", []byte("h"), 0) },
	"kernel memory":                 func() error { return readFirst("/proc/kcore") },
	"kernel log":                    func() error { return readFirst("/proc/kmsg") },
	"/dev/mem":                      func() error { return readFirst("/dev/mem") },
	"/dev/kvm":                      func() error { return openWrite("/dev/kvm") },
	"/dev/net/tun":                  func() error { return openWrite("/dev/net/tun") },
	"/dev/fuse":                     func() error { return openWrite("/dev/fuse") },
	"/sys":                          func() error { _, err := os.ReadDir("/sys/kernel"); return err },
	"a lower oom score":             func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("-900"), 0) },
	"change the program": func() error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return openWrite(self)
	},
}

func throughNS(name string) error {
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return raw(unix.SYS_SETNS, uintptr(fd), 0)
}

func readMemory(pid int) error {
	b := make([]byte, 8)
	l := []unix.Iovec{{Base: &b[0], Len: 8}}
	_, err := unix.ProcessVMReadv(pid, l, []unix.RemoteIovec{{Base: 0x400000, Len: 8}}, 0)
	if errors.Is(err, unix.EFAULT) {
		return nil // it was allowed
	}
	return err
}

func create(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		f.Close()
	}
	return err
}

func openWrite(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err == nil {
		f.Close()
	}
	return err
}

// readFirst reads one byte; a file that has none was covered.
func readFirst(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Read(make([]byte, 1))
	return err
}

// probeAttempts makes all attempts, and prints those that succeeded.
func probeAttempts([]string) {
	done := map[string]string{}
	for name, try := range attempts {
		result := make(chan error, 1)
		go func() { result <- try() }()
		if s := outcome(<-result, "succeeded"); s != "" {
			done[name] = s
		}
	}
	report(done)
}

// Identity is what a process in the box sees of itself.
type identity struct {
	UID, GID       int
	Groups         []int
	Hostname       string
	Dir            string
	Env            []string
	Args           []string
	Caps           []string
	NoNewPrivs     string
	Seccomp        string
	Descriptors    []string
	Programs       []string // of all processes that can be seen
	Interfaces     []string
	WritableMounts []string
	Root           []string
	LargestFile    uint64
}

func probeWhoami([]string) {
	var id identity
	id.UID, id.GID = os.Getuid(), os.Getgid()
	id.Groups, _ = os.Getgroups()
	id.Hostname, _ = os.Hostname()
	id.Dir, _ = os.Getwd()
	id.Env, id.Args = os.Environ(), os.Args
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		key, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch {
		case strings.HasPrefix(key, "Cap") && strings.Trim(v, "0") != "":
			id.Caps = append(id.Caps, key+"="+v)
		case key == "NoNewPrivs":
			id.NoNewPrivs = v
		case key == "Seccomp":
			id.Seccomp = v
		}
	}
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			if !strings.Contains(link, "eventpoll") && !strings.Contains(link, "eventfd") {
				id.Descriptors = append(id.Descriptors, strconv.Itoa(fd)+" "+link)
			}
		}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, l := range lines {
		b, _ := os.ReadFile(l)
		id.Programs = append(id.Programs, string(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte(" "))))
	}
	if ifs, err := net.Interfaces(); err == nil {
		for _, i := range ifs {
			id.Interfaces = append(id.Interfaces, i.Name)
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 3 && !strings.HasPrefix(f[3], "ro,") {
			id.WritableMounts = append(id.WritableMounts, f[1])
		}
	}
	entries, _ := os.ReadDir("/")
	for _, e := range entries {
		id.Root = append(id.Root, e.Name())
	}
	report(id)
}

// probeReach tries to get at things of the host by their names: read:PATH, list:PATH, tcp:ADDRESS, unix:PATH, signal:PID.
func probeReach(args []string) {
	done := map[string]string{}
	for _, a := range args {
		kind, what, _ := strings.Cut(a, ":")
		var err error
		switch kind {
		case "read":
			_, err = os.ReadFile(what)
		case "list":
			_, err = os.ReadDir(what)
		case "tcp", "unix":
			var c net.Conn
			if c, err = net.DialTimeout(kind, what, 2*time.Second); err == nil {
				c.Write([]byte("hello"))
				c.Close()
			}
		case "signal":
			err = syscall.Kill(number(what), 0)
		}
		if s := outcome(err, "succeeded"); s != "" {
			done[a] = s
		}
	}
	report(done)
}

// probeNetwork talks to the internet in every way it knows.
func probeNetwork([]string) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	done := map[string]string{}
	note := func(name string, err error, what string) {
		if err != nil {
			what = "failed: " + err.Error()
		}
		done[name] = what
	}
	addrs, err := net.DefaultResolver.LookupHost(ctx, "Name.Example")
	note("dns", err, strings.Join(addrs, " "))
	for _, scheme := range []string{"http", "https"} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}}
		req, _ := http.NewRequestWithContext(ctx, "POST", scheme+"://api.example/collect?q=1", strings.NewReader("body of "+scheme))
		req.Header.Set("X-Token", "token-of-"+scheme)
		res, err := client.Do(req)
		status := ""
		if err == nil {
			status = res.Status
			res.Body.Close()
		}
		note(scheme, err, status)
		client.CloseIdleConnections()
	}
	for name, addr := range map[string]string{"tcp": "203.0.113.9:4444", "tcp6": "[2001:db8::9]:4444", "udp": "203.0.113.9:9999", "udp6": "[2001:db8::9]:9999"} {
		c, err := net.DialTimeout(name, addr, 5*time.Second)
		if err == nil {
			_, err = c.Write([]byte("raw " + name))
			if strings.HasPrefix(name, "tcp") && err == nil {
				err = c.(*net.TCPConn).CloseWrite()
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				io.Copy(io.Discard, c) // until it has been heard
			}
			c.Close()
		}
		note(name, err, "sent")
	}
	time.Sleep(100 * time.Millisecond) // datagrams are not answered, so nothing says that they were heard
	report(done)
}

// probeLast sends in a hurry and ends before it can have been heard.
func probeLast([]string) {
	t, err := net.DialTimeout("tcp", "203.0.113.9:4444", 5*time.Second)
	must(err)
	u, err := net.Dial("udp", "203.0.113.9:9999")
	must(err)
	for n := range 50 {
		_, err := fmt.Fprintf(u, "datagram %d", n)
		must(err)
	}
	_, err = t.Write(append([]byte("last words"), make([]byte, 100_000)...))
	must(err)
	os.Exit(0)
}

func probeConnect(a []string) {
	done := map[string]string{}
	c, err := net.DialTimeout("tcp", a[0], 3*time.Second)
	if err == nil {
		c.Close()
	}
	done[a[0]] = outcome(err, "connected")
	report(done)
}

func probeStubborn([]string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGALRM)
	fmt.Println("ignoring")
	for {
		time.Sleep(time.Hour)
	}
}

// probeDetach leaves a process in a session of its own behind, whose parent is gone. With an argument, that one closes its outputs too.
func probeDetach(a []string) {
	if len(a) > 0 && a[0] == "middle" {
		c := again("sleep", "detached")
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := c.Start(); err != nil {
			panic(err)
		}
		fmt.Println("left", c.Process.Pid)
		return
	}
	c := again("detach", "middle")
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	c.Stdout = os.Stdout
	if err := c.Run(); err != nil {
		panic(err)
	}
}

// probeMurder tries to end what runs the box, then everything.
func probeMurder([]string) {
	for sig := syscall.Signal(1); sig < 65; sig++ {
		syscall.Kill(1, sig)
	}
	syscall.Kill(os.Getppid(), syscall.SIGKILL)
	fmt.Println("still here")
	os.Stdout.Sync()
	syscall.Kill(-1, syscall.SIGKILL)
	fmt.Println("even now")
}

func probeForkBomb([]string) {
	started, refused := 0, 0
	for range 400 {
		if err := again("sleep").Start(); err != nil {
			if refused++; refused > 20 {
				break
			}
			continue
		}
		started++
	}
	report(map[string]int{"started": started, "refused": refused})
	time.Sleep(100 * time.Millisecond) // long enough to be counted
}

// probeThreads starts threads, which count too.
func probeThreads(a []string) {
	for range number(a[0]) {
		go func() {
			runtime.LockOSThread()
			select {}
		}()
	}
	time.Sleep(time.Hour)
}

// touch takes memory and uses it.
func touch(mb int) {
	var kept [][]byte
	for range mb {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		kept = append(kept, b)
	}
	runtime.KeepAlive(kept)
}

func probeMemory(a []string) {
	touch(number(a[0]))
	fmt.Println("had it")
}

// probeMemories lets many processes take a little each.
func probeMemories(a []string) {
	if len(a) == 1 {
		touch(number(a[0]))
		time.Sleep(time.Hour)
	}
	for range number(a[0]) {
		if err := again("memories", a[1]).Start(); err != nil {
			fmt.Println(err)
		}
	}
	time.Sleep(time.Hour)
}

// probeMemFiles fills files in memory, which are in no folder and in no process's memory.
func probeMemFiles([]string) {
	block := make([]byte, 1<<20)
	written := 0
	for range 1000 {
		fd, err := unix.MemfdCreate("hidden", 0)
		if err != nil {
			fmt.Println(err)
			break
		}
		for {
			if _, err := unix.Write(fd, block); err != nil {
				break
			}
			written++
		}
	}
	fmt.Println("wrote", written)
	time.Sleep(time.Hour)
}

// probeSockets fills sockets with bytes that nobody reads.
func probeSockets([]string) {
	block := make([]byte, 64<<10)
	n := 0
	for {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			break
		}
		for {
			if _, err := unix.Write(p[0], block); err != nil {
				break
			}
		}
		n++
	}
	fmt.Println(n)
	time.Sleep(time.Second)
}

func probeFill(a []string) {
	block := make([]byte, 1<<20)
	total := 0
	for _, dir := range a {
		for i := range 10_000 {
			f, err := os.Create(filepath.Join(dir, "fill"+strconv.Itoa(i)))
			if err != nil {
				break
			}
			n := 0
			for {
				k, err := f.Write(block)
				n += k
				if err != nil {
					break
				}
			}
			f.Close()
			if total += n; n == 0 {
				break
			}
		}
	}
	report(map[string]int{"written": total})
}

// probeInodes makes empty files until it may not, or until it has made as many as it is told.
func probeInodes(a []string) {
	n := 0
	for ; n < number(a[1]); n++ {
		if err := os.WriteFile(filepath.Join(a[0], strconv.Itoa(n)), nil, 0o600); err != nil {
			break
		}
	}
	report(map[string]int{"made": n})
}

func probeFlood(a []string) {
	b := bytes.Repeat([]byte("x"), 1<<20)
	for range number(a[0]) {
		os.Stdout.Write(b)
		os.Stderr.Write(b)
	}
}

func channel() *os.File {
	f, err := os.OpenFile(os.Getenv("CHANNEL"), os.O_WRONLY, 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	return f
}

func probeLines(a []string) {
	f := channel()
	for i := range number(a[0]) {
		if _, err := f.WriteString("line " + strconv.Itoa(i) + "\n"); err != nil {
			return
		}
	}
}

// probeWriters writes lines of 4096 bytes from many processes at once.
func probeWriters(a []string) {
	if len(a) == 2 {
		f := channel()
		line := strings.Repeat(a[1], 4095) + "\n"
		for range number(a[0]) {
			f.WriteString(line)
		}
		return
	}
	var wg sync.WaitGroup
	for _, c := range []string{"a", "b", "c", "d"} {
		wg.Go(func() {
			if err := again("writers", a[0], c).Run(); err != nil {
				fmt.Println(err)
			}
		})
	}
	wg.Wait()
}

func probeGarbage([]string) {
	f := channel()
	b := make([]byte, 1<<20)
	for i := range b {
		if b[i] = byte(i*7 + i>>8); b[i] == '\n' {
			b[i] = 0
		}
	}
	f.Write(b)
	f.WriteString("\n\n\nend without a newline")
}

// probeChannel tries to take the channel for itself.
func probeChannel([]string) {
	name := os.Getenv("CHANNEL")
	done := map[string]string{}
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	done["read"] = outcome(err, "succeeded")
	if err == nil {
		unix.Close(fd)
	}
	fd, err = unix.Open(name, unix.O_RDWR|unix.O_NONBLOCK, 0)
	done["read and write"] = outcome(err, "succeeded")
	if err == nil {
		unix.Close(fd)
	}
	done["chmod"] = outcome(os.Chmod(name, 0o666), "succeeded")
	done["remove"] = outcome(os.Remove(name), "succeeded")
	done["rename"] = outcome(os.Rename(name, "/tmp/taken"), "succeeded")
	for k, v := range done {
		if v == "" {
			delete(done, k)
		}
	}
	report(done)
	channel().WriteString("still heard\n")
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
}

// probeFiles changes some of the files it finds in its folder.
func probeFiles([]string) {
	b, err := os.ReadFile("kept")
	must(err)
	st, err := os.Stat("kept")
	must(err)
	link, err := os.Readlink("link")
	must(err)
	fmt.Printf("%s %o %s\n", b, st.Mode().Perm(), link)
	must(os.WriteFile("kept", b, 0o600)) // the same again
	must(os.WriteFile("changed", []byte("new"), 0o644))
	must(os.Chmod("mode", 0o755))
	must(os.Remove("gone"))
	must(os.RemoveAll("folder"))
	must(os.Remove("becomes-link"))
	must(os.Symlink("/etc/passwd", "becomes-link"))
	must(os.MkdirAll("deep/er", 0o755))
	must(os.WriteFile("deep/er/made", []byte("made"), 0o640))
	must(os.WriteFile(os.Getenv("HOME")+"/.profile", []byte("evil"), 0o644))
	must(os.WriteFile("/tmp/large", bytes.Repeat([]byte("l"), 1<<20), 0o644))
	must(os.WriteFile("/dev/shm/shared", []byte("s"), 0o644))
}

// probeTraps leaves files that a careless reader falls over.
func probeTraps([]string) {
	must(os.Symlink("/etc/shadow", "shadow"))
	must(os.Symlink("/", "root"))
	must(os.Symlink("..", "up"))
	must(os.Symlink("loop", "loop"))
	must(os.Symlink("/proc/self/environ", "environ"))
	must(unix.Mkfifo("fifo", 0o666))
	l, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	must(unix.Bind(l, &unix.SockaddrUnix{Name: "socket"}))
	must(os.WriteFile("unreadable", []byte("found"), 0o600))
	must(os.Chmod("unreadable", 0))
	must(os.Mkdir("closed", 0o755))
	must(os.WriteFile("closed/inside", []byte("found too"), 0o600))
	must(os.Chmod("closed", 0))
	must(os.WriteFile("odd\n\x1b[31m\xffname", []byte("odd"), 0o644))
	f, err := os.Create("sparse")
	must(err)
	must(f.Truncate(200 << 20))
	must(f.Close())
	must(os.RemoveAll("file/below"))
	must(os.Remove("file"))
	must(os.Symlink("/etc", "file"))
	must(os.WriteFile("setuid", []byte("#!/bin/sh\n"), 0o755))
	must(os.Chmod("setuid", 0o755|os.ModeSetuid))
}

// probeTrees makes a folder deeper than any path, one with many names, and links from one to the other.
func probeTrees([]string) {
	must(os.Mkdir("wide", 0o755))
	must(os.WriteFile("wide/one", []byte("1"), 0o644))
	for i := range 30_000 {
		if err := os.Link("wide/one", "wide/"+strconv.Itoa(i)); err != nil {
			must(os.WriteFile("wide/"+strconv.Itoa(i), nil, 0o644))
		}
	}
	must(os.Mkdir("deep", 0o755))
	must(os.Chdir("deep"))
	for range 3000 {
		must(os.Mkdir("dddddddddddddddd", 0o755))
		must(os.Chdir("dddddddddddddddd"))
	}
	must(os.WriteFile("bottom", []byte("here"), 0o644))
}

func probeExec(a []string) {
	c := exec.Command(a[0], a[1:]...)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	must(c.Run())
}
