import { Command } from "commander";
import type { CliContext } from "../context.ts";
import { addFlags, type FlagRow, readFlags } from "../flags.ts";

/** The settings of proxy/config.ts, in the order in which one meets them. */
export const PROXY_FLAGS: readonly FlagRow[] = [
  { setting: "listen", value: "host:port", description: "where to take traffic (needed)" },
  {
    setting: "upstream",
    value: "host:port",
    description: "the service next to it, or what stands behind the edge (needed)",
  },
  {
    setting: "outbound-listen",
    value: "host:port",
    description: "take the calls of the service there, too",
  },
  {
    setting: "callees",
    value: "file",
    description: "calls: names and addresses of workloads, beside those of the table",
  },
  {
    setting: "cluster-networks",
    value: "cidr",
    description: "calls: networks of the cluster (default loopback and private; repeatable)",
    isList: true,
  },
  {
    setting: "strip-outside",
    value: "",
    description: "calls: take tags off those that leave the cluster",
    isSwitch: true,
  },
  {
    setting: "intercept",
    value: "",
    description: "the kernel redirects connections here: ask where each was meant to go",
    isSwitch: true,
  },
  {
    setting: "forwarded-for",
    value: "mode",
    description: "X-Forwarded-For: append who called, or off (default)",
  },
  {
    setting: "workload",
    value: "namespace/name",
    description: "whose proxy it is, as in shop/cart (needed)",
  },
  {
    setting: "control",
    value: "url",
    description: "where the routing table comes from (or --table)",
  },
  { setting: "table", value: "file", description: "a routing table in a file (or --control)" },
  { setting: "mode", value: "mode", description: "inbound (default), outbound or edge" },
  { setting: "sandbox", value: "name", description: "stand next to this sandbox's fork" },
  {
    setting: "probe-path",
    value: "path",
    description: "path that a fork's proxy lets through untagged (repeatable)",
    isList: true,
  },
  {
    setting: "entries",
    value: "list",
    description: "edge: where a key may come from: host,cookie,header or none",
    isList: true,
  },
  {
    setting: "carriers",
    value: "list",
    description: "where a key is read from, first hit wins; names or presets",
    isList: true,
  },
  {
    setting: "trust-tags-from",
    value: "cidr",
    description: "networks whose tags are believed, or none (repeatable)",
    isList: true,
  },
  {
    setting: "underscore-fields",
    value: "rule",
    description: "field names with _: forward (default), drop or reject",
  },
  {
    setting: "admin",
    value: "host:port",
    description: "serve /readyz, /metrics, /explain and /config there",
  },
  { setting: "state-dir", value: "folder", description: "keep the last good routing table there" },
  { setting: "token-file", value: "file", description: "file with the token for control" },
  { setting: "instance", value: "name", description: "unique name of this process" },
  { setting: "upstream-protocol", value: "protocol", description: "http1 or auto (default)" },
  {
    setting: "workers",
    value: "count",
    description: "worker processes (default 1); more than one have a supervisor",
  },
  {
    setting: "access-log",
    value: "file",
    description: "file to append to, - (default) is standard output, off is none",
  },
  {
    setting: "access-log-untagged-every",
    value: "n",
    description: "log one of n untagged exchanges (default 0: none)",
  },
  { setting: "otlp-endpoint", value: "url", description: "OTLP/HTTP receiver for sampled spans" },
  { setting: "otlp-service-name", value: "name", description: "service.name of those spans" },
  {
    setting: "limit",
    value: "name=n",
    description: "change a limit, as in headBytesMax=65536 (repeatable)",
    isList: true,
  },
  { setting: "config", value: "file", description: "JSON file with any of these settings" },
];

const EXAMPLE = `
Each setting may also stand in the environment: FORKLANE_LISTEN, FORKLANE_STATE_DIR, ...

  forklane proxy --listen 127.0.0.1:8110 --upstream 127.0.0.1:9001 \\
    --workload shop/cart --control http://127.0.0.1:7070`;

/** `forklane proxy` */
export function proxyCommand(context: CliContext): Command {
  const command = addFlags(new Command("proxy"), PROXY_FLAGS).addHelpText("after", EXAMPLE);
  return command.action(async () => {
    const flags = readFlags(command, PROXY_FLAGS);
    const { becomeProxy } = await import("../../proxy/own-process/become.ts");
    becomeProxy(flags);
    const { runProxy } = await import("../../proxy/main.ts");
    context.exitCode = await runProxy(flags);
  });
}
