//go:build linux && (amd64 || arm64)

package strong

import (
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox/internet"
)

// outerName is what the outer process is called, and its whole command line.
const outerName = "donapi-strong-outer"

// Descriptors that the outer process starts with, beside the standard ones. Those of the box are handed on to runsc.
const (
	fdSocket = 3 + iota
	fdPlan
	fdStdin
	fdStdout
	fdStderr
	fdInnerPlan
	fdReport
	fdEnd
)

// Descriptors that the inner process starts with.
const (
	fdInnerIn  = 3 // its plan, then what it is told
	fdInnerOut = 4 // its reports
)

// Main is the life of the two processes that stand around a box, and of the self-test in it, when this process was started as one of
// them; then it does not return. Programs that run boxes call it first thing in main, and in TestMain.
func Main() {
	if len(os.Args) > 1 && os.Args[1] == checkName {
		os.Exit(check(os.Args[2:]))
	}
	if len(os.Args) != 1 || os.Getpid() != 1 {
		return
	}
	switch os.Args[0] {
	case outerName:
		outerMain()
	case innerName:
		innerMain()
	}
}

func outerMain() {
	debug.SetGCPercent(-1)
	for fd := fdSocket; fd < fdEnd; fd++ {
		unix.CloseOnExec(fd)
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		os.Exit(1)
	}
	// Everybody else goes first, so that a busy box leaves the machine, and whoever watches it, usable.
	unix.Setpriority(unix.PRIO_PROCESS, 0, niceness)
	f := os.NewFile(fdSocket, "parent")
	c, err := net.FileConn(f)
	f.Close()
	if err != nil {
		os.Exit(1)
	}
	o := &outer{parent: c.(*net.UnixConn)}
	if err := o.run(); err != nil {
		o.send(msgError, []byte(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}

// outer is the first process of the namespaces of a box.
type outer struct {
	parent *net.UnixConn
	plan   outerPlan
	log    int // the end of the log for writing
}

// send sends a message. Without a parent there is no reason to live.
func (o *outer) send(kind byte, text []byte, fds ...int) {
	if err := send(o.parent, kind, text, fds...); err != nil {
		os.Exit(1)
	}
}

// answered waits until the parent has answered.
func (o *outer) answered() {
	if _, err := receive(o.parent); err != nil {
		os.Exit(1)
	}
}

// run builds the root, starts runsc and waits until it has ended.
func (o *outer) run() error {
	in := os.NewFile(fdPlan, "plan")
	if err := gob.NewDecoder(in).Decode(&o.plan); err != nil {
		return fmt.Errorf("plan of the box: %w", err)
	}
	in.Close()
	unix.Umask(0)
	self, err := unix.Open("/proc/self/exe", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	device, err := o.network()
	if err != nil {
		return err
	}
	if device >= 0 {
		o.send(msgDevice, nil, device)
		unix.Close(device)
		o.answered()
	}
	links, err := o.root()
	if err != nil {
		return err
	}
	if err := writeClosed(findClosed(len(o.plan.Mounts))); err != nil {
		return err
	}
	channel, err := o.channel()
	if err != nil {
		return fmt.Errorf("channel of the box: %w", err)
	}
	listener, err := listen(traceSocket)
	if err != nil {
		return fmt.Errorf("socket of the trace: %w", err)
	}
	proc, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	log, err := o.logFIFO()
	if err != nil {
		return fmt.Errorf("log of gVisor: %w", err)
	}
	fds := []int{proc, listener, log}
	if channel >= 0 {
		fds = append(fds, channel)
	}
	o.send(msgRoot, nil, fds...)
	for _, fd := range fds {
		unix.Close(fd)
	}
	o.answered()
	if err := o.bundle(links); err != nil {
		return err
	}
	go func() { // the parent says nothing more: this ends when it is gone
		receive(o.parent)
		os.Exit(1)
	}()
	return o.runsc(self)
}

// Where things lie in the root of the outer process. What lies below box is all that gVisor gets.
const (
	boxRoot     = "/box"
	boxSystem   = boxRoot + "/system" // what every box sees of the host
	boxMounts   = boxRoot + "/mounts" // what the Spec shows, by number
	boxChannel  = boxRoot + "/channel"
	runscPath   = "/runsc"
	stateDir    = "/state"
	bundleDir   = "/bundle"
	traceSocket = "/trace.sock"
	tracePath   = "/trace.json"
	logPath     = "/log" // a FIFO
)

var (
	systemFolders = []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
	// Files of the host's /etc that name nothing of the host and that programs need to find libraries, commands and ports.
	etcShown = []string{"/etc/ld.so.cache", "/etc/alternatives", "/etc/services", "/etc/protocols"}
	// Devices that runsc opens, and that gVisor has of its own.
	devices = []string{"null", "zero", "full", "random", "urandom"}
)

// held is a detached mount and the place where it is to be seen.
type held struct {
	fd int
	at string
}

const (
	readOnly = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	program  = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	device   = unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC
)

// detached takes hold of a file or folder with everything mounted below it.
func detached(name string, attributes uint64) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return -1, fmt.Errorf("open_tree %s: %w", name, err)
	}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attributes}); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("mount_setattr %s: %w", name, err)
	}
	return fd, nil
}

// root takes hold of what is to be seen of the host, and puts a root with nothing else in the host's place. It returns which of the
// system's folders are links.
func (o *outer) root() (links map[string]string, err error) {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return nil, fmt.Errorf("make mounts private: %w", err)
	}
	links = map[string]string{}
	var all []held
	hold := func(name string, attributes uint64, at string) error {
		fd, err := detached(name, attributes)
		if err == nil {
			all = append(all, held{fd, at})
		}
		return err
	}
	shown := []string{"/usr"}
	for _, f := range systemFolders {
		if to, err := os.Readlink("/" + f); err == nil {
			links["/"+f] = to
		} else if _, err := os.Stat("/" + f); err == nil {
			shown = append(shown, "/"+f)
		}
	}
	for _, f := range etcShown {
		if _, err := os.Stat(f); err == nil {
			shown = append(shown, f)
		}
	}
	for _, f := range shown {
		if err := hold(f, readOnly, boxSystem+f); err != nil {
			return nil, err
		}
	}
	for i, f := range o.plan.Mounts {
		if err := hold(f, readOnly, boxMounts+"/"+strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	for _, f := range devices {
		if err := hold("/dev/"+f, device, "/dev/"+f); err != nil {
			return nil, err
		}
	}
	if err := hold(o.plan.Runsc, program, runscPath); err != nil {
		return nil, err
	}
	// Any folder serves to stand on for the moment; of /usr we hold a copy.
	if err := unix.Mount("tmpfs", "/usr", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64m"); err != nil {
		return nil, fmt.Errorf("tmpfs for the root: %w", err)
	}
	if err := os.Chdir("/usr"); err != nil {
		return nil, err
	}
	// A new /proc may be mounted only while an unobstructed one is in sight.
	if err := os.Mkdir("proc", 0o555); err != nil {
		return nil, err
	}
	if err := unix.Mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return nil, fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return nil, fmt.Errorf("unmount the host's root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return nil, err
	}
	for _, dir := range []string{boxSystem, boxMounts, stateDir, bundleDir, "/tmp", boxRoot + "/proc", boxRoot + "/sys", boxRoot + "/dev", boxRoot + "/tmp"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	for _, h := range all {
		if err := h.show(); err != nil {
			return nil, err
		}
	}
	return links, nil
}

// show puts a held mount at its place, which is made.
func (h held) show() error {
	defer unix.Close(h.fd)
	var st unix.Stat_t
	if err := unix.Fstat(h.fd, &st); err != nil {
		return err
	}
	dir := h.at
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		dir = h.at[:strings.LastIndexByte(h.at, '/')]
	}
	if err := os.MkdirAll(dir+"/", 0o755); err != nil {
		return err
	}
	if dir != h.at {
		f, err := os.OpenFile(h.at, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		f.Close()
	}
	if err := unix.MoveMount(h.fd, "", unix.AT_FDCWD, h.at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount at %s: %w", h.at, err)
	}
	return nil
}

// channel makes the FIFO that code in the box writes to and returns the end that the parent reads, -1 for none. One end stays open for
// writing, so that the channel ends with the box and not with a writer.
func (o *outer) channel() (int, error) {
	if !o.plan.Channel {
		return -1, nil
	}
	if err := unix.Mkfifo(boxChannel, 0o600); err != nil {
		return -1, err
	}
	read, err := unix.Open(boxChannel, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if _, err := unix.Open(boxChannel, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil { // stays open as long as this process
		return -1, err
	}
	return read, os.Chmod(boxChannel, 0o222)
}

// logFIFO makes the FIFO that gVisor's log goes to, and returns the end that the parent reads. It ends with this
// process: until gVisor opens it nobody else has the end for writing.
func (o *outer) logFIFO() (int, error) {
	if err := unix.Mkfifo(logPath, 0o600); err != nil {
		return -1, err
	}
	read, err := unix.Open(logPath, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if o.log, err = unix.Open(logPath, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, err
	}
	unix.FcntlInt(uintptr(read), unix.F_SETPIPE_SZ, 1<<20) // as much as one may have: it holds up the box when it is full
	return read, nil
}

// listen makes a socket for messages.
func listen(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	if err == nil {
		err = unix.Listen(fd, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// network brings the loopback device up and makes the device of the box: one end of a pair, whose addresses and routes runsc takes over
// into gVisor's own network stack. What is returned is a packet socket on the other end, -1 for none.
func (o *outer) network() (int, error) {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return -1, fmt.Errorf("loopback device: %w", err)
	}
	if !o.plan.Network {
		return -1, nil
	}
	fd, err := openVeth()
	if err != nil {
		return -1, fmt.Errorf("network device (veth): %w", err)
	}
	return fd, nil
}

func openVeth() (int, error) {
	const card, far = "eth0", "wan0"
	mac, err := net.ParseMAC(internet.GatewayMAC)
	if err != nil {
		return -1, err
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: card, MTU: internet.MTU}, PeerName: far, PeerHardwareAddr: mac}); err != nil {
		return -1, err
	}
	near, err := netlink.LinkByName(card)
	if err != nil {
		return -1, err
	}
	l, err := netlink.LinkByName(far)
	if err != nil {
		return -1, err
	}
	// The far end must stay deaf: runsc would take an address of its own into the box too.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+far+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return -1, err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return -1, err
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) // what we send is not to come back
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: l.Attrs().Index})
	}
	if err == nil {
		err = configure(near, mac)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// configure gives the device its addresses and routes.
func configure(l netlink.Link, mac net.HardwareAddr) error {
	for _, a := range []string{internet.BoxAddr4 + "/24", internet.BoxAddr6 + "/64"} {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD // nobody else is there to have it
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	for _, g := range []string{internet.Gateway4, internet.Gateway6} {
		ip := net.ParseIP(g)
		if err := netlink.NeighAdd(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: ip, HardwareAddr: mac, State: netlink.NUD_PERMANENT}); err != nil {
			return fmt.Errorf("gateway %s: %w", g, err)
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: ip}); err != nil {
			return fmt.Errorf("route by %s: %w", g, err)
		}
	}
	return nil
}

// bundle writes what runsc reads: the OCI specification of the container and the configuration of the trace.
func (o *outer) bundle(links map[string]string) error {
	trace, err := traceConfig(traceSocket, o.plan.Opens)
	if err != nil {
		return err
	}
	config, err := json.Marshal(container(o.plan.Hostname, o.plan.Network))
	if err != nil {
		return err
	}
	for f, to := range links {
		if err := os.Symlink(to, boxSystem+f); err != nil {
			return err
		}
	}
	// This program may need the system's libraries before it has built the box's root.
	for _, f := range append([]string{"usr"}, systemFolders...) {
		if err := os.Symlink("system/"+f, boxRoot+"/"+f); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(tracePath, trace, 0o600), os.WriteFile(bundleDir+"/config.json", config, 0o600))
}

// object is an object of JSON.
type object map[string]any

// container is the OCI specification: one process, root of gVisor with what it needs to build the box, on a root that is read-only.
func container(hostname string, network bool) object {
	caps := []string{"CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN", "CAP_DAC_OVERRIDE",
		"CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_SYS_PTRACE", "CAP_SYS_RESOURCE"}
	spaces := []object{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}}
	if network {
		spaces[len(spaces)-1]["path"] = "/proc/self/ns/net" // the outer process's own, with the device
	}
	return object{
		"ociVersion": "1.1.0",
		"process": object{
			"user": object{"uid": 0, "gid": 0}, "args": []string{innerName}, "env": []string{}, "cwd": "/", "noNewPrivileges": true,
			"capabilities": object{"bounding": caps, "effective": caps, "permitted": caps},
			"rlimits":      []object{{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": openFiles}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}},
		},
		"root":     object{"path": boxRoot, "readonly": true},
		"hostname": hostname,
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"mode=755"}},
		},
		"linux": object{"namespaces": spaces},
	}
}

const (
	openFiles = 4096 // descriptors that a process of the box may have
	niceness  = 10
)

// runsc starts runsc and waits for it.
func (o *outer) runsc(self int) error {
	network := "none"
	if o.plan.Network {
		network = "sandbox"
	}
	c := exec.Command(runscPath, "--root="+stateDir, "--platform=systrap", "--network="+network, "--ignore-cgroups", "--host-fifo=open", "--overlay2=none",
		"--host-settings=ignore",
		"--strace", "--strace-syscalls="+strings.Join(spelledCalls(o.plan.Opens), ","), "--debug-log="+logPath, "--debug-command=boot", "--debug-log-format=json", "--gofer-network-namespace=new", "--pod-init-config="+tracePath,
		"run", "--bundle="+bundleDir, "--exec-fd=3", "--pass-fd=4:"+strconv.Itoa(fdInnerIn), "--pass-fd=5:"+strconv.Itoa(fdInnerOut), "box")
	c.Env = []string{"PATH=/", "TMPDIR=/tmp", "HOME=/tmp"}
	c.Dir = "/"
	c.Stdin, c.Stdout, c.Stderr = os.NewFile(fdStdin, "stdin"), os.NewFile(fdStdout, "stdout"), os.NewFile(fdStderr, "stderr")
	inherited := []*os.File{os.NewFile(uintptr(self), "self"), os.NewFile(fdInnerPlan, "plan"), os.NewFile(fdReport, "report")}
	c.ExtraFiles = inherited
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	for _, f := range append(inherited, c.Stdin.(*os.File), c.Stdout.(*os.File), c.Stderr.(*os.File)) {
		f.Close() // so that each ends with the box
	}
	// As the first process it is a parent to all that lose theirs.
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for runsc: %w", err)
		}
		if pid == c.Process.Pid {
			o.send(msgExit, []byte(strconv.Itoa(int(status))))
			return nil
		}
	}
}
