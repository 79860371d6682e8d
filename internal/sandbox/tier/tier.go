// Package tier chooses how strangers' code is isolated, by doing it: a tier counts when its box has run a self-test that tries to break
// out, and every attempt failed and every act was seen. What is installed or configured proves nothing, because a user namespace may be
// made and then be worth nothing, and a device may be there and not work.
//
// Nothing here ever settles for less than was asked: a weaker tier is used only where the caller has said so, and where no tier will do
// there is an error and nothing runs.
package tier

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/donapi/donapi/internal/sandbox"
)

// Maker makes the box of one tier.
type Maker struct {
	Tier sandbox.Tier
	// New returns the box, or a *sandbox.Unavailable that says what is missing.
	New func(context.Context) (sandbox.Box, error)
}

// Wish is what a caller asks for.
type Wish struct {
	// Tier is the tier to use, sandbox.Namespaces by default.
	Tier sandbox.Tier
	// Weaker allows the container tier where Tier does not work. It is for use inside a container, which is a box already.
	Weaker bool
	// Target is the file or folder whose code will run, empty for none of this machine. A file LiveMarker in it, or in any folder above,
	// says that the code is known to be live malware: then the strong tier runs it or nothing does.
	Target string
}

// RefusedError says that no tier is both good enough and working.
type RefusedError struct {
	Live   string  // the marker that asks for the strong tier, empty for none
	Failed []error // of each tier that would have done, in the order tried
	// CouldWeaker says that Wish.Weaker would let another tier be tried.
	CouldWeaker bool
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("nothing is executed: ")
	if e.Live != "" {
		fmt.Fprintf(&b, "%s marks live malware, which the strong tier alone may run: ", e.Live)
	}
	for i, f := range e.Failed {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Error())
	}
	return b.String()
}

func (e *RefusedError) Unwrap() []error { return e.Failed }

// Fix is one line that would mend the first tier that failed, empty when there is none.
func (e *RefusedError) Fix() string {
	for _, f := range e.Failed {
		var u *sandbox.Unavailable
		if errors.As(f, &u) && u.Fix != "" {
			return u.Fix
		}
	}
	return ""
}

// Choose returns a box that has passed the self-test just now and is at least as strong as wished. The error is a *RefusedError where
// there is none, and nothing may be executed then.
func Choose(ctx context.Context, w Wish, makers []Maker) (sandbox.Box, error) {
	tiers, live, err := acceptable(w)
	if err != nil {
		return nil, err
	}
	refused := &RefusedError{Live: live, CouldWeaker: live == "" && !w.Weaker && tiers[0] == sandbox.Namespaces}
	for _, t := range tiers {
		b, err := try(ctx, t, makers)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		refused.Failed = append(refused.Failed, err)
	}
	return nil, refused
}

// acceptable returns the tiers that a wish is content with, in the order to try them.
func acceptable(w Wish) (tiers []sandbox.Tier, live string, err error) {
	if w.Target != "" {
		live, err = Live(w.Target)
		if err != nil {
			return nil, "", fmt.Errorf("nothing is executed: whether %s is marked as live malware cannot be told: %w", w.Target, err)
		}
	}
	switch {
	case live != "" || w.Tier == sandbox.Strong:
		// Weaker is not for those who ask for the strongest.
		return []sandbox.Tier{sandbox.Strong}, live, nil
	case w.Tier == sandbox.Container:
		return []sandbox.Tier{sandbox.Container}, "", nil
	case w.Tier != "" && w.Tier != sandbox.Namespaces:
		return nil, "", fmt.Errorf("unknown tier of isolation %q: want strong, namespaces or container", w.Tier)
	case w.Weaker:
		return []sandbox.Tier{sandbox.Namespaces, sandbox.Container}, "", nil
	}
	return []sandbox.Tier{sandbox.Namespaces}, "", nil
}

var errUnsupported = errors.New("the tier is not built in")

// try makes the box of a tier and tests it.
func try(ctx context.Context, t sandbox.Tier, makers []Maker) (sandbox.Box, error) {
	for _, m := range makers {
		if m.Tier != t {
			continue
		}
		b, err := m.New(ctx)
		if err == nil {
			if b.Tier() != t {
				return nil, &sandbox.Unavailable{Tier: t, Missing: fmt.Sprintf("its box calls itself %s", b.Tier())}
			}
			err = Test(ctx, b)
		}
		if err == nil {
			return b, nil
		}
		var u *sandbox.Unavailable
		if !errors.As(err, &u) {
			err = &sandbox.Unavailable{Tier: t, Missing: "a box that works", Err: err}
		}
		return nil, err
	}
	return nil, &sandbox.Unavailable{Tier: t, Missing: "support in this build of donapi", Err: errUnsupported}
}
