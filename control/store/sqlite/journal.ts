/**
 * The file of a SQLite store: what is read at the start, and every commit.
 *
 * Before: store.ts. Invariant: `write` returns only when the commit survives a loss of power
 * (write-ahead log, synchronous=FULL).
 */
import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Kind, Resource } from "../../model/resource.ts";
import { randomId } from "../resource-set.ts";
import { type Commit, type StoreContents, StoreOpenError, type Tombstone } from "../store.ts";

/** Says in the file's header whose it is: "FLne". */
const APPLICATION_ID = 0x464c6e65;

/** Version of the tables below. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE resources (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    routing_key TEXT NOT NULL UNIQUE,
    uid TEXT NOT NULL,
    generation INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    spec TEXT NOT NULL,
    PRIMARY KEY (kind, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE tombstones (
    routing_key TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;

interface ResourceRow {
  readonly kind: Kind;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly version: number;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly spec: string;
}

export class Journal {
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  readonly epoch: string;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.#statements = prepare(database);
    this.epoch = this.#meta("epoch");
  }

  /** Opens or creates the file; throws StoreOpenError naming it. The caller holds its lock. */
  static open(file: string, wantsNewEpoch: boolean): Journal {
    let database: DatabaseSync | null = null;
    try {
      // Made here so that only its owner may read or write it; SQLite keeps the mode.
      closeSync(openSync(file, "a", 0o600));
      database = new DatabaseSync(file);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
      checkOrCreate(database);
      if (wantsNewEpoch) setEpoch(database);
      return new Journal(database);
    } catch (error) {
      database?.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new StoreOpenError(
        `${file} cannot be used as a store (${why}): restore a backup, or name another file with --data`,
        { cause: error },
      );
    }
  }

  read(): StoreContents {
    const rows = this.#database
      .prepare("SELECT * FROM resources")
      .all() as unknown as ResourceRow[];
    const tombstones = this.#database
      .prepare("SELECT routing_key AS key, until_ms AS untilMs FROM tombstones ORDER BY until_ms")
      .all() as unknown as Tombstone[];
    return { version: Number(this.#meta("version")), resources: rows.map(resourceOf), tombstones };
  }

  /** Writes a commit, whole or not at all; throws what SQLite says, such as a full disk. */
  write(commit: Commit): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      this.#writeSteps(commit);
      for (const key of commit.forgotten) this.#statements.forget.run(key);
      for (const { key, untilMs } of commit.buried) this.#statements.bury.run(key, untilMs);
      this.#statements.setMeta.run(String(commit.version), "version");
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** Old rows go first: a key may move from one resource to another in one commit. */
  #writeSteps(commit: Commit): void {
    for (const { before } of commit.steps) {
      if (before !== null) this.#statements.remove.run(before.kind, before.name);
    }
    for (const { after } of commit.steps) {
      if (after !== null) this.#statements.insert.run(...rowOf(after));
    }
  }

  #meta(name: string): string {
    const row = this.#statements.getMeta.get(name);
    if (typeof row?.["value"] !== "string") throw new Error(`it lacks its ${name}`);
    return row["value"];
  }
}

function checkOrCreate(database: DatabaseSync): void {
  const check = pragma(database, "quick_check(1)");
  if (check !== "ok") throw new Error(`corrupt: ${String(check)}`);
  const owner = pragma(database, "application_id");
  const schemaVersion = pragma(database, "user_version");
  if (owner === APPLICATION_ID && schemaVersion === SCHEMA_VERSION) return;
  if (owner === APPLICATION_ID) {
    throw new Error(`its format ${String(schemaVersion)} belongs to another release of forklane`);
  }
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get();
  if (tables?.["count"] !== 0) throw new Error("it is another program's database");
  create(database);
}

function create(database: DatabaseSync): void {
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA}`);
  const insert = database.prepare("INSERT INTO meta (name, value) VALUES (?, ?)");
  insert.run("epoch", randomId());
  insert.run("version", "0");
  database.exec(
    `PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`,
  );
}

function setEpoch(database: DatabaseSync): void {
  database.prepare("UPDATE meta SET value = ? WHERE name = 'epoch'").run(randomId());
}

function pragma(database: DatabaseSync, text: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${text}`).get() ?? {})[0];
}

interface Statements {
  readonly insert: StatementSync;
  readonly remove: StatementSync;
  readonly bury: StatementSync;
  readonly forget: StatementSync;
  readonly getMeta: StatementSync;
  readonly setMeta: StatementSync;
}

function prepare(database: DatabaseSync): Statements {
  return {
    insert: database.prepare(
      `INSERT INTO resources
        (kind, name, routing_key, uid, generation, version, created_ms, updated_ms, spec)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    remove: database.prepare("DELETE FROM resources WHERE kind = ? AND name = ?"),
    bury: database.prepare(
      "INSERT OR REPLACE INTO tombstones (routing_key, until_ms) VALUES (?, ?)",
    ),
    forget: database.prepare("DELETE FROM tombstones WHERE routing_key = ?"),
    getMeta: database.prepare("SELECT value FROM meta WHERE name = ?"),
    setMeta: database.prepare("UPDATE meta SET value = ? WHERE name = ?"),
  };
}

function rowOf(resource: Resource): (string | number)[] {
  return [
    resource.kind,
    resource.name,
    resource.spec.routingKey,
    resource.uid,
    resource.generation,
    resource.version,
    resource.createdMs,
    resource.updatedMs,
    JSON.stringify(resource.spec),
  ];
}

function resourceOf(row: ResourceRow): Resource {
  return {
    kind: row.kind,
    name: row.name,
    uid: row.uid,
    generation: row.generation,
    version: row.version,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    spec: JSON.parse(row.spec) as Resource["spec"],
  };
}
