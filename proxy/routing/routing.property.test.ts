/** What holds for every request and every table, and what the plain oracle says of each. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isRoutingKey } from "../../core/routing-key.ts";
import { MadeFields } from "../message/field-list.ts";
import { HOP_MEMBER, withMember } from "./baggage.ts";
import { DEFAULT_CARRIERS } from "./carrier.ts";
import { decide, decideAtFork } from "./decide.ts";
import { type PlainRequest, type PlainTable, plainDecision, plainTag } from "./oracle.fake.ts";
import {
  asStale,
  parseTable,
  toDocument,
  unknownTable,
  type WorkloadTable,
  workloadTable,
} from "./table.ts";
import { parseTagValue, readTag, type Tag } from "./tag.ts";

/** Few keys, each the beginning or the end of another one, so that near misses are common. */
const KEYS = ["pr-1", "pr-12", "pr-123", "xpr-12", "jane", "jane-42", "base", "constructor"];
const key = fc.constantFrom(...KEYS);

const route = fc.record({
  sandbox: fc.constantFrom("one", "two", "three"),
  endpoints: fc.array(fc.constantFrom("10.0.0.1:80", "10.0.0.2:80"), { maxLength: 2 }),
  onUnavailable: fc.constantFrom("fail" as const, "baseline" as const),
});

const plainTable: fc.Arbitrary<PlainTable> = fc.record({
  state: fc.constantFrom("unknown", "current", "stale"),
  routes: fc.dictionary(key, route, { noNullPrototype: true }),
  known: fc.uniqueArray(key),
  expired: fc.uniqueArray(key),
});

const tagValue = fc
  .tuple(
    fc.array(
      fc.tuple(
        fc.oneof(key, fc.constantFrom("", "Jane", "a--b")),
        fc.constantFrom("", "", ".base"),
      ),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
    fc.constantFrom("~", "~", "%7E", " "),
    fc.constantFrom("", "!", "%21", ";strict", "%3Bstrict", "; strict=1", ";p", ";p=strict", "!!"),
  )
  .map(([names, joint, end]) => names.map(([name, arm]) => `${name}${arm}`).join(joint) + end);

const latin1 = fc.string({
  unit: fc.oneof(
    fc.constantFrom(..." \t,;=%!~.-ab1"),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  ),
});

const space = fc.constantFrom("", "", " ", "\t ");
const member = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(space, space, tagValue, space)
      .map(([a, b, v, c]) => `${a}sandbox${b}=${v}${c}`),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      "a=1",
      "",
      "sandbox",
      "sandbox=",
      "sandbox;strict",
      "sandboxx=jane",
      "forklane-run=r.B.0.s3",
    ),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 8_150, max: 8_195 }).map((count) => `f=${"x".repeat(count)}`),
  },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 66 }).map((count) => "m=1,".repeat(count)) },
  { weight: 1, arbitrary: latin1 },
);

const request: fc.Arbitrary<PlainRequest> = fc.record({
  baggage: fc.array(
    fc.array(member, { maxLength: 4 }).map((members) => members.join(",")),
    { maxLength: 3 },
  ),
  header: fc.array(fc.oneof(tagValue, latin1), { maxLength: 2 }),
});

function fieldsOf({ baggage, header }: PlainRequest): MadeFields {
  return new MadeFields([
    ...baggage.flatMap((line) => ["baggage", line]),
    ...header.flatMap((line) => ["forklane-key", line]),
  ]);
}

function tableOf({ state, routes, known, expired }: PlainTable): WorkloadTable {
  if (state === "unknown") return workloadTable(unknownTable([]), "shop/cart");
  const table = parseTable({ revision: 1, routes, known, expired }, "shop/cart");
  if (!table.ok) throw new Error(table.error);
  return workloadTable(state === "stale" ? asStale(table.value) : table.value, "shop/cart");
}

test("reading and deciding agree with the oracle", () => {
  fc.assert(
    fc.property(plainTable, request, (table, asked) => {
      const tag = readTag(DEFAULT_CARRIERS, fieldsOf(asked));
      const plain = plainTag(asked);
      expect(inWords(tag)).toEqual(plain);
      expect(decide(tableOf(table), tag)).toEqual(plainDecision(table, plain));
    }),
    { numRuns: 2_000 },
  );
});

function inWords(tag: Tag) {
  if (tag.kind === "none") return null;
  const { strict, ambiguous } = tag;
  const names = tag.keys.map(({ key: name, base }) => (base ? `${name}.base` : name));
  return { names: tag.kind === "keys" ? names : null, strict, ambiguous };
}

test("an untagged request never goes to a fork", () => {
  const untagged = fc.constantFrom(
    "a=1",
    "sandboxx=jane",
    "xsandbox=jane",
    "sandbox=",
    "a=sandbox=jane",
  );
  fc.assert(
    fc.property(plainTable, fc.array(untagged), (table, members) => {
      const tag = readTag(DEFAULT_CARRIERS, fieldsOf({ baggage: [members.join(",")], header: [] }));
      expect(decide(tableOf(table), tag)).toMatchObject({ outcome: "baseline", route: null });
      expect(decideAtFork(tableOf(table), tag, "one").reason).toBe("wrong-fork");
    }),
  );
});

test("a request reaches only forks of the keys that its tag names", () => {
  fc.assert(
    fc.property(plainTable, tagValue, (table, value) => {
      const tag = parseTagValue(value);
      const { route: reached } = decide(tableOf(table), tag);
      if (reached === null) return;
      const own = tag.keys.filter(({ base }) => !base).map(({ key: name }) => table.routes[name]);
      expect(own).toContainEqual(reached);
    }),
  );
});

test("a key matches neither a longer nor a shorter one", () => {
  fc.assert(
    fc.property(key, key, (routed, asked) => {
      const routes = {
        [routed]: { sandbox: "one", endpoints: ["10.0.0.1:80"], onUnavailable: "fail" as const },
      };
      const table = tableOf({ state: "current", routes, known: [], expired: [] });
      const { outcome } = decide(table, parseTagValue(asked));
      expect(outcome).toBe(asked === routed ? "fork" : "baseline");
    }),
  );
});

test("a strict tag goes to the baseline only where every key is known, or a sandbox says so", () => {
  fc.assert(
    fc.property(plainTable, request, (plain, asked) => {
      const table = tableOf(plain);
      const tag = readTag(DEFAULT_CARRIERS, fieldsOf(asked));
      const { outcome, reason } = decide(table, tag);
      if (!tag.strict || outcome !== "baseline") return;
      expect(["not-forked", "fork-down"]).toContain(reason);
      for (const { key: name } of tag.keys) expect(table.known.has(name)).toBe(true);
    }),
  );
});

test("next to a fork, what is delivered is what the baseline's proxy would send there", () => {
  fc.assert(
    fc.property(plainTable, tagValue, (plain, value) => {
      const table = tableOf(plain);
      const tag = parseTagValue(value);
      const sentTo = decide(table, tag).route?.sandbox;
      for (const sandbox of ["one", "two", "three"]) {
        const { outcome, status } = decideAtFork(table, tag, sandbox);
        expect(outcome).toBe(sandbox === sentTo ? "fork" : "refused");
        expect(status).toBe(sandbox === sentTo ? 0 : 421);
      }
    }),
  );
});

test("reading and deciding are total, and what is kept of a tag is short and printable", () => {
  fc.assert(
    fc.property(
      plainTable,
      fc.array(latin1),
      latin1,
      fc.string({ unit: "binary" }),
      (table, lines, header, text) => {
        for (const tag of [
          readTag(DEFAULT_CARRIERS, fieldsOf({ baggage: lines, header: [header] })),
          parseTagValue(text),
        ]) {
          expect(tag.text).toMatch(/^[ -~]{0,200}$/);
          expect(tag.text === "").toBe(tag.kind === "none");
          expect(tag.keys.every((each) => isRoutingKey(each.key))).toBe(true);
          expect(tag.keys.length > 0).toBe(tag.kind === "keys");
          decide(tableOf(table), tag);
        }
      },
    ),
  );
});

test("marking the hop changes neither the tag nor what it is read from", () => {
  fc.assert(
    fc.property(request, ({ baggage, header }) => {
      const [first = "", ...others] = baggage;
      const mark = `${"0".repeat(16)}.${"1".repeat(16)}`;
      const marked = [withMember(withMember(first, HOP_MEMBER, "x"), HOP_MEMBER, mark), ...others];
      const tag = (lines: readonly string[]) =>
        readTag(DEFAULT_CARRIERS, fieldsOf({ baggage: lines, header }));
      expect(tag(marked)).toEqual(tag(baggage));
    }),
    { numRuns: 500 },
  );
});

test("a table is the same after being written and read", () => {
  const workload = fc.record({ routes: fc.dictionary(key, route, { noNullPrototype: true }) });
  const document = fc.record({
    revision: fc.oneof(fc.nat(), fc.constantFrom("e1.4", "8f3a")),
    workloads: fc.dictionary(fc.constantFrom("shop/cart", "shop/price"), workload, {
      noNullPrototype: true,
    }),
    known: fc.uniqueArray(key),
    expired: fc.uniqueArray(key),
  });
  fc.assert(
    fc.property(document, (asked) => {
      const table = parseTable(asked, "shop/cart");
      if (!table.ok) throw new Error(table.error);
      const again = parseTable(JSON.parse(JSON.stringify(toDocument(table.value))), "shop/cart");
      expect(again).toEqual(table);
    }),
  );
});
