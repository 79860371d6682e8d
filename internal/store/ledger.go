package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/donapi/donapi/internal/store/db"
)

// Budget is what a host was asked in a month.
type Budget struct {
	Host  string
	Month int // as 202601
	Used  int64
}

// Spend takes one request from what a host may be asked in a month. It is false when the month's budget is used up.
func (tx *Tx) Spend(ctx context.Context, host string, monthly int64, at time.Time) (bool, error) {
	return tx.SpendMany(ctx, host, monthly, 1, at)
}

// SpendMany takes n requests, or none when the month's budget has less.
func (tx *Tx) SpendMany(ctx context.Context, host string, monthly, n int64, at time.Time) (bool, error) {
	month := int64(at.UTC().Year()*100 + int(at.UTC().Month()))
	if err := tx.query.StartBudget(ctx, db.StartBudgetParams{Host: host, Month: month}); err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	b, err := tx.query.LockBudget(ctx, host)
	if err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	// A clock that goes back to an earlier month gives nothing back.
	if month > b.Month {
		b.Month, b.Used = month, 0
	}
	if b.Used+n > monthly {
		return false, nil
	}
	if err := tx.query.SetBudget(ctx, db.SetBudgetParams{Host: host, Month: b.Month, Used: b.Used + n}); err != nil {
		return false, fmt.Errorf("budget of %s: %w", host, err)
	}
	return true, nil
}

// Budget is what a host was asked in the last month in which it was asked at all.
func (s *Store) Budget(ctx context.Context, host string) (Budget, error) {
	b, err := s.query.GetBudget(ctx, host)
	if err != nil {
		return Budget{}, fmt.Errorf("budget of %s: %w", host, found(err))
	}
	return Budget{b.Host, int(b.Month), b.Used}, nil
}

// Group is how many versions are at a stage for the same reason.
type Group struct {
	Stage, Reason string
	N             int64
}

// Percentiles of a duration, over N versions. They are at most a twentieth above what was measured.
type Percentiles struct {
	N             int64
	P50, P95, P99 time.Duration
}

// Level is how many versions have a verdict of a level that counts.
type Level struct {
	Level string
	N     int64
}

// Outcome is how often a stage of the analysis ended in a status, over first verdicts.
type Outcome struct {
	Stage, Status string
	N             int64
}

// Took is how long something took: "fetch", "analyse", or "stage/" and the name of a stage.
type Took struct {
	What string
	Percentiles
}

// Coverage says what became of the versions first seen in a span of days.
type Coverage struct {
	Groups          []Group // by stage and reason
	Levels          []Level
	Outcomes        []Outcome // by stage and status
	FromPublication Percentiles
	FromSight       Percentiles
	Took            []Took // by name
}

// Coverage counts the versions first seen from a time until before another. Counts are kept by day in UTC: a day of which the span holds
// a part counts whole. It costs as much as there are days, not versions.
func (s *Store) Coverage(ctx context.Context, from, before time.Time) (Coverage, error) {
	var c Coverage
	first, last := day(millis(from)), day(millis(before.Add(-time.Millisecond)))+1
	rows, err := s.query.Tallies(ctx, db.TalliesParams{Day: max(1, first), Day_2: last})
	if err != nil {
		return c, fmt.Errorf("coverage: %w", err)
	}
	for _, r := range rows {
		switch {
		case r.N == 0:
		case r.Kind == "stage":
			c.Groups = append(c.Groups, Group{r.Name, r.Reason, r.N})
		case r.Kind == "level":
			c.Levels = append(c.Levels, Level{r.Name, r.N})
		case r.Kind == "outcome":
			c.Outcomes = append(c.Outcomes, Outcome{r.Name, r.Reason, r.N})
		}
	}
	buckets, err := s.query.Durations(ctx, db.DurationsParams{Day: first, Day_2: last})
	if err != nil {
		return c, fmt.Errorf("coverage: %w", err)
	}
	for len(buckets) > 0 {
		n := 1
		for n < len(buckets) && buckets[n].Measure == buckets[0].Measure {
			n++
		}
		switch p := percentiles(buckets[:n]); buckets[0].Measure {
		case "from-publication":
			c.FromPublication = p
		case "from-sight":
			c.FromSight = p
		default:
			c.Took = append(c.Took, Took{buckets[0].Measure, p})
		}
		buckets = buckets[n:]
	}
	return c, nil
}

// percentiles are by nearest rank.
func percentiles(buckets []db.DurationsRow) Percentiles {
	var p Percentiles
	for _, b := range buckets {
		p.N += b.N
	}
	for _, rank := range []struct {
		percent int64
		to      *time.Duration
	}{{50, &p.P50}, {95, &p.P95}, {99, &p.P99}} {
		left := (p.N*rank.percent + 99) / 100
		for _, b := range buckets {
			if left -= b.N; left <= 0 {
				*rank.to = duration(longest(b.Bucket))
				break
			}
		}
	}
	return p
}

func day(ms int64) int64 { return ms / (24 * time.Hour).Milliseconds() }

// steps is how many buckets there are for each doubling of a duration.
const steps = 16

// bucket is where a duration in milliseconds counts: the first whose longest is not below it.
func bucket(ms int64) int64 {
	if ms <= 0 {
		return 0
	}
	b := int64(math.Ceil(steps * math.Log2(float64(ms))))
	for longest(b+1) < ms { // where rounding went the other way
		b++
	}
	return b + 1
}

// longest is the longest duration of a bucket, in milliseconds.
func longest(bucket int64) int64 {
	if bucket <= 0 {
		return 0
	}
	return int64(math.Round(math.Exp2(float64(bucket-1) / steps)))
}

// parts is over how many rows a sum is spread, so that processes that count at the same time seldom meet.
const parts = 4

func (tx *Tx) tally(ctx context.Context, v db.Version, kind, name, reason string, n int64) error {
	if err := tx.query.Tally(ctx, db.TallyParams{Day: max(1, day(v.FirstSeenAt)), Kind: kind, Name: name, Reason: reason, Part: v.ID % parts, N: n}); err != nil {
		return fmt.Errorf("tally: %w", err)
	}
	return nil
}

func (tx *Tx) took(ctx context.Context, v db.Version, measure string, took time.Duration) error {
	if err := tx.query.AddDuration(ctx, db.AddDurationParams{Day: day(v.FirstSeenAt), Measure: measure, Bucket: bucket(took.Milliseconds())}); err != nil {
		return fmt.Errorf("durations: %w", err)
	}
	return nil
}
