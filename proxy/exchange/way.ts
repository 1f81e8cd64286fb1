import type { FieldList } from "../message/field-list.ts";
import { type HeadEdit, type WrittenLine, writtenLine } from "../message/head-edit.ts";
import { FIELD } from "../message/known-field.ts";
import { skipWhiteSpace } from "../routing/baggage.ts";
import { RecurringValues } from "../routing/recurring-values.ts";
import type { PlacedHop } from "./placed-hop.ts";

/**
 * The way of a tagged request, `forklane-via`: reads who had it before, and appends this proxy.
 *
 * Before: exchange/exchange.ts, exchange/hop.ts. After: message/head-edit.ts.
 * Invariant: the last entry of the last line is the proxy before this one (RFC 9110 section 5.3: lines of
 * one name are one list).
 * Hot path of tagged traffic: callers are few, so what their lines say is mostly known.
 */
export class Way {
  readonly #self: Self;
  readonly #said: RecurringValues<Said>;
  /** What an inbound proxy appends. */
  readonly #own: WrittenLine;

  constructor(self: Self) {
    const { workload, instance, mode, sandbox } = self;
    this.#self = { workload, instance, mode, sandbox };
    this.#said = new RecurringValues((line) => read(this.#self, line));
    this.#own = writtenLine(VIA_HEADER, `${workload};${instance}`);
  }

  /** Whether this proxy is on the way already: the request came back without a service between. */
  hasOwn(fields: FieldList): boolean {
    for (let i = firstOf(fields); i >= 0; i = nextOf(fields, i)) {
      if (this.#said.of(fields, i, 0).hasOwn) return true;
    }
    return false;
  }

  /**
   * Who forwarded the request as this same hop, by the last entry: the caller's proxy, or next to a fork
   * also the baseline's; null where a service was between, and at a caller, where one always is.
   */
  before(fields: FieldList): ProxyBefore | null {
    const last = lastOf(fields);
    return last < 0 ? null : this.#said.of(fields, last, 0).before;
  }

  /** Appends this proxy, as one on the way to `workload`. */
  append(fields: FieldList, edit: HeadEdit, workload: string, hop: PlacedHop): void {
    const own = this.#self.mode === "outbound" ? this.#ofCaller(workload, hop) : this.#own;
    const at = lastOf(fields);
    if (at < 0 || edit.isDropped(at)) {
      edit.addWritten(own);
      return;
    }
    const end = fields.valueLength(at);
    if (end <= VIA_CHARS_MAX && edit.isKept(at)) edit.splice(at, end, end, own.item);
    else edit.replace(at, `${edit.value(fields, at).slice(-VIA_CHARS_MAX)}, ${own.value}`);
  }

  #ofCaller(workload: string, hop: PlacedHop): WrittenLine {
    const entry = `${workload};${this.#self.instance}${FROM}${hop.parent ?? "-"}`;
    return writtenLine(VIA_HEADER, entry);
  }
}

/** Header to which each proxy on a tagged request's way appends itself. */
const VIA_HEADER = "forklane-via";

/** The proxy whose way it is. */
interface Self {
  readonly workload: string;
  readonly instance: string;
  readonly mode: "inbound" | "outbound" | "edge";
  readonly sandbox: string | null;
}

/** The proxy before this one, on the way of the same call to the same service. */
export interface ProxyBefore {
  /** The hop that caused the call, as far as it says. */
  readonly parent: string | null;
}

/** What one line says to this proxy. */
interface Said {
  readonly hasOwn: boolean;
  readonly before: ProxyBefore | null;
}

function read(self: Self, line: string): Said {
  return { hasOwn: hasOwn(self, line), before: beforeIn(self, line) };
}

function hasOwn({ instance, mode }: Self, line: string): boolean {
  if (!line.includes(instance)) return false;
  return line.split(",").some((entry) => {
    const who = entry.slice(entry.indexOf(";") + 1).trim();
    // The two directions of one proxy are two places on the way.
    return mode === "outbound" ? who.startsWith(`${instance}${FROM}`) : who === instance;
  });
}

function beforeIn({ workload, mode, sandbox }: Self, line: string): ProxyBefore | null {
  if (mode === "outbound") return null;
  const at = skipWhiteSpace(line, line.lastIndexOf(",") + 1, line.length);
  if (!line.startsWith(workload, at) || line[at + workload.length] !== ";") return null;
  const from = line.indexOf(FROM, at + workload.length);
  if (from >= 0) return { parent: parentIn(line.slice(from + FROM.length)) };
  return sandbox === null ? null : { parent: null };
}

/** Ends the entry of an outbound proxy: the hop that caused the call, or `-` at the entry. */
const FROM = ";from=";

function parentIn(text: string): string | null {
  return /^[0-9a-f]{16}$/.test(text) ? text : null;
}

/** Longest `forklane-via` that is passed on: far more proxies in a row than a call ever meets. */
const VIA_CHARS_MAX = 2_048;

function firstOf(fields: FieldList): number {
  return fields.findKnown(FIELD.FORKLANE_VIA, 0);
}

function nextOf(fields: FieldList, at: number): number {
  return fields.findKnown(FIELD.FORKLANE_VIA, at + 1);
}

/** -1 for none. */
function lastOf(fields: FieldList): number {
  let last = -1;
  for (let i = firstOf(fields); i >= 0; i = nextOf(fields, i)) last = i;
  return last;
}
