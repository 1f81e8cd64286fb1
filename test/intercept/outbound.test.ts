import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Host, Network } from "./network.ts";

/** The service that calls, with its proxy; whom it calls; a fork of that; somebody unknown. */
let network: Network;
let cart: Host;
let pricing: Host;
let fork: Host;
let stranger: Host;

beforeAll(() => {
  network = Network.create();
  cart = network.addHost("cart");
  pricing = network.addHost("pricing");
  fork = network.addHost("fork");
  stranger = network.addHost("stranger");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

/** Everybody but the workloads of the table is outside. */
const ELSEWHERE = ["--cluster-networks", "192.0.2.0/24"];
const NETWORKS = ["--cluster-networks", "198.18.0.0/16,fc00::/7"];

/** A busy machine may take its time between a connection and its first byte. */
const PATIENT = ["--limit", "detectMs=10000"];

/** A table in a file that the proxy's user may read. */
function tableFile(name: string, workloads: object): string {
  const file = join(network.folder, `${name}.json`);
  const document = { revision: 1, workloads, known: ["mark-7"] };
  writeFileSync(file, JSON.stringify(document), { mode: 0o644 });
  return file;
}

/** Pricing as its callers see it. */
function pricingTable(more: object = {}): object {
  return {
    "shop/cart": { routes: {} },
    "shop/pricing": {
      hosts: ["pricing.test"],
      addresses: [`${pricing.ipv4}:8080`, pricing.ipv6],
      routes: {
        "jane-42": { sandbox: "jane", endpoints: [`${fork.ipv4}:8080`], onUnavailable: "fail" },
      },
      ...more,
    },
  };
}

/** All services, and the proxy of cart's calls. */
async function startCart({
  rules = ["--outbound"],
  flags = [] as string[],
  more = {},
  networks = NETWORKS,
} = {}) {
  await pricing.startService("baseline", "::", [8080]);
  await fork.startService("fork", "::", [8080]);
  await stranger.startService("stranger", "::", [8080]);
  const proxy = await startProxy([...networks, ...flags], more);
  if (rules.length > 0) intercept(rules);
  return proxy;
}

async function startProxy(flags: readonly string[], more: object) {
  return await cart.startProxy([
    ...["--mode", "outbound", "--listen", "[::]:19472", "--admin", "0.0.0.0:19470", "--intercept"],
    ...["--table", tableFile("cart", pricingTable(more)), ...PATIENT, ...flags],
  ]);
}

function intercept(flags: readonly string[], host = cart): void {
  const { status, stderr } = host.forklane(["intercept", ...flags]);
  if (status !== 0) throw new Error(stderr);
}

/** Calls from cart's machine, as its service would. */
function curl(url: string, more: readonly string[] = []) {
  const { stdout } = cart.run(["curl", "-gsS", "-m", "10", "-w", "\n%{http_code}", ...more, url]);
  const [body = "", status = ""] = stdout.trimEnd().split(/\n(?=\d+$)/);
  return { status: Number(status), ...(body.startsWith("{") ? JSON.parse(body) : { text: body }) };
}

const SOON = { timeout: 20_000 };
const TAG = ["-H", "baggage: sandbox=jane-42"];
const STRICT = ["-H", "baggage: sandbox=nobodys!"];

function passed(why: string): number {
  const metrics = cart.must(["curl", "-sS", "http://127.0.0.1:19470/metrics"]);
  return Number(new RegExp(`calls_passed_total\\{why="${why}"\\} (\\d+)`).exec(metrics)?.[1]);
}

describe("calls of the service", () => {
  test("reach the fork without a proxy at the callee, over IPv4 and IPv6", async () => {
    await startCart();
    for (const host of [pricing.ipv4, `[${pricing.ipv6}]`]) {
      const url = `http://${host}:8080/`;
      expect(curl(url)).toMatchObject({ status: 200, name: "baseline" });
      expect(curl(url, TAG)).toMatchObject({ status: 200, name: "fork" });
      expect(curl(url, STRICT)).toMatchObject({ status: 424 });
    }
  });

  test("come from the proxy, and of Python's client as well", async () => {
    await startCart();
    const script = `
import http.client
c = http.client.HTTPConnection("${pricing.ipv4}", 8080, timeout=10)
for tag in ("jane-42", "mark-7", "jane-42"):
    c.request("POST", "/", body=b"x" * 100000, headers={"baggage": "a=1,sandbox=" + tag})
    r = c.getresponse(); print(r.status, r.read().decode()[:18])
`;
    const lines = cart.must(["python3", "-c", script]).trim().split("\n");
    expect(lines.map((line) => /(\d+) .*"name":"(\w+)/.exec(line)?.slice(1))).toEqual([
      ["200", "fork"],
      ["200", "baseline"],
      ["200", "fork"],
    ]);
  });

  test("to nobody known pass as they are; Host leads them nowhere else", async () => {
    await startCart();
    const url = `http://${stranger.ipv4}:8080/`;
    expect(curl(url, STRICT)).toMatchObject({ status: 200, name: "stranger" });
    const named = ["-H", "Host: pricing.test"];
    expect(curl(url, named)).toMatchObject({ name: "stranger" });
    expect(curl(url, [...named, ...TAG])).toMatchObject({ name: "fork" });
    expect(curl(url, ["-H", `Host: ${pricing.ipv4}:8080`])).toMatchObject({ name: "stranger" });
  });

  test("to the known address are the workload's whatever Host says", async () => {
    await startCart();
    const url = `http://${pricing.ipv4}:8080/`;
    expect(curl(url, ["-H", "Host: elsewhere", ...TAG])).toMatchObject({ name: "fork" });
    expect(curl(url, ["-H", "Host: elsewhere"])).toMatchObject({ name: "baseline" });
  });

  test("that leave the cluster carry no tag where told", async () => {
    await startCart({ networks: ELSEWHERE, flags: ["--strip-outside"] });
    await startEcho(stranger, 9090);
    const fields = ["baggage: a=1,sandbox=jane-42", "cookie: forklane-key=jane-42; b=2"];
    const ask = fields.flatMap((field) => ["-H", field]);
    const came = cart.must(["curl", "-sS", ...ask, `http://${stranger.ipv4}:9090/`]);
    expect(came).toMatch(/^GET \/ [\s\S]*baggage: a=1\r\ncookie: b=2\r\n/);
    expect(came).not.toContain("jane-42");
    expect(passed("outside")).toBe(0);
    expect(curl(`http://${pricing.ipv4}:8080/`, TAG)).toMatchObject({ name: "fork" });
  });

  test("that leave the cluster carry none either where they are begun late", async () => {
    await startCart({
      networks: ELSEWHERE,
      flags: ["--strip-outside", "--limit", "detectMs=100"],
    });
    const listener = await startEcho(stranger, 9090);
    const script = `
import socket, sys
s = socket.create_connection(("${stranger.ipv4}", 9090), timeout=20)
print("connected", flush=True); sys.stdin.readline()
s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nbaggage: a=1,sandbox=jane-42\\r\\nforklane-key: jane-42\\r\\n\\r\\n")
print(s.recv(65536).decode(), flush=True)
`;
    const client = await cart.start(["python3", "-c", script], "connected");
    // The proxy has taken it for silent.
    await expect.poll(() => listener.output(), SOON).toContain("accepted");
    client.child.stdin?.write("\n");
    await expect.poll(() => client.output(), SOON).toContain("a=1");
    expect(client.output()).not.toContain("jane-42");
  });

  test("next to a fork carry its key, and none to nobody known", async () => {
    await startCart({ flags: ["--sandbox", "jane"] });
    expect(curl(`http://${pricing.ipv4}:8080/`)).toMatchObject({ name: "fork" });
    expect(curl(`http://${stranger.ipv4}:8080/`)).toMatchObject({ name: "stranger" });
  });
});

/** Answers a request by what came, and says when a connection comes. */
async function startEcho(host: Host, port: number) {
  const script = `
import socket
s = socket.create_server(("0.0.0.0", ${port})); print("ready", flush=True)
while True:
    c, _ = s.accept(); print("accepted", flush=True); came = b""
    while b"\\r\\n\\r\\n" not in came:
        more = c.recv(65536)
        if not more: break
        came += more
    if came: c.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(came) + came)
    c.close()
`;
  return await host.start(["python3", "-u", "-c", script], "ready");
}

describe("what is left alone", () => {
  test("ports and networks that are excluded, the machine itself, the proxy's user", async () => {
    const excluded = ["--exclude-outbound-ports", "8081", "--exclude-outbound-cidrs"];
    await startCart({ rules: ["--outbound", ...excluded, `${pricing.ipv6}/128`] });
    await pricing.startService("other", "::", [8081]);
    const own = await cart.startService("own", "::", [8080]);
    expect(curl(`http://${pricing.ipv4}:8080/`, STRICT).status).toBe(424);
    expect(curl(`http://${pricing.ipv4}:8081/`, STRICT)).toMatchObject({ status: 200 });
    expect(curl(`http://[${pricing.ipv6}]:8080/`, STRICT)).toMatchObject({ status: 200 });
    for (const host of ["127.0.0.1", cart.ipv4, `[${cart.ipv6}]`]) {
      expect(curl(`http://${host}:8080/`, STRICT)).toMatchObject({ name: "own" });
    }
    await own.stop();
    const ask = ["curl", "-sS", ...STRICT.slice(0, 2), `http://${pricing.ipv4}:8080/`];
    expect(JSON.parse(cart.run(ask, "", "proxy").stdout)).toMatchObject({ name: "baseline" });
  });

  test("all but the ports and networks that are named", async () => {
    const named = ["--outbound-ports", "8080", "--outbound-cidrs", `${pricing.ipv4}/32`];
    await startCart({ rules: ["--outbound", ...named] });
    await pricing.startService("other", "::", [8081]);
    expect(curl(`http://${pricing.ipv4}:8080/`, STRICT).status).toBe(424);
    expect(curl(`http://${pricing.ipv4}:8081/`, STRICT).status).toBe(200);
    expect(curl(`http://[${pricing.ipv6}]:8080/`, STRICT).status).toBe(200);
  });

  test("what removing the rules has left, at once", async () => {
    await startCart();
    expect(curl(`http://${pricing.ipv4}:8080/`, STRICT).status).toBe(424);
    intercept(["--remove"]);
    expect(curl(`http://${pricing.ipv4}:8080/`, STRICT).status).toBe(200);
    expect(cart.rules()).not.toContain("FORKLANE_");
  });
});

describe("calls that cannot be read pass untouched", () => {
  test("TLS, with the certificate of the callee", async () => {
    await startCart();
    const key = join(network.folder, "key.pem");
    const certificate = join(network.folder, "certificate.pem");
    const name = ["-subj", "/CN=pricing.test", "-addext", "subjectAltName=DNS:pricing.test"];
    pricing.must([
      ...["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
      ...["-nodes", "-days", "2", ...name, "-keyout", key, "-out", certificate],
    ]);
    const script = `
import http.server, ssl
s = http.server.HTTPServer(("0.0.0.0", 8443), http.server.BaseHTTPRequestHandler)
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain("${certificate}", "${key}")
s.socket = c.wrap_socket(s.socket, server_side=True)
print("ready", flush=True); s.serve_forever()
`;
    await pricing.start(["python3", "-u", "-c", script], "ready");
    const to = ["--cacert", certificate, "--resolve", `pricing.test:8443:${pricing.ipv4}`];
    // That it has no method for it is what its own server answers.
    expect(curl("https://pricing.test:8443/", [...to, ...TAG]).status).toBe(501);
    expect(passed("unreadable")).toBe(1);
  });

  test("what asks a forward proxy for a tunnel", async () => {
    await startCart();
    const listener = await startEcho(stranger, 3128);
    const ask = ["-p", "-x", `http://${stranger.ipv4}:3128`, "-v"];
    const { stderr } = cart.run(["curl", "-sS", "-m", "10", ...ask, "http://api.test:443/"]);
    await expect.poll(() => listener.output(), SOON).toContain("accepted");
    expect(stderr).toMatch(/CONNECT api\.test:443[\s\S]*< HTTP\/1\.1 200 OK/);
    expect(passed("unreadable")).toBe(1);
  });

  test("a protocol whose server speaks first, and half of a connection", async () => {
    await startCart({ flags: ["--limit", "detectMs=100"] });
    const server = `
import socket
s = socket.create_server(("0.0.0.0", 2525)); print("ready", flush=True)
while True:
    c, _ = s.accept(); c.sendall(b"220 ready\\n"); said = b""
    while True:
        more = c.recv(65536)
        if not more: break
        said += more
    c.sendall(b"got %d\\n" % len(said)); c.close()
`;
    await pricing.start(["python3", "-u", "-c", server], "ready");
    const client = `
import socket
s = socket.create_connection(("${pricing.ipv4}", 2525), timeout=20)
print(s.recv(100).decode().strip())
s.sendall(b"x" * 3000000); s.shutdown(socket.SHUT_WR)
print(s.makefile().read().strip())
`;
    const said = cart.must(["python3", "-c", client]);
    expect(said.trim().split("\n")).toEqual(["220 ready", "got 3000000"]);
    expect(passed("silent")).toBe(1);
  });

  test("where nobody listens the connection is reset", async () => {
    await startCart();
    const client = `
import socket
s = socket.create_connection(("${pricing.ipv4}", 9999), timeout=20); s.sendall(b"{}")
try: print(s.recv(100))
except ConnectionResetError: print("reset")
`;
    expect(cart.must(["python3", "-c", client]).trim()).toBe("reset");
  });
});

test("who dials the outbound side itself is refused, from here and from elsewhere", async () => {
  await startCart();
  expect(curl("http://127.0.0.1:19472/", ["-H", "Host: pricing.test"]).status).toBe(421);
  const ask = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Host: pricing.test"];
  expect(pricing.must([...ask, `http://${cart.ipv4}:19472/`])).toBe("421");
});

test("a proxy whose own calls are taken meets itself once, and refuses the loop", async () => {
  await startCart({ rules: [] });
  const own = "-t nat -A OUTPUT -p tcp --dport 8000:9999 -j REDIRECT --to-ports 19472";
  cart.must(["iptables-nft", ...own.split(" ")]);
  expect(curl(`http://${stranger.ipv4}:8080/`)).toMatchObject({ status: 508 });
  expect(curl(`http://${pricing.ipv4}:8080/`, ["-H", "baggage: sandbox=mark-7"]).status).toBe(508);
  const client = `
import socket
s = socket.create_connection(("${pricing.ipv4}", 8080), timeout=20); s.sendall(b"{}")
print(s.recv(100).decode().split("\\r")[0])
`;
  expect(cart.must(["python3", "-c", client]).trim()).toBe("HTTP/1.1 508 Loop Detected");
  const metrics = cart.must(["curl", "-sS", "http://127.0.0.1:19470/metrics"]);
  expect(metrics).toMatch(/^forklane_faults_total\{code="loop"\} 3$/m);
});

describe("a call from one proxy to the other", () => {
  test("takes the callee's word, on one hop, also where the caller's table is old", async () => {
    await startCart({ more: { routes: {} } });
    const route = { sandbox: "jane", endpoints: [`${fork.ipv4}:8080`] };
    await pricing.startProxy([
      ...["--workload", "shop/pricing", "--listen", "[::]:19471", "--intercept"],
      ...["--table", tableFile("pricing", { "shop/pricing": { routes: { "jane-42": route } } })],
      ...["--trust-tags-from", "198.18.0.0/16,fc00::/7"],
    ]);
    intercept(["--inbound-ports", "8080"], pricing);
    const url = `http://${pricing.ipv4}:8080/`;
    expect(curl(url, ["-H", "baggage: sandbox=jane-42"])).toMatchObject({ name: "fork" });
    expect(curl(url)).toMatchObject({ name: "baseline" });
  });

  test("of one process with both directions, whose service dropped the tag", async () => {
    await pricing.startService("baseline", "::", [8080]);
    await fork.startService("fork", "::", [8080]);
    const forward = `
import http.server, urllib.request
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        h = {"traceparent": self.headers["traceparent"]}
        r = urllib.request.urlopen(urllib.request.Request("http://${pricing.ipv4}:8080/", headers=h))
        body = r.read(); self.send_response(200)
        self.send_header("content-length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
s = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), H); print("ready", flush=True); s.serve_forever()
`;
    await cart.start(["python3", "-u", "-c", forward], "ready");
    await cart.startProxy([
      ...["--listen", "[::]:19471", "--outbound-listen", "[::]:19472", "--intercept"],
      ...["--table", tableFile("both", pricingTable()), ...NETWORKS, ...PATIENT],
      ...["--trust-tags-from", "198.18.0.0/16"],
    ]);
    intercept(["--inbound-ports", "8080", "--outbound"]);
    const ask = (trace: string, more: readonly string[] = []): string => {
      const traceparent = `traceparent: 00-${trace.repeat(32)}-00000000000000aa-01`;
      const words = ["curl", "-sS", "-H", traceparent, ...more, `http://${cart.ipv4}:8080/`];
      return JSON.parse(stranger.must(words)).name;
    };
    expect(ask("1", TAG)).toBe("fork");
    expect(ask("2")).toBe("baseline");
  });
});
