// What needs more than a record: the channel's descriptor, the environment, children and threads, Node's inside.

const mainArray = main.Array, arrayFrom = main.Array.from;
const mainList = (l) => apply(arrayFrom, mainArray, [l]);

const failure = (code) => { const e = new main.Error(code + ': bad file descriptor, write'); e.code = code; e.errno = -9; e.syscall = 'write'; return e; };
for (const n of ['write', 'writeSync', 'writev', 'writevSync', 'close', 'closeSync', 'ftruncate', 'ftruncateSync', 'fchmod', 'fchmodSync']) {
  guards['fs.' + n] = (args) => { if (args[0] === fd) throw failure('EBADF'); };
}

// Children: whatever environment the package gives them, Node among them loads this file.
const option = '--require=' + self;
const inherit = (pairs) => {
  const at = pairs.findIndex((p) => typeof p === 'string' && p.startsWith('NODE_OPTIONS='));
  const out = [...pairs];
  if (at < 0) out.push('NODE_OPTIONS=' + option);
  else if (!pairs[at].includes(option)) out[at] += ' ' + option;
  for (const [k, v] of keep) if (!out.some((p) => typeof p === 'string' && p.startsWith(k + '='))) out.push(k + '=' + v);
  return out;
};
const keep = [];
for (const k of config.keep || []) if (process.env[k] !== undefined) keep.push([k, process.env[k]]);

const withEnv = (o) => {
  const d = o && getOwnPropertyDescriptor(o, 'envPairs');
  if (!d || !Array.isArray(d.value)) return;
  const pairs = inherit(ours(apply(arrayFrom, mainArray, [d.value])));
  o.envPairs = mainList(pairs);
};
const through = (o, key, before) => {
  replace(o, key, (f) => new Proxy(f, { apply(t, s, args) {
    busy++;
    try { before(ours(args), s); } catch { /* the start line of the child will be missed */ } finally { busy--; }
    return apply(t, s, args);
  } }));
};
const child = require('child_process');
const binding = process.binding;
const inside = (name) => {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try { return apply(binding, process, [name]); } catch { return undefined; } finally { process.emitWarning = warn; }
};
through(child.ChildProcess.prototype, 'spawn', (args) => withEnv(args[0]));
const spawnBinding = inside('spawn_sync');
if (spawnBinding) through(spawnBinding, 'spawn', (args) => withEnv(args[0]));
if (process.execve) {
  shape['process.execve'] = (args) => {
    const env = args[2] || process.env, out = {};
    for (const k of ownKeys(env)) if (typeof k === 'string') out[k] = String(env[k]);
    out.NODE_OPTIONS = ((out.NODE_OPTIONS || '').replace(option, '') + ' ' + option).trim();
    return [args[0], args[1], out];
  };
}

for (const n of ['spawn', 'exec', 'execFile', 'fork']) {
  after['child_process.' + n] = (id, s, c) => {
    if (!c) return;
    emit('result', { of: id, on: 'pid', v: c.pid === undefined ? { u: 1 } : c.pid });
    for (const k of ['stdin', 'stdout', 'stderr']) {
      if (!c[k]) continue;
      typed.set(c[k], k === 'stdin' ? 'child_process.Stdin' : 'stream.Readable');
      made.set(c[k], id);
    }
    if (c.stdin) adoptAs('child_process.Stdin', c.stdin);
  };
}
const adoptAs = (type, v) => {
  for (const hook of members.get(type) || []) {
    const key = hook.n.slice(type.length + 1), owner = ownerOf(v, key);
    if (owner) target(owner, key, { hook, typed: true });
  }
};

shape['worker_threads.Worker'] = (args) => {
  const o = args[1] && typeof args[1] === 'object' ? { ...args[1] } : {};
  if (o.execArgv) o.execArgv = mainList(['--require', self, ...ours(apply(arrayFrom, mainArray, [o.execArgv]))]);
  else if (o.env && o.env !== worker.SHARE_ENV) o.execArgv = mainList(['--require', self, ...ours(apply(arrayFrom, mainArray, [process.execArgv]))]);
  setPrototypeOf(o, main.Object.prototype);
  return [args[0], o];
};

// Sockets that stand for the standard streams are no network.
const standard = (s) => {
  if (!s || typeof s !== 'object' || !s._isStdio) return;
  for (const k of ['stdout', 'stderr', 'stdin']) { try { if (apply(stdio[k], process, []) === s) typed.set(s, ''); } catch { /* none */ } }
};
const stdio = {};
for (const k of ['stdout', 'stderr', 'stdin']) { const d = getOwnPropertyDescriptor(process, k); stdio[k] = d && d.get || (() => undefined); }

// Node's inside: its functions under the names of the public ones, where there is such a one.
const clones = new Map();
replace(process, 'binding', (f) => new Proxy(f, { apply(t, s, args) {
  const name = args[0], real = apply(t, s, args);
  if (busy || typeof name !== 'string') return real;
  busy++;
  try {
    const at = site();
    if (!at) return real;
    emit('call', { api: 'process.binding', id: ++calls, a: [value(name)], at, c: cause() });
    if (name === 'spawn_sync' || real === null || typeof real !== 'object') return real;
    if (clones.has(name)) return clones.get(name);
    const copy = apply(main.Object.create, main.Object, [getPrototypeOf(real)]);
    for (const k of ownKeys(real)) {
      const d = getOwnPropertyDescriptor(real, k);
      if (typeof d.value === 'function' && typeof k === 'string') {
        const twin = table.inside[name + '.' + k];
        const known = twin && byName.get(twin);
        const hook = { n: 'process.binding.' + name + '.' + k, k: 'call', ...(known ? { n: twin, q: known.q } : {}) };
        if (!targets.has(d.value)) targets.set(d.value, [{ hook }]);
        d.value = proxies.get(d.value) || disguise(stand(d.value), d.value);
      }
      defineProperty(copy, k, d);
    }
    clones.set(name, copy);
    return copy;
  } finally { busy--; }
} }));
const byName = new Map();

// The environment: our own traces are taken out, reads and writes are told.
const environment = () => {
  const real = process.env;
  if (real.NODE_OPTIONS !== undefined) {
    const rest = real.NODE_OPTIONS.replace(option, '').trim();
    if (rest) real.NODE_OPTIONS = rest; else delete real.NODE_OPTIONS;
  }
  const get = byName.get('process.env');
  if (!get) return;
  let listed = '';
  const tell = (kind, fields) => {
    if (busy) return;
    busy++;
    try {
      const at = site();
      if (!at) return;
      const key = at.join('|');
      if (kind === 'get' && fields.a && key === listed) return;
      listed = kind === 'get' && !fields.a ? key : '';
      const n = folded({ n: 'process.env.' + kind + (fields.name || ''), q: 1 }, at);
      if (n < 0) return;
      const f = { api: 'process.env', id: ++calls, at, c: cause(), x: n || undefined };
      if (fields.a) f.a = fields.a().map((x) => value(x));
      if (fields.v) f.v = value(fields.v());
      emit(kind, f);
    } finally { busy--; }
  };
  const proxy = new Proxy(real, {
    get(t, k) { const v = t[k]; if (typeof k === 'string' && (v === undefined || typeof v === 'string')) tell('get', { name: k, a: () => [k], v: () => v }); return v; },
    has(t, k) { if (typeof k === 'string') tell('get', { name: k, a: () => [k] }); return k in t; },
    set(t, k, v) { tell('set', { name: String(k), a: () => [k, v] }); t[k] = v; return true; },
    deleteProperty(t, k) { tell('set', { name: String(k), a: () => [k, undefined] }); return delete t[k]; },
    ownKeys(t) { tell('get', { v: () => ({ ...t }) }); return ownKeys(t); },
  });
  disguise(proxy, real);
  defineProperty(process, 'env', { value: proxy, writable: true, configurable: true, enumerable: true });
};
