import type { Address } from "../core/address.ts";
import { type Networks, parseNetworks } from "../core/networks.ts";
import { ConfigError, type OutboundConfig, type ProxyConfig } from "./config.ts";
import type { ExchangeContext } from "./exchange/context.ts";
import { TraceAffinity } from "./exchange/trace-affinity.ts";
import { Way } from "./exchange/way.ts";
import type { Interceptions } from "./listener/interception.ts";
import { type DrainOptions, Listener } from "./listener/listener.ts";
import { MemoryPressure, memoryUsedPercent } from "./listener/memory-pressure.ts";
import { type Calls, callsOf } from "./routing/callees.ts";
import { type RoutingTable, workloadTable } from "./routing/table.ts";

/**
 * The two directions of one proxy: what comes to the service next to it, and the calls that it makes.
 *
 * Before: proxy.ts. After: listener/listener.ts, one for each direction.
 * Invariant: they share the pool, the table and what traces they saw, and nothing else: no setting of
 * one changes an exchange of the other.
 */

/** What both directions have in common. */
export type SharedContext = Omit<ExchangeContext, "outbound" | "affinity">;

/** One direction. */
interface Side {
  readonly context: ExchangeContext;
  readonly listener: Listener;
}

/** The one or two directions of this proxy, from their start to their end. */
export class Sides {
  readonly #config: ProxyConfig;
  /** The one that the proxy is named after first; the other is the outbound one. */
  readonly #sides: readonly [Side, ...Side[]];

  private constructor(config: ProxyConfig, sides: readonly [Side, ...Side[]]) {
    this.#config = config;
    this.#sides = sides;
  }

  /** Makes them; nothing listens yet. Rejects with a ConfigError where the kernel cannot be asked. */
  static async create(config: ProxyConfig, shared: SharedContext): Promise<Sides> {
    const interceptions = config.intercept ? await interceptionsOf(config) : null;
    const { outbound, limits } = config;
    const affinity = hasBothSides(config)
      ? new TraceAffinity(limits.affinityTracesMax, limits.affinityTtlMs)
      : null;
    const sideOf = (calls: OutboundConfig | null): Side => {
      const common = { ...shared, affinity };
      const context =
        calls === null ? { ...common, outbound: null } : toCalls(common, config, calls);
      const interception =
        calls === null ? interceptions?.inbound(config.upstream) : interceptions?.outbound();
      return { context, listener: new Listener(context, interception ?? null) };
    };
    const sides: [Side, ...Side[]] = hasBothSides(config)
      ? [sideOf(null), sideOf(outbound)]
      : [sideOf(outbound)];
    const contexts = sides.map(({ context }) => context);
    const usedPercent = () => memoryUsedPercent(config.workers);
    shared.ticker.add(new MemoryPressure(limits, contexts, usedPercent));
    return new Sides(config, sides);
  }

  /** What exchanges of the first side share. */
  get context(): ExchangeContext {
    return this.#sides[0].context;
  }

  /** What is known of the calls of the service; null where none are taken. */
  get calls(): Calls | null {
    const side = this.#sides.find(({ context }) => context.outbound !== null);
    return side?.context.outbound?.calls ?? null;
  }

  /** Open connections. */
  get connections(): number {
    return this.#sides.reduce((sum, { listener }) => sum + listener.connections, 0);
  }

  /** Connections that were not let in, by why. */
  get refusedConnections(): Listener["refusedConnections"] {
    const sum = { "connection-limit": 0, overloaded: 0, "not-intercepted": 0, loop: 0 };
    for (const { listener } of this.#sides) {
      for (const code of Object.keys(sum) as (keyof typeof sum)[]) {
        sum[code] += listener.refusedConnections[code];
      }
    }
    return sum;
  }

  /** Calls that were passed untouched, by why; null where none are taken. */
  get passedCalls(): Listener["passedCalls"] | null {
    return (
      this.#sides.find(({ context }) => context.outbound !== null)?.listener.passedCalls ?? null
    );
  }

  /** Idle connections that a drain closed before their callers could be told. */
  get closedUntold(): number {
    return this.#sides.reduce((sum, { listener }) => sum + listener.closedUntold, 0);
  }

  get ambiguousTags(): number {
    return this.#sides.reduce((sum, { context }) => sum + context.ambiguousTags, 0);
  }

  /** From now on connections wait until `serve`. */
  hold(): void {
    for (const { listener } of this.#sides) listener.hold();
  }

  serve(): void {
    for (const { listener } of this.#sides) listener.serve();
  }

  /** Binds; rejects with the system's error. `fd` is a socket that is bound already, of a worker. */
  async listen(
    fd: number | null = null,
  ): Promise<{ readonly listen: Address; readonly outbound: Address | null }> {
    const [first, second] = this.#sides;
    const listen = await first.listener.listen(this.#config.listen, fd);
    if (this.#config.outbound === null) return { listen, outbound: null };
    if (second === undefined) return { listen, outbound: listen };
    try {
      return { listen, outbound: await second.listener.listen(this.#config.outbound.listen) };
    } catch (error) {
      first.listener.close();
      throw error;
    }
  }

  /**
   * From now on by this table; exchanges in progress keep the one that they began with. Connections
   * to endpoints that left it are closed.
   */
  useTable(table: RoutingTable): void {
    const left = new Set(this.#sides.flatMap(({ context }) => endpointsOf(context)));
    for (const { context } of this.#sides) this.#use(table, context);
    for (const { context } of this.#sides)
      for (const each of endpointsOf(context)) left.delete(each);
    const { context } = this;
    left.delete(context.upstream);
    context.pool.retain((endpoint) => !left.has(endpoint));
  }

  /** Stops as Listener.drain says; resolves with how many exchanges were cut off. */
  async drain(options: DrainOptions = {}): Promise<number> {
    const [first, second] = this.#sides;
    if (second === undefined) return await first.listener.drain(options);
    // Calls belong to requests that are still in progress: they are told, and let in until the end.
    second.context.isDraining = true;
    const { drainMs, drainedBodyMs } = this.context.limits;
    const wholeMs = options.withinMs ?? drainMs;
    const withinMs = Math.min(2 * drainedBodyMs, wholeMs / 2);
    const cutOff = await first.listener.drain({ ...options, withinMs: wholeMs - withinMs });
    return cutOff + (await second.listener.drain({ accepts: false, withinMs }));
  }

  /** Stops at once, without a word. */
  close(): void {
    for (const { listener } of this.#sides) listener.close();
  }

  #use(table: RoutingTable, context: ExchangeContext): void {
    context.table = workloadTable(table, context.workload);
    if (context.outbound === null || this.#config.outbound === null) return;
    context.outbound.calls = callsOf(table, this.#config.outbound.callees, this.#config.sandbox);
  }
}

/** Whether one process takes what comes to its service and what that calls. */
export function hasBothSides(config: Pick<ProxyConfig, "mode" | "outbound">): boolean {
  return config.mode !== "outbound" && config.outbound !== null;
}

/** What calls of the service share, which never are a fork's own requests. */
function toCalls(
  common: Omit<ExchangeContext, "outbound">,
  config: ProxyConfig,
  { clusterNetworks, stripsOutside, callees }: OutboundConfig,
): ExchangeContext {
  const none = { revision: "", state: "unknown", known: NONE, expired: NONE } as const;
  const calls = callsOf({ ...none, workloads: new Map() }, callees, config.sandbox);
  const self = { mode: "outbound", sandbox: null } as const;
  return {
    ...common,
    ...self,
    way: new Way({ ...common, ...self }),
    // These are about what comes to the service.
    appendsForwardedFor: false,
    underscoreFields: "forward",
    // What the kernel hands over was opened on this machine (listener/interception.ts).
    trustTagsFrom: config.intercept ? EVERYBODY : withLoopback(common.trustTagsFrom),
    outbound: { clusterNetworks, stripsOutside, calls },
  };
}

const NONE: ReadonlySet<string> = new Set();

/** The service itself is believed, whomever else it may hear. */
function withLoopback(trusted: Networks): Networks {
  const text = ["127.0.0.0/8", "::1/128"];
  const own = parseNetworks(text);
  if (!own.ok) throw new Error(own.error);
  return {
    text: [...text, ...trusted.text],
    includes: (address) => own.value.includes(address) || trusted.includes(address),
  };
}

const EVERYBODY: Networks = { text: ["0.0.0.0/0", "::/0"], includes: () => true };

/** Endpoints that only the table knows: of forks, and baselines that are far away. */
function endpointsOf({ table, outbound }: ExchangeContext): readonly string[] {
  const tables = outbound === null ? [table] : [...outbound.calls.callees.workloads()];
  return tables.flatMap(({ routes, baseline }) => {
    const forks = [...routes.values()].flatMap(({ route }) => route?.endpoints ?? []);
    return outbound === null || baseline === null ? forks : [...forks, baseline];
  });
}

/** Loaded only where it is asked for, with the library that asks the kernel. */
async function interceptionsOf(config: ProxyConfig): Promise<Interceptions> {
  const { openInterceptions } = await import("./listener/interception.ts");
  const { listen, outbound } = config;
  try {
    return await openInterceptions([listen.port, outbound?.listen.port ?? listen.port]);
  } catch (error) {
    throw new ConfigError("--intercept", error instanceof Error ? error.message : String(error));
  }
}
