package registry

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Config is npm's configuration as far as it says how to reach registries. Keys are npm's own.
type Config struct {
	values map[string]string
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

// LoadConfig reads the sources; what comes later wins, and the environment (npm_config_*) wins over files.
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
				key = strings.ReplaceAll(strings.ToLower(key), "_", "-")
			}
			c.values[key] = v
		}
	}
	return c
}

var variable = regexp.MustCompile(`\$\{([^}]+)\}`)

func (c *Config) file(name string, env []string) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' || line[0] == ';' || line[0] == '[' {
			continue
		}
		k, v, ok := strings.Cut(line, "=")
		if !ok {
			v = "true"
		}
		k, v = strings.TrimSpace(k), strings.Trim(strings.TrimSpace(v), `"`)
		v = variable.ReplaceAllStringFunc(v, func(m string) string {
			name := m[2 : len(m)-1]
			for _, e := range env {
				if n, x, ok := strings.Cut(e, "="); ok && n == name {
					return x
				}
			}
			return m
		})
		c.values[k] = v
	}
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

// auth finds the credentials for a URL: those of the longest configured path that it lies below.
func (c *Config) auth(host, path string) (header string) {
	nerf := "//" + host + strings.TrimSuffix(path, "/") + "/"
	for {
		if t := c.values[nerf+":_authToken"]; t != "" {
			return "Bearer " + t
		}
		if t := c.values[nerf+":_auth"]; t != "" {
			return "Basic " + t
		}
		if u, p := c.values[nerf+":username"], c.values[nerf+":_password"]; u != "" && p != "" {
			return basic(u, p)
		}
		i := strings.LastIndexByte(strings.TrimSuffix(nerf, "/"), '/')
		if i < 2 {
			return ""
		}
		nerf = nerf[:i+1]
	}
}
