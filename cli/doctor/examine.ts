import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { ControlClient } from "../../control/client/client.ts";
import { CANARY_MEMBER, CANARY_VALUE } from "../../core/observation.ts";
import { askControl } from "../ask-control.ts";
import { CliError } from "../cli-error.ts";
import { type Answer, send } from "../send.ts";
import { type TagForm, tagHeaders } from "../tag.ts";

/** What control says of a run. */
export type VerdictView = Awaited<ReturnType<ControlClient["judgeRun"]>>;

/** What to examine. */
export interface Examination {
  readonly control: string;
  /** Null: real tagged traffic, no probes. */
  readonly entry: URL | null;
  /** Tag of the probes; null: the control arm of a sandbox, of one made for it if there is none. */
  readonly tag: string | null;
  readonly tagAs: TagForm;
  readonly probes: number;
  /** How long to observe: alone, or after the last probe, in milliseconds. */
  readonly observeMs: number;
  /** For the answer to one probe, in milliseconds. */
  readonly timeoutMs: number;
}

/** What was found, and with which tag. */
export interface Examined {
  readonly run: string;
  readonly tag: string | null;
  readonly verdict: VerdictView;
}

/** Longest time that control takes a run for, in milliseconds. */
export const RUN_MS_MAX = 5 * 60_000;

/** Before the first probe: what is untagged by itself shows how often it comes. */
const QUIET_MS = 300;
/** Between two probes, in milliseconds: chance keeps them out of step with anything periodic. */
const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 150;
/** How long a new key may take to be known everywhere, and the time between two tries. */
const KEY_MS = 3_000;
const KEY_RETRY_MS = 50;

const USER_AGENT = "forklane-doctor/0.1.0";

/**
 * Opens a window in which proxies observe, sends the probes, and asks control for its verdict.
 *
 * Throws `no-proxies`, `entry-untagged`, `refused`, `request-failed`, or what control says.
 */
export async function examine(examination: Examination): Promise<Examined> {
  return await askControl(examination.control, async (client) => {
    const run = await openRun(client, examination);
    try {
      refuseWithoutProxies(run, examination);
      return await examineIn(run.id, client, examination);
    } catch (error) {
      await endRun(run.id, client);
      throw error;
    }
  });
}

async function examineIn(
  run: string,
  client: ControlClient,
  examination: Examination,
): Promise<Examined> {
  const { entry, observeMs } = examination;
  if (entry === null) {
    await sleep(observeMs);
    return { run, tag: null, verdict: await client.judgeRun(run) };
  }
  const key = await chooseTag(client, examination.tag);
  try {
    const roots = await sendProbes(entry, key.tag, examination);
    await sleep(observeMs);
    return { run, tag: key.tag, verdict: await client.judgeRun(run, { roots }) };
  } finally {
    if (key.sandbox !== null) await client.deleteSandbox(key.sandbox);
  }
}

type RunView = Awaited<ReturnType<ControlClient["createRun"]>>;

function openRun(client: ControlClient, examination: Examination): Promise<RunView> {
  const { entry, probes, timeoutMs, observeMs } = examination;
  const probesMs = entry === null ? 0 : QUIET_MS + KEY_MS + probes * (timeoutMs + PAUSE_MS_MAX);
  const durationMs = Math.min(RUN_MS_MAX, Math.ceil(probesMs + observeMs + 1_000));
  return client.createRun({ kind: "propagation", duration: `${durationMs}ms` });
}

function refuseWithoutProxies({ observing, silent }: RunView, { control }: Examination): void {
  if (observing !== 0 || silent.length > 0) return;
  throw new CliError("no-proxies", `no proxy reports to control at ${control}`, {
    fix: "start a proxy beside each service with --control, then try again",
  });
}

/** Judging ends a run. Why the examination failed is what is told, not that this did too. */
async function endRun(run: string, client: ControlClient): Promise<void> {
  await client.judgeRun(run, { roots: [] }).catch(() => {});
}

/** A tag that changes nothing for anybody, and the sandbox that was made for it, if one was. */
async function chooseTag(
  client: ControlClient,
  asked: string | null,
): Promise<{ tag: string; sandbox: string | null }> {
  if (asked !== null) return { tag: asked, sandbox: null };
  const { items } = await client.listSandboxes({ limit: 1 });
  const [existing] = items;
  if (existing !== undefined) return { tag: `${existing.routingKey}.base!`, sandbox: null };
  const sandbox = `forklane-doctor-${randomBytes(4).toString("hex")}`;
  // A fork of nobody, without an endpoint: all it has is a key that proxies know.
  const made = await client.putSandbox(sandbox, {
    forks: [{ workload: "forklane/doctor", endpoints: [] }],
    ttl: { max: "10m" },
  });
  return { tag: `${made.routingKey}.base!`, sandbox };
}

/** Sends them one after another, and returns their roots. */
async function sendProbes(entry: URL, tag: string, examination: Examination): Promise<string[]> {
  await sleep(QUIET_MS);
  const roots: string[] = [];
  for (let i = 0; i < examination.probes; i++) {
    roots.push(rootOf(entry, await sendProbe(entry, tag, examination)));
    await sleep(randomInt(PAUSE_MS_MIN, PAUSE_MS_MAX + 1));
  }
  return roots;
}

/** A key that was made a moment ago may be unknown to a proxy on the way. */
async function sendProbe(entry: URL, tag: string, examination: Examination): Promise<Answer> {
  const deadline = performance.now() + KEY_MS;
  for (;;) {
    const answer = await send({
      method: "GET",
      url: entry,
      headers: probeHeaders(tag, examination.tagAs),
      body: null,
      timeoutMs: examination.timeoutMs,
    });
    const isUnknown = String(answer.headers["forklane-fault"]).startsWith("unknown-key");
    if (!isUnknown || performance.now() >= deadline) return answer;
    await sleep(KEY_RETRY_MS);
  }
}

/** Each with a trace of its own; not sampled, so that it is in nobody's traces. */
function probeHeaders(tag: string, tagAs: TagForm): (readonly [string, string])[] {
  const traceId = randomBytes(16).toString("hex");
  const canary = `${CANARY_MEMBER}=${CANARY_VALUE}`;
  const trace = `00-${traceId}-${randomBytes(8).toString("hex")}-00`;
  const own = [["user-agent", USER_AGENT] as const, ["traceparent", trace] as const];
  if (tagAs === "header") return tagHeaders([...own, ["baggage", canary]], tag, tagAs);
  const [[, member = ""] = []] = tagHeaders([], tag, tagAs);
  return [...own, ["baggage", `${member},${canary}`]];
}

function rootOf(entry: URL, answer: Answer): string {
  const root = answer.headers["forklane-trace"];
  if (typeof root === "string") return root;
  const fault = answer.headers["forklane-fault"];
  if (fault !== undefined) {
    throw new CliError(
      "refused",
      `${entry.href} was answered ${answer.status} by a proxy: ${fault}`,
      {
        fix: "give --key a key that control knows, or leave it out; the codes are in proxy/README.md",
      },
    );
  }
  const fix =
    "name an entry that a proxy of this control stands at; for an edge under another name say --tag-as header";
  const detail = `${entry.href} answered ${answer.status} without forklane-trace: no proxy of ours took the tag there`;
  throw new CliError("entry-untagged", detail, { fix });
}
