// Package registrytest is an npm registry in the box: documents, tarballs and the change feed as the public registry has had it
// since 2025, in memory, behind a real HTTP listener. The npm client publishes, deprecates, tags, unpublishes and installs through
// it, and tests do the same by method. Everything that goes wrong with the real one can be asked for: documents that lag behind the
// feed, sequences that start anew, pages with duplicates, brownouts, errors with a useless Retry-After, bodies cut short, slow or
// altered tarballs, documents of absurd shapes, removed packages in all forms, and mirrors that leave half of the fields out.
//
// It promises no more than a client can see: no accounts, no access rights, no search.
package registrytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Registry is one stand-in. Its methods may be called while it serves. Set the exported fields before the first request.
type Registry struct {
	URL   string           // base address, without a slash at its end
	Now   func() time.Time // nil means time.Now
	Token string           // when set, every request must carry it as a bearer token

	mu       sync.Mutex
	docs     map[string][]*document // every revision of a package, oldest first
	blobs    map[string][]byte      // tarballs by path
	log      []entry                // the feed in the order of seq; only the newest entry of an id is served
	newest   map[string]int64       // id -> seq of its entry that counts
	seq      int64
	shape    Shape
	faults   []*Fault
	hook     func(Request) *Fault
	requests []Request
	reads    map[string]int // packument reads since the last change, for Shape.LagReads
	key      *ecdsa.PrivateKey
	server   *http.Server
	done     chan struct{}
}

// Shape is how the registry behaves while nothing fails. The zero value is the public registry on a good day.
type Shape struct {
	Lag        time.Duration // documents are served as they were this long ago; the feed is up to date
	Stale      bool          // a cache on the way serves the revision before the newest, but to requests with a query
	LagReads   int           // the first so many reads after a change serve the revision before it
	Duplicates bool          // a page of the feed repeats entries of the page before
	Shuffled   bool          // a page of the feed is not in the order of seq
	StringSeq  bool          // sequence numbers are texts, as of a clustered CouchDB
	Mirror     bool          // no time, revision, ETag or signatures; Accept is not heeded
	MaxPage    int           // entries of a page at most; 0 means 10 000
	NoFeed     bool          // the feed and its status are not found, as on most mirrors
}

// document is one revision of a package. It is never changed.
type document struct {
	name     string
	rev      string
	at       time.Time
	tags     map[string]string
	versions map[string]map[string]any
	time     map[string]any
	owners   []any
	raw      []byte // served instead of everything else
	deleted  bool
}

func (d *document) unpublished() bool { return d.raw == nil && len(d.versions) == 0 }

// New makes a registry that is not listening: an http.Handler. Set URL to where it is mounted.
func New() *Registry {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return &Registry{docs: map[string][]*document{}, blobs: map[string][]byte{}, newest: map[string]int64{}, reads: map[string]int{}, key: key}
}

// Start makes a registry that listens at an address, as 127.0.0.1:0.
func Start(addr string) (*Registry, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	r := New()
	r.URL = "http://" + l.Addr().String()
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second}
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		r.server.Serve(l)
	}()
	return r, nil
}

// Close stops listening.
func (r *Registry) Close() {
	if r.server != nil {
		r.server.Close()
		<-r.done
	}
}

func (r *Registry) now() time.Time {
	if r.Now != nil {
		return r.Now().UTC()
	}
	return time.Now().UTC()
}

func (r *Registry) stamp() string { return r.now().Format("2006-01-02T15:04:05.000Z") }

// SetShape changes how the registry behaves.
func (r *Registry) SetShape(s Shape) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shape = s
}

// Package is a version to publish.
type Package struct {
	Name     string
	Version  string
	Tag      string            // the dist-tag it gets; "" means latest
	Files    map[string]string // below package/; package.json is made when missing
	Manifest map[string]any    // fields of package.json beside name and version; _npmUser is the publisher, alice when it is not set
	Tarball  []byte            // instead of Files
	Dist     map[string]any    // fields of dist that differ from the truth; nil values are left out
}

// Publish adds a version, as npm publish does. A version that is there already cannot be published again.
func (r *Registry) Publish(p Package) error {
	m := map[string]any{}
	maps.Copy(m, p.Manifest)
	m["name"], m["version"] = p.Name, p.Version
	tgz := p.Tarball
	if tgz == nil {
		files := maps.Clone(p.Files)
		if files == nil {
			files = map[string]string{}
		}
		if _, ok := files["package.json"]; !ok {
			data, err := json.MarshalIndent(m, "", "  ")
			if err != nil {
				return err
			}
			files["package.json"] = string(data)
		}
		tgz = Pack(files)
	}
	m["_id"] = p.Name + "@" + p.Version
	tag := p.Tag
	if tag == "" {
		tag = "latest"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.publish(r.fork(p.Name), p.Version, tag, m, tgz, p.Dist)
}

// publish adds a version to a revision that was forked, and commits that.
func (r *Registry) publish(d *document, version, tag string, m map[string]any, tgz []byte, dist map[string]any) error {
	name := d.name
	if _, used := d.time[version]; used {
		return fmt.Errorf("%s@%s was published before", name, version)
	}
	sum := sha512.Sum512(tgz)
	short := sha1.Sum(tgz)
	integrity := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	file := tarballPath(name, version)
	full := map[string]any{
		"integrity": integrity, "shasum": hex.EncodeToString(short[:]), "tarball": r.URL + "/" + file,
		"signatures": []any{map[string]any{"keyid": r.keyID(), "sig": r.sign(name + "@" + version + ":" + integrity)}},
	}
	for k, v := range dist {
		if full[k] = v; v == nil {
			delete(full, k)
		}
	}
	m["dist"] = full
	if m["_npmUser"] == nil { // a test may say who
		m["_npmUser"] = map[string]any{"name": "alice", "email": "alice@example.invalid"}
	}
	m["maintainers"] = d.owners
	r.blobs[file] = tgz
	d.versions[version] = m
	d.time[version] = r.stamp()
	d.tags[tag] = version
	if d.tags["latest"] == "" {
		d.tags["latest"] = version
	}
	r.commit(d)
	return nil
}

// Tag points a dist-tag at a version, or removes it when version is empty. Like all that follows it does nothing to a package that has
// no document.
func (r *Registry) Tag(name, tag, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) {
		return
	}
	d := r.fork(name)
	if d.tags[tag] = version; version == "" {
		delete(d.tags, tag)
	}
	r.commit(d)
}

// Touch makes a new revision in which nothing differs.
func (r *Registry) Touch(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) {
		return
	}
	r.commit(r.fork(name))
}

// Unpublish removes a version. Its entry in time stays. Without other versions it is UnpublishAll.
func (r *Registry) Unpublish(name, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) || r.newestDoc(name).versions[version] == nil {
		return
	}
	d := r.fork(name)
	delete(d.versions, version)
	delete(r.blobs, tarballPath(name, version))
	if len(d.versions) == 0 {
		r.unpublishAll(name)
		return
	}
	d.untag()
	r.commit(d)
}

// untag drops tags without a version and gives latest to the highest that is left.
func (d *document) untag() {
	for t, v := range d.tags {
		if d.versions[v] == nil {
			delete(d.tags, t)
		}
	}
	if vs := slices.Sorted(maps.Keys(d.versions)); d.tags["latest"] == "" && len(vs) > 0 {
		d.tags["latest"] = vs[len(vs)-1]
	}
}

// UnpublishAll removes a package as its owner does: a document without versions remains.
func (r *Registry) UnpublishAll(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) {
		return
	}
	r.unpublishAll(name)
}

func (r *Registry) unpublishAll(name string) {
	d := r.fork(name)
	d.time["unpublished"] = map[string]any{"name": "alice", "tags": d.tags, "maintainers": d.owners, "time": r.stamp(), "versions": slices.Sorted(maps.Keys(d.versions))}
	r.dropTarballs(d)
	d.versions, d.tags = map[string]map[string]any{}, map[string]string{}
	r.commit(d)
}

func (r *Registry) dropTarballs(d *document) {
	for v := range d.versions {
		delete(r.blobs, tarballPath(d.name, v))
	}
}

// Takedown replaces a package by the registry's security holder.
func (r *Registry) Takedown(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) {
		return
	}
	d := r.fork(name)
	r.dropTarballs(d)
	const v = "0.0.1-security"
	m := map[string]any{
		"name": name, "version": v, "description": "security holding package", "repository": map[string]any{"type": "git", "url": "git+https://github.com/npm/security-holder.git"},
		"_id": name + "@" + v,
	}
	d.versions, d.tags, d.owners = map[string]map[string]any{}, map[string]string{}, []any{}
	delete(d.time, v)
	d.time["created"] = r.stamp()
	tgz := Pack(map[string]string{"package.json": fmt.Sprintf("{\"name\":%q,\"version\":%q}", name, v), "README.md": "# Security holding package\n"})
	if err := r.publish(d, v, "latest", m, tgz, nil); err != nil {
		panic(err) // the version was just removed from time
	}
	m["_npmUser"] = map[string]any{"name": "npm", "email": "npm@example.invalid"}
}

// Delete removes a package without a trace but deleted:true in the feed.
func (r *Registry) Delete(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.exists(name) {
		return
	}
	d := r.fork(name)
	r.dropTarballs(d)
	d.versions, d.tags, d.time, d.deleted = map[string]map[string]any{}, map[string]string{}, map[string]any{}, true
	r.commit(d)
}

// Poison makes raw the document of a package, whatever it is, and announces it.
func (r *Registry) Poison(name string, raw []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.fork(name)
	d.raw = raw
	r.commit(d)
}

// SetTarball replaces the bytes of a published tarball; the document goes on to promise the old ones.
func (r *Registry) SetTarball(name, version string, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs[tarballPath(name, version)] = data
}

// Versions lists the versions of a package that can be installed now, sorted as text.
func (r *Registry) Versions(name string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.newestDoc(name); d != nil && d.raw == nil {
		return slices.Sorted(maps.Keys(d.versions))
	}
	return nil
}

// Names lists the packages that have a document, sorted.
func (r *Registry) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for n := range r.docs {
		if d := r.newestDoc(n); d != nil && !d.deleted {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// Rev is the newest revision of a package, or "".
func (r *Registry) Rev(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.newestDoc(name); d != nil {
		return d.rev
	}
	return ""
}

func (r *Registry) exists(name string) bool {
	d := r.newestDoc(name)
	return d != nil && !d.deleted
}

func (r *Registry) newestDoc(name string) *document {
	if ds := r.docs[name]; len(ds) > 0 {
		return ds[len(ds)-1]
	}
	return nil
}

// fork starts the next revision of a package.
func (r *Registry) fork(name string) *document {
	old := r.newestDoc(name)
	if old == nil || old.deleted {
		n := &document{name: name, tags: map[string]string{}, versions: map[string]map[string]any{}, time: map[string]any{"created": r.stamp()},
			owners: []any{map[string]any{"name": "alice", "email": "alice@example.invalid"}}}
		if old != nil {
			n.rev = old.rev
		}
		return n
	}
	n := *old
	n.tags, n.versions, n.time, n.raw = maps.Clone(old.tags), maps.Clone(old.versions), maps.Clone(old.time), nil
	if len(old.versions) > 0 {
		delete(n.time, "unpublished")
	}
	return &n
}

// kept is how many revisions of a package are remembered for readers that lag.
const kept = 16

// commit makes a revision the newest one and announces it.
func (r *Registry) commit(d *document) {
	n, _ := strconv.Atoi(d.rev[:max(0, strings.IndexByte(d.rev, '-'))])
	r.advance(d.name)
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", d.name, r.seq))
	d.rev = fmt.Sprintf("%d-%x", n+1, sum[:16])
	d.at = r.now()
	if !d.deleted {
		d.time["modified"] = r.stamp()
	}
	ds := append(r.docs[d.name], d)
	r.docs[d.name] = ds[max(0, len(ds)-kept):]
	r.reads[d.name] = 0
	r.announce(entry{id: d.name, rev: d.rev, deleted: d.deleted})
}

// current is the revision that a reader is given. fresh readers ask caches to stand aside.
func (r *Registry) current(name string, fresh bool) *document {
	ds := r.docs[name]
	i := len(ds) - 1
	if r.shape.Stale && !fresh && i > 0 {
		i--
	}
	if r.shape.LagReads > 0 && i >= 0 {
		if r.reads[name]++; r.reads[name] <= r.shape.LagReads {
			i--
		}
	}
	if r.shape.Lag > 0 {
		edge := r.now().Add(-r.shape.Lag)
		for i >= 0 && ds[i].at.After(edge) {
			i--
		}
	}
	if i < 0 || ds[i].deleted {
		return nil
	}
	return ds[i]
}

func tarballPath(name, version string) string {
	return name + "/-/" + path.Base(name) + "-" + version + ".tgz"
}

func (r *Registry) publicKey() []byte {
	der, err := x509.MarshalPKIXPublicKey(&r.key.PublicKey)
	if err != nil {
		panic(err) // unreachable for a key that we made
	}
	return der
}

func (r *Registry) keyID() string {
	sum := sha256.Sum256(r.publicKey())
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func (r *Registry) sign(text string) string {
	sum := sha256.Sum256([]byte(text))
	sig, err := ecdsa.SignASN1(rand.Reader, r.key, sum[:])
	if err != nil {
		panic(err) // the system has no randomness
	}
	return base64.StdEncoding.EncodeToString(sig)
}
