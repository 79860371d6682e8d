package forest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// What Read accepts at most. Train keeps to the same limits.
const (
	maxBytes    = 8 << 20
	maxFeatures = 1 << 10
	maxTrees    = 1 << 12
	maxNodes    = 1 << 20 // in all trees
	maxDepth    = 64
	maxText     = 1 << 10 // of a name, a command
)

// Model is a forest with its papers, as it is kept.
type Model struct {
	Name   string
	Recipe Recipe
	Scores map[string]Scores // by how they were measured: out-of-bag, folds, a kind of rows
	Forest *Forest
}

// Recipe tells how a model was made.
type Recipe struct {
	Command string `json:"command"`
	Rows    int    `json:"rows"`
	Data    string `json:"data"` // Digest of the rows
}

// Digest names a table by its content, "sha256:" and hexadecimal digits, whatever the order of its rows.
func Digest(features []string, rows []Row) (string, error) {
	order, err := check(features, rows)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	text := func(s string) {
		h.Write(binary.AppendUvarint(nil, uint64(len(s))))
		io.WriteString(h, s)
	}
	for _, f := range features {
		text(f)
	}
	for _, i := range order {
		text(rows[i].ID)
		text(rows[i].Group)
		for _, x := range rows[i].Features {
			h.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(x)))
		}
		fmt.Fprintf(h, "%t", rows[i].Label)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

// file is the stored layout. A tree is its nodes in preorder, a column for each field; feature is -1 for a leaf, whose threshold and
// right are 0; right is the place of the right child, the left one is the next node.
type file struct {
	Name     string            `json:"model"`
	Recipe   Recipe            `json:"recipe"`
	Options  Options           `json:"options"`
	Scores   map[string]Scores `json:"scores"`
	Features []string          `json:"features"`
	Trees    []columns         `json:"trees"`
}

type columns struct {
	Feature   []int     `json:"feature"`
	Threshold []float64 `json:"threshold"`
	Right     []int     `json:"right"`
	Value     []float64 `json:"value"`
}

// Write writes the model as JSON, a line for each tree.
func (m *Model) Write(w io.Writer) error {
	head, err := json.MarshalIndent(file{Name: m.Name, Recipe: m.Recipe, Options: m.Forest.options, Scores: m.Scores, Features: m.Forest.features, Trees: []columns{}}, "", " ")
	if err != nil {
		return fmt.Errorf("model %s: %w", m.Name, err)
	}
	var b bytes.Buffer
	b.Write(bytes.TrimSuffix(head, []byte("]\n}")))
	for i, t := range m.Forest.trees {
		var c columns
		for _, n := range t {
			c.Feature = append(c.Feature, n.feature)
			c.Threshold = append(c.Threshold, n.threshold)
			c.Right = append(c.Right, n.right)
			c.Value = append(c.Value, n.value)
		}
		line, err := json.Marshal(c)
		if err != nil {
			return fmt.Errorf("model %s: tree %d: %w", m.Name, i, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]\n}\n")
	_, err = w.Write(b.Bytes())
	return err
}

// Read reads what Write wrote. The name, such as the file's, is for errors. Whatever is wrong with a model is an error; a model that
// comes back can be asked anything.
func Read(name string, r io.Reader) (*Model, error) {
	m, err := read(r)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return m, nil
}

func read(r io.Reader) (*Model, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxBytes)
	}
	var in file
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the model")
	}
	switch {
	case in.Name == "" || len(in.Name) > maxText || len(in.Recipe.Command) > maxText || len(in.Recipe.Data) > maxText:
		return nil, fmt.Errorf("no name, or a text longer than %d bytes", maxText)
	case len(in.Features) == 0 || len(in.Features) > maxFeatures:
		return nil, fmt.Errorf("%d features: want 1 to %d", len(in.Features), maxFeatures)
	case len(in.Trees) == 0 || len(in.Trees) > maxTrees:
		return nil, fmt.Errorf("%d trees: want 1 to %d", len(in.Trees), maxTrees)
	}
	seen := map[string]bool{}
	for _, f := range in.Features {
		if f == "" || len(f) > maxText || seen[f] {
			return nil, fmt.Errorf("feature %.40q is empty, too long, or there twice", f)
		}
		seen[f] = true
	}
	m := &Model{Name: in.Name, Recipe: in.Recipe, Scores: in.Scores, Forest: &Forest{features: in.Features, options: in.Options}}
	nodes := 0
	for i, c := range in.Trees {
		if nodes += len(c.Feature); nodes > maxNodes {
			return nil, fmt.Errorf("more than %d nodes", maxNodes)
		}
		t, err := c.tree(len(in.Features))
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		m.Forest.trees = append(m.Forest.trees, t)
	}
	return m, nil
}

// tree asks that the columns are one tree in preorder: each node is the child of one that comes before it, so that every walk ends.
func (c columns) tree(features int) (tree, error) {
	n := len(c.Feature)
	if n == 0 || len(c.Threshold) != n || len(c.Right) != n || len(c.Value) != n {
		return nil, fmt.Errorf("columns of %d, %d, %d and %d nodes", n, len(c.Threshold), len(c.Right), len(c.Value))
	}
	t := make(tree, n)
	type span struct{ start, end, depth int } // a subtree's nodes
	todo := []span{{0, n, 0}}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		i := s.start
		t[i] = node{feature: c.Feature[i], threshold: c.Threshold[i], right: c.Right[i], value: c.Value[i]}
		switch nd := t[i]; {
		case !(nd.value >= 0 && nd.value <= 1):
			return nil, fmt.Errorf("node %d: a share of %v", i, nd.value)
		case s.depth > maxDepth:
			return nil, fmt.Errorf("node %d: deeper than %d", i, maxDepth)
		case nd.feature == -1:
			if s.end != i+1 || nd.right != 0 || nd.threshold != 0 {
				return nil, fmt.Errorf("node %d: a leaf with children", i)
			}
		case nd.feature < 0 || nd.feature >= features:
			return nil, fmt.Errorf("node %d: feature %d of %d", i, nd.feature, features)
		case nd.right <= i+1 || nd.right >= s.end:
			return nil, fmt.Errorf("node %d: right child %d", i, nd.right)
		default:
			todo = append(todo, span{i + 1, nd.right, s.depth + 1}, span{nd.right, s.end, s.depth + 1})
		}
	}
	return t, nil
}
