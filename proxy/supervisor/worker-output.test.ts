import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { LINE_BYTES_MAX, type Line } from "../telemetry/line.ts";
import { copyLines } from "./worker-output.ts";

async function copied(pieces: readonly string[]): Promise<string[]> {
  const from = new PassThrough();
  const lines: string[] = [];
  const add = ({ bytes, isCut }: Line) =>
    void lines.push(isCut ? "(cut)" : bytes.toString("latin1"));
  copyLines(from, { add });
  for (const piece of pieces) from.write(piece, "latin1");
  from.end();
  await new Promise((resolve) => from.once("end", resolve));
  return lines;
}

test("lines are whole however they come, and one that was not ended is left out", async () => {
  expect(await copied(["a", "b\nc\nd", "\n", "e\xff\nunended"])).toEqual([
    "ab\n",
    "c\n",
    "d\n",
    "e\xff\n",
  ]);
});

test("a line that is too long is left out to its end, and counts as one", async () => {
  const endless = Array.from({ length: 10 }, () => "x".repeat(LINE_BYTES_MAX));
  expect(await copied([...endless, "tail\n", "next\n"])).toEqual(["(cut)", "next\n"]);
  expect(await copied([`${"x".repeat(LINE_BYTES_MAX)}\nnext\n`])).toEqual(["(cut)", "next\n"]);
});
