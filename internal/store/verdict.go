package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Verdict is what was judged of the bytes of a version.
type Verdict struct {
	ID          int64
	VersionID   int64
	Blob        string // the bytes
	Profile     string // what was allowed: with Scanner and Knowledge it says how the bytes were judged
	Scanner     string
	Knowledge   string
	Level       string
	Preliminary string
	Categories  string
	Why         string
	At          time.Time
	Stages      []Stage
}

// Stage is what became of one stage of an analysis.
type Stage struct {
	Name   string        `json:"name"`
	Status string        `json:"status"` // ran, partial, skipped, failed
	Reason string        `json:"reason,omitempty"`
	Took   time.Duration `json:"took"` // nanoseconds
}

func verdictOf(v db.Verdict) (Verdict, error) {
	out := Verdict{ID: v.ID, VersionID: v.VersionID, Blob: v.Blob, Profile: v.Profile, Scanner: v.Scanner, Knowledge: v.Knowledge,
		Level: v.Level, Preliminary: v.Preliminary, Categories: v.Categories, Why: v.Why, At: moment(v.At)}
	if v.Stages != "" {
		if err := json.Unmarshal([]byte(v.Stages), &out.Stages); err != nil {
			return out, fmt.Errorf("stages of verdict %d: %w", v.ID, err)
		}
	}
	return out, nil
}

// Withdrawal says who withdrew a verdict, and why.
type Withdrawal struct {
	VerdictID int64
	ByWhom    string
	Why       string
	At        time.Time
}

func withdrawalOf(w db.Withdrawal) Withdrawal {
	return Withdrawal{w.VerdictID, w.ByWhom, w.Why, moment(w.At)}
}

// Fact is something that a verdict can be found by. Kind is category, behaviour, api or host.
type Fact struct{ Kind, Value string }

// Judge records a verdict with its report, and makes it the one that counts when it is of the bytes that the version
// has now. It is false, and nothing changes, when the same bytes were judged in the same way before.
func (tx *Tx) Judge(ctx context.Context, v Verdict, report []byte, facts []Fact, took time.Duration) (int64, bool, error) {
	id, fresh, err := tx.judge(ctx, v, report, facts, took)
	if err != nil {
		return 0, false, fmt.Errorf("judge version %d: %w", v.VersionID, err)
	}
	return id, fresh, nil
}

func (tx *Tx) judge(ctx context.Context, v Verdict, report []byte, facts []Fact, took time.Duration) (int64, bool, error) {
	version, err := tx.query.LockVersion(ctx, v.VersionID)
	if err != nil {
		return 0, false, found(err)
	}
	stages := ""
	if len(v.Stages) > 0 {
		data, err := json.Marshal(v.Stages)
		if err != nil {
			return 0, false, err
		}
		stages = string(data)
	}
	id, err := tx.query.AddVerdict(ctx, db.AddVerdictParams{VersionID: v.VersionID, Blob: v.Blob, Profile: v.Profile, Scanner: v.Scanner,
		Knowledge: v.Knowledge, Level: v.Level, Preliminary: v.Preliminary, Categories: v.Categories, Why: v.Why, At: millis(v.At), Stages: stages})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err == nil {
		err = tx.query.AddReport(ctx, db.AddReportParams{VerdictID: id, Data: report})
	}
	for _, f := range facts {
		if err == nil {
			err = tx.query.AddFact(ctx, db.AddFactParams{Kind: f.Kind, Value: f.Value, VerdictID: id})
		}
	}
	if err == nil && version.Blob == v.Blob {
		err = tx.count(ctx, id, version, v, took)
	}
	return id, err == nil, err
}

// count makes a verdict the one that counts.
func (tx *Tx) count(ctx context.Context, id int64, version db.Version, v Verdict, took time.Duration) error {
	judged, analysed := version.JudgedAt, version.AnalyseMs
	if judged == 0 {
		// How long a version waited is about its first verdict: later ones come when knowledge does.
		judged, analysed = millis(v.At), took.Milliseconds()
		if err := tx.took(ctx, version, "analyse", took); err != nil {
			return err
		}
		if err := tx.took(ctx, version, "from-sight", duration(judged-version.FirstSeenAt)); err != nil {
			return err
		}
		if version.PublishedAt > 0 {
			if err := tx.took(ctx, version, "from-publication", duration(judged-version.PublishedAt)); err != nil {
				return err
			}
		}
		for _, s := range v.Stages {
			if err := tx.tally(ctx, version, "outcome", s.Name, s.Status, 1); err != nil {
				return err
			}
			if s.Status == "skipped" {
				continue
			}
			if err := tx.took(ctx, version, "stage/"+s.Name, s.Took); err != nil {
				return err
			}
		}
	}
	if _, err := tx.stage(ctx, version.ID, Judged, ""); err != nil {
		return err
	}
	if err := tx.level(ctx, version, v.Level); err != nil {
		return err
	}
	return tx.query.SetJudged(ctx, db.SetJudgedParams{ID: v.VersionID, JudgedAt: judged, AnalyseMs: analysed, VerdictID: id, Level: v.Level})
}

// Withdraw says that a verdict was wrong. It stays in the history; the newest that is left counts, or none.
// A verdict is withdrawn once: later reasons change nothing.
func (tx *Tx) Withdraw(ctx context.Context, id int64, who, why string, at time.Time) error {
	if err := tx.withdraw(ctx, id, who, why, at); err != nil {
		return fmt.Errorf("withdraw verdict %d: %w", id, err)
	}
	return nil
}

func (tx *Tx) withdraw(ctx context.Context, id int64, who, why string, at time.Time) error {
	v, err := tx.query.GetVerdict(ctx, id)
	if err != nil {
		return found(err)
	}
	version, err := tx.query.LockVersion(ctx, v.VersionID)
	if err != nil {
		return err
	}
	n, err := tx.query.Withdraw(ctx, db.WithdrawParams{VerdictID: id, ByWhom: who, Why: why, At: millis(at)})
	if err != nil || n == 0 || version.VerdictID != id {
		return err
	}
	left, err := tx.query.CurrentVerdict(ctx, db.CurrentVerdictParams{VersionID: version.ID, Blob: version.Blob})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := tx.level(ctx, version, left.Level); err != nil {
		return err
	}
	return tx.query.SetLevel(ctx, db.SetLevelParams{ID: version.ID, VerdictID: left.ID, Level: left.Level})
}

// Verdicts are all verdicts of a version in order, those withdrawn too.
func (s *Store) Verdicts(ctx context.Context, versionID int64) ([]Verdict, error) {
	rows, err := s.query.VerdictsOf(ctx, versionID)
	if err != nil {
		return nil, fmt.Errorf("verdicts of version %d: %w", versionID, err)
	}
	out := make([]Verdict, len(rows))
	for i, r := range rows {
		if out[i], err = verdictOf(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Verdict is one verdict.
func (s *Store) Verdict(ctx context.Context, id int64) (Verdict, error) {
	v, err := s.query.GetVerdict(ctx, id)
	if err != nil {
		return Verdict{}, fmt.Errorf("verdict %d: %w", id, found(err))
	}
	return verdictOf(v)
}

// Withdrawal says who withdrew a verdict, and why.
func (s *Store) Withdrawal(ctx context.Context, verdictID int64) (Withdrawal, error) {
	w, err := s.query.GetWithdrawal(ctx, verdictID)
	if err != nil {
		return Withdrawal{}, fmt.Errorf("withdrawal of verdict %d: %w", verdictID, found(err))
	}
	return withdrawalOf(w), nil
}

// Withdrawals are the verdicts of a version that were withdrawn, by verdict.
func (s *Store) Withdrawals(ctx context.Context, versionID int64) ([]Withdrawal, error) {
	rows, err := s.query.ListWithdrawals(ctx, versionID)
	if err != nil {
		return nil, fmt.Errorf("withdrawals of version %d: %w", versionID, err)
	}
	return list(rows, withdrawalOf), nil
}

// Report is the whole report of a verdict, as it was given to Judge.
func (s *Store) Report(ctx context.Context, verdictID int64) ([]byte, error) {
	data, err := s.query.GetReport(ctx, verdictID)
	if err != nil {
		return nil, fmt.Errorf("report of verdict %d: %w", verdictID, found(err))
	}
	return data, nil
}
