package artifact

import (
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
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

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
	LongHeader    = "long-header"    // an extended header that is oversized, or says what npm's never say
	BadHeader     = "bad-header"     // a block or an entry that npm passes over as invalid
)

// Limits bound the reading. The zero value means the defaults.
type Limits struct {
	Files    int   // regular files
	Entries  int   // members of the archive, folders and links too
	Unpacked int64 // bytes of the archive, uncompressed, and of all files of a folder
	File     int64 // bytes of one file
	Packed   int64 // bytes of the tarball
	Ratio    int64 // unpacked to packed, beyond the first 64 MB
}

func (l Limits) orDefault() Limits {
	if l.Files == 0 {
		l.Files = 100_000
	}
	if l.Entries == 0 {
		l.Entries = 3 * l.Files
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
	notes := notes{list: slices.Clone(anomalies)}
	a := &Artifact{Integrity: integrity, index: map[string]int{}}
	last := map[string]int{}
	for i := range files {
		if _, dup := last[files[i].Path]; dup {
			notes.add(Duplicate, files[i].Path, "the last one counts")
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
			notes.add(CaseCollision, p, "also "+visible(q))
		}
		lower[strings.ToLower(p)] = p
	}
	a.Anomalies = notes.list
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

// FromTarball reads a package as npm unpacks it. An error means that nothing could be read; whatever else is wrong is an Anomaly.
func FromTarball(r io.Reader, lim Limits) (*Artifact, error) {
	lim = lim.orDefault()
	digest := sha512.New()
	packed := &counter{r: io.TeeReader(io.LimitReader(r, lim.Packed+1), digest)}
	t := &tarball{lim: lim}
	src := bufio.NewReaderSize(packed, 64<<10)
	plain, err := t.decompress(src)
	if err != nil {
		return nil, err
	}
	m := &meter{r: plain, packed: packed, lim: lim}
	tr := &tarReader{r: m, note: t.add}
	err = t.read(tr)
	var bomb *bombError
	switch {
	case errors.As(err, &bomb):
		t.add(Bomb, "", bomb.Error())
		t.truncated = true
	case err != nil:
		t.add(Truncation, "", err.Error())
		t.truncated = true
	case !t.truncated:
		t.trailing(m)
	}
	if !tr.valid {
		if err == nil {
			err = errors.New("it is not a tar archive")
		}
		return nil, fmt.Errorf("tarball cannot be read: %w", err)
	}
	if _, err := io.Copy(io.Discard, src); err != nil && !t.truncated { // the digest is of the whole
		t.add(Truncation, "", err.Error())
		t.truncated = true
	}
	if packed.n > lim.Packed {
		t.add(Bomb, "", "tarball beyond the size limit")
		t.truncated = true
	}
	a := New(t.unpacked(), t.list, "sha512-"+base64.StdEncoding.EncodeToString(digest.Sum(nil)))
	a.Truncated = t.truncated
	return a, nil
}

// counter counts what was read of the tarball.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// meter bounds what comes out of the decompressor, whether it is kept or passed over.
type meter struct {
	r      io.Reader
	packed *counter
	lim    Limits
	n      int64
}

// bombError says which limit of an archive as a whole was hit.
type bombError struct{ limit string }

func (e *bombError) Error() string { return "beyond the limit of " + e.limit }

// ratioFree is how much may come out whatever the ratio.
const ratioFree = 64 << 20

func (m *meter) Read(p []byte) (int, error) {
	if m.n > m.lim.Unpacked {
		return 0, &bombError{fmt.Sprintf("%d bytes unpacked", m.lim.Unpacked)}
	}
	if m.n > ratioFree && m.n > m.packed.n*m.lim.Ratio {
		return 0, &bombError{fmt.Sprintf("%d unpacked bytes to one packed", m.lim.Ratio)}
	}
	n, err := m.r.Read(p)
	m.n += int64(n)
	return n, err
}

// members reads the members of a gzip file, of which npm's tarballs have one.
type members struct {
	src *bufio.Reader
	z   *gzip.Reader
	t   *tarball
}

func (g *members) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if err != io.EOF || n > 0 {
			if err == io.EOF {
				err = nil
			}
			return n, err
		}
		head, _ := g.src.Peek(2)
		if !isGzip(head) {
			if len(head) > 0 {
				g.t.add(Trailing, "", "after the end of the compressed data")
			}
			return 0, io.EOF
		}
		g.t.add(Trailing, "", "a further gzip member")
		if err := g.z.Reset(g.src); err != nil {
			return 0, err
		}
		g.z.Multistream(false)
	}
}

func isGzip(head []byte) bool { return len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b }

// decompress finds out how a tarball is compressed: gzip, or, as npm takes those too, zstd or not at all.
func (t *tarball) decompress(src *bufio.Reader) (io.Reader, error) {
	head, err := src.Peek(4)
	if len(head) == 0 {
		if err == io.EOF {
			err = errors.New("it is empty")
		}
		return nil, fmt.Errorf("tarball cannot be read: %w", err)
	}
	switch {
	case isGzip(head[:min(2, len(head))]):
		z, err := gzip.NewReader(src)
		if err != nil {
			return nil, fmt.Errorf("tarball cannot be read: %w", err)
		}
		z.Multistream(false)
		return &members{src, z, t}, nil
	case string(head) == "\x28\xb5\x2f\xfd":
		t.add(NotGzip, "", "compressed with zstd")
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, fmt.Errorf("tarball cannot be read: %w", err)
		}
		return z, nil
	}
	t.add(NotGzip, "", "not compressed")
	return src, nil
}

// notes collects anomalies, so many of each kind that none can hide behind another.
type notes struct {
	list []Anomaly
	n    map[string]int
}

const maxAnomalies = 50 // of a kind

func (l *notes) add(kind, p, detail string) {
	if l.n == nil {
		l.n = map[string]int{}
	}
	if l.n[kind]++; l.n[kind] <= maxAnomalies {
		l.list = append(l.list, Anomaly{kind, visible(p), detail})
	}
}

type tarball struct {
	notes
	lim       Limits
	files     []File // as npm unpacks them
	others    []File // as other installers or systems may unpack them
	truncated bool
	total     int64
	entries   int
	root      string
}

// unpacked is what an installation has: npm's files, and those that only others unpack where npm has none.
func (t *tarball) unpacked() []File {
	taken := map[string]bool{}
	for i := range t.files {
		taken[t.files[i].Path] = true
	}
	var out []File
	for _, f := range t.others {
		if taken[f.Path] {
			t.add(Duplicate, f.Path, "an entry that npm does not unpack has this path for other installers")
			continue
		}
		out = append(out, f)
	}
	return append(out, t.files...)
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

func (t *tarball) read(tr *tarReader) error {
	for {
		e, err := tr.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t.entries++; t.entries > t.lim.Entries || len(t.files)+len(t.others) >= t.lim.Files && e.kind == regular {
			t.add(Bomb, e.name, "too many files")
			t.truncated = true
			return nil
		}
		switch e.kind {
		case folder:
			continue
		case link:
			t.add(Link, e.name, "to "+visible(e.link))
			continue
		case special:
			t.add(Device, e.name, fmt.Sprintf("type %q", e.code))
			continue
		}
		p, where := t.place(e.name)
		if where == nowhere {
			continue
		}
		data, err := readBody(tr, e.size, t.lim.File)
		if int64(len(data)) > t.lim.File {
			t.add(Bomb, e.name, "file beyond the size limit")
			t.truncated = true
			data = data[:t.lim.File]
		}
		f := File{Path: p, Data: data, Mode: fs.FileMode(e.mode & 0o777)}
		if where == elsewhere {
			t.others = append(t.others, f)
		} else {
			t.files = append(t.files, f)
		}
		if err != nil {
			return err
		}
	}
}

// readBody reads a body of a size that was only claimed, and at most one byte more than limit.
func readBody(r io.Reader, size, limit int64) ([]byte, error) {
	if size > min(limit, 1<<20) {
		return io.ReadAll(io.LimitReader(r, limit+1))
	}
	data := make([]byte, size)
	n, err := io.ReadFull(r, data)
	if err == io.EOF && size > 0 {
		err = io.ErrUnexpectedEOF
	}
	return data[:n], err
}

// trailing notes what follows the end of the archive within it.
func (t *tarball) trailing(m *meter) {
	buf := make([]byte, 32<<10)
	for {
		n, err := m.Read(buf)
		if len(bytes.Trim(buf[:n], "\x00")) > 0 {
			t.add(Trailing, "", "after the end of the archive")
			return
		}
		var bomb *bombError
		if errors.As(err, &bomb) {
			t.add(Bomb, "", bomb.Error())
		}
		if err != nil {
			if err != io.EOF && bomb == nil {
				t.add(Truncation, "", "after the end of the archive: "+err.Error())
			}
			return
		}
	}
}

// where an entry goes.
type where int8

const (
	npmUnpacks where = iota
	elsewhere        // other installers or systems unpack it there
	nowhere
)

// place turns an entry's name into a path within the package, as npm does: the first component is dropped, whatever it is, then what
// makes the rest absolute; what climbs is not unpacked.
func (t *tarball) place(name string) (string, where) {
	checkName(&t.notes, name)
	at := npmUnpacks
	root, rest, below := strings.Cut(name, "/")
	if !below {
		t.add(OtherRoot, name, "below no folder; npm does not unpack it")
		root, rest, at = "", name, elsewhere
	}
	if strings.HasPrefix(name, "/") || drive(name) {
		t.add(AbsolutePath, name, "")
	}
	for {
		trimmed := strings.TrimLeft(rest, `/\`)
		if drive(trimmed) {
			t.add(AbsolutePath, name, "a drive")
			trimmed = trimmed[2:]
		}
		if trimmed == rest {
			break
		}
		rest = trimmed
	}
	if slices.Contains(strings.Split(strings.ReplaceAll(name, `\`, "/"), "/"), "..") {
		t.add(Traversal, name, "")
	}
	if slices.Contains(strings.Split(strings.ReplaceAll(rest, `\`, "/"), "/"), "..") {
		return "", nowhere
	}
	if strings.Contains(rest, `\`) {
		// A separator on Windows, a letter elsewhere: the file is shown where Windows has it.
		rest, at = strings.ReplaceAll(rest, `\`, "/"), elsewhere
	}
	if t.root == "" {
		t.root = root
	} else if below && root != t.root {
		t.add(OtherRoot, name, "the first root is "+visible(t.root))
	}
	p := strings.TrimPrefix(path.Clean("/"+rest), "/")
	if strings.Count(p, "/") >= maxDepth {
		t.add(BadName, name, "deeper than npm unpacks")
		return "", nowhere
	}
	if p == "" {
		return "", nowhere // the package's own folder
	}
	return p, at
}

// maxDepth is npm's limit on the components of a path.
const maxDepth = 1024

func drive(p string) bool {
	return len(p) > 1 && p[1] == ':' && (p[0]|0x20 >= 'a' && p[0]|0x20 <= 'z')
}

// checkName notes what a name of an ordinary package never has.
func checkName(l *notes, name string) {
	switch {
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }):
		l.add(BadName, name, "control or invisible characters")
	case !utf8.ValidString(name) || strings.ContainsRune(name, utf8.RuneError):
		l.add(BadName, name, "not UTF-8")
	case strings.Contains(name, `\`):
		l.add(BadName, name, "a backslash, which is a separator on Windows only")
	}
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
			t.add(Truncation, p, "cannot be read")
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
		checkName(&t.notes, rel)
		if d.Type()&fs.ModeSymlink != 0 {
			t.add(Link, rel, "")
			return nil
		}
		if !d.Type().IsRegular() {
			t.add(Device, rel, d.Type().String())
			return nil
		}
		if len(t.files) >= lim.Files || t.total >= lim.Unpacked {
			t.add(Bomb, rel, "beyond the limits")
			t.truncated = true
			return fs.SkipAll
		}
		f, err := os.Open(p)
		if err != nil {
			t.add(Truncation, rel, "cannot be read")
			t.truncated = true
			return nil
		}
		defer f.Close()
		room := min(lim.File, lim.Unpacked-t.total)
		data, err := io.ReadAll(io.LimitReader(f, room+1))
		if err != nil {
			t.add(Truncation, rel, err.Error())
			t.truncated = true
		}
		if int64(len(data)) > room {
			t.add(Bomb, rel, "beyond the size limits")
			t.truncated = true
			data = data[:room]
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
	a := New(t.files, t.list, "")
	a.Truncated = t.truncated
	h := sha512.New()
	for i := range a.Files {
		fmt.Fprintf(h, "%d:%s%d:", len(a.Files[i].Path), a.Files[i].Path, len(a.Files[i].Data))
		io.Copy(h, bytes.NewReader(a.Files[i].Data))
	}
	a.Integrity = "folder-sha512-" + hex.EncodeToString(h.Sum(nil))
	return a, nil
}
