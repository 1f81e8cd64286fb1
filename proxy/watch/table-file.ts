import { hash } from "node:crypto";
import path from "node:path";
import { parseJson } from "../../core/json.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parseTable, type RoutingTable } from "../routing/table.ts";
import { stateOf } from "./file-identity.ts";
import { readBounded } from "./remember.ts";
import type { WatchLog } from "./watch.ts";
import { WatchedFolder, type WatchFolder } from "./watched-folder.ts";

/**
 * Reads the routing table from a file, and again when the file changes or SIGHUP comes.
 *
 * Before: table-source.ts. After: routing/table.ts. Not on the request path.
 * Invariants: a file that does not parse changes nothing; the proxy goes on with the table it has. There
 * is one read at a time, and what changes while it lasts is read after it: the last text read is the newest.
 */

/** Editors write in several steps; the file is read when it was quiet for this long. */
const QUIET_MS = 50;

/** How often the path is looked at: for changes that no event tells of, within the lease of control. */
const LOOK_MS = 5_000;

/** What the file needs, and whom it tells. */
export interface TableFileOptions {
  readonly file: string;
  readonly workload: string;
  readonly log: WatchLog;
  onTable(table: RoutingTable): void;
  /** For tests: other than the defaults. */
  readonly lookMs?: number;
  readonly read?: typeof readBounded;
  readonly state?: typeof stateOf;
  readonly watch?: WatchFolder;
}

/** See above. */
export class TableFile {
  readonly #options: TableFileOptions;
  readonly #folder: WatchedFolder;
  #looking: NodeJS.Timeout | null = null;
  #quiet: NodeJS.Timeout | null = null;
  /** Of the text that the table is from; the text itself may be megabytes. */
  #digest = "";
  /** How the file was just before it was read last. */
  #readState = "";
  #isLooking = false;
  #isReading = false;
  #isReadWanted = false;
  #isStopped = false;
  readonly #soon = () => this.#readSoon();

  constructor(options: TableFileOptions) {
    this.#options = options;
    const { file, log, lookMs = LOOK_MS, watch } = options;
    // The folder, not the file: a rename puts another file in its place, as ConfigMaps do, too.
    const folder = path.dirname(path.resolve(file));
    this.#folder = new WatchedFolder({
      folder,
      onChange: this.#soon,
      onFault: (why) => {
        log.warn(`${folder} is not watched (${why}); ${file} is looked at each ${lookMs} ms`);
      },
      ...(watch && { watch }),
    });
  }

  /** Reads the table for the first time; the error names the file and what is wrong with it. */
  async start(): Promise<Result<null, string>> {
    const taken = await this.#read();
    if (!taken.ok || this.#isStopped) return taken;
    process.on("SIGHUP", this.#soon);
    this.#looking = setInterval(() => void this.look(), this.#options.lookMs ?? LOOK_MS);
    this.#looking.unref();
    // What changed before there was a watch is seen by the look.
    await this.look();
    return ok(null);
  }

  stop(): void {
    this.#isStopped = true;
    process.off("SIGHUP", this.#soon);
    this.#folder.close();
    if (this.#looking !== null) clearInterval(this.#looking);
    if (this.#quiet !== null) clearTimeout(this.#quiet);
  }

  /** Reads the file if it is another one or was written; called by the timer, and by tests. */
  async look(): Promise<void> {
    // Of a file system that does not answer each look holds one of Node's few threads.
    if (this.#isLooking) return;
    this.#isLooking = true;
    await this.#folder.look();
    const { file, state = stateOf } = this.#options;
    const isOther = (await state(file)) !== this.#readState;
    this.#isLooking = false;
    if (isOther) await this.#readAgain();
  }

  #readSoon(): void {
    if (this.#quiet !== null) clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => void this.#readNow(), QUIET_MS);
    this.#quiet.unref();
  }

  /** The event may be that the folder was moved away. */
  async #readNow(): Promise<void> {
    await this.look();
    await this.#readAgain();
  }

  async #readAgain(): Promise<void> {
    this.#isReadWanted = true;
    if (this.#isReading) return;
    this.#isReading = true;
    while (this.#isReadWanted && !this.#isStopped) {
      this.#isReadWanted = false;
      const taken = await this.#read();
      if (!taken.ok) this.#options.log.warn(`${taken.error}; the table stays as it is`);
    }
    this.#isReading = false;
  }

  async #read(): Promise<Result<null, string>> {
    const { file, workload, onTable, log, read = readBounded } = this.#options;
    // Before: a change in between is seen once more, not never.
    this.#readState = await stateOf(file);
    const text = await read(file);
    if (!text.ok) return err(`the table ${file} cannot be read: ${text.error.why}`);
    const digest = hash("sha256", text.value);
    if (digest === this.#digest || this.#isStopped) return ok(null);
    const document = parseJson(text.value);
    if (!document.ok) return err(`${file} ${document.error}`);
    // Text and numbers may be a secret, too, so parseTable, which shows them, does not see them.
    if (typeof document.value !== "object") return err(`${file} holds no table: it is no object`);
    const table = parseTable(document.value, workload);
    if (!table.ok) return err(`${file}: ${table.error}`);
    if (this.#digest !== "") log.info(`${file} was read again`);
    this.#digest = digest;
    onTable(table.value);
    return ok(null);
  }
}
