/**
 * Sends requests all at once: `node ask-main.ts URL '[{"baggage": "..."}, {}]'`, header fields of
 * each; prints what each came to, as a list in the same order.
 */
import { Agent, request } from "node:http";

const [url = "", list = "[]"] = process.argv.slice(2);
const all = JSON.parse(list) as Readonly<Record<string, string>>[];
/** Fewer connections than requests, so that requests of different tags follow each other on one. */
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

process.stdout.write(JSON.stringify(await Promise.all(all.map(ask))));
agent.destroy();

function ask(headers: Readonly<Record<string, string>>): Promise<object> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (body += piece));
      response.on("error", reject);
      response.on("end", () => {
        resolve({ status: response.statusCode, fields: response.headers, body });
      });
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}
