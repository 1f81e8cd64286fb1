import { expect, test } from "vitest";
import { expiryOf } from "./expiry.ts";
import type { Resource } from "./resource.ts";
import type { Ttl } from "./sandbox.ts";

const CREATED = 1_000_000;
const UPDATED = 2_000_000;

function sandbox(ttl: Ttl): Resource<"sandbox"> {
  const spec = {
    forks: [],
    routingKey: "jane-42",
    labels: {},
    onUnavailable: "fail",
    ttl,
  } as const;
  const ids = { kind: "sandbox", name: "jane-42", uid: "u", generation: 1, version: 1 } as const;
  return { ...ids, createdMs: CREATED, updatedMs: UPDATED, spec };
}

test("without a time to live nothing ends", () => {
  expect(expiryOf(sandbox({}), null)).toBeNull();
});

test("idle counts from the last request or write, sinceUpdate from the write, max from the creation", () => {
  const idle = sandbox({ idle: "10s" });
  expect(expiryOf(idle, null)).toEqual({ atMs: UPDATED + 10_000, reason: "idle" });
  expect(expiryOf(idle, UPDATED + 7)).toEqual({ atMs: UPDATED + 10_007, reason: "idle" });
  expect(expiryOf(idle, UPDATED - 7)?.atMs).toBe(UPDATED + 10_000);
  const update = expiryOf(sandbox({ sinceUpdate: "1m" }), UPDATED + 7);
  expect(update).toEqual({ atMs: UPDATED + 60_000, reason: "sinceUpdate" });
  expect(expiryOf(sandbox({ max: "1h" }), null)).toEqual({
    atMs: CREATED + 3_600_000,
    reason: "max",
  });
});

test("the first that is over counts", () => {
  expect(expiryOf(sandbox({ idle: "2h", sinceUpdate: "1d", max: "20s" }), null)?.reason).toBe(
    "max",
  );
});
