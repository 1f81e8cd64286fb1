import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { freePorts } from "../harness/free-port.ts";
import { needProgram, startProgram, toolFolder } from "../harness/program.ts";

/** Where a peer listens, and what it forwards to, port to port. */
export interface PeerLane {
  readonly listen: number;
  readonly upstream: number;
}

/** A proxy to compare with, configured as its documents say and no stricter. */
export interface Peer {
  readonly name: string;
  readonly program: () => string;
  readonly versionArgs: readonly string[];
  readonly configFile: string;
  readonly config: (lanes: readonly PeerLane[], folder: string) => string;
  readonly args: (folder: string) => readonly string[];
  /** Cases that it takes now in one way and now in another, so that they are not compared. */
  readonly unsteady: RegExp;
}

/** The version that test/tools/install.sh brings. */
const ENVOY_VERSION = "1.40.0";

export const PEERS: readonly Peer[] = [
  {
    name: "nginx",
    program: () => "nginx",
    versionArgs: ["-v"],
    configFile: "nginx.conf",
    config: nginxConfig,
    args: (folder) => ["-p", folder, "-c", join(folder, "nginx.conf")],
    unsteady: /^$/,
  },
  {
    name: "haproxy",
    program: () => "haproxy",
    versionArgs: ["-v"],
    configFile: "haproxy.cfg",
    config: haproxyConfig,
    args: (folder) => ["-db", "-q", "-f", join(folder, "haproxy.cfg")],
    // Malformed trailers are passed on or refused by how they come to lie in its buffer.
    unsteady:
      /^(?:(?:trailers|framing\/bad-with-head)\/no-field-line|framing\/bad-trailers)(?:\/|$)/,
  },
  {
    name: "envoy",
    program: () => join(toolFolder(`envoy-${ENVOY_VERSION}`), "envoy", "_bin", "envoy"),
    versionArgs: ["--version"],
    configFile: "envoy.json",
    config: envoyConfig,
    args: (folder) => [
      ...["--config-path", join(folder, "envoy.json"), "--concurrency", "1"],
      ...["--disable-hot-restart", "--log-level", "off"],
    ],
    unsteady: /^$/,
  },
];

/** Starts a peer with a lane for each upstream port; it stops with the test. */
export async function startPeer(peer: Peer, upstreamPorts: readonly number[]): Promise<number[]> {
  needProgram(peer.program(), peer.versionArgs, "http1-peers");
  const folder = await mkdtemp(join(tmpdir(), `forklane-${peer.name}-`));
  const ports = await freePorts(upstreamPorts.length);
  const lanes = upstreamPorts.map((upstream, i) => ({ listen: ports[i] ?? 0, upstream }));
  await writeFile(join(folder, peer.configFile), peer.config(lanes, folder));
  const running = await startProgram(peer.program(), peer.args(folder), ports);
  running.stdout?.resume();
  onTestFinished(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  return ports;
}

function nginxConfig(lanes: readonly PeerLane[], folder: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const servers = lanes.map(
    ({ listen, upstream }, i) => `
  upstream u${i} { server 127.0.0.1:${upstream}; keepalive 4; }
  server {
    listen 127.0.0.1:${listen};
    location / {
      proxy_pass http://u${i};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
    }
  }`,
  );
  return `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}
${servers.join("")}
}
`;
}

function haproxyConfig(lanes: readonly PeerLane[]): string {
  const proxies = lanes.map(
    ({ listen, upstream }, i) => `
frontend f${i}
  bind 127.0.0.1:${listen}
  default_backend b${i}
backend b${i}
  server s 127.0.0.1:${upstream}
`,
  );
  return `global
  maxconn 500
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  timeout http-request 10s
${proxies.join("")}`;
}

function envoyConfig(lanes: readonly PeerLane[]): string {
  const address = (port: number) => ({
    socket_address: { address: "127.0.0.1", port_value: port },
  });
  const listeners = lanes.map(({ listen }, i) => ({
    name: `l${i}`,
    address: address(listen),
    filter_chains: [{ filters: [connectionFilter(i)] }],
  }));
  const clusters = lanes.map(({ upstream }, i) => ({
    name: `c${i}`,
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: `c${i}`,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstream) } }] }],
    },
  }));
  return JSON.stringify({ static_resources: { listeners, clusters } });
}

function connectionFilter(lane: number) {
  const types = "type.googleapis.com/envoy.extensions.filters";
  const route = { match: { prefix: "/" }, route: { cluster: `c${lane}`, timeout: "0s" } };
  return {
    name: "envoy.filters.network.http_connection_manager",
    typed_config: {
      "@type": `${types}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: `l${lane}`,
      codec_type: "HTTP1",
      // Else each refusal takes a second.
      delayed_close_timeout: "0.1s",
      route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [route] }] },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": `${types}.http.router.v3.Router` },
        },
      ],
    },
  };
}
