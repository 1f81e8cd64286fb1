import { err, ok, type Result } from "../../core/result.ts";

/**
 * Carriers: where on a request a tag is read from.
 *
 * Before: config.ts. After: routing/tag.ts.
 * Invariant: an ordered list; the first carrier that holds something decides.
 * Cold: read once, at the start.
 */
export type Carrier =
  | {
      readonly kind: "baggage";
      readonly member: string;
      /** The header with the grammar of baggage, lower case; `baggage` where absent. */
      readonly header?: string;
    }
  | { readonly kind: "tracestate"; readonly member: string }
  | { readonly kind: "header"; readonly name: string /* lower case */ };

/** The plain header that carries a tag by default. */
export const KEY_HEADER = "forklane-key";

/** The baggage member that carries a tag by default. */
export const TAG_MEMBER = "sandbox";

/** What a proxy reads where nobody said otherwise: `baggage: sandbox=...`, then `forklane-key`. */
export const DEFAULT_CARRIERS: readonly Carrier[] = [
  { kind: "baggage", member: TAG_MEMBER },
  { kind: "header", name: KEY_HEADER },
];

/** The carriers of other systems, so that services which pass them on need no change. */
export const PRESETS: Readonly<Record<string, readonly Carrier[]>> = {
  signadot: [
    { kind: "baggage", member: "sd-routing-key" },
    { kind: "baggage", member: "sd-sandbox" },
    { kind: "tracestate", member: "sd-routing-key" },
    { kind: "tracestate", member: "sd-sandbox" },
    { kind: "header", name: "ot-baggage-sd-routing-key" },
    { kind: "header", name: "ot-baggage-sd-sandbox" },
    { kind: "header", name: "uberctx-sd-routing-key" },
    { kind: "header", name: "uberctx-sd-sandbox" },
  ],
  okteto: [{ kind: "baggage", member: "okteto-divert" }],
  mirrord: [{ kind: "baggage", member: "mirrord-session" }],
  bridge: [{ kind: "header", name: "kubernetes-route-as" }],
  // .NET before 10 sends its baggage in this header (dotnet/runtime#45496).
  "correlation-context": [{ kind: "baggage", member: TAG_MEMBER, header: "correlation-context" }],
};

/** Most carriers of one proxy: each costs a look at the head of every request. */
export const CARRIERS_MAX = 32;

/** The header in which a carrier looks, lower case. */
export function carrierHeader(carrier: Carrier): string {
  if (carrier.kind === "header") return carrier.name;
  if (carrier.kind === "tracestate") return "tracestate";
  return carrier.header ?? "baggage";
}

/**
 * Reads a comma list such as `baggage:sandbox,header:forklane-key,preset:signadot`.
 *
 * Repeated carriers count once. The error names the wrong item and what is allowed.
 */
export function parseCarriers(text: string): Result<readonly Carrier[], string> {
  const carriers: Carrier[] = [];
  const seen = new Set<string>();
  for (const part of text.split(",")) {
    const item = parseItem(part.trim());
    if (!item.ok) return item;
    for (const carrier of item.value) {
      const identity = JSON.stringify(carrier);
      if (!seen.has(identity)) carriers.push(carrier);
      seen.add(identity);
    }
  }
  if (carriers.length > CARRIERS_MAX) {
    return err(`carriers: ${carriers.length} are given, at most ${CARRIERS_MAX} are allowed`);
  }
  return ok(carriers);
}

/** RFC 9110 section 5.6.2; the length is ours: a name longer than this is a mistake. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/;
/** W3C Trace Context section 3.3.1.3.1, several vendors included. */
const TRACESTATE_KEY = /^[a-z0-9][a-z0-9_*/@-]{0,63}$/;
/** Read for what they are; as a carrier each would break the message or route by accident. */
const NOT_CARRIERS: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "keep-alive",
  "te",
  "transfer-encoding",
  "content-length",
  "upgrade",
  "trailer",
  "expect",
  "authorization",
  "cookie",
  "traceparent",
  "forklane-via",
]);
/** Members that are ours for something else. */
const NOT_MEMBERS: ReadonlySet<string> = new Set(["forklane-hop", "forklane-run"]);

function parseItem(item: string): Result<readonly Carrier[], string> {
  const colon = item.indexOf(":");
  const kind = item.slice(0, Math.max(colon, 0));
  const name = item.slice(colon + 1).trim();
  switch (kind) {
    case "baggage":
      return parseMember(item, name, { kind: "baggage", member: name });
    case "correlation-context":
      return parseMember(item, name, { kind: "baggage", member: name, header: kind });
    case "tracestate":
      if (!TRACESTATE_KEY.test(name)) return wrong(item, "a tracestate key is lower case");
      return ok([{ kind: "tracestate", member: name }]);
    case "header":
      return parseHeader(item, name.toLowerCase());
    case "preset":
      return parsePreset(item, name);
    default:
      return wrong(item, "it names no kind of carrier");
  }
}

function parseMember(
  item: string,
  name: string,
  carrier: Carrier,
): Result<readonly Carrier[], string> {
  if (!TOKEN.test(name)) return wrong(item, "a member's name is a token of 1 to 64 characters");
  if (NOT_MEMBERS.has(name)) return wrong(item, "this member carries the proxy's own marks");
  return ok([carrier]);
}

function parseHeader(item: string, name: string): Result<readonly Carrier[], string> {
  if (!TOKEN.test(name)) return wrong(item, "a header's name is a token of 1 to 64 characters");
  if (name === "baggage" || name === "tracestate" || name === "correlation-context") {
    return wrong(item, `say which member: ${name}:MEMBER`);
  }
  if (NOT_CARRIERS.has(name)) return wrong(item, "this header has another meaning");
  return ok([{ kind: "header", name }]);
}

function parsePreset(item: string, name: string): Result<readonly Carrier[], string> {
  const preset = Object.hasOwn(PRESETS, name) ? PRESETS[name] : undefined;
  if (preset === undefined) {
    return wrong(item, `the presets are ${Object.keys(PRESETS).join(", ")}`);
  }
  return ok(preset);
}

function wrong(item: string, why: string): Result<never, string> {
  return err(
    `carriers: ${JSON.stringify(item.slice(0, 80))} is not a carrier (${why}); allowed are ` +
      "baggage:MEMBER, tracestate:MEMBER, correlation-context:MEMBER, header:NAME and preset:NAME",
  );
}
