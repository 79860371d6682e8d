package behavior

import (
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
)

func str(s string) callseq.Value { return callseq.Value{Kind: callseq.String, Text: s} }

func number(s string) callseq.Value { return callseq.Value{Kind: callseq.Number, Text: s} }

func unknown(source string, from ...callseq.ID) callseq.Value {
	v := callseq.Value{Kind: callseq.Unknown, Source: source}
	for _, id := range from {
		v.Flows = append(v.Flows, callseq.Flow{From: id, Via: callseq.Copy})
	}
	return v
}

func object(name string, v callseq.Value) callseq.Value {
	return callseq.Value{Kind: callseq.Object, Fields: []callseq.Field{{Name: name, Value: v}}}
}

// below is a path below something that is not known.
func below(source, rest string) callseq.Value {
	return callseq.Value{Kind: callseq.String, Parts: []callseq.Part{{Hole: true, Source: source}, {Lit: rest}}}
}

func either(vs ...callseq.Value) callseq.Value {
	return callseq.Value{Kind: callseq.Unknown, Alts: vs}
}

func args(vs ...callseq.Value) []callseq.Value { return vs }

func TestTypes(t *testing.T) {
	b := load(t)
	fn := callseq.Value{Kind: callseq.Func}
	for _, c := range []struct {
		api  string
		kind callseq.Kind
		args []callseq.Value
		want string
	}{
		{"fs.readFileSync", "", args(str("/etc/passwd")), "FILE_READ FILE_READ_SYS_INFO"},
		{"fs.promises.readFile", "", args(str("/etc/passwd")), "FILE_READ FILE_READ_SYS_INFO"},
		{"node:fs/promises.readFile", "", args(str("/etc/passwd")), "FILE_READ FILE_READ_SYS_INFO"},
		{"fs.readFile", "", args(below("os.homedir()", "/.ssh/config")), "FILE_READ FILE_READ_SSH_INFO"},
		{"fs.readFile", "", args(below("process.env.HOME", "/.ssh/config")), "FILE_READ FILE_READ_SSH_INFO"},
		{"fs.readFile", "", args(below("process.env.USERPROFILE", `\.ssh\config`)), "FILE_READ FILE_READ_SSH_INFO"},
		{"fs.readFile", "", args(below("arg0", "/.ssh/config")), "FILE_READ FILE_READ_SSH_INFO"},
		{"fs.readFile", "", args(below("process.cwd()", "/.ssh/config")), "FILE_READ"},
		{"fs.readFile", "", args(below("process.env.appdata", `\discord\x`)), "FILE_READ FILE_READ_CHAT_DATA"},
		{"fs.readFile", "", args(either(str("/a"), str("/etc/passwd"))), "FILE_READ FILE_READ_SYS_INFO"},
		{"fs.readFile", "", args(unknown("arg0")), "FILE_READ"},
		{"fs.existsSync", "", args(str("/etc/passwd")), "FILE_PROBE FILE_PROBE_SYS_INFO"},
		{"fs.writeFileSync", "", args(str("~/.ssh/authorized_keys"), str("k")), "FILE_CREATE FILE_CREATE_PERSISTENCE FILE_CREATE_SSH_INFO"},
		{"fs.rmSync", "", args(str("/var/log"), object("recursive", callseq.Value{Kind: callseq.Bool, Text: "true"})), "FILE_DELETE FILE_DELETE_RECURSIVE FILE_DELETE_SENS_DIR"},
		{"fs.copyFileSync", "", args(str("/etc/passwd"), str("/tmp/x")), "FILE_CREATE FILE_CREATE_TEMP FILE_READ FILE_READ_SYS_INFO"},
		{"fs.open", "", args(str("/etc/passwd"), str("r"), fn), "FILE_READ FILE_READ_SYS_INFO"},
		{"fs.open", "", args(str("/etc/passwd"), fn), "FILE_READ FILE_READ_SYS_INFO"},
		{"fs.openSync", "", args(str("/x"), str("w")), "FILE_CREATE"},
		{"fs.openSync", "", args(str("/x"), str("a")), "FILE_MODIFY"},
		{"fs.openSync", "", args(str("/x"), str("r+")), "FILE_MODIFY FILE_READ"},
		{"fs.openSync", "", args(str("/x"), number("0")), "FILE_READ"},
		{"fs.openSync", "", args(str("/x"), number("577")), "FILE_CREATE"},  // O_WRONLY|O_CREAT|O_TRUNC
		{"fs.openSync", "", args(str("/x"), number("1089")), "FILE_MODIFY"}, // O_WRONLY|O_CREAT|O_APPEND
		{"fs.openSync", "", args(str("/x"), unknown("arg1")), "FILE_CREATE FILE_MODIFY FILE_READ"},
		{"fs.openSync", "", args(str("/x"), either(str("r"), str("w"))), "FILE_CREATE FILE_READ"},
		{"fs.createWriteStream", "", args(str("/x"), object("flags", str("a"))), "FILE_MODIFY"},
		{"fs.createWriteStream", "", args(str("/x")), "FILE_CREATE"},
		{"child_process.spawn", "", args(str("/bin/bash")), "PROCESS_COMMAND_EXECUTION PROCESS_START_SHELL"},
		{"child_process.spawn", "", args(str(`C:\Windows\System32\CMD.EXE`)), "PROCESS_COMMAND_EXECUTION PROCESS_START_SHELL"},
		{"child_process.spawn", "", args(str("python3")), "FOREIGN_RUNTIME PROCESS_COMMAND_EXECUTION"},
		{"child_process.spawn", "", args(str("node"), callseq.Value{Kind: callseq.Array}, object("detached", callseq.Value{Kind: callseq.Bool, Text: "true"})), "PROCESS_COMMAND_EXECUTION STEALTH_DETACHED"},
		{"setTimeout", "", args(fn, number("100")), "TIMER"},
		{"setTimeout", "", args(fn, number("3600000")), "TIMER TIME_GATE"},
		{"setTimeout", "", args(str("alert(1)"), number("1")), "CODE_GENERATION TIMER"},
		{"fetch", "", args(str("http://169.254.169.254/latest/")), "CLOUD_IDENTITY NETWORK_IN NETWORK_OUT"},
		{"fetch", "", args(str("https://registry.npmjs.org/x"), object("method", str("PUT"))), "NETWORK_IN NETWORK_OUT PROPAGATE"},
		{"process.env", callseq.KindGet, nil, "ENV_ALL SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"},
		{"process.env", callseq.KindGet, args(str("NPM_TOKEN")), "ENV_SECRET SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"},
		{"process.env", callseq.KindGet, args(str("NODE_ENV")), "SYSTEM_MESSAGE_ENVIRONMENT_VARIABLES"},
		{"process.env", callseq.KindSet, args(str("NODE_TLS_REJECT_UNAUTHORIZED"), str("0")), "STEALTH_TLS_OFF"},
		{"process.env", callseq.KindSet, args(str("X"), str("0")), ""},
		{"fetch", callseq.KindSet, args(fn), "API_HOOK CLIENT_HOOK"},
		{"fs.readFile", callseq.KindSet, args(fn), "API_HOOK"},
		{"fs.readFile", callseq.KindSet, args(str("x")), ""},
		{"Array.prototype.map", callseq.KindSet, args(fn), "API_HOOK"},
		{"Element.innerHTML", callseq.KindSet, args(str("x")), "DOM_WRITE"},
		{"$asset", callseq.KindSource, nil, "SOURCE_ASSET"},
		{"no.such.thing", "", nil, ""},
	} {
		if c.kind == "" {
			c.kind = callseq.KindCall
		}
		got := b.Types(nil, &callseq.Call{Kind: c.kind, API: c.api, Args: c.args})
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s %s %v has types %q, want %q", c.kind, c.api, c.args, s, c.want)
		}
	}
}

// What is done through a handle is done to the file that it was opened on.
func TestTypesThroughHandles(t *testing.T) {
	b := load(t)
	handle := unknown("", 1)
	for _, c := range []struct {
		maker string
		call  callseq.Call
		want  string
	}{
		{"fs.promises.open", callseq.Call{API: "fs.FileHandle.readFile", Recv: &handle}, "FILE_READ_SSH_INFO"},
		{"fs.openSync", callseq.Call{API: "fs.writeSync", Args: args(unknown("", 1), str("x"))}, "FILE_MODIFY_SSH_INFO"},
		{"fs.createWriteStream", callseq.Call{API: "fs.WriteStream.write", Recv: &handle, Args: args(str("x"))}, "FILE_MODIFY_SSH_INFO"},
	} {
		maker := callseq.Call{ID: 1, Kind: callseq.KindCall, API: c.maker, Args: args(str("~/.ssh/config"))}
		c.call.ID, c.call.Kind = 2, callseq.KindCall
		trace := &callseq.Trace{Calls: []callseq.Call{maker, c.call}}
		if got := b.Types(trace, &trace.Calls[1]); !slices.Contains(got, c.want) {
			t.Errorf("%s after %s has types %q, want %s among them", c.call.API, c.maker, got, c.want)
		}
	}
}

// Types of the witness stand beside those of the stanza.
func TestTypesOfTheWitness(t *testing.T) {
	c := callseq.Call{Kind: callseq.KindCall, API: "os.hostname", Types: []string{"ZZZ", "AAA", "ZZZ"}}
	got := strings.Join(load(t).Types(nil, &c), " ")
	if want := "AAA SYSTEM_MESSAGE_OS_HOSTNAME ZZZ"; got != want {
		t.Errorf("types are %q, want %q", got, want)
	}
	if len(c.Types) != 3 {
		t.Error("the call's own types were changed")
	}
}

func FuzzParseStanzas(f *testing.F) {
	f.Add("fs.readFile fs.readFileSync\n  type FILE_READ of 0 when 1 absent and 0 is a|b\n  arg 0 path\n  result value Buffer source\n  flow 0 file:1 file\n")
	f.Add("a = b\nx\n  kind get\n  type T written when 0 function\n  result event data 0 -\n  spell y z\n")
	f.Fuzz(func(t *testing.T, s string) {
		stanzas, _, err := parseStanzas("f.txt", []byte(s))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f.txt:") {
				t.Errorf("error without a place: %v", err)
			}
			return
		}
		for _, st := range stanzas {
			for _, a := range st.apis {
				if a.Name == "" || a.Kind == "" {
					t.Errorf("stanza at line %d made an API without name or kind", st.line)
				}
			}
		}
	})
}

func BenchmarkTypes(b *testing.B) {
	base := load(b)
	c := callseq.Call{Kind: callseq.KindCall, API: "fs.readFileSync", Args: args(below("os.homedir()", "/.config/google-chrome/Default/Login Data"), str("utf8"))}
	for b.Loop() {
		base.Types(nil, &c)
	}
}
