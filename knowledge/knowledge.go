// Package knowledge holds what donapi knows as data: APIs, classes of paths and hosts, behaviours, models. An analyst edits the
// files; no Go is needed. Examples (*.txtar) belong to the tests and are left out of the digest.
package knowledge

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"strings"
)

//go:embed apis/*.txt *.yaml all:behaviors all:editions all:shell all:names all:models
var files embed.FS

// FS is the data, read-only.
func FS() fs.FS { return files }

// Digest names the state of the knowledge, examples left out: 16 hexadecimal digits.
func Digest(fsys fs.FS) string { return digest(fsys, func(string) bool { return true }) }

// StagesDigest names the part of the knowledge that decides what stages record: all but the behaviours, which are matched afterwards.
func StagesDigest(fsys fs.FS) string {
	return digest(fsys, func(p string) bool { return !strings.HasPrefix(p, "behaviors/") && !strings.HasPrefix(p, "editions/") })
}

func digest(fsys fs.FS, keep func(path string) bool) string {
	h := sha256.New()
	fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".txtar") || !keep(p) {
			return err
		}
		b, err := fs.ReadFile(fsys, p)
		h.Write([]byte(p + "\x00"))
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16]
}
