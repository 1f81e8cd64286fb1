import { expect, test } from "vitest";
import { observationOf, recordOf, statusOf } from "../control.fake.ts";
import { HopRecordSchema } from "../schema/hop.ts";
import { ProxyStatusSchema } from "../schema/proxy.ts";
import { ObservationSchema } from "../schema/run.ts";
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

test("what is known is kept as it is, and not copied", () => {
  const record = checkShape(HopRecordSchema, recordOf({ healed: null }));
  expect(keepKnown(HopRecordSchema, record)).toBe(record);
});
