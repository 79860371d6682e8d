package registrytest

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// response is an answer before any fault.
type response struct {
	status int
	kind   string // Content-Type
	body   []byte
	etag   bool
}

func object(v any) response {
	b, err := json.Marshal(v)
	if err != nil {
		return failure(http.StatusInternalServerError, err.Error())
	}
	return response{status: http.StatusOK, kind: "application/json", body: b}
}

func failure(status int, text string) response {
	r := object(map[string]any{"error": text})
	r.status = status
	return r
}

func (res response) send(w http.ResponseWriter, q *http.Request) {
	h := w.Header()
	if res.etag {
		tag := fmt.Sprintf(`"%x"`, sha256.Sum256(res.body))[:34] + `"`
		h.Set("ETag", tag)
		h.Set("Vary", "Accept")
		h.Set("Cache-Control", "public, max-age=300")
		if q.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", res.kind)
	if len(res.body) > 1024 && strings.HasPrefix(res.kind, "application/json") && strings.Contains(q.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		w.WriteHeader(res.status)
		z := gzip.NewWriter(w)
		z.Write(res.body)
		z.Close()
		return
	}
	w.WriteHeader(res.status)
	w.Write(res.body)
}

// maxBody bounds what a client may send.
const maxBody = 256 << 20

// ServeHTTP answers as a registry does.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		return
	}
	kind, name, rest := route(q)
	r.mu.Lock()
	f := r.meet(Request{Kind: kind, Name: name, Method: q.Method, Path: q.URL.Path, Header: q.Header.Clone()})
	var res response
	switch {
	case r.Token != "" && q.Header.Get("Authorization") != "Bearer "+r.Token:
		res = failure(http.StatusUnauthorized, "log in first")
	case f != nil && (f.Status != 0 || f.HangUp || f.Redirect != "") && kind == Write:
		// the write never arrived
	default:
		res = r.answer(q, kind, name, rest, body)
	}
	r.mu.Unlock()
	if f != nil {
		f.send(w, q, res)
		return
	}
	res.send(w, q)
}

// route tells what a request asks: its kind, the package, and what follows the name in the path.
func route(q *http.Request) (kind Kind, name, rest string) {
	p, err := url.PathUnescape(strings.Trim(q.URL.EscapedPath(), "/"))
	if err != nil {
		return Other, "", ""
	}
	switch p {
	case "", "registry":
		return Status, "", ""
	case "_changes", "registry/_changes":
		return Feed, "", ""
	}
	if tail, ok := strings.CutPrefix(p, "-/package/"); ok {
		name, rest, _ = strings.Cut(tail, "/dist-tags")
		rest = "dist-tags" + rest
		if q.Method == http.MethodGet {
			return Other, name, rest
		}
		return Write, name, rest
	}
	if strings.HasPrefix(p, "-/") || strings.HasPrefix(p, "registry/_") {
		return Other, "", p
	}
	name, rest, _ = strings.Cut(p, "/")
	if strings.HasPrefix(p, "@") {
		second, tail, _ := strings.Cut(rest, "/")
		name, rest = name+"/"+second, tail
	}
	switch {
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		return Write, name, rest
	case rest == "":
		return Packument, name, ""
	case strings.HasPrefix(rest, "-/"):
		return Tarball, name, rest
	}
	return Manifest, name, rest
}

func (r *Registry) answer(q *http.Request, kind Kind, name, rest string, body []byte) response {
	if r.shape.NoFeed && (kind == Feed || kind == Status) {
		return failure(http.StatusNotFound, "Not found")
	}
	switch kind {
	case Status:
		return r.status()
	case Feed:
		return r.changes(q)
	case Packument:
		return r.packument(q, name)
	case Manifest:
		return r.manifest(name, rest)
	case Tarball:
		if b, ok := r.blobs[name+"/"+rest]; ok {
			return response{status: http.StatusOK, kind: "application/octet-stream", body: b}
		}
		return failure(http.StatusNotFound, "Not found")
	case Write:
		return r.write(q, name, rest, body)
	}
	switch {
	case rest == "registry/_all_docs":
		return r.allDocs(q)
	case rest == "-/whoami":
		return object(map[string]any{"username": "alice"})
	case rest == "-/npm/v1/keys":
		return object(map[string]any{"keys": []any{map[string]any{"expires": nil, "keyid": r.keyID(), "keytype": "ecdsa-sha2-nistp256", "scheme": "ecdsa-sha2-nistp256", "key": base64.StdEncoding.EncodeToString(r.publicKey())}}})
	case rest == "-/ping", strings.HasPrefix(rest, "-/npm/v1/security/"):
		return object(map[string]any{})
	case rest == "dist-tags":
		if d := r.current(name, false); d != nil {
			return object(d.tags)
		}
	}
	return failure(http.StatusNotFound, "Not found")
}

const abbreviatedType = "application/vnd.npm.install-v1+json"

func (r *Registry) packument(q *http.Request, name string) response {
	d := r.current(name, q.URL.RawQuery != "")
	if q.URL.Query().Get("write") != "" {
		d = r.newestDoc(name) // npm reads its own writes
	}
	if d == nil || d.deleted {
		return failure(http.StatusNotFound, "Not found")
	}
	if d.raw != nil {
		return response{status: http.StatusOK, kind: "application/json", body: d.raw, etag: !r.shape.Mirror}
	}
	short := strings.Contains(q.Header.Get("Accept"), abbreviatedType) && !r.shape.Mirror
	if d.unpublished() && short {
		return failure(http.StatusNotFound, "Not found")
	}
	res := object(r.render(d, short))
	if res.etag = !r.shape.Mirror; short {
		res.kind = abbreviatedType
	}
	return res
}

// abbreviated are the fields of a version that an installer is given.
var abbreviated = strings.Fields(`name version deprecated dependencies acceptDependencies optionalDependencies devDependencies bundleDependencies
	peerDependencies peerDependenciesMeta bin directories dist engines _hasShrinkwrap funding cpu os libc`)

func (r *Registry) render(d *document, short bool) map[string]any {
	versions := map[string]any{}
	for v, m := range d.versions {
		out := map[string]any{}
		for k, x := range m {
			out[k] = x
		}
		if short {
			clear(out)
			for _, k := range abbreviated {
				if x, ok := m[k]; ok {
					out[k] = x
				}
			}
			if s, ok := m["scripts"].(map[string]any); ok && (s["preinstall"] != nil || s["install"] != nil || s["postinstall"] != nil) {
				out["hasInstallScript"] = true
			}
		}
		if dist, ok := m["dist"].(map[string]any); ok && r.shape.Mirror {
			bare := map[string]any{}
			for k, x := range dist {
				if k != "signatures" {
					bare[k] = x
				}
			}
			out["dist"] = bare
		}
		versions[v] = out
	}
	if short {
		return map[string]any{"name": d.name, "dist-tags": d.tags, "modified": d.time["modified"], "versions": versions}
	}
	doc := map[string]any{"_id": d.name, "_rev": d.rev, "name": d.name, "time": d.time, "maintainers": d.owners}
	if len(versions) > 0 {
		doc["versions"], doc["dist-tags"], doc["readme"] = versions, d.tags, ""
	}
	if r.shape.Mirror {
		delete(doc, "_rev")
		delete(doc, "time")
	}
	return doc
}

func (r *Registry) manifest(name, version string) response {
	d := r.current(name, false)
	if d == nil || d.raw != nil {
		return failure(http.StatusNotFound, "Not found")
	}
	if v, ok := d.tags[version]; ok {
		version = v
	}
	if m, ok := d.versions[version]; ok {
		res := object(m)
		res.etag = !r.shape.Mirror
		return res
	}
	return failure(http.StatusNotFound, "version not found: "+version)
}
