package internet

import (
	"bufio"
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/sandbox"
)

func fuzzed(f *testing.F) *Internet {
	i, err := New(Config{Body: 1 << 10, Emit: func(sandbox.Event) {}})
	if err != nil {
		f.Fatal(err)
	}
	return i
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x07example\x00\x00\x01\x00\x01"))
	f.Add([]byte("secret"))
	i := fuzzed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if reply := i.Datagram(netip.MustParseAddrPort("192.0.2.1:53"), b); len(reply) > maxDatagram {
			t.Errorf("answer of %d bytes in a datagram", len(reply))
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x81\x83\x01\x02\x03\x04rgg"))
	f.Add([]byte("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, payload, cut, err := readFrame(bufio.NewReader(bytes.NewReader(b)), 64)
		if len(payload) > 64 || err == nil && !cut && len(payload) > len(b) {
			t.Errorf("%d bytes of payload out of %d", len(payload), len(b))
		}
	})
}

func FuzzSOCKS(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x03\x01a\x01\xbb"))
	f.Add([]byte("\x05\x01\x00\x01\x01\x02\x03\x04\x01\xbb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name, addr, _, err := readSOCKS(bytes.NewReader(b))
		if err == nil && name == "" && !addr.IsValid() && b[4] != 0 {
			t.Errorf("neither name nor address: %q", b)
		}
	})
}

// FuzzConn plays a whole connection: whatever comes, it ends when the box hangs up.
func FuzzConn(f *testing.F) {
	f.Add(uint16(80), []byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n"))
	f.Add(uint16(25), []byte("DATA\r\n.\r\nQUIT\r\n"))
	f.Add(uint16(443), []byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"))
	f.Add(uint16(1080), []byte("\x05\x01\x00\x05\x01\x00\x03\x01a\x01\xbb"))
	i := fuzzed(f)
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			i.ServeConn(theirs, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port))
		}()
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := ours.Read(buf); err != nil {
					return
				}
			}
		}()
		ours.SetWriteDeadline(time.Now().Add(time.Second))
		ours.Write(b)
		ours.Close()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the connection is still served")
		}
	})
}
