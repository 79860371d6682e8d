// Package forest grows random forests over tables of numbers and answers with
// a probability that shows its sum. A table's row has an id, a group, numbers
// and a label; Train makes a Forest of it, Predict gives the share of evidence
// for the label and what each feature added (the decomposition along decision
// paths of Saabas, 2014), Write and Read keep it as JSON with the recipe and
// the scores it was grown with.
//
// The same rows and options give the same bytes on every machine, in whatever
// order rows come and however many processors grow the trees. Read takes models
// from strangers: what it accepts, Predict can walk.
package forest

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// Row is one example.
type Row struct {
	ID       string // unique in its table: rows are put in its order
	Group    string // rows of one group lie on one side of every split, see Validate
	Features []float64
	Label    bool
}

// Options shape a forest. A zero field takes the default.
type Options struct {
	Trees   int    `json:"trees"`    // default 100
	Depth   int    `json:"depth"`    // splits on the longest path, default 12
	MinLeaf int    `json:"min_leaf"` // drawn rows a leaf has at least, default 1
	Tried   int    `json:"tried"`    // features drawn for each split, default the square root of their number
	Seed    uint64 `json:"seed"`
}

func (o Options) withDefaults(features int) Options {
	o.Trees = cmp.Or(o.Trees, 100)
	o.Depth = cmp.Or(o.Depth, 12)
	o.MinLeaf = cmp.Or(o.MinLeaf, 1)
	o.Tried = min(cmp.Or(o.Tried, int(math.Ceil(math.Sqrt(float64(features))))), features)
	return o
}

// Forest is a trained model. The zero value has no trees and predicts 0.
type Forest struct {
	features []string
	options  Options
	trees    []tree
}

// node is a leaf when feature is negative. Nodes lie in preorder: the left child, for values up to threshold, is the next one.
type node struct {
	feature   int
	threshold float64
	right     int
	value     float64 // share of the label among the rows that came here
}

type tree []node

// Features names the numbers that Predict wants, in their order.
func (f *Forest) Features() []string { return slices.Clone(f.features) }

// Options returns what the forest was grown with, defaults filled in.
func (f *Forest) Options() Options { return f.options }

// Prediction is a probability and its sum: Base plus all Contributions.
type Prediction struct {
	Probability   float64
	Base          float64   // before any feature is looked at: the label's share in the trees' roots
	Contributions []float64 // one for each feature
}

// Predict judges one row of numbers. A number that is not a number goes right at each split.
func (f *Forest) Predict(x []float64) (Prediction, error) {
	if len(x) != len(f.features) {
		return Prediction{}, fmt.Errorf("%d numbers for a forest of %d features", len(x), len(f.features))
	}
	p := Prediction{Contributions: make([]float64, len(x))}
	if len(f.trees) == 0 {
		return p, nil
	}
	for _, t := range f.trees {
		p.Base += t[0].value
		i := 0
		for t[i].feature >= 0 {
			next := t.step(i, x)
			p.Contributions[t[i].feature] += t[next].value - t[i].value
			i = next
		}
		p.Probability += t[i].value
	}
	n := float64(len(f.trees))
	p.Probability /= n
	p.Base /= n
	for i := range p.Contributions {
		p.Contributions[i] /= n
	}
	return p, nil
}

func (t tree) step(i int, x []float64) int {
	if x[t[i].feature] <= t[i].threshold {
		return i + 1
	}
	return t[i].right
}

// value is the leaf that x falls into.
func (t tree) value(x []float64) float64 {
	i := 0
	for t[i].feature >= 0 {
		i = t.step(i, x)
	}
	return t[i].value
}

// Train grows a forest. The second result is its out-of-bag judgement of each row, in the order given: the mean of the trees that
// did not draw the row, not a number where every tree did. Rows of one group may lie on both sides of it, unlike in Validate.
func Train(features []string, rows []Row, opt Options) (*Forest, []float64, error) {
	order, err := check(features, rows)
	if err != nil {
		return nil, nil, err
	}
	opt = opt.withDefaults(len(features))
	if opt.Trees < 0 || opt.Trees > maxTrees || opt.Depth < 0 || opt.Depth > maxDepth || opt.MinLeaf < 0 || opt.Tried < 0 {
		return nil, nil, fmt.Errorf("options out of range: %+v", opt)
	}
	f := &Forest{features: slices.Clone(features), options: opt, trees: make([]tree, opt.Trees)}
	drawn := make([][]int, opt.Trees)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range f.trees {
		g.Go(func() error {
			gr := grower{rows: rows, options: opt, random: rand.New(rand.NewPCG(opt.Seed, uint64(i)))}
			bag := make([]int, len(order))
			times := make([]int, len(rows))
			for k := range bag {
				bag[k] = order[gr.random.IntN(len(order))]
				times[bag[k]]++
			}
			gr.grow(bag, 0)
			f.trees[i], drawn[i] = gr.tree, times
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	out := make([]float64, len(rows))
	for r, row := range rows {
		sum, n := 0.0, 0
		for i, t := range f.trees {
			if drawn[i][r] == 0 {
				sum += t.value(row.Features)
				n++
			}
		}
		out[r] = sum / float64(n)
	}
	return f, out, nil
}

// check asks for a table that can be learnt, and returns the rows' places in the order of their ids.
func check(features []string, rows []Row) ([]int, error) {
	if len(features) == 0 || len(features) > maxFeatures {
		return nil, fmt.Errorf("%d features: want 1 to %d", len(features), maxFeatures)
	}
	if len(rows) == 0 {
		return nil, errors.New("no rows to learn from")
	}
	order := make([]int, len(rows))
	for i, r := range rows {
		order[i] = i
		if len(r.Features) != len(features) {
			return nil, fmt.Errorf("row %q has %d numbers for %d features", r.ID, len(r.Features), len(features))
		}
		for j, x := range r.Features {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return nil, fmt.Errorf("row %q: %s is %v", r.ID, features[j], x)
			}
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(rows[a].ID, rows[b].ID) })
	for i := 1; i < len(order); i++ {
		if id := rows[order[i]].ID; id == rows[order[i-1]].ID {
			return nil, fmt.Errorf("row %q is there twice", id)
		}
	}
	return order, nil
}

// grower makes one tree.
type grower struct {
	rows    []Row
	options Options
	random  *rand.Rand
	tree    tree
}

// grow appends the subtree of the rows in bag, and reorders bag.
func (g *grower) grow(bag []int, depth int) {
	yes := 0
	for _, r := range bag {
		if g.rows[r].Label {
			yes++
		}
	}
	at := len(g.tree)
	// Four digits tell more than a bag of rows can, and keep the model small.
	g.tree = append(g.tree, node{feature: -1, value: math.Round(float64(yes)/float64(len(bag))*1e4) / 1e4})
	if yes == 0 || yes == len(bag) || depth == g.options.Depth {
		return
	}
	feature, threshold, ok := g.split(bag, yes)
	if !ok {
		return
	}
	n := 0
	for i, r := range bag {
		if g.rows[r].Features[feature] <= threshold {
			bag[n], bag[i] = r, bag[n]
			n++
		}
	}
	g.tree[at].feature, g.tree[at].threshold = feature, threshold
	g.grow(bag[:n], depth+1)
	g.tree[at].right = len(g.tree)
	g.grow(bag[n:], depth+1)
}

// split finds the cut that leaves the least Gini impurity. Features are drawn until enough of them can be cut at all.
func (g *grower) split(bag []int, yes int) (feature int, threshold float64, ok bool) {
	best := math.Inf(-1)
	tried := 0
	sorted := slices.Clone(bag)
	for _, f := range g.random.Perm(len(g.rows[0].Features)) {
		if tried == g.options.Tried {
			break
		}
		slices.SortFunc(sorted, func(a, b int) int { return cmp.Compare(g.rows[a].Features[f], g.rows[b].Features[f]) })
		cuttable := false
		left := 0
		for i := 1; i < len(sorted); i++ {
			if g.rows[sorted[i-1]].Label {
				left++
			}
			lo, hi := g.rows[sorted[i-1]].Features[f], g.rows[sorted[i]].Features[f]
			if lo == hi || i < g.options.MinLeaf || len(sorted)-i < g.options.MinLeaf {
				continue
			}
			cuttable = true
			// Counts are whole, and no product is added to a quotient: no machine can fuse, and so round, differently.
			if s := purity(left, i) + purity(yes-left, len(sorted)-i); s > best {
				best, feature, threshold, ok = s, f, between(lo, hi), true
			}
		}
		if cuttable {
			tried++
		}
	}
	return feature, threshold, ok
}

// purity of n rows, yes of them labelled, times n: the part of the Gini impurity that a cut can change.
func purity(yes, n int) float64 {
	no := n - yes
	return float64(yes*yes+no*no) / float64(n)
}

// between is a number t with lo <= t < hi.
func between(lo, hi float64) float64 {
	if t := lo/2 + hi/2; t >= lo && t < hi {
		return t
	}
	return lo
}
