import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Host, Network, type Running } from "./network.ts";

/** `--fail open`: where the proxy listens, and how the command ends. */
let network: Network;
let caller: Host;
let cart: Host;

beforeAll(() => {
  network = Network.create();
  caller = network.addHost("caller");
  cart = network.addHost("cart");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

const INTERCEPT = [process.execPath, "cli/main.ts", "intercept", "--inbound-ports", "8080"];
const OPEN = [...INTERCEPT, "--fail", "open"];
const SOON = { timeout: 20_000 };

const PROXY = 424;
const SERVICE = 200;

async function startProxy(listen: string): Promise<Running> {
  const table = join(network.folder, "table.json");
  writeFileSync(table, '{"revision":1,"routes":{},"known":[]}', { mode: 0o644 });
  const trust = ["--trust-tags-from", "198.18.0.0/16,fc00::/7"];
  return await cart.startProxy(["--listen", listen, "--intercept", "--table", table, ...trust]);
}

/** Who answers over IPv4 and IPv6: the proxy refuses a key that nobody has. */
function ask(): number[] {
  return [cart.ipv4, `[${cart.ipv6}]`].map((host) => {
    const probe = ["-H", "baggage: sandbox=nobodys!", "-o", "/dev/null", "-w", "%{http_code}"];
    return Number(caller.run(["curl", "-gsS", "-m", "5", ...probe, `http://${host}:8080/`]).stdout);
  });
}

function state(): string {
  return cart.forklane(["intercept", "--status"]).stdout.split(/[: ]/)[0] ?? "";
}

describe("rules step aside for each IP version in which the proxy is not to be reached", () => {
  test.each([
    ["0.0.0.0:19471", /in place for IPv4, aside for IPv6: .*\[::\]:19471/, [PROXY, SERVICE]],
    ["127.0.0.1:19471", /^aside: the proxy listens at 127\.0\.0\.1:19471/m, [SERVICE, SERVICE]],
    ["[::]:19471", /^in place$/m, [PROXY, PROXY]],
  ])("a proxy at %s", async (listen, said, answers) => {
    await cart.startService("baseline", "::", [8080]);
    await startProxy(listen);
    await cart.start(OPEN, said);
    expect(ask()).toEqual(answers);
  });

  test("and come back for it when the proxy does", async () => {
    await cart.startService("baseline", "::", [8080]);
    const first = await startProxy("0.0.0.0:19471");
    const rules = await cart.start(OPEN, "in place for IPv4");
    expect(state()).toBe("partly-aside");
    await first.stop();
    await startProxy("[::]:19471");
    await expect.poll(() => rules.output(), SOON).toMatch(/^in place$/m);
    expect(ask()).toEqual([PROXY, PROXY]);
  });
});

test("without --fail open it is said that the proxy is not to be reached where it listens", async () => {
  await startProxy("127.0.0.1:19471");
  const { status, stdout } = cart.run(INTERCEPT);
  expect(status).toBe(0);
  expect(stdout).toContain("# the proxy listens at 127.0.0.1:19471, where nobody has what");
  await network.clear();
  await startProxy("[::]:19471");
  expect(cart.must(INTERCEPT)).not.toContain("#");
});

describe("no rule is left by a command that", () => {
  test.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)("is ended by %s", async (signal) => {
    await startProxy("[::]:19471");
    const rules = await cart.start(OPEN, "in place");
    expect(state()).toBe("in-place");
    await rules.stop(signal);
    expect(state()).toBe("absent");
  });

  test.each(["SIGTERM", "SIGHUP"] as const)(
    "is told to end by %s while it writes them",
    async (signal) => {
      await startProxy("[::]:19471");
      const folder = mkdtempSync(join(network.folder, "bin-"));
      const real = cart.pathOf("ip6tables-nft-restore");
      const wait = `case " $* " in *" --test "*) ;; *) echo writing >&2; kill -${signal.slice(3)} $PPID; kill -${signal.slice(3)} $PPID;; esac`;
      const program = join(folder, "ip6tables-nft-restore");
      writeFileSync(program, `#!/bin/sh\n${wait}\nexec ${real} "$@"\n`);
      chmodSync(program, 0o755);
      const path = `PATH=${folder}:${process.env["PATH"]}`;
      const { status } = await cart.runBeside(["env", path, ...OPEN, "--backend", "nft"]);
      expect([status, state()]).toEqual([0, "absent"]);
    },
  );

  test("has nobody any more who reads what it says", async () => {
    const words = OPEN.map((word) => `'${word}'`).join(" ");
    // The reader leaves after the first line; the second one has nowhere to go.
    const piped = cart.runBeside(["bash", "-c", `${words} | head -n 1`]);
    await expect.poll(state, SOON).toBe("aside");
    await startProxy("[::]:19471");
    expect((await piped).stdout).toContain("aside");
    await expect.poll(state, SOON).toBe("absent");
  });
});
