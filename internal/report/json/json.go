// Package json writes verdicts as JSON Lines: one object a package, as docs/report.schema.json describes.
package json

import (
	"encoding/json"
	"io"

	"github.com/donapi/donapi/internal/report"
)

// Writer is the handler.
type Writer struct{ enc *json.Encoder }

// New makes a writer.
func New(w io.Writer) *Writer {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return &Writer{e}
}

// Verdict writes one line.
func (w *Writer) Verdict(v *report.Verdict) error { return w.enc.Encode(v) }

// Close has nothing to do.
func (w *Writer) Close() error { return nil }
