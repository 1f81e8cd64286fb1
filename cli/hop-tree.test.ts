import { describe, expect, test } from "vitest";
import {
  besideEachOther,
  renderHopTree,
  TREE_DEPTH_MAX,
  TREE_HOPS_MAX,
  type TreeHop,
  type TreeOptions,
} from "./hop-tree.ts";

const PLAIN: TreeOptions = { hasColor: false, siblings: "by-time" };

/** The hops of the demo, with parallel calls, in the order in which they began. */
const CHECKOUT: readonly TreeHop[] = [
  hop("1", null, "shop/edge", { totalMs: 5 }),
  hop("2", "1", "shop/frontend", { totalMs: 4.1 }),
  hop("3", "2", "shop/cart", { totalMs: 2.2 }),
  hop("4", "2", "shop/loyalty", { totalMs: 1.1 }),
  hop("5", "3", "shop/pricing", {
    outcome: "fork",
    reason: "fork",
    endpoint: "127.0.0.1:9103",
    totalMs: 1.04,
  }),
  hop("6", "3", "shop/inventory", { totalMs: 0.9 }),
];

describe("one tree", () => {
  test("callers stand above their callees, with who served each hop and why", () => {
    expect(renderHopTree(CHECKOUT, PLAIN)).toEqual([
      "shop/edge             baseline  not-forked     5.0 ms",
      "└ shop/frontend       baseline  not-forked     4.1 ms",
      "  ├ shop/cart         baseline  not-forked     2.2 ms",
      "  │ ├ shop/pricing    FORK      fork           1.0 ms  127.0.0.1:9103",
      "  │ └ shop/inventory  baseline  not-forked     0.9 ms",
      "  └ shop/loyalty      baseline  not-forked     1.1 ms",
    ]);
  });

  test("by name, the calls of one hop stand in alphabetical order", () => {
    const lines = renderHopTree(CHECKOUT, { ...PLAIN, siblings: "by-name" });
    expect(lines[3]).toContain("├ shop/inventory");
    expect(lines[4]).toContain("└ shop/pricing");
  });

  test("a hop whose caller was not recorded stands at the left", () => {
    const lines = renderHopTree(
      [hop("2", "1", "shop/frontend"), hop("3", "2", "shop/cart")],
      PLAIN,
    );
    expect(lines[0]).toMatch(/^shop\/frontend/);
    expect(lines[1]).toMatch(/^└ shop\/cart/);
  });

  test("a refused hop shows its status, and its fault where that says more", () => {
    const refused = hop("1", null, "shop/cart", {
      outcome: "refused",
      reason: "unknown-key",
      status: 424,
      fault: "unknown-key",
    });
    expect(renderHopTree([refused], PLAIN)[0]).toMatch(/REFUSED {3}unknown-key .* 424$/);
    const broken = hop("1", null, "shop/cart", { status: 502, fault: "upstream-closed" });
    expect(renderHopTree([broken], PLAIN)[0]).toMatch(/502 upstream-closed$/);
  });

  test("a fork whose own proxy saw the request too is confirmed", () => {
    const fork = { outcome: "fork", endpoint: "[::1]:9", confirmed: true } as const;
    expect(renderHopTree([hop("1", null, "a/b", fork)], PLAIN)[0]).toMatch(/\[::1\]:9 confirmed$/);
  });

  test("a hop that never answered says so", () => {
    expect(renderHopTree([hop("1", null, "a/b", { status: 0 })], PLAIN)[0]).toMatch(/no answer$/);
  });

  test("hops in a circle are drawn once each", () => {
    const circle = [hop("1", "2", "a/one"), hop("2", "1", "a/two"), hop("3", "3", "a/three")];
    expect(renderHopTree(circle, PLAIN)).toHaveLength(3);
  });

  test("no hops give no lines", () => {
    expect(renderHopTree([], PLAIN)).toEqual([]);
  });

  test("hops past the limit are counted, not drawn", () => {
    const many = Array.from({ length: TREE_HOPS_MAX + 7 }, (_, i) => hop(String(i), null, "a/b"));
    const lines = renderHopTree(many, PLAIN);
    expect(lines).toHaveLength(TREE_HOPS_MAX + 1);
    expect(lines.at(-1)).toBe("... and 7 more hops");
  });

  test("a chain deeper than the limit is drawn without indenting further", () => {
    const chain = Array.from({ length: TREE_DEPTH_MAX + 30 }, (_, i) =>
      hop(String(i), i === 0 ? null : String(i - 1), "a/b"),
    );
    const lines = renderHopTree(chain, PLAIN);
    expect(lines).toHaveLength(chain.length);
    expect(lines.at(-1)?.indexOf("a/b")).toBe(lines.at(TREE_DEPTH_MAX + 5)?.indexOf("a/b"));
  });

  test("text of peers cannot steer the terminal", () => {
    const line = renderHopTree([hop("1", null, "a/\u001b[2Jb", { reason: "x\ny" })], PLAIN)[0];
    expect(line).toContain("a/?[2Jb");
    expect(line).toContain("x?y");
  });

  test("with colour, the columns stay where they are", () => {
    const colored = renderHopTree(CHECKOUT, { ...PLAIN, hasColor: true });
    expect(colored[3]).toContain("\u001b[32mFORK    \u001b[0m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colour is made of
    const plain = colored.map((line) => line.replace(/\u001b\[[0-9;]*m/g, ""));
    expect(plain).toEqual(renderHopTree(CHECKOUT, PLAIN));
  });
});

describe("two trees", () => {
  test("stand side by side where there is room", () => {
    expect(besideEachOther(["one", "three"], ["uno"], 11)).toEqual(["one     uno", "three"]);
  });

  test("stand below each other where there is none", () => {
    expect(besideEachOther(["one", "three"], ["uno"], 10)).toEqual(["one", "three", "", "uno"]);
  });

  test("colour takes no room", () => {
    const red = "\u001b[31mone\u001b[0m";
    expect(besideEachOther([red], ["uno"], 9)).toEqual([`${red}   uno`]);
  });
});

function hop(id: string, parent: string | null, workload: string, rest: Partial<TreeHop> = {}) {
  return {
    hop: id,
    parent,
    workload,
    outcome: "baseline",
    reason: "not-forked",
    endpoint: null,
    confirmed: false,
    status: 200,
    totalMs: 1,
    fault: null,
    ...rest,
  } satisfies TreeHop as TreeHop;
}
