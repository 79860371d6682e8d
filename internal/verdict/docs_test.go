package verdict

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/verdict.md")

const docs = "../../docs/verdict.md"

// TestDocs keeps the tables of docs/verdict.md equal to the rules and features of this package.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, table := range map[string]string{"rules": ruleTable(), "features": featureTable()} {
		open, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, ok := strings.Cut(text, open)
		got, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s: no place for the %s: want %s%s", docs, name, open, end)
		}
		if got != table && !*update {
			t.Errorf("%s: the %s differ from the code; run go test ./internal/verdict -update", docs, name)
		}
		text = before + open + table + end + after
	}
	if *update {
		if err := os.WriteFile(docs, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ruleTable() string {
	var b strings.Builder
	b.WriteString("| rule | level | holds when |\n|---|---|---|\n")
	for _, r := range Rules {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.ID, r.Level, r.Doc)
	}
	return b.String()
}

func featureTable() string {
	var b strings.Builder
	b.WriteString("| feature | weight | counts |\n|---|---|---|\n")
	for _, d := range featureDefs {
		what := "calls of " + strings.Join(d.sink, ", ")
		if d.source != nil {
			what = strings.Join(d.source, ", ") + " flowing into " + strings.Join(d.sink, ", ")
		}
		fmt.Fprintf(&b, "| %s | %g | %s |\n", d.name, d.weight, what)
	}
	return b.String()
}
