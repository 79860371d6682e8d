package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/registry/registrytest"
)

func TestControls(t *testing.T) {
	r, err := registrytest.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Publish(registrytest.Package{Name: "a", Version: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(controls(r))
	defer s.Close()
	post := func(path, body string) int {
		t.Helper()
		res, err := http.Post(s.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		io.Copy(io.Discard, res.Body)
		return res.StatusCode
	}
	status := func(path string) int {
		t.Helper()
		res, err := http.Get(r.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	for _, path := range []string{"/fault", "/shape", "/reset?start=x", "/gap"} {
		if got := post(path, "no JSON"); got != http.StatusBadRequest {
			t.Errorf("%s of nonsense: %d", path, got)
		}
	}
	post("/fault", `{"On":"packument","Status":503}`)
	if got := status("/a"); got != 503 {
		t.Errorf("fault: %d", got)
	}
	post("/heal", "")
	if got := status("/a"); got != 200 {
		t.Errorf("healed: %d", got)
	}
	post("/shape", `{"NoFeed":true}`)
	if got := status("/registry/_changes"); got != 404 {
		t.Errorf("shape: %d", got)
	}
	post("/gap?n=5000", "")
	if r.Seq() < 5000 {
		t.Errorf("gap: %d", r.Seq())
	}
	post("/reset?start=7", "")
	if r.Seq() >= 5000 {
		t.Errorf("reset: %d", r.Seq())
	}
	post("/takedown?name=a", "")
	if got := r.Versions("a"); len(got) != 1 || got[0] != "0.0.1-security" {
		t.Errorf("takedown: %v", got)
	}
	post("/poison?name=a", `null`)
	post("/delete?name=a", "")
	if got := status("/a"); got != 404 {
		t.Errorf("deleted: %d", got)
	}
}
