import type { FinishedExchange } from "../exchange/record.ts";
import { type Decision, WRITTEN_DECISIONS_MAX } from "../routing/decision.ts";
import { RecurringMap } from "../routing/recurring-map.ts";
import { type AsciiLine, asciiBytes } from "./ascii-line.ts";

/**
 * What lines say of a decision and of what came of it, as bytes: written once, and copied for all that are
 * alike.
 *
 * Before: access-log-line.ts, hop-record-line.ts. After: ascii-line.ts.
 * Invariants: what `write` reads of an exchange is compared here, all of it: SharedFacts is its parameter;
 * no long method is kept.
 * Hot path of tagged traffic: decisions are shared by many exchanges, and most of these are alike, so it is
 * one lookup, and comparisons that mostly find the same object.
 */
export class WrittenOutcomes {
  readonly #write: (facts: SharedFacts) => string;
  readonly #written = new RecurringMap<Decision, Written>(WRITTEN_DECISIONS_MAX);

  /** `write` answers ASCII. */
  constructor(write: (facts: SharedFacts) => string) {
    this.#write = write;
  }

  /** Adds to a line what it says of an exchange. */
  add(line: AsciiLine, exchange: FinishedExchange): void {
    const { decision, method } = exchange;
    const before = this.#written.get(decision);
    if (before !== undefined && isAlike(before.facts, exchange)) {
      line.ascii(before.bytes);
      return;
    }
    const facts = factsOf(exchange);
    const text = this.#write(facts);
    line.text(text);
    if (method.length > KEPT_METHOD_CHARS_MAX || !this.#written.admits(decision)) return;
    this.#written.keep(decision, { facts, bytes: asciiBytes(text) });
  }
}

/** Longest method that is kept: callers choose it. */
const KEPT_METHOD_CHARS_MAX = 32;

/** What many exchanges have in common. */
export type SharedFacts = Pick<
  FinishedExchange,
  | "decision"
  | "mode"
  | "workload"
  | "healed"
  | "revision"
  | "tagText"
  | "method"
  | "protocol"
  | "endpoint"
  | "status"
  | "attempt"
  | "fault"
  | "closedBy"
>;

interface Written {
  readonly facts: SharedFacts;
  readonly bytes: Uint8Array;
}

function factsOf(exchange: FinishedExchange): SharedFacts {
  const { decision, mode, workload, healed, revision, tagText, method } = exchange;
  const { protocol, endpoint, status, attempt, fault, closedBy } = exchange;
  return {
    ...{ decision, mode, workload, healed, revision, tagText, method },
    ...{ protocol, endpoint, status, attempt, fault, closedBy },
  };
}

function isAlike(facts: SharedFacts, exchange: FinishedExchange): boolean {
  return (
    facts.status === exchange.status &&
    facts.endpoint === exchange.endpoint &&
    facts.tagText === exchange.tagText &&
    facts.method === exchange.method &&
    facts.fault === exchange.fault &&
    facts.closedBy === exchange.closedBy &&
    facts.attempt === exchange.attempt &&
    facts.revision === exchange.revision &&
    facts.workload === exchange.workload &&
    facts.healed === exchange.healed &&
    facts.mode === exchange.mode &&
    facts.protocol === exchange.protocol
  );
}
