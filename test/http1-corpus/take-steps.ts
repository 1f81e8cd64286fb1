import type { Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import type { Step } from "./parse-corpus.ts";

/** Long enough that what was sent before is read alone. */
const PAUSE_MS = 30;

/** Does to a socket what a case says, in order. */
export async function takeSteps(socket: Socket, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step.kind === "send") socket.write(step.bytes, "latin1");
    else if (step.kind === "pause") await wait(PAUSE_MS);
    else if (step.kind === "end") socket.end();
    else {
      // What was sent before has to have left: a reset overtakes it otherwise.
      await wait(PAUSE_MS);
      socket.resetAndDestroy();
    }
  }
}
