/**
 * Every limit of the data plane: name, default, reason. Each has a test that reaches it.
 *
 * Where the number is another proxy's default, conformance of behaviour is the reason: what passes
 * there has to pass here.
 */
export interface Limits {
  /** Request or response head in bytes, start line included: 60 KiB as Envoy; fits 8 KiB baggage and cookies. */
  readonly headBytesMax: number;
  /** Request line in bytes, line end included: 16 KiB as HAProxy. */
  readonly requestLineBytesMax: number;
  /** Fields of one head: 100 as Envoy and hyper. */
  readonly headFieldsMax: number;
  /** Interim (1xx) responses before the final one. */
  readonly interimResponsesMax: number;
  /** Extension bytes of one chunk, and of all chunks of one message. */
  readonly chunkExtensionBytesMax: number;
  readonly chunkExtensionsBytesMax: number;
  /** Trailer section: bytes and fields. */
  readonly trailerBytesMax: number;
  readonly trailerFieldsMax: number;
  /** Bytes held in one direction before reading pauses. */
  readonly bufferedBytesMax: number;
  /** Unread request body swallowed after an early response before the connection is closed, and for how long. */
  readonly drainedBodyBytesMax: number;
  readonly drainedBodyMs: number;
  /** Request body kept so that it can be sent once more. */
  readonly replayBodyBytesMax: number;
  /** From the first byte of a head to its end, of a request as of a response. */
  readonly headTimeoutMs: number;
  /** No byte of a body in either direction. */
  readonly bodyIdleMs: number;
  /** Downstream keep-alive: long, so that the caller is the one who closes. */
  readonly downstreamIdleMs: number;
  /** Upstream keep-alive: below the 5 s after which many services close. */
  readonly upstreamIdleMs: number;
  /** Idle time after which a connection is not trusted with a request that cannot be repeated. */
  readonly upstreamFreshMs: number;
  /** To the service next to the proxy, and to anything else. */
  readonly connectLocalMs: number;
  readonly connectMs: number;
  /** From the request's end to the response's head; 0 is no limit: a transparent proxy adds none. */
  readonly responseMs: number;
  /** From the request's head to the end of the response; 0 is no limit: it would break what streams. */
  readonly exchangeMs: number;
  /**
   * A connection without a byte for so long is probed by the kernel (RFC 1122 section 4.2.3.6), each
   * second, ten times; whole seconds. A peer that is slow answers, one that has vanished does not.
   */
  readonly peerProbeMs: number;
  /** Upgraded connection without a byte in either direction. */
  readonly tunnelIdleMs: number;
  /** 10,000 as Envoy's edge; at most half of the files that the process may open (open-files.ts). */
  readonly downstreamConnectionsMax: number;
  /** For one upstream address: connections, and requests that wait for one. */
  readonly upstreamConnectionsMax: number;
  readonly upstreamWaitingMax: number;
  /** How long a request waits for a connection: a queue that is not served must not hold callers. */
  readonly upstreamWaitMs: number;
  /** How long a fork endpoint that refused is passed over while there are others. */
  readonly endpointSkipMs: number;
  /** Size of one read from a socket that the proxy opened. */
  readonly readBufferBytes: number;
  /** Memory in use, of the heap's or the container's limit, past which connections close, or are refused. */
  readonly memoryClosePercent: number;
  readonly memoryRefusePercent: number;
  /** Until a redirected call that says nothing is connected: its other side may speak first. */
  readonly detectMs: number;
  /** To where an untouched call was dialled, which may be far away: as long as callers wait. */
  readonly passConnectMs: number;
  /** Trace ids whose tag is remembered for calls that lost it, and for how long: some MB, some calls. */
  readonly affinityTracesMax: number;
  readonly affinityTtlMs: number;
  /** On a stop: how long new connections are still taken, and the deadline for all: below the 30 s of Kubernetes. */
  readonly drainAcceptMs: number;
  readonly drainMs: number;
  /**
   * The same deadline for a process that another one has replaced: nobody waits for its end, and idle
   * connections are seldom kept longer, so that all hear of it before they are closed.
   */
  readonly retireMs: number;
}

export const DEFAULT_LIMITS: Limits = {
  headBytesMax: 60 * 1024,
  requestLineBytesMax: 16 * 1024,
  headFieldsMax: 100,
  interimResponsesMax: 16,
  chunkExtensionBytesMax: 256,
  chunkExtensionsBytesMax: 16 * 1024,
  trailerBytesMax: 8 * 1024,
  trailerFieldsMax: 32,
  bufferedBytesMax: 64 * 1024,
  drainedBodyBytesMax: 64 * 1024,
  drainedBodyMs: 1_000,
  replayBodyBytesMax: 64 * 1024,
  headTimeoutMs: 10_000,
  bodyIdleMs: 5 * 60_000,
  downstreamIdleMs: 60 * 60_000,
  upstreamIdleMs: 3_000,
  upstreamFreshMs: 1_000,
  connectLocalMs: 300,
  connectMs: 1_000,
  responseMs: 0,
  exchangeMs: 0,
  peerProbeMs: 15_000,
  tunnelIdleMs: 60 * 60_000,
  downstreamConnectionsMax: 10_000,
  upstreamConnectionsMax: 1_024,
  upstreamWaitingMax: 1_024,
  upstreamWaitMs: 5_000,
  endpointSkipMs: 1_000,
  readBufferBytes: 64 * 1024,
  memoryClosePercent: 92,
  memoryRefusePercent: 95,
  detectMs: 500,
  passConnectMs: 30_000,
  affinityTracesMax: 10_000,
  affinityTtlMs: 30_000,
  drainAcceptMs: 5_000,
  drainMs: 25_000,
  retireMs: 10 * 60_000,
};
