import { expect, test } from "vitest";
import { LOOPBACK_AND_PRIVATE, parseNetworks } from "../../core/networks.ts";
import type { SandboxBody } from "./sandbox.ts";
import { LINK_LOCAL, readEndpoint, validateRouteGroup, validateSandbox } from "./validate.ts";

const BODY: SandboxBody = { forks: [{ workload: "shop/cart", endpoints: ["10.1.2.3:8080"] }] };

function rules(allowed: readonly string[] = LOOPBACK_AND_PRIVATE) {
  const networks = parseNetworks(allowed);
  const never = parseNetworks(LINK_LOCAL);
  if (!networks.ok || !never.ok) throw new Error("networks of the test");
  return { allowed: networks.value, never: never.value };
}

function errorPaths(body: SandboxBody, name = "jane-42"): string[] {
  const spec = validateSandbox(name, body, "k3y-k3y", rules());
  return spec.ok ? [] : spec.error.map((error) => error.path);
}

test("what is absent gets its default", () => {
  const spec = validateSandbox("jane-42", BODY, "k3y-k3y", rules());
  expect(spec).toEqual({
    ok: true,
    value: { ...BODY, routingKey: "k3y-k3y", labels: {}, onUnavailable: "fail", ttl: {} },
  });
});

test("labels are kept in the order of their keys, so that the same spec is the same text", () => {
  const spec = validateSandbox("a", { ...BODY, labels: { b: "1", a: "2" } }, "k3y-k3y", rules());
  expect(spec.ok && Object.keys(spec.value.labels)).toEqual(["a", "b"]);
});

test("everything that is wrong is named at once, with its place", () => {
  const body: SandboxBody = {
    name: "other",
    forks: [
      { workload: "cart", endpoints: ["10.1.2.3:8080", "10.1.2.3:8080"] },
      { workload: "shop/cart", endpoints: ["example.com:80"] },
      { workload: "shop/cart", endpoints: [] },
    ],
    routingKey: "a--b",
    labels: { "-": "x", ok: "a b" },
    ttl: { idle: "1s", max: "soon" },
  };
  expect(errorPaths(body)).toEqual([
    "/name",
    "/forks/0/workload",
    "/forks/0/endpoints/1",
    "/forks/1/endpoints/0",
    "/forks/2/workload",
    "/routingKey",
    "/labels/-",
    "/labels/ok",
    "/ttl/idle",
    "/ttl/max",
  ]);
});

test.each(["", "Jane", "a_b", "a".repeat(64), "-a", "a/b"])("%j is no name", (name) => {
  expect(errorPaths(BODY, name)).toEqual(["/name"]);
});

test("a time to live is at least 10 s and at most a year", () => {
  expect(errorPaths({ ...BODY, ttl: { idle: "10s", sinceUpdate: "2h", max: "365d" } })).toEqual([]);
  expect(errorPaths({ ...BODY, ttl: { max: "366d" } })).toEqual(["/ttl/max"]);
  expect(errorPaths({ ...BODY, ttl: { max: "9s" } })).toEqual(["/ttl/max"]);
});

test.each([
  "127.0.0.1:9002",
  "[::1]:9002",
  "10.0.0.1:1",
  "192.168.1.1:65535",
  "100.64.0.1:80",
  "[fd00::1]:80",
])("%s may be an endpoint", (text) => {
  expect(readEndpoint(text, rules())).toEqual({ ok: true, value: text });
});

test.each([
  "8.8.8.8:80",
  "0.0.0.0:80",
  "[::]:80",
  "169.254.169.254:80",
  "[fe80::1]:80",
  "[::ffff:169.254.169.254]:80",
  "[::ffff:a9fe:a9fe]:80",
  "[::ffff:8.8.8.8]:80",
  "localhost:80",
  "example.com:80",
  "10.1:80",
  "0x7f.1:80",
  "10.0.0.1:0",
  "10.0.0.1",
])("%s may not be an endpoint", (text) => {
  expect(readEndpoint(text, rules()).ok).toBe(false);
});

test("link-local stays closed when everything is allowed", () => {
  const all = rules(["0.0.0.0/0", "::/0"]);
  expect(readEndpoint("8.8.8.8:80", all).ok).toBe(true);
  expect(readEndpoint("[::ffff:a9fe:a9fe]:80", all).ok).toBe(false);
  for (const text of ["169.254.169.254:80", "[fe80::1]:80", "[::FFFF:169.254.169.254]:80"]) {
    expect(readEndpoint(text, all)).toHaveProperty("error", expect.stringContaining("link-local"));
  }
});

test("a route group needs members, each a name once, and a selector that can be read", () => {
  const paths = (body: object) => {
    const spec = validateRouteGroup("release", body, "k3y-k3y");
    return spec.ok ? [] : spec.error.map((error) => error.path);
  };
  expect(paths({ sandboxes: ["a", "b"] })).toEqual([]);
  expect(paths({ labelSelector: "team=cart" })).toEqual([]);
  expect(paths({})).toEqual([""]);
  expect(paths({ sandboxes: ["a", "a", "B"] })).toEqual(["/sandboxes/1", "/sandboxes/2"]);
  expect(paths({ labelSelector: "a in b" })).toEqual(["/labelSelector"]);
});
