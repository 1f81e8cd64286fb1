import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ControlClient } from "../../control/client/client.ts";
import { ROOT } from "../repository.ts";

/** How long a process may take to be ready on a busy machine, in milliseconds. */
const START_MS = 30_000;

/** Control as a process of its own on an SQLite file, to be killed and started again. */
export class ControlProcess {
  readonly url: string;
  readonly client: ControlClient;
  readonly #listen: string;
  readonly #data: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, folder: string) {
    this.#listen = `127.0.0.1:${port}`;
    this.url = `http://${this.#listen}`;
    this.client = new ControlClient({ url: this.url });
    this.#data = join(folder, "forklane.db");
  }

  /** Starts on a port that the caller found free; stops with the test. */
  static async start(port: number): Promise<ControlProcess> {
    const folder = await mkdtemp(join(tmpdir(), "forklane-control-"));
    const control = new ControlProcess(port, folder);
    onTestFinished(async () => {
      await control.client.close();
      await control.kill();
      await rm(folder, { recursive: true, force: true });
    });
    await control.startAgain();
    return control;
  }

  /** Starts the process, and waits until it answers. */
  async startAgain(): Promise<void> {
    const flags = ["--listen", this.#listen, "--data", this.#data];
    const child = spawn(process.execPath, ["cli/main.ts", "control", ...flags], {
      cwd: ROOT,
      stdio: ["ignore", "ignore", "inherit"],
    });
    this.#child = child;
    const deadlineMs = performance.now() + START_MS;
    while (!(await this.client.isReady().catch(() => false))) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        throw new Error(`control at ${this.#listen} does not start`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Kills the process without a chance to tidy up. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }
}
