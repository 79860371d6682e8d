// Package text writes verdicts for people: the level first, the reason in one line, then each finding with where it stands, what the
// code says once decoded, and the calls in order with arrows for what flowed. Everything that a package wrote is escaped, so that it
// cannot speak to the terminal.
package text

import (
	"fmt"
	"io"
	"strings"

	"github.com/donapi/donapi/internal/report"
)

// Options of a writer.
type Options struct {
	Color bool
	All   bool // also findings below low
}

// Writer is the handler.
type Writer struct {
	w      io.Writer
	opt    Options
	err    error
	counts map[report.Level]int
	errors int
	n      int
}

// New makes a writer.
func New(w io.Writer, opt Options) *Writer {
	return &Writer{w: w, opt: opt, counts: map[report.Level]int{}}
}

const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
)

var levelColors = map[report.Level]string{report.Clear: "\x1b[32m", report.Inconclusive: "\x1b[33m", report.Suspicious: "\x1b[35m", report.Malicious: "\x1b[1;31m"}

func (w *Writer) paint(color, s string) string {
	if !w.opt.Color {
		return s
	}
	return color + s + reset
}

func (w *Writer) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format, args...)
	}
}

// Verdict writes one package.
func (w *Writer) Verdict(v *report.Verdict) error {
	w.n++
	w.counts[v.Level]++
	name := v.Target
	if v.Name != "" {
		name = v.Name
		if v.Version != "" {
			name += "@" + v.Version
		}
	}
	if v.Error != "" {
		w.errors++
		w.printf("%s  %s\n    %s\n", w.paint(levelColors[v.Level], "not scanned"), w.paint(bold, safe(name)), safe(v.Error))
		return w.err
	}
	cats := ""
	if len(v.Categories) > 0 {
		cats = "  [" + strings.Join(v.Categories, " ") + "]"
	}
	w.printf("%s  %s%s\n    %s\n", w.paint(levelColors[v.Level], v.Level.String()), w.paint(bold, safe(name)), cats, safe(v.Why))
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Severity >= report.Low || w.opt.All {
			w.finding(f)
		}
	}
	for _, o := range v.Coverage.Outcomes {
		if o.Status == report.Ran || o.Status == report.Skipped {
			continue
		}
		if v.Level == report.Clear && !o.Reached && !w.opt.All {
			w.printf("    %s %s: parts that only a caller starts, or nothing (--all lists them)\n", w.paint(dim, "not followed to the end:"), o.Stage)
			continue
		}
		w.printf("    %s %s: %s\n", w.paint(dim, "not seen:"), o.Stage, safe(o.Reason))
		for i, u := range o.Unseen {
			if i == 5 {
				w.printf("        and %d more\n", len(o.Unseen)-i)
				break
			}
			w.printf("        %s\n", safe(u))
		}
	}
	return w.err
}

func (w *Writer) finding(f *report.Finding) {
	where := ""
	if f.Phase != "" {
		where = ", at " + string(f.Phase)
	}
	w.printf("\n    %s %s (%s, by %s%s)\n", w.paint(bold, f.ID), safe(f.Title), f.Severity, f.Confidence, where)
	at := map[int32]int{}
	for i := range f.Evidence {
		if c := f.Evidence[i].Call; c != 0 {
			at[int32(c)] = i + 1
		}
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		pos := safe(e.File)
		if e.Line > 0 {
			pos += fmt.Sprintf(":%d", e.Line)
		}
		if e.Layer != "" {
			pos += " in code made by " + e.Layer
		}
		num := ""
		if len(f.Evidence) > 1 {
			num = fmt.Sprintf("%d. ", i+1)
		}
		text := safe(e.Text)
		if len(text) > 400 {
			text = text[:400] + "..."
		}
		w.printf("      %s%s\n", num, text)
		var from []string
		for _, id := range e.From {
			if n := at[int32(id)]; n != 0 {
				from = append(from, fmt.Sprint(n))
			}
		}
		if len(from) > 0 {
			pos += "  <= " + strings.Join(from, ", ")
		}
		if e.To != "" && !strings.Contains(e.Text, e.To) {
			pos += "  -> " + safe(e.To)
		}
		if pos != "" {
			w.printf("         %s\n", w.paint(dim, pos))
		}
		if i == 11 && len(f.Evidence) > 13 {
			w.printf("         and %d more\n", len(f.Evidence)-i-1)
			break
		}
	}
}

// Close writes the sum, when there was more than one package.
func (w *Writer) Close() error {
	if w.n > 1 {
		w.printf("\n%d packages: %d malicious, %d suspicious, %d inconclusive, %d clear\n", w.n, w.counts[report.Malicious], w.counts[report.Suspicious], w.counts[report.Inconclusive], w.counts[report.Clear])
	}
	return w.err
}

// Escape makes a text that a package wrote safe for a terminal, as this package does with all of it.
func Escape(s string) string { return safe(s) }

// safe escapes control characters, direction marks and what else could deceive or drive a terminal.
func safe(s string) string {
	clean := true
	for _, r := range s {
		if unsafeRune(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unsafeRune(r) {
			fmt.Fprintf(&b, "\\u{%x}", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff || r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0000 && r <= 0xe01ef || r == 0xfffd
}
