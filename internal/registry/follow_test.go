package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/donapi/donapi/internal/npm"
	"github.com/donapi/donapi/internal/registry"
	"github.com/donapi/donapi/internal/registry/registrytest"
)

// follower is the least that follows a feed and loses nothing: what it knows of each package, and where it stands.
type follower struct {
	c        *registry.Client
	cursor   npm.Cursor
	versions map[string][]string
	behind   map[string]npm.Change // documents older than the feed says
}

// step reads one page; done means that there was nothing new.
func (f *follower) step(ctx context.Context) (done bool, err error) {
	now, err := f.c.FeedStatus(ctx)
	if err != nil {
		return false, err
	}
	x, _ := now.Number()
	if y, ok := f.cursor.Number(); ok && x < y {
		f.cursor = "" // numbered anew
	}
	p, err := f.c.Changes(ctx, f.cursor, 7)
	if err != nil {
		return false, err
	}
	todo := map[string]npm.Change{}
	for _, c := range p.Changes {
		todo[c.Name] = c
	}
	for n, c := range f.behind {
		if _, newer := todo[n]; !newer {
			todo[n] = c
		}
	}
	for n, c := range todo {
		if err := f.sync(ctx, n, c); err != nil {
			return false, err
		}
	}
	done = p.Last == f.cursor && len(f.behind) == 0
	f.cursor = p.Last
	return done, nil
}

func (f *follower) sync(ctx context.Context, name string, c npm.Change) error {
	d, err := f.c.Document(ctx, name, "", true)
	var nf *registry.NotFoundError
	if errors.As(err, &nf) {
		delete(f.versions, name)
		if delete(f.behind, name); !c.Deleted {
			f.behind[name] = c // announced before it can be read
		}
		return nil
	}
	if err != nil {
		return err
	}
	p, err := npm.ParsePackument(d.Raw)
	if err != nil {
		return err
	}
	if npm.RevNumber(p.Rev) < npm.RevNumber(c.Rev) {
		f.behind[name] = c
		return nil
	}
	delete(f.behind, name) // only now: what failed is tried again
	var vs []string
	for v := range p.Versions {
		vs = append(vs, v)
	}
	slices.Sort(vs)
	if f.versions[name] = vs; len(vs) == 0 {
		delete(f.versions, name)
	}
	return nil
}

// TestFollowing lets owners and the registry do things at random while answers fail and lag, and asks that in the end the follower
// knows what the registry has.
func TestFollowing(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		r := start(t)
		c := client(t, "registry="+r.URL)
		f := &follower{c: c, versions: map[string][]string{}, behind: map[string]npm.Change{}}
		r.SetShape(registrytest.Shape{LagReads: rnd.IntN(3), Duplicates: rnd.IntN(2) == 0, Shuffled: rnd.IntN(2) == 0, StringSeq: rnd.IntN(2) == 0, MaxPage: rnd.IntN(2) * 3})
		chance := rand.New(rand.NewPCG(seed, 2))
		r.OnRequest(func(registrytest.Request) *registrytest.Fault {
			faults := []*registrytest.Fault{{Status: 429, RetryAfter: "0"}, {Status: 503}, {Status: 522}, {HangUp: true}, {Truncate: true}, {Body: []byte("<html>")}}
			if n := chance.IntN(40); n < len(faults) {
				return faults[n]
			}
			return nil
		})
		ctx := context.Background()
		base := int64(1_000_000)
		r.Gap(base)
		for i := range 80 {
			name := fmt.Sprintf("p%d", rnd.IntN(6))
			switch rnd.IntN(14) {
			case 0:
				r.UnpublishAll(name)
			case 1:
				r.Takedown(name)
			case 2:
				r.Delete(name)
			case 3:
				if vs := r.Versions(name); len(vs) > 0 {
					r.Unpublish(name, vs[rnd.IntN(len(vs))])
				}
			case 4:
				r.Touch(name)
			case 5:
				r.Gap(rnd.Int64N(50))
			case 6:
				odd := registrytest.OddEntries()
				r.OddEntry(odd[rnd.IntN(len(odd))])
			case 7:
				base -= 10_000 // lower than any cursor, as it was in 2025
				r.Reset(base)
			default:
				publish(t, r, registrytest.Package{Name: name, Version: fmt.Sprintf("1.0.%d", i)})
			}
			if rnd.IntN(3) == 0 {
				f.step(ctx) // an error is passed over: the cursor stands where it stood
			}
		}
		for range 200 {
			if done, err := f.step(ctx); err == nil && done {
				break
			}
		}
		want := map[string][]string{}
		for _, n := range r.Names() {
			if vs := r.Versions(n); len(vs) > 0 {
				want[n] = vs
			}
		}
		if d := cmp.Diff(want, f.versions); d != "" {
			t.Errorf("seed %d: registry (-) and follower (+): %s", seed, d)
		}
	}
}
