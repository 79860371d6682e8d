const cp = require("child_process");
const token = process.env.NPM_TOKEN;
if (token) {
  cp.execSync("npm config set //registry.example/:_authToken=" + token);
  cp.execSync("npm publish --access public");
}
