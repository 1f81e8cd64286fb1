import { describe, expect, test } from "vitest";
import { Ticker } from "../../core/ticker.ts";
import { DEFAULT_LIMITS } from "../limits.ts";
import { FLOW, type Flow, type TunnelEnd, type TunnelListener } from "../message/stream.ts";
import { Tunnel } from "./tunnel.ts";

/** An end that writes down what it is told; the test speaks for its peer. */
class FakeEnd implements TunnelEnd {
  readonly calls: string[] = [];
  #listener: TunnelListener | null = null;
  /** What becomes of bytes written to it. */
  flow: Flow = FLOW.FLUSHED;

  get peer(): TunnelListener {
    if (this.#listener === null) throw new Error("nobody listens");
    return this.#listener;
  }

  listen(listener: TunnelListener): void {
    this.#listener = listener;
  }

  write(bytes: Buffer): Flow {
    this.calls.push(bytes.toString());
    return this.flow;
  }

  end(): void {
    this.calls.push("end");
  }

  pause(): void {
    this.calls.push("pause");
  }

  resume(): void {
    this.calls.push("resume");
  }

  abort(): void {
    this.calls.push("abort");
  }

  /** What it was told since the last look. */
  taken(): readonly string[] {
    return this.calls.splice(0);
  }
}

const LIMITS = { ...DEFAULT_LIMITS, tunnelIdleMs: 1_000, bodyIdleMs: 100 };

function open() {
  let nowMs = 0;
  const ticker = new Ticker(() => nowMs);
  const downstream = new FakeEnd();
  const upstream = new FakeEnd();
  const over: Tunnel[] = [];
  const tunnel = new Tunnel(downstream, upstream, ticker, LIMITS, (it) => over.push(it));
  const passMs = (ms: number): void => {
    nowMs += ms;
    ticker.tick();
  };
  expect([downstream.taken(), upstream.taken()]).toEqual([["resume"], ["resume"]]);
  return { ticker, downstream, upstream, over, tunnel, passMs };
}

describe("a tunnel", () => {
  test("passes bytes both ways, and says what became of them", () => {
    const { downstream, upstream, tunnel } = open();
    upstream.flow = FLOW.HELD;
    expect(downstream.peer.onBytes(Buffer.from("up"))).toBe(FLOW.HELD);
    expect(upstream.peer.onBytes(Buffer.from("down!"))).toBe(FLOW.FLUSHED);
    expect([upstream.taken(), downstream.taken()]).toEqual([["up"], ["down!"]]);
    expect([tunnel.bytesUp, tunnel.bytesDown]).toEqual([2, 5]);
  });

  test("stops the writer while the reader on the other side takes nothing", () => {
    const { downstream, upstream } = open();
    downstream.flow = FLOW.BLOCKED;
    expect(upstream.peer.onBytes(Buffer.from("x"))).toBe(FLOW.BLOCKED);
    expect([upstream.taken(), downstream.taken()]).toEqual([["pause"], ["x"]]);
    downstream.peer.onFlowing();
    expect([upstream.taken(), downstream.taken()]).toEqual([["resume"], []]);
  });

  test("ends each direction by itself, and is over after both", () => {
    const { downstream, upstream, over, tunnel, ticker } = open();
    downstream.peer.onEnd();
    expect([upstream.taken(), over.length]).toEqual([["end"], 0]);
    upstream.peer.onBytes(Buffer.from("late"));
    expect(downstream.taken()).toEqual(["late"]);
    upstream.peer.onEnd();
    expect(downstream.taken()[0]).toBe("end");
    expect([over, tunnel.closedBy]).toEqual([[tunnel], "downstream"]);
    downstream.peer.onClose();
    upstream.peer.onClose();
    expect([downstream.taken(), upstream.taken()].flat()).not.toContain("abort");
    expect([over.length, ticker.size]).toEqual([1, 0]);
  });

  test("is cut off where an end is gone in the middle", () => {
    const { downstream, upstream, over, tunnel, ticker } = open();
    upstream.peer.onClose();
    expect([downstream.taken(), over.length, tunnel.closedBy]).toEqual([["abort"], 1, "upstream"]);
    downstream.peer.onClose();
    expect([over.length, ticker.size]).toEqual([1, 0]);
  });

  test("does not destroy what an end sent before it closed in order", () => {
    const { downstream, upstream, over, ticker } = open();
    upstream.peer.onBytes(Buffer.from("bye"));
    upstream.peer.onEnd();
    upstream.peer.onClose();
    expect(downstream.taken()).toEqual(["bye", "end", "resume"]);
    expect([over.length, ticker.size]).toEqual([1, 1]);
    expect(downstream.peer.onBytes(Buffer.from("to nobody"))).toBe(FLOW.FLUSHED);
    downstream.peer.onEnd();
    downstream.peer.onClose();
    expect([over.length, ticker.size]).toEqual([1, 0]);
  });

  test("waits for a reader that never comes no longer than bodyIdleMs", () => {
    const { downstream, upstream, over, passMs, ticker } = open();
    upstream.peer.onEnd();
    downstream.peer.onEnd();
    upstream.peer.onClose();
    passMs(LIMITS.bodyIdleMs - 1);
    expect(downstream.taken()).not.toContain("abort");
    passMs(1);
    expect(downstream.taken()).toContain("abort");
    expect([over.length, ticker.size]).toEqual([1, 0]);
  });

  test("without a byte in either direction is closed after tunnelIdleMs", () => {
    const { downstream, upstream, over, tunnel, passMs, ticker } = open();
    passMs(LIMITS.tunnelIdleMs - 1);
    upstream.peer.onBytes(Buffer.from("x"));
    passMs(LIMITS.tunnelIdleMs - 1);
    expect(over).toEqual([]);
    passMs(1);
    expect([over.length, tunnel.closedBy]).toEqual([1, "proxy"]);
    expect([downstream.taken(), upstream.taken()]).toEqual([["x", "abort"], ["abort"]]);
    expect(ticker.size).toBe(0);
  });
});
