import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Host, Network } from "./network.ts";

let network: Network;
let host: Host;

beforeAll(() => {
  network = Network.create();
  host = network.addHost("one");
});
afterEach(async () => await network.clear());
afterAll(async () => await network?.remove());

const PORTS = ["--inbound-ports", "8080,8081", "--outbound"];
const ALL = [...PORTS, "--exclude-outbound-cidrs", "10.0.0.0/8,fd01::/16"];

function intercept(flags: readonly string[], user?: "nobody") {
  return host.forklane(["intercept", ...flags], user);
}

function must(flags: readonly string[]): string {
  const { status, stdout, stderr } = intercept(flags);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** Rules of both IP versions. */
function rules(backend: string): string {
  return `${host.rules(`iptables-${backend}`)}\n${host.rules(`ip6tables-${backend}`)}`;
}

describe.each(["nft", "legacy"])("by iptables-%s", (backend) => {
  const by = ["--backend", backend];

  /** Somebody's rule, so that the table is there before us. */
  function addForeignRules(): void {
    for (const program of [`iptables-${backend}`, `ip6tables-${backend}`]) {
      host.must([program, "-t", "nat", "-A", "PREROUTING", "-p", "udp", "-j", "ACCEPT"]);
      host.must([program, "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-j", "ACCEPT"]);
    }
  }

  test("rules are what the dry run prints, applying twice changes nothing, removing leaves none", () => {
    addForeignRules();
    const before = rules(backend);
    const dry = must([...ALL, ...by, "--dry-run"]);
    expect(rules(backend)).toBe(before);
    must([...ALL, ...by]);
    const applied = rules(backend);
    const wanted = dry.split("\n").filter((line) => line.startsWith("-A"));
    const standing = applied
      .split("\n")
      .filter((line) => line.includes("FORKLANE_") && line[0] === "-");
    expect(standing.toSorted()).toEqual(wanted.toSorted());
    must([...ALL, ...by]);
    expect(rules(backend)).toBe(applied);
    must(["--remove"]);
    expect(rules(backend)).toBe(before);
    expect(must(["--remove"])).toContain("no rules of ours");
  });

  test("what a crash has left is repaired by the next start, and removed as well", () => {
    addForeignRules();
    const before = rules(backend);
    must([...ALL, ...by]);
    const applied = rules(backend);
    const leave = (): void => {
      const program = `iptables-${backend}`;
      host.must([program, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "FORKLANE_IN"]);
      host.must([program, "-t", "nat", "-F", "FORKLANE_OUT"]);
      host.must([program, "-t", "nat", "-N", "FORKLANE_OLD"]);
      host.must([
        `ip6tables-${backend}`,
        "-t",
        "nat",
        "-D",
        "OUTPUT",
        "-p",
        "tcp",
        "-j",
        "FORKLANE_OUT",
      ]);
    };
    leave();
    const { status, stdout } = intercept(["--status"]);
    expect([status, stdout.split(" ")[0]]).toEqual([1, "broken"]);
    must([...ALL, ...by]);
    expect(rules(backend)).toBe(applied);
    expect(intercept(["--status"]).status).toBe(0);
    leave();
    must(["--remove"]);
    expect(rules(backend)).toBe(before);
  });

  test("other settings replace the rules that stand", () => {
    must([...ALL, ...by]);
    must(["--inbound-ports", "9000", ...by]);
    const after = rules(backend);
    expect(after).toContain("--dport 9000");
    expect(after).not.toMatch(/dport 8080|FORKLANE_OUT/);
  });
});

describe("what stands in the way is named, and nothing is written", () => {
  function refusal(flags: readonly string[] = PORTS, user?: "nobody") {
    const before = [rules("nft"), rules("legacy")];
    const { status, stdout } = intercept([...flags, "--json"], user);
    expect([rules("nft"), rules("legacy")]).toEqual(before);
    const { code, detail } = JSON.parse(stdout);
    return { status, code, detail };
  }

  test("no privilege", () => {
    const code = "intercept-privilege";
    for (const flags of [PORTS, ["--remove"], ["--status"], [...PORTS, "--dry-run"]]) {
      expect(refusal(flags, "nobody")).toMatchObject({ status: 2, code });
    }
  });

  test("no iptables", () => {
    const env = ["env", "PATH=/nowhere", process.execPath, "cli/main.ts"];
    const { status, stdout } = host.run([...env, "intercept", ...PORTS, "--json"]);
    expect([status, JSON.parse(stdout).code]).toEqual([2, "intercept-no-iptables"]);
  });

  test.each([
    ["Istio", ["-N", "ISTIO_INBOUND"]],
    ["Linkerd", ["-N", "PROXY_INIT_REDIRECT"]],
    ["a rule", "-A PREROUTING -p tcp --dport 8081 -j REDIRECT --to-ports 99".split(" ")],
  ])("%s, whichever backend it is in", (name, rule) => {
    for (const program of ["iptables-nft", "ip6tables-legacy"]) {
      host.must([program, "-t", "nat", ...rule]);
      const found = refusal();
      expect(found).toMatchObject({ status: 2, code: "intercept-conflict" });
      expect(found.detail).toContain(`${name} redirects connections here already (${program})`);
      host.must([program, "-t", "nat", "-F"]);
      host.must([program, "-t", "nat", "-X"]);
    }
  });

  test("rules of nftables that are none of iptables'", () => {
    const nft = (text: string) => host.must(["nft", ...text.split(" ")]);
    nft("add table inet mesh");
    try {
      nft("add chain inet mesh pre { type nat hook prerouting priority -100 ; }");
      nft("add chain inet mesh out { type nat hook output priority -100 ; }");
      nft("add chain inet mesh take");
      nft("add rule inet mesh out meta l4proto tcp ip daddr != 127.0.0.0/8 goto take");
      nft("add rule inet mesh take meta l4proto tcp redirect to :99");
      must(["--inbound-ports", "8080"]);
      must(["--remove"]);
      const calls = refusal();
      expect(calls).toMatchObject({ status: 2, code: "intercept-conflict" });
      expect(calls.detail).toContain(
        "the nftables table inet mesh redirects connections here already (nft): chain take handle",
      );
      nft("flush chain inet mesh out");
      must(PORTS);
      must(["--remove"]);
      nft("add rule inet mesh pre tcp dport { 80, 8000-8100 } jump take");
      expect(refusal().detail).toContain("the nftables table inet mesh");
      must(["--inbound-ports", "9000"]);
    } finally {
      nft("delete table inet mesh");
    }
  });

  test("rules in both backends", () => {
    for (const program of ["iptables-nft", "iptables-legacy"]) {
      host.must([program, "-t", "nat", "-A", "OUTPUT", "-p", "udp", "-j", "ACCEPT"]);
    }
    expect(refusal()).toMatchObject({ status: 2, code: "intercept-conflict" });
    must([...PORTS, "--backend", "nft"]);
    expect(rules("nft")).toContain("FORKLANE_IN");
  });

  test("rules of ours in the other backend", () => {
    must([...PORTS, "--backend", "legacy"]);
    const found = refusal([...PORTS, "--backend", "nft"]);
    expect(found).toMatchObject({ status: 2, code: "intercept-conflict" });
    must(PORTS);
    expect(rules("nft")).not.toContain("FORKLANE");
  });

  test("a stranger at the proxy's port", async () => {
    await host.startService("stranger", "127.0.0.1", [19_471]);
    expect(refusal()).toMatchObject({
      status: 2,
      code: "intercept-conflict",
      detail: "user 0 listens at port 19471, which is to be the proxy's, of user 7470",
    });
  });
});

test("IPv6 that is switched off is said, and its rules wait for it", () => {
  const off = (value: string) =>
    host.must(["sysctl", "-qw", `net.ipv6.conf.all.disable_ipv6=${value}`]);
  off("1");
  try {
    expect(must(PORTS)).toContain("IPv6 is switched off here");
    expect(host.rules("ip6tables-nft")).toContain("FORKLANE_IN");
    expect(intercept(["--status"]).status).toBe(0);
    must(["--remove"]);
    expect(host.rules("ip6tables-nft")).not.toContain("FORKLANE");
  } finally {
    off("0");
    host.must(["ip", "address", "replace", `${host.ipv6}/64`, "dev", "eth0", "nodad"]);
  }
});
