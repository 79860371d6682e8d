// Package eval measures the scanner on labelled packages without fooling ourselves: a corpus goes in; recall, precision and false
// alarms come out, per sample and per cluster of near copies, by stage, category and size, with Wilson intervals, the cost of each
// stage, and every error with its evidence. Samples are data: they are analysed, never executed, and transformed only through parser
// APIs. A package that could not be analysed counts against the scanner: as missed if it is malicious.
package eval

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Sample is one labelled package.
type Sample struct {
	Name      string // as the corpus calls it
	Path      string // tarball or folder
	Malicious bool
	Cluster   string // near copies share one; a split never divides it

	byName bool // nobody gave the cluster: it is the name
}

// Part of a nested split: thresholds are set on Tune and checked on Check.
type Part string

const (
	Tune  Part = "tune"  // two thirds of the clusters
	Check Part = "check" // the rest
)

// Part says on which side of the split a sample lies, by a hash of its cluster.
func (s Sample) Part() Part {
	h := fnv.New32a()
	h.Write([]byte(s.Cluster))
	if h.Sum32()%3 == 0 {
		return Check
	}
	return Tune
}

// Read lists the samples of a corpus in the order of their names. A folder holds the packages, as folders or tarballs, below
// "malicious" and "benign". A TSV file has a header with the columns path (relative to the file), label (malicious or benign) and
// optionally cluster. clusters may name another TSV with the columns package and cluster. A package without a cluster is in one with
// the other versions of its name; Cluster looks at the code instead.
func Read(path, clusters string) ([]Sample, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var list []Sample
	if st.IsDir() {
		list, err = readFolder(path)
	} else {
		list, err = readTable(path)
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no package found: a corpus has the folders malicious and benign, or is a TSV with path and label", path)
	}
	var of map[string]string
	if clusters != "" {
		if of, err = ReadClusters(clusters); err != nil {
			return nil, err
		}
	}
	for i := range list {
		s := &list[i]
		if c := of[s.Name]; c != "" && s.Malicious {
			s.Cluster = c
		}
		if s.Cluster == "" {
			s.Cluster, s.byName = withoutVersion(s.Name), true
		}
	}
	slices.SortFunc(list, func(a, b Sample) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

// ReadClusters reads a TSV with the columns package and cluster: package -> cluster.
func ReadClusters(file string) (map[string]string, error) {
	of := map[string]string{}
	err := rows(file, []string{"package", "cluster"}, func(_ int, cell func(string) string) error {
		of[cell("package")] = cell("cluster")
		return nil
	})
	return of, err
}

func readFolder(dir string) ([]Sample, error) {
	var list []Sample
	for _, label := range []string{"malicious", "benign"} {
		es, err := os.ReadDir(filepath.Join(dir, label))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range es {
			name := e.Name()
			if !e.IsDir() && !strings.HasSuffix(name, ".tgz") && !strings.HasSuffix(name, ".tar.gz") {
				continue
			}
			name = strings.TrimSuffix(strings.TrimSuffix(name, ".tgz"), ".tar.gz")
			list = append(list, Sample{Name: name, Path: filepath.Join(dir, label, e.Name()), Malicious: label == "malicious"})
		}
	}
	return list, nil
}

func readTable(path string) ([]Sample, error) {
	var list []Sample
	err := rows(path, []string{"path", "label"}, func(line int, cell func(string) string) error {
		label := cell("label")
		if label != "malicious" && label != "benign" {
			return fmt.Errorf("%s:%d: label %q: want malicious or benign", path, line, label)
		}
		p := cell("path")
		if !filepath.IsAbs(p) {
			p = filepath.Join(filepath.Dir(path), p)
		}
		if _, err := os.Stat(p); err != nil {
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		name := cell("package")
		if name == "" {
			name = strings.TrimSuffix(filepath.Base(p), ".tgz")
		}
		list = append(list, Sample{Name: name, Path: p, Malicious: label == "malicious", Cluster: cell("cluster")})
		return nil
	})
	return list, err
}

// rows reads a table with a header, its columns by name.
func rows(path string, need []string, row func(line int, cell func(string) string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	var head []string
	for line := 1; sc.Scan(); line++ {
		cells := strings.Split(sc.Text(), "\t")
		if head == nil {
			head = cells
			for _, n := range need {
				if !slices.Contains(head, n) {
					return fmt.Errorf("%s:%d: the header has no column %q", path, line, n)
				}
			}
			continue
		}
		if sc.Text() == "" {
			continue
		}
		err := row(line, func(name string) string {
			if i := slices.Index(head, name); i >= 0 && i < len(cells) {
				return cells[i]
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
	return sc.Err()
}

// withoutVersion cuts a trailing -1.2.3 off a name.
func withoutVersion(name string) string {
	for i := len(name) - 2; i > 0; i-- {
		if name[i] == '-' && name[i+1] >= '0' && name[i+1] <= '9' && strings.Contains(name[i:], ".") {
			return name[:i]
		}
	}
	return name
}
