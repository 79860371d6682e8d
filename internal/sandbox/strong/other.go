//go:build !linux || !(amd64 || arm64)

package strong

import (
	"context"

	"github.com/donapi/donapi/internal/sandbox"
)

// Main does nothing: there are no boxes on this system.
func Main() {}

// New says that the tier needs Linux.
func New(context.Context, string) (*Box, error) {
	return nil, &sandbox.Unavailable{Tier: sandbox.Strong, Missing: "Linux on amd64 or arm64"}
}

// Run does nothing: no Box can be had on this system.
func (*Box) Run(context.Context, sandbox.Spec) (*sandbox.Result, error) {
	return nil, &sandbox.Unavailable{Tier: sandbox.Strong, Missing: "Linux on amd64 or arm64"}
}
