// Package internet is the internet as a box sees it: every name exists, every address accepts connections, and everything said to it is
// recorded. It terminates TCP and UDP, IPv4 and IPv6, in a network stack of our own process that is attached to a packet descriptor (a
// TUN device or a packet socket), so nothing is ever forwarded: there is no code here that sends to a real network.
//
// Everything that arrives is hostile: every reader has a limit in bytes and in time, and a flow that breaks its protocol is recorded as
// the bytes that it is.
package internet

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"github.com/donapi/donapi/internal/sandbox"
)

// Config of an Internet.
type Config struct {
	Network sandbox.Network
	Body    int                 // bytes kept of one message
	Emit    func(sandbox.Event) // called concurrently
}

// Internet answers the flows of one box.
type Internet struct {
	cfg   Config
	ca    *authority
	slots chan struct{} // one for each flow being served

	mu     sync.Mutex
	names  map[netip.Addr]string
	addrs  map[string]netip.Addr
	flows  int
	open   map[net.Conn]kind
	ending bool // the box says nothing more
	ended  bool
	wg     sync.WaitGroup
	link   *stack.Stack
	reader stack.LinkEndpoint // of link's descriptor
	device *device            // the same, or below it
}

// kind of a flow.
type kind uint8

const (
	connection kind = iota
	datagrams
)

const (
	maxFlows    = 512              // served at a time; more are refused
	maxNames    = 50_000           // remembered
	idle        = 30 * time.Second // without a byte, a flow is closed
	handshake   = 10 * time.Second
	headerBytes = 1 << 20

	// Resolvers take a new port for each question, so a flow of datagrams holds its slot for a short time only; a late datagram begins
	// another one.
	datagramIdle = 2 * time.Second
)

// New makes an internet with a certificate authority of its own.
func New(cfg Config) (*Internet, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, fmt.Errorf("certificate authority of the fake internet: %w", err)
	}
	if cfg.Body <= 0 {
		cfg.Body = 256 << 10
	}
	return &Internet{cfg: cfg, ca: ca, slots: make(chan struct{}, maxFlows), names: map[netip.Addr]string{}, addrs: map[string]netip.Addr{}, open: map[net.Conn]kind{}}, nil
}

// Certificates is the authority's certificate, PEM.
func (i *Internet) Certificates() []byte { return i.ca.pem }

// Close reads what is still waiting, ends every flow, waits for the last event and releases the stack. The descriptor given to Attach
// stays the caller's.
func (i *Internet) Close() {
	i.mu.Lock()
	d := i.device
	i.mu.Unlock()
	if d != nil {
		d.drain()
	}
	i.mu.Lock()
	i.ending = true
	for c, k := range i.open {
		if k == datagrams { // what has arrived is read, and nothing is waited for
			c.SetReadDeadline(time.Now())
		}
	}
	i.mu.Unlock()
	i.quiesce(d)
	i.mu.Lock()
	i.ended = true
	for c := range i.open {
		c.Close()
	}
	i.mu.Unlock()
	i.detach()
	i.wg.Wait()
}

// Settle waits until every connection has ended, or nothing arrives any more. It is for boxes whose own network stack outlives their
// processes: what they sent last is still on its way then.
func (i *Internet) Settle() {
	i.mu.Lock()
	d := i.device
	i.mu.Unlock()
	i.quiesce(d)
}

// quiesce waits a moment for flows that are in the middle of a message, and longer as long as packets arrive. Datagrams have no end that
// could be waited for, before the end of all.
func (i *Internet) quiesce(d *device) {
	const step, patience, most = 5 * time.Millisecond, 20, 600 // steps
	var read int64
	for n, idle := 0, 0; n < most && idle < patience; n, idle = n+1, idle+1 {
		i.mu.Lock()
		flows := 0
		for _, k := range i.open {
			if k != datagrams || i.ending {
				flows++
			}
		}
		i.mu.Unlock()
		if flows == 0 {
			return
		}
		if d != nil {
			if now := d.read.Load(); now != read {
				read, idle = now, 0
			}
		}
		time.Sleep(step)
	}
}

// begin registers a connection to be served, or says that there are too many.
func (i *Internet) begin(c net.Conn, k kind) (id int, done func(), ok bool) {
	select {
	case i.slots <- struct{}{}:
	default:
		return 0, nil, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.ended {
		<-i.slots
		return 0, nil, false
	}
	i.flows++
	i.open[c] = k
	i.wg.Add(1)
	return i.flows, func() {
		c.Close()
		i.mu.Lock()
		delete(i.open, c)
		i.mu.Unlock()
		<-i.slots
		i.wg.Done()
	}, true
}

// patience lets the next read of a flow of datagrams wait, as long as anything can come.
func (i *Internet) patience(c net.Conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	end := time.Now()
	if !i.ending {
		end = end.Add(datagramIdle)
	}
	c.SetReadDeadline(end)
}

// refused records a flow that came when too many were open. After the end nothing is recorded.
func (i *Internet) refused(dst netip.AddrPort) {
	i.mu.Lock()
	ended := i.ended
	i.mu.Unlock()
	if !ended {
		i.emit(sandbox.Event{Kind: sandbox.KindFlow, Addr: dst.String(), Host: i.nameOf(dst.Addr()), Error: "too many connections"})
	}
}

func (i *Internet) emit(e sandbox.Event) {
	e.Source = sandbox.SourceNetwork
	i.cfg.Emit(e)
}

// nameOf returns the name that was last resolved to an address.
func (i *Internet) nameOf(a netip.Addr) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.names[a.Unmap()]
}

// remember notes that a name was answered with an address.
func (i *Internet) remember(name string, a netip.Addr) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.names) < maxNames {
		i.names[a.Unmap()] = name
	}
}

// Networks reserved for benchmarks (RFC 2544, RFC 5180): no address in them is a real host's.
var (
	net4 = netip.MustParseAddr("198.18.0.0").As4()
	net6 = netip.MustParseAddr("2001:2::").As16()
)

// addrOf gives a name its address: the same each time, and no other name's.
func (i *Internet) addrOf(name string, v6 bool) netip.Addr {
	key := name
	if v6 {
		key += " 6"
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if a, ok := i.addrs[key]; ok {
		i.names[a] = name
		return a
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	v := h.Sum32()
	for {
		var a netip.Addr
		if v6 {
			b := net6
			b[12], b[13], b[14], b[15] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)|1
			a = netip.AddrFrom16(b)
		} else {
			b := net4
			b[1], b[2], b[3] = b[1]+byte(v>>16&1), byte(v>>8), byte(v)|1
			a = netip.AddrFrom4(b)
		}
		if _, taken := i.names[a]; !taken || len(i.names) >= maxNames {
			if len(i.names) < maxNames {
				i.addrs[key], i.names[a] = a, name
			}
			return a
		}
		v += 2
	}
}

func hostOnly(hostport string) string {
	if strings.HasPrefix(hostport, "[") {
		if h, _, ok := strings.Cut(hostport[1:], "]"); ok {
			return h
		}
		return hostport
	}
	if strings.Count(hostport, ":") == 1 {
		hostport, _, _ = strings.Cut(hostport, ":")
	}
	return hostport
}

// body cuts b to what is kept of one message.
func (i *Internet) body(b []byte) (kept []byte, cut bool) {
	if len(b) > i.cfg.Body {
		return b[:i.cfg.Body], true
	}
	return b, false
}
