package worker

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker/budget"
	"github.com/donapi/donapi/internal/worker/queue"
)

// fetch fetches the tarball of a version and keeps it.
func (w *Worker) fetch(ctx context.Context, t *queue.Task) error {
	v, err := w.Store.VersionByID(ctx, t.Version)
	if err != nil {
		return err
	}
	if v.Stage != store.Seen {
		return nil // done before
	}
	p, err := w.Store.PackageByID(ctx, v.PackageID)
	if err != nil {
		return err
	}
	class := budget.Tarball
	if t.Later {
		class = budget.History
	}
	begin := time.Now()
	data, err := w.Registry.Tarball(budget.With(ctx, class), v.Tarball, npm.Integrity(v.Integrity))
	if err != nil {
		return w.notFetched(ctx, t, v.State == store.Removed, subject(p.Name, v.Version), err)
	}
	w.Budget.Answered()
	took := time.Since(begin)
	blob, err := w.Blobs.Put(ctx, data)
	if err != nil {
		w.Log.Error("a tarball cannot be kept; its job waits", "version", subject(p.Name, v.Version), "error", err)
		return queue.Wait(time.Minute, err.Error())
	}
	return w.Store.Update(ctx, func(tx *store.Tx) error {
		if err := tx.Fetched(ctx, v.ID, blob, int64(len(data)), took, w.now()); err != nil {
			return err
		}
		return w.Jobs.Add(ctx, tx, queue.Job{Kind: queue.Static, Version: v.ID, Priority: t.Priority})
	})
}

// notFetched decides whether a tarball that did not come is waited for.
func (w *Worker) notFetched(ctx context.Context, t *queue.Task, removed bool, what string, err error) error {
	var missing *registry.NotFoundError
	var status *registry.StatusError
	var mismatch *npm.MismatchError
	var large *registry.SizeError
	stage, reason := store.Lost, ""
	switch {
	case errors.As(err, &large):
		return w.end(ctx, t.Version, store.Skipped, "the tarball is too large")
	case errors.As(err, &mismatch):
		stage, reason = store.Failed, "the tarball is not what its document promises"
	case errors.As(err, &missing):
		reason = "its tarball is not in the registry"
	case errors.As(err, &status) && (status.Code == http.StatusUnavailableForLegalReasons || status.Code == http.StatusGone):
		reason = "the registry withholds its tarball"
	default:
		return w.unable(ctx, fmt.Errorf("%s: %w", what, err))
	}
	w.Budget.Answered()
	pause, more := w.lag(t.Put)
	if more && !removed && t.Put < 3 {
		return queue.Again(pause, reason)
	}
	w.Log.Warn("a version was not fetched", "version", what, "stage", stage, "reason", reason, "error", err)
	return w.end(ctx, t.Version, stage, reason)
}

// end records why there will be no verdict.
func (w *Worker) end(ctx context.Context, id int64, stage, reason string) error {
	return w.Store.Update(ctx, func(tx *store.Tx) error { return tx.End(ctx, id, stage, clip(reason), w.now()) })
}
