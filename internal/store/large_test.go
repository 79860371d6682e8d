//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// BenchmarkLarge asks a store of ten million versions, in SQLite, what people and the gate ask. `make bench-store` runs it. The store is
// built at DONAPI_LARGE_STORE when nothing is there, with DONAPI_LARGE_VERSIONS versions. Each question reports its median and its
// 99th percentile, and fails when the median is above 50 ms.
func BenchmarkLarge(b *testing.B) {
	path := os.Getenv("DONAPI_LARGE_STORE")
	if path == "" {
		b.Skip("skipped: DONAPI_LARGE_STORE does not say where to build the store")
	}
	versions := int64(10_000_000)
	if n := os.Getenv("DONAPI_LARGE_VERSIONS"); n != "" {
		var err error
		if versions, err = strconv.ParseInt(n, 10, 64); err != nil || versions < 10_000 {
			b.Fatalf("DONAPI_LARGE_VERSIONS: %q: want 10000 or more", n)
		}
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := buildLarge(b, path, versions); err != nil {
			b.Fatal(err)
		}
	}
	s, err := Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ctx := b.Context()
	rnd := rand.New(rand.NewPCG(1, 2))
	name := func() string { return fmt.Sprintf("package-%d", rnd.Int64N(versions/10)) }
	search := func(q func() Search) func() error {
		return func() error {
			_, err := s.Search(ctx, q())
			return err
		}
	}
	last := large.AddDate(0, 0, largeDays)
	fact := func(kv ...string) (facts []Fact) {
		for i := 0; i < len(kv); i += 2 {
			facts = append(facts, Fact{kv[i], kv[i+1]})
		}
		return facts
	}
	for _, q := range []struct {
		name string
		ask  func() error
	}{
		{"lookup", func() error {
			_, err := s.Version(ctx, name(), fmt.Sprintf("1.%d.0", rnd.IntN(10)))
			return err
		}},
		{"lookup of what is not there", func() error {
			if _, err := s.Version(ctx, "no-"+name(), "1.0.0"); !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("found: %v", err)
			}
			return nil
		}},
		{"versions and verdicts of a package", func() error {
			p, err := s.Package(ctx, name())
			if err != nil {
				return err
			}
			list, err := s.Versions(ctx, p.ID)
			if err != nil {
				return err
			}
			for _, v := range list {
				if _, err := s.Verdicts(ctx, v.ID); err != nil {
					return err
				}
				if _, err := s.History(ctx, v.ID); err != nil {
					return err
				}
			}
			return nil
		}},
		{"search all", search(func() Search { return Search{} })},
		{"search by name", search(func() Search { return Search{Name: name()} })},
		{"search by rare level", search(func() Search { return Search{Level: "malicious"} })},
		{"search by common level", search(func() Search { return Search{Level: "clear"} })},
		{"search a later page", search(func() Search { return Search{Level: "clear", OlderThan: rnd.Int64N(versions)} })},
		{"search by rare host", search(func() Search { return Search{Facts: fact("host", fmt.Sprintf("h%d.invalid", rnd.IntN(1000)))} })},
		{"search by common api", search(func() Search { return Search{Facts: fact("api", "fs.readFile")} })},
		{"search by common api and rare level", search(func() Search { return Search{Level: "malicious", Facts: fact("api", "fs.readFile")} })},
		{"search by category and host", search(func() Search {
			return Search{Facts: fact("category", "M1", "host", fmt.Sprintf("h%d.invalid", rnd.IntN(1000)))}
		})},
		{"search by two common apis", search(func() Search { return Search{Facts: fact("api", "fs.readFile", "api", "http.request")} })},
		{"search by what nothing has", search(func() Search { return Search{Facts: fact("api", "fs.readFile", "host", "nowhere.invalid")} })},
		{"search by an hour", search(func() Search {
			from := large.Add(time.Duration(rnd.IntN(largeDays*24)) * time.Hour)
			return Search{From: from, Before: from.Add(time.Hour)}
		})},
		{"search by a month and rare level", search(func() Search {
			from := large.AddDate(0, 0, rnd.IntN(largeDays-30))
			return Search{Level: "malicious", From: from, Before: from.AddDate(0, 0, 30)}
		})},
		{"search by a month, common api", search(func() Search {
			from := large.AddDate(0, 0, rnd.IntN(largeDays-30))
			return Search{Facts: fact("api", "fs.readFile"), From: from, Before: from.AddDate(0, 0, 30)}
		})},
		{"search by a day without hits", search(func() Search {
			from := large.AddDate(0, 0, -rnd.IntN(1000)-2)
			return Search{Level: "clear", From: from, Before: from.AddDate(0, 0, 1)}
		})},
		{"status of a day", func() error {
			_, err := s.Coverage(ctx, last.AddDate(0, 0, -1), last)
			return err
		}},
		{"status of a month", func() error {
			_, err := s.Coverage(ctx, last.AddDate(0, 0, -30), last)
			return err
		}},
		{"sums of all time", func() error {
			c, err := s.Coverage(ctx, large, last.AddDate(0, 0, 1))
			if err == nil && (len(c.Groups) == 0 || c.FromSight.N == 0) {
				return errors.New("nothing counted")
			}
			return err
		}},
		{"stock of the cache", func() error {
			_, err := s.Stock(ctx)
			return err
		}},
		{"who needs a blob", func() error {
			_, err := s.Uses(ctx, fmt.Sprintf("sha512-%088d", rnd.Int64N(versions)), 10)
			return err
		}},
		{"oldest blobs", func() error {
			_, err := s.Oldest(ctx, Blob{KeptAt: large.AddDate(0, 0, rnd.IntN(largeDays))}, 100)
			return err
		}},
		{"packages behind", func() error {
			_, err := s.Behind(ctx, last.AddDate(1, 0, 0), 100)
			return err
		}},
		{"a verdict more", func() error {
			err := s.Update(ctx, func(tx *Tx) error {
				if _, _, err := tx.Judge(ctx, Verdict{VersionID: 1 + rnd.Int64N(versions), Blob: "b", Knowledge: fmt.Sprint(rnd.Uint64()), Level: "clear", At: last}, []byte{},
					fact("api", "fs.readFile", "host", "new.invalid"), 0); err != nil {
					return err
				}
				return errNotKept
			})
			if errors.Is(err, errNotKept) {
				return nil
			}
			return err
		}},
	} {
		b.Run(q.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				if err := q.ask(); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			p := func(percent int) float64 {
				return float64(took[(len(took)-1)*percent/100].Microseconds()) / 1000
			}
			b.ReportMetric(p(50), "p50-ms")
			b.ReportMetric(p(99), "p99-ms")
			b.ReportMetric(0, "ns/op")
			if p(50) > 50 && q.name != "sums of all time" { // which grow by the day, and no screen shows
				b.Errorf("the median is %.1f ms, above 50 ms", p(50))
			}
		})
	}
}

var errNotKept = errors.New("rolled back: the next run finds the same store")

// The time that a large store covers.
var large = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const largeDays = 300

// buildLarge fills a new database: a tenth as many packages as versions, each version judged once. One in a thousand is malicious. A verdict
// has a common API, every tenth another, every hundredth a category, and every thousandth a host, of which there are a thousand.
func buildLarge(b *testing.B, path string, versions int64) (err error) {
	b.Helper()
	unfinished := path + ".unfinished"
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(unfinished + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	ctx := context.Background()
	s, err := Open(ctx, unfinished)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Close())
		if err == nil {
			err = os.Rename(unfinished, path)
		}
	}()
	days := fmt.Sprint(large.UnixMilli(), " + i * ", int64(largeDays)*24*3600*1000, " / ", versions)
	replace := strings.NewReplacer("$versions", fmt.Sprint(versions), "$packages", fmt.Sprint(versions/10), "$at", "("+days+")", "$day", "("+days+") / 86400000")
	steps := []struct{ what, query string }{
		{"settings", "PRAGMA synchronous = OFF"},
		{"settings", "PRAGMA cache_size = -1000000"},
		{"packages", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $packages)
INSERT INTO packages (id, name, state, rev, announced, synced, announced_at) SELECT i + 1, 'package-' || i, 'normal', '1-a', 1, 1 - (i % 10000 = 0), $at FROM n`},
		{"versions", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $versions)
INSERT INTO versions (id, package_id, version, state, stage, published_at, first_seen_at, fetched_at, judged_at, fetch_ms, analyse_ms, tarball, integrity, blob, size, publisher, install_script, verdict_id, level)
SELECT i + 1, i % $packages + 1, '1.' || (i / $packages) || '.0', iif(i % 500 = 7, 'removed', 'present'), 'judged', $at - 60000, $at, $at + 1000, $at + 9000, 400, 5000,
'https://registry.example/p/-/p-1.tgz', printf('sha512-%088d', i), printf('sha512-%088d', i), 18000, 'somebody', 0, i + 1, iif(i % 1000 = 7, 'malicious', 'clear') FROM n`},
		{"histories", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $versions)
INSERT INTO version_states (version_id, state, detail, at) SELECT i + 1, 'present', '', $at FROM n`},
		{"verdicts", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $versions)
INSERT INTO verdicts (id, version_id, blob, profile, scanner, knowledge, level, preliminary, categories, why, at)
SELECT i + 1, i + 1, printf('sha512-%088d', i), '', '0.2.0', '0123456789abcdef', iif(i % 1000 = 7, 'malicious', 'clear'), 'normal', '', 'nothing was found', $at + 9000 FROM n`},
		{"facts: api", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $versions)
INSERT INTO facts (kind, value, verdict_id) SELECT 'api', 'fs.readFile', i + 1 FROM n`},
		{"facts: another api", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 10 FROM n WHERE i + 10 < $versions)
INSERT INTO facts (kind, value, verdict_id) SELECT 'api', 'http.request', i + 1 FROM n`},
		{"facts: category", `WITH RECURSIVE n(i) AS (VALUES (7) UNION ALL SELECT i + 100 FROM n WHERE i + 100 < $versions)
INSERT INTO facts (kind, value, verdict_id) SELECT 'category', 'M' || (i / 100 % 11), i + 1 FROM n`},
		{"facts: host", `WITH RECURSIVE n(i) AS (VALUES (7) UNION ALL SELECT i + 1000 FROM n WHERE i + 1000 < $versions)
INSERT INTO facts (kind, value, verdict_id) SELECT 'host', 'h' || (i / 1000 % 1000) || '.invalid', i + 1 FROM n`},
		{"blobs", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $versions)
INSERT INTO blobs (digest, state, generation, size, stored, encoding, pinned, kept_at)
SELECT printf('sha512-%088d', i), iif(i < $versions / 2, 'collected', 'kept'), 0, 18000, 18000, '', 0, $at FROM n`},
		{"sums", `INSERT INTO tallies (day, kind, name, reason, part, n, total)
SELECT first_seen_at / 86400000, 'stage', stage, reason, id % 4, count(*), 0 FROM versions GROUP BY 1, 3, 4, 5`},
		{"sums", `INSERT INTO tallies (day, kind, name, reason, part, n, total)
SELECT first_seen_at / 86400000, 'level', level, '', id % 4, count(*), 0 FROM versions GROUP BY 1, 3, 5`},
		{"sums", `INSERT INTO tallies VALUES (0, 'blob', 'kept', '', 0, $versions / 2, 18000 * ($versions / 2)), (0, 'blob', 'collected', '', 0, $versions / 2, 18000 * ($versions / 2))`},
		// Fifteen measures of forty buckets a day: more than there are.
		{"durations", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 300 * 15 * 40)
INSERT INTO durations (day, measure, bucket, n)
SELECT ` + fmt.Sprint(large.UnixMilli()/86400000) + ` + i / 600, CASE i / 40 % 15 WHEN 0 THEN 'from-sight' WHEN 1 THEN 'from-publication' ELSE 'stage/' || (i / 40 % 15) END, 100 + i % 40, 10 FROM n`},
		{"outcomes", `WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < 300 * 30 * 4)
INSERT INTO tallies (day, kind, name, reason, part, n, total)
SELECT ` + fmt.Sprint(large.UnixMilli()/86400000) + ` + i / 120, 'outcome', 'stage' || (i / 4 % 30), 'ran', i % 4, 10, 0 FROM n`},
	}
	for _, x := range steps {
		begin := time.Now()
		if _, err := s.write.ExecContext(ctx, replace.Replace(x.query)); err != nil {
			return fmt.Errorf("%s: %w", x.what, err)
		}
		b.Logf("%s: %s", x.what, time.Since(begin).Round(time.Millisecond))
	}
	if _, err := s.write.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return err
	}
	info, err := os.Stat(unfinished)
	if err == nil {
		b.Logf("%d MB", info.Size()>>20)
	}
	return err
}
