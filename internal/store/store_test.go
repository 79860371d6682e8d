//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/store/db"
	"github.com/donapi/donapi/internal/store/storetest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestContract is what both databases must do.
func TestContract(t *testing.T) {
	cases := []struct {
		name string
		run  func(*testing.T, *Store)
	}{
		{"migrations", testMigrations}, {"cursor", testCursor}, {"rollback", testRollback}, {"contention", testContention},
		{"history", testHistory}, {"verdicts", testVerdicts}, {"search", testSearch}, {"budget", testBudget}, {"coverage", testCoverage},
	}
	suite := func(t *testing.T, address func(testing.TB) string) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				s, err := Open(t.Context(), address(t))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				c.run(t, s)
			})
		}
	}
	t.Run("sqlite", func(t *testing.T) { suite(t, storetest.SQLite) })
	t.Run("postgres", func(t *testing.T) { suite(t, storetest.PostgreSQL(t)) })
}

func update(t *testing.T, s *Store, change func(context.Context, *Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx *Tx) error { return change(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// announced records a package and gives what is known of it.
func announced(t *testing.T, s *Store, name string) db.Package {
	t.Helper()
	f, err := s.StartFeed(t.Context(), "feed", "", start)
	if err != nil {
		t.Fatal(err)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return tx.Follow(ctx, f, f.Cursor+"+", false, []Change{{Name: name, Seq: "1", Rev: "1-a"}}, start)
	})
	p, err := s.Package(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fetched records a version whose bytes are kept.
func fetched(t *testing.T, s *Store, p db.Package, version string) db.Version {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *Tx) error {
		v, fresh, err := tx.See(ctx, db.AddVersionParams{PackageID: p.ID, Version: version, State: "present", Stage: "seen",
			PublishedAt: millis(start.Add(-time.Second)), FirstSeenAt: millis(start)})
		if err == nil && !fresh {
			err = errors.New("seen before")
		}
		if err != nil {
			return err
		}
		return tx.Fetched(ctx, v.ID, "blob-"+version, 10, time.Second, start)
	})
	v, err := s.Version(t.Context(), p.Name, version)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func judge(t *testing.T, s *Store, v db.Version, level, knowledge string, at time.Time, facts ...Fact) int64 {
	t.Helper()
	var id int64
	update(t, s, func(ctx context.Context, tx *Tx) error {
		var err error
		id, _, err = tx.Judge(ctx, db.AddVerdictParams{VersionID: v.ID, Blob: v.Blob, Level: level, Knowledge: knowledge, At: millis(at)}, []byte(level), facts, time.Second)
		return err
	})
	return id
}

func testMigrations(t *testing.T, s *Store) {
	judge(t, s, fetched(t, s, announced(t, s, "a"), "1.0.0"), "clear", "k", start, Fact{"host", "a.invalid"})
	if _, err := s.migrate.DownTo(t.Context(), 0); err != nil {
		t.Fatalf("down: %v", err)
	}
	if _, err := s.Package(t.Context(), "a"); err == nil {
		t.Error("the tables are still there")
	}
	if _, err := s.migrate.Up(t.Context()); err != nil {
		t.Fatalf("up again: %v", err)
	}
	fetched(t, s, announced(t, s, "a"), "1.0.0")
}

func testCursor(t *testing.T, s *Store) {
	f, err := s.StartFeed(t.Context(), "feed", "5", start)
	if err != nil {
		t.Fatal(err)
	}
	move := func(tx *Tx) error {
		return tx.Follow(t.Context(), f, "9", false, []Change{{Name: "a"}, {Name: "b", Deleted: true}, {Name: "a"}}, start)
	}
	if err := s.Update(t.Context(), move); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), move); !errors.Is(err, ErrMoved) {
		t.Errorf("a second follower: %v", err)
	}
	behind, err := s.Behind(t.Context(), start.Add(time.Second), 10)
	if err != nil || len(behind) != 2 {
		t.Fatalf("behind: %v %v", behind, err)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return errors.Join(tx.Settle(ctx, behind[0]), tx.Settle(ctx, behind[1]))
	})
	if behind, err = s.Behind(t.Context(), start.Add(time.Second), 10); err != nil || len(behind) != 0 {
		t.Errorf("still behind: %v %v", behind, err)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Renumber(ctx, f, start) })
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Renumber(t.Context(), f, start) }); !errors.Is(err, ErrMoved) {
		t.Errorf("renumbered twice: %v", err)
	}
	if f, err = s.Feed(t.Context(), "feed"); err != nil || f.Cursor != "" || f.Epoch != 1 || f.Walking != 1 {
		t.Errorf("%+v %v", f, err)
	}
}

func testRollback(t *testing.T, s *Store) {
	f, err := s.StartFeed(t.Context(), "feed", "5", start)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("no")
	err = s.Update(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.Follow(t.Context(), f, "9", false, []Change{{Name: "a"}}, start), cause)
	})
	if !errors.Is(err, cause) {
		t.Fatal(err)
	}
	if got, err := s.Feed(t.Context(), "feed"); err != nil || got.Cursor != "5" {
		t.Errorf("cursor %q %v", got.Cursor, err)
	}
	if _, err := s.Package(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("package: %v", err)
	}
}

func testContention(t *testing.T, s *Store) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 5 {
				if err := s.Update(t.Context(), func(tx *Tx) error {
					_, err := tx.Spend(t.Context(), "r.example", 1000, start)
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	var used int
	if err := s.read.QueryRow("SELECT used FROM budgets").Scan(&used); err != nil || used != 20 {
		t.Errorf("used %d of 20: %v", used, err)
	}
}

func testHistory(t *testing.T, s *Store) {
	v := fetched(t, s, announced(t, s, "a"), "1.0.0")
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Remove(ctx, v.ID, "security-holder", start) })
	gone, err := s.Version(t.Context(), "a", "1.0.0")
	if err != nil || gone.State != "removed" || gone.Blob != v.Blob {
		t.Errorf("tombstone %+v %v", gone, err)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return errors.Join(tx.Restore(ctx, v.ID, start), tx.End(ctx, v.ID, "failed", "fault", start))
	})
	states, err := s.History(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range states {
		got = append(got, st.State+" "+st.Detail)
	}
	if d := cmp.Diff([]string{"present ", "fetched blob-1.0.0", "removed security-holder", "present ", "failed fault"}, got); d != "" {
		t.Error(d)
	}
}

func testVerdicts(t *testing.T, s *Store) {
	v := fetched(t, s, announced(t, s, "a"), "1.0.0")
	first := judge(t, s, v, "clear", "k1", start)
	second := judge(t, s, v, "malicious", "k2", start)
	if again := judge(t, s, v, "clear", "k2", start); again != 0 {
		t.Error("the same work gave a second verdict")
	}
	level := func(want string, verdict int64) {
		t.Helper()
		if got, err := s.Version(t.Context(), "a", "1.0.0"); err != nil || got.Level != want || got.VerdictID != verdict {
			t.Errorf("counts %q %d, want %q %d: %v", got.Level, got.VerdictID, want, verdict, err)
		}
	}
	level("malicious", second)
	for range 2 {
		update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Withdraw(ctx, second, "analyst", "wrong", start) })
		level("clear", first)
	}
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Withdraw(ctx, first, "analyst", "wrong", start) })
	level("", 0)
	if list, err := s.Verdicts(t.Context(), v.ID); err != nil || len(list) != 2 {
		t.Errorf("history: %v %v", list, err)
	}
	if w, err := s.Withdrawal(t.Context(), second); err != nil || w.ByWhom != "analyst" {
		t.Errorf("%+v %v", w, err)
	}
	if r, err := s.Report(t.Context(), second); err != nil || string(r) != "malicious" {
		t.Errorf("report %q %v", r, err)
	}
}

func testSearch(t *testing.T, s *Store) {
	p := announced(t, s, "a")
	for i, level := range []string{"clear", "malicious", "malicious"} {
		judge(t, s, fetched(t, s, p, fmt.Sprintf("1.0.%d", i)), level, "k", start.Add(time.Duration(i)*time.Hour),
			Fact{"host", fmt.Sprintf("h%d.invalid", i)}, Fact{"category", "exfiltration"})
	}
	for _, c := range []struct {
		name string
		q    Search
		want []string
	}{
		{"all, newest first", Search{}, []string{"1.0.2", "1.0.1", "1.0.0"}},
		{"page", Search{Limit: 1}, []string{"1.0.2"}},
		{"level", Search{Level: "clear"}, []string{"1.0.0"}},
		{"host", Search{Facts: []Fact{{"host", "h1.invalid"}, {"category", "exfiltration"}}}, []string{"1.0.1"}},
		{"time", Search{From: start.Add(time.Hour), Before: start.Add(2 * time.Hour)}, []string{"1.0.1"}},
		{"other name", Search{Name: "b"}, nil},
		{"a quote is only text", Search{Name: "a' OR '1'='1"}, nil},
	} {
		hits, err := s.Search(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, h := range hits {
			got = append(got, h.Version)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func testBudget(t *testing.T, s *Store) {
	var got []bool
	for _, at := range []time.Time{start, start, start, start.AddDate(0, 1, 0), start} {
		update(t, s, func(ctx context.Context, tx *Tx) error {
			ok, err := tx.Spend(ctx, "r.example", 2, at)
			got = append(got, ok)
			return err
		})
	}
	if d := cmp.Diff([]bool{true, true, false, true, true}, got); d != "" {
		t.Error(d)
	}
}

func testCoverage(t *testing.T, s *Store) {
	p := announced(t, s, "a")
	for i := range 20 {
		judge(t, s, fetched(t, s, p, fmt.Sprintf("1.0.%d", i)), "clear", "k", start.Add(time.Duration(i+1)*time.Second))
	}
	v := fetched(t, s, p, "2.0.0")
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.End(ctx, v.ID, "skipped", "size", start) })
	got, err := s.Coverage(t.Context(), start, start.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	want := Coverage{
		Groups:          []Group{{"judged", "", 20}, {"skipped", "size", 1}},
		FromPublication: Percentiles{20, 11 * time.Second, 20 * time.Second, 21 * time.Second},
		FromSight:       Percentiles{20, 10 * time.Second, 19 * time.Second, 20 * time.Second},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
