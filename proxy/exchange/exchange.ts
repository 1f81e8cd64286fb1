import type { FaultCode } from "../fault.ts";
import { FAULTS } from "../fault.ts";
import { type FieldList, hasAny, knownValue, type Trailers } from "../message/field-list.ts";
import type { ResponseHead } from "../message/head.ts";
import { FIELD } from "../message/known-field.ts";
import {
  type DownstreamStream,
  FLOW,
  type Flow,
  type RequestListener,
  type ResponseListener,
  type UpstreamStream,
} from "../message/stream.ts";
import { decide, decideAtFork, forkDown, LOOP } from "../routing/decide.ts";
import type { Decision } from "../routing/decision.ts";
import { NO_TAG, type Tag } from "../routing/tag.ts";
import { Tunnel } from "../tunnel/tunnel.ts";
import type { UpstreamConnection, UpstreamWaiter } from "../upstream/pool.ts";
import type { ExchangeContext } from "./context.ts";
import { editResponseHead } from "./decorated-head.ts";
import { forwardRequestHead } from "./forwarded-head.ts";
import { type Hop, isOwnMark, markHop, NO_HOP } from "./hop.ts";
import { identify } from "./identify.ts";
import type { FinishedExchange } from "./record.ts";
import { RequestBody } from "./request-body.ts";
import { answer } from "./respond.ts";
import { agreesToUpgrade, wantsUpgrade } from "./upgrade.ts";

/**
 * One request and its response: THE FUNCTION TO READ FIRST is `begin`, the steps in order.
 *
 * Before: downstream/http1-connection.ts. After: exchange/record.ts.
 * Invariants: no protocol version is known here; the decision is made once, on the table that is
 * current at the beginning; what was handed to a fork never goes to the baseline, unless the fork
 * could not be reached at all and its sandbox says so.
 * Hot path: a state and plain calls, no promise.
 */
export class Exchange
  implements RequestListener, ResponseListener, UpstreamWaiter, FinishedExchange
{
  readonly #context: ExchangeContext;
  readonly #downstream: DownstreamStream;
  readonly #body: RequestBody;
  #state: "deciding" | "connecting" | "relaying" | "tunnel" | "over" = "deciding";
  #upstream: UpstreamStream | null = null;
  #tag: Tag = NO_TAG;
  #hop: Hop = NO_HOP;
  #isBeginning = true;
  #isUpgrade = false;
  #wasSent = false;
  #responseBegun = false;
  #triedEndpoints: string[] = NONE_TRIED;

  decision: Decision;
  readonly revision: string;
  readonly startEpochMs: number;
  readonly startedAtMs: number;
  firstByteAtMs = 0;
  endedAtMs = 0;
  endpoint: string | null = null;
  status = 0;
  responseBytes = 0;
  attempt = 1;
  fault: FaultCode | null = null;
  closedBy: "downstream" | "upstream" | "proxy" | null = null;

  constructor(context: ExchangeContext, downstream: DownstreamStream) {
    this.#context = context;
    this.#downstream = downstream;
    this.#body = new RequestBody(context.limits.replayBodyBytesMax);
    this.revision = context.table.revision;
    this.decision = decide(context.table, NO_TAG);
    this.startEpochMs = context.clock.epochMs();
    this.startedAtMs = context.clock.nowMs();
  }

  /** Takes the request from its head to an upstream, or answers it. */
  begin(): void {
    const { head, requestEdit } = this.#downstream;
    this.#tag = identify(this.#context, this.#downstream, requestEdit);
    if (this.#tag.ambiguous) this.#context.ambiguousTags++;
    this.decision = this.#decide();
    this.#hop = markHop(this.#context, this.#tag, head.fields, requestEdit);
    this.#isUpgrade = wantsUpgrade(head);
    const fault = forwardRequestHead(
      head,
      requestEdit,
      this.#isUpgrade,
      this.#context.upstream,
      this.#context.carriers.otherNames,
    );
    if (fault !== null) this.#answerAndClose(fault);
    else if (this.decision.outcome === "refused") this.#answer(this.decision.reason as FaultCode);
    else this.#connect(this.#firstEndpoint(), isIdempotent(head.method) ? "any" : "recent");
    this.#isBeginning = false;
  }

  /** Answers a request whose head could not be read. */
  refuse(code: FaultCode): void {
    this.#answerAndClose(code);
  }

  #decide(): Decision {
    const context = this.#context;
    const { fields, target } = this.#downstream.head;
    if (this.#tag.kind === "none") {
      if (context.sandbox === null || isProbe(context, target))
        return decide(context.table, NO_TAG);
    } else if (isOwnMark(context, fields)) return LOOP;
    if (context.sandbox !== null) return decideAtFork(context.table, this.#tag, context.sandbox);
    return decide(context.table, this.#tag);
  }

  /** A fork's own proxy delivers to its own service, whatever the table says of endpoints. */
  #firstEndpoint(): string | null {
    const { route } = this.decision;
    if (this.decision.outcome !== "fork" || route === null || this.#context.sandbox !== null) {
      return this.#context.upstream;
    }
    return this.#context.choice.choose(route, this.#triedEndpoints, this.#context.ticker.nowMs);
  }

  #connect(endpoint: string | null, fresh: "any" | "recent" | "new"): void {
    if (endpoint === null) {
      this.#forkIsDown();
      return;
    }
    this.#state = "connecting";
    this.endpoint = endpoint;
    this.#context.pool.request(endpoint, fresh, this);
  }

  // --- what the pool says

  onUpstreamReady(connection: UpstreamConnection): void {
    if (this.#state !== "connecting") {
      this.#context.pool.giveBack(connection);
      return;
    }
    connection.begin(this);
    this.#upstream = connection;
    this.#state = "relaying";
    this.#wasSent = true;
    connection.sendHead(this.#downstream.head, this.#downstream.requestEdit);
    for (const piece of this.#body.pieces) connection.sendBody(piece);
    this.#body.letGoBeyondLimit();
    if (this.#body.hasEnded) connection.sendEnd(this.#body.trailers);
    if (!this.#isBeginning) {
      this.#downstream.resumeRequest();
      this.onRequestBatch();
    }
  }

  onUpstreamConnectFault(code: FaultCode): void {
    if (this.#state !== "connecting") return;
    if (!this.#goesToFork() || code === "pool-full") {
      this.#answer(code);
      return;
    }
    this.#triedEndpoints = [...this.#triedEndpoints, this.endpoint ?? ""];
    this.#context.choice.refused(this.endpoint ?? "", this.#context.ticker.nowMs);
    const hasTriesLeft = this.#triedEndpoints.length < ENDPOINT_TRIES_MAX;
    this.#connect(hasTriesLeft ? this.#firstEndpoint() : null, "new");
  }

  #goesToFork(): boolean {
    return this.decision.outcome === "fork" && this.#context.sandbox === null;
  }

  /** The policy of the sandbox applies: fail, or the baseline as long as nothing was sent. */
  #forkIsDown(): void {
    const decision = forkDown(this.decision);
    if (decision.outcome === "baseline" && !this.#wasSent) {
      this.decision = decision;
      this.#connect(this.#context.upstream, "new");
      return;
    }
    this.decision = { ...decision, outcome: "refused", status: FAULTS["fork-down"].status };
    this.#answer("fork-down");
  }

  // --- what the downstream connection says

  onRequestBody(bytes: Buffer): void {
    if (this.#state === "over") return;
    const isWaiting = this.#upstream === null;
    this.#body.add(bytes, isWaiting);
    if (!isWaiting) this.#upstream?.sendBody(bytes);
    else if (this.#body.keptBytes > this.#context.limits.bufferedBytesMax) {
      this.#downstream.pauseRequest();
    }
  }

  onRequestEnd(trailers: Trailers | null): void {
    this.#body.hasEnded = true;
    this.#body.trailers = trailers;
    this.#upstream?.sendEnd(trailers);
  }

  onRequestBatch(): void {
    if (this.#upstream?.flush() === FLOW.BLOCKED) this.#downstream.pauseRequest();
  }

  onDownstreamFlowing(): void {
    this.#upstream?.resumeResponse();
  }

  onDownstreamFault(code: FaultCode): void {
    if (this.#state === "over") return;
    if (code !== "downstream-closed" && !this.#responseBegun) {
      this.#answerAndClose(code);
      return;
    }
    this.#cutOff(code);
  }

  // --- what the upstream connection says

  onUpstreamFlowing(): void {
    this.#downstream.resumeRequest();
  }

  onInterimHead(head: ResponseHead): void {
    const edit = this.#downstream.responseEdit;
    edit.reset();
    editResponseHead(this.#context, this, head, edit, false);
    this.#downstream.sendInterim(head, edit);
  }

  onSwitchingHead(head: ResponseHead): void {
    const upstream = this.#upstream;
    if (upstream === null || !this.#isUpgrade || !agreesToUpgrade(head)) {
      upstream?.abort();
      this.onUpstreamFault("upstream-malformed");
      return;
    }
    this.#startResponse(head, true);
    this.#state = "tunnel";
    const downstreamEnd = this.#downstream.openTunnel(head, this.#downstream.responseEdit);
    const { ticker, limits } = this.#context;
    const upstreamEnd = upstream.openTunnel();
    this.#upstream = null;
    new Tunnel(downstreamEnd, upstreamEnd, ticker, limits, (tunnel) => {
      this.responseBytes = tunnel.bytesDown;
      this.#body.bytes = tunnel.bytesUp;
      this.closedBy = tunnel.closedBy;
      this.#finish();
    });
  }

  onResponseHead(head: ResponseHead): void {
    if (this.#goesToFork() && head.status === 421 && isWrongFork(head.fields)) {
      this.#leaveWrongFork();
      return;
    }
    this.#startResponse(head, false);
    this.#downstream.sendHead(head, this.#downstream.responseEdit);
  }

  onResponseBody(bytes: Buffer): void {
    this.responseBytes += bytes.length;
    this.#downstream.sendBody(bytes);
  }

  onResponseBatch(): Flow {
    const flow = this.#downstream.flush();
    if (flow === FLOW.BLOCKED) this.#upstream?.pauseResponse();
    return flow;
  }

  onResponseEnd(trailers: Trailers | null): Flow {
    this.#upstream = null;
    this.#finish();
    return this.#downstream.sendEnd(trailers);
  }

  onUpstreamFault(code: FaultCode): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#state === "over") return;
    this.closedBy = "upstream";
    if (this.#responseBegun) this.#cutOff(code);
    else if (upstream !== null && this.#mayRepeat(code, upstream)) {
      this.attempt++;
      this.closedBy = null;
      this.#connect(this.endpoint, "new");
    } else this.#answer(code);
  }

  /** RFC 9110 section 9.2.2: only what is idempotent, and only where nothing came back. */
  #mayRepeat(code: FaultCode, upstream: UpstreamStream): boolean {
    return (
      FAULTS[code].retry === "if-reused" &&
      upstream.isReused &&
      !upstream.hasResponseBytes &&
      this.attempt === 1 &&
      this.#body.isReplayable &&
      isIdempotent(this.#downstream.head.method)
    );
  }

  /** The address is another fork's by now: as good as nobody there. */
  #leaveWrongFork(): void {
    this.#upstream?.abort();
    this.#upstream = null;
    // It says that it did nothing with the request: so it may still go elsewhere, if it is kept,
    // and nobody else was handed it before.
    this.#wasSent = this.attempt > 1 || !this.#body.isReplayable;
    this.#forkIsDown();
  }

  // --- the end

  #startResponse(head: ResponseHead, isUpgrade: boolean): void {
    this.#responseBegun = true;
    this.status = head.status;
    this.firstByteAtMs = this.#context.clock.nowMs();
    const edit = this.#downstream.responseEdit;
    edit.reset();
    editResponseHead(this.#context, this, head, edit, isUpgrade);
  }

  #answerAndClose(code: FaultCode): void {
    this.#downstream.closeAfterResponse();
    this.#answer(code);
  }

  #answer(code: FaultCode): void {
    this.fault = code;
    this.#upstream?.abort();
    this.#upstream = null;
    const { workload } = this.#context;
    const { head, body } = answer(code, workload, this.method === "HEAD", NO_FIELDS);
    this.#startResponse(head, false);
    this.#downstream.sendHead(head, this.#downstream.responseEdit);
    if (head.hasBody) this.#downstream.sendBody(body);
    this.responseBytes = head.hasBody ? body.length : 0;
    this.#finish();
    this.#downstream.sendEnd(null);
  }

  #cutOff(code: FaultCode): void {
    this.fault = code;
    this.closedBy = FAULTS[code].source;
    this.#upstream?.abort();
    this.#upstream = null;
    this.#finish();
    this.#downstream.abort();
  }

  /** Tells log, metrics and records, while the head can still be read. */
  #finish(): void {
    if (this.#state === "over") return;
    if (this.#state === "connecting") this.#context.pool.withdraw(this.endpoint ?? "", this);
    this.#state = "over";
    this.#body.letGo();
    this.endedAtMs = this.#context.clock.nowMs();
    for (const sink of this.#context.sinks) sink.finished(this);
  }

  // --- what record.ts reads

  get tagText(): string {
    return this.#tag.text;
  }

  get root(): string {
    return this.#hop.root;
  }

  get hop(): string {
    return this.#hop.hop;
  }

  get parent(): string | null {
    return this.#hop.parent;
  }

  get isEntry(): boolean {
    return this.#hop.isEntry;
  }

  get fields(): FieldList {
    return this.#downstream.head.fields;
  }

  get method(): string {
    return this.#downstream.head.method;
  }

  get target(): string {
    return this.#downstream.head.target;
  }

  get protocol(): "http/1.1" | "h2" {
    return this.#downstream.protocol;
  }

  get downstreamAddress(): string {
    return this.#downstream.address;
  }

  get requestBytes(): number {
    return this.#body.bytes;
  }
}

/** Endpoints of a fork that one exchange tries. */
const ENDPOINT_TRIES_MAX = 3;
const NONE_TRIED: string[] = [];
const NO_FIELDS: readonly string[] = [];

/** RFC 9110 section 9.2.2. */
function isIdempotent(method: string): boolean {
  switch (method) {
    case "GET":
    case "HEAD":
    case "OPTIONS":
    case "TRACE":
    case "PUT":
    case "DELETE":
      return true;
    default:
      return false;
  }
}

function isProbe(context: ExchangeContext, target: string): boolean {
  if (context.probePaths.length === 0) return false;
  const query = target.indexOf("?");
  return context.probePaths.includes(query < 0 ? target : target.slice(0, query));
}

/** The answer of a fork's own proxy to a request that is not its sandbox's. */
function isWrongFork(fields: FieldList): boolean {
  if (!hasAny(fields, 1 << FIELD.FORKLANE_FAULT)) return false;
  return knownValue(fields, FIELD.FORKLANE_FAULT)?.startsWith("wrong-fork") === true;
}
