import { expect, test } from "vitest";
import { CONNECTION_OPTIONS_MAX, connectionOptions } from "./connection-options.ts";
import { MadeFields } from "./field-list.ts";

test.each<[readonly string[], readonly string[]]>([
  [["Host", "a"], []],
  [["Connection", ""], []],
  [["Connection", "Keep-Alive"], ["keep-alive"]],
  [["Connection", "close"], ["close"]],
  [
    ["Connection", " Close ,\tX-Hop,, upgrade"],
    ["close", "x-hop", "upgrade"],
  ],
  [
    ["Connection", "keep-alive", "X", "1", "connection", "close"],
    ["keep-alive", "close"],
  ],
  // No white space in HTTP, though trim() takes it for one.
  [
    ["Connection", "\xa0close, keep-alive\xa0"],
    ["\xa0close", "keep-alive\xa0"],
  ],
])("%j names the options %j", (pairs, options) => {
  expect(connectionOptions(new MadeFields(pairs))).toEqual(options);
});

test("one option more than allowed is kept, so that it is seen, and no further one", () => {
  const many = Array.from({ length: 50 }, (_, i) => `x-${i}`);
  const options = connectionOptions(
    new MadeFields(["connection", many.slice(0, 5).join(","), "connection", many.join(",")]),
  );
  expect(options.length).toBe(CONNECTION_OPTIONS_MAX + 1);
});
