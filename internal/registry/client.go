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
	Tries int           // of one request; 0 means 4
	Pause time.Duration // before the second try; 0 means 500 ms
}

// limits of answers, bytes
const (
	maxPackument = 256 << 20
	maxTarball   = 512 << 20
	maxPause     = 30 * time.Second
)

// New makes a client. agent is sent as User-Agent.
func New(cfg *Config, agent string) (*Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = cfg.proxy
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if cfg.Get("strict-ssl") == "false" {
		t.TLSClientConfig.InsecureSkipVerify = true
	}
	if f := cfg.Get("cafile"); f != "" {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("cafile: %w", err)
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cafile: %s holds no certificate", f)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &Client{cfg: cfg, agent: agent, http: &http.Client{Transport: t, Timeout: 5 * time.Minute, CheckRedirect: redirect}}, nil
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

// NotFoundError says that the registry has no such thing.
type NotFoundError struct{ What string }

func (e *NotFoundError) Error() string { return e.What + " is not in the registry" }

// Packument fetches the document of a package.
func (c *Client) Packument(ctx context.Context, name string) (*npm.Packument, error) {
	u := c.cfg.Registry(name) + "/" + strings.ReplaceAll(name, "/", "%2f")
	var p *npm.Packument
	err := c.retry(ctx, func() error {
		body, err := c.get(ctx, u, "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*", name)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err := io.ReadAll(io.LimitReader(body, maxPackument+1))
		if err != nil {
			return &temporary{fmt.Errorf("%s: %w", name, err), 0}
		}
		if len(data) > maxPackument {
			return fmt.Errorf("%s: packument beyond %d MB", name, maxPackument>>20)
		}
		p, err = npm.ParsePackument(data)
		if err != nil {
			return &temporary{fmt.Errorf("%s: %w", name, err), 0}
		}
		return nil
	})
	return p, err
}

// Resolve picks the version that a spec means.
func (c *Client) Resolve(ctx context.Context, s npm.Spec) (npm.PackumentVersion, error) {
	p, err := c.Packument(ctx, s.Name)
	if err != nil {
		return npm.PackumentVersion{}, err
	}
	p.Name = s.Name
	v, err := p.Pick(s.Want)
	if err != nil {
		return v, err
	}
	if v.Dist.Tarball == "" {
		return v, fmt.Errorf("%s@%s has no tarball", s.Name, v.Version)
	}
	return v, nil
}

// Tarball fetches a tarball whole and checks it.
func (c *Client) Tarball(ctx context.Context, rawURL string, sum npm.Integrity) ([]byte, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https address", rawURL)
	}
	var data []byte
	err = c.retry(ctx, func() error {
		body, err := c.get(ctx, rawURL, "*/*", rawURL)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err = io.ReadAll(sum.Reader(io.LimitReader(body, maxTarball)))
		var mismatch *npm.MismatchError
		if errors.As(err, &mismatch) {
			return fmt.Errorf("%s: %w", rawURL, err)
		}
		if err != nil {
			return &temporary{fmt.Errorf("%s: %w", rawURL, err), 0}
		}
		return nil
	})
	return data, err
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

func (c *Client) get(ctx context.Context, rawURL, accept, what string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", c.agent)
	if a := c.cfg.auth(req.URL.Host, req.URL.Path); a != "" {
		req.Header.Set("Authorization", a)
	}
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &temporary{fmt.Errorf("%s: %w", what, err), 0}
	}
	switch {
	case res.StatusCode == http.StatusOK:
		return res.Body, nil
	case res.StatusCode == http.StatusNotFound:
		err = &NotFoundError{what}
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("%s: the registry answers %s; log in with npm login, or give --npmrc", what, res.Status)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		wait, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		err = &temporary{fmt.Errorf("%s: the registry answers %s", what, res.Status), time.Duration(wait) * time.Second}
	default:
		err = fmt.Errorf("%s: the registry answers %s", what, res.Status)
	}
	io.Copy(io.Discard, io.LimitReader(res.Body, 4<<10))
	res.Body.Close()
	return nil, err
}
