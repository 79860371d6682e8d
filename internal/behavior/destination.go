package behavior

import (
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// Destination is where a network call goes.
type Destination struct {
	Host  string // as far as known
	URL   string // with … for unknown parts
	Class string // as HostClass; open when the host is not known, own for the package's documented hosts
}

// destination finds a call's destination in its URL, host or options, or in those of the call that made its receiver.
func (m *matcher) destination(c *callseq.Call) Destination {
	if d, ok := m.dests[c.ID]; ok {
		return d
	}
	m.dests[c.ID] = Destination{Class: "open"}
	d := m.findDestination(c, 0)
	if a := m.base.API(c.API); a != nil && a.To != "" {
		d.Class = a.To
	}
	m.dests[c.ID] = d
	return d
}

func (m *matcher) findDestination(c *callseq.Call, depth int) Destination {
	var vals []*callseq.Value
	if a := m.base.API(c.API); a != nil {
		for _, role := range []string{"url", "host", "options"} {
			for _, r := range a.Args {
				if r.Role == role {
					if v := argPath(c, r.Path); v != nil {
						vals = append(vals, v)
					}
				}
			}
		}
	}
	if strings.HasPrefix(c.API, "$") {
		for i := range c.Args {
			vals = append(vals, &c.Args[i])
		}
	}
	for _, v := range vals {
		if d, ok := m.readDestination(v, c, 0); ok {
			return d
		}
	}
	if c.Recv != nil && depth < 4 {
		for _, f := range c.Recv.AllFlows() {
			p := m.t.Lookup(f.From)
			if p == nil || p.ID == c.ID {
				continue
			}
			a := m.base.API(p.API)
			if a == nil || a.Role("url") == "" && a.Role("host") == "" {
				continue
			}
			if d := m.findDestination(p, depth+1); d.Class != "open" || d.URL != "" {
				return d
			}
		}
	}
	return Destination{Class: "open"}
}

func (m *matcher) readDestination(v *callseq.Value, c *callseq.Call, depth int) (Destination, bool) {
	if depth > 3 {
		return Destination{}, false
	}
	switch v.Kind {
	case callseq.Object:
		for _, k := range []string{"url", "uri", "href", "hostname", "host", "baseURL"} {
			if f := v.Field(k); f != nil && f.Kind != callseq.Undefined {
				if d, ok := m.readDestination(f, c, depth+1); ok {
					if p := v.Field("path"); p != nil && !strings.Contains(d.URL, "/") {
						d.URL += p.Pattern("\u2026")
					}
					return d, true
				}
			}
		}
		return Destination{}, false
	case callseq.Func, callseq.Undefined, callseq.Null, callseq.Number, callseq.Bool, callseq.Array:
		return Destination{}, false
	}
	for i := range v.Alts {
		if d, ok := m.readDestination(&v.Alts[i], c, depth+1); ok {
			return d, true
		}
	}
	text := v.Pattern("\u2026")
	if len(v.Parts) == 0 && v.Text == "" {
		return Destination{}, false
	}
	if strings.HasPrefix(c.API, "$") && !strings.Contains(text, "://") && !looksLikeHost(text) {
		return Destination{}, false
	}
	return m.classify(text), true
}

func looksLikeHost(s string) bool {
	if strings.ContainsAny(s, " \t/'\"=<>|&;()") || !strings.Contains(s, ".") || strings.HasPrefix(s, "-") || strings.HasPrefix(s, ".") {
		return false
	}
	return true
}

// classify names the class of a URL or host with … for its unknown parts.
func (m *matcher) classify(text string) Destination {
	d := Destination{URL: text}
	host := text
	if _, after, ok := strings.Cut(text, "://"); ok {
		host = after
	} else {
		host = strings.TrimPrefix(host, "//")
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	d.Host = strings.ToLower(host)
	known := d.Host
	if i := strings.LastIndex(known, "\u2026"); i >= 0 { // data in front of a known domain: the domain counts
		known = strings.TrimPrefix(known[i+len("\u2026"):], ".")
		if !strings.Contains(known, ".") {
			d.Class = "open"
			return d
		}
	}
	if known == "" {
		d.Class = "open"
		return d
	}
	for _, h := range m.subject.Hosts {
		if h != "" && (known == h || strings.HasSuffix(known, "."+h)) {
			if c := m.base.HostClass(h); c == "" || c == "vendor" {
				d.Class = "own"
				return d
			}
		}
	}
	d.Class = m.base.HostClass(known)
	return d
}
