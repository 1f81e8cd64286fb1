import { hash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import path from "node:path";
import { parseJson } from "../../core/json.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parseTable, type RoutingTable } from "../routing/table.ts";
import { readBounded } from "./remember.ts";
import type { WatchLog } from "./watch.ts";

/**
 * Reads the routing table from a file, and again when the file changes or SIGHUP comes.
 *
 * Before: proxy.ts. After: routing/table.ts. Not on the request path.
 * Invariant: a file that does not parse changes nothing; the proxy goes on with the table it has.
 */

/** Editors write in several steps; the file is read when it was quiet for this long. */
const QUIET_MS = 50;

/** What the file needs, and whom it tells. */
export interface TableFileOptions {
  readonly file: string;
  readonly workload: string;
  readonly log: WatchLog;
  onTable(table: RoutingTable): void;
}

/** See above. */
export class TableFile {
  readonly #options: TableFileOptions;
  #watcher: FSWatcher | null = null;
  #quiet: NodeJS.Timeout | null = null;
  /** Of the text that the table is from; the text itself may be megabytes. */
  #digest = "";
  readonly #soon = () => this.#readSoon();

  constructor(options: TableFileOptions) {
    this.#options = options;
  }

  /** Reads the table for the first time; the error names the file and what is wrong with it. */
  async start(): Promise<Result<null, string>> {
    const taken = await this.#read();
    if (!taken.ok) return taken;
    process.on("SIGHUP", this.#soon);
    this.#watchFolder();
    return ok(null);
  }

  stop(): void {
    process.off("SIGHUP", this.#soon);
    this.#watcher?.close();
    if (this.#quiet !== null) clearTimeout(this.#quiet);
  }

  /** The folder, not the file: a rename puts another file in its place, as ConfigMaps do, too. */
  #watchFolder(): void {
    const { file, log } = this.#options;
    try {
      this.#watcher = watch(path.dirname(path.resolve(file)), { persistent: false }, this.#soon);
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch (error) {
      log.warn(`${file} is read again on SIGHUP only: ${messageOf(error)}`);
    }
  }

  #readSoon(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => void this.#readAgain(), QUIET_MS);
    this.#quiet.unref();
  }

  async #readAgain(): Promise<void> {
    const taken = await this.#read();
    if (!taken.ok) this.#options.log.warn(`${taken.error}; the table stays as it is`);
  }

  async #read(): Promise<Result<null, string>> {
    const { file, workload, onTable, log } = this.#options;
    const text = await readBounded(file);
    if (!text.ok) return err(`the table ${file} cannot be read: ${text.error.why}`);
    const digest = hash("sha256", text.value);
    if (digest === this.#digest) return ok(null);
    const document = parseJson(text.value);
    if (!document.ok) return err(`${file} ${document.error}`);
    const table = parseTable(document.value, workload);
    if (!table.ok) return err(`${file}: ${table.error}`);
    if (this.#digest !== "") log.info(`${file} was read again`);
    this.#digest = digest;
    onTable(table.value);
    return ok(null);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
