import { Dice } from "../harness/dice.ts";

/** A seed that is another one each day, so that a long run a day tries what none before it did. */
export function seedOfToday(): number {
  const today = new Date().toISOString().slice(0, 10).replaceAll("-", "");
  return new Dice(Number(today)).below(2 ** 32);
}
