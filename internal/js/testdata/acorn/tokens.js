// Prints one JSON line a file named on standard input: {file, ok, module, tokens}. tokens are [kind, text] as acorn has them, template
// parts and comments left out, and what is written with escapes. Run where acorn is installed.
const fs = require("fs");
const acorn = require(require.resolve("acorn", { paths: [process.cwd()] }));

for (const file of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const text = fs.readFileSync(file, "utf8");
  const out = { file, ok: false, module: false, tokens: [] };
  for (const sourceType of ["script", "module"]) {
    try {
      const tokens = [];
      acorn.parse(text, { ecmaVersion: "latest", sourceType, allowHashBang: true, allowReturnOutsideFunction: true, onToken: tokens });
      out.ok = true;
      out.module = sourceType === "module";
      for (const t of tokens) {
        const label = t.type.label;
        if (label === "string" || label === "num" || label === "regexp" || label === "name" || label === "privateId" || t.type.keyword) {
          out.tokens.push([t.type.keyword || label === "privateId" ? "name" : label, text.slice(t.start, t.end)]);
        }
      }
      break;
    } catch (e) {
      out.tokens = [];
    }
  }
  console.log(JSON.stringify(out));
}
