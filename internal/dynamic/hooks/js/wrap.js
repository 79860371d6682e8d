// Wrapping: a function is replaced by a proxy of it, which has its name, length, prototype and properties.

const originals = new WeakMap(); // proxy -> function
const proxies = new WeakMap();   // function -> proxy
const targets = new WeakMap();   // function -> the APIs it is, for different receivers
const guards = { __proto__: null }; // API -> function that sees the arguments first and may throw
const shape = { __proto__: null };  // API -> function that may give other arguments, once they are recorded
const after = { __proto__: null };  // API -> function that sees the result
let calls = 0;

const disguise = (w, f) => { originals.set(w, f); proxies.set(f, w); return w; };

// replace puts a stand-in for a function where the function was.
const replace = (o, key, make) => {
  const d = getOwnPropertyDescriptor(o, key);
  if (!d || !('value' in d) || typeof d.value !== 'function' || !d.writable && !d.configurable) return;
  const f = d.value;
  if (originals.has(f)) return;
  const w = proxies.get(f) || disguise(make(f), f);
  try { defineProperty(o, key, { ...d, value: w }); } catch { return; }
  const p = getOwnPropertyDescriptor(f, 'prototype');
  if (p && p.value) {
    const c = getOwnPropertyDescriptor(p.value, 'constructor');
    if (c && c.value === f && c.configurable) defineProperty(p.value, 'constructor', { ...c, value: w });
  }
};

// pick chooses which API a call is, by its receiver.
const pick = (list, self) => {
  for (const t of list) if (t.only && t.only === self) return t.hook;
  if (typeof self === 'object' && self !== null && !types.isProxy(self) && getOwnPropertyDescriptor(self, '_isStdio')) standard(self);
  const type = typeof self === 'object' && self !== null ? typed.get(self) : undefined;
  if (type === '') return undefined;
  if (type) for (const t of list) if (t.hook.n.startsWith(type + '.')) return t.hook;
  for (let p = self; p && (typeof p === 'object' || typeof p === 'function');) {
    if (types.isProxy(p)) { if (!originals.has(p)) break; p = originals.get(p); }
    for (const t of list) if (t.proto && t.proto === p) return t.hook;
    p = getPrototypeOf(p);
  }
  for (const t of list) if (!t.proto && !t.only && !t.typed) return t.hook;
};

// Repetition at one place is reported at every doubling after a number that depends on what the API does.
const seen = new Map();
const folded = (hook, at) => {
  const key = hook.n + '|' + at.join('|');
  const n = (seen.get(key) || 0) + 1;
  if (seen.size < 50000 || seen.has(key)) seen.set(key, n);
  const free = hook.q ? 64 : 1024;
  if (n <= free) return 0;
  return (n & (n - 1)) === 0 ? n : -1;
};

const result = (id, on, v, type, want) => {
  busy++;
  try {
    if (v !== null && (typeof v === 'object' || typeof v === 'function') && !made.has(v)) {
      made.set(v, id);
      if (type && members.has(type)) { typed.set(v, type); adopt(type, v); }
    }
    if (want) emit('result', { of: id, on, v: value(v) });
  } finally { busy--; }
};

// listening wraps a function that the package gives away, so that what it is called with is reported and what it does has a cause.
// Emitters find a listener by the property of that name too, so that it can be removed.
const listening = (id, f, on, spec) => {
  let n = 0;
  const w = new Proxy(f, {
    get(t, k) { return k === 'listener' ? f : t[k]; },
    apply(t, self, args) {
      ours(args);
      if (spec && ++n <= 64) for (const r of spec) if (r.a < args.length) result(id, on, args[r.a], r.t, r.v);
      return because(id, () => apply(t, self, args));
    },
  });
  originals.set(w, f);
  return w;
};
const emitters = /\.(on|once|addListener|prependListener)$/;

// called is what every wrapped function does.
const called = (list, f, self, args, target) => {
  if (busy) return target ? construct(f, args, target) : apply(f, self, args);
  const hook = pick(list, self);
  let id = 0;
  if (hook) {
    busy++;
    try {
      if (guards[hook.n]) guards[hook.n](args);
      const at = (!hook.only || wanted(hook.only, args)) && site();
      if (at) {
        const count = folded(hook, at);
        if (count >= 0) {
          id = ++calls;
          const recv = typeof self === 'object' && self !== null ? made.get(self) : undefined;
          emit(target ? 'new' : 'call', { api: hook.n, id, r: recv, a: args.slice(0, 8).map((x) => value(x)), at, c: cause(), x: count || undefined });
          args = callbacks(hook, id, args);
        }
      }
      if (shape[hook.n]) args = shape[hook.n](args) || args;
    } finally { busy--; }
  }
  const out = target ? construct(f, args, target) : apply(f, self, args);
  if (id) results(hook, id, self, out);
  return out;
};

const wanted = (only, args) => {
  const v = args[only.a];
  return typeof v === 'string' && only.is.includes(v.toLowerCase());
};

// callbacks gives the arguments with the functions among them replaced by those that tell what they are called with.
const callbacks = (hook, id, args) => {
  const out = [...args];
  for (const i of hook.cb || []) {
    const at = i < 0 ? args.length - 1 : i, f = args[at];
    if (typeof f !== 'function' || out[at] !== f) continue;
    const event = hook.ev && at > 0 && typeof args[0] === 'string' && has(hook.ev, args[0]) ? args[0] : undefined;
    if (event !== undefined) out[at] = listening(id, f, event, hook.ev[event]);
    else if (!emitters.test(hook.n)) out[at] = listening(id, f, 'callback', hook.r && hook.r.callback);
  }
  return out;
};

const results = (hook, id, self, out) => {
  busy++;
  try {
    if (after[hook.n]) after[hook.n](id, self, out);
    const r = hook.r;
    if (!r) {
      if (out !== self) result(id, 'return', out);
      return;
    }
    if (types.isPromise(out)) {
      const p = r.promise;
      if (p) then(out, (v) => result(id, 'promise', v, p.t, p.v), () => {});
    } else if (r.return && out !== undefined) {
      if (r.return.t !== 'this') result(id, 'return', out, r.return.t, r.return.v);
    }
  } catch { /* a result that cannot be told is not told */ } finally { busy--; }
};

const stand = (f) => {
  const list = targets.get(f);
  return new Proxy(f, {
    apply(t, self, args) { return called(list, t, self, ours(args)); },
    construct(t, args, target) { return called(list, t, undefined, ours(args), target === proxies.get(t) ? t : target); },
  });
};

// target says that a property of an object is an API, for a receiver only or for what inherits from a prototype only.
const target = (o, key, t) => {
  const d = getOwnPropertyDescriptor(o, key);
  if (!d || typeof d.value !== 'function') return;
  const f = originals.get(d.value) || d.value;
  if (!targets.has(f)) targets.set(f, []);
  const list = targets.get(f);
  if (list.some((x) => x.hook.n === t.hook.n && x.proto === t.proto)) return;
  if (t.proto || t.only || t.typed) list.unshift(t); else list.push(t);
  replace(o, key, stand);
  const p = require('util').promisify.custom, c = getOwnPropertyDescriptor(f, p);
  if (c && typeof c.value === 'function' && !targets.has(c.value) && c.configurable) {
    targets.set(c.value, [{ hook: { ...t.hook, r: promised(t.hook) } }]);
    replace(f, p, stand);
  }
};
const promised = (hook) => {
  const c = hook.r && hook.r.callback && hook.r.callback[0];
  return c ? { promise: { t: c.t, v: c.v } } : hook.r;
};

// ownerOf finds where along its prototypes an object has a property.
const ownerOf = (o, key) => {
  for (let p = o; p; p = getPrototypeOf(p)) if (getOwnPropertyDescriptor(p, key)) return p;
};

// adopt hooks the members of a type on an object that has it, where no constructor of the type can be had.
const adopted = new Map();
const adopt = (type, v) => {
  const list = members.get(type);
  if (!list) return;
  const proto = getPrototypeOf(v);
  if (!proto || proto === Object.prototype || adopted.get(proto) === type) return;
  adopted.set(proto, type);
  for (const hook of list) {
    const key = hook.n.slice(type.length + 1), owner = ownerOf(proto, key);
    if (owner && owner !== main.Object.prototype) target(owner, key, { hook, proto });
  }
};
const members = new Map(); // type -> hooks of its members
