package npm

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParsePackument(t *testing.T) {
	p, err := ParsePackument([]byte(`{"name":"a","_rev":"3-ab","dist-tags":{"latest":"1.0.0","bad":1},"time":{"1.0.0":"2026-01-01T00:00:00Z","0.9.0":"2025-01-01T00:00:00Z","odd":{}},
		"versions":{"1.0.0":{"name":"a","version":"1.0.0","hasInstallScript":"yes","deprecated":false,"_npmUser":{"name":"alice"},"dist":{"tarball":"http://r.invalid/a.tgz","integrity":7,"shasum":"zz"}},
		"1.0.1":[],"1.0.2":{"version":"6.6.6","_npmUser":"bob <b@x.invalid>","dist":"no"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"dist-tags.bad is not a text", "versions.1.0.0.dist.integrity is not a text", "versions.1.0.1 is not an object", "versions.1.0.2 has the version \"6.6.6\"", "versions.1.0.2.dist is not an object"}
	if d := cmp.Diff(want, p.Problems); d != "" {
		t.Error(d)
	}
	v := p.Versions["1.0.0"]
	if v.Publisher != "alice" || v.IsDeprecated() || v.Dist.Sum() != "" || p.Rev != "3-ab" || p.Time["0.9.0"] == "" || p.Versions["1.0.2"].Version != "1.0.2" {
		t.Errorf("%+v", p)
	}
}

func TestOddPackuments(t *testing.T) {
	for doc, ok := range map[string]bool{
		`{}`: true, `null`: false, `[]`: false, `"x"`: false, ``: false, `{"versions":null}`: true, `{"versions":[]}`: true, `{"versions":{"x":null}}`: true, `{"name":["a"]}`: true, `{"time":3}`: true,
		`{"dist-tags":"latest"}`: true, `{"error":"not_found"}`: true, `<html>`: false, `{"versions":{"1.0.0":{"dist":{"tarball":{}}}}}`: true, `{"name":"a"`: false,
		`{"versions":{"1.0.0":{"dependencies":["a"]}}}`: true, `{"time":{"unpublished":{"name":"alice"}}}`: true,
	} {
		p, err := ParsePackument([]byte(doc))
		if (err == nil) != ok {
			t.Errorf("%s: %v", doc, err)
		}
		if err == nil {
			p.Pick("^1")
			p.SecurityHolder()
		}
	}
	p, _ := ParsePackument([]byte(`{"name":"a","time":{"unpublished":{"name":"alice"},"1.0.0":"x"}}`))
	if !p.Unpublished {
		t.Error("not unpublished")
	}
	p, _ = ParsePackument([]byte(`{"name":"a","versions":{"0.0.1-security":{"version":"0.0.1-security","_npmUser":{"name":"npm"}}}}`))
	if !p.SecurityHolder() {
		t.Error("no security holder")
	}
}

func TestParseSpec(t *testing.T) {
	for in, want := range map[string]Spec{
		"a": {"a", ""}, "a@1.0.0": {"a", "1.0.0"}, "@s/a": {"@s/a", ""}, "@s/a@^1": {"@s/a", "^1"}, "npm:a@2": {"a", "2"}, "x@npm:@s/a@3": {"@s/a", "3"}, "a@latest": {"a", "latest"},
		"a@>=1 <2": {"a", ">=1 <2"}, "JSONStream": {"JSONStream", ""}, "a@git+ssh://git@h.invalid/x": {"a", "git+ssh://git@h.invalid/x"}, "a@": {"a", ""},
	} {
		if got, err := ParseSpec(in); err != nil || got != want {
			t.Errorf("%s: %v %v", in, got, err)
		}
	}
	for _, in := range []string{"", "@", "@s", "@s/", "../x", "a/b", "a b", "_x", ".x", "node_modules", "a\x00b", "@s/a/b", "https://x.invalid", strings.Repeat("a", 215), "é", "@/x"} {
		if got, err := ParseSpec(in); err == nil {
			t.Errorf("%q was read as %v", in, got)
		}
	}
}

func TestParseLockfile(t *testing.T) {
	for _, name := range []string{"v2.json", "v3.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", "lockfile", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseLockfile(data)
		if err != nil {
			t.Fatal(err)
		}
		want := []Locked{
			{Version{"@s/b", "2.0.0"}, "https://registry.npmjs.org/@s/b/-/b-2.0.0.tgz", "sha512-bb", "node_modules/@s/b"},
			{Version{"a", "1.0.0"}, "https://registry.npmjs.org/a/-/a-1.0.0.tgz", "sha512-aa", "node_modules/a"},
			{Version{"a", "1.1.0"}, "https://registry.npmjs.org/a/-/a-1.1.0.tgz", "sha512-a1", "node_modules/@s/b/node_modules/a"},
			{Version{"real", "1.0.0"}, "https://registry.npmjs.org/real/-/real-1.0.0.tgz", "sha512-cc", "node_modules/alias"},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for _, bad := range []string{``, `[]`, `{"lockfileVersion":1,"dependencies":{}}`, `{"lockfileVersion":3}`, `{"lockfileVersion":"3","packages":{}}`} {
		if _, err := ParseLockfile([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	for _, bad := range []string{`"node_modules/a":{"version":1}`, `"node_modules/../d":{"version":"1.0.0"}`, `"node_modules/a":{"name":"/etc","version":"1.0.0"}`, `"node_modules/a":[]`} {
		if got, err := ParseLockfile([]byte(`{"lockfileVersion":3,"packages":{` + bad + `}}`)); err == nil {
			t.Errorf("%s was read as %v", bad, got)
		}
	}
}

func TestParseManifestOddTypes(t *testing.T) {
	m := ParseManifest([]byte("\xef\xbb\xbf" + `{"name":["x"],"version":1,"scripts":{"install":"a","postinstall":["b"],"install":"c"},"main":{},"bin":"cli.js","dependencies":["a"],"browser":{"./a":false},
		"exports":[null,{"import":"./i","default":{"node":"./n"}}],"bundleDependencies":true,"os":"linux","files":[1,"x"],"repository":{"url":1},"license":{"type":"MIT"},"gypfile":"no","version":"2.0.0"}`))
	want := []string{`dependencies is not an object`, `duplicate key "install"`, `duplicate key "version"`, `main is not a string`, `name is not a string`, `scripts.postinstall is not a string`}
	if d := cmp.Diff(want, m.Problems); d != "" {
		t.Error(d)
	}
	if m.Script("install") != "c" || m.Version != "2.0.0" || !m.BundleAll || len(m.Exports.List) != 2 || m.OS[0] != "linux" || Get(m.Bin, "") == "cli.js" && m.Name != "" {
		t.Errorf("%+v", m)
	}
	if m := ParseManifest([]byte(`{"bin":"cli.js","name":"@s/tool"}`)); len(m.Bin) != 1 || m.Bin[0] != (Pair{"tool", "cli.js"}) {
		t.Errorf("bin before name: %v", m.Bin)
	}
	for _, bad := range []string{"", "[]", "null", "{", "{\"a\":1} x", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 100_000), "\xff\xfe{\x00}\x00"} {
		if m := ParseManifest([]byte(bad)); len(m.Problems) == 0 {
			t.Errorf("%.20q has no problem", bad)
		}
	}
}

func TestIntegrity(t *testing.T) {
	read := func(i Integrity, data string) error {
		var b bytes.Buffer
		_, err := b.ReadFrom(i.Reader(strings.NewReader(data)))
		return err
	}
	const sha1x = "11f6ad8ec52a2984abaafd7c3b516503785c2072" // of x
	if err := read(SHA1(sha1x), "x"); err != nil {
		t.Error(err)
	}
	if err := read(SHA1(sha1x), "y"); err == nil || !strings.Contains(err.Error(), "integrity mismatch") {
		t.Errorf("mismatch: %v", err)
	}
	if err := read("sha512-AAAA sha1-EfatjsUqKYSrqv18O1FlA3hcIHI=", "x"); err == nil {
		t.Error("the weaker digest vouched")
	}
	if err := read("sha1-AAAA sha1-EfatjsUqKYSrqv18O1FlA3hcIHI=?opt", "x"); err != nil {
		t.Errorf("one of two digests: %v", err)
	}
	for i, weak := range map[Integrity]bool{"": true, "sha1-x": true, "md5-x": true, "sha512-x": false, "sha384-x sha1-y": false} {
		if i.Weak() != weak {
			t.Errorf("%q weak: %v", i, i.Weak())
		}
	}
}

func TestParseChanges(t *testing.T) {
	p, err := ParseChanges([]byte(`{"results":[
		{"seq":12,"id":"b","changes":[{"rev":"2-x"}]}, {"seq":10,"id":"a","changes":[{"rev":"1-x"}],"deleted":true}, {"seq":13,"id":"a","changes":[{"rev":"3-x"},{"rev":"2-y"}]},
		null, 7, [], {"seq":14}, {"seq":15,"id":7}, {"seq":16,"id":"_design/app"}, {"seq":17,"id":"../etc"}, {"seq":"18-opaque","id":"c"}, {"id":"d","changes":"none","deleted":"yes"}, {"seq":-1,"id":"e","changes":[1,null,{}]}
		],"last_seq":18}`), "9")
	if err != nil {
		t.Fatal(err)
	}
	want := []Change{{"12", "b", "2-x", false}, {"13", "a", "3-x", false}, {"18-opaque", "c", "", false}, {"", "d", "", false}, {"", "e", "", false}}
	if d := cmp.Diff(want, p.Changes); d != "" {
		t.Error(d)
	}
	if p.Last != "18" || p.Rows != 13 || len(p.Problems) != 7 {
		t.Errorf("%+v", p)
	}
	for _, bad := range []string{``, `null`, `[]`, `{}`, `{"results":null}`, `{"results":{}}`, `{"results":[{"seq":1`, `{"error":"x"}`} {
		if _, err := ParseChanges([]byte(bad), "1"); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	for doc, last := range map[string]Cursor{
		`{"results":[],"last_seq":5}`: "5", `{"results":[],"last_seq":"5-abc"}`: "5-abc", `{"results":[]}`: "9", `{"results":[{"seq":20,"id":"a"}]}`: "20", `{"results":[],"last_seq":{}}`: "9",
		`{"results":[],"last_seq":1.5}`: "9", `{"results":[],"last_seq":1e3}`: "1000", `{"results":[],"last_seq":9007199254740993}`: "9007199254740993", `{"results":[{"seq":3,"id":"a"}]}`: "9",
	} {
		if p, err := ParseChanges([]byte(doc), "9"); err != nil || p.Last != last {
			t.Errorf("%s: %v %v", doc, p, err)
		}
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"name":"a","scripts":{"install":"x"},"exports":{".":["./a",null]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := ParseManifest(data)
		m.Hosts()
		m.LocalDependencies()
	})
}

func FuzzParsePackument(f *testing.F) {
	f.Add([]byte(`{"name":"a","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"version":"1.0.0","dist":{"shasum":"00"}}}}`), "^1")
	f.Fuzz(func(t *testing.T, data []byte, want string) {
		if p, err := ParsePackument(data); err == nil {
			if v, err := p.Pick(want); err == nil {
				v.Dist.Sum().Weak()
			}
		}
	})
}

func FuzzParseChanges(f *testing.F) {
	f.Add([]byte(`{"results":[{"seq":12,"id":"b","changes":[{"rev":"2-x"}]}],"last_seq":12}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseChanges(data, "5")
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, c := range p.Changes {
			if !ValidName(c.Name) || seen[c.Name] {
				t.Errorf("change %+v", c)
			}
			seen[c.Name] = true
		}
		if p.Last == "" {
			t.Error("no cursor")
		}
	})
}

func FuzzParseLockfile(f *testing.F) {
	f.Add([]byte(`{"lockfileVersion":3,"packages":{"node_modules/a":{"version":"1.0.0","integrity":"sha512-x"}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ls, _ := ParseLockfile(data)
		for _, l := range ls {
			if !ValidName(l.Name) {
				t.Errorf("name %q", l.Name)
			}
		}
	})
}
