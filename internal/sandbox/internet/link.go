package internet

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"github.com/donapi/donapi/internal/sandbox"
)

// The network that a box finds itself in. Tiers give the box these addresses.
const (
	MTU        = 1500
	BoxAddr4   = "192.168.1.37"
	BoxAddr6   = "fd00:1::37"
	Gateway4   = "192.168.1.1"
	Gateway6   = "fd00:1::1"
	GatewayMAC = "02:00:00:00:00:01"
)

const nic tcpip.NICID = 1

// Attach answers everything that arrives on a packet descriptor: IP packets of a TUN device, or Ethernet frames of a packet socket. The
// descriptor must stay open until Close has returned. Attach is called at most once.
func (i *Internet) Attach(fd int, frames bool) error {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4, icmp.NewProtocol6},
	})
	mac, _ := net.ParseMAC(GatewayMAC)
	d, err := newDevice(fd, frames, tcpip.LinkAddress(mac))
	if err != nil {
		return fmt.Errorf("fake internet: %w", err)
	}
	var ep stack.LinkEndpoint = d
	if frames {
		ep = ethernet.New(d)
	}
	tf := tcp.NewForwarder(s, 0, maxFlows, func(r *tcp.ForwarderRequest) {
		var wq waiter.Queue
		id := r.ID()
		ep, e := r.CreateEndpoint(&wq)
		if e != nil {
			r.Complete(true)
			return
		}
		r.Complete(false)
		go i.ServeConn(gonet.NewTCPConn(&wq, ep), addrPort(id.LocalAddress, id.LocalPort))
	})
	s.SetTransportProtocolHandler(tcp.ProtocolNumber, tf.HandlePacket)
	uf := udp.NewForwarder(s, func(r *udp.ForwarderRequest) bool {
		var wq waiter.Queue
		id := r.ID()
		ep, e := r.CreateEndpoint(&wq)
		if e != nil {
			return false
		}
		c, dst := gonet.NewUDPConn(&wq, ep), addrPort(id.LocalAddress, id.LocalPort)
		_, done, ok := i.begin(c, datagrams) // here, so that Close knows of every flow of which a packet was read
		if !ok {
			c.Close()
			i.refused(dst)
			return true
		}
		go i.servePackets(c, dst, done)
		return true
	})
	s.SetTransportProtocolHandler(udp.ProtocolNumber, uf.HandlePacket)
	s.SetTransportProtocolHandler(icmp.ProtocolNumber4, func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
		return i.ping(id, header.ICMPv4(p.TransportHeader().Slice()).Type() == header.ICMPv4Echo, p)
	})
	s.SetTransportProtocolHandler(icmp.ProtocolNumber6, func(id stack.TransportEndpointID, p *stack.PacketBuffer) bool {
		return i.ping(id, header.ICMPv6(p.TransportHeader().Slice()).Type() == header.ICMPv6EchoRequest, p)
	})
	i.mu.Lock()
	i.link, i.reader, i.device = s, ep, d
	i.mu.Unlock()
	// Packets arrive from here on.
	if e := s.CreateNIC(nic, ep); e != nil {
		return fmt.Errorf("fake internet: %s", e)
	}
	for _, a := range []string{Gateway4, Gateway6} {
		addr := tcpip.AddrFromSlice(netip.MustParseAddr(a).AsSlice())
		p := ipv4.ProtocolNumber
		if addr.Len() == 16 {
			p = ipv6.ProtocolNumber
		}
		if e := s.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: p, AddressWithPrefix: addr.WithPrefix()}, stack.AddressProperties{}); e != nil {
			return fmt.Errorf("fake internet: address %s: %s", a, e)
		}
	}
	// Every address is ours, to receive and to answer from.
	s.SetPromiscuousMode(nic, true)
	s.SetSpoofing(nic, true)
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	return nil
}

// ping records an echo request with what it carries. The stack itself answers it, and has done with other control messages.
func (i *Internet) ping(id stack.TransportEndpointID, echo bool, p *stack.PacketBuffer) bool {
	if echo {
		dst := addrPort(id.LocalAddress, 0).Addr()
		kept, cut := i.body(p.Data().AsRange().ToSlice())
		i.emit(sandbox.Event{Kind: sandbox.KindPing, Addr: dst.String(), Host: i.nameOf(dst), Data: kept, Cut: cut})
	}
	return false
}

func addrPort(a tcpip.Address, port uint16) netip.AddrPort {
	ip, _ := netip.AddrFromSlice(a.AsSlice())
	return netip.AddrPortFrom(ip.Unmap(), port)
}

func (i *Internet) detach() {
	i.mu.Lock()
	s, ep := i.link, i.reader
	i.link, i.reader, i.device = nil, nil, nil
	i.mu.Unlock()
	if s != nil {
		endStack(s, ep)
	}
}

// endStack ends a network stack and the readers of its descriptor. The readers end first: RemoveNIC would wait for them with the
// stack's lock held, which a reader in the middle of a packet may be waiting for.
func endStack(s *stack.Stack, ep stack.LinkEndpoint) {
	ep.Attach(nil)
	s.Close()
	s.RemoveNIC(nic)
	s.Wait()
}

// servePackets answers one UDP flow.
func (i *Internet) servePackets(c net.Conn, dst netip.AddrPort, done func()) {
	defer done()
	buf := make([]byte, 65535)
	for {
		i.patience(c)
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if reply := i.Datagram(dst, buf[:n]); reply != nil {
			c.SetWriteDeadline(time.Now().Add(datagramIdle))
			c.Write(reply)
		}
	}
}

// Datagram records one UDP datagram and returns the answer, nil for none.
func (i *Internet) Datagram(dst netip.AddrPort, b []byte) []byte {
	if dst.Port() == 53 || dst.Port() == 5353 {
		if reply := i.dns(b, dst, true); reply != nil {
			return reply
		}
	}
	kept, cut := i.body(b)
	i.emit(sandbox.Event{Kind: sandbox.KindMessage, Addr: dst.String(), Host: i.nameOf(dst.Addr()), Proto: "udp", Data: append([]byte(nil), kept...), Cut: cut})
	return nil
}
