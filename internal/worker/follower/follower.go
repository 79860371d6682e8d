// Package follower follows the change feed of a registry: which packages have another document than before. Names and a place in the
// feed go in; jobs to read those packages come out, durable in the same transaction as the place. So a follower that is killed
// anywhere loses nothing, and two that run at once do nothing twice.
//
// A feed may be numbered anew. Then it is walked from its beginning, and what differs from what is known makes jobs: other
// revisions, and packages that it no longer names.
package follower

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker/queue"
)

// Feed is what is followed. registry.Client is one.
type Feed interface {
	Changes(ctx context.Context, since npm.Cursor, limit int) (*npm.ChangePage, error)
	FeedStatus(ctx context.Context) (npm.Cursor, error)
}

// Adder adds jobs in a transaction. queue.Queue is one.
type Adder interface {
	Add(ctx context.Context, tx *store.Tx, jobs ...queue.Job) error
}

// Follower follows one feed. Set the fields before Run.
type Follower struct {
	Name      string // of the feed in the store
	Feed      Feed
	Store     *store.Store
	Jobs      Adder
	Log       *slog.Logger
	Beginning bool          // a feed that is followed for the first time is read from its beginning, not from now
	Page      int           // rows to ask for; 0 means 1000, and 10 000 while there is much to catch up with
	Pause     time.Duration // between pages when there is nothing more; 0 means 10 s
	Idle      time.Duration // the longest such pause, reached when nothing comes; 0 means 30 s
	Check     time.Duration // how often an empty feed is asked whether it was numbered anew; 0 means a minute
	Alarm     time.Duration // how long a feed may bring nothing before that is an alarm; 0 means 10 minutes
	Now       func() time.Time

	largest int       // rows of a page that the server was seen to give
	begun   time.Time // when Run began
	checked time.Time // when the feed was last asked for its newest cursor
}

func (f *Follower) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

const (
	fewRows  = 1000
	manyRows = 10_000
	// longest pause while the feed fails
	maxPause = 5 * time.Minute
)

// Run follows until ctx ends. What fails is tried again: the feed stays where it is.
func (f *Follower) Run(ctx context.Context) {
	pause, failures := or(f.Pause, 10*time.Second), 0
	least := pause
	f.begun = f.now()
	alarmed := false
	for {
		more, moved, err := f.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrMoved):
			f.Log.Debug("another follower was faster")
			pause = least
		case err != nil:
			failures++
			pause = min(least<<min(failures-1, 10), maxPause)
			var status *registry.StatusError
			if errors.As(err, &status) {
				pause = max(pause, status.RetryAfter)
			}
			f.Log.Warn("the change feed cannot be read", "failures", failures, "again_in", pause, "error", err)
		case more:
			failures = 0
			continue
		default:
			failures = 0
			if pause = min(pause*2, max(least, or(f.Idle, 30*time.Second))); moved {
				pause = least
			}
		}
		alarmed = f.watch(ctx, alarmed)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// watch tells once when the feed has brought nothing for long, and when it does again.
func (f *Follower) watch(ctx context.Context, alarmed bool) bool {
	feed, err := f.Store.Feed(ctx, f.Name)
	if err != nil {
		return alarmed
	}
	age := f.now().Sub(feed.MovedAt)
	stale := min(age, f.now().Sub(f.begun)) > or(f.Alarm, 10*time.Minute)
	switch {
	case stale && !alarmed:
		f.Log.Error("the change feed brings nothing", "since", feed.MovedAt, "last_answer", feed.CheckedAt, "cursor", feed.Cursor)
	case !stale && alarmed:
		f.Log.Info("the change feed moves again", "cursor", feed.Cursor)
	}
	return stale
}

// Step reads one page. more means that the next can be had at once, moved that it brought something.
func (f *Follower) Step(ctx context.Context) (more, moved bool, err error) {
	feed, err := f.Store.Feed(ctx, f.Name)
	if errors.Is(err, store.ErrNotFound) {
		feed, err = f.begin(ctx)
	}
	if err != nil {
		return false, false, err
	}
	limit := f.Page
	if limit == 0 {
		if limit = fewRows; feed.Walking || f.largest >= fewRows {
			limit = manyRows
		}
	}
	page, err := f.Feed.Changes(ctx, npm.Cursor(feed.Cursor), limit)
	if err != nil {
		return false, false, err
	}
	if len(page.Problems) > 0 {
		f.Log.Warn("odd rows in the change feed", "cursor", feed.Cursor, "rows", len(page.Problems), "first", page.Problems[0])
	}
	renumbered := before(page.Last, npm.Cursor(feed.Cursor))
	if !renumbered && page.Rows == 0 {
		if renumbered, err = f.renumbered(ctx, feed); err != nil {
			return false, false, err
		}
	}
	if renumbered {
		f.Log.Warn("the change feed was numbered anew and is read from its beginning", "cursor", feed.Cursor, "newest", page.Last)
		f.largest = 0
		return true, true, f.Store.Update(ctx, func(tx *store.Tx) error { return tx.Renumber(ctx, feed, f.now()) })
	}
	full := page.Rows > 0 && page.Rows >= min(limit, max(f.largest, 1)) && string(page.Last) != feed.Cursor
	f.largest = max(f.largest, page.Rows)
	if page.Rows == 0 {
		f.largest = 0
	}
	changes := make([]store.Change, len(page.Changes))
	for i, c := range page.Changes {
		changes[i] = store.Change{Name: c.Name, Seq: string(c.Seq), Rev: c.Rev, Deleted: c.Deleted}
	}
	walking := feed.Walking
	if walking && !full && page.Rows == 0 {
		missing, err := f.Store.Missing(ctx, feed.Epoch, fewRows)
		if err != nil {
			return false, false, err
		}
		for _, name := range missing {
			changes = append(changes, store.Change{Name: name, Deleted: true})
		}
		walking = len(missing) > 0
		if !walking {
			f.Log.Info("the change feed was read from its beginning and compared", "cursor", page.Last)
		}
		full = true
	}
	if len(changes) == 0 && string(page.Last) == feed.Cursor && walking == feed.Walking {
		return false, false, f.Store.Checked(ctx, f.Name, f.now())
	}
	return full || walking, true, f.move(ctx, feed, page.Last, walking, changes)
}

// begin starts to follow.
func (f *Follower) begin(ctx context.Context) (store.Feed, error) {
	cursor := npm.Cursor("")
	if !f.Beginning {
		var err error
		if cursor, err = f.Feed.FeedStatus(ctx); err != nil {
			return store.Feed{}, err
		}
	}
	started := f.now()
	if f.Beginning {
		started = time.UnixMilli(1) // nothing is history
	}
	f.Log.Info("the change feed is followed from here on", "feed", f.Name, "cursor", cursor)
	feed, err := f.Store.StartFeed(ctx, f.Name, string(cursor), started)
	if err != nil {
		return feed, fmt.Errorf("begin: %w", err)
	}
	return feed, nil
}

// renumbered asks the feed for its newest cursor, now and then.
func (f *Follower) renumbered(ctx context.Context, feed store.Feed) (bool, error) {
	if f.now().Sub(f.checked) < or(f.Check, time.Minute) {
		return false, nil
	}
	newest, err := f.Feed.FeedStatus(ctx)
	if err != nil {
		return false, err
	}
	f.checked = f.now()
	return before(newest, npm.Cursor(feed.Cursor)), nil
}

func before(a, b npm.Cursor) bool {
	x, okA := a.Number()
	y, okB := b.Number()
	return okA && okB && x < y
}

// move makes the new place in the feed and the jobs that it causes durable.
func (f *Follower) move(ctx context.Context, feed store.Feed, to npm.Cursor, walking bool, changes []store.Change) error {
	return f.Store.Update(ctx, func(tx *store.Tx) error {
		fresh := make([]store.Change, 0, len(changes))
		jobs := make([]queue.Job, 0, len(changes))
		for _, c := range changes {
			if feed.Walking {
				same, err := tx.Stay(ctx, feed.Epoch, c)
				if err != nil {
					return err
				}
				if same {
					continue
				}
			}
			fresh = append(fresh, c)
			jobs = append(jobs, queue.Job{Kind: queue.Sync, Package: c.Name})
		}
		if err := tx.Follow(ctx, feed, string(to), walking, fresh, f.now()); err != nil {
			return err
		}
		return f.Jobs.Add(ctx, tx, jobs...)
	})
}
