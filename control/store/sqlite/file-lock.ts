import { closeSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "../store.ts";

/**
 * Keeps a second control away from a store, for as long as this process lives.
 *
 * The lock is an exclusive transaction on an empty database beside the store: the operating system
 * drops it with the process, after `kill -9` too, so no stale lock is ever left to remove by hand.
 * The store's own file stays free to be read, for backups.
 */
export class FileLock {
  readonly #database: DatabaseSync;

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Takes the lock of `file`; throws StoreOpenError where another process has it. */
  static acquire(file: string): FileLock {
    const database = openLockFile(file);
    try {
      database.exec("PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
      return new FileLock(database);
    } catch (error) {
      database.close();
      if (isBusy(error)) {
        throw new StoreOpenError(
          `${file} is in use by another control: stop that one, or give this one its own --data`,
          { cause: error },
        );
      }
      throw new StoreOpenError(
        `${file}.lock cannot be locked (${messageOf(error)}): remove it if no control runs on ${file}`,
        { cause: error },
      );
    }
  }

  release(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

function openLockFile(file: string): DatabaseSync {
  try {
    // Made here so that only its owner may read or write it; SQLite keeps the mode.
    closeSync(openSync(`${file}.lock`, "a", 0o600));
    return new DatabaseSync(`${file}.lock`, { timeout: 0 });
  } catch (error) {
    throw new StoreOpenError(
      `${file} cannot be opened (${messageOf(error)}): --data needs a file in a folder that control may write to`,
      { cause: error },
    );
  }
}

/** SQLITE_BUSY and SQLITE_LOCKED, extended codes included. */
function isBusy(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === "number" && [5, 6].includes(code & 0xff);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
