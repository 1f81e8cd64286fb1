import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TableDocument } from "../../../core/watch-events.ts";
import type { Children } from "../../host/child.ts";
import { waitForPort } from "../../host/port.ts";
import { type Peer, START_DEADLINE_MS } from "../peer.ts";
import { profileFlags } from "./profile-flags.ts";

/** One Forklane proxy of a bench. */
export interface ForklanePlan {
  /** The command's script: of a build, see build.ts. */
  readonly command: string;
  /** Unique within the run: also its instance name and the name of its files. */
  readonly name: string;
  readonly workload: string;
  readonly listenPort: number;
  readonly upstreamPort: number;
  /** Its routing table; or the base URL of the control process that sends it. */
  readonly table: TableDocument | string;
  readonly folder: string;
  readonly cpu: number | null;
  readonly accessLog: boolean;
  /** Where admin answers; null: nowhere. */
  readonly adminPort?: number | null;
  /** Base URL of an OTLP receiver; null: no spans. */
  readonly otlpEndpoint?: string | null;
  /** Folder to which it writes a CPU profile when it stops; null: none. */
  readonly profileFolder: string | null;
}

/** Starts `forklane proxy` with its defaults, and a table from a file or from control. */
export async function startForklane(children: Children, plan: ForklanePlan): Promise<Peer> {
  const { adminPort = null, otlpEndpoint = null } = plan;
  const args = [
    ...profileFlags(plan.name, plan.profileFolder),
    ...[plan.command, "proxy"],
    ...["--listen", `127.0.0.1:${plan.listenPort}`],
    ...["--upstream", `127.0.0.1:${plan.upstreamPort}`],
    ...["--workload", plan.workload],
    ...(await tableFlags(plan)),
    ...["--instance", plan.name],
    ...(plan.accessLog ? [] : ["--access-log", "off"]),
    ...(adminPort === null ? [] : ["--admin", `127.0.0.1:${adminPort}`]),
    ...(otlpEndpoint === null ? [] : ["--otlp-endpoint", otlpEndpoint]),
  ];
  const child = children.start({ name: plan.name, program: process.execPath, args, cpu: plan.cpu });
  await waitForPort(plan.listenPort, START_DEADLINE_MS, () => child.endReason());
  // Callers may come, and wait, before admin is there.
  if (adminPort !== null) {
    await waitForPort(adminPort, START_DEADLINE_MS, () => child.endReason());
  }
  return { name: plan.name, port: plan.listenPort, child };
}

async function tableFlags(plan: ForklanePlan): Promise<string[]> {
  if (typeof plan.table === "string") return ["--control", plan.table];
  const path = join(plan.folder, `${plan.name}.table.json`);
  await mkdir(plan.folder, { recursive: true });
  await writeFile(path, JSON.stringify(plan.table));
  return ["--table", path];
}
