import { networkInterfaces } from "node:os";
import { expect, test } from "vitest";
import { Connection } from "../harness/client.ts";
import { startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

const ADDRESSES = Object.values(networkInterfaces()).flatMap((it) => it ?? []);
const HAS_IPV6 = ADDRESSES.some(({ address }) => address === "::1");

/** What a strict tag is answered with by a proxy at `listen`, to a caller from `from`. */
async function answerAt(listen: string, from: string, trusts?: string): Promise<string> {
  const baseline = await startUpstream(response("baseline"));
  const jane = await startUpstream(response("jane"));
  const flags = { listen, ...(trusts === undefined ? {} : { "trust-tags-from": trusts }) };
  const proxy = await startProxy({ baseline, forks: { "jane-42": { at: jane } }, flags });
  const connection = await Connection.open(proxy.port, from);
  connection.write("GET / HTTP/1.1\r\nHost: [::1]:80\r\nbaggage: sandbox=jane-42!\r\n\r\n");
  const { body } = await connection.response();
  connection.close();
  return body;
}

/** Where to listen, who calls, whom the proxy trusts, who answers. */
type Row = readonly [listen: string, from: string, trusts: string | undefined, by: string];

const WITH_IPV6: readonly Row[] = [
  ["[::1]:0", "::1", undefined, "jane"],
  ["[::]:0", "::1", undefined, "jane"],
  ["[::]:0", "127.0.0.1", undefined, "jane"],
  ["[::]:0", "127.0.0.1", "127.0.0.1/32", "jane"],
  ["[::]:0", "127.0.0.1", "::1/128", "baseline"],
  ["[::1]:0", "::1", "127.0.0.0/8", "baseline"],
];
/** The system has none: all that can be tried is that this is said. */
const WITHOUT_IPV6: readonly Row[] = [["[::1]:0", "127.0.0.1", undefined, "EADDRNOTAVAIL"]];

test.each(HAS_IPV6 ? WITH_IPV6 : WITHOUT_IPV6)(
  "at %s a caller from %s, with %s trusted, is answered by %s",
  async (listen, from, trusts, by) => {
    expect(await answerAt(listen, from, trusts).catch((error) => error.code)).toBe(by);
  },
);

test("an upstream may have an IPv6 address; one that is not there is connect-refused", async () => {
  const proxy = await startProxy({ baseline: "[::1]:1" });
  const connection = await Connection.open(proxy.port);
  connection.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect((await connection.response()).fields["forklane-fault"]).toMatch(/^connect-refused;/);
  connection.close();
});
