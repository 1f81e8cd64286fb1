/**
 * The compiled state of a whole store: one table per workload, and the keys.
 *
 * Before: watch/live-tables.ts tells it of commits. After: watch/history.ts keeps what changed.
 * Invariant: the same as compiling everything anew (property-tested), at the cost of what changed.
 */
import type { RouteDocument } from "../../core/watch-events.ts";
import { type LabelSelector, parseLabelSelector } from "../model/label-selector.ts";
import type { ControlLimits } from "../model/limits.ts";
import { isKind, type Kind, type Resource } from "../model/resource.ts";
import { type Collision, type CompiledKey, compileRouteGroup, compileSandbox } from "./compile.ts";

/** What happened to the store; store/store.ts has the same words. */
export interface ResourceChanges {
  readonly steps: readonly { readonly before: Resource | null; readonly after: Resource | null }[];
  /** Keys that are remembered as expired from now on. */
  readonly buried: readonly { readonly key: string }[];
  /** Keys that are so no longer. */
  readonly forgotten: readonly string[];
}

/** What that came to for the proxies. */
export interface TableChanges {
  /** Workloads whose table changed. */
  readonly workloads: ReadonlySet<string>;
  /** Keys whose routes changed, and at which workloads. */
  readonly routes: ReadonlyMap<string, ReadonlySet<string>>;
  readonly keys: KeyChanges;
}

/** Which keys came and went. */
export interface KeyChanges {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly expired: readonly string[];
}

/** What else a write would come to. */
export interface Preview {
  /** The route group itself, or those that the sandbox would be a member of. */
  readonly groups: readonly string[];
  readonly collisions: readonly Collision[];
}

interface CompiledGroup {
  readonly group: Resource<"route-group">;
  readonly selector: LabelSelector | null;
}

/** One route with its JSON text, so that a table of thousands is written by joining. */
interface TableRoute {
  readonly route: RouteDocument;
  readonly json: string;
}

export class Tables {
  readonly #limits: ControlLimits;
  readonly #sandboxes = new Map<string, Resource<"sandbox">>();
  readonly #groups = new Map<string, CompiledGroup>();
  /** By `kind/name` of what has the key. */
  readonly #compiled = new Map<string, CompiledKey>();
  /** Live keys and the `kind/name` of what has each. */
  readonly #keys = new Map<string, string>();
  readonly #expired = new Set<string>();
  readonly #workloads = new Map<string, Map<string, TableRoute>>();

  constructor(limits: ControlLimits) {
    this.#limits = limits;
  }

  /** Takes a commit over and says what it changed. */
  apply(changes: ResourceChanges): TableChanges {
    const owners = this.#takeResources(changes);
    const delta = new Delta();
    this.#recompile(owners, delta);
    for (const key of changes.forgotten) this.#unbury(key, delta);
    for (const { key } of changes.buried) this.#bury(key, delta);
    return delta.result(this.#keys, this.#expired);
  }

  /** What the key of a resource leads to; null if there is no such resource. */
  compiledOf(kind: Kind, name: string): CompiledKey | null {
    return this.#compiled.get(`${kind}/${name}`) ?? null;
  }

  routesOf(workload: string): ReadonlyMap<string, TableRoute> {
    return this.#workloads.get(workload) ?? NO_ROUTES;
  }

  /** JSON of `routes` of one workload: `{"jane-42":{...}}`. */
  routesJson(workload: string): string {
    const members: string[] = [];
    for (const [key, { json }] of this.routesOf(workload)) members.push(`"${key}":${json}`);
    return `{${members.join(",")}}`;
  }

  workloads(): Iterable<string> {
    return this.#workloads.keys();
  }

  /** Every live key. */
  keys(): Iterable<string> {
    return this.#keys.keys();
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  isKnown(key: string): boolean {
    return this.#keys.has(key);
  }

  isExpired(key: string): boolean {
    return this.#expired.has(key) && !this.#keys.has(key);
  }

  /** `kind/name` of what has the key; null if nothing has. */
  ownerOf(key: string): string | null {
    return this.#keys.get(key) ?? null;
  }

  /** Keys that are remembered as expired and do not live again. */
  expiredKeys(): string[] {
    return [...this.#expired].filter((key) => !this.#keys.has(key));
  }

  /** Says what would change if a resource became `after`, without a change; its key must be free or its own. */
  preview(before: Resource | null, after: Resource | null): TableChanges & Preview {
    const changes = this.apply({ steps: [{ before, after }], buried: [], forgotten: [] });
    const groups = after === null ? [] : this.#groupsAround(after);
    const collisions = groups.flatMap(
      (name) => this.compiledOf("route-group", name)?.collisions ?? [],
    );
    this.apply({ steps: [{ before: after, after: before }], buried: [], forgotten: [] });
    return { ...changes, groups, collisions };
  }

  /** A route group itself, or those that a sandbox is a member of. */
  #groupsAround(resource: Resource): readonly string[] {
    if (resource.kind === "route-group") return [resource.name];
    return [...this.#groups.keys()].filter(
      (name) => this.compiledOf("route-group", name)?.members.includes(resource.name) === true,
    );
  }

  /** Replaces the resources and names the owners of keys that have to be compiled anew. */
  #takeResources(changes: ResourceChanges): Map<string, () => CompiledKey | null> {
    const owners = new Map<string, () => CompiledKey | null>();
    for (const { before, after } of changes.steps) {
      const resource = after ?? before;
      if (resource === null) continue;
      if (isKind(resource, "sandbox")) {
        if (after === null) this.#sandboxes.delete(resource.name);
        else this.#sandboxes.set(resource.name, resource);
        this.#addGroupsAround(before, after, owners);
      } else if (isKind(resource, "route-group")) {
        if (after === null) this.#groups.delete(resource.name);
        else this.#groups.set(resource.name, { group: resource, selector: selectorOf(resource) });
      }
      owners.set(`${resource.kind}/${resource.name}`, () =>
        this.#compile(resource.kind, resource.name),
      );
    }
    return owners;
  }

  /** Route groups that had the sandbox, or have it now. */
  #addGroupsAround(
    before: Resource | null,
    after: Resource | null,
    owners: Map<string, () => CompiledKey | null>,
  ): void {
    const name = (after ?? before)?.name ?? "";
    for (const [groupName, { group, selector }] of this.#groups) {
      const isNamed = group.spec.sandboxes.includes(name);
      const isSelected =
        selector !== null &&
        [before, after].some((state) => state !== null && selector(state.spec.labels));
      if (!isNamed && !isSelected) continue;
      owners.set(`route-group/${groupName}`, () => this.#compile("route-group", groupName));
    }
  }

  #compile(kind: Kind, name: string): CompiledKey | null {
    if (kind === "sandbox") {
      const sandbox = this.#sandboxes.get(name);
      return sandbox === undefined ? null : compileSandbox(sandbox);
    }
    const entry = this.#groups.get(name);
    if (entry === undefined) return null;
    return compileRouteGroup(entry.group, entry.selector, this.#sandboxes, this.#limits);
  }

  /** All old routes go before new ones come: a key may pass from one owner to another. */
  #recompile(owners: ReadonlyMap<string, () => CompiledKey | null>, delta: Delta): void {
    for (const owner of owners.keys()) {
      const old = this.#compiled.get(owner);
      if (old !== undefined) this.#withdraw(owner, old, delta);
    }
    for (const [owner, compile] of owners) {
      const compiled = compile();
      if (compiled !== null) this.#publish(owner, compiled, delta);
    }
  }

  #withdraw(owner: string, old: CompiledKey, delta: Delta): void {
    this.#compiled.delete(owner);
    delta.noteKey(old.key, this.#stateOf(old.key));
    this.#keys.delete(old.key);
    for (const workload of old.routes.keys()) {
      const table = this.#workloads.get(workload);
      delta.noteRoute(old.key, workload, table?.get(old.key)?.json ?? null);
      table?.delete(old.key);
      if (table?.size === 0) this.#workloads.delete(workload);
      delta.setRoute(old.key, workload, null);
    }
  }

  #publish(owner: string, compiled: CompiledKey, delta: Delta): void {
    const { key } = compiled;
    this.#compiled.set(owner, compiled);
    delta.noteKey(key, this.#stateOf(key));
    this.#keys.set(key, owner);
    for (const [workload, route] of compiled.routes) {
      const json = JSON.stringify(route);
      const table = this.#workloads.get(workload) ?? new Map<string, TableRoute>();
      this.#workloads.set(workload, table);
      delta.noteRoute(key, workload, table.get(key)?.json ?? null);
      table.set(key, { route, json });
      delta.setRoute(key, workload, json);
    }
  }

  #bury(key: string, delta: Delta): void {
    delta.noteKey(key, this.#stateOf(key));
    this.#expired.add(key);
  }

  #unbury(key: string, delta: Delta): void {
    delta.noteKey(key, this.#stateOf(key));
    this.#expired.delete(key);
  }

  #stateOf(key: string): KeyState {
    return stateOf(key, this.#keys, this.#expired);
  }
}

const NO_ROUTES: ReadonlyMap<string, TableRoute> = new Map();

type KeyState = "known" | "expired" | "unknown";

interface KeySet {
  has(key: string): boolean;
}

/** A key that lives again is known, whatever is remembered of it. */
function stateOf(key: string, keys: KeySet, expired: KeySet): KeyState {
  if (keys.has(key)) return "known";
  return expired.has(key) ? "expired" : "unknown";
}

/** The state before a commit of whatever it touches, compared with the state after it. */
class Delta {
  readonly #keysBefore = new Map<string, KeyState>();
  readonly #routes = new Map<string, { before: string | null; after: string | null }>();

  noteKey(key: string, before: KeyState): void {
    if (!this.#keysBefore.has(key)) this.#keysBefore.set(key, before);
  }

  noteRoute(key: string, workload: string, before: string | null): void {
    const id = `${key} ${workload}`;
    if (!this.#routes.has(id)) this.#routes.set(id, { before, after: before });
  }

  setRoute(key: string, workload: string, after: string | null): void {
    const noted = this.#routes.get(`${key} ${workload}`);
    if (noted !== undefined) noted.after = after;
  }

  result(keys: KeySet, expired: KeySet): TableChanges {
    const workloads = new Set<string>();
    const routes = new Map<string, Set<string>>();
    for (const [id, { before, after }] of this.#routes) {
      if (before === after) continue;
      const [key = "", workload = ""] = id.split(" ");
      workloads.add(workload);
      const of = routes.get(key) ?? new Set<string>();
      routes.set(key, of.add(workload));
    }
    return { workloads, routes, keys: this.#keyChanges(keys, expired) };
  }

  #keyChanges(keys: KeySet, expired: KeySet): KeyChanges {
    const changes = { added: [] as string[], removed: [] as string[], expired: [] as string[] };
    for (const [key, before] of this.#keysBefore) {
      const after = stateOf(key, keys, expired);
      if (before === after) continue;
      if (after === "known") changes.added.push(key);
      else if (after === "expired") changes.expired.push(key);
      else changes.removed.push(key);
    }
    return changes;
  }
}

function selectorOf(group: Resource<"route-group">): LabelSelector | null {
  if (group.spec.labelSelector === null) return null;
  const parsed = parseLabelSelector(group.spec.labelSelector);
  // It was checked before it was stored; a store of another release may know more syntax.
  return parsed.ok ? parsed.value : () => false;
}
