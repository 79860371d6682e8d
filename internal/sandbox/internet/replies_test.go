package internet

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		name, mime, has string
		r               sandbox.Request
	}{
		{"script", "application/javascript", Marker, sandbox.Request{Method: "GET", Host: "cdn.example", Path: "/a.js?v=1"}},
		{"piped to a shell", "text/plain", "#!/bin/sh", sandbox.Request{Method: "GET", Host: "get.example", Path: "/install", Header: []sandbox.Header{{Name: "User-Agent", Value: "curl/8.0"}}}},
		{"tarball", "application/gzip", "\x1f\x8b", sandbox.Request{Method: "GET", Host: "registry.npmjs.org", Path: "/a/-/a-1.0.0.tgz"}},
		{"packument", "application/json", `"dist-tags":{"latest":"1.0.0"}`, sandbox.Request{Method: "GET", Host: "registry.npmjs.org", Path: "/@a%2fb"}},
		{"address", "text/plain", PublicAddr, sandbox.Request{Method: "GET", Host: "api.ipify.org", Path: "/"}},
		{"address as JSON", "application/json", `"ip":"` + PublicAddr, sandbox.Request{Method: "GET", Host: "api.ipify.org", Path: "/?format=json"}},
		{"binary", "application/octet-stream", "\x7fELF", sandbox.Request{Method: "GET", Host: "dl.example", Path: "/x/releases/download/v1/tool"}},
		{"metadata", "application/json", "AccessKeyId", sandbox.Request{Method: "GET", Host: "169.254.169.254", Path: "/latest/meta-data/iam/security-credentials/build-role"}},
		{"call", "application/json", `"id":7,"jsonrpc":"2.0","result":"0x`, sandbox.Request{Method: "POST", Host: "rpc.example", Path: "/", Body: []byte(`{"jsonrpc":"2.0","id":7,"method":"eth_call"}`)}},
		{"batch of calls", "application/json", `[{"id":1,`, sandbox.Request{Method: "POST", Host: "rpc.example", Path: "/", Body: []byte(`[{"jsonrpc":"2.0","id":1,"method":"eth_call"},{}]`)}},
		{"anything else", "application/json", `"ok":true`, sandbox.Request{Method: "POST", Host: "collect.example", Path: "/"}},
	} {
		r := defaultReply(c.r)
		if !strings.HasPrefix(r.Header[0].Value, c.mime) || !bytes.Contains(r.Body, []byte(c.has)) {
			t.Errorf("%s: %s %q", c.name, r.Header[0].Value, r.Body)
		}
	}
}

// The program that boxes download is a real one, as large as it says, and ends at once with success.
func TestProgram(t *testing.T) {
	b := elfProgram()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Progs) != 1 || f.Progs[0].Filesz != uint64(len(b)) {
		t.Errorf("segments %v, %d bytes", f.Progs, len(b))
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("the program is for Linux on amd64")
	}
	p := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(p, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command(p).Run(); err != nil {
		t.Error(err)
	}
}

func FuzzReplies(f *testing.F) {
	f.Add("GET", "registry.npmjs.org", "/@a%2fb", []byte(nil))
	f.Add("POST", "rpc.example", "/", []byte(`[{"jsonrpc":"2.0","id":[1],"method":"getTransaction"}]`))
	f.Add("GET", "dns.example", "/dns-query?name=a.example&type=16", []byte(nil))
	f.Add("POST", "", "::", []byte("\xff"))
	i := fuzzed(f)
	f.Fuzz(func(t *testing.T, method, host, path string, body []byte) {
		r := i.reply(sandbox.Request{Method: method, Host: host, Path: path, Body: body})
		for _, h := range r.Header {
			if strings.HasPrefix(h.Value, "application/json") && !json.Valid(r.Body) {
				t.Errorf("not JSON: %q", r.Body)
			}
		}
	})
}
