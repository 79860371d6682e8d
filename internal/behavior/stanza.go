package behavior

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// stanza is one block of knowledge/apis: the APIs it names share what it says.
type stanza struct {
	line int // of the first name
	apis []*API
}

// parseStanzas reads one file of knowledge/apis. The format is described in knowledge/apis/README.md. It also returns the modules
// that are said to have the same members as another.
func parseStanzas(file string, data []byte) (out []stanza, same map[string]string, err error) {
	same = map[string]string{}
	var cur *reader
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if i := strings.Index(line, " # "); i >= 0 {
			line = line[:i]
		}
		t := strings.TrimSpace(line)
		switch {
		case t == "" || t[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if cur == nil {
				return nil, nil, fmt.Errorf("%s:%d: a property before any name", file, n)
			}
			key, rest, _ := strings.Cut(t, " ")
			if err := cur.property(key, strings.TrimSpace(rest)); err != nil {
				return nil, nil, fmt.Errorf("%s:%d: %s: %w", file, n, cur.names[0], err)
			}
		case strings.Contains(t, " = "):
			twin, module, _ := strings.Cut(t, " = ")
			if strings.ContainsAny(twin+module, " =") || same[twin] != "" {
				return nil, nil, fmt.Errorf("%s:%d: want one new name on each side of =", file, n)
			}
			same[twin] = module
		default:
			if cur == nil || cur.started {
				out = append(out, cur.end()...)
				cur = &reader{line: n}
				cur.api.Kind = callseq.KindCall
			}
			for _, name := range strings.Fields(t) {
				if !validName(name) {
					return nil, nil, fmt.Errorf("%s:%d: %q is no name of an API", file, n, name)
				}
				cur.names = append(cur.names, name)
			}
		}
	}
	return append(out, cur.end()...), same, nil
}

// validName keeps punctuation of other formats, as a comma or a colon, from becoming part of a name.
func validName(s string) bool {
	return s[0] != '.' && s[len(s)-1] != '.' && !strings.ContainsAny(s, ",:;\"'()[]{}|=") && !strings.Contains(s, "..")
}

// reader collects one stanza.
type reader struct {
	line    int
	names   []string
	api     API      // all that the names have in common
	values  []Result // of "result value", which each name gives in its own way
	started bool     // a property was read: the next name begins another stanza
}

// end makes the APIs of the stanza. They share their lists.
func (r *reader) end() []stanza {
	if r == nil {
		return nil
	}
	s := stanza{line: r.line}
	apis := make([]API, len(r.names))
	byForm := map[Result][]Result{}
	for i, n := range r.names {
		a := &apis[i]
		*a = r.api
		a.Name = n
		if len(r.names) > 1 {
			a.Spell = nil // other spellings belong to one name
			if i == 0 {
				a.Spell = r.api.Spell
			}
		}
		if len(r.values) > 0 {
			f := form(n)
			if byForm[f] == nil {
				rs := slices.Clone(r.api.Results)
				for _, v := range r.values {
					v.On, v.Arg = f.On, f.Arg
					rs = append(rs, v)
				}
				byForm[f] = rs
			}
			a.Results = byForm[f]
		}
		s.apis = append(s.apis, a)
	}
	return []stanza{s}
}

// form tells by Node's own naming how a function hands over its value: members of a promises object promise it, names in Sync return
// it, the others give it to a callback after the error.
func form(name string) Result {
	switch {
	case strings.Contains(name, ".promises."):
		return Result{On: "promise"}
	case strings.HasSuffix(name, "Sync"):
		return Result{On: "return"}
	}
	return Result{On: "callback", Arg: 1}
}

func (r *reader) property(key, rest string) error {
	r.started = true
	w := strings.Fields(rest)
	if len(w) == 0 {
		return fmt.Errorf("%s: empty", key)
	}
	a := &r.api
	switch key {
	case "kind":
		a.Kind = callseq.Kind(rest)
		if !slices.Contains([]callseq.Kind{callseq.KindCall, callseq.KindNew, callseq.KindGet, callseq.KindSet}, a.Kind) {
			return fmt.Errorf("unknown kind %q", rest)
		}
	case "type":
		return r.typeRule(w)
	case "arg":
		if len(w) != 2 || !validPath(w[0]) {
			return fmt.Errorf("arg: want a path and a role, not %q", rest)
		}
		if !slices.Contains(roles, w[1]) {
			return fmt.Errorf("arg: unknown role %q", w[1])
		}
		a.Args = append(a.Args, ArgRole{w[0], w[1]})
	case "result":
		return r.result(w)
	case "flow":
		return r.flow(w)
	case "spell":
		a.Spell = append(a.Spell, w...)
	case "to":
		a.To = rest
	case "model":
		a.Model = rest
	case "node":
		a.Node = rest
	case "doc":
		a.Doc = rest
	default:
		return fmt.Errorf("unknown property %q", key)
	}
	return nil
}

var roles = []string{"path", "path2", "handle", "data", "command", "argv", "file", "code", "url", "host", "port", "options", "headers", "name",
	"variable", "key", "callback", "listener", "encoding", "flags", "mode", "delay", "module"}

// operators of conditions, and whether they take a value.
var operators = map[string]bool{"is": true, "not": true, "has": true, "base": true, "kind": true, "opens": true, "over": true, "host": true, "path": true,
	"absent": false, "present": false, "function": false}

func (r *reader) typeRule(w []string) error {
	t := TypeRule{Type: w[0]}
	if strings.ToUpper(w[0]) != w[0] {
		return fmt.Errorf("type %s: want capitals", w[0])
	}
	w = w[1:]
	if len(w) > 0 && w[0] == "of" {
		if len(w) < 2 || !validPath(w[1]) {
			return fmt.Errorf("type %s: want an argument after of", t.Type)
		}
		t.Of, w = w[1], w[2:]
	}
	if len(w) > 0 && w[0] == "written" {
		t.When, w = append(t.When, Condition{Op: "written"}), w[1:]
	}
	if len(w) > 0 {
		if w[0] != "when" {
			return fmt.Errorf("type %s: want when, not %q", t.Type, w[0])
		}
		for _, c := range strings.Split(strings.Join(w[1:], " "), " and ") {
			cond, err := condition(strings.Fields(c))
			if err != nil {
				return fmt.Errorf("type %s: %w", t.Type, err)
			}
			t.When = append(t.When, cond)
		}
	}
	r.api.Types = append(r.api.Types, t)
	return nil
}

func condition(f []string) (Condition, error) {
	if len(f) < 2 || !validPath(f[0]) {
		return Condition{}, fmt.Errorf("want a condition as \"0 is x\", not %q", strings.Join(f, " "))
	}
	takes, known := operators[f[1]]
	if !known {
		return Condition{}, fmt.Errorf("unknown operator %q", f[1])
	}
	if takes != (len(f) > 2) {
		return Condition{}, fmt.Errorf("operator %s: a value too many or too few", f[1])
	}
	return Condition{Path: f[0], Op: f[1], Value: strings.Join(f[2:], " ")}, nil
}

func (r *reader) result(w []string) error {
	res := Result{On: w[0]}
	w = w[1:]
	number := func() error {
		if len(w) == 0 {
			return fmt.Errorf("result %s: want the number of a parameter", res.On)
		}
		n, err := strconv.Atoi(w[0])
		if err != nil || n < 0 || n > 16 {
			return fmt.Errorf("result %s: %q is no number of a parameter", res.On, w[0])
		}
		res.Arg, w = n, w[1:]
		return nil
	}
	switch res.On {
	case "return", "promise", "value":
	case "callback", "listener":
		if err := number(); err != nil {
			return err
		}
	case "event":
		if len(w) == 0 {
			return fmt.Errorf("result event: want its name")
		}
		res.Event, w = w[0], w[1:]
		if err := number(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown result %q", res.On)
	}
	if len(w) > 0 && w[len(w)-1] == "source" {
		res.Source, w = true, w[:len(w)-1]
	}
	if len(w) > 0 {
		if w[0] != "-" {
			res.Type = w[0]
		}
		w = w[1:]
	}
	if len(w) > 0 {
		return fmt.Errorf("result %s: do not know %q", res.On, w[0])
	}
	if res.On == "value" {
		r.values = append(r.values, res)
	} else {
		r.api.Results = append(r.api.Results, res)
	}
	return nil
}

var vias = []callseq.Via{callseq.Copy, callseq.Decode, callseq.Encode, callseq.Encrypt, callseq.Decrypt, callseq.File, callseq.Env, callseq.Argv, callseq.IPC}

func (r *reader) flow(w []string) error {
	if len(w) < 2 || len(w) > 3 {
		return fmt.Errorf("flow: want from, to and how, not %q", strings.Join(w, " "))
	}
	f := FlowRule{From: w[0], To: w[1], Via: callseq.Copy}
	if len(w) > 2 {
		f.Via = callseq.Via(w[2])
	}
	if !slices.Contains(vias, f.Via) {
		return fmt.Errorf("flow: unknown way %q", f.Via)
	}
	to := strings.TrimPrefix(f.To, "file:")
	if !validPath(f.From) || !validPath(to) && !slices.Contains([]string{"return", "promise", "callback"}, f.To) {
		return fmt.Errorf("flow: cannot go from %s to %s", f.From, f.To)
	}
	r.api.Flows = append(r.api.Flows, f)
	return nil
}

// validPath reports a path of an argument: a number or this, then names of fields.
func validPath(p string) bool {
	head, rest, more := strings.Cut(p, ".")
	if more && rest == "" {
		return false
	}
	if head == "this" {
		return true
	}
	n, err := strconv.Atoi(head)
	return err == nil && n >= -1 && n <= 16
}
