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
func Digest() string {
	h := sha256.New()
	fs.WalkDir(files, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".txtar") {
			return err
		}
		b, err := files.ReadFile(p)
		h.Write([]byte(p + "\x00"))
		h.Write(b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16]
}
