import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeSse, SseReader } from "./sse.ts";

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
