package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/donapi/donapi/internal/reconstruct"
	"github.com/donapi/donapi/internal/report/text"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// merger writes packages as one file each: in this process, or in a confined one.
type merger interface {
	Merge(ctx context.Context, s scan.Subject, opt reconstruct.MergeOptions) (*reconstruct.Merged, error)
}

func (a *app) reconstruct() *cobra.Command {
	var f fetching
	var opt reconstruct.MergeOptions
	var out, mapFile string
	var list, quiet bool
	cmd := &cobra.Command{
		Use:   "reconstruct TARGET...",
		Short: "write a package as one JavaScript file",
		Long: `Merges the files that a package's entries reach into one JavaScript file, linked by symbol: what a file exports is declared
under the name export_<file>_<object>, and whoever imports it uses that name. Files that run later, or only perhaps, stay in functions
of their own. TypeScript and JSX become JavaScript; other packages stay imports; nothing is executed.

The file runs what importing the package runs (--entry picks another entry) and exports the same; install scripts and commands are
functions in it that nothing calls. Put into the package's root folder it behaves as the package does. It goes to standard output,
with --out to a FILE, for several targets to a FOLDER that --out names. --map adds a source map back to file and line.`,
		Example: `  donapi reconstruct left-pad@1.3.0
  donapi reconstruct ./package.tgz --out merged.cjs --map merged.cjs.map
  donapi reconstruct ./package --entry scripts.postinstall
  donapi reconstruct a@1.0.0 b@2.0.0 --out merged/`,
		Args: needArgs("target"),
		RunE: func(cmd *cobra.Command, targets []string) error {
			client, err := f.client(targets)
			if err != nil {
				return err
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			note := func(m string) {
				if !quiet {
					fmt.Fprintln(a.err, "donapi: note:", m)
				}
			}
			var items []scan.Item
			for _, t := range targets {
				more, err := scan.Expand(t, client, a.in, nil, note)
				if err != nil {
					return err
				}
				items = append(items, more...)
			}
			many := len(items) > 1
			if many && out == "" && !list {
				return usageError{errors.New("several packages need a folder to be written to: --out FOLDER")}
			}
			if many && mapFile != "" {
				return usageError{errors.New("--map is for one package; in a folder each file gets a map beside it")}
			}
			an, done := f.analyser(k, false, 1)
			defer done()
			m, ok := an.(merger)
			if !ok {
				return errors.New("this analyser cannot merge")
			}
			bar := a.bar(len(items), quiet)
			w := mergeWriter{app: a, m: m, opt: opt, out: out, mapFile: mapFile, list: list, note: note, taken: map[string]bool{}}
			w.folder = many || out != "" && os.IsPathSeparator(out[len(out)-1])
			for _, it := range items {
				err := w.write(cmd.Context(), it)
				bar(it.Target)
				if err != nil {
					a.fail(err)
					a.code = exitError
				}
			}
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to `FILE`; for several packages, or when it ends in a slash, to files in this folder")
	cmd.Flags().StringVar(&mapFile, "map", "", "write the source map to `FILE`; - puts it at the end of the merged file")
	cmd.Flags().StringVar(&opt.Entry, "entry", "", "run this `ENTRY` instead, as scripts.postinstall, bin.cli, exports../x.import")
	cmd.Flags().BoolVar(&opt.ESM, "import", false, "as an import statement finds the package, where require finds another file")
	cmd.Flags().BoolVar(&opt.All, "all", false, "merge the files that no entry reaches too")
	cmd.Flags().BoolVar(&list, "list", false, "only list the files and how each stands in the merged one")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress and no notes")
	return cmd
}

// mergeWriter merges packages and writes them where the flags say.
type mergeWriter struct {
	*app
	m            merger
	opt          reconstruct.MergeOptions
	out, mapFile string
	folder, list bool // out is a folder; only list the files
	note         func(string)
	taken        map[string]bool // file names in the folder
}

func (w *mergeWriter) write(ctx context.Context, it scan.Item) error {
	sub, err := it.Load(ctx)
	if err != nil {
		return err
	}
	r, err := w.m.Merge(ctx, sub, w.opt)
	if err != nil {
		return err
	}
	for _, n := range r.Notes {
		w.note(it.Target + ": " + n)
	}
	if w.list {
		for _, f := range r.Files {
			if _, err := fmt.Fprintf(w.app.out, "%-9s %s\n", f.How, text.Escape(f.Path)); err != nil {
				return err
			}
		}
		return nil
	}
	out, mapFile := w.out, w.mapFile
	if w.folder {
		if err := os.MkdirAll(out, 0o777); err != nil {
			return err
		}
		name := fileName(it.Target)
		for n := 2; w.taken[name]; n++ {
			name = fmt.Sprintf("%s-%d", fileName(it.Target), n)
		}
		w.taken[name] = true
		out = filepath.Join(out, name+r.Ext())
		mapFile = out + ".map"
	}
	code := r.Code
	switch mapFile {
	case "":
	case "-":
		code += "//# sourceMappingURL=data:application/json;base64," + base64.StdEncoding.EncodeToString(r.Map) + "\n"
	default:
		code += "//# sourceMappingURL=" + url.PathEscape(filepath.Base(mapFile)) + "\n"
		if err := os.WriteFile(mapFile, r.Map, 0o666); err != nil {
			return err
		}
	}
	if out == "" {
		if f, ok := w.app.out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
			code = forTerminal(code)
		}
		_, err = fmt.Fprint(w.app.out, code)
		return err
	}
	return os.WriteFile(out, []byte(code), 0o666)
}

// forTerminal keeps code from driving the terminal that shows it.
func forTerminal(code string) string {
	lines := strings.Split(code, "\n")
	for i, l := range lines {
		parts := strings.Split(l, "\t")
		for j := range parts {
			parts[j] = text.Escape(parts[j])
		}
		lines[i] = strings.Join(parts, "\t")
	}
	return strings.Join(lines, "\n")
}

// fileName makes a file name of a target.
func fileName(target string) string {
	b := []byte(filepath.Base(target))
	if filepath.Base(target) != target && target[0] == '@' {
		b = []byte(target)
	}
	for i, c := range b {
		if c != '.' && c != '-' && c != '@' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			b[i] = '_'
		}
	}
	return string(b)
}
