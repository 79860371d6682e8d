package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/verdict"
	"github.com/donapi/donapi/knowledge"
)

func (a *app) kb() *cobra.Command {
	cmd := &cobra.Command{Use: "kb", Short: "the behaviour knowledge base", Args: exactArgs(0), RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(
		a.kbListCommand(),
		a.kbNames(),
		a.kbRecord(),
		a.kbNovel(),
		a.kbLearn(),
		&cobra.Command{Use: "show ID", Short: "show a behaviour or an API", Args: exactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return a.show(args[0]) }},
		&cobra.Command{Use: "match FILE", Short: "match a trace, as sequences prints it, against the behaviours", Args: exactArgs(1), RunE: func(_ *cobra.Command, args []string) error { return a.kbMatch(args[0]) }},
	)
	return cmd
}

func (a *app) explain() *cobra.Command {
	return &cobra.Command{Use: "explain ID", Short: "explain a finding, a rule, an API or a detector's check", Args: exactArgs(1),
		Example: "  donapi explain M1/environment-to-network\n  donapi explain child_process.exec",
		RunE:    func(_ *cobra.Command, args []string) error { return a.show(args[0]) }}
}

func (a *app) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the versions of scanner and knowledge", Args: exactArgs(0), RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintf(a.out, "donapi %s, knowledge %s\n", scan.Version, knowledge.Digest(knowledge.FS()))
		return err
	}}
}

func (a *app) kbListCommand() *cobra.Command {
	var edition string
	cmd := &cobra.Command{Use: "list", Short: "list the behaviours", Args: exactArgs(0), RunE: func(*cobra.Command, []string) error {
		switch edition {
		case scan.Corrected:
			return a.kbList()
		case "published":
			return a.kbListPublished()
		}
		return usageError{fmt.Errorf("--edition: unknown edition %q: want corrected or published", edition)}
	}}
	cmd.Flags().StringVar(&edition, "edition", scan.Corrected, "which knowledge base: corrected, or published for the one of the paper's authors")
	return cmd
}

// kbListPublished lists the published edition, with the counts that prove it.
func (a *app) kbListPublished() error {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	e, err := k.Published()
	if err != nil {
		return err
	}
	for _, t := range e.Types {
		fmt.Fprintln(a.out, t.Type)
		for _, s := range t.Subtypes {
			condition := ""
			if s.Paths != "" {
				condition = ", first argument in the list " + s.Paths
			} else if len(s.Args) > 0 {
				condition = ", first argument one of " + strings.Join(s.Args, " ")
			}
			fmt.Fprintf(a.out, "  %s (%s%s)\n", s.Name, s.Class, condition)
		}
	}
	for _, s := range e.Sequences {
		fmt.Fprintf(a.out, "%s  %s\n", s.Category, strings.Join(s.Steps, " -> "))
	}
	_, err = fmt.Fprintf(a.out, "%d types, %d subtypes, %d sequences\n", len(e.Types), e.Subtypes(), len(e.Sequences))
	return err
}

func (a *app) kbList() error {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	for _, b := range k.Base.Behaviors {
		fmt.Fprintf(a.out, "%-34s %-9s %s\n", b.ID, b.Severity, b.Title)
	}
	_, err = fmt.Fprintf(a.out, "%d behaviours, %d APIs\n", len(k.Base.Behaviors), len(k.Base.APIs()))
	return err
}

func (a *app) show(id string) error {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	if b := k.Base.Explain(id); b != nil {
		return a.showBehavior(b)
	}
	if api := k.Base.API(id); api != nil {
		fmt.Fprintf(a.out, "%s (%s)\n", api.Name, api.Kind)
		if api.Doc != "" {
			fmt.Fprintf(a.out, "  %s\n", api.Doc)
		}
		for _, t := range api.Types {
			fmt.Fprintf(a.out, "  type    %s", t.Type)
			for _, w := range t.When {
				fmt.Fprintf(a.out, " when argument %s %s %s", w.Path, w.Op, w.Value)
			}
			fmt.Fprintln(a.out)
		}
		for _, r := range api.Args {
			fmt.Fprintf(a.out, "  argument %s is the %s\n", r.Path, r.Role)
		}
		return nil
	}
	for _, c := range scan.AllChecks() {
		if c.ID == id {
			fmt.Fprintf(a.out, "%s (%s)\n  %s.\n  %s\n", c.ID, c.Severity, c.Title, c.Doc)
			return nil
		}
	}
	for _, r := range verdict.Rules {
		if r.ID == id {
			fmt.Fprintf(a.out, "rule %s: at least %s\n  %s\n", r.ID, r.Level, r.Doc)
			return nil
		}
	}
	return hintError{fmt.Errorf("nothing is known of %q", id), "donapi kb list prints the behaviours"}
}

func (a *app) showBehavior(b *behavior.Behavior) error {
	fmt.Fprintf(a.out, "%s: %s\n  %s\n  severity %s", b.ID, b.Title, strings.TrimSpace(b.Description), b.Severity)
	for _, p := range callseq.Phases {
		if s, ok := b.Phases[p]; ok {
			fmt.Fprintf(a.out, ", at %s %s", p, s)
		}
	}
	fmt.Fprintln(a.out)
	for i, s := range b.Steps {
		arrow := "  "
		if i > 0 {
			arrow = "->"
			if s.Arrow != "" {
				arrow = s.Arrow
			}
		}
		what := slices.Concat(s.Types, s.All, s.API)
		fmt.Fprintf(a.out, "  %s %s\n", arrow, strings.Join(what, " | "))
	}
	if len(b.References) > 0 {
		fmt.Fprintf(a.out, "  ATT&CK %s\n", strings.Join(b.References, ", "))
	}
	_, err := fmt.Fprintf(a.out, "  knowledge/%s\n", b.File)
	return err
}

func (a *app) kbMatch(file string) error {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	t := &callseq.Trace{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 16<<20)
	for n := 1; sc.Scan(); n++ {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n, err)
		}
		if int(l.ID) != len(t.Calls)+1 {
			return fmt.Errorf("%s:%d: call %d where %d is due: a trace must be whole", file, n, l.ID, len(t.Calls)+1)
		}
		l.Call.Pos.Layer = 0
		t.Calls = append(t.Calls, l.Call)
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, x := range k.Base.Match(t, behavior.Subject{}) {
		fmt.Fprintf(a.out, "%s %s by %s, at %s\n", x.ID, x.Severity, x.Confidence, x.Phase)
		for _, e := range x.Evidence {
			fmt.Fprintf(a.out, "  %d %s\n", e.Call, e.Text)
		}
	}
	return nil
}
