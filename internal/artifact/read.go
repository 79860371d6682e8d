package artifact

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"github.com/donapi/donapi/internal/npm"
)

// Kinds of anomalies.
const (
	Traversal     = "traversal"      // a path climbs out of the package
	AbsolutePath  = "absolute-path"  // a path starts at the root or at a drive
	Link          = "link"           // a symbolic or hard link, which npm never packs
	Device        = "device"         // a device, fifo or another special file
	Duplicate     = "duplicate"      // two entries of one path; the last counts
	CaseCollision = "case-collision" // two paths that differ in case only
	BadName       = "bad-name"       // control characters, NUL or invalid UTF-8 in a path
	OtherRoot     = "other-root"     // entries below another folder than the first one
	Bomb          = "bomb"           // a limit on size, ratio or number was hit
	Trailing      = "trailing-data"  // something follows the end of the archive
	Truncation    = "truncated"      // the archive ends early or is damaged
	NotGzip       = "not-gzip"       // an archive without compression
	LongHeader    = "long-header"    // a PAX record beyond any honest size
)

// Limits bound the reading. The zero value means the defaults.
type Limits struct {
	Files    int   // regular files
	Unpacked int64 // bytes, all files together
	File     int64 // bytes of one file
	Packed   int64 // bytes of the tarball
	Ratio    int64 // unpacked to packed, beyond the first 64 MB
}

func (l Limits) orDefault() Limits {
	if l.Files == 0 {
		l.Files = 100_000
	}
	if l.Unpacked == 0 {
		l.Unpacked = 1 << 30
	}
	if l.File == 0 {
		l.File = 128 << 20
	}
	if l.Packed == 0 {
		l.Packed = 512 << 20
	}
	if l.Ratio == 0 {
		l.Ratio = 200
	}
	return l
}

// New makes an artifact of files already in memory. Of equal paths the last counts.
func New(files []File, anomalies []Anomaly, integrity string) *Artifact {
	a := &Artifact{Anomalies: anomalies, Integrity: integrity, index: map[string]int{}}
	last := map[string]int{}
	for i := range files {
		if _, dup := last[files[i].Path]; dup {
			a.Anomalies = append(a.Anomalies, Anomaly{Duplicate, files[i].Path, "the last one counts"})
		}
		last[files[i].Path] = i
	}
	for i := range files {
		if last[files[i].Path] == i {
			a.Files = append(a.Files, files[i])
		}
	}
	sort.Slice(a.Files, func(i, j int) bool { return a.Files[i].Path < a.Files[j].Path })
	lower := map[string]string{}
	for i := range a.Files {
		p := a.Files[i].Path
		a.index[p] = i
		if q, ok := lower[strings.ToLower(p)]; ok && q != p {
			a.Anomalies = append(a.Anomalies, Anomaly{CaseCollision, p, "also " + q})
		}
		lower[strings.ToLower(p)] = p
	}
	slices.SortStableFunc(a.Anomalies, func(x, y Anomaly) int {
		if c := strings.Compare(x.Kind, y.Kind); c != 0 {
			return c
		}
		return strings.Compare(x.Path, y.Path)
	})
	if f := a.Lookup("package.json"); f != nil {
		a.Manifest = npm.ParseManifest(f.Data)
	} else {
		a.Manifest = &npm.Manifest{Problems: []string{"no package.json"}}
	}
	return a
}

// FromTarball reads a package as npm packs it: a gzip-compressed tar whose entries lie below one folder. An error means that
// nothing could be read; whatever else is wrong is an Anomaly.
func FromTarball(r io.Reader, lim Limits) (*Artifact, error) {
	lim = lim.orDefault()
	digest := sha512.New()
	in := &counter{r: io.TeeReader(io.LimitReader(r, lim.Packed+1), digest)}
	br := bufio.NewReaderSize(in, 64<<10)
	t := &tarball{lim: lim, in: in}
	head, err := br.Peek(2)
	if err != nil {
		return nil, fmt.Errorf("tarball is empty or cannot be read: %w", err)
	}
	var body io.Reader = br
	if head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("tarball is not gzip: %w", err)
		}
		body = z
	} else {
		t.note(NotGzip, "", "")
	}
	if err := t.read(body); err != nil && len(t.files) == 0 {
		return nil, fmt.Errorf("tarball cannot be read: %w", err)
	}
	if _, err := io.Copy(io.Discard, br); err != nil && !t.truncated { // the digest is of the whole
		t.note(Truncation, "", err.Error())
	}
	if in.n > lim.Packed {
		t.note(Bomb, "", "tarball beyond the size limit")
		t.truncated = true
	}
	a := New(t.files, t.anomalies, "sha512-"+base64.StdEncoding.EncodeToString(digest.Sum(nil)))
	a.Truncated = t.truncated
	return a, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

type tarball struct {
	lim       Limits
	in        *counter
	files     []File
	anomalies []Anomaly
	truncated bool
	total     int64
	root      string
}

const maxAnomalies = 200

func (t *tarball) note(kind, p, detail string) {
	if len(t.anomalies) < maxAnomalies {
		t.anomalies = append(t.anomalies, Anomaly{kind, visible(p), detail})
	}
}

// visible escapes what a terminal or a log must not receive.
func visible(p string) string {
	if len(p) > 300 {
		p = p[:300] + "..."
	}
	q := fmt.Sprintf("%+q", p)
	if q == `"`+p+`"` {
		return p
	}
	return q
}

func (t *tarball) read(body io.Reader) error {
	tr := tar.NewReader(body)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			rest, _ := io.Copy(io.Discard, io.LimitReader(body, 1<<20))
			if rest > 64<<10 {
				t.note(Trailing, "", "")
			}
			return nil
		}
		if err != nil {
			t.note(Truncation, "", err.Error())
			t.truncated = true
			return err
		}
		for k, v := range h.PAXRecords {
			if len(v) > 64<<10 {
				t.note(LongHeader, h.Name, k)
			}
		}
		switch h.Typeflag {
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		case tar.TypeSymlink, tar.TypeLink:
			t.note(Link, h.Name, "to "+visible(h.Linkname))
			continue
		case tar.TypeReg, '\x00', tar.TypeGNUSparse:
		default:
			t.note(Device, h.Name, fmt.Sprintf("type %q", h.Typeflag))
			continue
		}
		p, ok := t.clean(h.Name)
		if !ok {
			continue
		}
		if len(t.files) >= t.lim.Files {
			t.note(Bomb, h.Name, "too many files")
			t.truncated = true
			return nil
		}
		room := min(t.lim.File, t.lim.Unpacked-t.total)
		if t.in.n > 0 {
			room = min(room, max(64<<20, t.in.n*t.lim.Ratio)-t.total)
		}
		data, err := io.ReadAll(io.LimitReader(tr, room+1))
		t.total += int64(len(data))
		if int64(len(data)) > room {
			t.note(Bomb, h.Name, "beyond the size limits")
			t.truncated = true
			if t.total >= t.lim.Unpacked || int64(len(data)) < t.lim.File {
				return nil
			}
			data = data[:room]
		}
		if err != nil {
			t.note(Truncation, h.Name, err.Error())
			t.truncated = true
			t.files = append(t.files, File{Path: p, Data: data, Mode: fs.FileMode(h.Mode & 0o777)})
			return err
		}
		t.files = append(t.files, File{Path: p, Data: data, Mode: fs.FileMode(h.Mode & 0o777)})
	}
}

// clean turns an entry's name into a path within the package, as npm does: the first component is dropped, whatever it is.
func (t *tarball) clean(name string) (string, bool) {
	if strings.ContainsAny(name, "\x00") || !utf8.ValidString(name) || strings.IndexFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0 {
		t.note(BadName, name, "")
		if strings.ContainsAny(name, "\x00") {
			return "", false
		}
		name = strings.ToValidUTF8(name, "\uFFFD")
	}
	p := strings.ReplaceAll(name, `\`, "/")
	if strings.HasPrefix(p, "/") || len(p) > 1 && p[1] == ':' {
		t.note(AbsolutePath, name, "")
		p = strings.TrimLeft(p, "/")
		if len(p) > 1 && p[1] == ':' {
			p = p[2:]
		}
	}
	if slices.Contains(strings.Split(p, "/"), "..") {
		t.note(Traversal, name, "")
		return "", false
	}
	p = strings.TrimPrefix(path.Clean("/"+p), "/")
	root, rest, ok := strings.Cut(p, "/")
	if !ok {
		rest = root
		root = ""
	}
	if t.root == "" {
		t.root = root
	} else if root != t.root && root != "" {
		t.note(OtherRoot, name, "first root is "+visible(t.root))
	}
	return rest, rest != ""
}

// FromFolder reads an unpacked package. Symbolic links are noted, not followed; .git and node_modules at the top are left out, but
// for bundled dependencies.
func FromFolder(dir string, lim Limits) (*Artifact, error) {
	lim = lim.orDefault()
	st, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, fmt.Errorf("%s is not a folder", dir)
	}
	var man *npm.Manifest
	if data, err := os.ReadFile(filepath.Join(dir, "package.json")); err == nil {
		man = npm.ParseManifest(data)
	}
	t := &tarball{lim: lim}
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			t.note(Truncation, p, "cannot be read")
			t.truncated = true
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel == ".git" || rel == "node_modules" && (man == nil || len(man.Bundled) == 0) {
				return fs.SkipDir
			}
			if name, ok := strings.CutPrefix(rel, "node_modules/"); ok && strings.Count(name, "/") == strings.Count(name, "@") && !slices.Contains(man.Bundled, name) && !(strings.HasPrefix(name, "@") && !strings.Contains(name, "/")) {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type()&fs.ModeSymlink != 0 {
			t.note(Link, rel, "")
			return nil
		}
		if !d.Type().IsRegular() {
			t.note(Device, rel, d.Type().String())
			return nil
		}
		if len(t.files) >= lim.Files || t.total >= lim.Unpacked {
			t.note(Bomb, rel, "beyond the limits")
			t.truncated = true
			return fs.SkipAll
		}
		f, err := os.Open(p)
		if err != nil {
			t.note(Truncation, rel, "cannot be read")
			t.truncated = true
			return nil
		}
		defer f.Close()
		data, err := io.ReadAll(io.LimitReader(f, min(lim.File, lim.Unpacked-t.total)+1))
		if err != nil {
			t.note(Truncation, rel, err.Error())
			t.truncated = true
		}
		if int64(len(data)) > lim.File {
			t.note(Bomb, rel, "beyond the size limit")
			t.truncated = true
			data = data[:lim.File]
		}
		t.total += int64(len(data))
		info, _ := d.Info()
		var mode fs.FileMode
		if info != nil {
			mode = info.Mode().Perm()
		}
		t.files = append(t.files, File{Path: rel, Data: data, Mode: mode})
		return nil
	})
	if err != nil {
		return nil, err
	}
	a := New(t.files, t.anomalies, "")
	a.Truncated = t.truncated
	h := sha512.New()
	for i := range a.Files {
		fmt.Fprintf(h, "%d:%s%d:", len(a.Files[i].Path), a.Files[i].Path, len(a.Files[i].Data))
		io.Copy(h, bytes.NewReader(a.Files[i].Data))
	}
	a.Integrity = "folder-sha512-" + hex.EncodeToString(h.Sum(nil))
	return a, nil
}
