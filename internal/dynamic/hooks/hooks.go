// Package hooks watches a Node process from inside. Script makes the one JavaScript file that `node --require` loads before anything
// else; it wraps the functions that knowledge/apis describes and writes a line for each call that code of the package makes. Reader
// turns the lines into events again, in the words of knowledge/apis, for a callseq.Trace to be made of.
//
// # What is promised
//
// The file's core runs in a realm of its own with intrinsics taken before the package ran, so that changed prototypes neither blind it
// nor see it. Wrapped functions keep their name, length, prototype, properties and text. CommonJS and ESM see the same functions. Worker
// threads, and child processes that are Node, load the file whatever environment and options they are given. Code made of text is
// reported before it runs, by the engine's own debugger interface, which direct eval cannot avoid.
//
// # What is not
//
// Code in the same process can find out that it is watched, and can write lines of its own. Lines are numbered by process and thread, so
// that a forged, lost or repeated one shows (Fault). Machine code that is loaded with process.dlopen, and a Node that a shell starts
// with an empty environment, are not watched from here. Only calls made by the package's own code are told, not those that Node makes
// for itself, nor what the language does to text on the way (see notHooked).
package hooks

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/donapi/donapi/internal/behavior"
)

// Options configure the script.
type Options struct {
	// Channel is the path of the FIFO or file that lines are appended to. It must exist when a process starts.
	Channel string
	// RealTime leaves timers and clocks alone. The default is virtual time: a delay of more than a second passes in one to two and a
	// half, the clocks jump with it, and a loop that waits for a clock finds it advancing.
	RealTime bool
	// Keep names variables that every child process gets again when the package cleared its environment.
	Keep []string
}

//go:embed js
var scripts embed.FS

// parts are the files of the core in order: one function's body, so that each sees what those before it declare.
var parts = []string{"line", "value", "site", "wrap", "table", "process", "code", "time", "start"}

// coreName is the file name of the core in stack traces. Node's own files are named so.
const coreName = "node:internal/util/binding"

// Script makes the file to be loaded with --require, for the APIs given.
func Script(apis []*behavior.API, o Options) ([]byte, error) {
	loader, err := scripts.ReadFile("js/loader.js")
	if err != nil {
		return nil, err
	}
	var core strings.Builder
	for _, p := range parts {
		text, err := scripts.ReadFile("js/" + p + ".js")
		if err != nil {
			return nil, err
		}
		core.Write(text)
	}
	config := map[string]any{"channel": o.Channel, "time": !o.RealTime, "keep": o.Keep}
	fill := []string{}
	for name, v := range map[string]any{"CORE": core.String(), "NAME": coreName, "SETTINGS": []any{makeTable(apis), config}} {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("hooks: %s: %w", name, err)
		}
		fill = append(fill, name, string(text))
	}
	// The comment of the loader names them in words, so each name stands once, in the code.
	return []byte(strings.NewReplacer(fill...).Replace(string(loader))), nil
}
