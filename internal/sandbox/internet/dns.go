package internet

import (
	"encoding/base64"
	"encoding/binary"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/donapi/donapi/internal/sandbox"
)

const (
	ttl          = 60
	maxQuestions = 16 // of one message
	maxDatagram  = 1232
)

// dns answers one message, or returns nil when it is none. Events keep the case of names: labels carry data in it.
func (i *Internet) dns(msg []byte, dst netip.AddrPort, datagram bool) []byte {
	var ask dns.Msg
	if ask.Unpack(msg) != nil || ask.Response || len(ask.Question) == 0 || len(ask.Question) > maxQuestions {
		return nil
	}
	reply := new(dns.Msg).SetReply(&ask)
	reply.Question = ask.Question
	reply.RecursionAvailable, reply.Compress = true, true
	for _, q := range ask.Question {
		name, typ := strings.TrimSuffix(q.Name, "."), dns.Type(q.Qtype).String()
		e := sandbox.Event{Kind: sandbox.KindDNS, Host: name, Type: typ}
		if dst.IsValid() {
			e.Addr = dst.String()
		}
		i.emit(e)
		a := i.resolve(name, typ)
		if a.NotFound {
			reply.Rcode = dns.RcodeNameError
			continue
		}
		reply.Answer = append(reply.Answer, records(q, a)...)
	}
	if datagram {
		size := dns.MinMsgSize
		if o := ask.IsEdns0(); o != nil {
			size = min(max(size, int(o.UDPSize())), maxDatagram)
			reply.SetEdns0(maxDatagram, false)
		}
		reply.Truncate(size)
	}
	out, err := reply.Pack()
	if err != nil {
		return nil
	}
	return out
}

// resolve is the answer to a question of any transport.
func (i *Internet) resolve(name, typ string) sandbox.Answer {
	lower := strings.ToLower(name)
	if i.cfg.Network.Resolve != nil {
		if a, ok := i.cfg.Network.Resolve(sandbox.Question{Name: lower, Type: typ}); ok {
			for _, ip := range a.Addrs {
				i.remember(lower, ip)
			}
			return a
		}
	}
	switch typ {
	case "A":
		return sandbox.Answer{Addrs: []netip.Addr{i.addrOf(lower, false)}}
	case "AAAA":
		return sandbox.Answer{Addrs: []netip.Addr{i.addrOf(lower, true)}}
	case "TXT":
		return sandbox.Answer{TXT: []string{"v=spf1 -all"}}
	case "PTR":
		return sandbox.Answer{NotFound: true}
	}
	return sandbox.Answer{}
}

// records are an answer in the form of the protocol. Names get a mail and a name server of their own.
func records(q dns.Question, a sandbox.Answer) []dns.RR {
	h := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: q.Qclass, Ttl: ttl}
	var out []dns.RR
	switch q.Qtype {
	case dns.TypeA:
		for _, ip := range a.Addrs {
			if ip = ip.Unmap(); ip.Is4() {
				out = append(out, &dns.A{Hdr: h, A: ip.AsSlice()})
			}
		}
	case dns.TypeAAAA:
		for _, ip := range a.Addrs {
			if ip.Is6() {
				out = append(out, &dns.AAAA{Hdr: h, AAAA: ip.AsSlice()})
			}
		}
	case dns.TypeTXT:
		for _, t := range a.TXT {
			var parts []string
			for len(t) > 255 {
				parts, t = append(parts, t[:255]), t[255:]
			}
			out = append(out, &dns.TXT{Hdr: h, Txt: append(parts, t)})
		}
	case dns.TypeMX:
		out = append(out, &dns.MX{Hdr: h, Preference: 10, Mx: below("mail", q.Name)})
	case dns.TypeNS:
		out = append(out, &dns.NS{Hdr: h, Ns: below("ns1", q.Name)})
	}
	return out
}

// below is a name in a zone, or the zone when its name is too long for that.
func below(label, zone string) string {
	if name := label + "." + zone; len(name) < 250 {
		return name
	}
	return zone
}

// dnsStream answers DNS over TCP until the flow ends or turns out to be something else.
func (i *Internet) dnsStream(f *flow) {
	for {
		f.wait(idle)
		f.src.record(i.cfg.Body)
		msg, err := readPrefixed(f.r)
		var reply []byte
		if err == nil {
			reply = i.dns(msg, f.dst, false)
		}
		if reply == nil {
			said, cut := f.recorded()
			i.message(f, f.proto, said, cut)
			if err == nil {
				i.raw(f, f.proto)
			}
			return
		}
		if _, err := f.c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...)); err != nil {
			return
		}
	}
}

// readPrefixed reads a message with its length, two bytes, before it (RFC 1035, 4.2.2).
func readPrefixed(r io.Reader) ([]byte, error) {
	var n [2]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(n[:]))
	_, err := io.ReadFull(r, msg)
	return msg, err
}

// overHTTP answers DNS over HTTPS, in its binary (RFC 8484) and its JSON form.
func (i *Internet) overHTTP(r sandbox.Request) (sandbox.Reply, bool) {
	u, err := url.ParseRequestURI(r.Path)
	if err != nil {
		return sandbox.Reply{}, false
	}
	var msg []byte
	switch {
	case r.Method == "POST" && strings.EqualFold(r.Get("Content-Type"), "application/dns-message"):
		msg = r.Body
	case u.Query().Get("dns") != "":
		msg, _ = base64.RawURLEncoding.DecodeString(strings.TrimRight(u.Query().Get("dns"), "="))
	case (u.Path == "/resolve" || u.Path == "/dns-query") && u.Query().Get("name") != "":
		return i.jsonDNS(u.Query().Get("name"), u.Query().Get("type")), true
	}
	if reply := i.dns(msg, netip.AddrPort{}, false); reply != nil {
		return sandbox.Reply{Header: []sandbox.Header{{Name: "Content-Type", Value: "application/dns-message"}}, Body: reply}, true
	}
	return sandbox.Reply{}, false
}

// jsonDNS answers a question in the JSON form that the large public resolvers share.
func (i *Internet) jsonDNS(name, typ string) sandbox.Reply {
	if typ == "" {
		typ = "A"
	}
	typ = strings.ToUpper(typ)
	number, ok := dns.StringToType[typ]
	if n, err := strconv.ParseUint(typ, 10, 16); err == nil {
		number, ok = uint16(n), true
		typ = dns.Type(number).String()
	}
	if !ok {
		return jsonReply(400, map[string]string{"error": "unknown type"})
	}
	name = strings.TrimSuffix(name, ".")
	i.emit(sandbox.Event{Kind: sandbox.KindDNS, Host: name, Type: typ})
	a := i.resolve(name, typ)
	type record struct {
		Name string `json:"name"`
		Type uint16 `json:"type"`
		TTL  int    `json:"TTL"`
		Data string `json:"data"`
	}
	type question struct {
		Name string `json:"name"`
		Type uint16 `json:"type"`
	}
	reply := struct {
		Status   int
		TC       bool
		Answer   []record `json:",omitempty"`
		Question []question
	}{Question: []question{{name, number}}}
	if a.NotFound {
		reply.Status = dns.RcodeNameError
	}
	for _, ip := range a.Addrs {
		reply.Answer = append(reply.Answer, record{name, number, ttl, ip.String()})
	}
	for _, t := range a.TXT {
		reply.Answer = append(reply.Answer, record{name, number, ttl, `"` + t + `"`})
	}
	r := jsonReply(200, reply)
	r.Header[0].Value = "application/dns-json"
	return r
}
