import { type Static, Type } from "typebox";
import { CLIENT_CHARS_MAX, TAG_STATES } from "../../core/observation.ts";
import { DURATION_PATTERN } from "../model/duration.ts";
import { CONTROL_LIMITS } from "../model/limits.ts";

const closed = { additionalProperties: false };
const id16 = Type.String({ pattern: "^[0-9a-f]{16}$" });
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);
const texts = Type.Array(Type.String());
const count = Type.Integer({ minimum: 0 });

/** `core/observation.ts`, one line of a batch. Unknown properties pass: a newer proxy may say more. */
export const ObservationSchema = Type.Object({
  v: Type.Literal(1),
  kind: Type.Literal("observation"),
  state: Type.Enum([...TAG_STATES]),
  timeMs: Type.Number(),
  totalMs: Type.Number({ minimum: 0 }),
  workload: Type.String({ maxLength: 127 }),
  proxy: Type.String({ maxLength: 128 }),
  sandbox: orNull(Type.String({ maxLength: 63 })),
  caller: orNull(Type.String({ maxLength: 140 })),
  method: Type.String({ maxLength: 64 }),
  client: orNull(Type.String({ maxLength: CLIENT_CHARS_MAX, pattern: "^[ -~]*$" })),
  traceId: orNull(Type.String({ pattern: "^[0-9a-f]{32}$" })),
  root: orNull(id16),
  parent: orNull(id16),
  hop: orNull(id16),
});

export const RunBodySchema = Type.Object(
  {
    kind: Type.Enum(["propagation"]),
    duration: Type.Optional(
      Type.String({
        pattern: DURATION_PATTERN,
        description: "how long proxies observe, at most 5m; 30s where absent",
      }),
    ),
  },
  { $id: "RunBody", ...closed },
);

export const VerdictBodySchema = Type.Object(
  {
    roots: Type.Optional(
      Type.Array(id16, {
        maxItems: CONTROL_LIMITS.runRootsMax,
        description:
          "requests to judge, as `forklane-trace` named them; absent: every tagged one that was seen",
      }),
    ),
  },
  { $id: "VerdictBody", ...closed },
);

const edge = { from: Type.String(), to: Type.String() };

export const VerdictSchema = Type.Object(
  {
    verdict: Type.Enum(["healthy", "broken", "inconclusive"]),
    requests: Type.Integer({ description: "tagged requests that were judged" }),
    findings: Type.Array(
      Type.Object({
        from: Type.Array(Type.String(), {
          description: "who lost the tag; several where they cannot be told apart",
        }),
        to: Type.String(),
        state: Type.Enum(["drops-baggage", "drops-all", "mangles"]),
        class: Type.Enum([
          "baggage-propagator-missing",
          "headers-not-forwarded",
          "baggage-overwritten",
          "tag-truncated",
          "correlation-context",
          "tag-unreadable",
          "percent-decoded",
          "tag-duplicated",
          "async-boundary",
        ]),
        confidence: Type.Enum(["confirmed", "probable", "suspected"]),
        rule: Type.Enum(["R1", "R2", "R3", "R4", "R5", "R6"]),
        seen: count,
        of: count,
        client: orNull(Type.String({ description: "`user-agent` of the call" })),
        what: Type.String(),
        effect: Type.String(),
        fix: Type.String(),
      }),
      { description: "the first hop that lost the tag first" },
    ),
    notes: texts,
    edges: Type.Array(
      Type.Object({
        ...edge,
        state: Type.Enum(["propagates", "drops-baggage", "drops-all", "mangles", "not-seen"]),
        arrived: count,
        lost: count,
      }),
    ),
    incomplete: Type.Array(Type.String(), { description: "why the evidence does not suffice" }),
  },
  { $id: "Verdict" },
);

/** What the judge of propagation says. */
export type VerdictDocument = Static<typeof VerdictSchema>;

export const RunSchema = Type.Object(
  {
    id: Type.String(),
    kind: Type.Enum(["propagation"]),
    open: Type.Boolean({ description: "proxies observe" }),
    openedAt: Type.String({ format: "date-time" }),
    until: Type.String({ format: "date-time" }),
    observing: Type.Union([count, Type.Null()], {
      description: "proxies that said they observe, in the answer to POST; null later",
    }),
    silent: Type.Array(Type.String(), { description: "proxies that did not" }),
    requests: Type.Integer({ description: "tagged requests of which something came" }),
    observations: count,
    verdict: Type.Union([VerdictSchema, Type.Null()]),
  },
  { $id: "Run" },
);

/** A run as the API answers it. */
export type RunDocument = Static<typeof RunSchema>;
export type RunBodyDocument = Static<typeof RunBodySchema>;
export type VerdictBodyDocument = Static<typeof VerdictBodySchema>;
