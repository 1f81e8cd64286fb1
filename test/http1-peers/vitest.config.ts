import { suiteConfig } from "../suite-config.ts";

/** The corpus against other proxies and servers; needs `test/tools/install.sh http1-peers`. */
export default suiteConfig("test:http1-peers", ["test/http1-peers/**/*.test.ts"], {
  timeoutMs: 180_000,
  isSerial: true,
});
