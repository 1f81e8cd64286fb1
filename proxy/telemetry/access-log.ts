import { constants, open } from "node:fs";
import { promisify } from "node:util";
import { type AccessLogConfig, ConfigError } from "../config.ts";
import { NO_HOP } from "../exchange/placed-hop.ts";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";
import { AccessLogLine } from "./access-log-line.ts";
import { LineFile } from "./line-file.ts";

/**
 * Writes one JSON line for an exchange: every tagged one, and one of N untagged ones.
 *
 * Before: exchange/record.ts. After: telemetry/access-log-line.ts, line-file.ts.
 * Invariant: memory is bounded: when the destination cannot follow, lines are dropped and counted.
 * Hot path: only the lines that are written cost more than a counter; writing is asynchronous.
 */

/** Bytes that may wait for the destination: some seconds of lines. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/** How long a stop waits for the destination. */
const STOP_MS = 1_000;

/**
 * Opens the log; null, with nothing loaded, where it is off.
 *
 * Rejects with a ConfigError if its file cannot be opened.
 */
export async function startAccessLog(
  config: AccessLogConfig,
  workload?: string,
): Promise<AccessLog | null> {
  if (config.file === "off") return null;
  const fd = config.file === null ? STDOUT : await openToAppend(config.file);
  return new AccessLog(fd, config.untaggedEvery, workload);
}

const STDOUT = 1;

const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;

/** A file waits for nobody, whatever it is told; a pipe would wait for a reader, here and at each write. */
async function openToAppend(file: string): Promise<number> {
  try {
    return await promisify(open)(file, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o640);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const isUnread = (error as NodeJS.ErrnoException).code === "ENXIO";
    const fix = isUnread ? "; a pipe needs its reader before the proxy starts" : "";
    throw new ConfigError("--access-log", `the file cannot be written: ${why}${fix}`);
  }
}

/** One log, which chooses whose line it writes. */
export class AccessLog implements ExchangeSink {
  readonly #untaggedEvery: number;
  readonly #file: LineFile;
  readonly #line: AccessLogLine;
  #untaggedSeen = 0;

  constructor(fd: number, untaggedEvery: number, workload?: string) {
    this.#untaggedEvery = untaggedEvery;
    this.#file = new LineFile(fd, WAITING_BYTES_MAX);
    this.#line = new AccessLogLine(workload);
  }

  /** Lines that the destination was too slow for, or that could not be written. */
  get droppedLines(): number {
    return this.#file.droppedLines;
  }

  /** Why a write failed, the last time that one did; null if none did. */
  get fault(): Error | null {
    return this.#file.fault;
  }

  finished(exchange: FinishedExchange): void {
    if (this.#isWanted(exchange)) this.#file.add(this.#line.of(exchange));
  }

  #isWanted(exchange: FinishedExchange): boolean {
    if (exchange.tagText !== "" || exchange.place !== NO_HOP) return true;
    if (this.#untaggedEvery === 0) return false;
    this.#untaggedSeen++;
    return this.#untaggedSeen % this.#untaggedEvery === 0;
  }

  /** Writes what waits, for at most a second; used on a stop. */
  async stop(): Promise<void> {
    await this.#file.end(STOP_MS);
  }
}
