package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/registry/registrytest"
	"github.com/donapi/donapi/internal/sandbox/tier"
)

func TestMain(m *testing.M) {
	tier.Main()
	if confine.IsChild() { // the test binary stands in for the program, and so for its confined processes
		os.Exit(child())
	}
	testscript.Main(m, map[string]func(){"donapi": func() { os.Exit(run()) }})
}

// TestScripts runs testdata/script/*.txtar. Each has a registry of its own at $REGISTRY, which is what $HOME/.npmrc names. Beside
// testscript's commands there are
//
//	exits N donapi ...     runs a command that must exit with N
//	pack FOLDER FILE       makes a tarball of a folder
//	publish FOLDER [sha1]  publishes a folder in the registry; with sha1 as very old versions are, without a better digest
//	hostile KIND FILE      makes a tarball that no honest tool makes
//	fault JSON             lets the registry fail: a registrytest.Fault; {} ends all faults
//	asked NAME             checks that a package was asked for since the last time; ! asked that none was
//	schema FILE            checks every line against docs/report.schema.json
func TestScripts(t *testing.T) {
	schema := compileSchema(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			r, err := registrytest.Start("127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(r.Close)
			env.Values["registry"] = r
			home := filepath.Join(env.WorkDir, ".home")
			if err := os.MkdirAll(home, 0o755); err != nil {
				return err
			}
			env.Setenv("HOME", home)
			env.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
			env.Setenv("REGISTRY", r.URL)
			return os.WriteFile(filepath.Join(home, ".npmrc"), []byte("registry="+r.URL+"\n"), 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"pack":    pack,
			"publish": publish,
			"hostile": hostile,
			"fault":   fault,
			"asked":   asked,
			"schema": func(ts *testscript.TestScript, neg bool, args []string) {
				need(ts, neg, args, 1)
				checkSchema(ts, schema, ts.ReadFile(args[0]))
			},
		},
	})
}

func need(ts *testscript.TestScript, neg bool, args []string, n int) {
	if neg || len(args) != n {
		ts.Fatalf("want %d arguments and no !", n)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var e *exec.ExitError
		if !errors.As(err, &e) {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func stand(ts *testscript.TestScript) *registrytest.Registry {
	return ts.Value("registry").(*registrytest.Registry)
}

// folder reads the files of a folder.
func folder(ts *testscript.TestScript, dir string) map[string]string {
	root := ts.MkAbs(dir)
	files := map[string]string{}
	ts.Check(filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(p)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	}))
	return files
}

func pack(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), registrytest.Pack(folder(ts, args[0])), 0o600))
}

func publish(ts *testscript.TestScript, neg bool, args []string) {
	var dist map[string]any
	if len(args) == 2 && args[1] == "sha1" {
		dist = map[string]any{"integrity": nil}
		args = args[:1]
	}
	need(ts, neg, args, 1)
	files := folder(ts, args[0])
	var m map[string]any
	ts.Check(json.Unmarshal([]byte(files["package.json"]), &m))
	ts.Check(stand(ts).Publish(registrytest.Package{Name: m["name"].(string), Version: m["version"].(string), Manifest: m, Files: files, Dist: dist}))
}

func fault(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1)
	if args[0] == "{}" {
		stand(ts).Heal()
		return
	}
	var f registrytest.Fault
	ts.Check(json.Unmarshal([]byte(args[0]), &f))
	stand(ts).Inject(f)
}

func asked(ts *testscript.TestScript, neg bool, args []string) {
	qs := stand(ts).Requests()
	if neg {
		if len(qs) > 0 {
			ts.Fatalf("the registry was asked for %s", qs[0].Path)
		}
		return
	}
	need(ts, neg, args, 1)
	if !slices.ContainsFunc(qs, func(q registrytest.Request) bool { return q.Name == args[0] }) {
		ts.Fatalf("the registry was not asked for %s", args[0])
	}
}

// hostile writes archives that deceive, with the manifest of an ordinary package.
func hostile(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2)
	manifest := tar.Header{Name: "package/package.json", Typeflag: tar.TypeReg}
	type file struct {
		head tar.Header
		body string
	}
	files := []file{{manifest, `{"name":"trick","version":"1.0.0","main":"index.js"}`}, {tar.Header{Name: "package/index.js"}, "module.exports = 1\n"}}
	add := func(h tar.Header, body string) { files = append(files, file{h, body}) }
	cut := false
	switch args[0] {
	case "traversal":
		add(tar.Header{Name: "package/../../etc/cron.d/x"}, "x")
	case "absolute":
		add(tar.Header{Name: "/etc/cron.d/x"}, "x")
	case "link":
		add(tar.Header{Name: "package/passwd", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, "")
	case "device":
		add(tar.Header{Name: "package/null", Typeflag: tar.TypeChar}, "")
	case "duplicate":
		add(tar.Header{Name: "package/index.js"}, "module.exports = 2\n")
	case "case":
		add(tar.Header{Name: "package/Index.js"}, "module.exports = 2\n")
	case "control":
		add(tar.Header{Name: "package/\x1b[31mred\x1b]0;owned\x07.js"}, "1")
	case "bomb":
		for i := range 6 {
			add(tar.Header{Name: fmt.Sprintf("package/zeros%d.bin", i)}, strings.Repeat("\x00", 40<<20))
		}
	case "truncated":
		add(tar.Header{Name: "package/more.js"}, strings.Repeat("// ordinary text\n", 4000))
		cut = true
	default:
		ts.Fatalf("unknown kind %q", args[0])
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		f.head.Mode, f.head.Size, f.head.Format = 0o644, int64(len(f.body)), tar.FormatPAX
		if f.head.Typeflag == 0 {
			f.head.Typeflag = tar.TypeReg
		}
		ts.Check(w.WriteHeader(&f.head))
		_, err := w.Write([]byte(f.body))
		ts.Check(err)
	}
	ts.Check(w.Close())
	ts.Check(z.Close())
	data := b.Bytes()
	if cut {
		data = data[:len(data)*3/4]
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

const schemaFile = "../../docs/report.schema.json"

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkSchema(ts *testscript.TestScript, s *jsonschema.Schema, text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, l := range lines {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(l))
		ts.Check(err)
		if err := s.Validate(v); err != nil {
			ts.Fatalf("line %d: %v\n%s", i+1, err, l)
		}
	}
}
