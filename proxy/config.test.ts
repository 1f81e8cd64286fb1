import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import {
  type ConfigError,
  collectProxySettings,
  type ProxyConfig,
  readProxyConfig,
} from "./config.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { DEFAULT_CARRIERS } from "./routing/carrier.ts";

type Words = Readonly<Record<string, string | undefined>>;

const QUICK: Words = {
  listen: "127.0.0.1:8110",
  upstream: "127.0.0.1:9001",
  workload: "shop/cart",
  table: "table.json",
};

function accept(flags: Words, env: Words = {}): ProxyConfig {
  const config = readProxyConfig(flags, env);
  if (!config.ok) throw config.error;
  return config.value;
}

function refuse(flags: Words, env: Words = {}): ConfigError {
  const config = readProxyConfig(flags, env);
  if (config.ok) throw new Error("it was accepted");
  return config.error;
}

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), "forklane-config-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

function fileWith(content: unknown): string {
  const file = path.join(dir, "proxy.json");
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

describe("the outbound side", () => {
  const calls = { listen: "127.0.0.1:8110", workload: "shop/cart", table: "t.json" };

  it("listens at --listen in mode outbound, which has no upstream", () => {
    const config = accept({ ...calls, mode: "outbound" });
    expect(config.outbound).toMatchObject({ listen: config.listen, stripsOutside: false });
    expect(config.outbound?.clusterNetworks.includes("10.0.0.1")).toBe(true);
    expect(config.outbound?.clusterNetworks.includes("203.0.113.7")).toBe(false);
  });

  it("stands beside an inbound one at a port of its own", () => {
    const beside = { ...QUICK, "outbound-listen": "127.0.0.1:8111", "strip-outside": "true" };
    expect(accept(beside).outbound).toMatchObject({ listen: { port: 8111 }, stripsOutside: true });
    expect(accept(QUICK).outbound).toBeNull();
  });

  it.each([
    ["upstream", { ...calls, mode: "outbound", upstream: "127.0.0.1:1" }],
    ["outbound-listen", { ...calls, mode: "outbound", "outbound-listen": "127.0.0.1:8111" }],
    ["outbound-listen", { ...QUICK, "outbound-listen": "127.0.0.1:8110" }],
    ["outbound-listen", { ...QUICK, mode: "edge", "outbound-listen": "127.0.0.1:8111" }],
    ["outbound-listen", { ...QUICK, intercept: "true", "outbound-listen": "[::]:0" }],
    ["strip-outside", { ...QUICK, "strip-outside": "true" }],
    ["callees", { ...QUICK, callees: "callees.json" }],
    ["callees", { ...calls, mode: "outbound", callees: "nowhere.json" }],
    ["cluster-networks", { ...calls, mode: "outbound", "cluster-networks": "cluster" }],
  ])("names --%s where it is wrong", (setting, flags) => {
    expect(refuse(flags).setting).toBe(`--${setting}`);
  });
});

test("callees are as many as control lets one proxy watch, beside its own workload", () => {
  const places = (count: number) =>
    fileWith(Object.fromEntries(Array.from({ length: count }, (_, i) => [`shop/w${i}`, {}])));
  const watched = { ...QUICK, mode: "outbound", upstream: undefined, table: undefined };
  const with63 = { ...watched, control: "http://127.0.0.1:7070", callees: places(63) };
  expect(accept(with63).outbound?.callees.size).toBe(63);
  const refusal = refuse({ ...with63, callees: places(64) });
  expect([refusal.setting, refusal.message]).toEqual([
    "--callees",
    expect.stringContaining("at most 63"),
  ]);
});

describe("the configuration of a proxy", () => {
  it("has a default for everything but listen, upstream, workload and the table", () => {
    const config = accept(QUICK);
    expect(config).toMatchObject({
      mode: "inbound",
      listen: { host: "127.0.0.1", port: 8110 },
      upstream: { host: "127.0.0.1", port: 9001 },
      workload: "shop/cart",
      sandbox: null,
      probePaths: [],
      table: "table.json",
      control: null,
      tokenFile: null,
      admin: null,
      stateDir: null,
      carriers: DEFAULT_CARRIERS,
      entries: [],
      underscoreFields: "forward",
      accessLog: { file: null, untaggedEvery: 0 },
      otlp: null,
      limits: DEFAULT_LIMITS,
    });
    expect(config.instance).toMatch(/^shop\.cart-[0-9a-f]{8}$/);
    expect(Object.isFrozen(config)).toBe(true);
    for (const missing of ["listen", "upstream", "workload", "table"]) {
      expect(refuse({ ...QUICK, [missing]: undefined }).message).toContain("is missing");
    }
  });

  it("takes a flag before the environment, that before the file, that before the default", () => {
    const config = fileWith({ admin: "127.0.0.1:1", instance: "from-file", mode: "edge" });
    const env = { FORKLANE_ADMIN: "127.0.0.1:2", FORKLANE_INSTANCE: "from-env" };
    expect(accept({ ...QUICK, config, admin: "127.0.0.1:3" }, env)).toMatchObject({
      admin: { port: 3 },
      instance: "from-env",
      mode: "edge",
    });
  });

  it("reads its file from where the environment says, with lists and limits in their long form", () => {
    const file = fileWith({
      ...QUICK,
      "probe-path": ["/healthz", "/readyz"],
      limit: { connectMs: 250, responseMs: 0 },
      workers: 3,
    });
    const config = accept({}, { FORKLANE_CONFIG: file });
    expect(config.probePaths).toEqual(["/healthz", "/readyz"]);
    expect(config.workers).toBe(3);
    expect(config.limits).toEqual({ ...DEFAULT_LIMITS, connectMs: 250 });
  });

  it("is the same in another process that is given what was collected, whatever the file says then", () => {
    const file = fileWith({ ...QUICK, instance: "cart-1", limit: { connectMs: 250 }, workers: 2 });
    const flags = { config: file, mode: "edge", "probe-path": "" };
    const env = { FORKLANE_CARRIERS: "preset:okteto", FORKLANE_MODE: "inbound" };
    const collected = collectProxySettings(flags, env);
    if (!collected.ok) throw collected.error;
    const before = accept(flags, env);
    fileWith("gone");
    expect(accept(collected.value)).toEqual({ ...before, trustTagsFrom: expect.anything() });
    expect(collected.value).toMatchObject({ mode: "edge", limit: "connectMs=250" });
    expect(collected.value).not.toHaveProperty("config");
  });

  it("believes tags of its own cluster next to a service, and of nobody at the edge", () => {
    expect(accept(QUICK).trustTagsFrom.includes("10.1.2.3")).toBe(true);
    expect(accept(QUICK).trustTagsFrom.includes("8.8.8.8")).toBe(false);
    const edge = { ...QUICK, mode: "edge" };
    expect(accept(edge).trustTagsFrom.includes("127.0.0.1")).toBe(false);
    expect(accept(edge).entries).toEqual(["host", "cookie", "header"]);
    const told = accept({ ...edge, "trust-tags-from": "192.0.2.0/24", entries: "header" });
    expect(told.trustTagsFrom.includes("192.0.2.9")).toBe(true);
    expect(told.entries).toEqual(["header"]);
    expect(accept({ ...QUICK, "trust-tags-from": "none" }).trustTagsFrom.includes("::1")).toBe(
      false,
    );
  });

  it("takes control's address without a slash at the end, and no secret in it", () => {
    const control = { ...QUICK, table: undefined, control: "http://127.0.0.1:7070/" };
    expect(accept(control)).toMatchObject({ control: "http://127.0.0.1:7070", table: null });
    const secret = refuse({ ...control, control: "http://user:hunter2@control" });
    expect(secret.message).toContain("--token-file");
    expect(secret.message).not.toContain("hunter2");
    const mistyped = refuse({ ...control, control: "user:hunter2@control:7070" });
    expect(mistyped.message).toContain("a base URL such as");
    expect(mistyped.message).not.toContain("hunter2");
    expect(refuse({ ...control, table: "t.json" }).message).toContain("exclude each other");
  });

  it("takes calls beside requests in one process only", () => {
    const both = { ...QUICK, "outbound-listen": "127.0.0.1:8111", workers: "2" };
    expect(refuse(both).message).toMatch(/--workers.*"2".*--outbound-listen.*: 1 is$/);
    expect(accept({ ...both, workers: "1" }).workers).toBe(1);
  });

  it("sends spans where OpenTelemetry's own variables say", () => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318", OTEL_SERVICE_NAME: "cart" };
    expect(accept(QUICK, env).otlp).toEqual({ endpoint: "http://otel:4318", serviceName: "cart" });
    expect(accept(QUICK, { OTEL_EXPORTER_OTLP_ENDPOINT: "" }).otlp).toBeNull();
  });

  it("writes its access log to standard output, a file, or nowhere", () => {
    expect(accept({ ...QUICK, "access-log": "-" }).accessLog.file).toBeNull();
    expect(accept({ ...QUICK, "access-log": "off" }).accessLog.file).toBe("off");
    const every = { ...QUICK, "access-log": "a.log", "access-log-untagged-every": "100" };
    expect(accept(every).accessLog).toEqual({ file: "a.log", untaggedEvery: 100 });
  });

  it.each([
    ["listen", "8110", "host:port"],
    ["upstream", "127.0.0.1:0", "1 to 65535"],
    ["upstream", "127.0.0.1:8110", "forward to itself"],
    ["workload", "cart", "namespace/name"],
    ["mode", "sidecar", "inbound, outbound and edge"],
    ["sandbox", "Jane", "a-z"],
    ["probe-path", "healthz", "begins with /"],
    ["control", "127.0.0.1:7070", "base URL"],
    ["admin", "::1:80", "brackets"],
    ["instance", "a b", "1 to 64"],
    ["upstream-protocol", "h2c", "not there yet"],
    ["upstream-protocol", "spdy", "http1 and auto"],
    ["workers", "0", "1 to 64"],
    ["workers", "65", "1 to 64"],
    ["workers", "two", "1 to 64"],
    ["carriers", "smoke-signals", "baggage:MEMBER"],
    ["trust-tags-from", "10.0.0.0/64", "prefix length"],
    ["entries", "host", "--mode edge"],
    ["underscore-fields", "allow", "forward, drop or reject"],
    ["access-log-untagged-every", "-1", "whole number"],
    ["otlp-endpoint", "otel:4318", "base URL"],
    ["limit", "headBytesMax=0", "from 1"],
    ["limit", "headBytesMax=9999999999", "2147483647"],
    ["limit", "patienceMs=1", "headBytesMax"],
    ["limit", "__proto__=1", "headBytesMax"],
  ])(
    "refuses --%s %s: it names the setting, the value and what is allowed",
    (name, value, allowed) => {
      const table = name === "control" ? undefined : QUICK["table"];
      const { message } = refuse({ ...QUICK, table, [name]: value });
      expect(message).toContain(`--${name}`);
      expect(message).toContain(value);
      expect(message).toContain(allowed);
    },
  );

  it("names the variable or the file that a wrong value came from", () => {
    expect(refuse(QUICK, { FORKLANE_MODE: "x" }).message).toContain("FORKLANE_MODE");
    const config = fileWith({ mode: "x" });
    expect(refuse({ ...QUICK, config }).message).toContain(`mode in ${config}`);
  });

  it.each(["config", "callees"])(
    "says that --%s is no JSON, and shows nothing of it",
    (setting) => {
      const calls = { ...QUICK, "outbound-listen": "127.0.0.1:8111" };
      for (const text of ["hunter2", '{"a": hunter2}', '"hunter2" 7', '{\n"hunter2"}']) {
        const file = fileWith(text);
        const { message } = refuse({ ...calls, [setting]: file });
        expect(message).toContain(`--${setting}: cannot be read: ${file} is no JSON`);
        expect(message).not.toContain("hunter");
      }
    },
  );

  it("refuses settings that it does not know, and files that are none", () => {
    expect(refuse({ ...QUICK, lisen: "x" }).message).toContain("--lisen");
    expect(refuse({ ...QUICK, config: fileWith({ lisen: "x" }) }).message).toContain("lisen in");
    expect(refuse({ ...QUICK, config: fileWith("{") }).message).toContain("cannot be read");
    expect(refuse({ ...QUICK, config: fileWith([]) }).message).toContain("no JSON object");
    expect(refuse({ ...QUICK, config: fileWith({ mode: null }) }).message).toContain("is null");
    expect(refuse({ ...QUICK, config: fileWith({ config: "x" }) }).message).toContain("another");
    expect(refuse({ ...QUICK, config: path.join(dir, "no.json") }).message).toContain("ENOENT");
  });
});

describe("interception", () => {
  const words = { ...QUICK, listen: "[::]:19471", upstream: undefined, intercept: "true" };

  it("delivers as dialled unless told otherwise", () => {
    expect(accept(words)).toMatchObject({
      intercept: true,
      upstream: { host: "original", port: 0 },
    });
    expect(accept({ ...words, upstream: "::1" }).upstream).toEqual({ host: "::1", port: 0 });
    expect(accept({ ...words, upstream: "127.0.0.1:90" }).upstream.port).toBe(90);
    expect(accept(QUICK)).toMatchObject({ intercept: false, appendsForwardedFor: false });
    expect(accept({ ...QUICK, "forwarded-for": "append" }).appendsForwardedFor).toBe(true);
  });

  it.each([
    ["intercept", { ...words, intercept: "perhaps" }],
    ["forwarded-for", { ...words, "forwarded-for": "replace" }],
    ["upstream", { ...words, upstream: "cart.shop.svc" }],
    ["upstream", { ...words, upstream: "127.0.0.1:0" }],
    ["upstream", { ...QUICK, upstream: "original" }],
    ["listen", { ...words, listen: "[::]:0" }],
  ])("names --%s where it is wrong", (setting, flags) => {
    expect(refuse(flags).setting).toBe(`--${setting}`);
  });
});
