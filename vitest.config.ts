import { availableParallelism } from "node:os";
import { suiteConfig } from "./test/suite-config.ts";

/** The suite of `npm test`: needs no privilege, no tool beyond npm's and no network but loopback. */
export default suiteConfig(
  "test",
  [
    "{core,proxy,control,verify,cli,bench}/**/*.test.ts",
    "test/*.test.ts",
    "test/fuzz/{,fields/}*.test.ts",
    "test/{e2e,harness,http1-corpus,tools}/**/*.test.ts",
  ],
  // Many wait for a timer or a process most of the time.
  { workers: availableParallelism() + 1 },
);
