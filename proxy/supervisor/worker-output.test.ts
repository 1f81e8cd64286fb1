import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { LINE_BYTES_MAX } from "../telemetry/line-file.ts";
import { copyLines } from "./worker-output.ts";

async function copied(pieces: readonly string[]): Promise<string[]> {
  const from = new PassThrough();
  const lines: string[] = [];
  copyLines(from, { add: (line) => void lines.push(line.bytes.toString("latin1")) });
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

test("what has no end is not collected without end", async () => {
  const endless = Array.from({ length: 10 }, () => "x".repeat(LINE_BYTES_MAX));
  const lines = await copied([...endless, "\n", "next\n"]);
  expect(lines.at(-1)).toBe("next\n");
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(3 * LINE_BYTES_MAX);
});
