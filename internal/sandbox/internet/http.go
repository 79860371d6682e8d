package internet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

// A body beyond this is not read to its end.
const maxBody = 256 << 20

func looksHTTP(b []byte) bool {
	word, _, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(word) < 3 {
		return false
	}
	for _, c := range word {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	switch string(word) {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "PURGE", "SEARCH":
		return true
	}
	return false
}

// serveHTTP answers HTTP/1 requests until the flow ends or turns into something else.
func (i *Internet) serveHTTP(f *flow) {
	for {
		f.wait(idle)
		if _, err := f.r.Peek(1); err != nil {
			return
		}
		if !looksHTTP(f.peek(24)) {
			i.raw(f, f.proto)
			return
		}
		f.src.record(i.cfg.Body)
		f.src.left = headerBytes
		hr, err := http.ReadRequest(f.r)
		f.src.left = unlimited
		said, cut := f.recorded()
		if err != nil {
			i.message(f, f.proto, said, cut)
			i.raw(f, f.proto)
			return
		}
		if strings.EqualFold(hr.Header.Get("Expect"), "100-continue") {
			io.WriteString(f.c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if hr.Method == http.MethodConnect {
			i.connect(f, hr)
			return
		}
		if strings.EqualFold(hr.Header.Get("Upgrade"), "websocket") {
			i.websocket(f, hr)
			return
		}
		body, whole := i.readBody(f, hr.Body)
		reply := i.request(f, hr, body, whole)
		if err := writeReply(f.c, hr, reply); err != nil || hr.Close || !whole {
			return
		}
	}
}

// readBody keeps the head of a body and reads over the rest.
func (i *Internet) readBody(f *flow, r io.Reader) (body []byte, whole bool) {
	body, err := io.ReadAll(io.LimitReader(r, int64(i.cfg.Body)+1))
	for n := int64(len(body)); err == nil; {
		f.wait(idle)
		var k int64
		k, err = io.CopyN(io.Discard, r, 1<<20)
		n += k
		if n > maxBody {
			return body, false
		}
	}
	return body, err == nil || err == io.EOF
}

// request records a request and finds its reply.
func (i *Internet) request(f *flow, hr *http.Request, body []byte, whole bool) sandbox.Reply {
	kept, cut := i.body(body)
	req := sandbox.Request{Scheme: "http", Method: hr.Method, Host: hostOnly(hr.Host), Port: int(f.dst.Port()), Path: hr.RequestURI, Header: headers(hr), Body: bytes.Clone(kept)}
	if f.proto == "tls" {
		req.Scheme = "https"
	}
	if hr.URL.IsAbs() { // a request to a proxy names the whole URL
		req.Scheme, req.Host, req.Path = hr.URL.Scheme, hostOnly(hr.URL.Host), hr.URL.RequestURI()
	}
	reply := i.reply(req)
	if reply.Status < 200 || reply.Status > 999 {
		reply.Status = 200
	}
	e := i.event(f, sandbox.KindHTTP)
	if req.Host != "" {
		e.Host = req.Host
	}
	e.Scheme, e.Method, e.Path, e.Header, e.Data, e.Cut, e.Status = req.Scheme, req.Method, req.Path, req.Header, req.Body, cut || !whole, reply.Status
	i.emit(e)
	return reply
}

func (i *Internet) reply(req sandbox.Request) sandbox.Reply {
	if i.cfg.Network.Reply != nil {
		if r, ok := i.cfg.Network.Reply(req); ok {
			return r
		}
	}
	if r, ok := i.overHTTP(req); ok {
		return r
	}
	return defaultReply(req)
}

// headers lists header fields by name, so that equal requests give equal events.
func headers(r *http.Request) []sandbox.Header {
	names := make([]string, 0, len(r.Header)+1)
	for n := range r.Header {
		names = append(names, n)
	}
	sort.Strings(names)
	out := []sandbox.Header{{Name: "Host", Value: r.Host}}
	for _, n := range names {
		for _, v := range r.Header[n] {
			out = append(out, sandbox.Header{Name: n, Value: v})
		}
	}
	return out
}

func writeReply(w io.Writer, hr *http.Request, r sandbox.Reply) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: nginx\r\n", r.Status, http.StatusText(r.Status), time.Now().UTC().Format(http.TimeFormat))
	typed := false
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, "Content-Length") || strings.EqualFold(h.Name, "Transfer-Encoding") {
			continue // how long the body is, is said below
		}
		typed = typed || strings.EqualFold(h.Name, "Content-Type")
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, oneLine(h.Value))
	}
	if !typed && len(r.Body) > 0 {
		b.WriteString("Content-Type: application/json\r\n")
	}
	if hr.Close {
		b.WriteString("Connection: close\r\n")
	}
	if r.Status >= 200 && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.Body))
	}
	b.WriteString("\r\n")
	if hr.Method != http.MethodHead && r.Status != http.StatusNoContent && r.Status != http.StatusNotModified {
		b.Write(r.Body)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func oneLine(s string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(s) }

// connect answers as a proxy and serves what is asked for behind it.
func (i *Internet) connect(f *flow, hr *http.Request) {
	host, port, err := net.SplitHostPort(hr.Host)
	if err != nil {
		host, port = hr.Host, "443"
	}
	i.request(f, hr, nil, true)
	n, _ := strconv.ParseUint(port, 10, 16)
	addr, err := netip.ParseAddr(host)
	if err != nil {
		addr = i.addrOf(strings.ToLower(host), false)
	}
	if _, err := io.WriteString(f.c, "HTTP/1.1 200 Connection established\r\n\r\n"); err == nil {
		i.tunnel(f, netip.AddrPortFrom(addr, uint16(n)))
	}
}

// websocket accepts the upgrade, records every message and answers pings.
func (i *Internet) websocket(f *flow, hr *http.Request) {
	i.request(f, hr, nil, true)
	sum := sha1.Sum([]byte(hr.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if p := hr.Header.Get("Sec-Websocket-Protocol"); p != "" {
		first, _, _ := strings.Cut(p, ",")
		accept += "Sec-WebSocket-Protocol: " + strings.TrimSpace(oneLine(first)) + "\r\n"
	}
	if _, err := io.WriteString(f.c, accept+"\r\n"); err != nil {
		return
	}
	var message []byte
	for {
		f.wait(idle)
		f.src.record(i.cfg.Body)
		opcode, final, payload, cut, err := readFrame(f.r, i.cfg.Body)
		said, more := f.recorded()
		if err != nil {
			i.message(f, "websocket", message, true)
			i.message(f, "websocket", said, more) // no whole frame: as it came
			return
		}
		switch opcode {
		case 8: // close
			i.message(f, "websocket", message, true)
			f.c.Write([]byte{0x88, 0})
			return
		case 9: // ping
			f.c.Write(append([]byte{0x8a, byte(min(len(payload), 125))}, payload[:min(len(payload), 125)]...))
		case 10:
		default:
			message = append(message, payload...)
			if final || cut || len(message) > i.cfg.Body {
				i.message(f, "websocket", message, cut)
				message = message[:0]
			}
		}
	}
}

// readFrame reads one frame of a client (RFC 6455, 5.2), of which at most keep bytes of payload are returned.
func readFrame(r *bufio.Reader, keep int) (opcode byte, final bool, payload []byte, cut bool, err error) {
	var h [2]byte
	if _, err = io.ReadFull(r, h[:]); err != nil {
		return
	}
	opcode, final = h[0]&15, h[0]&0x80 != 0
	n := uint64(h[1] & 127)
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err == nil && n > maxBody {
		err = fmt.Errorf("websocket frame of %d bytes", n)
	}
	if err != nil {
		return
	}
	var mask [4]byte
	if h[1]&0x80 != 0 {
		if _, err = io.ReadFull(r, mask[:]); err != nil {
			return
		}
	}
	payload = make([]byte, min(n, uint64(keep)))
	if _, err = io.ReadFull(r, payload); err != nil {
		return
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	if rest := n - uint64(len(payload)); rest > 0 {
		cut = true
		_, err = io.CopyN(io.Discard, r, int64(rest))
	}
	return
}

// serveHTTP2 answers HTTP/2, which the standard library speaks.
func (i *Internet) serveHTTP2(f *flow) {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols:         &protocols,
		ReadHeaderTimeout: idle,
		IdleTimeout:       idle,
		ErrorLog:          log.New(io.Discard, "", 0), // what a client does wrong is not our user's concern
		MaxHeaderBytes:    headerBytes,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, hr *http.Request) {
			body, whole := i.readBody(f, hr.Body)
			r := i.request(f, hr, body, whole)
			for _, h := range r.Header {
				w.Header().Add(h.Name, h.Value)
			}
			w.WriteHeader(r.Status)
			w.Write(r.Body)
		}),
	}
	l := &single{c: f.c, closed: make(chan struct{})} // of TLS the server wants the very *tls.Conn
	if f.proto == "tcp" {
		l.c = buffered{f.c, f.r}
	}
	srv.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed || s == http.StateHijacked {
			l.Close()
		}
	}
	f.c.SetDeadline(time.Time{})
	srv.Serve(l)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	srv.Shutdown(ctx)
}

// single is a listener with one connection, which ends with it.
type single struct {
	c      net.Conn
	taken  bool
	once   sync.Once
	closed chan struct{}
}

func (l *single) Accept() (net.Conn, error) {
	if !l.taken {
		l.taken = true
		return l.c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *single) Addr() net.Addr { return l.c.LocalAddr() }
