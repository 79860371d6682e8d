package behavior

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/donapi/donapi/knowledge"
)

func load(t testing.TB) *Base {
	t.Helper()
	b, err := Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAPISpellings(t *testing.T) {
	b := load(t)
	for spelling, want := range map[string]string{
		"fs.readFile":                           "fs.readFile",
		"node:fs.readFile":                      "fs.readFile",
		"fs/promises.readFile":                  "fs.promises.readFile",
		"node:fs/promises.readFile":             "fs.promises.readFile",
		"dns/promises.resolveTxt":               "dns.promises.resolveTxt",
		"globalThis.fetch":                      "fetch",
		"os.getNetworkInterfaces":               "os.networkInterfaces",
		"graceful-fs.readFileSync":              "fs.readFileSync",
		"fs-extra.writeFile":                    "fs.writeFile",
		"fs-extra.outputFile":                   "fs-extra.outputFile",
		"@solana/web3.js.Keypair.fromSecretKey": "@solana.web3.js.Keypair.fromSecretKey",
		"fs.nothing":                            "",
		"nothing":                               "",
		"node:nothing.at.all":                   "",
	} {
		got := ""
		if a := b.API(spelling); a != nil {
			got = a.Name
		}
		if got != want {
			t.Errorf("API(%q) is %q, want %q", spelling, got, want)
		}
	}
}

func TestAPIsSortedAndOnce(t *testing.T) {
	seen := map[string]string{}
	last := ""
	for _, a := range load(t).APIs() {
		if a.Name <= last {
			t.Errorf("%s comes after %s", a.Name, last)
		}
		last = a.Name
		for _, n := range append([]string{a.Name}, a.Spell...) {
			if seen[n] != "" {
				t.Errorf("%s is a spelling of %s and of %s", n, a.Name, seen[n])
			}
			seen[n] = a.Name
		}
	}
}

// The same lines serve the forms of one function: each surfaces its value in its own way.
func TestForms(t *testing.T) {
	b := load(t)
	for name, want := range map[string]Result{
		"fs.readFile":          {On: "callback", Arg: 1, Type: "Buffer", Source: true},
		"fs.readFileSync":      {On: "return", Type: "Buffer", Source: true},
		"fs.promises.readFile": {On: "promise", Type: "Buffer", Source: true},
	} {
		if rs := b.API(name).Results; len(rs) != 1 || rs[0] != want {
			t.Errorf("%s: results are %v, want %v", name, rs, want)
		}
	}
}

// Every error says where.
func TestLoadErrors(t *testing.T) {
	good := func() fstest.MapFS {
		m := fstest.MapFS{}
		for _, f := range []string{"paths.yaml", "hosts.yaml", "env.yaml"} {
			m[f] = &fstest.MapFile{Data: []byte("a: [x]\n")}
		}
		m["apis/a.txt"] = &fstest.MapFile{Data: []byte("f\n  type X\n")}
		m["behaviors/README.md"] = &fstest.MapFile{}
		return m
	}
	if _, err := Load(good()); err != nil {
		t.Fatalf("the base that the cases change: %v", err)
	}
	for _, c := range []struct{ file, text, want string }{
		{"apis/a.txt", "  type X\n", "apis/a.txt:1:"},
		{"apis/a.txt", "f\n  typ X\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  type x\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  type X when 0 like y\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  type X when 0 is\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  kind sort\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n\n  arg 0 thing\n", "apis/a.txt:3:"},
		{"apis/a.txt", "f\n  arg x path\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  result callback\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  result return A source more\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  flow 0 nowhere\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  flow 0 return magic\n", "apis/a.txt:2:"},
		{"apis/a.txt", "f\n  type X\nf\n  type Y\n", "apis/a.txt:3:"},
		{"apis/a.txt", "f, g\n  type X\n", "apis/a.txt:1:"},
		{"apis/a.txt", "a = b = c\n", "apis/a.txt:1:"},
		{"apis/a.txt", "f\n  to nowhere\n", "apis: f goes to nowhere"},
		{"paths.yaml", "A:\n  - x\\y\n", "paths.yaml:2:"},
		{"paths.yaml", "A:\n  - a//b\n", "paths.yaml:2:"},
		{"paths.yaml", "A:\n  - \"a**/b\"\n", "paths.yaml:2:"},
		{"paths.yaml", "A:\n  - *.pem\n", "paths.yaml:2:"},
		{"hosts.yaml", "a: [x.org]\nb: [x.org]\n", "hosts.yaml:2:"},
		{"hosts.yaml", "a: [X.org]\n", "hosts.yaml:1:"},
		{"env.yaml", "a: [X]\nb: [x]\n", "env.yaml:2:"},
		{"env.yaml", "a: [X]\na: [Y]\n", "env.yaml:2:"},
		{"env.yaml", "a: {X: 1}\n", "env.yaml:1:"},
		{"env.yaml", "  - X\n", "env.yaml:1:"},
	} {
		m := good()
		m[c.file] = &fstest.MapFile{Data: []byte(c.text)}
		_, err := Load(m)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s with %q: error is %v, want one at %s", c.file, c.text, err, c.want)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(knowledge.FS()); err != nil {
			b.Fatal(err)
		}
	}
}
