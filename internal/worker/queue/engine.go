package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/donapi/donapi/internal/store"
)

// args is how a job is kept.
type args struct {
	Package string `json:"package,omitempty"`
	Version int64  `json:"version,omitempty"`
}

func (a args) get() args { return a }

type (
	syncArgs     struct{ args }
	fetchArgs    struct{ args }
	staticArgs   struct{ args }
	dynamicArgs  struct{ args }
	reportArgs   struct{ args }
	backfillArgs struct{ args }
)

// Kind names the job for River.
func (syncArgs) Kind() string     { return string(Sync) }
func (fetchArgs) Kind() string    { return string(Fetch) }
func (staticArgs) Kind() string   { return string(Static) }
func (dynamicArgs) Kind() string  { return string(Dynamic) }
func (reportArgs) Kind() string   { return string(Report) }
func (backfillArgs) Kind() string { return string(Backfill) }

func argsOf(j Job) river.JobArgs {
	a := args{Package: j.Package, Version: j.Version}
	switch j.Kind {
	case Sync:
		return syncArgs{a}
	case Fetch:
		return fetchArgs{a}
	case Static:
		return staticArgs{a}
	case Dynamic:
		return dynamicArgs{a}
	case Report:
		return reportArgs{a}
	case Backfill:
		return backfillArgs{a}
	}
	panic("unknown kind of job " + string(j.Kind)) // a mistake in the code
}

// worker hands jobs of one kind to the queue.
type worker[A interface {
	river.JobArgs
	get() args
}] struct {
	river.WorkerDefaults[A]
	q    *Queue
	kind Kind
}

func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	return w.q.work(ctx, w.kind, job.Args.get(), job.JobRow)
}

func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.q.timeout(w.kind) }

func (w *worker[A]) NextRetry(job *river.Job[A]) time.Time {
	return time.Now().Add(w.q.c.Retry(job.Attempt))
}

const defaultTimeout = 15 * time.Minute

func (q *Queue) timeout(k Kind) time.Duration {
	if d := q.c.Timeouts[k]; d > 0 {
		return d
	}
	return defaultTimeout
}

func add[A interface {
	river.JobArgs
	get() args
}](ws *river.Workers, q *Queue, k Kind) {
	if q.c.Handlers[k] != nil {
		river.AddWorker(ws, &worker[A]{q: q, kind: k})
	}
}

type (
	sqlTx = *sql.Tx
	pgxTx = pgx.Tx
)

// engine is River on one of the two databases.
type engine interface {
	insert(context.Context, *store.Tx, []river.InsertManyParams) error
	complete(context.Context, *store.Tx, *rivertype.JobRow) error
	start(context.Context) error
	stop(context.Context) error
	cancel(context.Context) error
	pause(context.Context, Kind, bool) error
	list(context.Context, *river.JobListParams) ([]*rivertype.JobRow, error)
	retry(context.Context, int64) error
}

type engineOf[T any] struct {
	*river.Client[T]
	in          func(context.Context, *store.Tx, func(T) error) error
	completeJob func(context.Context, T, *river.Job[syncArgs]) (*river.Job[syncArgs], error)
}

func inSQLite(_ context.Context, tx *store.Tx, use func(sqlTx) error) error { return use(tx.SQLite()) }

func inPostgres(ctx context.Context, tx *store.Tx, use func(pgxTx) error) error {
	return tx.Postgres(ctx, use)
}

func newEngine[T any](ctx context.Context, driver riverdriver.Driver[T], q *Queue, in func(context.Context, *store.Tx, func(T) error) error,
	complete func(context.Context, T, *river.Job[syncArgs]) (*river.Job[syncArgs], error)) (engine, error) {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: q.c.Log})
	if err != nil {
		return nil, err
	}
	if err := q.migrate(ctx, func(ctx context.Context) error {
		_, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return err
	}); err != nil {
		return nil, fmt.Errorf("bring the tables of jobs up to date: %w", err)
	}
	c := &river.Config{
		ID: q.c.ID, Logger: q.c.Log, FetchPollInterval: q.c.Poll, FetchCooldown: min(100*time.Millisecond, q.c.Poll), JobTimeout: defaultTimeout,
		// Jobs of processes that died are taken back by recover; this is the net below it.
		RescueStuckJobsAfter:        defaultTimeout + 5*time.Minute,
		CompletedJobRetentionPeriod: time.Hour, CancelledJobRetentionPeriod: -1, DiscardedJobRetentionPeriod: -1,
	}
	if len(q.c.Handlers) > 0 {
		c.Workers, c.Queues = river.NewWorkers(), map[string]river.QueueConfig{}
		add[syncArgs](c.Workers, q, Sync)
		add[fetchArgs](c.Workers, q, Fetch)
		add[staticArgs](c.Workers, q, Static)
		add[dynamicArgs](c.Workers, q, Dynamic)
		add[reportArgs](c.Workers, q, Report)
		add[backfillArgs](c.Workers, q, Backfill)
		for k, n := range q.c.Workers {
			if n > 0 && q.c.Handlers[k] != nil {
				c.Queues[string(k)] = river.QueueConfig{MaxWorkers: n}
			}
		}
		c.SkipUnknownJobCheck = true // other processes may do the kinds that this one does not
	}
	client, err := river.NewClient(driver, c)
	if err != nil {
		return nil, err
	}
	return &engineOf[T]{client, in, complete}, nil
}

func (e *engineOf[T]) insert(ctx context.Context, tx *store.Tx, params []river.InsertManyParams) error {
	return e.in(ctx, tx, func(raw T) error {
		_, err := e.InsertManyTx(ctx, raw, params)
		return err
	})
}

func (e *engineOf[T]) complete(ctx context.Context, tx *store.Tx, row *rivertype.JobRow) error {
	return e.in(ctx, tx, func(raw T) error {
		_, err := e.completeJob(ctx, raw, &river.Job[syncArgs]{JobRow: row})
		return err
	})
}

func (e *engineOf[T]) start(ctx context.Context) error  { return e.Start(ctx) }
func (e *engineOf[T]) stop(ctx context.Context) error   { return e.Stop(ctx) }
func (e *engineOf[T]) cancel(ctx context.Context) error { return e.StopAndCancel(ctx) }

func (e *engineOf[T]) pause(ctx context.Context, k Kind, pause bool) error {
	if pause {
		return e.QueuePause(ctx, string(k), nil)
	}
	return e.QueueResume(ctx, string(k), nil)
}

func (e *engineOf[T]) list(ctx context.Context, p *river.JobListParams) ([]*rivertype.JobRow, error) {
	res, err := e.JobList(ctx, p)
	if err != nil {
		return nil, err
	}
	return res.Jobs, nil
}

func (e *engineOf[T]) retry(ctx context.Context, id int64) error {
	_, err := e.JobRetry(ctx, id)
	return err
}

// remember keeps how often a job was put off.
func remember(ctx context.Context, put int) error { return river.RecordOutput(ctx, put) }

func putOff(row *rivertype.JobRow) int {
	n := 0
	if out := row.Output(); len(out) > 0 {
		json.Unmarshal(out, &n) // what cannot be read was not put off
	}
	return n
}
