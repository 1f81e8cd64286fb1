import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import type { Clock } from "../../core/clock.ts";
import { parseJson } from "../../core/json.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { SSE_EVENT_CHARS_MAX } from "../../core/sse.ts";
import type { TableDocument } from "../../core/watch-events.ts";

/**
 * Keeps the last table that control sent in a file, so that a restart without control still routes.
 *
 * Before: watch.ts. After: the state directory. Not on the request path.
 * The file has three lines: what it is (JSON), the table (JSON), and the SHA-256 of both lines.
 * Invariants: the file is whole or not there (temporary file, fsync, rename); what is read back is
 * used only if format, checksum, workload and age are right.
 */

/** Oldest table that may route tagged traffic, counted from when control last confirmed it. */
export const TABLE_AGE_MAX_MS = 24 * 60 * 60_000;

/** A file from this far ahead has a wrong clock behind it: its age cannot be known. */
const CLOCK_SKEW_MAX_MS = 5 * 60_000;

/** Least time between two writes, and most while nothing changes: the file's age has to be true. */
const WRITE_INTERVAL_MS = 1_000;
const CONFIRM_INTERVAL_MS = 10 * 60_000;

const FILE_NAME = "last-table.json";
const TEMPORARY_NAME = /^last-table\.json\.([0-9]+)\.tmp$/;

/** Longest file of a table: as long as one that control sends may be. */
export const TABLE_FILE_BYTES_MAX = SSE_EVENT_CHARS_MAX;

const FORMAT = "forklane-table";
const FORMAT_VERSION = 1;

/** A table as it was when control last confirmed it. */
export interface RememberedTable {
  readonly document: TableDocument;
  readonly confirmedAtMs: number;
}

/** Why a remembered table is not used. */
export interface NotRemembered {
  readonly code: "absent" | "unreadable" | "damaged" | "too-old" | "other-workload";
  readonly why: string;
}

/** Makes the document when it is written; null where there is no table any more. */
export type DocumentSource = () => TableDocument | null;

/** What remembering needs. */
export interface RememberOptions {
  readonly dir: string;
  readonly workload: string;
  readonly clock: Clock;
  onFault(why: string): void;
}

/** See above. */
export class TableMemory {
  readonly #options: RememberOptions;
  readonly #file: string;
  #pending: { document: DocumentSource; confirmedAtMs: number } | null = null;
  #writing: Promise<void> | null = null;
  #writtenAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: RememberOptions) {
    this.#options = options;
    this.#file = path.join(options.dir, FILE_NAME);
  }

  /** Reads the table back; says why where there is none to use. */
  async recall(): Promise<Result<RememberedTable, NotRemembered>> {
    await removeLeftovers(this.#options.dir);
    const text = await readBounded(this.#file);
    if (!text.ok) return text;
    const { workload, clock } = this.#options;
    return parseRemembered(text.value, workload, clock.epochMs());
  }

  /** Notes that this is the table; it is written soon. */
  changed(document: DocumentSource): void {
    this.#pending = { document, confirmedAtMs: this.#options.clock.epochMs() };
  }

  /** Notes that control confirmed the table; written from time to time, so that its age is true. */
  confirmed(document: DocumentSource): void {
    if (this.#options.clock.nowMs() - this.#writtenAtMs < CONFIRM_INTERVAL_MS) {
      if (this.#pending !== null) this.#pending.confirmedAtMs = this.#options.clock.epochMs();
      return;
    }
    this.changed(document);
  }

  /** Starts a write if one is due; to be called some times a second. */
  tick(): void {
    if (this.#pending === null || this.#writing !== null) return;
    if (this.#options.clock.nowMs() - this.#writtenAtMs < WRITE_INTERVAL_MS) return;
    void this.flush();
  }

  /** Writes what is not written yet. */
  async flush(): Promise<void> {
    await this.#writing;
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const document = pending.document();
    if (document === null) return;
    this.#writtenAtMs = this.#options.clock.nowMs();
    this.#writing = this.#write(document, pending.confirmedAtMs);
    await this.#writing;
    this.#writing = null;
  }

  async #write(document: TableDocument, confirmedAtMs: number): Promise<void> {
    const text = encodeRemembered(document, this.#options.workload, confirmedAtMs);
    const bytes = Buffer.byteLength(text);
    if (bytes > TABLE_FILE_BYTES_MAX) {
      this.#options.onFault(
        `${this.#file} would have ${bytes} bytes, more than ${TABLE_FILE_BYTES_MAX}: it needs fewer routes`,
      );
      return;
    }
    try {
      await writeWhole(this.#file, text);
    } catch (error) {
      this.#options.onFault(`cannot write ${this.#file}: ${messageOf(error)}`);
    }
  }
}

/** How long a start waits for the file system of the state directory, in milliseconds. */
const STATE_DIR_MS = 5_000;

/** Makes sure that the directory is there and can be written; the error says what is wrong. */
export async function checkStateDir(
  dir: string,
  withinMs = STATE_DIR_MS,
): Promise<Result<null, string>> {
  const late = Promise.withResolvers<Result<null, string>>();
  const why = `the state directory ${dir} cannot be used: no answer within ${withinMs} ms`;
  const timer = setTimeout(() => late.resolve(err(why)), withinMs);
  const checked = await Promise.race([probeStateDir(dir), late.promise]);
  clearTimeout(timer);
  return checked;
}

async function probeStateDir(dir: string): Promise<Result<null, string>> {
  const probe = path.join(dir, `.writable.${process.pid}.tmp`);
  try {
    await makeFolder(dir);
    await (await open(probe, "w", 0o600)).close();
    await rm(probe, { force: true });
    return ok(null);
  } catch (error) {
    return err(`the state directory ${dir} cannot be written: ${messageOf(error)}`);
  }
}

/**
 * Makes the folder, and those above it that are missing. Not as Node does it, which tries for ever
 * where a folder that is there says of every new one "no such file" (`/proc`).
 */
async function makeFolder(dir: string, isParentMade = false): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const parent = path.dirname(dir);
    if (code !== "ENOENT" || isParentMade || parent === dir) throw error;
    await makeFolder(parent);
    await makeFolder(dir, true);
  }
}

/** Writes what parseRemembered reads. */
export function encodeRemembered(
  document: TableDocument,
  workload: string,
  confirmedAtMs: number,
): string {
  const head = { format: FORMAT, version: FORMAT_VERSION, workload, confirmedAtMs };
  const lines = `${JSON.stringify(head)}\n${JSON.stringify(document)}\n`;
  return `${lines}${sha256(lines)}\n`;
}

/** Reads a remembered table, and refuses one that is damaged, of another workload, or too old. */
export function parseRemembered(
  text: string,
  workload: string,
  epochMs: number,
): Result<RememberedTable, NotRemembered> {
  const [headLine, documentLine, sum, end, ...more] = text.split("\n");
  const lines = `${headLine}\n${documentLine}\n`;
  if (end !== "" || more.length > 0 || sum !== sha256(lines)) {
    return notUsed("damaged", "its checksum is wrong");
  }
  const head = parseObject(headLine);
  const document = parseObject(documentLine);
  if (head === null || document === null) return notUsed("damaged", "it is not JSON");
  if (head["format"] !== FORMAT || head["version"] !== FORMAT_VERSION) {
    return notUsed("damaged", `it is not of format ${FORMAT} ${FORMAT_VERSION}`);
  }
  if (head["workload"] !== workload) {
    return notUsed("other-workload", `it is the table of ${String(head["workload"])}`);
  }
  const confirmedAtMs = Number(head["confirmedAtMs"]);
  const ageMs = epochMs - confirmedAtMs;
  if (!(ageMs <= TABLE_AGE_MAX_MS)) return notUsed("too-old", "it is older than 24 hours");
  if (ageMs < -CLOCK_SKEW_MAX_MS) return notUsed("too-old", "it is from the future");
  return ok({ document: document as unknown as TableDocument, confirmedAtMs });
}

function parseObject(line: string | undefined): Record<string, unknown> | null {
  const parsed = parseJson(line ?? "");
  if (!parsed.ok) return null;
  const { value } = parsed;
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
}

function notUsed(code: NotRemembered["code"], why: string): Result<never, NotRemembered> {
  return err({ code, why });
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Reads a file that holds a table, and never more of it than a table may have. */
export async function readBounded(
  file: string,
  bytesMax = TABLE_FILE_BYTES_MAX,
): Promise<Result<string, NotRemembered>> {
  try {
    // Opened as others are, a pipe would keep us until somebody writes to it.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await readRegular(handle, bytesMax);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return notUsed("absent", "there is none");
    }
    return notUsed("unreadable", messageOf(error));
  }
}

async function readRegular(
  handle: FileHandle,
  bytesMax: number,
): Promise<Result<string, NotRemembered>> {
  const stats = await handle.stat();
  if (!stats.isFile()) {
    return notUsed("unreadable", "it is a folder, a pipe or a device; give a regular file");
  }
  const bytes = await readAtMost(handle, stats.size, bytesMax + 1);
  if (bytes.length <= bytesMax) return ok(bytes.toString("utf8"));
  return notUsed("damaged", `it has more than ${bytesMax} bytes; it needs fewer routes`);
}

/** Least that is asked for at once: the end of a file shows by less. */
const READ_BYTES = 64 * 1024;

/** `size` is what the file says, which may be old by now, or never true, as under /proc. */
async function readAtMost(handle: FileHandle, size: number, bytesMax: number): Promise<Buffer> {
  let bytes = Buffer.allocUnsafe(Math.min(Math.max(size + 1, READ_BYTES), bytesMax));
  let length = 0;
  for (;;) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
    length += bytesRead;
    if (bytesRead === 0 || length === bytesMax) return bytes.subarray(0, length);
    if (length < bytes.length) continue;
    const longer = Buffer.allocUnsafe(Math.min(2 * length, bytesMax));
    bytes.copy(longer);
    bytes = longer;
  }
}

/** Removes temporary files of writes that a crash ended; another process may be at one of its own. */
async function removeLeftovers(dir: string): Promise<void> {
  const names = await readdir(dir).catch(() => []);
  const leftovers = names.filter((name) => {
    const pid = TEMPORARY_NAME.exec(name)?.[1];
    return pid !== undefined && !isOther(Number(pid));
  });
  await Promise.all(leftovers.map((name) => rm(path.join(dir, name), { force: true })));
}

/** Whether another process of this number runs. In a container a crashed one had ours. */
function isOther(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function writeWhole(file: string, text: string): Promise<void> {
  const temporary = `${file}.${process.pid}.tmp`;
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(path.dirname(file));
}

/** Makes the rename itself last; some file systems cannot, and then it is as good as it gets. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r").catch(() => null);
  if (handle === null) return;
  await handle.sync().catch(() => {});
  await handle.close();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
