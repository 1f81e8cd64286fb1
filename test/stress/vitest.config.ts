import { suiteConfig } from "../suite-config.ts";

/** Peers that mean harm, by the thousand, against a real process whose memory is looked at. Linux. */
export default suiteConfig("test:stress", ["test/stress/**/*.test.ts"], {
  timeoutMs: 60_000,
  isSerial: true,
});
