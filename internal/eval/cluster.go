package eval

import (
	"context"

	"github.com/donapi/donapi/internal/cluster"
)

// Cluster puts malicious samples that share code into one cluster, named after the first of them, where the corpus gives none. Other
// versions of a name stay together. A sample that print cannot read keeps the cluster of its name.
func Cluster(ctx context.Context, samples []Sample, print func(context.Context, Sample) (cluster.Print, error)) error {
	var at []int
	var prints []cluster.Print
	for i, s := range samples {
		if !s.Malicious || !s.byName {
			continue
		}
		p, err := print(ctx, s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			at, prints = append(at, i), append(prints, p)
		}
	}
	to := map[string]string{} // cluster of a name -> cluster of the code
	root := func(c string) string {
		for to[c] != "" {
			c = to[c]
		}
		return c
	}
	for _, g := range cluster.Group(prints, cluster.Alike) {
		first := root(samples[at[g[0]]].Cluster)
		for _, k := range g[1:] {
			if c := root(samples[at[k]].Cluster); c != first {
				to[c] = first
			}
		}
	}
	for i := range samples {
		if samples[i].Malicious && samples[i].byName {
			samples[i].Cluster = root(samples[i].Cluster)
		}
	}
	return nil
}
