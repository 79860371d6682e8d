package decoy

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	h := New("run 1", "/home/dev")
	other := New("run 2", "/home/dev")
	for _, token := range h.Tokens {
		v := token.Value
		back := []byte(v)
		slices.Reverse(back)
		var zip bytes.Buffer
		w := gzip.NewWriter(&zip)
		w.Write([]byte("x=" + v))
		w.Close()
		for name, data := range map[string]string{
			"plain":       "a=" + v + "&b",
			"reversed":    string(back),
			"base64":      base64.StdEncoding.EncodeToString([]byte(v)),
			"base64 + 1":  base64.StdEncoding.EncodeToString([]byte("{" + v + "}")),
			"base64 + 2":  base64.StdEncoding.EncodeToString([]byte("{\"" + v + "\"}")),
			"hex":         hex.EncodeToString([]byte("k" + v)),
			"HEX":         strings.ToUpper(hex.EncodeToString([]byte(v))),
			"URL-encoded": url.QueryEscape("k=" + v),
			"percent":     "100% %" + strings.Join(slices.Collect(pairs(hex.EncodeToString([]byte(v)))), "%"),
			"gzip":        "head" + zip.String(),
			"headers":     "X-A: " + v[:9] + "\r\nX-B: " + v[9:18] + "\r\nX-C: " + v[18:] + "\r\n",
			"labels":      v[:12] + "." + v[12:] + ".collect.example",
		} {
			if got := h.Find([]byte(data)); len(got) != 1 || got[0] != token {
				t.Errorf("%s of %s: %v", name, token.Name, got)
			}
			if got := other.Find([]byte(data)); got != nil {
				t.Errorf("%s of %s was found as another run's %v", name, token.Name, got)
			}
		}
	}
}

func pairs(s string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for ; s != ""; s = s[2:] {
			if !yield(s[:2]) {
				return
			}
		}
	}
}

// Every token is planted once, and the same seed plants the same.
func TestNew(t *testing.T) {
	h, again := New("s", "/home/dev"), New("s", "/home/dev")
	all := strings.Join(h.Env, "\n")
	for _, f := range h.Files {
		all += string(f.Data)
	}
	for k, token := range h.Tokens {
		if strings.Count(all, token.Value) != 1 || again.Tokens[k] != token {
			t.Errorf("%v", token)
		}
	}
}

func FuzzFind(f *testing.F) {
	h := New("fuzz", "/home/dev")
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("%zz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := h.Tokens[0].Value
		if !slices.Contains(h.Find(append(slices.Clip(b), v...)), h.Tokens[0]) {
			t.Errorf("not found behind %q", b)
		}
	})
}
