package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker/budget"
	"github.com/donapi/donapi/internal/worker/queue"
)

type integrity = npm.Integrity

// States of a package in the store.
const (
	stateNormal      = "normal"
	stateUnpublished = "unpublished"
	stateHolder      = "security-holder"
	stateDeleted     = "deleted"
	stateWithheld    = "withheld"
	stateOdd         = "odd"
)

// seen is what was found where the document of a package should be.
type seen struct {
	doc   *npm.Packument // nil when there is none, or it did not change
	state string         // "" when the document did not change
	etag  string
	lags  string // why it may not be what the feed announced, or not yet; "" when it is
	tries int    // how often that is worth another look; 0 means as often as there are pauses
	odd   string // why it cannot be understood
}

// sync reads the document of a package and records what changed.
func (w *Worker) sync(ctx context.Context, t *queue.Task) error {
	history := t.Kind == queue.Backfill
	class := budget.Document
	if history {
		class = budget.History
	}
	p, err := w.Store.Package(ctx, t.Package)
	if errors.Is(err, store.ErrNotFound) && history {
		p, err = w.introduce(ctx, t.Package)
	}
	if err != nil {
		return err
	}
	if !history && p.Announced == p.Synced {
		return nil
	}
	if history {
		p.ETag = "" // the whole document is needed, changed or not
	}
	s, err := w.look(budget.With(ctx, class), p, t.Put > 0)
	if err != nil {
		return err
	}
	pause, more := w.lag(t.Put)
	lags := s.lags != "" && more && (s.tries == 0 || t.Put < s.tries)
	wait := lags
	err = w.Store.Update(ctx, func(tx *store.Tx) error {
		wait = lags
		if err := w.record(ctx, tx, p, s, history, lags); err != nil || wait {
			return err
		}
		if err := tx.Settle(ctx, p); err != nil {
			return err
		}
		now, err := tx.Lock(ctx, p.ID)
		if err != nil || now.Announced > p.Announced {
			wait = true // announced again meanwhile
			return err
		}
		return t.Complete(ctx, tx)
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", t.Package, err)
	case lags:
		return queue.Again(pause, s.lags)
	case wait:
		return queue.Wait(0, "announced again")
	}
	return nil
}

// How often a document that is not there, or is odd, is looked at again: it may be on its way, or the page of an intermediary.
const (
	triesMissing = 5
	triesOdd     = 3
)

// introduce records a package that no feed announced.
func (w *Worker) introduce(ctx context.Context, name string) (store.Package, error) {
	if err := w.Store.Update(ctx, func(tx *store.Tx) error { return tx.Introduce(ctx, name, w.now()) }); err != nil {
		return store.Package{}, err
	}
	return w.Store.Package(ctx, name)
}

// look asks the registry for the document of a package. An error means that it does not answer.
func (w *Worker) look(ctx context.Context, p store.Package, fresh bool) (seen, error) {
	if p.Gone && p.AnnouncedRev != "" {
		return seen{state: stateDeleted}, nil // the feed says so
	}
	etag := p.ETag
	if p.State != stateNormal {
		etag = ""
	}
	d, err := w.Registry.Document(ctx, p.Name, etag, fresh)
	var missing *registry.NotFoundError
	var status *registry.StatusError
	switch {
	case errors.As(err, &missing):
		w.Budget.Answered()
		if doc, err := npm.ParsePackument(missing.Body); err == nil && doc.Unpublished {
			return w.understand(p, &registry.Document{Raw: missing.Body}), nil
		}
		s := seen{state: stateDeleted}
		if !p.Gone {
			s.lags, s.tries = "announced, but not there", triesMissing
		}
		return s, nil
	case errors.As(err, &status) && (status.Code == http.StatusUnavailableForLegalReasons || status.Code == http.StatusGone):
		w.Budget.Answered()
		return seen{state: stateWithheld, odd: status.Status}, nil
	case err != nil:
		return seen{}, w.unable(ctx, err)
	}
	w.Budget.Answered()
	if d.NotModified {
		s := seen{etag: p.ETag}
		if npm.RevNumber(p.Rev) < npm.RevNumber(p.AnnouncedRev) {
			s.lags = "the document is older than the feed says"
		}
		return s, nil
	}
	return w.understand(p, d), nil
}

// understand reads a document.
func (w *Worker) understand(p store.Package, d *registry.Document) seen {
	s := seen{etag: d.ETag}
	doc, err := npm.ParsePackument(d.Raw)
	switch {
	case err != nil:
		s.odd = err.Error()
	case doc.Name != "" && doc.Name != p.Name:
		s.odd = fmt.Sprintf("the document is of %.100q", doc.Name)
	case len(doc.Versions) == 0 && !doc.Unpublished && len(doc.Time) == 0:
		s.odd = "the document has neither versions nor times"
	}
	if s.odd != "" {
		s.state, s.lags, s.tries = stateOdd, "the document cannot be understood: "+s.odd, triesOdd
		return s
	}
	s.doc, s.state = doc, stateNormal
	if len(doc.Problems) > 0 {
		s.odd = strings.Join(doc.Problems[:min(len(doc.Problems), 10)], "; ")
	}
	switch {
	case doc.SecurityHolder():
		s.state = stateHolder
	case len(doc.Versions) == 0:
		s.state = stateUnpublished
	}
	if doc.Rev != "" && npm.RevNumber(doc.Rev) < npm.RevNumber(p.AnnouncedRev) {
		s.lags = "the document is older than the feed says"
	}
	return s
}

// record brings the store to what was seen.
func (w *Worker) record(ctx context.Context, tx *store.Tx, p store.Package, s seen, history, lags bool) error {
	at := w.now()
	now, err := tx.Lock(ctx, p.ID)
	if err != nil {
		return err
	}
	if s.state == "" && !history {
		return nil // not modified
	}
	if s.doc != nil && s.doc.Rev != "" && npm.RevNumber(s.doc.Rev) < npm.RevNumber(now.Rev) && s.lags != "" {
		return nil // another process has recorded a newer one
	}
	if lags && (s.state == stateDeleted || s.state == stateOdd) {
		return nil // it is looked at again before that is believed
	}
	d := store.Document{Rev: now.Rev, ETag: s.etag, State: s.state, Problem: clip(s.odd), At: at}
	tags, err := tx.Tags(ctx, p.ID)
	if err != nil {
		return err
	}
	if s.state == stateOdd {
		d.ETag = ""
		return tx.Sync(ctx, p.ID, d, tags) // what is known of it stays
	}
	if s.doc != nil {
		d.Rev = s.doc.Rev
	}
	if s.state != stateWithheld {
		tags = nil
		if s.doc != nil {
			tags = s.doc.Tags
		}
	}
	if err := tx.Sync(ctx, p.ID, d, tags); err != nil {
		return err
	}
	known, err := tx.Versions(ctx, p.ID)
	if err != nil {
		return err
	}
	return w.versions(ctx, tx, p, s, known, history, at)
}

func clip(s string) string { return s[:min(len(s), 1000)] }

// removals by the state of the package.
var removals = map[string]string{stateNormal: "version", stateUnpublished: "unpublished", stateHolder: "security-holder", stateDeleted: "deleted", stateWithheld: "withheld"}

// versions records which versions came, went, or changed.
func (w *Worker) versions(ctx context.Context, tx *store.Tx, p store.Package, s seen, list []store.Version, history bool, at time.Time) error {
	started, err := w.started(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]store.Version, len(list))
	for _, v := range list {
		known[v.Version] = v
	}
	var jobs []queue.Job
	var present map[string]npm.PackumentVersion
	var times map[string]string
	if s.doc != nil {
		present, times = s.doc.Versions, s.doc.Time
	}
	for _, k := range slices.Sorted(maps.Keys(present)) {
		v := present[k]
		if !validVersion(k) {
			continue
		}
		next := store.Version{PackageID: p.ID, Version: k, State: store.Present, Stage: store.Seen, PublishedAt: parseTime(times[k]), FirstSeenAt: at,
			Tarball: v.Dist.Tarball, Integrity: string(v.Dist.Sum()), Publisher: clip(v.Publisher), InstallScript: installs(v)}
		old, is := known[k]
		if is {
			if old.State == store.Removed {
				if err := tx.Restore(ctx, old.ID, at); err != nil {
					return err
				}
			}
			switch {
			case next.Integrity != "" && old.Integrity != "" && next.Integrity != old.Integrity:
				if err := tx.Replace(ctx, old.ID, next, at); err != nil {
					return err
				}
				jobs = append(jobs, queue.Job{Kind: queue.Fetch, Version: old.ID, Priority: queue.Urgent})
			case next.Tarball != "" && (history && old.Stage == store.Skipped || old.State == store.Removed && old.Stage == store.Lost):
				if err := tx.Reopen(ctx, old.ID, next, at); err != nil {
					return err
				}
				jobs = append(jobs, queue.Job{Kind: queue.Fetch, Version: old.ID, Priority: queue.History, Later: history})
			}
			continue
		}
		switch {
		case s.state == stateHolder:
			next.Stage, next.Reason = store.Skipped, "the registry's security holder"
		case v.Dist.Tarball == "":
			next.Stage, next.Reason = store.Lost, "the document names no tarball"
		case !history && !next.PublishedAt.IsZero() && next.PublishedAt.Before(started):
			next.Stage, next.Reason = store.Skipped, "published before the feed was followed"
		}
		row, fresh, err := tx.See(ctx, next)
		if err != nil {
			return err
		}
		if fresh && row.Stage == store.Seen {
			j := queue.Job{Kind: queue.Fetch, Version: row.ID, Priority: queue.Normal, Later: history}
			switch {
			case history:
				j.Priority = queue.History
			case next.InstallScript:
				j.Priority = queue.Urgent
			case next.PublishedAt.IsZero() && !slices.Contains(slices.Collect(maps.Values(s.doc.Tags)), k):
				j.Priority = queue.Idle // a mirror that does not tell what is new
			}
			jobs = append(jobs, j)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if _, is := present[k]; !is && known[k].State != store.Removed {
			if err := tx.Remove(ctx, known[k].ID, removals[s.state], at); err != nil {
				return err
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(times)) {
		_, is := present[k]
		_, was := known[k]
		published := parseTime(times[k])
		if is || was || !validVersion(k) || published.Before(started) {
			continue
		}
		if _, _, err := tx.See(ctx, store.Version{PackageID: p.ID, Version: k, State: store.Removed, Stage: store.Lost, Reason: "removed before it was seen", Removal: "unseen",
			PublishedAt: published, FirstSeenAt: at, RemovedAt: at}); err != nil {
			return err
		}
	}
	return w.Jobs.Add(ctx, tx, jobs...)
}

// started is when the feed began to be followed; zero when nothing is history.
func (w *Worker) started(ctx context.Context) (time.Time, error) {
	if w.Feed == "" {
		return time.Time{}, nil
	}
	f, err := w.Store.Feed(ctx, w.Feed)
	if errors.Is(err, store.ErrNotFound) {
		return time.Time{}, nil
	}
	return f.StartedAt, err
}

// validVersion reports a key of versions or time that can be a version.
func validVersion(k string) bool {
	return k != "" && len(k) <= 256 && k[0] >= '0' && k[0] <= '9' && strings.Count(k, ".") >= 2 && strings.IndexFunc(k, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// parseTime reads a time of a document; zero when it is none.
func parseTime(s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Before(time.UnixMilli(1)) {
		return time.Time{}
	}
	return at.UTC()
}

// installs reports a version that runs code when it is installed.
func installs(v npm.PackumentVersion) bool {
	if v.HasInstallScript {
		return true
	}
	if !bytes.Contains(v.Raw, []byte("install")) && !bytes.Contains(v.Raw, []byte("gypfile")) {
		return false
	}
	m := npm.ParseManifest(v.Raw)
	return m.Script("preinstall")+m.Script("install")+m.Script("postinstall") != "" || bytes.Contains(v.Raw, []byte(`"gypfile":true`))
}
