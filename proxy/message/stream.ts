import type { FaultCode } from "../fault.ts";
import type { Trailers } from "./field-list.ts";
import type { RequestHead, ResponseHead } from "./head.ts";
import type { HeadEdit } from "./head-edit.ts";

/**
 * The two sides of an exchange, as it sees them: no protocol version, no socket.
 *
 * Downstream calls the exchange through RequestListener and is called through DownstreamStream;
 * upstream through ResponseListener and UpstreamStream. All calls are synchronous. Bytes that are
 * passed belong to the callee only during the call, unless what it returns says that it holds them.
 */

/** What became of bytes that were passed on. */
export const FLOW = {
  /** Nobody refers to them any more, the kernel has them or a copy waits: their buffer may be used again. */
  FLUSHED: 0,
  /** They are still referred to: their buffer must not be written to again. */
  HELD: 1,
  /** Like HELD, and more than the limit waits: stop until told. */
  BLOCKED: 2,
} as const;
export type Flow = (typeof FLOW)[keyof typeof FLOW];

/** Where a connection was meant to go before the kernel redirected it to us. */
export interface IntendedAddress {
  /** An IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
}

/** One exchange's half of the downstream connection. */
export interface DownstreamStream {
  readonly head: RequestHead;
  /** IP address of who connected. */
  readonly address: string;
  /** Null where the connection was not intercepted. */
  readonly intendedAddress: IntendedAddress | null;
  /** `host:port` of the baseline of its requests: that of the proxy, or as the caller dialled. */
  readonly baseline: string;
  readonly protocol: "http/1.1" | "h2";
  /** Scratch for the changes of the head on its way up, and of the response's on its way down. */
  readonly requestEdit: HeadEdit;
  readonly responseEdit: HeadEdit;
  pauseRequest(): void;
  resumeRequest(): void;
  /** Sends a 1xx response other than 101; nothing to a caller that cannot take it. */
  sendInterim(head: ResponseHead, edit: HeadEdit): void;
  sendHead(head: ResponseHead, edit: HeadEdit): void;
  sendBody(bytes: Buffer): void;
  /** Ends the response and hands it to the kernel. Nothing may be sent after it. */
  sendEnd(trailers: Trailers | null): Flow;
  /** The connection must not carry another exchange: say so in the head that comes. */
  closeAfterResponse(): void;
  /** Hands what was sent to the kernel; to be called after each batch. */
  flush(): Flow;
  /** Takes back the response's head and what was sent behind it; false if the caller may have a byte of it. */
  takeBack(): boolean;
  /** Cuts the exchange off, so that the response cannot look complete. */
  abort(): void;
  /** Sends the 101 response and gives up the connection for opaque bytes. */
  openTunnel(head: ResponseHead, edit: HeadEdit): TunnelEnd;
}

/** What a downstream connection tells the exchange. */
export interface RequestListener {
  /**
   * The bytes are the exchange's to keep while it says `keepsBody`. Otherwise they may be used
   * again: see onRequestBatch.
   */
  onRequestBody(bytes: Buffer): void;
  onRequestEnd(trailers: Trailers | null): void;
  readonly keepsBody: boolean;
  /** All of one read was told. The answer says what became of its bytes. */
  onRequestBatch(): Flow;
  /** After flush() said BLOCKED: go on. */
  onDownstreamFlowing(): void;
  /** The request cannot be read on, or has taken too long: `downstream-closed`, `body-malformed`, a timeout. */
  onDownstreamFault(code: FaultCode): void;
  /** As ResponseListener has it. */
  abandon(): void;
}

/** One exchange's half of an upstream connection. */
export interface UpstreamStream {
  /** Whether the connection had carried another exchange before. */
  readonly isReused: boolean;
  /** Whether any byte of the response has arrived. */
  readonly hasResponseBytes: boolean;
  sendHead(head: RequestHead, edit: HeadEdit): void;
  sendBody(bytes: Buffer): void;
  sendEnd(trailers: Trailers | null): void;
  flush(): Flow;
  pauseResponse(): void;
  resumeResponse(): void;
  /** Gives the connection up; nothing more is heard of it. */
  abort(): void;
  /** After onSwitchingHead: the connection for opaque bytes. */
  openTunnel(): TunnelEnd;
}

/** What an upstream connection tells the exchange. */
export interface ResponseListener {
  onInterimHead(head: ResponseHead): void;
  /** A 101 response: the upstream agreed to leave HTTP. */
  onSwitchingHead(head: ResponseHead): void;
  onResponseHead(head: ResponseHead): void;
  /** Bytes of a buffer that may be used again: see onResponseBatch. */
  onResponseBody(bytes: Buffer): void;
  /** All of one read was told. The answer says what became of its bytes. */
  onResponseBatch(): Flow;
  /** The response is over, the stream must not be used any more. Answers like onResponseBatch. */
  onResponseEnd(trailers: Trailers | null): Flow;
  /** After flush() said BLOCKED: go on. */
  onUpstreamFlowing(): void;
  /** The exchange cannot be completed; the connection is gone. */
  onUpstreamFault(code: FaultCode): void;
  /** A bug of ours broke it off: nothing of the exchange may be relied on. */
  abandon(): void;
}

/** One end of a tunnel: opaque bytes both ways, each direction closed by itself. */
export interface TunnelEnd {
  /** Where the end delivers what it reads; set once, before resume(). */
  listen(listener: TunnelListener): void;
  write(bytes: Buffer): Flow;
  /** Closes the direction towards this end. */
  end(): void;
  pause(): void;
  resume(): void;
  /** Closes both directions at once. */
  abort(): void;
}

/** What a tunnel end tells the tunnel. */
export interface TunnelListener {
  /** Bytes of a buffer that may be used again unless the answer says HELD or BLOCKED. */
  onBytes(bytes: Buffer): Flow;
  onEnd(): void;
  onFlowing(): void;
  /** The end is gone, both directions. */
  onClose(): void;
}
