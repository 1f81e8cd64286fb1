import { expect, test } from "vitest";
import { childEnvironment, DEFAULT_CONTROL, readCliConfig } from "./config.ts";
import { terminalOf } from "./terminal.ts";

test("an empty variable counts as absent", () => {
  expect(readCliConfig({ FORKLANE_CONTROL: "", NO_COLOR: "" })).toEqual({
    control: DEFAULT_CONTROL,
    noColor: false,
  });
});

test("colour is for terminals, and not for those who want none", () => {
  const terminal = { isTTY: true, columns: 90 };
  const plain = { control: DEFAULT_CONTROL, noColor: true };
  const colored = { ...plain, noColor: false };
  expect(terminalOf(terminal, colored)).toEqual({ isTty: true, columns: 90, hasColor: true });
  expect(terminalOf(terminal, plain).hasColor).toBe(false);
  expect(terminalOf({}, colored).hasColor).toBe(false);
});

test("a process whose settings are given by flags sees none of the user's", () => {
  const env = { FORKLANE_SANDBOX: "mine", OTEL_SERVICE_NAME: "x", PATH: "/bin" };
  expect(childEnvironment(env)).toEqual({ PATH: "/bin" });
});
