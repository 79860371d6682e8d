package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Fact is something that a verdict can be found by. Kind is category, behaviour, api or host.
type Fact struct{ Kind, Value string }

// Judge records a verdict with its report, and makes it the one that counts when it is of the bytes that the version
// has now. It is false, and nothing changes, when the same bytes were judged in the same way before.
func (tx *Tx) Judge(ctx context.Context, v db.AddVerdictParams, report []byte, facts []Fact, took time.Duration) (int64, bool, error) {
	version, err := tx.LockVersion(ctx, v.VersionID)
	if err != nil {
		return 0, false, fmt.Errorf("judge version %d: %w", v.VersionID, found(err))
	}
	id, err := tx.AddVerdict(ctx, v)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err == nil {
		err = tx.AddReport(ctx, db.AddReportParams{VerdictID: id, Data: report})
	}
	for _, f := range facts {
		if err == nil {
			err = tx.AddFact(ctx, db.AddFactParams{Kind: f.Kind, Value: f.Value, VerdictID: id})
		}
	}
	if err == nil && version.Blob == v.Blob {
		err = tx.SetJudged(ctx, db.SetJudgedParams{ID: v.VersionID, JudgedAt: v.At, AnalyseMs: took.Milliseconds(), VerdictID: id, Level: v.Level})
	}
	if err != nil {
		return 0, false, fmt.Errorf("judge version %d: %w", v.VersionID, err)
	}
	return id, true, nil
}

// Withdraw says that a verdict was wrong. It stays in the history; the newest that is left counts, or none.
// A verdict is withdrawn once: later reasons change nothing.
func (tx *Tx) Withdraw(ctx context.Context, id int64, who, why string, at time.Time) error {
	v, err := tx.GetVerdict(ctx, id)
	if err != nil {
		return fmt.Errorf("withdraw verdict %d: %w", id, found(err))
	}
	version, err := tx.LockVersion(ctx, v.VersionID)
	if err != nil {
		return fmt.Errorf("withdraw verdict %d: %w", id, err)
	}
	n, err := tx.Queries.Withdraw(ctx, db.WithdrawParams{VerdictID: id, ByWhom: who, Why: why, At: millis(at)})
	if err != nil {
		return fmt.Errorf("withdraw verdict %d: %w", id, err)
	}
	if n == 0 || version.VerdictID != id {
		return nil
	}
	left, err := tx.CurrentVerdict(ctx, db.CurrentVerdictParams{VersionID: version.ID, Blob: version.Blob})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("withdraw verdict %d: %w", id, err)
	}
	if err := tx.SetLevel(ctx, db.SetLevelParams{ID: version.ID, VerdictID: left.ID, Level: left.Level}); err != nil {
		return fmt.Errorf("withdraw verdict %d: %w", id, err)
	}
	return nil
}

// Verdicts are all verdicts of a version in order, those withdrawn too.
func (s *Store) Verdicts(ctx context.Context, versionID int64) ([]db.Verdict, error) {
	list, err := s.query.VerdictsOf(ctx, versionID)
	if err != nil {
		return nil, fmt.Errorf("verdicts of version %d: %w", versionID, err)
	}
	return list, nil
}

// Withdrawal says who withdrew a verdict, and why.
func (s *Store) Withdrawal(ctx context.Context, verdictID int64) (db.Withdrawal, error) {
	w, err := s.query.GetWithdrawal(ctx, verdictID)
	if err != nil {
		return w, fmt.Errorf("withdrawal of verdict %d: %w", verdictID, found(err))
	}
	return w, nil
}

// Report is the whole report of a verdict, as it was given to Judge.
func (s *Store) Report(ctx context.Context, verdictID int64) ([]byte, error) {
	data, err := s.query.GetReport(ctx, verdictID)
	if err != nil {
		return nil, fmt.Errorf("report of verdict %d: %w", verdictID, found(err))
	}
	return data, nil
}
