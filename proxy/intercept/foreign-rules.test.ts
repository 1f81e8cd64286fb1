import { describe, expect, test } from "vitest";
import { foreignRules } from "./foreign-rules.ts";
import { applyScript, interceptionRules } from "./rules.ts";
import { SETTINGS } from "./settings.fake.ts";

describe("somebody else's rules", () => {
  test.each([
    ["Istio", "-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT"],
    ["Istio", "-A SOME_CHAIN -p tcp -j REDIRECT --to-ports 15006"],
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
