package knowledge

import (
	"io/fs"
	"testing"
)

func TestFSHoldsTheData(t *testing.T) {
	for _, f := range []string{"paths.yaml", "hosts.yaml", "env.yaml", "apis/fs.txt"} {
		if _, err := fs.Stat(FS(), f); err != nil {
			t.Error(err)
		}
	}
}

func TestDigest(t *testing.T) {
	d := Digest(FS())
	if len(d) != 16 || d != Digest(FS()) {
		t.Errorf("digest is %q, then %q", d, Digest(FS()))
	}
}

func BenchmarkDigest(b *testing.B) {
	for b.Loop() {
		Digest(FS())
	}
}
