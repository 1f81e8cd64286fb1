import { once } from "node:events";
import net, { type AddressInfo, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { startDeafUpstream } from "../../test/harness/deaf.ts";
import { freePort } from "../../test/harness/free-port.ts";
import { CHECKS_AT_ONCE_MAX, ENDPOINTS_REPORTED_MAX, EndpointChecks } from "./endpoint-checks.ts";

let nowMs: number;
let changes: number;
let checks: EndpointChecks;
let service: Server;

beforeEach(async () => {
  nowMs = 0;
  changes = 0;
  const clock = { nowMs: () => nowMs, epochMs: () => nowMs };
  checks = new EndpointChecks({ clock, onChange: () => changes++ });
  service = net.createServer().listen(0, "127.0.0.1");
  await once(service, "listening");
});
afterEach(() => {
  vi.useRealTimers();
  checks.stop();
  service.close();
});

function endpointOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function unusedEndpoint(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
}

/** Nobody is asked about these: what becomes of them is known at the end of the turn. */
function namesOfNone(count: number): Set<string> {
  return new Set(Array.from({ length: count }, (_, i) => `no-endpoint-${i}`));
}

/** The end of the turn. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("endpoint checks", () => {
  it("say which endpoints accept, at once and without a request", async () => {
    const up = endpointOf(service);
    const down = await unusedEndpoint();
    checks.want(new Set([up, down]));
    await expect.poll(() => Object.keys(checks.results())).toHaveLength(2);
    expect(checks.results()).toEqual({
      [up]: { accepted: true, fault: null, timeMs: 0 },
      [down]: { accepted: false, fault: "connect-refused", timeMs: 0 },
    });
    expect(changes).toBe(2);
  });

  it("look again after a second at what is down, after five at what is up", async () => {
    const up = endpointOf(service);
    const down = await unusedEndpoint();
    checks.want(new Set([up, down]));
    await expect.poll(() => changes).toBe(2);
    nowMs = 999;
    checks.tick();
    nowMs = 1_000;
    checks.tick();
    await expect.poll(() => checks.results()[down]?.timeMs).toBe(1_000);
    expect(checks.results()[up]?.timeMs).toBe(0);
    nowMs = 5_000;
    checks.tick();
    await expect.poll(() => checks.results()[up]?.timeMs).toBe(5_000);
    expect(changes).toBe(2);
  });

  it("notice that an endpoint came up, and that it went down", async () => {
    const late = await unusedEndpoint();
    checks.want(new Set([late]));
    await expect.poll(() => checks.results()[late]?.accepted).toBe(false);
    const server = net.createServer().listen(Number(late.split(":")[1]), "127.0.0.1");
    await once(server, "listening");
    nowMs = 1_000;
    checks.tick();
    await expect.poll(() => checks.results()[late]?.accepted).toBe(true);
    server.close();
    await once(server, "close");
    nowMs = 6_000;
    checks.tick();
    await expect.poll(() => checks.results()[late]?.accepted).toBe(false);
    expect(changes).toBe(3);
  });

  it("forget endpoints that left", async () => {
    checks.want(new Set([endpointOf(service)]));
    await expect.poll(() => changes).toBe(1);
    checks.want(new Set());
    expect(checks.results()).toEqual({});
  });

  it("look at sixteen at a time, and never at who has left before its turn", async () => {
    checks.want(namesOfNone(100));
    checks.want(new Set());
    await settled();
    expect(changes).toBe(16);
  });

  it("look again at eight at a time, so that there is room for new ones", async () => {
    checks.want(namesOfNone(100));
    await expect.poll(() => changes).toBe(100);
    nowMs = 1_000;
    checks.tick();
    await settled();
    const checked = Object.values(checks.results()).filter(({ timeMs }) => timeMs === nowMs);
    expect(checked).toHaveLength(8);
  });

  it("look at each endpoint, though only some at a time", async () => {
    const services = Array.from({ length: CHECKS_AT_ONCE_MAX * 2 }, () =>
      net.createServer().listen(0, "127.0.0.1"),
    );
    await Promise.all(services.map((each) => each.listening || once(each, "listening")));
    checks.want(new Set(services.map(endpointOf)));
    await expect.poll(() => changes).toBe(services.length);
    expect(Object.values(checks.results()).every(({ accepted }) => accepted)).toBe(true);
    for (const each of services) each.close();
  });

  it("tell control of the latest ones when there are more than it takes", async () => {
    const many = namesOfNone(ENDPOINTS_REPORTED_MAX);
    checks.want(many);
    await expect.poll(() => changes).toBe(many.size);
    nowMs = 1;
    checks.want(new Set([...many, "late"]));
    await expect.poll(() => changes).toBe(many.size + 1);
    expect(Object.keys(checks.results())).toHaveLength(ENDPOINTS_REPORTED_MAX);
    expect(checks.results()["late"]?.timeMs).toBe(1);
  });

  it("look again at a limited number in a second, and at each in turn", async () => {
    checks.want(namesOfNone(150));
    await expect.poll(() => changes).toBe(150);
    const checkedAt = (ms: number) =>
      Object.values(checks.results()).filter(({ timeMs }) => timeMs === ms).length;
    for (const [ms, expected] of [
      [1_000, 100],
      [1_999, 0],
      [2_000, 100],
    ] as const) {
      nowMs = ms;
      for (let i = 0; i < 50; i++) {
        checks.tick();
        await settled();
      }
      expect(checkedAt(ms)).toBe(expected);
    }
    expect(checkedAt(0)).toBe(0);
  });

  it("give up after a second on one that neither accepts nor refuses", async () => {
    const deaf = await startDeafUpstream();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    checks.want(new Set([deaf]));
    vi.advanceTimersByTime(999);
    await settled();
    expect(checks.results()).toEqual({});
    vi.advanceTimersByTime(1);
    await settled();
    expect(checks.results()[deaf]?.fault).toBe("connect-timeout");
  });

  it("are not stopped by an endpoint that is none", async () => {
    checks.want(new Set(["nonsense"]));
    await expect.poll(() => checks.results()["nonsense"]?.fault).toBe("connect-refused");
  });
});
