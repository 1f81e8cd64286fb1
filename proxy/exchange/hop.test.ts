import { describe, expect, test } from "vitest";
import { getWith, sentRequest } from "../../test/harness/parsed-head.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { NO_TAG, parseTagValue } from "../routing/tag.ts";
import { type ContextWish, exchangeContext, FakeDownstream } from "./exchange-context.fake.ts";
import { markHop } from "./hop.ts";
import { trustedBaggage } from "./identify.ts";
import { NO_HOP } from "./placed-hop.ts";

const ROOT = "00112233445566aa";
const PARENT = "bbccddeeff001122";
const MARK = `forklane-hop=${ROOT}.${PARENT}`;
const ID = /^[0-9a-f]{16}$/;

function marked(
  fields: readonly string[],
  wish: ContextWish = {},
  edit = new HeadEdit(200),
  workload = "shop/cart",
) {
  const head = getWith(...fields);
  const context = exchangeContext(wish);
  const tag = parseTagValue("jane-42");
  const hop = markHop(
    context,
    workload,
    tag,
    head,
    edit,
    trustedBaggage(context, new FakeDownstream(head)),
  );
  return { hop, sent: sentRequest(head, edit).slice(2) };
}

describe("the mark of a hop", () => {
  test("is not put on an untagged request", () => {
    const edit = new HeadEdit(200);
    const head = getWith("baggage: a=1", "forklane-via: x;y");
    expect(markHop(exchangeContext(), "shop/cart", NO_TAG, head, edit, null)).toBe(NO_HOP);
    expect(edit.isEmpty).toBe(true);
  });

  test("begins a tree where nobody marked the request before", () => {
    const { hop, sent } = marked(["forklane-key: jane-42"]);
    expect(hop).toMatchObject({ parent: null, isEntry: true });
    expect([hop.root, hop.hop]).toEqual([expect.stringMatching(ID), expect.stringMatching(ID)]);
    expect(sent).toEqual([
      "forklane-key: jane-42",
      `baggage: forklane-hop=${hop.root}.${hop.hop}`,
      "forklane-via: shop/cart;cart-1",
    ]);
  });

  test("replaces the former one on all lines, and leaves the rest byte for byte", () => {
    const { hop, sent } = marked([
      `Baggage: a = 1;p ,${MARK}, sandbox=jane-42`,
      `baggage: b=%2C,${MARK} ,c`,
      "Forklane-Via: shop/front;f-1",
    ]);
    expect(hop).toMatchObject({ root: ROOT, parent: PARENT, isEntry: false });
    expect(sent).toEqual([
      `Baggage: forklane-hop=${ROOT}.${hop.hop},a = 1;p , sandbox=jane-42`,
      "baggage: b=%2C,c",
      "Forklane-Via: shop/front;f-1, shop/cart;cart-1",
    ]);
  });

  test("differs for two calls in parallel", () => {
    const hops = new Set(Array.from({ length: 1_000 }, () => marked([`baggage: ${MARK}`]).hop.hop));
    expect(hops.size).toBe(1_000);
  });

  test("is not taken from a request whose tag is the edge's", () => {
    const edit = new HeadEdit(200);
    edit.add("baggage", "sandbox=jane-42");
    const { hop, sent } = marked([], {}, edit);
    expect(hop.isEntry).toBe(true);
    expect(sent[0]).toBe(`baggage: forklane-hop=${hop.root}.${hop.hop},sandbox=jane-42`);
  });

  test.each([
    ["shop/front;f-1, shop/cart;c-1", true],
    ["shop/cart;c-1, shop/front;f-1", false],
    ["shop/cart-2;c-1", false],
  ])("next to a fork is shared with its baseline's proxy after `%s`: %j", (via, isShared) => {
    const { hop } = marked([`baggage: ${MARK}`, `forklane-via: ${via}`], { sandbox: "jane" });
    expect(hop.hop === PARENT).toBe(isShared);
    expect(hop.parent).toBe(isShared ? null : PARENT);
  });

  test.each([
    ["shop/cart;front-1;from=00000000000000cc", "00000000000000cc"],
    ["shop/front;f-1, shop/cart;front-1;from=00000000000000cc", "00000000000000cc"],
    ["shop/cart;front-1;from=-", null],
    ["shop/cart;front-1;from=anything", null],
  ])("is shared with the caller's proxy after `%s`, which says who caused it", (via, parent) => {
    for (const sandbox of [null, "jane"]) {
      const { hop } = marked([`baggage: ${MARK}`, `forklane-via: ${via}`], { sandbox });
      expect([hop.root, hop.hop, hop.parent, hop.isEntry]).toEqual([ROOT, PARENT, parent, false]);
    }
  });

  test.each([
    "shop/pricing;front-1;from=00000000000000cc",
    "shop/cart;front-1;from=00000000000000cc, shop/front;f-1",
    "shop/cart;cart-2",
    "shop/cart;cart-2;from",
  ])("is a new one after `%s`: a service was between", (via) => {
    const { hop } = marked([`baggage: ${MARK}`, `forklane-via: ${via}`]);
    expect(hop).toMatchObject({ parent: PARENT, hop: expect.not.stringContaining(PARENT) });
  });

  test("at the caller names the callee, and the hop that caused the call", () => {
    const via = "forklane-via: shop/pricing;other;from=00000000000000cc";
    const out = { mode: "outbound" } as const;
    const { hop, sent } = marked([`baggage: ${MARK}`, via], out, undefined, "shop/pricing");
    expect(hop).toMatchObject({ root: ROOT, parent: PARENT });
    expect(sent[1]).toBe(`${via}, shop/pricing;cart-1;from=${PARENT}`);
    const entry = marked([], out, undefined, "shop/pricing");
    expect(entry.sent[1]).toBe("forklane-via: shop/pricing;cart-1;from=-");
  });

  test("goes to the end of a way that stands on several lines, where the next proxy looks", () => {
    const way = ["forklane-via: shop/front;f-1", "forklane-via: shop/pricing;other"];
    const out = { mode: "outbound" } as const;
    const { hop, sent } = marked([`baggage: ${MARK}`, ...way], out, undefined, "shop/cart");
    expect(sent.slice(1)).toEqual([way[0], `${way[1]}, shop/cart;cart-1;from=${PARENT}`]);
    expect(marked(sent).hop).toMatchObject({ hop: hop.hop, parent: PARENT });
  });

  test("keeps a way that somebody made endless within bounds", () => {
    const { sent } = marked([`forklane-via: ${"x;y, ".repeat(5_000)}z;z`]);
    expect(sent.find((line) => line.startsWith("forklane-via"))?.length).toBeLessThan(2_200);
  });
});
