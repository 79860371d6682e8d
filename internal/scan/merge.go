package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/donapi/donapi/internal/artifact"
	"github.com/donapi/donapi/internal/cluster"
	"github.com/donapi/donapi/internal/confine"
	"github.com/donapi/donapi/internal/reconstruct"
)

// Merge writes a package as one file, in this process.
func (p InProcess) Merge(_ context.Context, s Subject, opt reconstruct.MergeOptions) (*reconstruct.Merged, error) {
	a, err := read(s)
	if err != nil {
		return nil, err
	}
	m, err := merge(p.K, a, opt)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Target, err)
	}
	return m, nil
}

// Merge writes a package as one file. Unlike an analysis it needs every file: a process that dies is an error.
func (c *Confined) Merge(ctx context.Context, s Subject, opt reconstruct.MergeOptions) (*reconstruct.Merged, error) {
	m := &reconstruct.Merged{}
	if err := c.ask(ctx, job{Target: s.Target, Tarball: s.Tarball, Folder: s.Folder, Merge: &opt}, m); err != nil {
		return nil, err
	}
	return m, nil
}

func merge(k *Knowledge, a *artifact.Artifact, opt reconstruct.MergeOptions) (*reconstruct.Merged, error) {
	return reconstruct.Merge(reconstruct.Build(a, reconstruct.Options{Commands: k.Shell.Commands}), opt)
}

// Print makes what packages are clustered by, in this process.
func (p InProcess) Print(_ context.Context, s Subject) (cluster.Print, error) {
	a, err := read(s)
	if err != nil {
		return cluster.Print{}, err
	}
	return cluster.Of(a), nil
}

// Print makes what packages are clustered by. Like Merge it needs every file.
func (c *Confined) Print(ctx context.Context, s Subject) (cluster.Print, error) {
	var p cluster.Print
	err := c.ask(ctx, job{Target: s.Target, Tarball: s.Tarball, Folder: s.Folder, Print: true}, &p)
	return p, err
}

// ask gives a child a job that needs every file: a process that dies is an error.
func (c *Confined) ask(ctx context.Context, j job, answer any) error {
	req, err := json.Marshal(j)
	if err != nil {
		return err
	}
	reply, err := c.Pool.Run(ctx, req, func(string) {})
	var died *confine.Died
	if errors.As(err, &died) {
		return fmt.Errorf("%s: the confined process died: %s", j.Target, died.Reason)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", j.Target, err)
	}
	if err := json.Unmarshal(reply, answer); err != nil {
		return fmt.Errorf("%s: answer of the confined process: %w", j.Target, err)
	}
	return nil
}
