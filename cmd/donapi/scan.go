package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/semaphore"
	"golang.org/x/term"

	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/report/json"
	"github.com/donapi/donapi/internal/report/text"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// fetching holds the flags of commands that take targets.
type fetching struct {
	npmrc, registry string
	timeout         time.Duration
	noConfine       bool
	cache           bool
	classifier      string
}

func (f *fetching) classifierFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.classifier, "classifier", scan.Corrected, "who judges: corrected, or paper for the classifier and the knowledge base as published")
}

func (f *fetching) checkClassifier() error {
	if f.classifier != scan.Corrected && f.classifier != scan.Paper {
		return usageError{fmt.Errorf("--classifier: unknown classifier %q: want %s or %s", f.classifier, scan.Corrected, scan.Paper)}
	}
	return nil
}

func (f *fetching) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.npmrc, "npmrc", "", "read npm's configuration from `FILE` too; it wins over the user's and the global one")
	cmd.Flags().StringVar(&f.registry, "registry", "", "ask the registry at `URL`")
	f.limits(cmd)
	cmd.Flags().BoolVar(&f.cache, "cache", true, "keep analyses in the user's cache folder and use kept ones; verdicts are always made anew")
}

// limits adds the flags of commands that analyse.
func (f *fetching) limits(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&f.timeout, "timeout", 2*time.Minute, "limit for the analysis of one package")
	cmd.Flags().BoolVar(&f.noConfine, "no-confine", false, "analyse in this process, without limits (for debugging)")
}

// client reads npm's configuration. The .npmrc of the working directory counts only if no target lies in or above it.
func (f *fetching) client(targets []string) (*registry.Client, error) {
	s := registry.DefaultSources()
	s.Extra = f.npmrc
	if f.npmrc != "" {
		if _, err := os.Stat(f.npmrc); err != nil {
			return nil, fmt.Errorf("--npmrc: %w", err)
		}
	}
	if wd, err := os.Getwd(); err == nil && !inTarget(wd, targets) {
		s.Project = filepath.Join(wd, ".npmrc")
	}
	if f.registry != "" {
		s.Env = append(s.Env, "npm_config_registry="+f.registry)
	}
	return registry.New(registry.LoadConfig(s), "donapi/"+scan.Version)
}

// inTarget reports that a folder is a target or lies in one.
func inTarget(dir string, targets []string) bool {
	dir, err := filepath.EvalSymlinks(dir) // one folder may have several names
	if err != nil {
		return true
	}
	for _, t := range targets {
		if st, err := os.Stat(t); err != nil || !st.IsDir() {
			continue // a lock file or a tarball does not make its folder a target
		}
		p, err := filepath.Abs(t)
		if err == nil {
			p, err = filepath.EvalSymlinks(p)
		}
		if err != nil {
			return true
		}
		if rel, err := filepath.Rel(p, dir); err == nil && (rel == "." || filepath.IsLocal(rel)) {
			return true
		}
	}
	return false
}

func (a *app) scan() *cobra.Command {
	var f fetching
	var format, failOn, dynamic string
	var jobs int
	var quiet, noColor, all bool
	cmd := &cobra.Command{
		Use:   "scan TARGET...",
		Short: "judge packages",
		Long: `Judges packages. A TARGET is

  name, name@version, name@range, name@tag, @scope/name   a package in the registry
  FILE.tgz, https://.../x.tgz, -                          a tarball: file, address, standard input
  FOLDER                                                  an unpacked package
  package-lock.json, npm-shrinkwrap.json                  every package that it resolved, by integrity

What exists as a file or folder is taken as one. Verdicts are clear, inconclusive, suspicious or malicious.

Exit status: 0 when no verdict is at or above --fail-on, 1 when a target could not be scanned, 2 on a mistake in the command
line, 3 when a verdict is at or above --fail-on (also when another target failed).`,
		Example: `  donapi scan left-pad@1.3.0
  donapi scan ./package.tgz --format json
  donapi scan package-lock.json --fail-on suspicious`,
		Args: needArgs("target"),
		RunE: func(cmd *cobra.Command, targets []string) error {
			level, err := report.ParseLevel(failOn)
			if err != nil {
				return usageError{fmt.Errorf("--fail-on: %w", err)}
			}
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format: unknown format %q: want text or json", format)}
			}
			if err := f.checkClassifier(); err != nil {
				return err
			}
			switch dynamic {
			case "never":
			case "auto", "always":
				return hintError{errors.New("--dynamic " + dynamic + ": this build cannot execute packages"), "use --dynamic never"}
			default:
				return usageError{fmt.Errorf("--dynamic: unknown value %q: want never, auto or always", dynamic)}
			}
			var h report.Handler = json.New(a.out)
			if format == "text" {
				h = text.New(a.out, text.Options{Color: !noColor && colors(a.out), All: all})
			}
			return a.runScan(cmd.Context(), targets, &f, h, level, jobs, quiet, format == "text")
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "text", "output: text, or json for JSON Lines")
	cmd.Flags().StringVar(&failOn, "fail-on", "malicious", "exit with 3 from this `LEVEL` on: clear, inconclusive, suspicious, malicious")
	f.classifierFlag(cmd)
	cmd.Flags().StringVar(&dynamic, "dynamic", "never", "execute packages in a sandbox: never, auto, always")
	cmd.Flags().IntVar(&jobs, "jobs", runtime.GOMAXPROCS(0), "packages analysed at the same time")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress and no notes")
	cmd.Flags().BoolVar(&noColor, "no-color", false, "no colours (also by NO_COLOR)")
	cmd.Flags().BoolVar(&all, "all", false, "show observations too, in text")
	return cmd
}

func colors(w any) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// analyser makes the part of a scanner that runs the stages, for as many packages at a time as jobs says.
func (f *fetching) analyser(k *scan.Knowledge, trace bool, jobs int) (scan.Analyser, func()) {
	if f.noConfine {
		return scan.InProcess{K: k, Paper: f.classifier == scan.Paper}, func() {}
	}
	lim := confine.Limits{Time: f.timeout, Large: sharedBytes}
	if jobs > 1 {
		lim.Threads = max(1, runtime.GOMAXPROCS(0)/jobs)
	}
	pool := confine.NewPool(lim)
	return &scan.Confined{Pool: pool, Trace: trace, Paper: f.classifier == scan.Paper, Knowledge: k.Digest}, pool.Close
}

// runScan scans all targets, several at a time, and reports them in the order given.
func (a *app) runScan(ctx context.Context, targets []string, f *fetching, h report.Handler, level report.Level, jobs int, quiet, people bool) error {
	client, err := f.client(targets)
	if err != nil {
		return err
	}
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err != nil {
		return err
	}
	var items []scan.Item
	known := func(name string) bool { return k.Popular.Dependents(name) > 0 }
	note := func(m string) {
		if !quiet {
			fmt.Fprintln(a.err, "donapi: note:", m)
		}
	}
	for _, t := range targets {
		list, err := scan.Expand(t, client, a.in, known, note)
		if err != nil {
			list = []scan.Item{{Target: t, Load: func(context.Context) (scan.Subject, error) { return scan.Subject{}, err }}}
		}
		items = append(items, list...)
	}
	jobs = max(1, min(jobs, len(items)))
	an, done := f.analyser(k, f.cache, jobs)
	defer done()
	if f.cache {
		if an, err = cached(an); err != nil {
			return err
		}
	}
	s := scan.New(k, an).WithClassifier(f.classifier)
	bar := a.bar(len(items), quiet)
	results := make([]chan *report.Verdict, len(items))
	for i := range results {
		results[i] = make(chan *report.Verdict, 1)
	}
	slots := make(chan struct{}, jobs)
	load := semaphore.NewWeighted(int64(jobs) * sharedBytes)
	var wg sync.WaitGroup
	go func() {
		for i := range items {
			slots <- struct{}{}
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { <-slots }()
				results[i] <- one(ctx, s, items[i], load, int64(jobs)*sharedBytes)
			}()
		}
	}()
	for i := range items {
		var v *report.Verdict
		select {
		case v = <-results[i]:
		case <-ctx.Done():
			return ctx.Err()
		}
		bar(items[i].Target)
		if v.Error != "" {
			if people {
				a.fail(errors.New(v.Error))
			}
			if a.code == exitOK {
				a.code = exitError
			}
		}
		if v.Error == "" && v.Level >= level {
			a.code = exitFound
		}
		if v.Error != "" && people {
			continue
		}
		if err := h.Verdict(v); err != nil {
			return err
		}
	}
	wg.Wait()
	return h.Close()
}

// sharedBytes is how large tarballs may be, each, that are analysed side by side: memory follows size, and a large one has the machine
// to itself.
const sharedBytes = 1 << 20

func one(ctx context.Context, s *scan.Scanner, it scan.Item, load *semaphore.Weighted, most int64) *report.Verdict {
	sub, err := it.Load(ctx)
	if err != nil {
		return s.Failed(it.Target, err)
	}
	share := min(max(int64(len(sub.Tarball)), 1), most)
	if err := load.Acquire(ctx, share); err != nil {
		return s.Failed(it.Target, err)
	}
	defer load.Release(share)
	v, err := s.Scan(ctx, sub)
	if err != nil {
		return s.Failed(it.Target, err)
	}
	return v
}

// bar shows progress on a terminal when there is more than one package, and nothing elsewhere.
func (a *app) bar(n int, quiet bool) func(string) {
	f, ok := a.err.(*os.File)
	if quiet || n < 2 || !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	b := progressbar.NewOptions(n, progressbar.OptionSetWriter(f), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetDescription("scanning"))
	return func(string) { b.Add(1) }
}
