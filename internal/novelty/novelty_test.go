package novelty

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/knowledge"
)

func base(t testing.TB) *behavior.Base {
	t.Helper()
	b, err := behavior.Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// trace makes calls at install, each taking the results of the calls that follow its name, as "fs.readFileSync" or "https.get 1 2".
func trace(calls ...string) *callseq.Trace {
	t := &callseq.Trace{Layers: []callseq.Layer{{Parent: -1, File: "index.js"}}}
	for i, c := range calls {
		f := strings.Fields(c)
		x := callseq.Call{ID: callseq.ID(i + 1), Kind: callseq.KindCall, API: f[0], Phase: callseq.PhaseInstall, Entry: "scripts.postinstall", Pos: callseq.Pos{Line: i + 1}}
		v := callseq.Value{Kind: callseq.String, Text: "https://collector.example/x"}
		for _, from := range f[1:] {
			var id callseq.ID
			fmt.Sscan(from, &id)
			v.Flows = append(v.Flows, callseq.Flow{From: id, Via: callseq.Copy})
		}
		x.Args = []callseq.Value{v}
		t.Calls = append(t.Calls, x)
	}
	return t
}

func TestOf(t *testing.T) {
	b := base(t)
	r := Of(b, trace("os.hostname", "os.hostname", "node:os.userInfo", "nothing.known", "https.get 1"), "x@1.0.0", "")
	want := Record{Sample: "x@1.0.0", APIs: []string{"https.get", "os.hostname", "os.userInfo"},
		Sequences: []string{"os.hostname > os.userInfo", "os.hostname > os.userInfo > https.get", "os.userInfo > https.get"}}
	if diff := cmp.Diff(want.APIs, r.APIs); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want.Sequences, r.Sequences); diff != "" {
		t.Errorf("sequences (-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(r.Chains, "\n"), "SYSTEM_MESSAGE_OS_HOSTNAME => NETWORK_OUT") {
		t.Errorf("chains %v", r.Chains)
	}
}

func TestNovel(t *testing.T) {
	var k Known
	k.Add(Record{APIs: []string{"a", "b", "c"}, Sequences: []string{"a > b", "b > c", "a > b > c"}})
	for _, c := range []struct {
		name      string
		of        Record
		apis, seq []string
	}{
		{"all known", Record{APIs: []string{"a"}, Sequences: []string{"a > b"}}, []string{}, []string{}},
		{"a new order", Record{APIs: []string{"a", "b", "c"}, Sequences: []string{"b > a", "b > a > b", "a > b"}}, []string{}, []string{"b > a"}},
		{"known pairs in a new row", Record{APIs: []string{"a", "b", "c"}, Sequences: []string{"a > b", "b > c", "b > c > a > b", "a > b > c"}}, []string{}, []string{"b > c > a > b"}},
		{"a new call", Record{APIs: []string{"d"}, Sequences: []string{"a > d", "a > b > d"}}, []string{"d"}, []string{}},
	} {
		n := k.Of(c.of)
		if diff := cmp.Diff([][]string{c.apis, c.seq}, [][]string{n.APIs, n.Sequences}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	if n := new(Known).Of(Record{APIs: []string{"a"}}); len(n.APIs) != 1 {
		t.Error("nothing is known to an empty store")
	}
}

func TestRead(t *testing.T) {
	var b bytes.Buffer
	for _, r := range []Record{{Sample: "old", Date: "2025-01-01"}, {Sample: "new", Date: "2026-01-01"}, {Sample: "always"}} {
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	for asOf, want := range map[string]string{"": "old new always", "2025-06-01": "old always", "2020-01-01": "always"} {
		var got []string
		if err := Read(bytes.NewReader(b.Bytes()), asOf, func(r Record) { got = append(got, r.Sample) }); err != nil {
			t.Fatal(err)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("as of %q: %v, want %s", asOf, got, want)
		}
	}
	for _, bad := range []string{"{", `{"date":"soon"}`, `[]`} {
		if err := Read(strings.NewReader("\n"+bad), "", func(Record) {}); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: error %v, want one with its line", bad, err)
		}
	}
}

func cases(b *behavior.Base, traces ...*callseq.Trace) []Case {
	var out []Case
	for i, t := range traces {
		out = append(out, Case{Of(b, t, fmt.Sprintf("s%d", i), ""), t})
	}
	return out
}

// TestLearn: what is proposed loads and is shown by the samples; ordinary flows are passed over where a telling one is shared.
func TestLearn(t *testing.T) {
	b := base(t)
	stealing := cases(b, trace("os.hostname", "https.get 1", "fs.readFileSync", "eval 3"), trace("os.platform", "os.hostname", "https.get 1 2"))
	p, err := Learn(b, stealing, &Known{}, 2, "M1/x")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Matches) != 2 || p.Known || !strings.Contains(strings.Join(p.Steps, " "), "HOSTNAME =>") {
		t.Errorf("%+v\n%s", p, p.YAML)
	}
	if _, err := b.Only("behaviors/M1/x.yaml", p.YAML); err != nil {
		t.Error(err)
	}
	// What ordinary packages do too is proposed only when nothing else is shared.
	var ordinary Known
	ordinary.Add(Of(b, trace("os.hostname", "https.get 1"), "", ""))
	p, err = Learn(b, stealing, &ordinary, 2, "M1/x")
	if err != nil || !p.Known {
		t.Errorf("%+v, %v; want one that is known", p, err)
	}
	// Without a flow in common, the order of calls.
	p, err = Learn(b, cases(b, trace("os.hostname", "fs.unlinkSync", "https.get"), trace("fs.readFileSync", "os.hostname", "fs.unlinkSync")), &Known{}, 2, "M9/y")
	if err != nil || strings.Join(p.Steps, " ") != "os.hostname -> fs.unlinkSync" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Learn(b, cases(b, trace("os.hostname"), trace("fs.unlinkSync")), &Known{}, 2, "M9/y"); err != ErrNothingCommon {
		t.Errorf("error %v of samples without anything in common", err)
	}
	if _, err := Learn(b, nil, &Known{}, 0, "M9/y"); err != ErrNothingCommon {
		t.Errorf("error %v of no samples", err)
	}
	for range 5 {
		q, err := Learn(b, stealing, &Known{}, 2, "M1/x")
		if err != nil || cmp.Diff(p.Matches, q.Matches) != "" {
			t.Errorf("differs: %+v %v", q, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"sample":"a","date":"2026-01-02","apis":["x"],"sequences":["a > b"],"chains":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var k Known
		Read(bytes.NewReader(data), "2026-06-01", func(r Record) {
			k.Add(r)
			if n := k.Of(r); len(n.APIs)+len(n.Sequences) > 0 {
				t.Errorf("new to what was just added: %+v", n)
			}
		})
	})
}
