package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// ErrMoved is returned to a follower whose feed was moved by another: what it read is to be read again.
var ErrMoved = errors.New("the cursor of the feed was moved by another follower")

// StartFeed begins to follow a feed at a cursor. A feed that is followed already stays where it is.
func (s *Store) StartFeed(ctx context.Context, name, cursor string, at time.Time) (db.Feed, error) {
	err := s.Update(ctx, func(tx *Tx) error {
		return tx.Queries.StartFeed(ctx, db.StartFeedParams{Name: name, Cursor: cursor, StartedAt: millis(at)})
	})
	if err != nil {
		return db.Feed{}, fmt.Errorf("start feed %s: %w", name, err)
	}
	return s.Feed(ctx, name)
}

// Feed says where a feed is.
func (s *Store) Feed(ctx context.Context, name string) (db.Feed, error) {
	f, err := s.query.GetFeed(ctx, name)
	if err != nil {
		return f, fmt.Errorf("feed %s: %w", name, found(err))
	}
	return f, nil
}

// Change is one entry of a feed.
type Change struct {
	Name, Seq, Rev string
	Deleted        bool
}

// Follow moves the feed from where the follower read it to cursor, and announces the packages in between.
func (tx *Tx) Follow(ctx context.Context, from db.Feed, cursor string, walking bool, changes []Change, at time.Time) error {
	n, err := tx.MoveFeed(ctx, db.MoveFeedParams{Name: from.Name, Since: from.Cursor, Epoch: from.Epoch, Cursor: cursor,
		Walking: number(walking), MovedAt: millis(at), CheckedAt: millis(at)})
	if err != nil {
		return fmt.Errorf("move feed %s: %w", from.Name, err)
	}
	if n == 0 {
		return ErrMoved
	}
	for _, c := range changes {
		if _, err := tx.AnnouncePackage(ctx, db.AnnouncePackageParams{Name: c.Name, At: millis(at), Seq: c.Seq, Rev: c.Rev,
			Gone: number(c.Deleted), Epoch: from.Epoch}); err != nil {
			return fmt.Errorf("announce %s: %w", c.Name, err)
		}
	}
	return nil
}

// Renumber begins a new epoch of a feed that was numbered anew: it is read from its beginning.
func (tx *Tx) Renumber(ctx context.Context, from db.Feed, at time.Time) error {
	n, err := tx.ResetFeed(ctx, db.ResetFeedParams{Name: from.Name, Epoch: from.Epoch, CheckedAt: millis(at)})
	if err != nil {
		return fmt.Errorf("renumber feed %s: %w", from.Name, err)
	}
	if n == 0 {
		return ErrMoved
	}
	return nil
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Behind are packages announced before a time whose announcements are not all accounted for, the oldest first.
func (s *Store) Behind(ctx context.Context, before time.Time, limit int32) ([]db.Package, error) {
	list, err := s.query.Behind(ctx, db.BehindParams{Before: millis(before), N: limit})
	if err != nil {
		return nil, fmt.Errorf("packages behind: %w", err)
	}
	return list, nil
}

// Settle accounts for the announcements of a package up to those that p counts. Later ones keep it behind.
func (tx *Tx) Settle(ctx context.Context, p db.Package) error {
	if err := tx.SettlePackage(ctx, db.SettlePackageParams{ID: p.ID, Synced: p.Announced}); err != nil {
		return fmt.Errorf("settle %s: %w", p.Name, err)
	}
	return nil
}
