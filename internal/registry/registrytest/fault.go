package registrytest

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

// Kind of a request.
type Kind string

// Kinds of requests.
const (
	Feed      Kind = "feed"      // a page of the change feed
	Status    Kind = "status"    // the status of the feed
	Packument Kind = "packument" // the document of a package
	Manifest  Kind = "manifest"  // one version of it
	Tarball   Kind = "tarball"
	Write     Kind = "write" // publish, tag, deprecate, unpublish
	Other     Kind = "other"
)

// Request is one request that was served.
type Request struct {
	Kind   Kind
	Name   string // of the package, where there is one
	Method string
	Path   string
	Header http.Header
}

// Fault is something that goes wrong with an answer. The zero value of a field leaves that alone.
type Fault struct {
	On    Kind   // "" means every kind
	Name  string // of the package; "" means all
	Times int    // so many answers; 0 means until Heal
	After int    // so many answers are spared first

	Status     int           // instead of the answer, with the body null
	RetryAfter string        // header of that
	Redirect   string        // to this address instead of the answer
	Body       []byte        // instead of the answer's body
	HangUp     bool          // the connection ends without an answer
	Truncate   bool          // the connection ends in the middle of the body
	Corrupt    bool          // one byte of the body is another
	Endless    bool          // the body goes on for as long as it is read
	Delay      time.Duration // before the answer
	Slow       time.Duration // between pieces of the body, of which there are twenty
}

// Inject adds a fault. Of several that match, the one added first is applied.
func (r *Registry) Inject(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.Times == 0 {
		f.Times = -1
	}
	r.faults = append(r.faults, &f)
}

// OnRequest sets a function that decides what goes wrong with each request, before the injected faults. It must not call the registry.
func (r *Registry) OnRequest(f func(Request) *Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hook = f
}

// Heal ends all faults.
func (r *Registry) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults, r.hook = nil, nil
}

// Requests returns what was asked since the last call of Requests, the newest hundred thousand at most.
func (r *Registry) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.requests
	r.requests = nil
	return out
}

const maxRequests = 100_000

// meet records a request and picks its fault.
func (r *Registry) meet(q Request) *Fault {
	if len(r.requests) < maxRequests {
		r.requests = append(r.requests, q)
	}
	if r.hook != nil {
		if f := r.hook(q); f != nil {
			return f
		}
	}
	for _, f := range r.faults {
		if f.On != "" && f.On != q.Kind || f.Name != "" && f.Name != q.Name || f.Times == 0 {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		if f.Times > 0 {
			f.Times--
		}
		c := *f
		return &c
	}
	return nil
}

// send writes an answer with its fault.
func (f *Fault) send(w http.ResponseWriter, q *http.Request, res response) {
	if !pause(q, f.Delay) {
		return
	}
	switch {
	case f.HangUp:
		panic(http.ErrAbortHandler)
	case f.Redirect != "":
		http.Redirect(w, q, f.Redirect, http.StatusFound)
		return
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		res = response{status: f.Status, kind: "application/json", body: []byte("null")}
	}
	if f.Body != nil {
		res.body = f.Body
		res.etag = false
	}
	if f.Corrupt && len(res.body) > 0 {
		res.body = bytes.Clone(res.body)
		res.body[len(res.body)/2] ^= 0x20
	}
	if f.Endless {
		w.WriteHeader(res.status)
		for b := bytes.Repeat([]byte(" "), 64<<10); q.Context().Err() == nil; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
		return
	}
	if !f.Truncate && f.Slow == 0 {
		res.send(w, q)
		return
	}
	w.Header().Set("Content-Type", res.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(res.body)))
	w.WriteHeader(res.status)
	body := res.body
	if f.Truncate {
		body = body[:len(body)/2]
	}
	for piece := len(body)/20 + 1; len(body) > 0; body = body[min(piece, len(body)):] {
		if _, err := w.Write(body[:min(piece, len(body))]); err != nil {
			return
		}
		if c, ok := w.(http.Flusher); ok {
			c.Flush()
		}
		if !pause(q, f.Slow) {
			return
		}
	}
	if f.Truncate {
		panic(http.ErrAbortHandler)
	}
}

func pause(q *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-q.Context().Done():
		return false
	}
}
