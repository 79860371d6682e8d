// Package registry reads packages from an npm registry, configured as npm is: registries by scope, credentials by path, a CA of one's
// own, proxies. Tarballs are checked against their integrity while they are read. Failures that may pass are tried again with a
// growing pause; the errors of the rest name what was asked and say what to do.
package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/npm"
)

// Client talks to registries. It is safe for concurrent use.
type Client struct {
	cfg   *Config
	http  *http.Client
	agent string

	// Set these before the first request.
	Tries        int                                         // of one request; 0 means 4
	Pause        time.Duration                               // before the second try; 0 means 500 ms
	MaxPackument int64                                       // bytes, uncompressed; 0 means 256 MB
	MaxTarball   int64                                       // bytes; 0 means 512 MB
	Feed         string                                      // base address of the change feed; "" means the one of the configured registry
	Permit       func(ctx context.Context, u *url.URL) error // asked before every request, tries again included, as a budget
}

// maxPause bounds the pause between tries, whatever Retry-After says.
const maxPause = 30 * time.Second

func orDefault(n, otherwise int64) int64 {
	if n > 0 {
		return n
	}
	return otherwise
}

// New makes a client. agent is sent as User-Agent.
func New(cfg *Config, agent string) (*Client, error) {
	if err := errors.Join(cfg.errs...); err != nil {
		return nil, fmt.Errorf("npm's configuration: %w", err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = cfg.proxy
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Get("strict-ssl") == "false" {
		t.TLSClientConfig.InsecureSkipVerify = true
	}
	authorities, err := cfg.authorities()
	if err != nil {
		return nil, err
	}
	t.TLSClientConfig.RootCAs = authorities
	if _, err := url.Parse(cfg.Registry("")); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &Client{cfg: cfg, agent: agent, http: &http.Client{Transport: t, Timeout: 5 * time.Minute, CheckRedirect: redirect}}, nil
}

// authorities are the system's certificate authorities and those of ca and cafile; nil means the system's only.
func (c *Config) authorities() (*x509.CertPool, error) {
	pems := map[string]string{"ca": strings.ReplaceAll(c.Get("ca"), `\n`, "\n")}
	if f := c.Get("cafile"); f != "" {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("cafile: %w", err)
		}
		pems["cafile"] = string(data)
	}
	var pool *x509.CertPool
	for _, key := range []string{"ca", "cafile"} {
		if pems[key] == "" || pems[key] == "null" {
			continue
		}
		if pool == nil {
			var err error
			if pool, err = x509.SystemCertPool(); err != nil {
				pool = x509.NewCertPool()
			}
		}
		if !pool.AppendCertsFromPEM([]byte(pems[key])) {
			return nil, fmt.Errorf("%s: no certificate in it", key)
		}
	}
	return pool, nil
}

// redirect follows at most ten, to http or https only, and never carries credentials to another host.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("too many redirects")
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirect to %s", req.URL.Scheme)
	}
	if req.URL.Host != via[0].URL.Host || via[0].URL.Scheme == "https" && req.URL.Scheme == "http" {
		req.Header.Del("Authorization")
	}
	return nil
}

func (c *Config) proxy(req *http.Request) (*url.URL, error) {
	key := "https-proxy"
	if req.URL.Scheme == "http" {
		key = "proxy"
	}
	p := c.Get(key)
	if p == "" {
		p = c.Get("proxy")
	}
	if p == "" || p == "null" {
		return http.ProxyFromEnvironment(req)
	}
	for _, n := range strings.FieldsFunc(c.Get("noproxy")+","+c.Get("no-proxy"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if h := req.URL.Hostname(); h == n || strings.HasSuffix(h, "."+strings.TrimPrefix(n, ".")) {
			return nil, nil
		}
	}
	return url.Parse(p)
}

func basic(user, password64 string) string {
	p, err := base64.StdEncoding.DecodeString(password64)
	if err != nil {
		p = []byte(password64)
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+string(p)))
}

// NotFoundError says that the registry has no such thing. Body is what it says about that: for a package whose owner removed all
// versions it may be a document.
type NotFoundError struct {
	What string
	Body []byte
}

func (e *NotFoundError) Error() string { return e.What + " is not in the registry" }

// StatusError is an answer that is neither what was asked for nor its absence.
type StatusError struct {
	What       string
	Status     string        // as 503 Service Unavailable
	Code       int           // as 503
	RetryAfter time.Duration // what the registry asks for; often 0, even when it means it
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("%s: the registry answers %s", e.What, e.Status)
	switch e.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		s += "; log in with npm login, or give --npmrc"
	case http.StatusUnavailableForLegalReasons:
		s += "; it withholds this"
	}
	return s
}

// SizeError says that an answer is larger than what is read.
type SizeError struct {
	What  string
	Limit int64 // bytes
}

func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: more than the limit of %d bytes", e.What, e.Limit)
}

// Document is the whole document of a package as the registry sent it.
type Document struct {
	Raw         []byte
	ETag        string // "" where the registry gives none
	NotModified bool   // it is what the ETag that was asked with stands for; Raw is empty
}

// Document fetches the whole document of a package, unless it still has the given ETag. What comes need not be JSON. fresh asks
// caches on the way to stand aside, for when a document is older than the feed says.
func (c *Client) Document(ctx context.Context, name, etag string, fresh bool) (*Document, error) {
	u, err := c.packumentURL(name)
	if err != nil {
		return nil, err
	}
	h := http.Header{"Accept": {"application/json"}}
	if etag != "" {
		h.Set("If-None-Match", etag)
	}
	if fresh {
		h.Set("Cache-Control", "no-cache")
		u += "?t=" + strconv.FormatInt(time.Now().UnixMilli(), 10)
	}
	var d *Document
	err = c.fetch(ctx, u, h, name, orDefault(c.MaxPackument, 256<<20), "", func(res *http.Response, data []byte) error {
		d = &Document{Raw: data, ETag: res.Header.Get("ETag"), NotModified: res.StatusCode == http.StatusNotModified}
		return nil
	})
	return d, err
}

func (c *Client) packumentURL(name string) (string, error) {
	if !npm.ValidName(name) {
		return "", fmt.Errorf("%.200q is not the name of a package", name)
	}
	return c.cfg.Registry(name) + "/" + strings.ReplaceAll(name, "/", "%2f"), nil
}

// Packument fetches the document of a package, in the short form where the registry has one.
func (c *Client) Packument(ctx context.Context, name string) (*npm.Packument, error) {
	u, err := c.packumentURL(name)
	if err != nil {
		return nil, err
	}
	return c.packument(ctx, u, http.Header{"Accept": {"application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"}}, name)
}

func (c *Client) packument(ctx context.Context, u string, h http.Header, name string) (*npm.Packument, error) {
	var p *npm.Packument
	err := c.fetch(ctx, u, h, name, orDefault(c.MaxPackument, 256<<20), "", func(_ *http.Response, data []byte) (err error) {
		if p, err = npm.ParsePackument(data); err != nil {
			return &temporary{fmt.Errorf("%s: %w", name, err), 0} // a page of an intermediary, more often than the registry's own
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.Name = name
	return p, nil
}

// History fetches the whole document of a package: with times, publishers and every manifest, where the registry has them.
func (c *Client) History(ctx context.Context, name string) (*npm.Packument, error) {
	u, err := c.packumentURL(name)
	if err != nil {
		return nil, err
	}
	return c.packument(ctx, u, http.Header{"Accept": {"application/json"}}, name)
}

// Resolve picks the version that a spec means.
func (c *Client) Resolve(ctx context.Context, s npm.Spec) (npm.PackumentVersion, error) {
	p, err := c.Packument(ctx, s.Name)
	if err != nil {
		return npm.PackumentVersion{}, err
	}
	v, err := p.Release(s.Want)
	if errors.Is(err, npm.ErrNoVersions) {
		return v, &NotFoundError{What: s.Name + ", which has no version any more,"}
	}
	return v, err
}

// Tarball fetches a tarball whole and checks it.
func (c *Client) Tarball(ctx context.Context, rawURL string, sum npm.Integrity) ([]byte, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is not an http or https address", rawURL)
	}
	u.User = nil // credentials come from npm's configuration only, never from a document
	u = c.cfg.tarball(u)
	// without an encoding of the transport: the bytes are what the integrity is of
	h := http.Header{"Accept": {"*/*"}, "Accept-Encoding": {"identity"}}
	var data []byte
	err = c.fetch(ctx, u.String(), h, u.Redacted(), orDefault(c.MaxTarball, 512<<20), sum, func(_ *http.Response, b []byte) error {
		data = b
		return nil
	})
	return data, err
}

// fetch gets a body of at most limit bytes, checks it while it is read, and hands it to use, trying again where that may help.
func (c *Client) fetch(ctx context.Context, rawURL string, h http.Header, what string, limit int64, sum npm.Integrity, use func(*http.Response, []byte) error) error {
	return c.retry(ctx, func() error {
		res, err := c.get(ctx, rawURL, h, what)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.ContentLength > limit {
			return &SizeError{what, limit}
		}
		bounded := &io.LimitedReader{R: res.Body, N: limit + 1}
		data, err := io.ReadAll(sum.Reader(bounded))
		var mismatch *npm.MismatchError
		switch {
		case bounded.N == 0:
			return &SizeError{what, limit}
		case errors.As(err, &mismatch):
			return fmt.Errorf("%s: %w", what, err)
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return &temporary{fmt.Errorf("%s: %w", what, err), 0}
		}
		return use(res, data)
	})
}

// temporary is a failure worth another try, after at least wait.
type temporary struct {
	err  error
	wait time.Duration
}

func (t *temporary) Error() string { return t.err.Error() }
func (t *temporary) Unwrap() error { return t.err }

func (c *Client) retry(ctx context.Context, f func() error) error {
	tries, pause := c.Tries, c.Pause
	if tries == 0 {
		tries = 4
	}
	if pause == 0 {
		pause = 500 * time.Millisecond
	}
	for i := 1; ; i++ {
		err := f()
		var t *temporary
		if err == nil || !errors.As(err, &t) || i == tries {
			return err
		}
		wait := max(t.wait, pause<<(i-1)+time.Duration(rand.Int64N(int64(pause))))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(wait, maxPause)):
		}
	}
}

func (c *Client) get(ctx context.Context, rawURL string, h http.Header, what string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	if c.Permit != nil {
		if err := c.Permit(ctx, req.URL); err != nil {
			return nil, err
		}
	}
	req.Header = h.Clone()
	req.Header.Set("User-Agent", c.agent)
	if a := c.cfg.auth(req.URL); a != "" {
		req.Header.Set("Authorization", a)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &temporary{fmt.Errorf("%s: %w", what, err), 0}
	}
	if res.StatusCode == http.StatusOK || res.StatusCode == http.StatusNotModified && h.Get("If-None-Match") != "" {
		return res, nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // also lets the connection be used again
	if res.StatusCode == http.StatusNotFound {
		return nil, &NotFoundError{what, body}
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	answer := &StatusError{What: what, Status: res.Status, Code: res.StatusCode, RetryAfter: time.Duration(max(0, min(seconds, 86_400))) * time.Second}
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout || res.StatusCode >= 500 {
		return nil, &temporary{answer, answer.RetryAfter}
	}
	return nil, answer
}
