// Package service is everything that donapi serve runs, put together: the store and the queue, a follower of the change feed, the
// workers, and what tells how it goes. It owns a folder of data and an address on loopback.
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker"
	"github.com/donapi/donapi/internal/worker/budget"
	"github.com/donapi/donapi/internal/worker/follower"
	"github.com/donapi/donapi/internal/worker/queue"
)

// Config of a service.
type Config struct {
	Data      string // folder of everything that is kept here
	Database  string // postgres://..., or the path of a file; "" means store.db in Data
	ID        string // of this process among those that share the database
	Follow    bool   // follow the feed
	Work      bool   // do jobs
	Beginning bool   // follow from the beginning of the feed
	Registry  *registry.Client
	Feed      string         // name of the feed in the store
	Scanner   worker.Scanner // see Limited
	Jobs      int            // analyses side by side; 0 means one a core
	Rate      float64        // requests a second; 0 for no limit
	Monthly   int64          // requests a month; 0 for no limit
	Poll      time.Duration  // pause between looks at the feed; 0 means 10 s
	Listen    string         // address of metrics and health; "" for none
	Grace     time.Duration  // for jobs that run when the service is to stop; 0 means 30 s
	Backlog   int            // analyses that may wait before backfill pauses; 0 means 1000
	Log       *slog.Logger

	// For tests, that have no time.
	QueuePoll, Check time.Duration
	Lag              []time.Duration
	Retry            func(int) time.Duration
	Floor            time.Duration
}

// Service is a service that is open, and not running yet.
type Service struct {
	c        Config
	lock     *os.File
	store    *store.Store
	queue    *queue.Queue
	budget   *budget.Budget
	follower *follower.Follower
	begun    time.Time
}

// Open opens what the service needs. Close it.
func Open(ctx context.Context, c Config) (_ *Service, err error) {
	if c.Jobs <= 0 {
		c.Jobs = runtime.GOMAXPROCS(0)
	}
	if c.Grace == 0 {
		c.Grace = 30 * time.Second
	}
	if c.Backlog == 0 {
		c.Backlog = 1000
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("folder of data: %w", err)
	}
	s := &Service{c: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = lockFolder(filepath.Join(c.Data, "lock")); err != nil {
		return nil, err
	}
	address := c.Database
	if address == "" {
		address = filepath.Join(c.Data, "store.db")
	}
	if s.store, err = store.Open(ctx, address); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	s.budget = budget.New(budget.Config{Store: s.store, Rate: c.Rate, Monthly: c.Monthly, Floor: c.Floor})
	c.Registry.Permit = s.budget.Permit
	c.Registry.Tries = 1 // a job that fails is tried again, and others are done meanwhile
	w := &worker.Worker{Store: s.store, Registry: c.Registry, Budget: s.budget, Blobs: worker.Folder(filepath.Join(c.Data, "blobs")),
		Scanner: c.Scanner, Log: c.Log, Feed: c.Feed, Lag: c.Lag}
	q := queue.Config{Store: s.store, Log: c.Log, ID: c.ID, Poll: c.QueuePoll, Retry: c.Retry}
	if c.Work {
		q.Handlers = w.Handlers()
		q.Workers = map[queue.Kind]int{queue.Sync: 8, queue.Fetch: 8, queue.Static: c.Jobs, queue.Backfill: 2}
		q.Timeouts = map[queue.Kind]time.Duration{queue.Sync: 10 * time.Minute, queue.Fetch: 10 * time.Minute}
	}
	if s.queue, err = queue.Open(ctx, q); err != nil {
		return nil, err
	}
	w.Jobs = s.queue
	if c.Follow {
		s.follower = &follower.Follower{Name: c.Feed, Feed: c.Registry, Store: s.store, Jobs: s.queue, Log: c.Log, Beginning: c.Beginning, Pause: c.Poll, Check: c.Check}
	}
	return s, nil
}

// Store is the open store.
func (s *Service) Store() *store.Store { return s.store }

// Queue is the open queue.
func (s *Service) Queue() *queue.Queue { return s.queue }

// Close closes the service after Run, or instead of it.
func (s *Service) Close() error {
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Run serves until ctx ends, and then finishes the jobs that run, or hands them back.
func (s *Service) Run(ctx context.Context) error {
	s.begun = time.Now()
	stop, err := s.listen(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if s.c.Work {
		if err := s.queue.Start(ctx); err != nil {
			return err
		}
	}
	s.c.Log.Info("serving", "data", s.c.Data, "follow", s.c.Follow, "work", s.c.Work, "id", s.c.ID)
	var group sync.WaitGroup
	if s.follower != nil {
		group.Go(func() { s.follower.Run(ctx) })
	}
	if s.c.Work {
		group.Go(func() { s.press(ctx) })
	}
	<-ctx.Done()
	s.c.Log.Info("stopping", "grace", s.c.Grace)
	group.Wait()
	if s.c.Work {
		grace, done := context.WithTimeout(context.WithoutCancel(ctx), s.c.Grace)
		defer done()
		if err := s.queue.Stop(grace); err != nil {
			return err
		}
	}
	s.c.Log.Info("stopped")
	return nil
}

// press pauses backfill while analyses pile up: what is new goes first.
func (s *Service) press(ctx context.Context) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	paused := false
	for {
		depths, err := s.queue.Depths(ctx)
		if err != nil && ctx.Err() == nil {
			s.c.Log.Warn("the queue cannot be looked at", "error", err)
		}
		waiting := 0
		for _, d := range depths {
			if d.State == "available" && (d.Queue == string(queue.Static) || d.Queue == string(queue.Dynamic)) {
				waiting += int(d.N)
			}
		}
		want := waiting > s.c.Backlog || paused && waiting > s.c.Backlog/2
		if err == nil && want != paused {
			if err := s.queue.Pause(ctx, queue.Backfill, want); err != nil {
				s.c.Log.Warn("backfill cannot be paused or resumed", "error", err)
			} else {
				paused = want
				s.c.Log.Info("backfill", "paused", paused, "analyses_waiting", waiting)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Limited is a scanner that analyses as many packages side by side as their sizes allow: memory follows size, and a large one has the
// machine to itself.
func Limited(s *scan.Scanner, jobs int) worker.Scanner {
	return &limited{s, newShares(jobs)}
}

type limited struct {
	*scan.Scanner
	shares *shares
}

func (l *limited) Scan(ctx context.Context, sub scan.Subject) (*report.Verdict, error) {
	release, err := l.shares.take(ctx, len(sub.Tarball))
	if err != nil {
		return nil, err
	}
	defer release()
	return l.Scanner.Scan(ctx, sub)
}
