package record

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

func line(s string) sandbox.Event {
	return sandbox.Event{Source: sandbox.SourceNode, Kind: sandbox.KindLine, Data: []byte(s)}
}

func TestEventsEndAtTheLimit(t *testing.T) {
	var got []sandbox.Event
	r := New(sandbox.Limits{Events: 2}, func(e sandbox.Event) { got = append(got, e) })
	r.Emit(sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindBegan})
	for range 5 {
		r.Emit(line("x"))
	}
	select {
	case <-r.Over():
	default:
		t.Error("the box would not be ended")
	}
	res := &sandbox.Result{Reason: sandbox.ReasonEvents, Exit: 137}
	r.Finish(res)
	var kinds []string
	for i, e := range got {
		kinds = append(kinds, string(e.Kind))
		if i > 0 && e.At < got[i-1].At {
			t.Errorf("%v after %v", e.At, got[i-1].At)
		}
	}
	if s := strings.Join(kinds, " "); s != "began line line limit dropped ended" {
		t.Error(s)
	}
	if res.Usage.Events != 5 || !res.Reached(sandbox.LimitEvents) || got[4].Status != 3 {
		t.Errorf("%+v, %+v", res, got)
	}
}

func TestLimitsAreToldOnce(t *testing.T) {
	n := 0
	r := New(sandbox.Limits{}, func(sandbox.Event) { n++ })
	for range 3 {
		r.Reach(sandbox.LimitDisk)
		r.Reach(sandbox.LimitWall)
	}
	var res sandbox.Result
	r.Finish(&res)
	if n != 3 || len(res.Limits) != 2 {
		t.Errorf("%d events, %v", n, res.Limits)
	}
}

func TestOutputKeepsTheHead(t *testing.T) {
	r := New(sandbox.Limits{Output: 10}, nil)
	if got := r.Output(strings.NewReader("0123456789")); string(got) != "0123456789" {
		t.Errorf("%q", got)
	}
	var res sandbox.Result
	if r.Finish(&res); len(res.Limits) > 0 {
		t.Errorf("%v", res.Limits)
	}
	r = New(sandbox.Limits{Output: 10}, nil)
	if got := r.Output(bytes.NewReader(make([]byte, 1<<20))); len(got) != 10 {
		t.Errorf("%d bytes", len(got))
	}
	if r.Finish(&res); res.Usage.Output != 1<<20 || !res.Reached(sandbox.LimitOutput) {
		t.Errorf("%+v", res)
	}
}

// FuzzLines asks that every byte that the box wrote arrives once, in order, in pieces that are not too long.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\n\x00\nlast"))
	f.Add(bytes.Repeat([]byte("x"), 3*longest+1))
	f.Fuzz(func(t *testing.T, b []byte) {
		var got []byte
		r := New(sandbox.Limits{Wall: time.Hour}, func(e sandbox.Event) {
			if len(e.Data) > longest {
				t.Fatalf("%d bytes at once", len(e.Data))
			}
			got = append(got, e.Data...)
			if !e.Cut {
				got = append(got, '\n')
			}
		})
		r.Lines(bytes.NewReader(b))
		want := b
		if len(want) > 0 && want[len(want)-1] != '\n' && !(len(want) >= longest && bytes.Count(want[len(want)-longest:], []byte("\n")) == 0) {
			want = append(bytes.Clone(want), '\n')
		}
		if !bytes.Equal(bytes.TrimSuffix(got, []byte("\n")), bytes.TrimSuffix(want, []byte("\n"))) {
			t.Errorf("%q became %q", b, got)
		}
	})
}
