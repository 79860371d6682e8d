package obfuscation

import (
	"fmt"
	"strings"
	"testing"
)

const plain = `// Adds things up.
"use strict";

/** sum of a list */
function sum(list) {
  let total = 0;
  for (const item of list) {
    if (item.value > 0x10) total += item.value;
    else continue;
  }
  return total;
}
module.exports = { sum, name: "sum", help: "adds the values of a list" };
`

// variants of obfuscated code, in the forms that obfuscators leave.
var obfuscated = map[string]string{
	"hexadecimal names":      hexNames(),
	"a rotated list":         `(function(a,b){var c=a();while(!![]){try{var d=parseInt(e(1))/1+-parseInt(e(2))/2*(parseInt(e(3))/3)+parseInt(e(4))/4+parseInt(e(5))/5;if(d===b)break;else c['push'](c['shift']());}catch(f){c['push'](c['shift']());}}}(list,12345));`,
	"letters as escapes":     `require('\x63\x68\x69\x6c\x64\x5f\x70\x72\x6f\x63\x65\x73\x73')['\x65\x78\x65\x63']('\x6c\x73')`,
	"punctuation":            strings.Repeat("(![]+[])[+[]]+(!![]+[])[+!+[]]+", 40) + "[]",
	"character codes":        "eval(String.fromCharCode(" + strings.TrimSuffix(strings.Repeat("99,111,110,115,111,108,101,46,108,111,103,40,49,41,59,32,", 20), ",") + "))",
	"flattened control flow": `var o='3|1|0|4|2'['split']('|'),i=0x0;while(!![]){switch(o[i++]){case'0':a();continue;case'1':b();continue;case'2':c();continue;case'3':d();continue;case'4':e();continue;}break;}`,
}

func hexNames() string {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "var _0x%04x=_0x%04x(0x%x);", i*977, i*331, i)
	}
	return b.String()
}

// twins look unusual and are not obfuscated.
var twins = map[string]string{
	"plain":            plain,
	"minified":         `"use strict";function s(t){let e=0;for(const n of t){if(!(n.value>16))continue;e+=n.value}return e}module.exports={sum:s,name:"sum",help:"adds the values of a list"};`,
	"a unicode table":  "const id = /[\\xaa\\xb5\\xba\\xc0-\\xd6\\u0100-\\u02c1]/; const astral = [0, 11, 2, 25, 2, 18, 2, 1, 2, 14, 3, 13, 35, 122, 70, 52, 268, 28, 4, 48, 48, 31, 14, 29, 6, 37, 11, 29, 3, 35, 5, 7, 2, 4, 43, 157, 19, 35, 5, 35, 5, 39, 9, 51, 13, 10, 2, 14, 2, 6, 2, 1, 2, 10, 2, 14, 2, 6, 2, 1, 68, 310, 10, 21, 11, 7, 25, 5, 2, 41, 2, 8, 70, 5, 3, 0, 2, 43, 2, 1, 4, 0, 3, 22]; String.fromCharCode(x);",
	"colour codes":     `const red = "\x1b[31m", reset = "\x1b[0m", bold = "\u001b[1m"; module.exports = (t) => red + bold + t + reset;`,
	"an embedded wasm": `const wasm = Uint8Array.from(atob("` + strings.Repeat("AGFzbQEAAAABBgFgAX8Bf", 200) + `"), (c) => c.charCodeAt(0)); WebAssembly.compile(wasm);`,
}

func TestMeasure(t *testing.T) {
	for name, src := range obfuscated {
		if s := Measure(src); s.Value < threshold {
			t.Errorf("%s: %.2f, want %.2f or more: %+v", name, s.Value, threshold, s.Features)
		}
	}
	for name, src := range twins {
		if s := Measure(src); s.Value >= threshold {
			t.Errorf("%s: %.2f by %s", name, s.Value, s.Kind)
		}
	}
}

func TestPaper(t *testing.T) {
	fs := Paper(plain)
	if len(fs) != 25 {
		t.Fatalf("%d features, want the paper's 25", len(fs))
	}
	want := map[string]float64{"OF8 special numbers": 1, "OF13 lines": 14, "OF14 if": 1, "OF15 else": 1, "OF17 for": 1, "OF21 continue": 1, "OF25 function": 1, "OF12 long strings": 0}
	for _, f := range fs {
		if v, ok := want[f.Name]; ok && v != f.Value {
			t.Errorf("%s: %v, want %v", f.Name, f.Value, v)
		}
		delete(want, f.Name)
		if f.Name == "OF2 space compression ratio" && (f.Value <= 0.5 || f.Value >= 1) {
			t.Errorf("%s: %v", f.Name, f.Value)
		}
	}
	if len(want) > 0 {
		t.Errorf("not there: %v", want)
	}
	if p, o := PaperScore(fs), PaperScore(Paper(obfuscated["hexadecimal names"])); p >= o {
		t.Errorf("plain code scores %v, obfuscated %v", p, o)
	}
	if a, b := fmt.Sprint(Paper(plain)), fmt.Sprint(Paper(plain)); a != b {
		t.Error("two runs differ")
	}
}

func FuzzMeasure(f *testing.F) {
	for _, src := range obfuscated {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if s := Measure(src); s.Value < 0 || s.Value > 1 {
			t.Errorf("score %v", s.Value)
		}
		if s := PaperScore(Paper(src)); s < 0 || s > 1.001 {
			t.Errorf("paper's score %v", s)
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	src := strings.Repeat(plain, 200)
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		Measure(src)
	}
}
