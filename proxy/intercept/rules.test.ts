import { describe, expect, test } from "vitest";
import { listenersIn } from "./machine.ts";
import {
  applyScript,
  type InterceptionSettings,
  interceptionRules,
  ownRules,
  proxyPorts,
  removeScript,
  restoreScript,
  ruleState,
  servedFamilies,
} from "./rules.ts";
import { SETTINGS } from "./settings.fake.ts";

function rulesOf(wish: Partial<InterceptionSettings>, family: 4 | 6 = 4): readonly string[] {
  return interceptionRules({ ...SETTINGS, ...wish }, family).chains.flatMap(({ rules }) => rules);
}

/** What `iptables-save` prints after a script was carried out on an empty table. */
function savedAfter(script: string): string {
  const lines = script.trimEnd().split("\n");
  return lines.filter((line) => /^(?:\*|:|-A|COMMIT)/.test(line)).join("\n");
}

const WANTED = interceptionRules({ ...SETTINGS, isOutbound: true }, 4);
const IN_PLACE = savedAfter(applyScript(WANTED, "", true));

describe("inbound rules", () => {
  test("take each port of the service, and nothing else", () => {
    const taken = rulesOf({}).filter((rule) => rule.includes("REDIRECT"));
    expect(taken).toEqual([
      "-A FORKLANE_IN -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 19471",
      "-A FORKLANE_IN -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 19471",
    ]);
  });

  test.each([
    ["connections that exist", "! --tcp-flags FIN,SYN,RST,ACK SYN "],
    ["ssh", "--dport 22 "],
    ["the proxy's own ports, admin among them", "--dport 19470:19479 "],
    ["a port that is excluded", "--dport 9090 "],
    ["a proxy port of another range", "--dport 15000 "],
    ["metadata and neighbours", "-d 169.254.0.0/16 "],
    ["what is only forwarded here", "! --dst-type LOCAL "],
  ])("leave %s alone before they take all", (_what, match) => {
    const rules = rulesOf({ inboundPorts: "all", excludedInboundPorts: [9090], proxyPort: 15_000 });
    const at = rules.findIndex((rule) => rule.includes(match) && rule.endsWith("-j RETURN"));
    expect(at).toBeGreaterThanOrEqual(0);
    expect(at).toBeLessThan(rules.indexOf("-A FORKLANE_IN -p tcp -j REDIRECT --to-ports 15000"));
  });

  test("are the same for IPv6, with its own link-local network", () => {
    expect(rulesOf({}, 6)).toEqual(
      rulesOf({}).map((rule) => rule.replace("169.254.0.0/16", "fe80::/10")),
    );
  });
});

describe("outbound rules", () => {
  test("let the proxy's own user pass before anything is taken", () => {
    const chain = WANTED.chains.find(({ from }) => from === "OUTPUT");
    expect(chain?.rules[1]).toBe("-A FORKLANE_OUT -m owner --uid-owner 7470 -j RETURN");
  });

  test.each([
    ["what somebody with the right to has marked", "-m mark --mark 0x1d2e "],
    ["the machine itself", "-m addrtype --dst-type LOCAL "],
    ["metadata and neighbours", "-d 169.254.0.0/16 "],
    ["metadata of Azure", "-d 168.63.129.16/32 "],
    ["names being looked up", "--dport 53 "],
    ["names being looked up over TLS", "--dport 853 "],
    ["ssh", "--dport 22 "],
    ["other proxies", "--dport 19470:19479 "],
    ["a port that is excluded", "--dport 5432 "],
  ])("leave %s alone before anything is taken", (_what, match) => {
    const rules = rulesOf({ isOutbound: true, inboundPorts: [], excludedOutboundPorts: [5432] });
    const at = rules.findIndex((rule) => rule.includes(match) && rule.endsWith("-j RETURN"));
    expect(at).toBeGreaterThanOrEqual(0);
    expect(rules.findIndex((rule) => rule.includes("REDIRECT"))).toBeGreaterThan(at);
    expect(rules.at(-1)).toBe("-A FORKLANE_OUT -p tcp -j REDIRECT --to-ports 19472");
  });

  test("leave metadata of AWS over IPv6 alone", () => {
    const rules = rulesOf({ isOutbound: true, inboundPorts: [] }, 6);
    expect(rules).toContain("-A FORKLANE_OUT -d fd00:ec2::254/128 -j RETURN");
  });

  test("take only what is named, where something is", () => {
    const wish = {
      isOutbound: true,
      inboundPorts: [],
      outboundPorts: [80, 8080],
      outboundCidrs: ["10.0.0.0/8", "fd00::/8"],
    };
    const taken = (family: 4 | 6) => rulesOf(wish, family).filter((it) => /REDIRECT/.test(it));
    expect(taken(4)).toEqual([
      "-A FORKLANE_OUT -d 10.0.0.0/8 -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 19472",
      "-A FORKLANE_OUT -d 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 19472",
    ]);
    expect(taken(6)).toHaveLength(2);
    expect(rulesOf({ ...wish, outboundCidrs: ["10.0.0.0/8"] }, 6).join()).not.toContain("REDIRECT");
  });

  test("stand alone where nothing inbound is named, and need one port of the proxy", () => {
    const wish = { ...SETTINGS, isOutbound: true, inboundPorts: [] };
    expect(interceptionRules(wish, 4).chains.map(({ name }) => name)).toEqual(["FORKLANE_OUT"]);
    expect(proxyPorts(wish)).toEqual([19_472]);
    expect(proxyPorts(SETTINGS)).toEqual([19_471]);
    expect(proxyPorts({ ...SETTINGS, isOutbound: true })).toEqual([19_471, 19_472]);
  });

  test("leave out networks of their own IP version", () => {
    const wish = {
      isOutbound: true,
      excludedOutboundCidrs: ["10.0.0.0/8", "10.9.9.9", "fd00::/8"],
    };
    expect(rulesOf(wish, 4)).toContain("-A FORKLANE_OUT -d 10.9.9.9/32 -j RETURN");
    expect(rulesOf(wish, 4).join()).not.toContain("fd00");
    expect(rulesOf(wish, 6)).toContain("-A FORKLANE_OUT -d fd00::/8 -j RETURN");
    expect(rulesOf(wish, 6).join()).not.toContain("10.0.0.0");
  });

  test("are not there unless asked for", () => {
    expect(rulesOf({}).join()).not.toContain("FORKLANE_OUT");
  });
});

describe("what stands in the kernel", () => {
  test.each([
    ["absent", ""],
    ["absent", "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j SOMEBODY\nCOMMIT\n"],
    ["in-place", IN_PLACE],
    ["aside", savedAfter(applyScript(WANTED, "", false))],
    ["broken", IN_PLACE.replace("-A OUTPUT -p tcp -j FORKLANE_OUT\n", "")],
    ["broken", IN_PLACE.replace(/-A PREROUTING.*/, "$&\n$&")],
    ["broken", IN_PLACE.replace(/-A FORKLANE_OUT .*\n/g, "")],
  ])("is %s", (state, saved) => {
    expect(ruleState(saved)).toBe(state);
  });

  test("of other tables is not ours to judge", () => {
    expect(ruleState(IN_PLACE.replace("*nat", "*mangle"))).toBe("absent");
  });
});

describe("a script", () => {
  test("takes every old jump away before it adds one", () => {
    const doubled = IN_PLACE.replace(/-A PREROUTING.*/, "$&\n$&");
    const lines = applyScript(WANTED, doubled, true).split("\n");
    const jump = "PREROUTING -p tcp -j FORKLANE_IN";
    expect(lines.filter((line) => line === `-D ${jump}`)).toHaveLength(2);
    expect(lines.filter((line) => line === `-A ${jump}`)).toHaveLength(1);
    expect(lines.lastIndexOf(`-D ${jump}`)).toBeLessThan(lines.indexOf(`-A ${jump}`));
  });

  test("takes away a chain that is wanted no more", () => {
    const script = applyScript(interceptionRules(SETTINGS, 4), IN_PLACE, true);
    expect(script).toContain("-D OUTPUT -p tcp -j FORKLANE_OUT\n-X FORKLANE_OUT\n");
  });

  test("that restores makes what stood before, whatever stands now", () => {
    const inbound = savedAfter(applyScript(interceptionRules(SETTINGS, 4), "", true));
    const back = restoreScript(inbound, IN_PLACE);
    expect(ownRules(savedAfter(back))).toEqual(ownRules(inbound));
    expect(back).toContain("-D OUTPUT -p tcp -j FORKLANE_OUT\n-X FORKLANE_OUT\n");
    expect(restoreScript("", IN_PLACE)).toBe(removeScript(IN_PLACE));
  });

  test("that removes names nothing but ours", () => {
    const foreign = "-A PREROUTING -p tcp -j SOMEBODY";
    const script = removeScript(IN_PLACE.replace("COMMIT", `${foreign}\nCOMMIT`));
    expect(script).not.toContain("SOMEBODY");
    expect(script.match(/^-X .*/gm)).toEqual(["-X FORKLANE_IN", "-X FORKLANE_OUT"]);
    expect(ownRules(IN_PLACE)).toHaveLength(IN_PLACE.match(/^-A/gm)?.length ?? 0);
  });
});

test("who listens at a port is read from the kernel's table, connections are not", () => {
  const row = (address: string, port: string, state: string, uid: number) =>
    `   0: ${address}:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 12345`;
  const table = [
    "  sl  local_address ...",
    row("00000000", "4C0F", "0A", 7470),
    row("0100007F", "4C0F", "0A", 7470),
    row("00000000000000000000000000000000", "4C0F", "0A", 7470),
    row("000000FD0000000000000000050000AB", "4C0F", "0A", 7470),
    row("0000000000000000FFFF00000201A8C0", "4C0F", "0A", 7470),
    row("00000000", "4C0F", "01", 0),
    row("00000000", "1F90", "0A", 5),
  ].join("\n");
  expect(listenersIn(table, 19_471)).toEqual(
    ["0.0.0.0", "127.0.0.1", "::", "fd00::ab00:5", "192.168.1.2"].map((address) => ({
      uid: 7470,
      address,
    })),
  );
  expect(listenersIn(table, 8080)).toEqual([{ uid: 5, address: "0.0.0.0" }]);
});

describe("who listens at", () => {
  test.each<[string, "in" | "out", readonly number[]]>([
    ["::", "in", [4, 6]],
    ["0.0.0.0", "in", [4]],
    ["127.0.0.1", "in", []],
    ["::1", "in", []],
    ["10.0.0.5", "in", []],
    ["", "in", []],
    ["::", "out", [4, 6]],
    ["0.0.0.0", "out", [4]],
    ["127.0.0.1", "out", [4]],
    ["::1", "out", [6]],
    ["fd00::5", "out", []],
  ])("%j alone has what is redirected (%s) over IPv%j", (address, direction, families) => {
    const wish = direction === "in" ? {} : { isOutbound: true, inboundPorts: [] };
    expect(servedFamilies({ ...SETTINGS, ...wish }, () => [address])).toEqual(families);
  });

  test("both addresses has both IP versions; each direction needs its own port", () => {
    const both = { ...SETTINGS, isOutbound: true };
    expect(servedFamilies(both, () => ["0.0.0.0", "::"])).toEqual([4, 6]);
    expect(servedFamilies(both, (port) => (port === 19_471 ? ["::"] : []))).toEqual([]);
    expect(servedFamilies(both, (port) => (port === 19_471 ? ["::"] : ["127.0.0.1"]))).toEqual([4]);
  });
});
