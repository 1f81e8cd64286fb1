import { expect, onTestFinished, test } from "vitest";
import { FAULTS, type FaultCode } from "../../proxy/fault.ts";
import { DEFAULT_LIMITS } from "../../proxy/limits.ts";
import { Metrics } from "../../proxy/telemetry/metrics.ts";
import { Connection } from "../harness/client.ts";
import { type DataPlane, type DataPlaneWish, startDataPlane } from "../harness/data-plane.ts";
import { startDeafUpstream } from "../harness/deaf.ts";
import { NOBODY } from "../harness/proxy.ts";
import { type Reply, response, startUpstream } from "../harness/upstream.ts";

/** How a fault is brought about; every code of the table has to be here. */
interface Case {
  /** What the caller sends. */
  readonly bytes: string;
  /** What the baseline does; it answers 200 where nothing is said. */
  readonly baseline?: Reply | "nobody" | "deaf";
  readonly wish?: Partial<DataPlaneWish>;
  /** What happens after the bytes were sent. */
  readonly after?: (plane: DataPlane, connection: Connection) => Promise<void> | void;
  /** What is set up before. */
  readonly first?: (plane: DataPlane) => Promise<void> | void;
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n";
const CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const ROUTES = {
  "jane-42": { sandbox: "jane", endpoints: [NOBODY], onUnavailable: "fail" as const },
};
const TABLE = { revision: 1, routes: ROUTES, known: ["elsewhere"], expired: ["gone-1"] };

function tagged(tag: string, wish: Partial<DataPlaneWish> = {}): Case {
  return { bytes: `${GET}baggage: sandbox=${tag}\r\n\r\n`, wish: { table: TABLE, ...wish } };
}

const CASES: Readonly<Record<FaultCode, Case>> = {
  "head-malformed": { bytes: "GET / HTTP/1.1\r\nHost : a\r\n\r\n" },
  "host-invalid": { bytes: "GET / HTTP/1.1\r\n\r\n" },
  "framing-ambiguous": { bytes: `${GET}Content-Length: 1\r\nContent-Length: 1\r\n\r\n` },
  "transfer-coding-unsupported": { bytes: `${GET}Transfer-Encoding: gzip, chunked\r\n\r\n` },
  "version-unsupported": { bytes: "GET / HTTP/1.2\r\nHost: a\r\n\r\n" },
  "method-unsupported": { bytes: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" },
  "target-too-long": { bytes: `GET /${"x".repeat(DEFAULT_LIMITS.requestLineBytesMax)}` },
  "head-too-large": { bytes: `${GET}${"X: 1\r\n".repeat(DEFAULT_LIMITS.headFieldsMax)}\r\n` },
  "field-protected": { bytes: `${GET}Connection: baggage\r\n\r\n` },
  "field-underscored": {
    bytes: `${GET}bag_gage: 1\r\n\r\n`,
    wish: { flags: { "underscore-fields": "reject" } },
  },
  "forwards-used-up": { bytes: "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n" },
  "body-malformed": { bytes: `${CHUNKED}nonsense\r\n` },
  "trailers-too-large": {
    bytes: `${CHUNKED}0\r\n${"X: 1\r\n".repeat(DEFAULT_LIMITS.trailerFieldsMax + 1)}\r\n`,
  },
  "head-timeout": { bytes: GET, wish: { limits: { headTimeoutMs: 50 } } },
  "body-timeout": {
    bytes: `${GET}Content-Length: 5\r\n\r\nhe`,
    wish: { limits: { bodyIdleMs: 50 } },
  },
  "downstream-closed": {
    bytes: `${GET}\r\n`,
    baseline: () => null,
    after: async (plane, connection) => {
      await expect.poll(() => plane.pool.connections).toBe(1);
      connection.close();
    },
  },
  // Not an exchange: see the test below.
  "connection-limit": { bytes: "", wish: { limits: { downstreamConnectionsMax: 0 } } },
  overloaded: {
    bytes: "",
    after: async (plane, connection) => {
      await expect.poll(() => plane.listener.connections).toBe(1);
      plane.context.overload = "refuses";
      connection.write(`${GET}\r\n`);
    },
  },
  // Not an exchange either.
  "not-intercepted": { bytes: "", wish: { interception: { intercepted: () => null } } },
  "destination-unknown": { bytes: `${GET}\r\n`, wish: { flags: { mode: "outbound" } } },
  draining: {
    bytes: `${GET}\r\n`,
    baseline: () => null,
    after: async (plane) => {
      await expect.poll(() => plane.pool.connections).toBe(1);
      await plane.listener.drain();
    },
  },
  "connect-refused": { bytes: `${GET}\r\n`, baseline: "nobody" },
  "connect-timeout": { bytes: `${GET}\r\n`, baseline: "deaf" },
  "pool-full": {
    bytes: `${GET}\r\n`,
    wish: { limits: { upstreamConnectionsMax: 0, upstreamWaitingMax: 0 } },
  },
  "upstream-closed": {
    bytes: `${GET}\r\n`,
    baseline: (_request, socket) => {
      socket.resetAndDestroy();
      return null;
    },
  },
  "upstream-malformed": { bytes: `${GET}\r\n`, baseline: "nonsense\r\n\r\n" },
  "upstream-head-too-large": {
    bytes: `${GET}\r\n`,
    baseline: `HTTP/1.1 200 OK\r\n${"X: 1\r\n".repeat(DEFAULT_LIMITS.headFieldsMax + 1)}\r\n`,
  },
  "upstream-timeout": {
    bytes: `${GET}\r\n`,
    baseline: () => null,
    wish: { limits: { responseMs: 50 } },
  },
  "exchange-timeout": {
    bytes: `${GET}\r\n`,
    baseline: () => null,
    wish: { limits: { exchangeMs: 50 } },
  },
  "fork-down": tagged("jane-42"),
  "unknown-key": tagged("nobodys!"),
  expired: tagged("gone-1!"),
  "tag-unreadable": tagged("Not-A-Key!"),
  "tag-ambiguous": tagged("elsewhere,sandbox=jane-42!"),
  "table-unknown": {
    ...tagged("jane-42!"),
    first: ({ context }) => {
      context.table = { ...context.table, state: "unknown" };
    },
  },
  "table-stale": {
    ...tagged("new-1!"),
    first: ({ context }) => {
      context.table = { ...context.table, state: "stale" };
    },
  },
  "wrong-fork": tagged("elsewhere", { flags: { sandbox: "jane" } }),
  loop: {
    bytes: `${GET}baggage: sandbox=elsewhere\r\nforklane-via: shop/cart;me\r\n\r\n`,
    wish: { table: TABLE, flags: { instance: "me" } },
  },
};

const NEVER_LET_IN: readonly FaultCode[] = ["connection-limit", "not-intercepted"];
const CODES = Object.keys(FAULTS) as FaultCode[];

async function baselineOf({ baseline }: Case): Promise<string> {
  if (baseline === "nobody") return NOBODY;
  if (baseline === "deaf") return await startDeafUpstream();
  return (await startUpstream(baseline ?? response("ok"))).at;
}

test.each(CODES)("%s is answered as the table says, recorded and counted once", async (code) => {
  const it = CASES[code];
  const metrics = new Metrics({
    workload: "shop/cart",
    readings: () => ({ connectionsRefused: plane.listener.refusedConnections }),
  });
  const baseline = await baselineOf(it);
  const plane = await startDataPlane({ baseline, sinks: [metrics], ...it.wish });
  await it.first?.(plane);
  const connection = await Connection.open(plane.port);
  onTestFinished(() => connection.close());
  connection.write(it.bytes);
  await it.after?.(plane, connection);
  const { status } = FAULTS[code];
  if (status !== 0) {
    const seen = await connection.response();
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([status, `${code}; by=shop/cart`]);
    expect(seen.fields["cache-control"]).toBe("no-store");
    // RFC 9110 section 6.6.1, also of who was not let in.
    expect(Date.parse(seen.fields["date"] ?? "")).not.toBeNaN();
  }
  // Who was never let in began no exchange.
  const records = NEVER_LET_IN.includes(code) ? [] : [{ fault: code, status }];
  await expect.poll(() => plane.recorded.length).toBe(records.length);
  expect(plane.recorded).toMatchObject(records);
  const { text } = await metrics.exposition();
  const counted = [...text.matchAll(/^forklane_faults_total\{code="(.*)"\} ([1-9].*)$/gm)];
  expect(counted.map(([, name, count]) => [name, count])).toEqual([[code, "1"]]);
});
