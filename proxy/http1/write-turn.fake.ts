import { setImmediate as nextTurn } from "node:timers/promises";
import { waitForTurn } from "./write-turn.ts";

/** More messages than those that go at once after short turns. */
const MESSAGES = 200;

/** Makes a turn of many messages, so that the next ones wait, whatever was before. */
export async function haveLongTurn(): Promise<void> {
  for (let i = 0; i < MESSAGES; i++) waitForTurn({ writeWaiting: () => undefined }, 1);
  await nextTurn();
}
