//go:build linux && (amd64 || arm64)

package strong

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// BenchmarkBox measures what a box costs from end to end: with a program that does nothing, and with Node.
func BenchmarkBox(b *testing.B) {
	box := requireTier(b)
	run := func(b *testing.B, spec sandbox.Spec) {
		var took []time.Duration
		for b.Loop() {
			began := time.Now()
			if r, err := box.Run(b.Context(), spec); err != nil || r.Exit != 0 {
				b.Fatal(err, r)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2].Seconds()*1000, "median-ms")
	}
	b.Run("True", func(b *testing.B) { run(b, sandbox.Spec{Argv: []string{"true"}}) })
	b.Run("Node", func(b *testing.B) {
		node, err := exec.LookPath("node")
		if err == nil {
			node, err = filepath.EvalSymlinks(node)
		}
		if err != nil {
			b.Skip("SKIPPED: there is no node on this machine")
		}
		spec := sandbox.Spec{Argv: []string{node, "-e", "0"}, Channel: "/run/channel"}
		if !strings.HasPrefix(node, "/usr/") {
			spec.Mounts = []sandbox.Mount{{Host: filepath.Dir(filepath.Dir(node)), Box: "/opt/node"}}
			spec.Argv[0] = "/opt/node/bin/node"
		}
		run(b, spec)
	})
}
