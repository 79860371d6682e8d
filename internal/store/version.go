package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Package is what is known of a package.
func (s *Store) Package(ctx context.Context, name string) (db.Package, error) {
	p, err := s.query.GetPackage(ctx, name)
	if err != nil {
		return p, fmt.Errorf("package %s: %w", name, found(err))
	}
	return p, nil
}

// Version is what is known of one version, removed or not.
func (s *Store) Version(ctx context.Context, name, version string) (db.Version, error) {
	v, err := s.query.GetVersionByName(ctx, db.GetVersionByNameParams{Name: name, Version: version})
	if err != nil {
		return v, fmt.Errorf("%s@%s: %w", name, version, found(err))
	}
	return v, nil
}

// History is what happened to a version, in order.
func (s *Store) History(ctx context.Context, id int64) ([]db.VersionState, error) {
	states, err := s.query.ListVersionStates(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("history of version %d: %w", id, err)
	}
	return states, nil
}

// See records a version that a document names. It is false for a version that was recorded before, which stays as it is.
func (tx *Tx) See(ctx context.Context, v db.AddVersionParams) (db.Version, bool, error) {
	seen, err := tx.AddVersion(ctx, v)
	if errors.Is(err, sql.ErrNoRows) {
		return db.Version{}, false, nil
	}
	if err != nil {
		return seen, false, fmt.Errorf("record version %s: %w", v.Version, err)
	}
	return seen, true, tx.note(ctx, seen.ID, v.State, v.Removal, v.FirstSeenAt)
}

// Fetched records that the bytes of a version are kept as blob.
func (tx *Tx) Fetched(ctx context.Context, id int64, blob string, size int64, took time.Duration, at time.Time) error {
	if err := tx.SetFetched(ctx, db.SetFetchedParams{ID: id, Blob: blob, Size: size, FetchedAt: millis(at), FetchMs: took.Milliseconds()}); err != nil {
		return fmt.Errorf("version %d fetched: %w", id, err)
	}
	return tx.note(ctx, id, "fetched", blob, millis(at))
}

// End records why there is no verdict: stage is skipped, lost or failed.
func (tx *Tx) End(ctx context.Context, id int64, stage, reason string, at time.Time) error {
	if err := tx.SetStage(ctx, db.SetStageParams{ID: id, Stage: stage, Reason: reason}); err != nil {
		return fmt.Errorf("version %d %s: %w", id, stage, err)
	}
	return tx.note(ctx, id, stage, reason, millis(at))
}

// Remove makes a version a tombstone: all that is known of it stays. kind says how the registry removed it.
func (tx *Tx) Remove(ctx context.Context, id int64, kind string, at time.Time) error {
	if err := tx.RemoveVersion(ctx, db.RemoveVersionParams{ID: id, Removal: kind, RemovedAt: millis(at)}); err != nil {
		return fmt.Errorf("remove version %d: %w", id, err)
	}
	return tx.note(ctx, id, "removed", kind, millis(at))
}

// Restore undoes a removal of a version that the registry shows again.
func (tx *Tx) Restore(ctx context.Context, id int64, at time.Time) error {
	if err := tx.RestoreVersion(ctx, id); err != nil {
		return fmt.Errorf("restore version %d: %w", id, err)
	}
	return tx.note(ctx, id, "present", "", millis(at))
}

func (tx *Tx) note(ctx context.Context, id int64, state, detail string, at int64) error {
	if err := tx.AddVersionState(ctx, db.AddVersionStateParams{VersionID: id, State: state, Detail: detail, At: at}); err != nil {
		return fmt.Errorf("history of version %d: %w", id, err)
	}
	return nil
}
