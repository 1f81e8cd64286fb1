import { setTimeout as sleep } from "node:timers/promises";
import { BenchError } from "../bench-error.ts";
import { BACKEND_FILES } from "./nginx/config.ts";
import { ELSEWHERE_KEY, type Peer, START_DEADLINE_MS } from "./peer.ts";

const BASELINE = "baseline\n";
const FORK = "the fork\n";
const POLL_MS = 50;

/** Fails unless the proxy sends the untagged request to the baseline and the tagged to the fork. */
export async function checkJob(peer: Peer, key: string): Promise<void> {
  await expectAnswer(peer, {}, BASELINE);
  await expectAnswer(peer, { baggage: `sandbox=${key}` }, FORK);
  await expectAnswer(peer, { baggage: `sandbox=${key},request=1` }, FORK);
  await expectAnswer(peer, { baggage: `sandbox=${key}0` }, BASELINE);
}

/** Waits until the tagged request is the fork's: a table has to come first. */
export async function untilJobIsDone(peer: Peer, key: string): Promise<void> {
  const end = performance.now() + START_DEADLINE_MS;
  while (performance.now() < end) {
    if ((await ask(peer, "/", { headers: { baggage: `sandbox=${key}` } })).body === FORK) return;
    await sleep(POLL_MS);
  }
  throw new BenchError(`${peer.name} knew no route for ${key} after ${START_DEADLINE_MS} ms`);
}

/** Fails unless either key of a composed tag leads to the fork, and no other does. */
export async function checkComposed(peer: Peer, key: string): Promise<void> {
  await expectAnswer(peer, { baggage: `sandbox=${ELSEWHERE_KEY}~${key}` }, FORK);
  await expectAnswer(peer, { baggage: `sandbox=${key}~${ELSEWHERE_KEY}` }, FORK);
  await expectAnswer(peer, { baggage: `sandbox=${ELSEWHERE_KEY}~${key}0` }, BASELINE);
}

/** Fails unless bodies of every size pass whole in both directions. */
export async function checkBodies(peer: Peer): Promise<void> {
  for (const [name, bytes] of Object.entries(BACKEND_FILES)) {
    const { body } = await ask(peer, `/${name}`, {});
    if (body.length !== bytes)
      throw new BenchError(`${peer.name}: /${name} is ${body.length} bytes`);
    const sent = await ask(peer, "/upload", { method: "POST", body: "x".repeat(bytes) });
    if (sent.body === `${bytes}\n`) continue;
    throw new BenchError(`${peer.name}: of ${bytes} bytes sent arrived ${sent.body.trim()}`);
  }
}

async function expectAnswer(
  peer: Peer,
  headers: Record<string, string>,
  expected: string,
): Promise<void> {
  const { status, body } = await ask(peer, "/", { headers });
  if (status === 200 && body === expected) return;
  const asked = headers["baggage"] ?? "no baggage";
  throw new BenchError(`${peer.name} answered ${asked} with ${status} ${body.trim()}`);
}

async function ask(
  peer: Peer,
  path: string,
  init: RequestInit,
): Promise<{ readonly status: number; readonly body: string }> {
  const signal = AbortSignal.timeout(5_000);
  const answer = await fetch(`http://127.0.0.1:${peer.port}${path}`, { ...init, signal });
  return { status: answer.status, body: await answer.text() };
}
