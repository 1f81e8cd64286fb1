import { suiteConfig } from "../suite-config.ts";

/** The package as users install it; needs the npm registry. */
export default suiteConfig("test:package", ["test/package/**/*.test.ts"], {
  timeoutMs: 300_000,
});
