import { isBindError } from "./bind-error.ts";
import { ConfigError, readProxyConfig } from "./config.ts";
import type { DrainOptions } from "./listener/listener.ts";
import { createProxy, type RunningProxy } from "./proxy.ts";
import { giveBackMemoryOfStart, keepHeapSmall } from "./small-heap.ts";
import { outliveReaders, stderrLog } from "./stderr-log.ts";
import {
  type FromWorker,
  type Settings,
  type ToWorker,
  WORKER_LISTEN_FD,
} from "./supervisor/messages.ts";
import { WorkerSource } from "./supervisor/worker-source.ts";

/**
 * One worker of a proxy with several: a process that takes connections from a socket which others
 * take from, too, and has no way to control but its supervisor.
 *
 * Before: supervisor/worker-process.ts starts it. After: proxy.ts.
 * Invariant: it ends when its supervisor does; it stops listening at once then, so that a supervisor
 * that is started anew finds the address free, and finishes what is in progress.
 */

const channel = {
  send(message: FromWorker): Promise<void> {
    return new Promise((resolve) => {
      if (process.send === undefined || !process.connected) resolve();
      else process.send(message, undefined, undefined, () => resolve());
    });
  },
};

let source: WorkerSource | null = null;
/** What came before there was a source. */
const early: ToWorker[] = [];
let proxy: RunningProxy | null = null;
let isEnding = false;

process.on("message", (message: ToWorker) => {
  if (message.kind === "start") void start(message.settings, message.index);
  else if (message.kind === "drain") void end(message);
  else if (source === null) early.push(message);
  else source.take(message);
});
process.once("disconnect", () => void end({ accepts: false }));
// Signals that a terminal or a process manager sends to all of them: the supervisor decides.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR2"] as const) {
  process.on(signal, () => undefined);
}

async function start(settings: Settings, index: number): Promise<void> {
  process.title = `forklane worker ${index}`;
  keepHeapSmall();
  outliveReaders();
  const config = readProxyConfig(settings, {});
  if (!config.ok) return fail(config.error);
  try {
    proxy = await createProxy(config.value, {
      log: stderrLog(`worker ${index}: `),
      worker: {
        fd: WORKER_LISTEN_FD,
        startSource: (options, metrics) => {
          source = new WorkerSource(config.value.workload, options, metrics, channel);
          for (const message of early.splice(0)) source.take(message);
          return source;
        },
      },
    });
    giveBackMemoryOfStart();
    await channel.send({ kind: "accepting" });
  } catch (error) {
    await fail(error);
  }
}

async function fail(error: unknown): Promise<void> {
  const isOperators = error instanceof ConfigError || isBindError(error);
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = isOperators ? error.message : stack;
  await channel.send({ kind: "failed", message, exitCode: isOperators ? 2 : 1 });
  process.exit(1);
}

/** Finishes what is in progress, and ends; asked again, it may have to do so sooner. */
async function end(options: DrainOptions): Promise<void> {
  // Null: it has begun nothing yet.
  await proxy?.drain(options);
  if (isEnding) return;
  isEnding = true;
  process.exit(0);
}
