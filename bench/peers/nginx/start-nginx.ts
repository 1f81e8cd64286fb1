import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Child, Children } from "../../host/child.ts";
import { waitForPort } from "../../host/port.ts";
import { findProgram } from "../../host/program.ts";
import { type Job, type Peer, START_DEADLINE_MS } from "../peer.ts";
import { BACKEND_FILES, nginxBackendConfig, nginxProxyConfig } from "./config.ts";

/** Starts an nginx that does the job. */
export async function startNginx(children: Children, job: Job): Promise<Peer> {
  const child = await start(children, "nginx", job.folder, nginxProxyConfig(job), job.cpu);
  await waitForPort(job.listenPort, START_DEADLINE_MS, () => child.endReason());
  return { name: "nginx", port: job.listenPort, child };
}

/** Starts the service behind the proxies. */
export async function startBackend(
  children: Children,
  folder: string,
  ports: { readonly baseline: number; readonly fork: number },
  cpu: number | null,
): Promise<Child> {
  const files = join(folder, "files");
  await mkdir(files, { recursive: true });
  for (const [name, bytes] of Object.entries(BACKEND_FILES)) {
    await writeFile(join(files, name), "x".repeat(bytes));
  }
  const config = nginxBackendConfig(folder, ports.baseline, ports.fork);
  const child = await start(children, "backend", folder, config, cpu);
  await waitForPort(ports.fork, START_DEADLINE_MS, () => child.endReason());
  return child;
}

async function start(
  children: Children,
  name: string,
  folder: string,
  config: string,
  cpu: number | null,
): Promise<Child> {
  const program = await findProgram("nginx");
  const path = join(folder, "nginx.conf");
  await mkdir(folder, { recursive: true });
  await writeFile(path, config);
  const args = ["-p", folder, "-c", path, "-e", join(folder, "error.log")];
  return children.start({ name, program, args, cpu });
}
