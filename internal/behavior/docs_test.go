package behavior

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

var update = flag.Bool("update", false, "rewrite docs/behaviors.md")

// TestDocs keeps docs/behaviors.md equal to the behaviours.
func TestDocs(t *testing.T) {
	base, err := Load(os.DirFS("../../knowledge"))
	if err != nil {
		t.Fatal(err)
	}
	const file = "../../docs/behaviors.md"
	want := document(base)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the knowledge base; run go test ./internal/behavior -update", file)
	}
}

var phases = []callseq.Phase{callseq.PhaseInstall, callseq.PhaseImport, callseq.PhaseBrowser, callseq.PhaseBin, callseq.PhaseCall, callseq.PhaseUnused}

func document(base *Base) string {
	var b strings.Builder
	b.WriteString("# Behaviours\n\nMade from `knowledge/behaviors` and checked by a test. A step lists behaviour types, of which one must hold; => means that the value of the\nstep before flows into it, -> that it can run after it. donapi explain ID prints one.\n")
	category := "\x00"
	for _, x := range base.Behaviors {
		if x.Category != category {
			category = x.Category
			title := category
			if title == "" {
				title = "Observations"
			}
			fmt.Fprintf(&b, "\n## %s\n", title)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s. %s\n\n", x.ID, upper(x.Title), strings.TrimSpace(x.Description))
		var grave []string
		for _, ph := range phases {
			if s := x.severity(ph); x.counts(ph) && s > report.Info {
				grave = append(grave, fmt.Sprintf("%s at %s", s, ph))
			}
		}
		fmt.Fprintf(&b, "- severity: %s\n", strings.Join(grave, ", "))
		for i := range x.Steps {
			s := &x.Steps[i]
			arrow := ""
			if i > 0 {
				arrow = "-> "
				if s.Arrow == "=>" {
					arrow = "=> "
				}
			}
			fmt.Fprintf(&b, "- %s%s\n", arrow, describe(s))
		}
		if len(x.References) > 0 {
			fmt.Fprintf(&b, "- references: %s\n", strings.Join(x.References, ", "))
		}
	}
	return b.String()
}

func describe(s *Step) string {
	var parts []string
	if len(s.Types) > 0 {
		parts = append(parts, strings.Join(s.Types, " or "))
	}
	if len(s.API) > 0 {
		parts = append(parts, "calls of "+strings.Join(s.API, ", "))
	}
	if len(s.All) > 0 {
		parts = append(parts, "and "+strings.Join(s.All, " and "))
	}
	if len(s.Not) > 0 {
		parts = append(parts, "not "+strings.Join(s.Not, " or "))
	}
	if len(s.Host) > 0 {
		parts = append(parts, "to a host of class "+strings.ReplaceAll(strings.Join(s.Host, ", "), `""`, "none"))
	}
	if len(s.NotHost) > 0 {
		parts = append(parts, "not to "+strings.Join(s.NotHost, ", "))
	}
	if s.Distinct > 1 {
		parts = append(parts, fmt.Sprintf("at least %d different ones", s.Distinct))
	}
	if len(s.Via) > 0 {
		parts = append(parts, "through "+strings.Join(s.Via, " or "))
	}
	if len(s.Args)+len(s.NotArgs) > 0 {
		parts = append(parts, "with conditions on arguments")
	}
	return strings.Join(parts, "; ")
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
