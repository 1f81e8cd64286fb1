/** The doctor against the demo shop, each process real, broken in every way that the shop knows. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type BrokenClient, callerOf, VARIANT_NAMES } from "../../cli/demo/broken-client.ts";
import { Children } from "../../cli/demo/children.ts";
import { collectEvidence, forkReady } from "../../cli/demo/evidence.ts";
import { examineShop, shopEntry } from "../../cli/demo/examine-shop.ts";
import { chooseDemoPorts, type DemoPorts } from "../../cli/demo/ports.ts";
import {
  breakClient,
  CLI_SCRIPT,
  CONTROL_NAME,
  controlUrl,
  mendService,
  startControlAndServices,
  startProxies,
} from "../../cli/demo/processes.ts";
import type { ShopService } from "../../cli/demo/shop.ts";
import type { VerdictView } from "../../cli/doctor/examine.ts";

const START_MS = 60_000;
const TEST_MS = 30_000;

const children = new Children();
const abort = new AbortController();
let ports: DemoPorts;
let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "forklane-doctor-"));
  ports = await chooseDemoPorts(20_000 + (process.pid % 10_000));
  await startControlAndServices(children, ports, join(folder, "forklane.db"), abort.signal);
  await startProxies(children, ports, abort.signal);
  await forkReady(ports);
}, START_MS);

afterAll(async () => {
  abort.abort();
  await children.stop((name) => name !== CONTROL_NAME);
  await children.stop();
  await rm(folder, { recursive: true });
});

/** What each way of losing a tag has to come to: edge, class, rule, certainty. */
const EXPECTED = {
  "drop-baggage": ["drops-baggage", "baggage-propagator-missing", "R2", "confirmed"],
  raw: ["drops-all", "headers-not-forwarded", "R4", "probable"],
  overwrite: ["mangles", "baggage-overwritten", "R2", "confirmed"],
  spaces: null,
  "correlation-context": ["mangles", "correlation-context", "R5", "confirmed"],
  "percent-decode": ["mangles", "percent-decoded", "R5", "confirmed"],
  truncate: ["mangles", "tag-truncated", "R5", "confirmed"],
  async: ["drops-baggage", "async-boundary", "R6", "confirmed"],
} as const;

test(
  "a shop that never was whole: the caller is named among those that it may be",
  async () => {
    try {
      const verdict = await examineBroken({ callee: "pricing", variant: "drop-baggage" });
      expect(verdict.findings).toMatchObject([{ to: "shop/pricing", rule: "R2" }]);
      expect(verdict.findings[0]?.from).toContain("shop/cart");
    } finally {
      await mendService(children, ports, "cart", abort.signal);
    }
  },
  TEST_MS,
);

test(
  "a healthy shop yields nothing, time and again",
  async () => {
    await collectEvidence(ports);
    for (let i = 0; i < 3; i++) {
      const { verdict } = await examineShop(ports);
      expect(verdict).toMatchObject({ verdict: "healthy", requests: 5, findings: [], notes: [] });
      expect(verdict.edges.map((edge) => edge.state)).toEqual(Array(5).fill("propagates"));
    }
  },
  TEST_MS,
);

for (const variant of VARIANT_NAMES) {
  for (const callee of ["pricing", "cart"] as const) {
    test(
      `${callee}-client=${variant} is found at its hop, with its class and rule`,
      async () => {
        try {
          await expectFound(await examineBroken({ callee, variant }), callee, EXPECTED[variant]);
        } finally {
          await mendService(children, ports, callerOf(callee), abort.signal);
        }
      },
      TEST_MS,
    );
  }
}

async function examineBroken(broken: BrokenClient): Promise<VerdictView> {
  await breakClient(children, ports, broken, abort.signal);
  return (await examineShop(ports)).verdict;
}

async function expectFound(
  verdict: VerdictView,
  callee: ShopService,
  expected: (typeof EXPECTED)[keyof typeof EXPECTED],
): Promise<void> {
  const from = `shop/${callerOf(callee)}`;
  if (expected === null) {
    expect(verdict).toMatchObject({ verdict: "healthy", findings: [] });
    expect(verdict.notes).toEqual([expect.stringContaining(`${from} -> shop/${callee}: `)]);
    return;
  }
  const [state, cause, rule, confidence] = expected;
  const found = { from: [from], to: `shop/${callee}`, state, class: cause, rule, confidence };
  const client = clientOf(rule, callee, cause);
  if (rule === "R4") await expectCounted(verdict, { ...found, client });
  else expect(verdict.findings).toMatchObject([{ ...found, seen: 5, of: 5, client }]);
}

/** On a busy machine the evidence of one examination may not suffice, of all of these it does. */
const COUNTED_MAX = 5;

/**
 * R4 counts calls in time: if that does not suffice, the hop is doubted by R1, and never healthy. Where
 * something is found, nothing may be named before the right hop.
 */
async function expectCounted(
  first: VerdictView,
  found: { from: string[]; to: string; client: string | null },
): Promise<void> {
  let verdict = first;
  for (let i = 1; i < COUNTED_MAX && verdict.verdict !== "broken"; i++) {
    expect(verdict).toMatchObject({ verdict: "inconclusive" });
    const doubt = `from ${found.from[0]} to ${found.to}`;
    expect(verdict.incomplete).toContainEqual(expect.stringContaining(doubt));
    verdict = (await examineShop(ports)).verdict;
  }
  expect(verdict.findings[0]).toMatchObject(found);
}

/** What is read from the hops themselves does not say who called. */
function clientOf(rule: string, callee: ShopService, cause: string): string | null {
  return rule === "R5" && cause === "tag-truncated" ? null : `${callee}-client/1.0`;
}

test(
  "the command says healthy with 0, or names the break with 1, in words and as JSON",
  async () => {
    const whole = await doctor(["--entry", shopEntry(ports).href]);
    expect(whole).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^propagation: healthy/),
    });
    await breakClient(
      children,
      ports,
      { callee: "pricing", variant: "drop-baggage" },
      abort.signal,
    );
    const broken = await doctor(["--entry", shopEntry(ports).href, "--json"]);
    expect(broken.code).toBe(1);
    const { verdict, exit } = JSON.parse(broken.stdout);
    expect(verdict.findings[0]).toMatchObject({ from: ["shop/cart"], to: "shop/pricing" });
    expect(exit).toBe(1);
    await mendService(children, ports, "cart", abort.signal);
  },
  TEST_MS,
);

test(
  "without an entry the requests of others are judged, once they carry a tag",
  async () => {
    const silence = await doctor(["--observe", "100ms"]);
    expect(silence).toMatchObject({ code: 1, stdout: expect.stringContaining("inconclusive") });
    let isOver = false;
    const watching = doctor(["--observe", "4s"]).finally(() => {
      isOver = true;
    });
    while (!isOver) await collectEvidence(ports);
    const seen = await watching;
    expect(seen).toMatchObject({ code: 0, stdout: expect.stringMatching(/healthy.* requests/) });
  },
  TEST_MS,
);

test(
  "without a sandbox one is made for its key, and is gone afterwards",
  async () => {
    const control = controlUrl(ports);
    await fetch(`${control}/v1/sandboxes/jane-42`, { method: "DELETE" });
    const entry = `http://127.0.0.1:${ports.proxies.frontend}/checkout`;
    const { code, stdout } = await doctor(["--entry", entry, "--probes", "2"]);
    expect(stdout).toMatch(/^propagation: healthy {2}\(2 probes/);
    expect(code).toBe(0);
    const { items } = (await (await fetch(`${control}/v1/sandboxes`)).json()) as {
      items: unknown[];
    };
    expect(items).toEqual([]);
  },
  TEST_MS,
);

test(
  "what cannot be examined is said, with what to do",
  async () => {
    const free = "http://127.0.0.1:1/";
    const service = `http://127.0.0.1:${ports.services.frontend}/checkout`;
    expect(await doctor(["--entry", free])).toMatchObject({ code: 1, stderr: failed("no answer") });
    expect(await doctor(["--entry", service])).toMatchObject({
      code: 1,
      stderr: failed("without forklane-trace"),
    });
    const unknown = await doctor(["--entry", shopEntry(ports).href, "--key", "nobody"]);
    expect(unknown).toMatchObject({ code: 1, stderr: failed("unknown-key") });
    expect(await doctor([])).toMatchObject({ code: 2, stderr: failed("nothing to examine") });
    expect(await doctor(["--observe", "6m"])).toMatchObject({ code: 2 });
    expect(await doctor(["--entry", service, "--probes", "51"])).toMatchObject({ code: 2 });
    expect(await doctor(["--entry", service, "--control", free])).toMatchObject({
      code: 1,
      stderr: failed("no control at"),
    });
  },
  TEST_MS,
);

test(
  "start --once --break ends with the doctor naming the hop",
  async () => {
    const base = String(10_000 + (process.pid % 9_000));
    const args = ["start", "--once", "--break", "pricing-client", "--port-base", base];
    const { code, stdout } = await forklane(args);
    expect(stdout).toContain("proof complete: 6 of 6 hops recorded");
    expect(stdout).toMatch(
      /^propagation: broken at shop\/cart -> shop\/pricing {2}\(confirmed, R2/m,
    );
    expect(code).toBe(0);
    const wrong = await forklane(["start", "--once", "--break", "edge-client"]);
    expect(wrong).toMatchObject({ code: 2, stderr: failed("pricing-client") });
  },
  START_MS,
);

function failed(text: string): unknown {
  return expect.stringContaining(text);
}

/** Runs the command against the shop's control. */
function doctor(args: readonly string[]): Promise<Ended> {
  return forklane(["doctor", "propagation", "--control", controlUrl(ports), ...args]);
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function forklane(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [CLI_SCRIPT, ...args]);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code, stdout, stderr };
}
