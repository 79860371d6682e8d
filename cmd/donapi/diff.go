package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/detect/diff"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/report/text"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

func (a *app) diff() *cobra.Command {
	var f fetching
	var format, failOn string
	var all, quiet, noColor bool
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "tell what a new version does that the old one did not",
		Long: `Compares two versions of a package, or any two packages, by what they do: install hooks, entries, dependencies, calls that reach the
network, start programs, make code, change files or read secrets, where values flow, the order of the calls, and obfuscated files. What
is new is printed, and what of it matters as findings: a new install hook together with new calls that it makes, a secret that flows out
where none did, code from the network, behaviours that only the new version shows. OLD and NEW are targets as for scan.

Exit status: 0 when no finding is at or above --fail-on, 1 when a target could not be compared, 2 on a mistake in the command line,
3 when a finding is at or above --fail-on.`,
		Example: `  donapi diff axios@1.14.0 axios@1.14.1
  donapi diff ./old.tgz ./new.tgz --format json
  donapi diff left-pad@1.2.0 left-pad@1.3.0 --fail-on medium --all`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{fmt.Errorf("want an old and a new version, got %d targets", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, targets []string) error {
			severity, err := report.ParseSeverity(failOn)
			if err != nil {
				return usageError{fmt.Errorf("--fail-on: %w", err)}
			}
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format: unknown format %q: want text or json", format)}
			}
			client, err := f.client(targets)
			if err != nil {
				return err
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			var subs [2]scan.Subject
			for i, t := range targets {
				items, err := scan.Expand(t, client, a.in, nil, func(m string) {
					if !quiet {
						fmt.Fprintln(a.err, "donapi: note:", m)
					}
				})
				if err != nil {
					return err
				}
				if len(items) != 1 {
					return usageError{fmt.Errorf("%s names %d packages: want one", t, len(items))}
				}
				if subs[i], err = items[0].Load(cmd.Context()); err != nil {
					return err
				}
			}
			an, done := f.analyser(k, false, 1)
			defer done()
			switch x := an.(type) {
			case *scan.Confined:
				x.Profile = true
			case scan.InProcess:
				x.Profile = true
				an = x
			}
			d, err := scan.New(k, an).Compare(cmd.Context(), subs[0], subs[1])
			if err != nil {
				return err
			}
			for i := range d.Findings {
				if d.Findings[i].Severity >= severity {
					a.code = exitFound
				}
			}
			if format == "json" {
				enc := json.NewEncoder(a.out)
				enc.SetEscapeHTML(false)
				return enc.Encode(d)
			}
			p := &diffPrinter{w: a.out, color: !noColor && colors(a.out), all: all}
			p.print(d)
			return p.err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "output: text, or json for one object")
	cmd.Flags().StringVar(&failOn, "fail-on", "high", "exit with 3 from a finding of this `SEVERITY` on: info, low, medium, high, critical")
	cmd.Flags().BoolVar(&all, "all", false, "print everything new, and what is gone, in text")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no notes")
	cmd.Flags().BoolVar(&noColor, "no-color", false, "no colours (also by NO_COLOR)")
	return cmd
}

// diffPrinter writes a comparison for people. Everything that a package wrote is escaped.
type diffPrinter struct {
	w     io.Writer
	color bool
	all   bool
	err   error
}

func (p *diffPrinter) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *diffPrinter) paint(color, s string) string {
	if !p.color {
		return s
	}
	return color + s + "\x1b[0m"
}

const diffLines = 8 // of a section, without --all

func (p *diffPrinter) print(d *diff.Diff) {
	side := func(s diff.Side) string {
		return text.Escape(s.Name) + "@" + text.Escape(s.Version) + " (" + s.Level.String() + ")"
	}
	p.printf("%s -> %s\n", side(d.Old), p.paint("\x1b[1m", side(d.New)))
	for _, s := range []struct {
		name string
		side diff.Side
	}{{"old", d.Old}, {"new", d.New}} {
		if s.side.Level != report.Clear {
			p.printf("    %s: %s\n", s.name, text.Escape(s.side.Why))
		}
	}
	if len(d.Findings) == 0 {
		p.printf("    nothing new that matters\n")
	}
	for _, f := range d.Findings {
		if f.Severity == report.Info && !p.all {
			continue
		}
		where := ""
		if f.Phase != "" {
			where = ", at " + string(f.Phase)
		}
		p.printf("\n    %s %s (%s%s)\n", p.paint("\x1b[1m", f.ID), f.Title, f.Severity, where)
		for _, e := range f.Evidence {
			p.printf("      %s\n", text.Escape(e.Text))
			if at := place(e.File, e.Line); at != "" {
				p.printf("         %s\n", p.paint("\x1b[2m", at))
			}
		}
	}
	section(p, "hooks", d.Hooks, func(h diff.Hook) string { return h.Name + ": " + h.Command })
	section(p, "entries", d.Entries, func(e diff.Entry) string { return e.Name + " (" + e.Phase + ") " + e.Path })
	section(p, "dependencies", d.Dependencies, func(x diff.Dependency) string {
		return strings.Join(strings.Fields(strings.Join([]string{x.Kind, x.Name, x.Range, x.Indirect}, " ")), " ")
	})
	section(p, "sinks", d.Sinks, func(s diff.Sink) string {
		return strings.TrimSpace(fmt.Sprintf("%s at %s: %s %s", s.Group, s.Phase, s.API, s.To)) + "  " + place(s.File, s.Line)
	})
	section(p, "flows", d.Flows, func(f diff.Flow) string {
		return strings.TrimSpace(fmt.Sprintf("at %s: %s => %s %s", f.Phase, f.From, f.To, f.Where)) + "  " + place(f.File, f.Line)
	})
	section(p, "sequences", d.Sequences, func(s diff.Sequence) string {
		return fmt.Sprintf("at %s by %s: %s", s.Phase, s.Entry, strings.Join(s.Calls, " -> "))
	})
	section(p, "obfuscation", d.Obfuscation, func(o diff.Obfuscated) string { return o.File + " " + o.Kind })
	section(p, "behaviours", d.Behaviors, func(b diff.Behavior) string {
		return fmt.Sprintf("%s at %s: %s (%s)", b.ID, b.Phase, b.Title, b.Severity)
	})
	p.printf("\n    files: %d new, %d gone, %d changed\n", len(d.Files.Added), len(d.Files.Removed), len(d.Files.Changed))
}

func place(file string, line int) string {
	if line > 0 {
		return fmt.Sprintf("%s:%d", text.Escape(file), line)
	}
	return text.Escape(file)
}

// section prints one kind of difference: + for what is new, - for what is gone.
func section[T any](p *diffPrinter, name string, c diff.Change[T], line func(T) string) {
	if len(c.Added) == 0 && (len(c.Removed) == 0 || !p.all) {
		return
	}
	p.printf("\n    %s\n", p.paint("\x1b[1m", name))
	list := func(sign, color string, items []T) {
		for i, x := range items {
			if i == diffLines && !p.all {
				p.printf("      %s and %d more\n", sign, len(items)-i)
				break
			}
			p.printf("      %s\n", p.paint(color, sign+" "+text.Escape(line(x))))
		}
	}
	list("+", "\x1b[32m", c.Added)
	if p.all {
		list("-", "\x1b[31m", c.Removed)
	}
}
