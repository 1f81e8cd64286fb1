import { expect, test } from "vitest";
import {
  brokenHeaders,
  callerOf,
  formatBreak,
  parseBreak,
  type VARIANT_NAMES,
} from "./broken-client.ts";

const MARK = "forklane-hop=00000000000000aa.00000000000000bb";
const WHOLE = {
  baggage: `${MARK},sandbox=jane-42.base!,forklane-canary=1%2C2`,
  traceparent: "00-x",
};
const client = "pricing-client/1.0";

function headersOf(variant: (typeof VARIANT_NAMES)[number]) {
  return brokenHeaders({ callee: "pricing", variant }, WHOLE);
}

test("a client is named after the service that it calls, and drops baggage unless told otherwise", () => {
  const broken = { callee: "pricing", variant: "drop-baggage" } as const;
  expect(parseBreak("pricing-client")).toEqual({ ok: true, value: broken });
  expect(parseBreak(formatBreak(broken))).toEqual({ ok: true, value: broken });
  expect(callerOf("pricing")).toBe("cart");
});

test("a client or a variant that is not there is refused, with those that are", () => {
  expect(parseBreak("frontend-client")).toMatchObject({
    ok: false,
    error: expect.stringContaining("pricing-client"),
  });
  expect(parseBreak("pricing")).toMatchObject({ ok: false });
  expect(parseBreak("pricing-client=x")).toMatchObject({ ok: false });
});

test("each variant sends what its kind of client sends", () => {
  const trace = { traceparent: "00-x", "user-agent": client };
  expect(headersOf("drop-baggage")).toEqual(trace);
  expect(headersOf("async")).toEqual(trace);
  expect(headersOf("raw")).toEqual({ "user-agent": client });
  expect(headersOf("overwrite")["baggage"]).not.toContain("sandbox");
  expect(headersOf("spaces")["baggage"]).toContain("sandbox = jane-42.base!");
  expect(headersOf("correlation-context")).toEqual({
    ...trace,
    "correlation-context": WHOLE.baggage,
  });
  expect(headersOf("percent-decode")["baggage"]).toContain("forklane-canary=1,2");
  expect(headersOf("truncate")["baggage"]).toBe(`${MARK},sandbox=jane-`);
});
