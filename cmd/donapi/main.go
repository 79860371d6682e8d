// Command donapi finds malicious npm packages. See donapi help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/sandbox/tier"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
	exitFound = 3
	exitBreak = 130
)

func main() {
	os.Exit(run())
}

// run is main with its exit code, so that tests can call it as a command.
func run() int {
	tier.Main()
	if confine.IsChild() {
		return child()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	return a.execute(ctx, os.Args[1:])
}

// child is the life of a confined process.
func child() int {
	k, err := scan.LoadKnowledge(knowledge.FS())
	if err == nil {
		err = confine.Serve(scan.Handler(k))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "donapi: confined:", err)
		return exitError
	}
	return exitOK
}

// app is one run of the command: its streams, and the exit code that its subcommands leave.
type app struct {
	in       io.Reader
	out, err io.Writer
	code     int
	served   bool // a service ended as it should when it was interrupted
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// hintError carries what a user can do about an error.
type hintError struct {
	error
	hint string
}

func (a *app) execute(ctx context.Context, args []string) int {
	root := &cobra.Command{
		Use:   "donapi",
		Short: "find malicious npm packages",
		Long: `donapi judges npm packages by what their code does: which API calls it makes when it is installed, imported or called, and where
the values go. It runs wholly on this machine, executes nothing of a package, and gives every verdict with the calls that prove it.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.scan(), a.sequences(), a.reconstruct(), a.diff(), a.kb(), a.explain(), a.serve(), a.cluster(), a.eval(), a.train(), a.doctor(), a.version())
	err := root.ExecuteContext(ctx)
	switch {
	case ctx.Err() != nil && err == nil && a.served:
		return exitOK
	case ctx.Err() != nil:
		fmt.Fprintln(a.err, "donapi: interrupted")
		return exitBreak
	case err == nil:
		return a.code
	case errors.Is(err, syscall.EPIPE):
		return exitOK
	}
	a.fail(err)
	var u usageError
	if errors.As(err, &u) {
		fmt.Fprintln(a.err, "donapi: hint: run donapi help")
		return exitUsage
	}
	if a.code == exitFound {
		return exitFound
	}
	return exitError
}

func (a *app) fail(err error) {
	fmt.Fprintln(a.err, "donapi: error:", err)
	var h hintError
	if errors.As(err, &h) {
		fmt.Fprintln(a.err, "donapi: hint:", h.hint)
	}
}

// exactArgs asks for n arguments.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n && n == 0 && cmd.HasSubCommands() {
			return usageError{fmt.Errorf("unknown command %q of %s", args[0], cmd.CommandPath())}
		}
		if len(args) != n {
			return usageError{fmt.Errorf("%d arguments given: the command is %s", len(args), cmd.UseLine())}
		}
		return nil
	}
}

func needArgs(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError{errors.New("no " + what + " given")}
		}
		return nil
	}
}
