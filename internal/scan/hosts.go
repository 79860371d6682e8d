package scan

import (
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/detect"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/shell"
)

// shellChecks documents what commands tell by the hosts they name.
var shellChecks = []detect.Check{
	{ID: "shell/made-host", Title: "a command calls a host with a machine-made name", Severity: report.Medium, Doc: "The paper's nine features of a URL, over the destinations of commands: hosts that catch requests out of band have long, even and unreadable labels. Hosts of a known kind and the package's own are left out first. The score is a documented linear one and stands for the paper's model; from 0.6 on the name counts as made."},
}

const madeScore = 0.6

// madeHosts is the paper's URL model over the destinations of commands, the allow list before it.
func madeHosts(k *Knowledge, a *Analysis) []report.Finding {
	var worst shell.URL
	var ev []report.Evidence
	var phase callseq.Phase
	for _, u := range k.Shell.URLs(a.Trace) {
		if u.Score < madeScore || own(a.Hosts, u.Features.Host) {
			continue
		}
		c := a.Trace.Lookup(u.Call)
		if phase == "" {
			phase = c.Phase
		}
		if c.Phase == phase && len(ev) < 10 { // phases stand in the order in which they run
			ev = append(ev, report.Evidence{File: a.Trace.File(c.Pos), Line: c.Pos.Line, Call: c.ID, API: c.API, Text: u.Text, To: u.Features.Host})
		}
		if u.Score > worst.Score {
			worst = u
		}
	}
	if ev == nil {
		return nil
	}
	f := detect.Find(shellChecks, "shell/made-host", ev...)
	f.Phase = phase
	f.Score, f.Features = worst.Features.Score()
	return []report.Finding{f}
}

func own(hosts []string, host string) bool {
	for _, h := range hosts {
		if host == h || strings.HasSuffix(host, "."+h) {
			return true
		}
	}
	return false
}
