import type { FinishedExchange } from "../exchange/record.ts";
import type { Decision } from "../routing/decision.ts";
import { asciiBytes } from "./ascii-line.ts";

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
  readonly #written = new WeakMap<Decision, Written>();

  /** `write` answers ASCII. */
  constructor(write: (facts: SharedFacts) => string) {
    this.#write = write;
  }

  of(exchange: FinishedExchange): Uint8Array {
    const before = this.#written.get(exchange.decision);
    if (before !== undefined && isAlike(before.facts, exchange)) return before.bytes;
    const facts = factsOf(exchange);
    const bytes = asciiBytes(this.#write(facts));
    if (facts.method.length <= KEPT_METHOD_CHARS_MAX) {
      this.#written.set(exchange.decision, { facts, bytes });
    }
    return bytes;
  }
}

/** Longest method that is kept: callers choose it, and a table of 10,000 keys has as many decisions. */
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
