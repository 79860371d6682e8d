package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestExampleOfSettings asks that docs/serve.yaml names every setting of serve, with its default.
func TestExampleOfSettings(t *testing.T) {
	const path = "../../docs/serve.yaml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := (&app{}).serve()
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Name != "help" && !strings.Contains(string(text), "\n"+f.Name+":") && !strings.Contains(string(text), "\n#"+f.Name+":") {
			t.Errorf("%s does not explain %s", path, f.Name)
		}
	})
	if err := cmd.Flags().Set("config", path); err != nil {
		t.Fatal(err)
	}
	if err := settle(cmd); err != nil {
		t.Fatal(err)
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name != "config" && f.Value.String() != f.DefValue {
			t.Errorf("%s: the example has %s, the default is %s", f.Name, f.Value, f.DefValue)
		}
	})
}

func TestSettings(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "serve.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("DONAPI_RATE", "3")
	t.Setenv("DONAPI_JOBS", "5")
	cmd := (&app{}).serve()
	if err := cmd.ParseFlags([]string{"--config", file("rate: 2\njobs: 7\nbacklog: 12\nroles:\n- work\n"), "--jobs", "4"}); err != nil {
		t.Fatal(err)
	}
	if err := settle(cmd); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"jobs": "4", "rate": "3", "backlog": "12", "roles": "[work]"} {
		if got := cmd.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for text, want := range map[string]string{
		"rat: 2\n":           `:1: unknown key "rat"`,
		"backlog: many\n":    `:1: backlog: `,
		"\npoll: 5\n":        `:2: poll: `,
		"rate: {a: 1}\n":     `rate: want one value`,
		"a\n":                `want lines as key: value`,
		"jobs: 1\njobs: 2\n": `jobs`,
		"config: x\n":        `unknown key "config"`,
		"{":                  "--config: ",
	} {
		cmd := (&app{}).serve()
		if err := cmd.ParseFlags([]string{"--config", file(text)}); err != nil {
			t.Fatal(err)
		}
		if err := settle(cmd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}
