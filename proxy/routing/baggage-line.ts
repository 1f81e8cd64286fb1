import { HOP_MEMBER, skipWhiteSpace } from "./baggage.ts";
import type { Carrier } from "./carrier.ts";
import { beginsWithMark, MARK_CHARS, type ValueCodes } from "./hop-mark.ts";
import { type RecurringFields, RecurringValues } from "./recurring-values.ts";
import { type CarrierFields, readTag, type Tag } from "./tag.ts";

/**
 * Reads a request's only baggage line, and remembers what the lines met lately say.
 *
 * Before: exchange/exchange.ts. After: routing/tag.ts.
 * Invariant: it says what readTag and readHopMark say where this line is all that they find.
 * Hot path: our mark, which differs with each request, is looked at where it stands first, as we write it;
 * of the rest, which many requests have in common, the answer is mostly there.
 */
export class BaggageReader {
  readonly #said: RecurringValues<Said>;

  constructor(carriers: readonly Carrier[]) {
    this.#said = new RecurringValues((rest) => read(carriers, rest));
  }

  /** `index` is that of the line. */
  read(fields: LineFields, index: number): BaggageLine {
    const markChars = beginsWithMark(fields, index) ? MARK_CHARS : 0;
    return { index, markChars, said: this.#said.of(fields, index, markChars) };
  }
}

/** The only baggage line of a request. */
export interface BaggageLine {
  readonly index: number;
  /** How many characters our mark takes with which it begins, its comma included; 0 without one. */
  readonly markChars: number;
  /** By what stands behind that. */
  readonly said: Said;
}

/** What a line says, our mark at its beginning left out. */
export interface Said {
  /** The tag of a request that has no other carrier; NO_TAG itself if there is none. */
  readonly tag: Tag;
  /** Whether a mark may stand here, too. */
  readonly mayHaveMark: boolean;
  /** Whether nothing stands here. */
  readonly isBlank: boolean;
}

/** A head's fields as they are needed here; message/field-list.ts fits. */
export type LineFields = ValueCodes & RecurringFields;

function read(carriers: readonly Carrier[], rest: string): Said {
  return {
    tag: readTag(carriers, new OnlyLine(rest)),
    mayHaveMark: rest.includes(HOP_MEMBER),
    isBlank: skipWhiteSpace(rest, 0, rest.length) === rest.length,
  };
}

class OnlyLine implements CarrierFields {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  find(name: string, from: number): number {
    return name === "baggage" && from === 0 ? 0 : -1;
  }

  value(): string {
    return this.#value;
  }
}
