// Package hiddentext finds text that a reader does not see: direction controls, runs of invisible characters, code pushed off the
// screen, and words addressed to automatic reviewers.
package hiddentext

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
)

// Detector looks for hidden text in code, configuration and the instruction files of assistants.
var Detector = &detect.Detector{
	Name:   "hiddentext",
	Doc:    "Looks at the characters of code and of files that tools obey. Emoji tables and translations are told apart by where the characters stand: in runs, or one at a time.",
	Checks: checks,
	Run:    run,
}

var checks = []detect.Check{
	{ID: "hiddentext/bidi", Title: "text direction is turned in code", Severity: report.Medium, Doc: "Bidirectional controls make code read differently from what runs."},
	{ID: "hiddentext/invisible", Title: "a run of invisible characters", Severity: report.High, Doc: "Variation selectors, tags or zero-width characters in a row can carry a payload."},
	{ID: "hiddentext/offscreen", Title: "code far off the screen", Severity: report.Medium, Doc: "Hundreds of blanks and then code on the same line."},
	{ID: "hiddentext/reviewer", Title: "text addressed to automatic reviewers", Severity: report.Medium, Doc: "Instructions to ignore, approve or call a package safe."},
}

const (
	invisibleRun = 24  // invisible characters in a row
	offscreenRun = 200 // blanks before code on one line
)

var reviewer = regexp.MustCompile(`ignore (all )?(previous|prior|above) instructions|(ai|llm|automated|security) (reviewer|scanner|analy[sz]er|model)s?[^.\n]{0,60}(safe|benign|approve|ignore|skip)|mark (this )?(package )?as (safe|benign)`)

// address are words of which every text that reviewer matches holds one, near its start or its end: they are looked for first, being
// much cheaper, and the expression then sees their surroundings only.
var address = []string{" instructions", " reviewer", " scanner", " analyzer", " analyser", "ai model", "llm model", "automated model", "security model", "as safe", "as benign"}

// maxAddress is longer than any text that reviewer matches, bytes.
const maxAddress = 256

// addressed is where the data first speaks to a reviewer, as start and end, or nil.
func addressed(data []byte) []int {
	match := func(start, end int) []int {
		lower := bytes.Clone(data[start:end]) // of ASCII only: offsets stay what they are
		for i, c := range lower {
			if c >= 'A' && c <= 'Z' {
				lower[i] = c | 0x20
			}
		}
		if loc := reviewer.FindIndex(lower); loc != nil {
			return []int{start + loc[0], start + loc[1]}
		}
		return nil
	}
	start, end := 0, 0 // surroundings not yet looked at; those that touch are one
	for at := nextAddress(data, 0); at >= 0; at = nextAddress(data, at+1) {
		if at-maxAddress > end {
			if loc := match(start, end); loc != nil {
				return loc
			}
			start = at - maxAddress
		}
		end = min(len(data), at+maxAddress)
	}
	return match(start, end)
}

// shortest is the length of the shortest word of address, bytes.
const shortest = 7

// skips tells how far a word's start lies at least beyond a window of shortest bytes that ends in two given ones, after Wu and Manber.
var skips = func() (t [1 << 10]uint8) {
	for i := range t {
		t[i] = shortest - 1
	}
	for _, w := range address {
		for i := 1; i < shortest; i++ {
			h := pair(w[i-1], w[i])
			t[h] = min(t[h], uint8(shortest-1-i))
		}
	}
	return t
}()

// pair makes an index of two bytes, the same for both cases of a letter.
func pair(a, b byte) int { return int(a&31)<<5 | int(b&31) }

// nextAddress finds a word of address in either case, from an offset on: its offset, or -1.
func nextAddress(data []byte, from int) int {
	for i := from + shortest - 1; i < len(data); {
		if n := skips[pair(data[i-1], data[i])]; n > 0 {
			i += int(n)
			continue
		}
		at := i - shortest + 1
		switch data[at] | 0x20 {
		case ' ', 'a', 'l', 's':
			for _, w := range address {
				if at+len(w) <= len(data) && strings.EqualFold(string(data[at:at+len(w)]), w) {
					return at
				}
			}
		}
		i++
	}
	return -1
}

func run(s *detect.Subject) []report.Finding {
	ev := map[string][]report.Evidence{}
	for i := range s.Artifact.Files {
		f := &s.Artifact.Files[i]
		if !looked(f.Path) {
			continue
		}
		look(f.Path, f.Data, func(id string, line int, text string) {
			if len(ev[id]) < 10 {
				ev[id] = append(ev[id], report.Evidence{File: f.Path, Line: line, Text: text})
			}
		})
	}
	var out []report.Finding
	for _, c := range checks {
		if len(ev[c.ID]) > 0 {
			out = append(out, detect.Find(checks, c.ID, ev[c.ID]...))
		}
	}
	return out
}

func looked(p string) bool {
	for _, e := range []string{".js", ".cjs", ".mjs", ".ts", ".tsx", ".jsx", ".sh", ".bat", ".ps1", ".py", "package.json", ".cursorrules", ".windsurfrules", "CLAUDE.md", "AGENTS.md", "GEMINI.md", "SKILL.md", "copilot-instructions.md", "settings.json", "tasks.json", "mcp.json"} {
		if strings.HasSuffix(p, e) {
			return !strings.HasSuffix(p, ".d.ts") && !strings.HasSuffix(p, ".min.js.map")
		}
	}
	return false
}

func look(path string, data []byte, found func(id string, line int, text string)) {
	code := !strings.HasSuffix(path, ".md") && !strings.HasSuffix(path, ".json")
	ascii := true
	for _, c := range data {
		if c >= 0x80 {
			ascii = false
			break
		}
	}
	if !ascii {
		runes(data, code, found)
	}
	if code {
		blanks(data, found)
	}
	if loc := addressed(data); loc != nil {
		found("hiddentext/reviewer", 1+bytes.Count(data[:loc[0]], []byte("\n")), string(bytes.ToValidUTF8(data[loc[0]:min(loc[1], loc[0]+160)], nil)))
	}
}

func invisible(r rune) bool {
	return r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef || r >= 0xe0000 && r <= 0xe007f || r == 0x200b || r == 0x200c || r == 0x2060 || r == 0xfeff || r == 0x3164 || r == 0xffa0
}

func bidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

func runes(data []byte, code bool, found func(id string, line int, text string)) {
	line, run := 1, 0
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		i += n
		switch {
		case r == '\n':
			line++
			run = 0
		case invisible(r):
			if run++; run == invisibleRun {
				found("hiddentext/invisible", line, "a run of "+strconv.Itoa(run)+" or more invisible characters")
			}
		default:
			run = 0
			if code && bidi(r) {
				found("hiddentext/bidi", line, strconv.QuoteRuneToASCII(r))
			}
		}
	}
}

// blanks finds code behind a long run of blanks on a line that has text before it. A run that long covers one of every offscreenRun
// bytes, so no others are looked at.
func blanks(data []byte, found func(id string, line int, text string)) {
	seen, text := 0, false // up to where the data was looked at, and whether there is text before it on its line
	for at := offscreenRun - 1; at < len(data); at += offscreenRun {
		if data[at] != ' ' {
			continue
		}
		i, end := at, at
		for i > seen && data[i-1] == ' ' {
			i--
		}
		for end < len(data) && data[end] == ' ' {
			end++
		}
		if end-i < offscreenRun {
			continue
		}
		for end < len(data) && (data[end] == ' ' || data[end] == '\t') {
			end++
		}
		before := data[seen:i]
		if n := bytes.LastIndexByte(before, '\n'); n >= 0 {
			before, text = before[n:], false
		}
		text = text || len(bytes.TrimSpace(before)) > 0
		if text && end < len(data) && data[end] != '\n' && data[end] != '\r' && !bytes.HasPrefix(data[end:], []byte("//")) && !bytes.HasPrefix(data[end:], []byte("*")) {
			stop := min(len(data), end+80)
			found("hiddentext/offscreen", 1+bytes.Count(data[:i], []byte("\n")), string(bytes.ToValidUTF8(data[end:stop], nil)))
			return
		}
		seen = end
		at = max(at, end-1)
	}
}
