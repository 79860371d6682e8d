package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Search says which verdicts to find. What is zero does not matter; all the rest must be true.
type Search struct {
	Name         string // of the package
	Level        string
	Facts        []Fact
	From, Before time.Time // when it was judged
	OlderThan    int64     // a verdict: the last hit of the page before
	Limit        int       // 100 when zero
}

// Hit is a verdict that counts.
type Hit struct {
	Verdict       int64
	Name, Version string
	Level         string
	At            time.Time
}

// Search finds the verdicts that count, newest first.
func (s *Store) Search(ctx context.Context, q Search) ([]Hit, error) {
	hits, err := s.search(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return hits, nil
}

func (s *Store) search(ctx context.Context, q Search) ([]Hit, error) {
	var c conditions
	after, older, err := s.between(ctx, q.From, q.Before)
	if err != nil {
		return nil, err
	}
	if q.OlderThan > 0 && (older == 0 || q.OlderThan < older) {
		older = q.OlderThan
	}
	lead, none, err := s.lead(ctx, q, after, older)
	if err != nil || none {
		return nil, err
	}
	from, id := "verdicts d", "d.id"
	for i, f := range q.Facts {
		if i == lead {
			// The rows of a fact are read in the order of their verdicts, which is the order of the answer. CROSS keeps SQLite from
			// beginning elsewhere.
			from, id = "facts f CROSS JOIN verdicts d", "f.verdict_id"
			c.and("f.kind = ? AND f.value = ? AND d.id = f.verdict_id", f.Kind, f.Value)
			continue
		}
		c.and("EXISTS (SELECT 1 FROM facts g WHERE g.kind = ? AND g.value = ? AND g.verdict_id = d.id)", f.Kind, f.Value)
	}
	if after > 0 {
		c.and(id+" > ?", after)
	}
	if older > 0 {
		c.and(id+" < ?", older)
	}
	if q.Name != "" {
		c.and("p.name = ?", q.Name)
	}
	if q.Level != "" {
		c.and("d.level = ?", q.Level)
	}
	if !q.From.IsZero() {
		c.and("d.at >= ?", millis(q.From))
	}
	if !q.Before.IsZero() {
		c.and("d.at < ?", millis(q.Before))
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	c.args = append(c.args, limit)
	rows, err := s.read.QueryContext(ctx, fmt.Sprintf(`SELECT d.id, p.name, v.version, d.level, d.at FROM %s
JOIN versions v ON v.id = d.version_id AND v.verdict_id = d.id JOIN packages p ON p.id = v.package_id
WHERE 1 = 1%s ORDER BY %s DESC LIMIT $%d`, from, c.text.String(), id, len(c.args)), c.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var hits []Hit
	for rows.Next() {
		var h Hit
		var at int64
		if err := rows.Scan(&h.Verdict, &h.Name, &h.Version, &h.Level, &at); err != nil {
			return nil, err
		}
		h.At = moment(at)
		hits = append(hits, h)
	}
	return hits, rows.Err()
}

// conditions are put together with their values.
type conditions struct {
	text strings.Builder
	args []any
}

func (c *conditions) and(condition string, values ...any) {
	for _, v := range values {
		c.args = append(c.args, v)
		condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(c.args)), 1)
	}
	c.text.WriteString(" AND " + condition)
}

// slack is how far the clocks of processes that judge may be apart: within it verdicts may be numbered in another order than they
// were made.
const slack = time.Hour

// between are verdicts that a span of time lies between, by number; 0 where it is open.
func (s *Store) between(ctx context.Context, from, before time.Time) (after, older int64, err error) {
	one := func(query string, at time.Time) (id int64, err error) {
		err = s.read.QueryRowContext(ctx, query, millis(at)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		return id, err
	}
	if !from.IsZero() {
		if after, err = one("SELECT id FROM verdicts WHERE at < $1 ORDER BY at DESC LIMIT 1", from.Add(-slack)); err != nil {
			return 0, 0, err
		}
	}
	if !before.IsZero() {
		older, err = one("SELECT id FROM verdicts WHERE at >= $1 ORDER BY at LIMIT 1", before.Add(slack))
	}
	return after, older, err
}

// many is where counting ends: what is found so often is common.
const many = 20_000

// lead is which fact a search is best led by: the rarest, or -1 when the level is rarer, or the name says enough. none says that
// there is nothing to find. Neither database can know this: facts are as common as attackers make them.
func (s *Store) lead(ctx context.Context, q Search, after, older int64) (lead int, none bool, err error) {
	if q.Name != "" || len(q.Facts) == 0 {
		return -1, false, nil
	}
	count := func(table, id, where string, values ...any) (n int64, err error) {
		var c conditions
		c.and(where, values...)
		if after > 0 {
			c.and(id+" > ?", after)
		}
		if older > 0 {
			c.and(id+" < ?", older)
		}
		err = s.read.QueryRowContext(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT 1 FROM %s WHERE 1 = 1%s LIMIT %d) x", table, c.text.String(), many), c.args...).Scan(&n)
		return n, err
	}
	lead = -1
	least := int64(many) + 1
	for i, f := range q.Facts {
		n, err := count("facts", "verdict_id", "kind = ? AND value = ?", f.Kind, f.Value)
		if err != nil || n == 0 {
			return -1, n == 0, err
		}
		if n < least {
			lead, least = i, n
		}
	}
	if q.Level != "" {
		if n, err := count("verdicts", "id", "level = ?", q.Level); err != nil || n < least {
			return -1, n == 0, err
		}
	}
	return lead, false, nil
}
