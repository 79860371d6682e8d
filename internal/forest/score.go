package forest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Scores count judgements against labels. A share whose denominator is nothing is 0.
type Scores struct {
	TruePositives  int     `json:"true_positives"`
	FalsePositives int     `json:"false_positives"`
	FalseNegatives int     `json:"false_negatives"`
	TrueNegatives  int     `json:"true_negatives"`
	Precision      float64 `json:"precision"`
	Recall         float64 `json:"recall"`
	F1             float64 `json:"f1"`
}

// Score calls a row positive from a probability of 0.5 on. A row whose probability is not a number was not judged and counts as an
// error.
func Score(rows []Row, probabilities []float64) Scores {
	var s Scores
	for i, r := range rows {
		p := probabilities[i]
		switch {
		case r.Label && p >= 0.5:
			s.TruePositives++
		case r.Label:
			s.FalseNegatives++
		case p < 0.5:
			s.TrueNegatives++
		default:
			s.FalsePositives++
		}
	}
	share := func(a, b int) float64 { return float64(a) / float64(max(b, 1)) }
	s.Precision = share(s.TruePositives, s.TruePositives+s.FalsePositives)
	s.Recall = share(s.TruePositives, s.TruePositives+s.FalseNegatives)
	s.F1 = share(2*s.TruePositives, 2*s.TruePositives+s.FalsePositives+s.FalseNegatives)
	return s
}

// Validate judges each row by a forest that was grown without the row's group: groups are dealt to folds, and each fold is judged by
// a forest of all the others. The probabilities come in the order of rows.
func Validate(features []string, rows []Row, opt Options, folds int) ([]float64, error) {
	if _, err := check(features, rows); err != nil {
		return nil, err
	}
	var groups []string
	for _, r := range rows {
		groups = append(groups, r.Group)
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if folds < 2 || folds > len(groups) {
		return nil, fmt.Errorf("%d folds of %d groups: want 2 folds or more, and a group for each", folds, len(groups))
	}
	random := rand.New(rand.NewPCG(opt.Seed, uint64(folds)))
	fold := make(map[string]int, len(groups))
	for i, g := range random.Perm(len(groups)) {
		fold[groups[g]] = i % folds
	}
	out := make([]float64, len(rows))
	for k := range folds {
		var known []Row
		for _, r := range rows {
			if fold[r.Group] != k {
				known = append(known, r)
			}
		}
		f, _, err := Train(features, known, opt)
		if err != nil {
			return nil, fmt.Errorf("fold %d: %w", k+1, err)
		}
		for i, r := range rows {
			if fold[r.Group] != k {
				continue
			}
			p, err := f.Predict(r.Features)
			if err != nil {
				return nil, fmt.Errorf("fold %d: row %q: %w", k+1, r.ID, err)
			}
			out[i] = p.Probability
		}
	}
	return out, nil
}

// Top returns the places of the n features that added most to the probability, or took most off it, greatest first.
func (p Prediction) Top(n int) []int {
	at := make([]int, len(p.Contributions))
	for i := range at {
		at[i] = i
	}
	size := func(i int) float64 { return max(p.Contributions[i], -p.Contributions[i]) }
	slices.SortStableFunc(at, func(a, b int) int { return cmp.Compare(size(b), size(a)) })
	return at[:min(n, len(at))]
}
