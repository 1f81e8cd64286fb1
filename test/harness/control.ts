import { expect, onTestFinished } from "vitest";
import { ControlClient } from "../../control/client/client.ts";
import { readControlConfig } from "../../control/config.ts";
import { createControl } from "../../control/server.ts";

/** Control in this process on a free port, its store in memory; it stops with the test. */
export interface TestControl {
  readonly url: string;
  readonly client: ControlClient;
}

export async function startControl(): Promise<TestControl> {
  const config = readControlConfig({ listen: "127.0.0.1:0", data: ":memory:" }, {});
  if (!config.ok) throw new Error(config.error);
  const control = await createControl(config.value);
  const client = new ControlClient({ url: control.url });
  onTestFinished(async () => {
    await client.close();
    await control.close();
  });
  return { url: control.url, client };
}

type Trace = Awaited<ReturnType<ControlClient["getTrace"]>>;

/** Longer than control waits for the records of a proxy that is slow to hand them over. */
const TRACE = { timeout: 15_000 };

/** Reads a trace until nothing of it is missing, as cli/read-trace.ts does; fails if that never is so. */
export async function completeTrace(client: ControlClient, root = ""): Promise<Trace> {
  let trace: Trace | null = null;
  const missing = async () => {
    trace = await client.getTrace(root);
    return trace.incomplete;
  };
  await expect.poll(missing, TRACE).toEqual([]);
  return trace as unknown as Trace;
}
