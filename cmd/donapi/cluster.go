package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/cluster"
	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/eval"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// printer makes what packages are clustered by.
type printer interface {
	Print(ctx context.Context, s scan.Subject) (cluster.Print, error)
}

func (f *fetching) printer() (printer, func(), error) {
	if !f.noConfine {
		pool := confine.NewPool(confine.Limits{Time: f.timeout, Large: sharedBytes})
		return &scan.Confined{Pool: pool}, pool.Close, nil
	}
	k, err := scan.LoadKnowledge(knowledge.FS())
	return scan.InProcess{K: k}, func() {}, err
}

// clustered is a cluster as --format json prints it.
type clustered struct {
	Cluster  string   `json:"cluster"` // its first package
	Packages []string `json:"packages"`
}

func (a *app) cluster() *cobra.Command {
	var f fetching
	var format, output, against string
	var alike float64
	var quiet bool
	cmd := &cobra.Command{
		Use:   "cluster FOLDER...",
		Short: "find packages that share code, as those of one campaign do",
		Long: `Puts packages together whose code is nearly the same: JavaScript, shell files and install scripts, whatever names, texts, numbers,
comments and layout are. A FOLDER holds packages, as folders or tarballs; one with a package.json is a package itself. Nothing is
executed. With --format tsv the result is what donapi eval takes for --clusters.

--against compares with clusters that somebody else made, by pairs of packages: precision is the share of the pairs put together here
that are together there, recall the other way round.`,
		Example: `  donapi cluster ./samples
  donapi cluster ./corpus/malicious --against clusters.tsv`,
		Args: needArgs("folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if alike <= 0 || alike > 1 {
				return usageError{errors.New("--alike: want a share above 0, at most 1")}
			}
			if format != "text" && format != "tsv" && format != "json" {
				return usageError{fmt.Errorf("--format: unknown format %q: want text, tsv or json", format)}
			}
			if against != "" && format != "text" {
				return usageError{errors.New("--against: only with --format text")}
			}
			var subjects []scan.Subject
			for _, dir := range args {
				list, err := packagesIn(dir)
				if err != nil {
					return err
				}
				subjects = append(subjects, list...)
			}
			p, done, err := f.printer()
			if err != nil {
				return err
			}
			defer done()
			bar := a.bar(len(subjects), quiet)
			var names []string
			var prints []cluster.Print
			for _, s := range subjects {
				x, err := printOf(cmd.Context(), p, s)
				bar(s.Target)
				if cmd.Context().Err() != nil {
					return cmd.Context().Err()
				}
				if err != nil {
					fmt.Fprintln(a.err, "donapi: note: left out:", err)
					a.code = exitError
					continue
				}
				names, prints = append(names, s.Target), append(prints, x)
			}
			groups := cluster.Group(prints, alike)
			var b bytes.Buffer
			if err := writeClusters(&b, format, names, groups); err != nil {
				return err
			}
			if against != "" {
				if err := agree(&b, names, groups, against); err != nil {
					return err
				}
			}
			return a.write(output, b.Bytes())
		},
	}
	f.limits(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "output: text, tsv, or json for JSON Lines")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().StringVar(&against, "against", "", "compare with a TSV `FILE` that has the columns package and cluster")
	cmd.Flags().Float64Var(&alike, "alike", cluster.Alike, "share of the marks of two packages that both must have")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress")
	return cmd
}

func printOf(ctx context.Context, p printer, s scan.Subject) (cluster.Print, error) {
	if s.Folder == "" {
		var err error
		if s.Tarball, err = os.ReadFile(s.Target); err != nil {
			return cluster.Print{}, err
		}
	}
	return p.Print(ctx, s)
}

// packagesIn lists the packages that a folder holds, or the folder. Target is the path of each; tarballs are not read yet.
func packagesIn(dir string) ([]scan.Subject, error) {
	if _, err := os.Stat(filepath.Join(dir, "package.json")); err == nil {
		return []scan.Subject{{Target: dir, Folder: dir}}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []scan.Subject
	for _, e := range entries {
		p := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			out = append(out, scan.Subject{Target: p, Folder: p})
		case strings.HasSuffix(e.Name(), ".tgz"), strings.HasSuffix(e.Name(), ".tar.gz"):
			out = append(out, scan.Subject{Target: p})
		}
	}
	if len(out) == 0 {
		return nil, hintError{fmt.Errorf("%s: no package in it", dir), "a folder holds packages, as folders or tarballs, or is one"}
	}
	return out, nil
}

// sampleName is the name of a package as eval has it: of its file or folder.
func sampleName(path string) string {
	return strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".tgz"), ".tar.gz")
}

func writeClusters(b *bytes.Buffer, format string, names []string, groups [][]int) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	alone := 0
	if format == "tsv" {
		b.WriteString("package\tcluster\n")
	}
	for _, g := range groups {
		c := clustered{Cluster: sampleName(names[g[0]])}
		for _, i := range g {
			c.Packages = append(c.Packages, sampleName(names[i]))
		}
		switch format {
		case "json":
			if err := enc.Encode(c); err != nil {
				return err
			}
		case "tsv":
			for _, p := range c.Packages {
				fmt.Fprintf(b, "%s\t%s\n", p, c.Cluster)
			}
		default:
			if len(g) == 1 {
				alone++
				continue
			}
			fmt.Fprintf(b, "%s: %d packages\n", c.Cluster, len(g))
			for _, p := range c.Packages {
				fmt.Fprintf(b, "  %s\n", p)
			}
		}
	}
	if format == "text" {
		fmt.Fprintf(b, "%d packages: %d clusters of two or more, %d alone\n", len(names), len(groups)-alone, alone)
	}
	return nil
}

// agree compares with the clusters of a table.
func agree(b *bytes.Buffer, names []string, groups [][]int, file string) error {
	of, err := eval.ReadClusters(file)
	if err != nil {
		return err
	}
	var ours, theirs []string
	for n, g := range groups {
		for _, i := range g {
			if c, ok := of[sampleName(names[i])]; ok {
				ours, theirs = append(ours, fmt.Sprint(n)), append(theirs, c)
			}
		}
	}
	if len(ours) == 0 {
		return fmt.Errorf("%s: names none of these packages", file)
	}
	x := cluster.Agree(ours, theirs)
	_, err = fmt.Fprintf(b, "against %s: %d packages, pairs together here %d, there %d, both %d: precision %.1f %%, recall %.1f %%\n", filepath.Base(file), len(ours), x.First, x.Second, x.Both, 100*x.Precision(), 100*x.Recall())
	return err
}
