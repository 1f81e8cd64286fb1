import type { RouteGroupSpec } from "./route-group.ts";
import type { SandboxSpec } from "./sandbox.ts";

/** What control keeps: each kind and its spec. */
export interface Specs {
  readonly sandbox: SandboxSpec;
  readonly "route-group": RouteGroupSpec;
}

/** A kind of resource. */
export type Kind = keyof Specs;

/** A resource as the store holds it; replaced, never changed. */
export interface Resource<K extends Kind = Kind> {
  readonly kind: K;
  readonly name: string;
  /** Random, new with each creation: one that was deleted and made again is another. */
  readonly uid: string;
  /** How often its spec was written; 1 when created. */
  readonly generation: number;
  /** Version of the store that its spec came with. */
  readonly version: number;
  readonly createdMs: number;
  /** Last write, one that changed nothing included. In milliseconds since the Unix epoch. */
  readonly updatedMs: number;
  readonly spec: Specs[K];
}

/** Tells whether a resource is of this kind, to the compiler too. */
export function isKind<K extends Kind>(
  resource: Resource | null | undefined,
  kind: K,
): resource is Resource<K> {
  return resource?.kind === kind;
}

/** Names one state of a spec: the strong entity tag without its quotes (RFC 9110 section 8.8.3). */
export function etagOf(resource: Resource): string {
  return `${resource.uid}.${resource.generation}`;
}

/** Tells whether two specs say the same; both must come from model/validate.ts. */
export function isSameSpec(a: Specs[Kind], b: Specs[Kind]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
