package registrytest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path"
	"strings"
)

// writing is the document that npm sends to publish, deprecate or unpublish a version.
type writing struct {
	Tags        map[string]string         `json:"dist-tags"`
	Versions    map[string]map[string]any `json:"versions"`
	Attachments map[string]struct {
		Data string `json:"data"`
	} `json:"_attachments"`
}

func (r *Registry) write(q *http.Request, name, rest string, body []byte) response {
	ok := func() response {
		res := object(map[string]any{"ok": true, "id": name, "rev": r.newestDoc(name).rev})
		res.status = http.StatusCreated
		return res
	}
	if tag, is := strings.CutPrefix(rest, "dist-tags/"); is {
		return r.writeTag(q, name, tag, body)
	}
	d := r.newestDoc(name)
	if (d == nil || d.deleted) && (rest != "" || q.Method != http.MethodPut) {
		return failure(http.StatusNotFound, "Not found")
	}
	switch {
	case q.Method == http.MethodDelete && strings.HasPrefix(rest, "-/"):
		file, _, _ := strings.Cut(rest, "/-rev/")
		delete(r.blobs, name+"/"+file)
		return ok()
	case q.Method == http.MethodDelete && strings.HasPrefix(rest, "-rev/"):
		r.unpublishAll(name)
		return ok()
	case q.Method != http.MethodPut:
		return failure(http.StatusMethodNotAllowed, "method not allowed")
	}
	var in writing
	if err := json.Unmarshal(body, &in); err != nil {
		return failure(http.StatusBadRequest, "not a document: "+err.Error())
	}
	if strings.HasPrefix(rest, "-rev/") { // what is missing is unpublished
		n := r.fork(name)
		for v := range n.versions {
			if in.Versions[v] == nil {
				delete(n.versions, v)
			}
		}
		n.tags = in.Tags
		n.untag()
		r.commit(n)
		return ok()
	}
	if len(in.Attachments) == 0 { // deprecate
		n := r.fork(name)
		for v, m := range in.Versions {
			if old := n.versions[v]; old != nil {
				next := map[string]any{}
				for k, x := range old {
					next[k] = x
				}
				if next["deprecated"] = m["deprecated"]; m["deprecated"] == nil || m["deprecated"] == "" {
					delete(next, "deprecated")
				}
				n.versions[v] = next
			}
		}
		r.commit(n)
		return ok()
	}
	for v, m := range in.Versions {
		att, found := in.Attachments[name+"-"+v+".tgz"]
		if !found {
			att, found = in.Attachments[path.Base(name)+"-"+v+".tgz"]
		}
		tgz, err := base64.StdEncoding.DecodeString(att.Data)
		if !found || err != nil {
			return failure(http.StatusBadRequest, "no attachment for "+v)
		}
		delete(m, "_npmUser") // the registry knows who it is
		tag := "latest"
		for t, of := range in.Tags {
			if of == v {
				tag = t
			}
		}
		if err := r.publish(r.fork(name), v, tag, m, tgz, nil); err != nil {
			return failure(http.StatusForbidden, "You cannot publish over the previously published versions: "+v+".")
		}
	}
	return ok()
}

func (r *Registry) writeTag(q *http.Request, name, tag string, body []byte) response {
	if d := r.newestDoc(name); d == nil || d.deleted {
		return failure(http.StatusNotFound, "Not found")
	}
	d := r.fork(name)
	var version string
	switch {
	case q.Method == http.MethodDelete:
		delete(d.tags, tag)
	case json.Unmarshal(body, &version) != nil || d.versions[version] == nil:
		return failure(http.StatusBadRequest, "no such version")
	default:
		d.tags[tag] = version
	}
	r.commit(d)
	return object(map[string]any{"ok": true})
}
