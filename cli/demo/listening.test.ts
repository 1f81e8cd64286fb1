import { expect, onTestFinished, test, vi } from "vitest";
import { freePort } from "../../test/harness/free-port.ts";
import { untilListening } from "./listening.ts";

test("a process that does not listen is waited for a minute", async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const port = await freePort();
  const waiting = untilListening("cart", port, new AbortController().signal);
  vi.advanceTimersByTime(60_001);
  await expect(waiting).rejects.toThrow(`cart did not listen on port ${port} within 60000 ms`);
});
