// Package verdict is the only place that weighs. From the findings, the coverage and the trace of one package it makes the level, one
// line of reason, the preliminary judgement, the categories and the paper's twelve API-sequence features. The rules are the list
// Rules, in the order in which they are tried; docs/verdict.md explains each.
package verdict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Input is what is judged.
type Input struct {
	Findings []report.Finding
	Coverage report.Coverage
	Features []report.Feature // as Features computes them
}

// Result is the judgement.
type Result struct {
	Level       report.Level
	Why         string
	Rule        string
	Preliminary report.Preliminary
	Categories  []string
}

// Rule is one rung of the ladder: when it holds, the level is at least its level.
type Rule struct {
	ID    string
	Level report.Level
	Doc   string
	Holds func(*facts) (string, bool)
}

// facts are what the rules ask about.
type facts struct {
	in    *Input
	byID  map[string]*report.Finding
	early []*report.Finding // of behaviours that run at install or import, most severe first
	all   []*report.Finding
}

func (f *facts) has(id string) bool { return f.byID[id] != nil }

// alike reports a name that is mistaken for a popular one. An ordinary word added to a name is too common to weigh.
func (f *facts) alike() bool { return f.has("names/typosquat") || f.has("names/scope-confusion") }

// handover counts the signs that somebody else published than before, or in another way.
func (f *facts) handover() int {
	n := 0
	for _, ids := range [][]string{{"publication/new-publisher", "publication/returning-publisher"}, {"publication/lost-provenance", "publication/lost-trusted-publisher"}, {"publication/dormant"}} {
		if slices.ContainsFunc(ids, f.has) {
			n++
		}
	}
	return n
}

// worst returns the first finding of at least a severity among a list.
func worst(list []*report.Finding, min report.Severity, keep func(*report.Finding) bool) *report.Finding {
	for _, x := range list {
		if x.Severity >= min && (keep == nil || keep(x)) {
			return x
		}
	}
	return nil
}

func count(list []*report.Finding, min report.Severity) int {
	seen := map[string]bool{}
	for _, x := range list {
		if x.Severity >= min && x.Category != "" {
			seen[x.ID] = true
		}
	}
	return len(seen)
}

// Rules is the ladder, the gravest first.
var Rules = []Rule{
	{"critical-early", report.Malicious, "A behaviour that is critical in its phase, at install or import.", func(f *facts) (string, bool) {
		x := worst(f.early, report.Critical, nil)
		return title(x), x != nil
	}},
	{"critical-flow", report.Malicious, "A critical behaviour anywhere that rests on value flow.", func(f *facts) (string, bool) {
		x := worst(f.all, report.Critical, func(x *report.Finding) bool { return x.Confidence == report.ByFlow })
		return title(x), x != nil
	}},
	{"two-high-early", report.Malicious, "Two different behaviours of high severity at install or import.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, nil)
		return title(x), count(f.early, report.High) >= 2
	}},
	{"high-hidden", report.Malicious, "A behaviour of high severity at install or import, or by value flow later, in a package whose code is obfuscated.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, func(x *report.Finding) bool { return x.Category != "" })
		if x == nil {
			x = worst(f.all, report.High, func(x *report.Finding) bool { return x.Category != "" && x.Confidence == report.ByFlow })
		}
		return title(x), x != nil && f.has("obfuscation/reached")
	}},
	{"stores-and-chat", report.Malicious, "The places of several applications' credentials, and a message to a chat.", func(f *facts) (string, bool) {
		return "looks for credentials of many applications and writes to a chat", f.has("stores/many") && (f.has("M1/chat-message") || f.has("M1/chat-hook"))
	}},
	{"high-placeholder", report.Malicious, "A behaviour of high severity at install or import, in a package that is nothing but its install script.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, func(x *report.Finding) bool { return x.Category != "" })
		return title(x), x != nil && f.has("manifest/placeholder")
	}},
	{"high-alike", report.Malicious, "A behaviour of high severity at install or import, in a package named almost as a popular one.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, func(x *report.Finding) bool { return x.Category != "" })
		return title(x), x != nil && f.alike()
	}},
	{"high-taken-over", report.Malicious, "A behaviour of high severity at install or import, in a version that looks published by somebody else or that hides its install script from the registry's document.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, func(x *report.Finding) bool { return x.Category != "" })
		return title(x), x != nil && (f.has("publication/hidden-hook") || f.has("publication/hook-added") && f.handover() > 0)
	}},
	{"beacon-hidden", report.Malicious, "A server of no known kind is called at install by obfuscated code, or by a package that is nothing else.", func(f *facts) (string, bool) {
		return "exists to call a server when it is installed", f.has("M1/install-beacon") && (f.has("obfuscation/reached") || f.has("manifest/placeholder"))
	}},
	{"beacon-and-more", report.Malicious, "A server of no known kind is called at install, and value flow of high severity stands in code that runs later.", func(f *facts) (string, bool) {
		x := worst(f.all, report.High, func(x *report.Finding) bool { return x.Confidence == report.ByFlow && x.Category != "" })
		return title(x), x != nil && f.has("M1/install-beacon")
	}},
	{"beacon-made-host", report.Malicious, "A command at install calls a server of no known kind whose name looks made by a machine.", func(f *facts) (string, bool) {
		x := f.byID["shell/made-host"]
		return title(x), x != nil && x.Phase == callseq.PhaseInstall && f.has("M1/command-beacon")
	}},
	{"high-early", report.Suspicious, "A behaviour of high severity at install or import.", func(f *facts) (string, bool) {
		x := worst(f.early, report.High, nil)
		return title(x), x != nil
	}},
	{"critical-late", report.Suspicious, "A critical behaviour in code that a call, a command or nothing starts.", func(f *facts) (string, bool) {
		x := worst(f.all, report.Critical, nil)
		return title(x), x != nil
	}},
	{"high-late", report.Suspicious, "A behaviour of high severity by value flow in code that a call, a page or a command starts.", func(f *facts) (string, bool) {
		x := worst(f.all, report.High, func(x *report.Finding) bool { return x.Confidence == report.ByFlow && x.Category != "" })
		return title(x), x != nil
	}},
	{"two-medium-early", report.Suspicious, "Two different behaviours of medium severity at install or import.", func(f *facts) (string, bool) {
		x := worst(f.early, report.Medium, nil)
		return title(x), count(f.early, report.Medium) >= 2
	}},
	{"medium-alike", report.Suspicious, "A behaviour of medium severity at install or import, in a package named almost as a popular one.", func(f *facts) (string, bool) {
		x := worst(f.early, report.Medium, func(x *report.Finding) bool { return x.Category != "" })
		return title(x), x != nil && f.alike()
	}},
	{"taken-over", report.Suspicious, "The first version with an install script comes from a new or returning publisher, without the attestation or pipeline of earlier ones, or after a year.", func(f *facts) (string, bool) {
		return "an install script appears in a version published unlike those before", f.has("publication/hook-added") && f.handover() > 0
	}},
	{"medium-taken-over", report.Suspicious, "A behaviour of medium severity at install or import, in a version published unlike those before it in two ways.", func(f *facts) (string, bool) {
		x := worst(f.early, report.Medium, func(x *report.Finding) bool { return x.Category != "" })
		return title(x), x != nil && f.handover() > 1
	}},
	{"hidden-hook", report.Suspicious, "An install script in the tarball that the registry's document does not show.", func(f *facts) (string, bool) {
		return "the registry does not show its install script", f.has("publication/hidden-hook")
	}},
	{"armed-dependency", report.Suspicious, "A dependency as new as the version itself got an install script afterwards.", func(f *facts) (string, bool) {
		return "a new dependency got an install script after this was published", f.has("publication/armed-dependency") && f.has("publication/fresh-dependency")
	}},
	{"obfuscated-early", report.Suspicious, "Obfuscated code that runs at install or import.", func(f *facts) (string, bool) {
		return "obfuscated code runs at install or import", f.has("obfuscation/reached")
	}},
	{"breaks-analysers", report.Suspicious, "Code or an archive built to exhaust whoever reads it.", func(f *facts) (string, bool) {
		return "built to break analysers", f.has("analyser/killed") || f.has("archive/bomb") || f.has("archive/escape")
	}},
	{"hidden-text", report.Suspicious, "Invisible characters in a run, or code far off the screen.", func(f *facts) (string, bool) {
		return "hidden text", f.has("hiddentext/invisible") || f.has("hiddentext/offscreen") && f.has("manifest/install-script")
	}},
	{"many-stores", report.Suspicious, "The places of several applications' credentials, in code that runs early or late.", func(f *facts) (string, bool) {
		return "names the data of many browsers, messengers and wallets", f.has("stores/many")
	}},
	{"made-host", report.Suspicious, "A command at install or import calls a host whose name looks made by a machine.", func(f *facts) (string, bool) {
		x := f.byID["shell/made-host"]
		return title(x), x != nil && (x.Phase == callseq.PhaseInstall || x.Phase == callseq.PhaseImport)
	}},
	{"disguised", report.Suspicious, "A program under the name of something that is none.", func(f *facts) (string, bool) {
		return "an executable under another name", f.has("binary/disguised")
	}},
	{"confusion-shape", report.Suspicious, "The shape of a dependency-confusion package: a version made to win, an install script and nothing else.", func(f *facts) (string, bool) {
		return "shaped like a dependency-confusion package", f.has("manifest/install-script") && (f.has("manifest/high-version") && (f.has("manifest/placeholder") || f.has("M1/install-beacon")) || f.has("manifest/placeholder") && worst(f.early, report.Medium, nil) != nil)
	}},
	{"placeholder-script", report.Suspicious, "Nothing but an install script that starts a program.", func(f *facts) (string, bool) {
		return "nothing but an install script", f.has("manifest/placeholder") && f.has("observe/command-at-install")
	}},
	{"local-script", report.Suspicious, "An install script hidden in a dependency inside the package.", func(f *facts) (string, bool) {
		return "an install script hides in a local dependency", f.has("manifest/local-script")
	}},
	{"url-dependency", report.Suspicious, "A dependency that any server can change.", func(f *facts) (string, bool) {
		return "a dependency comes from a URL", f.has("manifest/url-dependency")
	}},
	{"gyp-command", report.Suspicious, "A native build without sources, in a package that runs commands at install or does something else of weight.", func(f *facts) (string, bool) {
		return "a native build without anything to build", f.has("manifest/gyp-without-sources") && (f.has("observe/command-at-install") || worst(f.all, report.Medium, func(x *report.Finding) bool { return x.Category != "" }) != nil)
	}},
	{"unseen", report.Inconclusive, "Something that can run at install or import could not be looked at.", func(f *facts) (string, bool) {
		for _, o := range f.in.Coverage.Outcomes {
			if o.Status == report.Failed || o.Status == report.Partial && o.Reached {
				why := o.Reason
				if len(o.Unseen) > 0 {
					why = o.Unseen[0]
				}
				return fmt.Sprintf("not everything could be analysed: %s: %s", o.Stage, why), true
			}
		}
		return "", false
	}},
}

func title(x *report.Finding) string {
	if x == nil {
		return ""
	}
	return x.Title
}

// Judge weighs.
func Judge(in Input) Result {
	f := &facts{in: &in, byID: map[string]*report.Finding{}}
	sorted := slices.Clone(in.Findings)
	report.SortFindings(sorted)
	for i := range sorted {
		x := &sorted[i]
		if f.byID[x.ID] == nil {
			f.byID[x.ID] = x
		}
		f.all = append(f.all, x)
		if x.Phase == callseq.PhaseInstall || x.Phase == callseq.PhaseImport {
			f.early = append(f.early, x)
		}
	}
	r := Result{Level: report.Clear, Why: "nothing suspicious found"}
	for i := range Rules {
		if why, ok := Rules[i].Holds(f); ok {
			r.Level, r.Why, r.Rule = Rules[i].Level, why, Rules[i].ID
			break
		}
	}
	r.Categories = categories(sorted, r.Level)
	r.Preliminary = preliminary(f, in.Features)
	return r
}

// categories lists the categories of the findings that carry the verdict.
func categories(fs []report.Finding, l report.Level) []string {
	out := []string{}
	if l < report.Suspicious {
		return out
	}
	for _, x := range fs {
		if x.Category != "" && x.Severity >= report.Medium {
			out = append(out, x.Category)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}

// preliminary is the paper's judgement before anything runs: obfuscated code first, then the twelve features.
func preliminary(f *facts, features []report.Feature) report.Preliminary {
	if f.has("obfuscation/reached") {
		return report.Obfuscated
	}
	sum := 0.0
	for _, x := range features {
		sum += x.Added
	}
	if sum >= 1 {
		return report.SuspiciousPre
	}
	return report.Normal
}

// The paper's twelve features of an API sequence, each a pair of source and sink or a flag, over what runs at install and import.
// Added is the weight of the rule that stands in for a trained forest: a sum of 1 or more is suspicious.
var featureDefs = []struct {
	name   string
	weight float64
	source []string // must flow into the sink; empty for a flag
	sink   []string
}{
	{"send_sensitive_info", 1, []string{"SYSTEM_MESSAGE_OS_HOSTNAME", "SYSTEM_MESSAGE_OS_USERINFO", "SYSTEM_MESSAGE_OS_HOME_DIR", "SYSTEM_MESSAGE_OS_NETWORK_INTERFACES", "ENV_ALL", "ENV_SECRET", "FILE_READ_CREDENTIALS", "FILE_READ_SSH_INFO", "FILE_READ_SYS_INFO"}, []string{"NETWORK_OUT"}},
	{"query_environment_variables", 0, nil, []string{"SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"}},
	{"network2stringExecution", 1, []string{"NETWORK_IN"}, []string{"CODE_GENERATION"}},
	{"fileWriteOperation2fileExecution", 0.5, []string{"FILE_CREATE", "FILE_MODIFY"}, []string{"PROCESS_COMMAND_EXECUTION", "PROCESS_FILE_EXECUTION"}},
	{"fileReadOperation2stringExecution", 0.5, []string{"FILE_READ"}, []string{"CODE_GENERATION"}},
	{"fileReadOperation2code", 0.5, []string{"FILE_READ"}, []string{"CODE_WASM", "CODE_RUN"}},
	{"network2code", 1, []string{"NETWORK_IN"}, []string{"CODE_WASM", "CODE_RUN", "PROCESS_COMMAND_EXECUTION", "PROCESS_FILE_EXECUTION"}},
	{"change_permission", 0.5, nil, []string{"FILE_PERMISSION"}},
	{"identify_os_platform", 0, nil, []string{"SYSTEM_MESSAGE_OS_PLATFORM"}},
	{"modify_command_stream", 0.5, []string{"PROCESS_COMMAND_EXECUTION"}, []string{"PROCESS_STDIN"}},
	{"command_execution", 0.5, nil, []string{"PROCESS_COMMAND_EXECUTION", "PROCESS_FILE_EXECUTION", "PROCESS_START_SHELL"}},
	{"sensitive_file_operation", 1, nil, []string{"FILE_READ_CREDENTIALS", "FILE_READ_SSH_INFO", "FILE_READ_SYS_INFO", "FILE_CREATE_SYS_INFO", "FILE_DELETE_SYS_INFO", "FILE_CREATE_PERSISTENCE", "FILE_READ_BROWSER_DATA", "FILE_READ_CHAT_DATA", "FILE_READ_WALLET"}},
}

// Features computes the paper's twelve features: how many calls at install or import meet each.
func Features(t *callseq.Trace, types func(*callseq.Call) []string) []report.Feature {
	out := make([]report.Feature, len(featureDefs))
	for i, d := range featureDefs {
		out[i].Name = d.name
	}
	if t == nil || types == nil {
		return out
	}
	sets := make([][]string, len(t.Calls))
	for i := range t.Calls {
		sets[i] = types(&t.Calls[i])
	}
	any := func(id callseq.ID, want []string) bool {
		if id < 1 || int(id) > len(sets) {
			return false
		}
		return slices.ContainsFunc(want, func(w string) bool { return slices.Contains(sets[id-1], w) })
	}
	for i := range t.Calls {
		c := &t.Calls[i]
		if c.Phase != callseq.PhaseInstall && c.Phase != callseq.PhaseImport {
			continue
		}
		for k, d := range featureDefs {
			if !any(c.ID, d.sink) {
				continue
			}
			if d.source == nil {
				out[k].Value++
				continue
			}
			if flowsFrom(c, func(id callseq.ID) bool { return any(id, d.source) }) {
				out[k].Value++
			}
		}
	}
	for i, d := range featureDefs {
		if out[i].Value > 0 {
			out[i].Added = d.weight
		}
	}
	return out
}

func flowsFrom(c *callseq.Call, ok func(callseq.ID) bool) bool {
	for i := range c.Args {
		for _, f := range c.Args[i].AllFlows() {
			if ok(f.From) {
				return true
			}
		}
	}
	if c.Recv != nil {
		for _, f := range c.Recv.AllFlows() {
			if ok(f.From) {
				return true
			}
		}
	}
	return false
}

// JudgeAsPaper weighs as the paper's hierarchical classifier does, to be measured beside our own rules: a package whose preliminary
// judgement is normal is let go; of the others, a sequence of the published edition makes it malicious, of that sequence's category.
// Our preliminary judgement stands in the place of the paper's two forests.
func JudgeAsPaper(in Input) Result {
	r := Judge(in)
	out := Result{Level: report.Clear, Why: "nothing that the paper's classifier looks for", Preliminary: r.Preliminary}
	if r.Level == report.Inconclusive {
		out.Level, out.Why, out.Rule = r.Level, r.Why, r.Rule
	}
	if r.Preliminary == report.Normal {
		out.Categories = []string{}
		return out
	}
	var matched []report.Finding
	for _, f := range in.Findings {
		if strings.HasPrefix(f.ID, "paper/") {
			matched = append(matched, f)
		}
	}
	if len(matched) > 0 {
		out.Level, out.Rule = report.Malicious, "paper-sequence"
		out.Why = strings.ToLower(strings.ReplaceAll(matched[0].Title, "_", " "))
	}
	out.Categories = categories(matched, out.Level)
	return out
}
