import type { BreakClass } from "./evidence.ts";

/** One row: what was seen, and what to do. */
interface ClassRow {
  readonly seen: string;
  readonly fix: string;
}

/** THE TABLE of causes. `{from}` and `{to}` stand for the services. */
const CLASSES: Readonly<Record<BreakClass, ClassRow>> = {
  "baggage-propagator-missing": {
    seen: "{from} got tag and trace id; {to} got the same trace id without baggage",
    fix: "forward `baggage` in {from}'s outgoing calls, as the trace headers are (OTEL_PROPAGATORS=tracecontext,baggage)",
  },
  "headers-not-forwarded": {
    seen: "{from} got the tag; {to} was called at the same time with neither baggage nor the trace id",
    fix: "pass the incoming `baggage` and `traceparent` on with {from}'s outgoing calls",
  },
  "baggage-overwritten": {
    seen: "{from} got the tag; {to} got baggage that {from} made itself",
    fix: "add to the incoming `baggage` in {from}, do not replace it (one known cause: an SDK that sends only its own members)",
  },
  "tag-truncated": {
    seen: "{from} got the whole tag; {to} got baggage that was cut off",
    fix: "let {from} pass `baggage` of at least 8,192 bytes (W3C), or whole members only",
  },
  "correlation-context": {
    seen: "{from} got the tag as baggage; {to} got it as `correlation-context`",
    fix: "run {from} on .NET 10, or set its DistributedContextPropagator to W3C; until then give the proxies preset:correlation-context as a further carrier",
  },
  "tag-unreadable": {
    seen: "{from} got a tag that can be read; {to} got one that cannot",
    fix: "let {from} pass `baggage` on byte for byte",
  },
  "percent-decoded": {
    seen: "{from} got percent-encoded members; {to} got them decoded",
    fix: "let {from} pass `baggage` on as it came, or encode each value again after decoding it",
  },
  "tag-duplicated": {
    seen: "{from} got one tag; {to} got two that differ",
    fix: "let {from} replace the member it changes, and not add another of the same name",
  },
  "async-boundary": {
    seen: "{from} had answered when {to} was called for the same trace, without the tag",
    fix: "carry `baggage` in the message or job that {from} hands over, and restore it where the work is done",
  },
};

/** What to do in a client library, where it is known: by how its `user-agent` begins. */
const CLIENTS: readonly (readonly [RegExp, string])[] = [
  [/^axios\//i, "axios forwards nothing by itself: set the header in a request interceptor"],
  [
    /^(?:node|undici|node-fetch)\b/i,
    "fetch forwards nothing by itself: set the header on each call",
  ],
  [/^python-(?:requests|urllib3|httpx)\//i, "give the session or the call the header"],
  [/^okhttp\//i, "add an okhttp Interceptor that sets the header"],
  [/^(?:Apache-HttpClient|Java)\//i, "add a request interceptor that sets the header"],
  [/^Go-http-client\//i, "wrap the Transport, and pass the request's context to the call"],
  [/^(?:grpc|.*grpc-)/i, "add a client interceptor that copies the metadata"],
  [/^Ruby|^Faraday/i, "add a middleware that sets the header"],
];

/** What was seen, for people. */
export function describe(breakClass: BreakClass, from: string, to: string): string {
  return filled(CLASSES[breakClass].seen, from, to);
}

/** What to do about it; of the client library too, where one is known. */
export function fixFor(
  breakClass: BreakClass,
  from: string,
  to: string,
  client: string | null,
): string {
  const fix = filled(CLASSES[breakClass].fix, from, to);
  const isForwarding =
    breakClass === "baggage-propagator-missing" || breakClass === "headers-not-forwarded";
  const hint = isForwarding ? CLIENTS.find(([form]) => form.test(client ?? ""))?.[1] : undefined;
  return hint === undefined ? fix : `${fix}; ${hint}`;
}

function filled(text: string, from: string, to: string): string {
  return text.replaceAll("{from}", from).replaceAll("{to}", to);
}
