import { describe, expect, test } from "vitest";
import {
  CARRIERS_MAX,
  carrierHeader,
  DEFAULT_CARRIERS,
  PRESETS,
  parseCarriers,
} from "./carrier.ts";

function carriers(text: string) {
  const parsed = parseCarriers(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function errorOf(text: string): string {
  const parsed = parseCarriers(text);
  return parsed.ok ? "" : parsed.error;
}

describe("a list of carriers", () => {
  test("is read in its order, with white space and capitals in header names", () => {
    expect(carriers("baggage:sandbox, header:Forklane-Key")).toEqual(DEFAULT_CARRIERS);
    expect(carriers("tracestate:sd-routing-key ,correlation-context:sandbox")).toEqual([
      { kind: "tracestate", member: "sd-routing-key" },
      { kind: "baggage", member: "sandbox", header: "correlation-context" },
    ]);
  });

  test("takes presets, and each carrier once", () => {
    expect(carriers("preset:signadot")).toEqual(PRESETS["signadot"]);
    expect(carriers("baggage:sd-sandbox,preset:signadot,preset:signadot")).toHaveLength(8);
    for (const name of Object.keys(PRESETS))
      expect(carriers(`preset:${name}`)).toEqual(PRESETS[name]);
  });

  test.each([
    ["", '""'],
    ["baggage:sandbox,", '""'],
    ["sandbox", '"sandbox"'],
    ["cookie:key", '"cookie:key"'],
    ["baggage:", '"baggage:"'],
    ["baggage:two words", '"baggage:two words"'],
    [`header:${"x".repeat(65)}`, "1 to 64"],
    ["tracestate:Upper", '"tracestate:Upper"'],
    ["header:baggage", "baggage:MEMBER"],
    ["header:Host", "another meaning"],
    ["header:transfer-encoding", "another meaning"],
    ["baggage:forklane-hop", "own marks"],
    ["preset:other", "signadot, okteto, mirrord, bridge, correlation-context"],
    ["preset:constructor", "the presets are"],
  ])("%j is refused, and the error names it and what is allowed", (text, named) => {
    expect(errorOf(text)).toContain(named);
    expect(errorOf(text)).toContain("header:NAME and preset:NAME");
  });

  test(`has at most ${CARRIERS_MAX} items`, () => {
    const list = (count: number) =>
      Array.from({ length: count }, (_, i) => `header:x-${i}`).join(",");
    expect(carriers(list(CARRIERS_MAX))).toHaveLength(CARRIERS_MAX);
    expect(errorOf(list(CARRIERS_MAX + 1))).toContain(`at most ${CARRIERS_MAX}`);
  });
});

test("a carrier knows its header", () => {
  expect(
    carriers("baggage:a,tracestate:b,correlation-context:c,header:d").map(carrierHeader),
  ).toEqual(["baggage", "tracestate", "correlation-context", "d"]);
});
