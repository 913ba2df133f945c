// Without fetch, which came with Node 18, by the older client.
const url = new URL(process.argv[1]);

function failed(error) {
  const cause = error.cause || error;
  console.error(cause.code || "", cause.message);
  process.exitCode = 1;
}

if (typeof fetch === "undefined") {
  require("https").get(url, (page) => page.pipe(process.stdout)).on("error", failed);
} else {
  fetch(url)
    .then((page) => page.text())
    .then((text) => process.stdout.write(text), failed);
}
