import { describe, expect, test } from "vitest";
import { Connection, get, sendRaw } from "../harness/client.ts";
import { NOBODY, startProxy } from "../harness/proxy.ts";
import { response, startUpstream } from "../harness/upstream.ts";

/** A proxy with a baseline and the forks of two sandboxes. */
async function shop() {
  const baseline = await startUpstream(response("baseline"));
  const jane = await startUpstream(response("jane"));
  const joe = await startUpstream(response("joe"));
  const proxy = await startProxy({
    baseline,
    forks: { "jane-42": { at: jane }, "joe-7": { at: joe } },
    known: ["elsewhere"],
    expired: ["gone-1"],
  });
  return { baseline, jane, joe, proxy };
}

describe("the decision", () => {
  test.each([
    ["jane-42", 200, "jane", "fork; key=jane-42; reason=fork"],
    ["jane-42!", 200, "jane", "fork; key=jane-42; reason=fork"],
    ["joe-7", 200, "joe", "fork; key=joe-7; reason=fork"],
    ["elsewhere!", 200, "baseline", "baseline; key=elsewhere; reason=not-forked"],
    ["jane-42.base!", 200, "baseline", "baseline; key=jane-42.base; reason=not-forked"],
    ["elsewhere~jane-42!", 200, "jane", "fork; key=jane-42; reason=fork"],
    ["jane-4", 200, "baseline", "baseline; key=jane-4; reason=unknown-key"],
    ["jane-421", 200, "baseline", "baseline; key=jane-421; reason=unknown-key"],
    ["gone-1", 200, "baseline", "baseline; key=gone-1; reason=expired"],
    ["Jane-42", 200, "baseline", "baseline; reason=tag-unreadable"],
  ])("for the tag %s is told and followed", async (tag, status, body, decision) => {
    const { proxy } = await shop();
    const seen = await get(proxy.port, { tag });
    expect([seen.status, seen.body]).toEqual([status, body]);
    expect(seen.fields["forklane-decision"]).toBe(`shop/cart; ${decision}; rev=1`);
    expect(seen.fields["forklane-trace"]).toMatch(/^[0-9a-f]{16}$/);
  });

  test.each([
    ["jane-4!", 424, "unknown-key"],
    ["gone-1!", 424, "expired"],
    ["Jane-42!", 400, "tag-unreadable"],
    ["jane-42~unknown!", 424, "unknown-key"],
  ])(
    "for the strict tag %s is a refusal (%i %s), which reaches nobody",
    async (tag, status, code) => {
      const { proxy, baseline, jane } = await shop();
      const seen = await get(proxy.port, { tag });
      expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
        status,
        `${code}; by=shop/cart`,
      ]);
      expect(seen.fields["forklane-decision"]).toContain(`refused;`);
      expect(seen.fields["cache-control"]).toBe("no-store");
      expect([baseline.requests.length, jane.requests.length]).toEqual([0, 0]);
    },
  );

  test("of a fork is tried at three endpoints, and at no fourth", async () => {
    const live = await startUpstream(response("live"));
    const dead = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"];
    const baseline = await startUpstream(response("baseline"));
    const ask = async (at: readonly string[]) => {
      const proxy = await startProxy({ baseline, forks: { "jane-42": { at } } });
      const seen = await get(proxy.port, { tag: "jane-42" });
      return seen.fields["forklane-fault"] ?? seen.body;
    };
    expect(await ask([...dead.slice(0, 2), live.at])).toBe("live");
    expect(await ask([...dead, live.at])).toBe("fork-down; by=shop/cart");
    expect([live.requests.length, baseline.requests.length]).toEqual([1, 0]);
  });

  test("for differing duplicates is the last one, and a refusal where it is strict", async () => {
    const { proxy } = await shop();
    const loose = await get(proxy.port, { fields: ["baggage: sandbox=joe-7,sandbox=jane-42"] });
    expect(loose.body).toBe("jane");
    const strict = await get(proxy.port, { fields: ["baggage: sandbox=joe-7,sandbox=jane-42!"] });
    expect([strict.status, strict.fields["forklane-fault"]]).toEqual([
      400,
      "tag-ambiguous; by=shop/cart",
    ]);
  });

  test("for an untagged request is the baseline, with nothing of ours on either side", async () => {
    const { proxy, baseline } = await shop();
    const seen = await get(proxy.port, { fields: ["baggage: other=1"] });
    expect(seen.body).toBe("baseline");
    expect(seen.head).not.toMatch(/forklane/i);
    expect(baseline.requests[0]?.head).toBe(
      "GET / HTTP/1.1\r\nhost: shop.test\r\nbaggage: other=1\r\n\r\n",
    );
  });

  test("for a plain header is the same as for baggage", async () => {
    const { proxy } = await shop();
    expect((await get(proxy.port, { fields: ["forklane-key: jane-42!"] })).body).toBe("jane");
  });

  test("without a table is the baseline, strict ones are refused", async () => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({ baseline, withoutTable: true });
    const loose = await get(proxy.port, { tag: "jane-42" });
    expect([loose.body, loose.fields["forklane-decision"]]).toEqual([
      "baseline",
      "shop/cart; baseline; key=jane-42; reason=table-unknown; rev=none",
    ]);
    const strict = await get(proxy.port, { tag: "jane-42!" });
    expect([strict.status, strict.fields["forklane-fault"]]).toEqual([
      503,
      "table-unknown; by=shop/cart",
    ]);
  });

  test("of a tag from an address that is not trusted is none, and the tag goes no further", async () => {
    const baseline = await startUpstream(response("baseline"));
    const jane = await startUpstream(response("jane"));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: jane } },
      flags: { "trust-tags-from": "10.0.0.0/8" },
    });
    const seen = await get(proxy.port, {
      fields: [
        "baggage: a=1,sandbox=jane-42!,forklane-hop=0123456789abcdef.0123456789abcdef,b=2",
        "forklane-key: jane-42",
        "forklane-via: x;y",
      ],
    });
    expect(seen.body).toBe("baseline");
    expect(baseline.requests[0]?.head).toBe(
      "GET / HTTP/1.1\r\nhost: shop.test\r\nbaggage: a=1,b=2\r\n\r\n",
    );
  });
});

describe("the mark of the hop", () => {
  test("is merged into baggage, the rest byte for byte, and names this hop as the next one's parent", async () => {
    const { proxy, jane } = await shop();
    const parent = "00112233445566aa.bbccddeeff001122";
    const seen = await get(proxy.port, {
      fields: [`Baggage: x = 1 ;p, sandbox=jane-42, forklane-hop=${parent},y=%20`],
    });
    const baggage = /^Baggage: (.*)\r$/m.exec(jane.requests[0]?.head ?? "")?.[1] ?? "";
    expect(baggage).toMatch(
      /^forklane-hop=00112233445566aa\.[0-9a-f]{16},x = 1 ;p, sandbox=jane-42,y=%20$/,
    );
    expect(baggage).not.toContain("bbccddeeff001122");
    expect(seen.fields["forklane-trace"]).toBeUndefined();
    expect(jane.requests[0]?.head).toMatch(/^forklane-via: shop\/cart;[^\r]+\r$/m);
  });

  test("is found again: a request that comes back to the proxy that forwarded it is a loop (508)", async () => {
    const other = await startUpstream(response("never"));
    const table = await startProxy({ baseline: other, forks: { "jane-42": { at: NOBODY } } });
    const proxy = await startProxy({
      baseline: table.at,
      known: ["jane-42"],
      flags: { instance: "one" },
    });
    const seen = await sendRaw(
      proxy.port,
      "GET / HTTP/1.1\r\nHost: a\r\nbaggage: sandbox=jane-42!\r\nforklane-via: shop/front;two, shop/cart;one\r\n\r\n",
    );
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([508, "loop; by=shop/cart"]);
    expect(other.requests).toEqual([]);
  });
});

describe("a fork that cannot be reached", () => {
  test("is a failure by default: 503 fork-down, never the baseline", async () => {
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: NOBODY }, "no-pods": { at: [] } },
    });
    for (const tag of ["jane-42", "jane-42!", "no-pods"]) {
      const seen = await get(proxy.port, { tag });
      expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
        503,
        "fork-down; by=shop/cart",
      ]);
      expect(seen.fields["forklane-decision"]).toMatch(/refused; key=.*; reason=fork-down/);
    }
    expect(baseline.requests).toEqual([]);
  });

  test("is the baseline where its sandbox says so, with the body whole, and says so", async () => {
    const baseline = await startUpstream((request) => response(`baseline ${request.body}`));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: NOBODY, onUnavailable: "baseline" } },
    });
    const seen = await get(proxy.port, { tag: "jane-42", method: "POST", body: "whole" });
    expect(seen.body).toBe("baseline whole");
    expect(seen.fields["forklane-decision"]).toContain("baseline; key=jane-42; reason=fork-down");
  });

  test("at one address is looked for at the others", async () => {
    const baseline = await startUpstream(response("baseline"));
    const jane = await startUpstream(response("jane"));
    const proxy = await startProxy({ baseline, forks: { "jane-42": { at: [NOBODY, jane.at] } } });
    for (let i = 0; i < 6; i++)
      expect((await get(proxy.port, { tag: "jane-42" })).body).toBe("jane");
  });
});

describe("a fork that was handed the request", () => {
  const byPolicy = ["fail", "baseline"] as const;
  const faults: readonly (readonly [string, string | null, number, string])[] = [
    ["resets", null, 502, "upstream-closed"],
    ["answers garbage", "nonsense\r\n\r\n", 502, "upstream-malformed"],
    ["hangs", "", 504, "upstream-timeout"],
  ];
  test.each(faults.flatMap((fault) => byPolicy.map((policy) => [...fault, policy] as const)))(
    "and %s is never replaced by the baseline",
    async (_what, reply, status, code, onUnavailable) => {
      const baseline = await startUpstream(response("baseline"));
      const fork = await startUpstream((_request, socket) => {
        if (reply === null) socket.resetAndDestroy();
        return reply === "" ? null : reply;
      });
      const proxy = await startProxy({
        baseline,
        forks: { "jane-42": { at: fork, onUnavailable } },
        limits: { responseMs: 100 },
      });
      const seen = await get(proxy.port, { tag: "jane-42" });
      expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
        status,
        `${code}; by=shop/cart`,
      ]);
      expect(seen.fields["forklane-decision"]).toContain("fork; key=jane-42; reason=fork");
      expect(baseline.requests).toEqual([]);
    },
  );
});

describe("a fork's own proxy", () => {
  async function forkProxy(flags: Record<string, string> = {}) {
    const service = await startUpstream(response("jane's fork"));
    const proxy = await startProxy({
      baseline: service,
      forks: {
        "jane-42": { at: "127.0.0.1:9", sandbox: "jane" },
        "joe-7": { at: "127.0.0.1:9", sandbox: "joe" },
      },
      flags: { sandbox: "jane", ...flags },
    });
    return { service, proxy };
  }

  test("delivers its own sandbox's requests, and refuses all others 421, untagged ones too", async () => {
    const { service, proxy } = await forkProxy();
    expect((await get(proxy.port, { tag: "jane-42!" })).body).toBe("jane's fork");
    for (const tag of ["joe-7", "jane-42.base", "unknown", undefined]) {
      const seen = await get(proxy.port, tag === undefined ? {} : { tag });
      expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
        421,
        "wrong-fork; by=shop/cart",
      ]);
    }
    expect(service.requests.length).toBe(1);
  });

  test("lets declared probe paths through untagged", async () => {
    const { proxy } = await forkProxy({ "probe-path": "/healthz" });
    expect((await get(proxy.port, { path: "/healthz?x=1" })).status).toBe(200);
    expect((await get(proxy.port, { path: "/healthz/deep" })).status).toBe(421);
  });

  test("of another sandbox at a reused address counts as fork-down for the caller's policy", async () => {
    const { proxy: joe } = await forkProxy({ sandbox: "joe" });
    const baseline = await startUpstream((request) => response(`baseline ${request.body}`));
    const failing = await startProxy({
      baseline,
      forks: { "jane-42": { at: joe.at, sandbox: "jane" } },
    });
    const refused = await get(failing.port, { tag: "jane-42" });
    expect([refused.status, refused.fields["forklane-fault"]]).toEqual([
      503,
      "fork-down; by=shop/cart",
    ]);
    expect(baseline.requests).toEqual([]);
    const lenient = await startProxy({
      baseline,
      forks: { "jane-42": { at: joe.at, sandbox: "jane", onUnavailable: "baseline" } },
    });
    const seen = await get(lenient.port, { tag: "jane-42", method: "POST", body: "kept" });
    expect(seen.body).toBe("baseline kept");
  });

  test("says so of the very request, so that a fork which passes on another's 421 is not asked twice", async () => {
    const passedOn = "forklane-fault: wrong-fork; by=shop/tax; hop=0123456789abcdef\r\n";
    const fork = await startUpstream(response("", passedOn, "421 Misdirected Request"));
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: fork.at, sandbox: "jane", onUnavailable: "baseline" } },
    });
    const seen = await get(proxy.port, { tag: "jane-42!", method: "POST", body: "buy" });
    expect([seen.status, fork.requests.length, baseline.requests.length]).toEqual([421, 1, 0]);
  });

  test("of another sandbox at one reused address is followed by the fork's other addresses", async () => {
    const { proxy: joe, service } = await forkProxy({ sandbox: "joe" });
    const baseline = await startUpstream(response("baseline"));
    const jane = await startUpstream((request) => response(`jane ${request.body}`));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: [joe.at, jane.at], sandbox: "jane", onUnavailable: "baseline" } },
    });
    for (let i = 0; i < 4; i++) {
      const seen = await get(proxy.port, { tag: "jane-42", method: "POST", body: "kept" });
      expect(seen.body).toBe("jane kept");
    }
    expect([service.requests, baseline.requests]).toEqual([[], []]);
  });

  test("shares the hop of the baseline's proxy that sent it the request", async () => {
    const { service, proxy: fork } = await forkProxy();
    const baseline = await startUpstream(response("baseline"));
    const proxy = await startProxy({
      baseline,
      forks: { "jane-42": { at: fork.at, sandbox: "jane" } },
    });
    await get(proxy.port, { tag: "jane-42" });
    const mark = /forklane-hop=([0-9a-f.]+)/.exec(service.requests[0]?.head ?? "")?.[1];
    expect(mark).toMatch(/^[0-9a-f]{16}\.[0-9a-f]{16}$/);
    expect(service.requests[0]?.head).toMatch(
      /forklane-via: shop\/cart;[^,\r]+, shop\/cart;[^,\r]+\r\n/,
    );
  });
});

describe("the edge", () => {
  async function edge(
    flags: Record<string, string> = {},
    reply = response("app", "Cache-Control: max-age=60\r\n"),
  ) {
    const app = await startUpstream(reply);
    const proxy = await startProxy({
      baseline: app,
      known: ["jane-42"],
      workload: "shop/edge",
      flags: { mode: "edge", ...flags },
    });
    return { app, proxy };
  }
  const carried = /^baggage: forklane-hop=[0-9a-f]{16}\.[0-9a-f]{16},sandbox=(.*)\r$/m;

  test("turns a host with a key into a tag, and gives the application the host that it knows", async () => {
    const { app, proxy } = await edge();
    const seen = await sendRaw(
      proxy.port,
      "GET / HTTP/1.1\r\nHost: jane-42--shop.example.com:8080\r\n\r\n",
    );
    const head = app.requests[0]?.head ?? "";
    expect(carried.exec(head)?.[1]).toBe("jane-42");
    expect(head).toMatch(/^Host: shop\.example\.com:8080\r$/m);
    expect(head).toMatch(/^x-forwarded-host: jane-42--shop\.example\.com:8080\r$/m);
    expect(seen.fields["cache-control"]).toBe("max-age=60");
    expect(seen.fields["vary"]).toBeUndefined();
  });

  test.each([
    ["header", "forklane-key: jane-42!", "jane-42!"],
    ["cookie", "Cookie: a=b; forklane-key=jane-42; c=d", "jane-42"],
  ])("turns a %s into a tag; such an answer is private and varies", async (_by, field, tag) => {
    const { app, proxy } = await edge();
    const seen = await get(proxy.port, { fields: [field] });
    expect(carried.exec(app.requests[0]?.head ?? "")?.[1]).toBe(tag);
    expect(app.requests[0]?.head).not.toMatch(/^forklane-key/m);
    expect(seen.fields["cache-control"]).toBe("private, max-age=60");
    expect(seen.fields["vary"]).toContain("forklane-key");
    expect(seen.fields["vary"]).toContain("cookie");
    expect(seen.fields["forklane-trace"]).toMatch(/^[0-9a-f]{16}$/);
  });

  test("keeps what the application said to its caller's own cache", async () => {
    const { proxy } = await edge(
      {},
      response("app", "Cache-Control: public, s-maxage=9, no-store\r\nX-Accel-Expires: 60\r\n"),
    );
    const seen = await get(proxy.port, { fields: ["forklane-key: jane-42"] });
    expect(seen.fields["cache-control"]).toBe("no-store");
    expect(seen.fields["x-accel-expires"]).toBeUndefined();
  });

  test("merges its tag into the application's baggage", async () => {
    const { app, proxy } = await edge();
    await get(proxy.port, {
      fields: ["forklane-key: jane-42", "Baggage: a=1;p , sandbox=evil,b= 2"],
    });
    expect(app.requests[0]?.head).toMatch(
      /^Baggage: forklane-hop=[0-9a-f.]+,sandbox=jane-42,a=1;p ,b= 2\r$/m,
    );
  });

  test("takes tags and marks off requests from outside, unless told to trust them", async () => {
    const { app, proxy } = await edge();
    const fields = [
      "baggage: sandbox=jane-42,forklane-run=r1,keep=1",
      "forklane-via: a;b",
      "forklane-anything: x",
    ];
    const seen = await get(proxy.port, { fields });
    expect(app.requests[0]?.head).toBe(
      "GET / HTTP/1.1\r\nhost: shop.test\r\nbaggage: keep=1\r\n\r\n",
    );
    expect(seen.fields["forklane-decision"]).toBeUndefined();
    expect(seen.fields["vary"]).toContain("forklane-key");
    expect(seen.fields["cache-control"]).toBe("max-age=60");
    const trusting = await edge({ "trust-tags-from": "127.0.0.0/8" });
    await get(trusting.proxy.port, { fields });
    expect(trusting.app.requests[0]?.head).toContain("sandbox=jane-42");
  });

  test("shows the decision to callers who knew a key, not to others", async () => {
    const { proxy } = await edge(
      {},
      response(
        "app",
        "forklane-decision: shop/frontend; fork; key=jane-42; reason=fork; rev=1\r\n",
      ),
    );
    const knowing = await get(proxy.port, { fields: ["forklane-key: jane-42"] });
    expect(knowing.fields["forklane-decision"]).toMatch(/^shop\/frontend; fork/);
    for (const fields of [[], ["forklane-key: guessed"]]) {
      const guessing = await get(proxy.port, { fields });
      expect(guessing.fields["forklane-decision"]).toBeUndefined();
      expect(guessing.fields["forklane-trace"]).toBeUndefined();
    }
  });

  test("refuses a strict unknown key itself", async () => {
    const { app, proxy } = await edge();
    const seen = await get(proxy.port, { fields: ["forklane-key: guessed!"] });
    expect([seen.status, seen.fields["forklane-fault"]]).toEqual([
      424,
      "unknown-key; by=shop/edge",
    ]);
    expect(app.requests).toEqual([]);
  });
});

describe("a change of table", () => {
  test("closes idle connections to endpoints that left, and leaves the exchange in progress alone", async () => {
    const baseline = await startUpstream(response("baseline"));
    let answer: (() => void) | null = null;
    const jane = await startUpstream((request, socket) => {
      if (!request.head.includes("/slow")) return response("jane");
      answer = () => socket.write(response("jane, late"));
      return null;
    });
    const { writeFile, mkdtemp, rm } = await import("node:fs/promises");
    const folder = await mkdtemp("/tmp/forklane-table-");
    const file = `${folder}/table.json`;
    const write = async (routes: object, revision: number) => {
      await writeFile(file, JSON.stringify({ revision, routes, known: [] }));
    };
    await write({ "jane-42": { sandbox: "jane-42", endpoints: [jane.at] } }, 1);
    const proxy = await startProxy({ baseline, flags: { table: file } });
    const slow = await Connection.open(proxy.port);
    slow.write("GET /slow HTTP/1.1\r\nHost: a\r\nbaggage: sandbox=jane-42\r\n\r\n");
    await expect.poll(() => answer !== null).toBe(true);
    await write({}, 2);
    await expect
      .poll(async () => (await get(proxy.port, { tag: "jane-42" })).body, { timeout: 5_000 })
      .toBe("baseline");
    (answer as (() => void) | null)?.();
    expect((await slow.response()).body).toBe("jane, late");
    slow.close();
    await rm(folder, { recursive: true });
  });
});
