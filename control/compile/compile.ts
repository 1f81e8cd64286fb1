/**
 * Turns intent into routes: what one routing key leads to at each workload.
 *
 * Before: store/store.ts. After: compile/tables.ts.
 * Invariant: a key leads only to forks of its sandbox, or of the members of its route group; a
 * route names the sandbox that its fork belongs to, which the fork's own proxy compares.
 */
import type { RouteDocument } from "../../core/watch-events.ts";
import type { LabelSelector } from "../model/label-selector.ts";
import type { ControlLimits } from "../model/limits.ts";
import type { Resource } from "../model/resource.ts";
import type { RouteGroupSpec } from "../model/route-group.ts";

/** Two members of a route group that fork the same workload. */
export interface Collision {
  readonly workload: string;
  readonly wins: string;
  readonly loses: readonly string[];
}

/** What one routing key leads to. */
export interface CompiledKey {
  readonly key: string;
  readonly routes: ReadonlyMap<string, RouteDocument>;
  readonly collisions: readonly Collision[];
  /** Members that are there, in the order in which they win; the sandbox itself for its own key. */
  readonly members: readonly string[];
  /** Members that are named and do not exist. */
  readonly missing: readonly string[];
  /** More members than are allowed are selected; the first ones by name are taken. */
  readonly hasTooManyMembers: boolean;
}

/** Compiles the key of a sandbox. */
export function compileSandbox(sandbox: Resource<"sandbox">): CompiledKey {
  const routes = new Map<string, RouteDocument>();
  for (const fork of sandbox.spec.forks) {
    routes.set(fork.workload, routeTo(sandbox, fork.endpoints));
  }
  return {
    key: sandbox.spec.routingKey,
    routes,
    collisions: [],
    members: [sandbox.name],
    missing: [],
    hasTooManyMembers: false,
  };
}

/** Compiles the key of a route group: for each workload the first member that forks it wins. */
export function compileRouteGroup(
  group: Resource<"route-group">,
  selector: LabelSelector | null,
  sandboxes: ReadonlyMap<string, Resource<"sandbox">>,
  limits: ControlLimits,
): CompiledKey {
  const found = findMembers(group.spec, selector, sandboxes, limits);
  const routes = new Map<string, RouteDocument>();
  const losers = new Map<string, string[]>();
  for (const sandbox of found.members) {
    for (const fork of sandbox.spec.forks) {
      if (!routes.has(fork.workload)) routes.set(fork.workload, routeTo(sandbox, fork.endpoints));
      else losers.set(fork.workload, [...(losers.get(fork.workload) ?? []), sandbox.name]);
    }
  }
  const collisions = [...losers].map(([workload, loses]) => ({
    workload,
    wins: routes.get(workload)?.sandbox ?? "",
    loses,
  }));
  return {
    key: group.spec.routingKey,
    routes,
    collisions,
    members: found.members.map((sandbox) => sandbox.name),
    missing: found.missing,
    hasTooManyMembers: found.hasTooManyMembers,
  };
}

function routeTo(sandbox: Resource<"sandbox">, endpoints: readonly string[]): RouteDocument {
  return { sandbox: sandbox.name, endpoints, onUnavailable: sandbox.spec.onUnavailable };
}

interface FoundMembers {
  readonly members: readonly Resource<"sandbox">[];
  readonly missing: readonly string[];
  readonly hasTooManyMembers: boolean;
}

function findMembers(
  spec: RouteGroupSpec,
  selector: LabelSelector | null,
  sandboxes: ReadonlyMap<string, Resource<"sandbox">>,
  limits: ControlLimits,
): FoundMembers {
  const members: Resource<"sandbox">[] = [];
  const missing: string[] = [];
  for (const name of spec.sandboxes) {
    const sandbox = sandboxes.get(name);
    if (sandbox === undefined) missing.push(name);
    else members.push(sandbox);
  }
  const selected = selector === null ? [] : selectMembers(spec, selector, sandboxes);
  const all = [...members, ...selected];
  return {
    members: all.slice(0, limits.membersMax),
    missing,
    hasTooManyMembers: all.length > limits.membersMax,
  };
}

function selectMembers(
  spec: RouteGroupSpec,
  selector: LabelSelector,
  sandboxes: ReadonlyMap<string, Resource<"sandbox">>,
): Resource<"sandbox">[] {
  const byName = new Set(spec.sandboxes);
  return [...sandboxes.values()]
    .filter((sandbox) => !byName.has(sandbox.name) && selector(sandbox.spec.labels))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
