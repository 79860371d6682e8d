package service

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// Shared is how large tarballs may be, bytes, each, that are analysed side by side.
const Shared = 1 << 20

type shares struct {
	s    *semaphore.Weighted
	most int64
}

func newShares(jobs int) *shares {
	most := int64(max(jobs, 1)) * Shared
	return &shares{semaphore.NewWeighted(most), most}
}

func (s *shares) take(ctx context.Context, size int) (release func(), err error) {
	n := min(max(int64(size), 1), s.most)
	if err := s.s.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { s.s.Release(n) }, nil
}
