import fc from "fast-check";
import { expect, test } from "vitest";
import { HeldLines } from "./held-lines.ts";
import type { Line } from "./line.ts";

function lineOf(text: string): Line {
  const bytes = Buffer.from(text, "latin1");
  return { bytes, length: bytes.length, isCut: false };
}

/** Lines as long as the longest ones, so that blocks fill up. */
const text = fc
  .tuple(fc.nat(99), fc.constantFrom(1, 60, 700, 30_000))
  .map(([n, length]) => `${n}${"x".repeat(length)}\n`);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: text, owner: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ take: fc.constantFrom(1, 100, 2_000, 70_000, 1_000_000) }) },
);

test("lines come out as they went in, in order and within the bytes asked for", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const held = new HeldLines<number>();
      const model: { line: string; owner: number }[] = [];
      for (const each of steps) {
        if ("add" in each) {
          held.add(lineOf(each.add), each.owner);
          model.push({ line: each.add, owner: each.owner });
          continue;
        }
        const { lines, count } = held.oldest(each.take);
        const taken = model.splice(0, count);
        expect(lines).toBe(taken.map(({ line }) => line).join(""));
        expect(lines.length <= each.take || count === 1).toBe(true);
        const [next] = model;
        const hasRoomForNext = next !== undefined && lines.length + next.line.length <= each.take;
        expect(hasRoomForNext).toBe(false);
        const owners: number[] = [];
        held.removeOldest(count, (owner) => owners.push(owner));
        expect(owners).toEqual(taken.map(({ owner }) => owner));
        expect(held.count).toBe(model.length);
      }
    }),
  );
});

test("what was taken and not removed is there again", () => {
  const held = new HeldLines<string>();
  held.add(lineOf("one\n"), "a");
  held.add(lineOf("two\n"), "b");
  expect(held.oldest(4)).toEqual({ lines: "one\n", count: 1 });
  expect(held.oldest(100)).toEqual({ lines: "one\ntwo\n", count: 2 });
  held.removeOldest(5, () => undefined);
  expect(held.oldest(100)).toEqual({ lines: "", count: 0 });
});
