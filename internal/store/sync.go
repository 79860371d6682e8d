package store

import (
	"context"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// PackageByID is what is known of a package.
func (s *Store) PackageByID(ctx context.Context, id int64) (Package, error) {
	p, err := s.query.GetPackageByID(ctx, id)
	if err != nil {
		return Package{}, fmt.Errorf("package %d: %w", id, found(err))
	}
	return packageOf(p), nil
}

// VersionByID is what is known of one version.
func (s *Store) VersionByID(ctx context.Context, id int64) (Version, error) {
	v, err := s.query.GetVersion(ctx, id)
	if err != nil {
		return Version{}, fmt.Errorf("version %d: %w", id, found(err))
	}
	return versionOf(v), nil
}

// Lock gives what is known of a package, and keeps others from changing it until the transaction ends.
func (tx *Tx) Lock(ctx context.Context, packageID int64) (Package, error) {
	p, err := tx.query.LockPackage(ctx, packageID)
	if err != nil {
		return Package{}, fmt.Errorf("lock package %d: %w", packageID, found(err))
	}
	return packageOf(p), nil
}

// Introduce records a package that no feed has named. One that is known stays as it is.
func (tx *Tx) Introduce(ctx context.Context, name string, at time.Time) error {
	if err := tx.query.IntroducePackage(ctx, db.IntroducePackageParams{Name: name, AnnouncedAt: millis(at)}); err != nil {
		return fmt.Errorf("record %s: %w", name, err)
	}
	return nil
}

// Stay says that a feed that is walked again names a package as it is known: nothing is announced. It is false when it differs.
func (tx *Tx) Stay(ctx context.Context, epoch int64, c Change) (bool, error) {
	n, err := tx.query.StayPackage(ctx, db.StayPackageParams{Name: c.Name, Rev: c.Rev, Gone: number(c.Deleted), Epoch: epoch})
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", c.Name, err)
	}
	return n > 0, nil
}

// Missing are packages that feeds named, but not the walk of one in an epoch.
func (s *Store) Missing(ctx context.Context, epoch int64, limit int32) ([]string, error) {
	names, err := s.query.MissingPackages(ctx, db.MissingPackagesParams{Epoch: epoch, N: limit})
	if err != nil {
		return nil, fmt.Errorf("packages that the feed no longer names: %w", err)
	}
	return names, nil
}

// Checked records that a feed answered and had nothing new.
func (s *Store) Checked(ctx context.Context, feed string, at time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		if err := tx.query.CheckFeed(ctx, db.CheckFeedParams{Name: feed, CheckedAt: millis(at)}); err != nil {
			return fmt.Errorf("feed %s: %w", feed, err)
		}
		return nil
	})
}

// Open are the ids of versions that wait for their bytes or their verdict, and their stages, after an id and in its order.
func (s *Store) Open(ctx context.Context, after int64, limit int32) ([]Version, error) {
	rows, err := s.query.OpenVersions(ctx, db.OpenVersionsParams{After: after, N: limit})
	if err != nil {
		return nil, fmt.Errorf("open versions: %w", err)
	}
	return list(rows, func(r db.OpenVersionsRow) Version { return Version{ID: r.ID, Stage: r.Stage} }), nil
}

// Tags are the dist-tags of a package as the transaction sees them.
func (tx *Tx) Tags(ctx context.Context, packageID int64) (map[string]string, error) {
	tags, err := currentTags(ctx, tx.query, packageID)
	if err != nil {
		return nil, fmt.Errorf("tags of package %d: %w", packageID, err)
	}
	return tags, nil
}

// Reopen says that a version that was skipped or lost is to be fetched after all: from v come Tarball and Integrity.
func (tx *Tx) Reopen(ctx context.Context, id int64, v Version, at time.Time) error {
	_, err := tx.stage(ctx, id, Seen, "")
	if err == nil {
		err = tx.query.ReopenVersion(ctx, db.ReopenVersionParams{ID: id, Tarball: v.Tarball, Integrity: v.Integrity})
	}
	if err == nil {
		err = tx.note(ctx, id, "reopened", "", at)
	}
	if err != nil {
		return fmt.Errorf("reopen version %d: %w", id, err)
	}
	return nil
}
