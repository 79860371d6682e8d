// Package strong is the strongest tier of isolation: the processes of a box run on gVisor, a kernel of their own in an ordinary process
// (runsc, platform systrap), and that process runs in Linux namespaces as those of package namespaces do. A hole in this machine's
// kernel is out of the box's reach, unless it lies in the few calls that gVisor makes itself.
//
// Two processes of ours stand around the box. The outer one is the first in its namespaces: it takes hold of what the Spec shows of the
// host, makes a root of nothing else, and starts runsc. The inner one is the first process inside of gVisor: it puts the file tree
// together, starts the program of the Spec without any rights, and lists what was written when all processes are dead. It is root of
// gVisor, which no other process of the box can become, so that its word counts as much as gVisor's. Both are this program, executed
// again (Main).
//
// What gVisor sees of calls comes as messages (trace.go), from where nothing of the box can reach.
//
// runsc is a program of its own, found by Find. It is not linked in: its kernel is three times the size of this program, needs minutes
// to build, and every check of the tree would wait for it. go.mod pins it as a tool, so that it can be built from within the module
// (go build -o bin/runsc gvisor.dev/gvisor/runsc), and Version is what Find accepts.
package strong

import "github.com/donapi/donapi/internal/sandbox"

// Box runs specs on gVisor. It is safe for concurrent use.
type Box struct {
	runsc string // absolute path
}

// Tier is sandbox.Strong.
func (*Box) Tier() sandbox.Tier { return sandbox.Strong }
