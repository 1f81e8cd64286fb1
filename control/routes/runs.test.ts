import { expect, test } from "vitest";
import { systemClock } from "../../core/clock.ts";
import type { Observation } from "../../core/observation.ts";
import {
  batchText,
  call,
  FakeClock,
  observationOf,
  postHops,
  recordOf,
  startControl,
  statusOf,
  type TestControlOptions,
} from "../control.fake.ts";
import type { Control } from "../server.ts";

const TRACE = "a".repeat(32);
const WEB = recordOf({
  hop: "00000000000000e0",
  workload: "shop/web",
  traceId: TRACE,
  totalMs: 20,
});
const CART = recordOf({ parent: WEB.hop, traceId: TRACE, totalMs: 10 });
/** Well within the exchange of cart, so that no rounding of times can have put it there. */
const LOST = observationOf({ traceId: TRACE, timeMs: CART.timeMs + 3, totalMs: 4 });
const NO_RUN = "0".repeat(16);

/** Control that has run for longer than these requests take: of older ones it cannot have all. */
async function startAged(options: TestControlOptions = {}): Promise<Control> {
  let ageMs = 0;
  const nowMs = () => systemClock.nowMs() + ageMs;
  const epochMs = () => systemClock.epochMs() + ageMs;
  const control = await startControl({ ...options, clock: { nowMs, epochMs } });
  ageMs = 60_000;
  return control;
}

async function open(control: Control, body: object = { kind: "propagation" }): Promise<string> {
  const { status, body: run } = await call(control, "POST", "/v1/runs", body);
  expect(status).toBe(201);
  return run.id;
}

function observe(control: Control, observations: readonly Observation[], batch = {}) {
  const lines = observations.map((one) => `${JSON.stringify(one)}\n`).join("");
  const type = { "content-type": "application/x-ndjson" };
  return call(control, "POST", "/v1/hops", batchText(batch, []) + lines, type);
}

function judge(control: Control, id: string, body: object = {}) {
  return call(control, "POST", `/v1/runs/${id}/verdict`, body);
}

test("a run is judged from what proxies recorded and observed while it was open", async () => {
  const control = await startAged();
  await observe(control, [LOST]);
  const id = await open(control);
  await postHops(control, {}, [WEB, CART]);
  expect((await observe(control, [LOST])).status).toBe(204);
  const run = await call(control, "GET", `/v1/runs/${id}`);
  expect(run.body).toMatchObject({ open: true, requests: 1, observations: 1, verdict: null });
  const { status, body } = await judge(control, id, { roots: [WEB.root] });
  expect(status).toBe(200);
  expect(body).toMatchObject({ verdict: "broken", requests: 1 });
  expect(body.findings).toMatchObject([{ from: ["shop/cart"], to: "shop/pricing", rule: "R2" }]);
});

/** What is judged of a lost tag where an older request went from cart to pricing. */
async function findingsBesideOlder(options: Parameters<typeof startAged>[0] = {}) {
  const control = await startAged(options);
  const root = "00000000000000ff";
  const before = { root, hop: "00000000000000f2" };
  await postHops(control, {}, [
    recordOf({ ...before, workload: "shop/cart" }),
    recordOf({ root, hop: "00000000000000f3", parent: before.hop, workload: "shop/pricing" }),
  ]);
  const id = await open(control);
  await postHops(control, {}, [WEB, CART]);
  await observe(control, [LOST]);
  return (await judge(control, id, { roots: [WEB.root] })).body.findings;
}

test("who calls whom is learned from requests that are not judged", async () => {
  const findings = await findingsBesideOlder();
  expect(findings).toMatchObject([{ from: ["shop/cart"], confidence: "confirmed" }]);
});

test("who calls whom is learned from the newest requests alone", async () => {
  const findings = await findingsBesideOlder({ limits: { learnRootsMax: 1 } });
  expect(findings).toMatchObject([{ from: ["shop/cart"], confidence: "probable" }]);
});

test("a run of which nobody says how long it is open is open for half a minute", async () => {
  const control = await startControl({ clock: new FakeClock() });
  const { body } = await call(control, "POST", "/v1/runs", { kind: "propagation" });
  expect(Date.parse(body.until) - Date.parse(body.openedAt)).toBe(30_000);
});

test("a call from where a fork's proxy stands is its loss only of a request that it served", async () => {
  const fork = { workloads: ["shop/cart"], sandbox: "jane-42" };
  const judgeServed = async (sandbox: string | null) => {
    const control = await startAged({ limits: { flushMs: 10 } });
    await call(control, "POST", "/v1/proxies/fork-1/status", statusOf(fork));
    const id = await open(control);
    await postHops(control, {}, [WEB, { ...CART, sandbox }]);
    await observe(control, [{ ...LOST, traceId: null }]);
    return (await judge(control, id, { roots: [WEB.root] })).body;
  };
  const found = { from: ["shop/cart"], to: "shop/pricing", rule: "R3", confidence: "confirmed" };
  expect((await judgeServed("jane-42")).findings).toMatchObject([found]);
  const elsewhere = await judgeServed(null);
  expect(elsewhere.findings).toEqual([]);
  expect(elsewhere.notes).toEqual([expect.stringContaining("shop/cart (jane-42)")]);
});

test("an edge that is known and not taken is no loss where a proxy observed, else inconclusive", async () => {
  const control = await startAged({ limits: { flushMs: 10 } });
  const root = "00000000000000ff";
  const before = { root, hop: "00000000000000f2" };
  await postHops(control, {}, [
    recordOf({ ...before, workload: "shop/cart" }),
    recordOf({ root, hop: "00000000000000f3", parent: before.hop, workload: "shop/pricing" }),
  ]);
  const judgeOnce = async () => {
    const id = await open(control);
    await postHops(control, {}, [WEB, CART]);
    return (await judge(control, id, { roots: [WEB.root] })).body.incomplete.join();
  };
  expect(await judgeOnce()).toContain("no proxy observed there");
  await call(control, "POST", "/v1/proxies/p-1/status", statusOf({ workloads: ["shop/pricing"] }));
  expect(await judgeOnce()).not.toContain("no proxy observed there");
});

test("a run is judged once, ends with it, and says the same afterwards", async () => {
  const control = await startAged();
  const id = await open(control);
  await postHops(control, {}, [WEB, CART]);
  const first = await judge(control, id);
  await observe(control, [LOST]);
  expect((await judge(control, id)).body).toEqual(first.body);
  const { body } = await call(control, "GET", `/v1/runs/${id}`);
  expect(body).toMatchObject({ open: false, verdict: first.body });
  expect(first.body).toMatchObject({ verdict: "healthy", requests: 1 });
});

test("what is missing makes a verdict inconclusive, and is named", async () => {
  const control = await startAged({ limits: { flushMs: 10 } });
  await call(control, "POST", "/v1/proxies/web-1/status", statusOf({ workloads: ["shop/web"] }));
  const { body: run } = await call(control, "POST", "/v1/runs", { kind: "propagation" });
  expect(run).toMatchObject({ observing: 0, silent: ["web-1"] });
  await postHops(control, {}, [WEB, CART]);
  await observe(control, [], { observationsDropped: 7 });
  const { body } = await judge(control, run.id, { roots: [WEB.root, NO_RUN] });
  expect(body.verdict).toBe("inconclusive");
  const why = body.incomplete.join("\n");
  expect(why).toContain("web-1");
  expect(why).toContain("7 observations");
  expect(why).toContain("no record of 1 of 2 requests");
});

test("of the requests that share a trace id only so many are judged with it, and it says so", async () => {
  const control = await startAged({ limits: { runRootsMax: 1 } });
  const id = await open(control);
  await postHops(control, {}, [WEB, CART]);
  const others = ["00000000000000b1", "00000000000000b2"];
  await postHops(
    control,
    {},
    others.map((root) => recordOf({ root, traceId: TRACE, workload: "shop/pricing" })),
  );
  const { body } = await judge(control, id, { roots: [WEB.root, WEB.root] });
  expect(body).toMatchObject({ verdict: "inconclusive", requests: 1 });
  expect(body.incomplete.join()).toContain("more than 1 other requests");
});

test("of the requests of others only those are judged that are over", async () => {
  const control = await startAged();
  const id = await open(control);
  const underWay = { root: "00000000000000cc", parent: "00000000000000f9" };
  await postHops(control, {}, [WEB, CART, recordOf(underWay)]);
  expect((await judge(control, id)).body).toMatchObject({ verdict: "healthy", requests: 1 });
});

test("a run that is not there, or that nobody may open, is refused by its code", async () => {
  const control = await startAged({ limits: { runsOpenMax: 1 } });
  expect((await call(control, "GET", `/v1/runs/${NO_RUN}`)).body.code).toBe("run-unknown");
  expect((await judge(control, NO_RUN)).body.code).toBe("run-unknown");
  const post = (body: object) => call(control, "POST", "/v1/runs", body);
  expect((await post({ kind: "verify" })).body.code).toBe("body-invalid");
  for (const duration of ["6m", "0s"]) {
    const refused = (await post({ kind: "propagation", duration })).body;
    expect(refused).toMatchObject({ code: "body-invalid", errors: [{ path: "/duration" }] });
  }
  expect((await post({ kind: "propagation", more: 1 })).body.code).toBe("body-invalid");
  const id = await open(control);
  expect((await post({ kind: "propagation" })).body.code).toBe("too-many");
  expect((await judge(control, id, { roots: ["x"] })).body.code).toBe("body-invalid");
});

test("a line that is no observation refuses its batch, whatever else is in it", async () => {
  const control = await startAged();
  const id = await open(control);
  for (const wrong of [
    { ...LOST, state: "fine" },
    { ...LOST, client: "x\u0007" },
    { ...LOST, client: "x".repeat(101) },
    { ...LOST, parent: "1" },
  ]) {
    const { status, body } = await observe(control, [LOST, wrong as Observation]);
    expect(status).toBe(400);
    expect(body).toMatchObject({
      code: "record-invalid",
      detail: expect.stringContaining("line 3"),
    });
  }
  const { body } = await call(control, "GET", `/v1/runs/${id}`);
  expect(body.observations).toBe(0);
});
