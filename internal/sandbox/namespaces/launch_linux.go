//go:build linux && (amd64 || arm64)

package namespaces

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// process is the init of a box as its parent sees it.
type process struct {
	cmd      *exec.Cmd
	messages chan message  // closed when the init is gone
	dead     chan struct{} // closed when the whole box is dead
	conn     *net.UnixConn
	stdout   *os.File
	stderr   *os.File
	stdin    *os.File
	plan     *os.File
	log      *os.File // of the init itself
}

// outsideUID is the user of the box as the host sees it when we are root: one that nobody has. Under our own uid, 0, the kernel would
// not count processes.
const outsideUID = 1_879_048_192 - 4242 // the end of what systemd keeps for containers

// mappings returns which ids a box has. Where we are root of the machine or of a range of ids, the init stays root, so that it can read
// what we can read, and the rest of the box gets an id of its own.
func mappings() (m []syscall.SysProcIDMap, switches bool) {
	own := os.Getuid()
	if own == 0 {
		if outside, ok := mapped("/proc/self/uid_map"); ok {
			return []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: uid, HostID: outside, Size: 1}}, true
		}
	}
	return []syscall.SysProcIDMap{{ContainerID: uid, HostID: own, Size: 1}}, false
}

// mapped returns an id for the box among those that our own user namespace has.
func mapped(file string) (int, bool) {
	f, err := os.Open(file)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	best, found := 0, false
	for s := bufio.NewScanner(f); s.Scan(); {
		var inside, outside, size int
		if _, err := fmt.Sscan(s.Text(), &inside, &outside, &size); err != nil {
			continue
		}
		if inside <= outsideUID && outsideUID < inside+size {
			return outsideUID, true
		}
		if last := inside + size - 2; last > 1000 && last > best { // the very last one is often nobody
			best, found = last, true
		}
	}
	return best, found
}

// launch starts the init, in a control group where there is one.
func launch(g *group, switches *bool) (*process, error) {
	p := &process{messages: make(chan message), dead: make(chan struct{})}
	var theirs []*os.File
	closeTheirs := func() {
		for _, f := range theirs {
			f.Close()
		}
	}
	conn, socket, err := socketpair()
	if err != nil {
		return nil, err
	}
	p.conn = conn
	theirs = append(theirs, socket)
	for _, end := range []struct {
		ours   **os.File
		writes bool // the init writes
	}{{&p.plan, false}, {&p.stdin, false}, {&p.stdout, true}, {&p.stderr, true}, {&p.log, true}} {
		r, w, err := os.Pipe()
		if err != nil {
			closeTheirs()
			p.close()
			return nil, err
		}
		if end.writes {
			*end.ours = r
			theirs = append(theirs, w)
		} else {
			*end.ours = w
			theirs = append(theirs, r)
		}
	}
	uids, sw := mappings()
	*switches = sw
	gids := append([]syscall.SysProcIDMap(nil), uids...)
	if !sw {
		gids[0].HostID = os.Getgid()
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{initName}
	cmd.Env = []string{"GOMAXPROCS=2", "GOTRACEBACK=single"}
	cmd.Dir = "/"
	cmd.Stderr = theirs[5]
	cmd.ExtraFiles = theirs[:5]
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
			unix.CLONE_NEWCGROUP,
		UidMappings:                uids,
		GidMappings:                gids,
		GidMappingsEnableSetgroups: sw,
		Setsid:                     true,
		Pdeathsig:                  syscall.SIGKILL,
	}
	if g != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.dir.Fd())
	}
	if !sw { // who is not root loses its rights on exec, unless they are ambient
		cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_SETPCAP, unix.CAP_DAC_OVERRIDE, unix.CAP_SYS_CHROOT, unix.CAP_SYS_RESOURCE}
	}
	started := make(chan error)
	go func() {
		// The init gets its signal when the thread that started it ends, so this one stays until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(p.dead)
		}
	}()
	err = <-started
	closeTheirs()
	if err != nil {
		p.close()
		return nil, unavailable(err)
	}
	p.cmd = cmd
	go func() {
		defer close(p.messages)
		for {
			m, err := receive(p.conn)
			if errors.Is(err, unix.ECONNRESET) {
				continue // it has gone without hearing us, and its last words are still to be read
			}
			if err != nil {
				return
			}
			p.messages <- m
		}
	}()
	return p, nil
}

// unavailable says what is missing where the kernel refuses to make namespaces.
func unavailable(err error) error {
	u := &sandbox.Unavailable{Tier: sandbox.Namespaces, Missing: "user namespaces", Err: err}
	read := func(f string) string {
		b, err := os.ReadFile(f)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	switch {
	case read("/proc/sys/user/max_user_namespaces") == "0":
		u.Fix = "sudo sysctl -w user.max_user_namespaces=65536"
	case read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
		u.Fix = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
		u.Missing = "user namespaces, which AppArmor restricts"
		u.Fix = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case errors.Is(err, unix.EPERM):
		u.Missing = "user namespaces, which a container or a security module forbids"
	}
	return u
}

// answer tells the init to go on. Where it is gone, its last words say why.
func (p *process) answer() error {
	_, err := p.conn.Write([]byte{'k'})
	if errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

// kill ends the box.
func (p *process) kill() { p.cmd.Process.Kill() }

// close releases what we hold of a box that is dead or never lived.
func (p *process) close() {
	p.conn.Close()
	for _, f := range []*os.File{p.plan, p.stdin, p.stdout, p.stderr, p.log} {
		if f != nil {
			f.Close()
		}
	}
}

// head reads what the init says on its own account, to the end, and returns the beginning.
func head(r io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(r, 4096))
	if err == nil {
		io.Copy(io.Discard, r)
	}
	return strings.TrimSpace(string(b))
}
