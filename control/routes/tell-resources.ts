import type { Commit } from "../store/store.ts";
import type { ControlContext } from "./context.ts";
import { documentOf } from "./documents.ts";

/** Tells readers of `/v1/events` what a commit did to each resource. */
export function tellResources(context: ControlContext, commit: Commit): void {
  if (!context.feed.hasReaders("resources")) return;
  const buried = new Set(commit.buried.map(({ key }) => key));
  for (const { before, after } of commit.steps) {
    const resource = after ?? before;
    if (resource === null || (after !== null && before?.generation === after.generation)) continue;
    const { kind, name } = resource;
    const type = typeOf(before !== null, after !== null, buried.has(resource.spec.routingKey));
    const document = after === null ? null : documentOf(context, after);
    context.feed.tell("resources", kind, { type, kind, name, resource: document });
  }
}

function typeOf(wasThere: boolean, isThere: boolean, isBuried: boolean): string {
  if (!wasThere) return "created";
  if (isThere) return "updated";
  return isBuried ? "expired" : "deleted";
}
