import { BenchError } from "../bench-error.ts";
import type { Peer } from "./peer.ts";

/** Fails unless the proxy sends the untagged request to the baseline and the tagged to the fork. */
export async function checkJob(peer: Peer, key: string): Promise<void> {
  await expectAnswer(peer, {}, "baseline\n");
  await expectAnswer(peer, { baggage: `sandbox=${key}` }, "the fork\n");
  await expectAnswer(peer, { baggage: `sandbox=${key}0` }, "baseline\n");
}

async function expectAnswer(
  peer: Peer,
  headers: Record<string, string>,
  expected: string,
): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${peer.port}/`, {
    headers,
    signal: AbortSignal.timeout(5_000),
  });
  const body = await answer.text();
  if (answer.status === 200 && body === expected) return;
  const asked = headers["baggage"] ?? "no baggage";
  throw new BenchError(`${peer.name} answered ${asked} with ${answer.status} ${body.trim()}`);
}
