import { expect, test } from "vitest";
import { BROWSER_FIELDS } from "./browser-fields.ts";
import { comparedCases, FULL_SIZES } from "./cases.ts";

const CASES = comparedCases({ sandboxes: 1_000, ...FULL_SIZES });

test("no two cases have one name", () => {
  expect(new Set(CASES.map((each) => each.name)).size).toBe(CASES.length);
});

test("a browser's request has 32 fields with Host, each once, and no tag among them", () => {
  const names = BROWSER_FIELDS.map((field) => field.slice(0, field.indexOf(":")));
  expect(new Set(["host", ...names]).size).toBe(32);
  expect(BROWSER_FIELDS.join("\n")).not.toContain("sandbox=");
});

test("a case differs from tagged in the number of sandboxes, and asks for one in the middle", () => {
  const of = (name: string) => CASES.find((each) => each.name === name);
  expect(of("sandboxes-1")?.setup.sandboxes).toBe(1);
  expect(of("sandboxes-1")?.request.fields).toEqual(["baggage: sandbox=bench-000000"]);
  expect(of("sandboxes-10000")?.request.fields).toEqual(["baggage: sandbox=bench-005000"]);
});

test("only telemetry is measured without the peers, since they have none like it", () => {
  const ours = CASES.filter((each) => each.isOursOnly).map((each) => each.setup.telemetry);
  expect(ours).toEqual(["off", "records", "otlp"]);
});
