package behavior

import (
	"os"
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
)

func published(t *testing.T) *Edition {
	t.Helper()
	fsys := os.DirFS("../../knowledge")
	base, err := Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	e, err := LoadEdition(fsys, base)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPublishedCounts proves that the edition is the authors': 12 types, 40 subtypes, 44 sequences as their page shares them out.
func TestPublishedCounts(t *testing.T) {
	e := published(t)
	if len(e.Types) != 12 || e.Subtypes() != 40 || len(e.Sequences) != 44 {
		t.Errorf("%d types, %d subtypes, %d sequences", len(e.Types), e.Subtypes(), len(e.Sequences))
	}
	n := map[string]int{}
	for _, s := range e.Sequences {
		n[s.Category]++
	}
	for c, want := range map[string]int{"M1": 22, "M2": 14, "M3": 3, "M4": 4, "M5": 1} {
		if n[c] != want {
			t.Errorf("%s: %d sequences, want %d", c, n[c], want)
		}
	}
}

// TestPublishedNames asks that nearly every API of the authors is one that a trace can hold.
func TestPublishedNames(t *testing.T) {
	e := published(t)
	var missing []string
	for name := range e.byAPI {
		if e.base.API(name) == nil {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing)*5 > len(e.byAPI) {
		t.Errorf("%d of %d names lead nowhere: %v", len(missing), len(e.byAPI), missing)
	}
}

func text(s string) callseq.Value { return callseq.Value{Kind: callseq.String, Text: s} }

func TestPublishedMatch(t *testing.T) {
	e := published(t)
	call := func(id callseq.ID, api string, phase callseq.Phase, args ...callseq.Value) callseq.Call {
		return callseq.Call{ID: id, Kind: callseq.KindCall, API: api, Phase: phase, Args: args}
	}
	for _, c := range []struct {
		name  string
		calls []callseq.Call
		want  string // category, empty for none
	}{
		{"collect, then send", []callseq.Call{call(1, "os.hostname", callseq.PhaseInstall), call(2, "https.request", callseq.PhaseInstall)}, "M1"},
		{"the same in a function that a user calls", []callseq.Call{call(1, "os.hostname", callseq.PhaseCall), call(2, "https.request", callseq.PhaseCall)}, ""},
		{"one half only", []callseq.Call{call(1, "os.hostname", callseq.PhaseInstall)}, ""},
		{"a sensitive file deleted", []callseq.Call{call(1, "fs.unlink", callseq.PhaseInstall, text("/etc/passwd"))}, "M2"},
		{"an ordinary file deleted", []callseq.Call{call(1, "fs.unlink", callseq.PhaseInstall, text("/tmp/x"))}, ""},
		{"a shell and a socket", []callseq.Call{call(1, "child_process.spawn", callseq.PhaseInstall, text("/bin/sh")), call(2, "net.connect", callseq.PhaseInstall)}, "M4"},
	} {
		var cats []string
		for _, f := range e.Match(&callseq.Trace{Calls: c.calls}) {
			if len(f.Evidence) == 0 {
				t.Errorf("%s: %s without evidence", c.name, f.ID)
			}
			cats = append(cats, f.Category)
		}
		if c.want == "" && len(cats) > 0 || c.want != "" && !slices.Contains(cats, c.want) {
			t.Errorf("%s: %v, want %q", c.name, cats, c.want)
		}
	}
}

func TestMatchesPublished(t *testing.T) {
	for _, c := range []struct {
		path, pattern string
		want          bool
	}{
		{"/etc/passwd", "/etc/passwd", true}, {"/etc/passwd2", "/etc/passwd", false}, {"/sbin/init", "/sbin/", true}, {"/sbinx", "/sbin/", false},
		{"/etc/cron.d/x", "/etc/cron*", true}, {"/etc/os-release", "/etc/*-release", true}, {"/etc/release", "/etc/*-release", false}, {"~/.ssh/id_rsa", "~/.ssh/id_rsa", true},
		{"/etc/cron.d/x", "/etc/cron*/", true}, {"/etc/cron", "/etc/cron*/", false},
	} {
		if got := matchesPublished(c.path, c.pattern); got != c.want {
			t.Errorf("%s against %s: %v", c.path, c.pattern, got)
		}
	}
}
