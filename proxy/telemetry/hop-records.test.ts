import { describe, expect, it } from "vitest";
import { type HopRecord, OTHER_KEYS } from "../../core/hop-record.ts";
import { sharedHop } from "../exchange/placed-hop.ts";
import { decision, fieldList, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { DROPPED_KEYS_MAX, HopRecords, type TakenHops } from "./hop-records.ts";

const MEGABYTE = 1024 * 1024;

function newRecords(limits: { recordsMax?: number; recordsPerKeyMax?: number } = {}): HopRecords {
  const who = { workload: "shop/cart", proxy: "cart-1", sandbox: null } as const;
  return new HopRecords({ ...who, ...limits });
}

function addTagged(records: HopRecords, tag: string, count = 1): void {
  const key = tag.replace("!", "");
  for (let i = 0; i < count; i++) {
    records.finished(taggedExchange({ tagText: tag, decision: decision({ key }) }));
  }
}

function take(records: HopRecords, bytesMax = MEGABYTE): TakenHops {
  const taken = records.take(bytesMax);
  if (taken === null) throw new Error("nothing to take");
  return taken;
}

function parse(taken: TakenHops): HopRecord[] {
  return taken.lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as HopRecord);
}

describe("hop records", () => {
  it("say whether more wait behind those that are on their way", () => {
    const records = newRecords();
    addTagged(records, "jane-42", 2);
    const first = take(records, 1);
    expect([first.count, records.hasMore]).toEqual([1, true]);
    records.confirm(first);
    take(records);
    expect(records.hasMore).toBe(false);
    addTagged(records, "jane-42");
    expect(records.hasMore).toBe(true);
  });

  it("are at most 2,000 of one key and 20,000 in all", () => {
    const records = newRecords();
    addTagged(records, "jane-42!", 2_001);
    expect(records.held).toBe(2_000);
    for (let i = 0; i < 10; i++) addTagged(records, `pr-${i}!`, 2_000);
    expect([records.held, records.droppedTotal]).toEqual([20_000, 2_001]);
  });

  it("of a call are the callee's, name the caller, and say that its tag was given back", () => {
    const records = newRecords();
    const call = { mode: "outbound", workload: "shop/pricing", healed: "affinity" } as const;
    records.finished(taggedExchange(call));
    expect(parse(take(records))).toMatchObject([{ ...call, caller: "shop/cart", proxy: "cart-1" }]);
  });

  it("hold what a trace is built from, and nothing of an untagged exchange", () => {
    const records = newRecords();
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
    records.finished(untaggedExchange());
    records.finished(taggedExchange({ fields: fieldList([["traceparent", traceparent]]) }));
    expect(parse(take(records))).toEqual([
      {
        v: 1,
        root: "00000000000000aa",
        hop: "00000000000000bb",
        parent: null,
        timeMs: 1_700_000_000_000,
        caller: "10.0.0.7",
        workload: "shop/cart",
        proxy: "cart-1",
        mode: "inbound",
        sandbox: null,
        healed: null,
        tag: "jane-42",
        key: "jane-42",
        outcome: "fork",
        reason: "fork",
        revision: "e.1",
        endpoint: "10.0.0.9:8080",
        traceId,
        protocol: "http/1.1",
        status: 200,
        requestBytes: 3,
        responseBytes: 40,
        ttfbMs: 3,
        totalMs: 4.5,
        attempt: 1,
        closedBy: null,
        fault: null,
      },
    ]);
  });

  it("say null where there is nothing, and escape what is not plain", () => {
    const records = newRecords();
    const parent = "00000000000000cc";
    const nothing = { firstByteAtMs: 0, downstreamAddress: "", endpoint: null, status: 0 };
    const place = sharedHop("00000000000000aa", "00000000000000bb", parent);
    records.finished(taggedExchange({ ...nothing, place, tagText: '\u0141"\n' }));
    const taken = take(records);
    expect(taken.lines).toMatch(/^[ -~]+\n$/);
    const [record] = parse(taken);
    expect(record).toMatchObject({ parent, ttfbMs: null, caller: null, endpoint: null });
    expect(record?.tag).toBe('\u0141"\n');
  });

  it("longer than any line are dropped, and counted under their key", () => {
    const records = newRecords();
    records.finished(taggedExchange({ endpoint: "a".repeat(40_000) }));
    expect(records.held).toBe(0);
    expect(take(records)).toEqual({ lines: "", count: 0, dropped: { "jane-42": 1 } });
  });

  it("stay when a batch does not arrive, and go once when it does", () => {
    const records = newRecords();
    addTagged(records, "jane-42", 2);
    const lost = take(records);
    expect(records.take(MEGABYTE)).toBeNull();
    records.giveBack(lost);
    records.giveBack(lost);
    const again = take(records);
    expect(again.lines).toBe(lost.lines);
    records.confirm(again);
    records.confirm(again);
    expect(records.held).toBe(0);
    expect(records.take(MEGABYTE)).toBeNull();
  });

  it("that are on their way still count towards the budget", () => {
    const records = newRecords({ recordsMax: 10, recordsPerKeyMax: 10 });
    addTagged(records, "jane-42", 9);
    const lost = take(records);
    addTagged(records, "jane-42", 5);
    records.giveBack(lost);
    expect(records.held).toBe(9);
    expect(records.droppedTotal).toBe(5);
    expect(take(records).dropped).toEqual({ "jane-42": 5 });
  });

  it("of one key never take the room of another one", () => {
    const records = newRecords({ recordsMax: 100, recordsPerKeyMax: 10 });
    addTagged(records, "load-test", 50);
    addTagged(records, "jane-42", 1);
    const taken = take(records);
    expect(taken.count).toBe(10);
    expect(taken.dropped).toEqual({ "load-test": 41 });
  });

  it("of strict tags find room when the others have used theirs up", () => {
    const records = newRecords({ recordsMax: 20, recordsPerKeyMax: 20 });
    addTagged(records, "jane-42", 30);
    addTagged(records, "jane-42!", 3);
    const strict = parse(take(records)).filter((record) => record.tag.endsWith("!"));
    expect(records.held).toBe(20);
    expect(strict).toHaveLength(2);
  });

  it("come in batches below the size asked for, at least one record each", () => {
    const records = newRecords();
    addTagged(records, "jane-42", 3);
    const one = take(records, 10);
    expect(one.count).toBe(1);
    records.confirm(one);
    const lineBytes = one.lines.length;
    expect(take(records, lineBytes * 2).count).toBe(2);
  });

  it("that control refuses for good are counted as dropped", () => {
    const records = newRecords();
    addTagged(records, "jane-42", 2);
    records.discard(take(records));
    expect(records.held).toBe(0);
    expect(take(records)).toEqual({ lines: "", count: 0, dropped: { "jane-42": 2 } });
  });

  it("keep drop counts of a batch that did not arrive", () => {
    const records = newRecords({ recordsMax: 10, recordsPerKeyMax: 10 });
    addTagged(records, "jane-42", 11);
    records.giveBack(take(records));
    addTagged(records, "jane-42", 1);
    expect(take(records).dropped).toEqual({ "jane-42": 3 });
  });

  it("dropped under more keys than are told apart are counted together", () => {
    const records = newRecords({ recordsMax: 1 });
    for (let i = 0; i < DROPPED_KEYS_MAX + 5; i++) addTagged(records, `key-${i}`);
    const { dropped } = take(records);
    expect(Object.keys(dropped)).toHaveLength(DROPPED_KEYS_MAX);
    expect(dropped[OTHER_KEYS]).toBe(6);
    expect(records.droppedTotal).toBe(DROPPED_KEYS_MAX + 5);
  });

  it("of a tag that cannot be read are held under no key", () => {
    const records = newRecords();
    const unreadable = decision({ outcome: "baseline", reason: "tag-unreadable", key: null });
    records.finished(taggedExchange({ tagText: "%%%", decision: unreadable }));
    expect(parse(take(records))[0]).toMatchObject({ key: "", tag: "%%%" });
  });
});
