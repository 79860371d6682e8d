//go:build linux && (amd64 || arm64)

package strong

import (
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

// process is the outer process of a box as its parent sees it.
type process struct {
	cmd      *exec.Cmd
	messages chan message  // closed when the outer process is gone
	dead     chan struct{} // closed when the whole box is dead
	conn     *net.UnixConn
	plan     *os.File // to the outer process
	stdin    *os.File
	stdout   *os.File
	stderr   *os.File
	inner    *os.File // to the inner process
	reports  *os.File // of the inner process
	log      *os.File // of the outer process itself
}

// launch starts the outer process, as root of namespaces of its own.
func launch() (*process, error) {
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
		writes bool // they write
	}{{&p.plan, false}, {&p.stdin, false}, {&p.stdout, true}, {&p.stderr, true}, {&p.inner, false}, {&p.reports, true}, {&p.log, true}} {
		r, w, err := os.Pipe()
		if err != nil {
			closeTheirs()
			p.close()
			return nil, err
		}
		ours, other := w, r
		if end.writes {
			ours, other = r, w
		}
		*end.ours = ours
		theirs = append(theirs, other)
	}
	// To the box they belong to root, and it may want to open them by their names in /dev.
	for _, f := range theirs[fdStdin-fdSocket : fdStderr-fdSocket+1] {
		if err := f.Chmod(0o666); err != nil {
			closeTheirs()
			p.close()
			return nil, err
		}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{outerName}
	cmd.Env = []string{"GOMAXPROCS=2", "GOTRACEBACK=single"}
	cmd.Dir = "/"
	cmd.ExtraFiles = theirs[:fdEnd-fdSocket]
	cmd.Stderr = theirs[fdEnd-fdSocket]
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
			unix.CLONE_NEWCGROUP,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Setsid:      true,
		Pdeathsig:   syscall.SIGKILL,
	}
	started := make(chan error)
	go func() {
		// The outer process gets its signal when the thread that started it ends, so this one stays until then.
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
	u := &sandbox.Unavailable{Tier: sandbox.Strong, Missing: "user namespaces", Err: err}
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

// answer tells the outer process to go on.
func (p *process) answer() error {
	if _, err := p.conn.Write([]byte{'k'}); err != nil {
		return fmt.Errorf("the outer process of the box does not listen: %w", err)
	}
	return nil
}

// kill ends the box.
func (p *process) kill() { p.cmd.Process.Kill() }

// close releases what we hold of a box that is dead or never lived.
func (p *process) close() {
	p.conn.Close()
	for _, f := range []*os.File{p.plan, p.stdin, p.stdout, p.stderr, p.inner, p.reports, p.log} {
		if f != nil {
			f.Close()
		}
	}
}

// head reads to the end and returns the beginning.
func head(r io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(r, 4096))
	if err == nil {
		io.Copy(io.Discard, r)
	}
	return strings.TrimSpace(string(b))
}
