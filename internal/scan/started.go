package scan

import (
	"path"
	"slices"
	"strings"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/js"
)

// Code starts files of its package as programs: node worker.js in a command, fork, a Worker. Such a file runs in the phase of the call.

const maxStarted = 30 // files started by calls, a package

var phaseReach = map[callseq.Phase]js.Reach{callseq.PhaseInstall: js.ReachInstall, callseq.PhaseImport: js.ReachImport, callseq.PhaseBrowser: js.ReachBrowser, callseq.PhaseBin: js.ReachBin}

// startedBy queues the file that one call starts, unless it runs in that phase already.
func (s *stages) startedBy(c *callseq.Call) {
	switch c.API {
	case "$shell.node", "$shell.nodejs", "$shell.ts-node", "$shell.tsx", "$shell.bun":
		if c.Cause == 0 && c.Entry != "" && strings.HasPrefix(c.Entry, "scripts.") && s.out.Trace.File(c.Pos) == "package.json" {
			return // reconstruction follows the scripts of the manifest
		}
		for i := range c.Args {
			if t := c.Args[i].Text; !strings.HasPrefix(t, "-") {
				s.start(t, c)
				return
			}
		}
	case "child_process.fork", "worker_threads.Worker":
		if len(c.Args) > 0 {
			s.start(c.Args[0].Text, c)
		}
	}
}

func (s *stages) start(file string, c *callseq.Call) {
	if file == "" || len(file) > 1000 || strings.Contains(file, "\n") {
		return
	}
	file = strings.TrimPrefix(strings.ReplaceAll(file, `\`, "/"), "file://")
	if i := strings.LastIndex(file, "/node_modules/"+s.a.Manifest.Name+"/"); i >= 0 && s.a.Manifest.Name != "" {
		file = file[i+len("/node_modules/"+s.a.Manifest.Name+"/"):]
	}
	file = strings.TrimPrefix(path.Clean("/"+file), "/")
	m := s.p.Resolver.Resolve("package.json", "./"+file, false).Module
	if m == nil || m.Kind != js.KindCommonJS && m.Kind != js.KindESM || m.Reach&phaseReach[c.Phase] != 0 {
		return
	}
	key := string(c.Phase) + " " + m.Path
	if slices.Contains(s.started, key) || len(s.started) >= maxStarted {
		return
	}
	s.started = append(s.started, key)
	s.inline = append(s.inline, js.Entry{Name: c.Entry, Kind: js.EntryScript, Phase: string(c.Phase), Path: m.Path})
}
