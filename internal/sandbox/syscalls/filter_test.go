//go:build linux && (amd64 || arm64)

package syscalls

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// run interprets the filter for a call.
func run(t *testing.T, vm *bpf.VM, arch, nr uint32, a args) uint32 {
	// The interpreter reads big-endian words, the kernel those of the machine: low halves come first here all the same.
	b := binary.BigEndian.AppendUint32(nil, nr)
	b = binary.BigEndian.AppendUint32(b, arch)
	b = binary.BigEndian.AppendUint64(b, 0)
	for _, v := range a {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
		b = binary.BigEndian.AppendUint32(b, uint32(v>>32))
	}
	n, err := vm.Run(b)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

// should is what the table says of a call.
func should(o Options, arch, nr uint32, a args) uint32 {
	if arch != auditArch {
		return unix.SECCOMP_RET_USER_NOTIF
	}
	if nr > lastCall {
		if nr&x32Bit != 0 {
			return unix.SECCOMP_RET_USER_NOTIF
		}
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	for _, c := range calls {
		if c.nr != nr || c.do == watchedOpens && !o.Opens || !holds(c.when, a) {
			continue
		}
		if c.do == refused {
			return unix.SECCOMP_RET_ERRNO | uint32(c.errno)
		}
		return unix.SECCOMP_RET_USER_NOTIF
	}
	return unix.SECCOMP_RET_ALLOW
}

func holds(alternatives [][]test, a args) bool {
	return alternatives == nil || slices.ContainsFunc(alternatives, func(all []test) bool {
		return !slices.ContainsFunc(all, func(t test) bool {
			v := uint32(a[t.arg])
			if t.mask != 0 {
				v &= t.mask
			}
			switch t.op {
			case oneOf:
				return !slices.Contains(t.vals, v)
			case noneOf:
				return slices.Contains(t.vals, v)
			case anyBit:
				return v&t.vals[0] == 0
			default:
				return a[t.arg] == 0
			}
		})
	})
}

func machines(t testing.TB) map[Options]*bpf.VM {
	out := map[Options]*bpf.VM{}
	for _, o := range []Options{{}, {Opens: true}} {
		p, err := program(o)
		if err != nil {
			t.Fatal(err)
		}
		if len(p) > 4096 {
			t.Errorf("%d instructions, more than the kernel takes", len(p))
		}
		if out[o], err = bpf.NewVM(p); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestFilter asks the filter about every call, with arguments at the edges of every test of the table.
func TestFilter(t *testing.T) {
	edges := []uint64{0, 1, 1 << 32, math.MaxUint64}
	for _, c := range calls {
		for _, all := range c.when {
			for _, test := range all {
				for _, v := range test.vals {
					edges = append(edges, uint64(v), uint64(v)|1<<32, uint64(v)+1, uint64(v)|0x80000)
				}
			}
		}
	}
	for o, vm := range machines(t) {
		for nr := uint32(0); nr < lastCall+20; nr++ {
			for _, v := range edges {
				for _, w := range []uint64{0, 2, 3, 12} {
					a := args{v, v | w, w, 0, v, 0}
					if got, want := run(t, vm, auditArch, nr, a), should(o, auditArch, nr, a); got != want {
						t.Fatalf("call %d %x: %x, should be %x", nr, a, got, want)
					}
				}
			}
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(uint32(auditArch), uint32(unix.SYS_SOCKET), uint64(2), uint64(3), uint64(0), true)
	f.Add(uint32(0), uint32(0xffffffff), uint64(0), uint64(0), uint64(0), false)
	vms := machines(f)
	f.Fuzz(func(t *testing.T, arch, nr uint32, a, b, c uint64, opens bool) {
		v := args{a, b, c, a, b, c}
		o := Options{Opens: opens}
		if got, want := run(t, vms[o], arch, nr, v), should(o, arch, nr, v); got != want {
			t.Fatalf("call %d %x: %x, should be %x", nr, v, got, want)
		}
	})
}

// TestTable asks that no call is in the table twice, and that each can be decoded that has to be.
func TestTable(t *testing.T) {
	seen := map[uint32]string{}
	for _, c := range calls {
		if seen[c.nr] != "" {
			t.Errorf("%s and %s have one number", seen[c.nr], c.name)
		}
		seen[c.nr] = c.name
		if c.nr > lastCall {
			t.Errorf("%s is beyond the last call", c.name)
		}
		if c.do >= watched && c.decode == nil || c.do <= reported && c.errno == 0 {
			t.Errorf("%s is incomplete", c.name)
		}
	}
}

// TestArchitectures builds the package and its tests for the other architecture, which has a number for each name or fails.
func TestArchitectures(t *testing.T) {
	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	cmd := exec.Command("go", "vet", ".")
	cmd.Env = append(os.Environ(), "GOARCH="+other, "GOOS=linux", "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", other, err, b)
	}
}
