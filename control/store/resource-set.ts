/**
 * The resources of one store in memory, and the rules that every commit has to keep.
 *
 * A commit is planned first, which changes nothing, and applied once the plan is kept.
 */
import { randomBytes } from "node:crypto";
import { err, ok, type Result } from "../../core/result.ts";
import type { ControlLimits } from "../model/limits.ts";
import { etagOf, isSameSpec, type Kind, type Resource, type Specs } from "../model/resource.ts";
import type {
  Change,
  Commit,
  ListQuery,
  Step,
  StoreConflict,
  StoreContents,
  Tombstone,
} from "./store.ts";

type Put = Extract<Change, { op: "put" }>;
type Remove = Extract<Change, { op: "remove" }>;
interface Owner {
  readonly kind: Kind;
  readonly name: string;
}

export class ResourceSet {
  readonly #limits: ControlLimits;
  readonly #byKind = {
    sandbox: new Map<string, Resource>(),
    "route-group": new Map<string, Resource>(),
  } satisfies Record<Kind, Map<string, Resource>>;
  readonly #owners = new Map<string, Owner>();
  readonly #tombstones = new Map<string, Tombstone>();
  readonly #sortedNames: Record<Kind, string[] | null> = { sandbox: null, "route-group": null };
  #version: number;

  constructor(contents: StoreContents, limits: ControlLimits) {
    this.#limits = limits;
    this.#version = contents.version;
    for (const resource of contents.resources) this.#insert(resource);
    for (const tombstone of contents.tombstones) this.#tombstones.set(tombstone.key, tombstone);
  }

  contents(): StoreContents {
    return {
      version: this.#version,
      resources: [...this.#byKind.sandbox.values(), ...this.#byKind["route-group"].values()],
      tombstones: [...this.#tombstones.values()],
    };
  }

  get<K extends Kind>(kind: K, name: string): Resource<K> | null {
    return (this.#byKind[kind].get(name) as Resource<K> | undefined) ?? null;
  }

  list<K extends Kind>(kind: K, query: ListQuery<K>): Resource<K>[] {
    const names = this.#namesOf(kind);
    const found: Resource<K>[] = [];
    for (let i = firstAfter(names, query.after); i < names.length; i++) {
      const resource = this.get(kind, names[i] ?? "");
      if (resource === null || query.matches?.(resource) === false) continue;
      found.push(resource);
      if (found.length >= query.limit) break;
    }
    return found;
  }

  /** Says what the changes come to, in their order, or the first reason against them. */
  plan(changes: readonly Change[]): Result<Commit, StoreConflict> {
    const plan = new Plan(this.#version + 1);
    for (const change of changes) {
      const conflict = this.#planOne(change, plan);
      if (conflict !== null) return err(conflict);
    }
    return ok(plan.commit(this.#version));
  }

  /** Takes a plan over; must be the one made last. */
  apply(commit: Commit): void {
    this.#version = commit.version;
    for (const step of commit.steps) {
      if (step.before !== null) this.#delete(step.before, step.after !== null);
      if (step.after !== null) this.#insert(step.after);
    }
    for (const key of commit.forgotten) this.#tombstones.delete(key);
    for (const tombstone of commit.buried) this.#tombstones.set(tombstone.key, tombstone);
  }

  #planOne(change: Change, plan: Plan): StoreConflict | null {
    switch (change.op) {
      case "put":
        return this.#planPut(change, plan);
      case "remove":
        return this.#planRemove(change, plan);
      case "forget":
        if (this.#tombstones.has(change.key)) plan.forgotten.push(change.key);
        return null;
    }
  }

  #planPut(change: Put, plan: Plan): StoreConflict | null {
    const before = this.get(change.kind, change.name);
    if ((before === null ? null : etagOf(before)) !== change.expect) return { code: "changed" };
    if (before !== null && isSameSpec(before.spec, change.spec)) {
      plan.steps.push({ before, after: { ...before, updatedMs: change.nowMs } });
      return null;
    }
    const limit = this.#limits[change.kind === "sandbox" ? "sandboxesMax" : "routeGroupsMax"];
    if (before === null && this.#byKind[change.kind].size >= limit) {
      return { code: "full", kind: change.kind, limit };
    }
    const key = change.spec.routingKey;
    const owner = plan.ownerOf(key, this.#owners.get(key));
    if (owner !== undefined && !(owner.kind === change.kind && owner.name === change.name)) {
      return { code: "key-taken", key, by: owner };
    }
    if (before !== null) plan.owners.set(before.spec.routingKey, null);
    plan.owners.set(key, { kind: change.kind, name: change.name });
    if (this.#tombstones.has(key)) plan.forgotten.push(key);
    plan.steps.push({ before, after: written(change, before, plan.version) });
    plan.isNewVersion = true;
    return null;
  }

  #planRemove(change: Remove, plan: Plan): StoreConflict | null {
    const before = this.get(change.kind, change.name);
    if (before === null || etagOf(before) !== change.expect) return { code: "changed" };
    plan.owners.set(before.spec.routingKey, null);
    plan.steps.push({ before, after: null });
    plan.isNewVersion = true;
    if (change.tombstoneUntilMs !== null) this.#planBurial(before, change.tombstoneUntilMs, plan);
    return null;
  }

  #planBurial(ended: Resource, untilMs: number, plan: Plan): void {
    plan.buried.push({ key: ended.spec.routingKey, untilMs });
    const count = this.#tombstones.size + plan.buried.length - plan.forgotten.length;
    if (count <= this.#limits.tombstonesMax) return;
    for (const key of this.#tombstones.keys()) {
      if (plan.forgotten.includes(key)) continue;
      plan.forgotten.push(key);
      return;
    }
  }

  #insert(resource: Resource): void {
    const map = this.#byKind[resource.kind];
    if (!map.has(resource.name)) this.#sortedNames[resource.kind] = null;
    map.set(resource.name, resource);
    this.#owners.set(resource.spec.routingKey, resource);
  }

  #delete(resource: Resource, isReplaced: boolean): void {
    const key = resource.spec.routingKey;
    const owner = this.#owners.get(key);
    if (owner?.kind === resource.kind && owner.name === resource.name) this.#owners.delete(key);
    if (isReplaced) return;
    this.#byKind[resource.kind].delete(resource.name);
    this.#sortedNames[resource.kind] = null;
  }

  #namesOf(kind: Kind): string[] {
    const sorted = this.#sortedNames[kind] ?? [...this.#byKind[kind].keys()].sort();
    this.#sortedNames[kind] = sorted;
    return sorted;
  }
}

/** What the changes of one commit came to so far. */
class Plan {
  readonly version: number;
  readonly steps: Step[] = [];
  readonly buried: Tombstone[] = [];
  readonly forgotten: string[] = [];
  /** Owners that differ from those of the set; null: the key is free now. */
  readonly owners = new Map<string, Owner | null>();
  isNewVersion = false;

  constructor(version: number) {
    this.version = version;
  }

  ownerOf(key: string, current: Owner | undefined): Owner | undefined {
    const planned = this.owners.get(key);
    return planned === undefined ? current : (planned ?? undefined);
  }

  commit(versionBefore: number): Commit {
    const isNewVersion = this.isNewVersion || this.forgotten.length > 0;
    return {
      version: isNewVersion ? this.version : versionBefore,
      steps: this.steps,
      buried: this.buried,
      forgotten: this.forgotten,
    };
  }
}

function written(change: Put, before: Resource | null, version: number): Resource {
  return {
    kind: change.kind,
    name: change.name,
    uid: before?.uid ?? randomId(),
    generation: (before?.generation ?? 0) + 1,
    version,
    createdMs: before?.createdMs ?? change.nowMs,
    updatedMs: change.nowMs,
    spec: change.spec satisfies Specs[Kind],
  };
}

/** Makes 16 random hex characters: the uid of a resource, the epoch of a store. */
export function randomId(): string {
  return randomBytes(8).toString("hex");
}

/** Finds the first of sorted names that comes after one, by halving. */
function firstAfter(names: readonly string[], after: string | null): number {
  if (after === null) return 0;
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((names[middle] ?? "") <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
