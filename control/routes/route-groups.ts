import { validateRouteGroup } from "../model/validate.ts";
import { RouteGroupBodySchema, RouteGroupSchema } from "../schema/route-group.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { routeGroupDocument, routeGroupSpecDocument } from "./documents.ts";
import { addResourceRoutes } from "./resource.ts";

/**
 * `/v1/route-groups`: several sandboxes under one routing key.
 *
 * Before: server.ts. After: routes/resource.ts, which has the verbs.
 */
export function addRouteGroupRoutes(app: ControlApp, context: ControlContext): void {
  addResourceRoutes(app, context, {
    kind: "route-group",
    path: "/v1/route-groups",
    noun: "route group",
    unknown: "route-group-unknown",
    body: RouteGroupBodySchema,
    document: RouteGroupSchema,
    validate: validateRouteGroup,
    toDocument: (group) => routeGroupDocument(context, group),
    toSpecDocument: routeGroupSpecDocument,
  });
}
