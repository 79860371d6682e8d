package registrytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// entry is one row of the feed. raw, when set, is served as it is.
type entry struct {
	seq     int64
	id, rev string
	deleted bool
	raw     string
}

// advance takes the next sequence number. They have gaps, as upstream's do.
func (r *Registry) advance(id string) { r.seq += 1 + int64(len(id)%3) }

func (r *Registry) announce(e entry) {
	e.seq = r.seq
	r.log = append(r.log, e)
	r.newest[e.id] = e.seq
	if len(r.log) > 64 && len(r.log) > 2*len(r.newest) {
		r.log = slices.DeleteFunc(r.log, func(e entry) bool { return r.newest[e.id] != e.seq })
	}
}

// Seq is the newest sequence number.
func (r *Registry) Seq() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seq
}

// Gap lets n sequence numbers pass without an entry.
func (r *Registry) Gap(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq += n
}

// Reset replaces the database: every package is announced anew, in the order of names, with numbers from start on.
func (r *Registry) Reset(start int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq = start
	r.log = nil
	r.newest = map[string]int64{}
	names := make([]string, 0, len(r.docs))
	for n := range r.docs {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		d := r.newestDoc(n)
		r.advance(n)
		r.announce(entry{id: n, rev: d.rev, deleted: d.deleted})
	}
}

// OddEntry puts a row of any shape into the feed. %d in it becomes its sequence number.
func (r *Registry) OddEntry(raw string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	if strings.Count(raw, "%d") == 1 {
		raw = fmt.Sprintf(raw, r.seq)
	}
	r.announce(entry{id: fmt.Sprintf("\x00odd %d", r.seq), raw: raw})
}

func (r *Registry) number(seq int64) any {
	if r.shape.StringSeq {
		return fmt.Sprintf("%d-g1AAAAopaque", seq)
	}
	return seq
}

func (r *Registry) status() response {
	n := 0
	for id := range r.docs {
		if d := r.newestDoc(id); !d.deleted {
			n++
		}
	}
	return object(map[string]any{"db_name": "registry", "doc_count": n, "update_seq": r.number(r.seq)})
}

func (r *Registry) changes(q *http.Request) response {
	v := q.URL.Query()
	for _, old := range []string{"include_docs", "feed", "filter", "view"} {
		if v.Get(old) != "" {
			return failure(http.StatusBadRequest, "the parameter "+old+" is gone; see the migration notes")
		}
	}
	since := r.seq
	if s := v.Get("since"); s != "now" {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		var err error
		if since, err = strconv.ParseInt("0"+s[:n], 10, 64); err != nil {
			return failure(http.StatusBadRequest, "bad since")
		}
	}
	limit := 10_000
	if r.shape.MaxPage > 0 {
		limit = r.shape.MaxPage
	}
	if n, err := strconv.Atoi(v.Get("limit")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	i := sort.Search(len(r.log), func(i int) bool { return r.log[i].seq > since })
	var page []entry
	for _, e := range r.log[i:] {
		if len(page) == limit {
			break
		}
		if r.newest[e.id] == e.seq {
			page = append(page, e)
		}
	}
	last := since
	if len(page) > 0 {
		last = page[len(page)-1].seq
	}
	if r.shape.Duplicates {
		for j := i - 1; j >= 0 && j >= i-3; j-- {
			if e := r.log[j]; r.newest[e.id] == e.seq {
				page = append([]entry{e}, page...)
			}
		}
		page = append(page, page[:min(1, len(page))]...)
	}
	if r.shape.Shuffled {
		slices.Reverse(page)
	}
	rows := make([]any, 0, len(page))
	for _, e := range page {
		if e.raw != "" {
			rows = append(rows, json.RawMessage(e.raw))
			continue
		}
		row := map[string]any{"seq": r.number(e.seq), "id": e.id, "changes": []any{map[string]any{"rev": e.rev}}}
		if e.deleted {
			row["deleted"] = true
		}
		rows = append(rows, row)
	}
	return object(map[string]any{"results": rows, "last_seq": r.number(last)})
}

// allDocs pages through the names, with an inclusive start key.
func (r *Registry) allDocs(q *http.Request) response {
	v := q.URL.Query()
	limit := 10_000
	if n, err := strconv.Atoi(v.Get("limit")); err == nil && n > 0 {
		limit = min(limit, n)
	}
	var start string
	json.Unmarshal([]byte(v.Get("startkey")), &start)
	var names []string
	for n := range r.docs {
		if d := r.newestDoc(n); n >= start && !d.deleted {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	rows := []any{}
	for _, n := range names[:min(limit, len(names))] {
		rows = append(rows, map[string]any{"id": n, "key": n, "value": map[string]any{"rev": r.newestDoc(n).rev}})
	}
	return object(map[string]any{"total_rows": len(r.docs), "offset": 0, "rows": rows})
}
