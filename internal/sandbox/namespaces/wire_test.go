//go:build linux && (amd64 || arm64)

package namespaces

import (
	"bytes"
	"encoding/gob"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestPlanDefaults(t *testing.T) {
	p, err := newPlan(sandbox.Spec{Argv: []string{"node"}, Env: []string{"A=b"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.Work != "/work" || p.Home != "/home/dev" || p.Dir != "/work" || p.User != "dev" || p.Hostname != "dev-laptop" || p.Limits != (sandbox.Limits{}).WithDefaults() {
		t.Errorf("%+v", p)
	}
	want := []string{"A=b", "PATH=" + defaultPath, "HOME=/home/dev", "NODE_EXTRA_CA_CERTS=" + certificate, "SSL_CERT_FILE=" + certificate}
	if d := cmp.Diff(want, p.Env); d != "" {
		t.Errorf("environment (-want +got):\n%s", d)
	}
	p, err = newPlan(sandbox.Spec{Argv: []string{"node"}, Env: []string{"PATH=/x", "HOME="}, Network: sandbox.Network{Off: true}})
	if err != nil || !slices.Equal(p.Env, []string{"PATH=/x", "HOME="}) {
		t.Errorf("%q, %v", p.Env, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	argv := []string{"true"}
	for name, s := range map[string]sandbox.Spec{
		"no program":      {},
		"relative":        {Argv: argv, Work: "work"},
		"unclean":         {Argv: argv, Home: "/home/../etc"},
		"the root":        {Argv: argv, Work: "/"},
		"a system folder": {Argv: argv, Work: "/usr/local/work"},
		"etc":             {Argv: argv, Home: "/etc"},
		"a mount":         {Argv: argv, Mounts: []sandbox.Mount{{Host: "/usr", Box: "x"}}},
		"a file":          {Argv: argv, Files: []sandbox.File{{Path: "/work/../../x"}}},
		"a zero byte":     {Argv: argv, Files: []sandbox.File{{Path: "/work/a\x00b"}}},
		"the channel":     {Argv: argv, Channel: "run/x"},
	} {
		if p, err := newPlan(s); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestWritable(t *testing.T) {
	for _, c := range []struct {
		work, home string
		want       string
	}{
		{"/work", "/home/dev", "/dev/shm /home/dev /tmp /work"},
		{"/home/dev/project", "/home/dev", "/dev/shm /home/dev /tmp"},
		{"/tmp/x", "/tmp/y", "/dev/shm /tmp"},
		{"/work", "/workshop", "/dev/shm /tmp /work /workshop"},
		{"/root", "/root", "/dev/shm /root /tmp"},
	} {
		p := &plan{Work: c.work, Home: c.home}
		if got := strings.Join(p.writable(), " "); got != c.want {
			t.Errorf("%s and %s: %s, want %s", c.work, c.home, got, c.want)
		}
		if !p.inWritable(c.work+"/a") || p.inWritable("/tmpx") || p.inWritable("/etc") {
			t.Errorf("%s and %s: wrong about what lies in them", c.work, c.home)
		}
	}
}

// Names are bytes: what is not UTF-8 has to arrive as it was sent.
func TestPlanIsKept(t *testing.T) {
	p, err := newPlan(sandbox.Spec{Argv: []string{"a", "\xff\xfe"}, Env: []string{"X=\xc3"}, Mounts: []sandbox.Mount{{Host: "/\xff", Box: "/opt/\xff"}}, Files: make([]sandbox.File, 0)})
	if err != nil {
		t.Fatal(err)
	}
	files := []sandbox.File{{Path: "/work/\xff", Data: []byte{0, 1, 0xff}, Mode: 0o600}, {Path: "/work/l", Link: "\xfe"}}
	p.Files = len(files)
	var b bytes.Buffer
	if err := p.send(&b, files); err != nil {
		t.Fatal(err)
	}
	d := gob.NewDecoder(&b)
	var got plan
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*p, got); diff != "" {
		t.Errorf("plan (-sent +received):\n%s", diff)
	}
	for i := range files {
		var f sandbox.File
		if err := d.Decode(&f); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files[i], f); diff != "" {
			t.Errorf("file (-sent +received):\n%s", diff)
		}
	}
}
