import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { BenchError } from "../../bench-error.ts";
import type { Children } from "../../host/child.ts";
import { freePort, waitForPort } from "../../host/port.ts";
import { START_DEADLINE_MS } from "../peer.ts";
import { profileFlags } from "./profile-flags.ts";

/** How long control may take for one write. */
const PUT_DEADLINE_MS = 10_000;

/** One control process of a bench. */
export interface ControlPlan {
  /** The command's script: of a build, see build.ts. */
  readonly command: string;
  /** Folder for its store. */
  readonly folder: string;
  readonly cpu: number | null;
  readonly profileFolder: string | null;
}

/** Starts `forklane control` on an empty store and answers its base URL. */
export async function startControl(children: Children, plan: ControlPlan): Promise<string> {
  await mkdir(plan.folder, { recursive: true });
  const port = await freePort();
  const child = children.start({
    name: "control",
    program: process.execPath,
    args: [
      ...profileFlags("control", plan.profileFolder),
      ...[plan.command, "control", "--listen", `127.0.0.1:${port}`],
      ...["--data", join(plan.folder, "control.db")],
    ],
    cpu: plan.cpu,
  });
  await waitForPort(port, START_DEADLINE_MS, () => child.endReason());
  return `http://127.0.0.1:${port}`;
}

/** Writes a sandbox with one fork, its routing key its name. */
export async function putSandbox(
  control: string,
  key: string,
  workload: string,
  forkPort: number,
): Promise<void> {
  const forks = [{ workload, endpoints: [`127.0.0.1:${forkPort}`] }];
  const answer = await fetch(`${control}/v1/sandboxes/${key}`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ routingKey: key, forks }),
    signal: AbortSignal.timeout(PUT_DEADLINE_MS),
  });
  const body = await answer.text();
  if (!answer.ok) throw new BenchError(`control answered ${answer.status} to the PUT: ${body}`);
}
