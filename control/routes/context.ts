// Declares `summary` and the like on route schemas.
import type {} from "@fastify/swagger";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from "fastify";
import type { Clock } from "../../core/clock.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { Runs } from "../evidence/runs.ts";
import type { ControlLimits } from "../model/limits.ts";
import type { EndpointRules } from "../model/validate.ts";
import type { VerdictDocument } from "../schema/run.ts";
import type { Store } from "../store/store.ts";
import type { Feed } from "../watch/feed.ts";
import type { Flushes } from "../watch/flush.ts";
import type { LiveTables } from "../watch/live-tables.ts";
import type { Proxies } from "../watch/proxies.ts";
import type { ReadyWatch } from "../watch/readiness.ts";
import type { Watchers } from "../watch/watchers.ts";

/** What the routes work with; made once, in server.ts. */
export interface ControlContext {
  readonly store: Store;
  readonly live: LiveTables;
  readonly watchers: Watchers;
  readonly proxies: Proxies;
  readonly ready: ReadyWatch;
  readonly flushes: Flushes;
  readonly feed: Feed;
  readonly evidence: Evidence;
  readonly runs: Runs<VerdictDocument>;
  readonly limits: ControlLimits;
  readonly rules: EndpointRules;
  readonly clock: Clock;
}

/** The server, with schemas as types. */
export type ControlApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
