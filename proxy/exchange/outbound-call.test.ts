import { describe, expect, test } from "vitest";
import { LOOPBACK_AND_PRIVATE, parseNetworks } from "../../core/networks.ts";
import { getWith, sentRequest } from "../../test/harness/parsed-head.ts";
import { callsOf } from "../routing/callees.ts";
import { parseTable } from "../routing/table.ts";
import type { ExchangeContext, Outbound } from "./context.ts";
import { exchangeContext, FakeDownstream } from "./exchange-context.fake.ts";
import { trustedBaggage } from "./identify.ts";
import { calleeOf, identifyCall } from "./outbound-call.ts";

function outbound(): Outbound {
  const route = { sandbox: "jane", endpoints: ["127.0.0.1:2"] };
  const pricing = { hosts: ["pricing"], baseline: "127.0.0.1:1", routes: { "jane-42": route } };
  const workloads = { "shop/pricing": pricing };
  const table = parseTable({ revision: 1, workloads, known: [] }, "shop/cart");
  const networks = parseNetworks(LOOPBACK_AND_PRIVATE);
  if (!table.ok || !networks.ok) throw new Error("the table of this test is wrong");
  const known = { clusterNetworks: networks.value, stripsOutside: false };
  return { ...known, calls: callsOf(table.value, new Map(), "jane") };
}

function identified(fields: readonly string[], from = "127.0.0.1") {
  const calls = outbound();
  const context: ExchangeContext = { ...exchangeContext(), mode: "outbound", outbound: calls };
  const head = getWith(...fields);
  const downstream = new FakeDownstream(
    { ...EMPTY_HEAD, authority: "pricing", fields: head },
    from,
  );
  const callee = calleeOf(calls, downstream);
  const baggage = trustedBaggage(context, downstream);
  const call = identifyCall(context, calls, callee, downstream, downstream.requestEdit, baggage);
  return { call, sent: sentRequest(head, downstream.requestEdit).slice(2) };
}

const EMPTY_HEAD = {
  method: "GET",
  target: "/",
  hasBody: false,
  bodyBytes: 0,
  mayUpgrade: true,
  raw: null,
};

describe("a call without a tag, next to a fork", () => {
  test("gets the sandbox's key beside what it carries, and the mark that it kept", () => {
    const { call, sent } = identified([
      "baggage: a=1,forklane-hop=00112233445566aa.bbccddeeff001122",
    ]);
    expect(call).toMatchObject({
      tag: { text: "jane-42" },
      healed: "sandbox",
      mark: { root: "00112233445566aa", hop: "bbccddeeff001122" },
    });
    expect(sent[0]).toContain("sandbox=jane-42,a=1");
  });

  test("gets nothing from somebody who is not trusted", () => {
    expect(identified(["x: 1"], "203.0.113.9")).toEqual({
      call: { tag: expect.objectContaining({ kind: "none" }), healed: null, mark: null },
      sent: ["x: 1"],
    });
    expect(identified(["baggage: sandbox=mark-7,a=1"], "203.0.113.9").sent).toEqual([
      "baggage: a=1",
    ]);
  });

  test.each(["baggage: sandbox=mark-7", "forklane-key: mark-7", "baggage: sandbox=%00!"])(
    "is none that says something: %s",
    (field) => {
      const { call, sent } = identified([field]);
      expect([call.healed, sent]).toEqual([null, [field]]);
    },
  );
});
