package behavior

import (
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

// Types is the set of behaviour types and subtypes of a call, sorted: those the witness gave, those of the API's stanza whose
// conditions hold, and for each of them that takes one a subtype by the class of the path or variable that the call names.
// The trace is asked for the call that opened a file when only its handle is at hand; it may be nil.
func (b *Base) Types(t *callseq.Trace, c *callseq.Call) []string {
	out := slices.Clone(c.Types)
	a := b.API(c.API)
	switch {
	case c.Kind == callseq.KindSource:
		if name, ok := strings.CutPrefix(c.API, "$"); ok {
			out = append(out, "SOURCE_"+strings.ToUpper(name))
		}
	case a == nil:
		if c.Kind == callseq.KindSet && strings.Contains(c.API, ".") { // a member of something outside the package is replaced
			out = append(out, "API_HOOK")
		}
	default:
		written := c.Kind == callseq.KindSet && a.Kind != callseq.KindSet
		for i := range a.Types {
			r := &a.Types[i]
			if written != r.onWrite() || !b.holds(r.When, c) {
				continue
			}
			out = append(out, r.Type)
			if byPath[r.Type] {
				for _, class := range b.pathClasses(t, c, a, r.Of) {
					out = append(out, r.Type+"_"+class)
				}
			}
		}
		if written && a.Kind != callseq.KindGet && len(c.Args) > 0 && c.Args[0].Kind == callseq.Func { // a function gives way to the package's own
			out = append(out, "API_HOOK")
		}
		if p := a.Role("variable"); p != "" && !written {
			out = append(out, b.variableTypes(c.ArgAt(p))...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// byPath are the types that take the class of a path as their subtype.
var byPath = map[string]bool{"FILE_READ": true, "FILE_CREATE": true, "FILE_MODIFY": true, "FILE_DELETE": true, "FILE_PROBE": true, "FILE_PERMISSION": true, "FILE_LINK": true}

// onWrite reports that the rule is about writing a property that is otherwise read, as process.env.NAME = x.
func (r *TypeRule) onWrite() bool {
	return len(r.When) > 0 && r.When[0].Op == "written"
}

// pathClasses are the classes of the paths that a call names itself, and of the files behind the handles it is given.
func (b *Base) pathClasses(t *callseq.Trace, c *callseq.Call, a *API, of string) []string {
	var out []string
	for _, r := range a.Args {
		if of != "" && r.Path != of {
			continue
		}
		switch r.Role {
		case "path", "path2", "file":
			if v := c.ArgAt(r.Path); v != nil {
				out = append(out, b.classesOf(v)...)
			}
		case "handle":
			if v := c.ArgAt(r.Path); v != nil && t != nil {
				out = append(out, b.openedClasses(t, v)...)
			}
		}
	}
	return out
}

// classesOf are the classes of a path and of its alternatives.
func (b *Base) classesOf(v *callseq.Value) []string {
	out := b.PathClass(PathText(v))
	for i := range v.Alts {
		out = append(out, b.PathClass(PathText(&v.Alts[i]))...)
	}
	return out
}

// openedClasses are the classes of the paths of the calls that opened a handle.
func (b *Base) openedClasses(t *callseq.Trace, v *callseq.Value) []string {
	var out []string
	for _, f := range v.AllFlows() {
		maker := t.Lookup(f.From)
		if maker == nil {
			continue
		}
		a := b.API(maker.API)
		if a == nil || !slices.ContainsFunc(a.Results, func(r Result) bool { return strings.HasPrefix(r.Type, "fs.") }) {
			continue
		}
		if p := a.Role("path"); p != "" {
			if v := maker.ArgAt(p); v != nil {
				out = append(out, b.classesOf(v)...)
			}
		}
	}
	return out
}

// variableTypes are the types of reading an environment variable of a name, or all of them.
func (b *Base) variableTypes(name *callseq.Value) []string {
	if name == nil {
		return []string{"ENV_ALL"}
	}
	var out []string
	for _, v := range append([]callseq.Value{*name}, name.Alts...) {
		if v.Kind != callseq.String || len(v.Parts) > 0 {
			continue
		}
		if class := b.EnvClass(v.Text); class != "" && !b.env.quiet[class] {
			out = append(out, "ENV_"+strings.ToUpper(class))
		}
	}
	return out
}

// holds reports that all conditions hold for a call.
func (b *Base) holds(when []Condition, c *callseq.Call) bool {
	for i := range when {
		if !b.condition(&when[i], c) {
			return false
		}
	}
	return true
}

func (b *Base) condition(w *Condition, c *callseq.Call) bool {
	if w.Op == "written" {
		return true
	}
	v := c.ArgAt(w.Path)
	missing := v == nil || v.Kind == callseq.Undefined || v.Kind == callseq.Func && w.Op != "function"
	switch w.Op {
	case "absent":
		return missing
	case "present":
		return !missing
	case "not":
		return missing || !anyAlternative(v, func(v *callseq.Value) bool { return is(v, w.Value) })
	case "opens":
		return opens(v, missing, w.Value)
	}
	if missing {
		return false
	}
	return anyAlternative(v, func(v *callseq.Value) bool {
		switch w.Op {
		case "is":
			return is(v, w.Value)
		case "has":
			return strings.Contains(strings.ToLower(v.Pattern("*")), strings.ToLower(w.Value))
		case "base":
			return isOneOf(programName(v.Pattern("*")), w.Value)
		case "kind":
			return isOneOf(string(v.Kind), w.Value)
		case "over":
			n, err := strconv.ParseFloat(v.Text, 64)
			limit, _ := strconv.ParseFloat(w.Value, 64)
			return err == nil && n > limit
		case "host":
			return isOneOf(b.HostClass(v.Pattern("\u2026")), w.Value)
		case "path":
			return slices.ContainsFunc(b.PathClass(PathText(v)), func(class string) bool { return isOneOf(class, w.Value) })
		case "function":
			return v.Kind == callseq.Func
		}
		return false
	})
}

// anyAlternative reports that f holds for the value or for one that it may have instead.
func anyAlternative(v *callseq.Value, f func(*callseq.Value) bool) bool {
	if len(v.Alts) == 0 {
		return f(v)
	}
	for i := range v.Alts {
		if f(&v.Alts[i]) {
			return true
		}
	}
	return v.Kind != callseq.Unknown && f(v)
}

func is(v *callseq.Value, want string) bool {
	return len(v.Parts) == 0 && v.Kind != callseq.Unknown && isOneOf(v.Text, want)
}

// isOneOf compares without case against one value or several, separated by |.
func isOneOf(s, want string) bool {
	for {
		w, rest, more := strings.Cut(want, "|")
		if strings.EqualFold(s, w) {
			return true
		}
		if !more {
			return false
		}
		want = rest
	}
}

// programName is the name of a program without its folder and .exe.
func programName(s string) string {
	s = strings.TrimSpace(s)
	s = s[strings.LastIndexAny(s, `/\`)+1:]
	if n := len(s) - 4; n > 0 && strings.EqualFold(s[n:], ".exe") {
		s = s[:n]
	}
	return s
}

// The bits of open's flags on Linux, as fs.constants has them. macOS differs above the first two; the numbers seen in code are
// almost always these names' own values on the machine of the witness.
const (
	openWriteOnly = 1
	openReadWrite = 2
	openCreate    = 0x40
	openTruncate  = 0x200
	openAppend    = 0x400
)

// opens reports that opening a file with the given flags means to read, create or modify it. Unknown flags may mean any of them.
func opens(v *callseq.Value, missing bool, what string) bool {
	if missing || v.Kind == callseq.Null || v.Kind == callseq.Object {
		return what == "read"
	}
	if _, known := v.Known(); !known {
		return !anyKnown(v) || slices.ContainsFunc(v.Alts, func(a callseq.Value) bool {
			_, known := a.Known()
			return known && opens(&a, false, what)
		})
	}
	if v.Kind == callseq.Number {
		n, _ := strconv.Atoi(v.Text)
		switch what {
		case "read":
			return n&openWriteOnly == 0
		case "create":
			return n&(openCreate|openTruncate) != 0 && n&openAppend == 0
		}
		return n&openAppend != 0 || n&(openWriteOnly|openReadWrite) != 0 && n&(openCreate|openTruncate) == 0
	}
	switch what {
	case "read":
		return strings.ContainsAny(v.Text, "r+")
	case "create":
		return strings.Contains(v.Text, "w")
	}
	return strings.Contains(v.Text, "a") || strings.Contains(v.Text, "r+")
}

// anyKnown reports that a value or one of its alternatives is known.
func anyKnown(v *callseq.Value) bool {
	return len(v.Alts) > 0 && slices.ContainsFunc(v.Alts, func(a callseq.Value) bool { _, ok := a.Known(); return ok })
}
