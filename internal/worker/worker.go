// Package worker does the jobs of the service: it reads the document of a package and records what changed, fetches the tarballs of
// new versions, and judges them. Each step ends in one transaction that records its result and adds the next step's job, so that a
// process killed anywhere loses nothing; and each step looks first at what is recorded, so that doing it twice does nothing twice.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker/budget"
	"github.com/donapi/donapi/internal/worker/queue"
)

// Registry is where packages come from. registry.Client is one.
type Registry interface {
	Document(ctx context.Context, name, etag string, fresh bool) (*registry.Document, error)
	Tarball(ctx context.Context, url string, sum integrity) ([]byte, error)
}

// Blobs keeps the bytes of tarballs. What Put was given is durable when it returns.
type Blobs interface {
	Put(ctx context.Context, data []byte) (key string, err error)
	Get(ctx context.Context, key string) ([]byte, error)
}

// Scanner judges a package. scan.Scanner is one. An error means that the scanner itself failed.
type Scanner interface {
	Scan(ctx context.Context, s scan.Subject) (*report.Verdict, error)
}

// Adder adds jobs in a transaction. queue.Queue is one.
type Adder interface {
	Add(ctx context.Context, tx *store.Tx, jobs ...queue.Job) error
}

// Worker does jobs. Set the fields before its first job.
type Worker struct {
	Store    *store.Store
	Jobs     Adder
	Registry Registry
	Budget   *budget.Budget
	Blobs    Blobs
	Scanner  Scanner
	Log      *slog.Logger
	Feed     string          // versions published before this feed was followed are history; "" when nothing is
	Lag      []time.Duration // pauses while a document is older than the feed says; nil means DefaultLag
	Now      func() time.Time
}

// DefaultLag are the pauses while what a registry announced cannot be had yet. After the last it is taken as it is.
var DefaultLag = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}

// Handlers are what the worker does.
func (w *Worker) Handlers() map[queue.Kind]queue.Handler {
	return map[queue.Kind]queue.Handler{queue.Sync: w.sync, queue.Backfill: w.sync, queue.Fetch: w.fetch, queue.Static: w.static}
}

func (w *Worker) now() time.Time {
	if w.Now != nil {
		return w.Now()
	}
	return time.Now()
}

func (w *Worker) lag(put int) (time.Duration, bool) {
	lag := w.Lag
	if lag == nil {
		lag = DefaultLag
	}
	if put >= len(lag) {
		return 0, false
	}
	return lag[put], true
}

// unable makes of a failed request what the job does: most failures are the registry's and pass, so the job waits.
func (w *Worker) unable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	var exhausted *budget.Exhausted
	if errors.As(err, &exhausted) {
		return queue.Wait(exhausted.Wait, exhausted.Why)
	}
	var status *registry.StatusError
	switch {
	case errors.As(err, &status) && status.Code < 500 && status.Code != 429 && status.Code != 408:
		return err
	case errors.As(err, &status):
		w.Budget.Refused(status.RetryAfter, status.Error())
	default:
		w.Budget.Refused(0, err.Error())
	}
	until, _ := w.Budget.Paused()
	w.Log.Warn("the registry fails; requests wait", "until", until.UTC(), "error", err)
	return queue.Wait(max(0, until.Sub(w.now())), err.Error())
}

// subject names a version for people.
func subject(name, version string) string { return fmt.Sprintf("%s@%s", name, version) }
