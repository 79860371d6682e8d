package registry_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/registry/registrytest"
)

func start(t *testing.T) *registrytest.Registry {
	t.Helper()
	r, err := registrytest.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func publish(t *testing.T, r *registrytest.Registry, p registrytest.Package) {
	t.Helper()
	if err := r.Publish(p); err != nil {
		t.Fatal(err)
	}
}

// client is one with the given lines of an .npmrc, quick to try again.
func client(t *testing.T, lines ...string) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.LoadConfig(registry.Sources{User: file(t, lines...)}), "donapi/test")
	if err != nil {
		t.Fatal(err)
	}
	c.Pause = time.Millisecond
	return c
}

func file(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "npmrc")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrecedence(t *testing.T) {
	s := registry.Sources{
		Global: file(t, "registry=http://global.invalid", "cafile=global", "proxy=global", "noproxy=global", "@a:registry=http://global.invalid/a/"),
		User:   file(t, "registry = http://user.invalid/", "cafile=user", "proxy=user"),
		Extra:  file(t, "registry=\"http://extra.invalid/npm/\"", "cafile=extra"),
		Env:    []string{"NPM_CONFIG_REGISTRY=http://env.invalid/", "npm_config_strict_ssl=false", "npm_config__auth=x", "npm_config_//h.invalid/:_authToken=t", "npm_config_proxy="},
	}
	c := registry.LoadConfig(s)
	for key, want := range map[string]string{"registry": "http://env.invalid/", "cafile": "extra", "proxy": "user", "noproxy": "global", "strict-ssl": "false", "_auth": "x", "//h.invalid/:_authToken": "t"} {
		if got := c.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if got := c.Registry("@a/x"); got != "http://global.invalid/a" {
		t.Errorf("scoped: %s", got)
	}
	if got := c.Registry("@b/x"); got != "http://env.invalid" {
		t.Errorf("other scope: %s", got)
	}
	s.Env = nil
	if got := registry.LoadConfig(s).Registry("x"); got != "http://extra.invalid/npm" {
		t.Errorf("without environment: %s", got)
	}
	if got := registry.LoadConfig(registry.Sources{Global: "/nowhere/npmrc"}).Registry("x"); got != "https://registry.npmjs.org" {
		t.Errorf("default: %s", got)
	}
}

func TestNpmrcSyntax(t *testing.T) {
	c := registry.LoadConfig(registry.Sources{Env: []string{"TOKEN=secret", "HOST=h.invalid"}, User: file(t,
		"\ufeff; comment", "# comment", "a = b ; rest", "quoted='x;y'", "//${HOST}/:_authToken=${TOKEN}", "maybe=${NONE?}", "keep=${NONE}", `esc=a\;b\#c`, "alone", "[section]", "below=1")})
	for key, want := range map[string]string{"a": "b", "quoted": "x;y", "//h.invalid/:_authToken": "secret", "maybe": "", "keep": "${NONE}", "esc": "a;b#c", "alone": "true", "below": ""} {
		if got := c.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
}

func TestUnreadableConfiguration(t *testing.T) {
	for _, name := range []string{t.TempDir(), file(t, "a="+strings.Repeat("x", 2<<20))} {
		if _, err := registry.New(registry.LoadConfig(registry.Sources{User: name}), "x"); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := registry.LoadConfig(registry.Sources{User: file(t, "ca[]=one", "ca[]=two")})
	if got := c.Get("ca"); got != "one\ntwo" {
		t.Errorf("list: %q", got)
	}
}

// host is a server that remembers the credentials it was sent.
type host struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func newHost(t *testing.T, h http.HandlerFunc) *host {
	x := &host{}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		x.mu.Lock()
		x.seen = append(x.seen, q.URL.Path+" "+q.Header.Get("Authorization"))
		x.mu.Unlock()
		h(w, q)
	}))
	t.Cleanup(x.Close)
	return x
}

func (h *host) nerf() string { return "//" + strings.TrimPrefix(h.URL, "http://") }

func TestCredentialsStayAtTheirHost(t *testing.T) {
	other := newHost(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("bytes")) })

	own := newHost(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/away.tgz":
			http.Redirect(w, q, other.URL+"/there.tgz", http.StatusFound)
		case "/here.tgz":
			http.Redirect(w, q, "/own.tgz", http.StatusFound)
		case "/back.tgz":
			http.Redirect(w, q, other.URL+"/again.tgz", http.StatusFound)
		case "/file.tgz":
			http.Redirect(w, q, "file:///etc/passwd", http.StatusFound)
		case "/loop.tgz":
			http.Redirect(w, q, "/loop.tgz", http.StatusFound)
		default:
			w.Write([]byte("bytes"))
		}
	})
	c := client(t, own.nerf()+"/:_authToken=secret", own.nerf()+"/deep/:username=u", own.nerf()+"/deep/:_password=cHc=", own.nerf()+"/raw/:_auth=dTpw")
	c.Tries = 1
	get := func(u string) error {
		_, err := c.Tarball(context.Background(), u, "")
		return err
	}
	for _, u := range []string{own.URL + "/x.tgz", own.URL + "/deep/x.tgz", own.URL + "/raw/x.tgz", own.URL + "/away.tgz", own.URL + "/here.tgz", other.URL + "/direct.tgz", strings.Replace(other.URL, "http://", "http://evil:pw@", 1) + "/user.tgz"} {
		if err := get(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{own.URL + "/file.tgz", own.URL + "/loop.tgz", "file:///etc/passwd", "ftp://x.invalid/a", "http:///x", "::"} {
		if err := get(u); err == nil {
			t.Errorf("%s was fetched", u)
		}
	}
	for _, s := range other.seen {
		if !strings.HasSuffix(s, " ") {
			t.Errorf("credentials at the other host: %s", s)
		}
	}
	for _, want := range []string{"/x.tgz Bearer secret", "/deep/x.tgz Basic dTpwdw==", "/raw/x.tgz Basic dTpw", "/away.tgz Bearer secret", "/own.tgz Bearer secret"} {
		if !slices.Contains(own.seen, want) {
			t.Errorf("%q is missing in %q", want, own.seen)
		}
	}
}

func TestToken(t *testing.T) {
	r := start(t)
	r.Token = "t0ken"
	publish(t, r, registrytest.Package{Name: "@s/a", Version: "1.0.0"})
	spec := npm.Spec{Name: "@s/a", Want: "^1"}
	nerf := "//" + strings.TrimPrefix(r.URL, "http://") + "/"
	if _, err := client(t, "@s:registry="+r.URL).Resolve(context.Background(), spec); err == nil || !strings.Contains(err.Error(), "npm login") {
		t.Errorf("without a token: %v", err)
	}
	c := client(t, "@s:registry="+r.URL, nerf+":_authToken=t0ken", "registry=http://unused.invalid")
	v, err := c.Resolve(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tarball(context.Background(), v.Dist.Tarball, v.Dist.Sum()); err != nil {
		t.Error(err)
	}
}

func TestRetries(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "a", Version: "1.0.0", Files: map[string]string{"x.js": strings.Repeat("x", 100_000)}})
	ctx := context.Background()
	c := client(t, "registry="+r.URL)
	tarball := func() error {
		v, err := c.Resolve(ctx, npm.Spec{Name: "a"})
		if err == nil {
			_, err = c.Tarball(ctx, v.Dist.Tarball, v.Dist.Sum())
		}
		return err
	}
	for name, f := range map[string]registrytest.Fault{
		"429": {Status: 429, RetryAfter: "0", Times: 3}, "503": {Status: 503, Times: 2}, "522 null": {Status: 522, Times: 3}, "hang up": {HangUp: true, Times: 2}, "truncated": {Truncate: true, Times: 3},
		"html": {On: registrytest.Packument, Body: []byte("<html>try later</html>"), Times: 1},
	} {
		r.Inject(f)
		if err := tarball(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r.Heal()
	}
	r.Requests()
	r.Inject(registrytest.Fault{Status: 503})
	err := tarball()
	var answer *registry.StatusError
	if !errors.As(err, &answer) || answer.Code != 503 || len(r.Requests()) != 4 {
		t.Errorf("given up with %v", err)
	}
	r.Heal()
	for _, status := range []int{400, 401, 403, 404, 410, 451} {
		r.Inject(registrytest.Fault{Status: status})
		if err := tarball(); err == nil || len(r.Requests()) != 1 {
			t.Errorf("%d is not to be tried again: %v", status, err)
		}
		r.Heal()
	}
	r.Inject(registrytest.Fault{Status: 429, RetryAfter: "3600"})
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := c.Packument(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a long Retry-After holds the caller: %v", err)
	}
}

func TestIntegrity(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "a", Version: "1.0.0"})
	publish(t, r, registrytest.Package{Name: "old", Version: "1.0.0", Dist: map[string]any{"integrity": nil}})
	publish(t, r, registrytest.Package{Name: "none", Version: "1.0.0", Dist: map[string]any{"integrity": nil, "shasum": nil}})
	publish(t, r, registrytest.Package{Name: "nowhere", Version: "1.0.0", Dist: map[string]any{"tarball": nil}})
	c := client(t, "registry="+r.URL)
	ctx := context.Background()
	for name, weak := range map[string]bool{"a": false, "old": true, "none": true} {
		v, err := c.Resolve(ctx, npm.Spec{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if v.Dist.Sum().Weak() != weak {
			t.Errorf("%s: weak %v", name, !weak)
		}
		if _, err := c.Tarball(ctx, v.Dist.Tarball, v.Dist.Sum()); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.Resolve(ctx, npm.Spec{Name: "nowhere"}); err == nil || !strings.Contains(err.Error(), "no tarball") {
		t.Errorf("without a tarball: %v", err)
	}
	r.Inject(registrytest.Fault{On: registrytest.Tarball, Corrupt: true})
	for _, name := range []string{"a", "old"} {
		v, _ := c.Resolve(ctx, npm.Spec{Name: name})
		r.Requests()
		_, err := c.Tarball(ctx, v.Dist.Tarball, v.Dist.Sum())
		var m *npm.MismatchError
		if !errors.As(err, &m) || !strings.Contains(err.Error(), v.Dist.Tarball) || len(r.Requests()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSizeLimits(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "a", Version: "1.0.0"})
	c := client(t, "registry="+r.URL)
	c.MaxPackument, c.MaxTarball = 1<<20, 1<<20
	v, err := c.Resolve(context.Background(), npm.Spec{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	r.Inject(registrytest.Fault{Endless: true})
	if _, err := c.Tarball(context.Background(), v.Dist.Tarball, ""); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("endless tarball: %v", err)
	}
	if _, err := c.Packument(context.Background(), "a"); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("endless packument: %v", err)
	}
	r.Heal()
	data, err := c.Tarball(context.Background(), v.Dist.Tarball, "")
	if err != nil {
		t.Fatal(err)
	}
	c.MaxTarball = int64(len(data))
	if _, err := c.Tarball(context.Background(), v.Dist.Tarball, ""); err != nil {
		t.Errorf("a tarball of exactly the limit: %v", err)
	}
	c.MaxTarball--
	if _, err := c.Tarball(context.Background(), v.Dist.Tarball, ""); err == nil {
		t.Error("a tarball beyond the limit was cut silently")
	}
}

func TestHostilePackuments(t *testing.T) {
	r := start(t)
	c := client(t, "registry="+r.URL)
	c.Tries = 1
	for what, doc := range registrytest.PoisonDocuments() {
		r.Poison("poison", []byte(doc))
		v, err := c.Resolve(context.Background(), npm.Spec{Name: "poison", Want: "1.0.0"})
		if err == nil {
			_, err = c.Tarball(context.Background(), v.Dist.Tarball, v.Dist.Sum())
		}
		if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "poison") && !strings.Contains(err.Error(), "address") && !strings.Contains(err.Error(), "refused") {
			t.Errorf("%s: %v", what, err)
		}
		if d, err := c.Document(context.Background(), "poison", "", false); err != nil || string(d.Raw) != doc {
			t.Errorf("%s: the document is kept as it came: %v", what, err)
		}
	}
	r.Requests()
	for _, name := range []string{"../x", "a/b", "", "a?write=true", "a#b", "-/ping/../x"} {
		if _, err := c.Packument(context.Background(), name); err == nil || len(r.Requests()) > 0 {
			t.Errorf("%q was asked for: %v", name, err)
		}
	}
}

func TestNotFound(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "gone", Version: "1.0.0"})
	r.UnpublishAll("gone")
	c := client(t, "registry="+r.URL)
	for _, name := range []string{"gone", "never"} {
		_, err := c.Resolve(context.Background(), npm.Spec{Name: name})
		var nf *registry.NotFoundError
		if !errors.As(err, &nf) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := c.Document(context.Background(), "gone", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := npm.ParsePackument(d.Raw); err != nil || !p.Unpublished || p.Time["1.0.0"] == "" {
		t.Errorf("%+v %v", p, err)
	}
	if again, err := c.Document(context.Background(), "gone", d.ETag, true); err != nil || !again.NotModified || len(again.Raw) != 0 {
		t.Errorf("%+v %v", again, err)
	}
	r.SetShape(registrytest.Shape{Mirror: true})
	if m, err := c.Document(context.Background(), "gone", d.ETag, false); err != nil || m.ETag != "" || m.NotModified {
		t.Errorf("mirror: %+v %v", m, err)
	}
}

func TestReplaceRegistryHost(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "@s/a", Version: "1.0.0"})
	const locked = "https://registry.npmjs.org/@s/a/-/a-1.0.0.tgz"
	if _, err := client(t, "@s:registry="+r.URL).Tarball(context.Background(), locked, ""); err != nil {
		t.Error(err)
	}
	c := client(t, "registry="+r.URL, "replace-registry-host=never", "https-proxy=http://127.0.0.1:1")
	c.Tries = 1
	r.Requests()
	if _, err := c.Tarball(context.Background(), locked, ""); err == nil || len(r.Requests()) != 0 {
		t.Errorf("never: %v", err)
	}
}

func TestCAFile(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) }))
	defer s.Close()
	s.Config.ErrorLog = nil
	get := func(lines ...string) error {
		c := client(t, lines...)
		c.Tries = 1
		_, err := c.Tarball(context.Background(), s.URL+"/x.tgz", "")
		return err
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if err := get(); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
	if err := get("cafile=" + file(t, ca)); err != nil {
		t.Errorf("cafile: %v", err)
	}
	if err := get(`ca="` + strings.ReplaceAll(ca, "\n", `\n`) + `"`); err != nil {
		t.Errorf("ca: %v", err)
	}
	if err := get("strict-ssl=false"); err != nil {
		t.Errorf("strict-ssl=false: %v", err)
	}
	for _, bad := range []string{"cafile=/nowhere", "cafile=" + file(t, "no pem"), "ca=no pem"} {
		if _, err := registry.New(registry.LoadConfig(registry.Sources{User: file(t, bad)}), "x"); err == nil || !strings.Contains(err.Error(), "ca") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestProxy(t *testing.T) {
	var seen []string
	proxy := newHost(t, func(w http.ResponseWriter, q *http.Request) {
		seen = append(seen, q.URL.Host)
		w.Write([]byte("x"))
	})
	direct := newHost(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("x")) })
	c := client(t, "proxy="+proxy.URL, "noproxy=127.0.0.1, .inside.invalid")
	for _, u := range []string{"http://r.invalid/x.tgz", direct.URL + "/x.tgz"} {
		if _, err := c.Tarball(context.Background(), u, ""); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(seen, []string{"r.invalid"}) {
		t.Errorf("through the proxy: %v", seen)
	}
}

func TestPermit(t *testing.T) {
	r := start(t)
	publish(t, r, registrytest.Package{Name: "a", Version: "1.0.0"})
	c := client(t, "registry="+r.URL)
	n := 0
	spent := errors.New("budget is spent")
	c.Permit = func(context.Context, *url.URL) error {
		if n++; n > 3 {
			return spent
		}
		return nil
	}
	r.Inject(registrytest.Fault{Status: 503})
	if _, err := c.Packument(context.Background(), "a"); !errors.Is(err, spent) || len(r.Requests()) != 3 {
		t.Errorf("%d requests, %v", n, err)
	}
}

func TestChanges(t *testing.T) {
	r := start(t)
	ctx := context.Background()
	c := client(t, "registry="+r.URL)
	for _, n := range []string{"a", "bb", "ccc", "a2", "b2"} {
		publish(t, r, registrytest.Package{Name: n, Version: "1.0.0"})
		r.Gap(7)
	}
	for _, row := range registrytest.OddEntries() {
		r.OddEntry(row)
	}
	r.Delete("bb")
	follow := func(since npm.Cursor) (names []string, last npm.Cursor) {
		t.Helper()
		for range 100 {
			p, err := c.Changes(ctx, since, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, ch := range p.Changes {
				if !slices.Contains(names, ch.Name) {
					names = append(names, ch.Name)
				}
				if ch.Deleted != (ch.Name == "bb") || ch.Rev != r.Rev(ch.Name) {
					t.Errorf("%+v", ch)
				}
			}
			since = p.Last
			if p.Rows < 2 {
				return names, since
			}
		}
		t.Fatal("the feed has no end")
		return nil, ""
	}
	for name, shape := range map[string]registrytest.Shape{"plain": {}, "shuffled": {Shuffled: true}, "text cursors": {StringSeq: true}, "small pages": {MaxPage: 2}} {
		r.SetShape(shape)
		names, last := follow("")
		slices.Sort(names)
		if !slices.Equal(names, []string{"a", "a2", "b2", "bb", "ccc"}) {
			t.Errorf("%s: %v", name, names)
		}
		if now, err := c.FeedStatus(ctx); err != nil || now != last {
			t.Errorf("%s: status %q, %v; last %q", name, now, err, last)
		}
	}
	r.SetShape(registrytest.Shape{Duplicates: true})
	p, err := c.Changes(ctx, "", 100)
	if err != nil || len(p.Changes) != 5 || p.Rows <= 5+len(registrytest.OddEntries()) || len(p.Problems) < len(registrytest.OddEntries()) {
		t.Errorf("duplicates: %+v %v", p, err)
	}
	r.SetShape(registrytest.Shape{})
	r.Inject(registrytest.Fault{On: registrytest.Feed, Status: 429, RetryAfter: "0", Times: 1})
	r.Inject(registrytest.Fault{On: registrytest.Feed, Truncate: true, Times: 1})
	r.Inject(registrytest.Fault{On: registrytest.Feed, Body: []byte(`null`), Times: 1})
	if _, err := c.Changes(ctx, "", 10); err != nil {
		t.Errorf("brownout: %v", err)
	}
	before, _ := c.FeedStatus(ctx)
	r.Reset(0)
	after, _ := c.FeedStatus(ctx)
	x, _ := before.Number()
	if y, ok := after.Number(); !ok || y >= x {
		t.Errorf("reset: %s -> %s", before, after)
	}
	r.SetShape(registrytest.Shape{NoFeed: true})
	var nf *registry.NotFoundError
	if _, err := c.Changes(ctx, "", 10); !errors.As(err, &nf) {
		t.Errorf("a mirror without a feed: %v", err)
	}
}

func TestFeedOfThePublicRegistry(t *testing.T) {
	var asked string
	c := client(t)
	c.Permit = func(_ context.Context, u *url.URL) error {
		asked = u.String()
		return errors.New("no")
	}
	c.Changes(context.Background(), "", 10)
	if want := "https://replicate.npmjs.com/registry/_changes?limit=10&since=0"; asked != want {
		t.Errorf("asked %s", asked)
	}
	c.Feed = "http://f.invalid/x/"
	c.FeedStatus(context.Background())
	if asked != "http://f.invalid/x/" {
		t.Errorf("asked %s", asked)
	}
}

func TestSlowTarballIsWhole(t *testing.T) {
	r := start(t)
	want := registrytest.Pack(map[string]string{"package.json": `{"name":"a","version":"1.0.0"}`})
	publish(t, r, registrytest.Package{Name: "a", Version: "1.0.0", Tarball: want})
	r.Inject(registrytest.Fault{On: registrytest.Tarball, Slow: 5 * time.Millisecond})
	got, err := client(t).Tarball(context.Background(), r.URL+"/a/-/a-1.0.0.tgz", "")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
