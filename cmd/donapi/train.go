package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/eval"
	"github.com/donapi/donapi/internal/eval/training"
	"github.com/donapi/donapi/internal/forest"
)

func (a *app) train() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "train",
		Short: "train a model from packages at hand",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.trainObfuscation())
	return cmd
}

// folds of the score that keeps packages apart.
const folds = 5

func (a *app) trainObfuscation() *cobra.Command {
	var out, obfuscator string
	var files int
	opt := forest.Options{}
	cmd := &cobra.Command{
		Use:   "obfuscation CORPUS",
		Short: "train the obfuscation model",
		Long: `Grows the forest of the paper's 25 obfuscation features. Of each ordinary package of CORPUS (see donapi help eval) one file is
taken, as it is, minified, and obfuscated by two presets of javascript-obfuscator, which npm fetches and node runs; the packages' own
code is not run. Prints how well rows are told apart, out of bag and by forests that never saw the row's package, beside what the rules
of the obfuscation detector say of the same rows. The same corpus, options and seed give the same model.`,
		Example: `  donapi train obfuscation ./corpus --out obfuscation.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("want one corpus, got %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" || files < folds {
				return usageError{fmt.Errorf("want --out, and --files of %d or more", folds)}
			}
			samples, err := eval.Read(args[0], "")
			if err != nil {
				return err
			}
			if obfuscator == "" {
				if obfuscator, err = os.MkdirTemp("", "donapi-train-"); err != nil {
					return err
				}
				defer os.RemoveAll(obfuscator)
				if err := training.Install(cmd.Context(), obfuscator); err != nil {
					return hintError{err, "give --obfuscator, a folder with javascript-obfuscator in its node_modules"}
				}
			}
			m, err := a.growObfuscation(cmd.Context(), samples, files, opt, training.In(obfuscator))
			if err != nil {
				return err
			}
			f, err := os.Create(out)
			if err != nil {
				return err
			}
			if err := m.Write(f); err != nil {
				f.Close()
				return err
			}
			return f.Close()
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&out, "out", "o", "", "file for the model (JSON)")
	fl.StringVar(&obfuscator, "obfuscator", "", "folder where javascript-obfuscator is installed; without it npm fetches it")
	fl.IntVar(&files, "files", 300, "files to learn from, at most")
	fl.IntVar(&opt.Trees, "trees", 40, "trees of the forest")
	fl.IntVar(&opt.Depth, "depth", 10, "splits on a tree's longest path")
	fl.Uint64Var(&opt.Seed, "seed", 1, "what chance starts from")
	return cmd
}

// growObfuscation makes the table, grows and scores the forest, and prints the scores.
func (a *app) growObfuscation(ctx context.Context, samples []eval.Sample, files int, opt forest.Options, obfuscate training.Obfuscator) (*forest.Model, error) {
	t, err := training.Obfuscation(ctx, samples, files, opt.Seed, obfuscate)
	if err != nil {
		return nil, err
	}
	for _, s := range t.Skipped {
		fmt.Fprintln(a.err, "donapi: skipped:", s)
	}
	f, bag, err := forest.Train(t.Features, t.Rows, opt)
	if err != nil {
		return nil, err
	}
	held, err := forest.Validate(t.Features, t.Rows, opt, folds)
	if err != nil {
		return nil, err
	}
	digest, err := forest.Digest(t.Features, t.Rows)
	if err != nil {
		return nil, err
	}
	m := &forest.Model{
		Name:   "obfuscation",
		Recipe: forest.Recipe{Command: fmt.Sprintf("donapi train obfuscation CORPUS --files %d --trees %d --depth %d --seed %d", files, opt.Trees, opt.Depth, opt.Seed), Rows: len(t.Rows), Data: digest},
		Scores: map[string]forest.Scores{
			"out of bag":                        forest.Score(t.Rows, bag),
			"packages apart":                    forest.Score(t.Rows, held),
			"the detector's rules on the table": forest.Score(t.Rows, t.Rules),
		},
		Forest: f,
	}
	for _, kind := range append([]string{"plain", "minified"}, training.Presets...) {
		var rows []forest.Row
		var p []float64
		for i, r := range t.Rows {
			if t.Kinds[i] == kind {
				rows, p = append(rows, r), append(p, held[i])
			}
		}
		m.Scores["packages apart, only "+kind] = forest.Score(rows, p)
	}
	return m, writeScores(a.out, m)
}

func writeScores(out io.Writer, m *forest.Model) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "measured\tprecision\trecall\tF1\tfound\tmissed\tfalse alarms\tlet go")
	var names []string
	for n := range m.Scores {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		s := m.Scores[n]
		fmt.Fprintf(w, "%s\t%.3f\t%.3f\t%.3f\t%d\t%d\t%d\t%d\n", n, s.Precision, s.Recall, s.F1, s.TruePositives, s.FalseNegatives, s.FalsePositives, s.TrueNegatives)
	}
	return w.Flush()
}
