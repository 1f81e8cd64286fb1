import { expect, test } from "vitest";
import { JANE, observationOf, recordOf, statusOf } from "../control.fake.ts";
import { ControlError } from "../error.ts";
import { HopRecordSchema } from "../schema/hop.ts";
import { ProxyStatusSchema } from "../schema/proxy.ts";
import { ObservationSchema } from "../schema/run.ts";
import { SandboxBodySchema } from "../schema/sandbox.ts";
import { checkShape, keepKnown } from "./shape.ts";

test("what a newer proxy says more passes, and is not kept, however deep it is", () => {
  const check = { accepted: true, fault: null, timeMs: 0 };
  const status = statusOf({
    endpoints: { "127.0.0.1:9002": check },
    rejected: { revision: null, why: "older" },
    counters: { exchanges: 1 },
    lastSeen: { "jane-42": 10 },
  });
  const more = { colour: "red" };
  const newer = {
    ...status,
    ...more,
    endpoints: { "127.0.0.1:9002": { ...check, ...more } },
    rejected: { revision: null, why: "older", ...more },
  };
  expect(keepKnown(ProxyStatusSchema, checkShape(ProxyStatusSchema, newer))).toEqual(status);
  const record = { ...recordOf({}), ...more };
  expect(keepKnown(HopRecordSchema, checkShape(HopRecordSchema, record))).toEqual(recordOf({}));
  const observation = { ...observationOf({}), ...more };
  expect(keepKnown(ObservationSchema, checkShape(ObservationSchema, observation))).toEqual(
    observationOf({}),
  );
});

/** What is told of a sandbox with these properties beside its own. */
function errorsOf(more: object): ControlError["errors"] {
  try {
    checkShape(SandboxBodySchema, { ...JANE, ...more });
  } catch (error) {
    if (error instanceof ControlError) return error.errors;
  }
  return [];
}

test("of properties that are not known twenty are named, however many there are", () => {
  for (const count of [1, 8, 20, 21, 1_000]) {
    const unknown = Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 1]));
    const told = Array.from({ length: Math.min(count, 20) }, (_, i) => ({
      path: `/x${i}`,
      message: "is no known property",
    }));
    expect(errorsOf(unknown)).toEqual(told);
  }
});

test("the place of an error is told in 300 characters, however long a name in it is", () => {
  const labels = { [`a${"b".repeat(1_000)}`]: 7 };
  expect(errorsOf({ labels })).toMatchObject([{ path: `/labels/a${"b".repeat(291)}` }]);
  const [unknown] = errorsOf({ ["c".repeat(1_000)]: 7 });
  expect(unknown?.path).toBe(`/${"c".repeat(299)}`);
});

test("what is known is kept as it is, and not copied", () => {
  const record = checkShape(HopRecordSchema, recordOf({ healed: null }));
  expect(keepKnown(HopRecordSchema, record)).toBe(record);
});
