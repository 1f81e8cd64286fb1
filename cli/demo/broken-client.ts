import { err, ok, type Result } from "../../core/result.ts";
import { SHOP, SHOP_SERVICES, type ShopService } from "./shop.ts";

/**
 * Ways in which real clients lose the tag, for one client of one service of the shop.
 *
 * Each is what its kind of client does with the headers of the request that it works for.
 */
const VARIANTS = {
  /** Tracing is set up, baggage is not: the most frequent one. */
  "drop-baggage": ({ baggage: _, ...rest }) => rest,
  /** A plain HTTP client: nothing is passed on. */
  raw: () => ({}),
  /** An SDK that sends its own members, and nobody else's. */
  overwrite: (headers) => ({ ...headers, baggage: "vendor-release=1.4.2,vendor-sampled=true" }),
  /** .NET 10: legal white space, which has to be read. */
  spaces: ({ baggage = "", ...rest }) => ({
    ...rest,
    baggage: baggage
      .split(",")
      .map((member) => member.replace("=", " = "))
      .join(", "),
  }),
  /** .NET before 10. */
  "correlation-context": ({ baggage = "", ...rest }) => ({
    ...rest,
    "correlation-context": baggage,
  }),
  /** Decodes the header as a whole, and sends what came out. */
  "percent-decode": ({ baggage = "", ...rest }) => ({
    ...rest,
    baggage: decodeURIComponent(baggage),
  }),
  /** A limit on the length of one header. */
  truncate: ({ baggage = "", ...rest }) => ({ ...rest, baggage: baggage.slice(0, HEADER_CHARS) }),
  /** The call is made by a job, after the answer; of its cause the job has the trace only. */
  async: ({ baggage: _, ...rest }) => rest,
} as const satisfies Record<string, (headers: Headers) => Headers>;

type Headers = Readonly<Record<string, string>>;

/** How a client loses the tag. */
export type BreakVariant = keyof typeof VARIANTS;

/** Their names, the one that is meant where none is named first. */
export const VARIANT_NAMES = Object.keys(VARIANTS) as readonly BreakVariant[];

/** A client that is broken: the one with which its caller calls `callee`. */
export interface BrokenClient {
  readonly callee: ShopService;
  readonly variant: BreakVariant;
}

/**
 * After the answer, in milliseconds: when the job of the variant `async` makes its call. Less than what
 * the clocks of two hosts may differ by (verify/judge/propagation/blame.ts) would not show that it was.
 */
export const ASYNC_DELAY_MS = 300;

/** Cuts the mark of the hop, which stands first, behind, and the tag in its middle. */
const HEADER_CHARS = 60;

/** Services that others of the shop call. */
const CALLEES = SHOP_SERVICES.filter((service) => callersOf(service).length > 0);

/** Reads `pricing-client` or `pricing-client=raw`. */
export function parseBreak(text: string): Result<BrokenClient, string> {
  const [name = "", variant = VARIANT_NAMES[0]] = text.split("=", 2);
  const callee = CALLEES.find((service) => name === `${service}-client`);
  if (callee === undefined) {
    return err(`The clients are ${CALLEES.map((service) => `${service}-client`).join(", ")}.`);
  }
  const known = VARIANT_NAMES.find((each) => each === variant);
  if (known === undefined) return err(`The variants are ${VARIANT_NAMES.join(", ")}.`);
  return ok({ callee, variant: known });
}

/** The text that parseBreak reads. */
export function formatBreak({ callee, variant }: BrokenClient): string {
  return `${callee}-client=${variant}`;
}

/** Who has the client. */
export function callerOf(callee: ShopService): ShopService {
  const [caller] = callersOf(callee);
  if (caller === undefined) throw new Error(`nobody calls ${callee}`);
  return caller;
}

/** What the client sends where a whole one sends `context`. */
export function brokenHeaders({ callee, variant }: BrokenClient, context: Headers): Headers {
  const broken: (headers: Headers) => Headers = VARIANTS[variant];
  return { ...broken(context), "user-agent": `${callee}-client/1.0` };
}

function callersOf(callee: ShopService): ShopService[] {
  return SHOP_SERVICES.filter((service) => SHOP[service].callees.includes(callee));
}
