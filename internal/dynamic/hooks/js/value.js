// Values as they stand on a line: types, texts, sizes and digests. No getter and no trap of the package runs here.

const TEXT = 16384;    // characters of one text
const DIGESTED = 1 << 18; // bytes of a text that its digest covers
const FIELDS = 64, DEPTH = 4;

const typedArray = getPrototypeOf(Uint8Array.prototype);
const getter = (o, k) => uncurry(getOwnPropertyDescriptor(o, k).get);
const viewBuffer = getter(typedArray, 'buffer'), viewOffset = getter(typedArray, 'byteOffset'), viewLength = getter(typedArray, 'byteLength');
const dataBuffer = getter(DataView.prototype, 'buffer'), dataOffset = getter(DataView.prototype, 'byteOffset'), dataLength = getter(DataView.prototype, 'byteLength');
const href = getter(URL.prototype, 'href');
const isView = ArrayBuffer.isView;
const mapEntries = uncurry(Map.prototype.entries);
const number8 = Number.prototype.toString;

// made remembers which call gave an object, typed what an object is where its prototype does not tell.
const made = new WeakMap(), typed = new WeakMap();

// bytesOf gives the bytes of a view or buffer without a copy, or undefined.
const bytesOf = (v) => {
  if (isView(v)) {
    return types.isDataView(v) ? apply(bufferFrom, Buffer, [dataBuffer(v), dataOffset(v), dataLength(v)])
      : apply(bufferFrom, Buffer, [viewBuffer(v), viewOffset(v), viewLength(v)]);
  }
  if (types.isAnyArrayBuffer(v)) return apply(bufferFrom, Buffer, [v]);
};

// digest is the hash of wire.go's Digest, over bytes.
const digest = (b) => {
  let a = 0x9e3779b9, c = 0x85ebca6b;
  const n = Math.min(b.length, DIGESTED);
  for (let i = 0; i < n; i++) {
    a = Math.imul(a ^ b[i], 0x01000193);
    c = Math.imul(c ^ b[i], 0x5bd1e995) ^ (c >>> 15);
  }
  return [a ^ b.length, c].map((x) => apply(number8, x >>> 0, [16]).padStart(8, '0')).join('');
};

const textValue = (s) => {
  if (s.length < 8) return s;
  const b = apply(bufferFrom, Buffer, [s, 'utf8']);
  return s.length > TEXT ? { s: s.slice(0, TEXT), n: b.length, h: digest(b) } : { s, h: digest(b) };
};

const value = (v, depth = 0) => {
  switch (typeof v) {
    case 'string': return textValue(v);
    case 'number': return Number.isFinite(v) ? v : { x: String(v) };
    case 'boolean': return v;
    case 'undefined': return { u: 1 };
    case 'bigint': return { x: String(v) };
    case 'symbol': return { x: 'symbol' };
    case 'function': return { f: 1, i: made.get(v) };
  }
  if (v === null) return null;
  if (types.isProxy(v)) return { o: [], c: 'Proxy' };
  const b = bytesOf(v);
  if (b) {
    const cut = b.length > TEXT;
    return { b: toText(cut ? b.subarray(0, TEXT) : b, 'base64'), n: cut ? b.length : undefined, h: digest(b), i: made.get(v) };
  }
  if (Array.isArray(v)) {
    const n = v.length, l = [];
    if (depth < DEPTH) {
      for (let i = 0; i < n && i < FIELDS; i++) {
        const d = getOwnPropertyDescriptor(v, i);
        l.push(d && 'value' in d ? value(d.value, depth + 1) : { u: 1 });
      }
    }
    return { l, n: n > l.length ? n : undefined, i: made.get(v) };
  }
  try { return { s: href(v) }; } catch { /* no URL */ }
  const o = [];
  let n = 0;
  if (depth < DEPTH) {
    if (types.isMap(v)) {
      for (const [k, x] of mapEntries(v)) if (typeof k === 'string' && ++n <= FIELDS) o.push([k, value(x, depth + 1)]);
    }
    for (const k of ownKeys(v)) {
      if (typeof k !== 'string') continue;
      const d = getOwnPropertyDescriptor(v, k);
      if (!d || !d.enumerable || !('value' in d)) continue;
      if (++n <= FIELDS) o.push([k, value(d.value, depth + 1)]);
    }
  }
  return { o, n: n > o.length ? n : undefined, i: made.get(v) };
};
