package registry

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Config is npm's configuration as far as it says how to reach registries. Keys are npm's own.
type Config struct {
	values map[string]string
	errs   []error // files that are there and cannot be read
}

// Sources names the files to read, weakest first. A file that is missing is no error. There is no way to name a target's own .npmrc
// by accident: only what is listed here is read.
type Sources struct {
	Global  string
	User    string
	Project string // of the working directory; empty when that lies in a target
	Extra   string // --npmrc
	Env     []string
}

// DefaultSources are npm's usual places.
func DefaultSources() Sources {
	s := Sources{Env: os.Environ(), Global: os.Getenv("npm_config_globalconfig"), User: os.Getenv("npm_config_userconfig")}
	if s.Global == "" {
		s.Global = os.Getenv("NPM_CONFIG_GLOBALCONFIG")
	}
	if s.User == "" {
		s.User = os.Getenv("NPM_CONFIG_USERCONFIG")
	}
	if s.User == "" {
		if h, err := os.UserHomeDir(); err == nil {
			s.User = filepath.Join(h, ".npmrc")
		}
	}
	if s.Global == "" {
		if node, err := exec.LookPath("node"); err == nil {
			if real, err := filepath.EvalSymlinks(node); err == nil {
				s.Global = filepath.Join(filepath.Dir(filepath.Dir(real)), "etc", "npmrc")
			}
		}
	}
	return s
}

// LoadConfig reads the sources; what comes later wins, and the environment (npm_config_*) wins over files. New
// tells of files that could not be read.
func LoadConfig(s Sources) *Config {
	c := &Config{values: map[string]string{}}
	for _, f := range []string{s.Global, s.User, s.Project, s.Extra} {
		if f != "" {
			c.file(f, s.Env)
		}
	}
	for _, e := range s.Env {
		k, v, _ := strings.Cut(e, "=")
		if len(k) > 11 && strings.EqualFold(k[:11], "npm_config_") && v != "" {
			key := k[11:]
			if !strings.HasPrefix(key, "//") && !strings.HasPrefix(key, "@") {
				key = strings.ToLower(key)
				key = key[:1] + strings.ReplaceAll(key[1:], "_", "-") // as npm: _auth keeps its first
			}
			c.values[key] = v
		}
	}
	return c
}

var variable = regexp.MustCompile(`\$\{([^${}]+?)(\?)?\}`)

func (c *Config) file(name string, env []string) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		c.errs = append(c.errs, err)
		return
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	expand := func(s string) string {
		return variable.ReplaceAllStringFunc(s, func(m string) string {
			sub := variable.FindStringSubmatch(m)
			for _, e := range env {
				if n, x, ok := strings.Cut(e, "="); ok && n == sub[1] {
					return x
				}
			}
			if sub[2] != "" {
				return "" // ${NAME?} may be missing
			}
			return m
		})
	}
	lists := map[string]bool{} // keys of which this file gave an entry
	for sc.Scan() {
		line := strings.TrimSpace(strings.TrimPrefix(sc.Text(), "\uFEFF"))
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			return // npm gives what stands below a section no meaning
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			v = "true"
		}
		k, v = expand(value(k)), expand(value(v))
		if list, ok := strings.CutSuffix(k, "[]"); ok {
			k = list
			if lists[k] {
				v = c.values[k] + "\n" + v
			}
			lists[k] = true
		}
		c.values[k] = v
	}
	if err := sc.Err(); err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", name, err))
	}
}

// value unquotes one side of a line as the ini format has it: quotes go, and so does what follows an unescaped ; or #.
func value(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`\;#`, s[i+1]) >= 0:
			i++
		case s[i] == ';' || s[i] == '#':
			return strings.TrimSpace(b.String())
		}
		b.WriteByte(s[i])
	}
	return strings.TrimSpace(b.String())
}

// Get returns a value, or "".
func (c *Config) Get(key string) string { return c.values[key] }

// Registry is the base URL for a package, without a slash at its end.
func (c *Config) Registry(name string) string {
	if scope, _, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(scope, "@") {
		if r := c.values[scope+":registry"]; r != "" {
			return strings.TrimSuffix(r, "/")
		}
	}
	if r := c.values["registry"]; r != "" {
		return strings.TrimSuffix(r, "/")
	}
	return "https://registry.npmjs.org"
}

// auth finds the credentials for an address: those of the longest configured path that it lies below.
func (c *Config) auth(u *url.URL) (header string) {
	host := strings.ToLower(u.Host)
	if p := u.Port(); u.Scheme == "https" && p == "443" || u.Scheme == "http" && p == "80" {
		host = strings.TrimSuffix(host, ":"+p)
	}
	for path := strings.TrimSuffix(u.Path, "/") + "/"; ; {
		for _, at := range []string{"//" + host + path, "//" + host + strings.TrimSuffix(path, "/")} {
			if t := c.values[at+":_authToken"]; t != "" {
				return "Bearer " + t
			}
			if t := c.values[at+":_auth"]; t != "" {
				return "Basic " + t
			}
			if u, p := c.values[at+":username"], c.values[at+":_password"]; u != "" && p != "" {
				return basic(u, p)
			}
		}
		path = strings.TrimSuffix(path, "/")
		if path == "" {
			return ""
		}
		path = path[:strings.LastIndexByte(path, '/')+1]
	}
}

// public is the registry that lock files name whatever they were made with.
const public = "registry.npmjs.org"

// tarball is where a tarball is fetched: an address at the public registry moves to the configured one, as npm has it
// (replace-registry-host), so that a lock file works behind a mirror.
func (c *Config) tarball(u *url.URL) *url.URL {
	replace := c.Get("replace-registry-host")
	if replace == "" || replace == "npmjs" {
		replace = public
	}
	if replace == "never" || replace != "always" && !strings.EqualFold(u.Host, replace) {
		return u
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/-/")
	to, err := url.Parse(c.Registry(name))
	if err != nil || strings.EqualFold(to.Host, u.Host) {
		return u
	}
	moved := *u
	moved.Scheme, moved.Host = to.Scheme, to.Host
	if !strings.HasPrefix(u.Path, to.Path+"/") {
		moved.Path, moved.RawPath = to.Path+u.Path, ""
	}
	return &moved
}
