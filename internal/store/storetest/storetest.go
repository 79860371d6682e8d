//go:build unix

// Package storetest gives tests the databases that the store runs on: SQLite, and a PostgreSQL of the test's own.
package storetest

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// SQLite is the address of a new database.
func SQLite(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "store.db")
}

// PostgreSQL starts a server that lives as long as t and listens on a socket only. It returns what makes a new database
// on it and gives its address. Without PostgreSQL on the machine t is skipped.
func PostgreSQL(t testing.TB) func(testing.TB) string {
	initdb, postgres := program(t, "initdb"), program(t, "postgres")
	// Not t.TempDir: the path of a socket may have 107 bytes, and the server's user must reach it.
	dir, err := os.MkdirTemp("", "donapi-pg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	attr := unprivileged(t, dir)
	data := filepath.Join(dir, "data")

	setup := exec.Command(initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale", "C")
	setup.Dir, setup.SysProcAttr = dir, attr
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	var log bytes.Buffer
	server := exec.Command(postgres, "-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off")
	server.Dir, server.SysProcAttr, server.Stdout, server.Stderr = dir, attr, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { server.Wait(); close(exited) }()
	t.Cleanup(func() {
		server.Process.Signal(syscall.SIGQUIT) // at once; the data is deleted anyway
		<-exited
	})

	address := func(name string) string {
		return "postgres://postgres@/" + name + "?" + url.Values{"host": {dir}}.Encode()
	}
	admin, err := sql.Open("pgx", address("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { admin.Close() })
	deadline := time.Now().Add(30 * time.Second)
	for admin.Ping() != nil {
		select {
		case <-exited:
			t.Fatalf("the server ended:\n%s", &log)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("the server does not answer")
		}
	}
	n := 0
	return func(t testing.TB) string {
		n++
		name := fmt.Sprintf("test%d", n)
		if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
			t.Fatal(err)
		}
		return address(name)
	}
}

// program finds a program of PostgreSQL, which Debian keeps out of PATH.
func program(t testing.TB, name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	paths, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(paths) == 0 {
		t.Skipf("no PostgreSQL on this machine: %s not found", name)
	}
	return paths[len(paths)-1]
}

// unprivileged gives dir to a user that is not root, whom the server refuses to run as.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skipf("PostgreSQL does not run as root: %v", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}
