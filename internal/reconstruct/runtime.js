((path, url, root, require, outer) => {
  const files = Object.create(null);
  let main;
  const find = (from, request) => {
    if (!/^\.\.?(\/|$)/.test(request)) return;
    const at = path.posix.join(path.posix.dirname(from), request);
    for (const ending of ["", ".js", ".json", ".cjs", ".mjs", "/index.js", "/index.json"]) if (files[at + ending]) return files[at + ending];
  };
  const relocate = (from, request) => {
    if (typeof request !== "string" || !/^\.\.?(\/|$)/.test(request)) return request;
    const at = path.posix.join(path.posix.dirname(from), request);
    return /^\.\.(\/|$)/.test(at) ? at : "./" + at;
  };
  const requireFrom = (file) => {
    const own = (request) => {
      const run = typeof request === "string" && find(file, request);
      return run ? run() : require(relocate(file, request));
    };
    own.resolve = (request, options) => require.resolve(relocate(file, request), options);
    own.resolve.paths = require.resolve.paths;
    own.cache = require.cache;
    own.extensions = require.extensions;
    Object.defineProperty(own, "main", { enumerable: true, get: () => (outer && require.main === outer ? main : require.main) });
    return own;
  };
  const object = (target, getters) => {
    for (const name of Object.keys(getters).sort()) Object.defineProperty(target, name, { enumerable: true, configurable: true, get: getters[name] });
    return target;
  };
  const spaces = new Map();
  const space = (value) => {
    if (spaces.has(value)) return spaces.get(value);
    const result = Object.create(null, { [Symbol.toStringTag]: { value: "Module" } });
    spaces.set(value, result);
    if (value && (typeof value === "object" || typeof value === "function")) for (const name of Object.keys(value)) if (name !== "default") object(result, { [name]: () => value[name] });
    return object(result, { default: () => value });
  };
  const once = (body) => {
    let run;
    return () => (run ||= { result: body() }).result;
  };
  return {
    // a CommonJS file: run when it is first required
    commonjs(file, body) {
      const filename = path.join(root, file), dirname = path.dirname(filename);
      let module;
      return (files[file] = () => {
        if (module) return module.exports;
        module = { id: filename, filename, path: dirname, exports: {}, loaded: false, children: [], paths: outer?.paths ?? [], parent: main ?? outer?.parent, require: requireFrom(file) };
        main ??= module;
        try {
          body.call(module.exports, module.exports, module.require, module, filename, dirname);
        } catch (error) {
          module = undefined;
          throw error;
        }
        module.loaded = true;
        return module.exports;
      });
    },
    json(file, value) {
      files[file] = () => value;
      return value;
    },
    // an ECMAScript module that runs later
    module: once,
    load(runs, result) {
      for (const run of runs) if (run() instanceof Promise) throw new Error("a module that waits cannot be required");
      return result;
    },
    async later(runs, result, common) {
      for (const run of runs) await run();
      return common ? space(common()) : result;
    },
    // the namespace object of a module, and that of anything else
    namespace: (target, getters, ...stars) => {
      object(target, getters);
      for (const star of stars) for (const name of Object.keys(star)) if (name !== "default" && !(name in target)) object(target, { [name]: () => star[name] });
      return target;
    },
    empty: () => Object.create(null, { [Symbol.toStringTag]: { value: "Module" } }),
    space,
    builtin: (name) => space(require(name)),
    // functions keep the names that they had
    named(functions) {
      for (const [name, value] of Object.entries(functions)) {
        const old = typeof value === "function" && Object.getOwnPropertyDescriptor(value, "name");
        if (old && !old.writable && typeof old.value === "string") Object.defineProperty(value, "name", { value: name, configurable: true });
      }
    },
    // and functions that had none stay without
    nameless(...functions) {
      for (const value of functions) this.named({ "": value });
    },
    require: requireFrom,
    meta: (file) => {
      const filename = path.join(root, file);
      return { url: url.pathToFileURL(filename).href, filename, dirname: path.dirname(filename), resolve: (request) => /^\.\.?\//.test(request) ? new URL(request, url.pathToFileURL(filename)).href : require.resolve(request) };
    },
    async import(file, request, options) {
      const run = find(file, String(request));
      if (run) return space(run());
      return import(relocate(file, String(request)), options);
    },
  };
})
