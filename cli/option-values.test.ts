import { InvalidArgumentError } from "commander";
import { describe, expect, test } from "vitest";
import {
  collectFork,
  collectHeader,
  collectLabel,
  durationMs,
  readControlUrl,
  readDuration,
  readRequestUrl,
  readTag,
  readWorkload,
} from "./option-values.ts";

describe("--fork", () => {
  test("names a workload and where its fork answers, and adds up", () => {
    const one = collectFork("shop/cart=127.0.0.1:9002");
    expect(collectFork("shop/pricing=[::1]:9003", one)).toEqual([
      { workload: "shop/cart", endpoint: "127.0.0.1:9002" },
      { workload: "shop/pricing", endpoint: "[::1]:9003" },
    ]);
  });

  test.each(["shop/cart", "cart=127.0.0.1:1", "shop/cart=127.0.0.1", "a/b=h:0", "a/b=h:70000"])(
    "%s is refused",
    (text) => expect(() => collectFork(text)).toThrow(InvalidArgumentError),
  );
});

describe("--label", () => {
  test("adds up, and a value may hold an equals sign", () => {
    expect(collectLabel("q=a=b", collectLabel("team=cart"))).toEqual({ team: "cart", q: "a=b" });
  });

  test.each(["team", "=x"])("%s is refused", (text) =>
    expect(() => collectLabel(text)).toThrow(InvalidArgumentError),
  );
});

describe("--header", () => {
  test("keeps order, doubles and the case of names", () => {
    expect(collectHeader("x-a:2", collectHeader("X-A: 1"))).toEqual([
      ["X-A", "1"],
      ["x-a", "2"],
    ]);
  });

  test.each(["x-a", ": 1", "x a: 1", "x-a: 1\r\nx-b: 2"])("%j is refused", (text) =>
    expect(() => collectHeader(text)).toThrow(InvalidArgumentError),
  );
});

describe("durations", () => {
  test.each([
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["3d", 259_200_000],
  ])("%s is %d ms", (text, ms) => expect(durationMs(readDuration(text))).toBe(ms));

  test.each(["30", "0s", "-1s", "1.5h", "2 h", "1w", ""])("%j is refused", (text) =>
    expect(() => readDuration(text)).toThrow(InvalidArgumentError),
  );
});

describe("--key", () => {
  test.each(["jane-42", "jane-42!", "jane-42.base", "jane-42.base!", "ann~bob~cyd~dee!"])(
    "%s is a tag",
    (text) => expect(readTag(text)).toBe(text),
  );

  test.each(["", "!", "ab", "Jane", "a--b", "jane-42!!", "ann~bob~cyd~dee~eve", "ann~"])(
    "%j is refused",
    (text) => expect(() => readTag(text)).toThrow(InvalidArgumentError),
  );
});

describe("URLs", () => {
  test("the slash behind control's address is dropped", () => {
    expect(readControlUrl("http://127.0.0.1:7070/")).toBe("http://127.0.0.1:7070");
  });

  test.each(["127.0.0.1:7070", "ftp://x", "http://x/?q", "http://x/#f", ""])(
    "%j is not where control is",
    (text) => expect(() => readControlUrl(text)).toThrow(InvalidArgumentError),
  );

  test.each(["/checkout", "localhost:8080", "file:///etc"])("%j cannot be requested", (text) =>
    expect(() => readRequestUrl(text)).toThrow(InvalidArgumentError),
  );
});

test("a workload without its namespace is refused", () => {
  expect(readWorkload("shop/cart")).toBe("shop/cart");
  expect(() => readWorkload("cart")).toThrow(InvalidArgumentError);
});
