package internet

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/donapi/donapi/internal/sandbox"
)

// Marker is in every reply that is a program or a document, so that what a box does with a download can be followed.
const Marker = "donapi-inert-reply"

// PublicAddr is where services say that the box comes from. It is in a network for documentation (RFC 5737).
const PublicAddr = "203.0.113.77"

// defaultReply answers a request with the type of thing that was asked for. Nothing in a reply does anything when it is run.
func defaultReply(r sandbox.Request) sandbox.Reply {
	u, err := url.ParseRequestURI(r.Path)
	if err != nil {
		return jsonReply(200, map[string]any{"ok": true})
	}
	host := strings.ToLower(r.Host)
	switch {
	case host == "169.254.169.254" || host == "metadata.google.internal" || host == "169.254.170.2":
		return metadata(r, u.Path)
	case tellsAddress(host):
		return address(r, u)
	case bytes.Contains(r.Body, []byte(`"jsonrpc"`)):
		return rpc(r.Body)
	case host == "registry.npmjs.org" || host == "registry.yarnpkg.com" || strings.HasPrefix(host, "registry.npm"):
		if path.Ext(u.Path) != ".tgz" {
			return packument(r, host, u.Path)
		}
	case strings.HasPrefix(host, "hooks.") || strings.Contains(u.Path, "/webhooks/"):
		if r.Method == "POST" {
			return sandbox.Reply{Status: 204}
		}
	}
	name := strings.ToLower(path.Base(u.Path))
	for _, ext := range []string{".tar.gz", path.Ext(name)} {
		if f, ok := files[ext]; ok && strings.HasSuffix(name, ext) {
			return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: f.mime}}, Body: f.body()}
		}
	}
	switch accept, agent := r.Get("Accept"), strings.ToLower(r.Get("User-Agent")); {
	case r.Method != "GET":
	case strings.Contains(u.Path, "/releases/download/") || strings.Contains(accept, "octet-stream"):
		return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: "application/octet-stream"}}, Body: elfProgram()}
	case strings.HasPrefix(agent, "curl/") || strings.HasPrefix(agent, "wget/"): // most likely to be piped to a shell
		return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: shell()}
	case strings.Contains(accept, "text/html"):
		return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: files[".html"].mime}}, Body: files[".html"].body()}
	}
	return jsonReply(200, map[string]any{"ok": true, "success": true, "status": "success", "id": "1", "result": map[string]any{"message_id": 1}, "data": map[string]any{}, "message": "ok", "url": "https://" + host + "/" + Marker})
}

func jsonReply(status int, v any) sandbox.Reply {
	b, _ := json.Marshal(v)
	return sandbox.Reply{Status: status, Header: []sandbox.Header{{Name: "Content-Type", Value: "application/json; charset=utf-8"}}, Body: b}
}

func text(s string) func() []byte { return func() []byte { return []byte(s) } }

// files are replies by the extension of what was asked for.
var files = map[string]struct {
	mime string
	body func() []byte
}{
	".js":     {"application/javascript", script},
	".mjs":    {"application/javascript", script},
	".cjs":    {"application/javascript", script},
	".ts":     {"application/javascript", script},
	".json":   {"application/json", text(`{"ok":true,"version":"1.0.0","note":"` + Marker + `"}`)},
	".sh":     {"text/x-shellscript", shell},
	".py":     {"text/x-python", text("# " + Marker + "\n")},
	".ps1":    {"text/plain", text("# " + Marker + "\r\n")},
	".bat":    {"text/plain", text("rem " + Marker + "\r\n")},
	".cmd":    {"text/plain", text("rem " + Marker + "\r\n")},
	".vbs":    {"text/plain", text("' " + Marker + "\r\n")},
	".txt":    {"text/plain", text(Marker + "\n")},
	".md":     {"text/plain", text(Marker + "\n")},
	".html":   {"text/html", text("<!doctype html><title>ok</title><p>" + Marker + "</p>\n")},
	".css":    {"text/css", text("/* " + Marker + " */\n")},
	".xml":    {"application/xml", text("<?xml version=\"1.0\"?><ok>" + Marker + "</ok>\n")},
	".exe":    {"application/octet-stream", windowsProgram},
	".dll":    {"application/octet-stream", windowsProgram},
	".msi":    {"application/octet-stream", windowsProgram},
	".bin":    {"application/octet-stream", elfProgram},
	".so":     {"application/octet-stream", elfProgram},
	".node":   {"application/octet-stream", elfProgram},
	".tgz":    {"application/gzip", tarball},
	".tar.gz": {"application/gzip", tarball},
	".gz":     {"application/gzip", func() []byte { return gzipped([]byte(Marker + "\n")) }},
	".zip":    {"application/zip", text("PK\x05\x06" + strings.Repeat("\x00", 18))},
	".png":    {"image/png", pixel},
	".jpg":    {"image/png", pixel},
	".gif":    {"image/png", pixel},
	".ico":    {"image/png", pixel},
}

func script() []byte {
	return []byte("/* " + Marker + " */\nif (typeof module === 'object' && module) module.exports = {};\n")
}

func shell() []byte { return []byte("#!/bin/sh\n# " + Marker + "\nexit 0\n") }

func pixel() []byte {
	b, _ := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
	return b
}

// windowsProgram has the head of an executable of Windows and no code.
func windowsProgram() []byte {
	b := make([]byte, 512)
	copy(b, "MZ")
	copy(b[64:], Marker)
	return b
}

// elfProgram is a whole executable for Linux on amd64 that exits with 0 at once.
func elfProgram() []byte {
	head, _ := hex.DecodeString("7f454c4602010100000000000000000002003e000100000078004000000000004000000000000000000000000000000000000000400038000100000000000000" +
		"0100000005000000000000000000000000004000000000000000400000000000930000000000000093000000000000000010000000000000" +
		"31ffb83c0000000f05") // xor edi, edi; mov eax, 60; syscall
	return append(head, Marker...)
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// tarball is a package of npm with nothing in it.
func tarball() []byte {
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, f := range [][2]string{{"package/package.json", `{"name":"` + Marker + `","version":"1.0.0"}`}, {"package/index.js", string(script())}} {
		t.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1]))})
		t.Write([]byte(f[1]))
	}
	t.Close()
	return gzipped(out.Bytes())
}

// packument answers for any package name as a registry does.
func packument(r sandbox.Request, host, p string) sandbox.Reply {
	name, _ := url.PathUnescape(strings.Trim(p, "/"))
	switch {
	case strings.HasPrefix(name, "-/whoami"):
		return jsonReply(200, map[string]string{"username": "dev"})
	case r.Method == "PUT":
		return jsonReply(201, map[string]bool{"ok": true, "success": true})
	case name == "" || strings.HasPrefix(name, "-/"):
		return jsonReply(200, map[string]any{"objects": []any{}, "total": 0})
	}
	version := map[string]any{"name": name, "version": "1.0.0", "dist": map[string]string{"tarball": "https://" + host + "/" + name + "/-/" + path.Base(name) + "-1.0.0.tgz"}}
	return jsonReply(200, map[string]any{"name": name, "dist-tags": map[string]string{"latest": "1.0.0"}, "versions": map[string]any{"1.0.0": version}})
}

// tellsAddress reports whether a host is one of the services that tell the asker's address.
func tellsAddress(host string) bool {
	for _, s := range []string{"ipify.org", "ifconfig.me", "ifconfig.co", "ipinfo.io", "ip-api.com", "icanhazip.com", "ident.me", "ipapi.co", "checkip.amazonaws.com", "myip.com", "ipecho.net", "ip.sb", "ipwho.is", "freegeoip.app"} {
		if host == s || strings.HasSuffix(host, "."+s) {
			return true
		}
	}
	return false
}

func address(r sandbox.Request, u *url.URL) sandbox.Reply {
	if strings.Contains(u.RawQuery, "json") || strings.Contains(u.Path, "json") || strings.Contains(r.Get("Accept"), "json") || strings.Contains(r.Host, "ipinfo") || strings.Contains(r.Host, "ip-api") || strings.Contains(r.Host, "ipwho") || strings.Contains(r.Host, "ipapi") {
		return jsonReply(200, map[string]any{"ip": PublicAddr, "query": PublicAddr, "country": "US", "countryCode": "US", "country_code": "US", "region": "CA", "city": "San Jose", "org": "Example ISP", "isp": "Example ISP", "timezone": "America/Los_Angeles", "status": "success", "success": true})
	}
	return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte(PublicAddr)}
}

// metadata answers as the service that clouds have for their machines.
func metadata(r sandbox.Request, p string) sandbox.Reply {
	plain := func(s string) sandbox.Reply {
		return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte(s)}
	}
	switch {
	case r.Method == "PUT" && strings.HasSuffix(p, "/api/token"):
		return plain("AQAEADecoyMetadataSessionToken==")
	case strings.HasSuffix(p, "/iam/security-credentials/"):
		return plain("build-role")
	case strings.Contains(p, "security-credentials") || strings.Contains(p, "/credentials"):
		return jsonReply(200, map[string]string{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIADECOYDECOYDECOY0", "SecretAccessKey": "decoy/" + Marker, "Token": "decoy", "Expiration": "2099-01-01T00:00:00Z"})
	case strings.HasSuffix(p, "/token"):
		return jsonReply(200, map[string]any{"access_token": "ya29.decoy-" + Marker, "expires_in": 3599, "token_type": "Bearer"})
	}
	return plain("i-0decoy0decoy0dec")
}

// rpc answers calls of JSON-RPC, alone or in a batch, as nodes of block chains do: some programs fetch their next step there.
func rpc(body []byte) sandbox.Reply {
	type call struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
	}
	answer := func(c call) map[string]any {
		if len(c.ID) == 0 {
			c.ID = json.RawMessage("1")
		}
		return map[string]any{"jsonrpc": "2.0", "id": c.ID, "result": rpcResult(c.Method)}
	}
	var one call
	if json.Unmarshal(body, &one) == nil {
		return jsonReply(200, answer(one))
	}
	var many []call
	if json.Unmarshal(body, &many) != nil || len(many) > 1000 {
		return jsonReply(400, map[string]any{"jsonrpc": "2.0", "id": nil, "error": map[string]any{"code": -32700, "message": "Parse error"}})
	}
	out := make([]map[string]any, len(many))
	for n, c := range many {
		out[n] = answer(c)
	}
	return jsonReply(200, out)
}

func rpcResult(method string) any {
	const next = "https://next-step.example/" + Marker
	switch method {
	case "eth_call": // one string, as contracts encode it
		padded := make([]byte, (len(next)+31)/32*32)
		copy(padded, next)
		return fmt.Sprintf("0x%064x%064x%s", 32, len(next), hex.EncodeToString(padded))
	case "eth_getTransactionByHash", "eth_getTransactionReceipt":
		return map[string]any{"hash": "0x" + strings.Repeat("1", 64), "from": "0x" + strings.Repeat("2", 40), "to": "0x" + strings.Repeat("3", 40), "input": "0x" + hex.EncodeToString([]byte(next)), "logs": []any{}}
	case "getSignaturesForAddress":
		return []any{map[string]any{"signature": strings.Repeat("4", 88), "slot": 1, "err": nil, "memo": fmt.Sprintf("[%d] %s", len(next), next)}}
	case "getTransaction":
		return map[string]any{"slot": 1, "meta": map[string]any{"err": nil, "logMessages": []string{"Program log: Memo: " + next}}, "transaction": map[string]any{"message": map[string]any{"accountKeys": []any{}, "instructions": []any{}}}}
	case "getBalance":
		return map[string]any{"context": map[string]any{"slot": 1}, "value": 1_000_000_000}
	case "eth_accounts", "eth_getLogs":
		return []any{}
	}
	return "0x1"
}
