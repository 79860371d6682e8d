// Code made of text. Every script that the engine compiles from something else than a file is reported before it runs, by the engine's
// own debugger interface, which direct eval and any way to a Function constructor cannot avoid.

const kinds = [['(function anonymous(', 'Function'], ['(async function anonymous(', 'AsyncFunction'], ['(function* anonymous(', 'GeneratorFunction'],
  ['(async function* anonymous(', 'AsyncGeneratorFunction']];
const shown = new Map();

const watchCode = () => {
  let session, post;
  try {
    const { Session } = require('inspector');
    session = new Session();
    post = session.post;
    session.connect();
  } catch { emit('fault', { api: 'inspector', v: 'made code is not seen' }); return; }
  // An own property, so that a changed EventEmitter.prototype.emit sees nothing and hides nothing.
  session.emit = (event, message) => {
    if (event !== 'Debugger.scriptParsed' && event !== 'Debugger.scriptFailedToParse' || busy > 1) return true;
    const p = message.params;
    if (p.url.startsWith('node:') || p.url === self || p.scriptLanguage === 'WebAssembly') return true;
    const file = p.url.startsWith('file:') || p.url.startsWith('/');
    if (file && !p.hasSourceURL) return true;
    busy++;
    try {
      let text = '';
      plainly(() => apply(post, session, ['Debugger.getScriptSource', { scriptId: p.scriptId }, (err, r) => { if (!err) text = r.scriptSource; }]));
      code(text, p);
    } catch { emit('code', { h: p.hash, how: 'eval', at: site(true) }); } finally { busy--; }
    return true;
  };
  apply(post, session, ['Debugger.enable', { maxScriptsCacheSize: 1e8 }]);
  apply(post, session, ['Debugger.setSkipAllPauses', { skip: true }]);
};

// plainly calls what writes a plain object as JSON, which a toJSON that the package gave to all objects would change.
const plainly = (f) => {
  const all = main.Object.prototype, d = getOwnPropertyDescriptor(all, 'toJSON');
  if (d) delete all.toJSON;
  try { f(); } finally { if (d) defineProperty(all, 'toJSON', d); }
};

const code = (text, p) => {
  const hash = p.hash, n = (shown.get(hash) || 0) + 1;
  shown.set(hash, n);
  codes.add(hash);
  if (n > 1) { if (n <= 64) emit('code', { h: hash, at: site(true), c: cause(), x: n }); return; }
  const made = kinds.find(([head]) => text.startsWith(head));
  emit('code', { h: hash, how: made ? made[1] : p.url === '' || p.hasSourceURL ? 'eval' : 'vm', f: p.url || undefined, at: site(true), c: cause(),
    v: { s: text.slice(0, 49152), n: text.length > 49152 ? text.length : undefined, h: digest(apply(bufferFrom, Buffer, [text, 'utf8'])) } });
};
