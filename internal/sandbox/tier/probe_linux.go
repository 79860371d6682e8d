package tier

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// What the probe tries. The value is a function that returns what is wrong, nil when all is well.
var probes = []struct {
	name    string
	foreign bool // not asked of a kernel that is not this machine's own
	try     func(orders) error
}{
	{"a write to the root folder fails", false, func(orders) error { return mustNotWrite("/donapi-probe") }},
	{"a write to /usr fails", false, func(orders) error { return mustNotWrite("/usr/donapi-probe") }},
	{"a write to /etc fails", false, func(orders) error { return mustNotWrite("/etc/donapi-probe") }},
	{"a file of the machine cannot be read", false, func(o orders) error {
		if _, err := os.ReadFile(o.Secret); err == nil {
			return errors.New("it could be read")
		}
		return nil
	}},
	{"a file of the machine cannot be changed", false, func(o orders) error { return mustNotWrite(o.Secret) }},
	{"no file can be made on the machine", false, func(o orders) error {
		return mustNotWrite(filepath.Join(filepath.Dir(o.Secret), "made"))
	}},
	{"the working folder can be written", false, func(orders) error {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "made"), []byte("made"), 0o644)
	}},
	{"there are no capabilities", false, func(orders) error { return noCapabilities() }},
	{"no namespace can be made", true, func(orders) error {
		if err := unix.Unshare(unix.CLONE_NEWUSER); err == nil {
			return errors.New("it could be made")
		}
		return nil
	}},
	{"a program can be executed", false, func(orders) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), probeEnv+"="+orders{Child: true}.encode())
		return cmd.Run()
	}},
	{"a listener of the machine is not reached", false, func(o orders) error {
		if c, err := net.DialTimeout("tcp", o.Loopback, 5*time.Second); err == nil {
			c.Close() // of the fake internet, or the listener has noticed
		}
		return nil
	}},
	{"an abstract socket of the machine is not reached", false, func(o orders) error {
		if c, err := net.Dial("unix", o.Abstract); err == nil {
			c.Close()
			return errors.New("it was reached")
		}
		return nil
	}},
	{"the fake internet answers", false, func(o orders) error {
		c := http.Client{Timeout: 15 * time.Second}
		r, err := c.Get("http://" + o.Host + o.Page)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}},
}

// attempts are the names of what the probe of a tier tries.
func attempts(t sandbox.Tier) (names []string) {
	for _, p := range probes {
		if t != sandbox.Strong || !p.foreign {
			names = append(names, p.name)
		}
	}
	return names
}

// probe is the life of this program inside a box that is tested.
func probe(s string) int {
	o, err := decodeOrders(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, "donapi: probe:", err)
		return 1
	}
	if o.Child {
		return 0
	}
	f := findings{}
	for _, p := range probes {
		f[p.name] = ""
		if err := p.try(o); err != nil {
			f[p.name] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		fmt.Fprintln(os.Stderr, "donapi: probe:", err)
		return 1
	}
	return 0
}

func mustNotWrite(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil
	}
	f.Close()
	return errors.New("it could be opened for writing")
}

func noCapabilities() error {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return err
	}
	defer f.Close()
	seen := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		key, v, _ := strings.Cut(sc.Text(), ":")
		if key == "CapEff" || key == "CapPrm" {
			if seen++; strings.Trim(strings.TrimSpace(v), "0") != "" {
				return fmt.Errorf("%s is %s", key, strings.TrimSpace(v))
			}
		}
	}
	if seen == 0 {
		return errors.New("/proc/self/status does not say")
	}
	return nil
}
