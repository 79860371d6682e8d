//go:build linux && (amd64 || arm64)

package namespaces

import (
	"testing"
)

func TestParseStat(t *testing.T) {
	const line = "17 (a ) 1 (b\n) S 1 17 17 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 11 0 5000 99999744 1234 18446744073709551615"
	s, ok := parseStat([]byte(line))
	if !ok || s.state != 'S' || s.parent != 1 || s.threads != 11 || s.resident == 0 {
		t.Errorf("%+v, %v", s, ok)
	}
	for _, bad := range []string{"", ")", "1 (x) S 1", "1 (x) SS 1 17 17 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 11 0 5000 99999744 1234"} {
		if s, ok := parseStat([]byte(bad)); ok {
			t.Errorf("%q: %+v", bad, s)
		}
	}
}

func TestKilobytes(t *testing.T) {
	const text = "Rss:   100 kB\nPss:  7 kB\nPss_Dirty: 5 kB\nSwapTotal:  -3 kB\nVmSwap:\n"
	for key, want := range map[string]int64{"Rss:": 100, "Pss:": 7, "SwapTotal:": 0, "VmSwap:": 0, "ss:": 0, "None:": 0} {
		if got := kilobytes([]byte(text), key); got != want {
			t.Errorf("%s %d, want %d", key, got, want)
		}
	}
}

// Programs choose their own names, which stand in the middle of what is parsed.
func FuzzParseStat(f *testing.F) {
	f.Add([]byte("17 (node) S 1 17 17 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 11 0 5000 99999744 1234 18446744073709551615"))
	f.Add([]byte("1 () )"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := parseStat(b)
		if ok && (s.threads < 0 || s.resident < 0 || s.parent < 0) {
			t.Errorf("%+v", s)
		}
		if n := kilobytes(b, "Pss:"); n < 0 {
			t.Errorf("%d", n)
		}
	})
}
