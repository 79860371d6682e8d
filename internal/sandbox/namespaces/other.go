//go:build !(linux && (amd64 || arm64))

package namespaces

import (
	"context"

	"github.com/donapi/donapi/internal/sandbox"
)

// Box does not exist here.
type Box struct{}

// Main does nothing here.
func Main() {}

// New says that this tier needs Linux.
func New(context.Context) (*Box, error) {
	return nil, &sandbox.Unavailable{Tier: sandbox.Namespaces, Missing: "Linux on amd64 or arm64"}
}

// Run fails.
func (*Box) Run(context.Context, sandbox.Spec) (*sandbox.Result, error) {
	_, err := New(context.Background())
	return nil, err
}
