import { suiteConfig } from "../suite-config.ts";

/** A minute of random inputs, the same each time. The rest of the folder's tests are in `npm test`. */
export default suiteConfig("test:fuzz", ["test/fuzz/minute/*.test.ts"], {
  timeoutMs: 300_000,
});
