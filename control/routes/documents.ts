import { isKind, type Resource } from "../model/resource.ts";
import type { RouteGroupDocument } from "../schema/route-group.ts";
import type { SandboxDocument } from "../schema/sandbox.ts";
import type { ControlContext } from "./context.ts";
import { statusOf } from "./resource-status.ts";

/** Writes a sandbox as the API answers it. */
export function sandboxDocument(
  context: ControlContext,
  sandbox: Resource<"sandbox">,
): SandboxDocument {
  return { ...sandboxSpecDocument(sandbox), status: statusOf(context, sandbox) };
}

/** The part of it that a client may write. */
export function sandboxSpecDocument(
  sandbox: Pick<Resource<"sandbox">, "name" | "spec">,
): Omit<SandboxDocument, "status"> {
  const { forks, routingKey, labels, onUnavailable, ttl } = sandbox.spec;
  return {
    name: sandbox.name,
    forks: forks.map((fork) => ({ workload: fork.workload, endpoints: [...fork.endpoints] })),
    routingKey,
    labels: { ...labels },
    onUnavailable,
    ttl: { ...ttl },
  };
}

/** Writes a route group as the API answers it. */
export function routeGroupDocument(
  context: ControlContext,
  group: Resource<"route-group">,
): RouteGroupDocument {
  const compiled = context.live.tables.compiledOf("route-group", group.name);
  return {
    ...routeGroupSpecDocument(group),
    status: {
      ...statusOf(context, group),
      members: [...(compiled?.members ?? [])],
      missing: [...(compiled?.missing ?? [])],
      collisions: (compiled?.collisions ?? []).map((each) => ({ ...each, loses: [...each.loses] })),
    },
  };
}

/** The part of it that a client may write. */
export function routeGroupSpecDocument(
  group: Pick<Resource<"route-group">, "name" | "spec">,
): Omit<RouteGroupDocument, "status"> {
  const { sandboxes, labelSelector, routingKey, labels, ttl } = group.spec;
  return {
    name: group.name,
    sandboxes: [...sandboxes],
    labelSelector,
    routingKey,
    labels: { ...labels },
    ttl: { ...ttl },
  };
}

/** Writes a resource of any kind. */
export function documentOf(
  context: ControlContext,
  resource: Resource,
): SandboxDocument | RouteGroupDocument | null {
  if (isKind(resource, "sandbox")) return sandboxDocument(context, resource);
  return isKind(resource, "route-group") ? routeGroupDocument(context, resource) : null;
}
