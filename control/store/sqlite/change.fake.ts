import type { Change } from "../store.ts";

/** A change that puts a sandbox whose key is its name; no test runner needed. */
export function putSandboxChange(name: string): Change {
  const forks = [{ workload: "shop/cart", endpoints: ["127.0.0.1:9002"] }];
  const spec = { forks, routingKey: name, labels: {}, onUnavailable: "fail", ttl: {} } as const;
  return { op: "put", kind: "sandbox", name, spec, expect: null, nowMs: 1_000 };
}
