package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/sandbox/tier"
	"github.com/donapi/donapi/internal/scan"
)

// oldestNode is the oldest major version of Node.js that packages are executed with.
const oldestNode = 20

// checkup is what doctor finds.
type checkup struct {
	Version   string         `json:"version"`
	Isolation tier.Diagnosis `json:"isolation"`
	Node      nodeFound      `json:"node"`
	// Executes says that packages can be executed here when nothing is asked for. Otherwise they are read only.
	Executes bool `json:"executes"`
}

type nodeFound struct {
	Path    string `json:"path,omitempty"`
	Version string `json:"version,omitempty"`
	Missing string `json:"missing,omitempty"` // what is wrong with it, empty when nothing is
	Fix     string `json:"fix,omitempty"`
}

func (a *app) doctor() *cobra.Command {
	var format, runsc string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "say what donapi can do on this machine, and what is missing",
		Long: `doctor tries each way of isolating the code of a package, by running a box that attempts to break out and checking that every attempt
fails and is seen. For what does not work it says what exactly is missing and one line that would mend it. Reading packages works
everywhere; executing them needs a tier of isolation and Node.js.

It exits with 1 where packages cannot be executed with the default isolation.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError{fmt.Errorf("--format: unknown format %q: want text or json", format)}
			}
			return a.examine(cmd.Context(), runsc, format == "json")
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().StringVar(&runsc, "runsc", "", "gVisor's program, which the strong tier needs, where it is not found by itself")
	return cmd
}

func (a *app) examine(ctx context.Context, runsc string, asJSON bool) error {
	d, err := tier.Diagnose(ctx, tier.Makers(runsc), nil)
	if err != nil {
		return err
	}
	c := checkup{Version: scan.Version, Isolation: d, Node: findNode(ctx)}
	c.Executes = d.Default != "" && c.Node.Missing == ""
	if !c.Executes {
		a.code = exitError
	}
	if asJSON {
		e := json.NewEncoder(a.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(c)
	}
	_, err = a.out.Write([]byte(c.text()))
	return err
}

func (c checkup) text() string {
	var b strings.Builder
	row := func(name, state string, more ...string) {
		fmt.Fprintf(&b, "  %-11s %s\n", name, state)
		for _, m := range more {
			if m != "" {
				fmt.Fprintf(&b, "  %-11s %s\n", "", m)
			}
		}
	}
	in := ""
	if c.Isolation.Container != "" {
		in = ", in what looks like a container (" + c.Isolation.Container + ")"
	}
	fmt.Fprintf(&b, "donapi %s on %s%s\n\nisolation, each tried just now\n", c.Version, c.Isolation.System, in)
	for _, t := range c.Isolation.Tiers {
		var more []string
		state := "works"
		if !t.Works {
			state = "missing: " + t.Missing
			if t.Detail != "" {
				more = append(more, "because: "+t.Detail)
			}
			if t.Fix != "" {
				more = append(more, "fix: "+t.Fix)
			}
		}
		for _, n := range t.Notes {
			more = append(more, "note: "+n)
		}
		row(string(t.Tier), state, more...)
	}
	b.WriteString("\nprograms\n")
	if n := c.Node; n.Missing == "" {
		row("node", n.Version+", "+n.Path)
	} else {
		row("node", "missing: "+n.Missing, "fix: "+n.Fix)
	}
	b.WriteString("\n")
	if c.Executes {
		fmt.Fprintf(&b, "packages are read, and can be executed in isolation %q\n", c.Isolation.Default)
	} else {
		b.WriteString("packages are read; they are not executed with the default isolation\n")
	}
	return b.String()
}

// findNode looks for the Node.js that a shell would run.
func findNode(ctx context.Context) nodeFound {
	fix := fmt.Sprintf("install Node.js %d or later, from your distribution or https://nodejs.org", oldestNode)
	p, err := exec.LookPath("node")
	if err != nil {
		why := "node is not in PATH"
		if errors.Is(err, exec.ErrDot) {
			why = "node is in PATH by way of the current folder only"
		}
		return nodeFound{Missing: why, Fix: fix}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, p, "--version").Output()
	if err != nil {
		return nodeFound{Path: p, Missing: fmt.Sprintf("%s --version fails: %v", p, err), Fix: fix}
	}
	n := nodeFound{Path: p, Version: strings.TrimSpace(string(out))}
	var major int
	if _, err := fmt.Sscanf(n.Version, "v%d.", &major); err != nil {
		n.Missing, n.Fix = fmt.Sprintf("%s says that its version is %q", p, n.Version), fix
	} else if major < oldestNode {
		n.Missing, n.Fix = fmt.Sprintf("%s is %s, which is too old", p, n.Version), fix
	}
	return n
}
