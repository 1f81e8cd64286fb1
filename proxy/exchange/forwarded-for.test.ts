import { expect, test } from "vitest";
import { MadeFields } from "../message/field-list.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { appendForwardedFor } from "./forwarded-for.ts";

/** The lines `X-Forwarded-For` as they are passed on. */
function after(lines: readonly string[], address: string): string[] {
  const fields = new MadeFields(lines.flatMap((value) => ["X-Forwarded-For", value]));
  const edit = new HeadEdit(10);
  appendForwardedFor(fields, edit, address);
  const kept = lines.map((_, i) => edit.value(fields, i));
  return [...kept, ...edit.added.filter((_, i) => i % 2 === 1)];
}

test.each([
  ["is added where there was none", [], "10.0.0.1", ["10.0.0.1"]],
  ["stands behind those before", ["1.1.1.1, 2.2.2.2"], "10.0.0.1", ["1.1.1.1, 2.2.2.2, 10.0.0.1"]],
  [
    "stands in the last of several lines",
    ["1.1.1.1", "2.2.2.2"],
    "10.0.0.1",
    ["1.1.1.1", "2.2.2.2, 10.0.0.1"],
  ],
  ["takes the place of nothing", [""], "fd00::1", ["fd00::1"]],
  ["is written as IPv4 where it is", [], "::ffff:10.0.0.1", ["10.0.0.1"]],
])("the caller %s", (_what, lines, address, expected) => {
  expect(after(lines, address)).toEqual(expected);
});
