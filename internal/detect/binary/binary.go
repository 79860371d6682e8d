// Package binary looks at files that are no source: executables, and files whose content is not what their name says. What a binary
// does is not analysed; that it is there, and under which name, is told.
package binary

import (
	"bytes"
	"encoding/binary"
	"path"
	"strings"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks at the first bytes of every file, and behind the end of pictures.
var Detector = &detect.Detector{
	Name:   "binary",
	Doc:    "Tells executables by their first bytes and compares the content of pictures, fonts, texts and styles with their names.",
	Checks: checks,
	Run:    run,
}

var checks = []detect.Check{
	{ID: "binary/executable", Title: "contains an executable", Severity: report.Info, Doc: "A program for Windows, Linux or macOS is in the package. Native packages have them; what they do is not analysed."},
	{ID: "binary/disguised", Title: "an executable under another name", Severity: report.High, Doc: "The file's name says picture, font, text or style, its content is a program."},
	{ID: "binary/appended", Title: "data behind the end of a picture", Severity: report.Low, Doc: "A picture goes on after its last chunk: a place to hide a payload."},
}

const (
	maxEvidence = 10
	minAppended = 512 // bytes behind a picture's end; editors leave a few
)

func run(s *detect.Subject) []report.Finding {
	ev := map[string][]report.Evidence{}
	add := func(id, file, text string) {
		if len(ev[id]) < maxEvidence {
			ev[id] = append(ev[id], report.Evidence{File: file, Text: text})
		}
	}
	for i := range s.Artifact.Files {
		f := &s.Artifact.Files[i]
		ext := strings.ToLower(path.Ext(f.Path))
		if kind := Executable(f.Data); kind != "" {
			if passive[ext] {
				add("binary/disguised", f.Path, kind)
			} else {
				add("binary/executable", f.Path, kind)
			}
			continue
		}
		if n := appended(f.Data); n >= minAppended {
			add("binary/appended", f.Path, "data behind the end")
		}
	}
	var out []report.Finding
	for _, c := range checks {
		if len(ev[c.ID]) > 0 {
			out = append(out, detect.Find(checks, c.ID, ev[c.ID]...))
		}
	}
	return out
}

// passive are extensions of files that nothing runs.
var passive = map[string]bool{
	".png": true, ".jpg": true, ".jpeg": true, ".gif": true, ".svg": true, ".webp": true, ".bmp": true, ".ico": true, ".woff": true, ".woff2": true, ".ttf": true, ".otf": true,
	".eot": true, ".txt": true, ".md": true, ".json": true, ".css": true, ".scss": true, ".less": true, ".html": true, ".htm": true, ".xml": true, ".yml": true, ".yaml": true,
	".csv": true, ".log": true, ".map": true, ".mp3": true, ".mp4": true, ".wav": true, ".pdf": true, ".js": true, ".ts": true, ".mjs": true, ".cjs": true,
}

// Executable names the kind of program that data is, or returns "".
func Executable(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\x7fELF")):
		return "ELF program or library (Linux)"
	case bytes.HasPrefix(data, []byte("MZ")) && len(data) >= 64:
		if at := int(binary.LittleEndian.Uint32(data[60:])); at > 0 && at <= len(data)-4 && bytes.Equal(data[at:at+4], []byte("PE\x00\x00")) {
			return "PE program or library (Windows)"
		}
	case len(data) >= 8:
		switch binary.BigEndian.Uint32(data) {
		case 0xfeedface, 0xfeedfacf, 0xcefaedfe, 0xcffaedfe:
			return "Mach-O program or library (macOS)"
		case 0xcafebabe: // also Java classes, whose next number is a version of 45 and more
			if n := binary.BigEndian.Uint32(data[4:]); n > 0 && n < 20 {
				return "Mach-O program or library (macOS)"
			}
		}
	}
	return ""
}

// appended counts the bytes behind the last chunk of a PNG.
func appended(data []byte) int {
	if !bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) {
		return 0
	}
	for at := 8; at+12 <= len(data); {
		n := int(binary.BigEndian.Uint32(data[at:]))
		if n < 0 || n > len(data)-at-12 {
			return 0
		}
		end := at + 12 + n
		if string(data[at+4:at+8]) == "IEND" {
			return len(data) - end
		}
		at = end
	}
	return 0
}
