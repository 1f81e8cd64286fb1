import { ConfigError } from "../config.ts";
import { runProxy } from "../main.ts";
import { readFlags } from "./config.ts";

/**
 * The whole process of a proxy that a command line has made: see become.ts.
 *
 * Before: become.ts. After: proxy/main.ts.
 */
try {
  process.exitCode = await runProxy(readFlags());
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`forklane proxy: ${error.message}\n`);
  process.exitCode = 2;
}
