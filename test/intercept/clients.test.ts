import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Host, Network } from "./network.ts";

/** The clients that people use, as they are: each asks once without and once with a tag. */
let network: Network;
let caller: Host;
let cart: Host;
let fork: Host;

beforeAll(async () => {
  network = Network.create();
  caller = network.addHost("caller");
  cart = network.addHost("cart");
  fork = network.addHost("fork");
  await cart.startService("baseline", "::", [8080]);
  await fork.startService("fork", "::", [8080]);
  const table = join(network.folder, "table.json");
  const endpoints = [`${fork.ipv4}:8080`];
  const routes = { "jane-42": { sandbox: "jane-42", endpoints, onUnavailable: "fail" } };
  writeFileSync(table, JSON.stringify({ revision: 1, routes, known: [] }), { mode: 0o644 });
  const trust = ["--trust-tags-from", "198.18.0.0/16,fc00::/7"];
  await cart.startProxy(["--listen", "[::]:19471", "--intercept", "--table", table, ...trust]);
  cart.must([process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"]);
});
afterAll(async () => await network?.remove());

const PYTHON = `
import sys, urllib.request
for headers in ({}, {"baggage": "sandbox=jane-42"}):
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers)).read().decode())
`;

const JAVA = `
import java.net.URI;
import java.net.http.*;
public class Ask {
  public static void main(String[] args) throws Exception {
    var client = HttpClient.newHttpClient();
    for (var tag : new String[] {"x=1", "sandbox=jane-42"}) {
      var request = HttpRequest.newBuilder(URI.create(args[0])).header("baggage", tag).build();
      System.out.println(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
  }
}
`;

const GO = `
package main

import ("fmt"; "io"; "net/http"; "os")

func main() {
	for _, tag := range []string{"x=1", "sandbox=jane-42"} {
		request, _ := http.NewRequest("GET", os.Args[1], nil)
		request.Header.Set("baggage", tag)
		response, err := http.DefaultClient.Do(request)
		if err != nil { panic(err) }
		body, _ := io.ReadAll(response.Body)
		fmt.Println(string(body))
	}
}
`;

/** Builds the Go client. */
function goClient(): string {
  const program = join(network.folder, "ask");
  const env = { ...process.env, GOFLAGS: "-mod=mod", GO111MODULE: "off" };
  const words = ["build", "-o", program, fileOf("ask.go", GO)];
  execFileSync("go", words, { env, timeout: 110_000 });
  return program;
}

function fileOf(name: string, text: string): string {
  const path = join(network.folder, name);
  writeFileSync(path, text);
  return path;
}

test.each([
  ["Python's urllib", () => ["python3", fileOf("ask.py", PYTHON)]],
  ["Java's HttpClient", () => ["java", fileOf("Ask.java", JAVA)]],
  ["Go's net/http", () => [goClient()]],
])(
  "%s reaches the baseline, and the fork with a tag, over IPv4 and IPv6",
  async (_client, command) => {
    const words = command();
    for (const address of [cart.ipv4, `[${cart.ipv6}]`]) {
      const { stdout, stderr } = await caller.runBeside([...words, `http://${address}:8080/`]);
      const names = stdout.match(/"name":"\w+"/g) ?? [stderr];
      expect(names).toEqual(['"name":"baseline"', '"name":"fork"']);
    }
  },
  120_000,
);

const BROWSER = [
  "chromium-headless-shell",
  ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-sync"],
  ...["--disable-background-networking", "--disable-component-update"],
  "--dump-dom",
];

test("a browser is served its page, and what the page asks for with a tag by the fork", async () => {
  for (const [i, address] of [cart.ipv4, `[${cart.ipv6}]`].entries()) {
    const profile = `--user-data-dir=${join(network.folder, `profile-${i}`)}`;
    const page = `http://${address}:8080/page`;
    const { stdout, stderr } = await caller.runBeside([...BROWSER, profile, page]);
    const shown = [...stdout.matchAll(/<p>(\d+) ([\s\S]*?)<\/p>/g)].map(([, status, text = ""]) => {
      const { name, bodyBytes } = text.startsWith("{") ? JSON.parse(text) : { name: "proxy" };
      return [Number(status), name, bodyBytes];
    });
    expect(shown, stderr).toEqual([
      [200, "baseline", 100_000],
      [200, "fork", 100_000],
      [424, "proxy", undefined],
    ]);
  }
}, 120_000);

test("without rules the proxy takes the service's port, and the service listens on another", async () => {
  const plain = network.addHost("plain");
  await plain.startService("baseline", "127.0.0.1", [9001]);
  const table = join(network.folder, "table.json");
  const flags = ["--listen", "[::]:8080", "--upstream", "127.0.0.1:9001", "--table", table];
  await plain.startProxy([
    ...flags,
    "--trust-tags-from",
    "198.18.0.0/16",
    "--forwarded-for",
    "append",
  ]);
  const ask = (fields: readonly string[]) => {
    const url = `http://${plain.ipv4}:8080/`;
    return JSON.parse(caller.must(["curl", "-sS", ...fields, url]));
  };
  expect(ask([])).toMatchObject({ name: "baseline", port: 9001, forwardedFor: caller.ipv4 });
  expect(ask(["-H", "baggage: sandbox=jane-42"])).toMatchObject({ name: "fork" });
  expect(plain.rules()).not.toContain("FORKLANE");
  // What is lost: past the proxy there is a way, which only the service can close, as here by loopback.
  const past = (address: string) =>
    caller.run(["curl", "-sS", "-m", "10", `http://${address}/`, "-H", "baggage: sandbox=jane-42"]);
  expect(past(`${plain.ipv4}:9001`).stdout).toBe("");
  await plain.startService("open", "0.0.0.0", [9002]);
  expect(JSON.parse(past(`${plain.ipv4}:9002`).stdout)).toMatchObject({ name: "open" });
});
