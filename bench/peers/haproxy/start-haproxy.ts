import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Children } from "../../host/child.ts";
import { waitForPort } from "../../host/port.ts";
import { findProgram } from "../../host/program.ts";
import { type Job, type Peer, START_DEADLINE_MS } from "../peer.ts";
import { haproxyConfig, haproxyMap } from "./config.ts";

/** Starts an HAProxy that does the job; `-db` keeps it one process in the foreground. */
export async function startHaproxy(children: Children, job: Job): Promise<Peer> {
  const program = await findProgram("haproxy");
  const mapPath = join(job.folder, "keys.map");
  const configPath = join(job.folder, "haproxy.cfg");
  await mkdir(job.folder, { recursive: true });
  await writeFile(mapPath, haproxyMap(job.keys));
  await writeFile(configPath, haproxyConfig(job, mapPath));
  const args = ["-db", "-q", "-f", configPath];
  const child = children.start({ name: "haproxy", program, args, cpu: job.cpu });
  await waitForPort(job.listenPort, START_DEADLINE_MS, () => child.endReason());
  return { name: "haproxy", port: job.listenPort, child };
}
