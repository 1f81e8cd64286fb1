import type { Difference } from "./difference.ts";
import { NODE_IS_STRICTER } from "./node-stricter.ts";
import { READ_OTHERWISE } from "./read-otherwise.ts";
import { WE_ARE_STRICTER } from "./we-are-stricter.ts";

/** One way in which we and Node's parser differ on purpose, and who is how strict. */
export interface NodeRule {
  readonly name: string;
  readonly why: string;
  /** Narrow: looks at the bytes and at what each made of them, never at the outcome alone. */
  readonly explains: (difference: Difference) => boolean;
}

/** All rules; each has to be met in a long run, or it is one too many. */
export const NODE_RULES: readonly NodeRule[] = [
  ...WE_ARE_STRICTER,
  ...NODE_IS_STRICTER,
  ...READ_OTHERWISE,
];

/** The name of the first rule that explains the difference; null if none does: a finding. */
export function ruleOf(difference: Difference): string | null {
  return NODE_RULES.find((rule) => rule.explains(difference))?.name ?? null;
}
