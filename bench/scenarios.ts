import type { Scenario } from "./scenario.ts";
import { bypass } from "./scenarios/bypass.ts";
import { chain } from "./scenarios/chain.ts";
import { compare } from "./scenarios/compare.ts";
import { demo } from "./scenarios/demo.ts";
import { intercept } from "./scenarios/intercept.ts";
import { propagation } from "./scenarios/propagation.ts";

/** Every scenario by the name that the command line knows it by. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  bypass,
  chain,
  compare,
  demo,
  intercept,
  propagation,
};
