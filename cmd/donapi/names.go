package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/npm"
)

func (a *app) kbNames() *cobra.Command {
	var date, output string
	var least int
	var quiet bool
	cmd := &cobra.Command{
		Use:   "names FOLDER|FILE...",
		Short: "compile the list of popular names from lock files, manifests and tarballs",
		Long: `Counts how many packages depend on each name and prints the list that names are compared with (knowledge/names/popular.txt).

Read are, in folders at any depth: package.json, package-lock.json and npm-shrinkwrap.json of every version, and tarballs of packages
whatever they are called, as a store keeps them. A package counts once, by name, however many of its versions are there. What cannot be
read is told and left out. The same files and flags give the same list.`,
		Example: `  donapi kb names ~/projects ./store --date 2026-11-30 --output knowledge/names/popular.txt`,
		Args:    needArgs("folder or file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := time.Parse(time.DateOnly, date); err != nil {
				return usageError{errors.New("want --date YYYY-MM-DD, the day of which the list speaks")}
			}
			if least < 1 {
				return usageError{errors.New("--least must be 1 or more")}
			}
			var t npm.Tally
			s := nameSources{tally: &t, problem: func(file string, err error) {
				if !quiet {
					fmt.Fprintf(a.err, "donapi: note: %s: %v\n", file, err)
				}
			}}
			for _, root := range args {
				if err := s.walk(cmd.Context(), root); err != nil {
					return err
				}
			}
			if t.Packages() == 0 {
				return hintError{fmt.Errorf("%s: no manifest, lock file or tarball of a package", strings.Join(args, ", ")), "name a folder that holds projects, node_modules or tarballs"}
			}
			p := t.Popular(least, date)
			var b bytes.Buffer
			recipe := []string{
				"Names that packages depend on, and how many packages do. Compiled by donapi kb names; do not edit.",
				fmt.Sprintf("from: %d packages (%d manifests, %d lock files, %d tarballs); dependents: %d or more", t.Packages(), s.manifests, s.locks, s.tarballs, least),
			}
			if err := p.Write(&b, recipe...); err != nil {
				return err
			}
			if output == "" {
				_, err := a.out.Write(b.Bytes())
				return err
			}
			return os.WriteFile(output, b.Bytes(), 0o644)
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "the `DAY` of the list, as 2026-11-30")
	cmd.Flags().IntVar(&least, "least", 3, "leave out names with fewer dependents")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write to `FILE` instead of standard output")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "no notes on files that cannot be read")
	return cmd
}

// nameSources reads whatever holds dependency lists.
type nameSources struct {
	tally                      *npm.Tally
	manifests, locks, tarballs int
	problem                    func(file string, err error)
}

const (
	maxNamesFile = 64 << 20 // bytes of a manifest, a lock file, or what a tarball unpacks to before its manifest
	maxNamesHead = 2000     // members of a tarball before its manifest
)

func (s *nameSources) walk(ctx context.Context, root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if p == root {
				return err
			}
			s.problem(p, err)
			return nil
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if err := s.file(p); err != nil {
			s.problem(p, err)
		}
		return nil
	})
}

func (s *nameSources) file(p string) error {
	switch base := filepath.Base(p); base {
	case "package.json":
		data, err := readAtMost(p, maxNamesFile)
		if err != nil {
			return err
		}
		return s.manifest(data)
	case "package-lock.json", "npm-shrinkwrap.json", ".package-lock.json":
		data, err := readAtMost(p, maxNamesFile)
		if err != nil {
			return err
		}
		s.locks++
		return s.tally.Lockfile(data)
	default:
		return s.tarball(p)
	}
}

func (s *nameSources) manifest(data []byte) error {
	m := npm.ParseManifest(data)
	if i := slices.IndexFunc(m.Problems, func(p string) bool { return strings.HasPrefix(p, "manifest ") }); i >= 0 {
		return errors.New(m.Problems[i])
	}
	s.manifests++
	s.tally.Manifest(m)
	return nil
}

func readAtMost(p string, most int64) ([]byte, error) {
	f, err := os.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if int64(len(data)) > most {
		return nil, fmt.Errorf("beyond %d MB", most>>20)
	}
	return data, err
}

// tarball reads the manifest of a package's tarball. Files that are no gzipped tar, or hold no package, are passed over.
func (s *nameSources) tarball(p string) error {
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil
	}
	r := tar.NewReader(io.LimitReader(z, maxNamesFile))
	for range maxNamesHead {
		h, err := r.Next()
		if err != nil {
			return nil // the end, or no package
		}
		if dir, base := path.Split(path.Clean(h.Name)); base != "package.json" || strings.Count(dir, "/") != 1 || h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := s.manifest(data); err != nil {
			return err
		}
		s.manifests--
		s.tarballs++
		return nil
	}
	return nil
}
