import { describe, expect, test } from "vitest";
import { getWith, sentRequest } from "../../test/harness/parsed-head.ts";
import type { ExchangeContext } from "./context.ts";
import { type ContextWish, exchangeContext, FakeDownstream } from "./exchange-context.fake.ts";
import { identify, removeEveryTrace, trustedBaggage } from "./identify.ts";

const OUTSIDER = "203.0.113.9";

/** Who a request is taken for, and the fields that go on (Host, where it is unchanged, left out). */
function identified(fields: readonly string[], wish: ContextWish = {}, address = "127.0.0.1") {
  const downstream = new FakeDownstream(getWith(...fields), address);
  const tag = identifyIn(exchangeContext(wish), downstream);
  const sent = sentRequest(downstream.head, downstream.requestEdit);
  return { tag: tag.text, sent: sent.filter((line) => !/^(?:GET |Host: shop\.test$)/.test(line)) };
}

function identifyIn(context: ExchangeContext, downstream: FakeDownstream) {
  const baggage = trustedBaggage(context, downstream);
  return identify(context, downstream, downstream.requestEdit, baggage);
}

describe("next to a service", () => {
  test.each([
    [["Baggage: a=1, sandbox=jane-42!"], "jane-42!"],
    [["Baggage: a=1", "baggage: sandbox = jane-42"], "jane-42"],
    [["Forklane-Key: jane-42"], "jane-42"],
    [["Baggage: sandbox=jane-42", "forklane-key: joe-7"], "jane-42"],
    [["Baggage: a=1", "forklane-key: joe-7"], "joe-7"],
    [["X-A: 1", "bag_gage: sandbox=jane-42", "x-baggage: sandbox=jane-42"], ""],
  ])("%j is tagged %j, and goes on as it is", (fields, tag) => {
    expect(identified(fields)).toEqual({ tag, sent: fields });
  });

  test("an IPv4 address that came over IPv6 is the same address", () => {
    expect(identified(["forklane-key: jane-42"], {}, "::ffff:10.1.2.3").tag).toBe("jane-42");
    expect(identified(["forklane-key: jane-42"], {}, `::ffff:${OUTSIDER}`).tag).toBe("");
  });

  test("an outsider's tag is not believed and not passed on, nor is anything of ours", () => {
    const fields = [
      "X-A: 1",
      "Baggage: a = 1;p , sandbox=jane-42,forklane-hop=0123456789abcdef.0123456789abcdef , b=%2C",
      "baggage: forklane-run=r1",
      "forklane-key: jane-42",
      "Forklane-Via: a;b",
      "forklane-anything: x",
    ];
    expect(identified(fields, {}, OUTSIDER)).toEqual({
      tag: "",
      sent: ["X-A: 1", "Baggage: a = 1;p , b=%2C"],
    });
  });

  test("an outsider's field of ours goes no further, also without a tag beside it", () => {
    for (const name of ["via", "decision", "trace", "fault", "whatever"]) {
      expect(identified([`Forklane-${name}: x`, "X-A: 1"], {}, OUTSIDER).sent).toEqual(["X-A: 1"]);
    }
    expect(identified(["forklane: x"], {}, OUTSIDER).sent).toEqual(["forklane: x"]);
  });

  test.each([
    "sand%62ox=jane-42",
    "%73andbox=jane-42!",
    "\xa0sandbox=jane-42",
    "\x85sandbox\xa0=jane-42",
    "%20sandbox%09;p=1",
    "+sandbox=jane-42",
    "forklane%2dhop=0123456789abcdef.0123456789abcdef",
  ])("an outsider's %j is not passed on: a tracer may read it as ours", (member) => {
    const { sent } = identified([`baggage: a=%31,${member},sandbo%78y=1,+b=2`], {}, OUTSIDER);
    expect(sent).toEqual(["baggage: a=%31,sandbo%78y=1,+b=2"]);
  });

  test("an outsider's tag in every configured carrier is taken out, and nothing else", () => {
    const wish = { carriers: "preset:signadot,preset:correlation-context,header:X-Team-Key" };
    const fields = [
      "baggage: sd-routing-key=a,keep=1,sd-sandbox=a",
      "tracestate: congo=t61,sd-routing-key=a",
      "Correlation-Context: sandbox=a, keep=2",
      "x-team-key: a",
      "uberctx-sd-sandbox: a",
    ];
    expect(identified(fields, wish).tag).toBe("a");
    expect(identified(fields, wish, OUTSIDER)).toEqual({
      tag: "",
      sent: ["baggage: keep=1", "tracestate: congo=t61", "Correlation-Context: keep=2"],
    });
  });

  test("a host with a key in it is an ordinary host", () => {
    const fields = ["X-A: 1", "Cookie: forklane-key=jane-42"];
    expect(identified(fields)).toEqual({ tag: "", sent: fields });
  });
});

describe("at the edge", () => {
  const edge: ContextWish = { mode: "edge", trusts: [] };

  test("the header, then the cookie become a tag in the first carrier", () => {
    expect(identified(["forklane-key: jane-42!", "Cookie: forklane-key=joe-7"], edge)).toEqual({
      tag: "jane-42!",
      sent: ["Cookie: forklane-key=joe-7", "baggage: sandbox=jane-42!"],
    });
    expect(identified(["Cookie: a=b; forklane-key=joe-7"], edge)).toEqual({
      tag: "joe-7",
      sent: ["Cookie: a=b; forklane-key=joe-7", "baggage: sandbox=joe-7"],
    });
  });

  test("an empty one is none, and a later one that is strict is not overlooked", () => {
    const tagOf = (...fields: string[]) => identified(fields, edge, OUTSIDER).tag;
    expect(tagOf("forklane-key:", "forklane-key: joe-7!")).toBe("joe-7!");
    expect(tagOf("forklane-key:", "Cookie: forklane-key=joe-7!")).toBe("joe-7!");
    expect(tagOf("Cookie: forklane-key=; forklane-key=joe-7!")).toBe("joe-7!");
    const differing = [
      ["forklane-key: jane-42", "forklane-key: joe-7!"],
      ["Cookie: forklane-key=jane-42; forklane-key=joe-7!"],
      ["Cookie: forklane-key=jane-42", "Cookie: forklane-key=joe-7!"],
    ];
    for (const fields of differing) {
      const downstream = new FakeDownstream(getWith(...fields), OUTSIDER);
      const tag = identifyIn(exchangeContext(edge), downstream);
      expect(tag).toMatchObject({ strict: true, ambiguous: true });
    }
  });

  test("an entry that is not open is not read", () => {
    const closed: ContextWish = { ...edge, entries: ["host"] };
    expect(identified(["forklane-key: jane-42", "Cookie: forklane-key=joe-7"], closed)).toEqual({
      tag: "",
      sent: ["Cookie: forklane-key=joe-7"],
    });
  });

  test("a tag that cannot be read is known to be one, and is not passed on", () => {
    const seen = identified(["forklane-key: Not A Key!", "baggage: sandbox=evil"], edge);
    expect(seen).toEqual({ tag: "Not A Key!", sent: [] });
  });

  test("a first carrier that is a plain header carries the tag as one", () => {
    const wish: ContextWish = { ...edge, carriers: "header:x-team-key,baggage:sandbox" };
    expect(identified(["forklane-key: jane-42", "X-Team-Key: evil"], wish).sent).toEqual([
      "x-team-key: jane-42",
    ]);
  });

  test("a trusted caller's tag goes before the edge's own entries", () => {
    const wish: ContextWish = { mode: "edge" };
    const fields = ["baggage: sandbox=jane-42", "Cookie: forklane-key=joe-7"];
    expect(identified(fields, wish)).toEqual({ tag: "jane-42", sent: fields });
  });
});

describe("a call that leaves the cluster", () => {
  function left(fields: readonly string[], wish: ContextWish = {}) {
    const head = getWith(...fields);
    const { requestEdit } = new FakeDownstream(head, "127.0.0.1");
    removeEveryTrace(exchangeContext(wish), head, requestEdit);
    return sentRequest(head, requestEdit).slice(2);
  }

  test.each([
    ["baggage: a=1,sandbox=jane-42", ["baggage: a=1"]],
    ["Forklane-Key: jane-42", []],
    ["Correlation-Context: a = 1 ,sandbox=jane-42,forklane-hop=x", ["Correlation-Context: a = 1"]],
    ["correlation-context: sandbox=jane-42", []],
    ["Cookie: a=1; forklane-key=jane-42;b=2", ["Cookie: a=1;b=2"]],
    ["Cookie: forklane-key=jane-42; b=2", ["Cookie: b=2"]],
    ["Cookie: forklane-key=jane-42", []],
    [
      "X-Forwarded-Host: jane-42--shop.example.com:8443",
      ["X-Forwarded-Host: shop.example.com:8443"],
    ],
    ["x-forwarded-host: a.b, Jane-42--shop.test", ["x-forwarded-host: a.b, shop.test"]],
  ])("keeps nothing of %j", (field, rest) => {
    expect(left(["X: 1", field])).toEqual(["X: 1", ...rest]);
  });

  test("keeps byte for byte what is none of ours", () => {
    const fields = [
      "Cookie:  a=forklane-key ; my-forklane-key=1",
      "x-forwarded-host: -x--y, a--",
      "correlation-context: a=1 , sandboxes=2",
      "x-a: sandbox=jane-42",
    ];
    const values = (lines: readonly string[]) => lines.map((line) => line.replace(/: +/, ": "));
    expect(values(left(fields))).toEqual(values(fields));
  });

  test("loses the carriers of this proxy, in every header of theirs", () => {
    const fields = ["correlation-context: team=a,b=1", "x-team: a", "baggage: team=a"];
    const wish = { carriers: "baggage:team,header:x-team" };
    expect(left(fields, wish)).toEqual(["correlation-context: b=1"]);
  });
});
