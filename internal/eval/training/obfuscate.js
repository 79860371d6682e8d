// Reads a JSON list of {id, preset, seed, code} and prints one JSON line for each: {id, code} or {id, error}. The code is text to the
// obfuscator; nothing of it runs. Run in a folder where javascript-obfuscator is installed.
const obfuscator = require(require.resolve("javascript-obfuscator", { paths: [process.cwd()] }));

const presets = {
  default: { optionsPreset: "default" },
  low: { optionsPreset: "low-obfuscation" },
  medium: { optionsPreset: "medium-obfuscation" },
  high: { optionsPreset: "high-obfuscation" },
  escapes: { identifierNamesGenerator: "mangled-shuffled", stringArray: false, unicodeEscapeSequence: true, numbersToExpressions: true },
};

for (const { id, preset, seed, code } of JSON.parse(require("fs").readFileSync(0, "utf8"))) {
  let line;
  try {
    line = { id, code: obfuscator.obfuscate(code, { ...presets[preset], seed, log: false }).getObfuscatedCode() };
  } catch (e) {
    line = { id, error: String(e).slice(0, 200) };
  }
  console.log(JSON.stringify(line));
}
