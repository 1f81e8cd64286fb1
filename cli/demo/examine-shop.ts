import { CliError } from "../cli-error.ts";
import { type Examined, examine } from "../doctor/examine.ts";
import { type BrokenClient, callerOf, formatBreak } from "./broken-client.ts";
import type { DemoPorts } from "./ports.ts";
import { address, controlUrl } from "./processes.ts";
import { CONTROL_ARM_TAG, DEMO_PATH } from "./screen.ts";
import { workloadOf } from "./shop.ts";

const PROBES = 5;
/** After the last answer: long enough for the call that the variant `async` makes then. */
const OBSERVE_MS = 1_000;
const TIMEOUT_MS = 5_000;

/** Lets the doctor examine the demo, through its edge. */
export function examineShop(ports: DemoPorts): Promise<Examined> {
  return examine({
    control: controlUrl(ports),
    entry: shopEntry(ports),
    tag: CONTROL_ARM_TAG,
    tagAs: "header",
    probes: PROBES,
    observeMs: OBSERVE_MS,
    timeoutMs: TIMEOUT_MS,
  });
}

/** Where the demo's requests go in. */
export function shopEntry(ports: DemoPorts): URL {
  return new URL(`http://${address(ports.edge)}${DEMO_PATH}`);
}

/** Throws `proof-failed` unless the doctor named the hop that was broken, and no other. */
export function checkFound(broken: BrokenClient, { verdict }: Examined): void {
  const found = verdict.findings.map(({ from, to }) => `${from.join(" or ")} -> ${to}`);
  const hop = `${workloadOf(callerOf(broken.callee))} -> ${workloadOf(broken.callee)}`;
  // Legal, and read: there is nothing to find.
  const expected = broken.variant === "spaces" ? [] : [hop];
  if (found.join() === expected.join() && verdict.verdict !== "inconclusive") return;
  const said = found.length === 0 ? verdict.verdict : found.join(", ");
  const detail = `with ${formatBreak(broken)} the doctor says: ${said}`;
  throw new CliError("proof-failed", detail, { members: { verdict } });
}
