// The order matters: what changes functions for good comes before what wraps them.

if (config.time) virtualTime();
for (const hook of table.hooks) byName.set(hook.n, hook);
for (const hook of table.hooks) if (hook.n !== 'process.env' && hook.n !== 'process.binding') install(hook);
environment();

// The same functions under other modules' names.
for (const id of ['timers', 'buffer', 'util', '_http_client', '_http_server', '_http_outgoing', '_tls_wrap', '_stream_readable', '_stream_writable', '_stream_duplex',
  '_stream_transform', '_stream_passthrough']) {
  if (!builtins.has(id)) continue;
  const m = quietly(id);
  for (const k of ownKeys(m || {})) {
    const d = getOwnPropertyDescriptor(m, k);
    if (typeof d.value === 'function' && proxies.has(d.value) && d.writable) defineProperty(m, k, { ...d, value: proxies.get(d.value) });
  }
}
if (process._preload_modules) process._preload_modules = mainList(process._preload_modules.filter((m) => m !== self));

// A look at a wrapped function shows the function.
const show = main.Function.prototype.toString;
main.Function.prototype.toString = disguise(new Proxy(show, { apply(t, s, a) { return apply(t, originals.get(s) || s, a); } }), show);
const util = require('util');
replace(util.types, 'isProxy', (f) => new Proxy(f, { apply(t, s, a) { return apply(t, s, [originals.get(a[0]) || a[0]]); } }));

watchCode();
Module.syncBuiltinESMExports();
let ended = false;
const end = (status) => { if (!ended) { ended = true; emit('end', { x: typeof status === 'number' ? status : undefined }); } };
apply(process.on, process, ['exit', (status) => end(status)]);
emit('start', { pp: process.ppid, argv: [process.execPath, ...process.execArgv, ...process.argv.slice(1)].slice(0, 64).map((x) => value(x)),
  dir: process.cwd(), version: process.version });
busy = 0;
