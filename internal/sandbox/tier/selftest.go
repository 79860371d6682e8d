package tier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// The self-test runs this very program again inside the box. What it has to know is in one variable of its environment, in hexadecimal,
// so that no tier takes a part of it for a path of the box.
const probeEnv = "DONAPI_PROBE"

// Places in the box.
const (
	probePath = "/opt/donapi-probe/probe"
	work      = "/work"
	madeFile  = work + "/made"
)

// orders are what the probe is to try.
type orders struct {
	Child    bool   // only to have been executed
	Secret   string // a file of the host that it must not read
	Loopback string // a listener of the host that it must not reach
	Abstract string // the same, by an abstract Unix socket
	Host     string // a name that it looks up and asks
	Page     string // what it asks for
}

// findings are what came of it, each empty when it was as it should be.
type findings map[string]string

// Test runs the self-test in a box. The error is a *sandbox.Unavailable that names the first thing that was not as it should be.
func Test(ctx context.Context, b sandbox.Box) error {
	if err := test(ctx, b); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var u *sandbox.Unavailable
		if errors.As(err, &u) {
			return err
		}
		return &sandbox.Unavailable{Tier: b.Tier(), Missing: "a box that passes the self-test", Err: err}
	}
	return nil
}

func test(ctx context.Context, b sandbox.Box) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "donapi-probe-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var nonce [8]byte
	rand.Read(nonce[:])
	word := hex.EncodeToString(nonce[:])
	o := orders{Secret: filepath.Join(dir, "secret"), Host: "probe-" + word + ".example", Page: "/" + word}
	if err := os.WriteFile(o.Secret, []byte(word), 0o644); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	var reached atomic.Bool
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer watch(l, &reached)()
	o.Loopback = l.Addr().String()
	o.Abstract = "@donapi-probe-" + word
	a, err := net.Listen("unix", o.Abstract)
	if err == nil { // not everywhere
		defer watch(a, &reached)()
	}

	var events []sandbox.Event
	res, err := b.Run(ctx, sandbox.Spec{
		Mounts: []sandbox.Mount{{Host: self, Box: probePath}},
		Work:   work,
		Argv:   []string{probePath},
		Env:    []string{probeEnv + "=" + o.encode()},
		Limits: sandbox.Limits{Wall: 30 * time.Second, Grace: time.Second, Events: 20_000},
		Events: func(e sandbox.Event) { events = append(events, e) },
	})
	if err != nil {
		return err
	}
	if res.Reason != sandbox.ReasonExit || res.Exit != 0 {
		return fmt.Errorf("the program in the box ended by %s with %d: %s", res.Reason, res.Exit, strings.TrimSpace(string(slices.Concat(res.Stdout, res.Stderr))))
	}
	var f findings
	if err := json.Unmarshal(res.Stdout, &f); err != nil {
		return fmt.Errorf("the program in the box does not say what it found: %q", res.Stdout)
	}
	if reached.Load() {
		return errors.New("the box reached a listener of this machine")
	}
	if got, err := os.ReadFile(o.Secret); err != nil || string(got) != word {
		return errors.New("the box changed a file of this machine")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		return errors.New("the box made a file on this machine")
	}
	for _, name := range attempts(b.Tier()) {
		found, tried := f[name]
		if !tried {
			return fmt.Errorf("the program in the box did not try: %s", name)
		}
		if found != "" {
			return fmt.Errorf("%s: %s", name, found)
		}
	}
	return seen(b.Tier(), o, res, events)
}

// watch accepts connections, and notes that there was one. The result ends it.
func watch(l net.Listener, reached *atomic.Bool) (stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			reached.Store(true)
			c.Close()
		}
	}()
	return func() { l.Close(); <-done }
}

// seen asks that what the probe did is in the events and in the result.
func seen(t sandbox.Tier, o orders, res *sandbox.Result, events []sandbox.Event) error {
	has := func(what string, f func(sandbox.Event) bool) error {
		if !slices.ContainsFunc(events, f) {
			return fmt.Errorf("%s was not seen", what)
		}
		return nil
	}
	checks := []error{
		has("the execution of a program", func(e sandbox.Event) bool {
			return e.Source == sandbox.SourceKernel && e.Kind == sandbox.KindExec && e.Path == probePath
		}),
		has("a connection, by the kernel's side,", func(e sandbox.Event) bool {
			return e.Source == sandbox.SourceKernel && e.Kind == sandbox.KindConnect && strings.HasSuffix(e.Addr, ":80")
		}),
		has("the question for a name", func(e sandbox.Event) bool {
			return e.Source == sandbox.SourceNetwork && e.Kind == sandbox.KindDNS && e.Host == o.Host
		}),
		has("an HTTP request", func(e sandbox.Event) bool {
			return e.Source == sandbox.SourceNetwork && e.Kind == sandbox.KindHTTP && e.Host == o.Host && e.Path == o.Page
		}),
	}
	if t != sandbox.Strong { // whose kernel may allow what there is harmless
		checks = append(checks, has("an attempt to make namespaces", func(e sandbox.Event) bool {
			return e.Source == sandbox.SourceKernel && e.Kind == sandbox.KindRefused && e.Call == "unshare"
		}))
	}
	if slices.ContainsFunc(events, func(e sandbox.Event) bool { return e.Kind == sandbox.KindLost }) {
		checks = append(checks, errors.New("events were lost"))
	}
	if !slices.ContainsFunc(res.Written, func(f sandbox.File) bool { return f.Path == madeFile }) {
		checks = append(checks, errors.New("a file that was written is not in the result"))
	}
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

func (o orders) encode() string {
	b, _ := json.Marshal(o)
	return hex.EncodeToString(b)
}

func decodeOrders(s string) (o orders, err error) {
	b, err := hex.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	if err == nil && !o.Child && (o.Host == "" || o.Secret == "") {
		err = errors.New("no orders")
	}
	return o, err
}
