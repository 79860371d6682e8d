// Command standin is the registry stand-in for trying things by hand: an npm registry in memory, with a change feed and with faults
// that are asked for by HTTP. It is a program of its own so that donapi need not carry it.
//
//	go run ./cmd/standin --listen 127.0.0.1:4873
//	npm publish --registry http://127.0.0.1:4873 '--//127.0.0.1:4873/:_authToken=any'
//	donapi scan --registry http://127.0.0.1:4873 NAME
//	curl -d '{"On":"packument","Status":429,"RetryAfter":"0","Times":3}' http://127.0.0.1:4874/fault
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/donapi/donapi/internal/registry/registrytest"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4873", "`ADDRESS` of the registry")
	control := flag.String("control", "127.0.0.1:4874", "`ADDRESS` of the controls; empty for none")
	flag.Usage = usage
	flag.Parse()
	if err := run(*listen, *control); err != nil {
		fmt.Fprintln(os.Stderr, "standin: error:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprint(os.Stderr, `standin is an npm registry in memory, for tests by hand.

`)
	flag.PrintDefaults()
	fmt.Fprint(os.Stderr, `
Controls, each a POST to the control address:
  /fault                what goes wrong, as JSON: On (feed, status, packument, manifest, tarball, write), Name, Times, After, Status,
                        RetryAfter, Redirect, HangUp, Truncate, Corrupt, Endless, Delay, Slow (nanoseconds)
  /heal                 ends all faults
  /shape                JSON: Lag (nanoseconds), LagReads, Duplicates, Shuffled, StringSeq, Mirror, MaxPage, NoFeed
  /reset?start=N        a new database, numbered from N
  /gap?n=N              numbers pass without an entry
  /odd                  a row of the feed, as it is
  /poison?name=NAME     a document, as it is
  /takedown?name=NAME   the registry's security holder instead of the package
  /delete?name=NAME     deleted:true in the feed
`)
}

func run(listen, control string) error {
	r, err := registrytest.Start(listen)
	if err != nil {
		return err
	}
	defer r.Close()
	fmt.Println("registry", r.URL)
	if control == "" {
		select {}
	}
	fmt.Println("controls http://" + control)
	return http.ListenAndServe(control, controls(r))
}

// controls are the methods of a registry over HTTP.
func controls(r *registrytest.Registry) http.Handler {
	m := http.NewServeMux()
	on := func(path string, f func(q *http.Request, body []byte) error) {
		m.HandleFunc("POST "+path, func(w http.ResponseWriter, q *http.Request) {
			body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, 64<<20))
			if err == nil {
				err = f(q, body)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	on("/fault", func(_ *http.Request, body []byte) error {
		var f registrytest.Fault
		err := json.Unmarshal(body, &f)
		if err == nil {
			r.Inject(f)
		}
		return err
	})
	on("/shape", func(_ *http.Request, body []byte) error {
		var s registrytest.Shape
		err := json.Unmarshal(body, &s)
		if err == nil {
			r.SetShape(s)
		}
		return err
	})
	on("/heal", func(*http.Request, []byte) error { r.Heal(); return nil })
	on("/odd", func(_ *http.Request, body []byte) error { r.OddEntry(string(body)); return nil })
	on("/poison", func(q *http.Request, body []byte) error { r.Poison(q.URL.Query().Get("name"), body); return nil })
	on("/takedown", func(q *http.Request, _ []byte) error { r.Takedown(q.URL.Query().Get("name")); return nil })
	on("/delete", func(q *http.Request, _ []byte) error { r.Delete(q.URL.Query().Get("name")); return nil })
	number := func(key string, f func(int64)) func(*http.Request, []byte) error {
		return func(q *http.Request, _ []byte) error {
			n, err := strconv.ParseInt(q.URL.Query().Get(key), 10, 64)
			if err == nil {
				f(n)
			}
			return err
		}
	}
	on("/reset", number("start", r.Reset))
	on("/gap", number("n", r.Gap))
	return m
}
