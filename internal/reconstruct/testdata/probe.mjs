// Loads a package or a file and prints what it exports and what one call gives.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { inspect } from "node:util";
const [how, target, call] = process.argv.slice(2);
const require = createRequire(process.cwd() + "/");
const file = target.startsWith("./") || target.startsWith("/");
const m = how === "import" ? await import(file ? target : pathToFileURL(process.argv[5] ?? require.resolve(target)).href) : require(target);
const shape = (v) => (typeof v === "function" ? `function ${v.name}/${v.length}` : v === null ? "null" : typeof v);
console.log("export", shape(m));
for (const key of Object.keys(m).sort()) console.log(key, shape(m[key]));
console.log("default" in Object(m) ? Object.keys(Object(m.default)).sort().map((k) => k + " " + shape(m.default[k])) : "");
console.log(inspect(await (0, eval)(call)(m), { depth: 10 }));
process.exit(0);
