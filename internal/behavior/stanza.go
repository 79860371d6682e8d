package behavior

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// parseStanzas reads one file of knowledge/apis. The format is described in knowledge/apis/README.md.
func parseStanzas(file string, data []byte) ([]*API, error) {
	var out []*API
	var names []string
	var body []string
	start := 0
	flush := func() error {
		if names == nil {
			return nil
		}
		for _, n := range names {
			forms, err := stanza(n, body)
			if err != nil {
				return fmt.Errorf("%s:%d: %s: %w", file, start, n, err)
			}
			out = append(out, forms...)
		}
		names, body = nil, nil
		return nil
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if i := strings.Index(line, " # "); i >= 0 {
			line = line[:i]
		}
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "" || trimmed[0] == '#':
		case line[0] == ' ' || line[0] == '\t':
			if names == nil {
				return nil, fmt.Errorf("%s:%d: a property before any name", file, n)
			}
			body = append(body, trimmed)
		default:
			if len(body) > 0 || names == nil {
				if err := flush(); err != nil {
					return nil, err
				}
				start = n
			}
			names = append(names, strings.Fields(trimmed)...)
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return out, sc.Err()
}

// form is one of the shapes that a name ending in * stands for: how its value surfaces.
type form struct{ name, on string }

func forms(name string) []form {
	base, ok := strings.CutSuffix(name, "*")
	if !ok {
		return []form{{name, ""}}
	}
	mod, fn, _ := strings.Cut(base, ".")
	switch mod {
	case "fs":
		return []form{{base, "callback 1"}, {base + "Sync", "return"}, {"fs.promises." + fn, "promise"}}
	case "dns":
		return []form{{base, "callback 1"}, {"dns.promises." + fn, "promise"}}
	}
	return []form{{base, "callback 1"}, {base + "Sync", "return"}}
}

func stanza(name string, body []string) ([]*API, error) {
	var out []*API
	for _, f := range forms(name) {
		a := &API{Name: f.name, Kind: callseq.KindCall}
		for _, line := range body {
			key, rest, _ := strings.Cut(line, " ")
			if err := a.property(key, strings.TrimSpace(rest), f.on); err != nil {
				return nil, err
			}
		}
		out = append(out, a)
	}
	return out, nil
}

func (a *API) property(key, rest, on string) error {
	w := strings.Fields(rest)
	switch key {
	case "kind":
		switch k := callseq.Kind(rest); k {
		case callseq.KindCall, callseq.KindNew, callseq.KindGet, callseq.KindSet:
			a.Kind = k
		default:
			return fmt.Errorf("unknown kind %q", rest)
		}
	case "type":
		if len(w) == 0 {
			return fmt.Errorf("type without a name")
		}
		t := TypeRule{Type: w[0]}
		if len(w) > 1 {
			if w[1] != "when" {
				return fmt.Errorf("type %s: want when, not %q", w[0], w[1])
			}
			for _, c := range strings.Split(strings.Join(w[2:], " "), " and ") {
				f := strings.Fields(c)
				if len(f) < 2 {
					return fmt.Errorf("type %s: condition %q is too short", w[0], c)
				}
				switch f[1] {
				case "is", "not", "has", "absent", "present":
				default:
					return fmt.Errorf("type %s: unknown operator %q", w[0], f[1])
				}
				t.When = append(t.When, Condition{Path: f[0], Op: f[1], Value: strings.Join(f[2:], " ")})
			}
		}
		a.Types = append(a.Types, t)
	case "arg":
		if len(w) != 2 {
			return fmt.Errorf("arg: want a path and a role, not %q", rest)
		}
		a.Args = append(a.Args, ArgRole{w[0], w[1]})
	case "result":
		return a.result(w, on)
	case "flow":
		if len(w) < 2 {
			return fmt.Errorf("flow: want from and to, not %q", rest)
		}
		f := FlowRule{From: w[0], To: w[1], Via: callseq.Copy}
		if len(w) > 2 {
			f.Via = callseq.Via(w[2])
		}
		a.Flows = append(a.Flows, f)
	case "spell":
		a.Spell = append(a.Spell, w...)
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

func (a *API) result(w []string, on string) error {
	if len(w) == 0 {
		return fmt.Errorf("result: empty")
	}
	r := Result{On: w[0]}
	w = w[1:]
	number := func() error {
		if len(w) == 0 {
			return fmt.Errorf("result %s: want a number", r.On)
		}
		n, err := strconv.Atoi(w[0])
		if err != nil {
			return fmt.Errorf("result %s: %w", r.On, err)
		}
		r.Arg, w = n, w[1:]
		return nil
	}
	switch r.On {
	case "value":
		if on == "" {
			return fmt.Errorf("result value: only for names that end in *")
		}
		kind, n, _ := strings.Cut(on, " ")
		r.On = kind
		r.Arg, _ = strconv.Atoi(n)
	case "callback", "listener":
		if err := number(); err != nil {
			return err
		}
	case "event":
		if len(w) == 0 {
			return fmt.Errorf("result event: want a name")
		}
		r.Event, w = w[0], w[1:]
		if err := number(); err != nil {
			return err
		}
	case "return", "promise":
	default:
		return fmt.Errorf("unknown result %q", r.On)
	}
	for _, x := range w {
		if x == "source" {
			r.Source = true
		} else if x != "-" {
			r.Type = x
		}
	}
	// The forms of one name share their lines: what only the callback form has does not surface in the others.
	if on == "return" && r.On == "callback" || on == "callback 1" && r.On == "return" && r.Source || on == "promise" && r.On != "promise" {
		return nil
	}
	a.Results = append(a.Results, r)
	return nil
}
