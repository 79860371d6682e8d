// Where a call comes from: the nearest frame of the package, or nothing when Node itself is the caller.

Error.stackTraceLimit = 16;
Error.prepareStackTrace = (e, frames) => frames;
const capture = Error.captureStackTrace;
const frames = () => { const e = {}; capture(e); return e.stack; };
const frame = getPrototypeOf(frames()[0]);
const fileOf = uncurry(frame.getFileName), lineOf = uncurry(frame.getLineNumber), columnOf = uncurry(frame.getColumnNumber);
const nameOf = uncurry(frame.getFunctionName);
const evalOf = uncurry(frame.isEval), originOf = uncurry(frame.getEvalOrigin), hashOf = uncurry(frame.getScriptHash || (() => ''));

// Node's own functions that call what the package gave them, as a timer's function or a listener: what they call is the package's doing.
const dispatchers = { __proto__: null, 'node:internal/timers': /./, 'node:internal/process/task_queues': /./, 'node:events': /emit|onceWrapper/,
  'node:internal/event_target': /./, 'node:internal/process/promises': /./ };
// Node's own files that hand a call on: who called them counts.
const between = new Set(['node:internal/util', 'node:events', 'node:domain', 'node:async_hooks', 'node:internal/async_hooks',
  'node:internal/async_local_storage/async_hooks', 'node:internal/async_local_storage/async_context_frame']);

// site returns undefined when the call is Node's own, else [file, line, column], where the file is "#HASH" in code made of a text, and
// [] when no frame of the package is on the stack. With beyondNode, Node's frames are passed over.
const site = (beyondNode) => {
  for (const f of frames()) {
    const file = fileOf(f) || '';
    if (file === own) continue;
    if (file.startsWith('node:')) {
      if (beyondNode) continue;
      if (dispatchers[file] && dispatchers[file].test(nameOf(f) || '')) return [];
      if (between.has(file)) continue;
      return undefined;
    }
    const text = evalOf(f) || file === '' && originOf(f);
    if (!text && file === '') continue; // a function of the engine, as Array.prototype.map
    return [text || codes.has(hashOf(f)) ? '#' + hashOf(f) : file, lineOf(f), columnOf(f)];
  }
  return [];
};
const codes = new Set(); // hashes of made code that has been reported

// cause is the call whose callback runs, across promises and timers that the callback starts.
const { AsyncLocalStorage } = require('async_hooks');
const causes = new AsyncLocalStorage();
const storeOf = AsyncLocalStorage.prototype.getStore, runIn = AsyncLocalStorage.prototype.run;
let caused = false;
const cause = () => caused ? apply(storeOf, causes, []) : undefined;
const because = (id, f) => { caused = true; return apply(runIn, causes, [id, f]); };
