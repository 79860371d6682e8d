package tier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

// naked is a box without walls.
type naked struct{ tier sandbox.Tier }

func (n naked) Tier() sandbox.Tier { return n.tier }

func (n naked) Run(ctx context.Context, s sandbox.Spec) (*sandbox.Result, error) {
	dir, err := os.MkdirTemp("", "naked")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, s.Mounts[0].Host)
	cmd.Dir, cmd.Env = dir, s.Env
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	return &sandbox.Result{Reason: sandbox.ReasonExit, Stdout: out}, nil
}

// fake is a box that reports what a good one would, changed by spoil.
type fake struct {
	tier  sandbox.Tier
	err   error
	spoil func(res *sandbox.Result, f findings, events *[]sandbox.Event)
}

func (b fake) Tier() sandbox.Tier { return b.tier }

func (b fake) Run(_ context.Context, s sandbox.Spec) (*sandbox.Result, error) {
	if b.err != nil {
		return nil, b.err
	}
	_, v, _ := strings.Cut(s.Env[0], "=")
	o, err := decodeOrders(v)
	if err != nil {
		return nil, err
	}
	f := findings{}
	for _, name := range attempts(b.tier) {
		f[name] = ""
	}
	events := []sandbox.Event{
		{Source: sandbox.SourceKernel, Kind: sandbox.KindExec, Path: probePath},
		{Source: sandbox.SourceKernel, Kind: sandbox.KindRefused, Call: "unshare"},
		{Source: sandbox.SourceNetwork, Kind: sandbox.KindDNS, Host: o.Host},
		{Source: sandbox.SourceKernel, Kind: sandbox.KindConnect, Addr: "198.18.0.1:80"},
		{Source: sandbox.SourceNetwork, Kind: sandbox.KindHTTP, Host: o.Host, Path: o.Page},
	}
	res := &sandbox.Result{Reason: sandbox.ReasonExit, Written: []sandbox.File{{Path: madeFile}}}
	if b.spoil != nil {
		b.spoil(res, f, &events)
	}
	if res.Stdout == nil {
		res.Stdout, _ = json.Marshal(f)
	}
	for _, e := range events {
		s.Events(e)
	}
	return res, nil
}

func TestSelfTestNaked(t *testing.T) {
	if len(attempts(sandbox.Namespaces)) == 0 {
		t.Skip("no probe on this system")
	}
	err := Test(t.Context(), naked{sandbox.Namespaces})
	var u *sandbox.Unavailable
	if !errors.As(err, &u) {
		t.Fatalf("a box without walls passes: %v", err)
	}
	t.Log(err)
}

func TestSelfTest(t *testing.T) {
	if err := Test(t.Context(), fake{tier: sandbox.Namespaces}); err != nil {
		t.Errorf("a good box fails: %v", err)
	}
	without := func(k sandbox.Kind) func(*sandbox.Result, findings, *[]sandbox.Event) {
		return func(_ *sandbox.Result, _ findings, es *[]sandbox.Event) {
			*es = slices.DeleteFunc(*es, func(e sandbox.Event) bool { return e.Kind == k })
		}
	}
	for want, spoil := range map[string]func(*sandbox.Result, findings, *[]sandbox.Event){
		"execution of a program was not seen":    without(sandbox.KindExec),
		"kernel's side, was not seen":            without(sandbox.KindConnect),
		"question for a name was not seen":       without(sandbox.KindDNS),
		"HTTP request was not seen":              without(sandbox.KindHTTP),
		"to make namespaces was not seen":        without(sandbox.KindRefused),
		"that was written is not in the result":  func(r *sandbox.Result, _ findings, _ *[]sandbox.Event) { r.Written = nil },
		"ended by wall":                          func(r *sandbox.Result, _ findings, _ *[]sandbox.Event) { r.Reason = sandbox.ReasonWall },
		"ended by exit with 7":                   func(r *sandbox.Result, _ findings, _ *[]sandbox.Event) { r.Exit = 7 },
		"does not say what it found":             func(r *sandbox.Result, _ findings, _ *[]sandbox.Event) { r.Stdout = []byte("hello") },
		"did not try: there are no capabilities": func(_ *sandbox.Result, f findings, _ *[]sandbox.Event) { delete(f, "there are no capabilities") },
		"fails: it could be opened": func(_ *sandbox.Result, f findings, _ *[]sandbox.Event) {
			f["a write to the root folder fails"] = "it could be opened"
		},
		"events were lost": func(_ *sandbox.Result, _ findings, es *[]sandbox.Event) {
			*es = append(*es, sandbox.Event{Source: sandbox.SourceKernel, Kind: sandbox.KindLost, Status: 1})
		},
	} {
		err := Test(t.Context(), fake{tier: sandbox.Namespaces, spoil: spoil})
		var u *sandbox.Unavailable
		if !errors.As(err, &u) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, should say %s", err, want)
		}
	}
	if err := Test(t.Context(), fake{tier: sandbox.Strong, spoil: without(sandbox.KindRefused)}); err != nil {
		t.Errorf("the strong tier has to refuse what its kernel may allow: %v", err)
	}
}

// makers are of a machine on which some tiers work.
func makers(works ...sandbox.Tier) (out []Maker) {
	for _, t := range []sandbox.Tier{sandbox.Strong, sandbox.Namespaces, sandbox.Container} {
		out = append(out, Maker{Tier: t, New: func(context.Context) (sandbox.Box, error) {
			if !slices.Contains(works, t) {
				return nil, &sandbox.Unavailable{Tier: t, Missing: "what it needs", Fix: "mend " + string(t)}
			}
			return fake{tier: t}, nil
		}})
	}
	return out
}

func TestChoose(t *testing.T) {
	live, plain := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(live, LiveMarker), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	const s, n, c = sandbox.Strong, sandbox.Namespaces, sandbox.Container
	for _, tt := range []struct {
		name  string
		wish  Wish
		works []sandbox.Tier
		want  sandbox.Tier // empty: refused
	}{
		{"the default", Wish{}, []sandbox.Tier{s, n, c}, n},
		{"the default does not work, a weaker one does", Wish{}, []sandbox.Tier{c}, ""},
		{"the default does not work, and weaker is allowed", Wish{Weaker: true}, []sandbox.Tier{c}, c},
		{"weaker is allowed and not needed", Wish{Weaker: true}, []sandbox.Tier{n, c}, n},
		{"strong", Wish{Tier: s}, []sandbox.Tier{s, n}, s},
		{"strong does not work", Wish{Tier: s, Weaker: true}, []sandbox.Tier{n, c}, ""},
		{"container by name", Wish{Tier: c}, []sandbox.Tier{s, n, c}, c},
		{"nothing works", Wish{Weaker: true}, nil, ""},
		{"an unmarked target", Wish{Target: plain}, []sandbox.Tier{s, n}, n},
		{"a marked target", Wish{Target: live}, []sandbox.Tier{s, n}, s},
		{"a marked target and a weaker wish", Wish{Target: live, Tier: c, Weaker: true}, []sandbox.Tier{n, c}, ""},
		{"a marked target below", Wish{Target: filepath.Join(live, "a", "b.tgz")}, []sandbox.Tier{n, c}, ""},
	} {
		b, err := Choose(t.Context(), tt.wish, makers(tt.works...))
		switch {
		case tt.want == "":
			var r *RefusedError
			if !errors.As(err, &r) || len(r.Failed) == 0 || r.Fix() == "" {
				t.Errorf("%s: %v, %v", tt.name, b, err)
			} else if (tt.wish.Target != "") != (r.Live != "") {
				t.Errorf("%s: live is %q", tt.name, r.Live)
			}
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case b.Tier() != tt.want:
			t.Errorf("%s: %s, want %s", tt.name, b.Tier(), tt.want)
		}
	}
	if _, err := Choose(t.Context(), Wish{Tier: "none"}, makers(n)); err == nil {
		t.Error("an unknown tier is accepted")
	}
	if _, err := Choose(t.Context(), Wish{}, nil); err == nil {
		t.Error("without makers there is a box")
	}
	// A box that works and is not what it should be.
	lie := []Maker{{Tier: n, New: func(context.Context) (sandbox.Box, error) { return fake{tier: c}, nil }}}
	if _, err := Choose(t.Context(), Wish{}, lie); err == nil {
		t.Error("a weaker box passes for a stronger one")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Choose(ctx, Wish{}, makers()); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestLive(t *testing.T) {
	root := t.TempDir()
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"marked/a/b", "plain/a"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	marker := filepath.Join(root, "marked", LiveMarker)
	for _, f := range []string{marker, filepath.Join(root, "marked/a/b/p.tgz"), filepath.Join(root, "plain/q.tgz")} {
		if err := os.WriteFile(f, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "marked/a"), filepath.Join(root, "plain/link")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink(filepath.Join(root, "plain/a"), filepath.Join(root, "marked/out")); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"marked":           marker,
		"marked/a/b":       marker,
		"marked/a/b/p.tgz": marker,
		"marked/not/there": marker,
		"marked/out":       marker,
		"plain/link/b":     marker,
		"plain":            "",
		"plain/q.tgz":      "",
		"plain/not/there":  "",
	} {
		got, err := Live(filepath.Join(root, target))
		if err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", target, got, err, want)
		}
	}
	t.Chdir(filepath.Join(root, "marked/a/b"))
	if got, err := Live("p.tgz"); err != nil || got != marker {
		t.Errorf("relative: %q (%v)", got, err)
	}
	// A marker counts whatever it is.
	if err := os.Symlink("nowhere", filepath.Join(root, "plain", LiveMarker)); err != nil {
		t.Fatal(err)
	}
	if got, _ := Live(filepath.Join(root, "plain/a")); got == "" {
		t.Error("a broken link is no marker")
	}
}

func TestExplain(t *testing.T) {
	good := machine{os: "linux", kernel: [2]int{6, 1}, landlock: 7, maxUserNamespaces: "1000"}
	for _, tt := range []struct {
		name         string
		change       func(*machine)
		tier         sandbox.Tier
		err          error
		missing, fix string
	}{
		{"its own fix", func(m *machine) { m.landlock = 0 }, sandbox.Namespaces, &sandbox.Unavailable{Missing: "x", Fix: "y"}, "x", "y"},
		{"unknown", func(*machine) {}, sandbox.Namespaces, errors.New("odd"), "odd", ""},
		{"windows", func(m *machine) { *m = machine{os: "windows"} }, sandbox.Strong, errors.New("x"), "never executed", "WSL 2"},
		{"mac", func(m *machine) { *m = machine{os: "darwin"} }, sandbox.Container, errors.New("x"), "never executed", "container"},
		{"old kernel", func(m *machine) { m.kernel = [2]int{4, 18} }, sandbox.Namespaces, errors.New("x"), "this is 4.18", ""},
		{"no Landlock", func(m *machine) { m.landlock = 0 }, sandbox.Container, errors.New("x"), "Landlock", "lsm="},
		{"no Landlock, which gVisor does not need", func(m *machine) { m.landlock = 0 }, sandbox.Strong, errors.New("x"), "x", ""},
		{"no user namespaces", func(m *machine) { m.maxUserNamespaces = "0" }, sandbox.Strong, errors.New("x"), "turned off", "user.max_user_namespaces"},
		{"no user namespaces on Debian", func(m *machine) { m.userNamespaceClone = "0" }, sandbox.Namespaces, errors.New("x"), "turned off", "unprivileged_userns_clone=1"},
		{"Ubuntu", func(m *machine) { m.appArmor = "1" }, sandbox.Namespaces, errors.New("x"), "AppArmor", "apparmor_restrict_unprivileged_userns=0"},
		{"docker", func(m *machine) { m.container = "docker" }, sandbox.Namespaces, os.ErrPermission, "docker", "container tier"},
		{"docker, which is not why", func(m *machine) { m.container = "docker" }, sandbox.Namespaces, errors.New("x"), "x", ""},
		{"Ubuntu as root", func(m *machine) { m.appArmor, m.root = "1", true }, sandbox.Namespaces, errors.New("x"), "x", ""},
		{"not built in", func(m *machine) { m.landlock = 0 }, sandbox.Container, &sandbox.Unavailable{Missing: "support", Err: errUnsupported}, "support", ""},
		{"tun", func(m *machine) { m.tun = "is missing" }, sandbox.Namespaces, errors.New("x"), "/dev/net/tun is missing", "modprobe tun"},
		{"yama", func(m *machine) { m.yama = "2" }, sandbox.Container, errors.New("x"), "memory", "ptrace_scope=1"},
	} {
		m := good
		tt.change(&m)
		missing, _, fix := m.explain(tt.tier, tt.err)
		if !strings.Contains(missing, tt.missing) || !strings.Contains(fix, tt.fix) || (fix == "") != (tt.fix == "") {
			t.Errorf("%s: %q, %q", tt.name, missing, fix)
		}
	}
	if n := good.notes(sandbox.Namespaces); n != nil {
		t.Errorf("notes of a good machine: %q", n)
	}
	old := good
	old.landlock, old.tun = 2, "is missing"
	if n := old.notes(sandbox.Namespaces); len(n) != 4 {
		t.Errorf("notes of an old machine: %q", n)
	}
}

func TestDiagnose(t *testing.T) {
	var told []sandbox.Tier
	d, err := Diagnose(t.Context(), makers(sandbox.Namespaces), func(s Status) { told = append(told, s.Tier) })
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	for _, s := range d.Tiers {
		b.WriteString(string(s.Tier) + " ")
		if s.Works {
			b.WriteString("works\n")
		} else {
			b.WriteString(s.Missing + ", " + s.Fix + "\n")
		}
	}
	want := "strong what it needs, mend strong\nnamespaces works\ncontainer what it needs, mend container\n"
	if diff := cmp.Diff(want, b.String()); diff != "" || d.Default != sandbox.Namespaces || len(told) != 3 {
		t.Errorf("%s%+v", diff, d)
	}
	d, err = Diagnose(t.Context(), makers(), nil)
	if err != nil || d.Default != "" {
		t.Errorf("%+v %v", d, err)
	}
}

// TestThisMachine tries the tiers of this build, of which none may fail without a reason.
func TestThisMachine(t *testing.T) {
	for _, m := range Makers("") {
		t.Run(string(m.Tier), func(t *testing.T) {
			b, err := try(t.Context(), m.Tier, Makers(""))
			if err != nil {
				missing, detail, fix := thisMachine().explain(m.Tier, err)
				t.Skipf("does not work here: %s (%s), fix: %s", missing, detail, fix)
			}
			if b.Tier() != m.Tier {
				t.Errorf("its box is %s", b.Tier())
			}
		})
	}
}
