import { describe, expect, test } from "vitest";
import { getWith, responseHead, sentResponse } from "../../test/harness/parsed-head.ts";
import { HeadEdit } from "../message/head-edit.ts";
import { BASELINE_NO_KEY, type Decision } from "../routing/decision.ts";
import { type Decorated, editResponseHead } from "./decorated-head.ts";
import { type ContextWish, exchangeContext } from "./exchange-context.fake.ts";
import { entryHop, NO_HOP, sharedHop } from "./placed-hop.ts";

const FORK: Decision = {
  outcome: "fork",
  reason: "fork",
  status: 0,
  key: "jane-42",
  route: { sandbox: "jane", endpoints: ["127.0.0.1:2"], onUnavailable: "fail" },
  collision: null,
};
const ENTRY = entryHop();
const DATE = "Date: yesterday";
const OURS = "forklane-decision: shop/cart; fork; key=jane-42; reason=fork; rev=7";

function tagged(wish: Partial<Decorated> = {}): Decorated {
  return {
    workload: "shop/cart",
    decision: FORK,
    revision: "7",
    tagText: "jane-42",
    place: sharedHop("00112233445566aa", "0011223344556677", null),
    fields: getWith(),
    ...wish,
  };
}

const UNTAGGED = tagged({ decision: BASELINE_NO_KEY, tagText: "", place: NO_HOP });

/** The fields that go down; they come with a Date unless `lines` says otherwise. */
function sent(
  exchange: Decorated,
  wish: ContextWish = {},
  fields: readonly string[] = [DATE],
  status = 200,
) {
  const head = responseHead([`HTTP/1.1 ${status} X`, ...fields]);
  const edit = new HeadEdit(200);
  editResponseHead(exchangeContext(wish), exchange, head, edit, false);
  return sentResponse(head, edit).slice(1);
}

describe("next to a service", () => {
  test("an untagged response has nothing of ours, whatever the service said", () => {
    expect(sent(UNTAGGED)).toEqual([DATE]);
    expect(sent(UNTAGGED, {}, [DATE, "Forklane-Decision: x", "forklane-trace: y"])).toEqual([DATE]);
  });

  test("a response without a date gets one, and so does one whose date was for the proxy alone", () => {
    expect(sent(UNTAGGED, {}, [DATE, "Connection: date"])).toEqual([
      "date: Sun, 06 Nov 1994 08:49:37 GMT",
    ]);
    expect(sent(UNTAGGED, {}, [DATE, "Connection: x"])).toEqual([DATE]);
    expect(sent(UNTAGGED, {}, [])).toEqual(["date: Sun, 06 Nov 1994 08:49:37 GMT"]);
  });

  test("a tagged response says what this proxy decided, never what somebody behind it did", () => {
    expect(sent(tagged(), {}, [DATE, "forklane-decision: evil", "forklane-trace: evil"])).toEqual([
      DATE,
      OURS,
    ]);
  });

  test.each<"inbound" | "edge">(["inbound", "edge"])(
    "an interim response says nothing of ours, whatever the service said (%s)",
    (mode) => {
      const forged = ["Link: </a>", "Forklane-Decision: evil", "forklane-trace: evil"];
      expect(sent(tagged({ place: ENTRY }), { mode }, forged, 103)).toEqual(["Link: </a>"]);
    },
  );

  test("the entry says where the trace is found", () => {
    expect(sent(tagged({ place: ENTRY }))).toEqual([DATE, OURS, `forklane-trace: ${ENTRY.root}`]);
  });

  test("a collision, a missing key and a missing revision are said", () => {
    const collided = tagged({ decision: { ...FORK, collision: "joe-7" } });
    expect(sent(collided)[1]).toBe(`${OURS}; collision=joe-7`);
    const unread = tagged({
      decision: { ...FORK, outcome: "baseline", reason: "tag-unreadable", key: null },
      revision: "",
    });
    expect(sent(unread)[1]).toBe(
      "forklane-decision: shop/cart; baseline; reason=tag-unreadable; rev=none",
    );
  });

  test("an interim response is passed on without proof", () => {
    expect(sent(tagged({ place: ENTRY }), {}, ["Link: </a>"], 103)).toEqual(["Link: </a>"]);
  });
});

describe("at the edge", () => {
  const edge: ContextWish = { mode: "edge" };
  const vary = "vary: baggage, forklane-key, cookie";

  test("an untagged response varies by what names a key, and stays cacheable", () => {
    expect(sent(UNTAGGED, edge, [DATE, "Cache-Control: max-age=60"])).toEqual([
      DATE,
      "Cache-Control: max-age=60",
      vary,
    ]);
  });

  test("a tagged response is private, whatever else was said of caching", () => {
    const fields = [DATE, "Cache-Control: public, max-age=5, s-maxage=9", "Surrogate-Control: x"];
    expect(sent(tagged(), edge, fields)).toEqual([
      DATE,
      OURS,
      vary,
      "cache-control: private, max-age=5",
    ]);
  });

  test("the first sidecar's word is passed on to who knew the key", () => {
    const inner = "forklane-decision: shop/front; baseline; key=jane-42; reason=not-forked; rev=7";
    expect(sent(tagged({ place: ENTRY }), edge, [DATE, inner, "forklane-trace: evil"])).toEqual([
      DATE,
      inner,
      `forklane-trace: ${ENTRY.root}`,
      vary,
      "cache-control: private",
    ]);
  });

  test.each(["unknown-key", "expired", "tag-unreadable"] as const)(
    "who guessed (%s) is told nothing",
    (reason) => {
      const guessed = tagged({ decision: { ...FORK, outcome: "baseline", reason }, place: ENTRY });
      const lines = sent(guessed, edge, [DATE, "forklane-decision: x", "forklane-trace: y"]);
      expect(lines).toEqual([DATE, vary, "cache-control: private"]);
    },
  );

  test("a host with a key in its name needs no Vary; where hosts are no entry, it does", () => {
    const byHost = tagged({ fields: hostOf("jane-42--shop.example.com") });
    expect(sent(byHost, edge, [DATE, "Cache-Control: public"])).toEqual([
      DATE,
      "Cache-Control: public",
      OURS,
    ]);
    expect(sent(byHost, { mode: "edge", entries: ["header"] })).toEqual([
      DATE,
      OURS,
      "vary: baggage, forklane-key",
      "cache-control: private",
    ]);
  });
});

function hostOf(host: string) {
  const head = getWith();
  return Object.assign(Object.create(head), {
    find: (name: string) => (name === "host" ? 0 : -1),
    value: () => host,
  }) as typeof head;
}
