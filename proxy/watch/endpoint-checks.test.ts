import { once } from "node:events";
import net, { type AddressInfo, type Server } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
  checks.stop();
  service.close();
});

function endpointOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function unusedEndpoint(): Promise<string> {
  return `127.0.0.1:${await freePort()}`;
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
    const many = Array.from({ length: ENDPOINTS_REPORTED_MAX }, (_, i) => `no-endpoint-${i}`);
    checks.want(new Set(many));
    await expect.poll(() => changes).toBe(many.length);
    nowMs = 1;
    checks.want(new Set([...many, "late"]));
    await expect.poll(() => changes).toBe(many.length + 1);
    expect(Object.keys(checks.results())).toHaveLength(ENDPOINTS_REPORTED_MAX);
    expect(checks.results()["late"]?.timeMs).toBe(1);
  });

  it("look again at a limited number in a second, and at each in turn", async () => {
    const many = Array.from({ length: 150 }, (_, i) => `no-endpoint-${i}`);
    checks.want(new Set(many));
    await expect.poll(() => changes).toBe(many.length);
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
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(checkedAt(ms)).toBe(expected);
    }
    expect(checkedAt(0)).toBe(0);
  });

  it("are not stopped by an endpoint that is none", async () => {
    checks.want(new Set(["nonsense"]));
    await expect.poll(() => checks.results()["nonsense"]?.fault).toBe("connect-refused");
  });
});
