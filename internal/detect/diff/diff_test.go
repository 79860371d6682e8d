package diff

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/knowledge"
)

func TestIndirect(t *testing.T) {
	for r, want := range map[string]string{
		"^1.0.0": "", "1.x || >=2 <3": "", "latest": "", "legit": "", "*": "", "": "", "1.0.0 - 2.0.0": "",
		"https://host.example/x.tgz": "url", "HTTP://host.example/x": "url",
		"git+ssh://git@host.example/a/b.git": "git", "https://host.example/a/b.git#v1": "git", "github:a/b": "git", "gist:11081aaa": "git", "a/b": "git", "a/b#main": "git",
		"file:../x": "file", "./x": "file", "~/x": "file", "link:x": "file", "workspace:*": "file",
		"npm:other@^1": "alias",
	} {
		if got := indirect(r); got != want {
			t.Errorf("%q is %q, want %q", r, got, want)
		}
	}
}

func TestGroup(t *testing.T) {
	for types, want := range map[string]string{
		"NETWORK_OUT NETWORK_IN": "network", "PROCESS_COMMAND_EXECUTION": "process", "SHELL_NETWORK NETWORK_IN": "network", "CODE_GENERATION": "code",
		"ENV_SECRET": "secret", "FILE_READ FILE_READ_SSH_INFO": "secret", "FILE_READ": "", "FILE_CREATE": "file", "API_HOOK": "hook", "TIMER": "", "": "",
	} {
		if got := group(strings.Fields(types)); got != want {
			t.Errorf("%s is %q, want %q", types, got, want)
		}
	}
}

// text is a known string.
func text(s string) callseq.Value { return callseq.Value{Kind: callseq.String, Text: s} }

func from(ids ...callseq.ID) callseq.Value {
	v := callseq.Value{Kind: callseq.Unknown}
	for _, id := range ids {
		v.Flows = append(v.Flows, callseq.Flow{From: id, Via: callseq.Copy})
	}
	return v
}

// TestRead makes the profile of a trace written by hand.
func TestRead(t *testing.T) {
	base, err := behavior.Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	a := artifact.New([]artifact.File{
		{Path: "package.json", Data: []byte(`{"name":"p","version":"2.0.0","dependencies":{"used":"1","unused":"1","x":"a/b"},"bundledDependencies":["used"]}`)},
		{Path: "setup.js", Data: []byte("require('used')")},
	}, nil, "sha512-x")
	p := &js.Program{
		Modules: []*js.Module{js.NewModule("setup.js", js.KindCommonJS, []byte("require('used')"), nil)},
		Entries: []js.Entry{{Name: "scripts.postinstall", Kind: js.EntryCommand, Phase: "install", Command: "node setup.js"}, {Name: "scripts.postinstall", Kind: js.EntryScript, Phase: "install", Path: "setup.js"}},
	}
	send := from(2)
	options := callseq.Value{Kind: callseq.Object, Fields: []callseq.Field{{Name: "hostname", Value: text("host.invalid")}}}
	request := from(3)
	call := func(id callseq.ID, kind callseq.Kind, api string, recv *callseq.Value, args ...callseq.Value) callseq.Call {
		return callseq.Call{ID: id, Kind: kind, API: api, Recv: recv, Args: args, Origin: callseq.Static, Phase: callseq.PhaseInstall, Entry: "scripts.postinstall", Pos: callseq.Pos{Layer: 1, Line: int(id)}}
	}
	start := call(1, callseq.KindCall, "$shell.node", nil, text("setup.js"))
	start.Origin, start.Pos.Layer = callseq.Shell, 0
	trace := &callseq.Trace{
		Layers: []callseq.Layer{{ID: 0, Parent: -1, File: "package.json"}, {ID: 1, Parent: -1, File: "setup.js"}},
		Calls: []callseq.Call{
			start,
			call(2, callseq.KindGet, "process.env", nil),
			call(3, callseq.KindCall, "https.request", nil, options),
			call(4, callseq.KindCall, "http.ClientRequest.end", &request, send),
			call(5, callseq.KindCall, "path.join", nil, text("a")),
			call(6, callseq.KindCall, "https.request", nil, options),
		},
	}
	findings := []report.Finding{
		{ID: "obfuscation/reached", Evidence: []report.Evidence{{File: "setup.js", Text: "escapes"}}},
		{ID: "M1/x", Category: "M1", Title: "x", Severity: report.High, Phase: callseq.PhaseInstall}, {ID: "M1/x", Category: "M1", Title: "x", Severity: report.High, Phase: callseq.PhaseInstall},
		{ID: "manifest/install-script"},
	}
	got := Read(a, p, trace, findings, base)
	got.Files = nil
	for i := range got.Sinks {
		got.Sinks[i].Types = nil
	}
	const install = callseq.PhaseInstall
	want := &Profile{
		Name: "p", Version: "2.0.0", Integrity: "sha512-x",
		Hooks:   []Hook{{"postinstall", "node setup.js"}},
		Entries: []Entry{{"scripts.postinstall", "install", "setup.js"}},
		Dependencies: []Dependency{
			{Name: "used", Kind: "bundled"}, {Name: "unused", Range: "1", Kind: "dependency", Unmentioned: true}, {Name: "used", Range: "1", Kind: "dependency"}, {Name: "x", Range: "a/b", Kind: "dependency", Indirect: "git", Unmentioned: true},
		},
		Sinks: []Sink{
			{Phase: install, Group: "network", API: "http.ClientRequest.end", To: "host.invalid", File: "setup.js", Line: 4},
			{Phase: install, Group: "network", API: "https.request", To: "host.invalid", File: "setup.js", Line: 3},
			{Phase: install, Group: "secret", API: "process.env", File: "setup.js", Line: 2},
		},
		Flows:       []Flow{{Phase: install, From: "process.env", To: "http.ClientRequest.end", Group: "network", Given: "secret", Where: "host.invalid", File: "setup.js", Line: 4}},
		Sequences:   []Sequence{{install, "scripts.postinstall", []string{"process.env", "https.request", "http.ClientRequest.end"}}},
		Obfuscation: []Obfuscated{{"setup.js", "escapes", true}},
		Behaviors:   []Behavior{{"M1/x", install, "x", report.High}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
}

// TestFindings: which differences are findings, and which are not.
func TestFindings(t *testing.T) {
	const install, imported = callseq.PhaseInstall, callseq.PhaseImport
	net := Sink{Phase: install, Group: "network", API: "https.get", To: "a.invalid"}
	hook := Hook{"postinstall", "node a.js"}
	tests := []struct {
		name     string
		old, new Profile
		want     []string
	}{
		{"the same", Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, nil},
		{"a hook alone", Profile{}, Profile{Hooks: []Hook{hook}}, []string{"diff/hook-added"}},
		{"a hook with calls", Profile{}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, []string{"diff/hook-and-sinks"}},
		{"a hook, and calls at import only", Profile{}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{{Phase: imported, Group: "network", API: "https.get"}}}, []string{"diff/hook-added"}},
		{"another command with calls", Profile{Hooks: []Hook{{"postinstall", "node b.js"}}}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, []string{"diff/hook-and-sinks"}},
		{"another command, the same calls", Profile{Hooks: []Hook{{"postinstall", "node b.js"}}, Sinks: []Sink{{Phase: install, Group: "network", API: "https.get", To: "b.invalid"}}}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, []string{"diff/hook-changed"}},
		{"calls without a new hook", Profile{Hooks: []Hook{hook}}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{net}}, nil},
		{"files written only", Profile{}, Profile{Hooks: []Hook{hook}, Sinks: []Sink{{Phase: install, Group: "file", API: "fs.writeFile"}}}, []string{"diff/hook-added"}},
		{"a secret leaves", Profile{}, Profile{Flows: []Flow{{Phase: imported, From: "process.env", Given: "secret", To: "https.get", Group: "network"}}}, []string{"diff/secret-flow"}},
		{"a secret leaves when a user calls", Profile{}, Profile{Flows: []Flow{{Phase: callseq.PhaseCall, From: "process.env", Given: "secret", To: "https.get", Group: "network"}}}, nil},
		{"a child gets the environment", Profile{}, Profile{Flows: []Flow{{Phase: install, From: "process.env", Given: "secret", To: "child_process.spawn", Group: "process"}}}, nil},
		{"code arrives", Profile{}, Profile{Flows: []Flow{{Phase: install, From: "https.get", Given: "network", To: "eval", Group: "code"}}}, []string{"diff/remote-code"}},
		{"obfuscated now", Profile{}, Profile{Obfuscation: []Obfuscated{{"a.js", "x", true}}}, []string{"diff/obfuscation-added"}},
		{"obfuscated as ever, in another file", Profile{Obfuscation: []Obfuscated{{"b.js", "x", true}}}, Profile{Obfuscation: []Obfuscated{{"a.js", "x", true}}}, nil},
		{"a behaviour", Profile{}, Profile{Behaviors: []Behavior{{"M1/x", install, "x", report.Medium}, {"observe/y", install, "y", report.Info}}}, []string{"diff/behavior-added"}},
		{"another range", Profile{Dependencies: []Dependency{{Name: "a", Range: "1", Kind: "dependency"}}}, Profile{Dependencies: []Dependency{{Name: "a", Range: "2", Kind: "dependency"}}}, nil},
		{"a range becomes an address", Profile{Dependencies: []Dependency{{Name: "a", Range: "1", Kind: "dependency"}}}, Profile{Dependencies: []Dependency{{Name: "a", Range: "https://a.example/x", Kind: "dependency", Indirect: "url"}}}, []string{"diff/indirect-dependency"}},
		{"moved to optional", Profile{Dependencies: []Dependency{{Name: "a", Range: "1", Kind: "dependency"}}}, Profile{Dependencies: []Dependency{{Name: "a", Range: "1", Kind: "optional"}}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range Compare(&tt.old, &tt.new).Findings {
				got = append(got, f.ID)
				if f.Title == f.ID {
					t.Errorf("%s is not documented", f.ID)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}
