package artifact

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// member is one entry of a test archive, written as is.
type member struct {
	name  string
	code  byte // 0 means '0'
	link  string
	body  string
	size  string // the field, instead of the body's size
	magic string // "" means ustar
	pre   string // prefix
	sum   string // checksum field, instead of the right one
	raw   []byte // instead of everything
}

func (m member) bytes() []byte {
	if m.raw != nil {
		return m.raw
	}
	var b [512]byte
	copy(b[:100], m.name)
	copy(b[100:], "0000644\x00")
	copy(b[108:], "0000000\x000000000\x00")
	size := m.size
	if size == "" {
		size = fmt.Sprintf("%011o\x00", len(m.body))
	}
	copy(b[124:136], size)
	copy(b[136:], "03561234567\x00")
	b[156] = '0'
	if m.code != 0 {
		b[156] = m.code
	}
	if m.code == 255 {
		b[156] = 0
	}
	copy(b[157:257], m.link)
	magic := m.magic
	if magic == "" {
		magic = "ustar\x0000"
	}
	copy(b[257:], magic)
	copy(b[345:500], m.pre)
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	if m.sum != "" {
		copy(b[148:156], m.sum)
	}
	out := append(b[:], m.body...)
	return append(out, make([]byte, (512-len(m.body)%512)%512)...)
}

var end = member{raw: make([]byte, 1024)}

func tarOf(ms ...member) []byte {
	var b []byte
	for _, m := range ms {
		b = append(b, m.bytes()...)
	}
	return b
}

func zip(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func tgz(ms ...member) []byte { return zip(tarOf(append(ms, end)...)) }

func pax(kvs ...string) string {
	var out string
	for i := 0; i < len(kvs); i += 2 {
		rest := " " + kvs[i] + "=" + kvs[i+1] + "\n"
		n := len(rest) + 1
		for len(fmt.Sprint(n))+len(rest) != n {
			n++
		}
		out += fmt.Sprint(n) + rest
	}
	return out
}

var manifest = member{name: "package/package.json", body: `{"name":"a","version":"1.0.0"}`}

// hostile is an archive, what is read of it, and what is noted.
type hostile struct {
	name  string
	data  []byte
	files string   // paths and bodies beside package.json, as "a.js=1 b.js=2"
	extra []string // of these, paths that npm on Linux does not unpack
	kinds string   // of anomalies, sorted
	short bool     // Truncated
	peer  bool     // npm refuses it as a whole: no comparison
}

func cases() []hostile {
	js := func(name string) member { return member{name: name, body: "1"} }
	long := strings.Repeat("d/", 60) + "x.js"
	plain := tarOf(manifest, js("package/x.js"), end)
	return []hostile{
		{name: "ordinary", data: tgz(manifest, js("package/x.js"), member{name: "package/lib/", code: '5'}, js("package/lib/y.js")), files: "lib/y.js=1 x.js=1"},
		{name: "other name of the root", data: tgz(member{name: "thing/package.json", body: "{}"}, js("thing/x.js")), files: "x.js=1"},
		{name: "two roots", data: tgz(manifest, js("other/x.js")), files: "x.js=1", kinds: "other-root"},
		{name: "climbing in front", data: tgz(manifest, js("../x.js")), files: "x.js=1", kinds: "other-root traversal"},
		{name: "climbing within", data: tgz(manifest, js("package/../x.js"), js("package/a/../../x.js"), js("package/a/..")), kinds: "traversal"},
		{name: "climbing with backslashes", data: tgz(manifest, js(`package\..\..\x.js`), js(`package/a\..\..\x.js`)), kinds: "bad-name other-root traversal"},
		{name: "absolute", data: tgz(manifest, js("/x.js"), js("/etc/y.js"), js("//z.js")), files: "etc/y.js=1 x.js=1 z.js=1", kinds: "absolute-path other-root"},
		{name: "absolute below the root", data: tgz(manifest, js("package//x.js"), js("package//c:/y.js")), files: "x.js=1 y.js=1", kinds: "absolute-path"},
		{name: "drives", data: tgz(manifest, js("package/c:/x.js"), js("package/c:y.js")), files: "x.js=1 y.js=1", kinds: "absolute-path"},
		{name: "dots", data: tgz(manifest, js("./package/x.js"), js("package/./y.js"), js("package/a//z.js")), files: "a/z.js=1 package/x.js=1 y.js=1", kinds: "other-root"},
		{name: "without a folder", data: tgz(manifest, js("x.js")), files: "x.js=1", extra: []string{"x.js"}, kinds: "other-root"},
		{name: "without a folder, hiding", data: tgz(manifest, member{name: "package/x.js", body: "evil"}, js("x.js")), files: "x.js=evil", kinds: "duplicate other-root"},
		{name: "backslash", data: tgz(manifest, js(`package/a\x.js`)), files: "a/x.js=1", extra: []string{"a/x.js"}, kinds: "bad-name"},
		{name: "symbolic link", data: tgz(manifest, member{name: "package/l", code: '2', link: "/etc/passwd"}, js("package/l/x.js")), files: "l/x.js=1", kinds: "link"},
		{name: "hard link", data: tgz(manifest, member{name: "package/l", code: '1', link: "package/package.json"}), kinds: "link"},
		{name: "link to nothing, with a body", data: tgz(manifest, member{name: "package/l", code: '2', body: string(member{name: "package/x.js", body: "1"}.bytes())}), files: "x.js=1", kinds: "bad-header"},
		{name: "file with a target", data: tgz(manifest, member{name: "package/a.js", link: "t", body: string(member{name: "package/x.js", body: "1"}.bytes())}), files: "x.js=1", kinds: "bad-header"},
		{name: "link made a file by a header", data: tgz(manifest, member{name: "h", code: 'x', body: pax("type", "File")}, member{name: "package/x.js", code: '2', link: "t", body: "1"}), kinds: "link long-header"},
		{name: "devices", data: tgz(manifest, member{name: "package/c", code: '3'}, member{name: "package/b", code: '4'}, member{name: "package/f", code: '6'}), kinds: "device"},
		{name: "unknown type", data: tgz(manifest, member{name: "package/z", code: 'Z', body: string(member{name: "package/x.js", body: "1"}.bytes())}), kinds: "device"},
		{name: "old and contiguous files", data: tgz(manifest, member{name: "package/x.js", code: 255, body: "1"}, member{name: "package/y.js", code: '7', body: "2"}), files: "x.js=1 y.js=2"},
		{name: "file named as a folder", data: tgz(manifest, member{name: "package/x.js/", body: string(member{name: "package/y.js", body: "1"}.bytes())}), files: "y.js=1"},
		{name: "duplicates", data: tgz(manifest, member{name: "package/x.js", body: "0"}, js("package/x.js"), js("package/./x.js")), files: "x.js=1", kinds: "duplicate"},
		{name: "case", data: tgz(manifest, js("package/x.js"), js("package/X.js")), files: "X.js=1 x.js=1", kinds: "case-collision"},
		{name: "manifests", data: tgz(manifest, member{name: "package/package.json", body: "{}"}), kinds: "duplicate"},
		{name: "control characters", data: tgz(manifest, js("package/a\x1b[2Jb.js")), files: "a\x1b[2Jb.js=1", kinds: "bad-name"},
		{name: "direction marks", data: tgz(manifest, js("package/a\u202esj.b")), files: "a\u202esj.b=1", kinds: "bad-name"},
		{name: "not UTF-8", data: tgz(manifest, js("package/\xff.js")), files: "\uFFFD.js=1", kinds: "bad-name"},
		{name: "NUL in an extended path", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/x.js\x00.txt")}, js("package/y.js")), files: "x.js=1", kinds: "bad-name"},
		{name: "extended path", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/"+long)}, js("package/y.js")), files: long + "=1"},
		{name: "extended path and prefix", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/x.js")}, member{name: "y.js", pre: "package", body: "1"}), files: "x.js=1"},
		{name: "extended size", data: tgz(manifest, member{name: "h", code: 'x', body: pax("size", "1")}, member{name: "package/x.js", body: "1", size: "00000000000\x00"}), files: "x.js=1"},
		{name: "size beside a long name", data: tgz(manifest, member{name: "h", code: 'x', body: pax("size", "1")}, member{name: "l", code: 'L', body: "package/x.js\x00"}, member{name: "package/y.js", body: "1", size: "00000000000\x00"}), files: "x.js=1"},
		{name: "extended path, wrong length", data: tgz(manifest, member{name: "h", code: 'x', body: "99 path=package/y.js\n"}, js("package/x.js")), files: "x.js=1", kinds: "long-header"},
		{name: "newline in an extended path", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/y\n.js")}, js("package/x.js")), files: "x.js=1", kinds: "long-header"},
		{name: "global path", data: tgz(member{name: "h", code: 'g', body: pax("path", "package/y.js")}, manifest, js("package/x.js")), files: "x.js=1", kinds: "long-header"},
		{name: "extended header twice", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/y.js")}, member{name: "h", code: 'x', body: pax("path", "package/x.js")}, js("package/z.js")), files: "x.js=1"},
		{name: "huge extended header", data: tgz(manifest, member{name: "h", code: 'x', body: pax("comment", strings.Repeat("c", 2<<20), "path", "package/y.js")}, js("package/x.js")), files: "x.js=1", kinds: "long-header"},
		{name: "GNU long name", data: tgz(manifest, member{name: "././@LongLink", code: 'L', body: "package/" + long + "\x00"}, js("package/y.js")), files: long + "=1"},
		{name: "old GNU prefix", data: tgz(manifest, member{name: "package/x.js", magic: "ustar  \x00", pre: "other", body: "1"}), files: "x.js=1"},
		{name: "prefix", data: tgz(manifest, member{name: "x.js", pre: "package/lib", body: "1"}), files: "lib/x.js=1"},
		{name: "GNU sparse", data: tgz(manifest, member{name: "package/s", code: 'S', body: "1"}, js("package/x.js")), files: "x.js=1", kinds: "device"},
		{name: "PAX sparse", data: tgz(manifest, member{name: "h", code: 'x', body: pax("GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name", "package/y.js", "GNU.sparse.realsize", "99")}, js("package/x.js")), files: "x.js=1", kinds: "long-header"},
		{name: "base 256 size", data: tgz(manifest, member{name: "package/x.js", body: "1", size: "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"}), files: "x.js=1"},
		{name: "negative size", data: tgz(manifest, member{name: "package/a", size: "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"}, js("package/x.js")), files: "a= x.js=1", kinds: ""},
		{name: "size of no digits", data: tgz(manifest, member{name: "package/a", size: "zz"}, js("package/x.js")), files: "a= x.js=1"},
		{name: "wrong checksum", data: tgz(manifest, member{name: "package/a.js", sum: "000001\x00 ", body: string(member{name: "package/x.js", body: "1"}.bytes())}), files: "x.js=1", kinds: "bad-header"},
		{name: "junk between entries", data: tgz(manifest, member{raw: bytes.Repeat([]byte("junk"), 256)}, js("package/x.js")), files: "x.js=1", kinds: "bad-header"},
		{name: "one empty block", data: tgz(manifest, member{raw: make([]byte, 512)}, js("package/x.js")), files: "x.js=1"},
		{name: "after the end", data: tgz(manifest, end, js("package/x.js")), kinds: "trailing-data"},
		{name: "without an end", data: zip(tarOf(manifest, js("package/x.js"))), files: "x.js=1"},
		{name: "two gzip members", data: append(zip(plain[:700]), zip(plain[700:])...), files: "x.js=1", kinds: "trailing-data"},
		{name: "junk after gzip", data: append(zip(plain), "junk"...), files: "x.js=1", kinds: "trailing-data", peer: true},
		{name: "zeros after gzip", data: append(zip(plain), make([]byte, 4096)...), files: "x.js=1", kinds: "trailing-data", peer: true},
		{name: "not compressed", data: plain, files: "x.js=1", kinds: "not-gzip"},
		{name: "zstd", data: zstdOf(plain), files: "x.js=1", kinds: "not-gzip", peer: true}, // npm reads it on newer Node
		{name: "cut gzip", data: zip(tarOf(manifest, member{name: "package/x.js", body: noise(5000)}, end))[:2000], files: "x.js=~", kinds: "truncated", short: true, peer: true},
		{name: "cut tar", data: zip(tarOf(manifest, member{name: "package/x.js", body: "12", size: "00000007777\x00"})), files: "x.js=~", kinds: "truncated", short: true, peer: true},
		{name: "claims exabytes", data: tgz(manifest, member{name: "package/x.js", body: "1", size: "\x80\x00\x00\x00\x00\x1f\xff\xff\xff\xff\xff\xff"}), files: "x.js=~", kinds: "truncated", short: true, peer: true},
		{name: "deep", data: tgz(manifest, member{name: "h", code: 'x', body: pax("path", "package/"+strings.Repeat("d/", 1100)+"x.js")}, js("package/y.js")), kinds: "bad-name"},
	}
}

func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

func zstdOf(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(data, nil)
}

func kindsOf(a *Artifact) string {
	set := map[string]bool{}
	for _, x := range a.Anomalies {
		set[x.Kind] = true
	}
	return strings.Join(slices.Sorted(maps.Keys(set)), " ")
}

func TestHostileArchives(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			a, err := FromTarball(bytes.NewReader(c.data), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range a.Files {
				switch {
				case f.Path == "package.json":
				case strings.Contains(c.files, f.Path+"=~"):
					got = append(got, f.Path+"=~")
				default:
					got = append(got, f.Path+"="+string(f.Data))
				}
			}
			if d := cmp.Diff(c.files, strings.Join(got, " ")); d != "" {
				t.Error("files: ", d)
			}
			if d := cmp.Diff(c.kinds, kindsOf(a)); d != "" {
				t.Errorf("anomalies: %s%v", d, a.Anomalies)
			}
			if a.Truncated != c.short {
				t.Errorf("truncated: %v", a.Truncated)
			}
			for _, x := range a.Anomalies {
				if strings.ContainsFunc(x.Path+x.Detail, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("not escaped: %q", x)
				}
			}
		})
	}
}

// unpacked is what npm made of an archive.
type unpacked struct {
	Error string
	Files [][2]string // path, content in base 64
}

// unpackByNPM unpacks archives by npm's own code. They hold nothing but digits.
func unpackByNPM(t *testing.T, archives [][]byte) []unpacked {
	t.Helper()
	bin, err := exec.LookPath("npm")
	if err == nil {
		bin, err = filepath.EvalSymlinks(bin)
	}
	pacote := filepath.Join(filepath.Dir(bin), "..", "node_modules", "pacote")
	if err == nil {
		_, err = os.Stat(pacote)
	}
	if err != nil {
		t.Skip("SKIPPED: npm's own modules are not here: ", err)
	}
	dir := t.TempDir()
	for i, data := range archives {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.tgz", i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	script := `
		const [dir, pacote, n] = process.argv.slice(1)
		const fs = require('fs'), path = require('path'), p = require(pacote)
		const list = (d, pre = '') => fs.readdirSync(d, {withFileTypes: true}).flatMap(e => e.isDirectory() ? list(path.join(d, e.name), pre + e.name + '/') : [[pre + e.name, fs.readFileSync(path.join(d, e.name), 'base64')]])
		;(async () => { const out = []
			for (let i = 0; i < +n; i++) { const to = path.join(dir, 'to' + i)
				try { await p.extract(path.join(dir, i + '.tgz'), to, {cache: path.join(dir, 'cache')}); out.push({files: list(to)}) } catch (e) { out.push({error: String(e)}) } }
			process.stdout.write(JSON.stringify(out)) })()`
	cmd := exec.Command("node", "-e", script, dir, pacote, fmt.Sprint(len(archives)))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skip("SKIPPED: node cannot be run: ", err)
	}
	var results []unpacked
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return results
}

func TestAgainstNPM(t *testing.T) {
	var compared []hostile
	var archives [][]byte
	for _, c := range cases() {
		if !c.peer {
			compared = append(compared, c)
			archives = append(archives, c.data)
		}
	}
	for i, r := range unpackByNPM(t, archives) {
		c := compared[i]
		if r.Error != "" {
			t.Errorf("%s: npm refuses it: %s", c.name, r.Error)
			continue
		}
		a, err := FromTarball(bytes.NewReader(c.data), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range r.Files {
			if !strings.Contains(f[0], `\`) { // shown where Windows has it
				want[f[0]] = f[1]
			}
		}
		got := map[string]string{}
		for _, f := range a.Files {
			if !slices.Contains(c.extra, f.Path) {
				got[f.Path] = base64.StdEncoding.EncodeToString(f.Data)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: npm unpacks (-) otherwise (+): %s", c.name, d)
		}
	}
}

// TestMutationsAgainstNPM alters bytes of the archives of the table, mostly of headers, whose checksums it repairs. Whatever npm
// unpacks must be seen, with the same bytes.
func TestMutationsAgainstNPM(t *testing.T) {
	const mutations = 200
	r := rand.New(rand.NewPCG(1, 2))
	var plains [][]byte
	for _, c := range cases() {
		if z, err := gzip.NewReader(bytes.NewReader(c.data)); err == nil {
			if plain, err := io.ReadAll(z); err == nil && len(plain) < 16<<10 {
				plains = append(plains, plain)
			}
		}
	}
	var archives [][]byte
	for range mutations {
		archives = append(archives, zip(mutate(r, bytes.Clone(plains[r.IntN(len(plains))]))))
	}
	compared := 0
	for i, res := range unpackByNPM(t, archives) {
		if res.Error != "" {
			continue
		}
		compared++
		a, err := FromTarball(bytes.NewReader(archives[i]), Limits{})
		for _, f := range res.Files {
			if strings.Contains(f[0], `\`) || strings.HasSuffix(f[0], ".npmignore") {
				continue
			}
			if err != nil {
				t.Errorf("archive %d: npm unpacks %q, we fail: %v", i, f[0], err)
			} else if g := a.Lookup(f[0]); g == nil {
				t.Errorf("archive %d: npm unpacks %q, which we do not see; anomalies %v", i, f[0], a.Anomalies)
			} else if base64.StdEncoding.EncodeToString(g.Data) != f[1] && !a.Truncated {
				t.Errorf("archive %d: npm unpacks another %q: %q, we have %q", i, f[0], f[1], g.Data)
			}
		}
	}
	if compared < mutations/4 {
		t.Errorf("npm unpacked only %d archives", compared)
	}
}

// mutate alters one to three headers of a tar file.
func mutate(r *rand.Rand, b []byte) []byte {
	fields := [][2]int{{0, 100}, {100, 108}, {124, 136}, {136, 148}, {148, 156}, {156, 157}, {157, 257}, {257, 265}, {345, 500}, {500, 512}}
	values := []string{"\x00", "0", "1", "2", "5", "7", "x", "g", "L", "K", "S", "V", "\x80", "\xff", "/", "..", "../", "\\", " ", "package/", "ustar  \x00", "ustar\x0000", "00000000001\x00", "9", "12 a=b\n", "x.js"}
	for range 1 + r.IntN(3) {
		at := r.IntN(len(b)/512) * 512
		f := fields[r.IntN(len(fields))]
		copy(b[at+f[0]+r.IntN(f[1]-f[0]):at+f[1]], values[r.IntN(len(values))])
		if r.IntN(2) == 0 {
			copy(b[at+f[0]:at+f[1]], values[r.IntN(len(values))])
		}
		if r.IntN(8) > 0 {
			sum := 0
			copy(b[at+148:at+156], "        ")
			for _, c := range b[at : at+512] {
				sum += int(c)
			}
			copy(b[at+148:at+156], fmt.Sprintf("%06o\x00 ", sum))
		}
	}
	return b
}

func TestLimits(t *testing.T) {
	zeros := strings.Repeat("\x00", 100<<20)
	many := []member{manifest}
	for i := range 200 {
		many = append(many, member{name: fmt.Sprintf("package/%d.js", i), body: "1"})
	}
	folders := []member{manifest}
	for range 1000 {
		folders = append(folders, member{name: "package/x/", code: '5'})
	}
	bomb := tgz(manifest, member{name: "package/x.js", body: zeros})
	for name, c := range map[string]struct {
		data []byte
		lim  Limits
		most int // bytes kept
	}{
		"files":             {tgz(many...), Limits{Files: 100}, 1 << 20},
		"entries":           {tgz(folders...), Limits{Entries: 100}, 1 << 20},
		"one file":          {bomb, Limits{File: 1 << 20, Ratio: 1 << 30}, 2 << 20},
		"all bytes":         {bomb, Limits{Unpacked: 10 << 20, Ratio: 1 << 30}, 11 << 20},
		"ratio":             {bomb, Limits{}, 100 << 20},
		"ratio of skipped":  {tgz(manifest, member{name: "package/s", code: 'S', body: zeros}), Limits{}, 1 << 20},
		"ratio of metadata": {tgz(manifest, member{name: "h", code: 'x', body: zeros}), Limits{}, 1 << 20},
		"packed":            {tgz(manifest, member{name: "package/x.js", body: noise(100_000)}), Limits{Packed: 50_000}, 1 << 20},
	} {
		a, err := FromTarball(bytes.NewReader(c.data), c.lim)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		total := 0
		for _, f := range a.Files {
			total += len(f.Data)
		}
		if !strings.Contains(kindsOf(a), Bomb) || !a.Truncated || total > c.most {
			t.Errorf("%s: %v, truncated %v, %d bytes kept", name, a.Anomalies, a.Truncated, total)
		}
	}
	after := zip(append(tarOf(manifest, end), zeros...))
	if a, err := FromTarball(bytes.NewReader(after), Limits{}); err != nil || kindsOf(a) != Bomb || a.Lookup("package.json") == nil {
		t.Errorf("zeros after the end: %v %v", a, err)
	}
}

func TestUnreadable(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing": nil, "one byte": {0x1f}, "magic only": {0x1f, 0x8b}, "text": []byte("hello, this is no archive"), "page": bytes.Repeat([]byte("<html>"), 500),
		"empty gzip": zip(nil), "cut header": tgz(manifest)[:5], "zeros": make([]byte, 10_000), "zip": []byte("PK\x03\x04xxxxxxxxxxxxxxxxxxxxxxxx"), "zstd junk": []byte("\x28\xb5\x2f\xfdjunkjunk"),
	} {
		if a, err := FromTarball(bytes.NewReader(data), Limits{}); err == nil {
			t.Errorf("%s was read: %+v", name, a)
		} else if !strings.HasPrefix(err.Error(), "tarball cannot be read: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(tgz(manifest)[:40]), errReader{})
	if _, err := FromTarball(broken, Limits{}); !errors.Is(err, errBroken) {
		t.Errorf("a reader that fails: %v", err)
	}
}

var errBroken = errors.New("wire is cut")

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errBroken }

func TestManyAnomaliesHideNone(t *testing.T) {
	ms := []member{manifest}
	for i := range 500 {
		ms = append(ms, member{name: fmt.Sprintf("package/\x01%d", i)})
	}
	ms = append(ms, member{name: "package/../x"})
	a, err := FromTarball(bytes.NewReader(tgz(ms...)), Limits{})
	if err != nil || kindsOf(a) != "bad-name traversal" || len(a.Anomalies) != maxAnomalies+1 {
		t.Errorf("%d %s %v", len(a.Anomalies), kindsOf(a), err)
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"package.json": `{"name":"a","bundleDependencies":["@s/in"]}`, "x.js": "1", ".git/config": "x", "node_modules/out/x.js": "1", "node_modules/@s/in/x.js": "1", "node_modules/@s/out/x.js": "1", "node_modules/.bin/x": "1",
		"lib/node_modules/y/x.js": "1", "big.js": strings.Repeat("x", 100), "a\x1bb": "1",
	} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.js")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "root")); err != nil {
		t.Fatal(err)
	}
	a, err := FromFolder(dir, Limits{File: 50})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range a.Files {
		got = append(got, f.Path)
	}
	want := []string{"a\x1bb", "big.js", "lib/node_modules/y/x.js", "node_modules/@s/in/x.js", "package.json", "x.js"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if kindsOf(a) != "bad-name bomb link" || !a.Truncated || len(a.Lookup("big.js").Data) != 50 || !strings.HasPrefix(a.Integrity, "folder-sha512-") {
		t.Errorf("%+v", a.Anomalies)
	}
	for _, lim := range []Limits{{Unpacked: 40}, {Files: 3}} {
		if a, err := FromFolder(dir, lim); err != nil || !a.Truncated || !strings.Contains(kindsOf(a), Bomb) {
			t.Errorf("%+v: truncated %v, %v", lim, a.Truncated, a.Anomalies)
		}
	}
	last := t.TempDir()
	if err := os.WriteFile(filepath.Join(last, "only.js"), make([]byte, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	if a, err := FromFolder(last, Limits{Unpacked: 40}); err != nil || !a.Truncated || len(a.Files[0].Data) != 40 {
		t.Errorf("the last file was cut silently: %+v %v", a.Anomalies, err)
	}
	for _, bad := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "x.js")} {
		if _, err := FromFolder(bad, Limits{}); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func FuzzFromTarball(f *testing.F) {
	for _, c := range cases() {
		f.Add(c.data)
		if z, err := gzip.NewReader(bytes.NewReader(c.data)); err == nil {
			if plain, err := io.ReadAll(z); err == nil && len(plain) < 64<<10 {
				f.Add(plain)
			}
		}
	}
	lim := Limits{Files: 100, Unpacked: 1 << 20, File: 64 << 10, Packed: 1 << 20}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := FromTarball(bytes.NewReader(data), lim)
		if err != nil {
			return
		}
		seen := ""
		for _, x := range a.Files {
			if x.Path == "" || x.Path <= seen || x.Path[0] == '/' || slices.Contains(strings.Split(x.Path, "/"), "..") || len(x.Data) > 64<<10 {
				t.Errorf("path %q after %q, %d bytes", x.Path, seen, len(x.Data))
			}
			seen = x.Path
		}
		b, err := FromTarball(bytes.NewReader(data), lim)
		if err != nil || !cmp.Equal(a.Anomalies, b.Anomalies) || a.Integrity != b.Integrity {
			t.Error("not deterministic")
		}
	})
}

func BenchmarkFromTarball(b *testing.B) {
	ms := []member{manifest}
	for i := range 200 {
		ms = append(ms, member{name: fmt.Sprintf("package/%d.js", i), body: strings.Repeat("module.exports = 1\n", 500)})
	}
	data := tgz(ms...)
	b.SetBytes(200 * 500 * 19)
	for b.Loop() {
		if _, err := FromTarball(bytes.NewReader(data), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
