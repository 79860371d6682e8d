//go:build linux && (amd64 || arm64)

package strong

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/donapi/donapi/internal/sandbox"
)

// Kinds of reports from the inner process to the parent: one byte, the length of the payload in four, payload. Numbers are little-endian.
const (
	repReady   = 'b' // the box is built
	repStarted = 's' // the program has been started
	repExit    = 'x' // twice eight bytes: the wait status of the program, the largest number of bytes it had
	repOrphan  = 'o' // see encodeOrphan
	repFile    = 'f' // see encodeFile
	repRemoved = 'r' // path
	repLimit   = 'l' // a sandbox.Limit
	repUsage   = 'u' // eight bytes: used of the writable folders
	repError   = 'e' // text: why the box could not be built or listed
	repDone    = 'd'
)

// maxReport is more than any report has: the largest is a file, of which Limits.Body are kept.
const maxReport = 64 << 20

func writeReport(w io.Writer, kind byte, payload []byte) error {
	b := binary.LittleEndian.AppendUint32([]byte{kind}, uint32(len(payload)))
	_, err := w.Write(append(b, payload...))
	return err
}

var errReport = errors.New("a report of the box is damaged")

// readReport reads one report of at most limit bytes.
func readReport(r io.Reader, limit int) (kind byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.LittleEndian.Uint32(head[1:])
	if int64(n) > int64(min(limit, maxReport)) {
		return 0, nil, fmt.Errorf("%w: it has %d bytes", errReport, n)
	}
	// Not allocated before it has come.
	payload, err = io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && len(payload) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return head[0], payload, err
}

func number(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

func decodeNumber(b []byte) (uint64, error) {
	if len(b) != 8 {
		return 0, errReport
	}
	return binary.LittleEndian.Uint64(b), nil
}

// encodeOrphan writes a process as: its number, its parent's number, its command line as /proc has it.
func encodeOrphan(pid, parent int, cmdline []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(pid))
	return append(binary.LittleEndian.AppendUint32(b, uint32(parent)), cmdline[:min(len(cmdline), 4096)]...)
}

func decodeOrphan(b []byte) (sandbox.Event, error) {
	if len(b) < 8 {
		return sandbox.Event{}, errReport
	}
	e := sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindOrphan, PID: int(binary.LittleEndian.Uint32(b)), Parent: int(binary.LittleEndian.Uint32(b[4:]))}
	line := b[8:]
	e.Cut = len(line) >= 4096
	for _, a := range bytes.Split(bytes.TrimSuffix(line, []byte{0}), []byte{0}) {
		e.Args = append(e.Args, string(a))
	}
	return e, nil
}

// encodeFile writes a file as: mode, whole size, whether it is cut, lengths of path and link, path, link, data.
func encodeFile(f *sandbox.File) []byte {
	b := make([]byte, 0, 21+len(f.Path)+len(f.Link)+len(f.Data))
	b = binary.LittleEndian.AppendUint32(b, f.Mode)
	b = binary.LittleEndian.AppendUint64(b, uint64(f.Size))
	cut := byte(0)
	if f.Truncated {
		cut = 1
	}
	b = append(b, cut)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Path)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.Link)))
	b = append(append(b, f.Path...), f.Link...)
	return append(b, f.Data...)
}

func decodeFile(b []byte) (sandbox.File, error) {
	if len(b) < 21 {
		return sandbox.File{}, errReport
	}
	f := sandbox.File{Mode: binary.LittleEndian.Uint32(b), Size: int64(binary.LittleEndian.Uint64(b[4:])), Truncated: b[12] != 0}
	p, l := int64(binary.LittleEndian.Uint32(b[13:])), int64(binary.LittleEndian.Uint32(b[17:]))
	b = b[21:]
	if p+l > int64(len(b)) || f.Size < 0 {
		return sandbox.File{}, errReport
	}
	f.Path, f.Link = string(b[:p]), string(b[p:p+l])
	if b = b[p+l:]; len(b) > 0 || f.Link == "" && f.Size == 0 {
		f.Data = b
	}
	return f, nil
}
