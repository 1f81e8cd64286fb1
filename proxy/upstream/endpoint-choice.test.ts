import { describe, expect, test } from "vitest";
import { EndpointChoice } from "./endpoint-choice.ts";

const SKIP_MS = 1_000;

function route(...endpoints: string[]) {
  return { sandbox: "jane", endpoints, onUnavailable: "fail" as const };
}

describe("the choice among a fork's endpoints", () => {
  test("is none where there is none", () => {
    expect(new EndpointChoice(SKIP_MS).choose(route(), [], 0)).toBeNull();
  });

  test("goes in turn", () => {
    const choice = new EndpointChoice(SKIP_MS);
    const picks = Array.from({ length: 4 }, () => choice.choose(route("a:1", "b:1"), [], 0));
    expect(picks).toEqual(["a:1", "b:1", "a:1", "b:1"]);
  });

  test("passes over one that refused, until its time is over (endpointSkipMs)", () => {
    const choice = new EndpointChoice(SKIP_MS);
    choice.refused("a:1", 0);
    const at = (nowMs: number) =>
      new Set([0, 1].map(() => choice.choose(route("a:1", "b:1"), [], nowMs)));
    expect(at(SKIP_MS - 1)).toEqual(new Set(["b:1"]));
    expect(at(SKIP_MS)).toEqual(new Set(["a:1", "b:1"]));
  });

  test("is the one that refused first where all did, and the only one always", () => {
    const choice = new EndpointChoice(SKIP_MS);
    choice.refused("b:1", 0);
    choice.refused("a:1", 5);
    for (let i = 0; i < 3; i++) expect(choice.choose(route("a:1", "b:1"), [], 10)).toBe("b:1");
    expect(choice.choose(route("a:1"), [], 10)).toBe("a:1");
  });

  test("passes over a thousand that refused, and forgets the oldest past them", () => {
    const choice = new EndpointChoice(SKIP_MS);
    choice.refused("a:1", 0);
    for (let i = 1; i < 1_000; i++) choice.refused(`other-${i}:1`, 0);
    expect(choice.choose(route("a:1", "b:1"), [], 0)).toBe("b:1");
    for (let i = 1_000; i < 2_000; i++) choice.refused(`other-${i}:1`, 0);
    const picks = [0, 1].map(() => choice.choose(route("a:1", "b:1"), [], 0));
    expect(picks).toEqual(["b:1", "a:1"]);
  });

  test("never repeats what an exchange has tried", () => {
    const choice = new EndpointChoice(SKIP_MS);
    expect(choice.choose(route("a:1"), ["a:1"], 0)).toBeNull();
    expect(choice.choose(route("a:1", "b:1"), ["b:1"], 0)).toBe("a:1");
    expect(choice.choose(route("a:1", "b:1"), ["a:1", "b:1"], 0)).toBeNull();
  });
});
