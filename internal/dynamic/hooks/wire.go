package hooks

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/donapi/donapi/internal/callseq"
)

// The wire format: one JSON object a line, ASCII, at most MaxLine bytes with its end. Every line has
//
//	p, w, n   the process, its thread (0 is the main one), and the number of the line within the thread, from 1 without gaps
//	k         the kind (LineKind)
//
// and, but for parts, t: microseconds of the machine's monotonic clock. An event too long for a line is split: its lines are of kind
// part, s holds a piece of its JSON, and more is true on all but the last.
//
// A value (Value) is a JSON string of fewer than 8 characters, number, boolean or null as such, and otherwise an object with one of
//
//	s  text        b  bytes, base64      l  list     o  fields as [name, value] pairs
//	u  undefined   f  a function         x  something else, by its text
//
// and with h its digest (Digest, of the UTF-8 of a text), n its whole size where it was cut, i the call that it came from.
type line struct {
	PID     int      `json:"p"`
	Thread  int      `json:"w"`
	Number  int      `json:"n"`
	Kind    LineKind `json:"k"`
	Micros  int64    `json:"t"`
	API     string   `json:"api"`
	ID      int      `json:"id"`
	Of      int      `json:"of"`
	On      string   `json:"on"`
	Recv    int      `json:"r"`
	Args    []Value  `json:"a"`
	Value   *Value   `json:"v"`
	At      []any    `json:"at"`
	Cause   int      `json:"c"`
	Count   int      `json:"x"`
	How     string   `json:"how"`
	Hash    string   `json:"h"`
	File    string   `json:"f"`
	Parent  int      `json:"pp"`
	Argv    []Value  `json:"argv"`
	Dir     string   `json:"dir"`
	Version string   `json:"version"`
	Cut     int      `json:"cut"`
	Piece   string   `json:"s"`
	More    bool     `json:"more"`
}

// LineKind says what a line tells.
type LineKind string

// Kinds of lines. The fields of Event that each has stand beside it.
const (
	LineStart  LineKind = "start"  // Parent, Argv, Dir, Version: a process or thread began to be watched
	LineEnd    LineKind = "end"    // Count: the exit status
	LineCall   LineKind = "call"   // API, ID, Recv, Args, Site, Cause, Count
	LineNew    LineKind = "new"    // as LineCall
	LineGet    LineKind = "get"    // API, ID, Args, Value, Site, Cause, Count
	LineSet    LineKind = "set"    // API, ID, Args, Site, Cause
	LineResult LineKind = "result" // Of, On (return, promise, callback, pid or an event's name), Value
	LineCode   LineKind = "code"   // How, Hash, Value (the text, the first time), Site, Cause, Count
	LineFault  LineKind = "fault"  // API: what of the hooks does not work here
	linePart   LineKind = "part"
)

// Limits of the reader. What crosses one is a Fault, never silence.
const (
	MaxLine    = 4096    // bytes of a line
	MaxEvent   = 1 << 20 // bytes of an event's lines together
	MaxThreads = 4096    // processes and threads together
	maxDepth   = 8       // nesting of values
	maxFields  = 256     // of one value
	maxArgs    = 64
)

// Thread names one thread of one process.
type Thread struct{ PID, Thread int }

// Event is what one line, or several that belong together, told. Which fields it has stands beside its kind.
type Event struct {
	Thread
	Kind    LineKind
	Number  int   // of its first line
	Micros  int64 // of the monotonic clock
	API     string
	ID      int // of the call, within the thread
	Of      int // for a result: the call
	On      string
	Recv    int // the call that gave the receiver
	Args    []Value
	Value   *Value
	Site    Site
	Cause   int // the call whose callback it runs in
	Count   int // how often it was done at this place, once repetition is folded
	How     string
	Hash    string // of made code, as Site.Code
	File    string // for code: the name that it gave itself
	Parent  int    // for start: the parent process
	Argv    []string
	Dir     string
	Version string
	Cut     bool // arguments were too long to be told
}

// Site is a place in the package's code. The zero value is unknown.
type Site struct {
	File string // as Node names it: a path or a file: URL; empty in made code
	Code string // the engine's hash of made code
	Line int
	Col  int
}

// Value is a value as a process told it.
type Value struct {
	Kind   callseq.ValueKind
	Text   string // of strings, numbers, booleans; bytes as they are
	Len    int    // whole size in bytes of a text that was cut, else 0
	Digest string // of texts of 8 characters and more
	Fields []Field
	More   bool // there were more fields
	Made   int  // the call of the same thread that it came from, or 0
}

// Field is a part of a list or object.
type Field struct {
	Name  string
	Value Value
}

// UnmarshalJSON reads the wire form.
func (v *Value) UnmarshalJSON(data []byte) error { return v.read(data, 0) }

func (v *Value) read(data []byte, depth int) error {
	if depth > maxDepth || len(data) == 0 {
		return errors.New("value nests too deeply")
	}
	switch data[0] {
	case '"':
		v.Kind = callseq.String
		return json.Unmarshal(data, &v.Text)
	case 't', 'f':
		v.Kind, v.Text = callseq.Bool, string(data)
		return nil
	case 'n':
		v.Kind = callseq.Null
		return nil
	case '{':
	default:
		v.Kind, v.Text = callseq.Number, string(data)
		return nil
	}
	var w struct {
		S *string            `json:"s"`
		B *string            `json:"b"`
		L *[]json.RawMessage `json:"l"`
		O *[]json.RawMessage `json:"o"`
		U int                `json:"u"`
		F int                `json:"f"`
		X *string            `json:"x"`
		N int                `json:"n"`
		H string             `json:"h"`
		I int                `json:"i"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	v.Digest, v.Made = w.H, w.I
	switch {
	case w.S != nil:
		v.Kind, v.Text, v.Len = callseq.String, *w.S, w.N
	case w.B != nil:
		b, err := base64.StdEncoding.DecodeString(*w.B)
		if err != nil {
			return fmt.Errorf("bytes: %w", err)
		}
		v.Kind, v.Text, v.Len = callseq.Bytes, string(b), w.N
	case w.L != nil:
		v.Kind, v.More = callseq.Array, w.N > 0 || len(*w.L) > maxFields
		for i, raw := range (*w.L)[:min(len(*w.L), maxFields)] {
			f := Field{Name: strconv.Itoa(i)}
			if err := f.Value.read(raw, depth+1); err != nil {
				return err
			}
			v.Fields = append(v.Fields, f)
		}
	case w.O != nil:
		v.Kind, v.More = callseq.Object, w.N > 0 || len(*w.O) > maxFields
		for _, raw := range (*w.O)[:min(len(*w.O), maxFields)] {
			var pair []json.RawMessage
			if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
				return errors.New("field is no pair")
			}
			var f Field
			if err := json.Unmarshal(pair[0], &f.Name); err != nil {
				return err
			}
			if err := f.Value.read(pair[1], depth+1); err != nil {
				return err
			}
			v.Fields = append(v.Fields, f)
		}
	case w.U != 0:
		v.Kind = callseq.Undefined
	case w.F != 0:
		v.Kind = callseq.Func
	case w.X != nil:
		v.Kind, v.Text = callseq.Unknown, *w.X
	default:
		return errors.New("value of no kind")
	}
	return nil
}

// digested is how many bytes of a text its digest covers; its length counts beside them.
const digested = 1 << 18

// Digest is the hash by which a text that comes out of one call is recognised when it goes into another. It is made to be fast in
// JavaScript, not to resist: who makes two texts collide invents a flow in his own package.
func Digest(b []byte) string {
	a, c := uint32(0x9e3779b9), uint32(0x85ebca6b)
	for _, x := range b[:min(len(b), digested)] {
		a = (a ^ uint32(x)) * 0x01000193
		c = (c^uint32(x))*0x5bd1e995 ^ c>>15
	}
	return fmt.Sprintf("%08x%08x", a^uint32(len(b)), c)
}
