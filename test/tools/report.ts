/**
 * Reads what a suite reported: `node test/tools/report.ts FILE` prints the numbers of tests that
 * passed, failed and were skipped, `12 0 0`; no file, or one that cannot be read, exits 1.
 */
import { readFileSync } from "node:fs";

/** What a suite came to, in tests. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** Also those left for later (`todo`), and those that a filter kept out. */
  readonly skipped: number;
}

/** Counts the tests of a report in the format of vitest's and Jest's JSON reporters; throws on another. */
export function countTests(reportText: string): Counts {
  const report: Record<string, unknown> = JSON.parse(reportText);
  const number = (name: string): number => {
    const value = report[name];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    throw new Error(`the report has no number ${name}`);
  };
  const passed = number("numPassedTests");
  const failed = number("numFailedTests");
  const skipped = number("numTotalTests") - passed - failed;
  return { passed, failed: failed + brokenFiles(report["testResults"]), skipped };
}

/** A file that broke before its first test has no test to count, and is a failure all the same. */
function brokenFiles(files: unknown): number {
  if (!Array.isArray(files)) return 0;
  return files.filter((file) => file.status === "failed" && file.assertionResults?.length === 0)
    .length;
}

if (import.meta.main) {
  const { passed, failed, skipped } = countTests(readFileSync(process.argv[2] ?? "", "utf8"));
  process.stdout.write(`${passed} ${failed} ${skipped}\n`);
}
