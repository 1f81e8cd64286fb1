import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Host, Network } from "./network.ts";

/** The caller, the service with its proxy, and a fork on another machine. */
let network: Network;
let caller: Host;
let cart: Host;
let fork: Host;

beforeAll(() => {
  network = Network.create();
  caller = network.addHost("caller");
  cart = network.addHost("cart");
  fork = network.addHost("fork");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

const TAG = ["-H", "baggage: sandbox=jane-42"];

/** The service at 8080 and 8081, and the proxy; rules with `intercept` as told. */
async function startCart({
  rules = ["--inbound-ports", "8080,8081"],
  flags = [] as string[],
  at = "::",
} = {}) {
  await cart.startService("baseline", at, [8080, 8081, 9090]);
  const proxy = await startProxy(flags);
  if (rules.length > 0) intercept(rules);
  return proxy;
}

async function startProxy(flags: readonly string[] = []) {
  const table = join(network.folder, "table.json");
  const endpoints = [`${fork.ipv4}:8080`];
  const routes = { "jane-42": { sandbox: "jane-42", endpoints, onUnavailable: "fail" } };
  writeFileSync(table, JSON.stringify({ revision: 1, routes, known: [] }), { mode: 0o644 });
  return await cart.startProxy([
    ...["--listen", "[::]:19471", "--admin", "0.0.0.0:19470"],
    ...["--intercept", "--table", table, "--trust-tags-from", "198.18.0.0/16,fc00::/7", ...flags],
  ]);
}

function intercept(flags: readonly string[]): void {
  const { status, stderr } = cart.forklane(["intercept", ...flags]);
  if (status !== 0) throw new Error(stderr);
}

/** Asks from the caller's machine; null where nothing answers. */
function curl(url: string, more: readonly string[] = []): Answer {
  const { stdout } = caller.run(["curl", "-gsS", "-m", "10", "-w", "\n%{http_code}", ...more, url]);
  const [body = "", status = ""] = stdout.trimEnd().split(/\n(?=\d+$)/);
  return { status: Number(status), ...(body.startsWith("{") ? JSON.parse(body) : { text: body }) };
}

interface Answer {
  readonly status: number;
  readonly name?: string;
  readonly port?: number;
  readonly from?: string;
  readonly forwardedFor?: string | null;
  readonly bodyBytes?: number;
  readonly text?: string;
}

/** Whether the proxy, and not the service itself, answers there: it refuses what the tag asks. */
const PROBE = ["-H", "baggage: sandbox=nobodys!"];

describe("connections to the service's ports", () => {
  test("pass the proxy, which delivers to the port that was dialled, over IPv4 and IPv6", async () => {
    await startCart();
    for (const host of [cart.ipv4, `[${cart.ipv6}]`]) {
      for (const port of [8080, 8081]) {
        expect(curl(`http://${host}:${port}/`)).toMatchObject({
          status: 200,
          name: "baseline",
          port,
        });
        expect(curl(`http://${host}:${port}/`, PROBE)).toMatchObject({ status: 424 });
      }
    }
  });

  test("pass each of several workers in the same way", async () => {
    await startCart({ flags: ["--workers", "2"] });
    const script = `
import http.client, time
held = []
for i in range(200):
    host, port = ("${cart.ipv4}", "${cart.ipv6}")[i % 2], 8080 + i // 2 % 2
    c = http.client.HTTPConnection(host, port, timeout=10); held.append(c)
    for tag in ("", "nobodys!"):
        c.request("GET", "/", headers={"baggage": "sandbox=" + tag} if tag else {})
        r = c.getresponse(); body = r.read().decode()
        right = r.status == 424 if tag else '"name":"baseline","port":%d' % port in body
        print("right" if right else "wrong %s %s" % (r.status, body), flush=True)
    time.sleep(0.05)
`;
    const client = await caller.start(["python3", "-u", "-c", script], "right");
    // Connections stay open, until each worker has some.
    const takers = () => {
      const sockets = cart.must(["ss", "-Htnp", "state", "established", "sport = :19471"]);
      return new Set(sockets.match(/pid=\d+/g)).size;
    };
    await expect.poll(takers, { timeout: 20_000 }).toBe(2);
    expect(client.output()).not.toContain("wrong");
  });

  test("with a tag reach the fork on another machine, over IPv4 and IPv6", async () => {
    await fork.startService("fork", "::", [8080]);
    await startCart();
    expect(curl(`http://${cart.ipv4}:8080/`, TAG)).toMatchObject({ status: 200, name: "fork" });
    expect(curl(`http://[${cart.ipv6}]:8080/`, TAG)).toMatchObject({ status: 200, name: "fork" });
    expect(curl(`http://${cart.ipv4}:8080/`)).toMatchObject({ status: 200, name: "baseline" });
  });

  test("reach it at an address that is this machine's by a route only, over IPv4 and IPv6", async () => {
    const ways = [
      ["-4", "203.0.113.9", cart.ipv4],
      ["-6", "2001:db8::9", cart.ipv6],
    ] as const;
    for (const [version, address, via] of ways) {
      cart.must(["ip", version, "route", "add", "local", address, "dev", "lo"]);
      caller.must(["ip", version, "route", "add", address, "via", via]);
    }
    await startCart();
    for (const [, address] of ways) {
      const url = `http://${address.includes(":") ? `[${address}]` : address}:8080/`;
      expect(curl(url)).toMatchObject({ status: 200, name: "baseline" });
      expect(curl(url, PROBE)).toMatchObject({ status: 424 });
    }
  });

  test("reach a service that listens at the pod's address only", async () => {
    await startCart({ at: cart.ipv4 });
    expect(curl(`http://${cart.ipv4}:8080/`)).toMatchObject({ name: "baseline", from: cart.ipv4 });
  });

  test("reach one that listens on loopback only if told to", async () => {
    await startCart({ at: "127.0.0.1", flags: ["--upstream", "127.0.0.1"] });
    expect(curl(`http://${cart.ipv4}:8081/`)).toMatchObject({ name: "baseline", port: 8081 });
    expect(curl(`http://[${cart.ipv6}]:8080/`)).toMatchObject({ name: "baseline", port: 8080 });
  });

  test("never reach one that listens on loopback otherwise: it was not to be reached before", async () => {
    await startCart({ at: "127.0.0.1" });
    expect(curl(`http://${cart.ipv4}:8080/`).status).toBe(503);
  });

  test("show the service the proxy's address, and the caller's in X-Forwarded-For where asked", async () => {
    await startCart({ flags: ["--forwarded-for", "append"] });
    const url = `http://${cart.ipv4}:8080/`;
    expect(curl(url)).toMatchObject({ forwardedFor: caller.ipv4 });
    const given = ["-H", "X-Forwarded-For: 203.0.113.9"];
    expect(curl(url, given).forwardedFor).toBe(`203.0.113.9, ${caller.ipv4}`);
    expect(curl(`http://[${cart.ipv6}]:8080/`).forwardedFor).toBe(caller.ipv6);
  });

  test("add nothing where it is not asked for", async () => {
    await startCart();
    expect(curl(`http://${cart.ipv4}:8080/`).forwardedFor).toBe(null);
  });
});

describe("what is left alone", () => {
  test("a port that is not named or is excluded, the admin port, the machine itself", async () => {
    await startCart({ rules: ["--inbound-ports", "all", "--exclude-inbound-ports", "9090"] });
    expect(curl(`http://${cart.ipv4}:8081/`, PROBE).status).toBe(424);
    expect(curl(`http://${cart.ipv4}:9090/`, PROBE)).toMatchObject({ status: 200, port: 9090 });
    expect(curl(`http://${cart.ipv4}:19470/readyz`).status).toBe(200);
    for (const host of ["127.0.0.1", cart.ipv4, `[${cart.ipv6}]`]) {
      const own = cart.must(["curl", "-gsS", ...PROBE, `http://${host}:8080/`]);
      expect(JSON.parse(own)).toMatchObject({ name: "baseline" });
    }
  });

  test("ssh, also where all ports are taken", async () => {
    await startCart({ rules: ["--inbound-ports", "all"] });
    await cart.startService("ssh", "0.0.0.0", [22]);
    expect(curl(`http://${cart.ipv4}:22/`, PROBE)).toMatchObject({ status: 200, name: "ssh" });
  });
});

test("who dials the proxy itself is refused, and it connects to nobody", async () => {
  await startCart();
  cart.must(["ip", "route", "add", "169.254.0.0/16", "dev", "eth0"]);
  const opened = countOpened();
  for (const host of [cart.ipv4, `[${cart.ipv6}]`]) {
    for (const named of ["169.254.169.254", `${fork.ipv4}:8080`, "127.0.0.1:8080"]) {
      expect(curl(`http://${host}:19471/`, ["-H", `Host: ${named}`]).status).toBe(421);
    }
  }
  expect(opened()).toBe(0);
  const metrics = caller.must(["curl", "-sS", `http://${cart.ipv4}:19470/metrics`]);
  expect(metrics).toMatch(/^forklane_faults_total\{code="not-intercepted"\} 6$/m);
  curl(`http://${cart.ipv4}:8080/`);
  expect(opened()).toBe(1);
});

/** Has the kernel count the connections that the proxy's user opens from now on, of both IP versions. */
function countOpened(): () => number {
  const programs = ["iptables-nft", "ip6tables-nft"];
  const rule = ["OUTPUT", "-p", "tcp", "--syn", "-m", "owner", "--uid-owner", "7470"];
  for (const program of programs) cart.must([program, "-t", "mangle", "-I", ...rule]);
  return () =>
    programs
      .map((program) => cart.must([program, "-t", "mangle", "-S", "OUTPUT", "-v"]))
      .map((listed) => Number(/--uid-owner 7470 -c (\d+)/.exec(listed)?.[1]))
      .reduce((sum, count) => sum + count);
}

test("a connection that exists when the rules arrive goes on as it was, a new one is taken", async () => {
  await startCart({ rules: [] });
  const script = `
import http.client
c = http.client.HTTPConnection("${cart.ipv4}", 8080)
def ask():
    c.request("GET", "/", headers={"baggage": "sandbox=nobodys!"})
    r = c.getresponse(); r.read(); print(r.status, flush=True)
ask()
import time, urllib.request, urllib.error
for _ in range(200):
    try: urllib.request.urlopen(urllib.request.Request("http://${cart.ipv4}:8080/", headers={"baggage": "sandbox=nobodys!"})).read()
    except urllib.error.HTTPError as e:
        print("new", e.code, flush=True); break
    time.sleep(0.05)
ask()
print("done", flush=True)
`;
  const client = await caller.start(["python3", "-u", "-c", script], /^200$/m);
  intercept(["--inbound-ports", "8080"]);
  await expect.poll(() => client.output(), { timeout: 20_000 }).toContain("done");
  expect(client.output().trim().split("\n")).toEqual(["200", "new 424", "200", "done"]);
});

describe("the proxy goes away", () => {
  test("fail closed: connections are refused, until it is back", async () => {
    const proxy = await startCart();
    await proxy.stop();
    expect(curl(`http://${cart.ipv4}:8080/`).status).toBe(0);
    await startProxy();
    expect(curl(`http://${cart.ipv4}:8080/`)).toMatchObject({ status: 200, name: "baseline" });
  });

  test("fail open: the rules step aside, and are back with it; at the end they are gone", async () => {
    const proxy = await startCart({ rules: [] });
    const words = [process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"];
    const before = cart.rules();
    const rules = await cart.start([...words, "--fail", "open"], "in place");
    const ask = async () => curl(`http://${cart.ipv4}:8080/`, PROBE).status;
    expect(await ask()).toBe(424);
    await proxy.stop();
    await expect.poll(ask, { timeout: 10_000 }).toBe(200);
    expect(cart.forklane(["intercept", "--status"]).stdout).toContain("aside");
    await startProxy();
    await expect.poll(ask, { timeout: 10_000 }).toBe(424);
    await rules.stop("SIGTERM");
    expect(await ask()).toBe(200);
    expect(withoutChains(cart.rules())).toBe(withoutChains(before));
  });

  test("under load: every answer is whole, and requests are answered again after a restart", async () => {
    const proxy = await startCart();
    const script = `
import http.client, time
good = bad = 0
end = time.time() + 25
state = "first"
while time.time() < end:
    try:
        c = http.client.HTTPConnection("${cart.ipv4}", 8080, timeout=5)
        c.request("POST", "/", body=b"x" * 10000)
        r = c.getresponse(); body = r.read()
        assert r.status == 200 and b'"bodyBytes":10000}' in body, (r.status, body)
        good += 1
        if good == 20: print("flowing", flush=True)
        if bad and state == "broken":
            print("back", flush=True); break
    except OSError: bad += 1; state = "broken"; time.sleep(0.02)
    except http.client.HTTPException: bad += 1; state = "broken"
print("end", good, bad, flush=True)
`;
    const load = await caller.start(["python3", "-u", "-c", script], "flowing");
    await proxy.stop("SIGKILL");
    await startProxy();
    await expect.poll(() => load.output(), { timeout: 30_000 }).toContain("back");
    expect(load.output()).not.toContain("Error");
  });
});

test("many connections at once each reach the port that they dialled", async () => {
  // The kernel's memory of a redirect is per connection: many at once are told apart.
  await startCart();
  const asks = Array.from({ length: 20 }, async (_, i) => {
    const port = 8080 + (i % 2);
    const { stdout } = await caller.runBeside(["curl", "-sS", `http://${cart.ipv4}:${port}/`]);
    return JSON.parse(stdout).port === port;
  });
  expect(await Promise.all(asks)).toEqual(asks.map(() => true));
});

/** After the first rule of a table its built-in chains stay, empty. */
function withoutChains(rules: string): string {
  return rules
    .split("\n")
    .filter((line) => line.startsWith("-A"))
    .join("\n");
}
