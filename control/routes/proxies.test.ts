import { expect, test } from "vitest";
import { call, JANE, startControl, statusOf } from "../control.fake.ts";

test("a proxy that reports is listed with what it said, and as a workload", async () => {
  const control = await startControl();
  const put = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const status = statusOf({ applied: [put.body.status.revision], listen: "127.0.0.1:8110" });
  const posted = await call(control, "POST", "/v1/proxies/cart-1/status", status);
  expect(posted.status).toBe(204);
  const { body } = await call(control, "GET", "/v1/proxies");
  expect(body).toMatchObject({
    items: [{ instance: "cart-1", workloads: ["shop/cart"], present: true, behind: 0 }],
    next: null,
  });
  const workloads = await call(control, "GET", "/v1/workloads");
  expect(workloads.body.items).toMatchObject([
    {
      name: "shop/cart",
      proxies: ["cart-1"],
      listen: ["127.0.0.1:8110"],
      forks: [{ key: "jane-42", sandbox: "jane-42" }],
      forkCount: 1,
    },
  ]);
});

test("of a workload a hundred forks are shown, and all are counted", async () => {
  const control = await startControl();
  const { forks: each } = JANE;
  for (let i = 0; i <= 100; i++) {
    await call(control, "PUT", `/v1/sandboxes/jane-${i}`, { forks: each });
  }
  const { body } = await call(control, "GET", "/v1/workloads");
  const [{ forks, forkCount }] = body.items;
  expect([forks.length, forkCount]).toEqual([100, 101]);
});

test("a proxy that routes calls to a workload is not taken for one that stands at it", async () => {
  const control = await startControl();
  const calling = statusOf({ workloads: ["shop/web"], callees: ["shop/cart"] });
  await call(control, "POST", "/v1/proxies/web-1/status", calling);
  expect((await call(control, "GET", "/v1/proxies")).body.items).toMatchObject([
    { instance: "web-1", workloads: ["shop/web"], callees: ["shop/cart"] },
  ]);
  expect((await call(control, "GET", "/v1/workloads")).body.items).toMatchObject([
    { name: "shop/cart", proxies: [], listen: [] },
    { name: "shop/web", proxies: ["web-1"] },
  ]);
});

test("proxies and workloads come in pages", async () => {
  const control = await startControl();
  for (const name of ["b", "a", "c"]) {
    const status = statusOf({ workloads: [`shop/${name}`] });
    await call(control, "POST", `/v1/proxies/${name}-1/status`, status);
  }
  for (const [path, property] of [
    ["/v1/proxies", "instance"],
    ["/v1/workloads", "name"],
  ] as const) {
    const first = await call(control, "GET", `${path}?limit=2`);
    const second = await call(control, "GET", `${path}?limit=2&cursor=${first.body.next}`);
    const all = [...first.body.items, ...second.body.items].map((each) => each[property]);
    expect(all).toEqual([...all].sort());
    expect(all).toHaveLength(3);
    expect(second.body.next).toBeNull();
  }
});

test("a proxy that leaves is gone at once", async () => {
  const control = await startControl();
  await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({}));
  await call(control, "POST", "/v1/proxies/cart-1/status", statusOf({ leaving: true }));
  expect((await call(control, "GET", "/v1/proxies")).body.items).toEqual([]);
});

test("a status that is wrong or past a limit is refused, and the property named", async () => {
  const control = await startControl({ limits: { proxiesMax: 1 } });
  const post = (status: object, instance = "cart-1") =>
    call(control, "POST", `/v1/proxies/${instance}/status`, status);
  const numbered = (count: number) => Array.from({ length: count }, (_, i) => i);
  const record = (count: number, value: unknown) =>
    Object.fromEntries(numbered(count).map((i) => [`k-${i}`, value]));
  const check = { accepted: true, fault: null, timeMs: 0 };
  for (const [property, within, beyond] of [
    ["workloads", numbered(64).map((i) => `s/${i}`), numbered(65).map((i) => `s/${i}`)],
    ["workloads", [], ["cart"]],
    ["callees", numbered(64).map((i) => `s/${i}`), numbered(65).map((i) => `s/${i}`)],
    ["callees", [], ["cart"]],
    ["applied", numbered(256).map(() => null), numbered(257).map(() => null)],
    ["leaseMs", 60_000, 60_001],
    ["leaseMs", 1_000, 999],
    ["counters", record(256, 1), record(257, 1)],
    ["endpoints", record(4_096, check), record(4_097, check)],
    ["lastSeen", record(20_000, 1), record(20_001, 1)],
    ["mode", "edge", "sideways"],
  ] as const) {
    expect((await post({ ...statusOf({}), [property]: within })).status).toBe(204);
    const refused = await post({ ...statusOf({}), [property]: beyond });
    expect(refused).toMatchObject({ status: 400, body: { code: "body-invalid" } });
    expect(JSON.stringify(refused.body.errors)).toContain(property);
  }
  expect((await post(statusOf({}), "a%20b")).body.code).toBe("query-invalid");
  expect((await post(statusOf({}), "cart-2")).body.code).toBe("limit-reached");
});
