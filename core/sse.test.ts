import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { encodeSse, SSE_EVENT_LINES_MAX, SseReader } from "./sse.ts";

afterEach(() => vi.restoreAllMocks());

const STREAM =
  ": a comment\r\nretry: 5\r\n\r\n" +
  encodeSse("routes", '{"a":1}', "x.1") +
  "data: two\ndata: lines\n\n" +
  "event: nothing\n\n" +
  encodeSse("keys", "{}", "x.2");

test("a stream is read in the same way however it is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 10 }), (cuts) => {
      const bounds = [0, ...[...cuts].sort((a, b) => a - b), STREAM.length];
      const reader = new SseReader();
      const events = bounds.slice(1).flatMap((end, i) => {
        const read = reader.read(STREAM.slice(bounds[i], end));
        return read.ok ? read.value : [];
      });
      expect(events).toEqual([
        { event: "routes", id: "x.1", data: '{"a":1}' },
        { event: "message", id: "x.1", data: "two\nlines" },
        { event: "keys", id: "x.2", data: "{}" },
      ]);
    }),
  );
});

test("an event past the limit is refused, in one line or in many", () => {
  expect(new SseReader(100).read(`data: ${"x".repeat(90)}`).ok).toBe(true);
  expect(new SseReader(100).read(`data: ${"x".repeat(100)}`).ok).toBe(false);
  expect(new SseReader(100).read(`data: ${"x".repeat(40)}\n`.repeat(3)).ok).toBe(false);
  expect(new SseReader(100).read("data:\n".repeat(101)).ok).toBe(false);
});

test("an event whose names alone pass the limit is refused", () => {
  expect(new SseReader(100).read(`id: ${"x".repeat(60)}\nevent: ${"x".repeat(60)}\n`).ok).toBe(
    false,
  );
});

test("an event of more lines than anybody writes is refused, also where they are empty", () => {
  const lines = "data:\n".repeat(SSE_EVENT_LINES_MAX);
  const most = new SseReader().read(`${lines}\n`);
  expect(most.ok && most.value[0]?.data).toBe("\n".repeat(SSE_EVENT_LINES_MAX - 1));
  expect(new SseReader().read(`${lines}data:\n\n`).ok).toBe(false);
});

test("a long line in small pieces is looked through once, and copied twice", () => {
  const pieces = Array.from({ length: 5_000 }, (_, i) => `${i} `);
  const line = pieces.join("");
  const found = vi.spyOn(String.prototype, "indexOf");
  const joined = vi.spyOn(Array.prototype, "join");
  const reader = new SseReader();
  reader.read("data: ");
  for (const piece of pieces) reader.read(piece);
  const events = reader.read("\n\n");
  const searched = found.mock.contexts.map((text) => String(text).length);
  const copied = joined.mock.results.map(({ value }) => String(value).length);
  vi.restoreAllMocks();
  expect(events.ok && events.value[0]?.data).toBe(line);
  // Once for its end, once for its colon; once to a block, once to the line, once to the data.
  expect(sum(searched)).toBeLessThan(3 * line.length);
  expect(sum(copied)).toBeLessThan(4 * line.length);
});

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
