// Package namespaces is the default tier of isolation: a box is a tree of processes in Linux namespaces of its own (user, mount, process,
// network, UTS, IPC, cgroup), which any user may make where the kernel allows it. Nothing is set up beforehand and nothing is left
// behind: the program executes itself again as the first process of the box (Main), which builds a root of its own out of read-only
// mounts and one tmpfs, gives up every right, and starts the program of the Spec. When it dies the kernel ends the whole box, and it
// dies with us.
//
// Everything that the box is to be judged by is kept outside of it: descriptors of its packets, its writable files, its /proc and its
// channel are handed to this process before the first line of strange code runs.
//
// The kernel is shared with the box: a hole in it that can be reached through the seccomp filter is a way out. The strong tier is for
// what must not depend on that.
package namespaces

import "github.com/donapi/donapi/internal/sandbox"

// Tier is sandbox.Namespaces.
func (*Box) Tier() sandbox.Tier { return sandbox.Namespaces }
