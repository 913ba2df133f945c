const url = new URL(process.argv[1]);

// A Node that heeds no proxy variables looks the name up itself, and nobody knows it. Whether it trusts the authority can
// still be seen, in a tunnel that is asked for by hand.
function byHand() {
  const proxy = new URL(process.env.HTTPS_PROXY);
  const headers = {};
  if (proxy.username) {
    const proof = decodeURIComponent(proxy.username) + ":" + decodeURIComponent(proxy.password);
    headers["Proxy-Authorization"] = "Basic " + Buffer.from(proof).toString("base64");
  }
  const asked = { host: proxy.hostname, port: proxy.port, method: "CONNECT", path: url.hostname + ":443", headers };
  const connect = require("http").request(asked);
  connect.on("error", failed);
  connect.on("connect", (answer, socket) => {
    if (answer.statusCode !== 200) {
      failed(new Error("CONNECT was answered with " + answer.statusCode));
      return;
    }
    const options = { socket, agent: false, servername: url.hostname, host: url.hostname, path: url.pathname };
    require("https")
      .get({ ...options, headers: { connection: "close" } }, (page) => {
        page.on("data", (bytes) => process.stdout.write(bytes));
        page.on("end", () => {
          process.exitCode = 4;
          socket.destroy();
        });
      })
      .on("error", failed);
  });
  connect.end();
}

function failed(error) {
  console.error(error.code || "", error.message);
  process.exit(1);
}

(async () => {
  if (typeof fetch === "undefined") return byHand();
  try {
    process.stdout.write(await (await fetch(url)).text());
  } catch (error) {
    const cause = error.cause || error;
    if (cause.code === "ENOTFOUND" || cause.code === "EAI_AGAIN") byHand();
    else failed(cause);
  }
})();
