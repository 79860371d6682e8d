package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/donapi/donapi/internal/artifact"
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
	req, err := json.Marshal(job{Target: s.Target, Tarball: s.Tarball, Folder: s.Folder, Merge: &opt})
	if err != nil {
		return nil, err
	}
	reply, err := c.Pool.Run(ctx, req, func(string) {})
	var died *confine.Died
	if errors.As(err, &died) {
		return nil, fmt.Errorf("%s: the confined process died: %s", s.Target, died.Reason)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Target, err)
	}
	m := &reconstruct.Merged{}
	if err := json.Unmarshal(reply, m); err != nil {
		return nil, fmt.Errorf("%s: answer of the confined process: %w", s.Target, err)
	}
	return m, nil
}

func merge(k *Knowledge, a *artifact.Artifact, opt reconstruct.MergeOptions) (*reconstruct.Merged, error) {
	return reconstruct.Merge(reconstruct.Build(a, reconstruct.Options{Commands: k.Shell.Commands}), opt)
}
