package json

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile("../../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func line(t *testing.T, v *report.Verdict) string {
	t.Helper()
	var b bytes.Buffer
	w := New(&b)
	if err := w.Verdict(v); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Count(b.String(), "\n") != 1 {
		t.Errorf("not one line: %q", b.String())
	}
	return b.String()
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

// full is a verdict in which every field has a value, so that every name is in the schema.
func full() *report.Verdict {
	feature := report.Feature{Name: "n", Value: 1.5, Added: -2}
	return &report.Verdict{SchemaVersion: report.SchemaVersion, Target: "a@1.0.0", Scanner: "donapi 1", Knowledge: "k", Name: "a", Version: "1.0.0", Integrity: "sha512-AA==", Level: report.Malicious, Why: "why <b>",
		Preliminary: report.Obfuscated, Categories: []string{"M1", "M11"}, Features: []report.Feature{feature},
		Findings: []report.Finding{{ID: "M1/x", Title: "t", Category: "M1", Severity: report.Critical, Confidence: report.ByFlow, Phase: callseq.PhaseInstall, Tags: []string{"T1"}, Score: 0.5, Features: []report.Feature{feature},
			Evidence: []report.Evidence{{File: "a.js", Line: 1, Col: 2, Layer: "eval", API: "fs.readFile", Call: 3, To: "h.invalid", Text: "\x1b\u2028", Types: []string{"FILE_READ"}, From: []callseq.ID{1, 2}}}}},
		Coverage: report.Coverage{Files: 1, Bytes: 2, Modules: 3, Entries: 4, Calls: 5, Layers: 6, Outcomes: []report.Outcome{{Stage: "static", Status: report.Partial, Reason: "r", Unseen: []string{"x"}, Reached: true}}}}
}

func TestSchema(t *testing.T) {
	s := schema(t)
	v := full()
	if err := validate(t, s, line(t, v)); err != nil {
		t.Error(err)
	}
	if err := validate(t, s, line(t, &report.Verdict{SchemaVersion: 1, Target: "x", Scanner: "donapi 1", Knowledge: "k", Error: "e", Preliminary: report.Normal})); err != nil {
		t.Errorf("a failure: %v", err)
	}
	for _, p := range callseq.Phases {
		v.Findings[0].Phase = p
		if err := validate(t, s, line(t, v)); err != nil {
			t.Errorf("phase %s: %v", p, err)
		}
	}
	for _, st := range []report.Status{report.Ran, report.Skipped, report.Failed, report.Partial} {
		v.Coverage.Outcomes[0].Status = st
		if err := validate(t, s, line(t, v)); err != nil {
			t.Errorf("status %s: %v", st, err)
		}
	}
}

// TestSchemaNamesEveryField fails when a field is added to the vocabulary and not to full and the schema.
func TestSchemaNamesEveryField(t *testing.T) {
	v := full()
	v.Error = "e"
	unset := map[string]bool{}
	var walk func(reflect.Value, string)
	walk = func(x reflect.Value, at string) {
		switch x.Kind() {
		case reflect.Pointer:
			walk(x.Elem(), at)
		case reflect.Slice:
			if x.Len() == 0 {
				unset[at] = true
			} else {
				walk(x.Index(0), at)
			}
		case reflect.Struct:
			for i := range x.NumField() {
				if tag := x.Type().Field(i).Tag.Get("json"); tag != "-" {
					walk(x.Field(i), at+"."+x.Type().Field(i).Name)
				}
			}
		default:
			if x.IsZero() {
				unset[at] = true
			}
		}
	}
	walk(reflect.ValueOf(v), "")
	for f := range unset {
		t.Errorf("%s is not set in full()", f)
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := schema(t)
	for name, change := range map[string]func(map[string]any){
		"another field":     func(m map[string]any) { m["extra"] = 1 },
		"no level":          func(m map[string]any) { delete(m, "level") },
		"unknown level":     func(m map[string]any) { m["level"] = "benign" },
		"null findings":     func(m map[string]any) { m["findings"] = nil },
		"clear with error":  func(m map[string]any) { m["error"], m["findings"], m["level"] = "e", []any{}, "clear" },
		"another version":   func(m map[string]any) { m["schemaVersion"] = 2 },
		"unknown category":  func(m map[string]any) { m["categories"] = []any{"M12"} },
		"negative coverage": func(m map[string]any) { m["coverage"].(map[string]any)["files"] = -1 },
	} {
		var m map[string]any
		if err := json.Unmarshal([]byte(line(t, full())), &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		text, _ := json.Marshal(m)
		if validate(t, s, string(text)) == nil {
			t.Errorf("%s is valid", name)
		}
	}
}
