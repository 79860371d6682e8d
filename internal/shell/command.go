package shell

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// command is one entry of knowledge/shell: what a command is and what its words are for. README.md there explains the fields.
type command struct {
	Names    []string          `yaml:"names"`
	Rule     string            `yaml:"rule"` // of the paper's R1 to R8, the one that it belongs to
	Doc      string            `yaml:"doc"`
	Types    []string          `yaml:"types"`
	When     []when            `yaml:"when"`
	Operands []string          `yaml:"operands"` // roles by position, the last one repeats
	Last     string            `yaml:"last"`     // role of the last operand, when there are at least two
	Options  map[string]string `yaml:"options"`  // "-o --output": role of the value
	Flags    map[string]string `yaml:"flags"`    // "-d --decode": mode that a bare option sets
	Style    string            `yaml:"style"`    // empty: -abc --long; long: -long; slash: /x and -long; powershell: -Long, shortened
	Stdin    string            `yaml:"stdin"`    // role of the standard input: data, text, or empty
	Output   string            `yaml:"output"`   // own, pass, filter, args, transform
	Codec    string            `yaml:"codec"`    // of transform: base64, hex, gzip, ...
	Scheme   string            `yaml:"scheme"`   // of what it connects to: http, tcp, dns, ssh, ftp
	Lang     string            `yaml:"lang"`     // of an interpreter
	Bundle   bool              `yaml:"bundle"`   // its first word is a bundle of options, with or without a dash
	Named    bool              `yaml:"named"`    // without an output option it writes a file named after its URL
	Prefix   string            `yaml:"prefix"`   // starts another command: "args" at once, "1" after one operand, "assign" after assignments
	Wipe     []string          `yaml:"wipe"`     // options that make it delete whole folders
	Sub      map[string]*sub   `yaml:"sub"`      // by first operand, as in npm publish
}

// when adds types if a condition on the words holds.
type when struct {
	Any  []string `yaml:"any"`  // patterns with * of which one must match some word
	None []string `yaml:"none"` // patterns of which none may match
	Add  []string `yaml:"add"`
	Drop []string `yaml:"drop"`
}

// sub is what the first operand changes.
type sub struct {
	Types    []string `yaml:"types"` // added
	Only     bool     `yaml:"only"`  // the types stand instead of those of the command
	When     []when   `yaml:"when"`
	Operands []string `yaml:"operands"` // roles of what follows
	Output   string   `yaml:"output"`
	Scheme   string   `yaml:"scheme"`
}

// Roles of words. A role with a trailing @ reads the file that a leading @ names.
var roles = map[string]bool{
	"": true, "value": true, "url": true, "host": true, "port": true, "data": true, "data@": true, "form": true, "upload": true,
	"read": true, "write": true, "folder": true, "path": true, "command": true, "sh": true, "cmd": true, "powershell": true, "encoded": true, "code": true, "script": true,
	"text": true, "name": true, "method": true, "remote": true,
}

var outputs = map[string]bool{"": true, "own": true, "paths": true, "pass": true, "filter": true, "args": true, "transform": true}

func loadCommands(fsys fs.FS) (map[string]*command, error) {
	files, err := fs.Glob(fsys, "shell/*.yaml")
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("knowledge has no shell/*.yaml")
	}
	table := map[string]*command{}
	for _, f := range files {
		var list []*command
		if err := decodeYAML(fsys, f, &list); err != nil {
			return nil, err
		}
		for _, c := range list {
			if err := c.check(); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", f, strings.Join(c.Names, " "), err)
			}
			for _, n := range c.Names {
				if table[n] != nil {
					return nil, fmt.Errorf("%s: command %s is described twice", f, n)
				}
				table[n] = c
			}
		}
	}
	return table, nil
}

func decodeYAML(fsys fs.FS, file string, into any) error {
	data, err := fs.ReadFile(fsys, file)
	if err != nil {
		return err
	}
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// check validates an entry and splits the spellings of its options.
func (c *command) check() error {
	if len(c.Names) == 0 {
		return fmt.Errorf("no name")
	}
	all := slices.Concat(c.Operands, []string{c.Last, c.Stdin})
	options := map[string]string{}
	for k, role := range c.Options {
		all = append(all, role)
		for _, o := range strings.Fields(k) {
			options[o] = role
		}
	}
	c.Options = options
	flags := map[string]string{}
	for k, mode := range c.Flags {
		for _, o := range strings.Fields(k) {
			flags[o] = mode
		}
	}
	c.Flags = flags
	outs := []string{c.Output}
	for _, s := range c.Sub {
		all = append(all, s.Operands...)
		outs = append(outs, s.Output)
	}
	for _, r := range all {
		if !roles[r] {
			return fmt.Errorf("unknown role %q", r)
		}
	}
	for _, o := range outs {
		if !outputs[o] {
			return fmt.Errorf("unknown output %q", o)
		}
	}
	if c.Output == "transform" && codecs[c.Codec] == nil && c.Codec != "opaque" {
		return fmt.Errorf("unknown codec %q", c.Codec)
	}
	return nil
}

// commandName is the name under which a command word is looked up: without folder, .exe and case.
func commandName(full string) string {
	n := strings.ToLower(strings.TrimPrefix(full, "@"))
	if i := strings.LastIndexAny(n, `/\`); i >= 0 && i < len(n)-1 {
		n = n[i+1:]
	}
	for _, ext := range []string{".exe", ".com"} {
		n = strings.TrimSuffix(n, ext)
	}
	return n
}

func (r *Reader) lookup(name string) *command {
	if c := r.table[name]; c != nil {
		return c
	}
	if n := strings.TrimRight(name, "0123456789."); n != name && n != "" { // python3.11, ruby2.7
		if c := r.table[n]; c != nil && c.Lang != "" {
			return c
		}
	}
	if n := strings.TrimSuffix(strings.TrimSuffix(name, ".cmd"), ".bat"); n != name { // npm.cmd
		return r.table[n]
	}
	return nil
}

// matchWord compares a word with a pattern in which * stands for any text, without case.
func matchWord(pattern, w string) bool {
	ok, err := path.Match(pattern, strings.ReplaceAll(w, "/", "\x00"))
	return err == nil && ok
}

func (w *when) holds(texts []string) bool {
	has := func(list []string) bool {
		for _, p := range list {
			p = strings.ReplaceAll(strings.ToLower(p), "/", "\x00")
			for _, t := range texts {
				if matchWord(p, t) {
					return true
				}
			}
		}
		return false
	}
	return (len(w.Any) == 0 || has(w.Any)) && !has(w.None)
}

func applyWhen(types []string, list []when, texts []string) []string {
	for i := range list {
		if list[i].holds(texts) {
			types = slices.DeleteFunc(slices.Clone(types), func(t string) bool { return slices.Contains(list[i].Drop, t) })
			types = append(types, list[i].Add...)
		}
	}
	return types
}
