/** Shops that the tests of the judge make up: calls with their times, and what proxies would record. */
import type { Observation, TagState } from "../../../core/observation.ts";
import type { Edge, JudgedHop, Place, PropagationEvidence } from "./evidence.ts";

/** Chance that can be repeated: numbers from 0 to 1. */
export type Chance = () => number;

/** A small generator of chance (mulberry32). */
export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A shop: services by number, of which the first is the entry. */
export interface Shop {
  /** Who calls each service but the first: services with lower numbers. */
  readonly callers: readonly (readonly number[])[];
  /** Whether each service has an address of its own, as in pods, or all share one. */
  readonly hasOwnAddresses: boolean;
  /** Whether services pass the trace id on. */
  readonly keepsTrace: boolean;
  /** How far each service's clock is ahead; none: they share one. */
  readonly skewsMs: readonly number[];
}

/** How one edge loses the tag. */
export interface Break {
  readonly from: number;
  readonly to: number;
  readonly state: Extract<TagState, "absent" | "other-baggage" | "truncated">;
  readonly keepsTrace: boolean;
  /** The call begins as its caller answers, and outlives it. */
  readonly outlives: boolean;
}

/** What to simulate. */
export interface Simulation {
  readonly shop: Shop;
  readonly chance: Chance;
  readonly requests: number;
  readonly broken: Break | null;
  /** Untagged requests of nobody's in the window, at each service and at one more. */
  readonly background: number;
  /** Whether earlier requests showed who calls whom. */
  readonly isLearned: boolean;
  /** The client sends each request once more, untagged with the same trace id, so much later. */
  readonly repeatAfterMs: number | null;
  /** A service with a fork, which no judged request meets: how often it makes a call of its own. */
  readonly fork: { readonly of: number; readonly calls: number } | null;
}

/** The name of a service; the one more that only others call is `shop/s<count>`. */
export function nameOf(service: number): string {
  return `shop/s${service}`;
}

const WINDOW_MS = 3_000;
const FIRST_MS = 1_700_000_000_000;

interface Call {
  readonly service: number;
  readonly atMs: number;
  readonly tookMs: number;
  readonly caller: number;
  readonly parent: string | null;
  readonly isLost: "here" | "above" | "no";
  readonly hop: string;
}

/** What control would hold of it. */
export function simulate(simulation: Simulation): PropagationEvidence {
  const { shop, chance, requests, isLearned, repeatAfterMs, fork } = simulation;
  const hops: JudgedHop[] = [];
  const observations: Observation[] = [...backgroundOf(simulation), ...forkCallsOf(simulation)];
  const roots: string[] = [];
  for (let i = 0; i < requests; i++) {
    const root = hexOf(chance, 16);
    const traceId = hexOf(chance, 32);
    roots.push(root);
    const atMs = FIRST_MS + 300 + (i * (WINDOW_MS - 700)) / requests + chance() * 60;
    const entry = { service: 0, atMs, caller: -1, parent: null, isLost: "no" } as const;
    const calls: Call[] = [];
    callOf(entry, simulation, calls);
    if (repeatAfterMs !== null) {
      callOf({ ...entry, atMs: atMs + repeatAfterMs, isLost: "above" }, simulation, calls);
    }
    for (const call of calls) {
      if (call.isLost === "no")
        hops.push(hopOf(call, root, shop.keepsTrace ? traceId : null, shop));
      else observations.push(lostOf(call, root, traceId, simulation));
    }
  }
  const services = [0, ...shop.callers.map((_, i) => i + 1)];
  const places = services.map((service) => placeOf(service, shop, []));
  return {
    roots,
    hops,
    observations,
    expected: isLearned ? edgesOf(shop) : [],
    places: [
      ...(shop.hasOwnAddresses ? places : []),
      ...(fork === null ? [] : [{ ...placeOf(fork.of, shop, ["jane-42"]), address: FORK_ADDRESS }]),
    ],
    observed: services.map(nameOf),
    observedMs: WINDOW_MS,
    gaps: [],
  };
}

const FORK_ADDRESS = "10.0.1.1";

function placeOf(service: number, shop: Shop, sandboxes: readonly string[]): Place {
  return { address: addressOf(service, shop), workload: nameOf(service), sandboxes };
}

function edgesOf(shop: Shop): Edge[] {
  return shop.callers.flatMap((callers, i) =>
    callers.map((caller) => ({ from: nameOf(caller), to: nameOf(i + 1) })),
  );
}

function backgroundOf({ shop, chance, background }: Simulation): Observation[] {
  const services = Array.from({ length: shop.callers.length + 2 }, (_, i) => i);
  return services.flatMap((service) =>
    Array.from({ length: background }, (_, i) => {
      const atMs = FIRST_MS + chance() * WINDOW_MS;
      const call = { service, atMs, tookMs: 1 + chance() * 10, caller: -2 - (i % 3) } as const;
      const traceId = chance() < 0.5 ? null : hexOf(chance, 32);
      const lost = { ...call, parent: null, isLost: "here", hop: "" } as const;
      return observationOf(lost, traceId, shop, "absent");
    }),
  );
}

/** What a fork does by itself, whoever of the shop it calls. */
function forkCallsOf({ shop, chance, fork }: Simulation): Observation[] {
  return Array.from({ length: fork?.calls ?? 0 }, () => {
    const service = Math.floor(chance() * (shop.callers.length + 1));
    const atMs = FIRST_MS + chance() * WINDOW_MS;
    const call = { service, atMs, tookMs: 1 + chance() * 5, caller: -2, parent: null } as const;
    const one = observationOf({ ...call, isLost: "here", hop: "" }, null, shop, "absent");
    return { ...one, caller: FORK_ADDRESS };
  });
}

function lostOf(
  call: Call,
  root: string,
  traceId: string,
  { shop, broken }: Simulation,
): Observation {
  const hasTrace = shop.keepsTrace && broken?.keepsTrace !== false;
  const state = call.isLost === "here" ? (broken?.state ?? "absent") : "absent";
  const mark = state === "truncated" ? { root, parent: call.parent } : NO_MARK;
  return { ...observationOf(call, hasTrace ? traceId : null, shop, state), ...mark };
}

const NO_MARK = { root: null, parent: null };

/** One call and all that it causes; callees side by side, some of them called twice. Returns its end. */
function callOf(
  begun: Pick<Call, "service" | "atMs" | "caller" | "parent" | "isLost">,
  simulation: Simulation,
  calls: Call[],
): number {
  const { shop, chance, broken } = simulation;
  const hop = hexOf(chance, 16);
  let endMs = begun.atMs + 2;
  const later: Parameters<typeof callOf>[0][] = [];
  for (const [i, callers] of shop.callers.entries()) {
    if (!callers.includes(begun.service)) continue;
    const service = i + 1;
    const isBroken = broken?.from === begun.service && broken.to === service;
    const ownLoss = isBroken ? "here" : "no";
    const isLost = begun.isLost === "no" ? ownLoss : "above";
    const times = chance() < 0.2 ? 2 : 1;
    let atMs = begun.atMs + 1 + chance() * 2;
    for (let time = 0; time < times; time++) {
      const next = { service, atMs, caller: begun.service, parent: hop, isLost } as const;
      if (isBroken && broken.outlives) later.push(next);
      else atMs = callOf(next, simulation, calls) + 0.2;
    }
    endMs = Math.max(endMs, atMs);
  }
  endMs += 1.5 + chance();
  calls.push({ ...begun, tookMs: endMs - begun.atMs, hop });
  for (const next of later) callOf({ ...next, atMs: endMs - 0.5 }, simulation, calls);
  return endMs;
}

/** Of an address that is nobody's, which is a client's, there is no place. */
function addressOf(service: number, { hasOwnAddresses }: Shop): string {
  return hasOwnAddresses ? `10.0.0.${service + 10}` : "127.0.0.1";
}

function hopOf(call: Call, root: string, traceId: string | null, shop: Shop): JudgedHop {
  return {
    root,
    hop: call.hop,
    parent: call.parent,
    mode: "inbound",
    timeMs: Math.floor(call.atMs + (shop.skewsMs[call.service] ?? 0)),
    totalMs: call.tookMs,
    caller: addressOf(call.caller, shop),
    workload: nameOf(call.service),
    sandbox: null,
    tag: "jane-42.base!",
    traceId,
  };
}

function observationOf(
  call: Call,
  traceId: string | null,
  shop: Shop,
  state: TagState,
): Observation {
  return {
    v: 1,
    kind: "observation",
    state,
    timeMs: Math.floor(call.atMs + (shop.skewsMs[call.service] ?? 0)),
    totalMs: call.tookMs,
    workload: nameOf(call.service),
    proxy: `s${call.service}-1`,
    sandbox: null,
    caller: addressOf(call.caller, shop),
    method: "GET",
    client: call.caller < 0 ? "cron/1.0" : "axios/1.7.4",
    traceId,
    root: null,
    parent: null,
    hop: null,
  };
}

function hexOf(chance: Chance, digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(chance() * 16).toString(16)).join("");
}
