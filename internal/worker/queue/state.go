package queue

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// database is the database as database/sql has it.
func (q *Queue) database() (db *sql.DB, done func()) {
	if pool := q.c.Store.Postgres(); pool != nil {
		db := stdlib.OpenDBFromPool(pool)
		return db, func() { db.Close() }
	}
	return q.c.Store.SQLite(), func() {}
}

// migrate runs one process after the other.
func (q *Queue) migrate(ctx context.Context, run func(context.Context) error) error {
	pool := q.c.Store.Postgres()
	if pool == nil {
		return run(ctx)
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	const key = 0x646f6e617069 // "donapi"
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", key); err != nil {
		return err
	}
	defer conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", key)
	return run(ctx)
}

// recover makes the jobs that a process of this ID left running available, but those on their last attempt, which may be what ended
// the process: they are dead letters now. On SQLite all processes are this one.
func (q *Queue) recover(ctx context.Context) (int64, error) {
	db, done := q.database()
	defer done()
	mine := ""
	var args []any
	if q.c.Store.Postgres() != nil {
		mine, args = " AND attempted_by[array_length(attempted_by, 1)] = $1", []any{q.c.ID}
	}
	var n int64
	for _, change := range []string{
		"UPDATE river_job SET state = 'discarded', finalized_at = CURRENT_TIMESTAMP WHERE state = 'running' AND attempt >= max_attempts",
		"UPDATE river_job SET state = 'available' WHERE state = 'running'",
	} {
		res, err := db.ExecContext(ctx, change+mine, args...)
		if err != nil {
			return n, fmt.Errorf("take back jobs: %w", err)
		}
		k, err := res.RowsAffected()
		if err != nil {
			return n, fmt.Errorf("take back jobs: %w", err)
		}
		n += k
	}
	return n, nil
}

// Depth is how many jobs of a queue are in a state: available, running, scheduled, retryable, discarded.
type Depth struct {
	Queue, State string
	N            int64
}

// Depths counts jobs by queue and state, without those that are finished.
func (q *Queue) Depths(ctx context.Context) ([]Depth, error) {
	db, done := q.database()
	defer done()
	rows, err := db.QueryContext(ctx, `SELECT queue, state, count(*) FROM river_job WHERE state IN ('available', 'running', 'scheduled', 'retryable', 'discarded')
GROUP BY queue, state ORDER BY queue, state`)
	if err != nil {
		return nil, fmt.Errorf("depths of queues: %w", err)
	}
	defer rows.Close()
	var out []Depth
	for rows.Next() {
		var d Depth
		if err := rows.Scan(&d.Queue, &d.State, &d.N); err != nil {
			return nil, fmt.Errorf("depths of queues: %w", err)
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// Pause stops or resumes work on a queue, in all processes.
func (q *Queue) Pause(ctx context.Context, k Kind, pause bool) error {
	err := q.e.pause(ctx, k, pause)
	if errors.Is(err, rivertype.ErrNotFound) {
		return nil // nobody ever worked on it
	}
	return err
}

// Letter is a job that waits for a person, or is tried again.
type Letter struct {
	ID       int64     `json:"id"`
	Kind     Kind      `json:"kind"`
	State    string    `json:"state"`
	Package  string    `json:"package,omitempty"`
	Version  int64     `json:"versionId,omitempty"`
	Attempts int       `json:"attempts"`
	At       time.Time `json:"at"` // of the last attempt
	Error    string    `json:"error"`
}

// Letters are the dead letters, or with retrying those that failed and are tried again. Oldest first, at most limit.
func (q *Queue) Letters(ctx context.Context, retrying bool, limit int) ([]Letter, error) {
	state := rivertype.JobStateDiscarded
	if retrying {
		state = rivertype.JobStateRetryable
	}
	rows, err := q.e.list(ctx, river.NewJobListParams().States(state).First(min(limit, 10_000)))
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var out []Letter
	for _, r := range rows {
		var a args
		json.Unmarshal(r.EncodedArgs, &a) // what cannot be read has an empty subject
		l := Letter{ID: r.ID, Kind: Kind(r.Kind), State: string(r.State), Package: a.Package, Version: a.Version, Attempts: r.Attempt}
		if r.AttemptedAt != nil {
			l.At = r.AttemptedAt.UTC()
		}
		if n := len(r.Errors); n > 0 {
			l.Error = r.Errors[n-1].Error
		} else {
			l.Error = "the process ended while it did this"
		}
		out = append(out, l)
	}
	return out, nil
}

// Retry makes a job available at once.
func (q *Queue) Retry(ctx context.Context, id int64) error {
	if err := q.e.retry(ctx, id); err != nil {
		return fmt.Errorf("retry job %d: %w", id, err)
	}
	return nil
}
