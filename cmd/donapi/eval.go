package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/cluster"
	"github.com/donapi/donapi/internal/eval"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

func (a *app) eval() *cobra.Command {
	var f fetching
	var format, output, clusters, part string
	var without []string
	var jobs int
	var stages, variants, quiet, cache bool
	cmd := &cobra.Command{
		Use:   "eval CORPUS",
		Short: "measure recall and false alarms on labelled packages",
		Long: `Scans a labelled corpus and scores the verdicts: recall per sample and per cluster, precision, false alarms a thousand ordinary
packages, by stage, category and size, the cost of each stage, and every error with its evidence.

A CORPUS is a folder with the folders malicious and benign, each package below them a folder or a tarball; or a TSV file with the
columns path, label (malicious, benign) and, optional, cluster. Nothing of a package is executed. A malicious package that could not
be analysed counts as missed. Near copies are in one cluster: by --clusters, by the column of the TSV, or else by their code, as donapi
cluster finds them. The split into the parts tune (two thirds) and check follows clusters, so that near copies never lie on
both sides.`,
		Example: `  donapi eval ./corpus --clusters clusters.tsv
  donapi eval ./corpus --stages --format html --output accuracy.html
  donapi eval ./corpus --without static`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("want one corpus, got %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func(*eval.Report, io.Writer) error{"text": (*eval.Report).WriteText, "json": (*eval.Report).WriteJSON, "html": (*eval.Report).WriteHTML}[format]
			if write == nil {
				return usageError{fmt.Errorf("--format: unknown format %q: want text, json or html", format)}
			}
			for _, w := range without {
				if !slices.Contains(scan.Groups, w) {
					return usageError{fmt.Errorf("--without: unknown stage %q: want %s", w, strings.Join(scan.Groups, ", "))}
				}
			}
			if err := f.checkClassifier(); err != nil {
				return err
			}
			samples, err := eval.Read(args[0], clusters)
			if err != nil {
				return err
			}
			if clusters == "" {
				if err := f.clusterByCode(cmd.Context(), samples); err != nil {
					return err
				}
			}
			switch p := eval.Part(part); p {
			case "":
			case eval.Tune, eval.Check:
				samples = slices.DeleteFunc(samples, func(s eval.Sample) bool { return s.Part() != p })
			default:
				return usageError{fmt.Errorf("--part: unknown part %q: want tune or check", part)}
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			an, done := f.analyser(k, true, jobs)
			defer done()
			if cache {
				if an, err = cached(an); err != nil {
					return err
				}
			}
			bar := a.bar(len(samples), quiet)
			s := scan.New(k, an).WithClassifier(f.classifier)
			opt := eval.Options{Load: load, Jobs: jobs, Without: without, Stages: stages, Progress: bar}
			r, judged, err := eval.Run(cmd.Context(), s, samples, opt)
			if err != nil {
				return err
			}
			if variants {
				if r.Variants, err = eval.Variants(cmd.Context(), s, judged, opt); err != nil {
					return err
				}
			}
			if output == "" {
				return write(r, a.out)
			}
			file, err := os.Create(output)
			if err != nil {
				return err
			}
			if err := write(r, file); err != nil {
				file.Close()
				return err
			}
			return file.Close()
		},
	}
	f.limits(cmd)
	f.classifierFlag(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "output: text, json, or html for a page with charts")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().StringVar(&clusters, "clusters", "", "TSV `FILE` with the columns package and cluster; without it malicious packages are clustered by their code")
	cmd.Flags().StringVar(&part, "part", "", "only this `PART` of the split: tune, check")
	cmd.Flags().StringSliceVar(&without, "without", nil, "judge as if this `STAGE` had not run: "+strings.Join(scan.Groups, ", "))
	cmd.Flags().BoolVar(&stages, "stages", false, "score each stage alone, and everything without it, too")
	cmd.Flags().BoolVar(&variants, "variants", false, "judge flagged samples again when renamed, minified, bundled and split, and report how many keep their verdict")
	cmd.Flags().BoolVar(&cache, "cache", true, "keep analyses and use kept ones (costs are then those of the run that made them)")
	cmd.Flags().IntVar(&jobs, "jobs", runtime.GOMAXPROCS(0), "packages analysed at the same time")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

// clusterByCode finds the near copies among malicious samples.
func (f *fetching) clusterByCode(ctx context.Context, samples []eval.Sample) error {
	p, done, err := f.printer()
	if err != nil {
		return err
	}
	defer done()
	return eval.Cluster(ctx, samples, func(ctx context.Context, s eval.Sample) (cluster.Print, error) {
		sub, err := load(s)
		if err != nil {
			return cluster.Print{}, err
		}
		return p.Print(ctx, sub)
	})
}

// load reads one sample of a corpus.
func load(s eval.Sample) (scan.Subject, error) {
	st, err := os.Stat(s.Path)
	if err != nil {
		return scan.Subject{}, err
	}
	if st.IsDir() {
		return scan.Subject{Target: s.Name, Folder: s.Path}, nil
	}
	data, err := os.ReadFile(s.Path)
	return scan.Subject{Target: s.Name, Tarball: data}, err
}

// cached puts the user's cache of analyses before an analyser.
func cached(an scan.Analyser) (scan.Analyser, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		return an, nil // no home: no cache
	}
	key, err := scan.CacheKey(knowledge.StagesDigest(knowledge.FS()))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(root, "donapi", "analyses")
	_ = scan.Prune(dir, time.Now()) // a cache that cannot be pruned is no reason not to scan
	return scan.Cached{Analyser: an, Dir: dir, Key: key}, nil
}
