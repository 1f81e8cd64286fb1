import { expect, test } from "vitest";
import type { VerdictView } from "./examine.ts";
import { renderVerdict } from "./render-verdict.ts";

const WORDS = {
  requests: "probes",
  again: "forklane doctor propagation --entry U",
  hasColor: false,
};
const EDGES: VerdictView["edges"] = [
  { from: "shop/cart", to: "shop/pricing", state: "drops-baggage", arrived: 0, lost: 5 },
  { from: "shop/cart", to: "shop/tax", state: "not-seen", arrived: 0, lost: 0 },
  { from: "shop/web", to: "shop/cart", state: "propagates", arrived: 5, lost: 0 },
];
const FINDING: VerdictView["findings"][number] = {
  from: ["shop/cart"],
  to: "shop/pricing",
  state: "drops-baggage",
  class: "baggage-propagator-missing",
  confidence: "confirmed",
  rule: "R2",
  seen: 5,
  of: 5,
  client: "axios/1.7.4",
  what: "cart got the tag",
  effect: "a fork is not reached",
  fix: "forward it",
};

function verdictOf(changes: Partial<VerdictView>): VerdictView {
  const none = { findings: [], notes: [], edges: [], incomplete: [] };
  return { verdict: "healthy", requests: 5, ...none, ...changes };
}

test("a break is named in the first line, then what it rests on and what to do, then each edge", () => {
  const verdict = verdictOf({ verdict: "broken", findings: [FINDING], edges: EDGES });
  expect(renderVerdict(verdict, WORDS)).toEqual([
    "propagation: broken at shop/cart -> shop/pricing  (confirmed, R2, 5/5 probes)",
    "  cart got the tag; client: axios/1.7.4",
    "  effect: a fork is not reached",
    "  next: forward it ; rerun: forklane doctor propagation --entry U",
    "",
    "  shop/cart -> shop/pricing  drops-baggage  0 arrived, 5 lost",
    "  shop/cart -> shop/tax      not-seen",
    "  shop/web -> shop/cart      propagates     5 arrived, 0 lost",
  ]);
});

test("callers that cannot be told apart are named together, a further break after the first", () => {
  const further = { ...FINDING, from: ["shop/a", "shop/b"], client: null };
  const lines = renderVerdict(verdictOf({ findings: [FINDING, further] }), WORDS);
  expect(lines).toContainEqual(
    expect.stringMatching(/^propagation: also broken at shop\/a or shop\/b -> /),
  );
  expect(lines).toContain("  cart got the tag; client: it does not say");
});

test("health is one line and the edges, with notes", () => {
  const lines = renderVerdict(verdictOf({ edges: EDGES, notes: ["spaces"] }), WORDS);
  expect(lines.slice(0, 2)).toEqual([
    "propagation: healthy  (5 probes, 1 edges, 1 known not taken)",
    "  note: spaces",
  ]);
});

test("inconclusive says why", () => {
  const incomplete = ["proxy cart-1 did not answer", "7 observations were left out"];
  const lines = renderVerdict(verdictOf({ verdict: "inconclusive", incomplete }), WORDS);
  expect(lines[0]).toBe("propagation: inconclusive: proxy cart-1 did not answer");
  expect(lines[1]).toBe("  7 observations were left out");
});

test("what a peer says of itself cannot steer a terminal, and long lists are cut", () => {
  const edges = Array.from({ length: 60 }, (_, i) => ({
    from: "shop/web",
    to: `shop/s${i}`,
    state: "propagates" as const,
    arrived: 1,
    lost: 0,
  }));
  const finding = { ...FINDING, client: "axios\u001b[2J" };
  const lines = renderVerdict(verdictOf({ findings: [finding], edges }), WORDS);
  expect(lines.join("\n")).not.toContain("\u001b");
  expect(lines.at(-1)).toBe("  ... and 20 more edges");
});
