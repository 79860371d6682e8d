package js

import "unsafe"

// ModuleKind says how a file is loaded.
type ModuleKind string

const (
	KindCommonJS ModuleKind = "commonjs"
	KindESM      ModuleKind = "esm"
	KindJSON     ModuleKind = "json"
	KindNative   ModuleKind = "native" // .node
	KindWasm     ModuleKind = "wasm"
	KindAsset    ModuleKind = "asset" // anything else that code names
)

// Module is one file of the package that code may load.
type Module struct {
	Path   string
	Kind   ModuleKind
	Data   []byte
	Reach  Reach
	parse  func(*Module) (*Unit, error)
	unit   *Unit
	err    error
	parsed bool
}

// NewModule returns a module that is parsed on the first call of Unit.
func NewModule(path string, kind ModuleKind, data []byte, parse func(*Module) (*Unit, error)) *Module {
	return &Module{Path: path, Kind: kind, Data: data, parse: parse}
}

// Unit parses the module, once. The error is a *Refusal or a *SyntaxError; JSON, native and asset modules have neither unit nor error.
func (m *Module) Unit() (*Unit, error) {
	if !m.parsed {
		m.parsed = true
		if m.parse != nil && (m.Kind == KindCommonJS || m.Kind == KindESM) {
			m.unit, m.err = m.parse(m)
		}
	}
	return m.unit, m.err
}

// Text is Data as a string that shares its memory: a package may hold tens of megabytes, and Data never changes.
func (m *Module) Text() string { return unsafe.String(unsafe.SliceData(m.Data), len(m.Data)) }

// Release drops the parsed unit; the next Unit call parses again.
func (m *Module) Release() { m.unit, m.err, m.parsed = nil, nil, false }

// Reach is how a module can come to run, as a set.
type Reach uint8

const (
	ReachInstall Reach = 1 << iota
	ReachImport
	ReachBrowser
	ReachBin
)

// EntryKind says what starts an entry.
type EntryKind string

const (
	EntryScript  EntryKind = "script"  // a file run by a lifecycle script or another manifest script
	EntryCommand EntryKind = "command" // a lifecycle script's command line itself
	EntryImport  EntryKind = "import"  // main, module, exports, imports
	EntryBin     EntryKind = "bin"
	EntryBrowser EntryKind = "browser"
	EntryGyp     EntryKind = "gyp"
)

// Entry is one way into the package.
type Entry struct {
	Name    string    // scripts.postinstall, main, exports["."].import, bin.cli, binding.gyp
	Kind    EntryKind //
	Phase   string    // a callseq.Phase: install, import, bin, browser
	Path    string    // module path; empty for a command that runs no file of the package
	Command string    // the command line, for scripts
	Argv    []string  // arguments after the file
	Lang    string    // js, sh, cmd, powershell, python for a file that is not JavaScript
	Implied bool      // runs without being asked for in scripts: binding.gyp, git prepare
	Module  *Module   // code that is no file, as of node -e; nil otherwise
}

// Resolution is what a specifier leads to. Exactly one of Module, Builtin, External is set, or none when nothing is there.
type Resolution struct {
	Module   *Module
	Builtin  string // without node:
	External string // package name with subpath: not part of this package
}

// Program is a package's code: its modules, the entries that start it, and what could not be resolved.
type Program struct {
	Modules    []*Module // sorted by path
	Entries    []Entry   // in the order in which they would run: install, import, browser, bin
	Unresolved []Unresolved
	Resolver   Resolver
}

// Resolver finds modules as Node does, inside the package. It is also asked for specifiers computed at run time.
type Resolver interface {
	// Resolve finds what a specifier names when a module at path from asks; esm chooses the import condition over require.
	Resolve(from, specifier string, esm bool) Resolution
	// Lookup returns the module for a path within the package, whatever its name ends in, or nil.
	Lookup(path string) *Module
}

// Unresolved is a specifier that leads nowhere.
type Unresolved struct {
	From, Specifier string
	Why             string
}

// SyntaxError is code that no loader accepts. Node could not run it either, as far as the parser knows.
type SyntaxError struct {
	Name string
	Pos  int32
	Line int
	Text string
}

func (e *SyntaxError) Error() string { return e.Name + ": " + e.Text }

// Refusal is code that the guard did not hand to the parser, being built to exhaust it.
type Refusal struct {
	Name string
	Kind string // nesting, chain, size, tokens
	Text string
}

func (e *Refusal) Error() string { return e.Name + ": refused: " + e.Text }
