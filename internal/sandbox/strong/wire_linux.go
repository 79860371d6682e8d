//go:build linux && (amd64 || arm64)

package strong

import (
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Kinds of messages from the outer process to the parent: one byte, then text, with descriptors beside it. The parent answers device and
// root with a message of no meaning when what stands behind them runs.
const (
	msgDevice = 'd' // descriptor: packets of the box
	msgRoot   = 'r' // descriptors: /proc of the namespaces, the socket of the trace, gVisor's log, and the channel where there is one
	msgExit   = 'x' // text: the wait status of runsc
	msgError  = 'e' // text: why the box could not be built
)

type message struct {
	kind byte
	text []byte
	fds  []int
}

const maxMessage = 16 << 10

func send(c *net.UnixConn, kind byte, text []byte, fds ...int) error {
	if len(text) >= maxMessage {
		text = text[:maxMessage-1]
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	_, _, err := c.WriteMsgUnix(append([]byte{kind}, text...), oob, nil)
	return err
}

// receive reads one message.
func receive(c *net.UnixConn) (message, error) {
	buf, oob := make([]byte, maxMessage), make([]byte, 256)
	n, on, _, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return message{}, err
	}
	if n == 0 {
		return message{}, io.EOF
	}
	m := message{kind: buf[0], text: buf[1:n]}
	controls, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil {
		return message{}, err
	}
	for i := range controls {
		fds, err := unix.ParseUnixRights(&controls[i])
		if err != nil {
			return message{}, err
		}
		m.fds = append(m.fds, fds...)
	}
	return m, nil
}

// socketpair returns two ends of a socket that keeps messages apart.
func socketpair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "outer")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "parent")
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}
