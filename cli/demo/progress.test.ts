import { expect, test } from "vitest";
import { DEFAULT_CONTROL } from "../config.ts";
import { createContext } from "../context.ts";
import { createProgress } from "./progress.ts";

test("without a terminal each step is a plain line", () => {
  const { progress, written } = progressTo({});
  progress.step("starting control");
  progress.step("starting proxies");
  progress.end();
  expect(written()).toBe("starting control\nstarting proxies\n");
});

test("on a terminal one line is written over, and gone at the end", () => {
  const { progress, written } = progressTo({ isTTY: true, columns: 12 });
  progress.step("starting control");
  progress.end();
  expect(written()).toContain("starting");
  expect(written()).not.toContain("\n");
  expect(written().endsWith("\r\u001b[K")).toBe(true);
});

test("a line never wraps, or it could not be cleared", () => {
  const { progress, written } = progressTo({ isTTY: true, columns: 12 });
  progress.step("starting control");
  progress.end();
  expect(written()).toContain("starting ");
  expect(written()).not.toContain("starting c");
});

function progressTo(stream: { isTTY?: boolean; columns?: number }) {
  let text = "";
  const stderr = { ...stream, write: (piece: string) => (text += piece) };
  const config = { control: DEFAULT_CONTROL, noColor: true };
  const context = createContext(config, stderr, stderr);
  return { progress: createProgress(context), written: () => text };
}
