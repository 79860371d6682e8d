package worker

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/scan"
	"github.com/donapi/donapi/internal/store"
	"github.com/donapi/donapi/internal/worker/queue"
)

// profile names what was done to reach a verdict.
const profileStatic = "static"

// static analyses a version and judges it.
func (w *Worker) static(ctx context.Context, t *queue.Task) error {
	v, err := w.Store.VersionByID(ctx, t.Version)
	if err != nil {
		return err
	}
	if v.Blob == "" {
		return nil // replaced meanwhile: the job that fetches it adds another of these
	}
	p, err := w.Store.PackageByID(ctx, v.PackageID)
	if err != nil {
		return err
	}
	what := subject(p.Name, v.Version)
	data, err := w.Blobs.Get(ctx, v.Blob)
	if err != nil {
		return w.failed(ctx, t, what, fmt.Errorf("its bytes cannot be read: %w", err))
	}
	begin := time.Now()
	verdict, err := w.Scanner.Scan(ctx, scan.Subject{Target: what, Tarball: data})
	if err != nil {
		return w.failed(ctx, t, what, err)
	}
	took := time.Since(begin)
	text, err := compress(verdict)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fresh := false
	err = w.Store.Update(ctx, func(tx *store.Tx) (err error) {
		_, fresh, err = tx.Judge(ctx, store.Verdict{VersionID: v.ID, Blob: v.Blob, Profile: profileStatic, Scanner: verdict.Scanner, Knowledge: verdict.Knowledge,
			Level: verdict.Level.String(), Preliminary: string(verdict.Preliminary), Categories: strings.Join(verdict.Categories, " "), Why: clip(verdict.Why), At: w.now(), Stages: stages(verdict)},
			text, facts(verdict), took)
		return err
	})
	if err == nil && fresh && verdict.Level >= report.Suspicious {
		w.Log.Warn("verdict", "version", what, "level", verdict.Level.String(), "why", verdict.Why)
	}
	return err
}

// failed is of an analysis that went wrong by a fault of ours. After the last attempt the version is recorded as failed, and the job
// is a dead letter.
func (w *Worker) failed(ctx context.Context, t *queue.Task, what string, err error) error {
	err = fmt.Errorf("%s: %w", what, err)
	if t.Last && ctx.Err() == nil {
		if e := w.end(ctx, t.Version, store.Failed, "the analysis failed again and again"); e != nil {
			return e
		}
	}
	return err
}

// stages are what became of the stages, in order.
func stages(v *report.Verdict) []store.Stage {
	out := make([]store.Stage, len(v.Coverage.Outcomes))
	for i, o := range v.Coverage.Outcomes {
		out[i] = store.Stage{Name: o.Stage, Status: string(o.Status), Reason: o.Reason}
	}
	return out
}

func compress(v *report.Verdict) ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(v); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxFacts bounds what one verdict can be found by.
const maxFacts = 500

// facts are what a verdict can be found by, sorted.
func facts(v *report.Verdict) []store.Fact {
	set := map[store.Fact]bool{}
	add := func(kind, value string) {
		if value != "" && len(value) <= 300 {
			set[store.Fact{Kind: kind, Value: value}] = true
		}
	}
	for _, c := range v.Categories {
		add("category", c)
	}
	for _, f := range v.Findings {
		add("behaviour", f.ID)
		for _, e := range f.Evidence {
			add("api", e.API)
			add("host", e.To)
		}
	}
	out := make([]store.Fact, 0, len(set))
	for f := range set {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b store.Fact) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value)) })
	return out[:min(len(out), maxFacts)]
}
