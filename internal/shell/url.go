package shell

import (
	"math"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// URLFeatures are the paper's nine features of a URL, all but the last on the longest label of its host. They aim at hosts that
// catch requests out of band, whose labels are long, even and unreadable.
type URLFeatures struct {
	Host        string  // as written, lower case
	Label       string  // the longest label, the top-level domain left out
	Entropy     float64 // Shannon, bits a character
	Length      int
	Vowels      float64 // share of letters
	Consonants  float64 // share of letters
	Consecutive float64 // share of characters in runs of three or more consonants
	Repeated    float64 // share of characters that occur before in the label
	Digits      float64 // share of characters
	Gibberish   float64 // share of letter pairs that are rare in words: 0 readable, 1 not
	TLD         TLDType
}

// TLDType is the kind of a top-level domain.
type TLDType string

const (
	TLDNone    TLDType = "none"    // an address or a single name
	TLDGeneric TLDType = "generic" // com, org, net and their like
	TLDCountry TLDType = "country" // two letters
	TLDNew     TLDType = "new"     // opened after 2012: cheap, and over-represented in abuse
	TLDSpecial TLDType = "special" // reserved, as local or invalid
)

var oldTLDs = map[string]bool{"com": true, "org": true, "net": true, "edu": true, "gov": true, "mil": true, "int": true, "info": true, "biz": true, "name": true, "pro": true, "mobi": true, "asia": true, "jobs": true, "travel": true, "cat": true, "tel": true, "coop": true, "aero": true, "museum": true}

var specialTLDs = map[string]bool{"local": true, "localhost": true, "invalid": true, "example": true, "test": true, "internal": true, "onion": true, "arpa": true, "lan": true, "home": true}

// hostOf is the host of a URL or of a bare host name; unknown parts are written as *.
func hostOf(u string) string {
	if _, after, ok := strings.Cut(u, "://"); ok {
		u = after
	}
	if i := strings.IndexAny(u, "/?#"); i >= 0 {
		u = u[:i]
	}
	if i := strings.LastIndexByte(u, '@'); i >= 0 {
		u = u[i+1:]
	}
	if i := strings.LastIndexByte(u, ':'); i >= 0 && !strings.HasSuffix(u, "]") {
		u = u[:i]
	}
	return strings.ToLower(strings.Trim(u, "."))
}

// FeaturesOf computes the features of a URL or host.
func FeaturesOf(url string) URLFeatures {
	f := URLFeatures{Host: hostOf(url)}
	labels := strings.Split(f.Host, ".")
	f.TLD = tldType(labels)
	if f.TLD != TLDNone && len(labels) > 1 {
		labels = labels[:len(labels)-1]
	}
	for _, l := range labels {
		if l = strings.Trim(l, "*"); len(l) > len(f.Label) {
			f.Label = l
		}
	}
	f.Length = len(f.Label)
	if f.Length == 0 {
		return f
	}
	var count [256]int
	letters, vowels, digits, repeated, run, runs := 0, 0, 0, 0, 0, 0
	for i := 0; i < len(f.Label); i++ {
		c := f.Label[i]
		if count[c] > 0 {
			repeated++
		}
		count[c]++
		consonant := false
		switch {
		case strings.IndexByte("aeiou", c) >= 0:
			letters++
			vowels++
		case c >= 'a' && c <= 'z':
			letters++
			consonant = true
		case digit(c):
			digits++
		}
		if consonant {
			run++
			if run == 3 {
				runs += 3
			} else if run > 3 {
				runs++
			}
		} else {
			run = 0
		}
	}
	n := float64(f.Length)
	for _, k := range count {
		if k > 0 {
			p := float64(k) / n
			f.Entropy -= p * math.Log2(p)
		}
	}
	if letters > 0 {
		f.Vowels = float64(vowels) / float64(letters)
		f.Consonants = 1 - f.Vowels
	}
	f.Consecutive = float64(runs) / n
	f.Repeated = float64(repeated) / n
	f.Digits = float64(digits) / n
	f.Gibberish = gibberish(f.Label)
	return f
}

func tldType(labels []string) TLDType {
	last := labels[len(labels)-1]
	switch {
	case len(labels) < 2 || strings.Trim(last, "0123456789") == "" || strings.Contains(last, "]"):
		if specialTLDs[last] {
			return TLDSpecial
		}
		return TLDNone
	case specialTLDs[last]:
		return TLDSpecial
	case oldTLDs[last]:
		return TLDGeneric
	case len(last) == 2:
		return TLDCountry
	}
	return TLDNew
}

// commonPairs are the letter pairs that make up about nine tenths of English text and of the names of services.
const commonPairs = "th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa si ar ve ra ld ur " +
	"ro ri io ic ne me li co ta ma ll om ch ec ce el la ho be wa us il di un na tr ca ac pe ly lo no ut so pl ge us ol ad mo sp ss em po ai " +
	"pi ap ip ag op am pr im ie do ke ow fo ee oo wi ot oc id mi iv ev ab ub bu up ok ck ks ha go gi gr ig su sh lt lu fi fr if ff ay ey ry ty " +
	"ct rt rs rd rk rm rn ns nc ul pu os po ob ud du av ex xt tt pp mm nn cr br cl bl fl sl sc sk st sw tw we wo wh ye yo ya my da vi va vo ja jo ju qu bo ba bi by"

var pairTable = func() map[string]bool {
	m := map[string]bool{}
	for _, p := range strings.Fields(commonPairs) {
		m[p] = true
	}
	return m
}()

// gibberish is the share of a label's pairs that are no common pair of letters.
func gibberish(label string) float64 {
	rare, n := 0, 0
	for i := 0; i+1 < len(label); i++ {
		if label[i] == '-' || label[i+1] == '-' {
			continue
		}
		n++
		if !pairTable[label[i:i+2]] {
			rare++
		}
	}
	if n == 0 {
		return 0
	}
	return float64(rare) / float64(n)
}

// Score is a documented linear score in 0 to 1 that stands in for a trained forest: how much the host looks made by a machine. It
// is meaningful for labels of eight characters and more; shorter ones get 0. The weights were set by hand on the features' ranges:
// a readable label scores below 0.4, a random one of 20 letters and digits above 0.7.
func (f URLFeatures) Score() (float64, []report.Feature) {
	parts := []report.Feature{
		{Name: "entropy", Value: f.Entropy, Added: 0.20 * clamp((f.Entropy-2.8)/1.4)},
		{Name: "length", Value: float64(f.Length), Added: 0.15 * clamp((float64(f.Length)-10)/20)},
		{Name: "vowels", Value: f.Vowels, Added: 0.10 * clamp((0.35-f.Vowels)/0.25)},
		{Name: "consonants", Value: f.Consonants, Added: 0.05 * clamp((f.Consonants-0.65)/0.25)},
		{Name: "consecutive", Value: f.Consecutive, Added: 0.10 * clamp((f.Consecutive-0.2)/0.5)},
		{Name: "repeated", Value: f.Repeated, Added: 0.05 * clamp((0.6-f.Repeated)/0.4)},
		{Name: "digits", Value: f.Digits, Added: 0.15 * clamp(f.Digits/0.25)},
		{Name: "gibberish", Value: f.Gibberish, Added: 0.15 * clamp((f.Gibberish-0.3)/0.5)},
		{Name: "tld", Value: map[TLDType]float64{TLDNew: 1, TLDCountry: 0.3}[f.TLD], Added: 0.05 * map[TLDType]float64{TLDNew: 1, TLDCountry: 0.3}[f.TLD]},
	}
	if f.Length < 8 {
		return 0, nil
	}
	sum := 0.0
	for _, p := range parts {
		sum += p.Added
	}
	return clamp(sum), parts
}

func clamp(v float64) float64 { return min(1, max(0, v)) }

// URL is one destination found in commands.
type URL struct {
	Text     string // with * for what is not known
	Call     callseq.ID
	Class    string // as the knowledge base has it, "" when nothing is known of the host
	Features URLFeatures
	Score    float64 // 0 for hosts of a known class: the allow list comes before any model
}

// URLs lists the destinations of the network calls that commands make in a trace, in order, each text once.
func (r *Reader) URLs(t *callseq.Trace) []URL {
	var out []URL
	seen := map[string]bool{}
	for i := range t.Calls {
		c := &t.Calls[i]
		if c.Origin != callseq.Shell || !slices.Contains(c.Types, "NETWORK_OUT") && !slices.Contains(c.Types, "NETWORK_IN") {
			continue
		}
		for j := range c.Args {
			text := c.Args[j].Pattern("*")
			if !strings.Contains(text, "://") || strings.ContainsAny(text, " \n\t") || seen[text] || len(out) >= 200 {
				continue
			}
			seen[text] = true
			u := URL{Text: text, Call: c.ID, Features: FeaturesOf(text)}
			if u.Class = r.classes.HostClass(u.Features.Host); u.Class == "" {
				u.Score, _ = u.Features.Score()
			}
			out = append(out, u)
		}
	}
	return out
}
