import { describe, expect, test } from "vitest";
import { foreignNftRules, foreignRules } from "./foreign-rules.ts";
import { applyScript, interceptionRules } from "./rules.ts";
import { SETTINGS } from "./settings.fake.ts";

describe("somebody else's rules", () => {
  test.each([
    ["Istio", "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT"],
    ["AWS App Mesh", ":APPMESH_EGRESS - [0:0]"],
    ["a mesh", "-A SOME_CHAIN -p tcp -j REDIRECT --to-ports 15006"],
    ["Linkerd", "-A PREROUTING -j PROXY_INIT_REDIRECT"],
    ["Consul", "-A PREROUTING -p tcp -j CONSUL_PROXY_INBOUND"],
    ["Kuma", ":KUMA_MESH_INBOUND - [0:0]"],
    ["a rule", "-A PREROUTING -p tcp -m tcp --dport 8081 -j REDIRECT --to-ports 99"],
    [
      "a rule",
      "-A PREROUTING -p tcp -m multiport --dports 80,8000:8100 -j DNAT --to-destination 1.1.1.1",
    ],
    ["a rule", "-A PREROUTING -p tcp -j REDIRECT --to-ports 99"],
  ])("%s is named by %s", (name, rule) => {
    expect(foreignRules(`*nat\n${rule}\nCOMMIT\n`, SETTINGS)).toEqual([{ name, rule }]);
  });

  test.each([
    "-A PREROUTING -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 99",
    "-A PREROUTING -d 10.0.0.1/32 -p tcp -j DNAT --to-destination 10.0.0.2",
    "-A POSTROUTING -s 10.0.0.0/8 -j MASQUERADE",
  ])("%s is in nobody's way", (rule) => {
    expect(foreignRules(`*nat\n${rule}\nCOMMIT\n`, SETTINGS)).toEqual([]);
  });

  test.each([
    ["-A OUTPUT -p tcp -j REDIRECT --to-ports 99", 1],
    ["-A OUTPUT -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:99", 1],
    ["-A OUTPUT -p udp -m udp --dport 53 -j REDIRECT --to-ports 99", 0],
    ["-A OUTPUT -d 10.0.0.1/32 -p tcp -j DNAT --to-destination 10.0.0.2", 0],
  ])("%s is in the way of calls: %i", (rule, count) => {
    const saved = `*nat\n${rule}\nCOMMIT\n`;
    expect(foreignRules(saved, { ...SETTINGS, isOutbound: true })).toHaveLength(count);
    expect(foreignRules(saved, SETTINGS)).toEqual([]);
  });

  test.each([
    ["behind a jump", ["-A OUTPUT -p tcp -j OUT", "-A OUT -p tcp -j REDIRECT --to-ports 4140"], 1],
    [
      "behind two",
      [
        "-A OUTPUT -j A",
        "-A A ! -d 127.0.0.0/8 -j B",
        "-A B -m owner ! --uid-owner 5 -j REDIRECT --to-ports 99",
      ],
      2,
    ],
    ["but not the machine itself", ["-A OUTPUT ! -d 127.0.0.1/32 -p tcp -j REDIRECT"], 0],
  ])("a redirect of calls is found %s", (_where, rules, at) => {
    const saved = ["*nat", ...rules, "COMMIT"].join("\n");
    const found = foreignRules(saved, { ...SETTINGS, isOutbound: true });
    expect(found).toEqual([{ name: "a rule", rule: rules[at] }]);
    expect(foreignRules(saved, SETTINGS)).toEqual([]);
  });

  test.each([
    ["the machine itself", ["-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j D"]],
    ["loopback", ["-A OUTPUT -o lo -j D"]],
    ["one address", ["-A OUTPUT -d 10.96.0.10/32 -p tcp -j D"]],
    ["a set of addresses", ["-A OUTPUT -m set --match-set KUBE-CLUSTER-IP dst,dst -j D"]],
    ["names being looked up", ["-A OUTPUT -p tcp -m tcp --dport 53 -j D"]],
    ["a port that is left alone", ["-A OUTPUT -p tcp -m tcp --dport 5432 -j D"]],
    ["nobody, in another table", ["-A PREROUTING -j X", "*mangle", "-A OUTPUT -j D", "*nat"]],
  ])("a redirect of calls to %s is in nobody's way", (_whom, rules) => {
    const saved = ["*nat", ...rules, "-A D -p tcp -j DNAT --to-destination 1.1.1.1", "COMMIT"];
    const settings = { ...SETTINGS, isOutbound: true, excludedOutboundPorts: [5432] };
    expect(foreignRules(saved.join("\n"), settings)).toEqual([]);
  });

  test("of calls to other ports than those that are taken is in nobody's way", () => {
    const saved = "*nat\n-A OUTPUT -p tcp -m multiport --dports 80,443 -j REDIRECT\nCOMMIT";
    const found = (outboundPorts: readonly number[]) =>
      foreignRules(saved, { ...SETTINGS, isOutbound: true, outboundPorts }).length;
    expect([found([8080]), found([443])]).toEqual([0, 1]);
  });

  test("ours are not somebody else's", () => {
    const ours = applyScript(interceptionRules(SETTINGS, 4), "", true);
    expect(foreignRules(ours, SETTINGS)).toEqual([]);
  });

  /** As the CNI plugin portmap writes a `hostPort`. */
  const PORTMAP = (port: number) => [
    "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    `-A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports ${port} -j CNI-DN-1`,
    "-A CNI-DN-1 -p tcp -j DNAT --to-destination 10.1.0.7:80",
  ];

  test.each([
    ["the CNI plugin portmap", PORTMAP(8080), 2],
    [
      "kube-proxy",
      [
        "-A PREROUTING -j KUBE-SERVICES",
        "-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
        "-A KUBE-NODEPORTS -p tcp -m tcp --dport 8081 -j KUBE-EXT-1",
        "-A KUBE-EXT-1 -j KUBE-SEP-1",
        "-A KUBE-SEP-1 -p tcp -j DNAT --to-destination 10.1.0.7:80",
      ],
      4,
    ],
    [
      "Docker",
      [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
      ],
      1,
    ],
  ])("%s is found behind jumps", (name, rules, at) => {
    const saved = ["*nat", ":PREROUTING ACCEPT [0:0]", ...rules, "COMMIT"].join("\n");
    expect(foreignRules(saved, SETTINGS)).toEqual([{ name, rule: rules[at] }]);
    const other = { ...SETTINGS, inboundPorts: [9999] };
    expect(foreignRules(saved, other)).toEqual([]);
    // A chain of this name in another table is another chain.
    expect(foreignRules(saved.replace("-A PREROUTING", "*mangle\n$&\n*nat"), SETTINGS)).toEqual([]);
  });

  test("the address of a Service is none of ours, and a port that is left alone is no port of ours", () => {
    const service = [
      "-A PREROUTING -j KUBE-SERVICES",
      "-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 8080 -j KUBE-SVC-1",
      "-A KUBE-SVC-1 -p tcp -j DNAT --to-destination 10.1.0.7:80",
    ];
    expect(foreignRules(["*nat", ...service, "COMMIT"].join("\n"), SETTINGS)).toEqual([]);
    const all = { ...SETTINGS, inboundPorts: "all" as const, excludedInboundPorts: [8080] };
    const saved = (port: number) => ["*nat", ...PORTMAP(port), "COMMIT"].join("\n");
    expect(foreignRules(saved(8080), all)).toEqual([]);
    expect(foreignRules(saved(8082), all)).toHaveLength(1);
  });

  test("chains that lead in a circle, or nowhere, end", () => {
    const circle = [
      "*nat",
      "-A PREROUTING -j A",
      "-A A -j B",
      "-A B -j A",
      "-A A -j GONE",
      "COMMIT",
    ];
    expect(foreignRules(circle.join("\n"), SETTINGS)).toEqual([]);
  });
});

describe("rules of nftables", () => {
  const TABLE = { family: "inet", table: "mesh" };
  const TAKE = { redirect: { port: 99 } };
  const match = (left: object, right: unknown, op = "==") => ({ match: { op, left, right } });
  const port = (right: unknown, op = "==", protocol = "tcp") =>
    match({ payload: { protocol, field: "dport" } }, right, op);
  const to = (right: unknown, op = "==") =>
    match({ payload: { protocol: "ip", field: "daddr" } }, right, op);
  const protocol = (right: unknown, op = "==") => match({ meta: { key: "l4proto" } }, right, op);
  const isHere = match({ fib: { result: "type", flags: ["daddr"] } }, "local");

  /** As `nft -j list ruleset` prints them: what arrives asks `pre`, what is sent `out`. */
  function listed(rules: readonly [chain: string, ...object[]][]): string {
    const chains = [
      { ...TABLE, name: "pre", type: "nat", hook: "prerouting" },
      { ...TABLE, name: "out", type: "nat", hook: "output" },
      { ...TABLE, name: "take" },
    ];
    const ports = {
      ...TABLE,
      name: "ports",
      type: "inet_service",
      elem: [80, { range: [8000, 8100] }],
    };
    return JSON.stringify({
      nftables: [
        { metainfo: { json_schema_version: 1 } },
        { table: { family: "inet", name: "mesh" } },
        ...chains.map((chain) => ({ chain })),
        { set: ports },
        ...rules.map(([chain, ...expr], i) => ({ rule: { ...TABLE, chain, handle: i + 1, expr } })),
      ],
    });
  }

  function foundIn(rules: readonly [string, ...object[]][], wish = {}): string[] {
    return foreignNftRules(listed(rules), { ...SETTINGS, ...wish }).map(({ name, rule }) => {
      expect(name).toBe("the nftables table inet mesh");
      return rule;
    });
  }

  test.each<[string, [string, ...object[]][]]>([
    ["a port", [["pre", port(8081), TAKE]]],
    ["a set of ports", [["pre", port({ set: [22, { range: [8000, 8100] }] }), TAKE]]],
    ["a set that has a name", [["pre", port("@ports"), TAKE]]],
    ["every port", [["pre", protocol("tcp"), TAKE]]],
    ["all but one", [["pre", port(443, "!="), TAKE]]],
    ["a port of whatever protocol", [["pre", port(8080, "==", "th"), TAKE]]],
    ["DNAT", [["pre", port(8080), { dnat: { addr: "10.0.0.1", port: 80 } }]]],
    ["TPROXY", [["pre", protocol({ set: ["tcp", "udp"] }), { tproxy: { port: 15 } }]]],
  ])("that take what arrives are found: %s", (_what, rules) => {
    expect(foundIn(rules)).toEqual(["chain pre handle 1"]);
  });

  test.each<[string, [string, ...object[]][]]>([
    ["another port", [["pre", port(9000), TAKE]]],
    ["another protocol", [["pre", port(8080, "==", "udp"), TAKE]]],
    ["no TCP", [["pre", protocol("tcp", "!="), TAKE]]],
    ["one address", [["pre", to("10.0.0.1"), TAKE]]],
    ["a chain that nobody asks", [["take", port(8080), TAKE]]],
    ["what iptables wrote", [["pre", port(8080), { xt: { type: "target", name: "REDIRECT" } }]]],
    ["what is sent", [["out", protocol("tcp"), TAKE]]],
    ["no redirect", [["pre", port(8080), { accept: null }]]],
  ])("that take %s are in nobody's way", (_what, rules) => {
    expect(foundIn(rules)).toEqual([]);
  });

  test("are followed over their jumps, in both directions", () => {
    const both = { isOutbound: true };
    expect(
      foundIn([
        ["pre", port(8080), { jump: { target: "take" } }],
        ["take", TAKE],
      ]),
    ).toEqual(["chain take handle 2"]);
    const out = to({ prefix: { addr: "127.0.0.0", len: 8 } }, "!=");
    expect(
      foundIn(
        [
          ["out", out, { goto: { target: "take" } }],
          ["take", TAKE],
        ],
        both,
      ),
    ).toEqual(["chain take handle 2"]);
    const lo = match({ meta: { key: "oifname" } }, "lo");
    for (const stays of [isHere, lo, to("10.0.0.1")]) {
      expect(foundIn([["out", stays, TAKE]], both)).toEqual([]);
    }
  });

  test.each(["", "nothing", "{}", '{"nftables":[{"rule":{}}]}'])("are none in %j", (text) => {
    expect(foreignNftRules(text, SETTINGS)).toEqual([]);
  });
});
