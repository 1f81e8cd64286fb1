import { open } from "node:fs";
import { promisify } from "node:util";
import type { Logger, pino } from "pino";
import { type AccessLogConfig, ConfigError } from "../config.ts";
import type { ExchangeSink, FinishedExchange } from "../exchange/record.ts";

/**
 * Writes one JSON line for an exchange: every tagged one, and one of N untagged ones.
 *
 * Before: exchange/record.ts. After: a file or standard output.
 * Invariants: no line holds a query string, a cookie, a credential or baggage other than the tag;
 * control bytes are escaped, so a peer cannot write lines of its own (CVE-2024-45808 in Envoy);
 * memory is bounded: when the destination cannot follow, lines are dropped and counted.
 * Hot path: only the lines that are written cost more than a counter; writing is asynchronous.
 */

/** Bytes collected before a write; a quieter log is written every FLUSH_MS. */
const WRITE_BYTES = 4 * 1024;
const FLUSH_MS = 500;

/** Bytes that may wait for the destination: some seconds of lines. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

/** How long a stop waits for the destination. */
const STOP_MS = 1_000;

/** Longest path written; a target has up to 16 KiB. */
const PATH_CHARS_MAX = 512;

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
  const { pino } = await import("pino");
  return new AccessLog(pino, fd, config.untaggedEvery, workload);
}

const STDOUT = 1;

/** Opened here: pino's destination throws out of a timer while its file is not open. */
async function openToAppend(file: string): Promise<number> {
  try {
    return await promisify(open)(file, "a", 0o640);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError("--access-log", `the file cannot be written: ${why}`);
  }
}

/** See above. */
export class AccessLog implements ExchangeSink {
  readonly #untaggedEvery: number;
  readonly #destination: ReturnType<typeof pino.destination>;
  readonly #logger: Logger;
  #untaggedSeen = 0;
  #droppedLines = 0;
  #fault: Error | null = null;

  constructor(pinoModule: typeof pino, fd: number, untaggedEvery: number, workload?: string) {
    this.#untaggedEvery = untaggedEvery;
    this.#destination = pinoModule.destination({
      dest: fd,
      sync: false,
      minLength: WRITE_BYTES,
      maxLength: WAITING_BYTES_MAX,
      periodicFlush: FLUSH_MS,
    });
    this.#destination.on("drop", () => {
      this.#droppedLines += 1;
    });
    this.#destination.on("error", (error: Error) => {
      this.#fault = error;
    });
    const base = workload === undefined ? null : { workload };
    this.#logger = pinoModule({ base, timestamp: false }, this.#destination);
  }

  /** Lines that the destination was too slow for. */
  get droppedLines(): number {
    return this.#droppedLines;
  }

  /** Why a write failed, the last time that one did; null if none did. */
  get fault(): Error | null {
    return this.#fault;
  }

  finished(exchange: FinishedExchange): void {
    if (this.#isWanted(exchange)) this.#logger.info(toLine(exchange));
  }

  #isWanted(exchange: FinishedExchange): boolean {
    if (exchange.tagText !== "" || exchange.root !== "") return true;
    if (this.#untaggedEvery === 0) return false;
    this.#untaggedSeen++;
    return this.#untaggedSeen % this.#untaggedEvery === 0;
  }

  /** Writes what waits, for at most a second; used on a stop. */
  async stop(): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const late = setTimeout(resolve, STOP_MS);
    this.#destination.once("error", () => resolve());
    this.#destination.once("close", () => resolve());
    this.#destination.end();
    await over;
    clearTimeout(late);
  }
}

function toLine(exchange: FinishedExchange): Record<string, unknown> {
  const { decision } = exchange;
  return {
    time: new Date(exchange.startEpochMs || Date.now()).toISOString(),
    decision: decision.outcome,
    reason: decision.reason,
    fault: exchange.fault,
    key: decision.key,
    tag: exchange.tagText === "" ? undefined : escapeControls(exchange.tagText),
    method: escapeControls(exchange.method),
    path: escapeControls(pathOf(exchange.target)),
    status: exchange.status,
    endpoint: exchange.endpoint,
    downstream: exchange.downstreamAddress,
    durationMs: toMicros(exchange.endedAtMs - exchange.startedAtMs),
    requestBytes: exchange.requestBytes,
    responseBytes: exchange.responseBytes,
    attempt: exchange.attempt,
    closedBy: exchange.closedBy,
    root: exchange.root === "" ? undefined : exchange.root,
    hop: exchange.hop === "" ? undefined : exchange.hop,
    revision: exchange.revision,
  };
}

/** The target without its query: queries hold tokens and names of people. */
export function pathOf(target: string): string {
  const end = target.search(/[?#]/);
  const path = end < 0 ? target : target.slice(0, end);
  return path.length > PATH_CHARS_MAX ? `${path.slice(0, PATH_CHARS_MAX)}...` : path;
}

/** Writes control bytes, C1 included, as `\xNN`: JSON leaves 0x7f to 0x9f as they are. */
export function escapeControls(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

function toMicros(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
