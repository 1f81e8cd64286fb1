import { expect, test } from "vitest";
import { call, JANE, startControl, statusOf } from "../control.fake.ts";

test("a route group has the verbs of a sandbox", async () => {
  const control = await startControl();
  const path = "/v1/route-groups/release";
  const created = await call(control, "PUT", path, { sandboxes: ["jane-42"] });
  expect(created.status).toBe(201);
  expect(created.body).toMatchObject({
    name: "release",
    sandboxes: ["jane-42"],
    labelSelector: null,
  });
  const again = await call(control, "PUT", path, created.body);
  expect(again.headers["etag"]).toBe(created.headers["etag"]);
  const patch = { sandboxes: [], labelSelector: "team=cart" };
  expect((await call(control, "PATCH", path, patch)).body).toMatchObject(patch);
  const list = await call(control, "GET", "/v1/route-groups");
  expect(list.body.items).toHaveLength(1);
  for (const _ of [1, 2]) expect((await call(control, "DELETE", path)).status).toBe(204);
  expect((await call(control, "GET", path)).body.code).toBe("route-group-unknown");
});

test("its status names members, those that are missing, and collisions", async () => {
  const control = await startControl();
  const { forks } = JANE;
  await call(control, "PUT", "/v1/sandboxes/jane-42", { forks });
  await call(control, "PUT", "/v1/sandboxes/bob-7", { forks, labels: { team: "cart" } });
  const { body } = await call(control, "PUT", "/v1/route-groups/release", {
    sandboxes: ["jane-42", "gone"],
    labelSelector: "team=cart",
  });
  expect(body.status).toMatchObject({
    ready: false,
    members: ["jane-42", "bob-7"],
    missing: ["gone"],
    collisions: [{ workload: "shop/cart", wins: "jane-42", loses: ["bob-7"] }],
  });
  expect(body.status.conditions[0].reason).toBe("MemberMissing");
  const table = await call(control, "GET", "/v1/routes/shop/cart");
  expect(table.body.routes[body.routingKey].sandbox).toBe("jane-42");
});

test("it is ready when the proxies of all its members' forks are", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const { body } = await call(control, "PUT", "/v1/route-groups/release", {
    sandboxes: ["jane-42"],
  });
  const endpoints = { "127.0.0.1:9002": { accepted: true, fault: null, timeMs: 0 } };
  const status = statusOf({ applied: [body.status.revision], endpoints });
  await call(control, "POST", "/v1/proxies/cart-1/status", status);
  const read = await call(control, "GET", "/v1/route-groups/release?wait=ready");
  expect(read.body.status.ready).toBe(true);
});

test("members and route groups have their limits", async () => {
  const control = await startControl({ limits: { routeGroupsMax: 1 } });
  const names = (count: number) => Array.from({ length: count }, (_, i) => `s-${i}`);
  const put = (name: string, body: object) =>
    call(control, "PUT", `/v1/route-groups/${name}`, body);
  expect((await put("release", { sandboxes: names(64) })).status).toBe(201);
  expect((await put("release", { sandboxes: names(65) })).body.code).toBe("body-invalid");
  expect((await put("release", {})).body.code).toBe("body-invalid");
  expect((await put("other", { sandboxes: ["a"] })).body.code).toBe("limit-reached");
});
