package hooks

import (
	"slices"
	"strconv"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
)

// table is what the core is told about APIs.
type table struct {
	Hooks []hook `json:"hooks"`
	// Inside maps functions that process.binding gives to the public function with the same first arguments.
	Inside map[string]string `json:"inside"`
}

// hook is one API to be wrapped.
type hook struct {
	Name      string               `json:"n"`
	Kind      callseq.Kind         `json:"k"`
	Callbacks []int                `json:"cb,omitempty"`   // parameters that are functions of the package
	Results   map[string]any       `json:"r,omitempty"`    // return and promise: surface; callback: []surface
	Events    map[string][]surface `json:"ev,omitempty"`   // by the event's name
	Only      *choice              `json:"only,omitempty"` // record only then
	Quiet     int                  `json:"q,omitempty"`    // repetition tells little: fold it early
}

// surface says where a value comes out: parameter, instance type, and whether the value itself is told.
type surface struct {
	Param int    `json:"a"`
	Type  string `json:"t,omitempty"`
	Value bool   `json:"v,omitempty"`
}

// choice is a condition on the text of an argument.
type choice struct {
	Arg int      `json:"a"`
	Is  []string `json:"is"`
}

// roots are what names of Node's own APIs begin with: its modules and the globals that do something.
var roots = strings.Fields(`fs child_process cluster crypto dgram dns http http2 https inspector module net os process readline stream timers tls
	v8 vm wasi worker_threads zlib querystring buffer
	fetch Request Response Headers FormData Blob File WebSocket EventSource Buffer atob btoa setTimeout setInterval setImmediate WebAssembly Intl`)

// notHooked are APIs of Node that are described for the evaluator and left alone here, for one of three reasons.
var notHooked = strings.Fields(`
	eval Function AsyncFunction GeneratorFunction AsyncGeneratorFunction require import module._extensions module._resolveFilename
	Buffer.concat buffer.transcode querystring.stringify querystring.encode querystring.escape querystring.parse querystring.decode querystring.unescape
	stream.Readable.push stream.Readable.iterator stream.Readable.setEncoding stream.finished stream.promises.finished
	process.stdin.on process.stdin.once process.stdin.addListener process.stdin.read process.on process.once process.addListener process.prependListener
	child_process.ChildProcess.stdin child_process.ChildProcess.stdout child_process.ChildProcess.stderr worker_threads.parentPort worker_threads.workerData
	module.syncBuiltinESMExports repl.start`)

// The reasons: replacing eval would make it another function, and the engine reports made code better; what happens thousands of times
// on the way of honest text is found again in what is sent; touching a standard stream or port changes whether a process ends.

// inside pairs functions of process.binding with public ones.
var inside = map[string]string{
	"fs.open": "fs.openSync", "fs.openFileHandle": "fs.promises.open", "fs.read": "fs.readSync", "fs.writeBuffer": "fs.writeSync", "fs.writeString": "fs.writeSync",
	"fs.close": "fs.closeSync", "fs.unlink": "fs.unlinkSync", "fs.rename": "fs.renameSync", "fs.rmdir": "fs.rmdirSync", "fs.readdir": "fs.readdirSync",
	"fs.mkdir": "fs.mkdirSync", "fs.copyFile": "fs.copyFileSync", "fs.chmod": "fs.chmodSync", "fs.symlink": "fs.symlinkSync", "fs.link": "fs.linkSync",
	"fs.readlink": "fs.readlinkSync", "fs.stat": "fs.statSync", "fs.lstat": "fs.lstatSync", "fs.access": "fs.accessSync", "fs.readFileUtf8": "fs.readFileSync",
	"fs.writeFileUtf8": "fs.writeFileSync", "os.getHostname": "os.hostname", "os.getHomeDirectory": "os.homedir", "os.getInterfaceAddresses": "os.networkInterfaces",
	"contextify.compileFunction": "vm.compileFunction",
}

// quietTypes are behaviour types of which many at one place say no more than few.
var quietTypes = strings.Fields("DECODE ENCODE HASH KDF SERIALIZATION TIMER TIME_GATE FILE_PROBE NETWORK_HEADER STREAM_PIPE FORM_DATA")

func makeTable(apis []*behavior.API) table {
	t := table{Inside: inside, Hooks: []hook{}}
	for _, a := range apis {
		root, _, _ := strings.Cut(a.Name, ".")
		if !slices.Contains(roots, root) || slices.Contains(notHooked, a.Name) || a.Kind == callseq.KindSet {
			continue
		}
		t.Hooks = append(t.Hooks, makeHook(a))
	}
	return t
}

func makeHook(a *behavior.API) hook {
	h := hook{Name: a.Name, Kind: a.Kind, Only: onlyWhen(a)}
	quiet := true
	for _, r := range a.Types {
		quiet = quiet && (slices.Contains(quietTypes, r.Type) || strings.HasPrefix(r.Type, "SYSTEM_MESSAGE_") && a.Kind == callseq.KindGet)
	}
	if quiet {
		h.Quiet = 1
	}
	for _, r := range a.Args {
		if i, err := strconv.Atoi(r.Path); err == nil && (r.Role == "callback" || r.Role == "listener" || r.Role == "code" && i == 0) {
			h.Callbacks = append(h.Callbacks, i)
		}
	}
	byPlace := map[string][]surface{}
	for _, r := range a.Results {
		s := surface{Param: r.Arg, Type: r.Type, Value: r.Source}
		switch r.On {
		case "event":
			if h.Events == nil {
				h.Events = map[string][]surface{}
			}
			s.Value = true
			h.Events[r.Event] = append(h.Events[r.Event], s)
		case "listener":
			byPlace["callback"] = append(byPlace["callback"], s)
		default:
			byPlace[r.On] = append(byPlace[r.On], s)
		}
	}
	for _, f := range a.Flows {
		if f.To != "return" && f.To != "promise" && f.To != "callback" {
			continue
		}
		if len(byPlace[f.To]) == 0 {
			s := surface{}
			if f.To == "callback" {
				s.Param = 1
			}
			byPlace[f.To] = []surface{s}
		}
		byPlace[f.To][0].Value = true
	}
	for place, list := range byPlace {
		if h.Results == nil {
			h.Results = map[string]any{}
		}
		if place == "callback" {
			h.Results[place] = list
		} else {
			h.Results[place] = list[0]
		}
	}
	if len(byPlace["callback"]) > 0 && len(h.Callbacks) == 0 {
		h.Callbacks = []int{-1}
	}
	return h
}

// onlyWhen gives the condition of an API whose every type has the same one, as Buffer.from, which decodes for some encodings only.
func onlyWhen(a *behavior.API) *choice {
	if len(a.Types) != 1 || !slices.Contains(quietTypes, a.Types[0].Type) || len(a.Types[0].When) != 1 || a.Types[0].When[0].Op != "is" {
		return nil
	}
	c := a.Types[0].When[0]
	i, err := strconv.Atoi(c.Path)
	if err != nil || i < 0 {
		return nil
	}
	return &choice{Arg: i, Is: strings.Split(c.Value, "|")}
}
