#!/usr/bin/env node
/**
 * Starts the command `forklane`.
 *
 * Nothing that a Node older than ours cannot load is imported before its version is checked.
 */
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem(process.versions.node);
if (problem === null) {
  const { runCli } = await import("./program.ts");
  process.exitCode = await runCli(process.argv.slice(2));
} else {
  process.stderr.write(`forklane: ${problem}\n`);
  process.exitCode = 2;
}
