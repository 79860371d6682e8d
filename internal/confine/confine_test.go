package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestMain is the life of the children that the tests start: the test binary, started again.
func TestMain(m *testing.M) {
	if IsChild() {
		if err := Serve(handle); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// handle does what a job asks for: what code of a package could bring its analyser to do.
func handle(_ context.Context, request []byte, note func(string)) ([]byte, error) {
	what := string(request)
	note("working on " + what)
	switch what {
	case "pid":
		return fmt.Append(nil, os.Getpid()), nil
	case "fail":
		return nil, errors.New("the handler's own error")
	case "panic":
		panic("at the disco")
	case "stack":
		return fmt.Append(nil, recurse(0)), nil
	case "memory":
		var kept [][]byte
		for {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
			runtime.KeepAlive(kept)
		}
	case "hang":
		for {
			time.Sleep(time.Second)
		}
	case "exit":
		os.Exit(7)
	case "flood":
		return make([]byte, 4<<20), nil
	case "shout":
		for range 10_000 {
			note(strings.Repeat("x", 1000))
		}
		return []byte("done"), nil
	}
	return append([]byte("echo "), request...), nil
}

func recurse(n int) int {
	if n < 0 {
		return 0
	}
	return recurse(n+1) + recurse(n+2)
}

func pool(t *testing.T, l Limits) *Pool {
	t.Helper()
	p := NewPool(l)
	t.Cleanup(p.Close)
	return p
}

func TestEcho(t *testing.T) {
	p := pool(t, Limits{})
	var notes []string
	reply, err := p.Run(context.Background(), []byte("hello"), func(s string) { notes = append(notes, s) })
	if err != nil || string(reply) != "echo hello" {
		t.Fatalf("%q, %v", reply, err)
	}
	if len(notes) != 1 || notes[0] != "working on hello" {
		t.Errorf("notes %q", notes)
	}
	if _, err := p.Run(context.Background(), []byte("fail"), nil); err == nil || !strings.Contains(err.Error(), "the handler's own error") {
		t.Errorf("error %v", err)
	}
	large := bytes.Repeat([]byte("a"), 3<<20)
	if reply, err := p.Run(context.Background(), large, nil); err != nil || len(reply) != len(large)+5 {
		t.Errorf("%d bytes, %v", len(reply), err)
	}
}

// TestReuse keeps a child that did its job, and a child whose handler failed.
func TestReuse(t *testing.T) {
	p := pool(t, Limits{})
	pid := func() string {
		b, err := p.Run(context.Background(), []byte("pid"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	one := pid()
	p.Run(context.Background(), []byte("fail"), nil)
	if two := pid(); two != one {
		t.Errorf("a second child %s was started beside %s", two, one)
	}
}

// TestDeaths asks for the reason and the note of each way to die, and for a fresh child afterwards.
func TestDeaths(t *testing.T) {
	small, large := pool(t, Limits{Memory: 512 << 20, Time: 20 * time.Second}), pool(t, Limits{Time: 20 * time.Second})
	for what, reason := range map[string]string{"panic": Exited, "stack": Stack, "memory": Memory, "exit": Exited} {
		if what == "memory" && runtime.GOOS != "linux" {
			continue
		}
		p := small
		if what == "stack" { // reaches its own limit before that of memory
			p = large
		}
		_, err := p.Run(context.Background(), []byte(what), nil)
		var died *Died
		if !errors.As(err, &died) || died.Reason != reason || died.Note != "working on "+what {
			t.Errorf("%s: %v, want a death by %s", what, err, reason)
		}
		if reply, err := p.Run(context.Background(), []byte("x"), nil); err != nil || string(reply) != "echo x" {
			t.Errorf("after %s: %q, %v", what, reply, err)
		}
	}
}

func TestTimeOut(t *testing.T) {
	p := pool(t, Limits{Time: 300 * time.Millisecond})
	_, err := p.Run(context.Background(), []byte("hang"), nil)
	var died *Died
	if !errors.As(err, &died) || died.Reason != TimeOut {
		t.Errorf("%v, want a death by time", err)
	}
}

// TestCancel ends at once when the caller gives up, and says that it was the caller.
func TestCancel(t *testing.T) {
	p := pool(t, Limits{})
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan struct{})
	var once sync.Once
	go func() {
		<-started
		cancel()
	}()
	_, err := p.Run(ctx, []byte("hang"), func(string) { once.Do(func() { close(started) }) })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestFlood(t *testing.T) {
	p := pool(t, Limits{Reply: 1 << 20})
	if reply, err := p.Run(context.Background(), []byte("flood"), nil); err == nil {
		t.Errorf("an answer of %d bytes came through a limit of 1 MB", len(reply))
	}
	if reply, err := p.Run(context.Background(), []byte("shout"), nil); err != nil || string(reply) != "done" {
		t.Errorf("many notes: %q, %v", reply, err)
	}
}

// TestTogether runs many jobs at a time, some of which kill their child: none costs another its answer.
func TestTogether(t *testing.T) {
	p := pool(t, Limits{Memory: 512 << 20})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if i%3 == 0 {
				if _, err := p.Run(context.Background(), []byte("exit"), nil); err == nil {
					t.Error("exit: no error")
				}
				return
			}
			want := fmt.Sprintf("job %d", i)
			if reply, err := p.Run(context.Background(), []byte(want), nil); err != nil || string(reply) != "echo "+want {
				t.Errorf("%s: %q, %v", want, reply, err)
			}
		}()
	}
	wg.Wait()
}

// TestLarge asks that a large request finds no idle child beside its own, and that the pool serves on.
func TestLarge(t *testing.T) {
	const large = 1 << 16
	p := NewPool(Limits{Large: large})
	defer p.Close()
	var kept []*child
	for range 3 {
		c, err := p.get()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	p.idle = kept
	if _, err := p.Run(context.Background(), bytes.Repeat([]byte("x"), large), nil); err != nil {
		t.Fatal(err)
	}
	if len(p.idle) != 1 {
		t.Errorf("%d children are kept after a large request, want its own", len(p.idle))
	}
	if _, err := p.Run(context.Background(), []byte("pid"), nil); err != nil {
		t.Error(err)
	}
}
