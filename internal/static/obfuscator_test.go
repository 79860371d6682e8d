package static_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/npm/npmtest"
)

// TestObfuscator obfuscates every program below testdata/programs with eight presets of javascript-obfuscator and three seeds, and
// asks that each call of the plain program, with its known arguments, is recovered. Node only runs the obfuscator; the programs are
// read by the evaluator alone. DONAPI_REQUIRE_NPM turns the skip for want of npm into a failure.
func TestObfuscator(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	dir := npmtest.Install(t, "testdata/obfuscator/package.json")
	script, _ := filepath.Abs("testdata/obfuscator/obfuscate.js")
	programs, _ := filepath.Abs("testdata/programs")
	cmd := exec.Command("node", script, programs, "1", "42", "7777")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("obfuscate.js: %v\n%s", err, stderr.String())
	}
	plain := map[string][]string{}
	for _, p := range glob(t, "testdata/programs/*.js") {
		src, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		calls := known(evaluate(t, string(src)).Trace)
		if len(calls) == 0 {
			t.Fatalf("%s: no call in the plain program", p)
		}
		plain[filepath.Base(p)] = calls
	}
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 16<<20)
	n := 0
	for sc.Scan() {
		var v struct {
			Program, Preset, Code string
			Seed                  int
		}
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		n++
		t.Run(fmt.Sprintf("%s/%s/%d", v.Program, v.Preset, v.Seed), func(t *testing.T) {
			got := known(evaluate(t, v.Code).Trace)
			for _, c := range plain[v.Program] {
				if !slices.Contains(got, c) {
					t.Errorf("not recovered: %s\ngot:\n  %s", c, strings.Join(got, "\n  "))
				}
			}
		})
	}
	if want := len(plain) * 8 * 3; n != want {
		t.Errorf("%d variants, want %d", n, want)
	}
}

// known lists the calls of a trace with what is known of their arguments. What obfuscators add themselves is not asked for: the
// caller looks for the plain program's calls only.
func known(tr *callseq.Trace) []string {
	var out []string
	for i := range tr.Calls {
		c := &tr.Calls[i]
		if c.Phase == callseq.PhaseUnused || c.Kind == callseq.KindSource {
			continue
		}
		args := make([]string, len(c.Args))
		for i := range c.Args {
			args[i] = shape(&c.Args[i])
		}
		out = append(out, fmt.Sprintf("%s %s(%s)", c.Kind, c.API, strings.Join(args, ", ")))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// shape writes a value without what obfuscation may change: names of functions, and where unknown parts came from.
func shape(v *callseq.Value) string {
	switch {
	case v.Kind == callseq.Func:
		return "function"
	case len(v.Parts) > 0:
		return fmt.Sprintf("%q", v.Pattern("*"))
	case len(v.Fields) > 0:
		var fs []string
		for i := range v.Fields {
			fs = append(fs, v.Fields[i].Name+": "+shape(&v.Fields[i].Value))
		}
		slices.Sort(fs)
		return "{" + strings.Join(fs, ", ") + "}"
	case v.Text != "":
		return fmt.Sprintf("%q", v.Text)
	}
	return string(v.Kind)
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: nothing there (%v)", pattern, err)
	}
	return list
}
