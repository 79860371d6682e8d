// Package budget keeps requests to a registry within what is decent: so many a second, so many a month, and none while the registry
// asks to be left alone or fails. What matters more goes first when they get scarce.
package budget

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/donapi/donapi/internal/store"
)

// Class of a request. The zero value is the change feed, and each later one has to leave more for those before it.
type Class int

// Classes of requests.
const (
	Feed     Class = iota
	Tarball        // of a new version: it may be gone tomorrow
	Document       // of a package
	History        // backfill
	classes
)

type classKey struct{}

// With says what the requests made in a context are for.
func With(ctx context.Context, c Class) context.Context { return context.WithValue(ctx, classKey{}, c) }

func classOf(ctx context.Context) Class {
	c, _ := ctx.Value(classKey{}).(Class)
	return c
}

// Exhausted says that a request has to wait.
type Exhausted struct {
	Wait time.Duration
	Why  string
}

func (e *Exhausted) Error() string {
	return fmt.Sprintf("no request for %s: %s", e.Wait.Round(time.Second), e.Why)
}

// Budget of one process. It is safe for concurrent use.
type Budget struct {
	c Config

	mu     sync.Mutex
	due    time.Time // when the bucket is full again; the bucket is a clock, GCRA
	paused time.Time
	why    string
	fails  int
	paid   map[string]int64 // requests taken from the store and not made yet
}

// Config of a budget.
type Config struct {
	Store   *store.Store
	Rate    float64       // requests a second; 0 for no limit
	Burst   int           // requests at once; 0 means 20
	Monthly int64         // requests a month to one host, by all processes on the store; 0 for no limit
	Patient time.Duration // how long a request may wait in place; longer waits are an error. 0 means 2 s
	Floor   time.Duration // the least pause after the registry asks for one; 0 means a minute
	Now     func() time.Time
}

// block is how many requests are taken from the store at a time: what a killed process has not used is lost.
const block = 10

// New makes a budget.
func New(c Config) *Budget {
	if c.Burst <= 0 {
		c.Burst = 20
	}
	if c.Patient == 0 {
		c.Patient = 2 * time.Second
	}
	if c.Floor == 0 {
		c.Floor = time.Minute
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Budget{c: c, paid: map[string]int64{}}
}

// Permit waits until a request may be made, or gives an *Exhausted. It is for registry.Client.
func (b *Budget) Permit(ctx context.Context, u *url.URL) error {
	class := classOf(ctx)
	for {
		wait, why := b.take(class)
		if wait <= 0 {
			break
		}
		if wait > b.c.Patient {
			return &Exhausted{wait, why}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
	return b.pay(ctx, u.Host, class)
}

// take takes a request from the bucket, or says how long it is until that can be tried again.
func (b *Budget) take(class Class) (time.Duration, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	if wait := b.paused.Sub(now); wait > 0 {
		return wait, b.why
	}
	if b.c.Rate <= 0 {
		return 0, ""
	}
	each := time.Duration(float64(time.Second) / b.c.Rate)
	if b.due.Before(now) {
		b.due = now
	}
	// A class may use the part of the burst that it need not leave to those before it.
	room := each * time.Duration(b.c.Burst) * time.Duration(classes-class) / time.Duration(classes)
	if wait := b.due.Add(each).Sub(now) - max(room, each); wait > 0 {
		return wait, "requests are limited to a rate"
	}
	b.due = b.due.Add(each)
	return 0, ""
}

// historyShare of a month's budget is what history may use up, percent.
const historyShare = 80

// pay takes a request from the month's.
func (b *Budget) pay(ctx context.Context, host string, class Class) error {
	if b.c.Monthly <= 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paid[host] > 0 && class != History {
		b.paid[host]--
		return nil
	}
	now := b.c.Now()
	monthly, n := b.c.Monthly, int64(block)
	if class == History {
		monthly, n = monthly*historyShare/100, 1
	}
	var ok bool
	for ; ; n = 1 {
		if err := b.c.Store.Update(ctx, func(tx *store.Tx) (err error) {
			ok, err = tx.SpendMany(ctx, host, monthly, n, now)
			return err
		}); err != nil {
			return err
		}
		if ok || n == 1 {
			break
		}
	}
	if !ok {
		next := time.Date(now.UTC().Year(), now.UTC().Month()+1, 1, 0, 0, 0, 0, time.UTC)
		return &Exhausted{min(next.Sub(now), time.Hour), fmt.Sprintf("the %d requests a month to %s are used up", b.c.Monthly, host)}
	}
	if class != History {
		b.paid[host] += n - 1
	}
	return nil
}

// Refused tells that the registry asked to be left alone, or fails: nothing is asked for a while, longer each time in a row.
func (b *Budget) Refused(after time.Duration, why string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.c.Now()
	if b.paused.After(now) {
		return // what was under way when the pause began
	}
	b.fails++
	pause := max(after, min(b.c.Floor<<min(b.fails-1, 6), max(15*time.Minute, b.c.Floor)))
	b.paused, b.why = now.Add(pause), why
}

// Answered tells that the registry answers.
func (b *Budget) Answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = 0
}

// Paused says until when nothing is asked, and why; the time is zero when it may be.
func (b *Budget) Paused() (time.Time, string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.paused.After(b.c.Now()) {
		return b.paused, b.why
	}
	return time.Time{}, ""
}
