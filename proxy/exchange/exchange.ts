import type { FaultCode } from "../fault.ts";
import { FAULTS } from "../fault.ts";
import { allConnectionOptions, connectionOptions } from "../message/connection-options.ts";
import { type FieldList, hasAny, knownValue, type Trailers } from "../message/field-list.ts";
import { BODY_UNSIZED, type ResponseHead } from "../message/head.ts";
import { FIELD } from "../message/known-field.ts";
import {
  type DownstreamStream,
  FLOW,
  type Flow,
  type RequestListener,
  type ResponseListener,
  type UpstreamStream,
} from "../message/stream.ts";
import type { BaggageLine } from "../routing/baggage-line.ts";
import { decide, decideAtFork, forkDown, LOOP } from "../routing/decide.ts";
import type { Decision } from "../routing/decision.ts";
import { type HopMark, readHopMark } from "../routing/hop-mark.ts";
import type { WorkloadTable } from "../routing/table.ts";
import { NO_TAG, type Tag } from "../routing/tag.ts";
import { Tunnel } from "../tunnel/tunnel.ts";
import type { UpstreamConnection, UpstreamWaiter } from "../upstream/pool.ts";
import type { ExchangeContext } from "./context.ts";
import { editResponseHead } from "./decorated-head.ts";
import { appendForwardedFor } from "./forwarded-for.ts";
import { forwardRequestHead } from "./forwarded-head.ts";
import { forwardRequestTrailers, forwardResponseTrailers } from "./forwarded-trailers.ts";
import { markHop } from "./hop.ts";
import { identify, trustedBaggage } from "./identify.ts";
import { countForward } from "./max-forwards.ts";
import { type Callee, calleeOf, identifyCall } from "./outbound-call.ts";
import { NO_HOP, type PlacedHop } from "./placed-hop.ts";
import type { FinishedExchange } from "./record.ts";
import { RequestBody } from "./request-body.ts";
import { answer } from "./respond.ts";
import { applyUnderscoreRule } from "./underscore-fields.ts";
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
  /** Whom a call of the service is for; null where the exchange comes in to it. */
  readonly #callee: Callee | null;
  readonly #table: WorkloadTable;
  /** Where it goes without a fork; null where that is not known. */
  readonly #baseline: string | null;
  #state: "deciding" | "connecting" | "relaying" | "tunnel" | "over" = "deciding";
  #upstream: UpstreamStream | null = null;
  #tag: Tag = NO_TAG;
  #hop: PlacedHop = NO_HOP;
  #isBeginning = true;
  #isUpgrade = false;
  #wasSent = false;
  #responseBegun = false;
  /** The response has come in one read so far, so it begins and ends at one time. */
  #isOneRead = false;
  #startEpochMs = 0;
  #triedEndpoints: string[] = NONE_TRIED;
  /** What Connection says of a response that may have trailers. */
  #responseOptions: readonly string[] = NO_FIELDS;

  decision: Decision;
  readonly revision: string;
  readonly startedAtMs: number;
  firstByteAtMs = 0;
  endedAtMs = 0;
  endpoint: string | null = null;
  status = 0;
  responseBytes = 0;
  attempt = 1;
  fault: FaultCode | null = null;
  closedBy: "downstream" | "upstream" | "proxy" | null = null;
  healed: "sandbox" | "affinity" | null = null;

  constructor(context: ExchangeContext, downstream: DownstreamStream) {
    this.#context = context;
    this.#downstream = downstream;
    const { outbound, limits } = context;
    this.#body = new RequestBody(limits.replayBodyBytesMax, downstream.head.bodyBytes);
    this.#callee = outbound === null ? null : calleeOf(outbound, downstream);
    this.#table = this.#callee === null ? context.table : this.#callee.table;
    this.#baseline = this.#callee === null ? downstream.baseline : this.#callee.baseline;
    this.revision = this.#table.revision;
    this.decision = decide(this.#table, NO_TAG);
    this.startedAtMs = context.clock.nowMs();
  }

  /** Takes the request from its head to an upstream, or answers it. */
  begin(): void {
    const { head, requestEdit } = this.#downstream;
    const { fields } = head;
    if (this.#context.overload === "refuses") {
      this.#answerAndClose("overloaded");
      return;
    }
    const baggage = trustedBaggage(this.#context, this.#downstream);
    const cause = this.#identify(baggage);
    if (this.#tag.ambiguous) this.#context.ambiguousTags++;
    this.decision = this.#decide();
    const { workload } = this.#table;
    this.#hop = markHop(this.#context, workload, this.#tag, fields, requestEdit, baggage, cause);
    // Of what comes in only: a call that goes out would hide which hop causes the next ones.
    if (this.#context.affinity !== null && this.#callee === null) {
      if (this.#hop === NO_HOP) this.#context.affinity.meetUntagged(fields);
      else this.#context.affinity.learn(fields, this.#tag, this.#hop);
    }
    this.#isUpgrade = wantsUpgrade(head);
    if (this.#context.appendsForwardedFor) {
      appendForwardedFor(fields, requestEdit, this.#downstream.address);
    }
    const fault =
      forwardRequestHead(
        head,
        requestEdit,
        this.#isUpgrade,
        this.#baseline ?? "",
        this.#context.carriers.otherNames,
      ) ??
      countForward(head, requestEdit) ??
      applyUnderscoreRule(this.#context.underscoreFields, fields, requestEdit);
    if (fault !== null) this.#answerAndClose(fault);
    else if (this.decision.outcome === "refused") this.#answer(this.decision.reason as FaultCode);
    else this.#connect(this.#nextEndpoint(), this.#isRepeatable() ? "any" : "recent");
    this.#isBeginning = false;
  }

  /** Answers a request whose head could not be read. */
  refuse(code: FaultCode): void {
    this.#answerAndClose(code);
  }

  /** Finds out whose request it is; answers what caused a call whose tag was given back. */
  #identify(baggage: BaggageLine | null): HopMark | null {
    const context = this.#context;
    const { requestEdit } = this.#downstream;
    if (context.outbound === null || this.#callee === null) {
      this.#tag = identify(context, this.#downstream, requestEdit, baggage);
      return null;
    }
    const call = identifyCall(
      context,
      context.outbound,
      this.#callee,
      this.#downstream,
      requestEdit,
      baggage,
    );
    this.#tag = call.tag;
    this.healed = call.healed;
    return call.mark;
  }

  #decide(): Decision {
    const context = this.#context;
    const { head } = this.#downstream;
    if (this.#tag.kind === "none") {
      const isForBaseline = context.sandbox === null || isProbe(context, head.target);
      if (isForBaseline) return decide(this.#table, NO_TAG);
    } else if (context.way.hasOwn(head.fields)) return LOOP;
    if (context.sandbox !== null) return decideAtFork(this.#table, this.#tag, context.sandbox);
    return decide(this.#table, this.#tag);
  }

  /** A fork's own proxy delivers to its own service, whatever the table says of endpoints. */
  #nextEndpoint(): string | null {
    const { route } = this.decision;
    if (this.decision.outcome !== "fork" || route === null || this.#context.sandbox !== null) {
      return this.#baseline;
    }
    return this.#context.choice.choose(route, this.#triedEndpoints, this.#context.ticker.nowMs);
  }

  #connect(endpoint: string | null, fresh: "any" | "recent" | "new"): void {
    if (endpoint === null) {
      if (this.decision.outcome === "fork") this.#forkIsDown();
      else this.#answer("destination-unknown");
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
    this.#tryOtherEndpoint();
  }

  /** This endpoint of the fork is as good as not there: others go first for a while. */
  #tryOtherEndpoint(): void {
    this.#triedEndpoints = [...this.#triedEndpoints, this.endpoint ?? ""];
    this.#context.choice.refused(this.endpoint ?? "", this.#context.ticker.nowMs);
    const hasTriesLeft = this.#triedEndpoints.length < ENDPOINT_TRIES_MAX;
    this.#connect(hasTriesLeft ? this.#nextEndpoint() : null, "new");
  }

  #goesToFork(): boolean {
    return this.decision.outcome === "fork" && this.#context.sandbox === null;
  }

  /** The policy of the sandbox applies: fail, or the baseline as long as nothing was sent. */
  #forkIsDown(): void {
    const decision = forkDown(this.decision);
    if (decision.outcome === "baseline" && !this.#wasSent) {
      this.decision = decision;
      this.#connect(this.#baseline, "new");
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

  onRequestEnd(received: Trailers | null): void {
    const trailers = received && this.#requestTrailers(received);
    this.#body.hasEnded = true;
    this.#body.trailers = trailers;
    this.#upstream?.sendEnd(trailers);
  }

  #requestTrailers(received: Trailers): Trailers | null {
    const { carriers, underscoreFields } = this.#context;
    const options = connectionOptions(this.fields);
    return forwardRequestTrailers(received, options, underscoreFields, carriers.otherNames);
  }

  /** Whether what comes of the body may have to be sent later, or once more. */
  get keepsBody(): boolean {
    return this.#upstream === null || this.#body.isReplayable;
  }

  onRequestBatch(): Flow {
    const flow = this.#upstream?.flush() ?? FLOW.FLUSHED;
    if (flow === FLOW.BLOCKED) this.#downstream.pauseRequest();
    return flow;
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
    if (this.#goesToFork() && head.status === 421 && isWrongFork(head.fields, this.#hop.hop)) {
      this.#leaveWrongFork();
      return;
    }
    this.#startResponse(head, false);
    this.#isOneRead = true;
    // Now, since the bytes of the head are written over by those of the body.
    if (head.bodyBytes === BODY_UNSIZED) this.#responseOptions = allConnectionOptions(head.fields);
    this.#downstream.sendHead(head, this.#downstream.responseEdit);
  }

  onResponseBody(bytes: Buffer): void {
    this.responseBytes += bytes.length;
    this.#downstream.sendBody(bytes);
  }

  onResponseBatch(): Flow {
    this.#isOneRead = false;
    const flow = this.#downstream.flush();
    if (flow === FLOW.BLOCKED) this.#upstream?.pauseResponse();
    return flow;
  }

  onResponseEnd(trailers: Trailers | null): Flow {
    this.#upstream = null;
    this.#finish();
    return this.#downstream.sendEnd(
      trailers && forwardResponseTrailers(trailers, this.#responseOptions),
    );
  }

  onUpstreamFault(code: FaultCode): void {
    const upstream = this.#upstream;
    this.#upstream = null;
    if (this.#state === "over") return;
    this.closedBy = "upstream";
    if (this.#responseBegun && !this.#takeBack()) this.#cutOff(code);
    else if (upstream !== null && this.#mayRepeat(code, upstream)) {
      this.attempt++;
      this.closedBy = null;
      this.#connect(this.endpoint, "new");
    } else this.#answer(code);
  }

  /** What is wrong with the response was in the read that began it: so it can still be told. */
  #takeBack(): boolean {
    if (!this.#downstream.takeBack()) return false;
    this.#responseBegun = false;
    this.#isOneRead = false;
    this.responseBytes = 0;
    return true;
  }

  /** RFC 9110 section 9.2.2: only what is idempotent, and only where nothing came back. */
  #mayRepeat(code: FaultCode, upstream: UpstreamStream): boolean {
    return (
      FAULTS[code].retry === "if-reused" &&
      upstream.isReused &&
      !upstream.hasResponseBytes &&
      this.attempt === 1 &&
      this.#isRepeatable()
    );
  }

  #isRepeatable(): boolean {
    return this.#body.isReplayable && isIdempotent(this.#downstream.head.method);
  }

  /** The address is another fork's by now: as good as nobody there. */
  #leaveWrongFork(): void {
    this.#upstream?.abort();
    this.#upstream = null;
    // It says that it did nothing with the request: so it may still go elsewhere, if it is kept;
    // to the baseline only if nobody else was handed it before.
    this.#wasSent = this.attempt > 1 || !this.#body.isReplayable;
    if (this.#body.isReplayable) this.#tryOtherEndpoint();
    else this.#forkIsDown();
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
    // So that the proxy which asked can tell this from a refusal that came from further down.
    const toHop = code === "wrong-fork" ? (readHopMark(this.fields)?.hop ?? null) : null;
    const { head, body } = answer(code, workload, this.method === "HEAD", NO_FIELDS, toHop);
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

  /** Both connections are closed. Nobody is told: what would be is not to be relied on. */
  abandon(): void {
    if (this.#state === "connecting") this.#context.pool.withdraw(this.endpoint ?? "", this);
    this.#state = "over";
    this.#upstream?.abort();
    this.#upstream = null;
    this.#downstream.abort();
  }

  /** Tells log, metrics and records, while the head can still be read. */
  #finish(): void {
    if (this.#state === "over") return;
    if (this.#state === "connecting") this.#context.pool.withdraw(this.endpoint ?? "", this);
    this.#state = "over";
    this.#body.letGo();
    this.endedAtMs = this.#isOneRead ? this.firstByteAtMs : this.#context.clock.nowMs();
    for (const sink of this.#context.sinks) sink.finished(this);
  }

  // --- what record.ts reads

  /** From its end back, so that only those who ask for it cost a look at that clock. */
  get startEpochMs(): number {
    if (this.#startEpochMs === 0) {
      const durationMs = this.endedAtMs - this.startedAtMs;
      this.#startEpochMs = Math.round(this.#context.clock.epochMs() - durationMs);
    }
    return this.#startEpochMs;
  }

  get mode(): "inbound" | "outbound" | "edge" {
    return this.#context.mode;
  }

  get workload(): string {
    return this.#table.workload;
  }

  get tagText(): string {
    return this.#tag.text;
  }

  get place(): PlacedHop {
    return this.#hop;
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

/**
 * The answer of a fork's own proxy to this very hop, which is not its sandbox's. A fork that passes on
 * what a service behind it answered did carry out its request.
 */
function isWrongFork(fields: FieldList, hop: string): boolean {
  if (!hasAny(fields, 1 << FIELD.FORKLANE_FAULT)) return false;
  const fault = knownValue(fields, FIELD.FORKLANE_FAULT) ?? "";
  return fault.startsWith("wrong-fork;") && fault.endsWith(`; hop=${hop}`);
}
