// Package queue keeps the jobs of the service in the database of the store, so that a job becomes durable in the transaction of what
// causes it, and is done at least once: every job must be safe to run twice. River does the work; what is left here is which jobs
// there are, how they wait, and what becomes of those that fail.
//
// A job that fails is tried again later and later, and after its last attempt becomes a dead letter, which stays until a person
// retries it. A job that only has to wait is put off, which costs no attempt.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/donapi/donapi/internal/store"
)

// Kind of a job. Each has a queue of its name.
type Kind string

// Kinds of jobs.
const (
	Sync     Kind = "sync"     // read the document of Package and record what changed
	Fetch    Kind = "fetch"    // fetch the tarball of Version
	Static   Kind = "static"   // analyse and judge Version
	Dynamic  Kind = "dynamic"  // run Version in a sandbox
	Report   Kind = "report"   // tell of the verdict that counts for Version
	Backfill Kind = "backfill" // read the document of Package and fetch its history too
)

// Kinds in the order of a package's way.
func Kinds() []Kind { return []Kind{Sync, Fetch, Static, Dynamic, Report, Backfill} }

// Priorities. Within a queue lower ones go first.
const (
	Urgent  = 1 // runs code when it is installed
	Normal  = 2
	Idle    = 3
	History = 4
)

// Job is work to be done. Of two that are the same, one is enough while the other waits or runs.
type Job struct {
	Kind     Kind
	Package  string // of Sync and Backfill
	Version  int64  // of the others: its id in the store
	Priority int    // 0 means Normal
	Later    bool   // wait in the queue Backfill, whatever the kind
}

// Task is a job that is being done.
type Task struct {
	Job
	ID      int64
	Attempt int // from 1
	Last    bool
	Put     int // how often it was put off for the reason it is put off by Again
	q       *Queue
	row     *rivertype.JobRow
}

// Handler does a task. It may be given the same task again, also while another process still does it.
type Handler func(context.Context, *Task) error

// Config says how a queue works.
type Config struct {
	Store    *store.Store
	Log      *slog.Logger
	ID       string                            // of this process among those that share the database; "" means one by chance
	Handlers map[Kind]Handler                  // nothing is worked for kinds that are missing
	Workers  map[Kind]int                      // how many jobs of a queue are done side by side
	Timeouts map[Kind]time.Duration            // for one job; 15 minutes when missing
	Attempts int                               // before a job is a dead letter; 0 means 12
	Retry    func(attempt int) time.Duration   // pause after a failed attempt; nil doubles from a second to an hour
	Poll     time.Duration                     // how often an idle queue looks; 0 means 500 ms
	Done     func(Kind, time.Duration, Result) // is told of every attempt; may be nil
}

// Result of an attempt.
type Result string

// Results of attempts.
const (
	Finished Result = "finished"
	PutOff   Result = "put_off"
	Failed   Result = "failed"
)

// Queue is an open queue. It is safe for concurrent use.
type Queue struct {
	c        Config
	e        engine
	stopping atomic.Bool
}

// Open prepares the database for jobs. Jobs can be added at once; Start begins to do them.
func Open(ctx context.Context, c Config) (*Queue, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Attempts == 0 {
		c.Attempts = 12
	}
	if c.Poll == 0 {
		c.Poll = 500 * time.Millisecond
	}
	if c.Retry == nil {
		c.Retry = func(attempt int) time.Duration {
			d := min(time.Second<<min(attempt, 12), time.Hour)
			return d/2 + time.Duration(rand.Int64N(int64(d)/2))
		}
	}
	q := &Queue{c: c}
	var err error
	if pool := c.Store.Postgres(); pool != nil {
		q.e, err = newEngine(ctx, riverpgxv5.New(pool), q, inPostgres, river.JobCompleteTx[*riverpgxv5.Driver, pgxTx, syncArgs])
	} else {
		q.e, err = newEngine(ctx, riversqlite.New(c.Store.SQLite()), q, inSQLite, river.JobCompleteTx[*riversqlite.Driver, sqlTx, syncArgs])
	}
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	return q, nil
}

// Add adds jobs in a transaction.
func (q *Queue) Add(ctx context.Context, tx *store.Tx, jobs ...Job) error {
	if len(jobs) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		if j.Priority == 0 {
			j.Priority = Normal
		}
		name := string(j.Kind)
		if j.Later {
			name = string(Backfill)
		}
		params[i] = river.InsertManyParams{Args: argsOf(j), InsertOpts: &river.InsertOpts{Queue: name, Priority: j.Priority, MaxAttempts: q.c.Attempts,
			UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: alive}}}
	}
	if err := q.e.insert(ctx, tx, params); err != nil {
		return fmt.Errorf("add %d jobs: %w", len(jobs), err)
	}
	return nil
}

// alive are the states of jobs that will still be done.
var alive = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}

// Start takes back the jobs that a process of this ID left running when it ended, and begins to work.
func (q *Queue) Start(ctx context.Context) error {
	n, err := q.recover(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		q.c.Log.Info("jobs that were running when the process ended run again", "jobs", n)
	}
	// River would cancel running jobs when its context ends; Stop does that more gently.
	if err := q.e.start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// Stop takes no new jobs, gives those that run until ctx ends, and then hands them back.
func (q *Queue) Stop(ctx context.Context) error {
	if err := q.e.stop(ctx); err == nil || ctx.Err() == nil {
		return err
	}
	q.stopping.Store(true)
	hard, done := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	if err := q.e.cancel(hard); err != nil {
		return fmt.Errorf("queue: jobs did not end: %w", err)
	}
	return nil
}

// work does one attempt.
func (q *Queue) work(ctx context.Context, kind Kind, a args, row *rivertype.JobRow) error {
	t := &Task{Job: Job{Kind: kind, Package: a.Package, Version: a.Version, Priority: row.Priority, Later: row.Queue == string(Backfill) && kind != Backfill},
		ID: row.ID, Attempt: row.Attempt, Last: row.Attempt >= row.MaxAttempts, Put: putOff(row), q: q, row: row}
	begin := time.Now()
	err := q.c.Handlers[kind](ctx, t)
	result := Failed
	var wait *later
	switch {
	case err == nil:
		result = Finished
	case q.stopping.Load() && ctx.Err() != nil:
		result, err = PutOff, river.JobSnooze(0)
	case errors.As(err, &wait):
		result = PutOff
		q.c.Log.Debug("job waits", "job", row.ID, "kind", kind, "package", t.Package, "version", t.Version, "wait", wait.wait, "why", wait.why)
		put := 0
		if wait.again {
			put = t.Put + 1
		}
		err = errors.Join(remember(ctx, put), river.JobSnooze(wait.wait))
	default:
		level := slog.LevelWarn
		if t.Last {
			level = slog.LevelError
		}
		q.c.Log.Log(ctx, level, "job failed", "job", row.ID, "kind", kind, "package", t.Package, "version", t.Version, "attempt", row.Attempt, "last", t.Last, "error", err)
	}
	if q.c.Done != nil {
		q.c.Done(kind, time.Since(begin), result)
	}
	return err
}

// Complete ends the task in a transaction: an equal job that is added later is a new one. The handler must end well after it.
func (t *Task) Complete(ctx context.Context, tx *store.Tx) error {
	err := t.q.e.complete(ctx, tx, t.row)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil // taken back from us as it seemed stuck: it runs once more, and finds nothing to do
	}
	return err
}

// later is the error of a job that has to wait.
type later struct {
	wait  time.Duration
	again bool
	why   string
}

func (l *later) Error() string { return fmt.Sprintf("waits %s: %s", l.wait, l.why) }

// Wait puts a job off because of something that is not its own.
func Wait(d time.Duration, why string) error { return &later{d, false, why} }

// Again puts a job off because of itself, as documents that lag. Task.Put counts how often in a row.
func Again(d time.Duration, why string) error { return &later{d, true, why} }
