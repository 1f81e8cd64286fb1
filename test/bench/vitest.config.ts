import { suiteConfig } from "../suite-config.ts";

/** One short round of each benchmark: shows that they run. Needs root and `test/tools/install.sh bench`. */
export default suiteConfig("test:bench", ["test/bench/**/*.test.ts"], {
  timeoutMs: 300_000,
  isSerial: true,
});
