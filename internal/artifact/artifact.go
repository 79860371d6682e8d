// Package artifact gives one immutable, verified view of one package, whether it came as a tarball, a folder or a stream. What
// an archive does to deceive (a path that climbs out, a link, two files of one name, a bomb) is not an error but an Anomaly kept
// beside the files that could be read.
package artifact

import (
	"io/fs"

	"github.com/donapi/donapi/internal/npm"
)

// File is one regular file of a package.
type File struct {
	Path string // slash separated, relative to the package root, cleaned, never climbing
	Data []byte // never to be written to
	Mode fs.FileMode
}

// Anomaly is something about the archive or a file that ordinary packages do not show.
type Anomaly struct {
	Kind   string // a constant of this package, as traversal, link, duplicate, bomb
	Path   string // as written in the archive, control characters escaped
	Detail string
}

// Artifact is the files of one version, sorted by path, and the anomalies met on the way, in a fixed order. It is immutable.
type Artifact struct {
	Files     []File
	Anomalies []Anomaly
	Integrity string // sha512 SRI of the tarball; for a folder, a digest of names and contents prefixed "folder-sha512-"
	Truncated bool   // a limit ended the reading: what follows it was not seen
	Manifest  *npm.Manifest
	index     map[string]int
}

// Lookup returns the file at a path, or nil.
func (a *Artifact) Lookup(path string) *File {
	if i, ok := a.index[path]; ok {
		return &a.Files[i]
	}
	return nil
}
