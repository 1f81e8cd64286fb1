import { agrees, inWords, type Outcome } from "./outcome.ts";
import type { CorpusCase } from "./parse-corpus.ts";

/** One case, as we and another recipient took it. */
export interface Compared {
  readonly it: CorpusCase;
  readonly ours: Outcome;
  readonly theirs: Outcome;
}

export interface Score {
  readonly cases: number;
  readonly agreed: number;
  readonly differ: number;
  /** Passed on, and no strict recipient can read it. */
  readonly unreadable: number;
  readonly dangerous: number;
}

export function scoreOf(all: readonly Compared[]): Score {
  const agreed = all.filter(({ ours, theirs }) => agrees(ours, theirs)).length;
  const dangerous = all.filter(({ theirs }) => theirs.danger !== null).length;
  const unreadable = all.filter(({ theirs }) => theirs.unreadable !== null).length;
  return { cases: all.length, agreed, differ: all.length - agreed, unreadable, dangerous };
}

/**
 * Every difference with the reason why ours is right: the text of a file in differences/. Cases of one
 * block stand together, with the clause that all of them are about.
 */
export function differencesText(who: string, all: readonly Compared[]): string {
  const text = differingBlocks(who, all).join("\n");
  return `# Where ${who} differs from us; written by the suite (README.md), not by hand.\n\n${text}`;
}

/** Cases of blocks about which `text`, as differencesText wrote it, says something else. */
export function otherThanKnown(
  who: string,
  text: string,
  all: readonly Compared[],
): readonly Compared[] {
  const known = text.split(/\n(?=## )/).slice(1);
  const blocks = Map.groupBy(all, ({ it }) => it.name.split("/").slice(0, 2).join("/"));
  return [...blocks].flatMap(([name, compared]) => {
    const now = differingBlocks(who, compared)[0];
    const before = known.find((block) => block.startsWith(`## ${name}\n`));
    return now === before ? [] : compared;
  });
}

function differingBlocks(who: string, all: readonly Compared[]): string[] {
  const blocks = new Map<string, string[]>();
  for (const { it, ours, theirs } of all) {
    if (agrees(ours, theirs)) continue;
    const [file, block, variant = ""] = it.name.split("/");
    const title = `## ${file}/${block}\n${it.why}\n`;
    const lines = blocks.get(title) ?? [];
    lines.push(`${variant}\n  ours: ${inWords(ours)}\n  ${who}: ${inWords(theirs)}\n`.trimStart());
    blocks.set(title, lines);
  }
  return [...blocks].map(([title, lines]) => `${title}\n${lines.join("")}`);
}
