'use strict';
// Compiles the core in a realm of its own, whose intrinsics no code of the package can reach, under a name as Node gives to its own
// files, so that no stack trace shows this file. hooks.go fills in the names in capitals.
{
  const vm = require('vm');
  const realm = vm.createContext(Object.create(null));
  vm.compileFunction(CORE, ['main', 'require', 'self', 'own', 'table', 'config'], { parsingContext: realm, filename: NAME })(
    globalThis, require, __filename, NAME, ...SETTINGS);
  if (require.cache) delete require.cache[__filename];
}
