// From the names of the table to the functions that they mean in this Node.

const builtins = new Set(Module.builtinModules);

// quietly loads a module of Node without the warning that some give.
const quietly = (id) => {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  try { return require(id); } catch { return undefined; } finally { process.emitWarning = warn; }
};

// root finds what a name begins with: a module of Node, by its longest name, or a global.
const root = (parts) => {
  for (let n = parts.length - 1; n > 0; n--) {
    const id = parts.slice(0, n).join('/');
    if (builtins.has(id) && id !== 'process' || id === 'module') {
      const m = quietly(id);
      return m && [m, n];
    }
  }
  return [main, 0];
};

const install = (hook) => {
  const parts = hook.n.split('.');
  const key = parts.pop();
  const type = parts.join('.');
  if (type && !members.has(type)) members.set(type, []);
  if (type) members.get(type).push(hook);
  const found = root([...parts, key]);
  if (!found) return;
  walk(found[0], parts.slice(found[1]), key, hook);
  // The same object is the global of that name, under another getter.
  if (parts[0] === 'crypto' && parts[1] === 'subtle') {
    walk(main, parts, key, hook);
    walk(found[0], ['webcrypto', ...parts.slice(1)], key, hook);
  }
};

// walk goes to the holder of a property. A getter on the way is left alone until the package asks for it: many load half of Node.
const walk = (o, path, key, hook) => {
  for (let i = 0; i < path.length; i++) {
    const owner = o && ownerOf(o, path[i]);
    if (!owner) return;
    const d = getOwnPropertyDescriptor(owner, path[i]);
    if (d.get) return later(owner, path[i], (v) => walk(v, path.slice(i + 1), key, hook));
    o = d.value;
  }
  if (o === null || typeof o !== 'object' && typeof o !== 'function') return;
  hold(o, key, hook, path.length > 0);
};

const hold = (o, key, hook, nested) => {
  o = originals.get(o) || o;
  const d = getOwnPropertyDescriptor(o, key);
  if (hook.k === 'get') return d ? read(o, key, hook, d) : undefined;
  if (d && d.get) return later(o, key, () => {}, hook);
  if (d) return target(o, key, { hook });
  const p = typeof o === 'function' && getOwnPropertyDescriptor(o, 'prototype');
  const proto = p && p.value;
  if (proto) {
    const owner = ownerOf(proto, key);
    if (owner && owner !== main.Object.prototype) target(owner, key, { hook, proto });
    return;
  }
  const owner = ownerOf(o, key);
  if (owner && owner !== main.Object.prototype) target(owner, key, { hook, only: o });
};

// later hooks what a getter gives when it is first asked.
const waiting = new Map(); // holder -> key -> functions to call with the value
const later = (o, key, then, hook) => {
  if (!waiting.has(o)) waiting.set(o, new Map());
  const keys = waiting.get(o);
  if (keys.has(key)) { keys.get(key).push([then, hook]); return; }
  const list = [[then, hook]];
  keys.set(key, list);
  const d = getOwnPropertyDescriptor(o, key);
  if (!d || !d.configurable) return;
  const made = new WeakMap();
  const get = { get() {
    busy++;
    try {
      const v = apply(d.get, this, []);
      if (v === null || typeof v !== 'object' && typeof v !== 'function') return v;
      if (!made.has(v)) {
        made.set(v, v);
        const holder = { v };
        for (const [, h] of list) if (h) target(holder, 'v', { hook: h });
        made.set(v, holder.v);
        for (const [f] of list) f(v);
      }
      return made.get(v);
    } finally { busy--; }
  } }.get;
  try { defineProperty(o, key, { ...d, get: disguise(get, d.get) }); } catch { /* fixed in place */ }
};

// read makes a property that is read with meaning tell of it.
const read = (o, key, hook, d) => {
  if (!d.configurable || 'value' in d && typeof d.value === 'function') return;
  let v = d.value;
  const fetch = (self) => 'value' in d ? v : apply(d.get, self, []);
  const get = { get() {
    const out = fetch(this);
    if (busy) return out;
    busy++;
    try {
      const at = site();
      if (at) {
        const n = folded(hook, at);
        if (n >= 0) emit('get', { api: hook.n, id: ++calls, v: value(out), at, c: cause(), x: n || undefined });
      }
    } finally { busy--; }
    return out;
  } }.get;
  const set = 'value' in d ? (d.writable ? { set(x) { v = x; } }.set : undefined) : d.set;
  try { defineProperty(o, key, { get, set, enumerable: d.enumerable, configurable: true }); } catch { /* fixed in place */ }
};
