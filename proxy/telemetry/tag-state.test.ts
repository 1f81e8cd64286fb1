import { expect, test } from "vitest";
import { DEFAULT_CARRIERS, PRESETS } from "../routing/carrier.ts";
import { fieldList } from "./finished-exchange.fake.ts";
import { readMark, tagStateOf } from "./tag-state.ts";

const MARK = "forklane-hop=00000000000000aa.00000000000000bb";
const PLACE = { root: "00000000000000aa", hop: "00000000000000bb" };

function stateOf(headers: Record<string, string>, isTagged: boolean) {
  return tagStateOf(fieldList(Object.entries(headers)), DEFAULT_CARRIERS, isTagged);
}

test("a request without the tag says what is left of it", () => {
  expect(stateOf({}, false)).toBe("absent");
  expect(stateOf({ baggage: "" }, false)).toBe("absent");
  expect(stateOf({ baggage: "vendor-release=1" }, false)).toBe("other-baggage");
  expect(stateOf({ baggage: `${MARK},san` }, false)).toBe("truncated");
  expect(stateOf({ baggage: "forklane-h" }, false)).toBe("truncated");
  expect(stateOf({ "correlation-context": `${MARK},sandbox=jane-42!` }, false)).toBe(
    "correlation-context",
  );
  expect(stateOf({ "correlation-context": "tenant=1" }, false)).toBe("absent");
});

test("a tag that is whole is nothing to tell of", () => {
  expect(stateOf({ baggage: `${MARK},sandbox=jane-42!,a=b%20c;p=1` }, true)).toBeNull();
  expect(stateOf({ baggage: "sandbox=jane-42,forklane-canary=1%2C2%2c3" }, true)).toBeNull();
});

test("a tag that was read says what became of it or of what stands beside it", () => {
  expect(stateOf({ baggage: "sandbox=jane-" }, true)).toBe("unreadable");
  expect(stateOf({ baggage: "sandbox=jane-42,sandbox=bob-7" }, true)).toBe("duplicated");
  expect(stateOf({ baggage: "sandbox=jane-42,forklane-canary=1,2,3" }, true)).toBe(
    "percent-decoded",
  );
  expect(stateOf({ baggage: "sandbox = jane-42" }, true)).toBe("spaces");
});

test("the mark is read where the tag stands", () => {
  const moved = fieldList([["correlation-context", `${MARK},sandbox=jane-42!`]]);
  expect(readMark(moved, "correlation-context")).toEqual(PLACE);
  expect(readMark(moved, "absent")).toBeNull();
  expect(readMark(fieldList([["baggage", `${MARK},san`]]), "truncated")).toEqual(PLACE);
});

test("a proxy that reads correlation-context finds nothing wrong with it", () => {
  const carriers = [...DEFAULT_CARRIERS, ...(PRESETS["correlation-context"] ?? [])];
  const fields = fieldList([["correlation-context", "sandbox=jane-42!"]]);
  expect(tagStateOf(fields, carriers, true)).toBeNull();
});
