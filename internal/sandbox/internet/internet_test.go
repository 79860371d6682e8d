package internet

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/fdbased"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"github.com/donapi/donapi/internal/sandbox"
)

// box is a network stack in the place of a box: its link ends in the Internet under test, through a pair of packet descriptors.
type box struct {
	t      *testing.T
	net    *Internet
	stack  *stack.Stack
	reader stack.LinkEndpoint
	fds    [2]int
	once   sync.Once

	mu     sync.Mutex
	events []sandbox.Event
}

func newBox(t *testing.T, cfg Config) *box {
	t.Helper()
	b := &box{t: t}
	cfg.Emit = func(e sandbox.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.events = append(b.events, e)
	}
	var err error
	if b.net, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if b.fds, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Skipf("no packet descriptors on this machine: %v", err)
	}
	if err := b.net.Attach(b.fds[0], false); err != nil {
		t.Fatal(err)
	}
	b.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	// A pair of sockets loses what does not fit into its buffer, and whole bursts of it: less is under way than it holds.
	window := tcpip.TCPSendBufferSizeRangeOption{Min: 4 << 10, Default: 32 << 10, Max: 32 << 10}
	if e := b.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &window); e != nil {
		t.Fatal(e)
	}
	ep, err := fdbased.New(&fdbased.Options{FDs: []int{b.fds[1]}, MTU: MTU, RXChecksumOffload: true, ProcessorsPerChannel: 1})
	if err != nil {
		t.Fatal(err)
	}
	b.reader = ep
	if e := b.stack.CreateNIC(nic, ep); e != nil {
		t.Fatal(e)
	}
	for p, a := range map[tcpip.NetworkProtocolNumber]string{ipv4.ProtocolNumber: BoxAddr4, ipv6.ProtocolNumber: BoxAddr6} {
		addr := tcpip.AddrFromSlice(netip.MustParseAddr(a).AsSlice())
		if e := b.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: p, AddressWithPrefix: addr.WithPrefix()}, stack.AddressProperties{}); e != nil {
			t.Fatal(e)
		}
	}
	b.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	t.Cleanup(b.end)
	return b
}

// end closes both sides; after it, events are complete.
func (b *box) end() {
	b.once.Do(func() {
		b.net.Close()
		endStack(b.stack, b.reader)
		unix.Close(b.fds[0])
		unix.Close(b.fds[1])
	})
}

func (b *box) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if _, err := netip.ParseAddr(host); err != nil {
			ips, err := b.resolver("udp").LookupNetIP(ctx, "ip4", host)
			if err != nil {
				return nil, err
			}
			addr = net.JoinHostPort(ips[0].Unmap().String(), port)
		}
	}
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	to := tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(ap.Addr().AsSlice()), Port: ap.Port()}
	p := ipv4.ProtocolNumber
	if ap.Addr().Is6() {
		p = ipv6.ProtocolNumber
	}
	if strings.HasPrefix(network, "udp") {
		return gonet.DialUDP(b.stack, nil, &to, p)
	}
	return gonet.DialContextTCP(ctx, b.stack, to, p)
}

func (b *box) mustDial(network, addr string) net.Conn {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := b.dial(ctx, network, addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// resolver is Go's own DNS client, over the network of the box.
func (b *box) resolver(network string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return b.dial(ctx, network, Gateway4+":53")
	}}
}

// trust is what a client in the box trusts.
func (b *box) trust() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.net.Certificates())
	return &tls.Config{RootCAs: pool}
}

func (b *box) client() *http.Client {
	tr := &http.Transport{DialContext: b.dial, TLSClientConfig: b.trust()}
	b.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// find waits for an event.
func (b *box) find(what string, match func(sandbox.Event) bool) sandbox.Event {
	b.t.Helper()
	for range 500 {
		b.mu.Lock()
		n := slices.IndexFunc(b.events, match)
		if n >= 0 {
			defer b.mu.Unlock()
			return b.events[n]
		}
		b.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf("no event: %s, among %d: %.2000v", what, len(b.events), b.events)
	return sandbox.Event{}
}

func (b *box) message(proto string) sandbox.Event {
	b.t.Helper()
	return b.find("message of "+proto, func(e sandbox.Event) bool { return e.Kind == sandbox.KindMessage && e.Proto == proto })
}

func TestDNS(t *testing.T) {
	b := newBox(t, Config{})
	ctx := context.Background()
	for _, transport := range []string{"udp", "tcp"} {
		r := b.resolver(transport)
		v4, err := r.LookupNetIP(ctx, "ip4", "Secret-Label.collect.example")
		if err != nil {
			t.Fatal(transport, err)
		}
		if !netip.MustParsePrefix("198.18.0.0/15").Contains(v4[0].Unmap()) {
			t.Errorf("%s: address %s may be a real host's", transport, v4[0])
		}
		v6, err := r.LookupNetIP(ctx, "ip6", "collect.example")
		if err != nil || !v6[0].Is6() {
			t.Errorf("%s: AAAA: %v %v", transport, v6, err)
		}
		if txt, err := r.LookupTXT(ctx, "collect.example"); err != nil || len(txt) != 1 {
			t.Errorf("%s: TXT: %v %v", transport, txt, err)
		}
		if mx, err := r.LookupMX(ctx, "collect.example"); err != nil || len(mx) != 1 || mx[0].Host != "mail.collect.example." {
			t.Errorf("%s: MX: %v %v", transport, mx, err)
		}
	}
	b.find("label in its own case", func(e sandbox.Event) bool {
		return e.Kind == sandbox.KindDNS && e.Host == "Secret-Label.collect.example" && e.Type == "A" && e.Addr == Gateway4+":53"
	})
}

func TestResolveHook(t *testing.T) {
	b := newBox(t, Config{Network: sandbox.Network{Resolve: func(q sandbox.Question) (sandbox.Answer, bool) {
		switch {
		case q.Name == "gone.example":
			return sandbox.Answer{NotFound: true}, true
		case q.Name == "long.example" && q.Type == "TXT":
			return sandbox.Answer{TXT: []string{strings.Repeat("x", 3000)}}, true
		case q.Name == "set.example":
			return sandbox.Answer{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}, true
		}
		return sandbox.Answer{}, false
	}}})
	ctx := context.Background()
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return b.dial(ctx, network, Gateway4+":53")
	}}
	var notFound *net.DNSError
	if _, err := r.LookupHost(ctx, "gone.example"); err == nil || !asDNS(err, &notFound) || !notFound.IsNotFound {
		t.Errorf("a name that is not there: %v", err)
	}
	if a, err := r.LookupNetIP(ctx, "ip4", "set.example"); err != nil || a[0].Unmap() != netip.MustParseAddr("192.0.2.9") {
		t.Errorf("a name that was set: %v %v", a, err)
	}
	// Too long for a datagram: the client has to come back over TCP.
	if txt, err := r.LookupTXT(ctx, "long.example"); err != nil || len(txt) != 1 || len(txt[0]) != 3000 {
		t.Errorf("a long text: %d, %v", len(txt), err)
	}
}

func asDNS(err error, to **net.DNSError) bool {
	d, ok := err.(*net.DNSError)
	*to = d
	return ok
}

func TestHTTP(t *testing.T) {
	for _, url := range []string{"http://collect.example/x?q=1", "https://collect.example/x?q=1", "https://collect.example:4433/x?q=1"} {
		t.Run(url, func(t *testing.T) {
			b := newBox(t, Config{})
			req, _ := http.NewRequest("POST", url, strings.NewReader("token=abc"))
			req.Header.Set("X-Secret", "of the header")
			res, err := b.client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != 200 || !bytes.Contains(body, []byte(`"ok":true`)) {
				t.Errorf("reply %d %s", res.StatusCode, body)
			}
			e := b.find("the request", func(e sandbox.Event) bool { return e.Kind == sandbox.KindHTTP })
			scheme, _, _ := strings.Cut(url, ":")
			got := []string{e.Scheme, e.Method, e.Host, e.Path, string(e.Data), sandbox.Request{Header: e.Header}.Get("x-secret")}
			want := []string{scheme, "POST", "collect.example", "/x?q=1", "token=abc", "of the header"}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if scheme == "https" {
				b.find("the handshake", func(e sandbox.Event) bool {
					return e.Kind == sandbox.KindTLS && e.SNI == "collect.example" && e.Error == ""
				})
			}
		})
	}
}

func TestHTTP2(t *testing.T) {
	b := newBox(t, Config{})
	conf := b.trust()
	conf.NextProtos = []string{"h2"}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	tr := &http.Transport{DialContext: b.dial, TLSClientConfig: conf, Protocols: &protocols}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Post("https://grpc.example/call", "application/grpc", strings.NewReader("payload"))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Errorf("HTTP/%d", res.ProtoMajor)
	}
	b.find("the request", func(e sandbox.Event) bool {
		return e.Kind == sandbox.KindHTTP && string(e.Data) == "payload" && e.Scheme == "https"
	})
}

func TestReplyHook(t *testing.T) {
	b := newBox(t, Config{Network: sandbox.Network{Reply: func(r sandbox.Request) (sandbox.Reply, bool) {
		return sandbox.Reply{Status: 418, Header: []sandbox.Header{{Name: "X-Said", Value: "a\r\nb"}}, Body: r.Body}, r.Host == "set.example" && r.Port == 80
	}}})
	res, err := b.client().Post("http://set.example/", "text/plain", strings.NewReader("echo"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 418 || string(body) != "echo" || res.Header.Get("X-Said") != "a  b" {
		t.Errorf("%d %q %q", res.StatusCode, body, res.Header)
	}
	b.find("the status", func(e sandbox.Event) bool { return e.Kind == sandbox.KindHTTP && e.Status == 418 })
}

// A body that is far too large is read over, kept in part, and answered; the flow goes on.
func TestOversizeBody(t *testing.T) {
	b := newBox(t, Config{Body: 1000})
	c := b.client()
	for range 2 {
		res, err := c.Post("http://collect.example/", "", bytes.NewReader(bytes.Repeat([]byte("A"), 3<<20)))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	e := b.find("the request", func(e sandbox.Event) bool { return e.Kind == sandbox.KindHTTP })
	if len(e.Data) != 1000 || !e.Cut {
		t.Errorf("kept %d, cut %v", len(e.Data), e.Cut)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	b := newBox(t, Config{})
	c := tls.Client(b.mustDial("tcp", "192.0.2.1:443"), &tls.Config{ServerName: "pinned.example", RootCAs: x509.NewCertPool()})
	if err := c.Handshake(); err == nil {
		t.Fatal("a certificate of no known authority was accepted")
	}
	c.Close()
	b.find("the name asked for", func(e sandbox.Event) bool {
		return e.Kind == sandbox.KindTLS && e.SNI == "pinned.example" && e.Error != ""
	})
}

// What is no protocol, or begins like one and breaks it, is recorded byte for byte.
func TestBytesAsTheyCame(t *testing.T) {
	for name, said := range map[string]struct{ addr, data string }{
		"binary":             {"192.0.2.1:4444", "\x00\x01\x02secret"},
		"IPv6":               {"[2001:db8::1]:4444", "id=secret"},
		"like TLS":           {"192.0.2.1:443", "\x16 not a handshake, secret"},
		"like HTTP":          {"192.0.2.1:80", "GET  no such thing secret\r\n\r\n"},
		"headers break off":  {"192.0.2.1:80", "GET / HTTP/1.1\r\nX-A: secret"},
		"like SOCKS":         {"192.0.2.1:1080", "\x05\x01\x00\x09\x09\x09secret"},
		"like DNS":           {"192.0.2.1:53", "\x00\x04secret"},
		"on a mail port":     {"192.0.2.1:25", "secret without an end"},
		"on the port of ssh": {"192.0.2.1:22", "SSH-2.0-x\r\n\x00secret"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, Config{})
			c := b.mustDial("tcp", said.addr)
			go io.Copy(io.Discard, c)
			if _, err := io.WriteString(c, said.data); err != nil {
				t.Fatal(err)
			}
			c.(*gonet.TCPConn).CloseWrite()
			b.find("the end", func(e sandbox.Event) bool {
				return e.Kind == sandbox.KindMessage && strings.Contains(string(e.Data), "secret") || e.Kind == sandbox.KindMessage && strings.HasSuffix(said.data, string(e.Data))
			})
			b.end()
			got := ""
			for _, e := range b.events {
				if e.Kind == sandbox.KindMessage {
					got += string(e.Data)
					if e.Addr != said.addr {
						t.Errorf("address %s", e.Addr)
					}
				}
			}
			if got != said.data {
				t.Errorf("recorded %q, sent %q", got, said.data)
			}
		})
	}
}

func TestUDP(t *testing.T) {
	b := newBox(t, Config{Body: 4})
	for _, addr := range []string{"192.0.2.1:9999", "[2001:db8::1]:9999"} {
		if _, err := io.WriteString(b.mustDial("udp", addr), "secret"); err != nil {
			t.Fatal(err)
		}
		b.find("the datagram", func(e sandbox.Event) bool {
			return e.Kind == sandbox.KindMessage && e.Proto == "udp" && string(e.Data) == "secr" && e.Cut && e.Addr == addr
		})
	}
}

func TestPing(t *testing.T) {
	b := newBox(t, Config{})
	echo := header.ICMPv4(append(make([]byte, header.ICMPv4MinimumSize), "secret"...))
	echo.SetType(header.ICMPv4Echo)
	echo.SetChecksum(header.ICMPv4Checksum(echo, 0))
	packet := header.IPv4(append(make([]byte, header.IPv4MinimumSize), echo...))
	packet.Encode(&header.IPv4Fields{
		TotalLength: uint16(len(packet)), TTL: 64, Protocol: uint8(header.ICMPv4ProtocolNumber),
		SrcAddr: tcpip.AddrFrom4(netip.MustParseAddr(BoxAddr4).As4()), DstAddr: tcpip.AddrFrom4([4]byte{192, 0, 2, 1}),
	})
	packet.SetChecksum(^packet.CalculateChecksum())
	if _, err := unix.Write(b.fds[1], packet); err != nil {
		t.Fatal(err)
	}
	b.find("the ping", func(e sandbox.Event) bool {
		return e.Kind == sandbox.KindPing && e.Addr == "192.0.2.1" && string(e.Data) == "secret"
	})
}

func TestMail(t *testing.T) {
	b := newBox(t, Config{})
	c := b.mustDial("tcp", "192.0.2.1:25")
	r := bufio.NewReader(c)
	for _, step := range []struct{ say, code string }{
		{"", "220"}, {"HELO x\r\n", "250"}, {"MAIL FROM:<a@b.example>\r\n", "250"}, {"RCPT TO:<c@d.example>\r\n", "250"}, {"DATA\r\n", "354"}, {"the secret\r\nQUIT\r\n.\r\n", "250"}, {"QUIT\r\n", "221"},
	} {
		io.WriteString(c, step.say)
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, step.code) {
			t.Fatalf("after %q: %q, %v", step.say, line, err)
		}
	}
	if e := b.message("smtp"); !strings.Contains(string(e.Data), "RCPT TO:<c@d.example>") || !strings.Contains(string(e.Data), "the secret\r\nQUIT") {
		t.Errorf("recorded %q", e.Data)
	}
	for addr, banner := range map[string]string{"192.0.2.1:21": "220 FTP", "192.0.2.1:22": "SSH-2.0-", "192.0.2.1:143": "* OK"} {
		line, err := bufio.NewReader(b.mustDial("tcp", addr)).ReadString('\n')
		if err != nil || !strings.HasPrefix(line, banner) {
			t.Errorf("%s greets with %q, %v", addr, line, err)
		}
	}
	secure := b.trust()
	secure.ServerName = "mail.example"
	line, err := bufio.NewReader(tls.Client(b.mustDial("tcp", "192.0.2.1:465"), secure)).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "220") {
		t.Errorf("mail inside TLS greets with %q, %v", line, err)
	}
}

// Proxies are answered, and what is asked for behind them is served and recorded.
func TestProxies(t *testing.T) {
	for name, greet := range map[string][][2]string{
		"connect": {{"CONNECT inner.example:443 HTTP/1.1\r\nHost: inner.example:443\r\n\r\n", "HTTP/1.1 200 Connection established\r\n\r\n"}},
		"socks":   {{"\x05\x01\x00", "\x05\x00"}, {"\x05\x01\x00\x03\x0dinner.example\x01\xbb", "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, Config{})
			c := b.mustDial("tcp", "192.0.2.1:3128")
			for _, g := range greet {
				io.WriteString(c, g[0])
				got := make([]byte, len(g[1]))
				if _, err := io.ReadFull(c, got); err != nil || string(got) != g[1] {
					t.Fatalf("%q, %v", got, err)
				}
			}
			conf := b.trust()
			conf.ServerName = "inner.example"
			inner := tls.Client(c, conf)
			io.WriteString(inner, "GET /behind HTTP/1.1\r\nHost: inner.example\r\n\r\n")
			res, err := http.ReadResponse(bufio.NewReader(inner), nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatal(res, err)
			}
			b.find("the inner request", func(e sandbox.Event) bool {
				return e.Kind == sandbox.KindHTTP && e.Path == "/behind" && e.Host == "inner.example" && strings.HasSuffix(e.Addr, ":443")
			})
		})
	}
}

func TestWebSocket(t *testing.T) {
	b := newBox(t, Config{})
	c := b.mustDial("tcp", "192.0.2.1:80")
	io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatal(res, err)
	}
	c.Write([]byte("\x01\x83\x01\x02\x03\x04rgg")) // masked "sed", not final
	c.Write([]byte("\x80\x82\x00\x00\x00\x00!!"))
	if e := b.message("websocket"); string(e.Data) != "sed!!" {
		t.Errorf("recorded %q", e.Data)
	}
}

func TestManyConnections(t *testing.T) {
	b := newBox(t, Config{})
	var wg sync.WaitGroup
	const n = 200
	for k := range n {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			c, err := b.dial(ctx, "tcp", fmt.Sprintf("192.0.2.%d:7000", k%250+1))
			if err != nil {
				t.Error(err)
				return
			}
			fmt.Fprintf(c, "hello %d", k)
			c.Close()
		})
	}
	wg.Wait()
	for k := range n {
		b.find("every connection's bytes", func(e sandbox.Event) bool { return string(e.Data) == fmt.Sprintf("hello %d", k) })
	}
}

func TestTooManyConnections(t *testing.T) {
	b := newBox(t, Config{})
	for range maxFlows {
		b.net.slots <- struct{}{}
	}
	b.mustDial("tcp", "192.0.2.1:7000")
	b.find("the refusal", func(e sandbox.Event) bool { return e.Kind == sandbox.KindFlow && e.Error != "" })
	for range maxFlows {
		<-b.net.slots
	}
}

// Close ends what is open, and nothing runs on.
func TestClose(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b := newBox(t, Config{})
	for _, addr := range []string{"192.0.2.1:80", "192.0.2.1:443", "192.0.2.1:25", "192.0.2.1:22", "192.0.2.1:53", "192.0.2.1:7000"} {
		c := b.mustDial("tcp", addr)
		defer c.Close()
	}
	io.WriteString(b.mustDial("udp", "192.0.2.1:9999"), "x")
	b.message("udp")
	b.end()
	n := len(b.events)
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	if len(b.events) != n {
		t.Error("events after the end")
	}
}
