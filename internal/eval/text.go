package eval

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// WriteJSON prints the report as one indented JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText prints the report for people.
func (r *Report) WriteText(w io.Writer) error {
	fmt.Fprintf(w, "%s, knowledge %s\n", r.Scanner, r.Knowledge)
	if len(r.Without) > 0 {
		fmt.Fprintf(w, "without %v\n", r.Without)
	}
	for _, t := range []struct {
		title string
		rows  []Row
	}{{"all", []Row{r.All}}, {"nested split by cluster", r.Parts}, {"by stage", r.Stages}, {"by category of the verdict", r.Categories}, {"by size", r.Sizes}} {
		if len(t.rows) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", t.title)
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "\tmalicious\tflagged (recall)\tjudged malicious\tclusters whole\tunseen\tordinary\tmalicious\tsuspicious\tinconclusive\tper 1000\tprecision\tF1")
		for _, x := range t.rows {
			fmt.Fprintf(tw, "%s\t%d\t%d  %v\t%d  %v\t%d/%d  %v\t%d\t%d\t%d\t%d\t%d\t%.1f\t%v\t%.3f\n", x.Name, x.Malicious, x.Flagged, x.Recall, x.Named, x.NamedRecall, x.ClustersWhole, x.Clusters, x.ClusterRecall,
				x.Unseen, x.Benign, x.BenignMalicious, x.BenignSuspicious, x.BenignUnseen, x.AlarmsPerThousand, x.Precision, x.F1)
		}
		if err := tw.Flush(); err != nil {
			return err
		}
	}
	if len(r.Variants) > 0 {
		fmt.Fprintf(w, "\nflagged samples written differently\n")
		for _, h := range r.Variants {
			fmt.Fprintf(w, "%-8s %d packages, level kept %v, still flagged %v\n", h.Transform, h.Packages, h.Level, h.Flagged)
			for _, l := range h.Lost {
				fmt.Fprintf(w, "    %s\n", l)
			}
		}
	}
	fmt.Fprintf(w, "\ncost\n")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "\ttime\tlongest\tslowest package\tallocated")
	for _, c := range r.Costs {
		fmt.Fprintf(tw, "%s\t%v\t%v\t%s\t%.0f MB\n", c.Stage, c.Time.Round(time.Millisecond), c.Longest.Round(time.Millisecond), c.Slowest, float64(c.Allocated)/1e6)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nerrors: %d\n", len(r.Errors))
	for _, e := range r.Errors {
		fmt.Fprintf(w, "%s  %s  [%s, %s]: %s\n", e.Kind, e.Name, e.Level, e.Part, e.Why)
		for _, f := range e.Findings {
			at := ""
			if len(f.Evidence) > 0 {
				at = fmt.Sprintf("  %s:%d", f.Evidence[0].File, f.Evidence[0].Line)
			}
			fmt.Fprintf(w, "    %-8s %s %s %s%s\n", f.Severity, f.ID, f.Phase, f.Confidence, at)
		}
	}
	return nil
}
