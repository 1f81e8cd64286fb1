import type { Server } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ControlClient } from "../../control/client/client.ts";
import { freePort } from "../harness/free-port.ts";
import { carry } from "./carry.ts";
import { type Host, Network } from "./network.ts";

/**
 * Five services in a row, each on a host of its own with rules and a proxy, and forks on others, all
 * of real processes under one control. Two sandboxes and a route group of both are used at once.
 */
const CHAIN = ["front", "cart", "pricing", "stock", "loyalty"] as const;
type Service = (typeof CHAIN)[number];

/** Both fork cart; in the group jane's wins, since she is named first. */
const SANDBOXES = {
  "jane-42": ["cart", "stock"],
  "joe-7": ["cart", "loyalty"],
} as const satisfies Record<string, readonly Service[]>;
type Sandbox = keyof typeof SANDBOXES;

/** Whose fork serves each service, by what the tag says; every other service is the baseline's. */
const EXPECTED: Readonly<Record<string, Readonly<Partial<Record<Service, Sandbox>>>>> = {
  "jane-42": { cart: "jane-42", stock: "jane-42" },
  "joe-7": { cart: "joe-7", loyalty: "joe-7" },
  "night-run": { cart: "jane-42", stock: "jane-42", loyalty: "joe-7" },
  "joe-7~jane-42": { cart: "joe-7", stock: "jane-42", loyalty: "joe-7" },
};

const CONTROL_PORT = 7070;
const START_MS = 120_000;

let network: Network;
let caller: Host;
let entry: Host;
let client: ControlClient;
let carrier: Server;
let forks: readonly Fork[] = [];

beforeAll(async () => {
  network = Network.create();
  caller = network.addHost("caller");
  const socket = join(network.folder, "control");
  await startControl(network.addHost("control"), socket);
  const hosts = new Map(CHAIN.map((name) => [name, network.addHost(name)]));
  entry = hosts.get("front") as Host;
  forks = (Object.keys(SANDBOXES) as Sandbox[]).flatMap((sandbox) =>
    SANDBOXES[sandbox].map((service) => {
      const host = network.addHost(`${service.slice(0, 5)}-${sandbox.slice(0, 3)}`);
      return { host, service, sandbox };
    }),
  );
  for (const [service, host] of hosts) await startPod(host, service, null, hosts, socket);
  for (const { host, service, sandbox } of forks)
    await startPod(host, service, sandbox, hosts, socket);
  await makeSandboxes();
}, START_MS);

afterAll(async () => {
  await client?.close();
  carrier?.close();
  await network?.remove();
});

/** Control as it is, on loopback; `socket` is how the other hosts get there. */
async function startControl(host: Host, socket: string): Promise<void> {
  const listen = `127.0.0.1:${CONTROL_PORT}`;
  const flags = ["--listen", listen, "--data", ":memory:", "--allowed-networks", "198.18.0.0/24"];
  await host.start([process.execPath, "cli/main.ts", "control", ...flags], listen);
  await host.start([process.execPath, CARRY, socket, String(CONTROL_PORT)], "ready");
  const port = await freePort();
  carrier = await carry(port, socket);
  client = new ControlClient({ url: `http://127.0.0.1:${port}` });
}

const CARRY = join(import.meta.dirname, "carry.ts");
const SERVICE = join(import.meta.dirname, "chain-service-main.ts");

/** One host: the service, its proxy as its own user, and rules. */
async function startPod(
  host: Host,
  service: Service,
  sandbox: Sandbox | null,
  hosts: ReadonlyMap<Service, Host>,
  socket: string,
): Promise<void> {
  const next = hosts.get(CHAIN[CHAIN.indexOf(service) + 1] ?? "front");
  const words = [nameOf(service, sandbox), "8080"];
  if (service !== "loyalty") words.push(`${next?.ipv4}:8080`);
  await host.start([process.execPath, SERVICE, ...words], "ready");
  await host.start([process.execPath, CARRY, String(CONTROL_PORT), socket], "ready");
  await host.startProxy([
    ...["--workload", `shop/${service}`, "--listen", "[::]:19471", "--intercept"],
    ...["--control", `http://127.0.0.1:${CONTROL_PORT}`, "--trust-tags-from", "198.18.0.0/24"],
    ...(sandbox === null ? [] : ["--sandbox", sandbox]),
  ]);
  host.must([process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"]);
}

function nameOf(service: Service, sandbox: Sandbox | null): string {
  return sandbox === null ? service : `${service} of ${sandbox}`;
}

interface Fork {
  readonly host: Host;
  readonly service: Service;
  readonly sandbox: Sandbox;
}

async function makeSandboxes(): Promise<void> {
  for (const name of Object.keys(SANDBOXES)) {
    const own = forks.filter(({ sandbox }) => sandbox === name);
    await client.putSandbox(name, {
      forks: own.map(({ service, host }) => ({
        workload: `shop/${service}`,
        endpoints: [`${host.ipv4}:8080`],
      })),
      routingKey: name,
    });
  }
  const sandboxes = Object.keys(SANDBOXES);
  await client.putRouteGroup("night-run", { sandboxes, routingKey: "night-run" });
  for (const name of sandboxes) {
    expect((await client.getSandbox(name, { waitReady: "30s" })).status.ready).toBe(true);
  }
  const group = await client.getRouteGroup("night-run", { waitReady: "30s" });
  expect(group.status).toMatchObject({ ready: true, members: sandboxes });
}

interface Answer {
  readonly status: number;
  readonly fields: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends all at once from the caller's host; a tag of null is a request without one. */
async function askAll(tags: readonly (string | null)[]): Promise<readonly Answer[]> {
  const asks = tags.map((tag) => (tag === null ? {} : { baggage: `a=1,sandbox=${tag}` }));
  const script = join(import.meta.dirname, "ask-main.ts");
  const words = [process.execPath, script, `http://${entry.ipv4}:8080/`, JSON.stringify(asks)];
  const { status, stdout, stderr } = await caller.runBeside(words);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

/** Who serves each service of the chain for a key; without one nobody but the baseline. */
function expectedNames(key: string | null): string[] {
  const forks = key === null ? {} : (EXPECTED[key] ?? {});
  return CHAIN.map((service) => nameOf(service, forks[service] ?? null));
}

describe("two sandboxes and a group of both, over five hosts at once", () => {
  const KEYS = [...Object.keys(EXPECTED), null];
  const ROUNDS = 16;

  test("each request takes exactly its forks, untagged ones none, and the records prove it", async () => {
    const keys = Array.from({ length: ROUNDS }, () => KEYS).flat();
    const answers = await askAll(keys.map((key) => (key === null ? null : `${key}!`)));
    const seen = answers.map(({ status, body }) => [status, JSON.parse(body)]);
    expect(seen).toEqual(keys.map((key) => [200, expectedNames(key)]));
    for (const [i, key] of keys.entries()) {
      const root = answers[i]?.fields["forklane-trace"];
      if (key === null) expect(root).toBe(undefined);
      else await expectProof(root ?? "", key);
    }
  });

  test("a key that nobody has is the baseline's, strictly asked for it is refused", async () => {
    const [loose, strict] = await askAll(["nobodys", "nobodys!"]);
    expect([loose?.status, JSON.parse(loose?.body ?? "")]).toEqual([200, expectedNames(null)]);
    expect(strict?.status).toBe(424);
  });

  test("a fork takes no request of others, also when dialled at its own address", async () => {
    const fork = `http://${forkAddress("jane-42", "cart")}:8080/`;
    const ask = (fields: readonly string[]) =>
      caller.must(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", ...fields, fork]);
    expect(ask([])).toBe("421");
    expect(ask(["-H", "baggage: sandbox=joe-7"])).toBe("421");
    expect(ask(["-H", "baggage: sandbox=jane-42"])).toBe("200");
  });
});

function forkAddress(sandbox: Sandbox, service: Service): string {
  const fork = forks.find((it) => it.sandbox === sandbox && it.service === service);
  return fork?.host.ipv4 ?? "";
}

/** The trace: five hops in a row, each where it has to be, each fork confirmed by its own proxy. */
async function expectProof(root: string, key: string): Promise<void> {
  const trace = await client.getTrace(root);
  expect(trace.incomplete).toEqual([]);
  expect(trace.complete).toBe(true);
  const hops = trace.hops.map(({ depth, workload, outcome, sandbox, confirmed }) => {
    return { depth, workload, outcome, sandbox, confirmed };
  });
  const forks = EXPECTED[key] ?? {};
  const expected = CHAIN.map((service, depth) => {
    const sandbox = forks[service] ?? null;
    const outcome = sandbox === null ? "baseline" : "fork";
    return { depth, workload: `shop/${service}`, outcome, sandbox, confirmed: sandbox !== null };
  });
  expect(hops).toEqual(expected);
}
