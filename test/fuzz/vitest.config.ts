import { suiteConfig } from "../suite-config.ts";

/** A minute of random inputs, other ones each day. The rest of the folder's tests are in `npm test`. */
export default suiteConfig("test:fuzz", ["test/fuzz/minute/*.test.ts"], {
  timeoutMs: 180_000,
});
