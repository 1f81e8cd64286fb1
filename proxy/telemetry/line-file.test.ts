import { execFileSync } from "node:child_process";
import { constants, openSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AsciiLine } from "./ascii-line.ts";
import { LINE_BYTES_MAX } from "./line.ts";
import { LineFile } from "./line-file.ts";

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "forklane-lines-"));
});
afterEach(() => rm(dir, { recursive: true }));

function lineOf(text: string): AsciiLine {
  const line = new AsciiLine(LINE_BYTES_MAX);
  line.text(text);
  return line;
}

test("lines come out whole and in order, over many writes", async () => {
  const file = path.join(dir, "lines");
  const lines = new LineFile(openSync(file, "a"), 4 * 1024 * 1024);
  const added: string[] = [];
  for (let i = 0; i < 5_000; i++) added.push(`${i}:${"a".repeat(i % 300)}\n`);
  for (const line of added) lines.add(lineOf(line));
  await lines.end(10_000);
  expect(await readFile(file, "utf8")).toBe(added.join(""));
  expect([lines.droppedLines, lines.fault]).toEqual([0, null]);
});

test("a quiet file is written without waiting for a full block", async () => {
  const file = path.join(dir, "lines");
  const lines = new LineFile(openSync(file, "a"), 1);
  lines.add(lineOf("alone\n"));
  await expect.poll(() => readFile(file, "utf8"), { timeout: 5_000 }).toBe("alone\n");
  await lines.end(1_000);
});

test("what no file takes is dropped, counted, and said", async () => {
  const readOnly = openSync("/dev/null", constants.O_RDONLY);
  const lines = new LineFile(readOnly, 1);
  for (let i = 0; i < 3; i++) lines.add(lineOf("lost\n"));
  await lines.end(10_000);
  expect(lines.droppedLines).toBe(3);
  expect(lines.fault).toMatchObject({ code: "EBADF" });
});

test("a pipe gets every line whole and in order, however late its reader comes", async () => {
  const pipe = path.join(dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  const reader = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
  const lines = new LineFile(writer, 4 * 1024 * 1024);
  const added: string[] = [];
  for (let i = 0; i < 5_000; i++) added.push(`${i}:${"a".repeat(i % 300)}\n`);
  for (const line of added) lines.add(lineOf(line));
  const ended = lines.end(10_000);
  expect(await text(new net.Socket({ fd: reader, writable: false }))).toBe(added.join(""));
  await ended;
  expect([lines.droppedLines, lines.fault]).toEqual([0, null]);
});

test("a line longer than the limit is dropped, the longest one is not", async () => {
  const file = path.join(dir, "lines");
  const lines = new LineFile(openSync(file, "a"), 1);
  for (const length of [LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX]) {
    lines.add(lineOf(`${"a".repeat(length - 1)}\n`));
  }
  await lines.end(10_000);
  expect((await readFile(file, "utf8")).length).toBe(2 * LINE_BYTES_MAX);
  expect(lines.droppedLines).toBe(1);
});
