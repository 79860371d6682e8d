// What is taken from the package's realm before its code runs, and the writing of lines. The format is described in wire.go.

const { process, Buffer, URL } = main;
const { apply, construct, getOwnPropertyDescriptor, defineProperty, ownKeys, getPrototypeOf, setPrototypeOf } = Reflect;
const uncurry = (f) => (self, ...args) => apply(f, self, args);
const has = uncurry(Object.prototype.hasOwnProperty);
// The list of arguments that a trap is given belongs to the caller's realm, whose prototypes may be changed.
const ours = (args) => { setPrototypeOf(args, Array.prototype); return args; };
const fs = require('fs');
const types = { ...require('util').types };
const worker = require('worker_threads');
const Module = require('module');
const writeSync = fs.writeSync;
const monotonic = process.hrtime.bigint;
const bufferFrom = Buffer.from;
const toText = uncurry(Buffer.prototype.toString);
const then = uncurry(Promise.prototype.then);

const EVENT = 65536;   // characters of one event, all its lines together
const PART = 2800;     // characters of an event on one line, before they are quoted
const thread = worker.threadId;

let fd = -1;
try {
  fd = fs.openSync(config.channel, fs.constants.O_WRONLY | fs.constants.O_APPEND);
} catch { return; } // no reader: whoever started us sees that the start line is missing

// busy says that our own code runs: what it does is never recorded.
let busy = 1; // until the last line of start.js
let number = 0;

const put = (head) => {
  const text = JSON.stringify(head).replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
  if (text.length < 4000) {
    apply(writeSync, fs, [fd, text + '\n']);
    return true;
  }
  return false;
};

// emit writes one event, over several lines when it is long.
const emit = (kind, fields) => {
  busy++;
  try {
    const e = { p: process.pid, w: thread, n: ++number, k: kind, t: Number(monotonic() / 1000n), ...fields };
    if (put(e)) return;
    const whole = JSON.stringify({ ...fields, k: kind, t: e.t });
    if (whole.length > EVENT) {
      put({ p: e.p, w: e.w, n: e.n, k: kind, t: e.t, api: fields.api, id: fields.id, of: fields.of, on: fields.on, at: fields.at, cut: whole.length });
      return;
    }
    for (let i = 0, size; i < whole.length; i += size) {
      size = PART;
      for (;;) {
        const part = { p: e.p, w: e.w, n: i ? ++number : e.n, k: 'part', s: whole.slice(i, i + size), more: i + size < whole.length };
        if (put(part)) break;
        if (i) number--;
        size >>= 1;
      }
    }
  } catch { /* the gap in the numbers tells */ } finally { busy--; }
};
