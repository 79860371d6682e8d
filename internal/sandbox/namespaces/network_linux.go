//go:build linux && (amd64 || arm64)

package namespaces

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/donapi/donapi/internal/sandbox/internet"
)

const (
	tun  = "tun"
	veth = "veth"
	card = "eth0" // the name of the device that the box sees
)

// loopback brings the loopback device up.
func loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("loopback device: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("loopback device: %w", err)
	}
	return nil
}

// connect makes the device of the box, of the first kind that works, and returns the descriptor on which its packets arrive. It must run
// while the host's /dev is in sight.
func connect(kind string) (fd int, made string, err error) {
	var failed []error
	for _, k := range []string{tun, veth} {
		if kind != "" && kind != k {
			continue
		}
		if k == tun {
			fd, err = openTun()
		} else {
			fd, err = openVeth()
		}
		if err == nil {
			return fd, k, configure(k == veth)
		}
		failed = append(failed, fmt.Errorf("%s: %w", k, err))
	}
	return -1, "", fmt.Errorf("network device: %w", errors.Join(failed...))
}

func openTun() (int, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var request struct {
		name  [unix.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], card)
	request.flags = unix.IFF_TUN | unix.IFF_NO_PI
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request))); e != 0 {
		unix.Close(fd)
		return -1, os.NewSyscallError("TUNSETIFF", e)
	}
	return fd, nil
}

// openVeth makes a pair of devices, and a packet socket on the far end of it.
func openVeth() (int, error) {
	const far = "wan0"
	mac, err := net.ParseMAC(internet.GatewayMAC)
	if err != nil {
		return -1, err
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: card}, PeerName: far, PeerHardwareAddr: mac}); err != nil {
		return -1, err
	}
	l, err := netlink.LinkByName(far)
	if err != nil {
		return -1, err
	}
	// The far end must stay deaf: an address of its own would make the kernel answer what is ours to answer.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+far+"/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return -1, err
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return -1, err
	}
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) // what we send is not to come back
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: l.Attrs().Index})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// configure gives the device its addresses and routes.
func configure(neighbours bool) error {
	l, err := netlink.LinkByName(card)
	if err != nil {
		return err
	}
	mac, err := net.ParseMAC(internet.GatewayMAC)
	if err != nil {
		return err
	}
	for _, a := range []string{internet.BoxAddr4 + "/24", internet.BoxAddr6 + "/64"} {
		addr, err := netlink.ParseAddr(a)
		if err != nil {
			return err
		}
		addr.Flags = unix.IFA_F_NODAD // nobody else is there to have it
		if err := netlink.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("address %s: %w", a, err)
		}
	}
	if err := netlink.LinkSetMTU(l, internet.MTU); err != nil {
		return fmt.Errorf("MTU: %w", err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return fmt.Errorf("device: %w", err)
	}
	for _, g := range []string{internet.Gateway4, internet.Gateway6} {
		ip := net.ParseIP(g)
		if neighbours {
			n := &netlink.Neigh{LinkIndex: l.Attrs().Index, IP: ip, HardwareAddr: mac, State: netlink.NUD_PERMANENT}
			if err := netlink.NeighAdd(n); err != nil {
				return fmt.Errorf("gateway %s: %w", g, err)
			}
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: ip}); err != nil {
			return fmt.Errorf("route by %s: %w", g, err)
		}
	}
	return nil
}
