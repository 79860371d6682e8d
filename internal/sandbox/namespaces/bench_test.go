//go:build linux && (amd64 || arm64)

package namespaces

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// BenchmarkNode measures what a box costs beside bare Node: both run in turn, and the medians are compared, so that whatever else the
// machine does meets both. The metric x-bare is their ratio; it should be at most 6.
func BenchmarkNode(b *testing.B) {
	requireTier(b)
	node, err := exec.LookPath("node")
	if err != nil {
		b.Skip("SKIPPED: there is no node on this machine")
	}
	if node, err = filepath.EvalSymlinks(node); err != nil {
		b.Fatal(err)
	}
	box, err := newBox()
	if err != nil {
		b.Fatal(err)
	}
	for _, off := range []bool{false, true} {
		name := "Network"
		if off {
			name = "NetworkOff"
		}
		b.Run(name, func(b *testing.B) {
			spec := sandbox.Spec{Argv: []string{node, "-e", "0"}, Channel: "/run/channel", Network: sandbox.Network{Off: off}}
			if !strings.HasPrefix(node, "/usr/") {
				spec.Mounts = []sandbox.Mount{{Host: filepath.Dir(filepath.Dir(node)), Box: "/opt/node"}}
				spec.Argv[0] = "/opt/node/bin/node"
			}
			var bare, boxed []time.Duration
			for b.Loop() {
				began := time.Now()
				c := exec.Command(node, "-e", "0")
				c.Env = []string{"PATH=" + defaultPath}            // a variable of ours may make Node read certificates, which costs as much as all the rest
				c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as a box does: the kernel shares the processor between sessions
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				r, err := box.Run(context.Background(), spec)
				if err != nil || r.Exit != 0 {
					b.Fatal(err, r)
				}
				bare, boxed = append(bare, between.Sub(began)), append(boxed, time.Since(between))
			}
			b.ReportMetric(float64(median(boxed))/float64(median(bare)), "x-bare")
			b.ReportMetric(median(bare).Seconds()*1000, "bare-ms")
			b.ReportMetric(median(boxed).Seconds()*1000, "box-ms")
		})
	}
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}
