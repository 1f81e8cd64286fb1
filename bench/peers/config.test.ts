import { expect, test } from "vitest";
import { isRoutingKey } from "../../core/routing-key.ts";
import { forkTable, knownTable } from "./forklane/table.ts";
import { haproxyConfig, haproxyMap } from "./haproxy/config.ts";
import { nginxProxyConfig } from "./nginx/config.ts";
import { benchKeys, type Job } from "./peer.ts";

const JOB: Job = {
  listenPort: 8001,
  baselinePort: 9001,
  forkPort: 9002,
  keys: benchKeys(2),
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

test("nothing of a peer's listens anywhere but on loopback", () => {
  const binds = `${nginxProxyConfig(JOB)}\n${haproxyConfig(JOB, "x")}`.match(/(?:listen|bind) .*/g);
  expect(binds).toEqual(["listen 127.0.0.1:8001;", "bind 127.0.0.1:8001"]);
});

test("a hop on the way knows the keys and forks nothing", () => {
  expect(knownTable(JOB.keys)).toEqual({ revision: 1, routes: {}, known: JOB.keys });
});

test("the keys of the bench are routing keys, none twice", () => {
  const keys = benchKeys(10_000);
  expect(new Set(keys).size).toBe(10_000);
  expect(keys.every(isRoutingKey)).toBe(true);
});
