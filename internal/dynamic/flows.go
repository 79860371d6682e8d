package dynamic

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/dynamic/hooks"
)

const (
	maxFlows   = 32     // of one value
	maxDigests = 50_000 // known at a time; later values have no flow by digest
	maxTexts   = 64     // that are looked for within other texts
	minText    = 12     // a shorter one stands in others by chance
	maxText    = 4096   // a longer one is known by its digest alone
)

// flows knows where values came from.
type flows struct {
	byDigest map[string][]callseq.Flow
	texts    []origin
}

// origin is a text that a call gave.
type origin struct {
	text  string
	flows []callseq.Flow
}

// produced notes that a value, and each of its parts, came from calls. A text that came before keeps where it came from first.
func (f *flows) produced(v hooks.Value, from []callseq.Flow) {
	if v.Digest != "" && len(f.byDigest) < maxDigests {
		if _, known := f.byDigest[v.Digest]; !known {
			f.byDigest[v.Digest] = from
			if len(f.texts) < maxTexts && len(v.Text) >= minText && len(v.Text) <= maxText && v.Len == 0 {
				f.texts = append(f.texts, origin{v.Text, from})
			}
		}
	}
	for _, p := range v.Fields {
		f.produced(p.Value, from)
	}
}

// value makes a value of the trace, with where it comes from.
func (f *flows) value(t *thread, v hooks.Value, depth int) callseq.Value {
	out := callseq.Value{Kind: v.Kind, Text: v.Text, Len: v.Len, Truncated: v.Len > 0 || v.More}
	var from []callseq.Flow
	if v.Digest != "" {
		from = append(from, f.byDigest[v.Digest]...)
	}
	if id := t.calls[v.Made]; id > 0 {
		from = append(from, callseq.Flow{From: id, Via: callseq.Copy})
	}
	for _, o := range f.texts {
		if len(o.text) < len(v.Text) && strings.Contains(v.Text, o.text) {
			from = append(from, o.flows...)
		}
	}
	if len(from) > 0 {
		out.Flows = tidy(slices.Clone(from))
	}
	if v.Kind == callseq.Bytes {
		out.Text = latin1(v.Text)
	}
	if len(out.Text) > callseq.MaxText {
		out.Len, out.Truncated = max(v.Len, len(v.Text)), true
		out.Text = strings.ToValidUTF8(out.Text[:callseq.MaxText], "")
	}
	for i, p := range v.Fields {
		if i >= callseq.MaxFields || depth >= callseq.MaxDepth {
			out.Truncated = true
			break
		}
		out.Fields = append(out.Fields, callseq.Field{Name: p.Name, Value: f.value(t, p.Value, depth+1)})
	}
	if v.Kind == callseq.Object {
		slices.SortStableFunc(out.Fields, func(a, b callseq.Field) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

// latin1 writes bytes as a text of as many characters.
func latin1(s string) string {
	var out strings.Builder
	for i := range len(s) {
		out.WriteRune(rune(s[i]))
	}
	return out.String()
}
