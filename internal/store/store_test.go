//go:build unix

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
		{"history", testHistory}, {"verdicts", testVerdicts}, {"search", testSearch}, {"searches", testSearches}, {"budget", testBudget}, {"coverage", testCoverage},
		{"documents", testDocuments}, {"replaced", testReplaced}, {"blobs", testBlobs}, {"tallies", testTallies},
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

// TestMain lets the test binary open a store as a process of its own.
func TestMain(m *testing.M) {
	address := os.Getenv("STORE_TEST_OPEN")
	if address == "" {
		os.Exit(m.Run())
	}
	s, err := Open(context.Background(), address)
	if err == nil {
		err = s.Update(context.Background(), func(tx *Tx) error {
			_, err := tx.Spend(context.Background(), "r.example", 1000, start)
			return err
		})
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestStartTogether lets processes open one new database at the same time: each migrates it or waits for the one that does.
func TestStartTogether(t *testing.T) {
	suite := func(t *testing.T, address string) {
		const processes = 6
		var group sync.WaitGroup
		for range processes {
			group.Go(func() {
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), "STORE_TEST_OPEN="+address)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		group.Wait()
		s, err := Open(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if b, err := s.Budget(t.Context(), "r.example"); err != nil || b.Used != processes {
			t.Errorf("%+v %v", b, err)
		}
	}
	t.Run("sqlite", func(t *testing.T) { suite(t, storetest.SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { suite(t, storetest.PostgreSQL(t)(t)) })
}

func update(t *testing.T, s *Store, change func(context.Context, *Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx *Tx) error { return change(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

// announced records a package and gives what is known of it.
func announced(t *testing.T, s *Store, name string) Package {
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
func fetched(t *testing.T, s *Store, p Package, version string) Version {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *Tx) error {
		v, fresh, err := tx.See(ctx, Version{PackageID: p.ID, Version: version, State: Present, Stage: Seen,
			PublishedAt: start.Add(-time.Second), FirstSeenAt: start, Integrity: "sha512-" + version})
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

func judge(t *testing.T, s *Store, v Version, level, knowledge string, at time.Time, facts ...Fact) int64 {
	t.Helper()
	var id int64
	update(t, s, func(ctx context.Context, tx *Tx) error {
		var err error
		id, _, err = tx.Judge(ctx, Verdict{VersionID: v.ID, Blob: v.Blob, Level: level, Knowledge: knowledge, At: at,
			Stages: []Stage{{Name: "static", Status: "ran", Took: time.Second}, {Name: "dynamic", Status: "skipped", Reason: "no tier"}}}, []byte(level), facts, time.Second)
		return err
	})
	return id
}

func testMigrations(t *testing.T, s *Store) {
	ctx := t.Context()
	to := func(version int64) {
		t.Helper()
		current, err := s.migrate.GetDBVersion(ctx)
		if err == nil && version < current {
			_, err = s.migrate.DownTo(ctx, version)
		} else if err == nil {
			_, err = s.migrate.UpTo(ctx, version)
		}
		if err != nil {
			t.Fatalf("to schema %d: %v", version, err)
		}
	}
	v := fetched(t, s, announced(t, s, "a"), "1.0.0")
	judge(t, s, v, "clear", "k", start, Fact{"host", "a.invalid"})
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return tx.Sync(ctx, v.PackageID, Document{Blob: "sha512-d", State: "normal", Rev: "1-a", At: start}, map[string]string{"latest": "1.0.0"})
	})
	before := coverage(t, s)
	to(1)
	if _, err := s.write.ExecContext(ctx, `INSERT INTO versions (package_id, version, state, stage, reason, published_at, first_seen_at, tarball, integrity, publisher, install_script)
VALUES ($1, '2.0.0', 'present', 'skipped', 'size', 0, $2, '', '', '', 0)`, v.PackageID, millis(start)); err != nil {
		t.Fatal(err)
	}
	to(2)
	if got, err := s.Version(ctx, "a", "1.0.0"); err != nil || got.Level != "clear" || got.Blob != v.Blob {
		t.Errorf("after down and up: %+v %v", got, err)
	}
	after := coverage(t, s)
	if d := cmp.Diff(append(before.Groups, Group{"skipped", "size", 1}), after.Groups); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before.Levels, after.Levels); d != "" {
		t.Error(d)
	}
	to(0)
	if _, err := s.Package(ctx, "a"); err == nil {
		t.Error("the tables are still there")
	}
	to(2)
	fetched(t, s, announced(t, s, "a"), "1.0.0")
}

func coverage(t *testing.T, s *Store) Coverage {
	t.Helper()
	c, err := s.Coverage(t.Context(), start, start.Add(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return c
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
	if f, err = s.Feed(t.Context(), "feed"); err != nil || f.Cursor != "" || f.Epoch != 1 || !f.Walking {
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

// testSearches compares searches made at random with what they must find.
func testSearches(t *testing.T, s *Store) {
	rnd := rand.New(rand.NewPCG(3, 4))
	levels := []string{"clear", "suspicious", "malicious"}
	type judged struct {
		Hit
		facts []Fact
	}
	var all []judged // newest first
	for i := range 80 {
		name := fmt.Sprintf("p%d", rnd.IntN(5))
		h := Hit{Name: name, Version: fmt.Sprintf("1.%d.0", i), Level: levels[rnd.IntN(3)], At: start.Add(time.Duration(i*20+rnd.IntN(30)) * time.Minute)}
		var facts []Fact
		for range rnd.IntN(4) {
			if f := (Fact{[]string{"api", "host"}[rnd.IntN(2)], fmt.Sprint(rnd.IntN(4))}); !slices.Contains(facts, f) {
				facts = append(facts, f)
			}
		}
		h.Verdict = judge(t, s, fetched(t, s, announced(t, s, name), h.Version), h.Level, "k", h.At, facts...)
		all = slices.Insert(all, 0, judged{h, facts})
	}
	for range 150 {
		q := Search{Limit: 1 + rnd.IntN(60)}
		if rnd.IntN(3) == 0 {
			q.Name = fmt.Sprintf("p%d", rnd.IntN(6))
		}
		if rnd.IntN(2) == 0 {
			q.Level = levels[rnd.IntN(3)]
		}
		for range rnd.IntN(3) {
			q.Facts = append(q.Facts, Fact{[]string{"api", "host"}[rnd.IntN(2)], fmt.Sprint(rnd.IntN(5))})
		}
		if rnd.IntN(2) == 0 {
			q.From = start.Add(time.Duration(rnd.IntN(30)-2) * time.Hour)
		}
		if rnd.IntN(2) == 0 {
			q.Before = start.Add(time.Duration(rnd.IntN(30)) * time.Hour)
		}
		if rnd.IntN(3) == 0 {
			q.OlderThan = all[rnd.IntN(len(all))].Verdict
		}
		var want []Hit
		for _, j := range all {
			ok := (q.Name == "" || j.Name == q.Name) && (q.Level == "" || j.Level == q.Level) && (q.From.IsZero() || !j.At.Before(q.From)) &&
				(q.Before.IsZero() || j.At.Before(q.Before)) && (q.OlderThan == 0 || j.Verdict < q.OlderThan)
			for _, f := range q.Facts {
				ok = ok && slices.Contains(j.facts, f)
			}
			if ok && len(want) < q.Limit {
				want = append(want, j.Hit)
			}
		}
		got, err := s.Search(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%+v: %s", q, d)
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
		v := fetched(t, s, p, fmt.Sprintf("1.0.%d", i))
		judge(t, s, v, "clear", "k", start.Add(time.Duration(i+1)*time.Second))
		judge(t, s, v, "clear", "later", start.Add(time.Hour)) // of the same bytes: nobody waited for it
	}
	v := fetched(t, s, p, "2.0.0")
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.End(ctx, v.ID, Skipped, "size", start) })
	want := Coverage{
		Groups:          []Group{{"judged", "", 20}, {"skipped", "size", 1}},
		Levels:          []Level{{"clear", 20}},
		Outcomes:        []Outcome{{"dynamic", "skipped", 20}, {"static", "ran", 20}},
		FromPublication: Percentiles{20, 11 * time.Second, 20 * time.Second, 21 * time.Second},
		FromSight:       Percentiles{20, 10 * time.Second, 19 * time.Second, 20 * time.Second},
		Took: []Took{{"analyse", Percentiles{20, time.Second, time.Second, time.Second}}, {"fetch", Percentiles{21, time.Second, time.Second, time.Second}},
			{"stage/static", Percentiles{20, time.Second, time.Second, time.Second}}},
	}
	near := cmp.Comparer(func(a, b time.Duration) bool { return a <= b+b/20 && b <= a+a/20 })
	if d := cmp.Diff(want, coverage(t, s), near); d != "" {
		t.Error(d)
	}
	if c, err := s.Coverage(t.Context(), start.AddDate(0, 0, 1), start.AddDate(0, 0, 2)); err != nil || len(c.Groups) != 0 || c.FromSight.N != 0 {
		t.Errorf("another day: %+v %v", c, err)
	}
}

func TestBuckets(t *testing.T) {
	last := int64(-1)
	for _, ms := range []int64{0, 1, 2, 3, 10, 99, 100, 1000, 59_999, 3_600_000, 86_400_000 * 365 * 20} {
		b := bucket(ms)
		if got := longest(b); got < ms || float64(got) > float64(ms)*1.05+1 || b < last {
			t.Errorf("%d ms is in bucket %d, up to %d ms", ms, b, got)
		}
		last = b
	}
}

func testDocuments(t *testing.T, s *Store) {
	p := announced(t, s, "a")
	sync := func(d Document, tags map[string]string) {
		t.Helper()
		d.At = start
		update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Sync(ctx, p.ID, d, tags) })
	}
	first := Document{Blob: "sha512-1", Rev: "1-a", ETag: "x", State: "normal"}
	sync(first, map[string]string{"latest": "1.0.0", "next": "2.0.0"})
	sync(first, map[string]string{"latest": "1.0.0", "next": "2.0.0"})
	sync(Document{Blob: "sha512-2", Rev: "2-b", State: "odd", Problem: "time is a number"}, map[string]string{"latest": "2.0.0"})
	sync(Document{State: "deleted"}, nil)
	docs, err := s.Documents(t.Context(), p.ID)
	if err != nil || len(docs) != 3 || docs[0].Blob != "sha512-1" || docs[1].Problem == "" || docs[2].Blob != "" {
		t.Errorf("documents %+v %v", docs, err)
	}
	history, err := s.TagHistory(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range history {
		got = append(got, h.Tag+" "+h.Version)
	}
	if d := cmp.Diff([]string{"latest 1.0.0", "next 2.0.0", "next ", "latest 2.0.0", "latest "}, got); d != "" {
		t.Error(d)
	}
	if tags, err := s.Tags(t.Context(), p.ID); err != nil || len(tags) != 0 {
		t.Errorf("tags %v %v", tags, err)
	}
	if now, err := s.Package(t.Context(), "a"); err != nil || now.State != "deleted" || !now.SyncedAt.Equal(start) {
		t.Errorf("%+v %v", now, err)
	}
}

func testReplaced(t *testing.T, s *Store) {
	v := fetched(t, s, announced(t, s, "a"), "1.0.0")
	judge(t, s, v, "clear", "k", start)
	update(t, s, func(ctx context.Context, tx *Tx) error {
		return errors.Join(tx.Mismatch(ctx, v.ID, "sha512-odd", 3, start),
			tx.Replace(ctx, v.ID, Version{Integrity: "sha512-new", Tarball: "t", PublishedAt: start}, start))
	})
	now, err := s.Version(t.Context(), "a", "1.0.0")
	if err != nil || now.Stage != Seen || now.Integrity != "sha512-new" || now.Blob != "" || now.Level != "" || !now.JudgedAt.IsZero() {
		t.Errorf("%+v %v", now, err)
	}
	others, err := s.OtherBytes(t.Context(), v.ID)
	if err != nil || len(others) != 2 || others[0].Blob != "sha512-odd" || others[1].Blob != v.Blob || others[1].Integrity != v.Integrity {
		t.Errorf("%+v %v", others, err)
	}
	c := coverage(t, s)
	if d := cmp.Diff([]Group{{"seen", "", 1}}, c.Groups); d != "" || len(c.Levels) != 0 {
		t.Errorf("%s %v", d, c.Levels)
	}
	judgedOld := judge(t, s, v, "malicious", "k2", start) // of the bytes it no longer has
	if now, err = s.Version(t.Context(), "a", "1.0.0"); err != nil || now.VerdictID == judgedOld || now.Stage != Seen {
		t.Errorf("%+v %v", now, err)
	}
}

// keep makes a blob that is kept.
func keep(t *testing.T, s *Store, digest string, at time.Time) Blob {
	t.Helper()
	update(t, s, func(ctx context.Context, tx *Tx) error {
		l, _, err := tx.Write(ctx, digest, 10, at.Add(time.Minute), at)
		if err != nil {
			return err
		}
		return errors.Join(tx.Keep(ctx, l, 7, "zstd", at), tx.Release(ctx, l))
	})
	b, err := s.Blob(t.Context(), digest)
	if err != nil || b.State != Kept {
		t.Fatalf("%+v %v", b, err)
	}
	return b
}

func testBlobs(t *testing.T, s *Store) {
	const digest = "sha512-a"
	keep(t, s, digest, start)
	condemn := func(want bool, at time.Time) (b Blob) {
		t.Helper()
		update(t, s, func(ctx context.Context, tx *Tx) error {
			now, err := s.Blob(ctx, digest)
			if err != nil {
				return err
			}
			var ok bool
			if b, ok, err = tx.Condemn(ctx, now, "age", at); ok != want {
				t.Errorf("condemned: %v, want %v", ok, want)
			}
			return err
		})
		return b
	}
	v := fetched(t, s, announced(t, s, "a"), "1.0.0")
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Fetched(ctx, v.ID, digest, 10, 0, start) })
	condemn(false, start) // not judged yet
	v.Blob = digest
	judge(t, s, v, "clear", "k", start)
	var reader Lease
	update(t, s, func(ctx context.Context, tx *Tx) (err error) {
		reader, _, err = tx.Read(ctx, digest, start.Add(time.Minute))
		return err
	})
	condemn(false, start)
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Release(ctx, reader) })
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Pin(ctx, digest, "analyst", "a paper", start) })
	condemn(false, start)
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Unpin(ctx, digest, "analyst", "published", start) })
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Remove(ctx, v.ID, "version", start) })
	condemn(false, start)
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Restore(ctx, v.ID, start) })
	old := condemn(true, start)

	// A fetch comes while the object is being deleted: it writes another one, and the deletion that ends late takes nothing away.
	var l Lease
	update(t, s, func(ctx context.Context, tx *Tx) error {
		var b Blob
		var err error
		if l, b, err = tx.Write(ctx, digest, 10, start.Add(time.Minute), start); b.Generation != old.Generation+1 || b.State != Writing {
			t.Errorf("written as %+v", b)
		}
		return err
	})
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Collect(ctx, old, start) })
	condemn(false, start)
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Keep(ctx, l, 7, "", start) })
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Damage(t.Context(), old, "an old reading", start) }); err != nil {
		t.Error(err)
	}
	if b, err := s.Blob(t.Context(), digest); err != nil || b.State != Kept {
		t.Errorf("%+v %v", b, err)
	}

	// A writer whose lease has ended learns it.
	again := condemn(true, start.Add(2*time.Minute))
	update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Collect(ctx, again, start) })
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Keep(t.Context(), l, 7, "", start) }); !errors.Is(err, ErrCondemned) {
		t.Errorf("kept too late: %v", err)
	}
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Fetched(t.Context(), v.ID, digest, 10, 0, start) }); !errors.Is(err, ErrCondemned) {
		t.Errorf("needed a tombstone: %v", err)
	}
	if err := s.Update(t.Context(), func(tx *Tx) error { return tx.Pin(t.Context(), digest, "analyst", "", start) }); !errors.Is(err, ErrNotFound) {
		t.Errorf("pinned a tombstone: %v", err)
	}
	history, err := s.BlobHistory(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, h := range history {
		states = append(states, h.State)
	}
	if d := cmp.Diff([]string{Writing, Kept, "pinned", "unpinned", Condemned, Writing, Kept, Condemned, Collected}, states); d != "" {
		t.Error(d)
	}
	keep(t, s, "sha512-b", start)
	update(t, s, func(ctx context.Context, tx *Tx) error {
		b, err := s.Blob(ctx, "sha512-b")
		return errors.Join(err, tx.Damage(ctx, b, "missing", start))
	})
	stock, err := s.Stock(t.Context())
	if d := cmp.Diff([]Stock{{Collected, 1, 7}, {Damaged, 1, 7}}, stock); d != "" || err != nil {
		t.Errorf("%s %v", d, err)
	}
	if u, err := s.Uses(t.Context(), digest, 10); err != nil || len(u) != 1 || u[0] != (Use{"version", "a", "1.0.0", Present, "clear"}) {
		t.Errorf("uses %+v %v", u, err)
	}
	if list, err := s.Unfinished(t.Context(), "", 10); err != nil || len(list) != 1 || list[0].Digest != "sha512-b" {
		t.Errorf("unfinished %+v %v", list, err)
	}
}

// testTallies does things at random and counts again what the sums say.
func testTallies(t *testing.T, s *Store) {
	p := announced(t, s, "a")
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []Version
	for i := range 60 {
		if len(all) == 0 || rnd.IntN(4) == 0 {
			all = append(all, fetched(t, s, p, fmt.Sprintf("1.0.%d", i)))
			continue
		}
		v := all[rnd.IntN(len(all))]
		switch rnd.IntN(5) {
		case 0:
			judge(t, s, v, []string{"clear", "malicious"}[rnd.IntN(2)], fmt.Sprint(i), start)
		case 1:
			update(t, s, func(ctx context.Context, tx *Tx) error { return tx.End(ctx, v.ID, Failed, "fault", start) })
		case 2:
			update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Replace(ctx, v.ID, Version{}, start) })
		case 3:
			update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Fetched(ctx, v.ID, v.Blob, 10, 0, start) })
		case 4:
			now, err := s.Version(t.Context(), "a", v.Version)
			if err == nil && now.VerdictID > 0 {
				update(t, s, func(ctx context.Context, tx *Tx) error { return tx.Withdraw(ctx, now.VerdictID, "me", "wrong", start) })
			}
		}
	}
	count := func(query string) map[string]int64 {
		rows, err := s.read.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		out := map[string]int64{}
		for rows.Next() {
			var name string
			var n int64
			if err := rows.Scan(&name, &n); err != nil {
				t.Fatal(err)
			}
			out[name] = n
		}
		return out
	}
	stages, levels := map[string]int64{}, map[string]int64{}
	c := coverage(t, s)
	for _, g := range c.Groups {
		stages[g.Stage] = g.N
	}
	for _, l := range c.Levels {
		levels[l.Level] = l.N
	}
	if d := cmp.Diff(count("SELECT stage, count(*) FROM versions GROUP BY stage"), stages); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(count("SELECT level, count(*) FROM versions WHERE level <> '' GROUP BY level"), levels); d != "" {
		t.Error(d)
	}
}
