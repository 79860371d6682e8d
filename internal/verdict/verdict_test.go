package verdict

import (
	"slices"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

func finding(id string, s report.Severity, ph callseq.Phase, c report.Confidence) report.Finding {
	f := report.Finding{ID: id, Title: "title of " + id, Severity: s, Phase: ph, Confidence: c}
	if id[0] == 'M' {
		for i := range id {
			if id[i] == '/' {
				f.Category = id[:i]
			}
		}
	}
	return f
}

// TestLadder tries each rung of the ladder with the least that reaches it, and with what just does not.
func TestLadder(t *testing.T) {
	const install, imp, call = callseq.PhaseInstall, callseq.PhaseImport, callseq.PhaseCall
	shape := func(id string) report.Finding { return finding(id, report.Medium, "", report.ByShape) }
	for _, c := range []struct {
		name string
		fs   []report.Finding
		cov  report.Coverage
		want report.Level
		rule string
	}{
		{"nothing", nil, report.Coverage{}, report.Clear, ""},
		{"critical at install", []report.Finding{finding("M1/x", report.Critical, install, report.BySequence)}, report.Coverage{}, report.Malicious, "critical-early"},
		{"critical when called, by flow", []report.Finding{finding("M1/x", report.Critical, call, report.ByFlow)}, report.Coverage{}, report.Malicious, "critical-flow"},
		{"critical when called, by order only", []report.Finding{finding("M1/x", report.Critical, call, report.BySequence)}, report.Coverage{}, report.Suspicious, "critical-late"},
		{"two high at import", []report.Finding{finding("M1/x", report.High, imp, report.ByFlow), finding("M3/y", report.High, imp, report.BySequence)}, report.Coverage{}, report.Malicious, "two-high-early"},
		{"one high twice", []report.Finding{finding("M1/x", report.High, imp, report.ByFlow), finding("M1/x", report.High, install, report.ByFlow)}, report.Coverage{}, report.Suspicious, "high-early"},
		{"high in obfuscated code", []report.Finding{finding("M1/x", report.High, imp, report.BySequence), shape("obfuscation/reached")}, report.Coverage{}, report.Malicious, "high-hidden"},
		{"high when called, by flow", []report.Finding{finding("M1/x", report.High, call, report.ByFlow)}, report.Coverage{}, report.Suspicious, "high-late"},
		{"high when called, by order only", []report.Finding{finding("M1/x", report.High, call, report.BySequence)}, report.Coverage{}, report.Clear, ""},
		{"a beacon of a placeholder", []report.Finding{finding("M1/install-beacon", report.Medium, install, report.BySequence), shape("manifest/placeholder")}, report.Coverage{}, report.Malicious, "beacon-hidden"},
		{"a beacon alone", []report.Finding{finding("M1/install-beacon", report.Medium, install, report.BySequence)}, report.Coverage{}, report.Clear, ""},
		{"two medium at install", []report.Finding{finding("M1/x", report.Medium, install, report.ByFlow), finding("M3/y", report.Medium, install, report.ByFlow)}, report.Coverage{}, report.Suspicious, "two-medium-early"},
		{"one medium at install", []report.Finding{finding("M1/x", report.Medium, install, report.ByFlow)}, report.Coverage{}, report.Clear, ""},
		{"a name alike", []report.Finding{shape("names/typosquat"), shape("names/scope-confusion"), shape("names/combosquat"), shape("names/dependency")}, report.Coverage{}, report.Clear, ""},
		{"one medium at install, and a name alike", []report.Finding{finding("M1/x", report.Medium, install, report.ByFlow), shape("names/typosquat")}, report.Coverage{}, report.Suspicious, "medium-alike"},
		{"one medium at install, and a word added to the name", []report.Finding{finding("M1/x", report.Medium, install, report.ByFlow), shape("names/combosquat")}, report.Coverage{}, report.Clear, ""},
		{"one high at import, and a name alike", []report.Finding{finding("M1/x", report.High, imp, report.BySequence), shape("names/scope-confusion")}, report.Coverage{}, report.Malicious, "high-alike"},
		{"a new publisher after a year, without provenance", []report.Finding{shape("publication/new-publisher"), shape("publication/dormant"), shape("publication/lost-provenance")}, report.Coverage{}, report.Clear, ""},
		{"a first install script", []report.Finding{shape("publication/hook-added")}, report.Coverage{}, report.Clear, ""},
		{"a first install script by somebody new", []report.Finding{shape("publication/hook-added"), shape("publication/new-publisher")}, report.Coverage{}, report.Suspicious, "taken-over"},
		{"the same, and high", []report.Finding{shape("publication/hook-added"), shape("publication/lost-provenance"), finding("M1/x", report.High, install, report.ByFlow)}, report.Coverage{}, report.Malicious, "high-taken-over"},
		{"one medium at import by somebody new", []report.Finding{shape("publication/new-publisher"), finding("M1/x", report.Medium, imp, report.ByFlow)}, report.Coverage{}, report.Clear, ""},
		{"one medium at import by somebody new without the pipeline", []report.Finding{shape("publication/new-publisher"), shape("publication/lost-trusted-publisher"), shape("publication/lost-provenance"), finding("M1/x", report.Medium, imp, report.ByFlow)}, report.Coverage{}, report.Suspicious, "medium-taken-over"},
		{"a hidden install script", []report.Finding{shape("publication/hidden-hook")}, report.Coverage{}, report.Suspicious, "hidden-hook"},
		{"other dependencies in the registry", []report.Finding{shape("publication/hidden-dependency"), shape("publication/hidden-command"), shape("publication/other-hook")}, report.Coverage{}, report.Clear, ""},
		{"a fresh dependency", []report.Finding{shape("publication/fresh-dependency")}, report.Coverage{}, report.Clear, ""},
		{"a fresh dependency, armed", []report.Finding{shape("publication/fresh-dependency"), shape("publication/armed-dependency")}, report.Coverage{}, report.Suspicious, "armed-dependency"},
		{"obfuscated", []report.Finding{shape("obfuscation/reached")}, report.Coverage{}, report.Suspicious, "obfuscated-early"},
		{"kills analysers", []report.Finding{shape("analyser/killed")}, report.Coverage{}, report.Suspicious, "breaks-analysers"},
		{"an install script alone", []report.Finding{shape("manifest/install-script")}, report.Coverage{}, report.Clear, ""},
		{"a stage failed", nil, report.Coverage{Outcomes: []report.Outcome{{Stage: "static", Status: report.Failed, Reason: "x"}}}, report.Inconclusive, "unseen"},
		{"something unseen that can run early", nil, report.Coverage{Outcomes: []report.Outcome{{Stage: "static", Status: report.Partial, Reached: true}}}, report.Inconclusive, "unseen"},
		{"something unseen that cannot", nil, report.Coverage{Outcomes: []report.Outcome{{Stage: "static", Status: report.Partial}}}, report.Clear, ""},
		{"malicious though a stage failed", []report.Finding{finding("M1/x", report.Critical, install, report.ByFlow)}, report.Coverage{Outcomes: []report.Outcome{{Stage: "shell", Status: report.Failed}}}, report.Malicious, "critical-early"},
	} {
		r := Judge(Input{Findings: c.fs, Coverage: c.cov})
		if r.Level != c.want || r.Rule != c.rule {
			t.Errorf("%s: got %v by %q, want %v by %q", c.name, r.Level, r.Rule, c.want, c.rule)
		}
		if r.Why == "" {
			t.Errorf("%s: no reason", c.name)
		}
	}
}

// TestOrder asks for the same judgement whatever the order of the findings.
func TestOrder(t *testing.T) {
	fs := []report.Finding{
		finding("M1/a", report.High, callseq.PhaseInstall, report.ByFlow),
		finding("M3/b", report.Medium, callseq.PhaseImport, report.BySequence),
		finding("M10/c", report.Critical, callseq.PhaseCall, report.BySequence),
		finding("obfuscation/reached", report.Medium, "", report.ByShape),
	}
	want := Judge(Input{Findings: fs})
	if !slices.Equal(want.Categories, []string{"M1", "M3", "M10"}) {
		t.Errorf("categories %v", want.Categories)
	}
	slices.Reverse(fs)
	if got := Judge(Input{Findings: fs}); got.Level != want.Level || got.Why != want.Why || got.Rule != want.Rule || !slices.Equal(got.Categories, want.Categories) {
		t.Errorf("reversed: %+v, want %+v", got, want)
	}
}

// TestFeatures checks one feature that needs flow and one that is a flag, and that code nobody runs early does not count.
func TestFeatures(t *testing.T) {
	tr := &callseq.Trace{Calls: []callseq.Call{
		{ID: 1, API: "os.hostname", Phase: callseq.PhaseInstall, Types: []string{"SYSTEM_MESSAGE_OS_HOSTNAME"}},
		{ID: 2, API: "https.request", Phase: callseq.PhaseInstall, Types: []string{"NETWORK_OUT"}, Args: []callseq.Value{{Kind: callseq.String, Flows: []callseq.Flow{{From: 1, Via: callseq.Copy}}}}},
		{ID: 3, API: "child_process.exec", Phase: callseq.PhaseCall, Types: []string{"PROCESS_COMMAND_EXECUTION"}},
	}}
	got := map[string]float64{}
	for _, f := range Features(tr, func(c *callseq.Call) []string { return c.Types }) {
		got[f.Name] = f.Value
	}
	if len(got) != 12 {
		t.Errorf("%d features, want the paper's 12", len(got))
	}
	if got["send_sensitive_info"] != 1 || got["command_execution"] != 0 {
		t.Errorf("features %v", got)
	}
	r := Judge(Input{Features: Features(tr, func(c *callseq.Call) []string { return c.Types })})
	if r.Preliminary != report.SuspiciousPre {
		t.Errorf("preliminary %q", r.Preliminary)
	}
}
