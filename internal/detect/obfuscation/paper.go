package obfuscation

import (
	"math"
	"strings"

	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/report"
)

// longString is the length from which a string counts as long, bytes. The paper does not say its own.
const longString = 200

// keywords of the paper's last twelve features, in its order.
var keywords = []string{"if", "else", "while", "for", "switch", "case", "default", "continue", "break", "true", "false", "function"}

// Paper computes the paper's 25 features of a source text, OF1 to OF25 in its order (its section on the obfuscated code detector; the
// numbering is that of a later summary). Compression is what a minifier does to the layout: comments and needless blanks are dropped.
// Ratios are compressed to original; counts are absolute; lengths are in bytes; entropy is in bits a character.
func Paper(src string) []report.Feature {
	var c paperCounts
	c.identifiers = map[byte]int{}
	c.keywords = map[string]int{}
	lines := 1 + strings.Count(src, "\n")
	word := false // the last token kept was a word or number: a blank must stay before the next
	js.Scan(src, func(t js.Token) bool {
		c.add(t, &word)
		return true
	})
	ratio := func(a, b int) float64 { return float64(a) / float64(max(b, 1)) }
	out := []report.Feature{
		{Name: "OF1 line compression ratio", Value: ratio(1, lines)},
		{Name: "OF2 space compression ratio", Value: ratio(c.compressed, len(src))},
		{Name: "OF3 prototype calls", Value: float64(c.prototypes)},
		{Name: "OF4 string functions", Value: float64(c.stringFunctions)},
		{Name: "OF5 encoding functions", Value: float64(c.encodingFunctions)},
		{Name: "OF6 special symbols", Value: float64(strings.Count(src, "%") + strings.Count(src, "$"))},
		{Name: "OF7 white space", Value: float64(c.blanks)},
		{Name: "OF8 special numbers", Value: float64(c.specialNumbers)},
		{Name: "OF9 mean identifier length", Value: ratio(c.identifierBytes, c.names)},
		{Name: "OF10 identifier entropy", Value: entropy(c.identifiers, c.identifierBytes)},
		{Name: "OF11 longest string", Value: float64(c.longest)},
		{Name: "OF12 long strings", Value: float64(c.long)},
		{Name: "OF13 lines", Value: float64(lines)},
	}
	for i, k := range keywords {
		out = append(out, report.Feature{Name: ofName(14+i) + " " + k, Value: float64(c.keywords[k])})
	}
	for i := range out {
		out[i].Value = round(out[i].Value)
	}
	weigh(out, c.tokens)
	return out
}

// PaperNames are the names of the paper's features, in its order.
func PaperNames() []string {
	var out []string
	for _, f := range Paper("") {
		out = append(out, f.Name)
	}
	return out
}

func ofName(n int) string { return "OF" + string(rune('0'+n/10)) + string(rune('0'+n%10)) }

type paperCounts struct {
	tokens, compressed, blanks                                     int
	prototypes, stringFunctions, encodingFunctions, specialNumbers int
	names, identifierBytes, longest, long                          int
	identifiers                                                    map[byte]int // bytes of identifiers
	keywords                                                       map[string]int
}

func (c *paperCounts) add(t js.Token, word *bool) {
	switch t.Kind {
	case js.Space, js.Newline:
		c.blanks += len(t.Text)
		return
	case js.Comment:
		return
	}
	c.tokens++
	c.compressed += len(t.Text)
	isWord := t.Kind == js.Word || t.Kind == js.Number
	if isWord && *word {
		c.compressed++
	}
	*word = isWord
	switch t.Kind {
	case js.Word:
		c.word(t.Text)
	case js.Number:
		if len(t.Text) > 1 && (t.Text[1] == 'x' || t.Text[1] == 'X') {
			c.specialNumbers++
		}
	case js.String, js.TemplatePart:
		c.longest = max(c.longest, len(t.Text))
		if len(t.Text) >= longString {
			c.long++
		}
		c.specialNumbers += strings.Count(t.Text, `\x`) + strings.Count(t.Text, `\u`)
	}
}

func (c *paperCounts) word(w string) {
	for _, k := range keywords {
		if w == k {
			c.keywords[k]++
			return
		}
	}
	switch w {
	case "prototype", "__proto__", "setPrototypeOf", "getPrototypeOf":
		c.prototypes++
	case "substring", "substr", "charAt", "charCodeAt", "fromCharCode", "slice", "split", "replace", "concat", "indexOf":
		c.stringFunctions++
	case "escape", "unescape", "encodeURI", "encodeURIComponent", "decodeURI", "decodeURIComponent", "String", "atob", "btoa":
		c.encodingFunctions++
	}
	c.names++
	c.identifierBytes += len(w)
	for i := 0; i < len(w); i++ {
		c.identifiers[w[i]]++
	}
}

func entropy(counts map[byte]int, total int) float64 {
	h := 0.0
	for b := 0; b < 256; b++ { // in order, so that the sum is the same every time
		if n := counts[byte(b)]; n > 0 {
			p := float64(n) / float64(total)
			h -= p * math.Log2(p)
		}
	}
	return h
}

// weigh sets what each feature adds to a linear score between 0 and 1: the weights stand for the paper's forest, of which neither
// model nor training data were published. Layout weighs nothing: minified code is not obfuscated.
func weigh(fs []report.Feature, tokens int) {
	n := float64(max(tokens, 1))
	clamp := func(x float64) float64 { return math.Max(0, math.Min(1, x)) }
	fs[3].Added = round(0.1 * clamp(fs[3].Value/n*50))     // string functions, a share of tokens
	fs[4].Added = round(0.05 * clamp(fs[4].Value/n*100))   // encoding functions
	fs[7].Added = round(0.35 * clamp(fs[7].Value/n*10))    // special numbers
	fs[8].Added = round(0.1 * clamp((fs[8].Value-7)/4))    // long identifiers
	fs[9].Added = round(0.2 * clamp((fs[9].Value-4.5)/.7)) // letters of identifiers evenly spread
	fs[10].Added = round(0.1 * clamp(fs[10].Value/5000))   // one long string
	fs[11].Added = round(0.1 * clamp(fs[11].Value/n*100))  // many long strings
}

// PaperScore is the sum of what the paper's features add.
func PaperScore(fs []report.Feature) float64 {
	sum := 0.0
	for _, f := range fs {
		sum += f.Added
	}
	return round(sum)
}
