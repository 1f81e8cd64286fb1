import type { Dice } from "../harness/dice.ts";
import { bytesOf, type CorpusCase, readCorpus } from "../http1-corpus/parse-corpus.ts";
import type { MessageKind } from "./input.ts";

/** What the corpus sends, in pieces to begin from: a case, two one behind the other, or parts of two. */
export function corpusText(dice: Dice, kind: MessageKind): string {
  const texts = TEXTS[kind];
  const text = dice.pick(dice.oneIn(500) ? texts.long : texts.short);
  switch (dice.below(4)) {
    case 0:
      return text + dice.pick(texts.short);
    case 1:
      return crossed(dice, text, dice.pick(texts.short));
    default:
      return text;
  }
}

/** The beginning of one, in whole lines, and the end of the other. */
function crossed(dice: Dice, first: string, second: string): string {
  const firstLines = first.split("\r\n");
  const secondLines = second.split("\r\n");
  const kept = firstLines.slice(0, dice.below(firstLines.length + 1));
  return [...kept, ...secondLines.slice(dice.below(secondLines.length + 1))].join("\r\n");
}

interface Texts {
  readonly short: readonly string[];
  /** Those that reach a limit: slow, so they are taken seldom. */
  readonly long: readonly string[];
}

const SHORT_BYTES_MAX = 1_000;

function textsOf(kind: MessageKind, sent: (it: CorpusCase) => string): Texts {
  const all = [...readCorpus(kind).values()].flat().map(sent);
  const unique = [...new Set(all)].filter((text) => text !== "");
  const isShort = (text: string) => text.length <= SHORT_BYTES_MAX;
  return { short: unique.filter(isShort), long: unique.filter((text) => !isShort(text)) };
}

const TEXTS: Readonly<Record<MessageKind, Texts>> = {
  requests: textsOf("requests", (it) => bytesOf(it.sent)),
  responses: textsOf("responses", (it) => bytesOf(it.reply ?? [])),
};
