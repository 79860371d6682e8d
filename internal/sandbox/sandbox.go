// Package sandbox runs a stranger's process tree in isolation, streams what it does as events, and answers its network. It knows
// nothing of npm or JavaScript: files, an argument vector and limits go in; events and a result come out.
//
// This package holds the vocabulary only: Box is what a tier of isolation looks like to its users. The tiers are packages below it
// (namespaces, strong, container), package tier chooses among them by running them, and package sandboxtest is the contract that each
// keeps: nothing of the host can be read or written beyond what the Spec mounts, nothing is sent to any network, nothing outlives Run,
// and no limit can be crossed at the cost of anything but the box itself.
//
// # The inside of a box
//
// The root is synthetic and read-only: the host's /usr (and /bin, /lib... as links or mounts), a made-up /etc, /proc of its own
// processes, a /dev of harmless devices, and what Spec mounts. Writable are Spec.Work, Spec.Home, /tmp and /dev/shm, which share the
// disk limit and vanish at the end. The processes run as an ordinary user (uid 1000) without capabilities.
//
// The container tier has no mount namespace, so a path of the box lies elsewhere there: the paths of Mounts, Files, Work, Home and
// Channel are replaced, where they occur in Argv, Env, Dir, and in Files that say so, and events carry the paths of the Spec again.
// Code in the box should therefore take every path from its arguments and its environment.
package sandbox

import (
	"context"
	"net/netip"
	"strings"
	"time"
)

// Tier names how a box is isolated, the strongest first. The zero value is no tier.
type Tier string

// Tiers.
const (
	Strong     Tier = "strong"     // gVisor's own kernel, inside namespaces
	Namespaces Tier = "namespaces" // namespaces, Landlock, seccomp, no capabilities: the default
	Container  Tier = "container"  // Landlock and seccomp notification only, for use inside a container
)

// Box runs specs, each in fresh isolation. It is safe for concurrent use.
type Box interface {
	// Tier says how strong it is.
	Tier() Tier
	// Run runs one spec to its end. The error is non-nil when the box itself could not be built or observed, and then nothing of the
	// spec's effects may be trusted; whatever the processes inside did, including dying, is a Result. Run returns after every process
	// of the box is dead and every event has been delivered.
	Run(ctx context.Context, spec Spec) (*Result, error)
}

// Spec says what to run. Paths of the box are absolute and slash-separated.
type Spec struct {
	Mounts []Mount // applied in order, so that a later one may cover a file of an earlier one
	Files  []File  // written into the box, in order, after the mounts; folders are made as needed

	Work string // writable folder, default /work
	Home string // writable folder, default /home/dev; its last element is the name of the user

	Argv  []string // the first is looked up in the PATH of Env when it has no slash
	Env   []string // the whole environment as NAME=value; a PATH and HOME are added when missing, and where trust of the fake internet's certificates is found
	Dir   string   // default Work
	Stdin []byte

	Hostname string // default dev-laptop

	Limits  Limits
	Network Network

	// Channel is the path of a FIFO in the box. Each line that code in the box writes to it becomes an Event of SourceNode with the line
	// as Data; lines of at most 4096 bytes written in one call never mix. Empty means none.
	Channel string
	// Opens asks for kernel events of opened files and sent datagrams too, which costs about 15 microseconds for each.
	Opens bool
	// Events receives every event, one at a time, in the order seen. It must not block for long: the box waits. Nil drops them.
	Events func(Event)
}

// Mount shows a file or folder of the host in the box, read-only. Box must exist in an earlier mount or lie outside all of them.
type Mount struct {
	Host string
	Box  string
}

// File is a file of the box.
type File struct {
	Path string
	Data []byte
	Mode uint32 // permission bits, default 0644
	Link string // when set, the file is a symbolic link to it
	// Replace says that Data is text in which paths of the box are to be replaced by where they really lie (see the package comment).
	Replace bool
	// Truncated is set in Result.Written when Data is the head of the file only; Size is its whole size there.
	Truncated bool
	Size      int64
}

// Perm is the permission bits of the file, with the default filled in.
func (f File) Perm() uint32 {
	if f.Mode == 0 {
		return 0o644
	}
	return f.Mode & 0o7777
}

// Limits bound a box. Zero fields take the defaults of WithDefaults.
type Limits struct {
	Wall      time.Duration // from start to end
	Grace     time.Duration // how long processes may live on after the first one ended
	Memory    int64         // bytes, resident, of all processes together; one process alone may map as much data
	Processes int           // alive at a time, threads included
	Disk      int64         // bytes in all writable folders together
	Output    int           // bytes of standard output and error, each, that are kept
	Events    int           // events delivered; a box that makes more is ended
	Body      int           // bytes kept of one network message, one written file
	Written   int           // bytes kept of all written files together
}

// WithDefaults fills zero fields.
func (l Limits) WithDefaults() Limits {
	def(&l.Wall, 60*time.Second)
	def(&l.Grace, 3*time.Second)
	def(&l.Memory, 1<<30)
	def(&l.Processes, 256)
	def(&l.Disk, 512<<20)
	def(&l.Output, 256<<10)
	def(&l.Events, 200_000)
	def(&l.Body, 256<<10)
	def(&l.Written, 32<<20)
	return l
}

func def[T time.Duration | int64 | int](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Network configures the fake internet. The zero value answers everything as a friendly internet would. Whatever it says, no packet
// leaves the machine.
type Network struct {
	// Off leaves the box with a loopback device only.
	Off bool
	// Resolve, when set, is asked first for the answer to a DNS question. False falls back to the default: every name exists.
	Resolve func(Question) (Answer, bool)
	// Reply, when set, is asked first for the answer to an HTTP request. False falls back to the default typed replies. It is called
	// concurrently.
	Reply func(Request) (Reply, bool)
}

// Question is a DNS question.
type Question struct {
	Name string // lower case, without the final dot
	Type string // A, AAAA, TXT, MX...
}

// Answer is the answer to a Question.
type Answer struct {
	NotFound bool // NXDOMAIN
	Addrs    []netip.Addr
	TXT      []string
}

// Request is an HTTP request as the fake internet received it.
type Request struct {
	Scheme string // http or https
	Method string
	Host   string // without the port
	Port   int
	Path   string // with the query
	Header []Header
	Body   []byte // at most Limits.Body
}

// Header is one header field, as sent.
type Header struct{ Name, Value string }

// Get returns the first value of a header of the request, or "".
func (r Request) Get(name string) string {
	for _, h := range r.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// Reply is the answer to a Request. A zero Status means 200.
type Reply struct {
	Status int
	Header []Header
	Body   []byte
}

// Source is the witness of an event.
type Source string

// Sources.
const (
	SourceNode    Source = "node"    // a line on Spec.Channel; anything in the box can write one
	SourceKernel  Source = "kernel"  // a system call, seen from outside
	SourceNetwork Source = "network" // a message that reached the fake internet
	SourceBox     Source = "box"     // the box itself
)

// Kind says what an event is. Which fields it has stands beside each kind.
type Kind string

// Kinds of SourceNode.
const (
	KindLine Kind = "line" // Data: the line without its end
)

// Kinds of SourceKernel. Calls are seen as they are made: they may still fail, and Error says which the box itself made fail, because its
// arguments could not be read. Paths are absolute.
const (
	KindExec    Kind = "exec"    // Path, Args: argv
	KindStart   Kind = "start"   // a process was made: PID the new one, Parent its parent (strong tier; elsewhere Parent of exec tells)
	KindExit    Kind = "exit"    // Status (strong tier)
	KindConnect Kind = "connect" // Addr
	KindBind    Kind = "bind"    // Addr
	KindSend    Kind = "send"    // Addr (with Spec.Opens)
	KindOpen    Kind = "open"    // Path, Flags: r, w or rw, then c for create, t for truncate, a for append (with Spec.Opens)
	KindMkdir   Kind = "mkdir"   // Path (with Spec.Opens)
	KindUnlink  Kind = "unlink"  // Path
	KindRename  Kind = "rename"  // Path, To
	KindLink    Kind = "link"    // Path: what is linked to, To: the new name, Flags: symbolic or hard
	KindChmod   Kind = "chmod"   // Path, Flags: the mode, octal
	KindSignal  Kind = "kill"    // Target, Status: the number of the signal
	KindMemFile Kind = "memfd"   // Path: the name given
	KindRefused Kind = "refused" // Call: a system call that only an attempt to break out, to trace or to hide makes; Path of it, where it has one; Flags: of a socket, its kind
	KindCall    Kind = "call"    // Call: a traced system call whose arguments the tier does not decode (strong tier)
	KindLost    Kind = "lost"    // Status: how many kernel events could not be kept
)

// Kinds of SourceNetwork. Every one but dns has Addr, the destination that the box asked for, and Host once a name was resolved to it.
const (
	KindDNS     Kind = "dns"     // Host: the name asked for, Type
	KindFlow    Kind = "flow"    // a TCP connection was accepted, or a flow was refused: Error
	KindTLS     Kind = "tls"     // SNI, ALPN, Error when the handshake failed
	KindHTTP    Kind = "http"    // Scheme, Method, Host, Path, Header, Data: body, Status: what was answered
	KindMessage Kind = "message" // Proto: tcp, tls, udp, smtp, ftp, ssh...; Data: what the box sent on the connection, or one datagram
	KindPing    Kind = "ping"    // ICMP echo; Addr without a port, Data: what it carried
)

// Kinds of SourceBox.
const (
	KindBegan   Kind = "began"   // Type: the tier
	KindLimit   Kind = "limit"   // Type: the Limit that was reached
	KindOrphan  Kind = "orphan"  // Args: argv of a process that was still alive when the first one had ended
	KindEnded   Kind = "ended"   // Status, Type: the Reason
	KindDropped Kind = "dropped" // Status: how many events came after Limits.Events
)

// Event is one thing that happened in a box. Beside its first five fields it has those that its Kind names.
type Event struct {
	Source Source        `json:"source"`
	Kind   Kind          `json:"kind"`
	At     time.Duration `json:"at"`               // since the run began, of one monotonic clock for all sources
	PID    int           `json:"pid,omitempty"`    // as the box counts, 0 when unknown
	Parent int           `json:"parent,omitempty"` // of PID, 0 when unknown

	Path   string   `json:"path,omitempty"`
	To     string   `json:"to,omitempty"`
	Addr   string   `json:"addr,omitempty"` // ip:port, [ip]:port, or unix:path
	Host   string   `json:"host,omitempty"`
	Type   string   `json:"type,omitempty"`
	Flags  string   `json:"flags,omitempty"`
	Call   string   `json:"call,omitempty"`
	SNI    string   `json:"sni,omitempty"`
	ALPN   string   `json:"alpn,omitempty"`
	Scheme string   `json:"scheme,omitempty"`
	Method string   `json:"method,omitempty"`
	Proto  string   `json:"proto,omitempty"`
	Error  string   `json:"error,omitempty"`
	Status int      `json:"status,omitempty"`
	Target int      `json:"target,omitempty"` // pid, as the box counts
	Flow   int      `json:"flow,omitempty"`   // of SourceNetwork: the number of the connection
	Args   []string `json:"args,omitempty"`
	Header []Header `json:"header,omitempty"`
	Data   []byte   `json:"data,omitempty"`
	Cut    bool     `json:"cut,omitempty"` // Args or Data is only the head of what there was
}

// Reason says why a box ended.
type Reason string

// Reasons. The zero value is no reason: the box did not run.
const (
	ReasonExit     Reason = "exit"     // the first process ended, and the rest with it or within the grace
	ReasonSignal   Reason = "signal"   // the first process was ended by a signal that the box did not send
	ReasonWall     Reason = "wall"     // Limits.Wall
	ReasonMemory   Reason = "memory"   // Limits.Memory
	ReasonEvents   Reason = "events"   // Limits.Events
	ReasonCanceled Reason = "canceled" // the context of Run
)

// Limit names a limit that was reached, whether or not it ended the box.
type Limit string

// Limits that can be reached.
const (
	LimitWall      Limit = "wall"
	LimitMemory    Limit = "memory"
	LimitProcesses Limit = "processes"
	LimitDisk      Limit = "disk"
	LimitOutput    Limit = "output"
	LimitEvents    Limit = "events"
	LimitWritten   Limit = "written"
)

// Result is how a run ended.
type Result struct {
	Tier   Tier
	Reason Reason
	Exit   int // exit code of the first process, 128+number when a signal ended it
	Limits []Limit
	Usage  Usage

	Stdout, Stderr []byte // at most Limits.Output each
	// Written are the files in the writable folders at the end that Spec.Files did not put there unchanged, by path.
	Written []File
	// Removed are paths of Spec.Files that are gone at the end.
	Removed []string
}

// Reached reports whether a limit was reached.
func (r *Result) Reached(l Limit) bool {
	for _, x := range r.Limits {
		if x == l {
			return true
		}
	}
	return false
}

// Usage is what a run used.
type Usage struct {
	Wall      time.Duration
	CPU       time.Duration
	Memory    int64 // the largest sum seen of resident bytes
	Processes int   // the largest number seen of processes and threads
	Disk      int64 // bytes in the writable folders at the end
	Output    int64 // bytes of standard output and error
	Events    int
}

// Unavailable says that a tier does not work on this machine, what is missing and what would mend it.
type Unavailable struct {
	Tier    Tier
	Missing string // what is missing, in a few words
	Fix     string // one line to do about it, empty when nothing can be done
	Err     error
}

func (u *Unavailable) Error() string {
	s := "isolation " + string(u.Tier) + " does not work here: " + u.Missing
	if u.Err != nil {
		s += ": " + u.Err.Error()
	}
	return s
}

func (u *Unavailable) Unwrap() error { return u.Err }
