package reconstruct

import (
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// scripts follows the command lines of a manifest to the files that they start.
type scripts struct {
	b      *builder
	m      *npm.Manifest
	dir    string
	prefix string
	count  int
}

const maxScriptDepth = 8

// run follows one named script and its pre and post scripts.
func (s *scripts) run(name, phase string, implied bool) {
	s.follow("scripts."+name, name, phase, implied, 0)
}

func (s *scripts) follow(entry, name, phase string, implied bool, depth int) {
	if depth > maxScriptDepth {
		return
	}
	for _, n := range []string{"pre" + name, name, "post" + name} {
		if n != name && depth == 0 {
			continue // npm runs preinstall and postinstall by themselves
		}
		if cmd := s.m.Script(n); cmd != "" {
			s.command(entry, cmd, phase, implied, depth)
		}
	}
}

// command adds the command line itself and every file it starts.
func (s *scripts) command(entry, line, phase string, implied bool, depth int) {
	if s.count++; s.count > maxScripts {
		s.b.unresolved("package.json", entry, "too many scripts")
		return
	}
	s.b.entry(js.Entry{Name: s.prefix + entry, Kind: js.EntryCommand, Phase: phase, Command: line, Implied: implied})
	cwd := s.dir
	for _, words := range s.b.opt.Commands(line) {
		cwd = s.simple(entry, words, cwd, phase, implied, depth)
	}
}

// simple follows one simple command and returns the folder in which the next one runs.
func (s *scripts) simple(entry string, words []string, cwd, phase string, implied bool, depth int) string {
	words = stripPrefixes(words)
	if len(words) == 0 {
		return cwd
	}
	name := path.Base(strings.ReplaceAll(words[0], `\`, "/"))
	name = strings.TrimSuffix(strings.ToLower(name), ".exe")
	rest := words[1:]
	start := func(file, lang string, argv []string) {
		if file == "" {
			return
		}
		p := path.Join(cwd, clean(file))
		if p == "." {
			p = ""
		}
		f, ok := s.b.file(p)
		if !ok {
			s.b.unresolved("package.json", file, entry+" starts a file that is not there")
			if phase == "install" && s.b.missing == "" && (lang == "" || lang == "js") {
				s.b.missing = s.prefix + entry
			}
			return
		}
		if lang == "" {
			lang = language(f)
		}
		s.b.entry(js.Entry{Name: s.prefix + entry, Kind: js.EntryScript, Phase: phase, Path: f, Argv: argv, Lang: lang, Implied: implied})
	}
	switch name {
	case "cd", "pushd":
		if len(rest) > 0 {
			return path.Join(cwd, clean(rest[0]))
		}
	case "node", "nodejs", "bun", "ts-node", "tsx", "babel-node", "deno", "electron", "iojs", "esno", "jiti":
		for i := 0; i < len(rest); i++ {
			w := rest[i]
			switch {
			case slices.Contains(loadFlags, w):
				if i++; i < len(rest) && strings.HasPrefix(rest[i], ".") {
					start(rest[i], "js", nil)
				}
			case w == "-e" || w == "--eval" || w == "-p" || w == "--print" || w == "-pe":
				return cwd // inline code is for the shell reader
			case w == "run" && (name == "bun" || name == "deno"):
			case strings.HasPrefix(w, "-"):
				if flag, file, ok := strings.Cut(w, "="); ok && slices.Contains(loadFlags, flag) && strings.HasPrefix(file, ".") {
					start(file, "js", nil)
				}
			default:
				start(w, "js", rest[i+1:])
				return cwd
			}
		}
	case "sh", "bash", "dash", "zsh", "ash", "source", ".":
		for i, w := range rest {
			if w == "-c" {
				if i+1 < len(rest) && depth < maxScriptDepth {
					s.command(entry, rest[i+1], phase, implied, depth+1)
				}
				return cwd
			}
			if !strings.HasPrefix(w, "-") {
				start(w, "sh", rest[i+1:])
				return cwd
			}
		}
	case "cmd":
		for i, w := range rest {
			if strings.EqualFold(w, "/c") && i+1 < len(rest) && depth < maxScriptDepth {
				s.command(entry, strings.Join(rest[i+1:], " "), phase, implied, depth+1)
				return cwd
			}
		}
	case "start":
		for _, w := range rest {
			if !strings.HasPrefix(w, "/") && w != "" {
				start(w, "", nil)
				return cwd
			}
		}
	case "powershell", "pwsh":
		for i, w := range rest {
			if strings.HasSuffix(strings.ToLower(w), ".ps1") {
				start(w, "powershell", rest[i+1:])
				return cwd
			}
		}
	case "python", "python3", "python2", "py", "perl", "ruby", "php":
		for i, w := range rest {
			if w == "-c" || w == "-e" {
				return cwd
			}
			if !strings.HasPrefix(w, "-") {
				start(w, strings.TrimRight(name, "23"), rest[i+1:])
				return cwd
			}
		}
	case "npm", "yarn", "pnpm", "cnpm":
		s.manager(entry, rest, phase, implied, depth)
	case "forever", "pm2", "nodemon", "supervisor", "node-dev", "nyc", "c8", "tsnd":
		for i, w := range rest {
			if _, ok := s.b.file(path.Join(cwd, clean(w))); ok && !strings.HasPrefix(w, "-") {
				start(w, "", rest[i+1:])
				return cwd
			}
		}
	case "concurrently":
		for _, w := range rest {
			if !strings.HasPrefix(w, "-") && depth < maxScriptDepth {
				s.command(entry, w, phase, implied, depth+1)
			}
		}
	case "npm-run-all", "run-s", "run-p":
		for _, w := range rest {
			if !strings.HasPrefix(w, "-") {
				s.follow(entry, w, phase, implied, depth+1)
			}
		}
	default:
		w := strings.ReplaceAll(words[0], `\`, "/")
		if _, ok := s.b.file(path.Join(cwd, clean(w))); ok && (strings.Contains(w, "/") || path.Ext(w) != "") {
			start(w, "", rest)
		}
	}
	return cwd
}

// loadFlags make node load a file before the one it runs.
var loadFlags = []string{"-r", "--require", "--import", "--loader", "--experimental-loader"}

func (s *scripts) manager(entry string, rest []string, phase string, implied bool, depth int) {
	for i, w := range rest {
		switch {
		case w == "run" || w == "run-script" || w == "rum":
			for _, x := range rest[i+1:] {
				if !strings.HasPrefix(x, "-") {
					s.follow(entry, x, phase, implied, depth+1)
					return
				}
			}
			return
		case w == "test" || w == "t":
			s.follow(entry, "test", phase, implied, depth+1)
			return
		case w == "start":
			s.follow(entry, "start", phase, implied, depth+1)
			return
		case strings.HasPrefix(w, "-"):
		default:
			if s.m.Script(w) != "" { // yarn build, pnpm build
				s.follow(entry, w, phase, implied, depth+1)
			}
			return
		}
	}
}

// stripPrefixes drops what only sets the scene: variable assignments, cross-env, sudo and the like.
func stripPrefixes(words []string) []string {
	for len(words) > 0 {
		w := words[0]
		switch path.Base(w) {
		case "cross-env", "cross-env-shell", "env", "sudo", "nohup", "exec", "time", "command", "setsid", "dotenv", "--", "npx", "call", "@":
			words = words[1:]
			for len(words) > 0 && path.Base(w) == "npx" && strings.HasPrefix(words[0], "-") {
				words = words[1:]
			}
			continue
		case "timeout":
			if len(words) > 2 {
				words = words[2:]
				continue
			}
		}
		if i := strings.IndexByte(w, '='); i > 0 && !strings.ContainsAny(w[:i], "/.-") {
			words = words[1:]
			continue
		}
		break
	}
	return words
}

func language(p string) string {
	switch strings.ToLower(path.Ext(p)) {
	case ".js", ".cjs", ".mjs", ".ts", ".tsx", ".jsx", ".mts", ".cts":
		return "js"
	case ".sh", ".bash", ".zsh":
		return "sh"
	case ".bat", ".cmd":
		return "cmd"
	case ".ps1":
		return "powershell"
	case ".py":
		return "python"
	case ".pl":
		return "perl"
	case ".rb":
		return "ruby"
	case ".exe", ".dll", ".bin", ".node", ".scr", ".com":
		return "binary"
	}
	return "js"
}

// splitCommands is a small reader for when no better one is given: words, quotes and the operators between commands.
func splitCommands(line string) [][]string {
	var out [][]string
	var words []string
	var w strings.Builder
	has := false
	word := func() {
		if has {
			words = append(words, w.String())
			w.Reset()
			has = false
		}
	}
	end := func() {
		word()
		if len(words) > 0 && len(out) < maxScripts {
			out = append(out, words)
		}
		words = nil
	}
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				if c == '\\' && quote == '"' && i+1 < len(line) && (line[i+1] == '"' || line[i+1] == '\\') {
					i++
					c = line[i]
				}
				w.WriteByte(c)
			}
		case c == '\'' || c == '"':
			quote = c
			has = true
		case c == ' ' || c == '\t':
			word()
		case c == ';' || c == '\n' || c == '|' || c == '&' || c == '(' || c == ')':
			end()
		default:
			w.WriteByte(c)
			has = true
		}
	}
	end()
	return out
}
