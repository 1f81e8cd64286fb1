import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  type Compared,
  differencesText,
  otherThanKnown,
  type Score,
  scoreOf,
} from "../http1-corpus/differences.ts";
import {
  ourRequests,
  ourResponses,
  theirRequests,
  theirResponses,
} from "../http1-corpus/outcome.ts";
import { type CorpusCase, readCorpus } from "../http1-corpus/parse-corpus.ts";
import { startRecordingUpstream } from "../http1-corpus/recording-upstream.ts";
import { type Lane, type Observed, runCase } from "../http1-corpus/run-case.ts";
import { ROOT, readText } from "../repository.ts";
import { PEERS, type Peer, startPeer } from "./peers.ts";

/** The corpus through other proxies: every difference from ours is known, and why ours is right. */
const LANES = 8;

/** A peer that waits for more is waited for this long; each answers what it answers in a few ms. */
const PATIENCE_MS = 1_500;

/** And this long where it did other than it is known to do: less than the 10 s after which one gives up itself. */
const AGAIN_PATIENCE_MS = 6_000;

test.each(PEERS)("each difference from $name is known", async (peer) => {
  const requests = await compareAll(peer, "requests");
  const responses = await compareAll(peer, "responses");
  print(peer.name, "requests", scoreOf(requests));
  print(peer.name, "responses", scoreOf(responses));
  await expect(differencesText(peer.name, [...requests, ...responses])).toMatchFileSnapshot(
    `../http1-corpus/differences/${peer.name}.txt`,
  );
});

type Folder = "requests" | "responses";

/** Compares, and once more with more patience what a busy machine may have been too slow for. */
async function compareAll(peer: Peer, folder: Folder): Promise<Compared[]> {
  const lanes = await startLanes(peer, folder === "responses");
  const cases = [...readCorpus(folder).values()]
    .flat()
    .filter((it) => isAboutHttp(it) && !peer.unsteady.test(it.name));
  const first = await compare(lanes, cases, folder, PATIENCE_MS);
  const path = `test/http1-corpus/differences/${peer.name}.txt`;
  if (!existsSync(join(ROOT, path))) return first;
  const doubtful = otherThanKnown(peer.name, readText(path), first).map(({ it }) => it);
  const again = await compare(lanes, doubtful, folder, AGAIN_PATIENCE_MS);
  return first.map((one) => again.find(({ it }) => it === one.it) ?? one);
}

async function compare(
  lanes: readonly Lane[],
  cases: readonly CorpusCase[],
  folder: Folder,
  patienceMs: number,
): Promise<Compared[]> {
  const compared: Compared[] = [];
  let next = 0;
  const work = async (lane: Lane): Promise<void> => {
    while (next < cases.length) {
      const at = next++;
      const it = cases[at] as CorpusCase;
      const seen = await runCase(lane, it, { marker: "behind", patienceMs });
      compared[at] = folder === "requests" ? ofRequests(it, seen) : ofResponses(it, seen);
    }
  };
  await Promise.all(lanes.map(work));
  return compared;
}

/** Tags are ours alone. */
function isAboutHttp(it: CorpusCase): boolean {
  return !it.name.startsWith("routing/") && !it.name.startsWith("head/ours/");
}

function ofRequests(it: CorpusCase, seen: Observed): Compared {
  return { it, ours: ourRequests(it), theirs: theirRequests(it, seen) };
}

function ofResponses(it: CorpusCase, seen: Observed): Compared {
  return { it, ours: ourResponses(it), theirs: theirResponses(it, seen) };
}

async function startLanes(peer: Peer, isFreshEachTime: boolean): Promise<Lane[]> {
  const upstreams = [];
  for (let i = 0; i < LANES; i++) {
    const upstream = await startRecordingUpstream(isFreshEachTime);
    onTestFinished(upstream.close);
    upstreams.push(upstream);
  }
  const ports = await startPeer(
    peer,
    upstreams.map((upstream) => upstream.port),
  );
  return upstreams.map((upstream, i) => ({ upstream, port: ports[i] ?? 0 }));
}

function print(peer: string, folder: string, score: Score): void {
  const { cases, agreed, differ, unreadable, dangerous } = score;
  process.stdout.write(
    `${peer.padEnd(8)}${folder.padEnd(10)} cases ${cases}, agreed ${agreed}, differ ${differ}, ` +
      `passed on unreadable ${unreadable}, dangerous ambiguity let through ${dangerous}\n`,
  );
}
