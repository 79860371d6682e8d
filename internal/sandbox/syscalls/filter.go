//go:build linux && (amd64 || arm64)

package syscalls

import (
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// test asks something of the low half of an argument. Flags and numbers of the kernel are ints, whose upper half it ignores too, so a
// test that looked there could be led past.
type test struct {
	arg  int
	mask uint32 // zero: all bits
	op   op
	vals []uint32
}

type op uint8

const (
	oneOf   op = iota // the value is one of vals
	noneOf            // the value is none of vals
	anyBit            // the value has a bit of vals[0]
	nonZero           // the whole argument is not zero, both halves: a pointer
)

// program is the filter: the architecture, then calls one by one, then everything else passes. Since Linux 5.11 the kernel remembers
// which calls pass whatever their arguments, and does not run the filter for them.
func program(o Options) ([]bpf.Instruction, error) {
	watch := bpf.RetConstant{Val: unix.SECCOMP_RET_USER_NOTIF}
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		watch, // calls by the numbers of another architecture (int 0x80) are refused by the supervisor
		bpf.LoadAbsolute{Off: offNumber, Size: 4},
		// Numbers of x32 have a high bit and are watched, to be refused; others beyond the last known are of newer kernels.
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: lastCall, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: x32Bit, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		watch,
	}
	for _, c := range calls {
		if c.do == watchedOpens && !o.Opens {
			continue
		}
		ret := bpf.Instruction(watch)
		if c.do == refused {
			ret = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(c.errno)}
		}
		block := conditions(c.when, ret)
		if len(block) > 255 {
			return nil, fmt.Errorf("seccomp filter: conditions of %s are too long", c.name)
		}
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: c.nr, SkipFalse: uint8(len(block))})
		p = append(p, block...)
	}
	return append(p, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}), nil
}

// conditions returns instructions that end in ret when one of the alternatives holds, all of its tests at once, and let the call pass
// otherwise. Without alternatives ret is what happens always.
func conditions(alternatives [][]test, ret bpf.Instruction) []bpf.Instruction {
	if alternatives == nil {
		return []bpf.Instruction{ret}
	}
	var out []bpf.Instruction
	for _, all := range alternatives {
		var tests [][]bpf.Instruction
		rest := 1 // instructions up to where the next alternative begins: ret, and the tests that follow
		for i := len(all) - 1; i >= 0; i-- {
			t := all[i].compile(rest)
			tests = append([][]bpf.Instruction{t}, tests...)
			rest += len(t)
		}
		for _, t := range tests {
			out = append(out, t...)
		}
		out = append(out, ret)
	}
	return append(out, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
}

// compile returns instructions that go on behind their end when the test holds, and skip the following rest of instructions otherwise.
func (t test) compile(rest int) []bpf.Instruction {
	low := bpf.LoadAbsolute{Off: uint32(offArgs + 8*t.arg), Size: 4}
	out := []bpf.Instruction{low}
	if t.mask != 0 {
		out = append(out, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: t.mask})
	}
	n := len(t.vals)
	switch t.op {
	case oneOf:
		for i, v := range t.vals {
			j := bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(n - 1 - i)}
			if i == n-1 {
				j.SkipFalse = uint8(rest)
			}
			out = append(out, j)
		}
	case noneOf:
		for i, v := range t.vals {
			out = append(out, bpf.JumpIf{Cond: bpf.JumpEqual, Val: v, SkipTrue: uint8(n - 1 - i + rest)})
		}
	case anyBit:
		out = append(out, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: t.vals[0], SkipFalse: uint8(rest)})
	case nonZero:
		out = append(out,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 2},
			bpf.LoadAbsolute{Off: low.Off + 4, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: uint8(rest)})
	}
	return out
}
