package scan

import (
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Groups of stages that a verdict can be made without, to measure what each adds.
var Groups = []string{"shell", "obfuscation", "static", "dynamic", "metadata"}

// groupOf names the group that a finding of a detector belongs to.
func groupOf(id string) string {
	switch kind, _, _ := strings.Cut(id, "/"); kind {
	case "obfuscation", "hiddentext", "stores":
		return "obfuscation"
	default:
		return "metadata"
	}
}

var originGroup = map[callseq.Origin]string{callseq.Shell: "shell", callseq.Static: "static", callseq.Dynamic: "dynamic"}

// Without is the analysis as if some groups of stages had not run; it needs the trace. Calls keep their place, so that identifiers
// stay what they are.
func (s *Scanner) Without(a *Analysis, groups ...string) *Analysis {
	b := *a
	t := *a.Trace
	t.Calls = slices.Clone(t.Calls)
	for i := range t.Calls {
		c := &t.Calls[i]
		if slices.Contains(groups, originGroup[c.Origin]) {
			*c = callseq.Call{ID: c.ID, Origin: c.Origin, Phase: c.Phase, Cause: c.Cause}
		}
	}
	b.Trace = &t
	match(s.k, &b)
	b.Findings = slices.DeleteFunc(slices.Clone(a.Findings), func(f report.Finding) bool { return slices.Contains(groups, groupOf(f.ID)) })
	return &b
}
