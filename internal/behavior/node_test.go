package behavior

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/donapi/donapi/knowledge"
)

// nodeFiles are the files of knowledge/apis that describe Node itself. The others describe the browser and packages.
var nodeFiles = []string{"code", "fs", "host", "net", "process", "stream"}

// TestStanzasResolveInNode asks a real Node for every name of the Node files. REQUIRE_NODE=1 turns the skip into a failure.
func TestStanzasResolveInNode(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		if os.Getenv("REQUIRE_NODE") != "" {
			t.Fatal(err)
		}
		t.Skip("no node on this machine: the names of knowledge/apis are not checked against it")
	}
	out, err := exec.Command(node, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(strings.TrimPrefix(string(out), "v"))
	var names []string
	for _, f := range nodeFiles {
		data, err := fs.ReadFile(knowledge.FS(), "apis/"+f+".txt")
		if err != nil {
			t.Fatal(err)
		}
		stanzas, _, err := parseStanzas(f, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stanzas {
			for _, a := range s.apis {
				if nodeHas(t, version, a.Node) {
					names = append(names, a.Name)
				}
			}
		}
	}
	if len(names) < 400 {
		t.Errorf("only %d names to ask for", len(names))
	}
	cmd := exec.Command(node, "--no-warnings", "--experimental-vm-modules", "testdata/resolve.js")
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("node: %v\n%s", err, stderr.Bytes())
	}
	for _, n := range strings.Fields(stdout.String()) {
		t.Errorf("Node %s has no %s", version, n)
	}
}

// nodeHas reports that a version of Node is in a range such as ">=18.5" or "<22".
func nodeHas(t *testing.T, version, in string) bool {
	t.Helper()
	if in == "" {
		return true
	}
	want, atLeast := strings.CutPrefix(in, ">=")
	if !atLeast {
		var ok bool
		if want, ok = strings.CutPrefix(in, "<"); !ok {
			t.Fatalf("cannot read the range %q", in)
		}
	}
	return (compareVersions(t, version, want) >= 0) == atLeast
}

func compareVersions(t *testing.T, a, b string) int {
	t.Helper()
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range y {
		n, err := strconv.Atoi(x[i])
		m, err2 := strconv.Atoi(y[i])
		if err != nil || err2 != nil {
			t.Fatalf("cannot compare %s and %s", a, b)
		}
		if n != m {
			return n - m
		}
	}
	return 0
}
