import { describe, expect, it } from "vitest";
import { TableApplier } from "./apply.ts";

const SNAPSHOT = { revision: "e.1", routes: {}, known: [] };

function applier(): TableApplier {
  const one = new TableApplier("shop/cart");
  one.restore(SNAPSHOT);
  return one;
}

const event = (name: string, id: string, body: object) => ({
  event: name,
  id,
  data: JSON.stringify(body),
});

describe("an event", () => {
  it("that asks for a flush is heard alone where its id is longer than 200 characters", () => {
    const flush = (id: string) => applier().apply(event("flush", "", { flush: id }));
    expect(flush("f".repeat(200))).toEqual({ kind: "flush", id: "f".repeat(200) });
    expect(flush("f".repeat(201))).toEqual({ kind: "heard" });
  });

  it("that is kept out is named by the first 80 characters of its revision", () => {
    const applied = applier().apply(event("keys", "f".repeat(1_000), {}));
    expect(applied).toMatchObject({ code: "other-epoch", revision: "f".repeat(80) });
  });

  it("that is kept out says why in 400 characters, however long what it holds is", () => {
    const body = { ...SNAPSHOT, revision: "e.2", routes: { ["\u0001".repeat(1_000)]: 7 } };
    const applied = applier().apply(event("snapshot", "e.2", body));
    expect(applied.kind === "rejected" && applied.why).toHaveLength(400);
  });
});
