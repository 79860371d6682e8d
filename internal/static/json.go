package static

import (
	"encoding/json"
	"math/big"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
)

const maxJSONDepth = 200

// parseJSON reads JSON text into values.
func parseJSON(ev *evaluator, s string) (Value, bool) {
	if len(s) > maxString {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	v, ok := jsonValue(ev, d, 0)
	if !ok || d.More() {
		return nil, false
	}
	return v, true
}

func jsonValue(ev *evaluator, d *json.Decoder, depth int) (Value, bool) {
	ev.tick()
	t, err := d.Token()
	if err != nil || depth > maxJSONDepth {
		return nil, false
	}
	switch x := t.(type) {
	case nil:
		return null{}, true
	case bool:
		return x, true
	case string:
		return x, true
	case json.Number:
		f, err := strconv.ParseFloat(string(x), 64)
		return num(f), err == nil || f != 0
	case json.Delim:
		if x == '[' {
			var out []Value
			for d.More() {
				v, ok := jsonValue(ev, d, depth+1)
				if !ok {
					return nil, false
				}
				out = append(out, v)
			}
			_, err := d.Token()
			return ev.array(out), err == nil
		}
		o := ev.object()
		for d.More() {
			k, err := d.Token()
			key, isStr := k.(string)
			if err != nil || !isStr {
				return nil, false
			}
			v, ok := jsonValue(ev, d, depth+1)
			if !ok {
				return nil, false
			}
			o.put(key, v)
		}
		_, err := d.Token()
		return o, err == nil
	}
	return nil, false
}

// stringify writes a value as JSON, with holes for what is unknown.
func (ev *evaluator) stringify(v Value, replacer Value, indent string) (ps []part, ok bool) {
	budget := 20_000
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			ps = append(ps, part{lit: lit.String()})
			lit.Reset()
		}
	}
	var write func(v Value, depth int) bool
	write = func(v Value, depth int) bool {
		if budget--; budget < 0 || depth > 40 {
			flush()
			ps = append(ps, part{hole: unknown(callseq.String, deep(v))})
			return true
		}
		if o, isObj := v.(*Object); isObj && o.class != classProxy {
			if f, isFn := o.lookupData("toJSON").(*Object); isFn && f.fn != nil {
				v = ev.call(f, o, []Value{""})
			}
		}
		switch x := v.(type) {
		case nil, *Symbol:
			return false
		case null:
			lit.WriteString("null")
		case bool:
			lit.WriteString(strconv.FormatBool(x))
		case float64:
			if s := formatNumber(x); s == "NaN" || strings.HasSuffix(s, "Infinity") {
				lit.WriteString("null")
			} else {
				lit.WriteString(s)
			}
		case *big.Int:
			return false
		case string:
			lit.WriteString(quoteJSON(x))
		case *Abstract:
			if x.known != nil {
				if s, isStr := x.known.(string); isStr && len(x.flows) > 0 {
					lit.WriteByte('"')
					flush()
					q := quoteJSON(s)
					ps = append(ps, part{hole: &Abstract{known: q[1 : len(q)-1], kind: callseq.String, flows: x.flows}})
					lit.WriteByte('"')
					return true
				}
				return write(x.known, depth)
			}
			flush()
			fl := deep(x)
			if x.host && x.path == "process.env" {
				fl = fl.union(ev.wholeEnv())
			}
			ps = append(ps, part{hole: &Abstract{kind: callseq.String, flows: fl, path: x.path}})
		case *Object:
			if x.fn != nil {
				return false
			}
			if x.visiting {
				return true
			}
			switch x.class {
			case classBoxed:
				return write(x.data, depth)
			case classDate:
				flush()
				ps = append(ps, part{hole: &Abstract{kind: callseq.String, path: "Date"}})
				return true
			}
			x.visiting = true
			defer func() { x.visiting = false }()
			nl := ""
			if indent != "" {
				nl = "\n" + strings.Repeat(indent, depth+1)
			}
			end := ""
			if indent != "" {
				end = "\n" + strings.Repeat(indent, depth)
			}
			if x.class == classArray {
				lit.WriteByte('[')
				for i, e := range x.arr {
					if i > 0 {
						lit.WriteByte(',')
					}
					lit.WriteString(nl)
					if !write(val(e), depth+1) {
						lit.WriteString("null")
					}
				}
				if x.weak {
					flush()
					x.visiting = false
					ps = append(ps, part{hole: unknown(callseq.String, deep(x))})
					x.visiting = true
				}
				if len(x.arr) > 0 {
					lit.WriteString(end)
				}
				lit.WriteByte(']')
				return true
			}
			lit.WriteByte('{')
			n := 0
			for _, k := range x.keys() {
				if list, isList := replacer.(*Object); isList && list.class == classArray {
					found := false
					for _, e := range list.arr {
						if s, isStr := e.(string); isStr && s == k {
							found = true
						}
					}
					if !found {
						continue
					}
				}
				val := ev.get(x, k)
				if f, isFn := replacer.(*Object); isFn && f.fn != nil {
					val = ev.call(f, x, []Value{k, val})
				}
				if o, isObj := val.(*Object); val == nil || isObj && o.fn != nil {
					continue
				}
				if n > 0 {
					lit.WriteByte(',')
				}
				n++
				lit.WriteString(nl)
				lit.WriteString(quoteJSON(k))
				lit.WriteByte(':')
				if indent != "" {
					lit.WriteByte(' ')
				}
				if !write(val, depth+1) {
					lit.WriteString("null")
				}
			}
			if x.weak || len(x.flows) > 0 {
				flush()
				x.visiting = false
				fl := deep(x)
				x.visiting = true
				ps = append(ps, part{hole: unknown(callseq.String, fl)})
			}
			if n > 0 {
				lit.WriteString(end)
			}
			lit.WriteByte('}')
		}
		return true
	}
	if f, isFn := replacer.(*Object); isFn && f.fn != nil {
		v = ev.call(f, nil, []Value{"", v})
	}
	if !write(v, 0) {
		return nil, false
	}
	flush()
	return ps, true
}

func quoteJSON(s string) string {
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString("\\n")
		case c == '\r':
			b.WriteString("\\r")
		case c == '\t':
			b.WriteString("\\t")
		case c == '\b':
			b.WriteString("\\b")
		case c == '\f':
			b.WriteString("\\f")
		case c < 0x20:
			b.WriteString("\\u" + strconv.FormatInt(int64(c)+0x10000, 16)[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (ev *evaluator) setupJSON() {
	j := &Object{proto: ev.realm.object}
	ev.realm.vars["JSON"] = j
	ev.realm.names[j] = "JSON"
	ev.methods(j, map[string]nativeFunc{
		"parse": func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			s, ok := ev.toText(v)
			if raw, _, isBytes := rawBytes(v); isBytes {
				s, ok = decodeUTF8(raw), true
			}
			fl := deep(v)
			if !ok {
				return &Abstract{kind: callseq.Unknown, flows: fl, path: pathOf(v)}
			}
			out, ok := parseJSON(ev, s)
			if !ok {
				if len(fl) > 0 {
					return unknown(callseq.Unknown, fl)
				}
				ev.throw("SyntaxError", "Unexpected token in JSON")
			}
			if len(fl) > 0 {
				taintDeep(out, fl, 2000)
				out = taintAny(out, fl)
			}
			if f, isFn := argOr(args, 1).(*Object); isFn && f.fn != nil {
				ev.escape(f, fl)
			}
			return out
		},
		"stringify": func(ev *evaluator, _ Value, args []Value) Value {
			v := argOr(args, 0)
			indent := ""
			switch x := plain(argOr(args, 2)).(type) {
			case float64:
				indent = strings.Repeat(" ", min(max(toInt(x), 0), 10))
			case string:
				indent = x[:min(len(x), 10)]
			}
			fl := deep(v)
			if a, isA := v.(*Abstract); isA && a.host && a.path == "process.env" {
				fl = fl.union(ev.wholeEnv())
			}
			var id callseq.ID
			if len(fl) > 0 && ev.base.API("JSON.stringify") != nil {
				id = ev.record(callseq.KindCall, "JSON.stringify", nil, []Value{v})
			}
			ps, ok := ev.stringify(v, argOr(args, 1), indent)
			if !ok {
				return nil
			}
			out := ev.pieced(ps)
			if id != 0 {
				out = tainted(out, fl.via(callseq.Encode).union(flows{{From: id, Via: callseq.Copy}}))
			}
			return out
		},
	})
	j.putHidden("@@toStringTag", "JSON")
}

// taintDeep marks the primitives inside a fresh structure.
func taintDeep(v Value, fl flows, budget int) int {
	o, ok := v.(*Object)
	if !ok || budget <= 0 {
		return budget
	}
	o.flows = fl
	for i := range o.arr {
		o.arr[i] = taintAny(o.arr[i], fl)
		budget = taintDeep(o.arr[i], fl, budget-1)
	}
	for i := range o.props {
		o.props[i].val = taintAny(o.props[i].val, fl)
		budget = taintDeep(o.props[i].val, fl, budget-1)
	}
	return budget
}
