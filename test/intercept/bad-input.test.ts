import { chmodSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Host, Network, type Outcome, type Running } from "./network.ts";

/** Failures in the middle of a change, crashes, several at once, and kernels that lack something. */
let network: Network;
let caller: Host;
let host: Host;

beforeAll(() => {
  network = Network.create();
  caller = network.addHost("caller");
  host = network.addHost("one");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

const INTERCEPT = [process.execPath, "cli/main.ts", "intercept"];
const PORTS = ["--inbound-ports", "8080"];
const SOON = { timeout: 20_000 };

function intercept(flags: readonly string[]): Outcome {
  return host.run([...INTERCEPT, ...flags, "--json"]);
}

function must(flags: readonly string[]): void {
  const { status, stdout } = intercept(flags);
  if (status !== 0) throw new Error(stdout);
}

function problemOf({ status, stdout }: Outcome): {
  status: number | null;
  code: string;
  detail: string;
} {
  const { code, detail } = JSON.parse(stdout);
  return { status, code, detail };
}

function rules(backend: string): string {
  return `${host.rules(`iptables-${backend}`)}\n${host.rules(`ip6tables-${backend}`)}`;
}

function state(): string {
  return JSON.parse(intercept(["--status"]).stdout).statuses[0]?.state ?? "absent";
}

/**
 * Runs the command with programs replaced by shell scripts, in which `$REAL` is the real one and
 * `is_test` tells whether the rules are only to be checked.
 */
function withPrograms(
  scripts: Readonly<Record<string, string>>,
  flags: readonly string[],
): Outcome {
  const folder = mkdtempSync(join(network.folder, "bin-"));
  const isTest = 'is_test() { case " $* " in *" --test "*) true;; *) false;; esac; }';
  for (const [name, script] of Object.entries(scripts)) {
    const program = join(folder, name);
    writeFileSync(program, `#!/bin/sh\nREAL=${host.pathOf(name)}\n${isTest}\n${script}\n`);
    chmodSync(program, 0o755);
  }
  const path = `PATH=${folder}:${process.env["PATH"]}`;
  return host.run(["env", path, ...INTERCEPT, ...flags, "--json"]);
}

function withProgram(name: string, script: string, flags: readonly string[]): Outcome {
  return withPrograms({ [name]: script }, flags);
}

describe.each(["nft", "legacy"])(
  "the second IP version fails in the middle, by iptables-%s",
  (backend) => {
    const by = ["--backend", backend];
    const program = `ip6tables-${backend}-restore`;
    const REFUSES = `is_test "$@" && exec $REAL "$@"; echo "the kernel is out of memory" >&2; exit 1`;

    test("where nothing stood, nothing stands", () => {
      const before = rules(backend);
      const failed = problemOf(withProgram(program, REFUSES, [...PORTS, ...by]));
      expect(failed).toMatchObject({ status: 1, code: "intercept-failed" });
      expect(failed.detail).toContain(`${program} failed: the kernel is out of memory`);
      expect(withoutChains(rules(backend))).toBe(withoutChains(before));
      expect(state()).toBe("absent");
    });

    test("what stood stands as it did, in one step", () => {
      must([...PORTS, "--outbound", ...by]);
      const before = rules(backend);
      const other = ["--inbound-ports", "9000", ...by];
      expect(withProgram(program, REFUSES, other).status).toBe(1);
      expect(rules(backend)).toBe(before);
      expect(state()).toBe("in-place");
    });

    test("what cannot be put back either is said", () => {
      // Carries out rules once.
      const once = `is_test "$@" || { [ -e "$0.done" ] && { echo "worn out" >&2; exit 1; }; touch "$0.done"; }; exec $REAL "$@"`;
      const programs = { [program]: REFUSES, [`iptables-${backend}-restore`]: once };
      const outcome = withPrograms(programs, [...PORTS, ...by]);
      const failed = problemOf(outcome);
      expect(failed).toMatchObject({ status: 1, code: "intercept-failed" });
      expect(failed.detail).toMatch(
        /out of memory; the rules for IPv4 are changed, .*: .*worn out/,
      );
      expect(outcome.stdout).not.toContain("nothing was changed");
      expect(state()).toBe("broken");
      must(["--remove"]);
      expect(state()).toBe("absent");
    });

    test("a command that is killed there leaves what the next one repairs", () => {
      // The shell's parent is the command.
      const kills = `is_test "$@" && exec $REAL "$@"; kill -9 $PPID`;
      expect(withProgram(program, kills, [...PORTS, ...by]).status).toBe(null);
      expect(state()).toBe("broken");
      must([...PORTS, ...by]);
      expect(state()).toBe("in-place");
      must(["--remove"]);
      expect(state()).toBe("absent");
    });
  },
);

describe("several at once", () => {
  test("each has its turn, and what stands is whole", async () => {
    const runs = Array.from({ length: 6 }, (_, i) =>
      host.runBeside([...INTERCEPT, "--inbound-ports", String(9000 + i)]),
    );
    expect((await Promise.all(runs)).map(({ status, stderr }) => [status, stderr])).toEqual(
      runs.map(() => [0, ""]),
    );
    expect(state()).toBe("in-place");
    const ports = host.rules().match(/--dport 900\d -j REDIRECT/g);
    expect(ports).toHaveLength(1);
  });

  test("while one watches the others are told, and once it has stopped they go on", async () => {
    const watching = await host.start([...INTERCEPT, ...PORTS, "--fail", "open"], "aside");
    const before = rules("nft");
    for (const flags of [PORTS, [...PORTS, "--fail", "open"], ["--remove"]]) {
      const refused = problemOf(intercept(flags));
      expect(refused).toMatchObject({ status: 2, code: "intercept-conflict" });
      expect(refused.detail).toContain("--fail open watches over the rules");
    }
    expect(rules("nft")).toBe(before);
    await watching.stop("SIGTERM");
    expect(state()).toBe("absent");
    must(PORTS);
    expect(state()).toBe("in-place");
  });

  test.each([
    ["says that it watches", "(asking) => asking.on('error', () => 0).end('watching')"],
    ["says nothing", "() => undefined"],
  ])(
    "a stranger who keeps the lock and %s is named, and keeps nobody back",
    async (_how, answer) => {
      const script = `require("node:net").createServer(${answer}).listen("\\0forklane-intercept", () => console.log("kept"))`;
      await host.start([process.execPath, "-e", script], "kept", "nobody");
      for (const flags of [PORTS, ["--remove"]]) {
        const { status, stderr } = host.run([...INTERCEPT, ...flags]);
        expect([status, stderr]).toEqual([0, expect.stringContaining("is kept by user 65534")]);
      }
      expect(state()).toBe("absent");
      const rules = await host.start([...INTERCEPT, ...PORTS, "--fail", "open"], "aside");
      await rules.stop("SIGTERM");
      expect(state()).toBe("absent");
    },
  );

  test("two hosts do not wait for each other", async () => {
    await host.start([...INTERCEPT, ...PORTS, "--fail", "open"], "aside");
    expect(caller.forklane(["intercept", ...PORTS]).status).toBe(0);
  });
});

/** The service, and a proxy that refuses a key that nobody has: whether it answered is seen by that. */
async function startService(): Promise<void> {
  await host.startService("baseline", "::", [8080]);
}

async function startProxy(listen = "[::]:19471"): Promise<Running> {
  const table = join(network.folder, "table.json");
  writeFileSync(table, '{"revision":1,"routes":{},"known":[]}', { mode: 0o644 });
  const trust = ["--trust-tags-from", "198.18.0.0/16,fc00::/7"];
  return await host.startProxy(["--listen", listen, "--intercept", "--table", table, ...trust]);
}

function ask(address = host.ipv4): number {
  const probe = ["-H", "baggage: sandbox=nobodys!", "-o", "/dev/null", "-w", "%{http_code}"];
  const url = `http://${address}:8080/`;
  return Number(caller.run(["curl", "-gsS", "-m", "10", ...probe, url]).stdout);
}

const PROXY = 424;
const SERVICE = 200;
const NOBODY = 0;

describe("a watcher that is killed", () => {
  const watch = (ready: string) => host.start([...INTERCEPT, ...PORTS, "--fail", "open"], ready);

  test("leaves the rules in place: without the proxy connections are refused, until one watches again", async () => {
    await startService();
    const proxy = await startProxy();
    const first = await watch("in place");
    expect(ask()).toBe(PROXY);
    await first.stop("SIGKILL");
    await proxy.stop();
    expect(ask()).toBe(NOBODY);
    const second = await watch("aside");
    expect(ask()).toBe(SERVICE);
    await startProxy();
    await expect.poll(() => second.output(), SOON).toContain("in place");
    expect(ask()).toBe(PROXY);
  });

  test("leaves them aside: with the proxy connections pass it by, until one watches again", async () => {
    await startService();
    const first = await watch("aside");
    await first.stop("SIGKILL");
    await startProxy();
    expect(ask()).toBe(SERVICE);
    await watch("in place");
    expect(ask()).toBe(PROXY);
  });
});

describe("IPv6", () => {
  function setOff(value: "0" | "1"): void {
    host.must(["sysctl", "-qw", `net.ipv6.conf.all.disable_ipv6=${value}`]);
    if (value === "1") return;
    host.must(["ip", "address", "replace", `${host.ipv6}/64`, "dev", "eth0", "nodad"]);
  }

  /** What a kernel says that has no IPv6. */
  const NONE =
    'echo "can\'t initialize ip6tables table nat: Address family not supported" >&2; exit 3';

  test("switched off: IPv4 is intercepted, and IPv6 from the moment when it is there", async () => {
    setOff("1");
    try {
      await startService();
      await startProxy();
      must(PORTS);
      expect(ask()).toBe(PROXY);
      setOff("0");
      await expect.poll(() => ask(`[${host.ipv6}]`), SOON).toBe(PROXY);
    } finally {
      setOff("0");
    }
  });

  test("that the kernel has not: rules for IPv4 only, and it is said", async () => {
    setOff("1");
    try {
      const { status, stdout } = withProgram("ip6tables-nft", NONE, [...PORTS, "--backend", "nft"]);
      const { applied, notes, scripts } = JSON.parse(stdout);
      expect([status, applied]).toEqual([0, true]);
      expect(notes).toEqual(["IPv6 is switched off in this kernel; there are rules for IPv4 only"]);
      expect(scripts.map(({ family }: { family: number }) => family)).toEqual([4]);
      expect(host.rules("ip6tables-nft")).not.toContain("FORKLANE");
      await startService();
      await startProxy("0.0.0.0:19471");
      expect(ask()).toBe(PROXY);
    } finally {
      setOff("0");
    }
  });

  test("that is in use and takes no rules is a failure, and nothing is written", () => {
    const before = rules("nft");
    const fails = "echo 'no table nat' >&2; exit 1";
    const failed = problemOf(withProgram("ip6tables-nft-save", fails, PORTS));
    expect(failed).toMatchObject({ status: 1, code: "intercept-failed" });
    expect(failed.detail).toContain("ip6tables-nft-save failed: no table nat");
    expect(withoutChains(rules("nft"))).toBe(withoutChains(before));
  });
});

test("a port that the network's plugin has taken is named, with the plugin, and nothing is written", () => {
  for (const rule of [
    "-N CNI-HOSTPORT-DNAT",
    "-N CNI-DN-1",
    "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "-A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 8080 -j CNI-DN-1",
    "-A CNI-DN-1 -p tcp -j DNAT --to-destination 10.1.0.7:80",
  ]) {
    host.must(["iptables-nft", "-t", "nat", ...rule.split(" ")]);
  }
  const before = rules("nft");
  const refused = problemOf(intercept(PORTS));
  expect(refused).toMatchObject({ status: 2, code: "intercept-conflict" });
  expect(refused.detail).toContain("the CNI plugin portmap redirects connections here already");
  expect(rules("nft")).toBe(before);
  must(["--inbound-ports", "8081"]);
});

test("somebody who keeps the lock of iptables is waited for, and then named", async () => {
  const file = join(network.folder, "xtables.lock");
  const keep = `
import fcntl, time
lock = open("${file}", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
`;
  const holder = await host.start(["python3", "-c", keep], "held");
  const words = [...INTERCEPT, ...PORTS, "--backend", "legacy", "--json"];
  const apply = () => host.run(["env", `XTABLES_LOCKFILE=${file}`, ...words]);
  const refused = problemOf(apply());
  expect(refused).toMatchObject({ status: 1, code: "intercept-failed" });
  expect(refused.detail).toContain("xtables lock");
  await holder.stop();
  expect(apply().status).toBe(0);
});

/** After the first rule of a table its built-in chains stay, empty. */
function withoutChains(text: string): string {
  return text
    .split("\n")
    .filter((line) => line.startsWith("-A"))
    .join("\n");
}
