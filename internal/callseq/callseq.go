// Package callseq is the common currency of donapi: what a package does, as ordered API calls with arguments and with where
// each value came from. The abstract evaluator (static), the sandbox (dynamic) and the shell reader (shell) all yield a Trace;
// the knowledge base matches Traces and nothing else. The package knows no witness and no rule.
//
// A Trace is data: it has no behaviour beyond lookup, prints to JSON, and holds calls in the order in which they happened or,
// for the evaluator, in which they could first happen.
package callseq

import "strings"

// ID names one call within one Trace. Zero means none; the first call has ID 1 and Calls[i].ID == i+1.
type ID int32

// Kind says what was done with the API.
type Kind string

const (
	KindCall   Kind = "call"   // a function was called
	KindNew    Kind = "new"    // a constructor was called
	KindGet    Kind = "get"    // a property with meaning was read, as process.env.HOME
	KindSet    Kind = "set"    // a property of a builtin or of another module was written
	KindSource Kind = "source" // a value came into being outside the package: a marked parameter, an own asset, a planted token
	KindCode   Kind = "code"   // a decoded layer began to run; Args[0] is its text
)

// Origin is the witness.
type Origin string

const (
	Static  Origin = "static"
	Dynamic Origin = "dynamic"
	Shell   Origin = "shell"
)

// Phase says when in the life of a package a call happens.
type Phase string

const (
	PhaseInstall Phase = "install" // lifecycle scripts, binding.gyp
	PhaseImport  Phase = "import"  // require or import of an entry
	PhaseBin     Phase = "bin"     // a command of the package, run by its user
	PhaseCall    Phase = "call"    // an export called by the host program
	PhaseBrowser Phase = "browser" // loaded in a page
	PhaseUnused  Phase = "unused"  // in a file no entry reaches
)

// Phases lists every phase, the most telling first.
var Phases = []Phase{PhaseInstall, PhaseImport, PhaseBrowser, PhaseBin, PhaseCall, PhaseUnused}

// Trace is everything one witness saw of one package.
type Trace struct {
	Calls  []Call  `json:"calls"`
	Procs  []Proc  `json:"procs,omitempty"`
	Layers []Layer `json:"layers,omitempty"`
}

// Proc is one process of a trace. ID 0 is the first; Parent is -1 for it.
type Proc struct {
	ID     int      `json:"id"`
	Parent int      `json:"parent"`
	Argv   []string `json:"argv,omitempty"`
}

// Layer is one source text that ran: a file of the package (Parent -1) or code made at run time from another layer.
type Layer struct {
	ID     int    `json:"id"`
	Parent int    `json:"parent"`         // layer that made this one, -1 for a file
	File   string `json:"file"`           // path within the package; for made code the file that made it
	How    string `json:"how,omitempty"`  // eval, Function, vm, timer, module, shell, script:NAME, stdin
	Lang   string `json:"lang,omitempty"` // js, sh, cmd, powershell, python; empty means js
	By     ID     `json:"by,omitempty"`   // the call that made it
	Text   string `json:"text,omitempty"` // made code, at most MaxLayerText bytes; empty for files
}

// MaxLayerText bounds Layer.Text, in bytes.
const MaxLayerText = 64 << 10

// Pos is a place in a layer. Line and Col count from 1; zero means unknown. Offset counts bytes.
type Pos struct {
	Layer  int `json:"layer"`
	Offset int `json:"offset,omitempty"`
	Line   int `json:"line,omitempty"`
	Col    int `json:"col,omitempty"`
}

// Call is one API call.
type Call struct {
	ID     ID       `json:"id"`
	Kind   Kind     `json:"kind"`
	API    string   `json:"api"`            // canonical name in knowledge/apis, as fs.readFileSync, http.ClientRequest.write, $shell.curl
	Recv   *Value   `json:"recv,omitempty"` // receiver, when the API is a method of an instance; its Flows name the call that made it
	Args   []Value  `json:"args,omitempty"`
	Guards []Guard  `json:"guards,omitempty"` // conditions it stands under, outermost first
	Cause  ID       `json:"cause,omitempty"`  // the call whose callback, process, code or timer this runs in
	Origin Origin   `json:"origin"`
	Phase  Phase    `json:"phase"`
	Entry  string   `json:"entry,omitempty"` // the entry it was reached from: scripts.postinstall, main, exports./x, bin.NAME
	Proc   int      `json:"proc,omitempty"`
	Pos    Pos      `json:"pos"`
	Depth  int      `json:"depth,omitempty"` // nesting inside other recorded calls; 0 is the package's own
	Count  int      `json:"count,omitempty"` // how often it repeated with equal arguments, when more than once
	At     int64    `json:"at,omitempty"`    // nanoseconds since the start of the run, dynamic only
	Types  []string `json:"types,omitempty"` // behaviour types known to the witness itself, beside those of knowledge/apis
}

// Guard is one branch condition. The calls of the two branches of one condition share Cond and differ in Taken.
type Guard struct {
	Cond  int    `json:"cond"`            // number of the condition within the trace
	Taken bool   `json:"taken"`           // the branch the call stands in
	Text  string `json:"text,omitempty"`  // source of the condition, shortened
	Reads []ID   `json:"reads,omitempty"` // calls whose results decide it
}

// ValueKind is the type of a value, as far as known.
type ValueKind string

const (
	Unknown   ValueKind = "unknown"
	Undefined ValueKind = "undefined"
	Null      ValueKind = "null"
	Bool      ValueKind = "boolean"
	Number    ValueKind = "number"
	String    ValueKind = "string"
	Bytes     ValueKind = "bytes"
	Array     ValueKind = "array"
	Object    ValueKind = "object"
	Func      ValueKind = "function"
)

// Value is what is known of one value. Strings may be known in part: Parts alternates literals and holes.
type Value struct {
	Kind      ValueKind `json:"kind"`
	Text      string    `json:"text,omitempty"`      // the whole text of a known string, number or boolean; bytes as latin-1 text
	Parts     []Part    `json:"parts,omitempty"`     // of a partly known string
	Fields    []Field   `json:"fields,omitempty"`    // of an object, sorted by name; of an array, by index
	Alts      []Value   `json:"alts,omitempty"`      // other values it may have, at most MaxAlts
	Flows     []Flow    `json:"flows,omitempty"`     // calls this value itself derives from, sorted by From, then Via
	Source    string    `json:"source,omitempty"`    // an unknown's access path, as process.env.HOME
	Truncated bool      `json:"truncated,omitempty"` // something was cut: text, fields, alternatives
	Len       int       `json:"len,omitempty"`       // length of the text before cutting, bytes
}

// MaxAlts bounds Value.Alts, MaxText bounds Value.Text (bytes), MaxFields bounds Value.Fields, MaxDepth their nesting.
const (
	MaxAlts   = 8
	MaxText   = 4 << 10
	MaxFields = 64
	MaxDepth  = 4
)

// Part is a literal piece of a partly known string, or a hole with its own flows.
type Part struct {
	Lit    string `json:"lit,omitempty"`
	Hole   bool   `json:"hole,omitempty"`
	Source string `json:"source,omitempty"`
	Flows  []Flow `json:"flows,omitempty"`
}

// Field is a named part of an object or array.
type Field struct {
	Name  string `json:"name"`
	Value Value  `json:"value"`
}

// Via says what happened to a value on its way.
type Via string

const (
	Copy    Via = "copy"
	Decode  Via = "decode"  // base64, hex, inflate, XOR, char codes
	Encode  Via = "encode"  // base64, hex, deflate, JSON
	Encrypt Via = "encrypt" // cipher, hash
	Decrypt Via = "decrypt"
	File    Via = "file" // written to a file and read again, or the file itself
	Env     Via = "env"
	Argv    Via = "argv"
	IPC     Via = "ipc"
	Token   Via = "token" // a planted token was found in it
)

// Flow says that a value derives from the result of the call From. May is set when only on some path.
type Flow struct {
	From ID   `json:"from"`
	Via  Via  `json:"via"`
	May  bool `json:"may,omitempty"`
}

// Lookup returns the call with the given ID, or nil.
func (t *Trace) Lookup(id ID) *Call {
	if id < 1 || int(id) > len(t.Calls) {
		return nil
	}
	return &t.Calls[id-1]
}

// File returns the package file in which a position lies, following made layers to the file that made them.
func (t *Trace) File(p Pos) string {
	for l, n := p.Layer, 0; l >= 0 && l < len(t.Layers) && n < 64; n++ {
		if t.Layers[l].Parent < 0 {
			return t.Layers[l].File
		}
		l = t.Layers[l].Parent
	}
	return ""
}

// FilePos returns the file position at which the code holding p stands: p itself in a file, else where its outermost layer was made.
func (t *Trace) FilePos(p Pos) Pos {
	for n := 0; n < 64; n++ {
		if p.Layer < 0 || p.Layer >= len(t.Layers) || t.Layers[p.Layer].Parent < 0 {
			return p
		}
		by := t.Lookup(t.Layers[p.Layer].By)
		if by == nil || by.Pos == p {
			return Pos{Layer: t.Layers[p.Layer].Parent}
		}
		p = by.Pos
	}
	return p
}

// Walk calls f for the value and everything inside it: fields, alternatives. It stops when f returns false.
func (v *Value) Walk(f func(*Value) bool) bool {
	if !f(v) {
		return false
	}
	for i := range v.Fields {
		if !v.Fields[i].Value.Walk(f) {
			return false
		}
	}
	for i := range v.Alts {
		if !v.Alts[i].Walk(f) {
			return false
		}
	}
	return true
}

// AllFlows returns every flow into the value or a part of it, each call once for each Via, in order of first sight.
func (v *Value) AllFlows() []Flow {
	var out []Flow
	seen := map[Flow]bool{}
	add := func(fs []Flow) {
		for _, f := range fs {
			if !seen[f] {
				seen[f] = true
				out = append(out, f)
			}
		}
	}
	v.Walk(func(w *Value) bool {
		add(w.Flows)
		for _, p := range w.Parts {
			add(p.Flows)
		}
		return true
	})
	return out
}

// Field returns the named field of an object or array value, or nil.
func (v *Value) Field(name string) *Value {
	for i := range v.Fields {
		if v.Fields[i].Name == name {
			return &v.Fields[i].Value
		}
	}
	return nil
}

// ArgAt returns the value at a path: an argument index, then field names, separated by dots, as "0.headers.cookie". The index -1 is
// the last argument; "this" is the receiver.
func (c *Call) ArgAt(path string) *Value {
	head, rest, _ := strings.Cut(path, ".")
	v := c.Recv
	switch head {
	case "this":
	case "-1":
		if len(c.Args) == 0 {
			return nil
		}
		v = &c.Args[len(c.Args)-1]
	default:
		n := 0
		for _, r := range head {
			if r < '0' || r > '9' || n > 1000 {
				return nil
			}
			n = n*10 + int(r-'0')
		}
		if head == "" || n >= len(c.Args) {
			return nil
		}
		v = &c.Args[n]
	}
	for rest != "" && v != nil {
		head, rest, _ = strings.Cut(rest, ".")
		v = v.Field(head)
	}
	return v
}

// Known reports the whole text of a value that is entirely known.
func (v *Value) Known() (string, bool) {
	switch v.Kind {
	case String, Number, Bool, Bytes:
		return v.Text, len(v.Parts) == 0 && len(v.Alts) == 0 && !v.Truncated
	}
	return "", false
}

// Pattern returns the text with every hole replaced by the given placeholder, and what is known otherwise.
func (v *Value) Pattern(hole string) string {
	if len(v.Parts) == 0 {
		if v.Kind == Unknown || v.Kind == Object || v.Kind == Array || v.Kind == Func {
			return hole
		}
		return v.Text
	}
	var b strings.Builder
	for _, p := range v.Parts {
		if p.Hole {
			b.WriteString(hole)
		} else {
			b.WriteString(p.Lit)
		}
	}
	return b.String()
}

// Sequence is a view of a trace: the calls of one origin, phase and entry, in order.
type Sequence struct {
	Origin Origin `json:"origin"`
	Phase  Phase  `json:"phase"`
	Entry  string `json:"entry"`
	Calls  []ID   `json:"calls"`
}

// Sequences splits the trace by origin, phase and entry, in order of first appearance.
func (t *Trace) Sequences() []Sequence {
	type key struct {
		o Origin
		p Phase
		e string
	}
	at := map[key]int{}
	var out []Sequence
	for i := range t.Calls {
		c := &t.Calls[i]
		k := key{c.Origin, c.Phase, c.Entry}
		j, ok := at[k]
		if !ok {
			j = len(out)
			at[k] = j
			out = append(out, Sequence{Origin: c.Origin, Phase: c.Phase, Entry: c.Entry})
		}
		out[j].Calls = append(out[j].Calls, c.ID)
	}
	return out
}

// Append adds the calls, processes and layers of another witness after those of t, renumbering them, and returns the ID offset.
// A negative ID in o names a call of t, by its positive value.
func (t *Trace) Append(o *Trace) ID {
	off, loff, poff := ID(len(t.Calls)), len(t.Layers), len(t.Procs)
	id := func(i ID) ID {
		if i <= 0 {
			return -i
		}
		return i + off
	}
	cond := 0
	for i := range t.Calls {
		for _, g := range t.Calls[i].Guards {
			cond = max(cond, g.Cond+1)
		}
	}
	for _, p := range o.Procs {
		p.ID += poff
		if p.Parent >= 0 {
			p.Parent += poff
		}
		t.Procs = append(t.Procs, p)
	}
	for _, l := range o.Layers {
		l.ID += loff
		if l.Parent >= 0 {
			l.Parent += loff
		}
		l.By = id(l.By)
		t.Layers = append(t.Layers, l)
	}
	for _, c := range o.Calls {
		c.ID = id(c.ID)
		c.Cause = id(c.Cause)
		c.Pos.Layer += loff
		c.Proc += poff
		gs := make([]Guard, len(c.Guards))
		for i, g := range c.Guards {
			g.Cond += cond
			g.Reads = mapIDs(g.Reads, id)
			gs[i] = g
		}
		c.Guards = gs
		args := make([]Value, len(c.Args))
		for i := range c.Args {
			args[i] = c.Args[i].shift(id)
		}
		c.Args = args
		if c.Recv != nil {
			r := c.Recv.shift(id)
			c.Recv = &r
		}
		t.Calls = append(t.Calls, c)
	}
	return off
}

func mapIDs(in []ID, f func(ID) ID) []ID {
	if in == nil {
		return nil
	}
	out := make([]ID, len(in))
	for i, x := range in {
		out[i] = f(x)
	}
	return out
}

func shiftFlows(in []Flow, f func(ID) ID) []Flow {
	if in == nil {
		return nil
	}
	out := make([]Flow, len(in))
	for i, x := range in {
		x.From = f(x.From)
		out[i] = x
	}
	return out
}

func (v Value) shift(f func(ID) ID) Value {
	v.Flows = shiftFlows(v.Flows, f)
	if v.Parts != nil {
		ps := make([]Part, len(v.Parts))
		for i, p := range v.Parts {
			p.Flows = shiftFlows(p.Flows, f)
			ps[i] = p
		}
		v.Parts = ps
	}
	if v.Fields != nil {
		fs := make([]Field, len(v.Fields))
		for i, x := range v.Fields {
			fs[i] = Field{x.Name, x.Value.shift(f)}
		}
		v.Fields = fs
	}
	if v.Alts != nil {
		as := make([]Value, len(v.Alts))
		for i, x := range v.Alts {
			as[i] = x.shift(f)
		}
		v.Alts = as
	}
	return v
}
