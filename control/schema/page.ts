import { type TSchema, Type } from "typebox";

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** `cursor` of the next page; null: this is the last. */
  readonly next: string | null;
}

/** The schema of a page of these. */
export function pageSchema<T extends TSchema>(item: T) {
  return Type.Object({
    items: Type.Array(item),
    next: Type.Union([Type.String(), Type.Null()], {
      description: "`cursor` of the next page; null: this is the last",
    }),
  });
}
