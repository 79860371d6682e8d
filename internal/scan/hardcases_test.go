package scan

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

// TestHardCases scans the cases of knowledge/hardcases, whose README tells what their heads say. A case that is missed, or that static
// analysis cannot decide, is held to what it yields at present and is named in the log.
func TestHardCases(t *testing.T) {
	k, err := LoadKnowledge(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	s := New(k, InProcess{K: k})
	files, err := filepath.Glob("../../knowledge/hardcases/*.txtar")
	if err != nil || len(files) != 28 {
		t.Fatalf("%d cases, want 28 (%v)", len(files), err)
	}
	open := map[string]string{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := parseHardCase(ar)
			if err != nil {
				t.Fatal(err)
			}
			v := scanPart(t, s, ar, "example/")
			if c.open != "" {
				open[name] = c.open
				if v.Level != c.level {
					t.Errorf("example: %s, its head says that it yields %s: %s\n%s", v.Level, c.level, v.Why, list(v))
				}
			} else {
				if v.Level < c.level {
					t.Errorf("example: %s, want at least %s: %s\n%s", v.Level, c.level, v.Why, list(v))
				}
				if c.category != "" && !slices.Contains(v.Categories, c.category) {
					t.Errorf("example: categories %v lack %s\n%s", v.Categories, c.category, list(v))
				}
			}
			for _, id := range c.findings {
				if !slices.ContainsFunc(v.Findings, func(f report.Finding) bool { return f.ID == id }) {
					t.Errorf("example: no %s\n%s", id, list(v))
				}
			}
			if v := scanPart(t, s, ar, "twin/"); v.Level != report.Clear {
				t.Errorf("twin: %s: %s\n%s", v.Level, v.Why, list(v))
			}
		})
	}
	t.Logf("%d of %d cases are not solved:", len(open), len(files))
	for _, name := range slices.Sorted(maps.Keys(open)) {
		t.Logf("  %s is %s", name, open[name])
	}
}

// hardCase is what the head of a case says.
type hardCase struct {
	category string // to be among those of the verdict; of an open case, what it would be
	level    report.Level
	findings []string
	open     string // that and why the case is missed or undecided; then level is what it yields
}

var (
	headLine = regexp.MustCompile(`^([a-z]+): (.+)$`)
	escape   = regexp.MustCompile(`\\u\{([0-9A-F]+)\}`)
)

const filler = "/* filler */\n"

// parseHardCase reads the head of a case, and makes of its files what the head says.
func parseHardCase(ar *txtar.Archive) (hardCase, error) {
	var c hardCase
	said := map[string]bool{}
	for line := range strings.Lines(string(ar.Comment)) {
		m := headLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		said[m[1]] = true
		var err error
		switch word, rest := m[1], m[2]; word {
		case "category":
			c.category = rest
		case "level", "yields":
			err = c.level.UnmarshalText([]byte(rest))
		case "finding":
			c.findings = append(c.findings, rest)
		case "missed", "undecided":
			c.open = word + ": " + rest
		case "unquote":
			err = change(ar, rest, unquote)
		case "repeat":
			name, size, _ := strings.Cut(rest, " ")
			n, bad := strconv.Atoi(size)
			if bad != nil {
				return c, bad
			}
			err = change(ar, name, func(data []byte) []byte {
				return bytes.Replace(data, []byte(filler), bytes.Repeat([]byte(filler), n/len(filler)), 1)
			})
		default:
			err = fmt.Errorf("unknown word %q", word)
		}
		if err != nil {
			return c, err
		}
	}
	if (c.open != "") != said["yields"] || said["level"] == said["yields"] {
		return c, fmt.Errorf("the head needs a level, or missed or undecided, and yields")
	}
	if c.category == "" && len(c.findings) == 0 {
		return c, fmt.Errorf("the head names neither a category nor a finding")
	}
	return c, nil
}

func change(ar *txtar.Archive, name string, f func([]byte) []byte) error {
	for i := range ar.Files {
		if ar.Files[i].Name == name {
			before := ar.Files[i].Data
			if ar.Files[i].Data = f(before); bytes.Equal(before, ar.Files[i].Data) {
				return fmt.Errorf("%s: nothing to change", name)
			}
			return nil
		}
	}
	return fmt.Errorf("%s: not in the case", name)
}

// unquote puts characters in the place of their numbers, so that no file of the repository hides any.
func unquote(data []byte) []byte {
	return escape.ReplaceAllFunc(data, func(m []byte) []byte {
		n, err := strconv.ParseUint(string(m[3:len(m)-1]), 16, 21)
		if err != nil {
			return m
		}
		return []byte(string(rune(n)))
	})
}
