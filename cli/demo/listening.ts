import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { askControl } from "../ask-control.ts";
import { CliError } from "../cli-error.ts";
import { DEMO_HOST } from "./ports.ts";

/**
 * How long a process may take until it is up, in milliseconds: a slow machine, ten starting at once.
 * One that died is not waited for: its end aborts the signal.
 */
const START_MS = 60_000;

/** Time between two looks, in milliseconds. */
const LOOK_MS = 20;

/** Waits until `port` takes connections; `name` is who should. Rejects when `signal` is aborted. */
export async function untilListening(
  name: string,
  port: number,
  signal: AbortSignal,
): Promise<void> {
  const isUp = await until(() => isListening(port), signal);
  if (!isUp) {
    throw new CliError("failed", `${name} did not listen on port ${port} within ${START_MS} ms`);
  }
}

/**
 * Waits until control has heard from the proxies at these addresses that each has its table: before
 * that a proxy knows no key, and a strict tag would be refused. Rejects when `signal` is aborted.
 */
export async function untilTablesApplied(
  control: string,
  listen: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set(listen);
  const isUp = await askControl(control, (client) =>
    until(async () => {
      for (const proxy of (await client.listProxies()).items) {
        if (proxy.applied.every((revision) => revision !== null)) missing.delete(proxy.listen);
      }
      return missing.size === 0;
    }, signal),
  );
  if (isUp) return;
  const who = [...missing].join(", ");
  throw new CliError("failed", `control heard of no table at the proxies ${who} in ${START_MS} ms`);
}

/** Looks until it is so, and says whether it became so in time. */
async function until(isSo: () => Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + START_MS;
  while (!(await isSo())) {
    signal.throwIfAborted();
    if (performance.now() > deadline) return false;
    await sleep(LOOK_MS);
  }
  return true;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, DEMO_HOST);
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
