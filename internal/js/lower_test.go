package js

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write testdata/lower anew")

// TestLower holds the intermediate form of each file in testdata/lower/*.txtar to the one written beside it, as FILE.ir. A change of the
// parser or of lowering shows as a difference; go test ./internal/js -run Lower -update writes the files anew, and their diff is the
// review.
func TestLower(t *testing.T) {
	files, err := filepath.Glob("testdata/lower/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			var sources []txtar.File
			for _, f := range ar.Files {
				if name, ok := strings.CutSuffix(f.Name, ".ir"); ok {
					want[name] = string(f.Data)
				} else {
					sources = append(sources, f)
				}
			}
			ar.Files = nil
			for _, f := range sources {
				got := form(f.Name, string(f.Data))
				if !*update && got != want[f.Name] {
					t.Errorf("%s: the form changed (-want +got); -update writes it anew\n%s", f.Name, cmp.Diff(want[f.Name], got))
				}
				ar.Files = append(ar.Files, f, txtar.File{Name: f.Name + ".ir", Data: []byte(got)})
			}
			if *update {
				if err := os.WriteFile(file, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// form writes a source text's intermediate form: one node a line, with its offset, what it holds indented below it. Fields of the zero
// value are left out.
func form(name, src string) string {
	u, err := Parse(name, src, Options{})
	if err != nil {
		return fmt.Sprintf("error: %v\n", err)
	}
	var p formPrinter
	kind := "commonjs"
	if u.ESM {
		kind = "esm"
	}
	if u.TLA {
		kind += " top-level-await"
	}
	p.line(0, fmt.Sprintf("Unit %s %s", kind, u.Loader))
	p.node(1, "Body", reflect.ValueOf(u.Body))
	p.list(1, "Imports", reflect.ValueOf(u.Imports))
	p.list(1, "Exports", reflect.ValueOf(u.Exports))
	p.line(1, fmt.Sprintf("Globals %q", u.Globals)) // of the functions too, which are lowered by now
	p.line(1, fmt.Sprintf("Calls %q", u.Calls))
	return p.String()
}

type formPrinter struct{ strings.Builder }

func (p *formPrinter) line(depth int, text string) {
	p.WriteString(strings.Repeat("  ", depth))
	p.WriteString(text)
	p.WriteByte('\n')
}

// node writes one value under a label: structs with their scalar fields on the line and the others below.
func (p *formPrinter) node(depth int, label string, v reflect.Value) {
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer {
		if v.IsNil() {
			p.line(depth, label+" nil")
			return
		}
		if f, ok := v.Interface().(*Func); ok {
			p.function(depth, label, f)
			return
		}
		v = v.Elem()
	}
	head := label
	if label != "" {
		head += " "
	}
	head += v.Type().Name()
	type child struct {
		name string
		v    reflect.Value
	}
	var children []child
	for i := range v.NumField() {
		f, fv := v.Type().Field(i), v.Field(i)
		if !f.IsExported() || fv.IsZero() && f.Name != "At" && f.Name != "Ref" {
			continue
		}
		switch {
		case f.Name == "At":
			head += "@" + fmt.Sprint(fv.Int())
		case f.Name == "Ref":
			head += fmt.Sprintf(" hops=%d slot=%d", fv.Field(0).Int(), fv.Field(1).Int())
		case f.Name == "Own":
			head += fmt.Sprintf(" own=%d-%d", fv.Field(0).Int(), fv.Field(1).Int())
		default:
			switch s := fv.Interface().(type) {
			case string:
				head += " " + f.Name + "=" + strconv.QuoteToASCII(s)
			case []string:
				head += fmt.Sprintf(" %s=%+q", f.Name, s)
			case *Scope:
				head += fmt.Sprintf(" %s=%q", f.Name, s.Names)
			case fmt.Stringer:
				head += " " + s.String()
			case bool:
				head += " " + strings.ToLower(f.Name)
			default:
				switch fv.Kind() {
				case reflect.Int, reflect.Int32, reflect.Uint8, reflect.Float64:
					head += fmt.Sprintf(" %s=%v", f.Name, fv)
				default:
					children = append(children, child{f.Name, fv})
				}
			}
		}
	}
	p.line(depth, head)
	for _, c := range children {
		if c.v.Kind() == reflect.Slice {
			p.list(depth+1, c.name, c.v)
		} else if c.name == "Block" && v.Type() == reflect.TypeFor[BlockStmt]() {
			p.node(depth+1, "", c.v)
		} else {
			p.node(depth+1, c.name, c.v)
		}
	}
}

func (p *formPrinter) list(depth int, label string, v reflect.Value) {
	for i := range v.Len() {
		p.node(depth, fmt.Sprintf("%s[%d]", label, i), v.Index(i))
	}
}

// function writes a function and its code, which may be lowered by it.
func (p *formPrinter) function(depth int, label string, f *Func) {
	head := fmt.Sprintf("%s Func %s %d-%d length=%d", label, strconv.QuoteToASCII(f.Name), f.Start, f.End, f.Length)
	for _, x := range []struct {
		name string
		set  bool
	}{{"arrow", f.Arrow}, {"async", f.Async}, {"generator", f.Generator}, {"method", f.Method}, {"getter", f.Getter}, {"setter", f.Setter}} {
		if x.set {
			head += " " + x.name
		}
	}
	c := f.Code()
	head += fmt.Sprintf(" slots=%q", c.Scope.Names)
	if c.Self >= 0 {
		head += fmt.Sprintf(" self=%d", c.Self)
	}
	if c.Arguments >= 0 {
		head += fmt.Sprintf(" arguments=%d", c.Arguments)
	}
	for _, x := range []struct {
		name string
		set  bool
	}{{"rest", c.Rest}, {"strict", c.Strict}, {"eval", c.Eval}} {
		if x.set {
			head += " " + x.name
		}
	}
	p.line(depth, head)
	p.list(depth+1, "Params", reflect.ValueOf(c.Params))
	p.node(depth+1, "", reflect.ValueOf(c.Body))
}
