//go:build linux && (amd64 || arm64)

package syscalls

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/sandbox"
)

// made is a process out of the bytes of a fuzzer: its memory begins at base, and links lead where link says.
type made struct {
	mem   []byte
	base  uint64
	link  string
	step  int // bytes that one read gives at most
	reads int
}

func (m *made) read(b []byte, addr uint64) (int, error) {
	m.reads++
	if addr < m.base || addr-m.base >= uint64(len(m.mem)) {
		return 0, errFault
	}
	return copy(b[:min(len(b), m.step)], m.mem[addr-m.base:]), nil
}

func (m *made) readlink(name string) (string, error) {
	if m.link == "" {
		return "", errNoFile
	}
	return m.link, nil
}

func (m *made) numbers() (pid, tid int) { return 5, 6 }
func (m *made) target(int32) int        { return 7 }
func (m *made) parent() int             { return 1 }
func (m *made) err() error              { return nil }

func FuzzDecode(f *testing.F) {
	mem := append(binary.NativeEndian.AppendUint64(nil, 0x1010), make([]byte, 8)...)
	mem = append(mem, "/bin/sh\x00-c\x00"...)
	f.Add(mem, uint64(0x1000), uint64(0x1010), uint64(0x1000), uint64(16), "/work", uint8(8))
	f.Add([]byte{2, 0, 0, 80, 127, 0, 0, 1}, uint64(4096), uint64(4096), uint64(8), uint64(3), "", uint8(1))
	f.Add([]byte("../x\x00"), uint64(0), uint64(1<<64-1), uint64(0), uint64(2), "/memfd:x (deleted)", uint8(200))
	f.Fuzz(func(t *testing.T, mem []byte, base, a, b, c uint64, link string, step uint8) {
		s := &supervisor{table: map[uint32]*call{}}
		for i := range calls {
			s.table[calls[i].nr] = &calls[i]
		}
		for _, k := range calls {
			p := &made{mem: mem, base: base, link: link, step: int(step) + 64}
			r := &request{nr: int32(k.nr), arch: auditArch, args: args{a, b, c, a, b, c}}
			events, _ := s.decide(r, p)
			if len(events) > maxMessages {
				t.Errorf("%s: %d events", k.name, len(events))
			}
			for _, e := range events {
				n := 0
				for _, arg := range e.Args {
					n += len(arg)
				}
				if n > maxArgBytes || len(e.Args) > maxArgs || len(e.Path) > 2*maxPath+2*len(link) || e.Kind == "" || e.Source != sandbox.SourceKernel {
					t.Errorf("%s: %d arguments, %d bytes, path %d, kind %q", k.name, len(e.Args), n, len(e.Path), e.Kind)
				}
			}
			if limit := 2*maxArgBytes + 4*maxPath*maxMessages + 3*maxArgs; p.reads > limit {
				t.Errorf("%s: %d reads", k.name, p.reads)
			}
		}
	})
}

// TestKeptArguments runs programs with large arguments until the box may keep no more of them.
func TestKeptArguments(t *testing.T) {
	s := &supervisor{}
	e := sandbox.Event{Kind: sandbox.KindExec, Args: []string{"sh", strings.Repeat("x", 100<<10), "end"}}
	var last sandbox.Event
	for range keptArgs / (100 << 10) * 2 {
		last = e
		s.shorten(&last)
	}
	if len(last.Args) != 1 || !last.Cut {
		t.Errorf("the last event keeps %d arguments, cut %v", len(last.Args), last.Cut)
	}
}

func TestResolve(t *testing.T) {
	for _, c := range []struct{ link, path, want string }{
		{"/work", "a", "/work/a"},
		{"/work", "../a", "/a"},
		{"/work", "", "/work"},
		{"/work", "/a//b/../c", "/a/c"},
		{"/x", "/proc/self/fd/3", "/x"},
		{"/x", "/proc/5/fd/3/y", "/x/y"},
		{"/x", "/proc/self/task/6/cwd/y", "/x/y"},
		{"/x", "/proc/thread-self/exe", "/x"},
		{"/x", "/proc/77/fd/3", "/proc/77/fd/3"},
		{"/x", "/dev/fd/3", "/x"},
		{"/x", "/proc/self/maps", "/proc/self/maps"},
		{"/x", "/proc/self", "/proc/self"},
		{"pipe:[1]", "/proc/self/fd/3", "/proc/self/fd/3"},
	} {
		got, err := resolve(&made{link: c.link, step: 1}, -100, c.path)
		if err != nil || got != c.want {
			t.Errorf("%s: %s (%v), want %s", c.path, got, err, c.want)
		}
	}
}

func TestFormatAddress(t *testing.T) {
	for want, b := range map[string]string{
		"127.0.0.1:80":      "\x02\x00\x00\x50\x7f\x00\x00\x01",
		"[2001:db8::1]:443": "\x0a\x00\x01\xbb\x00\x00\x00\x00\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
		"10.0.0.1:443":      "\x0a\x00\x01\xbb\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x01",
		"unix:/run/x":       "\x01\x00/run/x\x00rest",
		"unix:@name@with":   "\x01\x00\x00name\x00with",
		"":                  "\x10\x00\x00\x00",
	} {
		if got := formatAddress([]byte(b)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if s := formatAddress([]byte{2, 0, 0}); s != "" {
		t.Error(s)
	}
}
