//go:build linux && (amd64 || arm64)

package syscalls

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox"
)

// The test binary is also the child that goes under the filter: DONAPI_TEST_CHILD names what it does there.
func TestMain(m *testing.M) {
	if name := os.Getenv("DONAPI_TEST_CHILD"); name != "" {
		os.Exit(child(name))
	}
	if name := os.Getenv("DONAPI_TEST_THREADS"); name != "" {
		os.Exit(manyThreads(name))
	}
	os.Exit(m.Run())
}

// child installs what DONAPI_TEST_OPENS asks for on a locked thread, hands the listener over and does what it is named for on that
// thread. What it prints is the test's to judge.
func child(name string) int {
	runtime.LockOSThread()
	do, ok := children[name]
	if !ok {
		fmt.Println("no such child")
		return 3
	}
	if err := DropPrivileges(); err != nil {
		fmt.Println(err)
		return 3
	}
	fd, err := Install(Options{Opens: os.Getenv("DONAPI_TEST_OPENS") != ""})
	if err != nil {
		fmt.Println(err)
		return 3
	}
	sent := make(chan error)
	go func() { sent <- handOver(fd) }() // on a thread without the filter
	if err := <-sent; err != nil {
		fmt.Println("hand over:", err)
		return 3
	}
	unix.Close(fd)
	do()
	return 0
}

func handOver(fd int) error {
	if err := unix.Sendmsg(3, []byte{1}, unix.UnixRights(fd), nil, 0); err != nil {
		return err
	}
	_, err := unix.Read(3, make([]byte, 1)) // until it is supervised
	return err
}

// under runs a child, as an ordinary user when plain is set and as who we are otherwise.
type under struct {
	opens, plain bool
	dir          string
	watch        Watch
	// supervise is what the parent does with the listener, Supervise by default.
	supervise func(ctx context.Context, fd int, w Watch)
}

// result is what a child printed and what was seen of it.
type result struct {
	out    string
	events []sandbox.Event
	lost   int
	pid    int
}

func (u under) run(t *testing.T, name string) result {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	defer unix.Close(pair[0])
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	argv := []string{self}
	if u.plain && os.Getuid() == 0 {
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Skip("no setpriv to become an ordinary user with")
		}
		copied := filepath.Join(u.dir, "child")
		if err := copyFile(copied, self); err != nil {
			t.Fatal(err)
		}
		self = copied
		argv = []string{setpriv, "--reuid=12345", "--regid=12345", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", self}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = u.dir
	cmd.Env = append(os.Environ(), "DONAPI_TEST_CHILD="+name)
	if u.opens {
		cmd.Env = append(cmd.Env, "DONAPI_TEST_OPENS=1")
	}
	cmd.ExtraFiles = []*os.File{theirs}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var r result
	r.pid = cmd.Process.Pid
	fd, err := receive(pair[0])
	if err != nil {
		cmd.Wait()
		t.Fatalf("no listener: %v\n%s", err, out.String())
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if u.supervise != nil {
			unix.Write(pair[0], []byte{1})
			u.supervise(ctx, fd, u.watch)
			return
		}
		w := u.watch
		w.Began = time.Now()
		w.Emit = func(e sandbox.Event) {
			r.events = append(r.events, e)
			if u.watch.Emit != nil {
				u.watch.Emit(e)
			}
		}
		unix.Write(pair[0], []byte{1})
		var err error
		if r.lost, err = Supervise(ctx, fd, w); err != nil {
			t.Errorf("supervise: %v", err)
		}
	})
	cmd.Wait()
	wg.Wait()
	r.out = out.String()
	return r
}

func receive(sock int) (int, error) {
	b, oob := make([]byte, 1), make([]byte, 64)
	_, n, _, _, err := unix.Recvmsg(sock, b, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, err
	}
	ms, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil || len(ms) == 0 {
		return -1, errors.New("no descriptor")
	}
	fds, err := unix.ParseUnixRights(&ms[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// users runs a test as who we are and as an ordinary user.
func users(t *testing.T, f func(t *testing.T, u under)) {
	for _, plain := range []bool{false, true} {
		name := "self"
		if plain {
			name = "ordinary"
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			// An ordinary user has to get there, and to the test binary.
			for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
				os.Chmod(d, 0o777)
			}
			f(t, under{plain: plain, dir: dir})
		})
	}
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// find returns the events of a kind.
func find(events []sandbox.Event, k sandbox.Kind) []sandbox.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e sandbox.Event) bool { return e.Kind != k })
}

func show(v any) string {
	b, _ := json.MarshalIndent(v, "", " ")
	return string(b)
}
