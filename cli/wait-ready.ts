import type { ControlClient } from "../control/client/client.ts";
import { CliError } from "./cli-error.ts";
import { durationMs } from "./option-values.ts";
import type { SandboxView } from "./render-sandbox.ts";

/** Longest wait that control takes at a time, in milliseconds. */
const WAIT_MS_MAX = 60_000;

/** Waits for a sandbox to be ready; throws `not-ready` with every condition that does not hold. */
export async function waitReady(
  client: ControlClient,
  name: string,
  timeout: string,
): Promise<SandboxView> {
  const deadline = performance.now() + durationMs(timeout);
  for (;;) {
    const leftMs = Math.max(Math.ceil(deadline - performance.now()), 1);
    const sandbox = await client.getSandbox(name, {
      waitReady: `${Math.min(leftMs, WAIT_MS_MAX)}ms`,
    });
    if (sandbox.status.ready) return sandbox;
    if (performance.now() >= deadline) throw notReady(sandbox, timeout);
  }
}

/** The failure that a sandbox is not ready, with every condition that does not hold. */
export function notReady(sandbox: SandboxView, timeout: string): CliError {
  const open = sandbox.status.conditions.filter((condition) => condition.status !== "True");
  const why = open.map((each) => `${each.type} is ${each.reason}: ${each.message}`).join("; ");
  return new CliError("not-ready", `${sandbox.name} is not ready after ${timeout}: ${why}`, {
    fix: "see that a proxy runs beside each workload and that the forks answer",
    members: { sandbox },
  });
}
