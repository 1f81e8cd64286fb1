import { suiteConfig } from "../suite-config.ts";

/** The demo shop, broken in every way that it knows; loopback only. */
export default suiteConfig("test:doctor", ["test/doctor/**/*.test.ts"]);
