/**
 * Sends one tagged request to a registered proxy.
 *
 * Before: routes/probes.ts. After: the proxy's listener.
 * Invariant: the address is one that the proxy registered, lies in the allowed networks and is
 * never link-local; redirects are not followed.
 */
import { Agent, request } from "undici";
import { formatAddress, parseAddress } from "../../core/address.ts";
import { KEY_HEADER, TAG_MEMBER } from "../../proxy/routing/carrier.ts";
import { keyFromHost } from "../../proxy/routing/edge-entry.ts";
import { readTag } from "../../proxy/routing/tag.ts";
import { ControlError } from "../error.ts";
import { readEndpoint } from "../model/validate.ts";
import type { HeadersDocument } from "../schema/explain.ts";
import { randomId } from "../store/resource-set.ts";
import type { KnownProxy } from "../watch/proxies.ts";
import type { ControlContext } from "./context.ts";
import { headerFields } from "./header-fields.ts";

/** What to send. */
export interface ProbeRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: HeadersDocument;
  readonly body?: string;
  /** Strict. */
  readonly tag: string;
  readonly timeoutMs: number;
}

/** What the entry answered. */
export interface ProbeAnswer {
  readonly status: number;
  /** `forklane-trace`; null: the entry did not see the tag. */
  readonly root: string | null;
  /** `forklane-fault`; null: no proxy answered by itself. */
  readonly fault: string | null;
}

/** Sends it and reads the answer up to its limit; throws ControlError if there is none. */
export async function sendProbe(
  context: ControlContext,
  entry: KnownProxy,
  probe: ProbeRequest,
): Promise<ProbeAnswer> {
  const url = `http://${addressOf(context, entry)}`;
  const headers = headersOf(probe, entry);
  // Its own connection: a probe shares no state with another one.
  const agent = new Agent({ connections: 1, connect: { timeout: probe.timeoutMs } });
  try {
    const answer = await request(url + (probe.path ?? "/"), {
      dispatcher: agent,
      method: probe.method ?? "GET",
      headers,
      body: probe.body ?? null,
      signal: AbortSignal.timeout(probe.timeoutMs),
    });
    await drain(answer.body, context.limits.probeResponseBytesMax);
    return {
      status: answer.statusCode,
      root: rootIn(answer.headers["forklane-trace"]),
      fault: faultIn(answer.headers["forklane-fault"]),
    };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ControlError("entry-unreachable", `proxy ${entry.instance} at ${url}: ${why}`, {
      cause: error,
    });
  } finally {
    await agent.destroy();
  }
}

/** A proxy that listens at every address is called at the one that its status came from. */
function addressOf(context: ControlContext, entry: KnownProxy): string {
  const listen = parseAddress(entry.status.listen);
  if (!listen.ok) throw unusable(entry, listen.error);
  const { host, port } = listen.value;
  const isAnywhere = host === "0.0.0.0" || host === "::";
  const from = entry.from.startsWith("::ffff:") ? entry.from.slice(7) : entry.from;
  const named = host === "localhost" ? "127.0.0.1" : host;
  const address = readEndpoint(
    formatAddress({ host: isAnywhere ? from : named, port }),
    context.rules,
  );
  if (!address.ok) throw unusable(entry, address.error);
  return address.value;
}

function unusable(entry: KnownProxy, why: string): ControlError {
  return new ControlError("entry-unreachable", `proxy ${entry.instance} listens at ${why}`);
}

/** Fields of the connection, and those that routing is decided by. */
const REFUSED_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function headersOf(probe: ProbeRequest, entry: KnownProxy): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  for (const [name, values] of Object.entries(probe.headers ?? {})) {
    const lower = name.toLowerCase();
    checkHeader(lower, [values].flat(), entry);
    headers[lower] = values;
  }
  headers["traceparent"] ??= `00-${randomId()}${randomId()}-${randomId()}-00`;
  if (entry.mode === "edge") headers[KEY_HEADER] = probe.tag;
  else
    headers["baggage"] = [headers["baggage"] ?? [], `${TAG_MEMBER}=${probe.tag}`].flat().join(",");
  return headers;
}

function checkHeader(name: string, values: readonly string[], entry: KnownProxy): void {
  const isOurs = name.startsWith("forklane-");
  if (isOurs || REFUSED_HEADERS.has(name) || !FIELD_NAME.test(name)) {
    throw new ControlError("probe-header-refused", `header ${name} is control's own to set`);
  }
  if (!values.every((value) => FIELD_VALUE.test(value))) {
    throw new ControlError("probe-header-refused", `header ${name} holds what no header may`);
  }
  if (entry.mode === "edge" && name === "host" && values.some((value) => keyFromHost(value))) {
    throw new ControlError("probe-header-refused", "header host begins with a key of its own");
  }
  const tag = readTag(
    [{ kind: "baggage", member: TAG_MEMBER }],
    headerFields({ [name]: [...values] }),
  );
  if (tag.kind !== "none") {
    throw new ControlError("probe-header-refused", `header baggage has a member ${TAG_MEMBER}`);
  }
}

/** The answer is read so that the proxies see a whole exchange, and thrown away. */
async function drain(body: AsyncIterable<Buffer>, bytesMax: number): Promise<void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bytesMax) return;
  }
}

function rootIn(header: string | string[] | undefined): string | null {
  return typeof header === "string" && /^[0-9a-f]{16}$/.test(header) ? header : null;
}

/** `<code>; by=<workload>`, cut to a length that fits a line. */
function faultIn(header: string | string[] | undefined): string | null {
  return header === undefined ? null : String(header).slice(0, 200);
}
