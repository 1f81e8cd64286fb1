import { mkdir, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Children } from "../../host/child.ts";
import { waitForPort } from "../../host/port.ts";
import { findProgram } from "../../host/program.ts";
import { type Job, type Peer, START_DEADLINE_MS } from "../peer.ts";
import { envoyConfig } from "./config.ts";

/** Starts an Envoy that does the job: one worker, as the others have one. */
export async function startEnvoy(children: Children, job: Job): Promise<Peer> {
  const program = await findEnvoy();
  const configPath = join(job.folder, "envoy.json");
  await mkdir(job.folder, { recursive: true });
  await writeFile(configPath, JSON.stringify(envoyConfig(job)));
  const args = [
    ...["-c", configPath],
    ...["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
  ];
  const child = children.start({ name: "envoy", program, args, cpu: job.cpu });
  await waitForPort(job.listenPort, START_DEADLINE_MS, () => child.endReason());
  return { name: "envoy", port: job.listenPort, child };
}

/** Debian has no Envoy: test/tools/install.sh puts one into this folder and leaves a link to it. */
export function findEnvoy(): Promise<string> {
  const cache = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return findProgram("envoy", [join(cache, "forklane", "bin")]);
}
