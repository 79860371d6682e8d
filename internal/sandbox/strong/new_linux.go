//go:build linux && (amd64 || arm64)

package strong

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// New returns a box of the runsc at a path, empty for what Find finds, after having run one (Prove). The error is a *sandbox.Unavailable
// that says what is missing, unless ctx ended.
func New(ctx context.Context, runsc string) (*Box, error) {
	name, err := Find(runsc)
	if err != nil {
		return nil, err
	}
	b := &Box{runsc: name}
	if err := b.Prove(ctx); err != nil {
		var u *sandbox.Unavailable
		switch {
		case errors.As(err, &u):
			return nil, u
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		return nil, &sandbox.Unavailable{Tier: sandbox.Strong, Missing: "a box that keeps its promises", Err: err}
	}
	return b, nil
}

// checkName is the argument that makes our program look around in a box and print what it finds.
const checkName = "donapi-strong-check"

// found is what the check prints.
type found struct {
	Caps       []string // sets of capabilities that are not empty
	Filter     bool     // seccomp filters calls
	NoNewPrivs bool
	UID        int
	Kernel     string   // what the kernel calls itself
	Wrote      []string // paths that could be written and should not
	Read       []string // paths that could be read and should not
	Reached    bool     // a connection to the internet was answered
	Escaped    []string // calls that succeeded and should not
}

const checkAddress = "198.51.100.7:80" // TEST-NET-2: nobody's

// Prove runs the self-test in a box and compares what it saw from inside with what was seen from outside: that gVisor reports what is
// done, that nothing of the host can be read and nothing outside of the writable folders written, that no right is left, and that the
// fake internet and nothing else answers. Nothing of a stranger may run in a box of this process before.
func (b *Box) Prove(ctx context.Context) error {
	const program = "/opt/check"
	self, err := os.Executable()
	if err != nil {
		return err
	}
	forbidden := []string{fmt.Sprintf("/proc/%d/environ", os.Getpid()), "/proc/1/environ", "/proc/1/root/etc", "/etc/shadow", "/root", "/var/lib", "/boot", "/sys/class"}
	if home, err := os.UserHomeDir(); err == nil {
		forbidden = append(forbidden, home)
	}
	for _, p := range []string{self, b.runsc} { // files that are there and that anybody on the host may read
		switch first, _, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/"); first {
		case "usr", "bin", "sbin": // shown to every box
		default:
			forbidden = append(forbidden, p)
		}
	}
	seen := map[string]bool{}
	res, err := b.Run(ctx, sandbox.Spec{
		Mounts:  []sandbox.Mount{{Host: self, Box: program}},
		Argv:    append([]string{program, checkName}, forbidden...),
		Limits:  sandbox.Limits{Wall: 60 * time.Second},
		Channel: "/run/check",
		Events: func(e sandbox.Event) {
			switch {
			case e.Kind == sandbox.KindStart && e.PID > 1:
				seen["a new process"] = true
			case e.Kind == sandbox.KindExec && e.Path == program && slices.Contains(e.Args, checkName):
				seen["an executed program"] = true
			case e.Kind == sandbox.KindConnect && e.Addr == checkAddress:
				seen["a connect"] = true
			case e.Kind == sandbox.KindFlow && e.Addr == checkAddress:
				seen["the connection"] = true
			case e.Kind == sandbox.KindSignal && e.Target == 1:
				seen["a signal"] = true
			case e.Kind == sandbox.KindRefused && e.Call == "unshare":
				seen["an attempt to break out"] = true
			case e.Kind == sandbox.KindExit && e.Status == checkStatus:
				seen["an exit"] = true
			case e.Kind == sandbox.KindLine && string(e.Data) == checkName:
				seen["a line of the channel"] = true
			}
		},
	})
	if err != nil {
		return err
	}
	var f found
	if err := json.Unmarshal(res.Stdout, &f); err != nil || res.Exit != checkStatus {
		return fmt.Errorf("the check in the box ended (%s, %d) without an answer: %s", res.Reason, res.Exit, bytes.TrimSpace(res.Stderr))
	}
	switch {
	case !strings.Contains(f.Kernel, "gVisor") && !strings.Contains(f.Kernel, "gvisor"):
		return fmt.Errorf("the box runs on another kernel: %s", f.Kernel)
	case len(f.Caps) > 0:
		return fmt.Errorf("capabilities are left in the box: %s", strings.Join(f.Caps, " "))
	case !f.NoNewPrivs || f.UID != uid || !f.Filter:
		return fmt.Errorf("privileges are left in the box: uid %d, no_new_privs %v, filter %v", f.UID, f.NoNewPrivs, f.Filter)
	case len(f.Wrote) > 0:
		return fmt.Errorf("the box can write %s", strings.Join(f.Wrote, " "))
	case len(f.Read) > 0:
		return fmt.Errorf("the box can read %s", strings.Join(f.Read, " "))
	case len(f.Escaped) > 0:
		return fmt.Errorf("the box can %s", strings.Join(f.Escaped, ", "))
	case !f.Reached:
		return errors.New("the fake internet does not answer the box")
	case len(res.Written) != 1 || res.Written[0].Path != "/work/check":
		return fmt.Errorf("of what the box wrote was found: %d files", len(res.Written))
	}
	for _, what := range []string{"a new process", "an executed program", "a connect", "the connection", "a signal", "an attempt to break out", "an exit", "a line of the channel"} {
		if !seen[what] {
			return fmt.Errorf("%s was not seen from outside of the box", what)
		}
	}
	return nil
}

// checkStatus is how the check exits.
const checkStatus = 42

// look is the check, inside.
func look(forbidden []string) found {
	var f found
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f
	}
	for line := range strings.Lines(string(status)) {
		key, v, _ := strings.Cut(line, ":")
		v = strings.TrimSpace(v)
		switch key {
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
			if strings.Trim(v, "0") != "" {
				f.Caps = append(f.Caps, key)
			}
		case "NoNewPrivs":
			f.NoNewPrivs = v == "1"
		case "Seccomp":
			f.Filter = v == "2"
		}
	}
	f.UID = os.Getuid()
	version, _ := os.ReadFile("/proc/version")
	var u unix.Utsname
	unix.Uname(&u)
	f.Kernel = string(version) + unix.ByteSliceToString(u.Release[:]) + unix.ByteSliceToString(u.Version[:])
	for _, dir := range []string{"/", "/etc", "/usr", "/usr/bin", "/opt", "/run", "/dev", "/proc/sys/kernel"} {
		name := dir + "/donapi-check"
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
			f.Wrote = append(f.Wrote, name)
		}
	}
	for _, name := range append(forbidden, "/proc/1/cwd/", "/proc/1/fd") {
		if fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err == nil {
			unix.Close(fd)
			f.Read = append(f.Read, name)
		}
	}
	for what, try := range map[string]func() error{
		"mount":                 func() error { return unix.Mount("tmpfs", "/tmp", "tmpfs", 0, "") },
		"make a user namespace": func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"change its root":       func() error { return unix.Chroot("/tmp") },
		"become root":           func() error { return unix.Setuid(0) },
		"trace the first":       func() error { return unix.PtraceAttach(1) },
	} {
		if try() == nil {
			f.Escaped = append(f.Escaped, what)
		}
	}
	unix.Kill(1, unix.SIGTERM)
	c, err := net.DialTimeout("tcp", checkAddress, 10*time.Second)
	if err == nil {
		f.Reached = true
		c.Close()
	}
	os.WriteFile("/work/check", nil, 0o600)
	os.WriteFile("/run/check", []byte(checkName+"\n"), 0)
	return f
}

// check prints what look found.
func check(forbidden []string) int {
	if err := json.NewEncoder(os.Stdout).Encode(look(forbidden)); err != nil {
		return 1
	}
	return checkStatus
}
