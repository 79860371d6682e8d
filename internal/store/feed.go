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

// Feed is a change feed and where it is.
type Feed struct {
	Name      string
	Cursor    string    // opaque; all before it is announced
	Epoch     int64     // counts how often the feed was numbered anew
	Walking   bool      // it is read from its beginning, to be compared
	StartedAt time.Time // versions published before are history
	MovedAt   time.Time // when the cursor last moved
	CheckedAt time.Time // when the feed last answered
}

// StartFeed begins to follow a feed at a cursor. A feed that is followed already stays where it is.
func (s *Store) StartFeed(ctx context.Context, name, cursor string, at time.Time) (Feed, error) {
	err := s.Update(ctx, func(tx *Tx) error {
		return tx.query.StartFeed(ctx, db.StartFeedParams{Name: name, Cursor: cursor, StartedAt: millis(at)})
	})
	if err != nil {
		return Feed{}, fmt.Errorf("start feed %s: %w", name, err)
	}
	return s.Feed(ctx, name)
}

// Feed says where a feed is.
func (s *Store) Feed(ctx context.Context, name string) (Feed, error) {
	f, err := s.query.GetFeed(ctx, name)
	if err != nil {
		return Feed{}, fmt.Errorf("feed %s: %w", name, found(err))
	}
	return Feed{Name: f.Name, Cursor: f.Cursor, Epoch: f.Epoch, Walking: f.Walking != 0, StartedAt: moment(f.StartedAt),
		MovedAt: moment(f.MovedAt), CheckedAt: moment(f.CheckedAt)}, nil
}

// Change is one entry of a feed.
type Change struct {
	Name, Seq, Rev string
	Deleted        bool
}

// Follow moves the feed from where the follower read it to cursor, and announces the packages in between.
func (tx *Tx) Follow(ctx context.Context, from Feed, cursor string, walking bool, changes []Change, at time.Time) error {
	n, err := tx.query.MoveFeed(ctx, db.MoveFeedParams{Name: from.Name, Since: from.Cursor, Epoch: from.Epoch, Cursor: cursor,
		Walking: number(walking), MovedAt: millis(at), CheckedAt: millis(at)})
	if err != nil {
		return fmt.Errorf("move feed %s: %w", from.Name, err)
	}
	if n == 0 {
		return ErrMoved
	}
	for _, c := range changes {
		if _, err := tx.query.AnnouncePackage(ctx, db.AnnouncePackageParams{Name: c.Name, At: millis(at), Seq: c.Seq, Rev: c.Rev,
			Gone: number(c.Deleted), Epoch: from.Epoch}); err != nil {
			return fmt.Errorf("announce %s: %w", c.Name, err)
		}
	}
	return nil
}

// Renumber begins a new epoch of a feed that was numbered anew: it is read from its beginning.
func (tx *Tx) Renumber(ctx context.Context, from Feed, at time.Time) error {
	n, err := tx.query.ResetFeed(ctx, db.ResetFeedParams{Name: from.Name, Epoch: from.Epoch, CheckedAt: millis(at)})
	if err != nil {
		return fmt.Errorf("renumber feed %s: %w", from.Name, err)
	}
	if n == 0 {
		return ErrMoved
	}
	return nil
}
