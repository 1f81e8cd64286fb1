import { suiteConfig } from "../suite-config.ts";

/** The README's commands, really run. */
export default suiteConfig("test:readme", ["test/readme/**/*.test.ts"], {
  timeoutMs: 120_000,
});
