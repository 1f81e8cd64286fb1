import { BENCH_KEY_PREFIX, benchKeys, ELSEWHERE_KEY } from "../peers/peer.ts";
import { BROWSER_FIELDS } from "./browser-fields.ts";
import type { Case, RequestShape, Setup, Telemetry } from "./case.ts";

/** Sizes that a run may choose; the names of the cases say what a whole run chooses. */
export interface CaseSizes {
  /** Sandboxes in the tables of most cases. */
  readonly sandboxes: number;
  readonly manySandboxes: number;
  readonly idleConnections: number;
  /** Connections that are open when memory is read. */
  readonly openConnections: number;
}

/** Sizes of a run that counts, and of one that only shows that it runs. */
export const FULL_SIZES = { manySandboxes: 10_000, idleConnections: 2_000, openConnections: 1_000 };
export const SHORT_SIZES = { manySandboxes: 200, idleConnections: 100, openConnections: 50 };

/** Connections of the load, as in the method that the figures are compared by. */
const CONNECTIONS = 32;

/** Of that with large bodies: 32 of them at once are more than a second's work of a busy machine. */
const LARGE_BODY_CONNECTIONS = 8;

/** Every case, in the order in which a round measures them: what is compared stands together. */
export function comparedCases(sizes: CaseSizes): Case[] {
  return [
    ...taggingCases(sizes),
    ...shapeCases(sizes),
    ...telemetryCases(sizes),
    ...latencyCases(sizes),
    ...memoryCases(sizes),
  ];
}

/** A small untagged GET: what all cases differ from. */
function untagged(sizes: CaseSizes): Case {
  return {
    name: "untagged",
    kind: "cpu",
    about: "small GET without a key",
    setup: { sandboxes: sizes.sandboxes, composed: false, telemetry: "default" },
    request: get([]),
    connections: CONNECTIONS,
    openConnections: 0,
    isOursOnly: false,
  };
}

/** The same with a key, which a fork answers, out of as many sandboxes. */
function tagged(sizes: CaseSizes, sandboxes = sizes.sandboxes): Case {
  const base = untagged(sizes);
  return {
    ...base,
    name: "tagged",
    about: "small GET that a fork answers",
    setup: { ...base.setup, sandboxes },
    request: get([`baggage: sandbox=${middleKey(sandboxes)}`]),
  };
}

function taggingCases(sizes: CaseSizes): Case[] {
  const base = tagged(sizes);
  const key = middleKey(sizes.sandboxes);
  const many = sizes.manySandboxes;
  return [
    untagged(sizes),
    base,
    { ...tagged(sizes, 1), name: "sandboxes-1", about: "tagged, 1 sandbox" },
    { ...tagged(sizes, many), name: "sandboxes-10000", about: `tagged, ${many} sandboxes` },
    {
      ...tagged(sizes, many),
      name: "all-keys",
      about: `tagged by the keys of ${many} sandboxes in turn`,
      request: keysInTurn(many),
    },
    {
      ...base,
      name: "composed",
      about: "tagged by two keys, of which the second has a fork here",
      setup: { ...base.setup, composed: true },
      request: get([`baggage: sandbox=${ELSEWHERE_KEY}~${key}`]),
    },
    {
      ...base,
      name: "unique-baggage",
      about: "tagged, and no two requests have the same baggage",
      request: { ...get([]), baggage: { prefix: `sandbox=${key},request=`, count: null } },
    },
  ];
}

function shapeCases(sizes: CaseSizes): Case[] {
  const base = untagged(sizes);
  const large = { ...base, connections: LARGE_BODY_CONNECTIONS };
  const idle = sizes.idleConnections;
  return [
    {
      ...base,
      name: "headers-32",
      about: "32 fields of a browser and of tracing",
      request: get(BROWSER_FIELDS),
    },
    { ...base, name: "response-16k", about: "response of 16 KiB", request: get([], "/16k") },
    { ...large, name: "response-1m", about: "response of 1 MiB", request: get([], "/1m") },
    { ...base, name: "request-16k", about: "request of 16 KiB", request: post(16 * 1024) },
    { ...large, name: "request-1m", about: "request of 1 MiB", request: post(1024 * 1024) },
    {
      ...base,
      name: "new-connections",
      about: "a connection for each request",
      request: get(["connection: close"]),
    },
    {
      ...base,
      name: "idle-connections",
      about: `beside ${idle} idle connections`,
      openConnections: idle,
    },
  ];
}

function telemetryCases(sizes: CaseSizes): Case[] {
  const base = { ...tagged(sizes), isOursOnly: true };
  const setup = (telemetry: Telemetry): Setup => ({ ...base.setup, telemetry });
  return [
    {
      ...base,
      name: "telemetry-off",
      about: "tagged, without access log",
      setup: setup("off"),
    },
    {
      ...base,
      name: "telemetry-records",
      about: "tagged, hop records sent to control",
      setup: setup("records"),
    },
    {
      ...base,
      name: "telemetry-otlp",
      about: "tagged, a span of each request sent",
      setup: setup("otlp"),
      request: get([...base.request.fields, SAMPLED]),
    },
  ];
}

function latencyCases(sizes: CaseSizes): Case[] {
  return [
    {
      ...untagged(sizes),
      kind: "latency",
      name: "latency-untagged",
      about: "small GET at a fixed rate",
    },
    { ...tagged(sizes), kind: "latency", name: "latency-tagged", about: "the same, tagged" },
  ];
}

function memoryCases(sizes: CaseSizes): Case[] {
  const { manySandboxes, openConnections } = sizes;
  const about = `${manySandboxes} sandboxes, ${openConnections} connections`;
  const base: Case = {
    ...tagged(sizes, manySandboxes),
    kind: "memory",
    name: "memory",
    about,
    openConnections,
  };
  return [
    base,
    {
      ...base,
      name: "memory-all-keys",
      about: `${about}, keys in turn`,
      request: keysInTurn(manySandboxes),
    },
  ];
}

/** The trace of every request of `telemetry-otlp`; the last byte says that it is sampled. */
const SAMPLED = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/** Whoever looks through a list finds it half-way. */
function middleKey(sandboxes: number): string {
  return benchKeys(sandboxes)[Math.floor(sandboxes / 2)] ?? "";
}

function get(fields: readonly string[], path = "/"): RequestShape {
  return { method: "GET", path, bodyBytes: 0, fields, baggage: null };
}

function keysInTurn(sandboxes: number): RequestShape {
  return { ...get([]), baggage: { prefix: `sandbox=${BENCH_KEY_PREFIX}`, count: sandboxes } };
}

function post(bodyBytes: number): RequestShape {
  return { method: "POST", path: "/upload", bodyBytes, fields: [], baggage: null };
}
