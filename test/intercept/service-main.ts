/** A service of the suite: `node service-main.ts NAME ADDRESS PORT,PORT`. */
import { createServer } from "node:http";

const [name = "", address = "", ports = ""] = process.argv.slice(2);
/** A page that asks this service from a browser, with and without a tag, and shows what it was told. */
const PAGE = "/page";
const HTML = `<!doctype html><title>page</title><script>
for (const tag of ["", "jane-42", "nobodys!"]) {
  const request = new XMLHttpRequest();
  request.open("POST", "/", false);
  if (tag !== "") request.setRequestHeader("baggage", "sandbox=" + tag);
  request.send("x".repeat(100000));
  document.write("<p>" + request.status + " " + request.responseText + "</p>");
}
</script>`;

let waiting = 0;
let served = 0;
for (const port of ports.split(",").map(Number)) {
  waiting++;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      served++;
      if (request.url === PAGE) {
        response.setHeader("content-type", "text/html");
        response.end(HTML);
        return;
      }
      const body = JSON.stringify({
        name,
        port,
        method: request.method,
        forwardedFor: request.headers["x-forwarded-for"] ?? null,
        from: request.socket.remoteAddress,
        served,
        bodyBytes: Buffer.concat(chunks).length,
      });
      response.setHeader("content-type", "application/json");
      response.end(body);
    });
  });
  server.listen(port, address, () => {
    waiting--;
    if (waiting === 0) process.stdout.write("ready\n");
  });
}
