import { expect, test } from "vitest";
import { answerLength } from "./load-connection.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";

test("an answer is as long as its head and its content-length", () => {
  expect(answerLength(Buffer.from(`${HEAD}baseline\n`))).toBe(HEAD.length + 9);
  expect(answerLength(Buffer.from(HEAD))).toBe(HEAD.length + 9);
});

test("a head that is not whole has no length yet", () => {
  expect(answerLength(Buffer.from(HEAD.slice(0, -1)))).toBeNull();
});

test("an answer that is no success, or has no length, ends the run", () => {
  expect(() => answerLength(Buffer.from("HTTP/1.1 502 Bad Gateway\r\n\r\n"))).toThrow(
    "answered HTTP/1.1 502 Bad Gateway",
  );
  expect(() => answerLength(Buffer.from("HTTP/1.1 200 OK\r\n\r\n"))).toThrow("no content-length");
});
