package behavior

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// pathIndex finds the classes of a path. Patterns are kept by the first of their parts that is fixed.
type pathIndex struct {
	classes []string
	home    map[string][]pathPattern // below a home folder, by the first part
	root    map[string][]pathPattern // from the root, by the first part
	drive   map[string][]pathPattern // from a drive or a folder known by its sign, as c: and <tmp>
	tail    map[string][]pathPattern // at the end of any path, by the first fixed part
}

type pathPattern struct {
	class int
	parts []string // * within one stands for any run of bytes; ** alone for any number of parts, none too
	fixed int      // index of the part by which it is kept
}

// anyPart keeps the patterns that have no fixed part to be kept by.
const anyPart = "*"

func loadPaths(fsys fs.FS) (pathIndex, error) {
	x := pathIndex{home: map[string][]pathPattern{}, root: map[string][]pathPattern{}, drive: map[string][]pathPattern{}, tail: map[string][]pathPattern{}}
	classes, err := readClasses(fsys, "paths.yaml")
	if err != nil {
		return x, err
	}
	for i, c := range classes {
		x.classes = append(x.classes, c.name)
		for _, it := range c.items {
			if err := x.add(i, it.text); err != nil {
				return x, fmt.Errorf("paths.yaml:%d: %s: %w", it.line, it.text, err)
			}
		}
	}
	return x, nil
}

func (x *pathIndex) add(class int, glob string) error {
	if strings.Contains(glob, `\`) {
		return fmt.Errorf("want / between the parts")
	}
	g := strings.ToLower(strings.TrimSuffix(glob, "/"))
	p := pathPattern{class: class}
	in, anywhere := x.root, false
	switch {
	case strings.HasPrefix(g, "~/"):
		in, g = x.home, g[2:]
	case strings.HasPrefix(g, "/"):
		g = g[1:]
	case len(g) > 1 && g[1] == ':' || strings.HasPrefix(g, "<"):
		in = x.drive
	default:
		in, anywhere, g = x.tail, true, strings.TrimPrefix(g, "**/")
	}
	p.parts = strings.Split(g, "/")
	for _, s := range p.parts {
		if s == "" || s != "**" && strings.Contains(s, "**") {
			return fmt.Errorf("empty part, or ** beside other text")
		}
	}
	key := anyPart
	for i, s := range p.parts {
		if s == "**" || i > 0 && !anywhere {
			break
		}
		if !strings.Contains(s, "*") {
			key, p.fixed = s, i
			break
		}
	}
	if anywhere && key == anyPart && strings.Contains(g, "**") {
		return fmt.Errorf("want a part without * before **")
	}
	in[key] = append(in[key], p)
	return nil
}

// PathClass lists the classes of a path, in the order of paths.yaml. Separators, case, the folder of a user and the variables that
// name it do not count: C:\Users\x\.npmrc, /home/x/.npmrc, %USERPROFILE%\.npmrc and ~/.npmrc are one. An unknown part is written
// *; at the start of a path it may be a home folder.
func (b *Base) PathClass(path string) []string {
	if path == "" || path == "*" || len(path) > 4096 {
		return nil
	}
	parts := pathParts(path)
	var hit []int
	try := func(in map[string][]pathPattern, parts []string) {
		if len(parts) == 0 {
			return
		}
		for _, key := range [2]string{parts[0], anyPart} {
			for _, p := range in[key] {
				if matchParts(p.parts, parts) {
					hit = append(hit, p.class)
				}
			}
			if parts[0] == anyPart {
				break
			}
		}
	}
	home, ok := belowHome(parts)
	if !ok {
		home, ok = belowAppFolder(parts)
	}
	if ok {
		try(b.paths.home, home)
	}
	if parts[0] == "" { // from the root
		try(b.paths.root, parts[1:])
	} else {
		try(b.paths.drive, parts)
	}
	for i, s := range parts {
		for _, p := range b.paths.tail[s] {
			if i >= p.fixed && matchParts(p.parts, parts[i-p.fixed:]) {
				hit = append(hit, p.class)
			}
		}
	}
	for _, p := range b.paths.tail[anyPart] {
		if len(parts) >= len(p.parts) && matchParts(p.parts, parts[len(parts)-len(p.parts):]) {
			hit = append(hit, p.class)
		}
	}
	if hit == nil {
		return nil
	}
	slices.Sort(hit)
	hit = slices.Compact(hit)
	out := make([]string, len(hit))
	for i, c := range hit {
		out[i] = b.paths.classes[c]
	}
	return out
}

// matchParts matches a whole path against a whole pattern. Patterns hold at most a few **, so the search stays short.
func matchParts(pattern, parts []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return true
			}
			for i := range parts {
				if matchParts(pattern[1:], parts[i:]) {
					return true
				}
			}
			return false
		}
		if len(parts) == 0 || !wild(pattern[0], parts[0]) {
			return false
		}
		pattern, parts = pattern[1:], parts[1:]
	}
	return len(parts) == 0
}

// pathParts splits a path into its parts in lower case; the first is empty if it starts at the root.
func pathParts(path string) []string {
	p := strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	p = strings.TrimPrefix(p, "file://")
	for _, prefix := range []string{"//?/", "//./"} { // Windows' own prefixes
		p = strings.TrimPrefix(p, prefix)
	}
	p = expandFolders(p)
	raw := strings.Split(p, "/")
	parts := raw[:0]
	up := 0
	for i, s := range raw {
		switch {
		case s == "" && i > 0, s == ".":
		case s == "..":
			if n := len(parts); n > 0 && parts[n-1] != "" && parts[n-1] != anyPart {
				parts = parts[:n-1]
			} else {
				up++
			}
		default:
			parts = append(parts, s)
		}
	}
	// A climb of three or more ends at the root for all that matters: ../../../../etc/passwd.
	if up >= 3 && len(parts) > 0 && parts[0] != "" {
		parts = append([]string{""}, parts...)
	}
	if len(parts) > 2 && parts[0] == "" && parts[1] == "private" { // macOS: /etc, /var and /tmp are links into /private
		parts = append([]string{""}, parts[2:]...)
	}
	if len(parts) > 0 && len(parts[0]) == 0 && len(parts) > 3 && parts[1] == "mnt" && len(parts[2]) == 1 { // a Windows drive in WSL
		parts = append([]string{parts[2] + ":"}, parts[3:]...)
	}
	if len(parts) == 0 {
		return []string{""}
	}
	return parts
}

// belowHome cuts a user's home folder off a path. An unknown start counts as one.
func belowHome(parts []string) ([]string, bool) {
	below := func(n int) ([]string, bool) {
		if len(parts) > n {
			return parts[n:], true
		}
		return nil, false
	}
	switch parts[0] {
	case "~":
		return below(1)
	case anyPart:
		n := 1
		for n < len(parts) && parts[n] == anyPart {
			n++
		}
		return below(n)
	case "":
		if len(parts) < 2 {
			return nil, false
		}
		switch parts[1] {
		case "root":
			return below(2)
		case "home", "users":
			return below(3)
		case "var": // macOS keeps root's home there
			if len(parts) > 2 && parts[2] == "root" {
				return below(3)
			}
		}
		return nil, false
	}
	if drive := parts[0]; len(drive) == 2 && drive[1] == ':' {
		if len(parts) > 1 && (parts[1] == "users" || parts[1] == "documents and settings") {
			return below(3)
		}
	}
	return nil, false
}

// belowAppFolder finds the folders that lie nowhere but in a home folder, whatever stands before them: a drive made of some other
// path, the folder of a user on a mounted disk.
func belowAppFolder(parts []string) ([]string, bool) {
	for i := 0; i+1 < len(parts); i++ {
		switch parts[i] + "/" + parts[i+1] {
		case "appdata/roaming", "appdata/local", "appdata/locallow", "library/application support":
			return parts[i:], i > 0
		}
	}
	return nil, false
}

// folders are the environment variables that name a folder, and where it lies. Malware joins paths below them on every system.
var folders = map[string]string{
	"HOME": "~", "USERPROFILE": "~", "HOMEPATH": "~",
	"APPDATA": "~/appdata/roaming", "LOCALAPPDATA": "~/appdata/local",
	"XDG_CONFIG_HOME": "~/.config", "XDG_DATA_HOME": "~/.local/share", "XDG_CACHE_HOME": "~/.cache",
	"TEMP": "<tmp>", "TMP": "<tmp>", "TMPDIR": "<tmp>",
	"PROGRAMDATA": "c:/programdata", "ALLUSERSPROFILE": "c:/programdata", "PUBLIC": "c:/users/public",
	"PROGRAMFILES": "c:/program files", "PROGRAMFILES(X86)": "c:/program files", "PROGRAMW6432": "c:/program files",
	"WINDIR": "c:/windows", "SYSTEMROOT": "c:/windows", "SYSTEMDRIVE": "c:", "HOMEDRIVE": "",
	"PWD": "<cwd>", "INIT_CWD": "<cwd>", "CD": "<cwd>",
}

// expandFolders replaces a variable at the start of a path, in the notations of sh, cmd and PowerShell.
func expandFolders(p string) string {
	for n := 0; n < 4; n++ { // %HOMEDRIVE%%HOMEPATH% takes two
		name, rest, ok := leadingVariable(p)
		if !ok {
			return p
		}
		folder, known := folders[strings.ToUpper(name)]
		if !known {
			return anyPart + rest
		}
		p = folder + rest
	}
	return p
}

func leadingVariable(p string) (name, rest string, ok bool) {
	switch {
	case strings.HasPrefix(p, "%"):
		return strings.Cut(p[1:], "%")
	case strings.HasPrefix(p, "${"):
		return strings.Cut(p[2:], "}")
	case strings.HasPrefix(p, "$"):
		p = strings.TrimPrefix(p[1:], "env:")
		i := 0
		for i < len(p) && (p[i] == '_' || p[i] >= 'a' && p[i] <= 'z' || p[i] >= '0' && p[i] <= '9') {
			i++
		}
		return p[:i], p[i:], i > 0
	}
	return "", "", false
}

// PathText writes a path value for people and for patterns: known folders by their sign, other unknown parts as *, separators as /,
// without case.
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
	out = strings.TrimPrefix(out, "file://")
	for strings.Contains(out, "//") {
		out = strings.ReplaceAll(out, "//", "/")
	}
	out = expandFolders(out)
	return strings.TrimSuffix(out, "/")
}

// holeText is the sign of an unknown part, by where it comes from.
func holeText(source string) string {
	if name, ok := strings.CutPrefix(source, "process.env."); ok {
		if f, ok := folders[strings.ToUpper(name)]; ok {
			return f
		}
		return anyPart
	}
	switch {
	case strings.HasPrefix(source, "os.homedir"), strings.HasPrefix(source, "os.userInfo().homedir"):
		return "~"
	case strings.HasPrefix(source, "os.tmpdir"):
		return "<tmp>"
	case strings.HasPrefix(source, "process.cwd"):
		return "<cwd>"
	}
	return anyPart
}
