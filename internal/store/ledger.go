package store

import (
	"context"
	"fmt"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Spend takes one request from what a host may be asked in a month. It is false when the month's budget is used up.
func (tx *Tx) Spend(ctx context.Context, host string, monthly int64, at time.Time) (bool, error) {
	month := int64(at.UTC().Year()*100 + int(at.UTC().Month()))
	if err := tx.StartBudget(ctx, db.StartBudgetParams{Host: host, Month: month}); err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	b, err := tx.LockBudget(ctx, host)
	if err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	// A clock that goes back to an earlier month gives nothing back.
	if month > b.Month {
		b.Month, b.Used = month, 0
	}
	if b.Used >= monthly {
		return false, nil
	}
	if err := tx.SetBudget(ctx, db.SetBudgetParams{Host: host, Month: b.Month, Used: b.Used + 1}); err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	return true, nil
}

// Group is how many versions are at a stage for the same reason.
type Group struct {
	Stage, Reason string
	N             int64
}

// Percentiles of a duration, over N versions.
type Percentiles struct {
	N             int64
	P50, P95, P99 time.Duration
}

// Coverage says what became of the versions first seen in a span of time.
type Coverage struct {
	Groups          []Group // by stage and reason
	FromPublication Percentiles
	FromSight       Percentiles
}

// Coverage counts the versions first seen from a time until before another.
func (s *Store) Coverage(ctx context.Context, from, before time.Time) (Coverage, error) {
	var c Coverage
	rows, err := s.read.QueryContext(ctx, `SELECT stage, reason, count(*) FROM versions WHERE first_seen_at >= $1 AND first_seen_at < $2
GROUP BY stage, reason ORDER BY stage, reason`, millis(from), millis(before))
	if err != nil {
		return c, fmt.Errorf("coverage: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var g Group
		if err := rows.Scan(&g.Stage, &g.Reason, &g.N); err != nil {
			return c, fmt.Errorf("coverage: %w", err)
		}
		c.Groups = append(c.Groups, g)
	}
	if err := rows.Err(); err != nil {
		return c, fmt.Errorf("coverage: %w", err)
	}
	if c.FromPublication, err = s.percentiles(ctx, "published_at", from, before); err != nil {
		return c, err
	}
	c.FromSight, err = s.percentiles(ctx, "first_seen_at", from, before)
	return c, err
}

// percentiles are of the time from a column until the verdict, by nearest rank.
func (s *Store) percentiles(ctx context.Context, column string, from, before time.Time) (Percentiles, error) {
	where := " FROM versions WHERE judged_at > 0 AND " + column + " > 0 AND first_seen_at >= $1 AND first_seen_at < $2"
	var p Percentiles
	if err := s.read.QueryRowContext(ctx, "SELECT count(*)"+where, millis(from), millis(before)).Scan(&p.N); err != nil {
		return p, fmt.Errorf("percentiles from %s: %w", column, err)
	}
	if p.N == 0 {
		return p, nil
	}
	for _, rank := range []struct {
		percent int64
		to      *time.Duration
	}{{50, &p.P50}, {95, &p.P95}, {99, &p.P99}} {
		var ms int64
		offset := (p.N*rank.percent+99)/100 - 1
		if err := s.read.QueryRowContext(ctx, "SELECT judged_at - "+column+where+" ORDER BY judged_at - "+column+" LIMIT 1 OFFSET $3",
			millis(from), millis(before), offset).Scan(&ms); err != nil {
			return p, fmt.Errorf("percentiles from %s: %w", column, err)
		}
		*rank.to = time.Duration(ms) * time.Millisecond
	}
	return p, nil
}
