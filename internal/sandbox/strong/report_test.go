//go:build linux && (amd64 || arm64)

package strong

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/sandbox"
)

func TestReports(t *testing.T) {
	files := []sandbox.File{
		{Path: "/work/odd\n\xffname", Data: []byte("x"), Mode: 0o640, Size: 1},
		{Path: "/work/link", Link: "../\xfe"},
		{Path: "/work/empty", Data: []byte{}, Mode: 0o600},
		{Path: "/work/cut", Data: []byte("head"), Mode: 0o644, Size: 1 << 40, Truncated: true},
	}
	var b bytes.Buffer
	for i := range files {
		if err := writeReport(&b, repFile, encodeFile(&files[i])); err != nil {
			t.Fatal(err)
		}
	}
	writeReport(&b, repOrphan, encodeOrphan(7, 1, []byte("sleep\x001000\x00")))
	var got []sandbox.File
	for range files {
		kind, payload, err := readReport(&b, 1<<20)
		if err != nil || kind != repFile {
			t.Fatal(kind, err)
		}
		f, err := decodeFile(payload)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if d := cmp.Diff(files, got); d != "" {
		t.Error(d)
	}
	_, payload, err := readReport(&b, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	o, err := decodeOrphan(payload)
	want := sandbox.Event{Source: sandbox.SourceBox, Kind: sandbox.KindOrphan, PID: 7, Parent: 1, Args: []string{"sleep", "1000"}}
	if d := cmp.Diff(want, o); d != "" || err != nil {
		t.Error(d, err)
	}
	if _, _, err := readReport(bytes.NewReader([]byte{repFile, 255, 255, 255, 255}), 1000); !errors.Is(err, errReport) {
		t.Errorf("a report that is too large: %v", err)
	}
}

func FuzzReports(f *testing.F) {
	var b bytes.Buffer
	writeReport(&b, repFile, encodeFile(&sandbox.File{Path: "/work/a", Data: []byte("x"), Size: 1}))
	writeReport(&b, repOrphan, encodeOrphan(7, 1, []byte("a\x00b\x00")))
	writeReport(&b, repUsage, number(9))
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for room := 1 << 20; ; {
			kind, payload, err := readReport(r, room)
			if err != nil {
				return
			}
			if len(payload) > room {
				t.Fatalf("%d bytes of %d", len(payload), room)
			}
			room -= len(payload)
			switch kind {
			case repFile:
				if f, err := decodeFile(payload); err == nil && len(f.Path)+len(f.Link)+len(f.Data) > len(payload) {
					t.Fatalf("%d bytes of %d", len(f.Data), len(payload))
				}
			case repOrphan:
				decodeOrphan(payload)
			default:
				decodeNumber(payload)
			}
		}
	})
}

// TestSizes asks that lengths which do not fit are refused.
func TestSizes(t *testing.T) {
	b := encodeFile(&sandbox.File{Path: "/a"})
	binary.LittleEndian.PutUint32(b[13:], 1<<32-1)
	binary.LittleEndian.PutUint32(b[17:], 1<<32-1)
	if _, err := decodeFile(b); err == nil {
		t.Error("lengths beyond the end were taken")
	}
}
