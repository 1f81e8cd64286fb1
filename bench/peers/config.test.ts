import { expect, test } from "vitest";
import { isRoutingKey } from "../../core/routing-key.ts";
import { envoyConfig } from "./envoy/config.ts";
import { forkTable, knownTable } from "./forklane/table.ts";
import { haproxyConfig, haproxyMap } from "./haproxy/config.ts";
import { nginxProxyConfig } from "./nginx/config.ts";
import { benchKeys, type Job } from "./peer.ts";

const JOB: Job = {
  listenPort: 8001,
  baselinePort: 9001,
  forkPort: 9002,
  keys: benchKeys(2),
  composed: false,
  folder: "/tmp/job",
  cpu: 0,
};

test("every peer knows each key, the baseline and the fork", () => {
  const nginx = nginxProxyConfig(JOB);
  expect(nginx).toContain("    bench-000000 fork;\n    bench-000001 fork;");
  expect(nginx).toContain("upstream baseline { server 127.0.0.1:9001;");
  expect(haproxyMap(JOB.keys)).toBe("bench-000000 fork\nbench-000001 fork\n");
  expect(haproxyConfig(JOB, "/tmp/job/keys.map")).toContain("map_str(/tmp/job/keys.map,baseline)");
  expect(forkTable(JOB.keys, 9002).routes?.["bench-000001"]).toEqual({
    sandbox: "bench-000001",
    endpoints: ["127.0.0.1:9002"],
  });
});

test("Envoy has a route for each key, whose expression matches the whole of a baggage", () => {
  const found = [...JSON.stringify(envoyConfig(JOB)).matchAll(/"regex":("[^}]*")/g)];
  const texts = found.map((each) => JSON.parse(each[1] ?? "") as string);
  expect(texts).toHaveLength(2);
  const first = new RegExp(`^(?:${texts[0]})$`);
  expect(first.test("userId=alice, sandbox=bench-000000;p=1,x=y")).toBe(true);
  for (const other of [
    "sandbox=bench-0000000",
    "mysandbox=bench-000000",
    "sandbox=a~bench-000000",
  ]) {
    expect(first.test(other)).toBe(false);
  }
});

test("where tags may be composed, nginx, HAProxy and Envoy look at a second key", () => {
  const job = { ...JOB, composed: true };
  expect(nginxProxyConfig(job)).toContain("map $second $second_pool");
  expect(haproxyConfig(job, "x")).toContain("field(2,~)");
  expect(JSON.stringify(envoyConfig(job))).toContain("(?:[a-z0-9-]+~)?bench-000001");
});

test("nothing of a peer's listens anywhere but on loopback", () => {
  const binds = `${nginxProxyConfig(JOB)}\n${haproxyConfig(JOB, "x")}`.match(/(?:listen|bind) .*/g);
  expect(binds).toEqual(["listen 127.0.0.1:8001;", "bind 127.0.0.1:8001"]);
  const addresses = [...JSON.stringify(envoyConfig(JOB)).matchAll(/"address":"([^"]*)"/g)];
  expect(new Set(addresses.map((each) => each[1]))).toEqual(new Set(["127.0.0.1"]));
});

test("a hop on the way knows the keys and forks nothing", () => {
  expect(knownTable(JOB.keys)).toEqual({ revision: 1, routes: {}, known: JOB.keys });
});

test("the keys of the bench are routing keys, none twice", () => {
  const keys = benchKeys(10_000);
  expect(new Set(keys).size).toBe(10_000);
  expect(keys.every(isRoutingKey)).toBe(true);
});
