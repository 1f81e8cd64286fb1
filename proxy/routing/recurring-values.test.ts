import fc from "fast-check";
import { expect, test } from "vitest";
import { getWith } from "../../test/harness/parsed-head.ts";
import { MadeFields } from "../message/field-list.ts";
import { RECURRING_CHARS_MAX, type RecurringFields, RecurringValues } from "./recurring-values.ts";

/** One whose values say what they were made of, and how often one was made. */
function counting() {
  const count = { made: 0 };
  const values = new RecurringValues((text) => {
    count.made++;
    return `<${text}>`;
  });
  return { count, values };
}

function ofText(values: RecurringValues<string>, text: string): string {
  return values.of(new MadeFields(["a", text]), 0, 0);
}

test("the answer is that of the value, whatever came before and however often", () => {
  const { values } = counting();
  const text = fc.oneof(
    fc.constantFrom("", "a", "sandbox=jane-42", "sandbox=jane-43"),
    fc.string({ unit: fc.integer({ min: 33, max: 255 }).map((code) => String.fromCharCode(code)) }),
  );
  fc.assert(
    fc.property(text, fc.nat(), fc.integer({ min: 1, max: 3 }), fc.boolean(), (...given) => {
      const [value, place, times, isReceived] = given;
      // 0x7f may be in no value that is received.
      const text = value.replaceAll("\x7f", "~");
      const from = place % (text.length + 1);
      const fields: RecurringFields = isReceived
        ? getWith(`x: ${text}`)
        : new MadeFields(["host", "a", "x", text]);
      for (let i = 0; i < times; i++)
        expect(values.of(fields, 1, from)).toBe(`<${text.slice(from)}>`);
    }),
    { numRuns: 2_000 },
  );
});

test("a value is held when it comes twice in a row", () => {
  const { values, count } = counting();
  for (let i = 0; i < 5; i++) ofText(values, "sandbox=jane-42");
  expect(count.made).toBe(2);
});

test("values that never come again push none out that is held", () => {
  const { values, count } = counting();
  for (let i = 0; i < 2; i++) ofText(values, "sandbox=jane-42");
  for (let i = 0; i < 20_000; i++) ofText(values, `unique=${i}`);
  count.made = 0;
  ofText(values, "sandbox=jane-42");
  expect(count.made).toBe(0);
});

test("far more values than there are places, each twice, push each other out and stay apart", () => {
  const { values, count } = counting();
  for (let i = 0; i < 30_000; i++) {
    const text = `sandbox=k-${i % 10_000}`;
    for (let twice = 0; twice < 2; twice++) expect(ofText(values, text)).toBe(`<${text}>`);
  }
  expect(count.made).toBeGreaterThan(30_000);
});

test("a value with the hash of one that is held is not taken for it", () => {
  const { values } = counting();
  const [one, other] = textsOfOneHash();
  for (const text of [one, one, one, other, other, one]) {
    expect(ofText(values, text)).toBe(`<${text}>`);
  }
});

function textsOfOneHash(): [string, string] {
  const byHash = new Map<number, string>();
  for (let i = 0; i < 400_000; i++) {
    const text = String(100_000_000 + i * 2_011);
    const hash = new MadeFields(["a", text]).valueHash(0, 0);
    const before = byHash.get(hash);
    if (before !== undefined) return [before, text];
    byHash.set(hash, text);
  }
  throw new Error("no two texts have one hash");
}

test.each([
  [RECURRING_CHARS_MAX, 2],
  [RECURRING_CHARS_MAX + 1, 4],
])("of a value of %i characters the answer is made %i times of 4", (length, made) => {
  const { values, count } = counting();
  for (let i = 0; i < 4; i++) {
    expect(ofText(values, "y".repeat(length))).toBe(`<${"y".repeat(length)}>`);
  }
  expect(count.made).toBe(made);
});

test("a received head and a made one have the same hashes", () => {
  const made = new MadeFields(["a", "sandbox=j\xe4ne"]);
  const received = getWith("a: sandbox=j\xe4ne");
  expect(received.valueHash(1, 2)).toBe(made.valueHash(0, 2));
});
