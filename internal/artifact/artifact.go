// Package artifact gives one immutable, verified view of one package, whether it came as a tarball, a folder or a stream. What
// an archive does to deceive (a path that climbs out, a link, two files of one name, a bomb) is not an error but an Anomaly kept
// beside the files that could be read.
//
// # The contract on hostile archives
//
// The files are those that npm unpacks, byte for byte, because those are the ones that run; the tests compare with npm itself. So:
//
//   - The first component of a path is dropped, whatever it is, even "..", and then what makes the rest absolute. Paths that still
//     climb are left out. All of these are noted: Traversal, AbsolutePath, OtherRoot.
//   - Of equal paths the last entry counts (Duplicate). Paths that differ in case only are both kept (CaseCollision).
//   - Links, devices, sparse and unknown entries are left out (Link, Device).
//   - Entries that npm does not unpack but others do, a file outside every folder or with a backslash as on Windows, are kept where
//     npm has no file. They never hide one of npm's.
//   - Blocks that are no header are passed over (BadHeader), extended headers are read line by line, a global one sets no path, and
//     what an ordinary package's headers never say is noted (LongHeader). Reading ends with two empty blocks; what follows is noted
//     (Trailing), and so are further gzip members, which do belong to the archive.
//   - Control and invisible characters, NUL and bytes that are not UTF-8 are noted (BadName); paths in anomalies are escaped.
//   - An archive that ends early or is damaged gives what stands before (Truncation, and Truncated is set).
//   - Everything is bounded by Limits: members, files, bytes of one and of all, ratio. Bytes that are passed over count as well. A
//     limit that was hit gives what stands before it (Bomb, and Truncated is set).
//   - Each kind of anomaly is listed up to fifty times, so that none can hide behind another.
//
// Reading never panics, never writes, never follows a link, and takes memory in proportion to Limits.
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
