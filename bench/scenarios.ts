import type { Scenario } from "./scenario.ts";
import { chain } from "./scenarios/chain.ts";
import { cpu } from "./scenarios/cpu.ts";
import { demo } from "./scenarios/demo.ts";
import { propagation } from "./scenarios/propagation.ts";

/** Every scenario by the name that the command line knows it by. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = { chain, cpu, demo, propagation };
