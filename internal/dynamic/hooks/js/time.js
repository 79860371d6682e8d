// Virtual time: a delay of more than a second passes in one to two and a half, and the clocks jump with it; a loop that waits for a clock
// finds it advancing. Delays below a second, and Node's own timeouts, stay real.

const virtualTime = () => {
  let off = 0, asked = 0;
  const RealDate = main.Date, now = RealDate.now, perf = main.performance, perfNow = perf.now, hr = process.hrtime, hrBig = hr.bigint;
  const realTimeout = main.setTimeout;
  const squeezed = (ms) => ms <= 1000 ? ms : 1000 + Math.min(1500, Math.log2(ms / 1000) * 100);
  const ask = () => { if (++asked > 20000) off += 50; };
  apply(main.setInterval, main, [() => { asked = 0; }, 50]).unref();
  const jumping = (f, ms) => {
    const due = now() + off + ms;
    const w = new Proxy(f, { apply(t, s, args) { const d = due - (now() + off); if (d > 0) off += d; return apply(t, s, args); } });
    originals.set(w, f);
    return w;
  };
  const long = (ms) => typeof ms === 'number' && ms > 1000 && ms < 2 ** 31 || typeof ms === 'string' && +ms > 1000 && +ms < 2 ** 31;
  const timer = (repeats) => (args) => {
    if (typeof args[0] !== 'function' || !long(args[1])) return;
    return [repeats ? args[0] : jumping(args[0], +args[1]), squeezed(+args[1]), ...args.slice(2)];
  };
  shape.setTimeout = timer(false);
  shape.setInterval = timer(true);
  shape['timers.promises.setTimeout'] = (args) => {
    if (!long(args[0])) return;
    const jump = jumping(() => {}, +args[0]), short = squeezed(+args[0]);
    apply(realTimeout, main, [jump, short - 1]).unref();
    return [short, ...args.slice(1)];
  };

  const date = new Proxy(RealDate, {
    apply() { return apply(RealDate.prototype.toString, construct(RealDate, [now() + off]), []); },
    construct(t, args, target) { if (!args.length) { ask(); args = [now() + off]; } return construct(t, args, target === date ? t : target); },
  });
  RealDate.now = disguise({ now() { ask(); return now() + off; } }.now, now);
  RealDate.prototype.constructor = date;
  defineProperty(main, 'Date', { ...getOwnPropertyDescriptor(main, 'Date'), value: disguise(date, RealDate) });
  const shifted = (o, key, f, make) => { try { defineProperty(o, key, { ...getOwnPropertyDescriptor(o, key), value: disguise(make(f), f) }); } catch { /* fixed */ } };
  const perfOwner = ownerOf(perf, 'now');
  shifted(perfOwner, 'now', perfNow, (f) => new Proxy(f, { apply(t, s, a) { ask(); return apply(t, s, a) + off; } }));
  const bigint = () => apply(hrBig, hr, []) + BigInt(Math.round(off * 1e6));
  const hrtime = new Proxy(hr, { apply(t, s, args) {
    const since = args[0];
    ask();
    const x = bigint();
    let sec = Number(x / 1000000000n), ns = Number(x % 1000000000n);
    if (since !== undefined) { const from = since; sec -= from[0]; ns -= from[1]; if (ns < 0) { sec--; ns += 1e9; } }
    return mainList([sec, ns]);
  } });
  defineProperty(hr, 'bigint', { ...getOwnPropertyDescriptor(hr, 'bigint'), value: disguise(new Proxy(hrBig, { apply() { ask(); return bigint(); } }), hrBig) });
  shifted(process, 'hrtime', hr, () => hrtime);
  const wait = main.Atomics.wait;
  shifted(main.Atomics, 'wait', wait, (f) => new Proxy(f, { apply(t, s, args) {
    if (!(args[3] > 1000)) return apply(t, s, args);
    const r = apply(t, s, [args[0], args[1], args[2], 100]);
    if (r === 'timed-out' && Number.isFinite(+args[3])) off += args[3] - 100;
    return r;
  } }));
  const up = process.uptime;
  shifted(process, 'uptime', up, (f) => new Proxy(f, { apply(t, s, a) { return apply(t, s, a) + off / 1000; } }));
};
