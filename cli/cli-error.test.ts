import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CommanderError } from "commander";
import { expect, test } from "vitest";
import {
  CLI_FAILURES,
  CliError,
  type CliFailureCode,
  formatError,
  toCliError,
} from "./cli-error.ts";

test("a failure is one line: what, why, and what to do", () => {
  const error = new CliError("control-unreachable", "no control at x:1: refused", {
    fix: "start it",
  });
  expect(formatError(error)).toBe("forklane: no control at x:1: refused; start it");
});

test("a failure is a problem document for machines, with the same code", () => {
  expect(new CliError("usage", "bad", { fix: "see --help" }).problem).toEqual({
    type: "about:blank",
    title: "the command line is wrong",
    code: "usage",
    detail: "bad",
    fix: "see --help",
  });
});

test.each(Object.keys(CLI_FAILURES) as CliFailureCode[])("%s exits with its row's code", (code) => {
  expect(new CliError(code, "x").exitCode).toBe(CLI_FAILURES[code].exit);
});

test.each(Object.keys(CLI_FAILURES) as CliFailureCode[])("%s has its row in the README", (code) => {
  const readme = readFileSync(join(import.meta.dirname, "README.md"), "utf8");
  expect(readme).toContain(`| \`${code}\` | ${CLI_FAILURES[code].exit} |`);
});

test("commander's two lines become one, and name the help to read", () => {
  const thrown = new CommanderError(
    1,
    "commander.unknownOption",
    "error: unknown option '--forks'\n(Did you mean --fork?)",
  );
  const error = toCliError(thrown, "forklane sandbox up");
  expect(error.exitCode).toBe(2);
  expect(formatError(error)).toBe(
    "forklane: unknown option '--forks' (Did you mean --fork?); see forklane sandbox up --help",
  );
});

test("an error that nobody foresaw fails with its cause", () => {
  const error = toCliError(new Error("no", { cause: new Error("disk is full") }), "forklane");
  expect(error.exitCode).toBe(1);
  expect(error.message).toBe("no: disk is full");
});

test("text of peers cannot steer the terminal", () => {
  const error = toCliError(new Error("a\u001b[2Jb\nc"), "forklane");
  expect(formatError(error)).toBe("forklane: a [2Jb c");
});
