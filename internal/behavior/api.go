// Package behavior is the knowledge base: it loads the data of knowledge/ (APIs, path and host classes, behaviours) and matches
// call sequences against it. Witnesses use its API table to know what to record and where values surface; the scan uses Match to
// turn a Trace into Findings. It holds no list of names of its own: every name is data.
package behavior

import "github.com/donapi/donapi/internal/callseq"

// API is one stanza of knowledge/apis: one function, constructor or property of Node, of the browser or of a well-known package.
type API struct {
	Name    string       // canonical: module.member (fs.readFile), Type.member for instances (http.ClientRequest.write), global (fetch)
	Spell   []string     // other spellings of the same thing, as fs/promises.readFile
	Kind    callseq.Kind // call, new, get or set
	Types   []TypeRule   // behaviour types, as FILE_READ; a call carries the set of those whose conditions hold
	Args    []ArgRole
	Results []Result
	Flows   []FlowRule
	To      string // class of the destination, as in hosts.yaml, where the API itself decides it
	Model   string // a closed list of named models in the evaluator, or empty
	Node    string // versions that have it, as ">=18" or "<22"; empty for all
	Doc     string // one line
}

// TypeRule gives a behaviour type, if all conditions hold.
type TypeRule struct {
	Type string
	Of   string // the argument whose path class refines the type; empty for every argument that is a path
	When []Condition
}

// Condition compares an argument: a path as in callseq.Call.ArgAt, an operator and a value. The operators are described in
// knowledge/apis/README.md.
type Condition struct {
	Path, Op, Value string
}

// ArgRole says what an argument is for: path and path2 (of a file), handle (of an open file), file (a program or script), variable
// (of the environment), data, command, argv, code, url, host, port, options, headers, name, key, callback, listener, encoding,
// flags, mode, delay, module.
type ArgRole struct {
	Path string // as in callseq.Call.ArgAt; index -1 is the last argument
	Role string
}

// Result says where a value from outside surfaces.
type Result struct {
	On     string // return, promise, callback, listener, event
	Arg    int    // for callback and listener: which parameter of the function receives it
	Event  string // for event: the name, as data
	Type   string // instance type of the value, as http.IncomingMessage; its members are looked up as Type.member
	Source bool   // the value itself is what the API reads (file content, reply, host name), not a handle
}

// FlowRule says that what is in an argument (or this) is in a result, or in the receiver or file thereafter.
type FlowRule struct {
	From string // argument path, or this
	To   string // return, callback, this, file:PATH-ARG, or an argument path that is written to
	Via  callseq.Via
}

// Role returns the path of the first argument with a role, or "".
func (a *API) Role(role string) string {
	for _, r := range a.Args {
		if r.Role == role {
			return r.Path
		}
	}
	return ""
}
