//go:build linux && (amd64 || arm64)

package namespaces

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/syscalls"
)

// New returns a box after having run one: what does not hold here is found out before strange code relies on it. The error is a
// *sandbox.Unavailable that says what is missing.
func New(ctx context.Context) (*Box, error) {
	b := &Box{group: newGroup}
	if err := b.prove(ctx); err != nil {
		var u *sandbox.Unavailable
		switch {
		case errors.As(err, &u):
			return nil, u
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case syscalls.LandlockABI() == 0:
			return nil, &sandbox.Unavailable{Tier: sandbox.Namespaces, Missing: "Landlock", Err: err,
				Fix: "boot a kernel of 5.13 or later with landlock in its list of security modules (lsm=landlock,...)"}
		}
		missing := "a box that keeps its promises"
		var build *buildError
		switch {
		case !errors.As(err, &build):
		case build.errno == unix.ENOSYS:
			missing = "a kernel of 5.13 or later that lets all of its calls be made"
		case build.errno == unix.EPERM || build.errno == unix.EACCES:
			missing = "the rights of a namespace of one's own, which a container or a security module takes away"
		}
		return nil, &sandbox.Unavailable{Tier: sandbox.Namespaces, Missing: missing, Err: err}
	}
	return b, nil
}

// checkName is the argument that makes our program look around in a box and print what it finds.
const checkName = "donapi-box-check"

// found is what the check prints.
type found struct {
	Caps       []string // sets of capabilities that are not empty
	Filter     bool     // seccomp filters calls
	NoNewPrivs bool
	UID        int
	First      bool   // the first process can be looked into
	Wrote      string // a path that could be written and should not
	Reached    bool   // a connection to the internet was answered
}

const checkAddress = "198.51.100.7:80" // TEST-NET-2: nobody's

// prove runs a box and compares what it saw from inside with what was seen from outside.
func (b *Box) prove(ctx context.Context) error {
	const program = "/opt/check"
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var connected, flowed bool
	res, err := b.Run(ctx, sandbox.Spec{
		Mounts: []sandbox.Mount{{Host: self, Box: program}},
		Argv:   []string{program, checkName},
		Limits: sandbox.Limits{Wall: 20 * time.Second},
		Events: func(e sandbox.Event) {
			connected = connected || e.Kind == sandbox.KindConnect && e.Addr == checkAddress
			flowed = flowed || e.Kind == sandbox.KindFlow && e.Addr == checkAddress
		},
	})
	if err != nil {
		return err
	}
	var f found
	if err := json.Unmarshal(res.Stdout, &f); err != nil {
		return fmt.Errorf("the check in the box ended (%s, %d) without an answer: %s", res.Reason, res.Exit, bytes.TrimSpace(res.Stderr))
	}
	switch {
	case len(f.Caps) > 0:
		return fmt.Errorf("capabilities are left in the box: %s", strings.Join(f.Caps, " "))
	case !f.Filter:
		return errors.New("system calls are not filtered in the box")
	case !f.NoNewPrivs || f.UID != uid:
		return fmt.Errorf("privileges are left in the box: uid %d, no_new_privs %v", f.UID, f.NoNewPrivs)
	case f.First:
		return errors.New("the box can look into its first process")
	case f.Wrote != "":
		return fmt.Errorf("%s can be written in the box", f.Wrote)
	case !f.Reached || !flowed:
		return errors.New("the fake internet does not answer the box")
	case !connected:
		return errors.New("system calls of the box are not seen")
	}
	return nil
}

// look is the check, inside.
func look() found {
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
	if _, err := os.Readlink("/proc/1/cwd"); err == nil {
		f.First = true
	}
	for _, dir := range []string{"/", "/etc", "/usr", "/opt", "/run", "/dev", "/proc/sys/kernel"} {
		name := dir + "/donapi-check"
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
			f.Wrote = name
		}
	}
	c, err := net.DialTimeout("tcp", checkAddress, 10*time.Second)
	if err == nil {
		f.Reached = true
		c.Close()
	}
	return f
}

// check prints what look found.
func check() int {
	if err := json.NewEncoder(os.Stdout).Encode(look()); err != nil {
		return 1
	}
	return 0
}
