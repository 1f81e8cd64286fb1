import { suiteConfig } from "../suite-config.ts";

/** Interception with real rules in network namespaces; needs root and `test/tools/install.sh intercept`. */
export default suiteConfig("test:intercept", ["test/intercept/**/*.test.ts"], {
  timeoutMs: 60_000,
  isSerial: true,
});
