package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Stages of a version: how far it has come, or the end that it met without a verdict.
const (
	Seen    = "seen"
	Fetched = "fetched"
	Judged  = "judged"
	Skipped = "skipped"
	Lost    = "lost"   // gone before it was fetched
	Failed  = "failed" // could not be analysed
)

// States of a version.
const (
	Present = "present"
	Removed = "removed"
)

// Version is what is known of one version. See takes its fields up to InstallScript; the rest comes later.
type Version struct {
	ID        int64
	PackageID int64
	Version   string
	State     string // Present or Removed
	Stage     string
	Reason    string // of an end without a verdict: one of few words, as coverage is counted by it
	Removal   string // how the registry removed it: version, unpublished, security-holder, deleted, withheld, unseen
	// PublishedAt is what the registry says, zero when it does not. FirstSeenAt is ours.
	PublishedAt, FirstSeenAt, RemovedAt time.Time
	Tarball                             string
	Integrity                           string
	Publisher                           string
	InstallScript                       bool

	Blob                string // the digest of its bytes, empty until they are kept
	Size                int64  // of them
	FetchedAt, JudgedAt time.Time
	FetchTook           time.Duration
	AnalysisTook        time.Duration
	VerdictID           int64 // the verdict that counts, 0 for none
	Level               string
}

func versionOf(v db.Version) Version {
	return Version{ID: v.ID, PackageID: v.PackageID, Version: v.Version, State: v.State, Stage: v.Stage, Reason: v.Reason, Removal: v.Removal,
		PublishedAt: moment(v.PublishedAt), FirstSeenAt: moment(v.FirstSeenAt), RemovedAt: moment(v.RemovedAt), Tarball: v.Tarball,
		Integrity: v.Integrity, Publisher: v.Publisher, InstallScript: v.InstallScript != 0, Blob: v.Blob, Size: v.Size,
		FetchedAt: moment(v.FetchedAt), JudgedAt: moment(v.JudgedAt), FetchTook: duration(v.FetchMs), AnalysisTook: duration(v.AnalyseMs),
		VerdictID: v.VerdictID, Level: v.Level}
}

// VersionState is one entry of the history of a version.
type VersionState struct {
	State  string // present, removed, replaced, fetched, lost, failed, skipped, mismatch
	Detail string
	At     time.Time
}

// OtherBytes are bytes that a version had, or was said to have, beside those that it has now.
type OtherBytes struct {
	Why         string // replaced: it was published again with other bytes; mismatch: what came is not what the document promises
	Blob        string // empty when they were never fetched
	Size        int64
	Integrity   string
	Tarball     string
	PublishedAt time.Time
	At          time.Time
}

// Version is what is known of one version, removed or not.
func (s *Store) Version(ctx context.Context, name, version string) (Version, error) {
	v, err := s.query.GetVersionByName(ctx, db.GetVersionByNameParams{Name: name, Version: version})
	if err != nil {
		return Version{}, fmt.Errorf("%s@%s: %w", name, version, found(err))
	}
	return versionOf(v), nil
}

// Versions are all versions of a package, removed ones too, in the order in which they were recorded.
func (s *Store) Versions(ctx context.Context, packageID int64) ([]Version, error) {
	return versions(ctx, s.query, packageID)
}

// Versions are all versions of a package as the transaction sees them.
func (tx *Tx) Versions(ctx context.Context, packageID int64) ([]Version, error) {
	return versions(ctx, tx.query, packageID)
}

func versions(ctx context.Context, q *db.Queries, packageID int64) ([]Version, error) {
	rows, err := q.ListVersions(ctx, packageID)
	if err != nil {
		return nil, fmt.Errorf("versions of package %d: %w", packageID, err)
	}
	return list(rows, versionOf), nil
}

// History is what happened to a version, in order.
func (s *Store) History(ctx context.Context, id int64) ([]VersionState, error) {
	rows, err := s.query.ListVersionStates(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("history of version %d: %w", id, err)
	}
	return list(rows, func(r db.VersionState) VersionState { return VersionState{r.State, r.Detail, moment(r.At)} }), nil
}

// OtherBytes are the bytes beside those that a version has now, in the order in which they were recorded.
func (s *Store) OtherBytes(ctx context.Context, id int64) ([]OtherBytes, error) {
	rows, err := s.query.ListOtherBytes(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("other bytes of version %d: %w", id, err)
	}
	return list(rows, func(r db.OtherByte) OtherBytes {
		return OtherBytes{r.Why, r.Blob, r.Size, r.Integrity, r.Tarball, moment(r.PublishedAt), moment(r.At)}
	}), nil
}

// See records a version that a document names. It is false for a version that was recorded before, which stays as it is.
func (tx *Tx) See(ctx context.Context, v Version) (Version, bool, error) {
	row, err := tx.query.AddVersion(ctx, db.AddVersionParams{PackageID: v.PackageID, Version: v.Version, State: v.State, Stage: v.Stage,
		Reason: v.Reason, Removal: v.Removal, PublishedAt: millis(v.PublishedAt), FirstSeenAt: millis(v.FirstSeenAt),
		RemovedAt: millis(v.RemovedAt), Tarball: v.Tarball, Integrity: v.Integrity, Publisher: v.Publisher, InstallScript: number(v.InstallScript)})
	if errors.Is(err, sql.ErrNoRows) {
		return Version{}, false, nil
	}
	if err == nil {
		err = tx.tally(ctx, row, "stage", row.Stage, row.Reason, 1)
	}
	if err == nil {
		err = tx.note(ctx, row.ID, v.State, v.Removal, v.FirstSeenAt)
	}
	if err != nil {
		return Version{}, false, fmt.Errorf("record version %s: %w", v.Version, err)
	}
	return versionOf(row), true, nil
}

// Fetched records that the bytes of a version are kept as blob. It is ErrCondemned when the cache has collected them already.
func (tx *Tx) Fetched(ctx context.Context, id int64, blob string, size int64, took time.Duration, at time.Time) error {
	v, err := tx.stage(ctx, id, Fetched, "")
	if err == nil {
		err = tx.has(ctx, blob)
	}
	if err == nil {
		err = tx.query.SetFetched(ctx, db.SetFetchedParams{ID: id, Blob: blob, Size: size, FetchedAt: millis(at), FetchMs: took.Milliseconds()})
	}
	if err == nil {
		err = tx.took(ctx, v, "fetch", took)
	}
	if err == nil {
		err = tx.note(ctx, id, "fetched", blob, at)
	}
	if err != nil {
		return fmt.Errorf("version %d fetched: %w", id, err)
	}
	return nil
}

// End records why there is no verdict: stage is Skipped, Lost or Failed. reason is one of few words.
func (tx *Tx) End(ctx context.Context, id int64, stage, reason string, at time.Time) error {
	_, err := tx.stage(ctx, id, stage, reason)
	if err == nil {
		err = tx.query.SetStage(ctx, db.SetStageParams{ID: id, Stage: stage, Reason: reason})
	}
	if err == nil {
		err = tx.note(ctx, id, stage, reason, at)
	}
	if err != nil {
		return fmt.Errorf("version %d %s: %w", id, stage, err)
	}
	return nil
}

// Remove makes a version a tombstone: all that is known of it stays. kind says how the registry removed it.
func (tx *Tx) Remove(ctx context.Context, id int64, kind string, at time.Time) error {
	err := tx.query.RemoveVersion(ctx, db.RemoveVersionParams{ID: id, Removal: kind, RemovedAt: millis(at)})
	if err == nil {
		err = tx.note(ctx, id, Removed, kind, at)
	}
	if err != nil {
		return fmt.Errorf("remove version %d: %w", id, err)
	}
	return nil
}

// Restore undoes a removal of a version that the registry shows again.
func (tx *Tx) Restore(ctx context.Context, id int64, at time.Time) error {
	err := tx.query.RestoreVersion(ctx, id)
	if err == nil {
		err = tx.note(ctx, id, Present, "", at)
	}
	if err != nil {
		return fmt.Errorf("restore version %d: %w", id, err)
	}
	return nil
}

// Replace records that a version was published again with other bytes, which a registry should never do. What it had goes to its other
// bytes, its verdicts stay in its history, and the version is to be fetched anew: from v come Tarball, Integrity, PublishedAt,
// Publisher and InstallScript.
func (tx *Tx) Replace(ctx context.Context, id int64, v Version, at time.Time) error {
	old, err := tx.stage(ctx, id, Seen, "")
	if err == nil {
		err = tx.level(ctx, old, "")
	}
	if err == nil {
		err = tx.query.AddOtherBytes(ctx, db.AddOtherBytesParams{VersionID: id, Why: "replaced", Blob: old.Blob, Size: old.Size,
			Integrity: old.Integrity, Tarball: old.Tarball, PublishedAt: old.PublishedAt, At: millis(at)})
	}
	if err == nil {
		err = tx.query.SetReplaced(ctx, db.SetReplacedParams{ID: id, Tarball: v.Tarball, Integrity: v.Integrity, PublishedAt: millis(v.PublishedAt),
			Publisher: v.Publisher, InstallScript: number(v.InstallScript)})
	}
	if err == nil {
		err = tx.note(ctx, id, "replaced", old.Integrity, at)
	}
	if err != nil {
		return fmt.Errorf("replace version %d: %w", id, err)
	}
	return nil
}

// Mismatch records that what the registry sent for a version is not what its document promises. The bytes are kept as blob.
func (tx *Tx) Mismatch(ctx context.Context, id int64, blob string, size int64, at time.Time) error {
	v, err := tx.query.LockVersion(ctx, id)
	if err == nil {
		err = tx.has(ctx, blob)
	}
	if err == nil {
		err = tx.query.AddOtherBytes(ctx, db.AddOtherBytesParams{VersionID: id, Why: "mismatch", Blob: blob, Size: size,
			Integrity: v.Integrity, Tarball: v.Tarball, PublishedAt: v.PublishedAt, At: millis(at)})
	}
	if err == nil {
		err = tx.note(ctx, id, "mismatch", blob, at)
	}
	if err != nil {
		return fmt.Errorf("mismatch of version %d: %w", id, found(err))
	}
	return nil
}

// stage counts a version at another stage than before, and gives what it was.
func (tx *Tx) stage(ctx context.Context, id int64, stage, reason string) (db.Version, error) {
	v, err := tx.query.LockVersion(ctx, id)
	if err != nil {
		return v, found(err)
	}
	if v.Stage == stage && v.Reason == reason {
		return v, nil
	}
	if err := tx.tally(ctx, v, "stage", v.Stage, v.Reason, -1); err != nil {
		return v, err
	}
	return v, tx.tally(ctx, v, "stage", stage, reason, 1)
}

// level counts a version at another level than before; empty is none.
func (tx *Tx) level(ctx context.Context, v db.Version, level string) error {
	if v.Level == level {
		return nil
	}
	if v.Level != "" {
		if err := tx.tally(ctx, v, "level", v.Level, "", -1); err != nil {
			return err
		}
	}
	if level == "" {
		return nil
	}
	return tx.tally(ctx, v, "level", level, "", 1)
}

func (tx *Tx) note(ctx context.Context, id int64, state, detail string, at time.Time) error {
	if err := tx.query.AddVersionState(ctx, db.AddVersionStateParams{VersionID: id, State: state, Detail: detail, At: millis(at)}); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
