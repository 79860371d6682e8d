package store

import (
	"context"
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
	var where strings.Builder
	var args []any
	and := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where.WriteString(" AND " + condition)
	}
	if q.Name != "" {
		and("p.name = ?", q.Name)
	}
	if q.Level != "" {
		and("d.level = ?", q.Level)
	}
	for _, f := range q.Facts {
		and("EXISTS (SELECT 1 FROM facts f WHERE f.kind = ? AND f.value = ? AND f.verdict_id = d.id)", f.Kind, f.Value)
	}
	if !q.From.IsZero() {
		and("d.at >= ?", millis(q.From))
	}
	if !q.Before.IsZero() {
		and("d.at < ?", millis(q.Before))
	}
	if q.OlderThan > 0 {
		and("d.id < ?", q.OlderThan)
	}
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	args = append(args, limit)
	rows, err := s.read.QueryContext(ctx, fmt.Sprintf(`SELECT d.id, p.name, v.version, d.level, d.at FROM verdicts d
JOIN versions v ON v.id = d.version_id AND v.verdict_id = d.id JOIN packages p ON p.id = v.package_id
WHERE 1 = 1%s ORDER BY d.id DESC LIMIT $%d`, where.String(), len(args)), args...)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	defer rows.Close()
	var hits []Hit
	for rows.Next() {
		var h Hit
		var at int64
		if err := rows.Scan(&h.Verdict, &h.Name, &h.Version, &h.Level, &at); err != nil {
			return nil, fmt.Errorf("search: %w", err)
		}
		h.At = time.UnixMilli(at).UTC()
		hits = append(hits, h)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return hits, nil
}
