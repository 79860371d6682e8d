// Package shell reads commands and yields the same calls as code does: lifecycle scripts, shell and batch files, PowerShell, and
// the command strings that code hands to a shell. In goes a text, perhaps known only in part; out comes a Trace in which every
// command is a call named $shell.NAME with the behaviour types that knowledge/shell gives it, its words as arguments, and flow
// through pipes, substitutions, variables, redirections and files. A network command's first argument is where it connects to.
//
// Inline code in JavaScript is handed out for the evaluator; python, perl, ruby, php and PowerShell are read here by their tokens,
// for what they fetch, send, decode and run. Nothing is executed and no file is opened; work is bounded by steps and bytes.
//
// Not promised: an exact shell. Both branches of every condition are read, a loop body is read once with every value its variable
// takes, and text that is no POSIX shell is read line by line as cmd.exe would. What was cut shows in the Outcome.
package shell

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

// Source is one text to read.
type Source struct {
	Text  callseq.Value // holes stand for what is not known; their flows are kept
	Lang  string        // sh, cmd, powershell, python, perl, ruby, php; empty: sh, cmd or powershell, whichever it looks like
	Phase callseq.Phase
	Entry string
	File  string                           // where it stands, for the layer
	How   string                           // script:NAME, shell, file
	By    callseq.ID                       // the call that runs it, in the trace that the result is appended to
	Files func(path string) ([]byte, bool) // files of the package that a command may start; nil: they are read elsewhere
}

// Code is a piece of another language found in a command.
type Code struct {
	Lang string // js, python, perl, ruby, php, powershell, applescript
	Text string // __0__, __1__ and so on stand for what the shell puts in and is not known
	By   callseq.ID
}

// Classes tells what the knowledge base knows of paths, hosts and variables; behavior.Base does.
type Classes interface {
	PathClass(path string) []string
	HostClass(host string) string
	EnvClass(name string) string
}

// Reader reads commands with a table of what they do. It is immutable and safe for concurrent use.
type Reader struct {
	table     map[string]*command
	languages map[string]*language
	classes   Classes
}

// Load reads the tables shell/*.yaml and shell/languages/*.yaml of the knowledge base.
func Load(fsys fs.FS, classes Classes) (*Reader, error) {
	table, err := loadCommands(fsys)
	if err != nil {
		return nil, err
	}
	langs, err := loadLanguages(fsys)
	if err != nil {
		return nil, err
	}
	return &Reader{table: table, languages: langs, classes: classes}, nil
}

// Limits of one text. They bound work and memory, not time, so that a result does not depend on the machine.
const (
	maxText     = 1 << 20  // bytes of a text
	maxOpeners  = 20_000   // characters and words that may open a nesting level, in a text given to the parser
	maxSteps    = 60_000   // statements, words and expressions looked at
	maxCalls    = 4_000    // calls recorded
	maxNest     = 150      // statements within statements
	maxNested   = 8 << 20  // bytes of all texts within texts
	maxLayers   = 8        // texts within texts
	maxWord     = 64 << 10 // bytes of one word
	maxParts    = 128      // pieces of one word
	maxFields   = 512      // words of one command
	maxCodes    = 50
	maxVars     = 1_000
	maxParses   = 10_000 // texts given to the parser, long ones counting more
	maxPatterns = 64     // words that one brace expression makes
)

// Read reads a text. The outcome is partial when a limit was met or a text could not be read.
func (r *Reader) Read(src Source) (*callseq.Trace, []Code, report.Outcome) {
	x := r.read(src)
	out := report.Outcome{Stage: "shell", Status: report.Ran}
	if len(x.unseen) > 0 {
		slices.Sort(x.unseen)
		out.Status, out.Unseen = report.Partial, slices.Compact(x.unseen)
		out.Reason = out.Unseen[0]
		out.Reached = src.Phase == callseq.PhaseInstall || src.Phase == callseq.PhaseImport
	}
	return x.t, x.codes, out
}

func (r *Reader) read(src Source) *reading {
	x := &reading{
		r: r, src: src, t: &callseq.Trace{}, lang: src.Lang,
		vars: map[string][]word{}, env: map[string]callseq.ID{}, funcs: map[string]*function{}, aliases: map[string]string{},
		files: map[string]written{}, fds: map[string]stream{}, interactive: map[callseq.ID]bool{}, aliasing: map[string]bool{},
	}
	w := fromValue(&src.Text)
	text := unmarked(x.encode(w))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
		x.cut("a text longer than 1 MiB")
	}
	if x.lang == "" {
		x.lang = guess(text)
	}
	x.t.Layers = append(x.t.Layers, callseq.Layer{Parent: -1, File: src.File, How: src.How, Lang: x.lang, By: -src.By})
	x.text(text, x.lang)
	x.finish()
	return x
}

// Commands lists the simple commands of a script with their words as far as known, * for what is not. Prefixes such as sudo or
// env are left out, commands inside commands (sh -c) too.
func (r *Reader) Commands(script string) [][]string {
	x := r.read(Source{Text: callseq.Value{Kind: callseq.String, Text: script}})
	slices.SortStableFunc(x.list, func(a, b listed) int { return cmp.Compare(a.offset, b.offset) })
	var out [][]string
	for _, l := range x.list {
		out = append(out, l.words)
	}
	return out
}
