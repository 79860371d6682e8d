package internet

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// flow is one connection, or the inside of one: TLS and proxies nest.
type flow struct {
	id    int
	c     net.Conn
	r     *bufio.Reader
	src   *source // below r
	dst   netip.AddrPort
	proto string // tcp or tls
	sni   string
	depth int
}

const maxDepth = 4 // tunnels within tunnels

func newFlow(id int, c net.Conn, dst netip.AddrPort, proto string, depth int) *flow {
	s := &source{r: c, left: unlimited}
	f := &flow{id: id, c: c, r: bufio.NewReader(s), src: s, dst: dst, proto: proto, depth: depth}
	s.buffered = f.r
	return f
}

// source is where a flow's reader reads. While a reader tries to make sense of what comes, source limits how much it may take and keeps
// a copy, so that what made no sense can be recorded as the bytes that it was.
type source struct {
	r        io.Reader
	buffered *bufio.Reader // reads from this source
	left     int64
	keep     int // bytes of seen; 0 when nothing is kept
	seen     []byte
	total    int
}

// unlimited is the allowance of a flow whose own reader keeps to a limit.
const unlimited = 1 << 62

func (s *source) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	s.add(p[:n])
	return n, err
}

func (s *source) add(b []byte) {
	s.total += len(b)
	s.seen = append(s.seen, b[:min(len(b), max(0, s.keep-len(s.seen)))]...)
}

// record keeps a copy of what is read from now on, at most so many bytes.
func (s *source) record(keep int) {
	s.keep, s.total, s.seen = keep, 0, s.seen[:0]
	waiting, _ := s.buffered.Peek(s.buffered.Buffered())
	s.add(waiting)
}

// recorded returns what was read from the flow since record, and ends it.
func (f *flow) recorded() (b []byte, cut bool) {
	n := f.src.total - f.r.Buffered()
	f.src.keep = 0
	return f.src.seen[:min(n, len(f.src.seen))], n > len(f.src.seen)
}

// wait gives the flow so much time for what comes next.
func (f *flow) wait(d time.Duration) { f.c.SetDeadline(time.Now().Add(d)) }

func (i *Internet) event(f *flow, k sandbox.Kind) sandbox.Event {
	e := sandbox.Event{Kind: k, Flow: f.id, Addr: f.dst.String(), Host: i.nameOf(f.dst.Addr()), SNI: f.sni}
	if e.Host == "" {
		e.Host = f.sni
	}
	return e
}

// message records what the box sent.
func (i *Internet) message(f *flow, proto string, b []byte, cut bool) {
	if len(b) == 0 {
		return
	}
	kept, more := i.body(b)
	e := i.event(f, sandbox.KindMessage)
	e.Proto, e.Data, e.Cut = proto, bytes.Clone(kept), cut || more
	i.emit(e)
}

// ServeConn answers one TCP connection that the box made to dst, and closes it.
func (i *Internet) ServeConn(c net.Conn, dst netip.AddrPort) {
	id, done, ok := i.begin(c, connection)
	if !ok {
		c.Close()
		i.refused(dst)
		return
	}
	defer done()
	f := newFlow(id, c, dst, "tcp", 0)
	i.emit(i.event(f, sandbox.KindFlow))
	i.serve(f)
}

func (i *Internet) serve(f *flow) {
	if f.depth > maxDepth {
		return
	}
	port := f.dst.Port()
	if port == 53 && f.proto == "tcp" || port == 853 && f.proto == "tls" {
		i.dnsStream(f)
		return
	}
	if d, ok := greetings[greeted{port, f.proto == "tls"}]; ok {
		i.dialogue(f, d)
		return
	}
	f.wait(idle)
	first, err := f.r.Peek(1)
	if err != nil {
		return
	}
	switch {
	case first[0] == 0x16 && f.proto == "tcp":
		i.serveTLS(f)
	default:
		head := f.peek(24)
		switch {
		case bytes.HasPrefix(head, []byte("PRI * HTTP/2")):
			i.serveHTTP2(f)
		case looksHTTP(head):
			i.serveHTTP(f)
		case bytes.HasPrefix(head, []byte("SSH-")):
			i.dialogue(f, ssh)
		case asksSOCKS(head):
			i.serveSOCKS(f, head)
		default:
			i.raw(f, f.proto)
		}
	}
}

// peek returns the first bytes of a flow, as many as came at once and at most n.
func (f *flow) peek(n int) []byte {
	f.c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	b, _ := f.r.Peek(n)
	f.wait(idle)
	return b
}

func (i *Internet) serveTLS(f *flow) {
	f.wait(handshake)
	var hello *tls.ClientHelloInfo
	conf := &tls.Config{
		MinVersion: tls.VersionTLS10, // old clients are heard out too
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			hello = h
			c := &tls.Config{MinVersion: tls.VersionTLS10, NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				if h.ServerName != "" {
					return i.ca.certificate(h.ServerName)
				}
				return i.ca.certificate(f.dst.Addr().String())
			}}
			switch {
			case slices.Contains(h.SupportedProtos, "http/1.1") || len(h.SupportedProtos) == 0:
			case slices.Contains(h.SupportedProtos, "h2"):
				c.NextProtos = []string{"h2"}
			default:
				c.NextProtos = h.SupportedProtos[:1] // whatever it is, we speak it
			}
			return c, nil
		},
	}
	f.src.record(i.cfg.Body)
	c := tls.Server(buffered{f.c, f.r}, conf)
	err := c.Handshake()
	said, cut := f.recorded()
	e := i.event(f, sandbox.KindTLS)
	if hello != nil {
		e.SNI = hello.ServerName
		if e.Host == "" {
			e.Host = hello.ServerName
		}
		for n, p := range hello.SupportedProtos {
			if n > 0 {
				e.ALPN += ","
			}
			e.ALPN += p
		}
	}
	if err != nil {
		e.Error = err.Error()
	}
	i.emit(e)
	if hello == nil { // it only began like TLS
		i.message(f, f.proto, said, cut)
		i.raw(f, f.proto)
		return
	}
	if err != nil {
		return
	}
	inner := newFlow(f.id, c, f.dst, "tls", f.depth+1)
	inner.sni = e.SNI
	if c.ConnectionState().NegotiatedProtocol == "h2" {
		i.serveHTTP2(inner)
	} else {
		i.serve(inner)
	}
	f.wait(time.Second)
	c.Close()
}

// buffered is a connection of which some bytes were already read into r.
type buffered struct {
	net.Conn
	r io.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// raw records what comes on a flow of no known protocol. Bytes that come in one go are one message.
func (i *Internet) raw(f *flow, proto string) {
	var got []byte
	cut := false
	flush := func() {
		i.message(f, proto, got, cut)
		got, cut = got[:0], false
	}
	defer flush()
	buf := make([]byte, 32<<10)
	for {
		pause := 300 * time.Millisecond
		if len(got) == 0 {
			pause = idle
		}
		f.wait(pause)
		n, err := f.r.Read(buf)
		if len(got) < i.cfg.Body {
			got = append(got, buf[:n]...)
		} else {
			cut = cut || n > 0
		}
		switch {
		case err == nil:
		case isTimeout(err) && len(got) > 0:
			flush()
		default:
			return
		}
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// asksSOCKS reports whether a flow begins as SOCKS5 does (RFC 1928, 3) and can do without a password.
func asksSOCKS(head []byte) bool {
	return len(head) >= 3 && head[0] == 5 && len(head) == 2+int(head[1]) && bytes.IndexByte(head[2:], 0) >= 0
}

// serveSOCKS answers as a SOCKS5 proxy and serves what is asked for behind it.
func (i *Internet) serveSOCKS(f *flow, greeting []byte) {
	f.src.record(i.cfg.Body)
	f.r.Discard(len(greeting))
	f.c.Write([]byte{5, 0})
	name, addr, port, err := readSOCKS(f.r)
	said, cut := f.recorded()
	if err != nil {
		i.message(f, f.proto, said, cut)
		return
	}
	if name != "" {
		addr = i.addrOf(strings.ToLower(name), false)
	}
	if _, err := f.c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}); err == nil {
		i.tunnel(f, netip.AddrPortFrom(addr, port))
	}
}

// readSOCKS reads a request to connect (RFC 1928, 4), to a name or to an address.
func readSOCKS(r io.Reader) (name string, addr netip.Addr, port uint16, err error) {
	var head [5]byte // the fifth byte is the length of a name, or the first of an address
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return "", addr, 0, err
	}
	sizes := map[byte]int{1: 4 - 1, 4: 16 - 1, 3: int(head[4])}
	size, ok := sizes[head[3]]
	if head[0] != 5 || head[1] != 1 || !ok {
		return "", addr, 0, errors.New("not a request to connect")
	}
	rest := make([]byte, size+2)
	if _, err = io.ReadFull(r, rest); err != nil {
		return "", addr, 0, err
	}
	port = binary.BigEndian.Uint16(rest[size:])
	if head[3] == 3 {
		return string(rest[:size]), addr, port, nil
	}
	addr, _ = netip.AddrFromSlice(append([]byte{head[4]}, rest[:size]...))
	return "", addr, port, nil
}

// tunnel serves the inside of a proxy's connection as a flow to dst.
func (i *Internet) tunnel(f *flow, dst netip.AddrPort) {
	inner := newFlow(f.id, buffered{f.c, f.r}, dst, "tcp", f.depth+1)
	i.emit(i.event(inner, sandbox.KindFlow))
	i.serve(inner)
}
