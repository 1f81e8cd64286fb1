import { join } from "node:path";
import { defineConfig, type ViteUserConfig } from "vitest/config";

/** Folder of the reports that `.ci/run` counts, relative to the checkout; not kept in git. */
const REPORTS = ".reports";

/** How long expect.poll waits for what has to come, in milliseconds. */
const POLL_MS = 5_000;

interface SuiteOptions {
  /** Files at a time; by default one CPU is left for what the tests start. */
  readonly workers?: number;
  /** For one test, and for what runs before and after it. */
  readonly timeoutMs?: number;
  /** One file after the other: for suites that measure, or take fixed ports. */
  readonly isSerial?: boolean;
}

/**
 * Makes the vitest configuration of one suite.
 *
 * `script` is the name of its npm script: the report of `npm run test:edge` is
 * `.reports/test-edge.json`, which is where `.ci/run` looks for it.
 */
export function suiteConfig(
  script: "test" | `test:${string}`,
  include: string[],
  { timeoutMs = 20_000, isSerial = false, workers }: SuiteOptions = {},
): ViteUserConfig {
  return defineConfig({
    test: {
      include,
      setupFiles: [join(import.meta.dirname, "property-seed.ts")],
      testTimeout: timeoutMs,
      hookTimeout: timeoutMs,
      // What a test polls for comes at once, or late on a busy machine; a second is too little then.
      expect: { poll: { timeout: POLL_MS } },
      pool: "forks",
      fileParallelism: !isSerial,
      ...(workers !== undefined && { maxWorkers: workers }),
      reporters: [
        "default",
        ["json", { outputFile: `${REPORTS}/${script.replaceAll(":", "-")}.json` }],
      ],
    },
  });
}
