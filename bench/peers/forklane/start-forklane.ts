import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TableDocument } from "../../../core/watch-events.ts";
import type { Children } from "../../host/child.ts";
import { waitForPort } from "../../host/port.ts";
import { type Peer, START_DEADLINE_MS } from "../peer.ts";
import { profileFlags } from "./profile-flags.ts";

const COMMAND = fileURLToPath(new URL("../../../cli/main.ts", import.meta.url));

/** One Forklane proxy of a bench. */
export interface ForklanePlan {
  /** Unique within the run: also its instance name and the name of its files. */
  readonly name: string;
  readonly workload: string;
  readonly listenPort: number;
  readonly upstreamPort: number;
  readonly table: TableDocument;
  readonly folder: string;
  readonly cpu: number | null;
  readonly accessLog: boolean;
  /** Folder to which it writes a CPU profile when it stops; null: none. */
  readonly profileFolder: string | null;
}

/** Starts `forklane proxy` with its defaults and a table from a file. */
export async function startForklane(children: Children, plan: ForklanePlan): Promise<Peer> {
  const tablePath = join(plan.folder, `${plan.name}.table.json`);
  await mkdir(plan.folder, { recursive: true });
  await writeFile(tablePath, JSON.stringify(plan.table));
  const args = [
    ...profileFlags(plan.name, plan.profileFolder),
    ...[COMMAND, "proxy"],
    ...["--listen", `127.0.0.1:${plan.listenPort}`],
    ...["--upstream", `127.0.0.1:${plan.upstreamPort}`],
    ...["--workload", plan.workload],
    ...["--table", tablePath],
    ...["--instance", plan.name],
    ...(plan.accessLog ? [] : ["--access-log", "off"]),
  ];
  const child = children.start({ name: plan.name, program: process.execPath, args, cpu: plan.cpu });
  await waitForPort(plan.listenPort, START_DEADLINE_MS, () => child.endReason());
  return { name: plan.name, port: plan.listenPort, child };
}
