import { expect, test } from "vitest";
import { CONTROL_LIMITS } from "../../control/model/limits.ts";
import { startControl } from "../../test/harness/control.ts";
import { examine } from "./examine.ts";

test("an examination that fails leaves no run open, and says why it failed", async () => {
  const control = await startControl();
  const examination = {
    control: control.url,
    entry: null,
    tag: null,
    tagAs: "baggage",
    probes: 1,
    observeMs: 0,
    timeoutMs: 1_000,
  } as const;
  for (let i = 0; i < CONTROL_LIMITS.runsOpenMax; i++) {
    await expect(examine(examination)).rejects.toMatchObject({ problem: { code: "no-proxies" } });
    await control.client.createRun({ kind: "propagation", duration: "1m" });
  }
});
