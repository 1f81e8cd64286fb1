/**
 * Composes control: store, tables, watchers, evidence, routes; in the order of a change.
 *
 * Before: main.ts. After: each of the parts it names.
 */
import type { AddressInfo } from "node:net";
import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import fastify, { type FastifySchema, LogController } from "fastify";
import type { TSchema } from "typebox";
import { type Address, formatAddress } from "../core/address.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { invariant } from "../core/invariant.ts";
import { parseNetworks } from "../core/networks.ts";
import type { ControlConfig } from "./config.ts";
import { ControlError } from "./error.ts";
import { Evidence } from "./evidence/evidence.ts";
import { Runs } from "./evidence/runs.ts";
import { Expiry, SWEEP_MS } from "./expire.ts";
import { LINK_LOCAL } from "./model/validate.ts";
import type { ControlApp, ControlContext } from "./routes/context.ts";
import { addEventRoutes } from "./routes/events.ts";
import { addExplainRoute } from "./routes/explain.ts";
import { answerFailure, notFound } from "./routes/failure.ts";
import { guard } from "./routes/guard.ts";
import { addHealthRoutes } from "./routes/health.ts";
import { addHopRoute } from "./routes/hops.ts";
import { ControlMetrics } from "./routes/metrics.ts";
import { addProbeRoute } from "./routes/probes.ts";
import { addProxyRoutes } from "./routes/proxies.ts";
import { addRouteGroupRoutes } from "./routes/route-groups.ts";
import { addTableRoute } from "./routes/routes.ts";
import { addRunRoutes } from "./routes/runs.ts";
import { addSandboxRoutes } from "./routes/sandboxes.ts";
import { checkParameters, checkShape } from "./routes/shape.ts";
import { tellResources } from "./routes/tell-resources.ts";
import { addTraceRoute } from "./routes/traces.ts";
import { addWatchRoute } from "./routes/watch.ts";
import { addWorkloadRoutes } from "./routes/workloads.ts";
import type { VerdictDocument } from "./schema/run.ts";
import { MemoryStore } from "./store/memory/store.ts";
import { SqliteStore } from "./store/sqlite/store.ts";
import type { Commit, Store } from "./store/store.ts";
import { Feed } from "./watch/feed.ts";
import { Flushes } from "./watch/flush.ts";
import { LiveTables } from "./watch/live-tables.ts";
import { Proxies } from "./watch/proxies.ts";
import { ReadyWatch } from "./watch/readiness.ts";
import { Watchers } from "./watch/watchers.ts";

/** A control plane that runs. */
export interface Control {
  readonly address: Address;
  /** Such as `http://127.0.0.1:7070`. */
  readonly url: string;
  /** The server, so that a test can ask it without a socket. */
  readonly app: ControlApp;
  /** Ends streams, finishes requests, closes the store. */
  close(): Promise<void>;
}

/**
 * Opens the store and listens. Rejects with StoreOpenError (store/store.ts), or with what the
 * system says of the port.
 */
export async function createControl(
  config: ControlConfig,
  clock: Clock = systemClock,
): Promise<Control> {
  const store = openStore(config);
  const context = await createContext(config, store, clock);
  const app = createApp(config);
  const unsubscribe = store.subscribe((commit) => applyCommit(context, commit));
  const stopTimers = startTimers(app, context);
  const stop = async (): Promise<void> => {
    stopTimers();
    endStreams(context);
    await app.close();
    unsubscribe();
    await store.close();
  };
  try {
    await addRoutes(app, context);
    await app.listen({ host: config.listen.host, port: config.listen.port });
  } catch (error) {
    await stop();
    throw error;
  }
  const { address, port } = app.server.address() as AddressInfo;
  const bound = { host: address, port };
  return { address: bound, url: `http://${formatAddress(bound)}`, app, close: once(stop) };
}

function openStore(config: ControlConfig): Store {
  const { data, limits, newEpoch } = config;
  if (data === null) return new MemoryStore(limits);
  return SqliteStore.open({ file: data, limits, wantsNewEpoch: newEpoch });
}

async function createContext(
  config: ControlConfig,
  store: Store,
  clock: Clock,
): Promise<ControlContext> {
  const { limits } = config;
  const live = new LiveTables(store.epoch, await store.read(), limits, clock);
  const runs = new Runs<VerdictDocument>(limits, clock);
  const watchers = new Watchers(live, limits, () => runs.announced());
  const proxies = new Proxies(store.epoch, (key) => live.tables.isKnown(key), limits, clock);
  const never = parseNetworks(LINK_LOCAL);
  invariant(never.ok, "the link-local networks are written correctly");
  return {
    store,
    live,
    watchers,
    proxies,
    ready: new ReadyWatch(live, proxies, limits),
    flushes: new Flushes(watchers, proxies, limits),
    feed: new Feed(limits),
    evidence: new Evidence(limits, clock),
    runs,
    limits,
    rules: { allowed: config.allowedNetworks, never: never.value },
    clock,
  };
}

/** A commit reaches the proxies in the turn of the event loop in which it was kept. */
function applyCommit(context: ControlContext, commit: Commit): void {
  const { live, watchers, proxies, ready } = context;
  const entry = live.apply(commit);
  if (entry !== null) {
    watchers.publish(entry);
    proxies.forgetKeys([...entry.keys.removed, ...entry.keys.expired]);
  }
  ready.touch();
  tellResources(context, commit);
}

function startTimers(app: ControlApp, context: ControlContext): () => void {
  const { store, proxies, watchers, feed, ready, limits, clock } = context;
  const expiry = new Expiry(store, proxies, limits, clock);
  const heartbeat = setInterval(() => {
    watchers.heartbeat();
    feed.heartbeat();
  }, limits.heartbeatMs);
  const sweep = setInterval(() => {
    if (proxies.sweep()) ready.touch();
    expiry.sweep().catch((error: unknown) => app.log.error({ err: error }, "expiry failed"));
  }, SWEEP_MS);
  return () => {
    clearInterval(heartbeat);
    clearInterval(sweep);
  };
}

function endStreams(context: ControlContext): void {
  context.watchers.close();
  context.feed.close();
  context.ready.close();
  context.flushes.close();
}

function createApp(config: ControlConfig): ControlApp {
  const { limits, logLevel } = config;
  const app = fastify({
    bodyLimit: limits.bodyBytesMax,
    logger: { level: logLevel, stream: process.stderr },
    // Requests come by the thousand a second from proxies; what fails is logged.
    logController: new LogController({ disableRequestLogging: true }),
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256 },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.server.maxConnections = limits.connectionsMax;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ["application/json", "application/merge-patch+json"],
    { parseAs: "string" },
    (_request, text, done) => done(null, parseJson(String(text))),
  );
  app.setValidatorCompiler<TSchema>(({ schema, httpPart }) => (value) => {
    const check = httpPart === "body" ? checkShape : checkParameters;
    return { value: check(schema, value) };
  });
  // Types hold the answers to their schemas; writing them by a second compiler would only cut.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  return app;
}

/** An empty body is none, as DELETE with a media type has it. */
function parseJson(text: string): unknown {
  if (text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ControlError("body-malformed", `it is no JSON: ${why}`, { cause: error });
  }
}

async function addRoutes(app: ControlApp, context: ControlContext): Promise<void> {
  const metrics = new ControlMetrics(context);
  const methods = collectMethods(app);
  addGuard(app);
  app.addHook("onResponse", async (request, reply) => metrics.requestDone(request, reply));
  app.setErrorHandler((error, request, reply) => {
    metrics.failed(answerFailure(error, request, reply));
  });
  app.setNotFoundHandler((request, reply) => notFound(methods, request, reply));
  await addOpenApi(app);
  addSandboxRoutes(app, context);
  addRouteGroupRoutes(app, context);
  addWorkloadRoutes(app, context);
  addProxyRoutes(app, context);
  addTableRoute(app, context);
  addWatchRoute(app, context);
  await addHopRoute(app, context);
  addTraceRoute(app, context);
  addRunRoutes(app, context);
  addExplainRoute(app, context);
  addProbeRoute(app, context);
  addEventRoutes(app, context);
  addHealthRoutes(app, context, metrics);
}

function addGuard(app: ControlApp): void {
  let isStopping = false;
  app.addHook("preClose", async () => {
    isStopping = true;
  });
  app.addHook("onRequest", async (request) => {
    if (isStopping) throw new ControlError("stopping", "control has been told to stop");
    guard(request);
  });
}

async function addOpenApi(app: ControlApp): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Forklane control",
        version: "1",
        description: "Sandboxes, route groups, routing tables, proof of route.",
      },
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) =>
        typeof schema["$id"] === "string" ? schema["$id"] : `def-${index}`,
    },
  });
  await app.register(swaggerUi, { routePrefix: "/docs" });
  app.get("/openapi.json", { schema: { hide: true } as FastifySchema }, async () => app.swagger());
}

/** Which methods a path has, so that a wrong method is told from a wrong path. */
function collectMethods(app: ControlApp): (path: string) => readonly string[] {
  const routes: { pattern: RegExp; method: string }[] = [];
  app.addHook("onRoute", ({ url, method }) => {
    const pattern = new RegExp(
      `^${url.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/:\w+/g, "[^/]+")}$`,
    );
    for (const each of [method].flat()) routes.push({ pattern, method: each });
  });
  return (path) => [
    ...new Set(routes.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ];
}

function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | null = null;
  return () => {
    stopped ??= stop();
    return stopped;
  };
}
