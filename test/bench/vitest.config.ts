import { suiteConfig } from "../suite-config.ts";

/** One short round of each benchmark: shows that they run. Needs `test/tools/install.sh bench`. */
export default suiteConfig("test:bench", ["test/bench/**/*.test.ts"], {
  timeoutMs: 90_000,
  isSerial: true,
});
