import { askControl } from "../ask-control.ts";
import { CliError } from "../cli-error.ts";
import { readTrace } from "../read-trace.ts";
import { type Answer, send } from "../send.ts";
import { KEY_HEADER } from "../tag.ts";
import { waitReady } from "../wait-ready.ts";
import type { DemoPorts } from "./ports.ts";
import { address, controlUrl, DEMO_FORK } from "./processes.ts";
import type { DemoAnswer, DemoArm, DemoEvidence } from "./proof.ts";
import { CONTROL_ARM_TAG, DEMO_PATH, FORK_TAG } from "./screen.ts";
import { workloadOf } from "./shop.ts";

/** How long the sandbox may take to become ready: proxies that have just started apply one table. */
const READY_TIMEOUT = "10s";

/** How long one request may take, and how long its last hops to reach control, in milliseconds. */
const REQUEST_MS = 5_000;
const TRACE_MS = 5_000;

/** Requests of each kind before those that count: more make the next ones hardly faster. */
const WARM_UP_REQUESTS = 20;

/** Creates the demo's sandbox and waits until it is ready; returns how long that took, in milliseconds. */
export async function forkReady(ports: DemoPorts): Promise<number> {
  const { sandbox: name, service } = DEMO_FORK;
  const begunMs = performance.now();
  await askControl(controlUrl(ports), async (client) => {
    await client.putSandbox(name, {
      forks: [{ workload: workloadOf(service), endpoints: [address(ports.forkProxy)] }],
      routingKey: name,
    });
    return waitReady(client, name, READY_TIMEOUT);
  });
  return performance.now() - begunMs;
}

/** Sends the request untagged, as the control arm and tagged, and reads the hops of the latter two. */
export async function collectEvidence(ports: DemoPorts): Promise<DemoEvidence> {
  await warmUp(ports);
  const untagged = await request(ports, null);
  const controlArm = await sendArm(ports, CONTROL_ARM_TAG);
  const tagged = await sendArm(ports, FORK_TAG);
  const { service, sandbox: version } = DEMO_FORK;
  return {
    untagged,
    controlArm,
    tagged,
    fork: { service, version, endpoint: address(ports.forkProxy) },
  };
}

/** Without it the trees would show how long it takes to compile and connect, not to serve. */
async function warmUp(ports: DemoPorts): Promise<void> {
  for (let i = 0; i < WARM_UP_REQUESTS; i++) {
    for (const tag of [null, CONTROL_ARM_TAG, FORK_TAG]) await request(ports, tag);
  }
}

async function sendArm(ports: DemoPorts, tag: string): Promise<DemoArm> {
  const answer = await request(ports, tag);
  const root = answer.headers["forklane-trace"];
  if (typeof root !== "string") {
    const what = `${answer.status} ${JSON.stringify(answer.body)}`.slice(0, 400);
    throw new CliError("proof-failed", `${tag}: the answer has no forklane-trace: ${what}`);
  }
  return { answer, trace: await readTrace(controlUrl(ports), root, TRACE_MS) };
}

async function request(ports: DemoPorts, tag: string | null): Promise<DemoAnswer> {
  const answer = await send({
    method: "GET",
    url: new URL(`http://${address(ports.edge)}${DEMO_PATH}`),
    headers: tag === null ? [] : [[KEY_HEADER, tag]],
    body: null,
    timeoutMs: REQUEST_MS,
  });
  return { status: answer.status, headers: answer.headers, body: bodyOf(answer) };
}

function bodyOf({ body }: Answer): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}
