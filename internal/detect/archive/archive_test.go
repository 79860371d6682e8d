package archive

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
)

// kinds are the constants that package artifact documents as kinds of anomalies, read from its source so that none is forgotten.
func kinds(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../artifact/read.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST || g.Doc.Text() != "Kinds of anomalies.\n" {
			continue
		}
		for _, s := range g.Specs {
			k, err := strconv.Unquote(s.(*ast.ValueSpec).Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, k)
		}
	}
	if len(out) < 12 {
		t.Fatalf("only %d kinds", len(out))
	}
	return out
}

func TestEveryAnomalyIsAFinding(t *testing.T) {
	for _, k := range kinds(t) {
		a := artifact.New(nil, []artifact.Anomaly{{Kind: k, Path: "package/x", Detail: "why"}}, "")
		fs := run(&detect.Subject{Artifact: a})
		if len(fs) != 1 || len(fs[0].Evidence) != 1 || fs[0].Evidence[0].File != "package/x" || fs[0].Evidence[0].Text != k+" why" || fs[0].Title == fs[0].ID || fs[0].Confidence != report.ByShape {
			t.Errorf("%s: %+v", k, fs)
		}
	}
}

func TestUnknownAnomaly(t *testing.T) {
	a := artifact.New(nil, []artifact.Anomaly{{Kind: "new-kind", Path: "x"}}, "")
	if fs := run(&detect.Subject{Artifact: a}); len(fs) != 1 || fs[0].ID != "archive/damaged" {
		t.Errorf("%+v", fs)
	}
}

func TestOrdinary(t *testing.T) {
	a := artifact.New([]artifact.File{{Path: "package.json", Data: []byte("{}")}}, nil, "")
	if fs := run(&detect.Subject{Artifact: a}); len(fs) != 0 {
		t.Errorf("%+v", fs)
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	var as []artifact.Anomaly
	for i := range 500 {
		as = append(as, artifact.Anomaly{Kind: artifact.Link, Path: strconv.Itoa(i)})
	}
	fs := run(&detect.Subject{Artifact: artifact.New(nil, as, "")})
	if len(fs) != 1 || len(fs[0].Evidence) != maxEvidence {
		t.Errorf("%d findings", len(fs))
	}
}
