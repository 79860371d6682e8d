package hooks

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/internal/callseq"
	"github.com/donapi/donapi/knowledge"
)

// run is what one watched script did.
type run struct {
	events []*Event
	faults []Fault
	stdout string
	stderr string
	dir    string
}

// node finds the Node to test with. DONAPI_NODE names another one; REQUIRE_NODE turns the skip into a failure.
func node(t *testing.T) string {
	t.Helper()
	name := os.Getenv("DONAPI_NODE")
	if name == "" {
		name = "node"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("REQUIRE_NODE") != "" {
			t.Fatal(err)
		}
		t.Skip("no node on this machine: the hooks are not run")
	}
	return path
}

// watch runs scripts of ours, which touch nothing but their own temporary folder and the loopback device, with the hooks. The files are
// name and text in turn; the first is run.
func watch(t *testing.T, files ...string) run {
	t.Helper()
	return watchWith(t, node(t), nil, files...)
}

func watchWith(t *testing.T, node string, env []string, files ...string) run {
	t.Helper()
	dir := t.TempDir()
	base, err := behavior.Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	channel := filepath.Join(dir, "channel")
	script, err := Script(base.APIs(), Options{Channel: channel})
	if err != nil {
		t.Fatal(err)
	}
	hooks := filepath.Join(dir, "hooks.js")
	pkg := filepath.Join(dir, "package")
	write := func(path, text string) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(channel, "")
	write(hooks, string(script))
	for i := 0; i < len(files); i += 2 {
		write(filepath.Join(pkg, files[i]), files[i+1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, filepath.Join(pkg, files[0]))
	cmd.Dir = pkg
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SECRET_TOKEN=planted-token-1234", "NODE_OPTIONS=--require=" + hooks}, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	data, err := os.ReadFile(channel)
	if err != nil {
		t.Fatal(err)
	}
	r := run{stdout: strings.TrimSpace(stdout.String()), stderr: stderr.String(), dir: pkg}
	var reader Reader
	for l := range bytes.Lines(data) {
		if e := reader.Line(bytes.TrimSuffix(l, []byte("\n"))); e != nil {
			r.events = append(r.events, e)
		}
	}
	r.faults, _ = reader.Faults()
	if testing.Verbose() {
		t.Logf("channel:\n%s\nstdout:\n%s\nstderr:\n%s", data, r.stdout, r.stderr)
	}
	return r
}

// apis lists the names of the calls, gets and sets, in order.
func (r run) apis() []string {
	var out []string
	for _, e := range r.events {
		if e.API != "" {
			out = append(out, e.API)
		}
	}
	return out
}

// find gives the first event of an API, or the test ends.
func (r run) find(t *testing.T, api string) *Event {
	t.Helper()
	for _, e := range r.events {
		if e.API == api {
			return e
		}
	}
	t.Fatalf("no %s among %q", api, r.apis())
	return nil
}

func (r run) result(t *testing.T, of *Event, on string) *Event {
	t.Helper()
	for _, e := range r.events {
		if e.Kind == LineResult && e.Thread == of.Thread && e.Of == of.ID && e.On == on {
			return e
		}
	}
	t.Fatalf("no %s of %s", on, of.API)
	return nil
}

func (r run) whole(t *testing.T) {
	t.Helper()
	if len(r.faults) > 0 {
		t.Errorf("faults: %+v", r.faults)
	}
}

func TestFileCallsAndResults(t *testing.T) {
	r := watch(t, "main.js", `const fs = require('fs');
fs.writeFileSync('a.txt', 'content of a file');
fs.readFileSync('a.txt', 'utf8');
fs.readFile('a.txt', (e, b) => { fs.unlinkSync('a.txt'); });
require('node:fs/promises').stat(__filename).then(() => fs.promises.readFile(__filename));
`)
	r.whole(t)
	w := r.find(t, "fs.writeFileSync")
	if w.Site.File != filepath.Join(r.dir, "main.js") || w.Site.Line != 2 || w.Args[0].Text != "a.txt" {
		t.Errorf("writeFileSync: %+v", w)
	}
	got := r.result(t, r.find(t, "fs.readFileSync"), "return")
	if got.Value.Digest != w.Args[1].Digest || got.Value.Digest != Digest([]byte("content of a file")) {
		t.Errorf("what was read is not what was written: %+v and %+v", got.Value, w.Args[1])
	}
	read := r.find(t, "fs.readFile")
	if b := r.result(t, read, "callback").Value; b.Kind != callseq.Bytes || b.Digest != w.Args[1].Digest {
		t.Errorf("callback got %+v", b)
	}
	if u := r.find(t, "fs.unlinkSync"); u.Cause != read.ID {
		t.Errorf("cause of unlink is %d, not %d", u.Cause, read.ID)
	}
	r.result(t, r.find(t, "fs.promises.readFile"), "promise")
	if first, last := r.events[0], r.events[len(r.events)-1]; first.Kind != LineStart || last.Kind != LineEnd {
		t.Errorf("begins with %s, ends with %s", first.Kind, last.Kind)
	}
}

func TestNodesOwnCallsAreNotTold(t *testing.T) {
	r := watch(t, "main.js", `require('./other'); console.log('text'); process.stdout.write('more'); require('http'); require('./data.json');`,
		"other.js", "module.exports = 1", "data.json", "{}")
	r.whole(t)
	if got := r.apis(); len(got) > 0 {
		t.Errorf("told: %q", got)
	}
}

func TestNetworkAndInstances(t *testing.T) {
	r := watch(t, "main.js", `const http = require('http');
const server = http.createServer((req, res) => { let s = ''; req.on('data', (d) => { s += d; }); req.on('end', () => { res.end('reply of the server'); }); });
server.listen(0, '127.0.0.1', () => {
  const req = http.request({ host: '127.0.0.1', port: server.address().port, method: 'POST', headers: { 'x-a': 'b' } }, (res) => {
    res.on('data', (d) => {});
    res.on('end', () => fetch('http://127.0.0.1:' + server.address().port, { method: 'POST', body: 'from fetch' }).then((r) => r.text()).then((s) => { server.close(); }));
  });
  req.setHeader('y', 'zzzzzzzzz');
  req.write('body of the request');
  req.end();
});
`)
	r.whole(t)
	req := r.find(t, "http.request")
	for _, name := range []string{"http.ClientRequest.write", "http.ClientRequest.end", "http.ClientRequest.setHeader"} {
		if e := r.find(t, name); e.Recv != req.ID {
			t.Errorf("%s: receiver from %d, not %d", name, e.Recv, req.ID)
		}
	}
	res := r.find(t, "http.IncomingMessage.on")
	if res == nil {
		t.Fatal()
	}
	var data []string
	for _, e := range r.events {
		if e.Kind == LineResult && e.On == "data" {
			data = append(data, e.Value.Text)
		}
	}
	if want := []string{"body of the request", "reply of the server", "from fetch"}; !slices.Equal(data, want) {
		t.Errorf("data %q, not %q", data, want)
	}
	r.find(t, "fetch")
	if got := r.result(t, r.find(t, "Response.text"), "promise").Value.Text; got != "reply of the server" {
		t.Errorf("fetch got %q", got)
	}
}

func TestEnvironment(t *testing.T) {
	r := watch(t, "main.js", `process.env.SECRET_TOKEN; JSON.stringify(process.env); process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; 'X' in process.env;
console.log(process.env.NODE_OPTIONS, process.platform === 'linux', Object.keys(process.env).includes('NODE_OPTIONS'));`)
	r.whole(t)
	e := r.find(t, "process.env")
	if e.Kind != LineGet || e.Args[0].Text != "SECRET_TOKEN" || e.Value.Text != "planted-token-1234" {
		t.Errorf("%+v", e)
	}
	var all, set int
	for _, e := range r.events {
		if e.API == "process.env" && e.Kind == LineGet && len(e.Args) == 0 {
			all++
		}
		if e.Kind == LineSet {
			set++
		}
	}
	if all != 2 || set != 1 {
		t.Errorf("%d listings, %d writes", all, set)
	}
	r.find(t, "process.platform")
	if r.stdout != "undefined true false" {
		t.Errorf("printed %q", r.stdout)
	}
}

func TestMadeCode(t *testing.T) {
	r := watch(t, "main.js", `const vm = require('vm');
const local = 7;
eval('/*one*/ globalThis.got = local; require("fs").existsSync("/nowhere")');
new Function('a', 'return /*two*/ a')(1);
(function () {}).constructor('/*three*/')();
vm.runInThisContext('/*four*/ 1');
vm.runInNewContext('this.constructor.constructor("return /*five*/ process")()');
eval('/*six*/\n//# sourceURL=file:///usr/lib/innocent.js');
module.constructor.prototype._compile.call(new module.constructor('x'), '/*seven*/', '/nowhere/x.js');
(0, eval)('/*eight*/ 1');
(async () => {}).constructor('/*nine*/');
console.log(globalThis.got);
`)
	r.whole(t)
	var texts []string
	codes := map[string]*Event{}
	for _, e := range r.events {
		if e.Kind == LineCode && e.Value != nil {
			texts = append(texts, e.Value.Text)
			codes[e.Hash] = e
		}
	}
	all := strings.Join(texts, "\n")
	for _, w := range []string{"one", "two", "three", "four", "five", "six", "eight", "nine"} {
		if !strings.Contains(all, "/*"+w+"*/") {
			t.Errorf("code %s is not seen", w)
		}
	}
	if c := r.find(t, "module._compile"); c.Args[0].Text != "/*seven*/" {
		t.Errorf("%+v", c)
	}
	probe := r.find(t, "fs.existsSync")
	if c := codes[probe.Site.Code]; c == nil || c.How != "eval" || c.Site.Line != 3 {
		t.Errorf("place of a call in made code: %+v, made by %+v", probe.Site, c)
	}
	if r.stdout != "7" {
		t.Errorf("direct eval does not see its scope: %q", r.stdout)
	}
}

func TestPoisonedPrototypes(t *testing.T) {
	r := watch(t, "main.js", `
for (const P of [Array.prototype, String.prototype, Function.prototype, Map.prototype, WeakMap.prototype, Set.prototype, Promise.prototype, RegExp.prototype, Object.prototype])
  for (const k of ['push', 'map', 'slice', 'call', 'apply', 'bind', 'get', 'set', 'has', 'then', 'replace', 'join', 'includes', 'startsWith', 'toJSON'])
    try { P[k] = function () { throw new Error('poisoned ' + k); }; } catch {}
Reflect.apply = Reflect.ownKeys = JSON.stringify = Object.create = Object.defineProperty = Array.from = Array.isArray = () => { throw new Error('poisoned'); };
Error.prepareStackTrace = () => { throw new Error('poisoned'); };
Error.captureStackTrace = () => { throw new Error('poisoned'); };
require('events').prototype.emit = () => true;
Buffer.from = Buffer.prototype.toString = () => { throw new Error('poisoned'); };
require('fs').existsSync('/poisoned');
eval('/*code*/ 1');
`)
	r.whole(t)
	if e := r.find(t, "fs.existsSync"); e.Args[0].Text != "/poisoned" || e.Site.Line == 0 {
		t.Errorf("%+v", e)
	}
	if !slices.ContainsFunc(r.events, func(e *Event) bool { return e.Kind == LineCode }) {
		t.Error("made code is not seen")
	}
}

func TestIdentity(t *testing.T) {
	r := watch(t, "main.js", `const fs = require('fs'), net = require('net'), assert = require('assert'), EventEmitter = require('events');
assert.strictEqual(fs.readFileSync.name, 'readFileSync');
assert.strictEqual(fs.readFileSync.length, 2);
assert(fs.readFileSync.toString().startsWith('function readFileSync('));
assert(Function.prototype.toString.call(setTimeout).startsWith('function setTimeout('));
assert.strictEqual(Function.prototype.toString.toString(), 'function toString() { [native code] }');
assert(fs.readFileSync instanceof Function);
assert.strictEqual(Object.getPrototypeOf(fs.readFileSync), Function.prototype);
assert.strictEqual(require('fs'), require('node:fs'));
assert.strictEqual(require('timers').setTimeout, setTimeout);
assert.strictEqual(require('buffer').Buffer, Buffer);
assert(!require('util').types.isProxy(fs.readFileSync) && !require('util').types.isProxy(process.env));
assert(new net.Socket() instanceof net.Socket);
assert.strictEqual(new net.Socket().constructor, net.Socket);
class Mine extends net.Socket {} assert(new Mine() instanceof Mine);
assert.strictEqual(Buffer.from('aGVsbG8gd29ybGQ=', 'base64').toString(), 'hello world');
assert(new Date() instanceof Date && Date.prototype.constructor === Date && typeof Date() === 'string');
const e = new (require('stream').Readable)({ read() {} }), f = () => assert.fail('removed'); e.on('data', f); e.removeListener('data', f); assert.strictEqual(e.listenerCount('data'), 0);
assert.strictEqual(process.execArgv.length, 0);
require('util').promisify(setTimeout)(1).then(() => require('util').promisify(require('child_process').exec)('echo out')).then((r) => console.log(r.stdout.trim(), Object.keys(r).length));
`)
	r.whole(t)
	if r.stdout != "out 2" {
		t.Errorf("printed %q", r.stdout)
	}
}

func TestModules(t *testing.T) {
	r := watch(t, "main.mjs", `import fs, { readFileSync } from 'fs'; import * as cp from 'node:child_process'; import { readFile } from 'fs/promises';
readFileSync('named.txt'.replace('named.txt', import.meta.filename ?? new URL(import.meta.url).pathname)); fs.existsSync('default'); await readFile(new URL(import.meta.url)); cp.execSync('true');
process.getBuiltinModule?.('os').hostname();
const { createRequire } = await import('module'); createRequire(import.meta.url)('dns').getServers();`)
	r.whole(t)
	for _, name := range []string{"fs.readFileSync", "fs.existsSync", "fs.promises.readFile", "child_process.execSync", "dns.getServers"} {
		if e := r.find(t, name); !strings.HasSuffix(e.Site.File, "main.mjs") {
			t.Errorf("%s at %+v", name, e.Site)
		}
	}
}

func TestChildrenAndWorkers(t *testing.T) {
	r := watch(t, "main.js", `const cp = require('child_process'), { Worker } = require('worker_threads'), node = process.execPath;
cp.execFileSync(node, ['-e', 'require("fs").existsSync("/one")'], { env: {} });
cp.spawnSync(node, ['-e', 'require("fs").existsSync("/two")'], { env: { NODE_OPTIONS: '--no-warnings' } });
cp.execSync(JSON.stringify(node) + ' -e "require(\'fs\').existsSync(\'/three\')"', { env: { PATH: process.env.PATH } });
cp.fork('child.js', { env: {}, execArgv: [] }).on('exit', () => {
  const c = cp.spawn(node, ['-'], { stdio: ['pipe', 'inherit', 'inherit'] });
  c.stdin.end('require("fs").existsSync("/five")');
  c.on('exit', () => {
    new Worker('require("fs").existsSync("/six"); eval("/*seven*/ 1")', { eval: true, env: {}, execArgv: [] });
    new Worker('require("fs").existsSync("/eight")', { eval: true });
  });
});
`, "child.js", `require('fs').existsSync('/four')`)
	r.whole(t)
	var probed, starts []string
	for _, e := range r.events {
		switch {
		case e.API == "fs.existsSync":
			probed = append(probed, e.Args[0].Text)
		case e.Kind == LineStart:
			starts = append(starts, strings.Join(e.Argv, " "))
		}
	}
	slices.Sort(probed)
	if want := []string{"/eight", "/five", "/four", "/one", "/six", "/three", "/two"}; !slices.Equal(probed, want) {
		t.Errorf("probed %q, not %q", probed, want)
	}
	if len(starts) != 8 {
		t.Errorf("%d starts: %q", len(starts), starts)
	}
	if in := r.find(t, "child_process.Stdin.end"); in.Recv != r.find(t, "child_process.spawn").ID {
		t.Errorf("%+v", in)
	}
	pid := r.result(t, r.find(t, "child_process.fork"), "pid")
	if !slices.ContainsFunc(r.events, func(e *Event) bool {
		return e.Kind == LineStart && callseq.Number == pid.Value.Kind && pid.Value.Text == strconv.Itoa(e.PID)
	}) {
		t.Errorf("no start of the process %s", pid.Value.Text)
	}
	if !slices.ContainsFunc(r.events, func(e *Event) bool {
		return e.Kind == LineCode && e.Value != nil && e.Value.Text == "/*seven*/ 1" && e.Thread.Thread > 0
	}) {
		t.Error("code made in a worker is not seen")
	}
}

func TestInsideOfNode(t *testing.T) {
	r := watch(t, "main.js", `const b = process.binding('fs'); try { b.open('/nowhere', 0, 0o666); } catch {}
try { process.dlopen({ exports: {} }, '/nowhere.node'); } catch {}
try { require('fs').writeSync(20, 'x'); } catch {}
`)
	r.whole(t)
	r.find(t, "process.binding")
	if e := r.find(t, "fs.openSync"); e.Args[0].Text != "/nowhere" {
		t.Errorf("%+v", e)
	}
	r.find(t, "process.dlopen")
}

func TestChannelIsOutOfReach(t *testing.T) {
	r := watch(t, "main.js", `const fs = require('fs'); let closed = 0, wrote = 0;
for (let fd = 3; fd < 64; fd++) { const link = (() => { try { return fs.readlinkSync('/proc/self/fd/' + fd); } catch { return ''; } })();
  if (!link.endsWith('/channel')) continue;
  try { fs.writeSync(fd, 'forged'); wrote++; } catch (e) { if (e.code !== 'EBADF') throw e; }
  try { fs.closeSync(fd); closed++; } catch (e) { if (e.code !== 'EBADF') throw e; } }
console.log(closed, wrote); fs.existsSync('/after');`)
	r.whole(t)
	if r.stdout != "0 0" {
		t.Errorf("closed and wrote %q", r.stdout)
	}
	r.find(t, "fs.existsSync")
}

func TestForgedLinesShow(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		want        []FaultKind
	}{
		{"a number again", `line(2) + 'rubbish\n'`, []FaultKind{FaultRepeat, FaultMalformed, FaultGap}},
		{"a number to come", `line(900)`, []FaultKind{FaultGap, FaultRepeat}},
		{"parts without end", `JSON.stringify({ p: process.pid, w: 0, n: 3, k: 'part', s: '{', more: true }) + '\n'`, []FaultKind{FaultRepeat, FaultUnending, FaultGap}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := watch(t, "main.js", `const line = (n) => JSON.stringify({ p: process.pid, w: 0, n, k: 'call', t: 1, api: 'forged', id: 9 }) + '\n';
require('fs').appendFileSync(process.cwd() + '/../channel', `+c.lines+`);
require('fs').existsSync('/after');`)
			var kinds []FaultKind
			for _, f := range r.faults {
				kinds = append(kinds, f.Kind)
			}
			slices.Sort(kinds)
			slices.Sort(c.want)
			if !slices.Equal(kinds, c.want) {
				t.Errorf("faults %v, not %v: %+v", kinds, c.want, r.faults)
			}
			r.find(t, "fs.existsSync") // the true lines are heard in any case
		})
	}
}

// TestNodeWithoutHooksIsMissed states a limit: a Node that a shell starts with an empty environment is not watched. That it was started
// is known, and no start line follows.
func TestNodeWithoutHooksIsMissed(t *testing.T) {
	r := watch(t, "main.js", `require('child_process').execSync('env -i ' + JSON.stringify(process.execPath) + ' -e "require(\'fs\').existsSync(\'/nowhere/x\')"');`)
	r.whole(t)
	if e := r.find(t, "child_process.execSync"); !strings.HasPrefix(e.Args[0].Text, "env -i ") {
		t.Errorf("%+v", e)
	}
	if got := r.apis(); slices.Contains(got, "fs.existsSync") {
		t.Errorf("told %q: the limit is gone, say so in docs/design/hooks.md", got)
	}
}

// TestVirtualTime would not end within the time that watch allows, were time real.
func TestVirtualTime(t *testing.T) {
	r := watch(t, "main.js", `const t0 = Date.now(), h0 = process.hrtime()[0];
while (Date.now() - t0 < 120000);
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 90000);
setTimeout(() => { const h = (Date.now() - t0) / 36e5; console.log(h > 6 && h < 7, process.hrtime()[0] - h0 > 21000, new Date() - t0 > 2e7); }, 6 * 36e5);
`)
	r.whole(t)
	if r.stdout != "true true true" {
		t.Errorf("printed %q", r.stdout)
	}
	if e := r.find(t, "setTimeout"); e.Args[1].Text != "21600000" {
		t.Errorf("delay told as %+v", e.Args[1])
	}
}

// TestWaysAroundRequire is the list of ways by which code reaches a function without asking for it by name where a reader would look.
func TestWaysAroundRequire(t *testing.T) {
	for _, c := range []struct{ name, file, code, api string }{
		{"destructured copy", "main.js", `const { existsSync: f } = require('fs'); f('/nowhere/x');`, "fs.existsSync"},
		{"copy kept in an object", "main.js", `const o = { ...require('fs') }; o.existsSync('/nowhere/x');`, "fs.existsSync"},
		{"call, apply, bind, Reflect", "main.js", `Reflect.apply(require('fs').existsSync.bind(null, '/nowhere/x'), null, []);`, "fs.existsSync"},
		{"getBuiltinModule", "main.js", `(process.getBuiltinModule || require)('fs').existsSync('/nowhere/x');`, "fs.existsSync"},
		{"Module._load", "main.js", `module.constructor._load('fs').existsSync('/nowhere/x');`, "fs.existsSync"},
		{"createRequire", "main.js", `require('module').createRequire(__filename)('fs').existsSync('/nowhere/x');`, "fs.existsSync"},
		{"require through the main module", "main.js", `process.mainModule.require('fs').existsSync('/nowhere/x');`, "fs.existsSync"},
		{"named import", "main.mjs", `import { existsSync as f } from 'fs'; f('/nowhere/x');`, "fs.existsSync"},
		{"namespace import", "main.mjs", `import * as fs from 'node:fs'; fs.existsSync('/nowhere/x');`, "fs.existsSync"},
		{"dynamic import", "main.js", `import('fs').then((fs) => fs.existsSync('/nowhere/x'));`, "fs.existsSync"},
		{"fs.promises", "main.js", `require('fs').promises.readFile('/nowhere/x').catch(() => {});`, "fs.promises.readFile"},
		{"fs/promises", "main.mjs", `import { readFile } from 'fs/promises'; await readFile('/nowhere/x').catch(() => {});`, "fs.promises.readFile"},
		{"binding", "main.js", `try { process.binding('fs').open('/nowhere/x', 0, 0o666); } catch {}`, "fs.openSync"},
		{"eval", "main.js", `eval("require('fs').existsSync('/nowhere/x')");`, "fs.existsSync"},
		{"new Function", "main.js", `new Function('r', "r('fs').existsSync('/nowhere/x')")(require);`, "fs.existsSync"},
		{"chain of constructors", "main.js", `[]['filter']['constructor']("return process")().mainModule.require('fs').existsSync('/nowhere/x');`, "fs.existsSync"},
		{"vm", "main.js", `require('vm').runInThisContext("(r) => r('fs').existsSync('/nowhere/x')")(require);`, "fs.existsSync"},
		{"out of a vm context", "main.js", `require('vm').runInNewContext("o.constructor.constructor('return process')().mainModule.require('fs').existsSync('/nowhere/x')", { o: {} });`, "fs.existsSync"},
		{"toJSON on every object", "main.js", `Object.prototype.toJSON = () => 'nothing'; require('fs').existsSync('/nowhere/x'); eval('1');`, "fs.existsSync"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := watch(t, c.file, c.code)
			r.whole(t)
			if e := r.find(t, c.api); e.Args[0].Text != "/nowhere/x" || e.Args[0].Kind != callseq.String {
				t.Errorf("told as %+v", e)
			}
		})
	}
}

func TestLongTextsAreSplit(t *testing.T) {
	r := watch(t, "main.js", `const fs = require('fs'); fs.writeFileSync('a', '\u00e9"\\'.repeat(5000)); fs.writeFileSync('b', Buffer.alloc(100000, 255)); fs.existsSync('/after');`)
	r.whole(t)
	var writes []*Event
	for _, e := range r.events {
		if e.API == "fs.writeFileSync" {
			writes = append(writes, e)
		}
	}
	if len(writes) != 2 || writes[0].Args[1].Text != strings.Repeat("é\"\\", 5000) || writes[0].Args[1].Len != 0 {
		t.Fatalf("first write: %d events", len(writes))
	}
	if v := writes[1].Args[1]; v.Kind != callseq.Bytes || v.Len != 100000 || len(v.Text) != 16384 || v.Digest != Digest(bytes.Repeat([]byte{255}, 100000)) {
		t.Errorf("second write: %d of %d bytes, digest %s", len(v.Text), v.Len, v.Digest)
	}
}

func TestRepetitionIsFolded(t *testing.T) {
	r := watch(t, "main.js", `for (let i = 0; i < 5000; i++) require('fs').existsSync('/x' + i);`)
	r.whole(t)
	n, last := 0, 0
	for _, e := range r.events {
		if e.API == "fs.existsSync" {
			n, last = n+1, e.Count
		}
	}
	if n > 100 || last != 4096 {
		t.Errorf("%d events, the last says %d", n, last)
	}
}

func TestEncodersLinkInputToOutput(t *testing.T) {
	r := watch(t, "main.js", `const crypto = require('crypto'), zlib = require('zlib');
const z = zlib.gzipSync('some secret text'); const s = z.toString('base64'); Buffer.from(s, 'base64'); atob('c29tZSB0ZXh0');
crypto.createHash('sha256');`)
	r.whole(t)
	zip := r.result(t, r.find(t, "zlib.gzipSync"), "return")
	back := r.result(t, r.find(t, "Buffer.from"), "return")
	if zip.Value.Digest == "" || zip.Value.Digest != back.Value.Digest {
		t.Errorf("%+v and %+v", zip.Value, back.Value)
	}
	if got := r.result(t, r.find(t, "atob"), "return").Value.Text; got != "some text" {
		t.Errorf("atob gave %q", got)
	}
}
