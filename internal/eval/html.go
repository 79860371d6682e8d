package eval

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
)

//go:embed report.html
var page string

// WriteHTML prints the report as one page that needs nothing else. Names and code of packages are an attacker's text: html/template
// escapes them and the page forbids scripts.
func (r *Report) WriteHTML(w io.Writer) error {
	type table struct {
		Title string
		Rows  []Row
	}
	t, err := template.New("report").Funcs(template.FuncMap{
		"tables": func(r *Report) []table {
			all := []table{{"All packages", []Row{r.All}}, {"Nested split by cluster", r.Parts}, {"By stage", r.Stages}, {"By category of the verdict", r.Categories}, {"By size", r.Sizes}}
			out := all[:0]
			for _, t := range all {
				if len(t.Rows) > 0 {
					out = append(out, t)
				}
			}
			return out
		},
		"x":    func(share float64) string { return fmt.Sprintf("%.1f", 120*share) },
		"mega": func(n uint64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
