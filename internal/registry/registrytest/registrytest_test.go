package registrytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func start(t *testing.T) *Registry {
	t.Helper()
	r, err := Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func get(t *testing.T, url, accept string) (*http.Response, []byte) {
	t.Helper()
	q, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Accept", accept)
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

func doc(t *testing.T, r *Registry, path string) map[string]any {
	t.Helper()
	res, b := get(t, r.URL+path, "application/json")
	var d map[string]any
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatalf("%s: %s: %v in %s", path, res.Status, err, b)
	}
	return d
}

// TestNPM lets the real client do what an owner does.
func TestNPM(t *testing.T) {
	if _, err := exec.LookPath("npm"); err != nil {
		t.Skip("SKIPPED: npm is not installed")
	}
	r := start(t)
	home := t.TempDir()
	rc := filepath.Join(home, "npmrc")
	write(t, rc, "registry="+r.URL+"/\n//"+strings.TrimPrefix(r.URL, "http://")+"/:_authToken=x\naudit=false\nfund=false\nupdate-notifier=false\nfetch-retries=0\n")
	npm := func(dir string, fails bool, args ...string) string {
		t.Helper()
		c := exec.Command("npm", append(args, "--userconfig", rc, "--globalconfig", filepath.Join(home, "none"), "--cache", filepath.Join(home, "cache"), "--ignore-scripts")...)
		c.Dir = dir
		c.Env = append(os.Environ(), "HOME="+home)
		out, err := c.CombinedOutput()
		if (err != nil) != fails {
			t.Fatalf("npm %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	src := filepath.Join(home, "src")
	for _, v := range []string{"1.0.0", "1.1.0"} {
		write(t, filepath.Join(src, "package.json"), `{"name":"@acme/thing","version":"`+v+`","main":"index.js","scripts":{"postinstall":"true"}}`)
		write(t, filepath.Join(src, "index.js"), "module.exports = '"+v+"'\n")
		npm(src, false, "publish", "--access", "public")
	}
	if out := npm(src, true, "publish", "--access", "public"); !strings.Contains(out, "previously published") {
		t.Errorf("publishing again: %s", out)
	}
	if got := r.Versions("@acme/thing"); !slices.Equal(got, []string{"1.0.0", "1.1.0"}) {
		t.Fatalf("versions %v", got)
	}
	npm(src, false, "deprecate", "@acme/thing@1.0.0", "old")
	if out := npm(src, false, "view", "@acme/thing@1.0.0", "deprecated"); !strings.Contains(out, "old") {
		t.Errorf("not deprecated: %s", out)
	}
	npm(src, false, "dist-tag", "add", "@acme/thing@1.0.0", "legacy")
	if out := npm(src, false, "dist-tag", "ls", "@acme/thing"); !strings.Contains(out, "legacy: 1.0.0") {
		t.Errorf("tags: %s", out)
	}
	npm(src, false, "dist-tag", "rm", "@acme/thing", "legacy")
	app := fresh(t, home, "app")
	npm(app, false, "install", "@acme/thing@^1.0.0")
	if b, err := os.ReadFile(filepath.Join(app, "node_modules/@acme/thing/index.js")); err != nil || !strings.Contains(string(b), "1.1.0") {
		t.Errorf("installed %q, %v", b, err)
	}
	if err := os.RemoveAll(filepath.Join(home, "cache")); err != nil { // it holds the tarball
		t.Fatal(err)
	}
	r.Inject(Fault{On: Tarball, Corrupt: true})
	if out := npm(fresh(t, home, "corrupt"), true, "install", "@acme/thing"); !strings.Contains(out, "EINTEGRITY") {
		t.Errorf("altered tarball: %s", out)
	}
	r.Heal()
	r.Inject(Fault{On: Packument, Status: http.StatusTooManyRequests, RetryAfter: "0", Times: 1})
	npm(fresh(t, home, "busy"), true, "view", "@acme/thing", "--prefer-online")
	r.Heal()
	npm(src, false, "unpublish", "@acme/thing@1.1.0", "--force")
	d := doc(t, r, "/@acme%2fthing")
	if got := r.Versions("@acme/thing"); !slices.Equal(got, []string{"1.0.0"}) || d["time"].(map[string]any)["1.1.0"] == nil || d["dist-tags"].(map[string]any)["latest"] != "1.0.0" {
		t.Errorf("after unpublish of a version: %v %v", got, d)
	}
	if res, _ := get(t, r.URL+"/@acme/thing/-/thing-1.1.0.tgz", "*/*"); res.StatusCode != http.StatusNotFound {
		t.Errorf("tarball of an unpublished version: %s", res.Status)
	}
	npm(src, false, "unpublish", "@acme/thing", "--force")
	d = doc(t, r, "/@acme%2fthing")
	if gone, _ := d["time"].(map[string]any)["unpublished"].(map[string]any); gone == nil || d["versions"] != nil {
		t.Errorf("after unpublish of all: %v", d)
	}
	npm(fresh(t, home, "late"), true, "install", "@acme/thing", "--prefer-online") // the document may be cached for five minutes
	f := doc(t, r, "/registry/_changes?since=0&limit=10")
	if rows := f["results"].([]any); len(rows) != 1 || rows[0].(map[string]any)["id"] != "@acme/thing" {
		t.Errorf("feed: %v", f)
	}
	r.Takedown("@acme/thing")
	npm(fresh(t, home, "held"), false, "install", "@acme/thing", "--prefer-online")
	if b, err := os.ReadFile(filepath.Join(home, "held/node_modules/@acme/thing/package.json")); err != nil || !strings.Contains(string(b), "0.0.1-security") {
		t.Errorf("security holder: %s, %v", b, err)
	}
}

// fresh makes a project without dependencies.
func fresh(t *testing.T, home, name string) string {
	t.Helper()
	dir := filepath.Join(home, name)
	write(t, filepath.Join(dir, "package.json"), `{"name":"`+name+`","version":"1.0.0"}`)
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, r *Registry, name, version string) {
	t.Helper()
	if err := r.Publish(Package{Name: name, Version: version, Files: map[string]string{"index.js": "module.exports = 1\n"}}); err != nil {
		t.Fatal(err)
	}
}

func rows(t *testing.T, r *Registry, query string) (ids []string, last any) {
	t.Helper()
	f := doc(t, r, "/registry/_changes?"+query)
	for _, x := range f["results"].([]any) {
		id, _ := x.(map[string]any)["id"].(string)
		ids = append(ids, id)
	}
	return ids, f["last_seq"]
}

func TestFeed(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	publish(t, r, "bb", "1.0.0")
	publish(t, r, "a", "1.0.1")
	ids, last := rows(t, r, "since=0")
	if !slices.Equal(ids, []string{"bb", "a"}) || last != float64(r.Seq()) {
		t.Errorf("a package appears once, at its newest number: %v %v", ids, last)
	}
	if ids, last = rows(t, r, "since=0&limit=1"); !slices.Equal(ids, []string{"bb"}) || last == float64(r.Seq()) {
		t.Errorf("page: %v %v", ids, last)
	}
	if ids, _ = rows(t, r, "since=now"); len(ids) != 0 {
		t.Errorf("since=now: %v", ids)
	}
	if res, _ := get(t, r.URL+"/registry/_changes?include_docs=true", "*/*"); res.StatusCode != http.StatusBadRequest {
		t.Errorf("old parameters: %s", res.Status)
	}
	r.SetShape(Shape{Duplicates: true, Shuffled: true})
	if ids, _ = rows(t, r, "since=3"); len(ids) < 3 {
		t.Errorf("no duplicates: %v", ids)
	}
	r.SetShape(Shape{})
	before := r.Seq()
	r.Reset(0)
	if ids, _ = rows(t, r, "since=0"); r.Seq() >= before || !slices.Equal(ids, []string{"a", "bb"}) {
		t.Errorf("reset: %d -> %d, %v", before, r.Seq(), ids)
	}
	r.Delete("a")
	f := doc(t, r, "/registry/_changes?since=0")
	if last := f["results"].([]any)[1].(map[string]any); last["deleted"] != true || last["id"] != "a" {
		t.Errorf("deleted: %v", f)
	}
}

func TestLag(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	r.SetShape(Shape{LagReads: 2})
	old := r.Rev("a")
	publish(t, r, "a", "1.0.1")
	for i, want := range []string{old, old, r.Rev("a")} {
		if got := doc(t, r, "/a")["_rev"]; got != want {
			t.Errorf("read %d: revision %v, want %s", i, got, want)
		}
	}
}

func TestTakedown(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	for range 2 * kept { // also when old revisions are forgotten
		r.Touch("a")
	}
	r.Takedown("a")
	d := doc(t, r, "/a")
	m, _ := d["versions"].(map[string]any)["0.0.1-security"].(map[string]any)
	if !slices.Equal(r.Versions("a"), []string{"0.0.1-security"}) || m["_npmUser"].(map[string]any)["name"] != "npm" || d["time"].(map[string]any)["1.0.0"] == nil || len(d["maintainers"].([]any)) != 0 {
		t.Errorf("holder: %v", d)
	}
}

func TestMirror(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	r.SetShape(Shape{Mirror: true})
	res, b := get(t, r.URL+"/a", abbreviatedType)
	var d map[string]any
	json.Unmarshal(b, &d)
	dist := d["versions"].(map[string]any)["1.0.0"].(map[string]any)["dist"].(map[string]any)
	if res.Header.Get("ETag") != "" || d["time"] != nil || d["_rev"] != nil || dist["signatures"] != nil || dist["integrity"] == nil {
		t.Errorf("mirror: %v %s", res.Header, b)
	}
}

func TestFaults(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	r.Inject(Fault{On: Packument, Status: http.StatusTooManyRequests, RetryAfter: "0", Times: 1})
	if res, b := get(t, r.URL+"/a", ""); res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "0" || string(b) != "null" {
		t.Errorf("429: %s", res.Status)
	}
	if res, _ := get(t, r.URL+"/a", ""); res.StatusCode != http.StatusOK {
		t.Errorf("a fault outlives its number: %s", res.Status)
	}
	r.Inject(Fault{On: Tarball, Truncate: true})
	res, err := http.Get(r.URL + "/a/-/a-1.0.0.tgz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("truncated body was whole")
	}
	r.Heal()
	_, want := get(t, r.URL+"/a/-/a-1.0.0.tgz", "")
	r.Inject(Fault{On: Tarball, Corrupt: true})
	if _, got := get(t, r.URL+"/a/-/a-1.0.0.tgz", ""); len(got) != len(want) || string(got) == string(want) {
		t.Error("tarball was not altered")
	}
}

func TestStaleCache(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	old := r.Rev("a")
	publish(t, r, "a", "1.0.1")
	r.SetShape(Shape{Stale: true})
	if got := doc(t, r, "/a")["_rev"]; got != old {
		t.Errorf("through the cache: %v", got)
	}
	if got := doc(t, r, "/a?t=1")["_rev"]; got != r.Rev("a") {
		t.Errorf("past the cache: %v", got)
	}
}

func TestNothingHappensToWhatIsNotThere(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	before := r.Seq()
	r.Touch("b")
	r.Tag("b", "latest", "1.0.0")
	r.Unpublish("b", "1.0.0")
	r.Unpublish("a", "9.0.0")
	r.UnpublishAll("b")
	r.Takedown("b")
	r.Delete("b")
	if r.Seq() != before || len(r.Names()) != 1 {
		t.Errorf("%d changes, packages %v", r.Seq()-before, r.Names())
	}
	r.Delete("a")
	publish(t, r, "a", "2.0.0")
	if got := r.Versions("a"); !slices.Equal(got, []string{"2.0.0"}) {
		t.Errorf("after a deletion: %v", got)
	}
}

func TestPublishedVersionsAreUsedUp(t *testing.T) {
	r := start(t)
	publish(t, r, "a", "1.0.0")
	publish(t, r, "a", "1.0.1")
	r.Unpublish("a", "1.0.0")
	if err := r.Publish(Package{Name: "a", Version: "1.0.0"}); err == nil {
		t.Error("a version was published twice")
	}
}

// TestManyAtOnce publishes and reads from several sides.
func TestManyAtOnce(t *testing.T) {
	r := start(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 20 {
				name := fmt.Sprintf("p%d", (i+j)%5)
				r.Publish(Package{Name: name, Version: fmt.Sprintf("%d.%d.0", i, j)})
				if res, err := http.Get(r.URL + "/" + name); err == nil {
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for _, p := range r.Names() {
		n += len(r.Versions(p))
	}
	ids, last := rows(t, r, "since=0")
	if n != 160 || len(ids) != 5 || last != float64(r.Seq()) {
		t.Errorf("%d versions, feed %v", n, ids)
	}
}
