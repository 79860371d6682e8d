package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// States of a blob.
const (
	Writing   = "writing"   // somebody is about to write the object, or died on it
	Kept      = "kept"      // the object is there
	Condemned = "condemned" // the object is being deleted
	Collected = "collected" // the object was deleted: a tombstone
	Damaged   = "damaged"   // the object is missing, or does not hold the bytes
)

// ErrCondemned is returned to who put a blob and waited so long that it was collected meanwhile: the bytes are to be put again.
var ErrCondemned = errors.New("the blob was collected before it was needed")

// Blob is what is known of bytes that were ever kept.
type Blob struct {
	Digest     string // of the bytes, as sha512-<base64>
	State      string
	Generation int64  // counts how often it was condemned, and is part of the object's name
	Size       int64  // bytes
	Stored     int64  // bytes of the object
	Encoding   string // of the object: empty or zstd
	Pinned     bool
	KeptAt     time.Time
}

func blobOf(b db.Blob) Blob {
	return Blob{b.Digest, b.State, b.Generation, b.Size, b.Stored, b.Encoding, b.Pinned != 0, moment(b.KeptAt)}
}

// BlobState is one entry of the history of a blob.
type BlobState struct {
	State  string // as of a blob; and pinned, unpinned
	Detail string
	ByWhom string // empty for the program
	At     time.Time
}

// Lease keeps a blob from being condemned for a while.
type Lease struct {
	ID         int64
	Digest     string
	Generation int64
}

// Use is who needs a blob.
type Use struct {
	Kind    string // version, replaced, mismatch, document
	Name    string // of the package
	Version string // empty for a document
	State   string // of the version, or of the package
	Level   string // of the version
}

// Write leases a blob to who is about to write it. The object is to be written when the blob that comes back is not Kept, under
// the generation that it has; then Keep says that it is there.
func (tx *Tx) Write(ctx context.Context, digest string, size int64, until, at time.Time) (Lease, Blob, error) {
	l, b, err := tx.write(ctx, digest, size, until, at)
	if err != nil {
		return l, b, fmt.Errorf("lease of blob %s: %w", digest, err)
	}
	return l, b, nil
}

func (tx *Tx) write(ctx context.Context, digest string, size int64, until, at time.Time) (Lease, Blob, error) {
	if !strings.HasPrefix(digest, "sha512-") {
		return Lease{}, Blob{}, errors.New("its name is no digest")
	}
	_, err := tx.query.GetBlob(ctx, digest)
	fresh := errors.Is(found(err), ErrNotFound)
	if err != nil && !fresh {
		return Lease{}, Blob{}, err
	}
	if err := tx.query.StartBlob(ctx, db.StartBlobParams{Digest: digest, Size: size}); err != nil {
		return Lease{}, Blob{}, err
	}
	b, err := tx.query.LockBlob(ctx, digest)
	if err != nil {
		return Lease{}, Blob{}, err
	}
	if b.Size != size {
		return Lease{}, Blob{}, fmt.Errorf("it has %d bytes, not %d", b.Size, size)
	}
	switch {
	case fresh:
		if err := tx.blob(ctx, db.Blob{Digest: digest}, b, "", at); err != nil {
			return Lease{}, Blob{}, err
		}
	case b.State != Writing && b.State != Kept:
		// What was condemned may still be deleted, however late: the object gets a name that nobody deletes.
		next := b
		next.State, next.Generation, next.Stored = Writing, b.Generation+1, 0
		if err := tx.become(ctx, b, next, "", at); err != nil {
			return Lease{}, Blob{}, err
		}
		b = next
	}
	l, err := tx.lease(ctx, b, until)
	return l, blobOf(b), err
}

// Read leases a blob that is kept to who is about to read it.
func (tx *Tx) Read(ctx context.Context, digest string, until time.Time) (Lease, Blob, error) {
	b, err := tx.query.LockBlob(ctx, digest)
	if err == nil && b.State != Kept {
		return Lease{}, blobOf(b), fmt.Errorf("blob %s is %s: %w", digest, b.State, ErrNotFound)
	}
	var l Lease
	if err == nil {
		l, err = tx.lease(ctx, b, until)
	}
	if err != nil {
		return l, blobOf(b), fmt.Errorf("lease of blob %s: %w", digest, found(err))
	}
	return l, blobOf(b), nil
}

func (tx *Tx) lease(ctx context.Context, b db.Blob, until time.Time) (Lease, error) {
	id, err := tx.query.AddLease(ctx, db.AddLeaseParams{Digest: b.Digest, Generation: b.Generation, EndsAt: millis(until)})
	return Lease{id, b.Digest, b.Generation}, err
}

// Keep says that the object of a leased blob is there, with as many bytes as stored says. It is ErrCondemned when the blob was collected
// since it was leased.
func (tx *Tx) Keep(ctx context.Context, l Lease, stored int64, encoding string, at time.Time) error {
	b, err := tx.query.LockBlob(ctx, l.Digest)
	if err == nil && (b.Generation != l.Generation || b.State != Writing && b.State != Kept) {
		err = ErrCondemned
	}
	if err == nil && b.State == Kept {
		stored, encoding = b.Stored, b.Encoding // another writer was faster; to the policy the blob is new again
	}
	if err == nil {
		err = tx.query.SetBlobKept(ctx, db.SetBlobKeptParams{Digest: l.Digest, Stored: stored, Encoding: encoding, KeptAt: millis(at)})
	}
	if err == nil && b.State == Writing {
		next := b
		next.State, next.Stored = Kept, stored
		err = tx.blob(ctx, b, next, "", at)
	}
	if err != nil {
		return fmt.Errorf("keep blob %s: %w", l.Digest, found(err))
	}
	return nil
}

// Extend lets a lease end later. It is false when the lease is gone.
func (tx *Tx) Extend(ctx context.Context, l Lease, until time.Time) (bool, error) {
	n, err := tx.query.ExtendLease(ctx, db.ExtendLeaseParams{ID: l.ID, EndsAt: millis(until)})
	if err != nil {
		return false, fmt.Errorf("lease of blob %s: %w", l.Digest, err)
	}
	return n > 0, nil
}

// Release ends a lease.
func (tx *Tx) Release(ctx context.Context, l Lease) error {
	if err := tx.query.EndLease(ctx, l.ID); err != nil {
		return fmt.Errorf("lease of blob %s: %w", l.Digest, err)
	}
	return nil
}

// Condemn takes a blob from everybody before its object is deleted. It is false when the blob was put again since it was read, or is
// pinned, leased, or needed: by a version that was removed, is not judged yet, or is suspicious or malicious; as bytes that a version had
// beside its own; as the document that a package has now, or any of one that was removed.
func (tx *Tx) Condemn(ctx context.Context, c Blob, why string, at time.Time) (Blob, bool, error) {
	digest := c.Digest
	b, err := tx.query.LockBlob(ctx, digest)
	if err == nil && (b.Generation != c.Generation || b.KeptAt != millis(c.KeptAt)) {
		return blobOf(b), false, nil
	}
	if err == nil && b.State == Condemned {
		return blobOf(b), true, nil
	}
	if err == nil && (b.Pinned != 0 || b.State == Collected) {
		return blobOf(b), false, nil
	}
	var needed bool
	if err == nil {
		needed, err = tx.query.Needed(ctx, db.NeededParams{Blob: digest, At: millis(at)})
	}
	if err == nil && needed {
		return blobOf(b), false, nil
	}
	if err == nil {
		err = tx.query.DropLeases(ctx, db.DropLeasesParams{Digest: digest, EndsAt: millis(at)})
	}
	next := b
	next.State = Condemned
	if err == nil {
		err = tx.become(ctx, b, next, why, at)
	}
	if err != nil {
		return Blob{}, false, fmt.Errorf("condemn blob %s: %w", digest, found(err))
	}
	return blobOf(next), true, nil
}

// Collect says that the object of a condemned blob was deleted. Nothing changes when the blob was written again since.
func (tx *Tx) Collect(ctx context.Context, c Blob, at time.Time) error {
	b, err := tx.query.LockBlob(ctx, c.Digest)
	if err == nil && b.State == Condemned && b.Generation == c.Generation {
		next := b
		next.State = Collected
		err = tx.become(ctx, b, next, "", at)
	}
	if err != nil {
		return fmt.Errorf("collect blob %s: %w", c.Digest, found(err))
	}
	return nil
}

// Damage says that the object of a blob is missing or holds other bytes. Nothing changes when the blob was written again since.
func (tx *Tx) Damage(ctx context.Context, d Blob, why string, at time.Time) error {
	b, err := tx.query.LockBlob(ctx, d.Digest)
	if err == nil && (b.State == Kept || b.State == Writing) && b.Generation == d.Generation {
		next := b
		next.State = Damaged
		err = tx.become(ctx, b, next, why, at)
	}
	if err != nil {
		return fmt.Errorf("damage of blob %s: %w", d.Digest, found(err))
	}
	return nil
}

// Repair says that the object of a damaged blob is there again, and whole.
func (tx *Tx) Repair(ctx context.Context, r Blob, at time.Time) error {
	b, err := tx.query.LockBlob(ctx, r.Digest)
	if err == nil && b.State == Damaged && b.Generation == r.Generation {
		next := b
		next.State = Kept
		err = tx.become(ctx, b, next, "found whole again", at)
	}
	if err != nil {
		return fmt.Errorf("repair of blob %s: %w", r.Digest, found(err))
	}
	return nil
}

// has says no when a blob that is about to be needed is not kept. What never was in the cache is somebody else's matter.
func (tx *Tx) has(ctx context.Context, digest string) error {
	b, err := tx.query.GetBlob(ctx, digest)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	case b.State != Kept:
		return fmt.Errorf("blob %s is %s: %w", digest, b.State, ErrCondemned)
	}
	return nil
}

// Pin holds a blob for ever, whatever the policy says.
func (tx *Tx) Pin(ctx context.Context, digest, who, why string, at time.Time) error {
	return tx.pin(ctx, digest, true, who, why, at)
}

// Unpin ends what Pin began.
func (tx *Tx) Unpin(ctx context.Context, digest, who, why string, at time.Time) error {
	return tx.pin(ctx, digest, false, who, why, at)
}

func (tx *Tx) pin(ctx context.Context, digest string, pinned bool, who, why string, at time.Time) error {
	b, err := tx.query.LockBlob(ctx, digest)
	if err != nil {
		return fmt.Errorf("pin of blob %s: %w", digest, found(err))
	}
	if pinned && b.State != Kept && b.State != Writing {
		return fmt.Errorf("blob %s is %s: %w", digest, b.State, ErrNotFound)
	}
	if b.Pinned == number(pinned) {
		return nil
	}
	state := "unpinned"
	if pinned {
		state = "pinned"
	}
	err = tx.query.SetBlobPinned(ctx, db.SetBlobPinnedParams{Digest: digest, Pinned: number(pinned)})
	if err == nil {
		err = tx.query.AddBlobState(ctx, db.AddBlobStateParams{Digest: digest, State: state, Detail: why, ByWhom: who, At: millis(at)})
	}
	if err == nil {
		err = tx.tallyBlob(ctx, digest, "pinned", number(pinned)*2-1, (number(pinned)*2-1)*b.Stored)
	}
	if err != nil {
		return fmt.Errorf("pin of blob %s: %w", digest, err)
	}
	return nil
}

func (tx *Tx) become(ctx context.Context, b, next db.Blob, why string, at time.Time) error {
	if err := tx.query.SetBlobState(ctx, db.SetBlobStateParams{Digest: b.Digest, State: next.State, Generation: next.Generation, Stored: next.Stored}); err != nil {
		return err
	}
	return tx.blob(ctx, b, next, why, at)
}

// blob counts a blob in another state than before, and adds that to its history.
func (tx *Tx) blob(ctx context.Context, b, next db.Blob, why string, at time.Time) error {
	if b.State != "" {
		if err := tx.tallyBlob(ctx, b.Digest, b.State, -1, -b.Stored); err != nil {
			return err
		}
	}
	if err := tx.tallyBlob(ctx, b.Digest, next.State, 1, next.Stored); err != nil {
		return err
	}
	return tx.query.AddBlobState(ctx, db.AddBlobStateParams{Digest: b.Digest, State: next.State, Detail: why, At: millis(at)})
}

func (tx *Tx) tallyBlob(ctx context.Context, digest, state string, n, bytes int64) error {
	return tx.query.Tally(ctx, db.TallyParams{Kind: "blob", Name: state, Part: int64(digest[len(digest)/2]) % parts, N: n, Total: bytes})
}

// Stock is how many blobs there are in a state, and the bytes of their objects.
type Stock struct {
	State string // as of a blob; and pinned, which counts some of those kept once more
	N     int64
	Bytes int64
}

// Stock sums up all blobs, by state.
func (s *Store) Stock(ctx context.Context) ([]Stock, error) {
	rows, err := s.query.Tallies(ctx, db.TalliesParams{Day: 0, Day_2: 1})
	if err != nil {
		return nil, fmt.Errorf("stock of blobs: %w", err)
	}
	var out []Stock
	for _, r := range rows {
		if r.Kind == "blob" && r.N != 0 {
			out = append(out, Stock{r.Name, r.N, r.Total})
		}
	}
	return out, nil
}

// Blob is what is known of a blob.
func (s *Store) Blob(ctx context.Context, digest string) (Blob, error) {
	b, err := s.query.GetBlob(ctx, digest)
	if err != nil {
		return Blob{}, fmt.Errorf("blob %s: %w", digest, found(err))
	}
	return blobOf(b), nil
}

// BlobHistory is what happened to a blob, in order.
func (s *Store) BlobHistory(ctx context.Context, digest string) ([]BlobState, error) {
	rows, err := s.query.ListBlobStates(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("history of blob %s: %w", digest, err)
	}
	return list(rows, func(r db.BlobState) BlobState { return BlobState{r.State, r.Detail, r.ByWhom, moment(r.At)} }), nil
}

// Blobs are the blobs whose digests come after one, by digest.
func (s *Store) Blobs(ctx context.Context, after string, limit int32) ([]Blob, error) {
	rows, err := s.query.BlobsAfter(ctx, db.BlobsAfterParams{Digest: after, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	return list(rows, blobOf), nil
}

// Oldest are the blobs kept and not pinned that come after one, the oldest first.
func (s *Store) Oldest(ctx context.Context, after Blob, limit int32) ([]Blob, error) {
	rows, err := s.query.OldBlobs(ctx, db.OldBlobsParams{KeptAt: millis(after.KeptAt), Digest: after.Digest, N: limit})
	if err != nil {
		return nil, fmt.Errorf("oldest blobs: %w", err)
	}
	return list(rows, blobOf), nil
}

// Unfinished are the blobs whose digests come after one and that are Writing, Condemned or Damaged, by digest.
func (s *Store) Unfinished(ctx context.Context, after string, limit int32) ([]Blob, error) {
	rows, err := s.query.OpenBlobs(ctx, db.OpenBlobsParams{Digest: after, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("unfinished blobs: %w", err)
	}
	return list(rows, blobOf), nil
}

// Uses are who needs a blob, at most limit of each kind.
func (s *Store) Uses(ctx context.Context, digest string, limit int32) ([]Use, error) {
	var out []Use
	versions, err := s.query.VersionsWith(ctx, db.VersionsWithParams{Blob: digest, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("uses of blob %s: %w", digest, err)
	}
	for _, v := range versions {
		out = append(out, Use{"version", v.Name, v.Version, v.State, v.Level})
	}
	others, err := s.query.OtherBytesWith(ctx, db.OtherBytesWithParams{Blob: digest, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("uses of blob %s: %w", digest, err)
	}
	for _, o := range others {
		out = append(out, Use{Kind: o.Why, Name: o.Name, Version: o.Version})
	}
	documents, err := s.query.DocumentsWith(ctx, db.DocumentsWithParams{Blob: digest, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("uses of blob %s: %w", digest, err)
	}
	for _, d := range documents {
		out = append(out, Use{Kind: "document", Name: d.Name, State: d.State})
	}
	return out, nil
}
