// Reads names of APIs, one a line, and prints those that this Node does not have.
'use strict';
const fs = require('fs');
const { execPath } = process;

const AsyncFunction = (async () => {}).constructor;
const GeneratorFunction = (function* () {}).constructor;
const AsyncGeneratorFunction = (async function* () {}).constructor;

// Instances whose class Node does not export, and globals that only syntax reaches.
const dir = fs.opendirSync(__dirname);
const http = require('http');
const http2 = require('http2');
const session = http2.connect('http://127.0.0.1:9');
session.on('error', () => {});
const instances = {
  'fs.Dir': dir,
  'http.ServerRequest': http.IncomingMessage.prototype,
  'http2.Session': session,
  'http2.Stream': require('stream').Duplex.prototype,
  'child_process.ChildProcess': Object.assign(Object.create(require('child_process').ChildProcess.prototype), { stdin: 1, stdout: 1, stderr: 1, send: 1 }),
  'child_process.Stdin': require('stream').Writable.prototype,
  'worker_threads.MessagePort': new (require('worker_threads').MessageChannel)().port1,
  'Intl.DateTimeFormat': Intl.DateTimeFormat.prototype,
  module: module,
};
process.send = process.send || (() => {}); // there in a forked child only
const globals = { AsyncFunction, GeneratorFunction, AsyncGeneratorFunction, require, import: true };

function load(name) {
  if (name in instances && name !== 'module') return instances[name];
  if (name in globals) return globals[name];
  if (name in globalThis) return globalThis[name];
  try {
    return require('node:' + name);
  } catch {
    return undefined;
  }
}

function has(o, key) {
  return o !== null && (typeof o === 'object' || typeof o === 'function') && key in o;
}

// A member may be of the module, of the class itself or of its instances.
function resolve(name) {
  for (const [type, value] of Object.entries(instances)) {
    if (name.startsWith(type + '.') && has(value, name.slice(type.length + 1))) return true;
  }
  const parts = name.split('.');
  let o = load(parts[0]);
  if (parts.length === 1) return o !== undefined;
  if (parts[0] === 'fs' && parts[1] === 'FileHandle') return has(handle, parts[2]);
  // A global of the same name as a module (crypto) has other members.
  const module = (() => { try { return require('node:' + parts[0]); } catch { return undefined; } })();
  for (const start of [module, o]) {
    let at = start;
    let ok = at !== undefined;
    for (const p of parts.slice(1)) {
      if (has(at, p)) at = at[p];
      else if (typeof at === 'function' && has(at.prototype, p)) { ok = true; at = undefined; }
      else { ok = false; break; }
    }
    if (ok) return true;
  }
  return false;
}

let handle;
fs.promises.open(execPath).then((h) => {
  handle = h;
  const missing = fs.readFileSync(0, 'utf8').split('\n').filter((n) => n && !resolve(n));
  process.stdout.write(missing.join('\n'), () => process.exit(0));
});
