// Package cluster finds packages that share code, as the packages of one campaign do. A package becomes a set of marks: hashes of runs
// of normalised tokens, thinned by winnowing (Schleimer, Wilkerson, Aiken 2003), so that names, texts, numbers, comments and layout do
// not count and a shared stretch is found wherever it stands. Packages whose sets are alike enough are put together, and with them
// whatever is alike to those. Names of packages, files and people are not looked at.
package cluster

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/npm"
)

// Print is what is compared of one package. Marks are sorted and without doubles.
type Print struct {
	Name  string   `json:"name"`
	Marks []uint64 `json:"marks"`
}

// Of a run of so many tokens a mark is made; of so many marks in a row the least is kept. So every stretch of run+window-1 tokens that
// two packages share leaves a mark in common.
const (
	run     = 8
	window  = 4
	maxFile = 4 << 20 // bytes of a file
	maxMark = 100_000 // of a package
)

// Of makes the print of a package: of its code, its shell files, and the commands that it runs when installed.
func Of(a *artifact.Artifact) Print {
	p := Print{Name: a.Manifest.Name + "@" + a.Manifest.Version}
	seen := map[uint64]bool{}
	add := func(tokens []uint64) {
		for _, m := range marks(tokens) {
			if len(seen) < maxMark {
				seen[m] = true
			}
		}
	}
	for i := range a.Files {
		f := &a.Files[i]
		if len(f.Data) > maxFile {
			continue
		}
		switch kind(f.Path) {
		case code:
			add(codeTokens(string(f.Data)))
		case command:
			add(commandTokens(string(f.Data)))
		}
	}
	for _, n := range npm.LifecycleInstall {
		if c := a.Manifest.Script(n); c != "" {
			add(commandTokens(c))
		}
	}
	for m := range seen {
		p.Marks = append(p.Marks, m)
	}
	slices.Sort(p.Marks)
	return p
}

const (
	code = 1 + iota
	command
)

func kind(path string) int {
	if strings.Contains(path, "node_modules/") {
		return 0
	}
	dot := strings.LastIndexByte(path, '.')
	switch strings.ToLower(path[dot+1:]) {
	case "js", "cjs", "mjs", "jsx", "ts":
		if strings.HasSuffix(path, ".d.ts") {
			return 0
		}
		return code
	case "sh", "bash", "bat", "cmd", "ps1", "py":
		return command
	}
	return 0
}

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum64()
}

var keywords = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields("await async break case catch class const continue default delete do else export extends finally for from function if import in instanceof let new of return static super switch this throw try typeof var void while with yield null true false undefined require module exports process global globalThis window document Buffer eval Function JSON Object Array String Math Promise console fetch setTimeout setInterval") {
		m[w] = true
	}
	return m
}()

// codeTokens normalises JavaScript: names of one's own are one token, texts another, numbers a third. Members, keywords, what the
// platform gives and the modules that are asked for stay what they are. const, let and var are the same.
func codeTokens(src string) []uint64 {
	var out []uint64
	var before [2]string // the last two tokens
	js.Scan(src, func(t js.Token) bool {
		text := t.Text
		switch t.Kind {
		case js.Space, js.Newline, js.Comment:
			return true
		case js.Word:
			switch {
			case text == "let" || text == "const":
				text = "var"
			case before[1] == "." || before[1] == "?." || keywords[text]:
			default:
				text = "name"
			}
		case js.Number:
			text = "0"
		case js.String:
			if !(before[1] == "(" && before[0] == "require" || before[1] == "from" || before[1] == "import") {
				text = "text"
			} else {
				text = strings.Trim(text, `'"`)
			}
		case js.TemplatePart:
			text = "text"
		case js.Regex:
			text = "regex"
		case js.Punct:
			if text == ";" || text == "," { // differ by taste
				return true
			}
		}
		before[0], before[1] = before[1], text
		out = append(out, hash("js", text))
		return true
	})
	return out
}

// commandTokens normalises a command line or script: words of letters stay, addresses and everything with digits in it do not.
func commandTokens(src string) []uint64 {
	var out []uint64
	for _, w := range strings.FieldsFunc(src, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`(){}[]=,", r) }) {
		switch {
		case strings.Contains(w, "://") || strings.Count(w, ".") > 1:
			w = "address"
		case strings.ContainsAny(w, "0123456789"):
			w = "0"
		}
		out = append(out, hash("sh", w))
	}
	return out
}

// marks winnows the runs of a text. A text shorter than a run is one mark.
func marks(tokens []uint64) []uint64 {
	if len(tokens) == 0 {
		return nil
	}
	n := min(run, len(tokens))
	grams := make([]uint64, 0, len(tokens)-n+1)
	for i := 0; i+n <= len(tokens); i++ {
		var h uint64 = 14695981039346656037
		for _, t := range tokens[i : i+n] {
			h = (h ^ t) * 1099511628211
			h ^= h >> 29
		}
		grams = append(grams, h)
	}
	var out []uint64
	last := -1
	for i := 0; i < len(grams); i++ {
		end := min(i+window, len(grams))
		least := i
		for k := i; k < end; k++ {
			if grams[k] <= grams[least] {
				least = k
			}
		}
		if least != last {
			out = append(out, grams[least])
			last = least
		}
		if end == len(grams) {
			break
		}
	}
	return out
}

// Alike is the share of the marks of both that both packages must have to be put together.
const Alike = 0.5

// tooCommon is from how many packages on a mark says nothing: boilerplate of a bundler or compiler.
const tooCommon = 2000

// Group puts prints together. Each group lists places in prints, in order; groups are in the order of their first. A print without
// marks is alone; alike is from 0 to 1, as the constant Alike. The result does not depend on the order of the prints, but for the places.
func Group(prints []Print, alike float64) [][]int {
	with := map[uint64][]int32{}
	for i := range prints {
		for _, m := range prints[i].Marks {
			with[m] = append(with[m], int32(i))
		}
	}
	parent := make([]int, len(prints))
	for i := range parent {
		parent[i] = i
	}
	find := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	shared := make([]int, len(prints))
	for i := range prints {
		var touched []int
		for _, m := range prints[i].Marks {
			list := with[m]
			if len(list) > tooCommon {
				continue
			}
			for _, k := range list {
				if int(k) > i {
					if shared[k] == 0 {
						touched = append(touched, int(k))
					}
					shared[k]++
				}
			}
		}
		for _, k := range touched {
			if both := shared[k]; float64(both) >= alike*float64(len(prints[i].Marks)+len(prints[k].Marks)-both) {
				a, b := find(i), find(k)
				parent[max(a, b)] = min(a, b)
			}
			shared[k] = 0
		}
	}
	members := map[int][]int{}
	for i := range prints {
		members[find(i)] = append(members[find(i)], i)
	}
	out := make([][]int, 0, len(members))
	for _, m := range members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return out
}

// Agreement is how far two partitions agree, by pairs: of the pairs that the first puts together the second does so for Precision, of
// those of the second the first does so for Recall. The numbers behind them are pairs.
type Agreement struct {
	Both, First, Second int
}

// Precision is 1 when the first puts nothing together.
func (a Agreement) Precision() float64 { return share(a.Both, a.First) }

// Recall is 1 when the second puts nothing together.
func (a Agreement) Recall() float64 { return share(a.Both, a.Second) }

func share(n, of int) float64 {
	if of == 0 {
		return 1
	}
	return float64(n) / float64(of)
}

// Agree compares two partitions of the same things: the label of each in the first and in the second.
func Agree(first, second []string) Agreement {
	count := func(key func(i int) string) int {
		n := map[string]int{}
		sum := 0
		for i := range first {
			sum += n[key(i)]
			n[key(i)]++
		}
		return sum
	}
	return Agreement{
		Both:   count(func(i int) string { return first[i] + "\x00" + second[i] }),
		First:  count(func(i int) string { return first[i] }),
		Second: count(func(i int) string { return second[i] }),
	}
}
