package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/knowledge"
)

// line is one call as sequences prints it: the call, and what its numbers stand for.
type line struct {
	callseq.Call
	File  string   `json:"file,omitempty"`
	Layer string   `json:"layer,omitempty"` // how the code that makes the call was made; empty for a file
	Types []string `json:"types"`
}

func (a *app) sequences() *cobra.Command {
	var f fetching
	var phase, entry string
	cmd := &cobra.Command{
		Use:   "sequences TARGET",
		Short: "print the API call sequences of a package",
		Long: `Prints every API call that the package's code makes, one JSON object a line, in the order in which they can happen: arguments as far
as known, where each value came from (flows, by call ID), phase, entry, conditions and position.`,
		Example: "  donapi sequences ./package.tgz --phase install",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := f.client(args)
			if err != nil {
				return err
			}
			k, err := scan.LoadKnowledge(knowledge.FS())
			if err != nil {
				return err
			}
			items, err := scan.Expand(args[0], client, a.in, nil, func(m string) { fmt.Fprintln(a.err, "donapi: note:", m) })
			if err != nil {
				return err
			}
			an, done := f.analyser(k, true, 1)
			defer done()
			enc := json.NewEncoder(a.out)
			enc.SetEscapeHTML(false)
			for _, it := range items {
				sub, err := it.Load(cmd.Context())
				if err != nil {
					return err
				}
				r, err := an.Analyse(cmd.Context(), sub)
				if err != nil {
					return err
				}
				for i := range r.Trace.Calls {
					c := &r.Trace.Calls[i]
					if phase != "" && string(c.Phase) != phase || entry != "" && c.Entry != entry {
						continue
					}
					l := line{Call: *c, File: r.Trace.File(c.Pos), Types: k.Base.Types(r.Trace, c)}
					if c.Pos.Layer < len(r.Trace.Layers) {
						l.Layer = r.Trace.Layers[c.Pos.Layer].How
					}
					if l.Types == nil {
						l.Types = []string{}
					}
					if err := enc.Encode(l); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&phase, "phase", "", "only calls of this phase: install, import, browser, bin, call, unused")
	cmd.Flags().StringVar(&entry, "entry", "", "only calls reached from this entry, as scripts.postinstall")
	return cmd
}
