import { expect } from "vitest";
import type { ProxyProcess } from "../harness/proxy-process.ts";

const MIB = 1024 * 1024;

/** How much more memory than before the process took at its peak while `during` ran, in MiB. */
export async function growthMib(proxy: ProxyProcess, during: () => Promise<void>): Promise<number> {
  await proxy.peakBytes(true);
  const before = await proxy.peakBytes();
  await during();
  return Math.round(((await proxy.peakBytes()) - before) / MIB);
}

/** Runs `during`, and expects that the process never takes more than `mib` above what it had. */
export async function withinMib(
  proxy: ProxyProcess,
  mib: number,
  during: () => Promise<void>,
): Promise<void> {
  const growth = await growthMib(proxy, during);
  if (process.env["FORKLANE_STRESS_SHOW"] !== undefined) {
    process.stderr.write(`${expect.getState().currentTestName}: ${growth} of ${mib} MiB\n`);
  }
  expect(growth, "MiB more at the peak").toBeLessThan(mib);
}
