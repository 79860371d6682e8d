package hooks

import (
	"slices"
	"strings"
	"testing"

	"github.com/donapi/donapi/internal/behavior"
	"github.com/donapi/donapi/knowledge"
)

func TestTableFollowsKnowledge(t *testing.T) {
	base, err := behavior.Load(knowledge.FS())
	if err != nil {
		t.Fatal(err)
	}
	tab := makeTable(base.APIs())
	names := map[string]hook{}
	for _, h := range tab.Hooks {
		names[h.Name] = h
	}
	if len(names) < 450 {
		t.Errorf("only %d hooks", len(names))
	}
	if h := names["fs.readFile"]; !slices.Equal(h.Callbacks, []int{-1}) || h.Results["callback"] == nil {
		t.Errorf("fs.readFile: %+v", h)
	}
	if h := names["Buffer.from"]; h.Only == nil || !slices.Contains(h.Only.Is, "hex") {
		t.Errorf("Buffer.from: %+v", h)
	}
	for _, n := range []string{"axios.get", "document.cookie", "eval"} {
		if _, ok := names[n]; ok {
			t.Errorf("%s is hooked", n)
		}
	}
	for _, n := range notHooked {
		if base.API(n) == nil {
			t.Errorf("%s is left out and does not exist", n)
		}
	}
	for from, to := range inside {
		if _, ok := names[to]; !ok {
			t.Errorf("%s stands for %s, which is not hooked", from, to)
		}
	}
}

// TestHooksAreInstalled asks the watched Node which names of the table it wrapped, so that a name that no longer resolves shows.
func TestHooksAreInstalled(t *testing.T) {
	r := watch(t, "main.js", `process.on('uncaughtException', () => {}); process.on('unhandledRejection', () => {});
const fs = require('fs'); for (const k of ['readFileSync', 'openSync', 'cpSync']) { try { fs[k](); } catch {} }
const cp = require('child_process'); for (const k of ['exec', 'execFile', 'spawn', 'fork', 'execSync', 'execFileSync', 'spawnSync']) { try { cp[k](); } catch {} }
for (const [m, ks] of Object.entries({ os: ['hostname', 'userInfo', 'cpus'], dns: ['lookup', 'resolveTxt'], net: ['createConnection'], tls: ['connect'], http2: ['connect'],
  https: ['request', 'get'], vm: ['runInThisContext', 'compileFunction'], crypto: ['createDecipheriv', 'privateDecrypt', 'scryptSync'], zlib: ['inflateSync', 'brotliDecompressSync'],
  worker_threads: ['Worker'], inspector: ['Session', 'url'], v8: ['setFlagsFromString', 'deserialize'], dgram: ['createSocket'], module: ['register'] }))
  for (const k of ks) { try { require(m)[k](); } catch {} try { new (require(m)[k])(); } catch {} }
try { WebAssembly.compile(); } catch {}
try { new WebAssembly.Module(); } catch {}
try { process.kill(); } catch {}
try { crypto.subtle.decrypt().catch(() => {}); } catch {}
try { new (require('dns').Resolver)().resolve4(); } catch {}
`)
	got := strings.Join(r.apis(), " ") + " "
	for _, want := range strings.Fields(`fs.readFileSync fs.openSync fs.cpSync child_process.exec child_process.execFile child_process.spawn child_process.fork child_process.execSync
		child_process.execFileSync child_process.spawnSync os.hostname os.userInfo os.cpus dns.lookup dns.resolveTxt net.connect tls.connect http2.connect
		https.request https.get vm.runInThisContext vm.compileFunction crypto.createDecipheriv crypto.privateDecrypt crypto.scryptSync zlib.inflateSync zlib.brotliDecompressSync
		worker_threads.Worker inspector.Session inspector.url v8.setFlagsFromString v8.deserialize dgram.createSocket module.register WebAssembly.compile WebAssembly.Module process.kill
		crypto.subtle.decrypt dns.Resolver.resolve4`) {
		if !strings.Contains(got, want+" ") {
			t.Errorf("%s was called and not told", want)
		}
	}
}
