import { suiteConfig } from "../suite-config.ts";

/** A real nginx cache in front of the edge; needs `test/tools/install.sh edge`. */
export default suiteConfig("test:edge", ["test/edge/**/*.test.ts"]);
