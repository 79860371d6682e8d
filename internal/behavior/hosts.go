package behavior

import (
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// hostIndex finds the class of a destination. The most specific entry counts: a host with a path, then the host, then the longest
// domain above it.
type hostIndex struct {
	exact   map[string]string
	domains map[string]string     // for ".example.org": example.org and all below
	paths   map[string][]hostPath // by host
	classes map[string]bool
}

type hostPath struct{ prefix, class string }

func loadHosts(fsys fs.FS) (hostIndex, error) {
	x := hostIndex{exact: map[string]string{}, domains: map[string]string{}, paths: map[string][]hostPath{}, classes: map[string]bool{}}
	classes, err := readClasses(fsys, "hosts.yaml")
	if err != nil {
		return x, err
	}
	for _, c := range classes {
		x.classes[c.name] = true
		for _, it := range c.items {
			if err := x.add(it.text, c.name); err != nil {
				return x, fmt.Errorf("hosts.yaml:%d: %w", it.line, err)
			}
		}
	}
	return x, nil
}

func (x *hostIndex) add(entry, class string) error {
	if entry != strings.ToLower(entry) || strings.ContainsAny(entry, "* ") {
		return fmt.Errorf("%s: want a host in lower case, a leading dot for all below it", entry)
	}
	if host, path, ok := strings.Cut(entry, "/"); ok {
		x.paths[host] = append(x.paths[host], hostPath{"/" + path, class})
		return nil
	}
	in := x.exact
	if d, ok := strings.CutPrefix(entry, "."); ok {
		in, entry = x.domains, d
	}
	if old := in[entry]; old != "" {
		return fmt.Errorf("%s is already %s", entry, old)
	}
	in[entry] = class
	return nil
}

// HostClass names what a destination is for, as hosts.yaml has it. It takes a host, with or without a port, or a whole URL. It is
// "" when nothing is known of it, "ip" for a public address, "private" for an internal one.
func (b *Base) HostClass(host string) string {
	h, path := splitHost(host)
	if h == "" {
		return ""
	}
	for _, p := range b.hosts.paths[h] {
		if strings.HasPrefix(path, p.prefix) {
			return p.class
		}
	}
	if c := b.hosts.exact[h]; c != "" {
		return c
	}
	if c := addressClass(h); c != "" {
		return c
	}
	for d := h; d != ""; _, d, _ = strings.Cut(d, ".") {
		if c := b.hosts.domains[d]; c != "" {
			return c
		}
	}
	if strings.ContainsAny(h, ".:\u2026*") || h == "http" || h == "https" || strings.Trim(h, "0123456789") == "" {
		return "" // not known, a URL that is not well formed, a number that is no address
	}
	return "private" // a name without a dot means nothing outside its own network
}

// splitHost takes the host, in lower case, and the path out of a URL or of what stands in place of one.
func splitHost(s string) (host, path string) {
	s = strings.ToLower(strings.TrimSpace(s))
	if _, after, ok := strings.Cut(s, "://"); ok {
		s = after
	} else {
		s = strings.TrimPrefix(s, "//")
	}
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		s, path = s[:i], s[i:]
	}
	s = s[strings.LastIndexByte(s, '@')+1:]
	if strings.HasPrefix(s, "[") {
		s, _, _ = strings.Cut(s[1:], "]")
	} else if strings.Count(s, ":") == 1 {
		s, _, _ = strings.Cut(s, ":")
	}
	return strings.Trim(s, "."), path
}

var sharedAddresses = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT, and the networks of container hosts

func addressClass(host string) string {
	host, _, _ = strings.Cut(host, "%")
	a, err := netip.ParseAddr(host)
	if err != nil {
		if numericHost(host) {
			return "ip"
		}
		return ""
	}
	a = a.Unmap()
	switch {
	case a.IsLoopback() || a.IsUnspecified():
		return "loopback"
	case a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || sharedAddresses.Contains(a):
		return "private"
	}
	return "ip"
}

// numericHost reports one of the odd spellings of an IPv4 address that connect accepts: 2130706433, 0x7f.1, 0177.0.0.1.
func numericHost(h string) bool {
	parts := strings.Split(h, ".")
	if len(parts) > 4 {
		return false
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 0, 32); err != nil || strings.IndexByte(p, '_') >= 0 {
			return false
		}
	}
	return true
}
