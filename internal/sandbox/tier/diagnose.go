package tier

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/donapi/donapi/internal/sandbox"
)

// Diagnosis says which tiers work on this machine.
type Diagnosis struct {
	System    string       `json:"system"`              // operating system, architecture, and version of the kernel
	Container string       `json:"container,omitempty"` // what kind of container this looks like, where it does
	Tiers     []Status     `json:"tiers"`               // strongest first
	Default   sandbox.Tier `json:"default,omitempty"`   // what is used when nothing is asked for, empty when nothing is executed
}

// Status says whether one tier works.
type Status struct {
	Tier  sandbox.Tier `json:"tier"`
	Works bool         `json:"works"` // proven by the self-test
	// Missing is what is missing where it does not work, Detail the error that says so, and Fix one line that would mend it.
	Missing string `json:"missing,omitempty"`
	Detail  string `json:"detail,omitempty"`
	Fix     string `json:"fix,omitempty"`
	// Notes are what is weaker here than elsewhere though it works.
	Notes []string `json:"notes,omitempty"`
}

// Diagnose tries every tier. done, when set, is called with each as it is known.
func Diagnose(ctx context.Context, makers []Maker, done func(Status)) (Diagnosis, error) {
	m := thisMachine()
	d := Diagnosis{System: m.system, Container: m.container}
	for _, t := range []sandbox.Tier{sandbox.Strong, sandbox.Namespaces, sandbox.Container} {
		s := Status{Tier: t}
		_, err := try(ctx, t, makers)
		if ctx.Err() != nil {
			return Diagnosis{}, ctx.Err()
		}
		if err == nil {
			s.Works, s.Notes = true, m.notes(t)
			if t == sandbox.Namespaces {
				d.Default = t
			}
		} else {
			s.Missing, s.Detail, s.Fix = m.explain(t, err)
		}
		d.Tiers = append(d.Tiers, s)
		if done != nil {
			done(s)
		}
	}
	return d, nil
}

// machine is what can be known of a machine without trying. It explains a failure, and is never a reason to believe in a success.
type machine struct {
	os        string
	root      bool // we are
	system    string
	container string
	kernel    [2]int // version, zero when unknown
	landlock  int    // version of its interface, 0 for none
	// Settings, empty where the kernel does not have them.
	maxUserNamespaces, userNamespaceClone, appArmor, yama string
	tun                                                   string // what is wrong with /dev/net/tun, empty when nothing is
}

// explain says what is missing for a tier, given how it failed.
func (m machine) explain(t sandbox.Tier, err error) (missing, detail, fix string) {
	missing = err.Error()
	var u *sandbox.Unavailable
	if errors.As(err, &u) {
		missing, fix = u.Missing, u.Fix
		if u.Err != nil {
			detail = u.Err.Error()
		}
	}
	if fix != "" || errors.Is(err, errUnsupported) {
		return missing, detail, fix
	}
	for _, c := range m.causes(t, err) {
		if c.holds {
			return c.missing, detail, c.fix
		}
	}
	return missing, detail, ""
}

type cause struct {
	holds        bool
	missing, fix string
}

// causes are what is known to keep a tier from working, the most certain first.
func (m machine) causes(t sandbox.Tier, err error) []cause {
	const vm = "run donapi in a Linux virtual machine or a Linux container"
	known := m.kernel != [2]int{}
	causes := []cause{
		{m.os == "windows", "Linux: on Windows packages are read, never executed", "run donapi inside WSL 2"},
		{m.os == "darwin", "Linux: on macOS packages are read, never executed", vm},
		{m.os != "linux", "Linux: here packages are read, never executed", vm},
		{known && m.before(5, 13), fmt.Sprintf("Linux 5.13 or later: this is %d.%d", m.kernel[0], m.kernel[1]), ""},
		{m.landlock == 0 && t != sandbox.Strong, "Landlock, which this kernel does not have or has turned off", "add landlock to the list lsm= on the kernel's command line, and restart"},
	}
	if t == sandbox.Container {
		return append(causes,
			cause{m.yama == "2" || m.yama == "3", "the right to read the memory of one's own child processes", "sudo sysctl -w kernel.yama.ptrace_scope=1"})
	}
	return append(causes,
		cause{m.maxUserNamespaces == "0", "user namespaces, which are turned off", "sudo sysctl -w user.max_user_namespaces=65536"},
		cause{m.userNamespaceClone == "0" && !m.root, "user namespaces for ordinary users, which are turned off", "sudo sysctl -w kernel.unprivileged_userns_clone=1"},
		cause{m.appArmor == "1" && !m.root, "user namespaces for ordinary users, which AppArmor restricts", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"},
		cause{m.container != "" && errors.Is(err, fs.ErrPermission), "namespaces, which this container (" + m.container + ") forbids", "allow the container tier, which is made for this"},
		cause{m.tun != "", "a network device: /dev/net/tun " + m.tun, "sudo modprobe tun && sudo chmod 666 /dev/net/tun"},
	)
}

func (m machine) before(major, minor int) bool {
	return m.kernel[0] < major || m.kernel[0] == major && m.kernel[1] < minor
}

// notes are what a tier that works leaves open here.
func (m machine) notes(t sandbox.Tier) (notes []string) {
	if t == sandbox.Strong {
		return nil
	}
	for _, n := range []struct {
		abi  int
		text string
	}{{3, "truncating files"}, {5, "commands to devices"}, {6, "abstract sockets and signals"}} {
		if m.landlock < n.abi {
			notes = append(notes, fmt.Sprintf("Landlock %d of this kernel does not see to %s (%d does)", m.landlock, n.text, n.abi))
		}
	}
	if t == sandbox.Namespaces && m.tun != "" {
		notes = append(notes, "/dev/net/tun "+m.tun+": a pair of virtual network cards is used instead, which is a little slower")
	}
	return notes
}
