import type { CarrierFields } from "./tag.ts";

/**
 * Reads the trace id that other tracers put on a request, to correlate; never creates or changes it.
 *
 * Before: exchange/trace-affinity.ts, telemetry/hop-record-line.ts. After: nothing.
 * Invariant: total; what is malformed or all zeros is no trace id.
 * Once per tagged or sampled request.
 */

/** The trace id as 32 lower-case hex characters, from the first header that has one; else null. */
export function readTraceId(fields: CarrierFields): string | null {
  for (const { name, read } of SOURCES) {
    const index = fields.find(name, 0);
    const id = index < 0 ? null : read(fields.value(index));
    if (id !== null) return id;
  }
  return null;
}

/** Where tracers put their ids, the standard first. */
const SOURCES: readonly { name: string; read: (value: string) => string | null }[] = [
  { name: "traceparent", read: fromTraceparent },
  { name: "b3", read: (value) => fromHex(value.split("-", 1)[0] ?? "", B3_ID) },
  { name: "x-b3-traceid", read: (value) => fromHex(value, B3_ID) },
  { name: "x-datadog-trace-id", read: fromDecimal },
  {
    name: "uber-trace-id",
    read: (value) => fromHex(value.split(/:|%3A/i, 1)[0] ?? "", JAEGER_ID),
  },
];

/** W3C Trace Context section 3.2: later versions may append, version `ff` is invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
/** 64 or 128 bits. */
const B3_ID = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i;
/** Jaeger leaves out zeros in front. */
const JAEGER_ID = /^[0-9a-f]{1,32}$/i;
const ALL_ZERO = /^0*$/;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;

function fromTraceparent(text: string): string | null {
  const [, id, span, more] = TRACEPARENT.exec(text) ?? [];
  if (id === undefined || span === undefined) return null;
  if (text.startsWith("00") && more !== undefined) return null;
  return ALL_ZERO.test(id) || ALL_ZERO.test(span) ? null : id;
}

function fromHex(text: string, form: RegExp): string | null {
  if (!form.test(text) || ALL_ZERO.test(text)) return null;
  return text.toLowerCase().padStart(32, "0");
}

/** Datadog's id is a decimal of 64 bits. */
function fromDecimal(text: string): string | null {
  if (!/^[0-9]{1,20}$/.test(text)) return null;
  const id = BigInt(text);
  return id === 0n || id > UINT64_MAX ? null : id.toString(16).padStart(32, "0");
}
