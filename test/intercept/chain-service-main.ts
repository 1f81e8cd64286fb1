/**
 * One service of a chain: `node chain-service-main.ts NAME PORT [HOST:PORT]`.
 *
 * It asks the next one, where there is one, and answers who was asked in all. Of Forklane it knows
 * nothing: it passes `baggage` on, as any service has to.
 */
import { Agent, createServer, request } from "node:http";

const [name = "", port = "", next] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true });

const server = createServer((incoming, response) => {
  incoming.resume();
  const { baggage } = incoming.headers;
  askNext(baggage === undefined ? {} : { baggage: String(baggage) }).then(
    ({ status, names }) => {
      response.statusCode = status;
      response.end(JSON.stringify([name, ...names]));
    },
    (error: Error) => {
      response.statusCode = 502;
      response.end(JSON.stringify([name, error.message]));
    },
  );
});
server.listen(Number(port), "::", () => process.stdout.write("ready\n"));

interface Answer {
  readonly status: number;
  readonly names: readonly string[];
}

async function askNext(headers: Readonly<Record<string, string>>): Promise<Answer> {
  if (next === undefined) return { status: 200, names: [] };
  return await new Promise((resolve, reject) => {
    const outgoing = request(`http://${next}/`, { agent, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => (text += piece));
      response.on("error", reject);
      response.on("end", () => {
        const status = response.statusCode ?? 0;
        const isList = text.startsWith("[");
        resolve({ status, names: isList ? (JSON.parse(text) as string[]) : [text] });
      });
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}
