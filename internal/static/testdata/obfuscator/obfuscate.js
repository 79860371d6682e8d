// Prints one JSON line a program, preset and seed: {program, preset, seed, code}. Run in a folder where javascript-obfuscator is
// installed. Arguments: the folder of programs, then seeds.
const fs = require("fs");
const path = require("path");
const obfuscator = require(require.resolve("javascript-obfuscator", { paths: [process.cwd()] }));
const [folder, ...seeds] = process.argv.slice(2);

const strings = { compact: true, stringArray: true, stringArrayThreshold: 1 };
const presets = {
  base64: { ...strings, stringArrayRotate: true, stringArrayShuffle: true, stringArrayEncoding: ["base64"] },
  rc4: {
    ...strings, stringArrayRotate: true, stringArrayShuffle: true, stringArrayEncoding: ["rc4"], stringArrayCallsTransform: true,
    stringArrayCallsTransformThreshold: 1, stringArrayWrappersCount: 3, stringArrayWrappersType: "function",
    stringArrayWrappersChainedCalls: true, stringArrayWrappersParametersMaxCount: 4, stringArrayIndexShift: true,
    splitStrings: true, splitStringsChunkLength: 5,
  },
  flattened: {
    ...strings, controlFlowFlattening: true, controlFlowFlatteningThreshold: 1, deadCodeInjection: true, deadCodeInjectionThreshold: 1,
    stringArrayEncoding: ["base64", "rc4"], simplify: true, transformObjectKeys: true,
  },
  everything: {
    ...strings, controlFlowFlattening: true, controlFlowFlatteningThreshold: 1, deadCodeInjection: true, deadCodeInjectionThreshold: 1,
    debugProtection: true, debugProtectionInterval: 4000, disableConsoleOutput: true, selfDefending: true, numbersToExpressions: true,
    simplify: true, splitStrings: true, splitStringsChunkLength: 4, stringArrayRotate: true, stringArrayShuffle: true,
    stringArrayEncoding: ["rc4"], stringArrayCallsTransform: true, stringArrayWrappersCount: 5, stringArrayWrappersChainedCalls: true,
    stringArrayWrappersType: "function", transformObjectKeys: true, unicodeEscapeSequence: true, identifierNamesGenerator: "hexadecimal",
  },
  unicode: {
    compact: true, unicodeEscapeSequence: true, stringArray: false, splitStrings: true, splitStringsChunkLength: 3,
    identifierNamesGenerator: "mangled-shuffled", numbersToExpressions: true, transformObjectKeys: true,
  },
  low: { optionsPreset: "low-obfuscation" },
  medium: { optionsPreset: "medium-obfuscation" },
  high: { optionsPreset: "high-obfuscation" },
};

for (const file of fs.readdirSync(folder).sort()) {
  const text = fs.readFileSync(path.join(folder, file), "utf8");
  for (const [preset, options] of Object.entries(presets)) {
    for (const seed of seeds) {
      const code = obfuscator.obfuscate(text, { log: false, ...options, seed: Number(seed) }).getObfuscatedCode();
      console.log(JSON.stringify({ program: file, preset, seed: Number(seed), code }));
    }
  }
}
