/**
 * Writes one resource: preconditions, validation, commit, and the dry run that stops before it.
 *
 * Before: routes/resource.ts. After: store/store.ts.
 * Invariant: a write sees the state that its preconditions were checked against, or is repeated.
 */
import type { IncomingHttpHeaders } from "node:http";
import { ControlError } from "../error.ts";
import { differences } from "../model/differences.ts";
import { etagOf, isSameSpec, type Kind, type Resource, type Specs } from "../model/resource.ts";
import type { DryRunDocument } from "../schema/dry-run.ts";
import type { Change, Commit, StoreConflict } from "../store/store.ts";
import type { ControlContext } from "./context.ts";
import { checkPreconditions } from "./etag.ts";

/** How often a write that another one overtook is tried again. */
const ATTEMPTS = 8;

/** A write as its route understood it. */
export interface Write<K extends Kind> {
  readonly kind: K;
  readonly name: string;
  readonly headers: IncomingHttpHeaders;
  /** Makes the new spec from the present state; null: it shall be gone. Throws ControlError. */
  readonly next: (current: Resource<K> | null) => Specs[K] | null;
}

/** What a write came to. */
export interface WriteOutcome<K extends Kind> {
  readonly before: Resource<K> | null;
  readonly after: Resource<K> | null;
}

/** Commits a write; repeats it when another one came between. */
export async function commitWrite<K extends Kind>(
  context: ControlContext,
  write: Write<K>,
): Promise<WriteOutcome<K>> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await context.store.get(write.kind, write.name);
    checkPreconditions(write.headers, before === null ? null : etagOf(before));
    const spec = write.next(before);
    if (before === null && spec === null) return { before, after: null };
    const committed = await commit(context, [changeTo(context, write, before, spec)]);
    if (!("code" in committed)) {
      return { before, after: (committed.steps[0]?.after ?? null) as Resource<K> | null };
    }
    throwUnlessChanged(committed);
  }
  throw new ControlError("changed-meanwhile", `${write.kind} ${write.name} kept changing`);
}

function changeTo<K extends Kind>(
  context: ControlContext,
  write: Write<K>,
  before: Resource<K> | null,
  spec: Specs[K] | null,
): Change {
  const { kind, name } = write;
  const expect = before === null ? null : etagOf(before);
  if (spec === null) {
    return { op: "remove", kind, name, expect: expect ?? "", tombstoneUntilMs: null };
  }
  return { op: "put", kind, name, spec, expect, nowMs: context.clock.epochMs() } as Change;
}

async function commit(
  context: ControlContext,
  changes: readonly Change[],
): Promise<Commit | StoreConflict> {
  try {
    const result = await context.store.commit(changes);
    return result.ok ? result.value : result.error;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ControlError("store-failed", `the write was not kept: ${why}`, { cause: error });
  }
}

function throwUnlessChanged(conflict: StoreConflict): void {
  switch (conflict.code) {
    case "changed":
      return;
    case "key-taken":
      throw keyTaken(conflict.key, `${conflict.by.kind} ${conflict.by.name}`);
    case "full":
      throw new ControlError(
        "limit-reached",
        `there are ${conflict.limit} of kind ${conflict.kind}, as many as are allowed`,
      );
  }
}

function keyTaken(key: string, owner: string): ControlError {
  return new ControlError("key-taken", `routing key ${key} belongs to ${owner}`);
}

/** Says what a write would change; checks what the commit would check. */
export async function dryRun<K extends Kind>(
  context: ControlContext,
  write: Write<K>,
  toDocument: (resource: Pick<Resource<K>, "name" | "spec">) => Record<string, unknown>,
): Promise<DryRunDocument> {
  const before = await context.store.get(write.kind, write.name);
  checkPreconditions(write.headers, before === null ? null : etagOf(before));
  const spec = write.next(before);
  const after = spec === null ? null : imagined(write, before, spec);
  if (after !== null) checkKeyIsFree(context, after);
  const changes = context.live.tables.preview(before, after);
  const documents = [before, after].map((each) => (each === null ? undefined : toDocument(each)));
  return {
    dryRun: true,
    action: actionOf(before, after),
    resource: documents[1] ?? null,
    changes: differences(documents[0] ?? {}, documents[1] ?? {}),
    tables: {
      workloads: [...changes.workloads],
      keysAdded: [...changes.keys.added],
      keysRemoved: [...changes.keys.removed],
    },
    routeGroups: write.kind === "sandbox" ? [...changes.groups] : [],
    collisions: changes.collisions.map((each) => ({ ...each, loses: [...each.loses] })),
  };
}

/** The resource as the store would make it. */
function imagined<K extends Kind>(
  write: Write<K>,
  before: Resource<K> | null,
  spec: Specs[K],
): Resource<K> {
  const template = before ?? { uid: "", generation: 0, version: 0, createdMs: 0, updatedMs: 0 };
  return { ...template, kind: write.kind, name: write.name, spec };
}

function checkKeyIsFree(context: ControlContext, after: Resource): void {
  const owner = context.live.tables.ownerOf(after.spec.routingKey);
  if (owner === null || owner === `${after.kind}/${after.name}`) return;
  throw keyTaken(after.spec.routingKey, owner.replace("/", " "));
}

function actionOf(before: Resource | null, after: Resource | null): DryRunDocument["action"] {
  if (after === null) return before === null ? "none" : "delete";
  if (before === null) return "create";
  return isSameSpec(before.spec, after.spec) ? "none" : "replace";
}
