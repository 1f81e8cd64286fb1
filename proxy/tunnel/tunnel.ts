import type { Ticker, Ticking } from "../../core/ticker.ts";
import type { Limits } from "../limits.ts";
import type { Flow, TunnelEnd, TunnelListener } from "../message/stream.ts";
import { FLOW } from "../message/stream.ts";

/** Who caused the end of a tunnel. */
type Side = "downstream" | "upstream" | "proxy";

/**
 * Passes opaque bytes both ways between two ends, each direction closed by itself.
 *
 * Before: exchange/exchange.ts, after a 101 response. After: the sockets.
 * Invariants: a slow reader stops the writer on the other side, nothing is held here; what an end
 * sent before it closed in order arrives; both ends are closed for certain, if only by time.
 */
export class Tunnel implements Ticking {
  readonly #downstream: TunnelEnd;
  readonly #upstream: TunnelEnd;
  readonly #ticker: Ticker;
  readonly #limits: Limits;
  readonly #onOver: (tunnel: Tunnel) => void;
  #endedDirections = 0;
  #closedEnds = 0;
  #isOver = false;
  #deadlineAtMs: number;
  /** Bytes in each direction. */
  bytesUp = 0;
  bytesDown = 0;
  /** Who ended first; null while both are there. */
  closedBy: Side | null = null;

  /** Starts at once. `onOver` is called once, when both directions have ended or one end is gone. */
  constructor(
    downstream: TunnelEnd,
    upstream: TunnelEnd,
    ticker: Ticker,
    limits: Limits,
    onOver: (tunnel: Tunnel) => void,
  ) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#ticker = ticker;
    this.#limits = limits;
    this.#onOver = onOver;
    this.#deadlineAtMs = ticker.nowMs + limits.tunnelIdleMs;
    ticker.add(this);
    downstream.listen(this.#direction("downstream", downstream, upstream));
    upstream.listen(this.#direction("upstream", upstream, downstream));
    upstream.resume();
    downstream.resume();
  }

  tick(nowMs: number): void {
    if (nowMs >= this.#deadlineAtMs) this.#cutOff("proxy");
  }

  /** Bytes from one end to the other. */
  #direction(from: "downstream" | "upstream", source: TunnelEnd, sink: TunnelEnd): TunnelListener {
    let hasEnded = false;
    return {
      onBytes: (bytes: Buffer): Flow => {
        if (this.#isOver) return FLOW.FLUSHED;
        this.#deadlineAtMs = this.#ticker.nowMs + this.#limits.tunnelIdleMs;
        if (from === "downstream") this.bytesUp += bytes.length;
        else this.bytesDown += bytes.length;
        const flow = sink.write(bytes);
        if (flow === FLOW.BLOCKED) source.pause();
        return flow;
      },
      onEnd: () => {
        hasEnded = true;
        this.closedBy ??= from;
        sink.end();
        if (++this.#endedDirections === 2) this.#letGo(from);
      },
      // The end that was blocked takes bytes again: those come from the other end.
      onFlowing: () => sink.resume(),
      onClose: () => {
        this.#closedEnds++;
        // All that it sent was passed on: it may still be on its way to the other end.
        if (hasEnded) this.#letGo(from);
        else this.#cutOff(from);
      },
    };
  }

  /** Nothing more will come; what is on its way has some time to arrive. */
  #letGo(by: Side): void {
    if (!this.#isOver) this.#deadlineAtMs = this.#ticker.nowMs + this.#limits.bodyIdleMs;
    // The other end may have been paused: its own end would not be noticed.
    this.#downstream.resume();
    this.#upstream.resume();
    if (this.#closedEnds === 2) this.#ticker.delete(this);
    this.#finish(by);
  }

  #cutOff(by: Side): void {
    this.#ticker.delete(this);
    // First: whoever is told afterwards may fail.
    this.#downstream.abort();
    this.#upstream.abort();
    this.#finish(by);
  }

  #finish(by: Side): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.closedBy ??= by;
    this.#onOver(this);
  }
}
