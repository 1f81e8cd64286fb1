import { expect, test } from "vitest";
import { isRoutingKey } from "../../core/routing-key.ts";
import { call, FakeClock, JANE, startControl, statusOf } from "../control.fake.ts";

test("PUT creates with 201 and replaces with 200, each with an ETag and the whole resource", async () => {
  const control = await startControl();
  const created = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  expect(created.status).toBe(201);
  expect(created.headers["location"]).toBe("/v1/sandboxes/jane-42");
  expect(created.body).toMatchObject({ name: "jane-42", ...JANE, onUnavailable: "fail" });
  expect(created.headers["etag"]).toBe(`"${created.body.status.etag}"`);
  const changed = { ...JANE, labels: { team: "cart" } };
  const replaced = await call(control, "PUT", "/v1/sandboxes/jane-42", changed);
  expect(replaced.status).toBe(200);
  expect(replaced.headers["etag"]).not.toBe(created.headers["etag"]);
  const read = await call(control, "GET", "/v1/sandboxes/jane-42");
  expect(read.body).toEqual(replaced.body);
  expect(read.headers["etag"]).toBe(replaced.headers["etag"]);
});

test("a PUT that changes nothing keeps ETag and revision", async () => {
  const control = await startControl();
  const first = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const second = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  expect(second.status).toBe(200);
  expect(second.headers["etag"]).toBe(first.headers["etag"]);
  expect(second.body.status.revision).toBe(first.body.status.revision);
});

test("what GET answers can be PUT again", async () => {
  const control = await startControl();
  const { body } = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  expect((await call(control, "PUT", "/v1/sandboxes/jane-42", body)).status).toBe(200);
});

test("without a key one is made, and later writes keep it", async () => {
  const control = await startControl();
  const { forks } = JANE;
  const { body } = await call(control, "PUT", "/v1/sandboxes/bob", { forks });
  expect(isRoutingKey(body.routingKey)).toBe(true);
  expect(body.routingKey).toHaveLength(16);
  const again = await call(control, "PUT", "/v1/sandboxes/bob", { forks, labels: { a: "b" } });
  expect(again.body.routingKey).toBe(body.routingKey);
  const patched = await call(control, "PATCH", "/v1/sandboxes/bob", { routingKey: null });
  expect(patched.body.routingKey).toBe(body.routingKey);
});

test("a key of another sandbox or route group is refused, in a dry run too", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  for (const path of ["/v1/sandboxes/bob", "/v1/sandboxes/bob?dryRun=true"]) {
    const taken = await call(control, "PUT", path, JANE);
    expect(taken).toMatchObject({ status: 409, body: { code: "key-taken" } });
    expect(taken.body.detail).toContain("jane-42");
  }
  const group = { sandboxes: ["jane-42"], routingKey: "jane-42" };
  expect((await call(control, "PUT", "/v1/route-groups/release", group)).status).toBe(409);
});

test("If-Match and If-None-Match decide whether a write happens", async () => {
  const control = await startControl();
  const put = (headers: Record<string, string>, body: object = JANE) =>
    call(control, "PUT", "/v1/sandboxes/jane-42", body, headers);
  expect((await put({ "if-match": "*" })).body.code).toBe("precondition-failed");
  const created = await put({ "if-none-match": "*" });
  expect(created.status).toBe(201);
  const etag = String(created.headers["etag"]);
  expect((await put({ "if-none-match": "*" })).status).toBe(412);
  expect((await put({ "if-match": '"other"' })).status).toBe(412);
  expect((await put({ "if-match": `W/${etag}` })).status).toBe(412);
  const changed = { ...JANE, labels: { a: "b" } };
  expect((await put({ "if-match": `"other", ${etag}` }, changed)).status).toBe(200);
  expect((await put({ "if-match": etag })).status).toBe(412);
  const stale = { "if-match": etag };
  expect((await call(control, "DELETE", "/v1/sandboxes/jane-42", undefined, stale)).status).toBe(
    412,
  );
  expect((await call(control, "PATCH", "/v1/sandboxes/jane-42", {}, stale)).status).toBe(412);
});

test("writes that meet one another are all applied", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const patches = ["a", "b", "c", "d"].map((key) =>
    call(control, "PATCH", "/v1/sandboxes/jane-42", { labels: { [key]: "1" } }),
  );
  expect((await Promise.all(patches)).map((each) => each.status)).toEqual([200, 200, 200, 200]);
  const { body } = await call(control, "GET", "/v1/sandboxes/jane-42");
  expect(body.labels).toEqual({ a: "1", b: "1", c: "1", d: "1" });
});

test("PATCH is a JSON merge patch, under either media type, and needs a resource", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", { ...JANE, labels: { a: "1", b: "2" } });
  const type = { "content-type": "application/merge-patch+json" };
  const patch = { labels: { a: null, c: "3" }, onUnavailable: "baseline" };
  const patched = await call(control, "PATCH", "/v1/sandboxes/jane-42", patch, type);
  expect(patched.body).toMatchObject({ labels: { b: "2", c: "3" }, onUnavailable: "baseline" });
  const unknown = await call(control, "PATCH", "/v1/sandboxes/jane-42", { colour: "red" });
  expect(unknown.body).toMatchObject({ code: "body-invalid", errors: [{ path: "/colour" }] });
  const absent = await call(control, "PATCH", "/v1/sandboxes/absent", {});
  expect(absent.body.code).toBe("sandbox-unknown");
});

test("DELETE is done twice as well as once", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const type = { "content-type": "application/json" };
  for (const headers of [{}, type, {}]) {
    const deleted = await call(control, "DELETE", "/v1/sandboxes/jane-42", undefined, headers);
    expect(deleted).toMatchObject({ status: 204, body: "" });
  }
  expect((await call(control, "GET", "/v1/sandboxes/jane-42")).body.code).toBe("sandbox-unknown");
});

test("a dry run says what would change, and changes nothing", async () => {
  const control = await startControl();
  const dry = (body: object) => call(control, "PUT", "/v1/sandboxes/jane-42?dryRun=true", body);
  expect((await dry(JANE)).body).toMatchObject({
    dryRun: true,
    action: "create",
    tables: { workloads: ["shop/cart"], keysAdded: ["jane-42"], keysRemoved: [] },
  });
  expect((await call(control, "GET", "/v1/sandboxes/jane-42")).status).toBe(404);
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  expect((await dry(JANE)).body).toMatchObject({ action: "none", changes: [] });
  const moved = { ...JANE, forks: [{ workload: "shop/cart", endpoints: ["127.0.0.1:9999"] }] };
  expect((await dry(moved)).body).toMatchObject({
    action: "replace",
    changes: [{ path: "/forks/0/endpoints/0", from: "127.0.0.1:9002", to: "127.0.0.1:9999" }],
    tables: { workloads: ["shop/cart"], keysAdded: [], keysRemoved: [] },
  });
  const path = "/v1/sandboxes/jane-42?dryRun=true";
  const patched = await call(control, "PATCH", path, { onUnavailable: "baseline" });
  expect(patched.body.changes).toEqual([{ path: "/onUnavailable", from: "fail", to: "baseline" }]);
  const deleted = await call(control, "DELETE", path);
  expect(deleted).toMatchObject({ status: 200, body: { action: "delete", resource: null } });
  expect((await call(control, "GET", "/v1/sandboxes/jane-42")).body).toMatchObject(JANE);
});

test("a dry run names the route groups that it touches, and their collisions", async () => {
  const control = await startControl();
  await call(control, "PUT", "/v1/sandboxes/jane-42", { ...JANE, labels: { team: "cart" } });
  await call(control, "PUT", "/v1/route-groups/release", { labelSelector: "team=cart" });
  const bob = { ...JANE, routingKey: "bob-7", labels: { team: "cart" } };
  const { body } = await call(control, "PUT", "/v1/sandboxes/bob?dryRun=true", bob);
  expect(body).toMatchObject({
    routeGroups: ["release"],
    collisions: [{ workload: "shop/cart", wins: "bob", loses: ["jane-42"] }],
  });
});

test("a page of which nobody says how long it may be has a bound", async () => {
  const control = await startControl({ limits: { pageItems: 1 } });
  for (const name of ["a-1", "b-1"]) {
    const forks = [{ workload: `shop/${name}`, endpoints: ["127.0.0.1:9002"] }];
    await call(control, "PUT", `/v1/sandboxes/${name}`, { forks });
    await call(control, "POST", `/v1/proxies/${name}/status`, statusOf({}));
  }
  for (const path of ["/v1/sandboxes", "/v1/workloads", "/v1/proxies"]) {
    const { body } = await call(control, "GET", path);
    expect(body.items, path).toHaveLength(1);
    expect(body.next, path).not.toBeNull();
  }
});

test("lists are paged in the order of names, and chosen by label", async () => {
  const control = await startControl();
  for (const name of ["c-1", "a-1", "b-1"]) {
    const body = { forks: JANE.forks, labels: { first: String(name === "a-1") } };
    await call(control, "PUT", `/v1/sandboxes/${name}`, body);
  }
  const names = (answer: { body: { items: { name: string }[] } }) =>
    answer.body.items.map((each) => each.name);
  const first = await call(control, "GET", "/v1/sandboxes?limit=2");
  expect(names(first)).toEqual(["a-1", "b-1"]);
  const second = await call(control, "GET", `/v1/sandboxes?limit=2&cursor=${first.body.next}`);
  expect(names(second)).toEqual(["c-1"]);
  expect(second.body.next).toBeNull();
  const chosen = await call(control, "GET", "/v1/sandboxes?labelSelector=first%20in%20(false)");
  expect(names(chosen)).toEqual(["b-1", "c-1"]);
  for (const query of [
    "limit=0",
    "limit=501",
    "limit=x",
    "cursor=!",
    "labelSelector=a%20b",
    "z=1",
  ]) {
    const refused = await call(control, "GET", `/v1/sandboxes?${query}`);
    expect(refused).toMatchObject({ status: 400, body: { code: "query-invalid" } });
  }
});

test("a property that nobody knows is refused by its name, at any depth", async () => {
  const control = await startControl();
  const fork = { ...JANE.forks[0], image: "x" };
  const body = { ...JANE, forks: [fork], colour: "red", ttl: { ever: "1h" } };
  const refused = await call(control, "PUT", "/v1/sandboxes/jane-42", body);
  expect(refused).toMatchObject({ status: 400, body: { code: "body-invalid" } });
  const paths = refused.body.errors.map((each: { path: string }) => each.path);
  expect(paths.sort()).toEqual(["/colour", "/forks/0/image", "/ttl/ever"]);
});

test("what is missing, of a wrong type, or outside its choices is named", async () => {
  const control = await startControl();
  const errors = async (body: unknown) =>
    (await call(control, "PUT", "/v1/sandboxes/jane-42", body)).body.errors;
  expect(await errors({})).toMatchObject([{ path: "/forks", message: "is missing" }]);
  expect(await errors({ forks: "x" })).toMatchObject([{ path: "/forks" }]);
  const choice = await errors({ ...JANE, onUnavailable: "maybe" });
  expect(choice).toMatchObject([{ path: "/onUnavailable" }]);
  expect(choice[0].message).toContain("baseline");
  expect(await errors([])).toHaveLength(1);
});

test("every limit of a sandbox can be reached, and not be passed", async () => {
  const control = await startControl();
  const put = (body: object) => call(control, "PUT", "/v1/sandboxes/limits", body);
  const forks = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ workload: `shop/s${i}`, endpoints: [] }));
  const endpoints = (count: number) => [
    {
      workload: "shop/cart",
      endpoints: Array.from({ length: count }, (_, i) => `127.0.0.1:${i + 1}`),
    },
  ];
  const labels = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "v"]));
  for (const [within, beyond] of [
    [{ forks: forks(32) }, { forks: forks(33) }],
    [{ forks: endpoints(64) }, { forks: endpoints(65) }],
    [
      { ...JANE, labels: labels(32) },
      { ...JANE, labels: labels(33) },
    ],
    [
      { ...JANE, routingKey: "k".repeat(40) },
      { ...JANE, routingKey: "k".repeat(41) },
    ],
    [
      { ...JANE, ttl: { max: "365d" } },
      { ...JANE, ttl: { max: "366d" } },
    ],
  ]) {
    expect((await put(within ?? {})).status).toBeLessThan(300);
    expect(await put(beyond ?? {})).toMatchObject({ status: 400, body: { code: "body-invalid" } });
  }
  expect((await put({ forks: [] })).body.code).toBe("body-invalid");
  const name = "n".repeat(63);
  expect((await call(control, "PUT", `/v1/sandboxes/${name}`, { forks: forks(1) })).status).toBe(
    201,
  );
  expect((await call(control, "PUT", `/v1/sandboxes/${name}n`, JANE)).body.code).toBe(
    "query-invalid",
  );
});

test("as many sandboxes as are allowed, and no more", async () => {
  const control = await startControl({ limits: { sandboxesMax: 1 } });
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const one = { forks: JANE.forks };
  const refused = await call(control, "PUT", "/v1/sandboxes/bob", one);
  expect(refused).toMatchObject({ status: 409, body: { code: "limit-reached" } });
});

test("endpoints outside the allowed networks have a code of their own", async () => {
  const control = await startControl();
  const forks = [{ workload: "shop/cart", endpoints: ["8.8.8.8:80", "169.254.169.254:80"] }];
  const refused = await call(control, "PUT", "/v1/sandboxes/jane-42", { forks });
  expect(refused).toMatchObject({ status: 400, body: { code: "endpoint-not-allowed" } });
  expect(refused.body.errors).toHaveLength(2);
});

test("a body of more than 1 MiB, no JSON, and another media type are refused", async () => {
  const control = await startControl();
  const put = (body: string, type = "application/json") =>
    call(control, "PUT", "/v1/sandboxes/jane-42", body, { "content-type": type });
  expect((await put(`"${"x".repeat(1024 * 1024)}"`)).body.code).toBe("body-too-large");
  expect((await put("{")).body.code).toBe("body-malformed");
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"]) {
    expect((await put("{}", type)).body).toMatchObject({
      status: 415,
      code: "media-type-unsupported",
    });
  }
  expect((await put(JSON.stringify(JANE), "application/merge-patch+json")).status).toBe(415);
});

test("a wait ends when the sandbox is ready, when the time is over, or when it is gone", async () => {
  const control = await startControl({ clock: new FakeClock() });
  const { body } = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const wait = (timeout: string) =>
    call(control, "GET", `/v1/sandboxes/jane-42?wait=ready&timeout=${timeout}`);
  expect((await wait("1ms")).body.status.ready).toBe(false);
  const ready = wait("60s");
  const endpoints = { "127.0.0.1:9002": { accepted: true, fault: null, timeMs: 0 } };
  const status = statusOf({ applied: [body.status.revision], endpoints });
  await call(control, "POST", "/v1/proxies/cart-1/status", status);
  expect((await ready).body.status).toMatchObject({ ready: true, unconfirmed: [] });
  await call(control, "POST", "/v1/proxies/cart-1/status", { ...status, leaving: true });
  const gone = wait("60s");
  await call(control, "DELETE", "/v1/sandboxes/jane-42");
  expect((await gone).body.code).toBe("sandbox-unknown");
  expect((await wait("61s")).body.code).toBe("query-invalid");
  expect((await wait("soon")).body.code).toBe("query-invalid");
});

test("a wait of which nobody says how long it may be ends all the same", async () => {
  const control = await startControl({ limits: { waitMs: 1 } });
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const waited = await call(control, "GET", "/v1/sandboxes/jane-42?wait=ready");
  expect(waited.body.status.ready).toBe(false);
});

test("no more requests wait at a time than are allowed", async () => {
  const control = await startControl({ limits: { waitersMax: 0 } });
  await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const refused = await call(control, "GET", "/v1/sandboxes/jane-42?wait=ready");
  expect(refused).toMatchObject({ status: 429, body: { code: "too-many" } });
});

test("the writes of others do not make a ready sandbox unready", async () => {
  const control = await startControl();
  const { body } = await call(control, "PUT", "/v1/sandboxes/jane-42", JANE);
  const endpoints = { "127.0.0.1:9002": { accepted: true, fault: null, timeMs: 0 } };
  const status = statusOf({ applied: [body.status.revision], endpoints });
  await call(control, "POST", "/v1/proxies/cart-1/status", status);
  await call(control, "PUT", "/v1/sandboxes/bob", { forks: JANE.forks });
  await call(control, "PATCH", "/v1/sandboxes/jane-42", { labels: { a: "b" } });
  const read = await call(control, "GET", "/v1/sandboxes/jane-42");
  expect(read.body.status).toMatchObject({ ready: true, revision: body.status.revision });
});
