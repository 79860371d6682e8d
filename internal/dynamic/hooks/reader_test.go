package hooks

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/callseq"
)

func read(t *testing.T, lines ...string) ([]*Event, []Fault) {
	t.Helper()
	var r Reader
	var out []*Event
	for _, l := range lines {
		if e := r.Line([]byte(l)); e != nil {
			out = append(out, e)
		}
	}
	faults, _ := r.Faults()
	return out, faults
}

func TestReaderValues(t *testing.T) {
	got, faults := read(t, `{"p":7,"w":1,"n":1,"k":"call","t":5,"api":"x","id":1,"at":["/a.js",3,4],"a":["abc",1.5,true,null,{"u":1},{"s":"longer text","h":"00","n":99},{"b":"AP8="},`+
		`{"l":[1,{"f":1}]},{"o":[["k",{"x":"NaN"}]],"n":70,"i":3}]}`)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := &Event{Thread: Thread{7, 1}, Kind: LineCall, Number: 1, Micros: 5, API: "x", ID: 1, Site: Site{File: "/a.js", Line: 3, Col: 4}, Args: []Value{
		{Kind: callseq.String, Text: "abc"}, {Kind: callseq.Number, Text: "1.5"}, {Kind: callseq.Bool, Text: "true"}, {Kind: callseq.Null}, {Kind: callseq.Undefined},
		{Kind: callseq.String, Text: "longer text", Digest: "00", Len: 99}, {Kind: callseq.Bytes, Text: "\x00\xff"},
		{Kind: callseq.Array, Fields: []Field{{"0", Value{Kind: callseq.Number, Text: "1"}}, {"1", Value{Kind: callseq.Func}}}},
		{Kind: callseq.Object, Fields: []Field{{"k", Value{Kind: callseq.Unknown, Text: "NaN"}}}, More: true, Made: 3},
	}}
	if d := cmp.Diff(want, got[0]); d != "" {
		t.Error(d)
	}
}

func TestReaderFaults(t *testing.T) {
	call := func(n int) string { return fmt.Sprintf(`{"p":7,"w":0,"n":%d,"k":"call","api":"x"}`, n) }
	part := func(n int, s string, more bool) string {
		return fmt.Sprintf(`{"p":7,"w":0,"n":%d,"k":"part","s":%q,"more":%v}`, n, s, more)
	}
	deep := strings.Repeat(`{"l":[`, 20) + "1" + strings.Repeat("]}", 20)
	for _, c := range []struct {
		name   string
		lines  []string
		events int
		faults []FaultKind
	}{
		{"in order", []string{call(1), call(2)}, 2, nil},
		{"a line is missing", []string{call(1), call(3)}, 2, []FaultKind{FaultGap}},
		{"a line comes twice", []string{call(1), call(2), call(2), call(3)}, 4, []FaultKind{FaultRepeat}},
		{"a forged number runs ahead", []string{call(1), call(900), call(2), call(3)}, 4, []FaultKind{FaultGap, FaultRepeat}},
		{"a forged number falls behind", []string{call(1), call(2), call(3), call(2), call(4)}, 5, []FaultKind{FaultRepeat, FaultGap}},
		{"the number of a process is given again", []string{call(1), call(2), `{"p":7,"w":0,"n":1,"k":"start"}`, call(2)}, 4, nil},
		{"parts", []string{call(1), part(2, `{"k":"call",`, true), part(3, `"api":"y"}`, false), call(4)}, 3, nil},
		{"a part is missing", []string{part(1, `{"k":"call",`, true), part(3, `"api":"y"}`, false)}, 0, []FaultKind{FaultGap, FaultUnending, FaultMalformed}},
		{"parts without end", []string{part(1, `{"k":`, true)}, 0, []FaultKind{FaultUnending}},
		{"parts within parts", []string{part(1, `{"k":"part"}`, false)}, 0, []FaultKind{FaultMalformed}},
		{"no JSON", []string{"rubbish", ""}, 0, []FaultKind{FaultMalformed, FaultMalformed}},
		{"no process", []string{`{"w":0,"n":1,"k":"call"}`, `{"p":-1,"w":0,"n":1,"k":"call"}`}, 0, []FaultKind{FaultMalformed, FaultMalformed}},
		{"no such kind", []string{`{"p":7,"w":0,"n":1,"k":"surprise"}`}, 0, []FaultKind{FaultMalformed}},
		{"nested", []string{`{"p":7,"w":0,"n":1,"k":"call","a":[` + deep + `]}`}, 0, []FaultKind{FaultMalformed}},
		{"too long", []string{`{"p":7,"w":0,"n":1,"k":"call","api":"` + strings.Repeat("x", MaxLine) + `"}`}, 0, []FaultKind{FaultMalformed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, faults := read(t, c.lines...)
			var kinds []FaultKind
			for _, f := range faults {
				kinds = append(kinds, f.Kind)
			}
			if d := cmp.Diff(c.faults, kinds); d != "" || len(events) != c.events {
				t.Errorf("%d events, not %d; faults %s", len(events), c.events, d)
			}
		})
	}
}

func TestReaderBoundsThreadsAndEvents(t *testing.T) {
	var r Reader
	for i := range MaxThreads + 5 {
		r.Line(fmt.Appendf(nil, `{"p":%d,"w":0,"n":1,"k":"call"}`, i+1))
	}
	if faults, _ := r.Faults(); len(faults) != 5 || faults[0].Kind != FaultCrowd {
		t.Errorf("%d faults", len(faults))
	}
	var long Reader
	piece := strings.Repeat("x", 3000)
	for i := range MaxEvent/3000 + 2 {
		long.Line(fmt.Appendf(nil, `{"p":1,"w":0,"n":%d,"k":"part","s":%q,"more":true}`, i+1, piece))
	}
	if faults, _ := long.Faults(); len(faults) == 0 || faults[0].Kind != FaultUnending {
		t.Errorf("faults %v", faults)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(`{"p":7,"w":1,"n":1,"k":"call","t":5,"api":"x","id":1,"at":["/a.js",3,4],"a":["abc",{"s":"text","h":"00"},{"l":[1]},{"o":[["k",{"b":"AA=="}]]}]}`))
	f.Add([]byte("{\"p\":1,\"w\":0,\"n\":1,\"k\":\"part\",\"s\":\"{\\\"k\\\":\",\"more\":true}\n{\"p\":1,\"w\":0,\"n\":2,\"k\":\"part\",\"s\":\"\\\"end\\\"}\"}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Reader
		for l := range bytes.Lines(data) {
			if e := r.Line(l); e != nil && (e.PID <= 0 || e.Number <= 0) {
				t.Errorf("event of no process: %+v", e)
			}
		}
		r.Faults()
	})
}
