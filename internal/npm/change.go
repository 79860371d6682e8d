package npm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Cursor is a place in a change feed. It is to be kept and handed back as it is; "" is the beginning.
type Cursor string

// Number is the sequence number that a cursor starts with, for telling whether a feed was numbered anew. ok is false for cursors that
// have none.
func (c Cursor) Number() (n int64, ok bool) {
	end := 0
	for end < len(c) && c[end] >= '0' && c[end] <= '9' {
		end++
	}
	if end == 0 || end < len(c) && c[end] != '-' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(c[:end]), 10, 64)
	return n, err == nil
}

// Change says that the document of a package is another than before. What changed is in the document only.
type Change struct {
	Seq     Cursor
	Name    string
	Rev     string // the newest revision that the feed names; "" when it names none
	Deleted bool   // there is no document any more
}

// ChangePage is one answer of a change feed.
type ChangePage struct {
	Changes  []Change // every package once, in the order of the feed
	Last     Cursor   // where to go on; never "" unless the feed is empty
	Rows     int      // rows as counted by the feed, odd ones and repetitions too
	Problems []string // rows that name no package, in the order of the feed
}

// ParseChanges reads a page of the change feed that was asked for from since on. Rows of absurd shapes are left out and told in
// Problems; only an answer that is no page at all is an error.
func ParseChanges(data []byte, since Cursor) (*ChangePage, error) {
	var raw struct {
		Results *[]json.RawMessage `json:"results"`
		Last    json.RawMessage    `json:"last_seq"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("change feed: %w", err)
	}
	if raw.Results == nil {
		return nil, fmt.Errorf("change feed: no results")
	}
	p := &ChangePage{Rows: len(*raw.Results)}
	problem := func(i int, what string) {
		if len(p.Problems) < maxProblems {
			p.Problems = append(p.Problems, fmt.Sprintf("row %d: %s", i, what))
		}
	}
	at := map[string]int{}
	var highest Cursor
	for i, row := range *raw.Results {
		c, what := parseChange(row)
		if later(c.Seq, highest) {
			highest = c.Seq
		}
		if what != "" {
			problem(i, what)
		}
		if c.Name == "" {
			continue
		}
		if j, seen := at[c.Name]; !seen {
			at[c.Name] = len(p.Changes)
			p.Changes = append(p.Changes, c)
		} else if !later(p.Changes[j].Seq, c.Seq) {
			p.Changes[j] = c
		}
	}
	slices.SortStableFunc(p.Changes, func(a, b Change) int { // those without a number come last
		x, okA := a.Seq.Number()
		y, okB := b.Seq.Number()
		if !okA || !okB {
			return cmp.Compare(rank(okA), rank(okB))
		}
		return cmp.Compare(x, y)
	})
	if p.Last = cursorOf(raw.Last); p.Last == "" {
		if p.Rows > 0 || len(raw.Last) > 0 {
			p.Problems = append(p.Problems, "last_seq is missing")
		}
		if p.Last = since; later(highest, p.Last) {
			p.Last = highest
		}
	}
	return p, nil
}

func rank(numbered bool) int {
	if numbered {
		return 0
	}
	return 1
}

// maxProblems bounds what is told of one page or document.
const maxProblems = 100

// later reports that a stands behind b, as far as numbers tell. Everything numbered stands behind nothing.
func later(a, b Cursor) bool {
	x, ok := a.Number()
	if !ok {
		return false
	}
	y, ok := b.Number()
	return !ok && b == "" || ok && x > y
}

func parseChange(row []byte) (c Change, problem string) {
	var f map[string]json.RawMessage
	if json.Unmarshal(row, &f) != nil || f == nil {
		return c, "not an object"
	}
	c.Seq = cursorOf(f["seq"])
	var id string
	if json.Unmarshal(f["id"], &id) != nil || id == "" {
		return c, "no id"
	}
	if strings.HasPrefix(id, "_design/") || !ValidName(id) {
		return c, fmt.Sprintf("%.100q is not the name of a package", id)
	}
	c.Name = id
	json.Unmarshal(f["deleted"], &c.Deleted) // another type than bool is not deleted
	var list []json.RawMessage
	if json.Unmarshal(f["changes"], &list) == nil {
		for _, x := range list {
			var r struct {
				Rev string `json:"rev"`
			}
			if json.Unmarshal(x, &r) == nil && RevNumber(r.Rev) >= RevNumber(c.Rev) {
				c.Rev = r.Rev
			}
		}
	}
	return c, ""
}

// RevNumber is the generation of a CouchDB revision, as 12 of 12-ab34; 0 when it has none.
func RevNumber(rev string) int64 {
	n, _, _ := strings.Cut(rev, "-")
	i, err := strconv.ParseInt(n, 10, 64)
	if err != nil || i < 0 {
		return 0
	}
	return i
}

// cursorOf reads a cursor as feeds print it: a number or a text. Anything else is "".
func cursorOf(raw json.RawMessage) Cursor {
	var s string
	if json.Unmarshal(raw, &s) == nil && len(s) < 4096 {
		return Cursor(s)
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		if f, err := n.Float64(); err == nil && f >= 0 && f < 1<<63 && f == float64(int64(f)) {
			if i, err := n.Int64(); err == nil {
				return Cursor(strconv.FormatInt(i, 10))
			}
			return Cursor(strconv.FormatInt(int64(f), 10))
		}
	}
	return ""
}

// ParseFeedStatus reads the status of a feed: its newest cursor.
func ParseFeedStatus(data []byte) (Cursor, error) {
	var raw struct {
		Seq json.RawMessage `json:"update_seq"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return "", fmt.Errorf("status of the change feed: %w", err)
	}
	c := cursorOf(raw.Seq)
	if c == "" {
		return "", fmt.Errorf("status of the change feed: no update_seq")
	}
	return c, nil
}
