package tier

import (
	"context"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/namespaces"
	"github.com/donapi/donapi/internal/sandbox/strong"
)

// Makers are the tiers of this build. runsc is the path of gVisor's program, empty for the one that is found.
func Makers(runsc string) []Maker {
	return []Maker{
		{sandbox.Strong, func(ctx context.Context) (sandbox.Box, error) { return made(strong.New(ctx, runsc)) }},
		{sandbox.Namespaces, func(ctx context.Context) (sandbox.Box, error) { return made(namespaces.New(ctx)) }},
	}
}

// made keeps a nil pointer from becoming a box that is not nil.
func made[B sandbox.Box](b B, err error) (sandbox.Box, error) {
	if err != nil {
		return nil, err
	}
	return b, nil
}
