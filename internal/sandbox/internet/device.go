package internet

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// device is a packet descriptor as an endpoint of the stack. The one that comes with the stack keeps a descriptor of its own open for
// good, which is one too many for each box.
type device struct {
	fd     int
	mtu    uint32
	frames bool // Ethernet frames, not IP packets
	addr   tcpip.LinkAddress

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	wake       int // an eventfd, while the reader runs
	done       chan struct{}

	read    atomic.Int64 // packets
	order   sync.Mutex
	stop    bool            // the reader is to end
	waiting []chan struct{} // each closed when the reader, woken, has read all there is
}

var _ stack.LinkEndpoint = (*device)(nil)

// largestPacket is more than the kernel hands over at a time, segments that it leaves to the device to cut included.
const largestPacket = 64<<10 + header.EthernetMinimumSize

// MTU and the methods that follow implement stack.LinkEndpoint.
func (d *device) MTU() uint32                           { return d.mtu }
func (*device) SetMTU(uint32)                           {}
func (*device) MaxHeaderLength() uint16                 { return 0 }
func (d *device) LinkAddress() tcpip.LinkAddress        { return d.addr }
func (*device) SetLinkAddress(tcpip.LinkAddress)        {}
func (*device) ARPHardwareType() header.ARPHardwareType { return header.ARPHardwareNone }
func (*device) AddHeader(*stack.PacketBuffer)           {}
func (*device) ParseHeader(*stack.PacketBuffer) bool    { return true }
func (*device) SetOnCloseAction(func())                 {}
func (d *device) Close()                                {}
func (*device) Capabilities() stack.LinkEndpointCapabilities {
	return stack.CapabilityRXChecksumOffload // the box's kernel leaves them to a device that is not there
}

func (d *device) IsAttached() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.dispatcher != nil
}

// Attach starts the reader. Without a dispatcher it ends it, and returns when it has ended.
func (d *device) Attach(to stack.NetworkDispatcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to == nil {
		if d.dispatcher != nil {
			d.dispatcher = nil
			d.order.Lock()
			d.stop = true
			d.order.Unlock()
			d.rouse()
			<-d.done
			unix.Close(d.wake)
		}
		return
	}
	d.dispatcher, d.done = to, make(chan struct{})
	go d.run(to, d.done)
}

// rouse makes the reader look at what it is asked for.
func (d *device) rouse() { unix.Write(d.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// drain returns when everything that the descriptor had when it was called has been handed over.
func (d *device) drain() {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.dispatcher == nil {
		return
	}
	empty := make(chan struct{})
	d.order.Lock()
	d.waiting = append(d.waiting, empty)
	d.order.Unlock()
	d.rouse()
	select {
	case <-empty:
	case <-d.done:
	}
}

// Wait waits for the reader.
func (d *device) Wait() {
	d.mu.RLock()
	done := d.done
	d.mu.RUnlock()
	if done != nil {
		<-done
	}
}

// run hands over what arrives.
func (d *device) run(to stack.NetworkDispatcher, done chan struct{}) {
	defer close(done)
	buf := make([]byte, largestPacket)
	p := []unix.PollFd{{Fd: int32(d.fd), Events: unix.POLLIN}, {Fd: int32(d.wake), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
			return
		}
		var waiting []chan struct{}
		limit := 64 // then it is asked again whether somebody waits
		if p[1].Revents != 0 {
			unix.Read(d.wake, buf[:8])
			d.order.Lock()
			stop := d.stop
			waiting, d.waiting = d.waiting, nil
			d.order.Unlock()
			if stop {
				return
			}
			limit = 10_000 // more than the kernel keeps
		}
		for range limit {
			n, err := unix.Read(d.fd, buf)
			if err != nil || n <= 0 {
				break
			}
			d.read.Add(1)
			d.deliver(to, buf[:n])
		}
		for _, w := range waiting {
			close(w)
		}
		if p[0].Revents&unix.POLLIN == 0 && p[0].Revents != 0 { // the box's end is gone
			p[0].Fd = -1
		}
	}
}

func (d *device) deliver(to stack.NetworkDispatcher, b []byte) {
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	defer pkt.DecRef()
	var protocol tcpip.NetworkProtocolNumber
	if !d.frames {
		switch header.IPVersion(b) {
		case header.IPv4Version:
			protocol = header.IPv4ProtocolNumber
		case header.IPv6Version:
			protocol = header.IPv6ProtocolNumber
		default:
			return
		}
	}
	to.DeliverNetworkPacket(protocol, pkt)
}

// WritePackets writes packets. One that does not fit now is lost, as on any network.
func (d *device) WritePackets(pkts stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range pkts.AsSlice() {
		if _, err := unix.Writev(d.fd, pkt.AsSlices()); err != nil {
			return n, &tcpip.ErrNoBufferSpace{}
		}
		n++
	}
	return n, nil
}

// newDevice makes an endpoint of a descriptor, which stays the caller's. Attach(nil) releases what it holds besides.
func newDevice(fd int, frames bool, addr tcpip.LinkAddress) (*device, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(wake)
		return nil, fmt.Errorf("packet descriptor: %w", err)
	}
	d := &device{fd: fd, mtu: MTU, frames: frames, addr: addr, wake: wake}
	if frames {
		d.mtu += header.EthernetMinimumSize
	}
	return d, nil
}
