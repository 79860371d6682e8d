package eval

import (
	"math"

	"github.com/donapi/donapi/internal/report"
)

// Score counts verdicts against labels. Flagged means suspicious or malicious; what was inconclusive is not.
type Score struct {
	Malicious       int `json:"malicious"` // packages with that label
	Flagged         int `json:"flagged"`   // of them, suspicious or malicious
	Named           int `json:"named"`     // of them, malicious
	Unseen          int `json:"unseen"`    // of them, inconclusive or failed: missed
	Clusters        int `json:"clusters"`
	ClustersFlagged int `json:"clustersFlagged"` // at least one sample of it was
	ClustersWhole   int `json:"clustersWhole"`   // every sample of it was

	Benign           int `json:"benign"`
	BenignMalicious  int `json:"benignMalicious"`
	BenignSuspicious int `json:"benignSuspicious"`
	BenignUnseen     int `json:"benignUnseen"`
}

// Interval is a share with its Wilson score interval at 95 %.
type Interval struct {
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Wilson is the interval of k successes in n trials (E. B. Wilson, JASA 22, 1927), z = 1.96.
func Wilson(k, n int) Interval {
	if n == 0 {
		return Interval{0, 0, 1}
	}
	const z = 1.959964
	p, m := float64(k)/float64(n), float64(n)
	d := 1 + z*z/m
	c := (p + z*z/(2*m)) / d
	w := z * math.Sqrt(p*(1-p)/m+z*z/(4*m*m)) / d
	return Interval{p, max(0, c-w), min(1, c+w)}
}

// Recall is the share of malicious packages that were flagged.
func (s Score) Recall() Interval { return Wilson(s.Flagged, s.Malicious) }

// NamedRecall is the share of malicious packages judged malicious.
func (s Score) NamedRecall() Interval { return Wilson(s.Named, s.Malicious) }

// ClusterRecall is the share of clusters of which every sample was flagged.
func (s Score) ClusterRecall() Interval { return Wilson(s.ClustersWhole, s.Clusters) }

// Precision is the share of flagged packages that are malicious, at the mixture of this corpus.
func (s Score) Precision() Interval {
	return Wilson(s.Flagged, s.Flagged+s.BenignMalicious+s.BenignSuspicious)
}

// F1 is the harmonic mean of recall and precision.
func (s Score) F1() float64 {
	r, p := s.Recall().Share, s.Precision().Share
	if r+p == 0 {
		return 0
	}
	return 2 * r * p / (r + p)
}

// AlarmsPerThousand is the number of ordinary packages flagged, a thousand.
func (s Score) AlarmsPerThousand() float64 {
	if s.Benign == 0 {
		return 0
	}
	return 1000 * float64(s.BenignMalicious+s.BenignSuspicious) / float64(s.Benign)
}

// tally scores judged samples.
func tally(rs []Judged) Score {
	var s Score
	type count struct{ all, flagged int }
	clusters := map[string]count{}
	for _, r := range rs {
		l := r.Level
		if r.Sample.Malicious {
			s.Malicious++
			c := clusters[r.Sample.Cluster]
			c.all++
			switch {
			case l == report.Malicious:
				s.Named++
				fallthrough
			case l == report.Suspicious:
				s.Flagged++
				c.flagged++
			case l == report.Inconclusive:
				s.Unseen++
			}
			clusters[r.Sample.Cluster] = c
			continue
		}
		s.Benign++
		switch l {
		case report.Malicious:
			s.BenignMalicious++
		case report.Suspicious:
			s.BenignSuspicious++
		case report.Inconclusive:
			s.BenignUnseen++
		}
	}
	s.Clusters = len(clusters)
	for _, c := range clusters {
		if c.flagged > 0 {
			s.ClustersFlagged++
		}
		if c.flagged == c.all {
			s.ClustersWhole++
		}
	}
	return s
}
