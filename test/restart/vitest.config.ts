import { suiteConfig } from "../suite-config.ts";

/** Real processes, signals, and callers that never repeat a request. No Windows. */
export default suiteConfig("test:restart", ["test/restart/**/*.test.ts"], {
  timeoutMs: 120_000,
  isSerial: true,
});
