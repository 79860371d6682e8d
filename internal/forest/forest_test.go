package forest

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// table draws rows whose label says whether the first number is above the middle, but for a share of noise.
func table(seed uint64, n, features int, noise float64) ([]string, []Row) {
	random := rand.New(rand.NewPCG(seed, 0))
	names := make([]string, features)
	for i := range names {
		names[i] = fmt.Sprintf("f%d", i)
	}
	rows := make([]Row, n)
	for i := range rows {
		x := make([]float64, features)
		for j := range x {
			x[j] = math.Round(random.Float64()*100) / 100
		}
		rows[i] = Row{ID: fmt.Sprintf("row%03d", i), Group: fmt.Sprintf("group%d", i/4), Features: x, Label: (x[0] > 0.5) != (random.Float64() < noise)}
	}
	return names, rows
}

func grown(t interface {
	Helper()
	Fatal(...any)
}, names []string, rows []Row, opt Options) *Forest {
	t.Helper()
	f, _, err := Train(names, rows, opt)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func written(t interface {
	Helper()
	Fatal(...any)
}, f *Forest) []byte {
	t.Helper()
	var b bytes.Buffer
	m := &Model{Name: "test", Recipe: Recipe{Command: "go test"}, Forest: f}
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, rows := table(rapid.Uint64().Draw(t, "table"), rapid.IntRange(2, 60).Draw(t, "rows"), rapid.IntRange(1, 6).Draw(t, "features"), 0.2)
		opt := Options{Trees: 5, Seed: rapid.Uint64().Draw(t, "seed")}
		want := written(t, grown(t, names, rows, opt))
		digest, err := Digest(names, rows)
		if err != nil {
			t.Fatal(err)
		}
		shuffled := rapid.Permutation(rows).Draw(t, "shuffled")
		if got := written(t, grown(t, names, shuffled, opt)); !bytes.Equal(got, want) {
			t.Errorf("rows in another order gave another forest: %s", cmp.Diff(string(want), string(got)))
		}
		if d, _ := Digest(names, shuffled); d != digest {
			t.Errorf("rows in another order have digest %s, not %s", d, digest)
		}
	})
}

func TestProcessorsDoNotMatter(t *testing.T) {
	names, rows := table(1, 200, 6, 0.2)
	was := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(was)
	want := written(t, grown(t, names, rows, Options{Seed: 3}))
	runtime.GOMAXPROCS(4)
	if got := written(t, grown(t, names, rows, Options{Seed: 3})); !bytes.Equal(got, want) {
		t.Error("four processors grew another forest than one")
	}
	if other := written(t, grown(t, names, rows, Options{Seed: 4})); bytes.Equal(other, want) {
		t.Error("another seed grew the same forest")
	}
}

func TestSeparableIsLearnt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, rows := table(rapid.Uint64().Draw(t, "table"), 120, 4, 0)
		f := grown(t, names, rows, Options{Trees: 30, Tried: 4})
		for _, x := range []float64{0, 0.3, 0.7, 1} {
			p, err := f.Predict([]float64{x, 0.5, 0.5, 0.5})
			if err != nil {
				t.Fatal(err)
			}
			if (p.Probability >= 0.5) != (x > 0.5) {
				t.Errorf("%v: probability %v", x, p.Probability)
			}
			if top := p.Top(1); top[0] != 0 {
				t.Errorf("%v: feature %d decided, not 0: %v", x, top[0], p.Contributions)
			}
		}
	})
}

func TestContributionsSumUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names, rows := table(rapid.Uint64().Draw(t, "table"), rapid.IntRange(1, 60).Draw(t, "rows"), 3, 0.3)
		f := grown(t, names, rows, Options{Trees: 7})
		x := rapid.SliceOfN(rapid.Float64(), 3, 3).Draw(t, "x")
		p, err := f.Predict(x)
		if err != nil {
			t.Fatal(err)
		}
		sum := p.Base
		for _, c := range p.Contributions {
			sum += c
		}
		if math.Abs(sum-p.Probability) > 1e-9 || p.Probability < 0 || p.Probability > 1 {
			t.Errorf("base and contributions sum to %v, the probability is %v", sum, p.Probability)
		}
	})
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	names, rows := table(2, 100, 5, 0.1)
	f := grown(t, names, rows, Options{Trees: 10})
	data := written(t, f)
	m, err := Read("test.json", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if again := written(t, m.Forest); !bytes.Equal(again, data) {
		t.Error(cmp.Diff(string(data), string(again)))
	}
	for _, r := range rows {
		a, _ := f.Predict(r.Features)
		b, _ := m.Forest.Predict(r.Features)
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	tree := func(feature, threshold, right, value string) string {
		return `{"model":"m","recipe":{},"options":{},"scores":{},"features":["a","b"],"trees":[{"feature":[` + feature + `],"threshold":[` + threshold + `],"right":[` + right + `],"value":[` + value + `]}]}`
	}
	if _, err := Read("good.json", strings.NewReader(tree("0,-1,-1", "1,0,0", "2,0,0", "0.5,0,1"))); err != nil {
		t.Fatalf("a sound model: %v", err)
	}
	for name, in := range map[string]string{
		"nothing":        "",
		"not JSON":       "trees",
		"unknown field":  `{"code":"x"}`,
		"no trees":       `{"model":"m","features":["a"],"trees":[]}`,
		"no name":        strings.Replace(tree("-1", "0", "0", "1"), `"m"`, `""`, 1),
		"twice":          strings.Replace(tree("-1", "0", "0", "1"), `"b"`, `"a"`, 1),
		"more after it":  tree("-1", "0", "0", "1") + "{}",
		"short column":   tree("0,-1,-1", "1,0", "2,0,0", "0.5,0,1"),
		"a loop":         tree("0,-1,-1", "1,0,0", "0,0,0", "0.5,0,1"),
		"out of range":   tree("0,-1,-1", "1,0,0", "3,0,0", "0.5,0,1"),
		"feature":        tree("2,-1,-1", "1,0,0", "2,0,0", "0.5,0,1"),
		"negative":       tree("-2,-1,-1", "1,0,0", "2,0,0", "0.5,0,1"),
		"share":          tree("-1", "0", "0", "2"),
		"orphan":         tree("-1,-1", "0,0", "0,0", "0,1"),
		"infinite":       tree("-1", "0", "0", "1e999"),
		"no children":    tree("0", "0", "0", "1"),
		"larger than it": strings.Repeat(" ", maxBytes) + tree("-1", "0", "0", "1"),
	} {
		if _, err := Read("bad.json", strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), "bad.json") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	good := Row{ID: "a", Features: []float64{1}}
	for name, rows := range map[string][]Row{
		"none":   nil,
		"twice":  {good, good},
		"short":  {{ID: "a"}},
		"nan":    {{ID: "a", Features: []float64{math.NaN()}}},
		"beyond": {{ID: "a", Features: []float64{math.Inf(1)}}},
	} {
		if _, _, err := Train([]string{"x"}, rows, Options{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, _, err := Train([]string{"x"}, []Row{good}, Options{Trees: -1}); err == nil {
		t.Error("fewer than no trees: no error")
	}
	if _, err := grown(t, []string{"x"}, []Row{good}, Options{}).Predict(nil); err == nil {
		t.Error("a row of no numbers: no error")
	}
}

// TestValidateKeepsGroupsApart learns labels by heart, which helps only where a row's twin is on the other side.
func TestValidateKeepsGroupsApart(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	var rows []Row
	for i := range 200 {
		x, label := []float64{random.Float64(), random.Float64()}, random.IntN(2) == 0
		for twin := range 2 {
			rows = append(rows, Row{ID: fmt.Sprintf("%d-%d", i, twin), Group: fmt.Sprint(i), Features: x, Label: label})
		}
	}
	_, bag, err := Train([]string{"x", "y"}, rows, Options{})
	if err != nil {
		t.Fatal(err)
	}
	held, err := Validate([]string{"x", "y"}, rows, Options{}, 5)
	if err != nil {
		t.Fatal(err)
	}
	if out, folds := Score(rows, bag).F1, Score(rows, held).F1; out < 0.8 || folds > 0.7 {
		t.Errorf("F1 %.2f out of bag, with twins, and %.2f over groups, where nothing can be learnt", out, folds)
	}
	if _, err := Validate([]string{"x", "y"}, rows, Options{}, 201); err == nil {
		t.Error("more folds than groups: no error")
	}
}

func TestScore(t *testing.T) {
	rows := []Row{{Label: true}, {Label: true}, {Label: true}, {}, {}}
	got := Score(rows, []float64{0.5, 1, math.NaN(), 0.4, 0.9})
	want := Scores{TruePositives: 2, FalsePositives: 1, FalseNegatives: 1, TrueNegatives: 1, Precision: 2.0 / 3, Recall: 2.0 / 3, F1: 4.0 / 6}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzRead(f *testing.F) {
	names, rows := table(1, 20, 2, 0.2)
	f.Add(written(f, grown(f, names, rows, Options{Trees: 2})))
	f.Add([]byte(`{"model":"m","features":["a"],"trees":[{"feature":[-1],"threshold":[0],"right":[0],"value":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read("fuzz", bytes.NewReader(data))
		if err != nil {
			return
		}
		if _, err := m.Forest.Predict(make([]float64, len(m.Forest.Features()))); err != nil {
			t.Error(err)
		}
		if err := m.Write(io.Discard); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	names, rows := table(1, 1000, 25, 0.1)
	f := grown(b, names, rows, Options{})
	for b.Loop() {
		if _, err := f.Predict(rows[0].Features); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTrain(b *testing.B) {
	names, rows := table(1, 1000, 25, 0.1)
	for b.Loop() {
		grown(b, names, rows, Options{})
	}
}
