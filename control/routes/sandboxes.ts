import { validateSandbox } from "../model/validate.ts";
import { SandboxBodySchema, SandboxSchema } from "../schema/sandbox.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { sandboxDocument, sandboxSpecDocument } from "./documents.ts";
import { addResourceRoutes } from "./resource.ts";

/**
 * `/v1/sandboxes`: a named set of forks with one routing key.
 *
 * Before: server.ts. After: routes/resource.ts, which has the verbs.
 */
export function addSandboxRoutes(app: ControlApp, context: ControlContext): void {
  addResourceRoutes(app, context, {
    kind: "sandbox",
    path: "/v1/sandboxes",
    noun: "sandbox",
    unknown: "sandbox-unknown",
    body: SandboxBodySchema,
    document: SandboxSchema,
    validate: (name, body, routingKey) => validateSandbox(name, body, routingKey, context.rules),
    toDocument: (sandbox) => sandboxDocument(context, sandbox),
    toSpecDocument: sandboxSpecDocument,
  });
}
