//go:build linux && (amd64 || arm64)

package strong

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/sandbox"
)

// outerPlan is what the outer process needs of a spec.
type outerPlan struct {
	Runsc    string
	Mounts   []string // of the host, in the order of the Spec
	Network  bool
	Channel  bool
	Opens    bool
	Hostname string
	Memory   int64
}

// innerPlan is what the inner process needs of a spec, with every default filled in. It is followed by the files, one by one. gob keeps
// strings as they are, where JSON would change names that are not UTF-8.
type innerPlan struct {
	Mounts   []string // places in the box, in the order of the Spec
	Files    int
	Work     string
	Home     string
	User     string
	Argv     []string
	Env      []string
	Dir      string
	Hostname string
	Limits   sandbox.Limits
	Network  bool
	Trust    []byte // certificates, PEM
	Channel  string
}

const (
	uid         = 1000 // of the box's processes, and their gid
	certificate = "/etc/ssl/certs/ca-certificates.crt"
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// newPlan checks a spec and fills in what it leaves open.
func newPlan(s sandbox.Spec) (*innerPlan, error) {
	p := &innerPlan{Files: len(s.Files), Work: s.Work, Home: s.Home, Argv: s.Argv, Dir: s.Dir, Hostname: s.Hostname,
		Limits: s.Limits.WithDefaults(), Network: !s.Network.Off, Channel: s.Channel, Env: slices.Clone(s.Env)}
	if p.Work == "" {
		p.Work = "/work"
	}
	if p.Home == "" {
		p.Home = "/home/dev"
	}
	if p.Dir == "" {
		p.Dir = p.Work
	}
	if p.Hostname == "" {
		p.Hostname = "dev-laptop"
	}
	if len(p.Argv) == 0 {
		return nil, errors.New("the spec of the box names no program")
	}
	for _, m := range s.Mounts {
		p.Mounts = append(p.Mounts, m.Box)
	}
	paths := append([]string{p.Work, p.Home, p.Dir}, p.Mounts...)
	if p.Channel != "" {
		paths = append(paths, p.Channel)
	}
	for _, f := range s.Files {
		paths = append(paths, f.Path)
	}
	for _, f := range paths {
		if !path.IsAbs(f) || path.Clean(f) != f || f == "/" || strings.ContainsRune(f, 0) {
			return nil, fmt.Errorf("%q is not a path in a box: it has to be absolute, clean and without zero bytes", f)
		}
	}
	for _, f := range []string{p.Work, p.Home} {
		switch first, _, _ := strings.Cut(f[1:], "/"); first {
		case "usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "proc", "dev", "sys":
			return nil, fmt.Errorf("a writable folder of a box cannot be %s", f)
		}
	}
	p.User = strings.Map(func(r rune) rune {
		if r == ':' || r < ' ' {
			return '_'
		}
		return r
	}, path.Base(p.Home))
	p.env("PATH", defaultPath)
	p.env("HOME", p.Home)
	if p.Network {
		p.env("NODE_EXTRA_CA_CERTS", certificate)
		p.env("SSL_CERT_FILE", certificate)
	}
	return p, nil
}

// env adds a variable to the environment unless it is there.
func (p *innerPlan) env(name, value string) {
	if _, ok := p.getenv(name); !ok {
		p.Env = append(p.Env, name+"="+value)
	}
}

func (p *innerPlan) getenv(name string) (string, bool) {
	for _, e := range p.Env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// writable returns the writable folders of which none lies in another, in the order in which they are made.
func (p *innerPlan) writable() []string {
	all := []string{p.Work, p.Home, "/tmp", "/dev/shm"}
	slices.Sort(all)
	var out []string
	for _, f := range all {
		if len(out) > 0 && (f == out[len(out)-1] || strings.HasPrefix(f, out[len(out)-1]+"/")) {
			continue
		}
		out = append(out, f)
	}
	return out
}
