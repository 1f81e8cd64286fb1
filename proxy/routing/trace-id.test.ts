import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MadeFields } from "../message/field-list.ts";
import { readTraceId } from "./trace-id.ts";

const ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const HALF = "a3ce929d0e0e4736";
const PADDED = `0000000000000000${HALF}`;
const SPAN = "00f067aa0ba902b7";

describe("a trace id", () => {
  test.each([
    ["traceparent", `00-${ID}-${SPAN}-01`, ID],
    ["traceparent", `cc-${ID}-${SPAN}-01-what-comes-later`, ID],
    ["traceparent", `cc-${ID}-${SPAN}-01-${"0".repeat(16)}-later`, ID],
    ["b3", `${ID}-${SPAN}-1`, ID],
    ["b3", `${HALF}-${SPAN}`, PADDED],
    ["X-B3-TraceId", ID, ID],
    ["X-B3-TraceId", HALF.toUpperCase(), PADDED],
    ["x-datadog-trace-id", "11803532876627986230", PADDED],
    ["x-datadog-trace-id", "18446744073709551615", `0000000000000000${"f".repeat(16)}`],
    ["uber-trace-id", `${ID}:${SPAN}:0:1`, ID],
    ["uber-trace-id", `${HALF}%3A${SPAN}%3A0%3A1`, PADDED],
    ["uber-trace-id", "7b:1:0:1", `${"0".repeat(30)}7b`],
  ])("is read from %s: %s", (name, value, expected) => {
    expect(readTraceId(new MadeFields([name, value]))).toBe(expected);
  });

  test.each([
    ["traceparent", ""],
    ["traceparent", `ff-${ID}-${SPAN}-01`],
    ["traceparent", `00-${ID}-${SPAN}-01-more`],
    ["traceparent", `00-${ID.toUpperCase()}-${SPAN}-01`],
    ["traceparent", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["traceparent", `00-${ID}-${"0".repeat(16)}-01`],
    ["b3", "0"],
    ["b3", `${"0".repeat(32)}-${SPAN}`],
    ["x-b3-traceid", `${HALF}0`],
    ["x-datadog-trace-id", "0"],
    ["x-datadog-trace-id", "18446744073709551616"],
    ["x-datadog-trace-id", "-1"],
    ["uber-trace-id", "0:1:0:1"],
    ["uber-trace-id", `${ID}0:1:0:1`],
  ])("is not read from %s: %j", (name, value) => {
    expect(readTraceId(new MadeFields([name, value]))).toBeNull();
  });

  test("the W3C header comes first, and a malformed one hides none", () => {
    const fields = ["x-b3-traceid", HALF, "traceparent", `00-${ID}-${SPAN}-01`];
    expect(readTraceId(new MadeFields(fields))).toBe(ID);
    expect(readTraceId(new MadeFields(["traceparent", "00-x", "x-b3-traceid", HALF]))).toBe(PADDED);
  });

  test("is 32 lower-case hex characters or null, whatever comes", () => {
    const names = ["traceparent", "b3", "x-b3-traceid", "x-datadog-trace-id", "uber-trace-id"];
    const value = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0123456789aF-:%") }));
    fc.assert(
      fc.property(fc.constantFrom(...names), value, (name, text) => {
        const id = readTraceId(new MadeFields([name, text]));
        if (id !== null) expect(id).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
      }),
    );
  });
});
