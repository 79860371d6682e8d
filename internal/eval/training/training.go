// Package training makes the tables that donapi's models learn from, out of packages anyone can fetch. For the obfuscation model a
// file of each ordinary package gives a plain row, a minified one, which is the hard negative, and two rows obfuscated by
// javascript-obfuscator, the positives; all rows of a package share a group. Files are read, printed and obfuscated, never run.
package training

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"slices"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/detect/obfuscation"
	"github.com/donapi/donapi/internal/eval"
	"github.com/donapi/donapi/internal/eval/transform"
	"github.com/donapi/donapi/internal/forest"
	"github.com/donapi/donapi/internal/reconstruct"
)

// Sizes of a file that is taken, bytes: smaller ones say too little, larger ones take the obfuscator long.
const (
	minFile = 600
	maxFile = 16 << 10
)

// Presets of the obfuscator, as obfuscate.js names them.
var Presets = []string{"default", "low", "medium", "high", "escapes"}

// Job is one file to be obfuscated.
type Job struct {
	ID     string `json:"id"`
	Preset string `json:"preset"`
	Seed   uint32 `json:"seed"`
	Code   string `json:"code"`
}

// Obfuscator writes jobs' code unreadably: results by the jobs' ids. A job that it cannot do is missing.
type Obfuscator func(context.Context, []Job) (map[string]string, error)

// Table is what a model learns from.
type Table struct {
	Features []string
	Rows     []forest.Row
	Kinds    []string  // of each row: plain, minified or the preset
	Rules    []float64 // of each row: what the rules of package obfuscation score it
	Skipped  []string  // what could not be made, and why
}

// source is a file of an ordinary package.
type source struct{ group, pkg, path, text string }

func (s source) id(kind string) string { return s.pkg + "/" + s.path + " " + kind }

// Obfuscation makes the table of the obfuscation model from the ordinary packages among samples, a file of each, at most as many
// files as are asked for. Which ones, the seed decides.
func Obfuscation(ctx context.Context, samples []eval.Sample, files int, seed uint64, obfuscate Obfuscator) (*Table, error) {
	t := &Table{Features: obfuscation.PaperNames()}
	list := t.choose(samples, files, seed)
	if len(list) == 0 {
		return nil, errors.New("no ordinary package with a fitting JavaScript file found")
	}
	var jobs []Job
	for i, s := range list {
		t.add(s, "plain", s.text, false)
		if text, err := minified(s); err != nil {
			t.Skipped = append(t.Skipped, fmt.Sprintf("%s: %v", s.id("minified"), err))
		} else {
			t.add(s, "minified", text, false)
		}
		for k := range 2 {
			p := Presets[(i+2*k)%len(Presets)]
			jobs = append(jobs, Job{ID: s.id(p), Preset: p, Seed: uint32(hash(seed, s.id(p))), Code: s.text})
		}
	}
	done, err := obfuscate(ctx, jobs)
	if err != nil {
		return nil, fmt.Errorf("obfuscator: %w", err)
	}
	for i, j := range jobs {
		if text, ok := done[j.ID]; ok {
			t.add(list[i/2], j.Preset, text, true)
		} else {
			t.Skipped = append(t.Skipped, j.ID+": the obfuscator could not read it")
		}
	}
	return t, nil
}

func (t *Table) add(s source, kind, text string, label bool) {
	var x []float64
	for _, f := range obfuscation.Paper(text) {
		x = append(x, f.Value)
	}
	t.Rows = append(t.Rows, forest.Row{ID: s.id(kind), Group: s.group, Features: x, Label: label})
	t.Kinds = append(t.Kinds, kind)
	t.Rules = append(t.Rules, obfuscation.Measure(text).Value)
}

// choose takes a file of each ordinary package, in an order that the seed gives, until there are enough.
func (t *Table) choose(samples []eval.Sample, files int, seed uint64) []source {
	samples = slices.Clone(samples)
	slices.SortFunc(samples, func(a, b eval.Sample) int {
		return cmp.Or(cmp.Compare(hash(seed, a.Name), hash(seed, b.Name)), cmp.Compare(a.Name, b.Name))
	})
	var list []source
	for _, s := range samples {
		if len(list) == files {
			break
		}
		if s.Malicious {
			continue
		}
		a, err := open(s)
		if err != nil {
			t.Skipped = append(t.Skipped, fmt.Sprintf("%s: %v", s.Name, err))
			continue
		}
		var best *artifact.File
		for i := range a.Files {
			f := &a.Files[i]
			if fits(f) && (best == nil || hash(seed, f.Path) < hash(seed, best.Path)) {
				best = f
			}
		}
		if best != nil {
			list = append(list, source{group: s.Cluster, pkg: s.Name, path: best.Path, text: string(best.Data)})
		}
	}
	return list
}

// fits reports a file of JavaScript of the right size that is not obfuscated already.
func fits(f *artifact.File) bool {
	ext := f.Path[max(0, len(f.Path)-3):]
	return ext == ".js" && len(f.Data) >= minFile && len(f.Data) <= maxFile && obfuscation.Measure(string(f.Data)).Value < 0.5
}

func open(s eval.Sample) (*artifact.Artifact, error) {
	st, err := os.Stat(s.Path)
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return artifact.FromFolder(s.Path, artifact.Limits{})
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return artifact.FromTarball(f, artifact.Limits{})
}

func minified(s source) (string, error) {
	a := artifact.New([]artifact.File{{Path: s.path, Data: []byte(s.text)}}, nil, "")
	v, err := transform.Minify(a, reconstruct.Build(a, reconstruct.Options{}))
	if err != nil {
		return "", err
	}
	if v.Changed != 1 {
		return "", errors.New("the minifier could not read it")
	}
	return string(v.Artifact.Files[0].Data), nil
}

func hash(seed uint64, s string) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d\x00%s", seed, s)
	return h.Sum64()
}

//go:embed obfuscate.js
var script string

// In is javascript-obfuscator, as it is installed below a folder, run by node.
func In(dir string) Obfuscator {
	return func(ctx context.Context, jobs []Job) (map[string]string, error) {
		in, err := json.Marshal(jobs)
		if err != nil {
			return nil, err
		}
		cmd := exec.CommandContext(ctx, "node", "--max-old-space-size=1024", "-e", script)
		cmd.Dir, cmd.Stdin = dir, bytes.NewReader(in)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("node: %w: %.500s", err, stderr.String())
		}
		done := map[string]string{}
		sc := bufio.NewScanner(bytes.NewReader(out))
		sc.Buffer(nil, 64<<20)
		for sc.Scan() {
			var r struct{ ID, Code, Error string }
			if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
				return nil, err
			}
			if r.Error == "" {
				done[r.ID] = r.Code
			}
		}
		return done, sc.Err()
	}
}

// version of javascript-obfuscator that Install fetches.
const version = "4.1.1"

// Install fetches javascript-obfuscator with npm into a folder, without running scripts.
func Install(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "javascript-obfuscator@"+version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install javascript-obfuscator: %w: %.500s", err, out)
	}
	return nil
}
