import { describe, expect, test } from "vitest";
import { FAULTS } from "../fault.ts";
import { decide, decideAtFork, forkDown, LOOP } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { asStale, parseTable, unknownTable, type WorkloadTable, workloadTable } from "./table.ts";
import { NO_TAG, parseTagValue } from "./tag.ts";

const DOCUMENT = {
  revision: "e1.7",
  routes: {
    "jane-42": { sandbox: "jane", endpoints: ["10.0.0.1:80", "10.0.0.2:80"] },
    "pr-118": { sandbox: "pr-118", endpoints: ["10.0.0.3:80"], onUnavailable: "baseline" },
    "down-fail": { sandbox: "down-fail", endpoints: [] },
    "down-base": { sandbox: "down-base", endpoints: [], onUnavailable: "baseline" },
    "jane-group": { sandbox: "jane", endpoints: ["10.0.0.1:80"] },
  },
  known: ["elsewhere"],
  expired: ["gone"],
};

const CURRENT = tableOf(DOCUMENT);
const STALE = workloadTable(asStale(routingTableOf(DOCUMENT)), "shop/cart");
const UNKNOWN = workloadTable(unknownTable(["shop/cart"]), "shop/cart");

/** `outcome status reason key`, so that a row reads as in the design. */
function at(table: WorkloadTable, tagText: string): string {
  return summary(decide(table, parseTagValue(tagText)));
}

function summary(decision: Decision): string {
  const { outcome, status, reason, key, collision } = decision;
  return `${outcome} ${status} ${reason} ${key}${collision === null ? "" : ` collision=${collision}`}`;
}

describe("the decision", () => {
  test.each([
    ["an untagged request goes to the baseline", CURRENT, "", "baseline 0 no-key null"],
    ["a key goes to its fork", CURRENT, "jane-42", "fork 0 fork jane-42"],
    ["a strict key goes to its fork", CURRENT, "jane-42!", "fork 0 fork jane-42"],
    [
      "a key that forks other workloads goes to the baseline",
      CURRENT,
      "elsewhere",
      "baseline 0 not-forked elsewhere",
    ],
    [
      "a strict key that forks other workloads goes to the baseline",
      CURRENT,
      "elsewhere!",
      "baseline 0 not-forked elsewhere",
    ],
    ["an unknown key goes to the baseline", CURRENT, "nobody", "baseline 0 unknown-key nobody"],
    ["a strict unknown key is refused", CURRENT, "nobody!", "refused 424 unknown-key nobody"],
    ["an expired key goes to the baseline", CURRENT, "gone", "baseline 0 expired gone"],
    ["a strict expired key is refused", CURRENT, "gone!", "refused 424 expired gone"],
    ["an unreadable tag goes to the baseline", CURRENT, "Jane", "baseline 0 tag-unreadable null"],
    ["a strict unreadable tag is refused", CURRENT, "Jane!", "refused 400 tag-unreadable null"],
    [
      "without a table a tagged request goes to the baseline",
      UNKNOWN,
      "jane-42",
      "baseline 0 table-unknown jane-42",
    ],
    [
      "without a table a strict tag is refused",
      UNKNOWN,
      "jane-42!",
      "refused 503 table-unknown jane-42",
    ],
    ["without a table an untagged request is served", UNKNOWN, "", "baseline 0 no-key null"],
    ["a stale table still routes", STALE, "jane-42!", "fork 0 fork jane-42"],
    ["a stale table still knows its keys", STALE, "elsewhere!", "baseline 0 not-forked elsewhere"],
    ["a stale table does not judge new keys", STALE, "nobody!", "refused 503 table-stale nobody"],
    ["a stale table sends others on", STALE, "nobody", "baseline 0 unknown-key nobody"],
    ["a stale table knows what expired", STALE, "gone!", "refused 424 expired gone"],
    [
      "a fork without endpoints is down, and that fails",
      CURRENT,
      "down-fail",
      "refused 503 fork-down down-fail",
    ],
    [
      "a fork without endpoints goes to the baseline where its sandbox says so",
      CURRENT,
      "down-base",
      "baseline 0 fork-down down-base",
    ],
  ])("%s", (_behaviour, table, tagText, expected) => {
    expect(at(table, tagText)).toBe(expected);
  });

  test("differing duplicates are refused if one of them is strict, otherwise the last one counts", () => {
    const tag = parseTagValue("jane-42");
    expect(summary(decide(CURRENT, { ...tag, ambiguous: true }))).toBe("fork 0 fork jane-42");
    expect(summary(decide(CURRENT, { ...tag, ambiguous: true, strict: true }))).toBe(
      "refused 400 tag-ambiguous jane-42",
    );
  });

  test("a refusal has the status of the fault table", () => {
    for (const text of ["nobody!", "gone!", "Jane!", "down-fail"]) {
      const { reason, status } = decide(CURRENT, parseTagValue(text));
      expect(status).toBe((FAULTS as Record<string, { status: number }>)[reason]?.status);
    }
    expect(LOOP).toMatchObject({ outcome: "refused", reason: "loop", status: 508 });
  });

  test("decisions are shared: nothing is made for a fork, the baseline, or an untagged request", () => {
    for (const text of ["", "jane-42", "jane-42!", "elsewhere", "nobody", "Jane"]) {
      const tag = parseTagValue(text);
      expect(decide(CURRENT, tag)).toBe(decide(CURRENT, tag));
    }
  });
});

describe("a composed tag", () => {
  test.each([
    ["the first key with a fork decides", "elsewhere~jane-42", "fork 0 fork jane-42"],
    [
      "a second fork of the workload is reported",
      "jane-42~pr-118",
      "fork 0 fork jane-42 collision=pr-118",
    ],
    ["the order decides who wins", "pr-118~jane-42", "fork 0 fork pr-118 collision=jane-42"],
    ["two keys of one fork do not collide", "jane-42~jane-group", "fork 0 fork jane-42"],
    [
      "the first fork's own policy holds when it is down",
      "down-fail~jane-42",
      "refused 503 fork-down down-fail collision=jane-42",
    ],
    ["an unknown key is passed over", "nobody~jane-42", "fork 0 fork jane-42"],
    ["any unknown key refuses if strict", "jane-42~nobody!", "refused 424 unknown-key nobody"],
    ["any expired key refuses if strict", "jane-42~gone!", "refused 424 expired gone"],
    [
      "without a fork the first key is named",
      "elsewhere~elsewhere",
      "baseline 0 not-forked elsewhere",
    ],
    [
      "without a fork a key that is unknown is the reason",
      "elsewhere~nobody",
      "baseline 0 unknown-key nobody",
    ],
  ])("%s", (_behaviour, tagText, expected) => {
    expect(at(CURRENT, tagText)).toBe(expected);
  });
});

describe("the control arm", () => {
  test.each([
    ["forks nothing", "jane-42.base", "baseline 0 not-forked jane-42.base"],
    ["is known where its key is", "elsewhere.base!", "baseline 0 not-forked elsewhere.base"],
    ["is unknown where its key is", "nobody.base!", "refused 424 unknown-key nobody.base"],
    ["expires with its key", "gone.base!", "refused 424 expired gone.base"],
    ["leaves the other keys of a tag their forks", "jane-42~pr-118.base!", "fork 0 fork jane-42"],
    ["takes its own fork out of a tag", "jane-42.base~pr-118!", "fork 0 fork pr-118"],
  ])("%s", (_behaviour, tagText, expected) => {
    expect(at(CURRENT, tagText)).toBe(expected);
  });
});

describe("next to a fork", () => {
  const jane = (tagText: string) => summary(decideAtFork(CURRENT, parseTagValue(tagText), "jane"));

  test("what leads to this sandbox is delivered", () => {
    expect(jane("jane-42")).toBe("fork 0 fork jane-42");
    expect(jane("jane-42!")).toBe("fork 0 fork jane-42");
    expect(jane("jane-group")).toBe("fork 0 fork jane-group");
    expect(jane("elsewhere~jane-42~pr-118")).toBe("fork 0 fork jane-42 collision=pr-118");
  });

  test.each([
    "",
    "pr-118",
    "pr-118~jane-42",
    "elsewhere",
    "nobody",
    "nobody!",
    "jane-42~nobody!",
    "jane-42.base",
    "Jane",
    "down-base",
  ])("what leads elsewhere is refused: %j", (tagText) => {
    expect(decideAtFork(CURRENT, parseTagValue(tagText), "jane")).toMatchObject({
      outcome: "refused",
      reason: "wrong-fork",
      status: 421,
      route: null,
    });
  });

  test("without a table nothing is delivered, with a stale one what it knows", () => {
    const tag = parseTagValue("jane-42");
    expect(decideAtFork(UNKNOWN, tag, "jane").reason).toBe("wrong-fork");
    expect(decideAtFork(UNKNOWN, NO_TAG, "jane").reason).toBe("wrong-fork");
    expect(decideAtFork(STALE, tag, "jane").reason).toBe("fork");
  });

  test("a table without endpoints of the fork does not keep requests from it", () => {
    for (const key of ["down-fail", "down-base"]) {
      expect(summary(decideAtFork(CURRENT, parseTagValue(key), key))).toBe(`fork 0 fork ${key}`);
    }
  });
});

describe("a fork that turns out to be down", () => {
  test("refuses, or goes to the baseline, as its sandbox says", () => {
    const failing = decide(CURRENT, parseTagValue("jane-42~pr-118"));
    expect(summary(forkDown(failing))).toBe("refused 503 fork-down jane-42 collision=pr-118");
    expect(forkDown(failing).route).toBe(failing.route);
    const forgiving = decide(CURRENT, parseTagValue("pr-118!"));
    expect(summary(forkDown(forgiving))).toBe("baseline 0 fork-down pr-118");
  });

  test("a decision that is about no fork stays as it is", () => {
    const decision = decide(CURRENT, NO_TAG);
    expect(forkDown(decision)).toBe(decision);
  });
});

function tableOf(document: unknown): WorkloadTable {
  return workloadTable(routingTableOf(document), "shop/cart");
}

function routingTableOf(document: unknown) {
  const table = parseTable(document, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  return table.value;
}
