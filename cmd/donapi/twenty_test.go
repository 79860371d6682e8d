package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/report"
)

// BenchmarkTwenty scans the tarballs in the folder DONAPI_TWENTY with the real program: confined, default budgets, no cache. It gives
// the CPU seconds of all its processes together and the peak memory of the sum of them, in the run that also gives the verdicts, and
// fails if a verdict is not clear. make bench-twenty fetches the packages and runs it.
func BenchmarkTwenty(b *testing.B) {
	dir := os.Getenv("DONAPI_TWENTY")
	if dir == "" {
		b.Skip("skipped: DONAPI_TWENTY names no folder of tarballs")
	}
	tarballs, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(tarballs) == 0 {
		b.Fatalf("%s: no tarballs (%v)", dir, err)
	}
	bin := filepath.Join(b.TempDir(), "donapi")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	var cpu time.Duration
	var peak int64
	runs := 0
	for b.Loop() {
		cmd := exec.Command(bin, append([]string{"scan", "--quiet", "--cache=false", "--format", "json"}, tarballs...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		stop := make(chan struct{})
		watched := make(chan int64)
		go func() { watched <- watchMemory(cmd.Process.Pid, stop) }()
		err := cmd.Wait()
		close(stop)
		peak = max(peak, <-watched)
		if err != nil {
			b.Fatalf("donapi scan: %v", err)
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		runs++
		for dec := json.NewDecoder(&out); dec.More(); {
			var v report.Verdict
			if err := dec.Decode(&v); err != nil {
				b.Fatal(err)
			}
			if v.Level != report.Clear {
				b.Errorf("%s: %s: %s", v.Target, v.Level, v.Why)
			}
		}
	}
	b.ReportMetric(cpu.Seconds()/float64(runs), "cpu-s/op")
	if runtime.GOOS == "linux" {
		b.ReportMetric(float64(peak)/1e6, "peak-MB")
	}
}
