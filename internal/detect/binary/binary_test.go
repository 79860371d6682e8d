package binary

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect"
)

func pe() []byte {
	b := make([]byte, 256)
	copy(b, "MZ")
	binary.LittleEndian.PutUint32(b[60:], 128)
	copy(b[128:], "PE\x00\x00")
	return b
}

func png(tail int) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		binary.Write(&b, binary.BigEndian, uint32(len(data)))
		b.WriteString(kind)
		b.Write(data)
		b.Write(make([]byte, 4))
	}
	chunk("IHDR", make([]byte, 13))
	chunk("IEND", nil)
	b.Write(make([]byte, tail))
	return b.Bytes()
}

func TestDetector(t *testing.T) {
	for _, c := range []struct {
		name, path, want string
		data             []byte
	}{
		{"a program", "bin/tool.exe", "binary/executable", pe()},
		{"a library", "build/Release/x.node", "binary/executable", append([]byte("\x7fELF"), make([]byte, 60)...)},
		{"a program called a picture", "assets/logo.png", "binary/disguised", pe()},
		{"a program called a script", "index.js", "binary/disguised", append([]byte("\x7fELF"), make([]byte, 60)...)},
		{"text that begins with MZ", "MZ.txt", "", []byte("MZ is not a program, whatever its first two letters are; there is no header where one should be.")},
		{"a Java class", "x.class", "", []byte{0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52}},
		{"a picture", "logo.png", "", png(0)},
		{"a picture with a payload", "logo.png", "binary/appended", png(4096)},
		{"a picture with a few bytes more", "logo.png", "", png(20)},
	} {
		a := artifact.New([]artifact.File{{Path: c.path, Data: c.data}}, nil, "")
		got := ""
		for _, f := range run(&detect.Subject{Artifact: a}) {
			got += f.ID
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzExecutable(f *testing.F) {
	f.Add(pe())
	f.Add(png(10))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		Executable(data)
		if n := appended(data); n < 0 || n > len(data) {
			t.Errorf("%d bytes appended to %d", n, len(data))
		}
	})
}
