package behavior

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/donapi/donapi/internal/callseq"
)

// Base is the loaded knowledge. It is immutable and safe for concurrent use.
type Base struct {
	apis      map[string]*API
	list      []*API
	paths     []pathClass
	hosts     []hostClass
	env       []envClass
	Behaviors []*Behavior // sorted by ID
	byID      map[string]*Behavior
	Published *Edition
}

type pathClass struct {
	name string
	re   *regexp.Regexp
}

type hostClass struct {
	name  string
	exact map[string]bool
	tails []string
}

type envClass struct {
	name string
	re   *regexp.Regexp
}

// Load reads the knowledge from its files. An error names the file.
func Load(fsys fs.FS) (*Base, error) {
	b := &Base{apis: map[string]*API{}, byID: map[string]*Behavior{}}
	files, err := fs.Glob(fsys, "apis/*.txt")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("knowledge has no apis/*.txt")
	}
	for _, f := range files {
		data, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		as, err := parseStanzas(f, data)
		if err != nil {
			return nil, err
		}
		for _, a := range as {
			for _, n := range append([]string{a.Name}, a.Spell...) {
				if b.apis[n] != nil {
					return nil, fmt.Errorf("%s: %s is described twice", f, n)
				}
				b.apis[n] = a
			}
			b.list = append(b.list, a)
		}
	}
	slices.SortFunc(b.list, func(x, y *API) int { return strings.Compare(x.Name, y.Name) })
	if err := b.loadPaths(fsys); err != nil {
		return nil, err
	}
	if err := b.loadHosts(fsys); err != nil {
		return nil, err
	}
	if err := b.loadEnv(fsys); err != nil {
		return nil, err
	}
	if err := b.loadBehaviors(fsys); err != nil {
		return nil, err
	}
	b.Published, err = loadEdition(fsys)
	return b, err
}

// API finds a stanza by its name or another spelling of it.
func (b *Base) API(name string) *API { return b.apis[name] }

// APIs lists all stanzas by name.
func (b *Base) APIs() []*API { return b.list }

// ordered reads a YAML map of lists, keeping its order.
func ordered(fsys fs.FS, file string) (names []string, lists [][]string, err error) {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, nil, err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(data, &n); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(n.Content) == 0 || n.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fmt.Errorf("%s: want a map of lists", file)
	}
	m := n.Content[0].Content
	for i := 0; i+1 < len(m); i += 2 {
		var l []string
		if err := m[i+1].Decode(&l); err != nil {
			return nil, nil, fmt.Errorf("%s:%d: %w", file, m[i+1].Line, err)
		}
		names, lists = append(names, m[i].Value), append(lists, l)
	}
	return names, lists, nil
}

// home matches a user's home folder as the classifier writes it, and any folder that is not known.
const home = `(?:~|\*|/home/[^/]+|/root|/users/[^/]+|[a-z]:/users/[^/]+|[a-z]:/documents and settings/[^/]+)`

func (b *Base) loadPaths(fsys fs.FS) error {
	names, lists, err := ordered(fsys, "paths.yaml")
	if err != nil {
		return err
	}
	for i, n := range names {
		var alts []string
		for _, p := range lists[i] {
			alts = append(alts, globPattern(p))
		}
		re, err := regexp.Compile(`^(?:` + strings.Join(alts, "|") + `)$`)
		if err != nil {
			return fmt.Errorf("paths.yaml: %s: %w", n, err)
		}
		b.paths = append(b.paths, pathClass{n, re})
	}
	return nil
}

func globPattern(g string) string {
	g = strings.ToLower(g)
	var s strings.Builder
	switch {
	case strings.HasPrefix(g, "~/"):
		s.WriteString(home)
		g = g[1:]
	case strings.HasPrefix(g, "/"), strings.HasPrefix(g, "**"), strings.HasPrefix(g, "<"):
	default:
		s.WriteString(`(?:.*/)?`)
	}
	for i := 0; i < len(g); i++ {
		switch {
		case strings.HasPrefix(g[i:], "**"):
			s.WriteString(`.*`)
			i++
		case g[i] == '*':
			s.WriteString(`[^/]*`)
		default:
			s.WriteString(regexp.QuoteMeta(g[i : i+1]))
		}
	}
	return s.String()
}

// PathText writes a path value for the classes: home folders as ~, other unknown parts as *, separators as /, without case.
func PathText(v *callseq.Value) string {
	var s strings.Builder
	if len(v.Parts) == 0 {
		if v.Kind == callseq.Unknown || v.Kind == callseq.Object {
			s.WriteString(holeText(v.Source))
		} else {
			s.WriteString(v.Text)
		}
	}
	for _, p := range v.Parts {
		if p.Hole {
			s.WriteString(holeText(p.Source))
		} else {
			s.WriteString(p.Lit)
		}
	}
	out := strings.ToLower(strings.ReplaceAll(s.String(), `\`, "/"))
	for strings.Contains(out, "//") {
		out = strings.ReplaceAll(out, "//", "/")
	}
	out = strings.TrimPrefix(out, "file:")
	for _, v := range []string{"%userprofile%", "$home", "${home}", "$env:userprofile"} {
		out = strings.ReplaceAll(out, v, "~")
	}
	out = strings.NewReplacer("%appdata%", "~/appdata/roaming", "$env:appdata", "~/appdata/roaming", "%localappdata%", "~/appdata/local", "$env:localappdata", "~/appdata/local", "%temp%", "<tmp>", "$env:temp", "<tmp>").Replace(out)
	return strings.TrimSuffix(out, "/")
}

func holeText(source string) string {
	switch {
	case strings.HasPrefix(source, "os.homedir"), source == "process.env.HOME", source == "process.env.USERPROFILE", strings.HasPrefix(source, "os.userInfo().homedir"):
		return "~"
	case source == "process.env.APPDATA":
		return "~/appdata/roaming"
	case source == "process.env.LOCALAPPDATA":
		return "~/appdata/local"
	case strings.HasPrefix(source, "os.tmpdir"), source == "process.env.TEMP", source == "process.env.TMP", source == "process.env.TMPDIR":
		return "<tmp>"
	}
	return "*"
}

// PathClass lists the classes of a path as PathText writes it.
func (b *Base) PathClass(path string) []string {
	if path == "" || path == "*" || len(path) > 4096 {
		return nil
	}
	var out []string
	for _, c := range b.paths {
		if c.re.MatchString(path) {
			out = append(out, c.name)
		}
	}
	return out
}

func (b *Base) loadHosts(fsys fs.FS) error {
	names, lists, err := ordered(fsys, "hosts.yaml")
	if err != nil {
		return err
	}
	for i, n := range names {
		c := hostClass{name: n, exact: map[string]bool{}}
		for _, h := range lists[i] {
			if strings.HasPrefix(h, ".") {
				c.tails = append(c.tails, h)
				h = h[1:]
			}
			c.exact[h] = true
		}
		b.hosts = append(b.hosts, c)
	}
	return nil
}

// HostClass names what a host is for; "" when nothing is known of it, "ip" for a public address, "private" for an internal one.
func (b *Base) HostClass(host string) string {
	host = strings.ToLower(strings.Trim(host, "[]."))
	for _, c := range b.hosts {
		if c.exact[host] {
			return c.name
		}
		for _, t := range c.tails {
			if strings.HasSuffix(host, t) {
				return c.name
			}
		}
	}
	return addressClass(host)
}

func addressClass(host string) string {
	digits, dots := 0, 0
	for i := 0; i < len(host); i++ {
		switch {
		case host[i] >= '0' && host[i] <= '9':
			digits++
		case host[i] == '.':
			dots++
		default:
			return ""
		}
	}
	if dots != 3 || digits < 4 {
		return ""
	}
	for _, p := range []string{"10.", "192.168.", "172.16.", "172.17.", "172.18.", "172.19.", "172.2", "172.30.", "172.31.", "127."} {
		if strings.HasPrefix(host, p) {
			return "private"
		}
	}
	return "ip"
}

func (b *Base) loadEnv(fsys fs.FS) error {
	names, lists, err := ordered(fsys, "env.yaml")
	if err != nil {
		return err
	}
	for i, n := range names {
		var alts []string
		for _, g := range lists[i] {
			alts = append(alts, strings.ReplaceAll(regexp.QuoteMeta(g), `\*`, ".*"))
		}
		re, err := regexp.Compile(`(?i)^(?:` + strings.Join(alts, "|") + `)$`)
		if err != nil {
			return fmt.Errorf("env.yaml: %s: %w", n, err)
		}
		b.env = append(b.env, envClass{n, re})
	}
	return nil
}

// EnvClass names what an environment variable holds: secret, identity, ci, oidc, harmless, or "" when nothing is known.
func (b *Base) EnvClass(name string) string {
	for _, c := range b.env {
		if c.re.MatchString(name) {
			return c.name
		}
	}
	return ""
}

// fileTypes are the types that take a path class as subtype.
var fileTypes = map[string]bool{"FILE_READ": true, "FILE_CREATE": true, "FILE_MODIFY": true, "FILE_DELETE": true, "FILE_PROBE": true}

// Types is the set of behaviour types and subtypes of a call, sorted.
func (b *Base) Types(c *callseq.Call) []string {
	out := slices.Clone(c.Types)
	if c.Kind == callseq.KindSource && strings.HasPrefix(c.API, "$") {
		out = append(out, "SOURCE_"+strings.ToUpper(c.API[1:]))
	}
	a := b.apis[c.API]
	if c.Kind == callseq.KindSet {
		if a == nil || a.Kind != callseq.KindSet {
			if a == nil && (strings.Contains(c.API, ".prototype.") || strings.HasPrefix(c.API, "globalThis.") || strings.Contains(c.API, ".")) {
				out = append(out, "API_HOOK")
			}
			slices.Sort(out)
			return slices.Compact(out)
		}
	}
	if a == nil {
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, t := range a.Types {
		if holds(t.When, c) {
			out = append(out, t.Type)
		}
	}
	for _, r := range a.Args {
		switch r.Role {
		case "path", "path2", "file":
			if r.Path == "this" {
				continue
			}
			v := c.ArgAt(r.Path)
			if v == nil {
				continue
			}
			for _, cl := range b.classesOf(v) {
				for _, t := range slices.Clone(out) {
					if fileTypes[t] {
						out = append(out, t+"_"+cl)
					}
				}
			}
		}
	}
	switch c.API {
	case "process.env":
		if len(c.Args) == 0 {
			out = append(out, "ENV_ALL")
		} else if n, ok := c.Args[0].Known(); ok {
			if cl := b.EnvClass(n); cl != "" {
				out = append(out, "ENV_"+strings.ToUpper(cl))
			}
		}
	case "child_process.spawn", "child_process.spawnSync", "child_process.execFile", "child_process.execFileSync":
		if v := c.ArgAt("0"); v != nil && isShell(v.Text) {
			out = append(out, "PROCESS_START_SHELL")
		}
	}
	for _, p := range []string{"1", "2"} { // detached and silent children
		if o := c.ArgAt(p); o != nil && o.Kind == callseq.Object && strings.HasPrefix(c.API, "child_process.") {
			if d := o.Field("detached"); d != nil && d.Text == "true" {
				out = append(out, "STEALTH_DETACHED")
			}
			if d := o.Field("windowsHide"); d != nil && d.Text == "true" {
				out = append(out, "STEALTH_HIDDEN")
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (b *Base) classesOf(v *callseq.Value) []string {
	out := b.PathClass(PathText(v))
	for i := range v.Alts {
		out = append(out, b.PathClass(PathText(&v.Alts[i]))...)
	}
	return out
}

func isShell(s string) bool {
	s = strings.ToLower(s)
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	switch strings.TrimSuffix(s, ".exe") {
	case "sh", "bash", "dash", "zsh", "ash", "ksh", "cmd", "powershell", "pwsh":
		return true
	}
	return false
}

func holds(when []Condition, c *callseq.Call) bool {
	for _, w := range when {
		v := c.ArgAt(w.Path)
		missing := v == nil || v.Kind == callseq.Undefined || v.Kind == callseq.Func
		ok := false
		switch w.Op {
		case "absent":
			ok = missing
		case "present":
			ok = !missing
		case "is":
			ok = !missing && strings.EqualFold(v.Text, w.Value)
		case "not":
			ok = missing || !strings.EqualFold(v.Text, w.Value)
		case "has":
			ok = !missing && strings.Contains(v.Text, w.Value)
		}
		if !ok {
			return false
		}
	}
	return true
}
