// Package sandboxtest is the contract that every tier of isolation keeps, as tests: what a box can neither read, write, reach nor do,
// what is seen of what it does, where its limits are, and that nothing of it is left. The test binary is also the program that runs in
// the boxes and tries.
package sandboxtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// Run holds a tier to the contract. newBox makes a box of it; where that fails the test fails, because a tier that cannot be had has to
// be skipped, loudly, by whoever calls Run.
func Run(t *testing.T, newBox func() (sandbox.Box, error)) {
	b, err := newBox()
	if err != nil {
		t.Fatal(err)
	}
	s := suite{box: b}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Identity", s.identity}, {"Attempts", s.attempts}, {"Host", s.host}, {"Refused", s.refused},
		{"Network", s.network}, {"NetworkOff", s.networkOff}, {"Answers", s.answers}, {"LastWords", s.lastWords}, {"Clock", s.clock}, {"Opens", s.opens},
		{"Exit", s.exit}, {"Stdin", s.stdin}, {"Spec", s.specs}, {"Mounts", s.mounts},
		{"Written", s.written}, {"Traps", s.traps}, {"Trees", s.trees}, {"Large", s.large},
		{"Processes", s.processes}, {"Threads", s.threads}, {"Memory", s.memory}, {"Disk", s.disk}, {"Output", s.output},
		{"Events", s.events}, {"Channel", s.channel},
		{"Orphans", s.orphans}, {"Wall", s.wall}, {"Cancel", s.cancel}, {"Murder", s.murder},
		{"Concurrent", s.concurrent}, {"Killed", s.killed}, {"NothingLeft", s.nothingLeft}, {"Node", s.node},
	} {
		t.Run(test.name, test.run)
	}
}

type suite struct{ box sandbox.Box }

const program = "/opt/probe"

// spec runs a probe.
func spec(args ...string) sandbox.Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return sandbox.Spec{
		Mounts: []sandbox.Mount{{Host: self, Box: program}},
		Argv:   append([]string{program}, args...),
		Env:    []string{probeKey + "=1"},
		Limits: sandbox.Limits{Wall: 2 * time.Minute},
	}
}

// ran is a run with what was seen of it.
type ran struct {
	*sandbox.Result
	events []sandbox.Event
}

func (s suite) run(t *testing.T, sp sandbox.Spec) ran {
	t.Helper()
	r, err := s.try(context.Background(), sp)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Stderr) > 0 && !r.Reached(sandbox.LimitOutput) {
		t.Logf("stderr of the box: %.2000s", r.Stderr)
	}
	return r
}

func (s suite) try(ctx context.Context, sp sandbox.Spec) (ran, error) {
	var r ran
	busy := make(chan struct{}, 1)
	before := sp.Events
	sp.Events = func(e sandbox.Event) {
		select {
		case busy <- struct{}{}:
		default:
			panic("two events at a time")
		}
		r.events = append(r.events, e)
		if before != nil {
			before(e)
		}
		<-busy
	}
	var err error
	r.Result, err = s.box.Run(ctx, sp)
	return r, err
}

// read decodes what a probe reported.
func read[T any](t *testing.T, r ran) T {
	t.Helper()
	var v T
	if err := json.NewDecoder(bytes.NewReader(r.Stdout)).Decode(&v); err != nil {
		t.Fatalf("the probe ended (%s, %d) without an answer: %v: %.500q %.2000s", r.Reason, r.Exit, err, r.Stdout, r.Stderr)
	}
	return v
}

// of returns the events of a kind.
func (r ran) of(k sandbox.Kind) []sandbox.Event {
	var out []sandbox.Event
	for _, e := range r.events {
		if e.Kind == k {
			out = append(out, e)
		}
	}
	return out
}

func (r ran) has(f func(sandbox.Event) bool) bool { return slices.ContainsFunc(r.events, f) }

func (r ran) file(p string) *sandbox.File {
	for i := range r.Written {
		if r.Written[i].Path == p {
			return &r.Written[i]
		}
	}
	return nil
}

func (s suite) identity(t *testing.T) {
	id := read[identity](t, s.run(t, spec("whoami", "an argument")))
	if id.UID != 1000 || id.GID != 1000 {
		t.Errorf("uid %d, gid %d", id.UID, id.GID)
	}
	if len(id.Caps) > 0 || id.NoNewPrivs != "1" || id.Seccomp != "2" {
		t.Errorf("capabilities %v, no_new_privs %s, seccomp %s", id.Caps, id.NoNewPrivs, id.Seccomp)
	}
	if len(id.Descriptors) != 3 {
		t.Errorf("descriptors: %q", id.Descriptors)
	}
	if id.Dir != "/work" || id.Hostname != "dev-laptop" || !slices.Contains(id.Env, "HOME=/home/dev") {
		t.Errorf("dir %s, host name %s, environment %q", id.Dir, id.Hostname, id.Env)
	}
	if want := []string{program, "whoami", "an argument"}; !slices.Equal(id.Args, want) {
		t.Errorf("argv %q", id.Args)
	}
	for _, v := range os.Environ() { // ours is not the box's
		name, _, _ := strings.Cut(v, "=")
		if !slices.Contains([]string{"PATH", "HOME", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"}, name) && slices.Contains(id.Env, v) {
			t.Errorf("%s came from outside", v)
		}
	}
	if s.box.Tier() == sandbox.Container {
		return
	}
	want := []string{"/dev/shm", "/home/dev", "/proc", "/tmp", "/work"}
	slices.Sort(id.WritableMounts)
	if d := cmp.Diff(want, id.WritableMounts); d != "" {
		t.Errorf("mounts that can be written (-want +got):\n%s", d)
	}
	if d := cmp.Diff(2, len(id.Programs)); d != "" { // the first process and the probe
		t.Errorf("processes: %q", id.Programs)
	}
	for _, name := range id.Root {
		if !slices.Contains([]string{"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "mnt", "opt", "proc", "run", "sbin", "srv", "tmp", "usr", "var", "work", "sys", "root"}, name) {
			t.Errorf("/%s is there", name)
		}
	}
}

func (s suite) attempts(t *testing.T) {
	done := read[map[string]string](t, s.run(t, spec("attempts")))
	if s.box.Tier() == sandbox.Strong {
		delete(done, "a lower oom score") // its kernel keeps the number and does nothing with it
	}
	if len(done) > 0 {
		t.Errorf("these attempts succeeded: %q", done)
	}
}

// refused asks that attempts to break out are seen.
func (s suite) refused(t *testing.T) {
	r := s.run(t, spec("attempts"))
	for _, call := range []string{"mount", "unshare", "setns", "pivot_root", "chroot", "ptrace", "bpf", "init_module"} {
		if !r.has(func(e sandbox.Event) bool { return e.Kind == sandbox.KindRefused && e.Call == call }) {
			t.Errorf("%s was not seen", call)
		}
	}
}

// host asks that nothing of this machine can be reached by its name.
func (s suite) host(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"reach", "read:" + secret, "list:" + dir, "list:/root", "read:/etc/shadow", "list:/sys/class", "list:/boot", "list:/var/lib",
		"read:/proc/" + strconv.Itoa(os.Getpid()) + "/environ", "signal:" + strconv.Itoa(os.Getpid())}
	if home, err := os.UserHomeDir(); err == nil {
		args = append(args, "list:"+home)
	}
	var heard sync.Map
	var wg sync.WaitGroup
	var listeners []net.Listener
	abstract := "@donapi-" + strconv.Itoa(os.Getpid())
	for _, l := range []struct{ network, addr string }{{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"tcp", "0.0.0.0:0"}, {"unix", abstract}, {"unix", filepath.Join(dir, "socket")}} {
		ln, err := net.Listen(l.network, l.addr)
		if err != nil {
			t.Logf("this machine has no %s: %v", l.addr, err)
			continue
		}
		listeners = append(listeners, ln)
		wg.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				heard.Store(ln.Addr().String(), true)
				c.Close()
			}
		})
		addr := ln.Addr().String()
		if l.addr == "0.0.0.0:0" {
			_, port, _ := net.SplitHostPort(addr)
			ifs, _ := net.InterfaceAddrs()
			for _, a := range ifs {
				if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && !ip.IP.IsLoopback() {
					args = append(args, "tcp:"+net.JoinHostPort(ip.IP.String(), port))
				}
			}
			continue
		}
		args = append(args, l.network+":"+addr)
	}
	done := read[map[string]string](t, s.run(t, spec(args...)))
	for _, l := range listeners {
		l.Close()
	}
	wg.Wait()
	heard.Range(func(k, _ any) bool {
		t.Errorf("a listener of this machine was reached: %s", k)
		return true
	})
	for a := range done {
		if !strings.HasPrefix(a, "tcp:") { // the fake internet answers for every address
			t.Errorf("%s succeeded", a)
		}
	}
}

func (s suite) network(t *testing.T) {
	r := s.run(t, spec("network"))
	done := read[map[string]string](t, r)
	for name, got := range done {
		if strings.HasPrefix(got, "failed") {
			t.Errorf("%s %s", name, got)
		}
	}
	type want struct {
		kind sandbox.Kind
		is   func(sandbox.Event) bool
	}
	for name, w := range map[string]want{
		"the question": {sandbox.KindDNS, func(e sandbox.Event) bool { return strings.EqualFold(e.Host, "name.example") && e.Type == "A" }},
		"the HTTP request": {sandbox.KindHTTP, func(e sandbox.Event) bool {
			return e.Scheme == "http" && e.Host == "api.example" && e.Path == "/collect?q=1" && string(e.Data) == "body of http"
		}},
		"the HTTPS request": {sandbox.KindHTTP, func(e sandbox.Event) bool {
			return e.Scheme == "https" && e.Method == "POST" && string(e.Data) == "body of https"
		}},
		"the handshake":     {sandbox.KindTLS, func(e sandbox.Event) bool { return e.SNI == "api.example" && e.Error == "" }},
		"TCP over IPv4":     {sandbox.KindMessage, func(e sandbox.Event) bool { return e.Addr == "203.0.113.9:4444" && string(e.Data) == "raw tcp" }},
		"TCP over IPv6":     {sandbox.KindMessage, func(e sandbox.Event) bool { return e.Addr == "[2001:db8::9]:4444" && string(e.Data) == "raw tcp6" }},
		"UDP over IPv4":     {sandbox.KindMessage, func(e sandbox.Event) bool { return e.Addr == "203.0.113.9:9999" && string(e.Data) == "raw udp" }},
		"UDP over IPv6":     {sandbox.KindMessage, func(e sandbox.Event) bool { return e.Addr == "[2001:db8::9]:9999" && string(e.Data) == "raw udp6" }},
		"the call below it": {sandbox.KindConnect, func(e sandbox.Event) bool { return e.Addr == "203.0.113.9:4444" && e.PID > 0 }},
	} {
		if !r.has(func(e sandbox.Event) bool { return e.Kind == w.kind && w.is(e) }) {
			t.Errorf("%s was not seen", name)
		}
	}
	if t.Failed() {
		for _, e := range r.events {
			t.Logf("%+v", e)
		}
	}
}

func (s suite) networkOff(t *testing.T) {
	sp := spec("connect", "203.0.113.9:4444")
	sp.Network.Off = true
	r := s.run(t, sp)
	if done := read[map[string]string](t, r); done["203.0.113.9:4444"] != "" {
		t.Errorf("there is a network: %v", done)
	}
	if r.has(func(e sandbox.Event) bool { return e.Source == sandbox.SourceNetwork }) {
		t.Errorf("events: %+v", r.events)
	}
}

// answers asks that the Spec's own answers are given.
func (s suite) answers(t *testing.T) {
	sp := spec("network")
	var replied sync.Map
	sp.Network.Reply = func(q sandbox.Request) (sandbox.Reply, bool) {
		replied.Store(q.Scheme+" "+q.Get("x-token")+" "+string(q.Body), true)
		return sandbox.Reply{Status: 418, Body: []byte("no")}, true
	}
	sp.Network.Resolve = func(q sandbox.Question) (sandbox.Answer, bool) {
		return sandbox.Answer{NotFound: true}, q.Name == "name.example"
	}
	done := read[map[string]string](t, s.run(t, sp))
	if !strings.HasPrefix(done["http"], "418") || !strings.HasPrefix(done["https"], "418") || !strings.HasPrefix(done["dns"], "failed") {
		t.Errorf("%q", done)
	}
	if _, ok := replied.Load("https token-of-https body of https"); !ok {
		t.Error("the request was not shown")
	}
}

// lastWords asks that what a box sends in its last moment is recorded.
func (s suite) lastWords(t *testing.T) {
	for range 10 {
		r := s.run(t, spec("last"))
		n, said := 0, 0
		for _, e := range r.of(sandbox.KindMessage) {
			if bytes.HasPrefix(e.Data, []byte("datagram ")) {
				n++
			}
			if e.Addr == "203.0.113.9:4444" {
				said += len(e.Data)
			}
		}
		if n != 50 || said != 100_010 {
			t.Errorf("%d of 50 datagrams were recorded, and %d of 100010 bytes of the connection", n, said)
		}
	}
}

func (s suite) clock(t *testing.T) {
	sp := spec("network")
	sp.Channel = "/run/channel"
	began := time.Now()
	r := s.run(t, sp)
	took := time.Since(began)
	var last time.Duration
	for _, e := range r.events {
		if e.At < last || e.At > took {
			t.Fatalf("at %v after %v, of %v: %+v", e.At, last, took, e)
		}
		last = e.At
	}
	if n := len(r.events); n < 2 || r.events[0].Kind != sandbox.KindBegan || r.events[n-1].Kind != sandbox.KindEnded {
		t.Errorf("the first and last events are not those of the box: %+v", r.events)
	}
}

// opens asks that opened files are seen when they are asked for, and only then.
func (s suite) opens(t *testing.T) {
	sp := sandbox.Spec{Argv: []string{"sh", "-c", "echo x > made; cat < made; mkdir sub; rm made"}, Opens: true}
	opened := func(r ran, flags string) bool {
		return r.has(func(e sandbox.Event) bool {
			return e.Kind == sandbox.KindOpen && e.Path == "/work/made" && e.Flags == flags && e.PID > 0
		})
	}
	r := s.run(t, sp)
	if !opened(r, "wct") || !opened(r, "r") || !r.has(func(e sandbox.Event) bool { return e.Kind == sandbox.KindMkdir && e.Path == "/work/sub" }) {
		t.Errorf("not all was seen: %+v", r.events)
	}
	sp.Opens = false
	r = s.run(t, sp)
	if len(r.of(sandbox.KindOpen)) > 0 || !r.has(func(e sandbox.Event) bool { return e.Kind == sandbox.KindUnlink && e.Path == "/work/made" }) {
		t.Errorf("%+v", r.events)
	}
}

func (s suite) exit(t *testing.T) {
	r := s.run(t, spec("exit", "7"))
	if r.Reason != sandbox.ReasonExit || r.Exit != 7 || r.Tier != s.box.Tier() || len(r.Limits) > 0 {
		t.Errorf("%+v", r.Result)
	}
	r = s.run(t, spec("signal", strconv.Itoa(int(unix.SIGKILL))))
	if r.Reason != sandbox.ReasonSignal || r.Exit != 137 {
		t.Errorf("%+v", r.Result)
	}
	if r, err := s.try(context.Background(), sandbox.Spec{Argv: []string{"no-such-program"}}); err == nil {
		t.Errorf("a program that is not there: %+v", r.Result)
	}
	if r, err := s.try(context.Background(), sandbox.Spec{Argv: []string{"true"}, Work: "relative"}); err == nil {
		t.Errorf("a path that is not absolute: %+v", r.Result)
	}
}

func (s suite) stdin(t *testing.T) {
	sp := spec("echo")
	sp.Stdin = bytes.Repeat([]byte("0123456789"), 20_000)
	if r := s.run(t, sp); !bytes.Equal(r.Stdout, sp.Stdin) {
		t.Errorf("%d bytes came back of %d", len(r.Stdout), len(sp.Stdin))
	}
	sp = spec("exit", "0") // does not read it
	sp.Stdin = make([]byte, 10<<20)
	if r := s.run(t, sp); r.Reason != sandbox.ReasonExit {
		t.Errorf("%+v", r.Result)
	}
}

// specs asks that what a Spec says holds.
func (s suite) specs(t *testing.T) {
	sp := spec("whoami")
	sp.Work, sp.Home, sp.Dir, sp.Hostname = "/srv/project", "/home/jo", "/tmp", "build-7"
	sp.Env = append(sp.Env, "HOME=/elsewhere", "ODD=\xff\n")
	r := s.run(t, sp)
	id := read[identity](t, r)
	if id.Dir != "/tmp" || id.Hostname != "build-7" || !slices.Contains(id.Env, "HOME=/elsewhere") || slices.Contains(id.Env, "HOME=/home/jo") {
		t.Errorf("%+v", id)
	}
	sp = sandbox.Spec{Argv: []string{"sh", "-c", "id -un; echo $0 $1; umask; ulimit -c", "zero", "one"}, Home: "/home/jo", Work: "/home/jo/project"}
	r = s.run(t, sp)
	if want := "jo\nzero one\n0022\n0\n"; string(r.Stdout) != want {
		t.Errorf("%q", r.Stdout)
	}
}

func (s suite) mounts(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a/file": "of the host", "a/sub/other": "2", "b": "single"} {
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "a/link")); err != nil {
		t.Fatal(err)
	}
	sp := sandbox.Spec{
		Mounts: []sandbox.Mount{{Host: filepath.Join(dir, "a"), Box: "/opt/shown"}, {Host: filepath.Join(dir, "b"), Box: "/opt/shown/file"},
			{Host: filepath.Join(dir, "a"), Box: "/work/deep/mount"}, {Host: filepath.Join(dir, "b"), Box: "/usr/bin/env"}},
		Files: []sandbox.File{{Path: "/opt/shown/sub/other", Data: []byte("over the mount")}, {Path: "/etc/motd", Data: []byte("hi")}},
		Argv: []string{"sh", "-c", `cat /usr/bin/env /opt/shown/file /opt/shown/sub/other /work/deep/mount/file /opt/shown/link /etc/motd
			for f in /opt/shown/file /opt/shown/sub/other /opt/shown/new /work/deep/mount/file /work/deep/mount/new /opt/shown/link; do echo x 2>/dev/null > $f && echo wrote $f; done
			rm -rf /opt/shown /work/deep 2>/dev/null; ls /opt/shown`},
	}
	r := s.run(t, sp)
	if want := "singlesingleover the mountof the hostdev-laptop\nhifile\nlink\nsub\n"; string(r.Stdout) != want {
		t.Errorf("%q", r.Stdout)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a/file")); err != nil || string(b) != "of the host" {
		t.Errorf("the host's file is %q, %v", b, err)
	}
	if len(r.Written) > 0 || len(r.Removed) > 0 {
		t.Errorf("written %+v, removed %q", r.Written, r.Removed)
	}
	if r, err := s.try(context.Background(), sandbox.Spec{Argv: []string{"true"}, Mounts: []sandbox.Mount{{Host: filepath.Join(dir, "missing"), Box: "/opt/x"}}}); err == nil {
		t.Errorf("a mount of nothing: %+v", r.Result)
	}
}

func (s suite) written(t *testing.T) {
	sp := spec("files")
	sp.Files = []sandbox.File{
		{Path: "/work/kept", Data: []byte("as it was"), Mode: 0o640},
		{Path: "/work/link", Link: "kept"},
		{Path: "/work/changed", Data: []byte("old")},
		{Path: "/work/mode", Data: []byte("m")},
		{Path: "/work/gone", Data: []byte("g")},
		{Path: "/work/folder/inner", Data: []byte("i")},
		{Path: "/work/becomes-link", Data: []byte("b")},
		{Path: "/home/dev/.npmrc", Data: []byte("token")},
	}
	sp.Limits.Body = 1000
	r := s.run(t, sp)
	if want := "as it was 640 kept\n"; string(r.Stdout) != want || r.Exit != 0 {
		t.Fatalf("%q, exit %d", r.Stdout, r.Exit)
	}
	want := []sandbox.File{
		{Path: "/dev/shm/shared", Data: []byte("s"), Mode: 0o644, Size: 1},
		{Path: "/home/dev/.profile", Data: []byte("evil"), Mode: 0o644, Size: 4},
		{Path: "/tmp/large", Data: bytes.Repeat([]byte("l"), 1000), Mode: 0o644, Size: 1 << 20, Truncated: true},
		{Path: "/work/becomes-link", Link: "/etc/passwd"},
		{Path: "/work/changed", Data: []byte("new"), Mode: 0o644, Size: 3},
		{Path: "/work/deep/er/made", Data: []byte("made"), Mode: 0o640, Size: 4},
		{Path: "/work/mode", Data: []byte("m"), Mode: 0o755, Size: 1},
	}
	if d := cmp.Diff(want, r.Written); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"/work/folder/inner", "/work/gone"}, r.Removed); d != "" {
		t.Errorf("removed (-want +got):\n%s", d)
	}
}

// traps asks that links are not followed and that nothing stops the listing.
func (s suite) traps(t *testing.T) {
	sp := spec("traps")
	sp.Files = []sandbox.File{{Path: "/work/file/below", Data: []byte("x")}}
	r := s.run(t, sp)
	if r.Exit != 0 {
		t.Fatalf("exit %d", r.Exit)
	}
	for _, f := range r.Written {
		if f.Link != "" && len(f.Data) > 0 || bytes.Contains(f.Data, []byte("root:")) {
			t.Errorf("a link was followed: %+v", f)
		}
	}
	for p, want := range map[string]sandbox.File{
		"/work/shadow": {Link: "/etc/shadow"}, "/work/root": {Link: "/"}, "/work/up": {Link: ".."}, "/work/loop": {Link: "loop"}, "/work/file": {Link: "/etc"},
		"/work/unreadable": {Data: []byte("found"), Size: 5}, "/work/closed/inside": {Data: []byte("found too"), Mode: 0o600, Size: 9},
		"/work/odd\n\x1b[31m\xffname": {Data: []byte("odd"), Mode: 0o644, Size: 3},
	} {
		want.Path = p
		if got := r.file(p); got == nil || !cmp.Equal(want, *got) {
			t.Errorf("%q: %+v", p, got)
		}
	}
	if f := r.file("/work/sparse"); f == nil || f.Size != 200<<20 || !f.Truncated {
		t.Errorf("sparse: %+v", f)
	}
	if !slices.Equal(r.Removed, []string{"/work/file/below"}) {
		t.Errorf("removed %q", r.Removed)
	}
}

func (s suite) trees(t *testing.T) {
	r := s.run(t, spec("trees"))
	if r.Exit != 0 {
		t.Fatalf("exit %d", r.Exit)
	}
	if !r.Reached(sandbox.LimitWritten) {
		t.Errorf("all of it is said to be in %d files", len(r.Written))
	}
}

func (s suite) large(t *testing.T) {
	sp := sandbox.Spec{Argv: []string{"sh", "-c", "for i in 1 2 3 4 5 6; do head -c 100000 /dev/zero > /work/$i; done"}, Limits: sandbox.Limits{Written: 250_000}}
	r := s.run(t, sp)
	n := 0
	for _, f := range r.Written {
		n += len(f.Data)
		if f.Size != 100_000 || f.Truncated != (len(f.Data) < 100_000) {
			t.Errorf("%s: %d of %d bytes", f.Path, len(f.Data), f.Size)
		}
	}
	if n > 250_000 || !r.Reached(sandbox.LimitWritten) || len(r.Written) != 6 {
		t.Errorf("%d bytes in %d files, limits %v", n, len(r.Written), r.Limits)
	}
}

func (s suite) processes(t *testing.T) {
	sp := spec("forkbomb")
	sp.Limits.Processes, sp.Limits.Grace = 40, 100*time.Millisecond
	r := s.run(t, sp)
	n := read[map[string]int](t, r)
	if n["started"] > 40 || n["refused"] == 0 || r.Usage.Processes > 64 || !r.Reached(sandbox.LimitProcesses) {
		t.Errorf("%v, %+v, limits %v", n, r.Usage, r.Limits)
	}
}

func (s suite) threads(t *testing.T) {
	sp := spec("threads", "500")
	sp.Limits.Processes, sp.Limits.Wall = 40, 30*time.Second
	r := s.run(t, sp)
	if r.Usage.Processes > 64 || !r.Reached(sandbox.LimitProcesses) {
		t.Errorf("%+v, limits %v", r.Usage, r.Limits)
	}
}

func (s suite) memory(t *testing.T) {
	t.Run("One", func(t *testing.T) {
		sp := spec("memory", "1000")
		sp.Limits.Memory = 300 << 20
		if r := s.run(t, sp); bytes.Contains(r.Stdout, []byte("had it")) || r.Usage.Memory > 400<<20 {
			t.Errorf("%+v", r.Result)
		}
	})
	t.Run("Many", func(t *testing.T) {
		sp := spec("memories", "20", "60")
		sp.Limits.Memory = 300 << 20
		if r := s.run(t, sp); r.Reason != sandbox.ReasonMemory || !r.Reached(sandbox.LimitMemory) || r.Usage.Memory > 900<<20 {
			t.Errorf("%+v", r.Result)
		}
	})
	t.Run("Files", func(t *testing.T) {
		sp := spec("memfd")
		sp.Limits.Memory, sp.Limits.Wall = 300<<20, time.Minute
		if r := s.run(t, sp); r.Reason != sandbox.ReasonMemory {
			t.Errorf("%s, %v, %.200s", r.Reason, r.Limits, r.Stdout)
		}
	})
	t.Run("Sockets", func(t *testing.T) { // bounded by the limit on descriptors; nothing breaks
		r := s.run(t, spec("sockets"))
		if r.Reason != sandbox.ReasonExit && r.Reason != sandbox.ReasonMemory {
			t.Errorf("%+v", r.Result)
		}
	})
	t.Run("Ordinary", func(t *testing.T) {
		if r := s.run(t, spec("memory", "200")); !bytes.Contains(r.Stdout, []byte("had it")) || r.Usage.Memory < 200<<20 {
			t.Errorf("%+v", r.Result)
		}
	})
}

func (s suite) disk(t *testing.T) {
	sp := spec("fill", "/work", "/tmp", "/home/dev", "/dev/shm")
	sp.Limits.Disk = 64 << 20
	r := s.run(t, sp)
	if n := read[map[string]int](t, r)["written"]; n > 64<<20 || n < 32<<20 || r.Usage.Disk > 64<<20 || !r.Reached(sandbox.LimitDisk) {
		t.Errorf("%d bytes written, %+v, limits %v", n, r.Usage, r.Limits)
	}
	most := "1000000"
	if s.box.Tier() == sandbox.Strong {
		most = "60000" // its kernel counts memory, not files
	}
	r = s.run(t, spec("inodes", "/work", most))
	if n := read[map[string]int](t, r)["made"]; n > 200_000 || !r.Reached(sandbox.LimitWritten) {
		t.Errorf("%d files made, limits %v", n, r.Limits)
	}
}

func (s suite) output(t *testing.T) {
	sp := spec("flood", "16")
	sp.Limits.Output = 1000
	r := s.run(t, sp)
	if len(r.Stdout) != 1000 || len(r.Stderr) != 1000 || !r.Reached(sandbox.LimitOutput) || r.Usage.Output != 32<<20 || r.Reason != sandbox.ReasonExit {
		t.Errorf("%d and %d bytes kept of %d, limits %v, %s", len(r.Stdout), len(r.Stderr), r.Usage.Output, r.Limits, r.Reason)
	}
}

func (s suite) events(t *testing.T) {
	sp := spec("lines", "1000000")
	sp.Channel = "/run/channel"
	sp.Env = append(sp.Env, "CHANNEL=/run/channel")
	sp.Limits.Events = 500
	r := s.run(t, sp)
	n := 0
	for _, e := range r.events {
		if e.Source != sandbox.SourceBox {
			n++
		}
	}
	dropped := r.of(sandbox.KindDropped)
	if n != 500 || r.Reason != sandbox.ReasonEvents || !r.Reached(sandbox.LimitEvents) || len(dropped) != 1 || dropped[0].Status < 1 {
		t.Errorf("%d events, %s, limits %v, dropped %+v", n, r.Reason, r.Limits, dropped)
	}
}

func (s suite) channel(t *testing.T) {
	with := func(args ...string) ran {
		sp := spec(args...)
		sp.Channel = "/run/events/channel"
		sp.Env = append(sp.Env, "CHANNEL=/run/events/channel")
		return s.run(t, sp)
	}
	var lines []string
	for _, e := range with("lines", "2000").of(sandbox.KindLine) {
		lines = append(lines, string(e.Data))
	}
	if len(lines) != 2000 || lines[0] != "line 0" || lines[1999] != "line 1999" {
		t.Errorf("%d lines", len(lines))
	}
	n := map[string]int{}
	for _, e := range with("writers", "200").of(sandbox.KindLine) {
		if len(e.Data) != 4095 || strings.Trim(string(e.Data), string(e.Data[:1])) != "" {
			t.Fatalf("lines have mixed: %.100q", e.Data)
		}
		n[string(e.Data[:1])]++
	}
	if d := cmp.Diff(map[string]int{"a": 200, "b": 200, "c": 200, "d": 200}, n); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
	garbage := with("garbage").of(sandbox.KindLine)
	bytes := 0
	for _, e := range garbage {
		bytes += len(e.Data)
	}
	if last := garbage[len(garbage)-1]; bytes != 1<<20+len("end without a newline") || string(last.Data) != "end without a newline" || !garbage[0].Cut {
		t.Errorf("%d bytes in %d lines, the last %q", bytes, len(garbage), last.Data)
	}
	r := with("channel")
	if done := read[map[string]string](t, r); len(done) > 0 {
		t.Errorf("the channel can be taken: %q", done)
	}
	if l := r.of(sandbox.KindLine); len(l) != 1 || string(l[0].Data) != "still heard" {
		t.Errorf("%+v", l)
	}
}

func (s suite) orphans(t *testing.T) {
	sp := spec("detach")
	sp.Limits.Grace = 300 * time.Millisecond
	r := s.run(t, sp)
	o := r.of(sandbox.KindOrphan)
	if len(o) != 1 || len(o[0].Args) != 3 || o[0].Args[2] != "detached" || o[0].PID == 0 || r.Reason != sandbox.ReasonExit {
		t.Fatalf("%+v, %s", o, r.Reason)
	}
	if !bytes.Contains(r.Stdout, fmt.Appendf(nil, "left %d\n", o[0].PID)) { // numbers are those of the box
		t.Errorf("%q and %d", r.Stdout, o[0].PID)
	}
	if r.Usage.Wall < 300*time.Millisecond {
		t.Errorf("it had %v to live", r.Usage.Wall)
	}
	if n := alive(program + " sleep detached"); n > 0 {
		t.Errorf("%d live on", n)
	}
	// Who ends by himself is not waited for to the end of the grace.
	r = s.run(t, sandbox.Spec{Argv: []string{"sh", "-c", "sleep 0.2 & exit 0"}, Limits: sandbox.Limits{Grace: time.Minute}})
	if r.Usage.Wall > 50*time.Second {
		t.Errorf("took %v", r.Usage.Wall)
	}
}

// alive counts the processes of this machine with this command line.
func alive(cmdline string) int {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return 0
	}
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && string(bytes.ReplaceAll(bytes.TrimRight(b, "\x00"), []byte{0}, []byte(" "))) == cmdline {
			n++
		}
	}
	return n
}

func (s suite) wall(t *testing.T) {
	sp := spec("stubborn")
	sp.Limits.Wall = 3 * time.Second
	r := s.run(t, sp)
	if r.Reason != sandbox.ReasonWall || !r.Reached(sandbox.LimitWall) || r.Exit != 137 || !bytes.Contains(r.Stdout, []byte("ignoring")) {
		t.Errorf("%+v", r.Result)
	}
}

func (s suite) cancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sp := spec("lines", "1")
	sp.Argv = []string{"sh", "-c", "echo up > $CHANNEL; sleep 1000"}
	sp.Channel = "/run/channel"
	sp.Env = []string{"CHANNEL=/run/channel"}
	sp.Events = func(e sandbox.Event) {
		if e.Kind == sandbox.KindLine {
			cancel()
		}
	}
	r, err := s.try(ctx, sp)
	if err != nil || r.Reason != sandbox.ReasonCanceled {
		t.Errorf("%v, %+v", err, r.Result)
	}
}

// murder asks that a box can end itself and nothing else.
func (s suite) murder(t *testing.T) {
	r := s.run(t, spec("murder"))
	if !bytes.Contains(r.Stdout, []byte("still here")) {
		t.Errorf("%+v, %s", r.Result, r.Stdout)
	}
	if !r.has(func(e sandbox.Event) bool { return e.Kind == sandbox.KindSignal && e.Target == 1 }) {
		t.Error("the signals were not seen")
	}
}

func (s suite) concurrent(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			token := "token-" + strconv.Itoa(i)
			sp := sandbox.Spec{Channel: "/run/channel", Argv: []string{"sh", "-c", "for i in 1 2 3; do echo " + token + "; done > /run/channel; echo " + token + " > /work/" + token}}
			r, err := s.try(context.Background(), sp)
			if err != nil {
				t.Error(err)
				return
			}
			if l := r.of(sandbox.KindLine); len(l) != 3 || string(l[0].Data) != token || len(r.Written) != 1 || r.Written[0].Path != "/work/"+token {
				t.Errorf("%s: %+v, %+v", token, l, r.Written)
			}
		})
	}
	wg.Wait()
}

// killed asks that a box dies with the program that runs it, however that ends.
func (s suite) killed(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf("killed-%d-%d", os.Getpid(), time.Now().UnixNano())
	c := exec.Command(self)
	c.Env = append(os.Environ(), runnerKey+"="+token)
	var errs strings.Builder
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	up, _ := bufio.NewReader(out).ReadString('\n')
	box := descendants(c.Process.Pid)
	c.Process.Kill()
	c.Wait()
	if up == "" || len(box) == 0 {
		t.Fatalf("the box did not start: %s", errs.String())
	}
	if !eventually(func() bool { return !slices.ContainsFunc(box, isAlive) }) {
		t.Error("the box lives on")
	}
	line := program + " sleep " + token
	// However far it had come: processes keep the variable of who started them, or are the probe.
	for _, after := range []time.Duration{0, 5, 10, 15, 20, 25, 30, 40, 50, 70} {
		c := exec.Command(self)
		c.Env = append(os.Environ(), runnerKey+"="+token)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after * time.Millisecond)
		before := descendants(c.Process.Pid)
		c.Process.Kill()
		c.Wait()
		if !eventually(func() bool { return alive(line) == 0 && !slices.ContainsFunc(before, isAlive) }) {
			t.Errorf("killed after %d ms, something lives on", after)
		}
	}
}

// process is a process of this machine, told from a later one with its number by when it started.
type process struct{ pid, started string }

func isAlive(p process) bool {
	f := statOf(p.pid)
	return len(f) > 19 && f[19] == p.started && f[0] != "Z"
}

// statOf returns the fields of /proc/PID/stat behind the name.
func statOf(pid string) []string {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// descendants are the processes that a process has started, and those that these have.
func descendants(pid int) []process {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	parents := map[string][]process{}
	for _, n := range names {
		pid := filepath.Base(n)
		if f := statOf(pid); len(f) > 19 {
			parents[f[1]] = append(parents[f[1]], process{pid, f[19]})
		}
	}
	out := parents[strconv.Itoa(pid)]
	for i := 0; i < len(out); i++ {
		out = append(out, parents[out[i].pid]...)
	}
	return out
}

// eventually waits for something that nobody tells us of.
func eventually(is func() bool) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// left is what could be left of boxes on this machine.
type left struct {
	Descriptors []string
	Mounts      int
	Children    int
	Goroutines  int
	Files       []string
	Namespaces  int
}

func whatIsLeft() left {
	var l left
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, f := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && !strings.HasSuffix(link, "/fd") {
			l.Descriptors = append(l.Descriptors, link)
		}
	}
	b, _ := os.ReadFile("/proc/self/mountinfo")
	l.Mounts = bytes.Count(b, []byte("\n"))
	own := strconv.Itoa(os.Getpid())
	spaces := map[string]bool{}
	procs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])); err == nil && len(f) > 1 && f[1] == own {
			l.Children++
			if ns, err := os.Readlink(filepath.Dir(p) + "/ns/net"); err == nil {
				spaces[ns] = true
			}
		}
	}
	l.Namespaces = len(spaces)
	l.Goroutines = runtime.NumGoroutine()
	entries, _ := os.ReadDir(os.TempDir())
	for _, e := range entries {
		if strings.Contains(e.Name(), "donapi-box") {
			l.Files = append(l.Files, e.Name())
		}
	}
	return l
}

// nothingLeft runs many boxes; DONAPI_BOX_RUNS says how many.
func (s suite) nothingLeft(t *testing.T) {
	n := 25
	if v := os.Getenv("DONAPI_BOX_RUNS"); v != "" {
		n = number(v)
	}
	one := func(i int) {
		sp := spec("network")
		sp.Limits.Grace = 20 * time.Millisecond
		switch i % 4 {
		case 1:
			sp = spec("detach")
			sp.Limits.Grace = 20 * time.Millisecond
		case 2:
			sp = spec("sleep")
			sp.Limits.Wall = 150 * time.Millisecond
		case 3:
			sp = spec("no such probe")
		}
		sp.Channel = "/run/channel"
		if _, err := s.try(context.Background(), sp); err != nil && i%4 != 2 { // on a loaded machine it may not even have started
			t.Fatalf("run %d: %v", i, err)
		}
	}
	for i := range 4 { // whatever is made once
		one(i)
	}
	before := whatIsLeft()
	for i := range n {
		one(i)
	}
	var after left
	if !eventually(func() bool {
		after = whatIsLeft()
		return len(after.Descriptors) <= len(before.Descriptors) && after.Mounts <= before.Mounts && after.Children <= before.Children &&
			after.Goroutines <= before.Goroutines && len(after.Files) <= len(before.Files) && after.Namespaces <= before.Namespaces
	}) {
		t.Errorf("after %d runs (-before +after):\n%s", n, cmp.Diff(before, after))
	}
}

// node asks that a real program of the kind that boxes are for works as it does outside.
func (s suite) node(t *testing.T) {
	node, err := exec.LookPath("node")
	if err == nil {
		node, err = filepath.EvalSymlinks(node)
	}
	if err != nil {
		t.Skip("SKIPPED: there is no node on this machine")
	}
	sp := sandbox.Spec{Files: []sandbox.File{{Path: "/work/index.js", Data: []byte(script)}}, Argv: []string{node, "index.js"}}
	if !strings.HasPrefix(node, "/usr/") {
		prefix := filepath.Dir(filepath.Dir(node))
		sp.Mounts = []sandbox.Mount{{Host: prefix, Box: "/opt/node"}}
		sp.Argv[0] = "/opt/node/bin/" + filepath.Base(node)
	}
	r := s.run(t, sp)
	if want := "child 1\nworker 2\nhttps 200\nsum 4950\nwritten\nENOENT\n"; string(r.Stdout) != want || r.Exit != 0 {
		t.Errorf("%q, exit %d, %s", r.Stdout, r.Exit, r.Reason)
	}
	if f := r.file("/work/out.txt"); f == nil || string(f.Data) != "from node" {
		t.Errorf("%+v", r.Written)
	}
	for what, is := range map[string]func(sandbox.Event) bool{
		"the child": func(e sandbox.Event) bool {
			return e.Kind == sandbox.KindExec && slices.Contains(e.Args, "console.log('child', 1)")
		},
		"the request": func(e sandbox.Event) bool { return e.Kind == sandbox.KindHTTP && e.Host == "api.example" },
		"the removal": func(e sandbox.Event) bool { return e.Kind == sandbox.KindUnlink && e.Path == "/work/gone.txt" },
	} {
		if !r.has(is) {
			t.Errorf("%s was not seen", what)
		}
	}
}

const script = `
const fs = require('fs'), cp = require('child_process'), { Worker, isMainThread } = require('worker_threads');
(async () => {
  process.stdout.write(cp.execFileSync(process.execPath, ['-e', "console.log('child', 1)"]));
  await new Promise((ok) => new Worker("require('worker_threads').parentPort.postMessage(2)", { eval: true }).on('message', (m) => { console.log('worker', m); ok(); }));
  const r = await fetch('https://api.example/v1', { method: 'POST', body: 'x' });
  console.log('https', r.status);
  await r.text();
  const m = new WebAssembly.Memory({ initial: 1, maximum: 100 });
  console.log('sum', Array.from({ length: 100 }, (_, i) => i).reduce((a, b) => a + b) + m.buffer.byteLength - 65536);
  fs.writeFileSync('gone.txt', ''); fs.unlinkSync('gone.txt');
  fs.writeFileSync('out.txt', 'from node');
  console.log('written');
  try { fs.readFileSync('/root/.ssh/id_rsa'); } catch (e) { console.log(e.code); }
  process.exit(0);
})();
`
