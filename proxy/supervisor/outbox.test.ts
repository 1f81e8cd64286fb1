import { expect, test } from "vitest";
import type { ToWorker } from "./messages.ts";
import { Outbox } from "./outbox.ts";

test("a worker that does not read has a thousand messages waiting, and a stop behind them", () => {
  const waiting: { readonly message: ToWorker; readonly onSent: () => void }[] = [];
  const outbox = new Outbox((message, onSent) => waiting.push({ message, onSent }));
  for (let number = 0; number < 5_000; number++) {
    outbox.send({ kind: "ask", number });
    outbox.send({ kind: "flush", id: String(number) });
    outbox.send({ kind: "observe", forMs: number });
  }
  expect(waiting.length).toBe(1_000);
  outbox.send({ kind: "drain", accepts: true, withinMs: 1 });
  expect(waiting.at(-1)?.message.kind).toBe("drain");
  // It reads again.
  for (const { onSent } of waiting.splice(0)) onSent();
  outbox.send({ kind: "ask", number: 1 });
  expect(waiting.map(({ message }) => message)).toEqual([{ kind: "ask", number: 1 }]);
});
