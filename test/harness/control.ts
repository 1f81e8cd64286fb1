import { onTestFinished } from "vitest";
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
