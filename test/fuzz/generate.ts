import { Dice } from "../harness/dice.ts";
import { atLimit } from "./at-limit.ts";
import { corpusText } from "./corpus-seeds.ts";
import { fieldsText } from "./fields/generate-fields.ts";
import { tableText } from "./fields/generate-table.ts";
import { request, response } from "./grammar.ts";
import { type Input, LIMITS, type MessageKind } from "./input.ts";
import { mutate } from "./mutate.ts";

/**
 * Makes the input that a seed stands for: messages by the grammar or from the corpus, in more than
 * half of all cases broken in a few places; or fields, or a table. The same seed gives the same input on any machine.
 */
export function generate(seed: number): Input {
  const dice = new Dice(seed);
  if (dice.oneIn(10)) return withoutMessages("fields", fieldsText(dice));
  if (dice.oneIn(30)) return withoutMessages("tables", tableText(dice));
  const kind = dice.oneIn(3) ? "responses" : "requests";
  const limits = dice.oneIn(8) ? "small" : "default";
  const methods = kind === "responses" ? methodsOf(dice) : [];
  const text = dice.oneIn(5) ? corpusText(dice, kind) : messages(dice, kind, methods);
  if (limits === "small" && dice.oneIn(3)) {
    return { kind, methods, limits, text: atLimit(dice, text, LIMITS.small) };
  }
  return { kind, methods, limits, text: mutate(dice, text) };
}

function withoutMessages(kind: "fields" | "tables", text: string): Input {
  return { kind, methods: [], limits: "default", text };
}

function methodsOf(dice: Dice): string[] {
  const methods: string[] = [];
  for (let i = dice.below(4); i > 0; i--) methods.push(dice.pick(["GET", "GET", "HEAD", "POST"]));
  return methods;
}

/** Mostly one message; else a few behind one another, as they are pipelined. */
function messages(dice: Dice, kind: MessageKind, methods: readonly string[]): string {
  const count = dice.pick([1, 1, 1, 2, 2, 3, 4]);
  let text = "";
  for (let i = 0; i < count; i++) {
    text += kind === "requests" ? request(dice) : response(dice, methods[i] ?? "GET");
  }
  return text;
}
