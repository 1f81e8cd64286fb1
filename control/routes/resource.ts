/**
 * The verbs of a kind of resource: GET, list, PUT, PATCH, DELETE, each with its dry run and waits.
 *
 * Before: sandboxes.ts, route-groups.ts (what is special about the kind). After: routes/write.ts.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Static, type TSchema, Type } from "typebox";
import type { Result } from "../../core/result.ts";
import { ControlError, type ControlErrorCode } from "../error.ts";
import { mergePatch } from "../model/merge-patch.ts";
import { etagOf, type Kind, type Resource, type Specs } from "../model/resource.ts";
import { generateRoutingKey } from "../model/routing-key.ts";
import type { BodyError } from "../model/validate.ts";
import { dryRunSchema } from "../schema/dry-run.ts";
import type { Page } from "../schema/page.ts";
import { pageSchema } from "../schema/page.ts";
import {
  GetQuerySchema,
  ListQuerySchema,
  NameParamsSchema,
  WriteQuerySchema,
} from "../schema/query.ts";
import type { ControlApp, ControlContext } from "./context.ts";
import { readDuration } from "./duration.ts";
import { readCursor, readSelector, writeCursor } from "./paging.ts";
import { answers, NO_CONTENT } from "./responses.ts";
import { checkShape } from "./shape.ts";
import { commitWrite, dryRun, type Write } from "./write.ts";

/** What is special about a kind. */
export interface ResourceRoutes<K extends Kind, Body extends TSchema> {
  readonly kind: K;
  /** Such as `/v1/sandboxes`. */
  readonly path: string;
  /** For people: `sandbox`. */
  readonly noun: string;
  readonly unknown: ControlErrorCode;
  readonly body: Body;
  readonly document: TSchema;
  readonly validate: (
    name: string,
    body: Static<Body>,
    routingKey: string,
  ) => Result<Specs[K], BodyError[]>;
  readonly toDocument: (resource: Resource<K>) => object;
  readonly toSpecDocument: (
    resource: Pick<Resource<K>, "name" | "spec">,
  ) => Record<string, unknown>;
}

interface NamedRequest {
  Params: Static<typeof NameParamsSchema>;
  Querystring: Static<typeof WriteQuerySchema>;
}

/** Adds the verbs of a kind. */
export function addResourceRoutes<K extends Kind, Body extends TSchema>(
  app: ControlApp,
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
): void {
  addReads(app, context, routes);
  addWrites(app, context, routes);
}

function addReads<K extends Kind, Body extends TSchema>(
  app: ControlApp,
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
): void {
  const { kind, path, noun, document } = routes;
  app.get(
    path,
    {
      schema: {
        summary: `List every ${noun}, by label and page`,
        querystring: ListQuerySchema,
        response: answers(pageSchema(document)),
      },
    },
    (request) => listPage(context, routes, request.query),
  );
  app.get(
    `${path}/:name`,
    {
      schema: {
        summary: `Get one ${noun}, at once or when it is ready`,
        params: NameParamsSchema,
        querystring: GetQuerySchema,
        response: answers(document),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      await waitIfAsked(context, kind, name, request.query, reply);
      const resource = await context.store.get(kind, name);
      if (resource === null) throw unknown(routes, name);
      return withEtag(reply, resource, routes);
    },
  );
}

function addWrites<K extends Kind, Body extends TSchema>(
  app: ControlApp,
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
): void {
  const { path, noun, body, document } = routes;
  const shared = { params: NameParamsSchema, querystring: WriteQuerySchema };
  const written = Type.Union([document, dryRunSchema(document)]);
  const response = { ...answers(written), 201: document };
  app.put<NamedRequest>(
    `${path}/:name`,
    { schema: { summary: `Create or replace a ${noun}`, ...shared, body, response } },
    (request, reply) => put(context, routes, request, reply),
  );
  app.patch<NamedRequest>(
    `${path}/:name`,
    {
      schema: {
        summary: `Change parts of a ${noun}: a JSON merge patch (RFC 7396)`,
        consumes: ["application/merge-patch+json", "application/json"],
        ...shared,
        body: Type.Record(Type.String(), Type.Unknown()),
        response: answers(written),
      },
    },
    (request, reply) => patch(context, routes, request, reply),
  );
  app.delete<NamedRequest>(
    `${path}/:name`,
    {
      schema: {
        summary: `Delete a ${noun}; done as well where there is none`,
        ...shared,
        response: { ...NO_CONTENT, 200: dryRunSchema(document) },
      },
    },
    (request, reply) => remove(context, routes, request, reply),
  );
}

async function listPage<K extends Kind, Body extends TSchema>(
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
  query: Static<typeof ListQuerySchema>,
): Promise<Page<object>> {
  const limit = query.limit ?? context.limits.pageItems;
  const selector = readSelector(query.labelSelector);
  const after = readCursor(query.cursor);
  const matches = (resource: Resource<K>) => selector?.(resource.spec.labels) !== false;
  // One more than asked for tells whether there is a next page.
  const found = await context.store.list(routes.kind, { after, limit: limit + 1, matches });
  const shown = found.slice(0, limit);
  const last = shown.at(-1);
  const next = found.length > limit && last !== undefined ? writeCursor(last.name) : null;
  return { items: shown.map(routes.toDocument), next };
}

async function waitIfAsked(
  context: ControlContext,
  kind: Kind,
  name: string,
  query: Static<typeof GetQuerySchema>,
  reply: FastifyReply,
): Promise<void> {
  const { waitMs, waitMsMax } = context.limits;
  const timeoutMs = readDuration("timeout", query.timeout, waitMs, waitMsMax);
  if (query.wait === undefined) return;
  if (!context.ready.hasRoom()) {
    throw new ControlError("too-many", `${context.limits.waitersMax} requests wait already`);
  }
  const gone = new AbortController();
  reply.raw.once("close", () => gone.abort());
  await context.ready.wait(kind, name, timeoutMs, gone.signal);
}

async function put<K extends Kind, Body extends TSchema>(
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
  request: FastifyRequest<NamedRequest>,
  reply: FastifyReply,
): Promise<object> {
  const body = request.body as Static<Body>;
  const write = writeOf(routes, request, (current) => specOf(routes, request, body, current));
  if (request.query.dryRun === true) return dryRun(context, write, routes.toSpecDocument);
  const { before, after } = await commitWrite(context, write);
  if (before === null) reply.code(201).header("location", `${routes.path}/${write.name}`);
  return withEtag(reply, after, routes);
}

async function patch<K extends Kind, Body extends TSchema>(
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
  request: FastifyRequest<NamedRequest>,
  reply: FastifyReply,
): Promise<object> {
  const write = writeOf(routes, request, (current) => {
    if (current === null) throw unknown(routes, request.params.name);
    const merged = mergePatch(routes.toSpecDocument(current), request.body);
    return specOf(routes, request, checkShape(routes.body, merged), current);
  });
  if (request.query.dryRun === true) return dryRun(context, write, routes.toSpecDocument);
  const { after } = await commitWrite(context, write);
  return withEtag(reply, after, routes);
}

async function remove<K extends Kind, Body extends TSchema>(
  context: ControlContext,
  routes: ResourceRoutes<K, Body>,
  request: FastifyRequest<NamedRequest>,
  reply: FastifyReply,
): Promise<object | undefined> {
  const write = writeOf(routes, request, () => null);
  if (request.query.dryRun === true) return dryRun(context, write, routes.toSpecDocument);
  await commitWrite(context, write);
  reply.code(204);
  return undefined;
}

function writeOf<K extends Kind, Body extends TSchema>(
  routes: ResourceRoutes<K, Body>,
  request: FastifyRequest<NamedRequest>,
  next: Write<K>["next"],
): Write<K> {
  return { kind: routes.kind, name: request.params.name, headers: request.headers, next };
}

/** A write without a key keeps the one there is, or gets a new one. */
function specOf<K extends Kind, Body extends TSchema>(
  routes: ResourceRoutes<K, Body>,
  request: FastifyRequest<NamedRequest>,
  body: Static<Body>,
  current: Resource<K> | null,
): Specs[K] {
  const key = current?.spec.routingKey ?? generateRoutingKey();
  const spec = routes.validate(request.params.name, body, key);
  if (spec.ok) return spec.value;
  const [first] = spec.error;
  const isEndpoint = spec.error.every((each) => each.path.includes("/endpoints/"));
  const detail = `${first?.path ?? ""}: ${first?.message ?? ""}`;
  throw new ControlError(isEndpoint ? "endpoint-not-allowed" : "body-invalid", detail, {
    errors: spec.error,
  });
}

function withEtag<K extends Kind, Body extends TSchema>(
  reply: FastifyReply,
  resource: Resource<K> | null,
  routes: ResourceRoutes<K, Body>,
): object {
  if (resource === null) throw new ControlError("bug", "a write left no resource");
  reply.header("etag", `"${etagOf(resource)}"`);
  return routes.toDocument(resource);
}

function unknown<K extends Kind, Body extends TSchema>(
  routes: ResourceRoutes<K, Body>,
  name: string,
): ControlError {
  return new ControlError(routes.unknown, `there is no ${routes.noun} named ${name}`);
}
