package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/novelty"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// samples holds the flags of commands that analyse many packages and compare what they do.
type samples struct {
	fetching
	jobs  int
	quiet bool
}

func (s *samples) flags(cmd *cobra.Command) {
	s.fetching.flags(cmd)
	cmd.Flags().IntVar(&s.jobs, "jobs", runtime.GOMAXPROCS(0), "packages analysed at the same time")
	cmd.Flags().BoolVarP(&s.quiet, "quiet", "q", false, "no progress and no notes")
}

// each analyses targets, several at a time, and hands them on in the order given. A target that cannot be analysed is told and left
// out; that none could be is an error.
func (a *app) each(ctx context.Context, k *scan.Knowledge, targets []string, s *samples, use func(scan.Subject, *scan.Analysis)) error {
	client, err := s.client(targets)
	if err != nil {
		return err
	}
	var items []scan.Item
	for _, t := range targets {
		list, err := scan.Expand(t, client, a.in, nil, func(string) {})
		if err != nil {
			return err
		}
		items = append(items, list...)
	}
	jobs := max(1, min(s.jobs, len(items)))
	an, done := s.analyser(k, true, jobs)
	defer done()
	if s.cache {
		if an, err = cached(an); err != nil {
			return err
		}
	}
	type result struct {
		sub scan.Subject
		an  *scan.Analysis
		err error
	}
	results := make([]chan result, len(items))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	slots := make(chan struct{}, jobs)
	wg.Go(func() {
		for i := range items {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				var r result
				if r.sub, r.err = items[i].Load(ctx); r.err == nil {
					r.an, r.err = an.Analyse(ctx, r.sub)
				}
				r.sub.Tarball = nil
				results[i] <- r
			})
		}
	})
	bar := a.bar(len(items), s.quiet)
	used := 0
	for i := range items {
		var r result
		select {
		case r = <-results[i]:
		case <-ctx.Done():
			return ctx.Err()
		}
		<-slots
		bar(items[i].Target)
		if r.err == nil && r.an.Trace == nil {
			r.err = errors.New(items[i].Target + ": no process survived the analysis")
		}
		if r.err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			fmt.Fprintln(a.err, "donapi: note: left out:", r.err)
			a.code = exitError
			continue
		}
		used++
		use(r.sub, r.an)
	}
	if used == 0 {
		return errors.New("no sample could be analysed")
	}
	return nil
}

func recordOf(k *scan.Knowledge, sub scan.Subject, an *scan.Analysis) novelty.Record {
	name := sub.Target
	if an.Name != "" {
		name = an.Name + "@" + an.Version
	}
	return novelty.Of(k.Base, an.Trace, name, an.Integrity)
}

// checkDay reads a day, or nothing.
func checkDay(flag, day string) error {
	if day == "" {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return usageError{fmt.Errorf("%s: %q is not a day: want YYYY-MM-DD", flag, day)}
	}
	return nil
}

func readKnown(files []string, asOf string) (*novelty.Known, error) {
	k := &novelty.Known{}
	for _, p := range files {
		f, err := os.Open(p)
		if err != nil {
			return nil, err
		}
		err = novelty.Read(f, asOf, k.Add)
		f.Close()
		if err != nil {
			return nil, hintError{fmt.Errorf("%s: %w", p, err), "it is a file that donapi kb record wrote"}
		}
	}
	return k, nil
}

func (a *app) kbRecord() *cobra.Command {
	var s samples
	var date, output string
	cmd := &cobra.Command{
		Use:   "record SAMPLE...",
		Short: "write down what samples do, for novel and learn to compare with",
		Long: `Analyses samples, any number, and prints for each one line of JSON: the API calls it makes, the runs of two and three calls of its
entries, and the behaviour types between which values flow. A SAMPLE is a target as of donapi scan. --date says since when they are
known. Files can be joined end to end.`,
		Example: `  donapi kb record samples/*.tgz --date 2026-01-02 --output known.jsonl`,
		Args:    needArgs("sample"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkDay("--date", date); err != nil {
				return err
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			var b bytes.Buffer
			var failed error
			err = a.each(cmd.Context(), k, args, &s, func(sub scan.Subject, an *scan.Analysis) {
				r := recordOf(k, sub, an)
				r.Date = date
				failed = errors.Join(failed, r.Write(&b))
			})
			if err = errors.Join(err, failed); err != nil {
				return err
			}
			return a.write(output, b.Bytes())
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&date, "date", "", "the `DAY` since which the samples are known, as 2026-01-02")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return cmd
}

// write writes to a file, or to standard output when there is none.
func (a *app) write(file string, data []byte) error {
	if file == "" {
		_, err := a.out.Write(data)
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

func (a *app) kbNovel() *cobra.Command {
	var s samples
	var known []string
	var asOf, format string
	cmd := &cobra.Command{
		Use:   "novel SAMPLE...",
		Short: "list what samples do that no known one did",
		Long: `Lists the API calls and runs of calls of confirmed samples that no known sample has. Known are the samples of the files that
--known names, as donapi kb record writes them, as of the day --as-of. The samples given do not count as known to each other. Of a new
run only the shortest new part is listed. Behind a call stands whether the published edition of the knowledge base has its API.`,
		Example: `  donapi kb novel suspect.tgz --known known.jsonl --as-of 2025-12-31`,
		Args:    needArgs("sample"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(known) == 0 {
				return usageError{errors.New("want --known, a file that donapi kb record wrote")}
			}
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format: unknown format %q: want text or json", format)}
			}
			if err := checkDay("--as-of", asOf); err != nil {
				return err
			}
			store, err := readKnown(known, asOf)
			if err != nil {
				return err
			}
			if store.Samples == 0 {
				return hintError{fmt.Errorf("%s: no known sample as of %s", strings.Join(known, ", "), asOf), "give a later --as-of, or record samples with donapi kb record"}
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			published, err := k.Published()
			if err != nil {
				return err
			}
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			apis, sequences, n := map[string]bool{}, map[string]bool{}, 0
			err = a.each(cmd.Context(), k, args, &s, func(sub scan.Subject, an *scan.Analysis) {
				x := store.Of(recordOf(k, sub, an))
				n++
				for _, c := range x.APIs {
					apis[c] = true
				}
				for _, c := range x.Sequences {
					sequences[c] = true
				}
				if format == "json" {
					enc.Encode(x) // what is written to standard output fails when the command ends
					return
				}
				fmt.Fprintf(a.out, "%s: %d new API calls, %d new sequences\n", x.Sample, len(x.APIs), len(x.Sequences))
				for _, c := range x.APIs {
					where := "not in the published edition"
					if published.Has(c) {
						where = "in the published edition"
					}
					fmt.Fprintf(a.out, "  call      %s (%s)\n", c, where)
				}
				for _, c := range x.Sequences {
					fmt.Fprintf(a.out, "  sequence  %s\n", c)
				}
			})
			if err != nil || format == "json" {
				return err
			}
			day := ""
			if asOf != "" {
				day = " as of " + asOf
			}
			_, err = fmt.Fprintf(a.out, "%d samples against %d known%s, knowledge %s: %d new API calls, %d new sequences\n", n, store.Samples, day, k.Digest, len(apis), len(sequences))
			return err
		},
	}
	s.flags(cmd)
	cmd.Flags().StringSliceVar(&known, "known", nil, "`FILE` with what known samples do; may be given more than once")
	cmd.Flags().StringVar(&asOf, "as-of", "", "only what was known on this `DAY`, as 2026-01-02")
	cmd.Flags().StringVar(&format, "format", "text", "output: text, or json for JSON Lines")
	return cmd
}

// maxLearn bounds how many samples are held in memory at the same time.
const maxLearn = 1000

var behaviorID = regexp.MustCompile(`^(M[1-9]|M1[01]|observe)/[a-z0-9]+(-[a-z0-9]+)*$`)

func (a *app) kbLearn() *cobra.Command {
	var s samples
	var known []string
	var id, output string
	var least int
	cmd := &cobra.Command{
		Use:   "learn SAMPLE...",
		Short: "propose a behaviour file from what confirmed samples have in common",
		Long: `Proposes a behaviour for knowledge/behaviors: the most telling pattern that the samples share, a chain of values between behaviour
types before a run of calls, and one that no sample of --known shows before others. The files of --known are best of ordinary packages
(donapi kb record). What is proposed loads, and matches the samples it names; a person gives it its title, severity and exceptions, an
inert example and a benign twin. Samples of one campaign (donapi cluster) have more in common than others.`,
		Example: `  donapi kb learn samples/*.tgz --known ordinary.jsonl --id M1/new-thing --output new-thing.yaml`,
		Args:    needArgs("sample"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !behaviorID.MatchString(id) {
				return usageError{fmt.Errorf("--id: %q: want a category and a name, as M1/what-it-does", id)}
			}
			store, err := readKnown(known, "")
			if err != nil {
				return err
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			if k.Base.Explain(id) != nil {
				return usageError{fmt.Errorf("--id: there is a behaviour %s already", id)}
			}
			var cases []novelty.Case
			already := map[string]int{}
			err = a.each(cmd.Context(), k, args, &s, func(sub scan.Subject, an *scan.Analysis) {
				if len(cases) < maxLearn {
					cases = append(cases, novelty.Case{Record: recordOf(k, sub, an), Trace: an.Trace})
				}
				for _, f := range an.Matched {
					already[f.ID]++
				}
			})
			if err != nil {
				return err
			}
			want := least
			if want == 0 || want > len(cases) {
				want = len(cases)
			}
			p, err := novelty.Learn(k.Base, cases, store, want, id)
			if errors.Is(err, novelty.ErrNothingCommon) {
				return hintError{fmt.Errorf("%w, at least no pattern that %d of %d show", err, want, len(cases)), "give samples of one campaign, or a lower --least"}
			}
			if err != nil {
				return err
			}
			if !s.quiet {
				fmt.Fprintf(a.err, "donapi: note: %s\n", strings.Join(p.Steps, " "))
				fmt.Fprintf(a.err, "donapi: note: shown by %d of %d samples\n", len(p.Matches), len(cases))
				if p.Known {
					fmt.Fprintln(a.err, "donapi: note: known samples show it too; nothing the samples share sets them apart")
				}
				for _, b := range k.Base.Behaviors {
					if already[b.ID] >= len(cases) && b.Category != "" {
						fmt.Fprintf(a.err, "donapi: note: all samples show %s already\n", b.ID)
					}
				}
			}
			return a.write(output, p.YAML)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringSliceVar(&known, "known", nil, "`FILE` with what known samples do; may be given more than once")
	cmd.Flags().StringVar(&id, "id", "M5/proposed", "`ID` of the behaviour: its category and a name")
	cmd.Flags().IntVar(&least, "least", 0, "samples that must show it; 0 means all")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	return cmd
}
