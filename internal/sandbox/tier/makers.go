package tier

import (
	"context"

	"github.com/donapi/donapi/internal/sandbox"
	"github.com/donapi/donapi/internal/sandbox/namespaces"
)

// Makers are the tiers of this build.
func Makers() []Maker {
	return []Maker{
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
