package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Package is what is known of a package.
type Package struct {
	ID    int64
	Name  string
	State string // announced, normal, unpublished, security-holder, deleted, withheld, odd
	// Of the document that the rest was derived from.
	Rev, ETag string
	Document  string // its blob
	Problem   string // what was odd about it
	SyncedAt  time.Time

	Announced    int64 // how often the feed named it
	Synced       int64 // which of these announcements is accounted for
	AnnouncedAt  time.Time
	AnnouncedSeq string
	AnnouncedRev string
	Gone         bool  // the feed said deleted
	Epoch        int64 // of the feed that named it last
}

func packageOf(p db.Package) Package {
	return Package{ID: p.ID, Name: p.Name, State: p.State, Rev: p.Rev, ETag: p.Etag, Document: p.Document, Problem: p.Problem,
		SyncedAt: moment(p.SyncedAt), Announced: p.Announced, Synced: p.Synced, AnnouncedAt: moment(p.AnnouncedAt),
		AnnouncedSeq: p.AnnouncedSeq, AnnouncedRev: p.AnnouncedRev, Gone: p.Gone != 0, Epoch: p.Epoch}
}

// Document is what the registry said of a package at a time.
type Document struct {
	Blob      string // the raw document, empty when there was none
	Rev, ETag string
	State     string // of the package
	Problem   string // what was odd
	At        time.Time
}

// Tag is an entry of the history of a dist-tag.
type Tag struct {
	Tag, Version string // Version is empty when the tag was taken away
	At           time.Time
}

// Package is what is known of a package.
func (s *Store) Package(ctx context.Context, name string) (Package, error) {
	return onePackage(ctx, s.query, name)
}

// Package is what is known of a package, as the transaction sees it.
func (tx *Tx) Package(ctx context.Context, name string) (Package, error) {
	return onePackage(ctx, tx.query, name)
}

func onePackage(ctx context.Context, q *db.Queries, name string) (Package, error) {
	p, err := q.GetPackage(ctx, name)
	if err != nil {
		return Package{}, fmt.Errorf("package %s: %w", name, found(err))
	}
	return packageOf(p), nil
}

// Behind are packages announced before a time whose announcements are not all accounted for, the oldest first.
func (s *Store) Behind(ctx context.Context, before time.Time, limit int32) ([]Package, error) {
	rows, err := s.query.Behind(ctx, db.BehindParams{AnnouncedAt: millis(before), Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("packages behind: %w", err)
	}
	return list(rows, packageOf), nil
}

// Settle accounts for the announcements of a package up to those that p counts. Later ones keep it behind.
func (tx *Tx) Settle(ctx context.Context, p Package) error {
	if err := tx.query.SettlePackage(ctx, db.SettlePackageParams{ID: p.ID, Synced: p.Announced}); err != nil {
		return fmt.Errorf("settle %s: %w", p.Name, err)
	}
	return nil
}

// Sync records the document that the registry gives for a package now, and its dist-tags. What did not change adds nothing to the
// histories.
func (tx *Tx) Sync(ctx context.Context, packageID int64, d Document, tags map[string]string) error {
	if err := tx.sync(ctx, packageID, d, tags); err != nil {
		return fmt.Errorf("document of package %d: %w", packageID, err)
	}
	return nil
}

func (tx *Tx) sync(ctx context.Context, id int64, d Document, tags map[string]string) error {
	p, err := tx.query.LockPackage(ctx, id)
	if err != nil {
		return found(err)
	}
	if err := tx.has(ctx, d.Blob); err != nil {
		return err
	}
	at := millis(d.At)
	if p.Document != d.Blob || p.Rev != d.Rev || p.State != d.State || p.Problem != d.Problem {
		if err := tx.query.AddDocument(ctx, db.AddDocumentParams{PackageID: id, Blob: d.Blob, Rev: d.Rev, Etag: d.ETag, State: d.State,
			Problem: d.Problem, At: at}); err != nil {
			return err
		}
	}
	if err := tx.query.SetDocument(ctx, db.SetDocumentParams{ID: id, State: d.State, Rev: d.Rev, Etag: d.ETag, Document: d.Blob,
		Problem: d.Problem, SyncedAt: at}); err != nil {
		return err
	}
	before, err := currentTags(ctx, tx.query, id)
	if err != nil {
		return err
	}
	for _, tag := range slices.Sorted(maps.Keys(before)) {
		if tags[tag] == "" {
			if err := tx.query.AddTag(ctx, db.AddTagParams{PackageID: id, Tag: tag, At: at}); err != nil {
				return err
			}
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		if v := tags[tag]; v != before[tag] && v != "" {
			if err := tx.query.AddTag(ctx, db.AddTagParams{PackageID: id, Tag: tag, Version: v, At: at}); err != nil {
				return err
			}
		}
	}
	return nil
}

func currentTags(ctx context.Context, q *db.Queries, id int64) (map[string]string, error) {
	rows, err := q.CurrentTags(ctx, id)
	if err != nil {
		return nil, err
	}
	tags := make(map[string]string, len(rows))
	for _, r := range rows {
		tags[r.Tag] = r.Version
	}
	return tags, nil
}

// Tags are the dist-tags of a package and the versions that they point at.
func (s *Store) Tags(ctx context.Context, packageID int64) (map[string]string, error) {
	tags, err := currentTags(ctx, s.query, packageID)
	if err != nil {
		return nil, fmt.Errorf("tags of package %d: %w", packageID, err)
	}
	return tags, nil
}

// TagHistory is how the dist-tags of a package moved, in order.
func (s *Store) TagHistory(ctx context.Context, packageID int64) ([]Tag, error) {
	rows, err := s.query.ListTags(ctx, packageID)
	if err != nil {
		return nil, fmt.Errorf("tags of package %d: %w", packageID, err)
	}
	return list(rows, func(r db.DistTag) Tag { return Tag{r.Tag, r.Version, moment(r.At)} }), nil
}

// Documents are all documents that the registry gave for a package, in order.
func (s *Store) Documents(ctx context.Context, packageID int64) ([]Document, error) {
	rows, err := s.query.ListDocuments(ctx, packageID)
	if err != nil {
		return nil, fmt.Errorf("documents of package %d: %w", packageID, err)
	}
	return list(rows, func(r db.Document) Document { return Document{r.Blob, r.Rev, r.Etag, r.State, r.Problem, moment(r.At)} }), nil
}
