import { describe, expect, it } from "vitest";
import { decision, taggedExchange, untaggedExchange } from "./finished-exchange.fake.ts";
import { Metrics } from "./metrics.ts";

async function lines(metrics: Metrics): Promise<string[]> {
  return (await metrics.exposition()).text.split("\n").filter((line) => !line.startsWith("#"));
}

describe("metrics", () => {
  it("count exchanges by workload, outcome and reason", async () => {
    const metrics = new Metrics({ workload: "shop/cart" });
    metrics.finished(untaggedExchange());
    metrics.finished(untaggedExchange());
    metrics.finished(taggedExchange());
    const written = await lines(metrics);
    expect(written).toContain(
      'forklane_exchanges_total{workload="shop/cart",outcome="baseline",reason="no-key"} 2',
    );
    expect(written).toContain(
      'forklane_exchanges_total{workload="shop/cart",outcome="fork",reason="fork"} 1',
    );
    expect(metrics.counters()).toMatchObject({ exchanges: 3, fork: 1, baseline: 2, refused: 0 });
  });

  it("count faults by code, bytes, repeats and bugs", async () => {
    const metrics = new Metrics({ workload: "shop/cart" });
    metrics.finished(taggedExchange({ fault: "upstream-closed", attempt: 2 }));
    metrics.lateFault("body-malformed");
    metrics.bug();
    const written = await lines(metrics);
    expect(written).toContain('forklane_faults_total{code="upstream-closed"} 1');
    expect(written).toContain('forklane_faults_total{code="body-malformed"} 1');
    expect(written).toContain('forklane_faults_total{code="loop"} 0');
    expect(written).toContain("forklane_request_bytes_total 3");
    expect(written).toContain("forklane_response_bytes_total 40");
    expect(written).toContain("forklane_exchanges_repeated_total 1");
    expect(written).toContain("forklane_bugs_total 1");
  });

  it("have as many series after ten thousand different requests as after two", async () => {
    const metrics = new Metrics({ workload: "shop/cart" });
    metrics.finished(untaggedExchange());
    metrics.finished(taggedExchange());
    const before = (await lines(metrics)).length;
    for (let i = 0; i < 10_000; i++) {
      const target = `/${i}?q=${i}`;
      const downstreamAddress = `10.0.${i >> 8}.${i & 255}`;
      metrics.finished(untaggedExchange({ method: `M${i}`, target, downstreamAddress }));
      metrics.finished(taggedExchange({ tagText: `key-${i}`, status: i % 1_000 }));
    }
    expect((await lines(metrics)).length).toBe(before);
  });

  it("write durations as cumulative buckets, the longest in +Inf", async () => {
    const metrics = new Metrics({ workload: "shop/cart" });
    for (const ms of [1, 30, 61_000]) {
      metrics.finished(taggedExchange({ startedAtMs: 1_000, endedAtMs: 1_000 + ms }));
    }
    const written = await lines(metrics);
    const name = "forklane_exchange_duration_seconds";
    expect(written).toContain(`${name}_bucket{le="0.001",outcome="fork"} 1`);
    expect(written).toContain(`${name}_bucket{le="0.05",outcome="fork"} 2`);
    expect(written).toContain(`${name}_bucket{le="60",outcome="fork"} 2`);
    expect(written).toContain(`${name}_bucket{le="+Inf",outcome="fork"} 3`);
    expect(written).toContain(`${name}_count{outcome="fork"} 3`);
    expect(written).toContain(`${name}_sum{outcome="fork"} 61.031`);
  });

  it("read what others keep when somebody asks, and leave out what is not there", async () => {
    let tableAgeMs: number | null = null;
    const metrics = new Metrics({
      workload: "shop/cart",
      readings: () => ({ tableAgeMs, isTableStale: true, tablesRejected: { older: 2 } }),
    });
    expect(await lines(metrics)).not.toContainEqual(
      expect.stringContaining("forklane_table_age_seconds"),
    );
    tableAgeMs = 1_500;
    const written = await lines(metrics);
    expect(written).toContain("forklane_table_age_seconds 1.5");
    expect(written).toContain("forklane_table_stale 1");
    expect(written).toContain('forklane_tables_rejected_total{why="older"} 2');
    expect(written).not.toContainEqual(expect.stringContaining("forklane_downstream_connections"));
  });

  it("have a bounded number of lines, whatever keys and paths come", async () => {
    const metrics = new Metrics({ workload: "shop/cart" });
    metrics.finished(taggedExchange());
    const few = (await lines(metrics)).length;
    for (let i = 0; i < 1_000; i++) {
      metrics.finished(taggedExchange({ target: `/${i}`, decision: decision({ key: `k-${i}` }) }));
    }
    expect((await lines(metrics)).length).toBe(few);
  });
});
