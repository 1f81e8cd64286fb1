import { throwAgain } from "../../core/invariant.ts";
import { LOOPBACK_AND_PRIVATE, type Networks, parseNetworks } from "../../core/networks.ts";
import { Ticker } from "../../core/ticker.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import type { RequestHead } from "../message/head.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { type DownstreamStream, FLOW, type Flow, type TunnelEnd } from "../message/stream.ts";
import { HOP_MEMBER, RUN_MEMBER } from "../routing/baggage.ts";
import { type Carrier, DEFAULT_CARRIERS, parseCarriers } from "../routing/carrier.ts";
import { parseTable, workloadTable } from "../routing/table.ts";
import { EndpointChoice } from "../upstream/endpoint-choice.ts";
import { UpstreamPool } from "../upstream/pool.ts";
import { carrierSet, type ExchangeContext } from "./context.ts";
import { Way } from "./way.ts";

/** What a test says of a context; the rest is a sidecar's next to the baseline of `shop/cart`. */
export type ContextWish = Partial<
  Pick<ExchangeContext, "mode" | "sandbox" | "entries" | "instance" | "limits" | "underscoreFields">
> & { readonly carriers?: string; readonly trusts?: readonly string[] };

/** A context without a listener; the time stands at 784111777000 (the RFC's example of a date). */
export function exchangeContext(wish: ContextWish = {}): ExchangeContext {
  const limits = wish.limits ?? DEFAULT_LIMITS;
  const { instance = "cart-1", mode = "inbound", sandbox = null } = wish;
  const table = parseTable({ revision: 1, routes: {}, known: [] }, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  const ticker = new Ticker(() => 0);
  ticker.stop();
  return {
    workload: "shop/cart",
    instance,
    way: new Way({ workload: "shop/cart", instance, mode, sandbox }),
    mode,
    sandbox,
    probePaths: [],
    upstream: "127.0.0.1:1",
    appendsForwardedFor: false,
    table: workloadTable(table.value, "shop/cart"),
    isDraining: false,
    overload: "none",
    ambiguousTags: 0,
    carriers: carrierSet(carriers(wish.carriers), [HOP_MEMBER, RUN_MEMBER]),
    trustTagsFrom: networks(wish.trusts ?? LOOPBACK_AND_PRIVATE),
    entries: wish.entries ?? ["host", "cookie", "header"],
    underscoreFields: wish.underscoreFields ?? "forward",
    limits,
    clock: { nowMs: () => 0, epochMs: () => 784_111_777_000 },
    ticker,
    pool: new UpstreamPool(limits, ticker, throwAgain),
    choice: new EndpointChoice(limits.endpointSkipMs),
    sinks: [],
    onBug: throwAgain,
    onLateFault: () => {},
    outbound: null,
    affinity: null,
  };
}

function carriers(text: string | undefined): readonly Carrier[] {
  if (text === undefined) return DEFAULT_CARRIERS;
  const parsed = parseCarriers(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function networks(cidrs: readonly string[]): Networks {
  const parsed = parseNetworks(cidrs);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

/** A caller's side with a head and nothing behind it. */
export class FakeDownstream implements DownstreamStream {
  readonly head: RequestHead;
  readonly address: string;
  readonly intendedAddress = null;
  readonly baseline = "127.0.0.1:1";
  readonly protocol = "http/1.1";
  readonly requestEdit = new HeadEdit(200);
  readonly responseEdit = new HeadEdit(200);

  constructor(head: RequestHead, address = "127.0.0.1") {
    this.head = head;
    this.address = address;
  }

  pauseRequest(): void {}
  resumeRequest(): void {}
  sendInterim(): void {}
  sendHead(): void {}
  sendBody(): void {}
  closeAfterResponse(): void {}

  takeBack(): boolean {
    return false;
  }

  abort(): void {}

  sendEnd(): Flow {
    return FLOW.FLUSHED;
  }

  flush(): Flow {
    return FLOW.FLUSHED;
  }

  openTunnel(): TunnelEnd {
    throw new Error("nothing is behind this caller");
  }
}
